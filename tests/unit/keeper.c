/* The keeper: uses at the cap and beyond, asking twice, reopening, damage, no room, the process. */
#include "base/clock.h"
#include "keeper/serve.h"
#include "keeper/store.h"
#include "wire/channel.h"
#include "wire/keeper.pb.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000
#define NOW     INT64_C(1700000000)

static const uint8_t clan[32] = {0xc1};
static int dir = -1;
static char dir_path[64];
static struct clan_error error;

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir_path, sizeof dir_path, "/tmp/clan-keeper-XXXXXX");
    if (!mkdtemp(dir_path))
        return -1;
    dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlinkat(dir, STORE_FILE, 0);
    unlinkat(dir, STORE_FILE "-journal", 0);
    close(dir);
    return chdir("/") != 0 || rmdir(dir_path) != 0;
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    if (store_open(dir, clan, &s, &error) != CLAN_OK)
        fail_msg("%s: %s", error.what, error.why);
    return s;
}

static struct store_spend spend_of(uint8_t invite, unsigned machine, uint32_t uses)
{
    return (struct store_spend){.invite_id = {invite},
        .machine_id = {(uint8_t)machine, (uint8_t)(machine >> 8)},
        .admission_id = {(uint8_t)machine, 1},
        .uses = uses,
        .expires = NOW};
}

static void uses_end_at_the_cap(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_spent r;
    uint32_t spent;
    assert_int_equal(store_generation(s), 1);
    assert_int_equal(store_revision(s), 0);
    for (uint32_t i = 0; i < 3; i++) {
        struct store_spend ask = spend_of(1, i, 3);
        assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK);
        assert_int_equal(r.slot, i);
        assert_int_equal(r.generation, 1);
        assert_int_equal(r.revision, i + 1);
        assert_int_equal(r.time, NOW);
    }
    struct store_spend ask = spend_of(1, 3, 3);
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_E_USED);
    assert_int_equal(store_count(s, ask.invite_id, &spent, &error), CLAN_OK);
    assert_int_equal(spent, 3);
    ask = spend_of(2, 3, 1); /* another invitation */
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK);
    assert_int_equal(r.slot, 0);
    assert_int_equal(r.revision, 4);
    ask.uses = 0;
    ask.machine_id[0] = 9;
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_E_INVAL);
    ask.uses = STORE_USES_MAX + 1;
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_E_INVAL);
    ask = spend_of(3, 9, STORE_USES_MAX);
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK);
    store_close(s);
}

static void who_asks_again_gets_the_same(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_spent first, again;
    struct store_spend ask = spend_of(1, 1, 1);
    assert_int_equal(store_spend(s, &ask, NOW, &first, &error), CLAN_OK);
    ask.closed = true; /* what came later changes nothing that was judged */
    ask.expires = 0;
    ask.admission_id[5] = 7;
    assert_int_equal(store_spend(s, &ask, NOW + 100, &again, &error), CLAN_OK);
    assert_memory_equal(&first, &again, sizeof first);
    assert_int_equal(store_revision(s), 1);
    store_close(s);
    s = open_store(); /* and after a restart */
    memset(&again, 0, sizeof again);
    assert_int_equal(store_spend(s, &ask, NOW + 100, &again, &error), CLAN_OK);
    assert_int_equal(again.slot, first.slot);
    assert_int_equal(again.revision, first.revision);
    assert_int_equal(again.generation, first.generation);
    assert_int_equal(again.time, first.time);
    ask = spend_of(1, 2, 1);
    assert_int_equal(store_spend(s, &ask, NOW, &again, &error), CLAN_E_USED);
    ask = spend_of(9, 2, 1);
    assert_int_equal(store_spend(s, &ask, NOW, &again, &error), CLAN_OK);
    assert_int_equal(again.revision, 2); /* revisions go on where they were */
    store_close(s);
}

static void expiry_and_withdrawal_are_judged(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_spent r;
    uint32_t spent;
    struct store_spend ask = spend_of(1, 1, 5);
    assert_int_equal(store_spend(s, &ask, NOW + 1, &r, &error), CLAN_E_EXPIRED);
    ask.closed = true;
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_E_WITHDRAWN);
    assert_true(error.what[0]);
    assert_int_equal(store_count(s, ask.invite_id, &spent, &error), CLAN_OK);
    assert_int_equal(spent, 0); /* a refusal costs no use */
    ask.closed = false;
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK);
    store_close(s);
}

static void removals_are_recorded_once(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_spend ask = spend_of(1, 1, 5), other = spend_of(1, 2, 5);
    struct store_spent r;
    uint64_t first, again = 0;
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK);
    assert_int_equal(store_removed(s, ask.machine_id, NOW, &first, &error), CLAN_OK);
    assert_int_equal(first, 2);
    assert_int_equal(store_removed(s, other.machine_id, NOW, &again, &error), CLAN_OK);
    assert_int_equal(again, 3);
    assert_int_equal(store_removed(s, ask.machine_id, NOW + 5, &again, &error), CLAN_OK);
    assert_int_equal(again, first);
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK);
    assert_int_equal(r.revision, 1); /* its receipt is older than its removal, and stays so */
    assert_int_equal(store_spend(s, &other, NOW, &r, &error), CLAN_E_REVOKED);
    store_close(s);
}

static void another_clan_is_refused(void **state)
{
    (void)state;
    static const uint8_t other[32] = {0xc2};
    struct store *s = open_store(), *none = NULL;
    store_close(s);
    assert_int_equal(store_open(dir, other, &none, &error), CLAN_E_CONFLICT);
    assert_null(none);
}

static void two_keepers_never_share_a_file(void **state)
{
    (void)state;
    struct store *s = open_store(), *none = NULL;
    int status;
    pid_t pid = fork(); /* locks are per process */
    if (pid == 0)
        _exit(store_open(dir, clan, &none, &error) == CLAN_E_IO && strstr(error.what, "in use")
                  ? 0
                  : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    store_close(s);
}

static void write_file(const char *text, size_t size, off_t at, int flags)
{
    int fd = openat(dir, STORE_FILE, O_WRONLY | flags, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, text, size, at), size);
    close(fd);
}

static void damage_is_said_and_never_repaired_by_forgetting(void **state)
{
    (void)state;
    static const char junk[4096] = "this is no database";
    struct store *none = NULL;
    struct stat before, after;
    write_file(junk, sizeof junk, 0, O_CREAT | O_TRUNC);
    assert_int_equal(store_open(dir, clan, &none, &error), CLAN_E_IO);
    assert_non_null(strstr(error.what, "damaged"));
    assert_true(error.why[0] && error.remedy[0]);
    unlinkat(dir, STORE_FILE, 0);

    struct store *s = open_store();
    for (unsigned i = 0; i < 200; i++) {
        struct store_spend ask = spend_of(1, i, 500);
        struct store_spent r;
        assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK);
    }
    store_close(s);
    assert_int_equal(fstatat(dir, STORE_FILE, &before, 0), 0);
    write_file(junk, sizeof junk, 2 * 4096, 0); /* the root page of the uses */
    assert_int_equal(store_open(dir, clan, &none, &error), CLAN_E_IO);
    assert_non_null(strstr(error.what, "damaged"));
    assert_int_equal(fstatat(dir, STORE_FILE, &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_null(none);
}

static void a_full_disk_changes_nothing_and_passes(void **state)
{
    (void)state;
    struct store *s = open_store();
    struct store_spent r;
    struct rlimit full, old;
    struct stat st;
    unsigned done = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(fstatat(dir, STORE_FILE, &st, 0), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    full = (struct rlimit){.rlim_cur = (rlim_t)st.st_size, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0); /* the file cannot grow any more */
    clan_status status = CLAN_OK;
    for (; status == CLAN_OK && done < 1000; done += status == CLAN_OK) {
        struct store_spend ask = spend_of(1, done, 5000);
        status = store_spend(s, &ask, NOW, &r, &error);
    }
    assert_int_equal(status, CLAN_E_IO);
    assert_true(error.what[0] && error.remedy[0]);
    assert_int_equal(store_revision(s), done);
    setrlimit(RLIMIT_FSIZE, &old);
    struct store_spend ask = spend_of(1, done, 5000);
    assert_int_equal(store_spend(s, &ask, NOW, &r, &error), CLAN_OK); /* the same, with room */
    assert_int_equal(r.slot, done);
    assert_int_equal(r.revision, done + 1);
    store_close(s);
    s = open_store();
    uint32_t spent;
    assert_int_equal(store_count(s, ask.invite_id, &spent, &error), CLAN_OK);
    assert_int_equal(spent, done + 1);
    assert_int_equal(store_revision(s), done + 1);
    store_close(s);
}

/* --- the process --- */

struct process {
    pid_t pid;
    int channel;
};

static void start(struct process *p)
{
    int pair[2];
    assert_int_equal(channel_pair(pair), CLAN_OK);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        int from[] = {fcntl(pair[1], F_DUPFD, 20), fcntl(open("/dev/null", O_RDWR), F_DUPFD, 20),
            fcntl(dir, F_DUPFD, 20)};
        close_range(3, 19, 0); /* the other end of the channel too */
        dup2(from[0], KEEPER_CHANNEL_FD);
        dup2(from[1], KEEPER_LOG_FD);
        dup2(from[2], KEEPER_STATE_FD);
        close_range(7, ~0u, 0);
        _exit(keeper_serve());
    }
    close(pair[1]);
    p->channel = pair[0];
}

static void ask(struct process *p, const clan_keeper_ToKeeper *m)
{
    assert_int_equal(channel_send(p->channel, clan_keeper_ToKeeper_fields, m, NULL, 0), CLAN_OK);
}

static const clan_keeper_FromKeeper *next(struct process *p, pb_size_t which)
{
    static clan_keeper_FromKeeper m;
    struct pollfd pfd = {.fd = p->channel, .events = POLLIN};
    size_t none;
    assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
    assert_int_equal(
        channel_recv(p->channel, clan_keeper_FromKeeper_fields, &m, NULL, 0, &none), CLAN_OK);
    assert_int_equal(m.which_m, which);
    return &m;
}

static void hello(struct process *p)
{
    clan_keeper_ToKeeper m = {.which_m = clan_keeper_ToKeeper_hello_tag};
    snprintf(m.m.hello.build, sizeof m.m.hello.build, "%s", CLAN_VERSION);
    memcpy(m.m.hello.clan_id, clan, 32);
    ask(p, &m);
}

static const clan_keeper_SpendResult *ask_spend(
    struct process *p, uint32_t request, unsigned machine, int64_t expires)
{
    clan_keeper_ToKeeper m = {.which_m = clan_keeper_ToKeeper_spend_tag};
    m.m.spend.request = request;
    m.m.spend.uses = 1;
    m.m.spend.expires = expires;
    m.m.spend.machine_id[0] = (uint8_t)machine;
    ask(p, &m);
    const clan_keeper_SpendResult *r =
        &next(p, clan_keeper_FromKeeper_spend_result_tag)->m.spend_result;
    assert_int_equal(r->request, request);
    assert_int_equal(r->machine_id[0], machine);
    return r;
}

static void end(struct process *p, int expected)
{
    int status;
    close(p->channel);
    assert_int_equal(waitpid(p->pid, &status, 0), p->pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

static void the_process(void **state)
{
    (void)state;
    struct process p;
    start(&p);
    const clan_keeper_SpendResult *r = ask_spend(&p, 1, 1, INT64_MAX); /* before the greeting */
    assert_int_equal(r->error.status, CLAN_E_IO);
    next(&p, clan_keeper_FromKeeper_trouble_tag);
    hello(&p);
    const clan_keeper_FromKeeper *a = next(&p, clan_keeper_FromKeeper_hello_ack_tag);
    assert_int_equal(a->m.hello_ack.generation, 1);
    r = ask_spend(&p, 2, 1, clock_wall_s() - 100);
    assert_int_equal(r->error.status, CLAN_E_EXPIRED);
    r = ask_spend(&p, 3, 1, clock_wall_s() + 100);
    assert_int_equal(r->error.status, CLAN_OK);
    assert_int_equal(r->revision, 1);
    r = ask_spend(&p, 4, 2, clock_wall_s() + 100);
    assert_int_equal(r->error.status, CLAN_E_USED);
    assert_true(r->error.what[0]);
    clan_keeper_ToKeeper m = {.which_m = clan_keeper_ToKeeper_removed_tag};
    ask(&p, &m);
    assert_int_equal(next(&p, clan_keeper_FromKeeper_removed_at_tag)->m.removed_at.revision, 2);
    m = (clan_keeper_ToKeeper){
        .which_m = clan_keeper_ToKeeper_ask_invite_tag, .m.ask_invite.request = 5};
    ask(&p, &m);
    assert_int_equal(next(&p, clan_keeper_FromKeeper_invite_state_tag)->m.invite_state.spent, 1);
    hello(&p); /* another core on the same channel */
    assert_int_equal(next(&p, clan_keeper_FromKeeper_hello_ack_tag)->m.hello_ack.revision, 2);
    kill(p.pid, SIGKILL);
    waitpid(p.pid, NULL, 0);
    close(p.channel);
    start(&p); /* what was answered is there after a kill */
    hello(&p);
    assert_int_equal(next(&p, clan_keeper_FromKeeper_hello_ack_tag)->m.hello_ack.revision, 2);
    r = ask_spend(&p, 6, 1, 0);
    assert_int_equal(r->error.status, CLAN_OK);
    assert_int_equal(r->revision, 1);
    end(&p, 0);
}

static void the_process_tells_of_damage_and_of_another_build(void **state)
{
    (void)state;
    struct process p;
    write_file("no database at all, but long enough to be looked at", 50, 0, O_CREAT | O_TRUNC);
    start(&p);
    hello(&p);
    const clan_keeper_Trouble *t = &next(&p, clan_keeper_FromKeeper_trouble_tag)->m.trouble;
    assert_int_equal(t->error.status, CLAN_E_IO);
    assert_non_null(strstr(t->error.what, "damaged"));
    unlinkat(dir, STORE_FILE, 0); /* it tries again by itself */
    assert_int_equal(next(&p, clan_keeper_FromKeeper_hello_ack_tag)->m.hello_ack.revision, 0);
    clan_keeper_ToKeeper m = {
        .which_m = clan_keeper_ToKeeper_hello_tag, .m.hello.build = "another"};
    ask(&p, &m);
    end(&p, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(uses_end_at_the_cap),
        TEST(who_asks_again_gets_the_same),
        TEST(expiry_and_withdrawal_are_judged),
        TEST(removals_are_recorded_once),
        TEST(another_clan_is_refused),
        TEST(two_keepers_never_share_a_file),
        TEST(damage_is_said_and_never_repaired_by_forgetting),
        TEST(a_full_disk_changes_nothing_and_passes),
        TEST(the_process),
        TEST(the_process_tells_of_damage_and_of_another_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
