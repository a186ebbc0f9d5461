/* The tables core fills, and the map from addresses to peers that the sender reads. */
#include "peers.h"

#include "resend.h"
#include "session.h"

#include "base/log.h"
#include "wire/limits.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* --- the map --- */

static uint32_t slot_of(const struct link *l, const uint8_t address[16])
{
    uint64_t a[2];
    memcpy(a, address, 16);
    uint64_t h = (a[0] ^ l->dest_seed) * 0x9e3779b97f4a7c15ull;
    h = (h ^ (h >> 31) ^ a[1]) * 0xbf58476d1ce4e5b9ull;
    return (uint32_t)(h >> 32) & (l->dest_size - 1);
}

struct link_peer *peers_route(struct link *l, const uint8_t address[16])
{
    if (!l->dest_size)
        return NULL;
    for (uint32_t i = slot_of(l, address);; i = (i + 1) & (l->dest_size - 1)) {
        struct link_dest *d = &l->dest[i];
        if (!d->peer || memcmp(d->address, address, 16) == 0)
            return d->peer;
    }
}

static void map_add(struct link *l, const uint8_t address[16], struct link_peer *p)
{
    uint32_t i = slot_of(l, address);
    while (l->dest[i].peer) {
        if (memcmp(l->dest[i].address, address, 16) == 0)
            return; /* core says who holds an address; the first one stays */
        i = (i + 1) & (l->dest_size - 1);
    }
    memcpy(l->dest[i].address, address, 16);
    l->dest[i].peer = p;
}

static void map_rebuild(struct link *l)
{
    uint32_t count = 0, size = 16;
    for (unsigned i = 0; i < l->peer_count; i++)
        count += l->peers[i]->from_count;
    while (size < count * 2)
        size *= 2;
    struct link_dest *dest = calloc(size, sizeof *dest);
    link_lock(l);
    if (dest) {
        free(l->dest);
        l->dest = dest;
        l->dest_size = size;
    } else { /* nothing is better than a pointer to somebody who is gone */
        memset(l->dest, 0, l->dest_size * sizeof *l->dest);
        log_error("out of memory for %u addresses: no packets go out", count);
    }
    for (unsigned i = 0; dest && i < l->peer_count; i++)
        for (unsigned j = 0; j < l->peers[i]->from_count; j++)
            map_add(l, l->peers[i]->from[j], l->peers[i]);
    link_unlock(l);
}

/* --- peers --- */

struct link_peer *peers_find(struct link *l, const uint8_t machine_id[32])
{
    for (unsigned i = 0; i < l->peer_count; i++)
        if (memcmp(l->peers[i]->machine_id, machine_id, 32) == 0)
            return l->peers[i];
    return NULL;
}

struct link_peer *peers_by_key(struct link *l, clan_link_Purpose purpose, const uint8_t key[32])
{
    for (unsigned i = 0; i < l->peer_count; i++) {
        struct link_peer *p = l->peers[i];
        bool link = purpose == clan_link_Purpose_PURPOSE_LINK;
        if (memcmp(link ? p->link_key : p->control_key, key, 32) == 0)
            return p;
    }
    return NULL;
}

bool peers_takes(const struct link_peer *p, const char *transport)
{
    for (unsigned i = 0; p->only && i < p->via_count; i++)
        if (strcmp(p->via[i], transport) == 0)
            return true;
    return !p->only;
}

/* Those by transports that are no more allowed; handshakes included. */
static void close_barred(struct link *l, const struct link_peer *p)
{
    for (unsigned i = 0; p->only && i < LINK_SESSIONS_MAX && l->session_count; i++) {
        struct link_session *s = l->slots[i];
        if (s && s->peer == p && !peers_takes(p, s->transport))
            link_session_close(s, clan_link_Reason_REASON_CORE);
    }
}

/* Every session of p, or those of one purpose; handshakes included. */
static void close_sessions(struct link *l, struct link_peer *p, clan_link_Purpose purpose)
{
    for (unsigned i = 0; i < LINK_SESSIONS_MAX && l->session_count; i++) {
        struct link_session *s = l->slots[i];
        if (s && s->peer == p &&
            (purpose == clan_link_Purpose_PURPOSE_NONE || s->purpose == purpose))
            link_session_close(s, clan_link_Reason_REASON_CORE);
    }
}

static struct link_peer *peer_add(struct link *l, const uint8_t machine_id[32])
{
    if (l->peer_count >= WIRE_PEERS_MAX)
        return NULL;
    if (l->peer_count == l->peer_cap) {
        unsigned cap = l->peer_cap ? l->peer_cap * 2 : 16;
        struct link_peer **peers = realloc(l->peers, cap * sizeof(struct link_peer *));
        if (!peers)
            return NULL;
        l->peers = peers;
        l->peer_cap = cap;
    }
    struct link_peer *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    memcpy(p->machine_id, machine_id, 32);
    l->peers[l->peer_count++] = p;
    return p;
}

void peers_set(struct link *l, const clan_link_Peer *m)
{
    struct link_peer *p = peers_find(l, m->machine_id);
    if (!p && !(p = peer_add(l, m->machine_id))) {
        log_error("no room for another peer: %u is the limit", WIRE_PEERS_MAX);
        return;
    }
    _Static_assert(sizeof m->via == sizeof p->via, "they fit");
    link_lock(l);
    p->only = m->only; /* before anything is closed: what takes over is one of the allowed */
    p->via_count = m->via_count;
    memcpy(p->via, m->via, sizeof p->via);
    close_barred(l, p);
    if (memcmp(p->link_key, m->link_key, 32) != 0)
        close_sessions(l, p, clan_link_Purpose_PURPOSE_LINK);
    if (memcmp(p->control_key, m->control_key, 32) != 0)
        close_sessions(l, p, clan_link_Purpose_PURPOSE_CONTROL);
    memcpy(p->link_key, m->link_key, 32);
    memcpy(p->control_key, m->control_key, 32);
    memcpy(p->from[0], m->address, 16);
    p->from_count = 1;
    for (unsigned i = 0; i < m->service_addresses_count; i++)
        memcpy(p->from[p->from_count++], m->service_addresses[i], 16);
    p->reachable_count = m->reachable_count;
    for (unsigned i = 0; i < m->reachable_count; i++)
        memcpy(p->reachable[i], m->reachable[i], 16);
    p->restricted = m->restricted;
    p->no_data = m->no_data;
    p->named = true;
    link_unlock(l);
    map_rebuild(l);
}

void peers_remove(struct link *l, struct link_peer *p)
{
    link_lock(l);
    close_sessions(l, p, clan_link_Purpose_PURPOSE_NONE);
    for (unsigned i = 0; i < l->peer_count; i++)
        if (l->peers[i] == p) {
            l->peers[i] = l->peers[--l->peer_count];
            break;
        }
    map_rebuild(l);
    fq_free(p->queue);
    resend_free(p->again);
    sodium_memzero(p, sizeof *p);
    free(p);
    link_unlock(l);
}

void peers_forget_names(struct link *l)
{
    for (unsigned i = 0; i < l->peer_count; i++)
        l->peers[i]->named = false;
    for (unsigned i = 0; i < LINK_INVITES_MAX; i++)
        l->invites[i].named = false;
}

void peers_drop_unnamed(struct link *l)
{
    for (unsigned i = l->peer_count; i-- > 0;)
        if (!l->peers[i]->named)
            peers_remove(l, l->peers[i]);
    for (unsigned i = 0; i < LINK_INVITES_MAX; i++)
        if (l->invites[i].used && !l->invites[i].named)
            sodium_memzero(&l->invites[i], sizeof l->invites[i]);
}

/* --- invitations --- */

struct link_invite *peers_invite(struct link *l, const uint8_t id[16])
{
    for (unsigned i = 0; i < LINK_INVITES_MAX; i++)
        if (l->invites[i].used && memcmp(l->invites[i].id, id, 16) == 0)
            return &l->invites[i];
    return NULL;
}

void peers_set_invite(struct link *l, const clan_link_Invite *m)
{
    struct link_invite *v = peers_invite(l, m->id);
    for (unsigned i = 0; !v && i < LINK_INVITES_MAX; i++)
        if (!l->invites[i].used)
            v = &l->invites[i];
    if (!v) {
        log_error("no room for another open invitation: %u is the limit", LINK_INVITES_MAX);
        return;
    }
    memcpy(v->id, m->id, 16);
    memcpy(v->psk, m->psk, 32);
    v->used = v->named = true;
}

void peers_drop_invite(struct link *l, const uint8_t id[16])
{
    struct link_invite *v = peers_invite(l, id);
    if (v)
        sodium_memzero(v, sizeof *v);
}
