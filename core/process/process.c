/* Running processes, their timers and their deaths. */
#include "process/process.h"

#include "base/clock.h"
#include "cgroup/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   10000
#define LIFE_GOOD_MS     60000
#define LOADED_MS        30000 /* for its libraries: on a busy computer they come late */
#define TURNS_MAX        1000  /* readings of a log and answers to calls, each TURNS_MS */
#define TURNS_MS         1000

unsigned proc_backoff(unsigned last_ms, uint64_t life_ms, unsigned *ret_next)
{
    unsigned wait = life_ms >= LIFE_GOOD_MS ? 0 : last_ms;
    *ret_next = wait == 0                   ? BACKOFF_FIRST_MS
                : wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
                                            : wait * 2;
    return wait;
}

unsigned proc_backoff_after(struct proc *p)
{
    return proc_backoff(p->backoff_ms, clock_mono_ms() - p->started_ms, &p->backoff_ms);
}

unsigned proc_backoff_failed(struct proc *p)
{
    return proc_backoff(p->backoff_ms ? p->backoff_ms : BACKOFF_FIRST_MS, 0, &p->backoff_ms);
}

static void tick_arm(struct procs *all);

/* Starting and ending change the list: each time it is looked at anew. */
static void tick(void *arg)
{
    struct procs *all = arg;
    uint64_t now = clock_mono_ms();
    all->timer = 0;
    for (struct proc *p = all->first; p;) {
        if (!p->due_ms || p->due_ms > now) {
            p = p->next;
            continue;
        }
        p->due_ms = 0;
        if (p->ending)
            proc_kill(p);
        else if (!p->runs)
            all->start(p);
        else
            p->sandbox.loaded = true; /* too late for more libraries */
        p = all->first;
    }
    tick_arm(all);
}

static void tick_arm(struct procs *all)
{
    uint64_t next = UINT64_MAX;
    for (const struct proc *p = all->first; p; p = p->next)
        if (p->due_ms && p->due_ms < next)
            next = p->due_ms;
    loop_timer_cancel(all->loop, all->timer);
    all->timer = next == UINT64_MAX ? 0 : loop_timer_at(all->loop, next, tick, all);
}

void proc_due_in(struct proc *p, uint64_t ms)
{
    p->due_ms = clock_mono_ms() + ms;
    tick_arm(p->of);
}

void proc_add(struct procs *all, struct proc *p, void *owner)
{
    p->of = all;
    p->owner = owner;
    p->channel = p->log_fd = p->cgroup_fd = -1;
    p->next = all->first;
    all->first = p;
}

void proc_remove(struct proc *p)
{
    struct proc **at = &p->of->first;
    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    logring_close(&p->log);
}

/* A process that talks or is refused without end waits for the rest of a second: the warden has other work. */
static void resume(void *arg)
{
    struct proc *p = arg;
    p->resume_timer = 0;
    p->turns = 0;
    logring_flush(&p->log);
    if (p->log_fd >= 0)
        loop_fd_mod(p->of->loop, p->log_fd, EPOLLIN);
    if (p->sandbox.notify_fd >= 0)
        loop_fd_mod(p->of->loop, p->sandbox.notify_fd, EPOLLIN);
    if (p->of->refused && p->log.refused_count != p->refused_told)
        p->of->refused(p);
    p->refused_told = p->log.refused_count;
}

static void take_turn(struct proc *p, int fd)
{
    if (!p->resume_timer)
        p->resume_timer = loop_timer_in(p->of->loop, TURNS_MS, resume, p);
    if (++p->turns > TURNS_MAX && p->resume_timer)
        loop_fd_mod(p->of->loop, fd, 0);
}

static void log_readable(void *arg, int fd, uint32_t events)
{
    struct proc *p = arg;
    (void)events;
    if (!logring_read(&p->log, fd, 64))
        loop_fd_del(p->of->loop, fd);
    else
        take_turn(p, fd);
}

void proc_log_rest(struct proc *p)
{
    if (p->log_fd >= 0)
        logring_read(&p->log, p->log_fd, 512);
}

static void notified(void *arg, int fd, uint32_t events)
{
    struct proc *p = arg;
    char text[256] = "";
    if (events & (EPOLLHUP | EPOLLERR))
        loop_fd_del(p->of->loop, fd);
    proc_log_rest(p); /* "loaded", if it was said before this call */
    if (!(events & (EPOLLHUP | EPOLLERR)) &&
        sandbox_notification(&p->sandbox, text, sizeof text) == CLAN_OK && text[0])
        logring_refused(&p->log, text);
    if (!(events & (EPOLLHUP | EPOLLERR)))
        take_turn(p, fd);
}

void proc_watch(struct proc *p)
{
    loop_fd_add(p->of->loop, p->log_fd, EPOLLIN, log_readable, p);
    if (p->sandbox.notify_fd >= 0)
        loop_fd_add(p->of->loop, p->sandbox.notify_fd, EPOLLIN, notified, p);
    p->runs = true;
    p->due_ms = 0;
    p->started_ms = clock_mono_ms();
    p->log.last_words[0] = 0;
    p->log.refused_count = p->refused_told = 0;
    memset(p->log.refused_seen, 0, sizeof p->log.refused_seen);
    p->log.pid = p->sandbox.pid;
    if (p->sandbox.notify_fd >= 0)
        proc_due_in(p, LOADED_MS);
}

void proc_gone(struct proc *p)
{
    int *mine[] = {
        &p->sandbox.pidfd, &p->sandbox.notify_fd, &p->log_fd, &p->channel, &p->cgroup_fd};
    for (unsigned i = 0; i < sizeof mine / sizeof mine[0]; i++) {
        loop_fd_del(p->of->loop, *mine[i]);
        if (*mine[i] >= 0)
            close(*mine[i]);
        *mine[i] = -1;
    }
    loop_timer_cancel(p->of->loop, p->resume_timer);
    p->resume_timer = 0;
    p->turns = 0;
    if (p->cgroup[0])
        unlinkat(p->of->cgroup_fd, p->cgroup, AT_REMOVEDIR);
    p->cgroup[0] = 0;
    p->runs = false;
}

void proc_kill(struct proc *p)
{
    if (!p->runs)
        return;
    cgroup_kill(p->cgroup_fd);
    pidfd_send_signal(p->sandbox.pidfd, SIGKILL, NULL, 0);
}

void proc_end(struct proc *p, unsigned grace_ms)
{
    p->ending = true;
    if (grace_ms && pidfd_send_signal(p->sandbox.pidfd, SIGTERM, NULL, 0) == 0)
        proc_due_in(p, grace_ms);
    else
        proc_kill(p);
}

void proc_end_text(const struct proc *p, int wait_status, int again_ms, char *ret_text, size_t cap)
{
    char how[160], then[64] = "";
    const char *words = p->log.last_words;
    sandbox_exit_text(wait_status, how, sizeof how);
    if (again_ms >= 0)
        snprintf(then, sizeof then, "; starts again in %d ms", again_ms);
    snprintf(ret_text, cap, "[%d] %s%s%s%s%s", p->sandbox.pid, how,
        words[0] ? "; last words: \"" : "", words, words[0] ? "\"" : "", then);
}

bool proc_reap(struct procs *all, pid_t pid, int wait_status)
{
    for (struct proc *p = all->first; p; p = p->next)
        if (p->runs && p->sandbox.pid == pid) {
            proc_log_rest(p);
            logring_flush(&p->log);
            cgroup_kill(p->cgroup_fd); /* what it may have forked */
            all->died(p, wait_status);
            return true;
        }
    return false;
}
