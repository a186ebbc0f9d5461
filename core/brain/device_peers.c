/* Who is set in the device, by which key and addresses, and whose packets go through it. */
#include "base/clock.h"
#include "base/log.h"
#include "brain/demand.h"
#include "brain/devices.h"
#include "brain/phones.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_MS    150000 /* a handshake this young: where the peer was heard is where it is */
#define ASK_ALL_MS  10000
#define ASK_BUSY_MS 500

struct peer_device *device_peer(const struct peer *p)
{
    return p ? p->device : NULL;
}

const char *device_peers_via(
    const struct brain *b, const struct peer *p, const char *transport, const char *via)
{
    const struct peer_device *pd = device_peer(p);
    return via[0] && pd && pd->heard[0] && devices_is(b, transport) ? pd->heard : via;
}

/* ---- endpoints, with the key ---- */

static bool port_ok(const char *text)
{
    const char *colon = strrchr(text, ':');
    char *end;
    unsigned long port =
        colon && colon[1] >= '1' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;
    return port > 0 && port <= 65535 && *end == 0;
}

bool device_endpoint(const char *text, char ret[DEVICE_ENDPOINT], uint8_t ret_key[32])
{
    const char *slash = strchr(text, '/');
    uint8_t key[32], address[16];
    size_t len = slash ? (size_t)(slash - text) : 0, size;
    if (len == 0 || len >= DEVICE_ENDPOINT || strlen(slash + 1) != DEVICE_KEY_TEXT ||
        sodium_base642bin(key, sizeof key, slash + 1, DEVICE_KEY_TEXT, NULL, &size, NULL,
            sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        size != sizeof key || sodium_is_zero(key, sizeof key))
        return false;
    memcpy(ret, text, len);
    ret[len] = 0;
    memcpy(ret_key, key, sizeof key);
    link_address(ret, address);
    return port_ok(ret) && !sodium_is_zero(address, sizeof address);
}

/* All endpoints of a record name one key, or it is not reached by the device. */
static void read_record(
    const struct device *d, struct peer_device *pd, const struct member_machine *m)
{
    const struct stmt_record *r = &m->record;
    unsigned found = 0;
    bool one = true;
    pd->record_seq = m->record_seq;
    pd->usable = false;
    for (unsigned i = 0; i < r->endpoint_count; i++) {
        char text[DEVICE_ENDPOINT];
        uint8_t key[32];
        if (strcmp(r->endpoints[i].transport, d->host->plugin) != 0)
            continue;
        bool ok = device_endpoint(r->endpoints[i].text, text, key);
        one = one && ok && (found == 0 || memcmp(key, pd->key, 32) == 0);
        if (ok && found++ == 0) {
            memcpy(pd->key, key, 32);
            memcpy(pd->first, text, sizeof text);
        }
    }
    pd->usable = found && one && memcmp(pd->key, d->public_key, 32) != 0;
    if (found && !pd->usable)
        log_warn(
            "a machine's record names no one key for %s: it is not reached by it", d->host->plugin);
}

struct entry {
    struct peer *p;
};

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return memcmp(x->p->device->key, y->p->device->key, 32);
}

/* A key is one machine's: of two that name it neither is believed. */
static void find_twins(struct brain *b)
{
    struct entry *list = calloc(b->peer_count + 1, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list && i < b->peer_count; i++) {
        if (!b->peers[i].device)
            continue;
        b->peers[i].device->twice = false;
        if (b->peers[i].device->usable)
            list[n++].p = &b->peers[i];
    }
    if (n)
        qsort(list, n, sizeof *list, by_key);
    for (size_t i = 1; i < n; i++)
        if (by_key(&list[i - 1], &list[i]) == 0) {
            char one[33], other[33];
            list[i - 1].p->device->twice = list[i].p->device->twice = true;
            brain_name(b, list[i - 1].p->id, one);
            brain_name(b, list[i].p->id, other);
            log_warn("%s and %s name the same key for packets: neither is used", one, other);
        }
    free(list);
}

static struct peer *peer_by_key(struct brain *b, const uint8_t key[32])
{
    for (size_t i = 0; i < b->peer_count; i++) {
        const struct peer_device *pd = b->peers[i].device;
        if (pd && pd->set && memcmp(pd->key, key, 32) == 0)
            return &b->peers[i];
    }
    return NULL;
}

bool device_peers_use(const struct brain *b, const uint8_t key[32])
{
    for (size_t i = 0; i < b->peer_count; i++) {
        const struct peer_device *pd = b->peers[i].device;
        if (pd && (pd->usable || pd->set) && memcmp(pd->key, key, 32) == 0)
            return true;
    }
    return false;
}

/* ---- setting and removing ---- */

static void fill_endpoint(struct ward_device_peer *r, const char *text)
{
    const char *colon = strrchr(text, ':');
    link_address(text, r->endpoint);
    r->port = colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0;
}

static void tell(struct brain *b, struct device *d, const struct peer_device *pd,
    uint8_t (*addresses)[16], unsigned count, const char *endpoint)
{
    if (d->kernel) {
        struct ward_device_peer r = {.count = (uint8_t)count};
        memcpy(r.key, pd->key, sizeof r.key);
        memcpy(r.addresses, addresses, count * sizeof r.addresses[0]);
        if (endpoint[0])
            fill_endpoint(&r, endpoint);
        ward_ask(b, WARD_REQ_DEVICE_PEER, &r, sizeof r, NULL, NULL);
        return;
    }
    static clan_host_ToHost m;
    memset(&m, 0, sizeof m);
    m.which_m = clan_host_ToHost_device_peer_tag;
    memcpy(m.m.device_peer.key, pd->key, 32);
    snprintf(m.m.device_peer.endpoint, sizeof m.m.device_peer.endpoint, "%s", endpoint);
    memcpy(m.m.device_peer.addresses, addresses, count * 16u);
    m.m.device_peer.addresses_count = (pb_size_t)count;
    chan_send(d->host->chan, clan_host_ToHost_fields, &m, NULL, 0);
}

static void tell_gone(struct brain *b, struct device *d, const uint8_t key[32])
{
    if (d->kernel) {
        struct ward_device_peer r = {.remove = 1};
        memcpy(r.key, key, sizeof r.key);
        ward_ask(b, WARD_REQ_DEVICE_PEER, &r, sizeof r, NULL, NULL);
        return;
    }
    static clan_host_ToHost m;
    memset(&m, 0, sizeof m);
    m.which_m = clan_host_ToHost_device_remove_tag;
    memcpy(m.m.device_remove.key, key, 32);
    chan_send(d->host->chan, clan_host_ToHost_fields, &m, NULL, 0);
}

void device_guest_set(
    struct brain *b, struct device *d, const uint8_t key[32], const uint8_t address[16])
{
    struct peer_device pd = {0};
    uint8_t addresses[1][16];
    memcpy(pd.key, key, sizeof pd.key);
    memcpy(addresses[0], address, 16);
    tell(b, d, &pd, addresses, 1, "");
}

void device_guest_gone(struct brain *b, struct device *d, const uint8_t key[32])
{
    tell_gone(b, d, key);
}

/* Peers of an earlier core that this one does not name are none. */
static void sync_begin(struct device *d)
{
    static clan_host_ToHost m;
    memset(&m, 0, sizeof m);
    m.which_m = clan_host_ToHost_device_peers_tag;
    m.m.device_peers.begin = true;
    if (!d->kernel)
        chan_send(d->host->chan, clan_host_ToHost_fields, &m, NULL, 0);
}

static void sync_end(struct brain *b, struct device *d)
{
    static clan_host_ToHost m;
    memset(&m, 0, sizeof m);
    m.which_m = clan_host_ToHost_device_peers_tag;
    d->synced = true;
    if (d->kernel)
        tell_gone(b, d, m.m.device_peer.key); /* zero: all that were not named */
    else
        chan_send(d->host->chan, clan_host_ToHost_fields, &m, NULL, 0);
}

static bool set(struct brain *b, struct device *d, struct peer *p, const struct member_machine *m,
    const char *endpoint, bool always)
{
    struct peer_device *pd = p->device;
    uint8_t addresses[DEVICE_ADDRESSES][16], hash[32];
    unsigned count = peers_addresses(b, m, addresses);
    crypto_generichash_state st;
    if (count == 0)
        return false;
    crypto_generichash_init(&st, NULL, 0, sizeof hash);
    crypto_generichash_update(&st, pd->key, sizeof pd->key);
    crypto_generichash_update(&st, addresses[0], count * 16u);
    crypto_generichash_final(&st, hash, sizeof hash);
    if (!always && pd->set && memcmp(hash, pd->sent_hash, sizeof hash) == 0)
        return true;
    tell(b, d, pd, addresses, count, endpoint);
    memcpy(pd->sent_hash, hash, sizeof hash);
    pd->set = true;
    return true;
}

static void unset(struct brain *b, struct device *d, struct peer *p)
{
    struct peer_device *pd = p->device;
    if (!pd || !pd->set)
        return;
    device_peers_carry(b, p, false);
    tell_gone(b, d, pd->key);
    pd->set = false;
    pd->handshake_ms = 0;
    pd->heard[0] = 0;
}

static bool fresh(const struct peer_device *pd)
{
    return pd->handshake_ms && brain_now() - pd->handshake_ms < FRESH_MS;
}

/* For a dial: the device is told that address, unless the peer was heard of late from a better one. */
bool device_peer_set(struct brain *b, struct device *d, struct peer *p,
    const struct member_machine *m, const char *endpoint)
{
    struct peer_device *pd = device_peer(p);
    char text[DEVICE_ENDPOINT];
    uint8_t key[32];
    if (!pd || !pd->set || pd->twice || !device_endpoint(endpoint, text, key) ||
        memcmp(key, pd->key, sizeof key) != 0)
        return false;
    bool keep = fresh(pd) && pd->heard[0];
    return set(b, d, p, m, keep ? "" : text, !keep);
}

static bool goes_by(struct brain *b, const struct device *d, const struct peer *p)
{
    const struct session *s = session_find(b, p->link);
    return s && s->up && strcmp(s->transport, d->host->plugin) == 0;
}

void device_peers_reconcile(struct brain *b, struct device *d)
{
    bool changed = false, first = !d->synced;
    if (first)
        sync_begin(d);
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        const struct member_machine *m = member_find(b->set, p->id);
        if (!m || (p->device && p->device->record_seq == m->record_seq))
            continue;
        if (!p->device && !(p->device = calloc(1, sizeof *p->device)))
            continue;
        uint8_t before[32];
        memcpy(before, p->device->key, sizeof before);
        struct peer_device old = *p->device;
        read_record(d, p->device, m);
        if (old.set && (!p->device->usable || memcmp(before, p->device->key, 32) != 0)) {
            struct peer_device now = *p->device;
            *p->device = old; /* the old key goes, before the new one comes */
            unset(b, d, p);
            memcpy(p->device->key, now.key, sizeof now.key);
            memcpy(p->device->first, now.first, sizeof now.first);
            p->device->usable = now.usable;
            p->device->record_seq = now.record_seq;
        }
        changed = true;
    }
    if (changed)
        find_twins(b);
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        struct peer_device *pd = p->device;
        const struct member_machine *m = pd ? member_find(b->set, p->id) : NULL;
        bool was = pd && pd->set;
        bool may = m && m->standing == MEMBER_CONFIRMED && pd->usable && !pd->twice &&
                   !p->closing && demand_allows(b, p->id, d->host->plugin);
        if (!may || !set(b, d, p, m, was ? "" : pd->first, false))
            unset(b, d, p);
        else
            device_peers_carry(b, p, goes_by(b, d, p)); /* it may hold other services now */
    }
    phones_reconcile(b, d);
    if (first)
        sync_end(b, d);
}

void device_peers_forget(struct brain *b)
{
    for (size_t i = 0; i < b->peer_count; i++) {
        free(b->peers[i].device);
        b->peers[i].device = NULL;
    }
    phones_forget(b);
}

/* ---- routes ---- */

static void route(struct brain *b, const uint8_t address[16], bool on)
{
    struct ward_device_route r = {.on = on};
    memcpy(r.address, address, sizeof r.address);
    ward_ask(b, WARD_REQ_DEVICE_ROUTE, &r, sizeof r, NULL, NULL);
}

static bool has(uint8_t (*list)[16], unsigned count, const uint8_t address[16])
{
    for (unsigned i = 0; i < count; i++)
        if (memcmp(list[i], address, 16) == 0)
            return true;
    return false;
}

/* Packets go and none come: whether the path is dead, its session finds out now. */
static void doubt(struct brain *b, const struct peer *p)
{
    const struct device *d = devices_of(b);
    const struct session *s = session_find(b, p->link);
    if (!d || !s || strcmp(s->transport, d->host->plugin) != 0)
        return;
    clan_link_ToLink *m = link_blank(clan_link_ToLink_doubt_tag);
    m->m.doubt.session = s->id;
    link_send(b, m, NULL, 0);
}

void device_peers_carry(struct brain *b, struct peer *p, bool on)
{
    const struct member_machine *m = b->set ? member_find(b->set, p->id) : NULL;
    struct peer_device *pd = p->device;
    uint8_t want[DEVICE_ADDRESSES][16];
    if (!pd || !devices_of(b))
        return;
    unsigned count = on && pd->set && m ? peers_addresses(b, m, want) : 0;
    for (unsigned i = 0; i < pd->route_count; i++)
        if (!has(want, count, pd->routes[i]))
            route(b, pd->routes[i], false);
    for (unsigned i = 0; i < count; i++)
        if (!has(pd->routes, pd->route_count, want[i]))
            route(b, want[i], true);
    bool begins = count && !pd->route_count;
    memcpy(pd->routes, want, count * sizeof want[0]);
    pd->route_count = count;
    if (begins) /* that it fell silent was told before, perhaps to an earlier core */
        doubt(b, p);
}

/* ---- how they do ---- */

void device_peers_state(struct brain *b, const uint8_t key[32], const char *endpoint,
    uint64_t handshake_ms, uint64_t rx_bytes, uint64_t tx_bytes, bool silent)
{
    struct peer *p = peer_by_key(b, key);
    struct peer_device *pd = device_peer(p);
    uint8_t address[16];
    if (!pd) {
        phones_state(b, key, handshake_ms, rx_bytes, tx_bytes);
        return;
    }
    link_address(endpoint, address);
    if (!sodium_is_zero(address, sizeof address))
        snprintf(pd->heard, sizeof pd->heard, "%s", endpoint);
    pd->handshake_ms = handshake_ms;
    pd->rx_bytes = rx_bytes;
    pd->tx_bytes = tx_bytes;
    if (silent)
        doubt(b, p);
}

/* Of those that carry each time that the core looks, of all others now and then. */
void device_peers_ask(struct brain *b, struct device *d)
{
    struct ward_device_ask r = {0};
    uint64_t now = brain_now();
    bool all = now - d->asked_all_ms >= ASK_ALL_MS;
    unsigned asked = 0;
    if (now - d->asked_ms < ASK_BUSY_MS - 100)
        return;
    d->asked_ms = now;
    if (all)
        d->asked_all_ms = now;
    for (size_t i = 0; i < b->peer_count && asked < 20; i++) {
        const struct peer_device *pd = b->peers[i].device;
        if (pd && pd->set &&
            (pd->route_count || (all && (b->peers[i].link || b->peers[i].control))))
            memcpy(r.keys[r.count++], pd->key, 32);
        if (r.count < WARD_DEVICE_ASKED)
            continue;
        ward_ask(b, WARD_REQ_DEVICE_STATES, &r, sizeof r, NULL, NULL);
        r.count = 0;
        asked++;
    }
    if (r.count)
        ward_ask(b, WARD_REQ_DEVICE_STATES, &r, sizeof r, NULL, NULL);
}

void device_peers_states(struct brain *b, const struct ward_device_states *s)
{
    int64_t wall = clock_wall_s();
    for (uint32_t i = 0; i < s->count && i < WARD_DEVICE_ASKED; i++) {
        const struct ward_device_state *st = &s->states[i];
        char text[DEVICE_ENDPOINT] = "";
        int64_t age_s = wall - st->handshake_s;
        uint64_t now = brain_now();
        if (st->port)
            device_address_text(st->endpoint, st->port, text);
        bool known = st->handshake_s && age_s >= 0 && (uint64_t)age_s * 1000 < now;
        const struct peer_device *pd = device_peer(peer_by_key(b, st->key));
        /* half a second in which packets went and none came */
        bool silent = pd && st->tx_bytes > pd->tx_bytes && st->rx_bytes == pd->rx_bytes;
        device_peers_state(b, st->key, text, known ? now - (uint64_t)age_s * 1000 : 0, st->rx_bytes,
            st->tx_bytes, silent);
    }
}
