/* Jobs in lanes: the first of each runs, the others wait. */
#include "tool/tool.h"

#include "base/error.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOOL_CPU_S  30  /* one that computes without end */
#define TOOL_WALL_S 300 /* one that hangs; a busy computer is slow, which is no failure */

struct job {
    struct job *next;
    char *argv[TOOL_ARGS_MAX];
    int input, errors;
    pid_t pid;
    tool_fn *fn;
    void *arg;
};

static struct job *queue[TOOL_LANES];

static void job_finish(struct job *j, const struct clan_error *e)
{
    j->fn(j->arg, e);
    if (j->input >= 0)
        close(j->input);
    if (j->errors >= 0)
        close(j->errors);
    for (unsigned i = 0; i < TOOL_ARGS_MAX; i++)
        free(j->argv[i]);
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
    /* both survive exec, so that no program stops the queue */
    setrlimit(RLIMIT_CPU, &(struct rlimit){TOOL_CPU_S, TOOL_CPU_S});
    alarm(TOOL_WALL_S);
    execve(j->argv[0], j->argv, (char *const *)(uintptr_t)env);
    _exit(127);
}

static void lane_next(enum tool_lane lane)
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
        job_finish(j, &e);
    }
}

void tool_run(
    enum tool_lane lane, const char *const *argv, struct text *input, tool_fn *fn, void *arg)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct job *j = calloc(1, sizeof *j), **end = &queue[lane];
    clan_assert(j);
    *j = (struct job){.fn = fn, .arg = arg, .input = -1};
    for (unsigned i = 0; argv[i]; i++) {
        clan_assert(i + 1 < TOOL_ARGS_MAX);
        j->argv[i] = strdup(argv[i]);
        clan_assert(j->argv[i]);
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
        job_finish(j, &e);
        return;
    }
    while (*end)
        end = &(*end)->next;
    *end = j;
    lane_next(lane);
}

bool tool_reap(pid_t pid, int wait_status)
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
            bool limit = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == TOOL_EXIT_LIMIT;
            err_set(&e, limit ? CLAN_E_LIMIT : CLAN_E_IO, "%s failed", j->argv[0]);
            err_why(&e, "%s", words);
            if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 127)
                err_remedy(&e, "install it: apt install nftables");
        }
        queue[lane] = j->next;
        job_finish(j, wait_status ? &e : NULL);
        lane_next((enum tool_lane)lane);
        return true;
    }
    return false;
}
