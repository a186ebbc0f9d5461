/* clan-host as a process with a small plugin of its own: states, calls, limits, adoption, size. */
#include "base/clock.h"
#include "wire/channel.h"
#include "wire/host.pb.h"

#include <clan/status.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

struct child {
    pid_t pid;
    int channel, log;
    char log_text[65536];
    size_t log_len;
    bool loaded;
};

static void exec_host(const char *plugin, const char *id, int channel, int log)
{
    char dir[] = "/tmp/clan-host-XXXXXX";
    int fds[5] = {channel, log, open(plugin, O_RDONLY), -1, open("/dev/null", O_RDONLY)};
    if (mkdtemp(dir)) {
        fds[3] = open(dir, O_RDONLY | O_DIRECTORY);
        rmdir(dir);
    }
    for (int i = 0; i < 5; i++)
        fds[i] = fcntl(fds[i], F_DUPFD, 20);
    for (int i = 0; i < 5; i++)
        dup2(fds[i], 3 + i);
    close_range(8, ~0u, 0);
    execl(CLAN_HOST, "clan-host", id, "instance", "0", NULL);
    _exit(127);
}

static struct child *start(const char *plugin, const char *id)
{
    struct child *c = calloc(1, sizeof *c);
    int ch[2], log[2];
    assert_int_equal(channel_pair(ch), CLAN_OK);
    assert_int_equal(channel_pair(log), CLAN_OK);
    c->pid = fork();
    if (c->pid == 0)
        exec_host(plugin, id, ch[1], log[1]);
    close(ch[1]);
    close(log[1]);
    c->channel = ch[0];
    c->log = log[0];
    return c;
}

static void read_log(struct child *c)
{
    char text[2048];
    ssize_t n;
    while ((n = recv(c->log, text, sizeof text - 1, MSG_DONTWAIT)) > 0) {
        text[n] = 0;
        if (text[0] == 1 && strcmp(text + 1, "loaded") == 0)
            c->loaded = true;
        int put = snprintf(c->log_text + c->log_len, sizeof c->log_text - c->log_len, "%s\n", text);
        if (c->log_len + (size_t)put < sizeof c->log_text)
            c->log_len += (size_t)put;
    }
}

static int finish(struct child *c)
{
    int status = 0;
    if (c->channel >= 0)
        close(c->channel);
    uint64_t end = clock_mono_ms() + 5000;
    while (waitpid(c->pid, &status, WNOHANG) == 0) {
        if (clock_mono_ms() > end)
            kill(c->pid, SIGKILL);
        poll(NULL, 0, 2);
    }
    read_log(c);
    close(c->log);
    free(c);
    return status;
}

static clan_host_ToHost *to(pb_size_t which)
{
    static clan_host_ToHost m;
    memset(&m, 0, sizeof m);
    m.which_m = which;
    return &m;
}

static void send_to(struct child *c, const clan_host_ToHost *m)
{
    assert_int_equal(channel_send(c->channel, clan_host_ToHost_fields, m, NULL, 0), CLAN_OK);
}

/* The next message; which 0 is the end of the channel.  ret_fd: -1 without a descriptor. */
static clan_host_FromHost *next(struct child *c, int *ret_fd)
{
    static clan_host_FromHost m;
    uint64_t end = clock_mono_ms() + 5000;
    memset(&m, 0, sizeof m);
    for (;;) {
        int fds[4];
        size_t n;
        clan_status st = channel_recv(c->channel, clan_host_FromHost_fields, &m, fds, 4, &n);
        if (st == CLAN_OK && n == 1 && ret_fd)
            *ret_fd = fds[0];
        else if (st == CLAN_OK)
            channel_close_fds(fds, n);
        if (st == CLAN_OK)
            return &m;
        if (st == CLAN_E_IO) {
            m.which_m = 0;
            return &m;
        }
        if (clock_mono_ms() > end) {
            read_log(c);
            fail_msg("no message in time; log: %s", c->log_text);
        }
        struct pollfd p = {c->channel, POLLIN, 0};
        poll(&p, 1, 100);
    }
}

static clan_host_StateIs expect_state(struct child *c, clan_host_State state)
{
    clan_host_FromHost *m = next(c, NULL);
    assert_int_equal(m->which_m, clan_host_FromHost_state_is_tag);
    if (m->m.state_is.state != state)
        fail_msg("state %d, not %d: %s: %s", m->m.state_is.state, state, m->m.state_is.error.what,
            m->m.state_is.error.why);
    return m->m.state_is;
}

static clan_host_HelloAck hello(struct child *c, uint64_t incarnation)
{
    to(clan_host_ToHost_hello_tag)->m.hello.incarnation = incarnation;
    clan_host_ToHost *m = to(clan_host_ToHost_hello_tag);
    m->m.hello.incarnation = incarnation;
    send_to(c, m);
    clan_host_FromHost *a = next(c, NULL);
    assert_int_equal(a->which_m, clan_host_FromHost_hello_ack_tag);
    assert_int_equal(a->m.hello_ack.incarnation, incarnation);
    return a->m.hello_ack;
}

static void create(struct child *c, const char *key, const char *value)
{
    clan_host_ToHost *m = to(clan_host_ToHost_create_tag);
    strcpy(m->m.create.instance, "one");
    strcpy(m->m.create.clan, "home");
    strcpy(m->m.create.machine, "nas");
    if (key) {
        m->m.create.settings_count = 1;
        strcpy(m->m.create.settings[0].key, key);
        strcpy(m->m.create.settings[0].value, value);
    }
    send_to(c, m);
}

static struct child *started(const char *key)
{
    struct child *c = start(PROBE, "probe");
    expect_state(c, clan_host_State_STATE_LOADED);
    assert_int_equal(hello(c, 1).state, clan_host_State_STATE_LOADED);
    create(c, key, "yes");
    expect_state(c, clan_host_State_STATE_CREATED);
    send_to(c, to(clan_host_ToHost_start_tag));
    expect_state(c, clan_host_State_STATE_STARTED);
    return c;
}

static void dial(struct child *c, uint32_t request, const char *what)
{
    clan_host_ToHost *m = to(clan_host_ToHost_dial_tag);
    m->m.dial.request = request;
    strcpy(m->m.dial.endpoint, what);
    m->m.dial.timeout_ms = 1000;
    send_to(c, m);
}

static void wait_log(struct child *c, const char *word)
{
    uint64_t end = clock_mono_ms() + 5000;
    for (;;) {
        read_log(c);
        if (strstr(c->log_text, word))
            return;
        if (clock_mono_ms() > end)
            fail_msg("no \"%s\" in the log: %s", word, c->log_text);
        struct pollfd p = {c->log, POLLIN, 0};
        poll(&p, 1, 100);
    }
}

static void test_life(void **state)
{
    (void)state;
    struct child *c = started(NULL);
    read_log(c);
    assert_true(c->loaded);
    assert_memory_equal(c->log_text, "\1loaded\n", 8); /* first of all */
    clan_host_HelloAck a = hello(c, 2);                /* a new core */
    assert_int_equal(a.state, clan_host_State_STATE_STARTED);
    assert_string_equal(a.plugin, "probe");
    assert_string_equal(a.version, "1.2");
    assert_int_equal(a.interfaces_count, 1);
    send_to(c, to(clan_host_ToHost_create_tag)); /* wrong state: refused, nothing breaks */
    wait_log(c, "Create in the wrong state");
    send_to(c, to(clan_host_ToHost_stop_tag));
    expect_state(c, clan_host_State_STATE_STOPPED);
    assert_int_equal(next(c, NULL)->which_m, 0);
    wait_log(c, "stop, destroy");
    int status = finish(c);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_ends_with_its_channel(void **state)
{
    (void)state;
    struct child *c = started(NULL);
    int status = finish(c);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_refused_settings(void **state)
{
    (void)state;
    struct child *c = start(PROBE, "probe");
    expect_state(c, clan_host_State_STATE_LOADED);
    create(c, "refuse", "me");
    clan_host_StateIs st = expect_state(c, clan_host_State_STATE_FAILED);
    assert_string_equal(st.error.what, "refused as asked");
    hello(c, 1); /* a late core learns it too */
    assert_string_equal(
        expect_state(c, clan_host_State_STATE_FAILED).error.what, "refused as asked");
    send_to(c, to(clan_host_ToHost_stop_tag));
    expect_state(c, clan_host_State_STATE_STOPPED);
    finish(c);
}

static void test_bad_plugins(void **state)
{
    static const struct {
        const char *file, *id, *why;
    } bad[] = {
        {"/etc/passwd", "probe", "ELF"},
        {PROBE, "other", "calls itself probe"},
        {PROBE_BAD, "probe", "id of the descriptor"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct child *c = start(bad[i].file, bad[i].id);
        clan_host_StateIs st = expect_state(c, clan_host_State_STATE_FAILED);
        if (!strstr(st.error.why, bad[i].why))
            fail_msg("%s: %s", st.error.what, st.error.why);
        finish(c);
    }
}

static void test_streams_and_dials(void **state)
{
    int fd = -1;
    char byte = 0;
    (void)state;
    struct child *c = started(NULL);
    dial(c, 5, "pair");
    clan_host_FromHost *m = next(c, &fd);
    assert_int_equal(m->which_m, clan_host_FromHost_stream_tag);
    assert_int_equal(m->m.stream.request, 5);
    assert_string_equal(m->m.stream.remote, "p?ir"); /* cleaned */
    assert_true(fd >= 0);
    assert_int_equal(recv(fd, &byte, 1, 0), 1);
    assert_int_equal(byte, 'x');
    close(fd);
    dial(c, 6, "file"); /* offers something that is no stream: refused, then fails */
    m = next(c, NULL);
    assert_int_equal(m->which_m, clan_host_FromHost_dial_failed_tag);
    assert_int_equal(m->m.dial_failed.request, 6);
    assert_string_equal(m->m.dial_failed.error.what, "no stream: 1");
    dial(c, 7, "never");
    dial(c, 7, "never"); /* a number in use */
    assert_int_equal(next(c, NULL)->m.dial_failed.request, 7);
    clan_host_ToHost *cancel = to(clan_host_ToHost_cancel_dial_tag);
    cancel->m.cancel_dial.request = 7;
    send_to(c, cancel);
    wait_log(c, "cancel 7");
    for (uint32_t i = 0; i < 64; i++)
        dial(c, 100 + i, "never");
    dial(c, 999, "never");
    m = next(c, NULL);
    assert_int_equal(m->m.dial_failed.request, 999);
    assert_int_equal(m->m.dial_failed.error.status, CLAN_E_LIMIT);
    hello(c, 77); /* a new core: what the old one asked for is dropped */
    wait_log(c, "cancel 163");
    finish(c);
}

static void test_endpoints(void **state)
{
    (void)state;
    struct child *c = started(NULL);
    clan_host_ToHost *ask = to(clan_host_ToHost_ask_endpoints_tag);
    ask->m.ask_endpoints.local_addresses_count = 2;
    send_to(c, ask);
    clan_host_FromHost *m = next(c, NULL);
    assert_int_equal(m->which_m, clan_host_FromHost_endpoints_tag);
    assert_int_equal(m->m.endpoints.endpoint_count, 16); /* of 40 told */
    assert_string_equal(m->m.endpoints.endpoint[0], "2 addresses");
    assert_string_equal(m->m.endpoints.endpoint[1], "e1");
    finish(c);
}

/* The plugin tests the host's table in its process and logs "selftest ok", or what went wrong. */
static void test_host_table(void **state)
{
    (void)state;
    struct child *c = started("selftest");
    wait_log(c, "selftest ");
    wait_log(c, "selftest ok");
    finish(c);
}

static void test_log_is_limited(void **state)
{
    (void)state;
    struct child *c = started("flood");
    wait_log(c, "flood over");
    unsigned lines = 0;
    for (const char *p = c->log_text; (p = strstr(p, "noise")); p++)
        lines++;
    assert_in_range(lines, 50, 130); /* of 5,000 */
    wait_log(c, "lines were dropped");
    finish(c);
}

static unsigned pss_kb(pid_t pid)
{
    char path[64], line[256];
    unsigned kb = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Pss: %u kB", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static void test_size(void **state)
{
    (void)state;
    struct child *c = started(NULL);
    unsigned kb = pss_kb(c->pid);
    print_message("clan-host: %u kB PSS\n", kb);
#ifndef CLAN_SANITIZE
    assert_in_range(kb, 1, 1500); /* a guard; the budget of 0.7 MB is judged by the benchmark */
#endif
    finish(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_ends_with_its_channel),
        cmocka_unit_test(test_refused_settings),
        cmocka_unit_test(test_bad_plugins),
        cmocka_unit_test(test_streams_and_dials),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_host_table),
        cmocka_unit_test(test_log_is_limited),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
