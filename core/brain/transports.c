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
    unsigned n = e->endpoint_count < STMT_ENDPOINTS_MAX ? e->endpoint_count : STMT_ENDPOINTS_MAX;
    bool same = n == b->endpoint_count;
    for (unsigned i = 0; i < n; i++) {
        same = same && strcmp(b->endpoints[i], e->endpoint[i]) == 0;
        snprintf(b->endpoints[i], sizeof b->endpoints[i], "%s", e->endpoint[i]);
    }
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
