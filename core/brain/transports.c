/* Transport plugins: which run, dialling through them, the endpoints of this machine. */
#include "base/error.h"
#include "base/log.h"
#include "brain/demand.h"
#include "brain/devices.h"

#include <string.h>
#include <unistd.h>

#define START_TRIES        3 /* of a transport, until one that joins need not wait for it */
#define DEFAULT_TRANSPORT  "tcp-noise"
#define TRANSPORTS_MEET_MS 60000

/* Those of the signed configuration; before there is one, what the owner granted. */
void transports_configured(const struct brain *b, struct path_order *ret)
{
    memset(ret, 0, sizeof *ret);
    for (unsigned i = 0; b->cfg && i < b->cfg->transport_count; i++)
        memcpy(ret->names[ret->count++], b->cfg->transports[i], sizeof ret->names[0]);
    if (ret->count)
        return;
    snprintf(ret->names[ret->count++], sizeof ret->names[0], "%s", DEFAULT_TRANSPORT);
    for (unsigned i = 0; b->grants_ok && i < b->grants.plugin_count; i++) {
        const struct grant_plugin *p = &b->grants.plugins[i];
        if (p->kind == GRANT_KIND_TRANSPORT && strcmp(p->id, DEFAULT_TRANSPORT) != 0 &&
            ret->count < CONFIG_TRANSPORTS_MAX)
            snprintf(ret->names[ret->count++], sizeof ret->names[0], "%s", p->id);
    }
}

/* Without those that clan.yaml forbids this machine. */
void transports_own(const struct brain *b, struct path_order *ret)
{
    transports_configured(b, ret);
    demand_filter(b, NULL, ret);
}

static bool lists(const struct path_order *order, const char *name)
{
    for (unsigned i = 0; i < order->count; i++)
        if (strcmp(order->names[i], name) == 0)
            return true;
    return false;
}

bool transports_wanted(const struct brain *b, const char *name)
{
    struct path_order order;
    transports_configured(b, &order);
    return lists(&order, name);
}

void transports_first(const struct brain *b, char ret_name[33])
{
    struct path_order order;
    transports_own(b, &order);
    const char *name = order.names[0];
    for (unsigned i = order.count; b->grants_ok && i-- > 0;)
        if (grants_find(&b->grants, order.names[i]))
            name = order.names[i];
    snprintf(ret_name, 33, "%s", name);
}

static struct host *running(struct brain *b, const char *transport)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (h->used && !h->service && h->state == HOST_STARTED && strcmp(h->plugin, transport) == 0)
            return h;
    }
    return NULL;
}

void transports_order(const struct brain *b, struct path_order *ret)
{
    struct path_order all;
    transports_own(b, &all);
    ret->count = 0;
    for (unsigned i = 0; i < all.count; i++)
        if (running((struct brain *)(uintptr_t)b, all.names[i]))
            memcpy(ret->names[ret->count++], all.names[i], sizeof ret->names[0]);
}

bool transports_starting(const struct brain *b)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        const struct host *h = &b->hosts[i];
        if (!h->used || h->service)
            continue;
        if (h->state >= HOST_ASKED && h->state <= HOST_STARTED)
            return true; /* STARTED: its endpoints are still to come */
        if (h->state == HOST_FAILED && h->failures < START_TRIES)
            return true; /* it is asked for again by itself */
    }
    return !b->link_ready;
}

static const struct host *endpoints_of(struct brain *b, const char *transport)
{
    const struct host *h = host_find(b, transport);
    return h && !h->service && h->endpoint_count ? h : NULL;
}

bool transports_awaited(struct brain *b, const struct stmt_record *known)
{
    struct path_order own;
    transports_own(b, &own);
    for (unsigned i = 0; i < known->endpoint_count; i++) {
        const char *name = known->endpoints[i].transport;
        const struct host *h = host_find(b, name);
        if (lists(&own, name) && b->grants_ok && grants_find(&b->grants, name) &&
            !endpoints_of(b, name) && !(h && h->state == HOST_FAILED))
            return true;
    }
    return false;
}

/* As the record has it: a device's with its key. */
static void endpoint_text(
    const struct brain *b, const struct host *h, unsigned i, char ret[STMT_ENDPOINT_MAX + 1])
{
    if (devices_is(b, h->plugin)) /* also while its process is started anew */
        devices_endpoint(b, h->endpoints[i], ret);
    else
        memcpy(ret, h->endpoints[i], STMT_ENDPOINT_MAX + 1);
}

/* Each transport has its share of the places, so that the first one's do not hide the others. */
static void merge(struct brain *b, const struct path_order *order)
{
    unsigned n = 0, before = b->endpoint_count, some = 0;
    bool same = true;
    for (unsigned t = 0; t < order->count; t++)
        some += endpoints_of(b, order->names[t]) != NULL;
    unsigned share = some ? STMT_ENDPOINTS_MAX / some : 0;
    for (unsigned t = 0; t < order->count; t++) {
        const struct host *h = endpoints_of(b, order->names[t]);
        for (unsigned i = 0; h && i < h->endpoint_count && i < share; i++, n++) {
            char text[STMT_ENDPOINT_MAX + 1];
            endpoint_text(b, h, i, text);
            same = same && n < before && strcmp(b->endpoints[n].text, text) == 0 &&
                   strcmp(b->endpoints[n].transport, h->plugin) == 0;
            snprintf(b->endpoints[n].transport, sizeof b->endpoints[n].transport, "%s", h->plugin);
            snprintf(b->endpoints[n].text, sizeof b->endpoints[n].text, "%s", text);
        }
    }
    same = same && n == before;
    b->endpoint_count = n;
    if (!same && b->bound)
        identity_publish_record(b);
}

void transports_reconcile(struct brain *b)
{
    struct path_order order;
    transports_own(b, &order);
    for (unsigned i = 0; i < order.count; i++)
        if (b->grants_ok && grants_find(&b->grants, order.names[i]) &&
            (b->net_up || !devices_is(b, order.names[i]))) /* it has its own interface */
            host_want(b, order.names[i], order.names[i], NULL);
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (h->used && !h->service && !lists(&order, h->plugin))
            host_unwant(b, h);
    }
    merge(b, &order); /* the order may be another one */
    /* asked with measure: a transport that only dials answers with no endpoint, each time */
    if (!transports_up(b) || (b->local.count && b->endpoint_count) ||
        !rate_within(&b->addresses, 2))
        return;
    if (b->local.count)
        hosts_ask_endpoints(b);
    else
        ward_simple(b, WARD_REQ_LOCAL_ADDRS, NULL, NULL);
}

bool transports_up(const struct brain *b)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        const struct host *h = &b->hosts[i];
        if (h->used && !h->service && h->state == HOST_STARTED)
            return true;
    }
    return false;
}

bool transports_dial(struct brain *b, const struct dialing *what, const char *transport,
    const char *endpoint, uint32_t timeout_ms)
{
    struct host *h = running(b, transport);
    if (!demand_allows(b, what->machine, transport))
        return false;
    for (unsigned i = 0; h && i < BRAIN_DIALS_MAX; i++) {
        struct dialing *d = &b->dials[i];
        if (d->request)
            continue;
        if (h->meets && timeout_ms < TRANSPORTS_MEET_MS)
            timeout_ms = TRANSPORTS_MEET_MS; /* a way through other machines is long */
        *d = *what;
        d->host = h;
        snprintf(d->transport, sizeof d->transport, "%s", transport);
        d->request = ++b->next_request;
        /* the plugin keeps the time; this bound is for one that never answers */
        d->deadline_ms = brain_now() + timeout_ms + 2000;
        if (!h->device)
            host_dial(b, h, d->request, endpoint, timeout_ms);
        else if (!device_streams_dial(b, d->request, d->machine, endpoint, timeout_ms)) {
            d->request = 0;
            return false;
        }
        return true;
    }
    return false;
}

static void fail(struct brain *b, struct dialing *d, const struct clan_error *e)
{
    struct dialing copy = *d;
    d->request = 0;
    if (copy.joiner)
        joiner_dial_failed(b, copy.joiner, e);
    else
        peers_dial_failed(b, &copy);
}

void transports_dial_result(struct brain *b, const struct host *h, uint32_t request, int fd,
    const char *remote, const struct clan_error *e)
{
    for (unsigned i = 0; request && i < BRAIN_DIALS_MAX; i++) {
        struct dialing *d = &b->dials[i];
        if (d->request != request || d->host != h)
            continue; /* no plugin answers for another one */
        if (fd < 0) {
            fail(b, d, e);
            return;
        }
        struct dialing copy = *d;
        d->request = 0;
        link_stream(b, fd, h->plugin, remote, &copy);
        return;
    }
    if (fd >= 0)
        close(fd); /* too late, or never asked for */
}

bool transports_dials_for(const struct brain *b, const struct joiner *j)
{
    for (unsigned i = 0; i < BRAIN_DIALS_MAX; i++)
        if (b->dials[i].request && b->dials[i].joiner == j)
            return true;
    return false;
}

void transports_forget(struct brain *b, struct joiner *j)
{
    for (unsigned i = 0; i < BRAIN_DIALS_MAX; i++)
        if (b->dials[i].request && b->dials[i].joiner == j)
            b->dials[i].request = 0;
}

void transports_tick(struct brain *b)
{
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, CLAN_E_TIMEOUT, "the transport did not answer");
    for (unsigned i = 0; i < BRAIN_DIALS_MAX; i++)
        if (b->dials[i].request && brain_now() > b->dials[i].deadline_ms)
            fail(b, &b->dials[i], &e);
}

void transports_gone(struct brain *b, const struct host *h)
{
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, CLAN_E_NOTRUNNING, "the transport %s has ended", h->plugin);
    for (unsigned i = 0; i < BRAIN_DIALS_MAX; i++)
        if (b->dials[i].request && b->dials[i].host == h)
            fail(b, &b->dials[i], &e);
}

void transports_endpoints(struct brain *b, struct host *h, const clan_host_Endpoints *e)
{
    struct path_order order;
    rendezvous_endpoints(h, e);
    h->endpoint_count = 0;
    for (unsigned i = 0; i < e->endpoint_count && h->endpoint_count < STMT_ENDPOINTS_MAX; i++)
        if (stmt_endpoint_ok(e->endpoint[i])) /* a plugin's words do not spoil the record */
            snprintf(
                h->endpoints[h->endpoint_count++], sizeof h->endpoints[0], "%s", e->endpoint[i]);
    transports_own(b, &order);
    merge(b, &order);
    joiner_tick(b);
    brain_soon(b);
}

void transports_local_addrs(struct brain *b)
{
    hosts_ask_endpoints(b);
}
