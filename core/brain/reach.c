/* Which transports have been proven to reach others and to be reached: what clan netcheck asks for. */
#include "brain/reach.h"

#include "base/clock.h"
#include "brain/devices.h"

#include <sodium.h>
#include <string.h>

#define AGO(then_ms) ((then_ms) ? (uint32_t)((brain_now() - (then_ms)) / 1000) + 1 : 0)

struct reach {
    char transport[33];
    uint64_t in_ms, far_ms, out_ms, failed_ms; /* 0: never */
    uint8_t in_from[32], out_to[32], failed_to[32];
    unsigned failures; /* since a dial came to something */
};
static struct reach table[CONFIG_TRANSPORTS_MAX];
static uint64_t began_ms;

void reach_begin(void)
{
    began_ms = brain_now();
}

/* Transports that are in use no more leave when others need the place. */
static struct reach *reach_of(const char *transport)
{
    struct reach *oldest = &table[0];
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < CONFIG_TRANSPORTS_MAX; i++) {
        struct reach *r = &table[i];
        uint64_t last = r->in_ms > r->out_ms ? r->in_ms : r->out_ms;
        last = last > r->failed_ms ? last : r->failed_ms;
        if (strcmp(r->transport, transport) == 0)
            return r;
        if (last < least) {
            least = last;
            oldest = r;
        }
    }
    *oldest = (struct reach){0};
    snprintf(oldest->transport, sizeof oldest->transport, "%s", transport);
    return oldest;
}

void reach_up(const struct brain *b, const struct session *s)
{
    struct reach *r = s->has_machine && s->transport[0] ? reach_of(s->transport) : NULL;
    if (!r)
        return;
    if (s->dialed) {
        r->out_ms = brain_now();
        r->failures = 0;
        memcpy(r->out_to, s->machine, 32);
        return;
    }
    r->in_ms = brain_now();
    memcpy(r->in_from, s->machine, 32);
    if (!sodium_is_zero(s->remote, 16) && !link_on_attached_subnet(b, s->remote))
        r->far_ms = brain_now(); /* not a neighbour: from another network */
}

void reach_failed(const char *transport, const uint8_t machine[32])
{
    struct reach *r = transport[0] ? reach_of(transport) : NULL;
    if (!r)
        return;
    r->failed_ms = brain_now();
    r->failures++;
    memcpy(r->failed_to, machine, 32);
}

/* ---- for clan netcheck ---- */

static bool has(const struct member_machine *m, const char *transport)
{
    for (unsigned i = 0; i < m->record.endpoint_count; i++)
        if (strcmp(m->record.endpoints[i].transport, transport) == 0)
            return true;
    return false;
}

static bool in_clan(const struct brain *b, const struct member_machine *m)
{
    return (m->standing == MEMBER_CONFIRMED || m->standing == MEMBER_PROVISIONAL) &&
           m != brain_self(b);
}

/* One that is connected by it, packets before control: its path may be looked at. */
static void connected_by(struct brain *b, clan_api_NetTransport *t)
{
    bool data = false;
    for (unsigned i = 0; i < b->session_top; i++) {
        const struct session *s = &b->sessions[i];
        const struct member_machine *m =
            s->id && s->up && s->has_machine ? member_find(b->set, s->machine) : NULL;
        if (!m || strcmp(s->transport, t->transport) != 0 || !in_clan(b, m))
            continue;
        t->sessions++;
        const struct peer *p = peer_find(b, m->id);
        bool carries = p && p->link == s->id;
        if (t->via[0] && (data || !carries))
            continue;
        data = carries;
        t->carries = carries;
        t->data_allowed = carries && peers_data_allowed(b, m);
        snprintf(t->via, sizeof t->via, "%s", device_peers_via(b, p, s->transport, s->via));
        brain_name(b, m->id, t->via_machine);
        memcpy(t->via_address, m->address, 16);
    }
}

/* How its plugin does. */
static void plugin_of(struct brain *b, clan_api_NetTransport *t)
{
    const struct host *h = host_find(b, t->transport);
    if (!b->grants_ok || !grants_find(&b->grants, t->transport)) {
        snprintf(t->state, sizeof t->state, "not granted");
        return;
    }
    snprintf(t->state, sizeof t->state, "%s",
        !h || !h->used             ? "down"
        : h->state == HOST_STARTED ? "up"
        : h->state == HOST_FAILED  ? "failed"
        : transports_starting(b)   ? "starting"
                                   : "down");
    if (!h || !h->used)
        return;
    snprintf(t->why, sizeof t->why, "%s", h->why);
    snprintf(t->remedy, sizeof t->remedy, "%s", h->remedy);
    t->meets = h->meets;
    for (unsigned i = 0; i < h->endpoint_count && t->endpoints_count < 16; i++)
        snprintf(t->endpoints[t->endpoints_count++], sizeof t->endpoints[0], "%s", h->endpoints[i]);
}

static void show_transport(struct brain *b, struct client *c, const char *name)
{
    const struct reach *r = reach_of(name);
    clan_api_Answer *a = api_blank();
    clan_api_NetTransport *t = &a->m.net_transport;
    a->which_m = clan_api_Answer_net_transport_tag;
    snprintf(t->transport, sizeof t->transport, "%s", name);
    plugin_of(b, t);
    connected_by(b, t);
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        t->machines += in_clan(b, m) && has(m, name);
    }
    t->in_s = AGO(r->in_ms);
    t->far_s = AGO(r->far_ms);
    t->out_s = AGO(r->out_ms);
    t->failed_s = AGO(r->failed_ms);
    t->failures = r->failures;
    brain_name(b, r->in_from, t->in_from);
    brain_name(b, r->out_to, t->out_to);
    brain_name(b, r->failed_to, t->failed_to);
    api_answer(c, a, false);
}

static void show_whole(struct brain *b, struct client *c)
{
    clan_api_Answer *a = api_blank();
    clan_api_NetFacts *f = &a->m.net_facts;
    a->which_m = clan_api_Answer_net_facts_tag;
    f->runs_s = (uint32_t)((brain_now() - began_ms) / 1000);
    f->net_up = b->net_up;
    f->firewall_told = b->net_up && b->fw && !b->fw_commits;
    f->dns = b->grants_ok ? b->grants.dns : 0;
    f->clock_offset_s = peers_median_clock(b);
    for (size_t i = 0; i < b->peer_count; i++) {
        const struct peer *p = &b->peers[i];
        const struct member_machine *m = member_find(b->set, p->id);
        f->clocks += p->control && p->shown_head && m && m->standing == MEMBER_CONFIRMED;
    }
    api_answer(c, a, false);
}

void reach_show(struct brain *b, struct client *c)
{
    struct path_order order;
    transports_own(b, &order);
    show_whole(b, c);
    for (unsigned i = 0; i < order.count; i++)
        show_transport(b, c, order.names[i]);
    api_ok(c);
}
