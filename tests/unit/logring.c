/* The log of one process: what is over its rate is counted, and the count is written without a next line. */
#include "logring/logring.h"
#include "base/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/clan-logring-XXXXXX", text[1 << 20];
static struct logring ring;
static struct logring_file file;

static int set_up(void **state)
{
    (void)state;
    memcpy(strrchr(dir, '-'), "-XXXXXX", 7);
    if (!mkdtemp(dir))
        return -1;
    ring = (struct logring){.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .gid = getgid()};
    file = logring_file(&ring, "home", "core", false);
    return ring.dir < 0;
}

static int tear_down(void **state)
{
    (void)state;
    logring_close(&file);
    unlinkat(ring.dir, "home-core.log", 0);
    close(ring.dir);
    return rmdir(dir);
}

static unsigned count(const char *what)
{
    unsigned n = 0;
    int fd = openat(ring.dir, "home-core.log", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[size < 0 ? 0 : size] = 0;
    close(fd);
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* The rate counts by seconds: all of a test's lines fall into one, however slow the computer is. */
uint64_t __wrap_clock_mono_ms(void);

uint64_t __wrap_clock_mono_ms(void)
{
    return 7000;
}

static void refused_counts_are_flushed(void **state)
{
    (void)state;
    logring_refused(&file, "call one was refused");
    for (unsigned i = 0; i < 12; i++)
        logring_refused(&file, "call one was refused");
    logring_refused(&file, "call two was refused"); /* a new one has no rate */
    assert_int_equal(file.refused_count, 14);
    assert_int_equal(count("call one was refused"), 6);
    assert_int_equal(count("call two was refused"), 1);
    assert_int_equal(count("dropped"), 0);
    logring_flush(&file);
    assert_int_equal(count("7 refused calls more than 5 a second were dropped"), 1);
    logring_flush(&file); /* once */
    assert_int_equal(count("dropped"), 1);
}

static void records_are_flushed(void **state)
{
    (void)state;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
    for (unsigned i = 0; i < 203; i++) {
        assert_int_equal(send(pair[1], "1hello", 6, 0), 6);
        assert_true(logring_read(&file, pair[0], 1));
    }
    assert_int_equal(count("hello"), 200);
    logring_flush(&file);
    assert_int_equal(count("3 records more than 200 a second were dropped"), 1);
    close(pair[1]);
    assert_false(logring_read(&file, pair[0], 1));
    close(pair[0]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(refused_counts_are_flushed), T(records_are_flushed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
