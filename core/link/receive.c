/* The receiver: units out of the bytes of a stream, and what each record means. */
#include "link.h"

#include "core.h"
#include "demands.h"
#include "handshake.h"
#include "packet.h"
#include "probe.h"
#include "rekey.h"
#include "session.h"
#include "sock.h"
#include "tun.h"
#include "tx.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS      64
#define RECV_ROUNDS 4

static void protocol_error(struct link_session *s, int counter)
{
    link_count(s->link, counter);
    link_session_close(s, clan_link_Reason_REASON_PROTOCOL);
}

/* --- records --- */

/* Together: a program that waits for them wakes once and answers once. */
static void write_arrived(struct link *l)
{
    for (unsigned i = 0; i < l->arrived_count; i++)
        tun_write(l, &l->arrived[i].head, l->arrived[i].packet, l->arrived[i].size);
    l->arrived_count = 0;
}

static void on_packet(
    struct link_session *s, uint8_t kind, uint16_t mss, uint8_t *packet, size_t size)
{
    struct link *l = s->link;
    struct link_peer *p = s->peer;
    struct virtio_net_hdr head;
    const struct link_rules rules = {
        .own = (const uint8_t(*)[16])l->own,
        .own_count = l->own_count,
        .from = (const uint8_t(*)[16])p->from,
        .from_count = p->from_count,
        .reachable = (const uint8_t(*)[16])p->reachable,
        .reachable_count = p->reachable_count,
        .restricted = p->restricted,
        .no_data = p->no_data,
        .mtu = l->mtu,
    };
    int why = link_check_packet(&rules, kind, mss, packet, size, &head);
    if (why == LINK_OK && demands_bar(l, packet, s))
        why = LINK_COUNT_PEER_BARRED;
    if (why != LINK_OK) {
        link_count(l, why);
        return;
    }
    p->rx_bytes += size;
    p->rx_packets++;
    l->arrived[l->arrived_count++] = (struct link_arrived){head, packet, size};
    if (l->arrived_count == LINK_ARRIVED_MAX)
        write_arrived(l);
}

static void on_control(struct link_session *s, const uint8_t *data, size_t size)
{
    struct link *l = s->link;
    if (size > WIRE_CONTROL_MAX) {
        protocol_error(s, LINK_COUNT_PEER_BAD_HEAD);
        return;
    }
    if (s->stranger && (s->stranger_bytes += size) > WIRE_STRANGER_BYTES) {
        link_count(l, LINK_COUNT_STRANGER_LIMIT);
        link_session_close(s, clan_link_Reason_REASON_LIMIT);
        return;
    }
    clan_link_Recv *recv = &l->from.m.recv;
    l->from.which_m = clan_link_FromLink_recv_tag;
    recv->session = s->number;
    recv->data.size = (pb_size_t)size;
    memcpy(recv->data.bytes, data, size);
    link_report(l);
}

/* Everything but packets: rare, so it may wait for the sender. */
static void on_other(struct link_session *s, uint8_t kind, uint8_t *body, size_t size)
{
    link_lock(s->link);
    if (kind == LINK_PING)
        probe_ping(s, body, size);
    else if (kind == LINK_PONG)
        probe_pong(s, body, size);
    link_unlock(s->link);
    switch (kind) {
    case LINK_PING:
    case LINK_PONG:
        link_watch(s);
        break;
    case LINK_CONTROL:
        on_control(s, body, size);
        break;
    case LINK_REKEY_1:
    case LINK_REKEY_2:
        rekey_message(s, kind, body, size);
        break;
    case LINK_LEFT:
        if (!link_session_left(s, body, size))
            link_count(s->link, LINK_COUNT_PEER_BAD_HEAD);
        break;
    case LINK_PAD:
        break;
    case LINK_CLOSE:
        link_session_close(
            s, s->state == LINK_FLUSHING ? s->reason : clan_link_Reason_REASON_CLOSED);
        break;
    default:
        link_count(s->link, LINK_COUNT_PEER_BAD_HEAD); /* a later version's: not for us */
        break;
    }
}

/* An opened record: its head says what it is. */
static void on_record(struct link_session *s, uint8_t *record, size_t size)
{
    bool link = s->purpose == clan_link_Purpose_PURPOSE_LINK;
    uint8_t kind = record[0], *body = record + LINK_RECORD_HEAD;
    uint16_t mss = (uint16_t)(record[2] << 8 | record[3]);
    size -= LINK_RECORD_HEAD;
    if (s->state == LINK_CONFIRM) {
        if (kind == LINK_HELLO)
            handshake_hello(s, body, size);
        else
            protocol_error(s, LINK_COUNT_PEER_BAD_HEAD);
        return;
    }
    bool packet = kind == LINK_PACKET || kind == LINK_TCP6;
    if (record[1] != 0 || (packet || kind == LINK_CONTROL ? packet != link : mss != 0)) {
        link_count(s->link, LINK_COUNT_PEER_BAD_HEAD);
        return;
    }
    if (packet)
        on_packet(s, kind, mss, body, size);
    else if (s->state == LINK_UP || kind == LINK_CLOSE)
        on_other(s, kind, body, size);
}

static void on_sealed(struct link_session *s, uint8_t slot, uint8_t *record, size_t size)
{
    struct link_rx *rx = &s->rx;
    if (!rx->key[slot] || !aead_open(rx->key[slot], NULL, 0, record, size)) {
        protocol_error(s, LINK_COUNT_SEAL_FAILED);
        return;
    }
    if (slot !=
        rx->slot) { /* the first under the new key: nothing comes under the old one any more */
        aead_free(rx->key[rx->slot]);
        rx->key[rx->slot] = NULL;
        rx->slot = slot;
    }
    rx->last_ms = s->link->now_ms;
    size -= LINK_TAG;
    if (record[0] <= LINK_CONTROL)
        rx->used += size;
    on_record(s, record, size);
}

/* --- units: the preface, then frames --- */

/* Size of the unit that begins at p, 0: not known yet; SIZE_MAX: there is no such unit. */
static size_t unit_size(const struct link_session *s, const uint8_t *p, size_t have)
{
    if (s->state == LINK_PREFACE)
        return LINK_PREFACE_SIZE;
    if (have < LINK_FRAME_HEAD)
        return 0;
    size_t length = (size_t)p[0] << 8 | p[1];
    uint8_t type = p[2];
    bool handshake = s->state < LINK_CONFIRM;
    bool good = p[3] == 0 && (handshake ? type == LINK_FRAME_HANDSHAKE
                                        : type == LINK_FRAME_KEY_A || type == LINK_FRAME_KEY_B);
    size_t least = handshake ? 1 : LINK_RECORD_HEAD + LINK_TAG;
    size_t most = handshake ? LINK_HANDSHAKE_MAX : LINK_FRAME_MAX;
    return good && length >= least && length <= most ? LINK_FRAME_HEAD + length : SIZE_MAX;
}

static void on_unit(struct link_session *s, uint8_t *p, size_t size)
{
    if (s->state == LINK_PREFACE)
        handshake_preface(s, p);
    else if (s->state < LINK_CONFIRM)
        handshake_message(s, p + LINK_FRAME_HEAD, size - LINK_FRAME_HEAD);
    else
        on_sealed(s, p[2] - LINK_FRAME_KEY_A, p + LINK_FRAME_HEAD, size - LINK_FRAME_HEAD);
}

static uint8_t *part_buffer(struct link *l, size_t need, size_t *ret_cap)
{
    if (need <= LINK_FRAME_HEAD + LINK_HANDSHAKE_MAX) {
        *ret_cap = need;
        return malloc(need);
    }
    *ret_cap = LINK_FRAME_HEAD + LINK_FRAME_MAX;
    uint8_t *p = l->spare_part ? l->spare_part : malloc(*ret_cap);
    l->spare_part = NULL;
    return p;
}

static void part_release(struct link *l, uint8_t *part, size_t cap)
{
    if (cap > LINK_FRAME_HEAD + LINK_HANDSHAKE_MAX && !l->spare_part)
        l->spare_part = part;
    else
        free(part);
}

/* Keeps the beginning of a unit until the rest arrives. */
static void keep(struct link_session *s, const uint8_t *p, size_t have, size_t need)
{
    struct link_rx *rx = &s->rx;
    if (need == 0) {
        memcpy(rx->stash, p, have);
        rx->stash_len = have;
        return;
    }
    rx->part = part_buffer(s->link, need, &rx->part_cap);
    if (!rx->part) {
        link_session_close(s, clan_link_Reason_REASON_LIMIT);
        return;
    }
    memcpy(rx->part, p, have);
    rx->part_len = have;
    rx->part_need = need;
}

static void on_bytes(struct link_session *s, uint8_t *p, size_t have)
{
    while (have && s->state != LINK_CLOSED) {
        size_t need = unit_size(s, p, have);
        if (need == SIZE_MAX) {
            protocol_error(s, LINK_COUNT_FRAME_BAD);
            return;
        }
        if (need == 0 || need > have) {
            keep(s, p, have, need);
            return;
        }
        on_unit(s, p, need);
        p += need;
        have -= need;
    }
}

/* What was read: the rest of an unfinished unit, then what lies behind it in link.recv_bytes. */
static void on_read(struct link_session *s, size_t rest, size_t behind)
{
    struct link *l = s->link;
    struct link_rx *rx = &s->rx;
    uint8_t *part = NULL;
    size_t cap = rx->part_cap;
    if (rest) {
        part = rx->part;
        size_t need = rx->part_need;
        rx->part = NULL;
        rx->part_len = rx->part_need = rx->part_cap = 0;
        on_unit(s, part, need);
    }
    on_bytes(s, l->recv_bytes, behind);
    write_arrived(l); /* before their memory has another use */
    if (part)
        part_release(l, part, cap);
}

/* One read; what completes the unfinished unit goes straight behind it.  false: nothing more now.
 */
static bool receive_some(struct link_session *s)
{
    struct link *l = s->link;
    struct link_rx *rx = &s->rx;
    struct iovec iov[2];
    size_t count = 0, rest = rx->part ? rx->part_need - rx->part_len : 0;
    size_t stash = rx->stash_len;
    if (rest)
        iov[count++] = (struct iovec){rx->part + rx->part_len, rest};
    memcpy(l->recv_bytes, rx->stash, stash);
    iov[count++] = (struct iovec){l->recv_bytes + stash, LINK_RECV_SIZE - stash};
    long n = sock_recv(s->fd, iov, count);
    if (n == -1)
        return false;
    if (n <= 0) {
        clan_link_Reason why = n == 0 ? clan_link_Reason_REASON_CLOSED : clan_link_Reason_REASON_IO;
        link_session_close(s, s->state == LINK_FLUSHING ? s->reason : why);
        return false;
    }
    size_t got = (size_t)n, behind = got > rest ? got - rest : 0;
    rx->bytes += got;
    rx->stash_len = 0;
    rx->part_len += got - behind;
    if (rest && rx->part_len < rx->part_need)
        return false;
    on_read(s, rest, stash + behind);
    return s->state != LINK_CLOSED && got == rest + LINK_RECV_SIZE - stash;
}

static void on_stream(struct link_session *s, uint32_t events)
{
    struct link *l = s->link;
    if (events & EPOLLOUT) {
        link_lock(l);
        tx_drain(s);
        if (s->refused && tx_waiting(s) < LINK_CONTROL_QUEUE / 2) {
            s->refused = false;
            l->from.m.writable.session = s->number;
            l->from.which_m = clan_link_FromLink_writable_tag;
            link_report(l);
        }
        link_unlock(l);
        link_watch(s);
    }
    if (s->paused) {
        if (events & (EPOLLERR | EPOLLHUP))
            link_session_close(s, clan_link_Reason_REASON_IO);
        return;
    }
    for (int i = 0; i < RECV_ROUNDS && receive_some(s); i++)
        ;
}

/* --- the loop --- */

void link_watch(struct link_session *s)
{
    struct link *l = s->link;
    if (s->state == LINK_CLOSED || s->state == LINK_WAITING)
        return;
    bool carries_control = s->state >= LINK_CONFIRM && s->purpose != clan_link_Purpose_PURPOSE_LINK;
    s->paused = carries_control && l->core_full;
    uint32_t events = s->paused ? 0 : EPOLLIN;
    if (!s->at_sender && tx_waiting(s))
        events |= EPOLLOUT;
    if (events == s->watched)
        return;
    struct epoll_event ev = {.events = events, .data.u64 = link_tag_of(s)};
    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, s->fd, &ev) == 0)
        s->watched = events;
}

void link_wake(struct link *l)
{
    uint64_t one = 1;
    ssize_t n = write(l->wake_fd, &one, sizeof one);
    (void)n; /* full: it is awake anyhow */
}

static bool on_event(struct link *l, const struct epoll_event *ev)
{
    uint64_t value;
    if (ev->data.u64 == LINK_TAG_WAKE) {
        ssize_t n = read(l->wake_fd, &value, sizeof value);
        (void)n;
        return true;
    }
    if (ev->data.u64 == LINK_TAG_CORE) {
        if (ev->events & EPOLLOUT)
            core_flush(l);
        return !(ev->events & (EPOLLIN | EPOLLHUP)) || core_read(l);
    }
    if (ev->data.u64 == LINK_TAG_SEND) {
        link_sender_turn(l);
        return true;
    }
    struct link_session *s = link_session_by_tag(l, ev->data.u64);
    if (s)
        on_stream(s, ev->events);
    return true;
}

int link_receive_loop(struct link *l)
{
    uint64_t next_ms = 0; /* of the timers; 0: none */
    for (;;) {
        struct epoll_event events[EVENTS];
        uint64_t now_ms = clock_mono_ms();
        int wait = !next_ms ? -1 : next_ms > now_ms ? (int)(next_ms - now_ms) : 0;
        int n = epoll_wait(l->epoll, events, EVENTS, wait);
        clan_assert(n >= 0 || errno == EINTR);
        l->now_ms = clock_mono_ms();
        bool other = n <= 0;
        for (int i = 0; i < n; i++) {
            if (events[i].data.u64 <= LINK_TAG_WAKE)
                other = true;
            if (!on_event(l, &events[i]))
                return 0; /* core's end is gone: the warden ends this clan or starts anew */
        }
        share_look(l, l->now_ms);
        if (l->line)
            link_line_move(l, l->now_ms);
        if (other || !next_ms || l->now_ms >= next_ms || l->dead) {
            int tick = probe_tick(l, l->now_ms);
            next_ms = tick < 0 ? 0 : l->now_ms + (uint64_t)tick;
        }
        link_session_reap(l);
    }
}
