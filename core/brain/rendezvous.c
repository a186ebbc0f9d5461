/* What transports with hidden places are told: who is a member, which invitations are open; and their secrets. */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/brain.h"
#include "brain/interfaces.h"

#include <sodium.h>
#include <string.h>

#define PIECE 16 /* endpoints in one message */

static clan_host_ToHost out;

static clan_host_ToHost *blank(pb_size_t which)
{
    memset(&out, 0, sizeof out);
    out.which_m = which;
    return &out;
}

static void tell(struct host *h)
{
    if (!chan_send(h->chan, clan_host_ToHost_fields, &out, NULL, 0))
        log_warn("host %s does not take messages", h->instance);
}

void rendezvous_secret(struct host *h)
{
    if (h->told_secret || !h->b->root || !h->chan)
        return;
    clan_host_Secret *m = &blank(clan_host_ToHost_secret_tag)->m.secret;
    m->counter = KEYS_PLUGIN_COUNTER;
    keys_plugin(h->b->root, m->counter, h->plugin, h->instance, m->secret);
    tell(h);
    sodium_memzero(&out, sizeof out);
    h->told_secret = true;
}

/* ---- members ---- */

typedef void each_fn(struct host *h, const char *endpoint, void *arg);

/* Endpoints of this transport in the records of who may talk here. */
static void each_member(struct host *h, each_fn *fn, void *arg)
{
    const struct brain *b = h->b;
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m->standing == MEMBER_REVOKED || m->standing == MEMBER_UNKNOWN ||
            memcmp(m->id, b->own_id, 32) == 0)
            continue;
        for (unsigned k = 0; k < m->record.endpoint_count; k++)
            if (strcmp(m->record.endpoints[k].transport, h->plugin) == 0)
                fn(h, m->record.endpoints[k].text, arg);
    }
}

static void hash_one(struct host *h, const char *endpoint, void *arg)
{
    (void)h;
    crypto_generichash_update(arg, (const uint8_t *)endpoint, strlen(endpoint) + 1);
}

static void send_piece(struct host *h, bool last)
{
    out.m.members.last = last;
    tell(h);
    blank(clan_host_ToHost_members_tag);
}

static void send_one(struct host *h, const char *endpoint, void *arg)
{
    clan_host_Members *m = &out.m.members;
    (void)arg;
    if (m->endpoint_count == PIECE)
        send_piece(h, false);
    snprintf(m->endpoint[m->endpoint_count++], sizeof m->endpoint[0], "%s", endpoint);
}

static void tell_members(struct host *h)
{
    crypto_generichash_state st;
    uint8_t hash[32];
    crypto_generichash_init(&st, NULL, 0, sizeof hash);
    each_member(h, hash_one, &st);
    crypto_generichash_final(&st, hash, sizeof hash);
    if (memcmp(hash, h->members_hash, sizeof hash) == 0)
        return;
    memcpy(h->members_hash, hash, sizeof hash);
    blank(clan_host_ToHost_members_tag)->m.members.first = true;
    each_member(h, send_one, NULL);
    send_piece(h, true);
}

/* ---- invitations ---- */

/* By the own clock: who comes too late is told why by the door, who never was invited finds none. */
static bool open_now(const struct member_invite *i, int64_t now)
{
    return !i->closed && i->body.state == STMT_INVITE_OPEN && i->body.expires > now &&
           i->confirmed < i->body.uses;
}

static void tell_invitations(struct host *h)
{
    const struct brain *b = h->b;
    clan_host_Invitations *m = &blank(clan_host_ToHost_invitations_tag)->m.invitations;
    int64_t now = clock_wall_s();
    uint8_t hash[32];
    for (size_t i = 0; i < member_invite_count(b->set) && m->key_count < 16; i++) {
        const struct member_invite *inv = member_invite_at(b->set, i);
        if (open_now(inv, now))
            memcpy(m->key[m->key_count++], inv->body.x25519, 32);
    }
    crypto_generichash(hash, sizeof hash, m->key[0], m->key_count * 32u, NULL, 0);
    if (memcmp(hash, h->invitations_hash, sizeof hash) == 0)
        return;
    memcpy(h->invitations_hash, hash, sizeof hash);
    tell(h);
}

void rendezvous_reconcile(struct brain *b)
{
    for (unsigned i = 0; b->set && i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (!h->used || !h->chan || h->service || h->state != HOST_STARTED)
            continue;
        rendezvous_secret(h);
        if (!h->meets)
            continue;
        tell_members(h);
        tell_invitations(h);
    }
}

void rendezvous_invited(
    struct brain *b, const char *transport, const char *endpoint, const uint8_t seed[16])
{
    struct host *h = host_find(b, transport);
    if (!h || !h->chan || h->service || h->state != HOST_STARTED || !h->meets)
        return; /* no secret of a link for who has no use for it */
    clan_host_Invited *m = &blank(clan_host_ToHost_invited_tag)->m.invited;
    snprintf(m->endpoint, sizeof m->endpoint, "%s", endpoint);
    keys_invite_onion(seed, m->secret);
    tell(h);
    sodium_memzero(&out, sizeof out);
}

/* ---- what it says ---- */

bool rendezvous_among(const char (*interfaces)[64], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(interfaces[i], interface_rendezvous) == 0)
            return true;
    return false;
}

void rendezvous_told(struct host *h, const clan_host_Health *m)
{
    bool was = h->healthy;
    h->healthy = m->ok;
    snprintf(h->why, sizeof h->why, "%s", m->text);
    text_sanitize(h->why);
    h->remedy[0] = 0;
    if (was != m->ok)
        log_info("%s %s%s", h->instance, m->ok ? "works" : "does not work: ", m->ok ? "" : h->why);
    services_changed(h->b);
    if (m->ok && !was && h->meets && !h->service) {
        path_limit_clear_hidden(&h->b->limit);
        peers_nudge(h->b);
    }
    brain_soon(h->b);
}

void rendezvous_endpoints(struct host *h, const clan_host_Endpoints *e)
{
    h->door[0] = 0;
    if (stmt_endpoint_ok(e->door))
        snprintf(h->door, sizeof h->door, "%s", e->door);
}

bool rendezvous_hides(struct brain *b, const char *transport)
{
    const struct host *h = host_find(b, transport);
    return h && !h->service && h->meets;
}

const char *rendezvous_door(struct brain *b)
{
    const struct host *h = host_find(b, LINK_TRANSPORT_ONION);
    return h && !h->service && h->state == HOST_STARTED ? h->door : "";
}
