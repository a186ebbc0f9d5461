/* What a daemon of root sets up: a directory that no link leads elsewhere, and one owner of it. */
#include "daemon/daemon.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[32], path[64];

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/clan-daemon-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    rmdir(path);
    return rmdir(dir);
}

static void directories(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    struct stat st;
    snprintf(path, sizeof path, "%s/state", dir);
    if (geteuid() != 0) {
        print_message("SKIP: a directory of root needs root\n");
        return;
    }
    int fd = daemon_directory(path, 0750, &e);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    close(fd);
    assert_int_equal(chmod(path, 0777), 0); /* one that is there gets its mode */
    fd = daemon_directory(path, 0700, &e);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    close(fd);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(symlink("/tmp", path), 0);
    assert_int_equal(daemon_directory(path, 0700, &e), -1);
    assert_int_equal(e.status, CLAN_E_IO);
}

static void one_has_the_lock(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    int first = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
        second = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(daemon_lock(first, dir, &e), CLAN_OK);
    assert_int_equal(daemon_lock(second, dir, &e), CLAN_E_CONFLICT);
    assert_non_null(strstr(e.what, dir));
    close(first);
    assert_int_equal(daemon_lock(second, dir, &e), CLAN_OK);
    close(second);
}

static void signals(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    int fd = daemon_signals(&e);
    assert_true(fd >= 0);
    assert_false(daemon_told_to_end(fd));
    raise(SIGCHLD);
    assert_false(daemon_told_to_end(fd)); /* wakes, no more */
    raise(SIGCHLD);
    raise(SIGTERM);
    raise(SIGHUP); /* of a terminal: ignored */
    assert_true(daemon_told_to_end(fd));
    assert_false(daemon_told_to_end(fd));
    close(fd);
}

static void groups(void **state)
{
    (void)state;
    assert_int_equal(daemon_group("root"), 0);
    assert_int_equal(daemon_group("no-such-group-here"), 0);
    assert_int_not_equal(daemon_group("tty"), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {T(directories), T(one_has_the_lock), T(signals), T(groups)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
