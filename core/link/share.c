/* One thread for both directions while a processor is enough for them, two when it is not. */
#include "share.h"

#include "link.h"

#include "base/clock.h"
#include "base/log.h"

#include <sys/epoll.h>
#include <time.h>

#define WINDOW_NS 300000000ull

bool share_two(bool two, uint64_t wall_ns, uint64_t receiver_ns, uint64_t sender_ns)
{
    uint64_t used = receiver_ns + sender_ns;
    return used * 100 > wall_ns * (two ? 85 : 96);
}

static uint64_t cpu_ns(clockid_t clock)
{
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool receiver_sends(struct link *l, bool yes)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = LINK_TAG_SEND};
    return epoll_ctl(l->epoll, yes ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->send_epoll, &ev) == 0;
}

bool share_setup(struct link *l)
{
    l->share.receiver = CLOCK_THREAD_CPUTIME_ID;
    return pthread_cond_init(&l->share.begin, NULL) == 0 && receiver_sends(l, true);
}

void share_look(struct link *l, uint64_t now_ms)
{
    struct link_share *h = &l->share;
    uint64_t wall_ns = now_ms * 1000000;
    if (wall_ns - h->wall_ns < WINDOW_NS)
        return;
    uint64_t receiver_ns = cpu_ns(h->receiver), sender_ns = cpu_ns(h->sender);
    bool two = share_two(
        h->two, wall_ns - h->wall_ns, receiver_ns - h->receiver_ns, sender_ns - h->sender_ns);
    h->wall_ns = wall_ns;
    h->receiver_ns = receiver_ns;
    h->sender_ns = sender_ns;
    if (two == h->two || !receiver_sends(l, !two))
        return;
    /* taken back: the sender's thread may be amid a last round, which the lock allows */
    link_lock(l);
    h->two = two;
    if (two)
        pthread_cond_signal(&h->begin);
    link_unlock(l);
    log_debug("%s", two ? "sending has a thread of its own" : "one thread sends and receives");
}
