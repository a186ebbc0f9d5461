/* The send side of a stream: records, what the socket did not take, the rate of the path. */
#include "tx.h"

#include "sock.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define DRAIN_PACKETS  16
#define DRAIN_BYTES    (64u * 1024)
#define DRAIN_ROUNDS   8
#define RATE_FRESH_MS  10000
#define RATE_WINDOW_NS 50000000ull
#define RATE_SAMPLE_NS 100000000ull

size_t tx_waiting(const struct link_session *s)
{
    return s->tx.out.end - s->tx.out.from;
}

/* --- the rate of the path, measured while the socket is full --- */

static void use_rate(struct link_session *s, uint64_t rate_bps)
{
    struct link_tx *tx = &s->tx;
    tx->rate_bps = rate_bps;
    uint64_t piece = rate_bps / 8 * LINK_PIECE_MS / 1000;
    tx->piece_max = rate_bps < LINK_SLOW_BPS ? 1 : (uint32_t)(piece < 65536 ? piece : 0);
    /* 20 ms of the path wait in the kernel, not 128 KiB of it */
    uint64_t notsent = rate_bps / 8 / 50;
    if (notsent > LINK_NOTSENT)
        notsent = LINK_NOTSENT;
    sock_set_notsent(s->fd, notsent < 4096 ? 4096 : (uint32_t)notsent);
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
}

/* --- what the socket did not take --- */

static uint8_t *out_room(struct link_out *o, size_t size)
{
    if (o->from == o->end)
        o->from = o->end = 0;
    if (o->cap - o->end < size && o->from) {
        memmove(o->bytes, o->bytes + o->from, o->end - o->from);
        o->end -= o->from;
        o->from = 0;
    }
    if (o->cap - o->end < size) {
        size_t cap = (o->end + size + 4095) & ~(size_t)4095;
        uint8_t *bytes = malloc(cap); /* no realloc: mremap is not among link's calls */
        if (!bytes)
            return NULL;
        if (o->end)
            memcpy(bytes, o->bytes, o->end);
        free(o->bytes);
        o->bytes = bytes;
        o->cap = cap;
    }
    return o->bytes + o->end;
}

static void out_release(struct link_out *o)
{
    if (o->from != o->end)
        return;
    free(o->bytes);
    memset(o, 0, sizeof *o);
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

static void flush(struct link_session *s)
{
    struct link_out *o = &s->tx.out;
    s->tx.blocked = false;
    while (o->from < o->end && !s->tx.blocked) {
        struct iovec iov = {o->bytes + o->from, o->end - o->from};
        o->from += send_now(s, &iov, 1, iov.iov_len);
    }
    out_release(o);
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
        s->tx.out.end += rest;
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
    s->tx.out.end += frame;
    if (kind == LINK_CONTROL) { /* pings and pongs ask for nothing in return */
        s->tx.last_ms = clock_mono_ms();
        s->tx.used += size;
    }
    if (!was_blocked)
        flush(s);
    return true;
}

void tx_new_key(struct link_session *s, struct aead *key, uint8_t type)
{
    aead_free(s->tx.key);
    s->tx.key = key;
    s->tx.type = type;
    s->tx.used = 0;
}

/* --- the queue in front --- */

/* Seals and sends up to DRAIN_PACKETS of the queue at once; false: it was empty. */
static bool drain_some(struct link_session *s)
{
    struct fq_packet *packets[DRAIN_PACKETS];
    struct iovec iov[DRAIN_PACKETS];
    size_t count = 0, bytes = 0;
    uint64_t now_ns = clock_mono_ns();
    while (count < DRAIN_PACKETS && bytes < DRAIN_BYTES) {
        unsigned dropped;
        struct fq_packet *p = fq_pop(s->peer->queue, now_ns, &dropped);
        s->peer->dropped += dropped;
        for (; dropped; dropped--)
            link_count(s->link, LINK_COUNT_QUEUE_DROP);
        if (!p)
            break;
        size_t frame = tx_seal(s, p->bytes, p->kind, p->mss, p->size);
        packets[count] = p;
        iov[count++] = (struct iovec){p->bytes, frame};
        bytes += frame;
        s->tx.used += p->size;
        s->peer->tx_bytes += p->size;
        s->peer->tx_packets++;
    }
    if (count) {
        send_or_keep(s, iov, count);
        s->tx.last_ms = now_ns / 1000000;
        tx_sample(s, now_ns);
    }
    for (size_t i = 0; i < count; i++)
        free(packets[i]);
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
