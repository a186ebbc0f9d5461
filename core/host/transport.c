/* Stream transports: dials of core, streams and endpoints of the plugin. */
#include "host/host.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t *find_dial(struct host *h, uint32_t request)
{
    for (unsigned i = 0; i < HOST_DIALS_MAX; i++)
        if (h->dials[i] == request)
            return &h->dials[i];
    return NULL;
}

static void send_dial_failed(struct host *h, uint32_t request, const struct clan_error *error)
{
    clan_host_DialFailed *m = &host_message(h, clan_host_FromHost_dial_failed_tag)->m.dial_failed;
    m->request = request;
    m->has_error = true;
    host_error_to_wire(error, &m->error);
    host_send(h, -1);
}

/* Core's link looks closer (SECURITY F6); this catches a plugin's honest mistakes with a text. */
static bool is_stream(int fd)
{
    int type = 0;
    socklen_t len = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

static clan_status offer_stream(void *host_data, uint32_t request, int32_t fd, const char *remote)
{
    struct host *h = host_data;
    uint32_t *dial = request ? find_dial(h, request) : NULL;
    clan_status st = CLAN_OK;
    if (!host_on_loop("offer_stream") || !h->started || (request && !dial)) {
        st = CLAN_E_STATE;
        if (!h->started) /* a dial that was cancelled meanwhile is no mistake */
            host_refused(h, "offer_stream");
    } else if (!is_stream(fd))
        st = CLAN_E_INVAL;
    if (st != CLAN_OK) {
        close(fd);
        return st;
    }
    if (dial)
        *dial = 0;
    clan_host_Stream *m = &host_message(h, clan_host_FromHost_stream_tag)->m.stream;
    m->request = request;
    snprintf(m->remote, sizeof m->remote, "%s", remote ? remote : "");
    text_sanitize(m->remote);
    return host_send(h, fd);
}

static void dial_failed(void *host_data, uint32_t request, const struct clan_error *error)
{
    struct host *h = host_data;
    uint32_t *dial = request ? find_dial(h, request) : NULL;
    if (!host_on_loop("dial_failed") || !dial)
        return;
    *dial = 0;
    struct clan_error copy = host_error_copy(error);
    send_dial_failed(h, request, &copy);
}

static void add_endpoint(void *user, const char *endpoint)
{
    clan_host_Endpoints *m = user;
    char clean[CLAN_ENDPOINT_MAX + 1];
    if (!endpoint || strnlen(endpoint, sizeof clean) == sizeof clean || !endpoint[0] ||
        m->endpoint_count == sizeof m->endpoint / sizeof m->endpoint[0])
        return;
    snprintf(clean, sizeof clean, "%s", endpoint);
    text_sanitize(clean);
    for (pb_size_t i = 0; i < m->endpoint_count; i++)
        if (strcmp(m->endpoint[i], clean) == 0)
            return;
    memcpy(m->endpoint[m->endpoint_count++], clean, sizeof clean);
}

void host_tell_endpoints(struct host *h)
{
    clan_host_Endpoints found = {0}; /* the plugin may log or send while it adds */
    (h->device ? h->device->endpoints : h->transport->endpoints)(
        h->instance_data, &h->local_addresses[0][0], h->local_count, add_endpoint, &found);
    if (h->rendezvous) {
        h->rendezvous->door(h->instance_data, found.door);
        found.door[sizeof found.door - 1] = 0;
        text_sanitize(found.door);
    }
    host_message(h, clan_host_FromHost_endpoints_tag)->m.endpoints = found;
    host_send(h, -1);
}

static void endpoints_changed(void *host_data)
{
    struct host *h = host_data;
    if (!host_on_loop("endpoints_changed"))
        return;
    if (h->started && h->transport)
        host_tell_endpoints(h);
    else
        host_refused(h, "endpoints_changed");
}

const struct clan_transport_host host_transport_table = {
    .struct_size = sizeof(struct clan_transport_host),
    .offer_stream = offer_stream,
    .dial_failed = dial_failed,
    .endpoints_changed = endpoints_changed,
};

void host_dial(struct host *h, const clan_host_Dial *m)
{
    struct clan_error err = CLAN_ERROR_INIT;
    uint32_t *slot = find_dial(h, 0);
    if (!h->transport || !h->started)
        err_set(&err, CLAN_E_STATE, "%s is not started", h->id);
    else if (m->request == 0 || find_dial(h, m->request))
        err_set(&err, CLAN_E_INVAL, "the number of a dial is in use");
    else if (!slot)
        err_set(&err, CLAN_E_LIMIT, "%s dials %u times already", h->id, HOST_DIALS_MAX);
    if (err.status == CLAN_OK) {
        *slot = m->request;
        clan_status st =
            h->transport->dial(h->instance_data, m->request, m->endpoint, m->timeout_ms, &err);
        if (st == CLAN_OK || *slot != m->request)
            return; /* answered, or will be */
        *slot = 0;
        err = host_error_copy(&err);
    }
    send_dial_failed(h, m->request, &err);
}

void host_cancel_dial(struct host *h, uint32_t request)
{
    uint32_t *dial = request ? find_dial(h, request) : NULL;
    if (!dial)
        return;
    *dial = 0;
    if (h->started)
        h->transport->cancel(h->instance_data, request);
}

void host_forget_dials(struct host *h)
{
    for (unsigned i = 0; i < HOST_DIALS_MAX; i++)
        host_cancel_dial(h, h->dials[i]);
}

void host_endpoints(struct host *h, const clan_host_AskEndpoints *m)
{
    h->local_count = m->local_addresses_count;
    memcpy(h->local_addresses, m->local_addresses, h->local_count * 16u);
    if (h->started && h->device)
        h->device->network_changed(h->instance_data);
    if (h->started && (h->transport || h->device))
        host_tell_endpoints(h);
}
