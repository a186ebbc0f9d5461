/* The life of a session from core's Stream to its Down. */
#include "session.h"

#include "closer.h"
#include "core.h"
#include "handshake.h"
#include "peers.h"
#include "resend.h"
#include "sock.h"
#include "tx.h"

#include "base/clock.h"
#include "base/log.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define RESEND_MARGIN_MS 20 /* an answer may have been under way a little longer than usual */

/* --- finding --- */

uint64_t link_tag_of(const struct link_session *s)
{
    return (uint64_t)s->generation << 32 | (s->slot + 16);
}

struct link_session *link_session_by_tag(struct link *l, uint64_t tag)
{
    uint32_t slot = (uint32_t)tag - 16;
    struct link_session *s = slot < LINK_SESSIONS_MAX ? l->slots[slot] : NULL;
    return s && s->generation == tag >> 32 && s->state != LINK_CLOSED ? s : NULL;
}

static struct link_session **chain_of(struct link *l, uint32_t number)
{
    return &l->numbers[number % (sizeof l->numbers / sizeof l->numbers[0])];
}

struct link_session *link_session_find(struct link *l, uint32_t number)
{
    struct link_session *s = *chain_of(l, number);
    while (s && s->number != number)
        s = s->by_number;
    return s;
}

/* --- beginning --- */

static struct link_session *session_new(struct link *l, const clan_link_Stream *m, int fd)
{
    uint32_t slot = 0;
    while (slot < LINK_SESSIONS_MAX && l->slots[slot])
        slot++;
    struct link_session *s = slot < LINK_SESSIONS_MAX ? calloc(1, sizeof *s) : NULL;
    if (!s)
        return NULL;
    s->link = l;
    s->number = m->session;
    s->slot = slot;
    s->generation = ++l->generation;
    s->fd = fd;
    s->dialed = m->dialed;
    memcpy(s->remote, m->remote, sizeof s->remote);
    memcpy(s->transport, m->transport, sizeof s->transport);
    memcpy(s->via, m->via, sizeof s->via);
    s->rank = m->rank;
    s->since_ms = s->rx.last_ms = s->tx.last_ms = clock_mono_ms();
    s->tx.type = LINK_FRAME_KEY_A;
    link_lock(l);
    l->slots[slot] = s;
    link_unlock(l);
    l->session_count++;
    struct link_session **chain = chain_of(l, s->number);
    s->by_number = *chain;
    *chain = s;
    return s;
}

static void refuse(struct link *l, const clan_link_Stream *m, int fd, clan_link_Reason reason)
{
    clan_link_Down *down = &l->from.m.down;
    memset(down, 0, sizeof *down);
    l->from.which_m = clan_link_FromLink_down_tag;
    down->session = m->session;
    down->reason = reason;
    down->purpose = m->purpose;
    link_report(l);
    closer_close(fd);
}

void link_session_stream(struct link *l, const clan_link_Stream *m, int fd)
{
    if (link_session_find(l, m->session)) {
        log_error("core used session number %u twice", m->session);
        closer_close(fd);
        return;
    }
    if (!sock_acceptable(fd)) {
        link_count(l, LINK_COUNT_FD_REFUSED);
        refuse(l, m, fd, clan_link_Reason_REASON_IO);
        return;
    }
    struct link_session *s = session_new(l, m, fd);
    if (!s) {
        refuse(l, m, fd, clan_link_Reason_REASON_LIMIT);
        return;
    }
    struct epoll_event ev = {.events = 0, .data.u64 = link_tag_of(s)};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        link_session_close(s, clan_link_Reason_REASON_IO);
        return;
    }
    if (m->dialed)
        handshake_dial(s, m);
    else
        link_line_join(s);
}

/* --- end --- */

static void tell_down(struct link_session *s, clan_link_Reason reason)
{
    struct link *l = s->link;
    clan_link_Down *down = &l->from.m.down;
    memset(down, 0, sizeof *down);
    l->from.which_m = clan_link_FromLink_down_tag;
    down->session = s->number;
    down->reason = reason;
    down->purpose = s->purpose;
    if (s->peer) {
        memcpy(down->machine_id.bytes, s->peer->machine_id, 32);
        down->machine_id.size = 32;
    }
    link_report(l);
}

static void wipe(struct link_session *s)
{
    aead_free(s->tx.key);
    aead_free(s->rx.key[0]);
    aead_free(s->rx.key[1]);
    noise_free(s->hs);
    noise_free(s->rekey);
    s->tx.key = s->rx.key[0] = s->rx.key[1] = NULL;
    s->hs = s->rekey = NULL;
    tx_forget(s);
}

static bool same_id(const uint8_t a[8], const uint8_t b[8])
{
    return memcmp(a, b, 8) == 0;
}

static void tell_carries(struct link_session *s, clan_link_Reason why)
{
    clan_link_Carries *m = &s->link->from.m.carries;
    memset(m, 0, sizeof *m);
    s->link->from.which_m = clan_link_FromLink_carries_tag;
    memcpy(m->machine_id, s->peer->machine_id, 32);
    m->session = s->number;
    m->why = why;
    link_report(s->link);
}

bool link_session_spare(const struct link_session *s)
{
    return s->state == LINK_UP && s->purpose == clan_link_Purpose_PURPOSE_LINK && s->peer &&
           s->peer->data != s;
}

static void take_packets(struct link_session *s, clan_link_Reason why)
{
    struct link_peer *p = s->peer;
    link_lock(s->link);
    p->data = s;
    if (p->queue)
        fq_restart(p->queue, clock_mono_ns());
    tell_carries(s, why);
    if (tx_drain(s)) { /* more than its share: edge-triggered, so ask for another event */
        struct epoll_event ev = {.events = EPOLLOUT | EPOLLET, .data.u64 = link_tag_of(s)};
        epoll_ctl(s->link->send_epoll, EPOLL_CTL_MOD, s->fd, &ev);
    }
    link_unlock(s->link);
    link_watch(s);
}

void link_session_use(struct link_session *s, clan_link_Reason why)
{
    resend_clear(s->peer->again); /* they arrive: the stream they are in lives */
    take_packets(s, why);
}

/* Takes over from one that ended: the other end leaves it, too, and what it may not have got goes
 * again, in front of what waits. */
static void take_over(struct link_session *s, const struct link_session *of, clan_link_Reason why)
{
    uint64_t got_ms = link_since(of->rx.last_ms, of->rtt_us / 1000 + RESEND_MARGIN_MS);
    if (why == clan_link_Reason_REASON_DEAD)
        tx_record(s, LINK_LEFT, of->id, sizeof of->id);
    if (why != clan_link_Reason_REASON_CORE)
        tx_again(s, got_ms);
    link_session_use(s, why);
}

bool link_session_left(struct link_session *s, const uint8_t *body, size_t size)
{
    if (size != sizeof s->id || !s->peer)
        return false;
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++) {
        struct link_session *o = s->link->slots[i];
        if (!o || o == s || o->peer != s->peer || o->state != LINK_UP ||
            o->purpose != clan_link_Purpose_PURPOSE_LINK || !same_id(o->id, body))
            continue;
        link_session_close(o, clan_link_Reason_REASON_DEAD);
        break;
    }
    return true;
}

/* The spare that takes over: the preferred one, of those that were heard since this one was doubted. */
static struct link_session *successor(const struct link_session *of)
{
    struct link_session *best = NULL;
    bool lives = false;
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++) {
        struct link_session *s = of->link->slots[i];
        if (!s || s == of || s->peer != of->peer || !link_session_spare(s) || s->tx.broken ||
            !peers_takes(s->peer, s->transport))
            continue;
        bool s_lives = s->rx.last_ms >= of->asked_ms && !s->missed;
        if (!best || (s_lives && !lives) || (s_lives == lives && s->rank < best->rank)) {
            best = s;
            lives = s_lives;
        }
    }
    return best;
}

static void leave_peer(struct link_session *s, clan_link_Reason reason)
{
    struct link_peer *p = s->peer;
    if (!p)
        return;
    if (p->control == s)
        p->control = NULL;
    if (p->data != s)
        return;
    p->data = NULL;
    struct link_session *next = successor(s);
    if (next) {
        take_over(next, s, reason);
        return;
    }
    if (reason != clan_link_Reason_REASON_REPLACED) { /* a dead stream's queue is dropped */
        fq_free(p->queue);
        p->queue = NULL;
        resend_clear(p->again);
    }
}

void link_session_close(struct link_session *s, clan_link_Reason reason)
{
    struct link *l = s->link;
    if (s->state == LINK_CLOSED)
        return;
    link_lock(l);
    if (s->state == LINK_WAITING)
        link_line_leave(s);
    link_line_done(s);
    epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
    if (s->at_sender)
        epoll_ctl(l->send_epoll, EPOLL_CTL_DEL, s->fd, NULL);
    if (s->purpose == clan_link_Purpose_PURPOSE_DOOR && s->up_told && !s->dialed)
        l->door_count--;
    leave_peer(s, reason);
    wipe(s);
    s->state = LINK_CLOSED;
    l->slots[s->slot] = NULL;
    link_unlock(l);
    struct link_session **chain = chain_of(l, s->number);
    while (*chain != s)
        chain = &(*chain)->by_number;
    *chain = s->by_number;
    l->session_count--;
    closer_close(s->fd);
    tell_down(s, reason);
    s->peer = NULL;
    s->next = l->dead;
    l->dead = s;
}

void link_session_close_flushed(struct link_session *s, clan_link_Reason reason)
{
    if (s->state < LINK_CONFIRM) {
        link_session_close(s, reason);
        return;
    }
    if (s->state == LINK_CLOSED || s->state == LINK_FLUSHING)
        return;
    tx_record(s, LINK_CLOSE, NULL, 0);
    s->state = LINK_FLUSHING;
    s->reason = reason;
    s->since_ms = clock_mono_ms();
    /* a replaced stream is read until the other end closes it, too: nothing in flight is lost */
    if (tx_waiting(s) == 0 && reason != clan_link_Reason_REASON_REPLACED)
        link_session_close(s, reason);
}

void link_session_reap(struct link *l)
{
    while (l->dead) {
        struct link_session *s = l->dead;
        l->dead = s->next;
        if (s->rx.part && s->rx.part_cap > LINK_HANDSHAKE_MAX + LINK_FRAME_HEAD && !l->spare_part)
            l->spare_part = s->rx.part;
        else
            free(s->rx.part);
        sodium_memzero(s, sizeof *s);
        free(s);
    }
}

/* --- up --- */

/*
 * Both ends decide alike, whatever order things arrive in: from the ids, what each dialer said it
 * replaces, and who dialed.  `s` is the newer here, `old` lives.
 */
static bool replaces(const struct link_session *s, const struct link_session *old)
{
    bool s_knew = same_id(s->replaces, old->id), old_knew = same_id(old->replaces, s->id);
    if (s->their_process != old->their_process) /* the other clan-link is new: old is a ghost */
        return true;
    if (s_knew != old_knew)
        return s_knew;
    if (s->dialed == old->dialed)
        return s->serial > old->serial;
    /* both dialed at once: the lower machine's stays */
    bool we_are_lower = memcmp(s->link->machine_id, s->peer->machine_id, 32) < 0;
    return s->dialed == we_are_lower;
}

void link_session_tell_up(struct link_session *s)
{
    struct link *l = s->link;
    clan_link_Up *up = &l->from.m.up;
    memset(up, 0, sizeof *up);
    l->from.which_m = clan_link_FromLink_up_tag;
    up->session = s->number;
    up->purpose = s->purpose;
    up->dialed = s->dialed;
    if (s->peer) {
        memcpy(up->machine_id.bytes, s->peer->machine_id, 32);
        up->machine_id.size = 32;
    }
    memcpy(up->peer_static, s->peer_static, 32);
    up->version = s->version;
    up->features = s->features;
    memcpy(up->remote, s->remote, 16);
    memcpy(up->transport, s->transport, sizeof up->transport);
    memcpy(up->via, s->via, sizeof up->via);
    up->carries = s->peer && s->peer->data == s;
    s->up_told = true;
    link_report(l);
}

uint8_t *link_session_last_id(const struct link_session *s)
{
    unsigned rank = s->rank < LINK_RANKS ? s->rank : LINK_RANKS - 1;
    return s->peer->last_id[s->purpose == clan_link_Purpose_PURPOSE_LINK ? rank : LINK_RANKS];
}

/* The session that s may replace: of control the one there is, of data the one of its transport. */
static struct link_session *rival(const struct link_session *s)
{
    if (s->purpose != clan_link_Purpose_PURPOSE_LINK)
        return s->peer->control;
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++) {
        struct link_session *o = s->link->slots[i];
        if (o && o != s && o->peer == s->peer && o->state == LINK_UP && o->purpose == s->purpose &&
            strcmp(o->transport, s->transport) == 0)
            return o;
    }
    return NULL;
}

/* The other clan-link is new: what is left of its predecessor passes nothing. */
static void drop_ghosts(const struct link_session *s)
{
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++) {
        struct link_session *o = s->link->slots[i];
        if (o && o != s && o->peer == s->peer && link_session_spare(o) &&
            o->their_process != s->their_process)
            link_session_close(o, clan_link_Reason_REASON_REPLACED);
    }
}

/* Makes s the peer's session of its purpose and transport; false: it lost against the one that
 * lives.  Packets stay on their path: core says when they move (core/path/choice.h). */
static bool take_place(struct link_session *s)
{
    struct link_peer *p = s->peer;
    bool data = s->purpose == clan_link_Purpose_PURPOSE_LINK;
    struct link_session *old = rival(s);
    if (old && old != s && !replaces(s, old)) {
        link_session_close_flushed(s, clan_link_Reason_REASON_REPLACED);
        return false;
    }
    if (data) {
        if (!p->data || p->data == old || p->data->their_process != s->their_process)
            p->data = s;
        p->waiting_ms = 0;
        drop_ghosts(s);
    } else {
        p->control = s;
    }
    memcpy(link_session_last_id(s), s->id, 8);
    if (old && old != s)
        link_session_close_flushed(old, clan_link_Reason_REASON_REPLACED);
    return true;
}

static void attach_to_sender(struct link_session *s)
{
    struct link *l = s->link;
    struct epoll_event ev = {.events = EPOLLOUT | EPOLLET, .data.u64 = link_tag_of(s)};
    if (epoll_ctl(l->send_epoll, EPOLL_CTL_ADD, s->fd, &ev) != 0) {
        link_session_close(s, clan_link_Reason_REASON_IO);
        return;
    }
    s->at_sender = true;
    if (s->peer->data == s && s->peer->queue)
        fq_restart(s->peer->queue, clock_mono_ns());
}

void link_session_up(struct link_session *s)
{
    struct link *l = s->link;
    link_line_done(s);
    link_lock(l);
    s->state = LINK_UP;
    s->since_ms = s->keyed_ms = clock_mono_ms();
    bool won = !s->peer || take_place(s);
    if (won) {
        if (s->purpose == clan_link_Purpose_PURPOSE_DOOR && !s->dialed)
            l->door_count++;
        link_session_tell_up(s);
        sock_for_purpose(s->fd, s->purpose);
        if (s->purpose == clan_link_Purpose_PURPOSE_LINK)
            attach_to_sender(s);
        if (s->state == LINK_UP)
            tx_drain(s);
    }
    link_unlock(l);
    if (s->state != LINK_CLOSED)
        link_watch(s);
}

void link_session_admit(struct link_session *s, struct link_peer *p)
{
    if (s->state != LINK_UP || s->purpose != clan_link_Purpose_PURPOSE_CONTROL || s->peer)
        return;
    if (memcmp(p->control_key, s->peer_static, 32) != 0) {
        log_error("core admitted session %u as a machine with another key", s->number);
        link_session_close(s, clan_link_Reason_REASON_CORE);
        return;
    }
    if (!peers_takes(p, s->transport)) {
        link_session_close(s, clan_link_Reason_REASON_CORE);
        return;
    }
    link_lock(s->link);
    s->peer = p;
    s->stranger = false;
    take_place(s);
    link_unlock(s->link);
}
