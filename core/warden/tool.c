/* Runs the system's own programs (nft, resolvectl, rm): constant arguments, no shell, never waited
 * for. */
#include "warden/warden.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TOOL_SECONDS 30

struct job {
    struct job *next;
    const char *argv[8];
    int input, errors;
    pid_t pid;
    tool_fn *fn;
    void *arg;
};

static struct job *queue[TOOL_LANES];

void text_add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *more = NULL;
    int n = vasprintf(&more, fmt, ap);
    va_end(ap);
    if (n >= 0 && t->len + (size_t)n + 1 > t->cap) {
        size_t cap = (t->len + (size_t)n + 1) * 2;
        char *data = realloc(t->data, cap);
        t->cap = data ? cap : t->cap;
        t->data = data ? data : t->data;
        t->failed |= !data;
    }
    if (n < 0 || t->failed)
        t->failed = true;
    else
        memcpy(t->data + t->len, more, (size_t)n + 1);
    t->len += t->failed ? 0 : (size_t)n;
    free(n >= 0 ? more : NULL);
}

static void job_finish(struct warden *w, struct job *j, const struct clan_error *e)
{
    if (j->fn)
        j->fn(w, j->arg, e);
    else if (e)
        logs_error(NULL, j->argv[0], e);
    if (j->input >= 0)
        close(j->input);
    if (j->errors >= 0)
        close(j->errors);
    free(j->arg);
    free(j);
}

static void child_exec(const struct job *j)
{
    static const char *const env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL};
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(j->input >= 0 ? j->input : null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(j->errors, STDERR_FILENO);
    close_range(3, ~0u, 0);
    alarm(TOOL_SECONDS); /* survives exec: a program that hangs does not stop the queue */
    execve(j->argv[0], (char *const *)(uintptr_t)j->argv, (char *const *)(uintptr_t)env);
    _exit(127);
}

static void lane_next(struct warden *w, enum tool_lane lane)
{
    while (queue[lane] && queue[lane]->pid == 0) {
        struct job *j = queue[lane];
        pid_t pid = fork();
        if (pid == 0)
            child_exec(j);
        j->pid = pid;
        if (pid > 0)
            return;
        struct clan_error e = CLAN_ERROR_INIT;
        err_errno(&e, CLAN_E_IO, "cannot start %s", j->argv[0]);
        queue[lane] = j->next;
        job_finish(w, j, &e);
    }
}

void tool_run(struct warden *w, enum tool_lane lane, const char *const *argv, struct text *input,
    tool_fn *fn, void *arg)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct job *j = calloc(1, sizeof *j), **end = &queue[lane];
    clan_assert(j);
    *j = (struct job){.fn = fn, .arg = arg, .input = -1};
    for (unsigned i = 0; argv[i]; i++) {
        clan_assert(i + 1 < sizeof j->argv / sizeof j->argv[0]);
        j->argv[i] = argv[i];
    }
    j->errors = memfd_create("tool errors", MFD_CLOEXEC);
    if (input)
        j->input = memfd_create("tool input", MFD_CLOEXEC);
    bool good = j->errors >= 0 &&
                (!input || (j->input >= 0 && !input->failed &&
                               (size_t)write(j->input, input->data, input->len) == input->len &&
                               lseek(j->input, 0, SEEK_SET) == 0));
    if (input)
        free(input->data);
    if (!good) {
        err_set(&e, CLAN_E_NOMEM, "out of memory for %s", argv[0]);
        job_finish(w, j, &e);
        return;
    }
    while (*end)
        end = &(*end)->next;
    *end = j;
    lane_next(w, lane);
}

bool tool_reap(struct warden *w, pid_t pid, int wait_status)
{
    for (unsigned lane = 0; lane < TOOL_LANES; lane++) {
        struct job *j = queue[lane];
        struct clan_error e = CLAN_ERROR_INIT;
        if (!j || j->pid != pid)
            continue;
        if (wait_status != 0) {
            char words[256] = "";
            ssize_t n = pread(j->errors, words, sizeof words - 1, 0);
            words[n > 0 ? n : 0] = 0;
            err_set(&e, CLAN_E_IO, "%s failed", j->argv[0]);
            err_why(&e, "%s", words);
            if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 127)
                err_remedy(&e, "install it: apt install nftables");
        }
        queue[lane] = j->next;
        job_finish(w, j, wait_status ? &e : NULL);
        lane_next(w, (enum tool_lane)lane);
        return true;
    }
    return false;
}
