/* Device transports: the TUN, sockets, keys and peers that core tells; how the plugin says they do. */
#include "host/host.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "wire/warden_requests.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEERS_MAX      1000
#define STATE_EVERY_MS 250 /* of one peer, ... */
#define STATE_BURST    4   /* ... so many at once */

struct known {
    uint8_t key[32];
    bool named; /* since the last DevicePeers{begin} */
    uint64_t paid_ms;
    clan_host_DeviceState *held; /* the last one that came too early */
};

struct host_device {
    struct clan_device_config config;
    uint64_t timer; /* of what is held; 0: nothing is */
    struct known *peers;
    uint32_t count, cap;
};

static struct known *find(const struct host *h, const uint8_t key[32])
{
    for (uint32_t i = 0; h->dev && i < h->dev->count; i++)
        if (memcmp(h->dev->peers[i].key, key, 32) == 0)
            return &h->dev->peers[i];
    return NULL;
}

/* ---- what core says ---- */

/* The next descriptor, when there is to be one. */
static int32_t take(bool wanted, int *fds, size_t *fd_count)
{
    if (!wanted || *fd_count == 0)
        return -1;
    int fd = fds[0], flags = fcntl(fd, F_GETFL);
    memmove(fds, fds + 1, --*fd_count * sizeof *fds);
    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    return fd;
}

void host_device(struct host *h, const clan_host_Device *m, int *fds, size_t *fd_count)
{
    if (h->started || h->dev || !(h->dev = calloc(1, sizeof *h->dev))) {
        log_error("core told of a device in the wrong state (%d)", (int)h->state);
        return;
    }
    struct clan_device_config *c = &h->dev->config;
    *c = (struct clan_device_config){
        .struct_size = sizeof *c, .mtu = m->mtu, .port = (uint16_t)m->port};
    c->tun_flags = (m->tun_flags & WARD_TUN_VNET ? CLAN_DEVICE_TSO : 0) |
                   (m->tun_flags & WARD_TUN_USO ? CLAN_DEVICE_USO : 0);
    c->tun_fd = take(m->tun, fds, fd_count);
    c->udp_fds[0] = take(m->udp4, fds, fd_count);
    c->udp_fds[1] = take(m->udp6, fds, fd_count);
    memcpy(c->secret_key, m->secret, sizeof c->secret_key);
}

clan_status host_device_start(struct host *h, struct clan_error *reterr)
{
    if (!h->dev)
        return err_set(reterr, CLAN_E_STATE, "%s was told of no device", h->id);
    clan_status st = h->device->start(h->instance_data, &h->dev->config, reterr);
    explicit_bzero(h->dev->config.secret_key, sizeof h->dev->config.secret_key);
    return st;
}

static struct known *add(struct host *h, const uint8_t key[32])
{
    struct host_device *d = h->dev;
    if (d->count == d->cap) {
        uint32_t cap = d->cap ? d->cap * 2 : 16;
        struct known *more = d->cap < PEERS_MAX ? realloc(d->peers, cap * sizeof *more) : NULL;
        if (!more)
            return NULL;
        d->peers = more;
        d->cap = cap;
    }
    struct known *k = &d->peers[d->count++];
    *k = (struct known){0};
    memcpy(k->key, key, sizeof k->key);
    return k;
}

void host_device_peer(struct host *h, const clan_host_DevicePeer *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!h->device || !h->dev || !h->started)
        return;
    struct known *k = find(h, m->key);
    if (!k && !(k = add(h, m->key))) {
        log_warn("more than %u peers: one is left out", PEERS_MAX);
        return;
    }
    k->named = true;
    struct clan_device_peer p = {.struct_size = sizeof p,
        .address_count = m->addresses_count,
        .endpoint = m->endpoint,
        .addresses = m->addresses_count ? m->addresses[0] : NULL,
        .keepalive_s = m->keepalive_s};
    memcpy(p.public_key, m->key, sizeof p.public_key);
    if (h->device->set_peer(h->instance_data, &p, &e) == CLAN_OK)
        return;
    e = host_error_copy(&e);
    log_warn("a peer was not taken: %s: %s", e.what, e.why);
}

void host_device_remove(struct host *h, const uint8_t key[32])
{
    struct known *k = find(h, key);
    if (!h->device || !h->started || !k)
        return;
    h->device->remove_peer(h->instance_data, key);
    free(k->held);
    *k = h->dev->peers[--h->dev->count];
}

void host_device_peers(struct host *h, bool begin)
{
    for (uint32_t i = h->dev ? h->dev->count : 0; i-- > 0;) {
        struct known *k = &h->dev->peers[i];
        uint8_t key[32];
        memcpy(key, k->key, sizeof key);
        if (begin)
            k->named = false;
        else if (!k->named)
            host_device_remove(h, key);
    }
}

uint32_t host_device_port(const struct host *h)
{
    return h->dev ? h->dev->config.port : 0;
}

void host_device_free(struct host *h)
{
    if (!h->dev)
        return;
    explicit_bzero(&h->dev->config, sizeof h->dev->config);
    for (uint32_t i = 0; i < h->dev->count; i++)
        free(h->dev->peers[i].held);
    free(h->dev->peers);
    free(h->dev);
    h->dev = NULL;
}

/* ---- what the plugin says ---- */

static bool may_tell(struct known *k, uint64_t now_ms)
{
    uint64_t from = k->paid_ms > now_ms ? k->paid_ms : now_ms;
    if (from - now_ms > (STATE_BURST - 1) * STATE_EVERY_MS)
        return false;
    k->paid_ms = from + STATE_EVERY_MS;
    return true;
}

static void send_state(struct host *h, const clan_host_DeviceState *state)
{
    host_message(h, clan_host_FromHost_device_state_tag)->m.device_state = *state;
    host_send(h, -1);
}

static void on_held(void *arg)
{
    struct host *h = arg;
    struct host_device *d = h->dev;
    bool more = false;
    d->timer = 0;
    for (uint32_t i = 0; i < d->count; i++) {
        struct known *k = &d->peers[i];
        if (k->held && h->started && !may_tell(k, clock_mono_ms())) {
            more = true;
            continue;
        }
        if (k->held && h->started)
            send_state(h, k->held);
        free(k->held);
        k->held = NULL;
    }
    if (more)
        d->timer = loop_timer_in(h->loop, STATE_EVERY_MS, on_held, h);
}

/* What is told once, as that a peer fell silent, is not lost because something was told just before. */
static void hold(struct host *h, struct known *k, const clan_host_DeviceState *state)
{
    if (!k->held && !(k->held = malloc(sizeof *k->held)))
        return;
    *k->held = *state;
    if (!h->dev->timer)
        h->dev->timer = loop_timer_in(h->loop, STATE_EVERY_MS, on_held, h);
}

static void peer_state(void *host_data, const struct clan_device_state *state)
{
    struct host *h = host_data;
    if (!host_on_loop("peer_state") || !state || state->struct_size < sizeof *state)
        return;
    if (!h->started) {
        host_refused(h, "peer_state");
        return;
    }
    struct known *k = find(h, state->public_key);
    if (!k)
        return;
    clan_host_DeviceState m = {.handshake_age_s = state->handshake_age_s,
        .rx_bytes = state->rx_bytes,
        .tx_bytes = state->tx_bytes,
        .silent_ms = state->silent_ms};
    memcpy(m.key, state->public_key, sizeof m.key);
    snprintf(m.endpoint, sizeof m.endpoint, "%s", state->endpoint ? state->endpoint : "");
    text_sanitize(m.endpoint);
    if (k->held || !may_tell(k, clock_mono_ms()))
        hold(h, k, &m);
    else
        send_state(h, &m);
}

static void endpoints_changed(void *host_data)
{
    struct host *h = host_data;
    if (!host_on_loop("endpoints_changed"))
        return;
    if (h->started && h->device)
        host_tell_endpoints(h);
    else
        host_refused(h, "endpoints_changed");
}

const struct clan_transport_device_host host_device_table = {
    .struct_size = sizeof(struct clan_transport_device_host),
    .peer_state = peer_state,
    .endpoints_changed = endpoints_changed,
};
