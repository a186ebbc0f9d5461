/* A user namespace of one's own, so that the sandbox can be made without root. */
#include "check/tool/tool.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROOTLESS_RAN = 0, ROOTLESS_NOT_HERE = 1 };

static bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)strlen(text);
}

/* The user under another number: the kernel lets everybody map this one. */
static bool become(unsigned id)
{
    char uid[48], gid[48];
    snprintf(uid, sizeof uid, "%u %u 1\n", id, (unsigned)geteuid());
    snprintf(gid, sizeof gid, "%u %u 1\n", id, (unsigned)getegid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) == 0 &&
           write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", uid) &&
           write_file("/proc/self/gid_map", gid) &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

/* As first process of its PID namespace, which has a /proc of its own. */
static _Noreturn void first(rootless_fn *fn, void *arg)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        _exit(ROOTLESS_NOT_HERE);
    fn(arg);
    _exit(ROOTLESS_RAN);
}

bool rootless_run(unsigned id, rootless_fn *fn, void *arg)
{
    int status = 0;
    pid_t outer = fork();
    if (outer == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (!become(id))
            _exit(ROOTLESS_NOT_HERE);
        pid_t inner = fork();
        if (inner == 0)
            first(fn, arg);
        if (inner < 0 || waitpid(inner, &status, 0) != inner)
            _exit(ROOTLESS_NOT_HERE);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : ROOTLESS_RAN);
    }
    return outer > 0 && waitpid(outer, &status, 0) == outer && WIFEXITED(status) &&
           WEXITSTATUS(status) == ROOTLESS_RAN;
}
