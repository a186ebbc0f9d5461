/* The transport websocket against the SDK's mock host: its parsers, itself at both ends, and hostile callers. */
#include "frame.h"
#include "handshake.h"

#include <arpa/inet.h>
#include <clan/mock.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the above first */
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEY    "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" /* RFC 6455, section 1.3 */

/* ---- the parsers ---- */

static void test_digest(void **state)
{
    (void)state;
    static const uint8_t abc[20] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81, 0x6a, 0xba, 0x3e,
        0x25, 0x71, 0x78, 0x50, 0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d}; /* RFC 3174 */
    static const uint8_t two[20] = {0x84, 0x98, 0x3e, 0x44, 0x1c, 0x3b, 0xd2, 0x6e, 0xba, 0xae,
        0x4a, 0xa1, 0xf9, 0x51, 0x29, 0xe5, 0xe5, 0x46, 0x70, 0xf1};
    uint8_t hash[20];
    char text[64];
    ws_sha1("abc", 3, hash);
    assert_memory_equal(hash, abc, 20);
    ws_sha1("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hash);
    assert_memory_equal(hash, two, 20);
    ws_base64((const uint8_t *)"fo", 2, text);
    assert_string_equal(text, "Zm8=");
    ws_base64((const uint8_t *)"foobar", 6, text);
    assert_string_equal(text, "Zm9vYmFy");
    ws_accept_of(KEY, text);
    assert_string_equal(text, ACCEPT);
}

__attribute__((format(printf, 1, 2))) static unsigned judge(const char *format, ...)
{
    char text[1024], accept[WS_ACCEPT_SIZE + 1];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return ws_judge_request((const uint8_t *)text, (size_t)n, "/clan", accept);
}

#define REQUEST                                                                                    \
    "GET /clan HTTP/1.1\r\nHost: 192.0.2.1:7180\r\nupgrade: WebSocket\r\n"                         \
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: " KEY                                   \
    "\r\nSec-WebSocket-Protocol: other, clan-stream\r\nSec-WebSocket-Version: 13\r\n%s\r\n"

static void test_requests(void **state)
{
    (void)state;
    assert_int_equal(judge(REQUEST, ""), 101);
    assert_int_equal(judge(REQUEST, "Origin: http://evil.example\r\n"), 403);
    assert_int_equal(judge(REQUEST, "Host: another\r\n"), 400);
    assert_int_equal(judge(REQUEST, "Sec-WebSocket-Key: " KEY "\r\n"), 400);
    assert_int_equal(judge(REQUEST, "no colon\r\n"), 400);
    assert_int_equal(judge("GET /clans HTTP/1.1\r\nHost: x\r\n%s\r\n", ""), 404);
    assert_int_equal(judge("GET /clan HTTP/1.1\r\nHost: x\r\n%s\r\n", ""), 426);
    assert_int_equal(judge("POST /clan HTTP/1.1\r\nHost: x\r\n%s\r\n", ""), 400);
    assert_int_equal(judge("GET /clan HTTP/1.0\r\nHost: x\r\n%s\r\n", ""), 400);
    assert_int_equal(judge("\r\n%s", ""), 400);
}

static const char *answer(const char *accept, const char *more)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
        "HTTP/1.1 101 Fine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n%s\r\n",
        accept, more);
    return ws_judge_answer((const uint8_t *)text, (size_t)n, KEY);
}

static void test_answers(void **state)
{
    (void)state;
    assert_null(answer(ACCEPT, "Sec-WebSocket-Protocol: clan-stream\r\n"));
    assert_non_null(answer(ACCEPT, ""));
    assert_non_null(
        answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOp=", "Sec-WebSocket-Protocol: clan-stream\r\n"));
    assert_non_null(
        answer(ACCEPT, "Sec-WebSocket-Protocol: clan-stream\r\nSec-WebSocket-Extensions: x\r\n"));
}

static void test_frames(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool from_client;
        enum ws_event want; /* the first that is not NONE, else NONE */
    } rows[] = {
        {"\x82\x01x", 3, false, WS_EV_DATA},
        {"\x82\x01x", 3, true, WS_EV_BAD}, /* a client masks */
        {"\x82\x81\0\0\0\0x", 7, true, WS_EV_DATA},
        {"\x82\x81\0\0\0\0x", 7, false, WS_EV_BAD},   /* a server does not */
        {"\x81\x01x", 3, false, WS_EV_BAD},           /* text */
        {"\x80\x01x", 3, false, WS_EV_BAD},           /* goes on with nothing */
        {"\xc2\x01x", 3, false, WS_EV_BAD},           /* a reserved bit */
        {"\x83\x01x", 3, false, WS_EV_BAD},           /* a reserved opcode */
        {"\x82\x7e\0\x05hello", 9, false, WS_EV_BAD}, /* not the shortest form */
        {"\x82\x7f\x80\0\0\0\0\0\0\0", 10, false, WS_EV_BAD},
        {"\x09\x00", 2, false, WS_EV_BAD}, /* a control frame in parts */
        {"\x89\x00", 2, false, WS_EV_CONTROL},
        {"\x89\x7e\0\x80", 4, false, WS_EV_BAD}, /* too long for one */
        {"\x88\x01x", 3, false, WS_EV_BAD},      /* half a status code */
        {"\x82\x00", 2, false, WS_EV_NONE},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ws_frames f = {.from_client = rows[i].from_client};
        uint8_t copy[16], *data;
        size_t used, size;
        uint16_t code;
        memcpy(copy, rows[i].bytes, rows[i].size);
        enum ws_event ev = ws_step(&f, copy, rows[i].size, &used, &data, &size, &code);
        if (ev != rows[i].want)
            fail_msg("row %u: event %d", i, ev);
        if (ev == WS_EV_BAD) /* for good, whatever comes */
            for (unsigned k = 0; k < 300; k++)
                assert_int_equal(ws_step(&f, copy, 1, &used, &data, &size, &code), WS_EV_BAD);
    }
}

/* ---- the plugin ---- */

static int listener(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 64), 0);
    getsockname(fd, (struct sockaddr *)&a, &len);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

struct both {
    struct mock *m;
    const struct clan_transport_stream *t;
    int32_t fd;
    uint16_t port;
    char endpoint[64];
};

static struct both open_both(const struct clan_setting *setting)
{
    struct both b;
    struct clan_error e = CLAN_ERROR_INIT;
    b.fd = listener(&b.port);
    struct clan_config c = {.struct_size = sizeof c,
        .setting_count = setting != NULL,
        .setting_size = sizeof *setting,
        .settings = setting,
        .listen_count = 1,
        .listen_fds = &b.fd,
        .instance = "websocket",
        .clan = "",
        .machine = "",
        .state_dir = "",
        .volume_dir = ""};
    snprintf(b.endpoint, sizeof b.endpoint, "127.0.0.1:%u", b.port);
    b.m = mock_open(PLUGIN, &c, &e);
    if (!b.m)
        fail_msg("%s: %s", e.what, e.why);
    b.t = mock_interface(b.m, CLAN_TRANSPORT_STREAM);
    assert_int_equal(b.t->start(b.m->instance, &e), CLAN_OK);
    return b;
}

static void close_both(struct both *b)
{
    b->t->stop(b->m->instance);
    mock_close(b->m);
    close(b->fd);
}

static void pair_up(struct both *b, int *ret_dialled, int *ret_accepted)
{
    struct mock_event x, y;
    struct clan_error e = CLAN_ERROR_INIT;
    assert_int_equal(b->t->dial(b->m->instance, 7, b->endpoint, 3000, &e), CLAN_OK);
    assert_true(mock_wait(b->m, 3000, MOCK_STREAM, &x));
    assert_true(mock_wait(b->m, 3000, MOCK_STREAM, &y));
    assert_int_equal(x.request + y.request, 7);
    *ret_dialled = x.request ? x.fd : y.fd;
    *ret_accepted = x.request ? y.fd : x.fd;
    assert_string_equal(x.request ? x.text : y.text, b->endpoint);
}

struct flow {
    int from, to;
    size_t size, sent, got;
    bool stalled; /* the reader does not read */
};

static uint8_t at(size_t i)
{
    return (uint8_t)(i * 31 ^ i >> 8);
}

static void push(struct flow *f)
{
    uint8_t bytes[5000];
    size_t n = f->size - f->sent < sizeof bytes ? f->size - f->sent : sizeof bytes;
    for (size_t i = 0; i < n; i++)
        bytes[i] = at(f->sent + i);
    ssize_t done = n ? send(f->from, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    f->sent += done > 0 ? (size_t)done : 0;
}

static void pull(struct flow *f)
{
    uint8_t bytes[5000];
    ssize_t n = recv(f->to, bytes, sizeof bytes, MSG_DONTWAIT);
    for (ssize_t i = 0; i < n; i++, f->got++)
        if (bytes[i] != at(f->got))
            fail_msg("byte %zu is another one", f->got);
}

static bool flows_done(struct mock *m, void *arg)
{
    struct flow *f = arg;
    bool done = true;
    (void)m;
    for (unsigned i = 0; i < 2; i++) {
        push(&f[i]);
        if (!f[i].stalled)
            pull(&f[i]);
        done = done && f[i].got == f[i].size;
    }
    return done;
}

static void test_carries_both_ways(void **state)
{
    (void)state;
    struct both b = open_both(NULL);
    int d, a;
    pair_up(&b, &d, &a);
    struct flow f[2] = {
        {.from = d, .to = a, .size = 3000000}, {.from = a, .to = d, .size = 2000000}};
    assert_true(mock_run(b.m, 20000, flows_done, f));
    close(d);
    uint8_t byte;
    struct pollfd p = {.fd = a, .events = POLLIN};
    for (unsigned i = 0; i < 200 && poll(&p, 1, 0) == 0; i++)
        mock_run(b.m, 10, flows_done,
            &(struct flow[2]){{.from = -1, .size = 1}, {.size = 1, .from = -1}});
    assert_int_equal(recv(a, &byte, 1, MSG_DONTWAIT), 0); /* an end, not an error */
    close(a);
    close_both(&b);
}

static bool stuck(struct mock *m, void *arg)
{
    struct flow *f = arg;
    size_t before = f[0].sent;
    (void)m;
    for (unsigned i = 0; i < 50; i++)
        push(&f[0]);
    f[1].got = f[0].sent == before ? f[1].got + 1 : 0; /* turns without progress */
    return f[1].got > 200;
}

/* A reader that does not read stops the writer: what the plugin holds is bounded. */
static void test_back_pressure(void **state)
{
    (void)state;
    struct both b = open_both(NULL);
    int d, a;
    pair_up(&b, &d, &a);
    struct flow f[2] = {{.from = d, .to = a, .size = 1 << 30, .stalled = true}};
    assert_true(mock_run(b.m, 20000, stuck, f));
    assert_true(f[0].sent < 32 << 20); /* the kernel's buffers, and two of the plugin's */
    f[0].size = f[0].sent;
    f[0].stalled = false;
    f[1] = (struct flow){.from = -1, .to = -1};
    assert_true(mock_run(b.m, 20000, flows_done, f));
    close(a);
    close(d);
    close_both(&b);
}

static int caller(const struct both *b)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_port = htons(b->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

struct talk {
    int fd;
    uint8_t got[8192];
    size_t size;
    bool ended;
    const char *until; /* NULL: the end */
    size_t until_size;
};

static bool heard(struct mock *m, void *arg)
{
    struct talk *t = arg;
    (void)m;
    ssize_t n = recv(t->fd, t->got + t->size, sizeof t->got - t->size, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        t->ended = true;
    if (n > 0)
        t->size += (size_t)n;
    return t->ended || (t->until && memmem(t->got, t->size, t->until, t->until_size));
}

static void hear(struct both *b, struct talk *t, const char *until, size_t size)
{
    t->until = until;
    t->until_size = size;
    assert_true(mock_run(b->m, 8000, heard, t));
    if (until && !memmem(t->got, t->size, until, size))
        fail_msg("it ended without that: %.*s", (int)t->size, (const char *)t->got);
}

static void say(int fd, const char *bytes, size_t size)
{
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
}

static struct talk greeted(struct both *b, int *ret_stream)
{
    struct talk t = {.fd = caller(b)};
    char text[1024];
    struct mock_event ev;
    int n = snprintf(text, sizeof text, REQUEST, "");
    say(t.fd, text, 10); /* in two parts */
    mock_run(b->m, 20, heard, &(struct talk){.fd = t.fd, .until = "x", .until_size = 1});
    say(t.fd, text + 10, (size_t)n - 10);
    hear(b, &t, ACCEPT, strlen(ACCEPT));
    hear(b, &t, "\r\n\r\n", 4);
    assert_true(mock_wait(b->m, 2000, MOCK_STREAM, &ev));
    *ret_stream = ev.fd;
    t.size = 0;
    return t;
}

static void test_ping_and_close(void **state)
{
    (void)state;
    struct both b = open_both(NULL);
    int stream;
    char got[8] = "";
    struct talk t = greeted(&b, &stream);
    say(t.fd, "\x89\x82\1\2\3\4\x69\x6b", 8); /* ping "hi" */
    hear(&b, &t, "\x8a\x02hi", 4);
    say(t.fd, "\x02\x81\0\0\0\0a\x80\x82\0\0\0\0bc", 15); /* in two frames */
    for (unsigned i = 0; i < 100 && recv(stream, got, 8, MSG_DONTWAIT | MSG_PEEK) < 3; i++)
        mock_run(b.m, 10, heard, &(struct talk){.fd = t.fd, .until = "x", .until_size = 1});
    assert_int_equal(recv(stream, got, 8, MSG_DONTWAIT), 3);
    assert_memory_equal(got, "abc", 3);
    say(t.fd, "\x88\x82\0\0\0\0\x03\xe8", 8); /* close, 1000 */
    hear(&b, &t, "\x88\x02\x03\xe8", 4);
    hear(&b, &t, NULL, 0);
    assert_int_equal(recv(stream, got, 1, MSG_DONTWAIT), 0);
    close(stream);
    close(t.fd);
    close_both(&b);
}

static void test_hostile_callers(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *want; /* in the answer before the end */
        size_t want_size;
    } rows[] = {
        {"\x82\x01x", 3, "\x88\x02\x03\xea", 4},         /* not masked: 1002 */
        {"\x81\x81\0\0\0\0x", 7, "\x88\x02\x03\xeb", 4}, /* text: 1003 */
        {"\xff\xff\xff\xff\xff\xff", 6, "\x88\x02\x03\xea", 4},
    };
    struct both b = open_both(NULL);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int stream;
        struct talk t = greeted(&b, &stream);
        say(t.fd, rows[i].bytes, rows[i].size);
        hear(&b, &t, rows[i].want, rows[i].want_size);
        hear(&b, &t, NULL, 0);
        close(stream);
        close(t.fd);
    }
    static char big[WS_HTTP_MAX + 1];
    memset(big, 'a', sizeof big);
    struct talk t = {.fd = caller(&b)};
    say(t.fd, big, sizeof big - 1);
    hear(&b, &t, "HTTP/1.1 400", 12);
    hear(&b, &t, NULL, 0);
    close(t.fd);
    t = (struct talk){.fd = caller(&b)};
    hear(&b, &t, NULL, 0); /* says nothing: the greeting has its time */
    close(t.fd);
    assert_int_equal(mock_watches(b.m), 1); /* the listener */
    close_both(&b);
}

static void test_dials_that_fail(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "host:80", "1.2.3.4", "1.2.3.4:0", "1.2.3.4:99999",
        "1.2.3.4:80x", "1.2.3.4:80/a b", "1.2.3.4:80/\r\nX: y", "[::1]80", "1.2.3.4/:80"};
    struct both b = open_both(NULL);
    struct mock_event ev;
    struct clan_error e = CLAN_ERROR_INIT;
    char text[80];
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (b.t->dial(b.m->instance, 1, bad[i], 1000, &e) != CLAN_E_INVAL)
            fail_msg("\"%s\" was taken for an endpoint", bad[i]);
    snprintf(text, sizeof text, "%s/other", b.endpoint);
    assert_int_equal(b.t->dial(b.m->instance, 2, text, 3000, &e), CLAN_OK);
    assert_true(mock_wait(b.m, 3000, MOCK_DIAL_FAILED, &ev));
    assert_int_equal(ev.request, 2);
    assert_non_null(strstr(ev.error.why, "nothing at this path"));
    uint16_t port;
    int silent = listener(&port); /* connects, never answers */
    snprintf(text, sizeof text, "127.0.0.1:%u", port);
    assert_int_equal(b.t->dial(b.m->instance, 3, text, 300, &e), CLAN_OK);
    assert_int_equal(b.t->dial(b.m->instance, 4, text, 60000, &e), CLAN_OK);
    assert_true(mock_wait(b.m, 3000, MOCK_DIAL_FAILED, &ev));
    assert_int_equal(ev.request, 3);
    assert_int_equal(ev.error.status, CLAN_E_TIMEOUT);
    b.t->cancel(b.m->instance, 4);
    close(silent);
    assert_int_equal(b.t->dial(b.m->instance, 5, text, 3000, &e), CLAN_OK);
    assert_true(mock_wait(b.m, 3000, MOCK_DIAL_FAILED, &ev));
    assert_int_equal(ev.error.status, CLAN_E_UNREACHABLE);
    assert_int_equal(mock_watches(b.m), 1);
    close_both(&b);
}

static char added[4][128];
static unsigned added_count;

static void add(void *user, const char *endpoint)
{
    (void)user;
    snprintf(added[added_count++], sizeof added[0], "%s", endpoint);
}

static void test_settings_and_endpoints(void **state)
{
    (void)state;
    static const struct clan_setting wrong[] = {
        {"colour", "blue"}, {"path", "no/slash"}, {"path", "/a\r\nb"}, {"host", "a b"}};
    struct clan_error e = CLAN_ERROR_INIT;
    for (unsigned i = 0; i < 4; i++) {
        struct clan_config c = {.struct_size = sizeof c,
            .setting_count = 1,
            .setting_size = sizeof wrong[0],
            .settings = &wrong[i]};
        assert_null(mock_open(PLUGIN, &c, &e));
        assert_int_equal(e.status, CLAN_E_INVAL);
        assert_non_null(strstr(e.what, wrong[i].key));
    }
    struct both b = open_both(&(struct clan_setting){"path", "/calls"});
    uint8_t local[2][16] = {{0}};
    assert_int_equal(inet_pton(AF_INET6, "::ffff:127.0.0.1", local[0]), 1);
    b.t->endpoints(b.m->instance, &local[0][0], 2, add, NULL);
    assert_int_equal(added_count, 0); /* of no use to others */
    int d, a;
    strcat(b.endpoint, "/calls");
    pair_up(&b, &d, &a);
    close(a);
    close(d);
    close_both(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_carries_both_ways),
        cmocka_unit_test(test_back_pressure),
        cmocka_unit_test(test_ping_and_close),
        cmocka_unit_test(test_hostile_callers),
        cmocka_unit_test(test_dials_that_fail),
        cmocka_unit_test(test_settings_and_endpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
