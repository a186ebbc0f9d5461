/* Talking to clan-link: sessions, keys, streams. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "brain/demand.h"
#include "brain/devices.h"
#include "wire/limits.h"

#include <arpa/inet.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static clan_link_ToLink link_out;
static clan_link_FromLink link_in;

void link_send(struct brain *b, const clan_link_ToLink *m, const int *fds, size_t fd_count)
{
    if (b->link && !chan_send(b->link, clan_link_ToLink_fields, m, fds, fd_count))
        log_warn("link does not take messages");
}

/* What a message other than Send and Payload needs to be zero; the bytes of those two are written
 * first. */
#define LINK_SMALL offsetof(clan_link_ToLink, m) + sizeof(clan_link_Peer)
#define PEER_SMALL offsetof(clan_peer_PeerMsg, m) + sizeof(clan_peer_DoorAnswer)
static_assert(sizeof(clan_link_Peer) >= sizeof(clan_link_Own), "Own fits into what is zeroed");
static_assert(
    sizeof(clan_link_Peer) >= sizeof(clan_link_Stream), "Stream fits into what is zeroed");
static_assert(sizeof(clan_link_Peer) >= sizeof(clan_link_Keys), "Keys fits into what is zeroed");
static_assert(sizeof(clan_peer_DoorAnswer) >= sizeof(clan_peer_Service), "Service fits");

clan_link_ToLink *link_blank(pb_size_t which)
{
    memset(&link_out, 0, LINK_SMALL);
    link_out.which_m = which;
    return &link_out;
}

clan_peer_PeerMsg *peer_blank(pb_size_t which)
{
    static clan_peer_PeerMsg peer_out;
    memset(&peer_out, 0, PEER_SMALL);
    peer_out.which_m = which;
    return &peer_out;
}

/* ---- sessions ---- */

struct session *session_find(struct brain *b, uint32_t id)
{
    for (unsigned i = 0; id && i < b->session_top; i++)
        if (b->sessions[i].id == id)
            return &b->sessions[i];
    return NULL;
}

static struct session *session_slot(struct brain *b, uint32_t id)
{
    unsigned i = 0;
    while (i < BRAIN_SESSIONS_MAX && b->sessions[i].id)
        i++;
    if (i == BRAIN_SESSIONS_MAX)
        return NULL;
    b->session_top = i < b->session_top ? b->session_top : i + 1;
    b->sessions[i] = (struct session){.id = id, .since_ms = brain_now()};
    return &b->sessions[i];
}

struct session *session_new(struct brain *b)
{
    uint32_t id = ++b->next_session;
    return session_slot(b, id ? id : ++b->next_session);
}

void session_close(struct brain *b, struct session *s, bool after_flush)
{
    clan_link_ToLink *m = link_blank(clan_link_ToLink_close_tag);
    m->m.close.session = s->id;
    m->m.close.after_flush = after_flush;
    link_send(b, m, NULL, 0);
}

bool session_send(struct brain *b, uint32_t id, const clan_peer_PeerMsg *msg)
{
    clan_link_ToLink *m = link_blank(clan_link_ToLink_send_tag);
    pb_ostream_t os = pb_ostream_from_buffer(m->m.send.data.bytes, sizeof m->m.send.data.bytes);
    if (!pb_encode(&os, clan_peer_PeerMsg_fields, msg))
        return false;
    m->m.send.session = id;
    m->m.send.data.size = (pb_size_t)os.bytes_written;
    return b->link && chan_send(b->link, clan_link_ToLink_fields, m, NULL, 0);
}

static void session_ended(struct brain *b, struct session *s, clan_link_Reason reason)
{
    struct session copy = *s;
    free(s->hello);
    s->hello = NULL;
    s->ping_client = NULL; /* the next session may take this place at once */
    if (copy.gossiping && b->gossip)
        gossip_down(b->gossip, copy.id);
    s->id = 0;
    if (copy.joiner)
        joiner_down(b, &copy, reason);
    else if (copy.has_machine)
        peers_session_down(b, &copy, reason);
    api_ping_lost(b, &copy);
}

/* ---- what link says ---- */

static void on_up(struct brain *b, const clan_link_Up *up)
{
    struct session *s = session_find(b, up->session);
    if (!s) /* lived through a restart of ours */
        s = session_slot(b, up->session);
    if (!s)
        return;
    s->purpose = up->purpose;
    s->dialed = up->dialed;
    s->up = true;
    s->has_machine = up->machine_id.size == 32;
    if (s->has_machine)
        memcpy(s->machine, up->machine_id.bytes, 32);
    memcpy(s->peer_static, up->peer_static, 32);
    memcpy(s->remote, up->remote, 16);
    if (!s->transport[0]) {
        snprintf(s->transport, sizeof s->transport, "%s", up->transport);
        snprintf(s->via, sizeof s->via, "%s", up->via);
    }
    if (s->joiner) {
        joiner_up(b, s);
        return;
    }
    if (s->purpose == clan_link_Purpose_PURPOSE_DOOR) {
        if (s->hello && b->bound)
            doors_hello(b, s, s->hello);
        free(s->hello);
        s->hello = NULL;
        return;
    }
    if (!b->gossip) { /* somebody was quicker than our own joining: they dial again */
        session_close(b, s, false);
        return;
    }
    if (!device_streams_fits(b, s)) {
        log_warn("a stream through the device is another machine's than its address says");
        session_close(b, s, false);
        return;
    }
    if (s->has_machine) {
        peers_session_up(b, s, up->carries);
        return;
    }
    /* a stranger: statements only, its admission first */
    s->gossiping = true;
    gossip_up(b->gossip, s->id, GOSSIP_STRANGER, NULL, s->peer_static, brain_now());
}

static void on_stats(struct brain *b, const clan_link_PeerStats *st)
{
    struct peer *p = peer_find(b, st->machine_id);
    if (!p)
        return;
    p->rx_bytes = st->rx_bytes;
    p->tx_bytes = st->tx_bytes;
    p->rtt_us = st->rtt_us ? st->rtt_us : p->rtt_us;
    p->dropped = st->dropped;
}

static void on_counters(struct brain *b, const clan_link_Counters *c)
{
    b->counter_count = c->value_count;
    memcpy(b->counters, c->value, c->value_count * sizeof b->counters[0]);
}

static void on_message(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    struct brain *b = arg;
    channel_close_fds(fds, fd_count); /* link hands nothing over */
    pb_istream_t is = pb_istream_from_buffer(data, size);
    clan_link_FromLink *m = &link_in;
    if (!pb_decode(&is, clan_link_FromLink_fields, m)) {
        log_error("link sent a message that does not decode");
        return;
    }
    struct session *s;
    switch (m->which_m) {
    case clan_link_FromLink_hello_ack_tag:
        log_info("link is ready, cipher %s", m->m.hello_ack.cipher);
        b->link_ready = true;
        brain_soon(b);
        break;
    case clan_link_FromLink_up_tag:
        on_up(b, &m->m.up);
        brain_soon(b);
        break;
    case clan_link_FromLink_down_tag:
        s = session_find(b, m->m.down.session);
        if (s)
            session_ended(b, s, m->m.down.reason);
        brain_soon(b);
        break;
    case clan_link_FromLink_recv_tag:
        s = session_find(b, m->m.recv.session);
        if (s)
            spread_recv(b, s, m->m.recv.data.bytes, m->m.recv.data.size);
        break;
    case clan_link_FromLink_need_payload_tag:
        s = session_find(b, m->m.need_payload.session);
        if (s && s->joiner)
            joiner_need_payload(b, s, m->m.need_payload.handshake_hash);
        break;
    case clan_link_FromLink_door_hello_tag:
        s = session_find(b, m->m.door_hello.session);
        /* answered when the session is up: before, link does not send */
        if (s && b->bound && !s->hello && (s->hello = malloc(sizeof *s->hello)))
            *s->hello = m->m.door_hello;
        break;
    case clan_link_FromLink_want_tag:
        peers_want(b, m->m.want.address);
        break;
    case clan_link_FromLink_peer_closed_tag:
        peers_closed(b, m->m.peer_closed.machine_id);
        break;
    case clan_link_FromLink_peer_stats_tag:
        on_stats(b, &m->m.peer_stats);
        break;
    case clan_link_FromLink_carries_tag:
        paths_carries(b, &m->m.carries);
        brain_soon(b);
        break;
    case clan_link_FromLink_answered_tag:
        paths_answered(b, &m->m.answered);
        break;
    case clan_link_FromLink_counters_tag:
        on_counters(b, &m->m.counters);
        break;
    default:
        break;
    }
}

static void on_gone(void *arg)
{
    struct brain *b = arg;
    chan_close(b->link);
    b->link = NULL;
    b->link_ready = false;
    b->tun_sent = false;
    for (unsigned i = 0; i < b->session_top; i++)
        if (b->sessions[i].id)
            session_ended(b, &b->sessions[i], clan_link_Reason_REASON_IO);
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        if (p->used && p->closing)
            peers_closed(b, p->id); /* its sessions died with link */
        memset(p->sent_hash, 0, sizeof p->sent_hash);
    }
    sodium_memzero(b->invites_hash, sizeof b->invites_hash);
}

void link_open(struct brain *b, int fd, uint32_t child)
{
    if (b->link)
        on_gone(b);
    b->link = chan_open(&b->loop, fd, on_message, on_gone, b);
    b->link_child = child;
    clan_link_ToLink *m = link_blank(clan_link_ToLink_hello_tag);
    m->m.hello.incarnation = b->incarnation;
    snprintf(m->m.hello.build, sizeof m->m.hello.build, "%s", BRAIN_BUILD);
    link_send(b, m, NULL, 0);
    link_send_keys(b);
    link_send_tun(b);
    if (b->bound) {
        doors_reconcile(b);
        peers_reconcile(b);
    }
    m = link_blank(clan_link_ToLink_synced_tag);
    link_send(b, m, NULL, 0);
}

void link_send_keys(struct brain *b)
{
    if (!b->link || !b->root || sodium_is_zero(b->own_id, 32))
        return;
    uint8_t pub[32];
    clan_link_ToLink *m = link_blank(clan_link_ToLink_keys_tag);
    memcpy(m->m.keys.clan_id, b->clan_id, 32);
    snprintf(m->m.keys.petname, sizeof m->m.keys.petname, "%s", b->petname);
    memcpy(m->m.keys.machine_id, b->own_id, 32);
    keys_machine_address(b->clan_id, b->own_id, m->m.keys.address);
    keys_static(b->root, KEY_LINK, 1, m->m.keys.link_secret, pub);
    keys_static(b->root, KEY_CONTROL, 1, m->m.keys.control_secret, pub);
    keys_static(b->root, KEY_DOOR, 1, m->m.keys.door_secret, pub);
    link_send(b, m, NULL, 0);
    sodium_memzero(m, LINK_SMALL);
}

void link_send_tun(struct brain *b)
{
    if (!b->link || b->tun_fd < 0 || b->tun_sent)
        return;
    clan_link_ToLink *m = link_blank(clan_link_ToLink_tun_tag);
    m->m.tun.mtu = WIRE_MTU;
    m->m.tun.vnet_hdr = (b->tun_flags & WARD_TUN_VNET) != 0;
    link_send(b, m, &b->tun_fd, 1);
    b->tun_sent = true;
}

bool link_on_attached_subnet(const struct brain *b, const uint8_t addr[16])
{
    for (unsigned i = 0; i < b->local.count; i++) {
        unsigned bits = b->local.addrs[i].prefix_len;
        const uint8_t *l = b->local.addrs[i].address;
        if (bits > 128 || memcmp(l, addr, bits / 8) != 0)
            continue;
        uint8_t mask = (uint8_t)(0xff00 >> (bits % 8));
        if (bits % 8 == 0 || ((l[bits / 8] ^ addr[bits / 8]) & mask) == 0)
            return true;
    }
    return false;
}

void link_address(const char *text, uint8_t ret[16])
{
    char host[64];
    memset(ret, 0, 16);
    const char *end = strrchr(text, ':');
    if (!end || (size_t)(end - text) >= sizeof host)
        return;
    size_t len = (size_t)(end - text);
    memcpy(host, text, len);
    host[len] = 0;
    if (host[0] == '[' && len > 2 && host[len - 1] == ']') {
        host[len - 1] = 0;
        if (inet_pton(AF_INET6, host + 1, ret) != 1)
            memset(ret, 0, 16);
    } else if (inet_pton(AF_INET, host, ret + 12) == 1) {
        ret[10] = ret[11] = 0xff;
    }
}

static bool fill_dialed(
    struct brain *b, clan_link_Stream *st, struct session *s, const struct dialing *d)
{
    st->dialed = true;
    st->purpose = d->purpose;
    s->purpose = d->purpose;
    s->dialed = true;
    memcpy(s->net, d->net, sizeof s->net);
    s->joiner = d->joiner;
    s->spare = d->spare;
    if (d->purpose == clan_link_Purpose_PURPOSE_DOOR)
        return true; /* the joiner adds its keys */
    const struct member_machine *m = b->set ? member_find(b->set, d->machine) : NULL;
    if (!m)
        return false;
    const uint8_t *key = stmt_record_find(
        &m->record, d->purpose == clan_link_Purpose_PURPOSE_LINK ? KEY_LINK : KEY_CONTROL);
    if (!key)
        return false;
    memcpy(st->peer_id, m->id, 32);
    memcpy(st->peer_static, key, 32);
    memcpy(s->machine, m->id, 32);
    s->has_machine = true;
    return true;
}

/* A dial whose stream nobody takes, as while link is started anew: it is tried again. */
static void stream_lost(struct brain *b, const struct dialing *d)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!d)
        return;
    err_set(&e, CLAN_E_AGAIN, "the connection could not be handed on");
    if (d->joiner)
        joiner_dial_failed(b, d->joiner, &e);
    else
        peers_dial_failed(b, d);
}

void link_stream(
    struct brain *b, int fd, const char *transport, const char *remote, const struct dialing *d)
{
    /* who calls is not known yet, but this machine's own word is */
    struct session *s = b->link && demand_own(b, transport) ? session_new(b) : NULL;
    if (!s) {
        close(fd);
        stream_lost(b, d);
        return;
    }
    clan_link_ToLink *m = link_blank(clan_link_ToLink_stream_tag);
    clan_link_Stream *st = &m->m.stream;
    st->session = s->id;
    link_address(remote, st->remote);
    memcpy(s->remote, st->remote, 16);
    snprintf(s->transport, sizeof s->transport, "%s", transport);
    snprintf(s->via, sizeof s->via, "%.63s", remote);
    memcpy(st->transport, s->transport, sizeof st->transport);
    memcpy(st->via, s->via, sizeof st->via);
    st->rank = paths_rank(b, transport);
    bool ok = true;
    if (d) {
        ok = fill_dialed(b, st, s, d);
        if (d->joiner)
            joiner_fill_stream(d->joiner, s, st);
    }
    ok = ok && chan_send(b->link, clan_link_ToLink_fields, m, &fd, 1);
    sodium_memzero(m, LINK_SMALL);
    close(fd);
    if (!ok) {
        s->id = 0;
        stream_lost(b, d);
    }
}
