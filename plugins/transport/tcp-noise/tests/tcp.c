/* tcp-noise against a mock host: accepting, dialling, endpoints, settings, limits. */
#include "mock/mock.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the above first */
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener(int family, uint16_t *ret_port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *a = family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four;
    socklen_t len = family == AF_INET6 ? sizeof six : sizeof four;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, a, len) != 0 || listen(fd, 64) != 0) {
        close(fd);
        return -1;
    }
    getsockname(fd, a, &len);
    *ret_port = ntohs(family == AF_INET6 ? six.sin6_port : four.sin_port);
    return fd;
}

static int connect_to(int family, uint16_t port)
{
    struct sockaddr_in6 six = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(port)};
    struct sockaddr_in four = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = family == AF_INET6 ? connect(fd, (struct sockaddr *)&six, sizeof six)
                               : connect(fd, (struct sockaddr *)&four, sizeof four);
    if (r == 0)
        return fd;
    close(fd);
    return -1;
}

static struct mock *open_with(
    const int32_t *fds, uint32_t count, const struct clan_transport_stream **ret_t)
{
    struct clan_config c = {.struct_size = sizeof c,
        .setting_size = sizeof(struct clan_setting),
        .listen_count = count,
        .listen_fds = fds};
    struct clan_error e;
    struct mock *m = mock_open(TCP_PLUGIN, &c, &e);
    if (!m)
        fail_msg("%s: %s", e.what, e.why);
    *ret_t = mock_interface(m, CLAN_TRANSPORT_STREAM);
    assert_non_null(*ret_t);
    assert_int_equal((*ret_t)->start(m->instance, &e), CLAN_OK);
    return m;
}

static void bytes_pass(int a, int b)
{
    char got[5] = "";
    assert_int_equal(send(a, "hello", 5, 0), 5);
    struct timeval tv = {2, 0};
    setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
    for (int i = 0; i < 1000 && recv(b, got, 5, 0) != 5; i++)
        usleep(1000);
    assert_memory_equal(got, "hello", 5);
}

static void test_accepts_and_dials(void **state)
{
    (void)state;
    const int families[] = {AF_INET, AF_INET6};
    for (unsigned f = 0; f < 2; f++) {
        const struct clan_transport_stream *t;
        struct clan_error e = CLAN_ERROR_INIT;
        struct mock_event in, out;
        uint16_t port;
        char endpoint[64];
        int32_t fd = listener(families[f], &port);
        if (fd < 0)
            continue; /* a machine without IPv6 */
        struct mock *m = open_with(&fd, 1, &t);
        snprintf(endpoint, sizeof endpoint, f ? "[::1]:%u" : "127.0.0.1:%u", port);
        assert_int_equal(t->dial(m->instance, 7, endpoint, 2000, &e), CLAN_OK);
        assert_true(mock_wait(m, 3000, MOCK_STREAM, &out));
        assert_true(mock_wait(m, 3000, MOCK_STREAM, &in));
        if (out.request != 7) {
            struct mock_event swap = in;
            in = out;
            out = swap;
        }
        assert_int_equal(out.request, 7);
        assert_string_equal(out.text, endpoint);
        assert_int_equal(in.request, 0);
        assert_memory_equal(in.text, endpoint, f ? 6 : 10); /* another port */
        bytes_pass(out.fd, in.fd);
        close(out.fd);
        close(in.fd);
        assert_int_equal(mock_watches(m), 1); /* the listener */
        assert_int_equal(mock_timers(m), 0);
        t->stop(m->instance);
        assert_int_equal(mock_watches(m), 0);
        mock_close(m);
        close(fd);
    }
}

static void test_dial_fails_once(void **state)
{
    (void)state;
    const struct clan_transport_stream *t;
    struct clan_error e = CLAN_ERROR_INIT;
    struct mock_event ev;
    uint16_t port;
    char endpoint[64];
    int fd = listener(AF_INET, &port);
    close(fd); /* nobody is there */
    struct mock *m = open_with(NULL, 0, &t);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", port);
    assert_int_equal(t->dial(m->instance, 9, endpoint, 2000, &e), CLAN_OK);
    assert_true(mock_wait(m, 3000, MOCK_DIAL_FAILED, &ev));
    assert_int_equal(ev.request, 9);
    assert_int_equal(ev.error.status, CLAN_E_UNREACHABLE);
    assert_string_not_equal(ev.error.why, "");
    assert_false(mock_wait(m, 100, MOCK_DIAL_FAILED, &ev));
    assert_int_equal(mock_watches(m) + mock_timers(m), 0);
    mock_close(m);
}

/* A listener whose queue is full lets a dial hang: it ends by time or by cancel. */
static void test_dial_timeout_and_cancel(void **state)
{
    (void)state;
    const struct clan_transport_stream *t;
    struct clan_error e = CLAN_ERROR_INIT;
    struct mock_event ev;
    uint16_t port;
    char endpoint[64];
    int fd = listener(AF_INET, &port), fill[8];
    listen(fd, 0);
    for (unsigned i = 0; i < 8; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET,
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
            .sin_port = htons(port)};
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(fill[i], (struct sockaddr *)&a, sizeof a);
    }
    struct mock *m = open_with(NULL, 0, &t);
    snprintf(endpoint, sizeof endpoint, "127.0.0.1:%u", port);
    assert_int_equal(t->dial(m->instance, 1, endpoint, 150, &e), CLAN_OK);
    assert_int_equal(t->dial(m->instance, 2, endpoint, 60000, &e), CLAN_OK);
    assert_int_equal(mock_watches(m), 2);
    assert_true(mock_wait(m, 3000, MOCK_DIAL_FAILED, &ev));
    assert_int_equal(ev.request, 1);
    assert_int_equal(ev.error.status, CLAN_E_TIMEOUT);
    t->cancel(m->instance, 2);
    assert_int_equal(mock_watches(m) + mock_timers(m), 0);
    for (uint32_t i = 0; i < 64; i++)
        assert_int_equal(t->dial(m->instance, 100 + i, endpoint, 60000, &e), CLAN_OK);
    assert_int_equal(t->dial(m->instance, 999, endpoint, 60000, &e), CLAN_E_LIMIT);
    t->stop(m->instance);
    assert_int_equal(mock_watches(m) + mock_timers(m), 0);
    for (unsigned i = 0; i < 8; i++)
        close(fill[i]);
    close(fd);
    mock_close(m);
}

static void test_bad_endpoints(void **state)
{
    (void)state;
    static const char *const bad[] = {"", ":1", "host:80", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0",
        "1.2.3.4:65536", "1.2.3.4:080", "1.2.3.4:1x", "::1:80", "[::1]80", "[::1",
        "[::1]:", "[fe80::1%eth0]:80", "[1.2.3.4]:80", "1.2.3:80", "[::1]:80 ",
        "[11111111111111111111111111111111111111111111111111]:80"};
    const struct clan_transport_stream *t;
    struct mock *m = open_with(NULL, 0, &t);
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct clan_error e = CLAN_ERROR_INIT;
        if (t->dial(m->instance, 1, bad[i], 1000, &e) != CLAN_E_INVAL)
            fail_msg("\"%s\" was taken for an endpoint", bad[i]);
        assert_string_not_equal(e.remedy, "");
    }
    mock_close(m);
}

static bool not_listening(struct mock *m, void *arg)
{
    (void)arg;
    return mock_watches(m) == 0;
}

static bool listening(struct mock *m, void *arg)
{
    (void)arg;
    return mock_watches(m) == 1;
}

/* Refused streams and missing descriptors pause the listener instead of spinning. */
static void test_pauses(void **state)
{
    (void)state;
    const struct clan_transport_stream *t;
    struct mock_event ev;
    uint16_t port;
    int32_t fd = listener(AF_INET, &port);
    struct mock *m = open_with(&fd, 1, &t);
    m->refuse_streams = true;
    int a = connect_to(AF_INET, port);
    assert_true(mock_run(m, 2000, not_listening, NULL));
    m->refuse_streams = false;
    int b = connect_to(AF_INET, port);
    assert_true(mock_wait(m, 2000, MOCK_STREAM, &ev));
    close(ev.fd);

    struct rlimit old, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    int c = connect_to(AF_INET, port), probe = dup(0);
    none = (struct rlimit){(rlim_t)probe, old.rlim_max};
    close(probe);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool paused = mock_run(m, 2000, not_listening, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_true(paused);
    assert_true(mock_run(m, 3000, listening, NULL));
    assert_true(mock_wait(m, 3000, MOCK_STREAM, &ev));
    close(ev.fd);
    close(a);
    close(b);
    close(c);
    t->stop(m->instance);
    mock_close(m);
    close(fd);
}

static char added[16][128];
static unsigned added_count;

static void add(void *user, const char *endpoint)
{
    (void)user;
    snprintf(added[added_count++], sizeof added[0], "%s", endpoint);
}

static void test_endpoints(void **state)
{
    (void)state;
    static const char *const local[] = {"::ffff:192.168.1.5", "::ffff:203.0.113.9", "2001:db8::5",
        "fd12::1", "fe80::1", "::ffff:127.0.0.1", "::ffff:169.254.3.3", "::1"};
    uint8_t bytes[8][16];
    const struct clan_transport_stream *t;
    struct sockaddr_in6 any = {.sin6_family = AF_INET6};
    socklen_t len = sizeof any;
    int off = 0;
    int32_t fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        skip();
    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, sizeof any), 0);
    listen(fd, 8);
    getsockname(fd, (struct sockaddr *)&any, &len);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(inet_pton(AF_INET6, local[i], bytes[i]), 1);
    struct mock *m = open_with(&fd, 1, &t);
    added_count = 0;
    t->endpoints(m->instance, &bytes[0][0], 8, add, NULL);
    assert_int_equal(added_count, 4);
    static const char *const want[] = {"[2001:db8::5]", "203.0.113.9", "192.168.1.5", "[fd12::1]"};
    for (unsigned i = 0; i < 4; i++) { /* best first */
        char text[64];
        snprintf(text, sizeof text, "%s:%u", want[i], ntohs(any.sin6_port));
        assert_string_equal(added[i], text);
    }
    t->stop(m->instance);
    mock_close(m);
    close(fd);
}

static void test_settings_refused(void **state)
{
    (void)state;
    struct clan_setting s = {"colour", "blue"};
    struct clan_config c = {
        .struct_size = sizeof c, .setting_count = 1, .setting_size = sizeof s, .settings = &s};
    struct clan_error e;
    assert_null(mock_open(TCP_PLUGIN, &c, &e));
    assert_int_equal(e.status, CLAN_E_INVAL);
    assert_non_null(strstr(e.what, "colour"));
}

static void test_unknown_interface(void **state)
{
    (void)state;
    const struct clan_transport_stream *t;
    struct mock *m = open_with(NULL, 0, &t);
    assert_null(mock_interface(m, "clan.nothing/1"));
    mock_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_and_dials),
        cmocka_unit_test(test_dial_fails_once),
        cmocka_unit_test(test_dial_timeout_and_cancel),
        cmocka_unit_test(test_bad_endpoints),
        cmocka_unit_test(test_pauses),
        cmocka_unit_test(test_endpoints),
        cmocka_unit_test(test_settings_refused),
        cmocka_unit_test(test_unknown_interface),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
