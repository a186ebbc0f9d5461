/* "via:" of clan.yaml: the transports by which a machine or a service is reached, and no others. */
#include "brain/demand.h"
#include "brain/devices.h"

#include <stdlib.h>
#include <string.h>

#define VERSIONS_LOOKED 100 /* so many are kept */

/* The newest configuration that can be read here, while the one that the head names is missing: a
 * restart at that moment must not forget whom nobody may see. */
static struct clan_config *before;

static const struct clan_config *config(const struct brain *b)
{
    return b->cfg ? b->cfg : before;
}

/* Most clans demand nothing, and this is asked for each peer all the time. */
static bool any(const struct clan_config *cfg)
{
    static const struct clan_config *of;
    static uint64_t version;
    static bool found;
    if (cfg == of && (!cfg || cfg->version == version))
        return found;
    of = cfg;
    version = cfg ? cfg->version : 0;
    found = false;
    for (unsigned i = 0; cfg && i < cfg->machine_count; i++)
        found = found || cfg->machines[i].via;
    for (unsigned i = 0; cfg && i < cfg->service_count; i++)
        found = found || cfg->services[i].via;
    return found;
}

#define DEMANDED 0x100u /* beside the bits of the order, of which none may be left */

/* Link does not see what a device carries, so whoever holds a service that it may not carry does without it. */
static unsigned without_devices(
    const struct brain *b, const struct clan_config *cfg, const uint8_t id[32], unsigned via)
{
    for (unsigned i = 0; i < cfg->service_count; i++) {
        const struct clan_config_service *s = &cfg->services[i];
        const struct member_machine *holder = s->via ? place_holder(b->set, cfg, s) : NULL;
        if (!holder || memcmp(holder->id, id, 32) != 0)
            continue;
        for (unsigned t = 0; t < cfg->transport_count; t++)
            if (!(s->via & 1u << t) && devices_is(b, cfg->transports[t]))
                via = (via ? via : DEMANDED | 0xffu) & ~(1u << t);
    }
    return via;
}

/* Bits of the order and DEMANDED; 0: any. */
static unsigned via_of(const struct brain *b, const uint8_t id[32])
{
    const struct clan_config *cfg = config(b);
    unsigned via = 0;
    if (!any(cfg))
        return 0;
    for (unsigned i = 0; i < cfg->machine_count; i++)
        if (cfg->machines[i].via && memcmp(cfg->machines[i].id, id, 32) == 0)
            via = DEMANDED | cfg->machines[i].via;
    return without_devices(b, cfg, id, via);
}

static bool allowed(const struct clan_config *cfg, unsigned via, const char *transport)
{
    for (unsigned i = 0; via && i < cfg->transport_count; i++)
        if (via & 1u << i && strcmp(cfg->transports[i], transport) == 0)
            return true;
    return !via;
}

bool demand_own(const struct brain *b, const char *transport)
{
    return allowed(config(b), via_of(b, b->own_id), transport);
}

bool demand_allows(const struct brain *b, const uint8_t id[32], const char *transport)
{
    return demand_own(b, transport) && allowed(config(b), via_of(b, id), transport);
}

bool demand_is(const struct brain *b, const uint8_t id[32])
{
    return via_of(b, id) || via_of(b, b->own_id);
}

void demand_filter(const struct brain *b, const uint8_t id[32], struct path_order *order)
{
    unsigned n = 0, own = via_of(b, b->own_id), other = id ? via_of(b, id) : 0;
    for (unsigned i = 0; i < order->count; i++)
        if (allowed(config(b), own, order->names[i]) && allowed(config(b), other, order->names[i]))
            memmove(order->names[n++], order->names[i], sizeof order->names[0]);
    for (unsigned i = n; i < order->count; i++) /* orders are compared byte by byte */
        memset(order->names[i], 0, sizeof order->names[i]);
    order->count = n;
}

/* What both allow. */
static void allowed_with(const struct brain *b, const uint8_t id[32], struct path_order *ret)
{
    const struct clan_config *cfg = config(b);
    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; cfg && i < cfg->transport_count; i++)
        memcpy(ret->names[ret->count++], cfg->transports[i], sizeof ret->names[0]);
    demand_filter(b, id, ret);
}

void demand_describe(const struct brain *b, const uint8_t id[32], clan_link_Peer *ret)
{
    struct path_order order;
    if (!demand_is(b, id))
        return;
    allowed_with(b, id, &order);
    ret->only = true;
    _Static_assert(sizeof ret->via == sizeof order.names, "they fit");
    memcpy(ret->via, order.names, sizeof ret->via);
    ret->via_count = (pb_size_t)order.count;
}

/* "only by tcp-noise or tor, as clan.yaml says" */
static void only_by(const struct path_order *order, char *ret_text, size_t cap)
{
    size_t len = 0;
    for (unsigned i = 0; i < order->count && len < cap; i++)
        len += (size_t)snprintf(ret_text + len, cap - len, "%s%s",
            i == 0                  ? "only by "
            : i + 1 == order->count ? " or "
                                    : ", ",
            order->names[i]);
    if (len < cap)
        snprintf(ret_text + len, cap - len, ", as clan.yaml says");
}

void demand_text(const struct brain *b, const uint8_t id[32], char *ret_text, size_t cap)
{
    struct path_order order;
    ret_text[0] = 0;
    if (!demand_is(b, id))
        return;
    allowed_with(b, id, &order);
    if (order.count == 0) {
        snprintf(ret_text, cap, "by no transport that clan.yaml lets both machines use");
        return;
    }
    only_by(&order, ret_text, cap);
}

/* ---- services ---- */

static void send_demand(struct brain *b, const struct clan_config_service *s, bool first, bool last)
{
    const struct clan_config *cfg = config(b);
    clan_link_ToLink *m = link_blank(clan_link_ToLink_demand_tag);
    clan_link_Demand *d = &m->m.demand;
    d->first = first;
    d->last = last;
    d->has_service = s != NULL;
    if (s)
        keys_service_address(b->clan_id, s->name, d->address);
    for (unsigned i = 0; s && i < cfg->transport_count; i++)
        if (s->via & 1u << i)
            memcpy(d->via[d->via_count++], cfg->transports[i], sizeof d->via[0]);
    link_send(b, m, NULL, 0);
}

/* All of them, when they are others than the link of now was told: it keeps their packets off other paths. */
static void demand_services(struct brain *b)
{
    static uint32_t told; /* which link */
    static uint64_t version;
    const struct clan_config *cfg = config(b);
    unsigned n = 0, count = 0;
    if (!b->link_ready || !cfg || (told == b->link_child && version == cfg->version))
        return;
    told = b->link_child;
    version = cfg->version;
    for (unsigned i = 0; i < cfg->service_count; i++)
        count += cfg->services[i].via != 0;
    if (count == 0)
        send_demand(b, NULL, true, true);
    for (unsigned i = 0; i < cfg->service_count; i++)
        if (cfg->services[i].via) {
            send_demand(b, &cfg->services[i], n == 0, n + 1 == count);
            n++;
        }
}

void demand_service_text(const struct brain *b, const struct clan_config_service *s,
    const char *transport, char *ret_text, size_t cap)
{
    struct path_order order = {0};
    const struct clan_config *cfg = config(b);
    ret_text[0] = 0;
    if (!cfg || !transport || allowed(cfg, s->via, transport))
        return;
    for (unsigned i = 0; i < cfg->transport_count; i++)
        if (s->via & 1u << i)
            memcpy(order.names[order.count++], cfg->transports[i], sizeof order.names[0]);
    size_t len = (size_t)snprintf(ret_text, cap, "by %s it is refused: ", transport);
    if (len < cap)
        only_by(&order, ret_text + len, cap - len);
}

bool demand_betrayed(const struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    for (unsigned i = 0; self && i < self->record.endpoint_count; i++)
        if (!demand_own(b, self->record.endpoints[i].transport))
            return true;
    return false;
}

/* Versions are kept by the core that verified them; the newest below the head that can be read. */
static void read_before(struct brain *b)
{
    const uint8_t *id;
    const struct stmt_envelope *env;
    static bool looked;
    uint64_t head = member_head(b->set, &id, &env);
    if (b->cfg || looked || !env)
        return;
    looked = true;
    for (uint64_t v = head; v > 0 && head - v < VERSIONS_LOOKED && !before; v--) {
        char *text;
        size_t size;
        if (bodies_version(b, v, &text, &size) != CLAN_OK)
            continue;
        struct config_problems *p = config_problems_new("clan.yaml");
        if (p && config_clan_parse(text, size, p, &before) != CLAN_OK)
            before = NULL;
        config_problems_free(p);
        free(text);
    }
}

void demand_reconcile(struct brain *b)
{
    read_before(b);
    if (b->cfg && before) {
        config_clan_free(before);
        before = NULL;
    }
    demand_services(b);
    if (!via_of(b, b->own_id))
        return;
    for (unsigned i = 0; i < b->session_top; i++) {
        struct session *s = &b->sessions[i];
        if (s->id && s->transport[0] && !demand_own(b, s->transport))
            session_close(b, s, false); /* its Down follows */
    }
}
