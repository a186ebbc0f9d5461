/* Cgroups: what an earlier run left is killed and removed at once, waiting has a bound, limits are written. */
#include "cgroup/cgroup.h"
#include "base/clock.h"
#include "base/error.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIP 77

static int failures;

static void check(bool good, const char *what)
{
    if (!good)
        fprintf(stderr, "FAIL: %s\n", what);
    failures += !good;
}

/* A process in the cgroup that heeds no signal but the last. */
static pid_t stubborn(int dir)
{
    int said[2];
    char word = 0;
    if (pipe2(said, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGTERM, SIG_IGN);
        word = cgroup_enter(dir) ? 'y' : 'n';
        if (write(said[1], &word, 1) == 1)
            for (;;)
                pause();
        _exit(1);
    }
    close(said[1]);
    ssize_t n = read(said[0], &word, 1);
    close(said[0]);
    check(n == 1 && word == 'y', "a process enters its cgroup");
    return pid;
}

static bool killed(pid_t pid)
{
    int status;
    return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void waits(int all, int one, pid_t pid)
{
    uint64_t before = clock_mono_ms();
    check(!cgroup_wait_empty(one, 100), "waiting for a process that lives ends");
    uint64_t waited = clock_mono_ms() - before;
    check(waited >= 100 && waited < 2000, "after its limit");
    check(cgroup_kill(one) && killed(pid), "cgroup.kill");
    before = clock_mono_ms();
    check(cgroup_wait_empty(one, 5000) && cgroup_wait_empty(all, 5000), "both are empty");
    check(clock_mono_ms() - before < 4000, "and it is said, not waited for");
    check(!cgroup_wait_empty(-1, 5000) && !cgroup_kill(-1), "no cgroup");
}

static void cleans(const char *name, int all)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct stat st;
    bool limits;
    int again = -1;
    pid_t pids[3];
    for (int i = 0; i < 3; i++) {
        char sub[16];
        snprintf(sub, sizeof sub, "left-%d", i);
        int dir = cgroup_make(all, sub);
        check(dir >= 0, "another cgroup");
        pids[i] = stubborn(dir);
        close(dir);
    }
    uint64_t before = clock_mono_ms();
    check(cgroup_begin(name, &again, &limits, &e) == CLAN_OK, "begins again");
    check(clock_mono_ms() - before < 1500, "without waiting for its limit");
    for (int i = 0; i < 3; i++)
        check(killed(pids[i]), "what was left is killed");
    check(fstatat(again, "left-0", &st, 0) != 0 && fstatat(again, "left-1", &st, 0) != 0 &&
              fstatat(again, "left-2", &st, 0) != 0,
        "its cgroups are gone");
    close(again);
}

int main(void)
{
    struct clan_error e = CLAN_ERROR_INIT;
    char name[48], path[64];
    bool limits = false;
    int all;
    snprintf(name, sizeof name, "clan-test-cgroup-%d", (int)getpid());
    if (geteuid() != 0 || cgroup_begin(name, &all, &limits, &e) != CLAN_OK) {
        printf("SKIP: needs root and cgroup version 2: %s\n", e.what);
        return SKIP;
    }
    int one = cgroup_make(all, "one");
    check(one >= 0 && cgroup_make(all, "one") < 0, "a name is taken once");
    check(cgroup_limit(one, 64 << 20, 16) || !limits, "memory is limited where it can be");
    pid_t pid = stubborn(one);
    waits(all, one, pid);
    check(unlinkat(all, "one", AT_REMOVEDIR) == 0, "an empty one is removed");
    cleans(name, all);
    /* its own name, from outside */
    snprintf(path, sizeof path, "/proc/self/fd/%d", all);
    char own[4096];
    ssize_t n = readlink(path, own, sizeof own - 1);
    own[n > 0 ? n : 0] = 0;
    check(n > 0 && rmdir(own) == 0, "the cgroup of all goes");
    close(one);
    close(all);
    if (!failures)
        printf("cgroups kill, wait and clean\n");
    return failures != 0;
}
