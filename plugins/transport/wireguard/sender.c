/* The sender's thread: from the TUN, cut, sealed, to the UDP sockets. */
#include "run.h"
#include "segment.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#define OUT_BYTES (256u << 10) /* sealed, before they leave */

struct sender {
    struct wg_run *run;
    uint8_t out[OUT_BYTES];
    size_t used;
    struct wg_train trains[WG_BATCH];
    unsigned train_count;
    uint64_t now_ms;
    struct {
        struct virtio_net_hdr head;
        uint8_t packet[65536];
    } in;
};

static void leave(struct sender *s)
{
    wg_udp_send_trains(&s->run->udp, s->trains, s->train_count);
    s->train_count = 0;
    s->used = 0;
}

/* The last train, when one more message of that size may go with it. */
static struct wg_train *train_for(
    struct sender *s, const struct wg_peer *p, size_t size, uint8_t tos)
{
    struct wg_train *t = s->train_count ? &s->trains[s->train_count - 1] : NULL;
    bool fits = t && t->size == (size_t)t->count * t->segment && size <= t->segment &&
                t->count < WG_UDP_SEGMENTS && t->size + size <= WG_UDP_BYTES && t->tos == tos &&
                memcmp(&t->to, &p->endpoint, sizeof t->to) == 0;
    return fits ? t : NULL;
}

static bool room_for(const struct sender *s, const struct wg_cut *c)
{
    return s->train_count < WG_BATCH && s->used + wg_cut_max(c) + WG_OVERHEAD <= OUT_BYTES;
}

/* With the lock.  A message at the end of `out`. */
static void add_piece(struct sender *s, struct wg_peer *p, struct wg_keypair *k, struct wg_cut *c)
{
    uint8_t *message = s->out + s->used;
    uint8_t tos = (uint8_t)wg_ecn(c->packet); /* RFC 6040: what is outside says it too */
    size_t size = wg_cut_next(c, message + WG_DATA_HEAD);
    size = wg_message_seal(p, k, message, size);
    if (!size)
        return;
    struct wg_train *t = train_for(s, p, size, tos);
    if (!t) {
        t = &s->trains[s->train_count++];
        *t = (struct wg_train){
            .to = p->endpoint, .data = message, .segment = (uint16_t)size, .tos = tos};
    }
    t->size += size;
    t->count++;
    s->used += size;
}

/* With the lock.  No session yet: what waits is bounded, and goes out when there is one. */
static void stage(struct sender *s, struct wg_peer *p, struct wg_cut *c)
{
    uint8_t *packet = s->out + s->used;
    size_t size;
    while ((size = wg_cut_next(c, packet)) != 0)
        wg_peer_stage(p, packet, size, NULL, 0);
}

/* As much of the packet as there is room for; false: all of it is done. */
static bool seal_some(struct sender *s, struct wg_cut *c)
{
    struct wg_device *d = s->run->device;
    wg_lock(d);
    struct wg_peer *p = wg_device_route(d, c->packet + 24);
    struct wg_keypair *k = p ? wg_peer_keys(p, s->now_ms) : NULL;
    if (!p || (k && !p->endpoint.sa.sa_family))
        c->done = true, atomic_fetch_add(&s->run->dropped, 1);
    else if (!k)
        stage(s, p, c);
    while (!c->done && room_for(s, c))
        add_piece(s, p, k, c);
    wg_unlock(d);
    return !c->done;
}

static void carry(struct sender *s, size_t size)
{
    struct wg_cut cut;
    if (!wg_cut_begin(&cut, s->in.packet, size, &s->in.head) || wg_cut_max(&cut) > WG_PACKET_MAX) {
        atomic_fetch_add(&s->run->dropped, 1); /* IPv4, or what the kernel says is not so */
        return;
    }
    do
        if (!room_for(s, &cut))
            leave(s);
    while (seal_some(s, &cut));
}

/* 0: nothing to read now */
static size_t read_tun(struct sender *s)
{
    struct iovec iov[2] = {{&s->in.head, sizeof s->in.head}, {s->in.packet, sizeof s->in.packet}};
    ssize_t n = readv(s->run->tun, iov, 2);
    return n > (ssize_t)sizeof s->in.head ? (size_t)n - sizeof s->in.head : 0;
}

static void wake_owner(struct wg_run *r)
{
    bool urgent = atomic_load(&r->device->has_want);
    if ((urgent || atomic_load(&r->device->has_news)) &&
        atomic_exchange(urgent ? &r->asleep : &r->resting, false))
        eventfd_write(r->wake, 1);
}

static void wait_for_tun(struct sender *s)
{
    struct pollfd p[2] = {{s->run->tun, POLLIN, 0}, {s->run->stop_sender, POLLIN, 0}};
    poll(p, 2, -1);
    if (p[0].revents & (POLLERR | POLLNVAL)) /* the interface is down or gone */
        poll(p + 1, 1, 100);
}

void *wg_sender(void *run)
{
    static struct sender s; /* one in a process: the plugin has one instance */
    struct wg_run *r = run;
    s.run = r;
    s.train_count = 0;
    s.used = 0;
    while (!atomic_load(&r->stop)) {
        size_t size = 1;
        s.now_ms = wg_now_ms();
        for (unsigned i = 0; i < WG_BATCH && (size = read_tun(&s)) != 0; i++)
            carry(&s, size);
        if (s.train_count)
            leave(&s);
        wake_owner(r);
        if (!size)
            wait_for_tun(&s);
    }
    sodium_memzero(&s.in, sizeof s.in); /* what people said to each other */
    return NULL;
}
