/* What a plugin's program is started with: its row of the table, places filled in, nothing besides. */
#include "process/process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char *const argv[] = {
    "/usr/sbin/x", "-f", "{state}/x.conf", "--dir={volume}", "{other}", NULL};
static const char *const envp[] = {"LISTEN_PID=1", NULL};

static void a_program(void **state)
{
    (void)state;
    const struct profile_program row = {
        .program = "/usr/sbin/x", .argv = argv, .envp = envp, .sandbox = "program-x"};
    static struct launch l;
    memset(&l, 0, sizeof l);
    launch_program(&l, &row);
    assert_string_equal(l.spec.program, "/usr/sbin/x");
    assert_string_equal(l.spec.profile, "program-x");
    assert_string_equal(l.argv[0], "/usr/sbin/x");
    assert_string_equal(l.argv[2], "/state/x.conf");
    assert_string_equal(l.argv[3], "--dir=/volume");
    assert_string_equal(l.argv[4], "{other}");
    assert_null(l.argv[5]);
    assert_string_equal(l.envp[0], "LISTEN_PID=1");
    assert_string_equal(l.envp[1], "LISTEN_FDS=1");
    assert_null(l.envp[2]);
}

static void one_without_an_environment(void **state)
{
    (void)state;
    const struct profile_program row = {.program = "/bin/x", .argv = argv, .sandbox = "x"};
    static struct launch l;
    memset(&l, 0, sizeof l);
    launch_program(&l, &row);
    assert_string_equal(l.envp[0], "LISTEN_FDS=1");
    assert_null(l.envp[1]);
}

/* Every program that a plugin may ask for fits. */
static void all_rows_fit(void **state)
{
    (void)state;
    const struct profile_program *row = profile_program_find("lighttpd");
    static struct launch l;
    memset(&l, 0, sizeof l);
    assert_non_null(row);
    launch_program(&l, row);
    assert_string_equal(l.spec.program, row->program);
    for (unsigned i = 0; l.argv[i]; i++)
        assert_null(strchr(l.argv[i], '{'));
}

static void descriptors(void **state)
{
    (void)state;
    static struct launch l;
    memset(&l, 0, sizeof l);
    int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    launch_dir(&l, fd, 5, "/state", true);
    launch_dir(&l, -1, 6, "/volume", true); /* there is none: /dev/null in its place */
    assert_int_equal(l.spec.bind_count, 1);
    assert_string_equal(l.binds[0].target, "/state");
    assert_int_equal(l.spec.fd_count, 2);
    assert_int_equal(l.fds[0].to, 5);
    assert_int_equal(l.fds[1].to, 6);
    launch_close(&l);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* its own are closed, once */
    assert_int_equal(l.close_count, 0);
}

static void backoff(void **state)
{
    (void)state;
    static const unsigned waits[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    unsigned next = 0;
    for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++)
        assert_int_equal(proc_backoff(next, 10, &next), waits[i]);
    assert_int_equal(proc_backoff(next, 60000, &next), 0); /* a good life: all is forgotten */
    assert_int_equal(next, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_program),
        cmocka_unit_test(one_without_an_environment),
        cmocka_unit_test(all_rows_fit),
        cmocka_unit_test(descriptors),
        cmocka_unit_test(backoff),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
