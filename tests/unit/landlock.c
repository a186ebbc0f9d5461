/* Landlock: what is not allowed is denied, files get no rights of directories, what is not there is no error. */
#include "landlock/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* 0, or the number of what was not as it should be. */
static int closed_in(void)
{
    int set = landlock_new(NET_BIND_TCP, SCOPE_ABSTRACT_UNIX_AND_SIGNAL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (set < 0 || null < 0)
        return 1;
    if (landlock_allow_path(set, "/usr", FS_READ) != 0 ||
        landlock_allow_fd(set, null, 0xffff) != 0) /* only those of files are taken */
        return 2;
    if (landlock_allow_path(set, "/nothing/here", FS_READ) != 0)
        return 3;
    if (landlock_allow_path(set, "/dev/null/below", FS_READ) != -1 || errno != ENOTDIR)
        return 4;
    if (landlock_allow_fd(set, -1, FS_READ) != -1 || errno != EBADF)
        return 5;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || landlock_restrict(set) != 0)
        return 6;
    if (open("/etc/passwd", O_RDONLY | O_CLOEXEC) != -1 || errno != EACCES)
        return 7;
    if (open("/usr", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0)
        return 8;
    if (open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
        return 9;
    return 0;
}

static void denies_the_rest(void **state)
{
    int status;
    (void)state;
    if (landlock_abi() < 1) {
        printf("SKIP: this kernel has no Landlock\n");
        skip();
    }
    pid_t pid = fork();
    if (pid == 0)
        _exit(closed_in());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(denies_the_rest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
