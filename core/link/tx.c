/* The send side of a stream: records, what the socket did not take, the rate of the path. */
#include "tx.h"

#include "demands.h"
#include "resend.h"
#include "sock.h"

#include "base/clock.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK          4096 /* small records that wait share one */
#define DRAIN_PACKETS  16
#define DRAIN_BYTES    (64u * 1024)
#define DRAIN_ROUNDS   8
#define RATE_FRESH_MS  10000
#define RATE_WINDOW_NS 50000000ull
#define RATE_SAMPLE_NS 100000000ull

size_t tx_waiting(const struct link_session *s)
{
    return s->tx.out.bytes;
}

/* --- the rate of the path, measured while the socket is full --- */

static uint64_t between(uint64_t least, uint64_t value, uint64_t most)
{
    return value < least ? least : value < most ? value : most;
}

static void use_rate(struct link_session *s, uint64_t rate_bps)
{
    struct link_tx *tx = &s->tx;
    tx->rate_bps = rate_bps;
    uint64_t piece = rate_bps / 8 * LINK_PIECE_MS / 1000;
    tx->piece_max = rate_bps < LINK_SLOW_BPS ? 1 : (uint32_t)(piece < 65536 ? piece : 0);
    /* 20 ms of a slow path wait in the kernel, not 128 KiB of it; 2 ms of a fast one */
    uint64_t slow = between(4096, rate_bps / 8 / 50, LINK_NOTSENT);
    sock_set_notsent(s->fd, (uint32_t)between(slow, rate_bps / 8 / 500, LINK_NOTSENT_FAST));
    /* less than CoDel's target of a fast path: drops where nothing waits long */
    if (s->peer && s->peer->data == s)
        fq_set_limit(s->peer->queue, fq_limit_for(rate_bps));
}

static void measure(struct link_session *s, size_t sent, bool full)
{
    struct link_tx *tx = &s->tx;
    if (!full && tx->busy_since_ns == 0)
        return;
    uint64_t now_ns = clock_mono_ns();
    tx->busy_bytes += sent;
    if (tx->busy_since_ns && (!full || now_ns - tx->busy_since_ns < RATE_WINDOW_NS))
        return;
    if (tx->busy_since_ns) {
        uint64_t rate = tx->busy_bytes * 8 * 1000000 / ((now_ns - tx->busy_since_ns) / 1000);
        use_rate(s, tx->rate_bps ? (tx->rate_bps * 3 + rate) / 4 : rate);
        tx->measured_ms = now_ns / 1000000;
    }
    tx->busy_since_ns = now_ns;
    tx->busy_bytes = 0;
}

void tx_sample(struct link_session *s, uint64_t now_ns)
{
    struct link_tx *tx = &s->tx;
    if (now_ns - tx->sampled_ns < RATE_SAMPLE_NS)
        return;
    tx->sampled_ns = now_ns;
    uint64_t rate = tx->busy_since_ns ? 0 : sock_delivery_bps(s->fd); /* else it is measured here */
    if (!rate)
        return;
    use_rate(s, tx->rate_bps ? (tx->rate_bps * 3 + rate) / 4 : rate);
    tx->measured_ms = now_ns / 1000000;
}

void tx_tick(struct link_session *s, uint64_t now_ms)
{
    struct link_tx *tx = &s->tx;
    if (!tx->rate_bps || link_since(now_ms, tx->measured_ms) < RATE_FRESH_MS || tx->blocked)
        return;
    tx->rate_bps = 0;
    tx->piece_max = 0;
    sock_for_purpose(s->fd, s->purpose);
    if (s->peer && s->peer->data == s)
        fq_set_limit(s->peer->queue, fq_limit_for(0));
    malloc_trim(0); /* what queues needed */
}

/* --- what the socket did not take --- */

static void out_add(struct link_out *o, struct fq_packet *block)
{
    block->next = NULL;
    if (o->last)
        o->last->next = block;
    else
        o->first = block;
    o->last = block;
    o->bytes += block->size;
}

/* Room for size bytes at the end of what waits; out_grow() says how many came.  NULL: out of
 * memory. */
static uint8_t *out_room(struct link_out *o, size_t size)
{
    struct fq_packet *p = o->last;
    if (!p || FQ_HEADROOM + p->room + FQ_TAILROOM - p->size < size) {
        p = fq_packet_new(size < BLOCK ? BLOCK : size);
        if (!p)
            return NULL;
        p->size = 0;
        out_add(o, p);
    }
    return p->bytes + p->size;
}

static void out_grow(struct link_out *o, size_t size)
{
    o->last->size += (uint32_t)size;
    o->bytes += size;
}

static void out_drop_first(struct link_out *o)
{
    struct fq_packet *p = o->first;
    o->first = p->next;
    if (!o->first)
        o->last = NULL;
    o->bytes -= p->size - p->from;
    free(p);
}

void tx_forget(struct link_session *s)
{
    while (s->tx.out.first)
        out_drop_first(&s->tx.out);
}

/* One sendmsg; keeps the account.  Bytes taken. */
static size_t send_now(struct link_session *s, const struct iovec *iov, size_t count, size_t size)
{
    struct link_tx *tx = &s->tx;
    long n = tx->broken ? -1 : sock_send(s->fd, iov, count);
    if (n < 0) { /* the receiver sees the end of the stream and closes the session */
        tx->broken = true;
        return size;
    }
    tx->bytes += (uint64_t)n;
    tx->blocked = (size_t)n < size;
    if (tx->blocked || tx->busy_since_ns)
        measure(s, (size_t)n, tx->blocked);
    return (size_t)n;
}

/* What was sent leaves; an emptied block goes. */
static void out_sent(struct link_out *o, size_t bytes)
{
    while (o->first) {
        struct fq_packet *p = o->first;
        size_t some = p->size - p->from < bytes ? p->size - p->from : bytes;
        p->from += (uint32_t)some;
        o->bytes -= some;
        bytes -= some;
        if (p->from < p->size)
            return;
        out_drop_first(o);
    }
}

static void flush(struct link_session *s)
{
    struct link_out *o = &s->tx.out;
    s->tx.blocked = false;
    while (o->first && !s->tx.blocked) {
        struct iovec iov[DRAIN_PACKETS];
        size_t count = 0, size = 0;
        for (struct fq_packet *p = o->first; p && count < DRAIN_PACKETS; p = p->next) {
            iov[count++] = (struct iovec){p->bytes + p->from, p->size - p->from};
            size += p->size - p->from;
        }
        out_sent(o, send_now(s, iov, count, size));
    }
}

/* Sends pieces that lie apart; the rest of them waits. */
static void send_or_keep(struct link_session *s, const struct iovec *iov, size_t count)
{
    size_t size = 0, sent = 0;
    for (size_t i = 0; i < count; i++)
        size += iov[i].iov_len;
    if (!s->tx.blocked && tx_waiting(s) == 0)
        sent = send_now(s, iov, count, size);
    for (size_t i = 0; i < count; i++) {
        size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;
        size_t rest = iov[i].iov_len - skip;
        sent -= skip;
        if (!rest)
            continue;
        uint8_t *room = out_room(&s->tx.out, rest);
        if (!room) { /* a hole in the stream cannot be sent around */
            s->tx.broken = true;
            return;
        }
        memcpy(room, (const uint8_t *)iov[i].iov_base + skip, rest);
        out_grow(&s->tx.out, rest);
    }
}

void tx_frames(struct link_session *s, const uint8_t *frames, size_t size)
{
    struct iovec iov = {(void *)(uintptr_t)frames, size};
    send_or_keep(s, &iov, 1);
}

void tx_raw(struct link_session *s, const uint8_t *data, size_t size)
{
    tx_frames(s, data, size);
}

/* --- frames and records --- */

static void put_head(uint8_t *p, size_t length, uint8_t type)
{
    p[0] = (uint8_t)(length >> 8);
    p[1] = (uint8_t)length;
    p[2] = type;
    p[3] = 0;
}

void tx_handshake(struct link_session *s, const uint8_t *message, size_t size)
{
    uint8_t head[LINK_FRAME_HEAD];
    put_head(head, size, LINK_FRAME_HANDSHAKE);
    struct iovec iov[2] = {{head, sizeof head}, {(void *)(uintptr_t)message, size}};
    send_or_keep(s, iov, 2);
}

size_t tx_seal(struct link_session *s, uint8_t *frame, uint8_t kind, uint16_t mss, size_t size)
{
    uint8_t *record = frame + LINK_FRAME_HEAD;
    record[0] = kind;
    record[1] = 0;
    record[2] = (uint8_t)(mss >> 8);
    record[3] = (uint8_t)mss;
    put_head(frame, LINK_RECORD_HEAD + size + LINK_TAG, s->tx.type);
    if (!s->tx.key || !aead_seal(s->tx.key, NULL, 0, record, LINK_RECORD_HEAD + size)) {
        s->tx.broken = true;
        return 0;
    }
    return LINK_HEADROOM + size + LINK_TAG;
}

bool tx_record(struct link_session *s, uint8_t kind, const void *body, size_t size)
{
    uint8_t *room = out_room(&s->tx.out, LINK_HEADROOM + size + LINK_TAG);
    if (!room)
        return false;
    if (size)
        memcpy(room + LINK_HEADROOM, body, size);
    size_t frame = tx_seal(s, room, kind, 0, size);
    if (!frame)
        return false;
    bool was_blocked = s->tx.blocked;
    out_grow(&s->tx.out, frame);
    if (kind == LINK_CONTROL) { /* pings and pongs ask for nothing in return */
        s->tx.last_ms = clock_mono_ms();
        s->tx.used += size;
    }
    if (!was_blocked)
        flush(s);
    return true;
}

/* --- once more --- */

void tx_keep(struct link_peer *p, uint8_t kind, uint16_t mss, const uint8_t *packet, size_t size,
    uint64_t now_ms)
{
    if (!p->again && !(p->again = resend_new()))
        return;
    resend_keep(p->again, kind, mss, packet, size, now_ms);
}

void tx_keep_tick(struct link_peer *p, uint64_t now_ms)
{
    if (!p->again || !resend_idle(p->again, now_ms))
        return;
    resend_free(p->again);
    p->again = NULL;
}

void tx_again(struct link_session *s, uint64_t since_ms)
{
    static uint8_t packet[RESEND_PACKET_MAX];
    uint8_t kind;
    uint16_t mss;
    uint64_t kept_ms;
    size_t size;
    while ((size = resend_pop(s->peer->again, packet, &kind, &mss, &kept_ms))) {
        if (kept_ms < since_ms || demands_bar(s->link, packet, s))
            continue;
        uint8_t *room = out_room(&s->tx.out, LINK_HEADROOM + size + LINK_TAG);
        if (!room)
            break;
        memcpy(room + LINK_HEADROOM, packet, size);
        out_grow(&s->tx.out, tx_seal(s, room, kind, mss, size));
    }
    resend_clear(s->peer->again);
    if (!s->tx.blocked)
        flush(s);
}

void tx_new_key(struct link_session *s, struct aead *key, uint8_t type)
{
    aead_free(s->tx.key);
    s->tx.key = key;
    s->tx.type = type;
    s->tx.used = 0;
}

/* --- the queue in front --- */

/* Sealed, it waits behind the others: until flush() only. */
static void seal_packet(struct link_session *s, struct fq_packet *p)
{
    size_t size = p->size;
    p->size = (uint32_t)tx_seal(s, p->bytes, p->kind, p->mss, size);
    p->from = 0;
    s->tx.used += size;
    out_add(&s->tx.out, p);
}

void tx_packet(struct link_session *s, struct fq_packet *p)
{
    seal_packet(s, p);
    flush(s);
}

/* Seals and sends up to DRAIN_PACKETS of the queue at once; false: it was empty. */
static bool drain_some(struct link_session *s)
{
    size_t count = 0;
    uint64_t now_ns = clock_mono_ns();
    while (count < DRAIN_PACKETS && tx_waiting(s) < DRAIN_BYTES) {
        unsigned dropped;
        struct fq_packet *p = fq_pop(s->peer->queue, now_ns, &dropped);
        s->peer->dropped += dropped;
        for (; dropped; dropped--)
            link_count(s->link, LINK_COUNT_QUEUE_DROP);
        if (!p)
            break;
        if (demands_bar(s->link, p->bytes + LINK_HEADROOM, s)) { /* it waited for another path */
            link_count(s->link, LINK_COUNT_TUN_BARRED);
            free(p);
            continue;
        }
        s->peer->tx_bytes += p->size;
        s->peer->tx_packets++;
        if (p->size <= RESEND_PACKET_MAX)
            tx_keep(s->peer, p->kind, p->mss, p->bytes + LINK_HEADROOM, p->size, now_ns / 1000000);
        seal_packet(s, p);
        count++;
    }
    if (count) {
        flush(s);
        s->tx.last_ms = now_ns / 1000000;
        tx_sample(s, now_ns);
    }
    return count > 0;
}

bool tx_drain(struct link_session *s)
{
    flush(s);
    if (s->tx.broken)
        return false;
    bool live = s->state == LINK_UP && s->peer && s->peer->data == s;
    for (int i = 0; i < DRAIN_ROUNDS; i++) {
        if (tx_waiting(s) || s->tx.blocked)
            return false; /* the socket says when it goes on */
        if (!live || !fq_bytes(s->peer->queue)) {
            s->tx.busy_since_ns = 0; /* idle: not what the path can carry */
            return false;
        }
        if (!drain_some(s))
            return false;
    }
    return true;
}
