/* One process for each check: started, waited for within its time, and cleaned up after. */
#include "check/tool/tool.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

bool wait_limited(pid_t pid, unsigned limit_ms, int *ret_status)
{
    int fd = pidfd_open(pid, 0);
    struct pollfd p = {fd, POLLIN, 0};
    uint64_t end = now_ms() + limit_ms;
    bool ended = false;
    while (fd >= 0 && !ended) {
        uint64_t now = now_ms();
        int n = now < end ? poll(&p, 1, (int)(end - now)) : 0;
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        ended = n > 0;
    }
    if (!ended)
        kill(pid, SIGKILL);
    if (fd >= 0)
        close(fd);
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        ;
    return ended;
}

/* What a check left behind came to us, for we are the subreaper: it is ended by its number. */
static void end_orphans(void)
{
    char name[64], text[4096];
    snprintf(name, sizeof name, "/proc/self/task/%d/children", (int)getpid());
    for (unsigned tries = 0; tries < 200 && has_children(); tries++) {
        FILE *f = fopen(name, "re");
        size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
        if (f)
            fclose(f);
        text[n] = 0;
        char *at = text, *end;
        for (long pid; (pid = strtol(at, &end, 10)) > 0 && end != at; at = end)
            kill((pid_t)pid, SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (has_children())
            poll(NULL, 0, 5);
    }
}

/* Checked code does not keep the rights of root; /proc/self stays readable for dlopen. */
static void drop_root(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (geteuid() != 0)
        return;
    if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
        setresuid(NOBODY, NOBODY, NOBODY) != 0)
        _exit(EXIT_USE);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

static bool make_dirs(struct subject *s)
{
    uid_t owner = geteuid() == 0 ? NOBODY : geteuid();
    gid_t group = geteuid() == 0 ? NOBODY : getegid();
    const char *tmp = getenv("TMPDIR");
    snprintf(s->dir, sizeof s->dir, "%.200s/clan-plugin-check-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(s->dir))
        return false;
    snprintf(s->state, sizeof s->state, "%s/state", s->dir);
    snprintf(s->volume, sizeof s->volume, "%s/volume", s->dir);
    return mkdir(s->state, 0700) == 0 && mkdir(s->volume, 0700) == 0 && chmod(s->dir, 0711) == 0 &&
           chown(s->state, owner, group) == 0 && chown(s->volume, owner, group) == 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void say_end(const struct try_row *row, struct try_report *r, bool ended, int status)
{
    char doing[sizeof r->doing];
    snprintf(doing, sizeof doing, "%.*s", (int)sizeof doing - 1, r->doing);
    if (!ended)
        try_fail(r, "let no call wait: every answer comes through the host's loop",
            "it did not end within %u ms; it was at: %s", row->limit_ms, doing);
    else if (WIFSIGNALED(status))
        try_fail(r, "run it under gdb: --only NAME --in-process",
            "the process was ended by signal %d (%s); it was at: %s", WTERMSIG(status),
            strsignal(WTERMSIG(status)), doing);
    else if (r->result == TRY_NOT_RUN && !r->why[0])
        try_fail(r, "a plugin never calls exit()",
            "the process ended by itself with status %d; it was at: %s", WEXITSTATUS(status),
            doing);
}

void run_try(
    const struct try_row *row, struct subject *s, struct try_report *ret_report, unsigned *ret_ms)
{
    struct try_report *r =
        mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t begun = now_ms();
    int status = 0;
    memset(ret_report, 0, sizeof *ret_report);
    if (r == MAP_FAILED || !make_dirs(s)) {
        try_skip(ret_report, "see that /tmp can be written", "no memory or directory for a check");
        return;
    }
    snprintf(r->doing, sizeof r->doing, "the start");
    fflush(NULL);
    pid_t pid = s->in_process ? 0 : fork();
    if (pid == 0) {
        if (!s->in_process) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            prctl(PR_SET_CHILD_SUBREAPER, 1);
            if (!(row->flags & AS_ROOT))
                drop_root();
        }
        row->fn(s, r);
        if (!s->in_process)
            _exit(0);
    } else if (pid < 0)
        try_skip(r, "raise the limit of processes", "no process for a check");
    else {
        bool ended = wait_limited(pid, row->limit_ms + s->fuzz_ms, &status);
        say_end(row, r, ended, status);
    }
    *ret_report = *r;
    ret_report->why[sizeof r->why - 1] = ret_report->remedy[sizeof r->remedy - 1] = 0;
    text_sanitize(ret_report->why);
    text_sanitize(ret_report->remedy);
    *ret_ms = (unsigned)(now_ms() - begun);
    munmap(r, sizeof *r);
    if (!s->in_process)
        end_orphans();
    nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}
