/* What core says, one handler per message of link.proto. */
#include "core.h"

#include "closer.h"
#include "demands.h"
#include "handshake.h"
#include "peers.h"
#include "probe.h"
#include "session.h"
#include "tun.h"
#include "tx.h"

#include "base/log.h"
#include "base/title.h"
#include "wire/channel.h"

#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READ_MESSAGES 64
#define REPORTS_PAUSE (256u * 1024) /* no control messages are read above this */
#define REPORTS_MAX   (4u * 1024 * 1024)

#ifndef CLAN_VERSION
#define CLAN_VERSION "test"
#endif

/* --- to core --- */

static void watch_core(struct link *l)
{
    struct epoll_event ev = {
        .events = EPOLLIN | (l->reports ? EPOLLOUT : 0), .data.u64 = LINK_TAG_CORE};
    epoll_ctl(l->epoll, EPOLL_CTL_MOD, l->core_fd, &ev);
}

static void pause_control(struct link *l, bool pause)
{
    l->core_full = pause;
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++)
        if (l->slots[i])
            link_watch(l->slots[i]);
}

void link_report(struct link *l)
{
    pb_ostream_t os = pb_ostream_from_buffer(l->encoded, sizeof l->encoded);
    if (!pb_encode(&os, clan_link_FromLink_fields, &l->from)) {
        log_error("a message for core does not fit: %s", PB_GET_ERROR(&os));
        return;
    }
    if (!l->reports &&
        channel_send_raw(l->core_fd, l->encoded, os.bytes_written, NULL, 0) != CLAN_E_AGAIN)
        return; /* sent, or the end of the channel is seen when it is read */
    struct link_report *r = malloc(sizeof *r + os.bytes_written);
    if (!r || l->report_bytes + os.bytes_written > REPORTS_MAX) {
        log_error("core does not read: %zu bytes wait for it", l->report_bytes);
        _exit(1); /* a new link and core agree anew; a lost message would part them for ever */
    }
    r->next = NULL;
    r->size = os.bytes_written;
    memcpy(r->bytes, l->encoded, r->size);
    *l->reports_end = r;
    l->reports_end = &r->next;
    l->report_bytes += r->size;
    if (l->reports == r)
        watch_core(l);
    if (l->report_bytes > REPORTS_PAUSE && !l->core_full)
        pause_control(l, true);
}

static void drop_report(struct link *l)
{
    struct link_report *r = l->reports;
    l->reports = r->next;
    l->report_bytes -= r->size;
    if (!l->reports)
        l->reports_end = &l->reports;
    free(r);
}

void core_flush(struct link *l)
{
    while (l->reports) {
        struct link_report *r = l->reports;
        if (channel_send_raw(l->core_fd, r->bytes, r->size, NULL, 0) == CLAN_E_AGAIN)
            return;
        drop_report(l);
    }
    watch_core(l);
    if (l->core_full)
        pause_control(l, false);
}

/* --- Hello, Synced: a core that (re)started --- */

static void on_hello(struct link *l, const clan_link_ToLink *m)
{
    while (l->reports) /* meant for a core that is gone */
        drop_report(l);
    watch_core(l);
    if (l->core_full)
        pause_control(l, false);
    peers_forget_names(l);
    clan_link_HelloAck *ack = &l->from.m.hello_ack;
    memset(ack, 0, sizeof *ack);
    l->from.which_m = clan_link_FromLink_hello_ack_tag;
    ack->incarnation = m->m.hello.incarnation;
    strncpy(ack->build, CLAN_VERSION, sizeof ack->build - 1);
    strncpy(ack->cipher, l->cipher, sizeof ack->cipher - 1);
    link_report(l);
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++) {
        struct link_session *s = l->slots[i];
        if (!s)
            continue;
        if (s->state == LINK_UP)
            link_session_tell_up(s);
        else /* the new core does not know of it */
            link_session_close(s, clan_link_Reason_REASON_CORE);
    }
    l->generation_hello = l->generation;
}

static void on_synced(struct link *l)
{
    peers_drop_unnamed(l);
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++) {
        struct link_session *s = l->slots[i];
        if (s && !s->peer && s->generation <= l->generation_hello)
            link_session_close(s, clan_link_Reason_REASON_CORE);
    }
}

/* --- tables --- */

static void on_keys(struct link *l, const clan_link_Keys *k)
{
    bool same = l->have_keys && memcmp(l->machine_id, k->machine_id, 32) == 0 &&
                memcmp(l->clan_id, k->clan_id, 32) == 0;
    if (l->have_keys && !same) {
        log_error("core gave this link another identity; it ends");
        _exit(1);
    }
    title_set(k->petname);
    memcpy(l->clan_id, k->clan_id, 32);
    memcpy(l->machine_id, k->machine_id, 32);
    memcpy(l->own[0], k->address, 16);
    if (!l->own_count)
        l->own_count = 1;
    memcpy(l->keys->link, k->link_secret, 32);
    memcpy(l->keys->control, k->control_secret, 32);
    memcpy(l->keys->door, k->door_secret, 32);
    l->have_keys = true;
}

static void on_own(struct link *l, const clan_link_Own *m)
{
    l->own_count = 1;
    for (unsigned i = 0; i < m->service_addresses_count; i++)
        memcpy(l->own[l->own_count++], m->service_addresses[i], 16);
}

static void on_peer_gone(struct link *l, const uint8_t machine_id[32])
{
    clan_link_PeerClosed *closed = &l->from.m.peer_closed;
    uint8_t id[32];
    memcpy(id, machine_id, 32);
    struct link_peer *p = peers_find(l, id);
    if (p)
        peers_remove(l, p);
    memset(closed, 0, sizeof *closed);
    l->from.which_m = clan_link_FromLink_peer_closed_tag;
    memcpy(closed->machine_id, id, 32);
    link_report(l);
}

/* --- sessions --- */

static void on_send(struct link *l, const clan_link_Send *m)
{
    struct link_session *s = link_session_find(l, m->session);
    if (!s || s->state != LINK_UP || s->purpose == clan_link_Purpose_PURPOSE_LINK)
        return; /* its Down is on the way to core */
    size_t waiting = tx_waiting(s);
    if (waiting && waiting + m->data.size > LINK_CONTROL_QUEUE) {
        link_count(l, LINK_COUNT_CONTROL_FULL);
        s->refused = true;
        return;
    }
    if (!tx_record(s, LINK_CONTROL, m->data.bytes, m->data.size))
        link_session_close(s, clan_link_Reason_REASON_IO);
    else
        link_watch(s);
}

static void on_close(struct link *l, const clan_link_Close *m)
{
    struct link_session *s = link_session_find(l, m->session);
    if (!s)
        return;
    if (s->state >= LINK_CONFIRM && s->state <= LINK_UP) {
        link_session_close_flushed(s, clan_link_Reason_REASON_CORE);
        if (!m->after_flush)
            link_session_close(s, clan_link_Reason_REASON_CORE);
        else if (s->state != LINK_CLOSED)
            link_watch(s);
    } else {
        link_session_close(s, clan_link_Reason_REASON_CORE);
    }
}

static void on_admit(struct link *l, const clan_link_Admit *m)
{
    struct link_session *s = link_session_find(l, m->session);
    struct link_peer *p = peers_find(l, m->machine_id);
    if (s && p)
        link_session_admit(s, p);
}

static void on_use(struct link *l, uint32_t session)
{
    struct link_session *s = link_session_find(l, session);
    if (s && link_session_spare(s)) /* else it ended or carries already: both were told */
        link_session_use(s, clan_link_Reason_REASON_NONE);
}

/* What the session stands for passes packets that link does not see. */
static void on_doubt(struct link *l, uint32_t session)
{
    struct link_session *s = link_session_find(l, session);
    if (s)
        probe_doubt(s);
}

static void on_rank(struct link *l, const clan_link_Rank *m)
{
    for (unsigned i = 0; i < LINK_SESSIONS_MAX; i++)
        if (l->slots[i] && strcmp(l->slots[i]->transport, m->transport) == 0)
            l->slots[i]->rank = m->rank;
}

static void on_payload(struct link *l, const clan_link_Payload *m)
{
    struct link_session *s = link_session_find(l, m->session);
    if (s)
        handshake_payload(s, m->data.bytes, m->data.size);
}

static void on_ask_stats(struct link *l)
{
    for (unsigned i = 0; i < l->peer_count; i++) {
        const struct link_peer *p = l->peers[i];
        const struct link_session *s = p->data;
        clan_link_PeerStats *st = &l->from.m.peer_stats;
        memset(st, 0, sizeof *st);
        l->from.which_m = clan_link_FromLink_peer_stats_tag;
        memcpy(st->machine_id, p->machine_id, 32);
        st->rx_bytes = p->rx_bytes;
        st->tx_bytes = p->tx_bytes;
        st->rx_packets = p->rx_packets;
        st->tx_packets = p->tx_packets;
        st->dropped = p->dropped;
        st->rtt_us = s && s->rtt_us ? s->rtt_us : p->control ? p->control->rtt_us : 0;
        st->rate_bps = s ? s->tx.rate_bps : 0;
        st->queued_bytes = (uint32_t)(fq_bytes(p->queue) + (s ? tx_waiting(s) : 0));
        st->link_session = s ? s->number : 0;
        st->control_session = p->control ? p->control->number : 0;
        link_report(l);
    }
    clan_link_Counters *c = &l->from.m.counters;
    memset(c, 0, sizeof *c);
    l->from.which_m = clan_link_FromLink_counters_tag;
    c->value_count = LINK_COUNTERS;
    for (unsigned i = 0; i < LINK_COUNTERS; i++)
        c->value[i] = atomic_load_explicit(&l->counters[i], memory_order_relaxed);
    link_report(l);
}

/* --- dispatch --- */

/* Takes *fd (sets it to -1) when the message carries one. */
static void dispatch(struct link *l, const clan_link_ToLink *m, int *fd)
{
    switch (m->which_m) {
    case clan_link_ToLink_hello_tag:
        on_hello(l, m);
        break;
    case clan_link_ToLink_keys_tag:
        on_keys(l, &m->m.keys);
        break;
    case clan_link_ToLink_tun_tag:
        tun_set(l, *fd, m->m.tun.mtu, m->m.tun.vnet_hdr);
        *fd = -1;
        break;
    case clan_link_ToLink_peer_tag:
        peers_set(l, &m->m.peer);
        break;
    case clan_link_ToLink_peer_gone_tag:
        on_peer_gone(l, m->m.peer_gone.machine_id);
        break;
    case clan_link_ToLink_invite_tag:
        peers_set_invite(l, &m->m.invite);
        break;
    case clan_link_ToLink_invite_gone_tag:
        peers_drop_invite(l, m->m.invite_gone.id);
        break;
    case clan_link_ToLink_stream_tag:
        link_close_sandbox(l);
        link_session_stream(l, &m->m.stream, *fd);
        *fd = -1;
        break;
    case clan_link_ToLink_payload_tag:
        on_payload(l, &m->m.payload);
        break;
    case clan_link_ToLink_send_tag:
        on_send(l, &m->m.send);
        break;
    case clan_link_ToLink_close_tag:
        on_close(l, &m->m.close);
        break;
    case clan_link_ToLink_own_tag:
        on_own(l, &m->m.own);
        break;
    case clan_link_ToLink_synced_tag:
        on_synced(l);
        break;
    case clan_link_ToLink_ask_stats_tag:
        on_ask_stats(l);
        break;
    case clan_link_ToLink_use_tag:
        on_use(l, m->m.use.session);
        break;
    case clan_link_ToLink_doubt_tag:
        on_doubt(l, m->m.doubt.session);
        break;
    case clan_link_ToLink_demand_tag:
        demands_set(l, &m->m.demand);
        break;
    case clan_link_ToLink_rank_tag:
        on_rank(l, &m->m.rank);
        break;
    case clan_link_ToLink_admit_tag:
        on_admit(l, &m->m.admit);
        break;
    default:
        break;
    }
}

bool core_read(struct link *l)
{
    for (int i = 0; i < READ_MESSAGES; i++) {
        int fds[CHANNEL_FDS_MAX];
        size_t count;
        clan_status st =
            channel_recv(l->core_fd, clan_link_ToLink_fields, &l->to, fds, CHANNEL_FDS_MAX, &count);
        if (st == CLAN_E_AGAIN)
            return true;
        if (st == CLAN_E_IO)
            return false;
        if (st != CLAN_OK) {
            log_error("a message of core does not decode");
            continue;
        }
        int fd = count ? fds[0] : -1;
        for (size_t j = 1; j < count; j++)
            closer_close(fds[j]);
        link_lock(l);
        dispatch(l, &l->to, &fd);
        link_unlock(l);
        closer_close(fd);
    }
    return true;
}
