/* The files of a clan on disk: what is damaged, foreign or unfinished, and users that stay the same. */
#include "base/error.h"
#include "slot/slots.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[32];
static struct slots all;

static void removed(void *arg, const struct clan_error *e)
{
    unsigned *failed = arg;
    *failed += e != NULL;
}
static unsigned failed;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/clan-slot-XXXXXX");
    failed = 0;
    if (!mkdtemp(dir))
        return -1;
    all = (struct slots){
        .dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .removed = removed, .arg = &failed};
    strcpy(all.path, dir);
    return all.dir < 0;
}

/* rm runs beside us, as in the warden: its end is waited for and told. */
static void reap_all(void)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0;)
        assert_true(tool_reap(pid, status));
    assert_int_equal(failed, 0);
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++)
        slots_discard(&all, i);
    reap_all();
    close(all.dir);
    return rmdir(dir);
}

static void bound(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    struct slot s, again;
    struct slot_bound b;
    uint8_t id[32];
    memset(id, 7, sizeof id);
    assert_int_equal(slots_make(&all, 1, &s, &e), CLAN_OK);
    assert_int_equal(slot_load(&s, &b, &e), CLAN_E_NOENT);
    assert_int_equal(slot_store(&s, id, "home", true, &e), CLAN_OK);
    assert_int_equal(slot_open(&again, all.dir, 1, &e), CLAN_OK);
    assert_int_equal(slot_load(&again, &b, &e), CLAN_OK);
    assert_memory_equal(b.clan_id, id, 32);
    assert_string_equal(b.petname, "home");
    assert_int_equal(b.down, 1);
    /* each way to be damaged */
    static const struct {
        off_t at;
        char byte;
    } damage[] = {{0, 'x'}, {40, '/'}, {40, 0}, {72, 'x'}};
    for (unsigned i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        assert_int_equal(slot_store(&s, id, "home", false, &e), CLAN_OK);
        int fd = openat(s.dir, "bound", O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, &damage[i].byte, 1, damage[i].at), 1);
        close(fd);
        assert_int_equal(slot_load(&s, &b, &e), CLAN_E_INVAL);
    }
    assert_int_equal(slot_store(&s, id, "home", false, &e), CLAN_OK);
    int fd = openat(s.dir, "bound", O_WRONLY | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 20), 0);
    close(fd);
    assert_int_equal(slot_load(&s, &b, &e), CLAN_E_INVAL);
    close(s.dir);
    close(again.dir);
}

static void users_are_kept(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    struct slot s, again;
    char name[16];
    assert_int_equal(slots_make(&all, 0, &s, &e), CLAN_OK);
    assert_int_equal(slot_uid(&s, 1, "files", "", &e), 0);
    assert_int_equal(slot_uid(&s, 1, "photos", "", &e), 1);
    assert_int_equal(slot_uid(&s, 2, "files", "", &e), 2); /* another kind is another user */
    assert_int_equal(slot_uid(&s, 1, "files", "", &e), 0);
    assert_int_equal(slot_open(&again, all.dir, 0, &e), CLAN_OK);
    assert_int_equal(slot_uid(&again, 1, "photos", "", &e), 1);
    for (unsigned i = 3; i < SLOT_UIDS; i++) {
        snprintf(name, sizeof name, "s%u", i);
        assert_int_equal(slot_uid_index(s.uids, name), i);
    }
    assert_int_equal(slot_uid(&s, 1, "one-more", "", &e), -1);
    assert_int_equal(e.status, CLAN_E_LIMIT);
    assert_int_equal(slot_uid(&s, 1, "files", "", &e), 0);
    close(s.dir);
    close(again.dir);
}

static void found(void *arg, unsigned number)
{
    unsigned *mask = arg;
    *mask |= 1u << number;
}

static void scan(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    struct slot s;
    struct stat st;
    uint8_t id[32] = {1};
    unsigned mask = 0;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(slots_make(&all, i, &s, &e), CLAN_OK);
        if (i != 1) /* a clan that was never finished */
            assert_int_equal(slot_store(&s, id, "home", false, &e), CLAN_OK);
        close(s.dir);
    }
    assert_int_equal(mkdirat(all.dir, "gone-9-1", 0700), 0); /* rm was interrupted */
    assert_int_equal(mkdirat(all.dir, "007", 0700), 0);      /* not ours: it stays */
    slots_scan(&all, 3, found, &mask);
    assert_int_equal(mask, 1 << 0 | 1 << 2); /* 3 is beyond the count */
    reap_all();
    assert_int_equal(fstatat(all.dir, "1", &st, 0), -1);
    assert_int_equal(fstatat(all.dir, "gone-9-1", &st, 0), -1);
    assert_int_equal(fstatat(all.dir, "007", &st, 0), 0);
    assert_int_equal(unlinkat(all.dir, "007", AT_REMOVEDIR), 0);
}

/* A link that a plugin left in place of a directory is not followed, nor another user's taken over. */
static void directories(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    struct slot s;
    struct stat st;
    if (geteuid() != 0) {
        print_message("SKIP: directories of other users need root\n");
        return;
    }
    assert_int_equal(slots_make(&all, 0, &s, &e), CLAN_OK);
    int fd = slot_dir(&s, "volumes", "files", 12345, 12346, 02770, &e);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(st.st_uid, 12345);
    assert_int_equal(st.st_gid, 12346);
    assert_int_equal(st.st_mode & 07777, 02770);
    close(fd);
    assert_int_equal(slot_dir(&s, "volumes", "files", 777, 777, 0700, &e), -1);
    assert_int_equal(e.status, CLAN_E_CONFLICT);
    assert_int_equal(symlinkat("/tmp", s.dir, "link"), 0);
    assert_int_equal(slot_dir(&s, "", "link", 777, 777, 0700, &e), -1);
    assert_int_equal(stat("/tmp", &st), 0);
    assert_int_not_equal(st.st_uid, 777);
    close(s.dir);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(bound), T(users_are_kept), T(scan), T(directories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
