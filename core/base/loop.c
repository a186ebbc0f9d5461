/* The epoll loop: descriptors by number, timers in a small array. */
#include "base/loop.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

struct loop_watch {
    int fd; /* -1: free */
    uint32_t generation;
    loop_fd_fn *fn;
    void *arg;
};

struct loop_timer {
    uint64_t id; /* 0: free */
    uint64_t at_ms;
    loop_timer_fn *fn;
    void *arg;
};

struct loop {
    int epoll_fd;
    bool stopping;
    int result;
    uint32_t generation;
    uint64_t next_timer, awake_until_ns;
    /* how many were ever in use: memory above was never touched and costs nothing */
    unsigned watches, timers;
    struct loop_watch watch[LOOP_FDS_MAX];
    struct loop_timer timer[LOOP_TIMERS_MAX];
};

/* Zeros that are there only when touched; calloc() would write those of a used heap. */
struct loop *loop_new(void)
{
    struct loop *l =
        mmap(NULL, sizeof *l, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (l == MAP_FAILED)
        return NULL;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd < 0) {
        munmap(l, sizeof *l);
        return NULL;
    }
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    close(l->epoll_fd);
    munmap(l, sizeof *l);
}

static struct loop_watch *find_watch(struct loop *l, int fd)
{
    for (unsigned i = 0; i < l->watches; i++)
        if (l->watch[i].fd == fd)
            return &l->watch[i];
    return NULL;
}

static struct loop_watch *free_watch(struct loop *l)
{
    struct loop_watch *w = find_watch(l, -1);
    return w || l->watches == LOOP_FDS_MAX ? w : &l->watch[l->watches++];
}

static struct epoll_event event_of(struct loop *l, const struct loop_watch *w, uint32_t events)
{
    /* slot and generation, so that an event queued for a closed descriptor meets nobody else */
    return (struct epoll_event){
        .events = events, .data.u64 = (uint64_t)w->generation << 32 | (uint64_t)(w - l->watch)};
}

clan_status loop_fd_add(struct loop *l, int fd, uint32_t epoll_events, loop_fd_fn *fn, void *arg)
{
    struct loop_watch *w = free_watch(l);
    if (!w)
        return CLAN_E_LIMIT;
    *w = (struct loop_watch){.fd = fd, .generation = ++l->generation, .fn = fn, .arg = arg};
    struct epoll_event ev = event_of(l, w, epoll_events);
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        w->fd = -1;
        return CLAN_E_IO;
    }
    return CLAN_OK;
}

clan_status loop_fd_mod(struct loop *l, int fd, uint32_t epoll_events)
{
    struct loop_watch *w = find_watch(l, fd);
    if (!w)
        return CLAN_E_NOENT;
    struct epoll_event ev = event_of(l, w, epoll_events);
    return epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, fd, &ev) == 0 ? CLAN_OK : CLAN_E_IO;
}

void loop_fd_del(struct loop *l, int fd)
{
    struct loop_watch *w = fd >= 0 ? find_watch(l, fd) : NULL;
    if (!w)
        return;
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
    w->fd = -1;
}

uint64_t loop_timer_at(struct loop *l, uint64_t mono_ms, loop_timer_fn *fn, void *arg)
{
    unsigned i = 0;
    while (i < l->timers && l->timer[i].id)
        i++;
    if (i == LOOP_TIMERS_MAX)
        return 0;
    if (i == l->timers)
        l->timers++;
    l->timer[i] =
        (struct loop_timer){.id = ++l->next_timer, .at_ms = mono_ms, .fn = fn, .arg = arg};
    return l->timer[i].id;
}

uint64_t loop_timer_in(struct loop *l, uint64_t delay_ms, loop_timer_fn *fn, void *arg)
{
    return loop_timer_at(l, clock_mono_ms() + delay_ms, fn, arg);
}

void loop_timer_cancel(struct loop *l, uint64_t id)
{
    for (unsigned i = 0; id && i < l->timers; i++)
        if (l->timer[i].id == id)
            l->timer[i].id = 0;
}

/* Fires what is due; returns the milliseconds to the next timer, -1 without one. */
static int run_timers(struct loop *l)
{
    uint64_t now = clock_mono_ms(), next = UINT64_MAX;
    for (unsigned i = 0; i < l->timers && !l->stopping; i++) {
        struct loop_timer t = l->timer[i];
        if (t.id == 0)
            continue;
        if (t.at_ms <= now) {
            l->timer[i].id = 0;
            t.fn(t.arg);
        }
    }
    now = clock_mono_ms();
    for (unsigned i = 0; i < l->timers; i++)
        if (l->timer[i].id && l->timer[i].at_ms < next)
            next = l->timer[i].at_ms;
    if (next == UINT64_MAX)
        return -1;
    uint64_t wait = next > now ? next - now : 0;
    return wait > 3600000 ? 3600000 : (int)wait;
}

void loop_stay_awake(struct loop *l, uint64_t ns)
{
    l->awake_until_ns = clock_mono_ns() + ns;
}

/* Others who want this CPU get it: who is waited for may be among them. */
static int wait_awake(struct loop *l, struct epoll_event *ev, int max, int timeout_ms)
{
    uint64_t until = l->awake_until_ns, now = clock_mono_ns();
    int n = 0;
    l->awake_until_ns = 0;
    if (timeout_ms >= 0 && until > now + (uint64_t)timeout_ms * 1000000)
        until = now + (uint64_t)timeout_ms * 1000000;
    for (; n == 0 && now < until; now = clock_mono_ns()) {
        n = epoll_wait(l->epoll_fd, ev, max, 0);
        if (n == 0)
            sched_yield();
    }
    return n;
}

int loop_run(struct loop *l)
{
    l->stopping = false;
    while (!l->stopping) {
        struct epoll_event ev[32];
        int timeout = run_timers(l);
        if (l->stopping)
            break;
        int n = l->awake_until_ns ? wait_awake(l, ev, 32, timeout)
                                  : epoll_wait(l->epoll_fd, ev, 32, timeout);
        if (n < 0 && errno != EINTR)
            clan_assert(!"epoll_wait");
        for (int i = 0; i < n && !l->stopping; i++) {
            struct loop_watch *w = &l->watch[ev[i].data.u64 & 0xffffffff];
            if (w->fd >= 0 && w->generation == (uint32_t)(ev[i].data.u64 >> 32))
                w->fn(w->arg, w->fd, ev[i].events);
        }
    }
    return l->result;
}

void loop_stop(struct loop *l, int result)
{
    l->stopping = true;
    l->result = result;
}

void loop_end(void *arg)
{
    loop_stop(arg, 0);
}
