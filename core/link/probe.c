/* Timers of sessions: handshakes that take too long, strangers, keep-alives, probes, rekeying. */
#include "probe.h"

#include "core.h"
#include "rekey.h"
#include "session.h"
#include "sock.h"
#include "tx.h"

#include "base/buf.h"
#include "base/clock.h"

#include <string.h>

#define TICK_ASKING_MS 25
#define TICK_FAST_MS   50
#define TICK_MS        250
#define TICK_IDLE_MS   1000
#define BUSY_MS        2000
#define REPLACED_MS    1000
#define PONGS_WAIT_MAX (64u * 1024)

/* --- round trips --- */

void probe_ping(struct link_session *s, const uint8_t *body, size_t size)
{
    if (size != 8 || tx_waiting(s) > PONGS_WAIT_MAX) /* who does not read gets no answers */
        return;
    tx_record(s, LINK_PONG, body, size);
}

/* Preferred to the path in use: core hears how it answers, and moves the packets there. */
static bool on_trial(const struct link_session *s)
{
    return link_session_spare(s) && s->peer->data && s->rank < s->peer->data->rank;
}

void probe_pong(struct link_session *s, const uint8_t *body, size_t size)
{
    struct buf_reader r = buf_reader_of(body, size);
    uint64_t sent_ns = buf_get_u64(&r), now_ns = clock_mono_ns();
    if (!buf_done(&r) || sent_ns > now_ns || now_ns - sent_ns > 60000000000ull)
        return;
    uint32_t us = (uint32_t)((now_ns - sent_ns) / 1000);
    s->rtt_us = s->rtt_us ? (s->rtt_us * 7 + us) / 8 : us;
    /* under load round trips grow: the slowest lately decides when a peer is dead */
    s->rtt_max_us = us > s->rtt_max_us ? us : s->rtt_max_us - s->rtt_max_us / 16;
    if (!on_trial(s))
        return;
    clan_link_Answered *m = &s->link->from.m.answered;
    memset(m, 0, sizeof *m);
    s->link->from.which_m = clan_link_FromLink_answered_tag;
    m->session = s->number;
    m->rtt_us = us ? us : 1;
    link_report(s->link);
}

/* --- dead or alive --- */

static bool is_ip(const struct link_session *s)
{
    static const uint8_t none[16];
    return memcmp(s->remote, none, 16) != 0;
}

/* The transport still gets bytes through: slow is not dead.  *ret_rtt_us: its own measurement, or 0. */
static bool progress(struct link_session *s, uint32_t *ret_rtt_us)
{
    uint64_t acked;
    bool backlog;
    *ret_rtt_us = 0;
    if (!sock_acked(s->fd, &acked, &backlog, ret_rtt_us)) {
        acked = s->tx.bytes;
        backlog = tx_waiting(s) > 0;
    }
    bool moved = acked != s->acked;
    s->acked = acked;
    return moved && backlog;
}

static void send_ping(struct link_session *s, uint64_t now_ms)
{
    static const uint8_t pad[LINK_PAD_SIZE];
    uint8_t body[8];
    uint32_t rtt_us;
    struct buf_writer w = buf_writer_of(body, sizeof body);
    buf_put_u64(&w, clock_mono_ns());
    if (!s->ping_ms) {
        progress(s, &rtt_us); /* what was acknowledged before this is no answer to it */
        s->asked_ms = now_ms;
    }
    s->ping_ms = now_ms;
    if (on_trial(s)) /* a stream keeps order: who answers has got this, too */
        tx_record(s, LINK_PAD, pad, sizeof pad);
    tx_record(s, LINK_PING, body, sizeof body);
}

/* What ended one session of a peer likely ended the others: ask them now, not at their next
 * keep-alive. */
static void doubt(struct link *l, const struct link_peer *peer, uint64_t now_ms)
{
    for (unsigned i = 0; peer && i < LINK_SESSIONS_MAX; i++) {
        struct link_session *s = l->slots[i];
        if (s && s->peer == peer && s->state == LINK_UP && !s->ping_ms)
            send_ping(s, now_ms);
    }
}

void probe_doubt(struct link_session *s)
{
    link_lock(s->link);
    if (s->state == LINK_UP && !s->ping_ms)
        send_ping(s, clock_mono_ms());
    link_unlock(s->link);
}

/* A path on trial is asked each second, whatever else is heard on it. */
static bool trial_due(struct link_session *s, uint64_t now_ms)
{
    if (s->ping_ms || !on_trial(s) ||
        (s->trial_ms && link_since(now_ms, s->trial_ms) < LINK_TRIAL_MS))
        return false;
    s->trial_ms = now_ms;
    return true;
}

static uint64_t most(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static bool carries(const struct link_session *s)
{
    return s->peer && s->peer->data == s;
}

/* A spare answered while this one does not: whatever holds this one up, it is not the peer. */
static bool another_lives(const struct link_session *s)
{
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++) {
        const struct link_session *o = s->link->slots[i];
        if (o && o->peer == s->peer && link_session_spare(o) && !o->tx.broken &&
            o->rx.last_ms >= s->asked_ms)
            return true;
    }
    return false;
}

/* So long it may be silent, since it was asked first, before it is given up. */
static uint64_t patience_ms(const struct link_session *s, uint32_t transport_rtt_us)
{
    uint64_t rtt_us = most(most(s->rtt_us, s->rtt_max_us), transport_rtt_us);
    uint64_t least = !is_ip(s)                       ? LINK_SLOW_DEAD_MS
                     : !carries(s)                   ? LINK_SPARE_DEAD_MS
                     : s->missed && another_lives(s) ? LINK_LEAVE_MS
                                                     : LINK_DEAD_MS;
    return most(3 * rtt_us / 1000, least);
}

/* Nothing was heard since the last ping, which was a while ago. */
static void unanswered(struct link_session *s, uint64_t now_ms)
{
    struct link *l = s->link;
    struct link_peer *peer = s->peer;
    uint32_t rtt_us;
    uint64_t silent_ms = link_since(now_ms, s->asked_ms);
    bool excused = progress(s, &rtt_us) && silent_ms < most(LINK_EXCUSED_MS, 4ull * rtt_us / 1000);
    if (!excused)
        s->missed++;
    if (s->missed >= LINK_PROBES_MISSED && silent_ms >= patience_ms(s, rtt_us)) {
        link_session_close(s, clan_link_Reason_REASON_DEAD);
        doubt(l, peer, now_ms);
        return;
    }
    send_ping(s, now_ms);
    if (carries(s))
        doubt(l, peer, now_ms);
}

static bool probe_due(struct link_session *s, uint64_t now_ms)
{
    uint64_t heard = s->rx.last_ms, quiet = link_since(now_ms, heard);
    uint64_t idle = link_session_spare(s) ? LINK_SPARE_MS : LINK_KEEPALIVE_MS;
    uint64_t first =
        carries(s) && is_ip(s) ? most(LINK_FIRST_MS, 2 * s->rtt_us / 1000) : LINK_PROBE_MS;
    return trial_due(s, now_ms) || quiet >= (s->tx.last_ms < heard ? idle : first);
}

static void probe(struct link_session *s, uint64_t now_ms)
{
    uint64_t again = carries(s) && is_ip(s) ? LINK_AGAIN_MS : LINK_PROBE_MS;
    if (s->ping_ms && s->rx.last_ms >= s->ping_ms)
        s->ping_ms = s->asked_ms = s->missed = 0;
    if (!s->ping_ms) {
        if (probe_due(s, now_ms))
            send_ping(s, now_ms);
    } else if (link_since(now_ms, s->ping_ms) >= again) {
        unanswered(s, now_ms);
    }
}

/* --- timers --- */

static void not_up_yet(struct link_session *s, uint64_t now_ms)
{
    bool joiner = s->dialed && s->purpose == clan_link_Purpose_PURPOSE_DOOR;
    if (s->state == LINK_WAITING ||
        link_since(now_ms, s->since_ms) < (joiner ? LINK_DOOR_DIAL_MS : WIRE_HANDSHAKE_MS))
        return;
    link_count(s->link, LINK_COUNT_HANDSHAKE_TIMEOUT);
    link_session_close(s, clan_link_Reason_REASON_TIMEOUT);
}

static void flushing(struct link_session *s, uint64_t now_ms)
{
    bool replaced = s->reason == clan_link_Reason_REASON_REPLACED;
    uint64_t limit = replaced ? REPLACED_MS : LINK_FLUSH_MS;
    if ((!replaced && tx_waiting(s) == 0) || s->tx.broken ||
        link_since(now_ms, s->since_ms) > limit)
        link_session_close(s, s->reason);
}

static int session_tick(struct link_session *s, uint64_t now_ms)
{
    if (s->state == LINK_FLUSHING) {
        flushing(s, now_ms);
        return TICK_FAST_MS;
    }
    if (s->state != LINK_UP) {
        not_up_yet(s, now_ms);
        return TICK_FAST_MS;
    }
    if (s->tx.broken) {
        link_session_close(s, clan_link_Reason_REASON_IO);
        return TICK_FAST_MS;
    }
    if (s->stranger && link_since(now_ms, s->since_ms) > WIRE_STRANGER_MS) {
        link_count(s->link, LINK_COUNT_STRANGER_LIMIT);
        link_session_close(s, clan_link_Reason_REASON_LIMIT);
        return TICK_FAST_MS;
    }
    tx_tick(s, now_ms);
    if (carries(s))
        tx_keep_tick(s->peer, now_ms);
    rekey_tick(s, now_ms);
    if (s->state == LINK_UP)
        probe(s, now_ms);
    if (s->state == LINK_UP && s->ping_ms && carries(s))
        return TICK_ASKING_MS;
    if (s->state != LINK_UP || s->ping_ms || s->stranger)
        return TICK_FAST_MS;
    uint64_t last = s->rx.last_ms > s->tx.last_ms ? s->rx.last_ms : s->tx.last_ms;
    return link_since(now_ms, last) >= BUSY_MS ? TICK_IDLE_MS : carries(s) ? TICK_FAST_MS : TICK_MS;
}

static void report_wants(struct link *l, uint64_t now_ms)
{
    if (!atomic_exchange(&l->look_at_wants, false))
        return;
    for (unsigned i = 0; i < l->peer_count; i++) {
        struct link_peer *p = l->peers[i];
        if (!p->want)
            continue;
        p->want = false;
        if (p->data || (p->wanted_ms && link_since(now_ms, p->wanted_ms) < 1000))
            continue;
        p->wanted_ms = now_ms;
        memcpy(l->from.m.want.address, p->from[0], 16);
        l->from.which_m = clan_link_FromLink_want_tag;
        link_report(l);
    }
}

int probe_tick(struct link *l, uint64_t now_ms)
{
    int next = -1;
    unsigned left = l->session_count;
    link_lock(l);
    report_wants(l, now_ms);
    for (unsigned i = 0; i < LINK_SESSIONS_MAX && left; i++) {
        struct link_session *s = l->slots[i];
        if (!s)
            continue;
        left--;
        int t = session_tick(s, now_ms);
        if (next < 0 || t < next)
            next = t;
    }
    atomic_store(&l->slow_tick, next < 0 || next > TICK_MS);
    link_unlock(l);
    return next;
}
