/* The owner's thread: from the UDP sockets, opened, coalesced, to the TUN; timers, calls, reports. */
#include "run.h"

#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

struct owner {
    struct wg_run *run;
    struct wg_coalesce to_tun;
    struct wg_arrival arrivals[WG_BATCH];
    uint64_t now_ms, look_ms; /* look_ms: when to look at the peers next; 0: nothing happened */
};

static void write_tun(void *user, const struct iovec *iov, int count)
{
    struct wg_run *r = user;
    if (writev(r->tun, iov, count) < 0)
        atomic_fetch_add(&r->tun_refused, 1);
}

static void take(struct owner *o, const struct wg_arrival *a)
{
    struct wg_device *d = o->run->device;
    for (size_t at = 0; at < a->size; at += a->segment) {
        size_t size = a->size - at < a->segment ? a->size - at : a->segment;
        uint8_t *packet;
        struct wg_peer *p;
        if (wg_device_receive(d, a->data + at, size, &a->from, o->now_ms, &packet, &size, &p) &&
            !wg_reroutes(packet, size) && wg_ecn_out(packet, a->tos & 3))
            wg_coalesce_add(&o->to_tun, packet, size);
    }
}

/* From the sockets of `ready`; those that may have more. */
static unsigned receive(struct owner *o, unsigned ready)
{
    unsigned more = 0;
    for (int i = 0; i < 2; i++) {
        if (!(ready & 1u << i))
            continue;
        unsigned n = wg_udp_receive(&o->run->udp, i, o->arrivals);
        for (unsigned k = 0; k < n; k++)
            take(o, &o->arrivals[k]);
        wg_coalesce_flush(&o->to_tun); /* before the buffers are used again */
        more |= n == WG_BATCH ? 1u << i : 0;
    }
    return more;
}

/* ---- the loop's calls ---- */

static void answer_call(struct owner *o)
{
    wg_call_fn *fn = atomic_load(&o->run->call);
    if (!fn)
        return;
    atomic_store(&o->run->call, NULL);
    fn(o->run->device, o->now_ms, o->run->call_arg);
    sem_post(&o->run->called);
}

/* ---- reports ---- */

/* Sent, and for a while nothing came: true, once until something comes. */
static bool fell_silent(struct wg_peer *p, uint64_t now_ms)
{
    if (p->heard != p->silence.heard) {
        p->silence.unanswered_ms = 0;
        p->silence.told = false;
    }
    if (p->tx_bytes != p->silence.tx_bytes && !p->silence.unanswered_ms)
        p->silence.unanswered_ms = now_ms;
    p->silence.heard = p->heard;
    p->silence.tx_bytes = p->tx_bytes;
    if (!p->silence.unanswered_ms || p->silence.told ||
        now_ms - p->silence.unanswered_ms < WG_SILENCE_MS)
        return false;
    p->silence.told = true;
    return true;
}

static bool is_news(struct wg_peer *p, uint64_t now_ms)
{
    if (fell_silent(p, now_ms) || p->handshake_ms != p->told.handshake_ms ||
        memcmp(&p->endpoint, &p->told.endpoint, sizeof p->endpoint) != 0)
        return true;
    return (p->rx_bytes != p->told.rx_bytes || p->tx_bytes != p->told.tx_bytes) &&
           now_ms - p->told.at_ms >= WG_TRAFFIC_MS;
}

static bool add_report(struct wg_run *r, struct wg_peer *p, uint64_t now_ms)
{
    if (r->report_count == WG_REPORTS_MAX)
        return false;
    struct wg_report *x = &r->reports[r->report_count++];
    p->told.at_ms = now_ms;
    p->told.endpoint = x->endpoint = p->endpoint;
    p->told.handshake_ms = x->handshake_ms = p->handshake_ms;
    p->told.rx_bytes = x->rx_bytes = p->rx_bytes;
    p->told.tx_bytes = x->tx_bytes = p->tx_bytes;
    x->silent_since_ms = p->silence.told ? p->silence.unanswered_ms : 0;
    memcpy(x->public_key, p->remote.public_key, WG_KEY);
    return true;
}

static void look_again(struct owner *o, uint64_t in_ms)
{
    if (!o->look_ms || o->look_ms > o->now_ms + in_ms)
        o->look_ms = o->now_ms + in_ms;
}

/* Often while something happens; what finds no room is news the next time. */
static void look(struct owner *o)
{
    struct wg_run *r = o->run;
    o->look_ms = 0;
    wg_lock(r->device); /* tx_bytes */
    pthread_mutex_lock(&r->reports_lock);
    for (struct wg_peer *p = r->device->peers; p; p = p->next) {
        bool moved = p->heard != p->silence.heard || p->tx_bytes != p->silence.tx_bytes;
        if (is_news(p, o->now_ms) && !add_report(r, p, o->now_ms))
            look_again(o, WG_SILENCE_MS);
        if (moved || (p->silence.unanswered_ms && !p->silence.told))
            look_again(o, WG_LOOK_MS);
        if (p->rx_bytes != p->told.rx_bytes || p->tx_bytes != p->told.tx_bytes)
            look_again(o, WG_TRAFFIC_MS);
    }
    bool any = r->report_count > 0;
    pthread_mutex_unlock(&r->reports_lock);
    wg_unlock(r->device);
    if (any) {
        look_again(o, WG_SILENCE_MS); /* the loop may not take them: it is told again */
        r->reported(r->user);
    }
}

/* ---- turns ---- */

static int wait_ms(const struct owner *o, uint64_t next_ms)
{
    if (o->look_ms && o->look_ms < next_ms)
        next_ms = o->look_ms;
    if (next_ms == WG_NEVER)
        return -1;
    uint64_t ms = next_ms > o->now_ms ? next_ms - o->now_ms : 0;
    return ms < 60000 ? (int)ms : 60000;
}

/* An error of an earlier send is taken off, it would not let us sleep. */
static void clear_error(int fd)
{
    int error;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
}

/* Which sockets have something, bit by bit. */
static unsigned sleep_until(struct owner *o, uint64_t next_ms)
{
    struct wg_run *r = o->run;
    unsigned ready = 0;
    struct pollfd p[3] = {
        {r->udp.fd[0], POLLIN, 0}, {r->udp.fd[1], POLLIN, 0}, {r->wake, POLLIN, 0}};
    bool resting = !o->look_ms || o->look_ms > o->now_ms + WG_LOOK_MS;
    atomic_store(&r->resting, resting);
    atomic_store(&r->asleep, true);
    /* what came before would wake nobody any more */
    bool news = atomic_load(&r->device->has_want) || (resting && atomic_load(&r->device->has_news));
    poll(p, 3, news ? 0 : wait_ms(o, next_ms));
    atomic_store(&r->asleep, false);
    atomic_store(&r->resting, false);
    if (p[2].revents) {
        eventfd_t value;
        eventfd_read(r->wake, &value);
    }
    for (unsigned i = 0; i < 2; i++) {
        ready |= p[i].revents & POLLIN ? 1u << i : 0;
        if (p[i].revents & POLLERR)
            clear_error(r->udp.fd[i]);
    }
    return ready;
}

static void turns(struct owner *o)
{
    unsigned ready = 0;
    while (!atomic_load(&o->run->stop)) {
        o->now_ms = wg_now_ms();
        answer_call(o);
        bool news = ready || atomic_load(&o->run->device->has_news);
        ready = receive(o, ready);
        uint64_t next_ms = wg_device_tick(o->run->device, o->now_ms);
        if (news)
            look_again(o, WG_LOOK_MS);
        if (o->look_ms && o->now_ms >= o->look_ms)
            look(o);
        if (!ready)
            ready = sleep_until(o, next_ms);
    }
}

void *wg_owner(void *run)
{
    static struct owner o; /* one in a process: the plugin has one instance */
    memset(&o, 0, sizeof o);
    o.run = run;
    o.to_tun.write = write_tun;
    o.to_tun.user = run;
    o.to_tun.tcp = o.run->tso;
    turns(&o);
    return NULL;
}
