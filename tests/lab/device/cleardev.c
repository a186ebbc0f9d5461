/* A device transport that carries packets in clear over UDP: what the core does with one, tested without a cipher. */
/*
 * Never installed: everybody on the way reads and forges.  A datagram is the sender's public key (half of a
 * key pair of which nobody proves the other half), then what came out of the TUN, up to 64 KiB.
 */
#include <clan/device.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PEERS_MAX 32
#define KEY       32
#define HEAD      10 /* struct virtio_net_hdr */
#define BURST     64
#define TICK_MS   25
#define SILENT_MS 100

struct peer {
    bool used, told_silent;
    uint8_t key[KEY], addresses[64][16];
    uint32_t address_count;
    struct sockaddr_in at; /* port 0: not known */
    uint64_t rx, tx, heard_ms, sent_ms, told_ms;
    bool heard;
};

struct device {
    const struct clan_host *host;
    const struct clan_transport_device_host *clan;
    struct clan_device_config config;
    uint8_t own_key[KEY];
    struct peer peers[PEERS_MAX];
    uint64_t now_ms, timer; /* in ticks: nothing here needs a better clock */
};

static uint8_t buffer[KEY + 65536];

static struct peer *by_key(struct device *d, const uint8_t key[KEY])
{
    for (int i = 0; i < PEERS_MAX; i++)
        if (d->peers[i].used && memcmp(d->peers[i].key, key, KEY) == 0)
            return &d->peers[i];
    return NULL;
}

static bool holds(const struct peer *p, const uint8_t address[16])
{
    for (uint32_t i = 0; i < p->address_count; i++)
        if (memcmp(p->addresses[i], address, 16) == 0)
            return true;
    return false;
}

static struct peer *by_address(struct device *d, const uint8_t address[16])
{
    for (int i = 0; i < PEERS_MAX; i++)
        if (d->peers[i].used && holds(&d->peers[i], address))
            return &d->peers[i];
    return NULL;
}

static void tell(struct device *d, struct peer *p, bool silent)
{
    char host[INET_ADDRSTRLEN], endpoint[32] = "";
    struct clan_device_state s = {.struct_size = sizeof s,
        .handshake_age_s = p->heard ? (uint32_t)((d->now_ms - p->heard_ms) / 1000) : UINT32_MAX,
        .endpoint = endpoint,
        .rx_bytes = p->rx,
        .tx_bytes = p->tx,
        .silent_ms = silent ? (uint32_t)(d->now_ms - p->sent_ms) : 0};
    memcpy(s.public_key, p->key, KEY);
    inet_ntop(AF_INET, &p->at.sin_addr, host, sizeof host);
    if (p->heard)
        snprintf(endpoint, sizeof endpoint, "%s:%u", host, ntohs(p->at.sin_port));
    d->clan->peer_state(d->host->host_data, &s);
    p->told_ms = d->now_ms;
}

static void on_tun(void *user, int32_t fd, uint32_t events)
{
    struct device *d = user;
    (void)events;
    for (int i = 0; i < BURST; i++) {
        ssize_t n = read(fd, buffer + KEY, sizeof buffer - KEY);
        if (n < HEAD + 40)
            return;
        const uint8_t *packet = buffer + KEY + HEAD;
        struct peer *p = packet[0] >> 4 == 6 ? by_address(d, packet + 24) : NULL;
        if (!p || p->at.sin_port == 0)
            continue;
        memcpy(buffer, d->own_key, KEY);
        sendto(d->config.udp_fds[0], buffer, KEY + (size_t)n, MSG_DONTWAIT,
            (struct sockaddr *)&p->at, sizeof p->at);
        p->tx += (uint64_t)n;
        if (p->sent_ms <= p->heard_ms)
            p->sent_ms = d->now_ms;
    }
}

static void on_udp(void *user, int32_t fd, uint32_t events)
{
    struct device *d = user;
    (void)events;
    for (int i = 0; i < BURST; i++) {
        struct sockaddr_in from = {0};
        socklen_t size = sizeof from;
        ssize_t n =
            recvfrom(fd, buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (n < 0)
            return;
        struct peer *p = n >= KEY + HEAD + 40 ? by_key(d, buffer) : NULL;
        const uint8_t *packet = buffer + KEY + HEAD;
        if (!p || packet[0] >> 4 != 6 || !holds(p, packet + 8))
            continue;
        bool news = !p->heard || from.sin_port != p->at.sin_port ||
                    from.sin_addr.s_addr != p->at.sin_addr.s_addr;
        p->at = from;
        p->rx += (uint64_t)(n - KEY);
        p->heard_ms = d->now_ms;
        p->heard = true;
        p->told_silent = false;
        if (news)
            tell(d, p, false);
        if (write(d->config.tun_fd, buffer + KEY, (size_t)n - KEY) < 0)
            continue; /* a full queue, a packet that the kernel will not have */
    }
}

static void on_tick(void *user)
{
    struct device *d = user;
    d->now_ms += TICK_MS;
    for (int i = 0; i < PEERS_MAX; i++) {
        struct peer *p = &d->peers[i];
        bool silent = p->used && p->sent_ms > p->heard_ms && d->now_ms - p->sent_ms >= SILENT_MS;
        bool busy = p->used && p->heard_ms > p->told_ms && d->now_ms - p->told_ms >= 10000;
        if (busy || (silent && !p->told_silent))
            tell(d, p, false); /* just before: "it fell silent" has to arrive all the same */
        if (silent && !p->told_silent)
            tell(d, p, true);
        p->told_silent = silent;
    }
    clan_timer_start(d->host, TICK_MS, on_tick, d, &d->timer);
}

/* ---- what the host asks ---- */

static clan_status start(
    void *instance, const struct clan_device_config *config, struct clan_error *reterr)
{
    struct device *d = instance;
    d->config = *config;
    crypto_scalarmult_curve25519_base(d->own_key, config->secret_key);
    sodium_memzero(d->config.secret_key, KEY);
    if (config->tun_fd < 0 || config->udp_fds[0] < 0 || !(config->tun_flags & CLAN_DEVICE_TSO))
        return clan_error_set(
            reterr, CLAN_E_INVAL, "no TUN or no socket of IPv4", "it needs both", "");
    d->now_ms = TICK_MS;
    clan_io_watch(d->host, config->tun_fd, CLAN_IO_READ, on_tun, d);
    clan_io_watch(d->host, config->udp_fds[0], CLAN_IO_READ, on_udp, d);
    clan_timer_start(d->host, TICK_MS, on_tick, d, &d->timer);
    return CLAN_OK;
}

static void stop(void *instance)
{
    struct device *d = instance;
    clan_io_unwatch(d->host, d->config.tun_fd);
    clan_io_unwatch(d->host, d->config.udp_fds[0]);
    clan_timer_stop(d->host, d->timer);
}

static void set_endpoint(struct peer *p, const char *text)
{
    char host[INET_ADDRSTRLEN];
    unsigned port;
    if (sscanf(text, "%15[0-9.]:%5u", host, &port) != 2)
        return;
    p->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &p->at.sin_addr) != 1)
        p->at.sin_port = 0;
}

static clan_status set_peer(
    void *instance, const struct clan_device_peer *peer, struct clan_error *reterr)
{
    struct device *d = instance;
    struct peer *p = by_key(d, peer->public_key);
    for (int i = 0; !p && i < PEERS_MAX; i++)
        if (!d->peers[i].used)
            p = &d->peers[i];
    if (!p || peer->address_count > 64)
        return clan_error_set(reterr, CLAN_E_LIMIT, "too many peers", "32 fit", "");
    if (!p->used)
        *p = (struct peer){.used = true};
    memcpy(p->key, peer->public_key, KEY);
    memcpy(p->addresses, peer->addresses, peer->address_count * 16u);
    p->address_count = peer->address_count;
    set_endpoint(p, peer->endpoint);
    return CLAN_OK;
}

static void remove_peer(void *instance, const uint8_t key[KEY])
{
    struct peer *p = by_key(instance, key);
    if (p)
        *p = (struct peer){0};
}

static void network_changed(void *instance)
{
    (void)instance;
}

static void endpoints(void *instance, const uint8_t *addresses, uint32_t count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const struct device *d = instance;
    for (uint32_t i = 0; i < count; i++) {
        char host[INET_ADDRSTRLEN], text[32];
        if (memcmp(addresses + i * 16, mapped, sizeof mapped) != 0)
            continue;
        inet_ntop(AF_INET, addresses + i * 16 + 12, host, sizeof host);
        snprintf(text, sizeof text, "%s:%u", host, d->config.port);
        add(user, text);
    }
}

static const struct clan_transport_device table = {.struct_size = sizeof table,
    .start = start,
    .stop = stop,
    .set_peer = set_peer,
    .remove_peer = remove_peer,
    .network_changed = network_changed,
    .endpoints = endpoints};

static clan_status create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    (void)config;
    struct device *d = calloc(1, sizeof *d);
    if (!d)
        return clan_error_set(reterr, CLAN_E_NOMEM, "no memory", "", "");
    d->host = host;
    d->clan = clan_transport_device_host_get(host);
    *ret_instance = d;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    free(instance);
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_TRANSPORT_DEVICE) == 0 ? &table : NULL;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_TRANSPORT, "cleardev", "1.0", "Packets in clear",
    "Carries packets in clear, for tests.", 0, CLAN_ASKS("net.device"), "Clan's tests",
    "MIT OR Apache-2.0", create, destroy, get_interface)
CLAN_PLUGIN_LIBRARIES("libsodium.so.23");
