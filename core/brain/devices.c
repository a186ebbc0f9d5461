/* The life of a device transport: its interface and sockets from the warden, its host, what is said of it. */
#include "brain/devices.h"

#include "base/error.h"
#include "base/log.h"
#include "brain/interfaces.h"
#include "wire/limits.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WIREGUARD "wireguard" /* whose protocol the kernel may have */

bool devices_is(const struct brain *b, const char *transport)
{
    const struct grant_plugin *p = b->grants_ok ? grants_find(&b->grants, transport) : NULL;
    return p && p->kind == GRANT_KIND_TRANSPORT && (p->permissions & GRANT_NET_DEVICE);
}

bool devices_among(const char (*interfaces)[64], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(interfaces[i], interface_device) == 0)
            return true;
    return false;
}

struct device *devices_of(const struct brain *b)
{
    struct device *d = b->device;
    return d && d->state == DEVICE_READY && d->host->state == HOST_STARTED ? d : NULL;
}

const char *devices_mode(const struct brain *b)
{
    const struct device *d = devices_of(b);
    return !d ? "" : d->kernel ? " by the kernel" : " in user space";
}

void devices_endpoint(const struct brain *b, const char *endpoint, char ret[STMT_ENDPOINT_MAX + 1])
{
    char key[DEVICE_KEY_TEXT + 1] = "";
    if (b->device)
        sodium_bin2base64(
            key, sizeof key, b->device->public_key, 32, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(ret, STMT_ENDPOINT_MAX + 1, "%.*s/%s", DEVICE_ENDPOINT - 1, endpoint, key);
}

void devices_last(const struct brain *b, struct path_order *order)
{
    struct path_order sorted = {0};
    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned i = 0; i < order->count; i++)
            if (devices_is(b, order->names[i]) == (pass == 1))
                memcpy(sorted.names[sorted.count++], order->names[i], sizeof order->names[0]);
    *order = sorted;
}

/* ---- making it ---- */

static struct device *get(struct brain *b)
{
    if (!b->device) {
        b->device = calloc(1, sizeof *b->device);
        clan_assert(b->device);
        for (unsigned i = 0; i < 3; i++)
            b->device->fds[i] = -1;
    }
    return b->device;
}

static void close_fds(struct device *d)
{
    for (unsigned i = 0; i < 3; i++) {
        if (d->fds[i] >= 0)
            close(d->fds[i]);
        d->fds[i] = -1;
    }
}

static const char *setting(const struct host *h, const char *key)
{
    const struct grant_plugin *p = h->b->grants_ok ? grants_find(&h->b->grants, h->plugin) : NULL;
    for (unsigned i = 0; p && i < p->setting_count; i++)
        if (strcmp(p->settings[i].key, key) == 0)
            return p->settings[i].value;
    return "";
}

/* The kernel speaks one protocol. */
static bool in_user_space(const struct host *h)
{
    return strcmp(h->plugin, WIREGUARD) != 0 || strcmp(setting(h, "mode"), "user") == 0;
}

static uint16_t first_port(const struct host *h)
{
    const struct grant_plugin *p = grants_find(&h->b->grants, h->plugin);
    return p && p->listen_count ? p->listen[0].port : WIRE_DEVICE_PORT;
}

static bool listens(const struct host *h, uint8_t family)
{
    const struct grant_plugin *p = grants_find(&h->b->grants, h->plugin);
    for (unsigned i = 0; p && i < p->listen_count; i++)
        if (p->listen[i].family == family)
            return true;
    return false;
}

static void say_how(struct device *d)
{
    struct host *h = d->host;
    const char *why = d->kernel                                 ? ""
                      : strcmp(h->plugin, WIREGUARD) != 0       ? ""
                      : strcmp(setting(h, "mode"), "user") == 0 ? ": its settings say so"
                                                                : ": this kernel has no WireGuard";
    snprintf(h->why, sizeof h->why, "carries packets%s, UDP port %u%s",
        d->kernel ? " by the kernel" : " in user space", d->port, why);
    h->remedy[0] = 0;
    log_info("%s %s", h->plugin, h->why);
}

/* Still the one that was asked for? */
static struct device *asked(struct brain *b, void *arg)
{
    struct device *d = b->device;
    return d && d->state == DEVICE_ASKED && d->child == (uint32_t)(uintptr_t)arg ? d : NULL;
}

static void refuse(struct device *d, const struct clan_error *e)
{
    struct host *h = d->host;
    devices_gone(h->b, h);
    host_fail(h, e);
}

static void tell_host(struct brain *b, struct device *d)
{
    static clan_host_ToHost m;
    int fds[3];
    size_t count = 0;
    memset(&m, 0, sizeof m);
    m.which_m = clan_host_ToHost_device_tag;
    m.m.device.tun = d->fds[0] >= 0;
    m.m.device.udp4 = d->fds[1] >= 0;
    m.m.device.udp6 = d->fds[2] >= 0;
    m.m.device.tun_flags = d->flags;
    m.m.device.mtu = WIRE_MTU;
    m.m.device.port = d->port;
    if (!d->kernel) {
        uint8_t pub[32];
        keys_static(b->root, KEY_WIREGUARD, 1, m.m.device.secret, pub);
    }
    for (unsigned i = 0; i < 3; i++)
        if (d->fds[i] >= 0)
            fds[count++] = d->fds[i];
    if (!chan_send(d->host->chan, clan_host_ToHost_fields, &m, fds, count))
        log_warn("host %s does not take messages", d->host->instance);
    sodium_memzero(&m, sizeof m);
    close_fds(d);
    host_start(d->host);
}

static void ready(struct brain *b, struct device *d)
{
    d->state = DEVICE_READY;
    if (!d->adopted)
        tell_host(b, d);
    say_how(d);
    device_streams_listen(b, d);
    brain_soon(b);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 at = {0};
    socklen_t size = sizeof at;
    return getsockname(fd, (struct sockaddr *)&at, &size) == 0 ? ntohs(at.sin6_port) : 0;
}

static void on_socket6(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    struct device *d = asked(b, arg);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    d->fds[2] = fd;
    if (fd >= 0 && d->fds[1] < 0)
        d->port = port_of(fd);
    if (d->fds[1] < 0 && fd < 0)
        refuse(d, &a->error);
    else
        ready(b, d); /* without IPv6 on this machine, IPv4 does */
}

static void ask_socket(struct brain *b, struct device *d, uint8_t family, ward_answer_fn *fn)
{
    bool exact = family == 6 && d->fds[1] >= 0;
    struct ward_device_socket r = {.port = exact ? d->port : first_port(d->host),
        .family = family,
        .tries = exact ? 1 : WARD_DEVICE_TRIES};
    ward_ask(b, WARD_REQ_DEVICE_SOCKET, &r, sizeof r, fn, (void *)(uintptr_t)d->child);
}

static void on_socket4(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    struct device *d = asked(b, arg);
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    d->fds[1] = fd;
    if (fd >= 0)
        d->port = port_of(fd);
    if (listens(d->host, 6))
        ask_socket(b, d, 6, on_socket6);
    else if (fd < 0)
        refuse(d, &a->error);
    else
        ready(b, d);
}

static void on_up(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    struct device *d = asked(b, arg);
    struct clan_error e = CLAN_ERROR_INIT;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (a->error.status != CLAN_OK) {
        refuse(d, &a->error);
        return;
    }
    d->flags = a->flags;
    d->kernel = (a->flags & WARD_TUN_NONE) != 0;
    if (d->kernel)
        d->port = WARD_TUN_PORT(a->flags);
    if (d->adopted && fd >= 0)
        close(fd); /* its host has it */
    else
        d->fds[0] = fd;
    if (!d->kernel && strcmp(setting(d->host, "mode"), "kernel") == 0) {
        err_set(&e, CLAN_E_NOSYS, "this kernel has no WireGuard, and mode is \"kernel\"");
        err_remedy(&e, "load it (modprobe wireguard), or set mode: auto in machine.yaml");
    } else if (!d->kernel && !(d->flags & WARD_TUN_VNET))
        err_set(&e, CLAN_E_NOSYS, "this kernel's TUN has no offloads");
    if (e.status != CLAN_OK)
        refuse(d, &e);
    else if (d->kernel || d->adopted)
        ready(b, d);
    else if (listens(d->host, 4))
        ask_socket(b, d, 4, on_socket4);
    else
        ask_socket(b, d, 6, on_socket6);
}

static void ask_up(struct brain *b, struct host *h, bool adopted, uint16_t port)
{
    struct device *d = get(b);
    struct ward_device_up r = {.mtu = WIRE_MTU, .port = first_port(h), .user = in_user_space(h)};
    d->state = DEVICE_ASKED;
    d->host = h;
    d->child = h->child;
    d->adopted = adopted;
    d->synced = !adopted;
    d->port = port;
    keys_static(b->root, KEY_WIREGUARD, 1, r.secret, d->public_key);
    if (r.user)
        sodium_memzero(r.secret, sizeof r.secret);
    ward_ask(b, WARD_REQ_DEVICE_UP, &r, sizeof r, on_up, (void *)(uintptr_t)d->child);
    sodium_memzero(&r, sizeof r);
}

void devices_created(struct host *h)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct brain *b = h->b;
    if (!devices_is(b, h->plugin) || h->service) {
        err_set(&e, CLAN_E_GRANT, "the plugin %s may not carry packets itself", h->plugin);
        err_remedy(&e, "allow net.device in machine.yaml, then run as root: clan machine apply");
        host_fail(h, &e);
    } else if (b->device && b->device->state != DEVICE_NONE && b->device->host != h) {
        err_set(&e, CLAN_E_LIMIT, "%s carries packets itself already, and there is one interface",
            b->device->host->plugin);
        err_remedy(&e, "take one of the two out of the clan's transports");
        host_fail(h, &e);
    } else
        ask_up(b, h, false, 0);
}

void devices_adopted(struct host *h, uint32_t port)
{
    h->device_port = (uint16_t)port; /* asked about as soon as the network is up */
    brain_soon(h->b);
}

void devices_gone(struct brain *b, const struct host *h)
{
    struct device *d = b->device;
    if (!d || d->state == DEVICE_NONE || d->host != h)
        return;
    d->state = DEVICE_NONE;
    for (unsigned i = 0; i < b->session_top; i++) { /* what goes by it takes the spare at once */
        struct session *s = &b->sessions[i];
        if (s->id && strcmp(s->transport, h->plugin) == 0)
            session_close(b, s, false);
    }
    device_streams_end(b, d);
    close_fds(d);
    ward_simple(b, WARD_REQ_DEVICE_DOWN, NULL, NULL);
    device_peers_forget(b);
}

/* ---- what the host says ---- */

void devices_told(struct host *h, pb_size_t which, const clan_host_FromHost *m)
{
    struct device *d = devices_of(h->b);
    if (h->state == HOST_HELLO)
        return; /* to the core before this one: it was still on its way */
    if (!h->device || which != clan_host_FromHost_device_state_tag) {
        host_offence(h, "speaks of peers and carries no packets");
        return;
    }
    const clan_host_DeviceState *s = &m->m.device_state;
    uint64_t now = brain_now(), age_ms = (uint64_t)s->handshake_age_s * 1000;
    if (d && d->host == h)
        device_peers_state(h->b, s->key, s->endpoint,
            s->handshake_age_s == UINT32_MAX || age_ms >= now ? 0 : now - age_ms, s->rx_bytes,
            s->tx_bytes, s->silent_ms != 0);
}

/* ---- as time goes ---- */

void devices_reconcile(struct brain *b)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        bool idle = !b->device || b->device->state == DEVICE_NONE;
        if (h->used && h->device && h->device_port && h->state == HOST_STARTED && idle &&
            b->net_up && b->root)
            ask_up(b, h, true, h->device_port);
    }
    struct device *d = devices_of(b);
    if (d)
        device_peers_reconcile(b, d);
}

void devices_tick(struct brain *b)
{
    struct device *d = devices_of(b);
    if (!d)
        return;
    device_streams_tick(b, d);
    if (d->kernel)
        device_peers_ask(b, d);
}
