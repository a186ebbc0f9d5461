/* Transport plugins: which run, dialling through them, the endpoints of this machine. */
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"

#include <string.h>
#include <unistd.h>

static const char default_transports[][33] = {"tcp-noise"};

static unsigned wanted(const struct brain *b, const char (**ret_names)[33])
{
    if (b->cfg && b->cfg->transport_count) {
        *ret_names = b->cfg->transports;
        return b->cfg->transport_count;
    }
    *ret_names = default_transports;
    return sizeof default_transports / sizeof default_transports[0];
}

bool transports_wanted(const struct brain *b, const char *name)
{
    const char(*names)[33];
    unsigned n = wanted(b, &names);
    for (unsigned i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

void transports_reconcile(struct brain *b)
{
    const char(*names)[33];
    unsigned n = wanted(b, &names);
    for (unsigned i = 0; i < n; i++)
        if (b->grants_ok && grants_find(&b->grants, names[i]))
            host_want(b, names[i], names[i], NULL);
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (h->used && !h->service && !transports_wanted(b, h->plugin))
            host_unwant(b, h);
    }
    if (transports_up(b) && b->endpoint_count == 0 && b->local.count)
        hosts_ask_endpoints(b);
    else if (transports_up(b) && b->local.count == 0)
        ward_simple(b, WARD_REQ_LOCAL_ADDRS, NULL, NULL);
}

static struct host *running(struct brain *b)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (h->used && !h->service && h->state == HOST_STARTED && transports_wanted(b, h->plugin))
            return h;
    }
    return NULL;
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

bool transports_dial(
    struct brain *b, const struct dialing *what, const char *endpoint, uint32_t timeout_ms)
{
    struct host *h = running(b);
    for (unsigned i = 0; h && i < BRAIN_DIALS_MAX; i++) {
        struct dialing *d = &b->dials[i];
        if (d->request)
            continue;
        *d = *what;
        d->request = ++b->next_request;
        /* the plugin keeps the time; this bound is for one that never answers */
        d->deadline_ms = brain_now() + timeout_ms + 2000;
        host_dial(b, h, d->request, endpoint, timeout_ms);
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

void transports_dial_result(
    struct brain *b, uint32_t request, int fd, const char *remote, const struct clan_error *e)
{
    for (unsigned i = 0; request && i < BRAIN_DIALS_MAX; i++) {
        struct dialing *d = &b->dials[i];
        if (d->request != request)
            continue;
        if (fd < 0) {
            fail(b, d, e);
            return;
        }
        struct dialing copy = *d;
        d->request = 0;
        link_stream(b, fd, remote, &copy);
        return;
    }
    if (fd >= 0)
        close(fd); /* too late, or never asked for */
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

void transports_endpoints(struct brain *b, const clan_host_Endpoints *e)
{
    unsigned n = 0, before = b->endpoint_count;
    bool same = true;
    for (unsigned i = 0; i < e->endpoint_count && n < STMT_ENDPOINTS_MAX; i++) {
        if (!stmt_endpoint_ok(e->endpoint[i]))
            continue; /* a plugin's words do not spoil the record of this machine */
        same = same && n < before && strcmp(b->endpoints[n], e->endpoint[i]) == 0;
        snprintf(b->endpoints[n++], sizeof b->endpoints[0], "%s", e->endpoint[i]);
    }
    same = same && n == before;
    b->endpoint_count = n;
    if (!same && b->bound)
        identity_publish_record(b);
    joiner_tick(b);
    brain_soon(b);
}

void transports_local_addrs(struct brain *b)
{
    hosts_ask_endpoints(b);
}
