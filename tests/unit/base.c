/* core/base: reading and writing bytes, texts, durable files, the loop. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* -- buf -- */

static void buf_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[64];
    char text[8];
    struct buf_writer w = buf_writer_of(bytes, sizeof bytes);
    buf_put_u8(&w, 0xab);
    buf_put_u16(&w, 0x0102);
    buf_put_u32(&w, 0x03040506);
    buf_put_u64(&w, 0x0708090a0b0c0d0e);
    buf_put_str(&w, "nas");
    assert_false(w.failed);
    assert_int_equal(w.len, 1 + 2 + 4 + 8 + 2 + 3);
    assert_memory_equal(bytes, "\xab\x01\x02\x03\x04", 5); /* big-endian */
    struct buf_reader r = buf_reader_of(bytes, w.len);
    assert_int_equal(buf_get_u8(&r), 0xab);
    assert_int_equal(buf_get_u16(&r), 0x0102);
    assert_int_equal(buf_get_u32(&r), 0x03040506);
    assert_true(buf_get_u64(&r) == 0x0708090a0b0c0d0e);
    assert_false(buf_done(&r));
    buf_get_str(&r, text, sizeof text);
    assert_string_equal(text, "nas");
    assert_true(buf_done(&r));
}

static void buf_reader_failure_sticks(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3, 4, 5};
    struct buf_reader r = buf_reader_of(bytes, sizeof bytes);
    uint8_t six[6] = {9, 9, 9, 9, 9, 9};
    buf_get(&r, six, sizeof six);
    assert_true(r.failed);
    assert_memory_equal(six, "\0\0\0\0\0\0", 6);
    assert_int_equal(buf_get_u8(&r), 0); /* there would be bytes */
    assert_null(buf_view(&r, 0));
    assert_false(buf_done(&r));
}

static void buf_strings(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool good;
    } cases[] = {
        {"\0\3abc", 5, true}, /* cap - 1 */
        {"\0\4abcd", 6, false},
        {"\0\3ab", 4, false},
        {"\0\3a\0c", 5, false},
        {"\0\0", 2, true},
        {"\0", 1, false},
        {"\xff\xff"
         "abc",
            5, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[4] = "xxx";
        struct buf_reader r = buf_reader_of(cases[i].bytes, cases[i].size);
        buf_get_str(&r, text, sizeof text);
        assert_int_equal(buf_done(&r), cases[i].good);
        assert_int_equal(strlen(text), cases[i].good ? cases[i].size - 2 : 0);
    }
}

static void buf_writer_at_cap(void **state)
{
    (void)state;
    uint8_t bytes[5] = {0, 0, 0, 0, 0x77};
    struct buf_writer w = buf_writer_of(bytes, 4);
    buf_put_u32(&w, 1);
    assert_false(w.failed);
    buf_put(&w, NULL, 0);
    assert_false(w.failed);
    buf_put_u8(&w, 2);
    assert_true(w.failed);
    assert_int_equal(w.len, 4);
    assert_int_equal(bytes[4], 0x77);
    struct buf_writer s = buf_writer_of(bytes, 4);
    char *long_text = malloc(70000);
    assert_non_null(long_text);
    memset(long_text, 'a', 65536);
    long_text[65536] = 0;
    buf_put_str(&s, long_text);
    assert_true(s.failed);
    free(long_text);
    buf_put_u8(&s, 1);
    assert_int_equal(s.len, 0);
}

/* -- text -- */

static void text_base32_vectors(void **state)
{
    (void)state;
    /* RFC 4648, without padding */
    static const struct {
        const char *plain, *text;
    } cases[] = {{"", ""}, {"f", "my"}, {"fo", "mzxq"}, {"foo", "mzxw6"}, {"foob", "mzxw6yq"},
        {"fooba", "mzxw6ytb"}, {"foobar", "mzxw6ytboi"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16], back[8] = "";
        size_t size = strlen(cases[i].plain);
        text_base32(cases[i].plain, size, text);
        assert_string_equal(text, cases[i].text);
        assert_true(text_base32_decode(text, strlen(text), back, size));
        assert_memory_equal(back, cases[i].plain, size);
    }
    char out[8];
    assert_true(text_base32_decode("MZXW6", 5, out, 3));
    assert_false(text_base32_decode("mzxw6", 5, out, 2)); /* another size */
    assert_false(text_base32_decode("mz", 2, out, 1));    /* unused bits are not zero */
    assert_false(text_base32_decode("m1", 2, out, 1));    /* 0, 1, 8, 9 are no digits */
    assert_false(text_base32_decode("m=", 2, out, 1));
}

static void text_hex_and_names(void **state)
{
    (void)state;
    char hex[9];
    uint8_t back[4];
    text_hex("\x00\xff\x1a\x09", 4, hex);
    assert_string_equal(hex, "00ff1a09");
    assert_true(text_hex_decode("00FF1a09", 8, back, 4));
    assert_memory_equal(back, "\x00\xff\x1a\x09", 4);
    assert_false(text_hex_decode("00ff1a0", 7, back, 4));
    assert_false(text_hex_decode("00ff1a0g", 8, back, 4));
    static const char *const good[] = {"a", "nas", "n-1", "0", "abcdefghijklmnopqrstuvwxyz012345"};
    static const char *const bad[] = {"", "-a", "a-", "Nas", "a_b", "a.b", "na\xc3\xa4s", "a b",
        "abcdefghijklmnopqrstuvwxyz0123456"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(text_name_ok(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(text_name_ok(bad[i]));
}

static void text_sanitize_cases(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain text", "plain text"},
        {"a\x1b[2Jb\n", "a?[2Jb?"},
        {"del\x7f", "del?"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xe2\x82\xac \xf0\x9f\x98\x80", "\xe2\x82\xac \xf0\x9f\x98\x80"},
        {"csi \xc2\x9b", "csi ??"},   /* a control character in two bytes */
        {"\xc0\xaf", "??"},           /* overlong */
        {"\xed\xa0\x80", "???"},      /* a surrogate */
        {"\xf4\x90\x80\x80", "????"}, /* beyond the last character */
        {"cut \xe2\x82", "cut ??"},   /* ends inside a sequence */
        {"\xff\xfe", "??"},
        /* U+202E: what follows is shown from right to left; U+2066, U+200F, U+061C */
        {"txt\xe2\x80\xae"
         "exe",
            "txt???exe"},
        {"\xe2\x81\xa6 \xe2\x81\xa9 \xe2\x80\x8f \xd8\x9c", "??? ??? ??? ??"},
        {"a \xe2\x80\xa8"
         "b\xe2\x80\xa9",
            "a ???b???"}, /* line and paragraph separator */
        {"\xe2\x80\x93 \xe2\x80\x9c \xd8\xa7", "\xe2\x80\x93 \xe2\x80\x9c \xd8\xa7"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[32];
        strcpy(text, cases[i].in);
        text_sanitize(text);
        assert_string_equal(text, cases[i].out);
    }
}

static void text_distances(void **state)
{
    (void)state;
    assert_int_equal(text_distance("nas", "nas", 2), 0);
    assert_int_equal(text_distance("nas", "nass", 2), 1);
    assert_int_equal(text_distance("laptop", "latpop", 3), 2);
    assert_int_equal(text_distance("", "abc", 5), 3);
    assert_true(text_distance("files", "dashboard", 2) > 2);
}

/* -- files -- */

struct dir {
    char path[32];
    int fd;
};

static int dir_make(void **state)
{
    struct dir *d = calloc(1, sizeof *d);
    assert_non_null(d);
    strcpy(d->path, "/tmp/unit-base-XXXXXX");
    assert_non_null(mkdtemp(d->path));
    d->fd = open(d->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(d->fd >= 0);
    *state = d;
    return 0;
}

static int dir_remove(void **state)
{
    struct dir *d = *state;
    static const char *const names[] = {"a", ".a.new", "link", "fifo"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlinkat(d->fd, names[i], 0);
    close(d->fd);
    int left = rmdir(d->path);
    free(d);
    return left; /* anything that a test did not mean to leave fails it */
}

static void content_is(const struct dir *d, const char *expected)
{
    uint8_t *data;
    size_t size;
    assert_int_equal(file_read(d->fd, "a", 100, &data, &size, NULL), CLAN_OK);
    assert_int_equal(size, strlen(expected));
    assert_string_equal((char *)data, expected); /* one extra NUL */
    free(data);
}

static void file_durable(void **state)
{
    struct dir *d = *state;
    struct clan_error e;
    struct stat st;
    mode_t mask = umask(077);
    assert_int_equal(file_write_durable(d->fd, "a", "one", 3, 0644, &e), CLAN_OK);
    umask(mask);
    content_is(d, "one");
    assert_int_equal(fstatat(d->fd, "a", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0644); /* whatever the umask is */
    assert_int_equal(file_write_durable(d->fd, "a", "two!", 4, 0600, &e), CLAN_OK);
    content_is(d, "two!");
    assert_int_equal(faccessat(d->fd, ".a.new", F_OK, 0), -1);
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(file_write_durable(d->fd, name, "x", 1, 0600, &e), CLAN_E_INVAL);
}

/* A disk that takes 4 KiB and no more: the old content stays whole, nothing else stays. */
static void file_durable_full_disk(void **state)
{
    struct dir *d = *state;
    assert_int_equal(file_write_durable(d->fd, "a", "old", 3, 0600, NULL), CLAN_OK);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        static uint8_t big[8192];
        struct clan_error e;
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, 4096}) != 0)
            _exit(10);
        if (file_write_durable(d->fd, "a", big, sizeof big, 0600, &e) != CLAN_E_IO)
            _exit(11);
        _exit(strstr(e.what, "a") && e.why[0] && e.remedy[0] ? 0 : 12);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    content_is(d, "old");
    assert_int_equal(faccessat(d->fd, ".a.new", F_OK, 0), -1);
}

static void file_durable_follows_no_link(void **state)
{
    struct dir *d = *state;
    assert_int_equal(symlinkat("link", d->fd, ".a.new"), 0);
    assert_int_equal(file_write_durable(d->fd, "a", "x", 1, 0600, NULL), CLAN_E_IO);
    assert_int_equal(faccessat(d->fd, "link", F_OK, 0), -1);
}

static void file_reading_is_bounded(void **state)
{
    struct dir *d = *state;
    struct clan_error e;
    uint8_t *data = NULL;
    size_t size;
    assert_int_equal(file_read(d->fd, "a", 100, &data, &size, &e), CLAN_E_NOENT);
    assert_int_equal(file_write_durable(d->fd, "a", "12345", 5, 0600, &e), CLAN_OK);
    assert_int_equal(file_read(d->fd, "a", 4, &data, &size, &e), CLAN_E_LIMIT);
    assert_int_equal(file_read(d->fd, "a", 5, &data, &size, &e), CLAN_OK);
    assert_int_equal(size, 5);
    free(data);
    /* a pipe must not block, and is no file */
    assert_int_equal(mkfifoat(d->fd, "fifo", 0600), 0);
    assert_int_equal(file_read(d->fd, "fifo", 5, &data, &size, &e), CLAN_E_INVAL);
    assert_int_equal(file_read(d->fd, ".", 5, &data, &size, &e), CLAN_E_INVAL);
}

/* -- errors, log -- */

static void error_parts(void **state)
{
    (void)state;
    struct clan_error e;
    assert_int_equal(err_set(&e, CLAN_E_LIMIT, "too many (%d)", 3), CLAN_E_LIMIT);
    assert_string_equal(e.what, "too many (3)");
    assert_string_equal(e.why, "");
    errno = ENOSPC;
    assert_int_equal(err_errno(&e, CLAN_E_IO, "cannot write"), CLAN_E_IO);
    assert_string_equal(e.why, strerror(ENOSPC));
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(err_set(NULL, CLAN_E_IO, "nobody listens"), CLAN_E_IO);
    err_why(NULL, "x");
    err_remedy(NULL, "x");
    assert_string_equal(clan_status_name(CLAN_E_EXPIRED), "EXPIRED");
    assert_string_equal(clan_status_name(-1), "UNKNOWN");
    assert_int_equal(clan_status_exit(CLAN_E_DEFECT), 70);
    assert_int_equal(clan_status_exit(99999), 1);
}

static void log_is_one_line_and_never_blocks(void **state)
{
    (void)state;
    int s[2];
    char text[LOG_RECORD_MAX + 64];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s), 0);
    log_init(s[0], LOG_LEVEL_INFO);
    log_debug("not wanted");
    log_info("a\nb \x1b[0m");
    ssize_t n = recv(s[1], text, sizeof text, 0);
    assert_int_equal(n, 9);
    assert_memory_equal(text, "2a?b ?[0m", 9);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    log_warn("%s", text);
    n = recv(s[1], text, sizeof text, 0);
    assert_true(n > LOG_RECORD_MAX - 8 && n <= LOG_RECORD_MAX);
    /* far more than the socket holds: comes back, and says so once there is room */
    for (int i = 0; i < 5000; i++)
        log_info("record %d", i);
    while (recv(s[1], text, sizeof text, MSG_DONTWAIT) > 0)
        ;
    log_info("room again");
    n = recv(s[1], text, sizeof text - 1, 0);
    assert_true(n > 0);
    text[n] = 0;
    assert_int_equal(text[0], '1');
    assert_non_null(strstr(text, "records were dropped"));
    log_init(-1, LOG_LEVEL_INFO);
    close(s[0]);
    close(s[1]);
}

/* -- loop -- */

struct seen {
    struct loop *loop;
    int fd[2];
    int calls;
    char order[8];
    uint64_t other;
};

static void timer_a(void *arg)
{
    struct seen *s = arg;
    strcat(s->order, "a");
    loop_timer_cancel(s->loop, s->other); /* due at the same moment, must not fire any more */
}

static void timer_b(void *arg)
{
    strcat(((struct seen *)arg)->order, "b");
}

static void timer_stop(void *arg)
{
    struct seen *s = arg;
    strcat(s->order, "s");
    loop_stop(s->loop, 42);
}

static void loop_timers(void **state)
{
    (void)state;
    struct seen s = {.loop = loop_new()};
    assert_non_null(s.loop);
    uint64_t now = clock_mono_ms();
    assert_true(loop_timer_at(s.loop, now, timer_a, &s) > 0);
    s.other = loop_timer_at(s.loop, now, timer_b, &s);
    loop_timer_at(s.loop, now + 20, timer_stop, &s);
    assert_int_equal(loop_run(s.loop), 42);
    assert_string_equal(s.order, "as");
    assert_true(clock_mono_ms() >= now + 20);
    loop_timer_cancel(s.loop, 0);
    uint64_t first = loop_timer_in(s.loop, 60000, timer_b, &s);
    for (int i = 1; i < LOOP_TIMERS_MAX; i++)
        assert_true(loop_timer_in(s.loop, 60000, timer_b, &s) > 0);
    assert_true(loop_timer_in(s.loop, 60000, timer_b, &s) == 0); /* cap + 1 */
    loop_timer_cancel(s.loop, first);
    assert_true(loop_timer_in(s.loop, 60000, timer_b, &s) > first);
    loop_free(s.loop);
    loop_free(NULL);
}

/* Both ends are readable in one turn; the first handler removes both. */
static void fd_once(void *arg, int fd, uint32_t events)
{
    struct seen *s = arg;
    (void)fd;
    assert_true(events & EPOLLIN);
    s->calls++;
    loop_fd_del(s->loop, s->fd[0]);
    loop_fd_del(s->loop, s->fd[1]);
    loop_timer_in(s->loop, 10, timer_stop, s);
}

static void loop_removed_descriptor_is_silent(void **state)
{
    (void)state;
    struct seen s = {.loop = loop_new()};
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, s.fd), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(send(s.fd[i], "x", 1, 0), 1);
        assert_int_equal(loop_fd_add(s.loop, s.fd[i], EPOLLIN, fd_once, &s), CLAN_OK);
    }
    assert_int_equal(loop_fd_add(s.loop, s.fd[0], EPOLLIN, fd_once, &s), CLAN_E_IO); /* twice */
    assert_int_equal(loop_run(s.loop), 42);
    assert_int_equal(s.calls, 1);
    assert_int_equal(loop_fd_mod(s.loop, s.fd[0], EPOLLIN), CLAN_E_NOENT);
    loop_fd_del(s.loop, s.fd[0]);
    loop_fd_del(s.loop, -1);
    loop_free(s.loop);
    close(s.fd[0]);
    close(s.fd[1]);
}

/* How often the loop slept until it was stopped after so many ms. */
static long sleeps(uint64_t awake_ms, uint64_t end_ms)
{
    struct rusage before, after;
    struct seen s = {.loop = loop_new()};
    if (awake_ms)
        loop_stay_awake(s.loop, awake_ms * 1000000);
    loop_timer_in(s.loop, end_ms, timer_stop, &s);
    getrusage(RUSAGE_THREAD, &before);
    assert_int_equal(loop_run(s.loop), 42);
    getrusage(RUSAGE_THREAD, &after);
    loop_free(s.loop);
    return after.ru_nvcsw - before.ru_nvcsw;
}

static void fd_stop(void *arg, int fd, uint32_t events)
{
    struct seen *s = arg;
    (void)fd;
    (void)events;
    loop_stop(s->loop, 7);
}

static void loop_stays_awake_when_told(void **state)
{
    (void)state;
    struct seen s = {.loop = loop_new()};
    uint64_t start = clock_mono_ms();
    assert_true(sleeps(0, 20) > 0);
    assert_int_equal(sleeps(60000, 20), 0); /* and its timer is not late */
    assert_true(sleeps(1, 100) > 0);        /* no longer than told */
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, s.fd), 0);
    assert_int_equal(loop_fd_add(s.loop, s.fd[0], EPOLLIN, fd_stop, &s), CLAN_OK);
    loop_stay_awake(s.loop, UINT64_C(60000000000));
    assert_int_equal(send(s.fd[1], "x", 1, 0), 1);
    assert_int_equal(loop_run(s.loop), 7);
    assert_true(clock_mono_ms() - start < 20000);
    loop_free(s.loop);
    close(s.fd[0]);
    close(s.fd[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_round_trip),
        cmocka_unit_test(buf_reader_failure_sticks),
        cmocka_unit_test(buf_strings),
        cmocka_unit_test(buf_writer_at_cap),
        cmocka_unit_test(text_base32_vectors),
        cmocka_unit_test(text_hex_and_names),
        cmocka_unit_test(text_sanitize_cases),
        cmocka_unit_test(text_distances),
        cmocka_unit_test_setup_teardown(file_durable, dir_make, dir_remove),
        cmocka_unit_test_setup_teardown(file_durable_full_disk, dir_make, dir_remove),
        cmocka_unit_test_setup_teardown(file_durable_follows_no_link, dir_make, dir_remove),
        cmocka_unit_test_setup_teardown(file_reading_is_bounded, dir_make, dir_remove),
        cmocka_unit_test(error_parts),
        cmocka_unit_test(log_is_one_line_and_never_blocks),
        cmocka_unit_test(loop_timers),
        cmocka_unit_test(loop_removed_descriptor_is_silent),
        cmocka_unit_test(loop_stays_awake_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
