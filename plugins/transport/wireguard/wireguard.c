/* The transport wireguard: carries the clan's packets by WireGuard, where the kernel does not. */
#include "endpoint.h"
#include "run.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENDPOINTS_MAX 16

struct wireguard {
    const struct clan_host *host;
    const struct clan_transport_device_host *to;
    struct wg_run run;
    uint16_t port; /* 0: not started */
    bool has4, has6;
};

static clan_status fail(
    struct clan_error *e, clan_status status, const char *what, const char *why, const char *remedy)
{
    e->status = status;
    snprintf(e->what, sizeof e->what, "%s", what);
    snprintf(e->why, sizeof e->why, "%s", why);
    snprintf(e->remedy, sizeof e->remedy, "%s", remedy);
    return status;
}

static void say(const struct wireguard *w, uint32_t level, const char *format, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    clan_log(w->host, level, text);
}

/* ---- what peers do ---- */

static void tell(const struct wireguard *w, const struct wg_report *r)
{
    char text[WG_ENDPOINT_TEXT];
    struct clan_device_state s = {.struct_size = sizeof s,
        .handshake_age_s = UINT32_MAX,
        .endpoint = text,
        .rx_bytes = r->rx_bytes,
        .tx_bytes = r->tx_bytes,
        .silent_ms = r->silent_since_ms ? (uint32_t)(wg_now_ms() - r->silent_since_ms) : 0};
    memcpy(s.public_key, r->public_key, WG_KEY);
    text[0] = 0;
    if (r->handshake_ms) { /* before, the endpoint is only what was said of it */
        uint64_t age = (wg_now_ms() - r->handshake_ms) / 1000;
        s.handshake_age_s = age < UINT32_MAX ? (uint32_t)age : UINT32_MAX - 1;
        wg_endpoint_text(&r->endpoint, text);
    }
    w->to->peer_state(w->host->host_data, &s);
}

static void on_reports(void *user)
{
    struct wireguard *w = user;
    struct wg_report r[WG_REPORTS_MAX];
    unsigned n = w->run.running ? wg_run_reports(&w->run, r) : 0;
    for (unsigned i = 0; i < n; i++)
        tell(w, &r[i]);
}

/* [owner's thread] */
static void reported(void *user)
{
    clan_wake(((struct wireguard *)user)->host, on_reports, user);
}

/* ---- peers ---- */

struct set {
    struct wg_peer_config config;
    enum wg_set result;
};

static void call_set(struct wg_device *d, uint64_t now_ms, void *arg)
{
    struct set *s = arg;
    (void)now_ms;
    s->result = wg_device_set_peer(d, &s->config);
}

static void call_remove(struct wg_device *d, uint64_t now_ms, void *arg)
{
    (void)now_ms;
    wg_device_remove_peer(d, arg);
}

/* An empty packet under each session: it shows the peers where we are now. */
static void call_moved(struct wg_device *d, uint64_t now_ms, void *arg)
{
    (void)arg;
    for (struct wg_peer *p = d->peers; p; p = p->next)
        if (p->current)
            wg_peer_keepalive(p, now_ms);
}

static clan_status set_failed(struct clan_error *e, enum wg_set why)
{
    static const char what[] = "a peer of wireguard is not set";
    if (why == WG_SET_BAD_KEY)
        return fail(e, CLAN_E_INVAL, what, "its key is none that a machine can have, or our own",
            "start Clan anew on that machine");
    if (why == WG_SET_FULL)
        return fail(e, CLAN_E_LIMIT, what, "there are 1,000 peers, and 64 addresses of each",
            "let other transports reach the rest");
    return fail(e, CLAN_E_NOMEM, what, "out of memory", "");
}

static clan_status on_set_peer(
    void *instance, const struct clan_device_peer *peer, struct clan_error *reterr)
{
    struct wireguard *w = instance;
    struct wg_endpoint endpoint;
    struct set s = {.config.address_count = peer->address_count,
        .config.addresses = peer->addresses,
        .config.persistent_ms = peer->keepalive_s < 65536 ? peer->keepalive_s * 1000 : 65535000};
    if (!w->run.running)
        return fail(reterr, CLAN_E_STATE, "a peer of wireguard is not set",
            w->port ? "the kernel carries here" : "it was not started", "");
    if (peer->struct_size < sizeof *peer || peer->address_count > WG_ADDRESSES_MAX)
        return set_failed(reterr, WG_SET_FULL);
    if (peer->endpoint[0] && !wg_endpoint_parse(peer->endpoint, &endpoint))
        return fail(reterr, CLAN_E_INVAL, "a peer of wireguard is not set",
            "its endpoint is no address and port", "");
    s.config.endpoint = peer->endpoint[0] ? &endpoint : NULL;
    memcpy(s.config.public_key, peer->public_key, WG_KEY);
    wg_run_call(&w->run, call_set, &s);
    return s.result == WG_SET_OK ? CLAN_OK : set_failed(reterr, s.result);
}

static void on_remove_peer(void *instance, const uint8_t public_key[32])
{
    struct wireguard *w = instance;
    uint8_t key[WG_KEY];
    memcpy(key, public_key, sizeof key);
    if (w->run.running)
        wg_run_call(&w->run, call_remove, key);
}

static void on_network_changed(void *instance)
{
    struct wireguard *w = instance;
    if (!w->run.running)
        return;
    for (int i = 0; i < 2; i++) /* another device may have the offload that the last one had not */
        atomic_store(&w->run.udp.no_gso[i], false);
    wg_run_call(&w->run, call_moved, NULL);
}

/* ---- life ---- */

static clan_status on_start(
    void *instance, const struct clan_device_config *config, struct clan_error *reterr)
{
    struct wireguard *w = instance;
    const char *why;
    if (config->struct_size < sizeof *config || !config->port)
        return fail(reterr, CLAN_E_INVAL, "wireguard cannot start",
            "differing item: " CLAN_TRANSPORT_DEVICE, "use the wireguard of this Clan");
    bool kernel = config->tun_fd < 0;
    w->has4 = kernel || config->udp_fds[0] >= 0;
    w->has6 = kernel || config->udp_fds[1] >= 0;
    if (!w->has4 && !w->has6)
        return fail(reterr, CLAN_E_INVAL, "wireguard cannot start", "it was given no UDP socket",
            "see listen: in machine.yaml");
    if (!kernel) {
        clan_status st = wg_run_start(&w->run, config, &why);
        if (st != CLAN_OK)
            return fail(reterr, st, "wireguard cannot start", why, "");
        say(w, CLAN_LOG_INFO, "cipher: %s; TUN: %s; UDP receive offload: %s", wg_bulk_name(),
            w->run.tso ? "super-packets" : "single packets",
            w->run.udp.gro[0] || w->run.udp.gro[1] ? "on" : "off");
    }
    w->port = config->port;
    return CLAN_OK;
}

static void on_stop(void *instance)
{
    struct wireguard *w = instance;
    wg_run_stop(&w->run);
    w->port = 0;
}

static void on_endpoints(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    const struct wireguard *w = instance;
    unsigned count = 0;
    for (int rank = 0; w->port && rank < WG_RANKS; rank++)
        for (uint32_t i = 0; i < addr_count && count < ENDPOINTS_MAX; i++) {
            const uint8_t *address = local_addresses + 16 * (size_t)i;
            bool four = wg_is_mapped(address);
            char text[WG_ENDPOINT_TEXT];
            struct wg_endpoint e;
            if (wg_address_rank(address) != rank || !(four ? w->has4 : w->has6))
                continue;
            memset(&e, 0, sizeof e);
            if (four) {
                e.in.sin_family = AF_INET;
                e.in.sin_port = htons(w->port);
                memcpy(&e.in.sin_addr, address + 12, 4);
            } else {
                e.in6.sin6_family = AF_INET6;
                e.in6.sin6_port = htons(w->port);
                memcpy(&e.in6.sin6_addr, address, 16);
            }
            wg_endpoint_text(&e, text);
            add(user, text);
            count++;
        }
}

static const struct clan_transport_device wireguard_device = {
    .struct_size = sizeof wireguard_device,
    .start = on_start,
    .stop = on_stop,
    .set_peer = on_set_peer,
    .remove_peer = on_remove_peer,
    .network_changed = on_network_changed,
    .endpoints = on_endpoints,
};

/* `mode` is acted upon by Clan, which asks the kernel. */
static clan_status check_settings(const struct clan_config *c, struct clan_error *e)
{
    char what[160];
    for (uint32_t i = 0; i < c->setting_count; i++) {
        const struct clan_setting *s = clan_setting_at(c, i);
        bool mode = strcmp(s->key, "mode") == 0;
        if (mode && (strcmp(s->value, "auto") == 0 || strcmp(s->value, "kernel") == 0 ||
                        strcmp(s->value, "user") == 0))
            continue;
        snprintf(what, sizeof what, "the setting \"%.64s\" of wireguard is wrong", s->key);
        return fail(e, CLAN_E_INVAL, what,
            mode ? "it is none of auto, kernel and user" : "there is none of that name but mode",
            "see the README of the plugin");
    }
    return CLAN_OK;
}

static clan_status on_create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    const struct clan_transport_device_host *to = clan_transport_device_host_get(host);
    clan_status st = check_settings(config, reterr);
    if (st != CLAN_OK)
        return st;
    if (!to->struct_size) /* the stub */
        return fail(reterr, CLAN_E_ABI, "wireguard cannot be used with this Clan",
            "differing item: " CLAN_TRANSPORT_DEVICE_HOST, "use the wireguard of this Clan");
    if (!config->state_dir[0] || strlen(config->state_dir) >= WG_DIR_MAX)
        return fail(reterr, CLAN_E_GRANT, "wireguard cannot start",
            "it has no directory for what it keeps of its clock",
            "grant fs.state to wireguard in machine.yaml");
    struct wireguard *w = wg_crypto_init() ? calloc(1, sizeof *w) : NULL;
    if (!w)
        return fail(reterr, CLAN_E_NOMEM, "wireguard cannot start",
            "memory or libcrypto's BLAKE2s are not to be had", "");
    w->host = host;
    w->to = to;
    w->run.reported = reported;
    w->run.user = w;
    snprintf(w->run.state_dir, sizeof w->run.state_dir, "%s", config->state_dir);
    *ret_instance = w;
    return CLAN_OK;
}

static void on_destroy(void *instance)
{
    struct wireguard *w = instance;
    wg_run_stop(&w->run);
    free(w);
}

static const void *on_get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_TRANSPORT_DEVICE) == 0 ? &wireguard_device : NULL;
}

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_TRANSPORT, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .needs_minor = CLAN_ABI_MINOR, .id = "wireguard",
    .version = "0.1.0", .title = "WireGuard",
    .sentence = "Connects machines by WireGuard, in the kernel where it has that, else by itself.",
    .asks_count = 2, .asks = {"net.device", "fs.state"});
CLAN_PLUGIN_LIBRARIES("libcrypto.so.3 libsodium.so.23");

static const struct clan_plugin wireguard_plugin = {
    .magic = CLAN_PLUGIN_MAGIC,
    .struct_size = sizeof wireguard_plugin,
    .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR,
    .kind = CLAN_KIND_TRANSPORT,
    .id = "wireguard",
    .version = "0.1.0",
    .vendor = "Clan",
    .licence = "same as Clan",
    .create = on_create,
    .destroy = on_destroy,
    .get_interface = on_get_interface,
};

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return &wireguard_plugin;
}
