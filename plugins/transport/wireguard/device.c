/* Peers of one WireGuard interface: who they are, what they may send, when something is due. */
#include "device.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct wg_device *wg_device_new(
    const struct wg_ops *ops, const uint8_t private_key[WG_KEY], const uint8_t floor[WG_TAI64N])
{
    struct wg_device *d = wg_crypto_init() ? calloc(1, sizeof *d) : NULL;
    if (!d)
        return NULL;
    wg_bulk_name(); /* measures */
    d->ops = *ops;
    d->by_key.key_size = WG_KEY;
    d->by_index.key_size = 4;
    d->by_address.key_size = 16;
    d->next_ms = WG_NEVER;
    memcpy(d->last_tai64n, floor, WG_TAI64N);
    memcpy(d->floor_tai64n, floor, WG_TAI64N);
    pthread_mutex_init(&d->lock, NULL);
    pthread_mutex_init(&d->news_lock, NULL);
    d->identity = sodium_malloc(sizeof *d->identity);
    if (!d->identity) {
        wg_device_free(d);
        return NULL;
    }
    wg_identity_set(d->identity, private_key);
    return d;
}

static void forget_addresses(struct wg_device *d, struct wg_peer *p)
{
    d->last.peer = NULL;
    for (unsigned i = 0; i < p->address_count; i++)
        if (wg_map_get(&d->by_address, p->addresses[i]) == p)
            wg_map_remove(&d->by_address, p->addresses[i]);
    free(p->addresses);
    p->addresses = NULL;
    p->address_count = 0;
}

static void peer_drop(struct wg_device *d, struct wg_peer *p)
{
    wg_peer_erase(p);
    wg_peer_purge(p);
    wg_lock(d);
    forget_addresses(d, p); /* the sender does not find him any more */
    pthread_mutex_lock(&d->news_lock);
    for (struct wg_peer **at = &d->news; p->in_news && *at; at = &(*at)->next_news)
        if (*at == p) {
            *at = p->next_news;
            break;
        }
    pthread_mutex_unlock(&d->news_lock);
    wg_map_remove(&d->by_key, p->remote.public_key);
    sodium_memzero(p, sizeof *p);
    p->next = d->spare;
    d->spare = p;
    d->peer_count--;
    wg_unlock(d);
}

void wg_device_free(struct wg_device *d)
{
    if (!d)
        return;
    while (d->peers) {
        struct wg_peer *p = d->peers;
        d->peers = p->next;
        peer_drop(d, p);
    }
    for (unsigned i = 0; i < d->chunk_count; i++)
        sodium_free(d->chunks[i]);
    for (unsigned i = 0; i < d->key_chunk_count; i++)
        sodium_free(d->key_chunks[i]);
    wg_map_free(&d->by_key);
    wg_map_free(&d->by_index);
    wg_map_free(&d->by_address);
    wg_checker_wipe(&d->checker);
    sodium_free(d->identity);
    pthread_mutex_destroy(&d->lock);
    pthread_mutex_destroy(&d->news_lock);
    free(d);
}

static struct wg_peer *peer_take(struct wg_device *d)
{
    if (!d->spare && d->peer_count < WG_PEERS_MAX) {
        struct wg_peer *chunk = sodium_malloc(WG_CHUNK * sizeof *chunk);
        if (!chunk)
            return NULL;
        memset(chunk, 0, WG_CHUNK * sizeof *chunk);
        d->chunks[d->chunk_count++] = chunk;
        for (unsigned i = 0; i < WG_CHUNK; i++) {
            chunk[i].next = d->spare;
            d->spare = &chunk[i];
        }
    }
    struct wg_peer *p = d->spare;
    if (p) {
        d->spare = p->next;
        d->peer_count++;
    }
    return p;
}

static enum wg_set peer_new(
    struct wg_device *d, const struct wg_peer_config *c, struct wg_peer **ret_peer)
{
    if (d->peer_count >= WG_PEERS_MAX)
        return WG_SET_FULL;
    struct wg_peer *p = peer_take(d);
    if (!p)
        return WG_SET_MEMORY;
    p->device = d;
    p->staged_end = &p->staged;
    wg_timers_reset(&p->timers, c->persistent_ms);
    bool good = memcmp(c->public_key, d->identity->public_key, WG_KEY) != 0 &&
                wg_remote_set(&p->remote, d->identity, c->public_key, c->psk);
    if (!good || !wg_map_put(&d->by_key, c->public_key, p)) {
        sodium_memzero(p, sizeof *p);
        p->next = d->spare;
        d->spare = p;
        d->peer_count--;
        return good ? WG_SET_MEMORY : WG_SET_BAD_KEY;
    }
    p->next = d->peers;
    d->peers = p;
    *ret_peer = p;
    return WG_SET_OK;
}

/* With the lock. */
static bool set_addresses(struct wg_device *d, struct wg_peer *p, const struct wg_peer_config *c)
{
    uint8_t(*copy)[16] = c->address_count ? malloc(c->address_count * sizeof *copy) : NULL;
    if (c->address_count && !copy)
        return false;
    forget_addresses(d, p);
    p->addresses = copy;
    for (unsigned i = 0; i < c->address_count; i++) {
        memcpy(copy[i], c->addresses + i * sizeof *copy, sizeof *copy);
        if (!wg_map_put(&d->by_address, copy[i], p))
            return false;
        p->address_count = i + 1;
    }
    return true;
}

enum wg_set wg_device_set_peer(struct wg_device *d, const struct wg_peer_config *c)
{
    static const uint8_t no_psk[WG_KEY];
    if (c->address_count > WG_ADDRESSES_MAX)
        return WG_SET_FULL;
    struct wg_peer *p = wg_map_get(&d->by_key, c->public_key);
    if (!p) {
        enum wg_set r = peer_new(d, c, &p);
        if (r != WG_SET_OK)
            return r;
    }
    const uint8_t *psk = c->psk ? c->psk : no_psk;
    if (sodium_memcmp(p->remote.psk, psk, WG_KEY) != 0) {
        wg_peer_erase(p);
        memcpy(p->remote.psk, psk, WG_KEY);
    }
    p->timers.persistent_ms = c->persistent_ms;
    wg_lock(d);
    if (c->endpoint)
        p->endpoint = *c->endpoint;
    bool ok = set_addresses(d, p, c);
    if (ok && c->persistent_ms && !p->current)
        wg_peer_want(p);
    wg_unlock(d);
    return ok ? WG_SET_OK : WG_SET_MEMORY;
}

struct wg_peer *wg_device_peer(const struct wg_device *d, const uint8_t public_key[WG_KEY])
{
    return wg_map_get(&d->by_key, public_key);
}

void wg_device_remove_peer(struct wg_device *d, const uint8_t public_key[WG_KEY])
{
    struct wg_peer *p = wg_device_peer(d, public_key);
    for (struct wg_peer **at = &d->peers; p && *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            peer_drop(d, p);
            return;
        }
}

struct wg_peer *wg_device_route(struct wg_device *d, const uint8_t destination[16])
{
    return wg_map_get(&d->by_address, destination);
}

static void act(struct wg_peer *p, unsigned todo, uint64_t now_ms)
{
    if (todo & WG_DO_GIVE_UP)
        wg_peer_purge(p);
    if (todo & WG_DO_ERASE)
        wg_peer_erase(p);
    if (todo & WG_DO_RETRY)
        p->initiated_ms = 0; /* it is time, whatever the last attempt says */
    if (todo & (WG_DO_RETRY | WG_DO_HANDSHAKE))
        wg_device_handshake(p->device, p, now_ms);
    if (todo & WG_DO_KEEPALIVE)
        wg_peer_keepalive(p, now_ms);
}

static struct wg_peer *take_news(struct wg_device *d)
{
    pthread_mutex_lock(&d->news_lock);
    struct wg_peer *p = d->news;
    if (p) {
        d->news = p->next_news;
        p->in_news = false;
    }
    pthread_mutex_unlock(&d->news_lock);
    return p;
}

static void read_news(struct wg_device *d, uint64_t now_ms)
{
    struct wg_peer *p;
    d->news_ms = now_ms;
    atomic_store(&d->has_want, false);
    atomic_store(&d->has_news, false);
    while ((p = take_news(d)) != NULL) {
        unsigned sent = atomic_exchange(&p->sent, 0);
        if (sent)
            wg_peer_event(p, sent, now_ms);
        if (atomic_exchange(&p->want, false))
            wg_device_handshake(d, p, now_ms);
    }
}

/* At once where a session is wanted; what was sent may wait a little, but not until a timer ends. */
static bool news_are_due(struct wg_device *d, uint64_t now_ms)
{
    return atomic_load(&d->has_want) ||
           (atomic_load(&d->has_news) &&
               (now_ms >= d->next_ms || now_ms - d->news_ms >= WG_NEWS_MS));
}

uint64_t wg_device_tick(struct wg_device *d, uint64_t now_ms)
{
    if (news_are_due(d, now_ms))
        read_news(d, now_ms);
    if (now_ms < d->next_ms)
        return d->next_ms;
    d->next_ms = WG_NEVER;
    for (struct wg_peer *p = d->peers; p; p = p->next) {
        unsigned todo = wg_timers_due(&p->timers, now_ms);
        if (todo)
            act(p, todo, now_ms);
        uint64_t next = wg_timers_next(&p->timers);
        d->next_ms = next < d->next_ms ? next : d->next_ms;
    }
    return d->next_ms;
}
