/* The sender: TUN -> destination -> the peer's stream, or its queue when that is full. */
#include "link.h"

#include "answer.h"
#include "demands.h"
#include "packet.h"
#include "peers.h"
#include "segment.h"
#include "tun.h"
#include "tx.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS        64
#define READ_PACKETS  64
#define READ_BYTES    (256u * 1024) /* what arrives meanwhile waits */
#define SMALL_FLUSH   (16u * 1024)
#define BIG_PACKET    (16u * 1024) /* stays where it was read; smaller ones are copied together */
#define WAITING_BYTES (64u * 1024) /* for a peer that has to be dialed first */

struct send_batch { /* sealed frames of one session, one behind the other in link.batch */
    struct link *l;
    struct link_session *s;
    size_t end;
    uint64_t now_ns;
};

/* The account of what was just sent on s. */
static void sent(struct send_batch *b, struct link_session *s)
{
    s->tx.last_ms = b->now_ns / 1000000;
    tx_sample(s, b->now_ns);
    if (atomic_load_explicit(&b->l->slow_tick, memory_order_relaxed)) {
        atomic_store(&b->l->slow_tick, false);
        link_wake(b->l); /* from now on somebody owes an answer */
    }
}

static void batch_flush(struct send_batch *b)
{
    if (b->s && b->end) {
        tx_frames(b->s, b->l->batch, b->end);
        sent(b, b->s);
    }
    b->s = NULL;
    b->end = 0;
}

/* --- into the queue --- */

struct queueing {
    struct send_batch *b;
    struct link_peer *peer;
    uint32_t flow;
};

/* Takes p. */
static void queue_packet(const struct queueing *q, struct fq_packet *p)
{
    p->flow = q->flow;
    unsigned dropped = fq_push(q->peer->queue, p, q->b->now_ns);
    q->peer->dropped += dropped;
    for (; dropped; dropped--)
        link_count(q->b->l, LINK_COUNT_QUEUE_DROP);
}

static bool have_queue(struct link *l, struct link_peer *peer)
{
    if (!peer->queue)
        peer->queue = fq_new(&l->pool, fq_limit_for(0));
    return peer->queue != NULL;
}

static void queue_lost(struct link *l, struct link_peer *peer)
{
    peer->dropped++;
    link_count(l, LINK_COUNT_QUEUE_DROP);
}

static void queue_piece(void *arg, const uint8_t *head, size_t head_size, const uint8_t *payload,
    size_t payload_size, uint16_t mss)
{
    const struct queueing *q = arg;
    struct fq_packet *p = fq_packet_new(head_size + payload_size);
    if (!p) {
        queue_lost(q->b->l, q->peer);
        return;
    }
    p->kind = mss ? LINK_TCP6 : LINK_PACKET;
    p->mss = mss;
    memcpy(p->bytes + FQ_HEADROOM, head, head_size);
    memcpy(p->bytes + FQ_HEADROOM + head_size, payload, payload_size);
    queue_packet(q, p);
}

/* The packet that was just read leaves with its memory; NULL: there is none for the next one. */
static struct fq_packet *take_reading(struct link *l, size_t size, uint16_t mss)
{
    struct fq_packet *next = fq_packet_new(LINK_PACKET_MAX + 1), *p = l->reading;
    if (!next)
        return NULL;
    l->reading = next;
    p->size = (uint32_t)size;
    p->kind = mss ? LINK_TCP6 : LINK_PACKET;
    p->mss = mss;
    return p;
}

/* --- one packet --- */

struct packet {
    uint8_t *bytes; /* in link.reading */
    size_t size;
    uint16_t mss;      /* 0: not a super-packet */
    unsigned segments; /* at most so many in one piece; 0: as it is */
};

/* What the kernel left to us: checksums, and super-packets nobody else can take.  A LINK_COUNT_ or
 * LINK_OK. */
static int prepare(struct packet *p, const struct virtio_net_hdr *head)
{
    uint8_t type = head->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    p->mss = 0;
    p->segments = 0;
    if (p->size < LINK_IP6_HEAD || p->bytes[0] >> 4 != 6)
        return LINK_COUNT_TUN_NOT_IP6;
    if (type == VIRTIO_NET_HDR_GSO_NONE) {
        if ((head->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
            !link_finish_checksum(p->bytes, p->size, head))
            return LINK_COUNT_TUN_NOT_IP6;
        return LINK_OK;
    }
    if (!head->gso_size || (type != VIRTIO_NET_HDR_GSO_TCPV6 && type != VIRTIO_NET_HDR_GSO_UDP_L4))
        return LINK_COUNT_TUN_NOT_IP6;
    p->mss = head->gso_size;
    /* others refuse what is not worth it (link_check_packet): cut here */
    if (type == VIRTIO_NET_HDR_GSO_UDP_L4 || p->mss < LINK_MSS_MIN ||
        p->size > (size_t)p->mss * LINK_SEGMENTS_MAX || p->size <= LINK_IP6_HEAD + 60u + p->mss)
        p->segments = 1;
    return LINK_OK;
}

/* Super-packets last no longer than a few ms on this path. */
static void limit_piece(struct packet *p, const struct link_session *s)
{
    if (!p->mss || p->segments || !s || !s->tx.piece_max || p->size <= s->tx.piece_max)
        return;
    p->segments = s->tx.piece_max / p->mss;
    if (p->segments == 0)
        p->segments = 1;
}

/* Sealed and sent at once: nothing waits in front of it. */
static void send_now(struct send_batch *b, const struct packet *p, struct link_session *s)
{
    struct link *l = b->l;
    bool big = p->size >= BIG_PACKET;
    if (b->s != s || big || b->end + LINK_HEADROOM + p->size + LINK_TAG > LINK_BATCH_SIZE)
        batch_flush(b); /* keeps the order */
    s->peer->tx_bytes += p->size;
    s->peer->tx_packets++;
    if (big) {
        struct fq_packet *taken = take_reading(l, p->size, p->mss);
        if (!taken) {
            queue_lost(l, s->peer);
            return;
        }
        tx_packet(s, taken);
        sent(b, s);
        return;
    }
    uint8_t *frame = l->batch + b->end;
    memcpy(frame + LINK_HEADROOM, p->bytes, p->size);
    tx_keep(
        s->peer, p->mss ? LINK_TCP6 : LINK_PACKET, p->mss, p->bytes, p->size, b->now_ns / 1000000);
    b->end += tx_seal(s, frame, p->mss ? LINK_TCP6 : LINK_PACKET, p->mss, p->size);
    b->s = s;
    s->tx.used += p->size;
    if (b->end >= SMALL_FLUSH)
        batch_flush(b);
}

static void queue_whole(const struct queueing *q, const struct packet *p)
{
    struct fq_packet *taken = p->size >= BIG_PACKET ? take_reading(q->b->l, p->size, p->mss) : NULL;
    if (taken)
        queue_packet(q, taken);
    else
        queue_piece((void *)(uintptr_t)q, p->bytes, LINK_IP6_HEAD, p->bytes + LINK_IP6_HEAD,
            p->size - LINK_IP6_HEAD, p->mss);
}

static void want_session(struct link *l, struct link_peer *peer)
{
    if (peer->data || peer->want)
        return;
    peer->want = true;
    atomic_store(&l->look_at_wants, true);
    link_wake(l);
}

static void send_packet(struct send_batch *b, struct packet *p)
{
    struct link *l = b->l;
    struct link_peer *peer = peers_route(l, p->bytes + 24);
    if (!peer || peer->no_data) {
        link_count(l, LINK_COUNT_TUN_NO_PEER);
        return;
    }
    struct link_session *s = peer->data;
    if (demands_bar(l, p->bytes, s)) {
        link_count(l, LINK_COUNT_TUN_BARRED);
        answer_prohibited(l, peer, p->bytes, p->size, b->now_ns / 1000000);
        want_session(l, peer);
        return;
    }
    limit_piece(p, s);
    if (s && !p->segments && !s->tx.blocked && !tx_waiting(s) && !fq_bytes(peer->queue)) {
        send_now(b, p, s);
        return;
    }
    struct queueing q = {b, peer, fq_flow_of(p->bytes, p->size, (uint32_t)l->dest_seed)};
    if (b->s == s)
        batch_flush(b); /* keeps the order */
    if (!s && (answer_unreachable(l, peer, p->bytes, p->size, b->now_ns / 1000000) ||
                  fq_bytes(peer->queue) + p->size > WAITING_BYTES))
        queue_lost(l, peer);
    else if (!have_queue(l, peer))
        queue_lost(l, peer);
    else if (!p->segments)
        queue_whole(&q, p);
    else if (!link_segment(p->bytes, p->size, p->mss, p->segments, queue_piece, &q))
        link_count(l, LINK_COUNT_TUN_TOO_LONG);
    if (s)
        tx_drain(s);
    else
        want_session(l, peer);
}

/* aside: the sender's thread lets the receiver go first. */
static void read_tun(struct link *l, bool aside)
{
    struct send_batch b = {.l = l, .now_ns = clock_mono_ns()};
    size_t bytes = 0;
    for (int i = 0; i < READ_PACKETS && bytes < READ_BYTES && l->tun >= 0; i++) {
        struct virtio_net_hdr head;
        struct packet p = {.bytes = l->reading->bytes + FQ_HEADROOM};
        long n = tun_read(l, &head, p.bytes, LINK_PACKET_MAX + 1);
        if (n == -1)
            break;
        p.size = n > 0 ? (size_t)n : 0;
        bytes += p.size;
        link_count(l, LINK_COUNT_TUN_RX);
        int why = n == -2 ? LINK_COUNT_TUN_TOO_LONG : prepare(&p, &head);
        if (why == LINK_OK)
            send_packet(&b, &p);
        else
            link_count(l, why);
        if (!l->tun_nonblocking ||
            (aside && atomic_load_explicit(&l->waiting, memory_order_relaxed)))
            break;
    }
    batch_flush(&b);
}

/* --- turns --- */

static void on_events(struct link *l, const struct epoll_event *events, int count, bool aside)
{
    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == LINK_TAG_TUN) {
            read_tun(l, aside);
            continue;
        }
        struct link_session *s = link_session_by_tag(l, events[i].data.u64);
        if (!s || !tx_drain(s))
            continue;
        /* more than its share: edge-triggered, so ask for another event behind the others */
        struct epoll_event ev = {.events = EPOLLOUT | EPOLLET, .data.u64 = link_tag_of(s)};
        epoll_ctl(l->send_epoll, EPOLL_CTL_MOD, s->fd, &ev);
    }
}

void link_sender_turn(struct link *l)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(l->send_epoll, events, EVENTS, 0);
    link_lock(l);
    on_events(l, events, n, false);
    link_unlock(l);
}

void *link_sender_main(void *arg)
{
    struct link *l = arg;
    pthread_barrier_wait(&l->started);
    for (;;) {
        pthread_mutex_lock(&l->lock);
        while (!l->share.two)
            pthread_cond_wait(&l->share.begin, &l->lock);
        pthread_mutex_unlock(&l->lock);
        struct epoll_event events[EVENTS];
        int n = epoll_wait(l->send_epoll, events, EVENTS, -1);
        clan_assert(n >= 0 || errno == EINTR);
        pthread_mutex_lock(&l->lock);
        while (atomic_load(&l->waiting)) /* the receiver goes first */
            pthread_cond_wait(&l->turn, &l->lock);
        on_events(l, events, n, true);
        pthread_mutex_unlock(&l->lock);
    }
    return NULL;
}
