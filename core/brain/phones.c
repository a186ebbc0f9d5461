/* The phones of a gateway: who is admitted, who is set in the device, and what the firewall forwards. */
#include "brain/phones.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "brain/client.h"
#include "brain/demand.h"
#include "wire/limits.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGAIN_MS     10000  /* after a firewall that could not be had */
#define CONNECTED_MS 180000 /* WireGuard's own limit for a session without a handshake */
#define MTU_PHONE    1280   /* fits into whatever network the phone is in */

static_assert(MEMBER_PHONES_MAX <= WARD_PHONES_MAX, "the warden forwards for all of them");

struct phone {
    uint8_t key[32], address[16];
    uint64_t handshake_ms, rx_bytes, tx_bytes;
};

/* As the device has them. */
static struct {
    struct phone list[MEMBER_PHONES_MAX];
    unsigned count;
    bool told;         /* the warden, of this list */
    bool ever;         /* one was there: what is told matters */
    unsigned pending;  /* answers of its */
    uint64_t retry_ms; /* not before */
    struct clan_error trouble;
} phones;

static struct phone *by_key(const uint8_t key[32])
{
    for (unsigned i = 0; i < phones.count; i++)
        if (memcmp(phones.list[i].key, key, 32) == 0)
            return &phones.list[i];
    return NULL;
}

/* ---- the device and the firewall ---- */

static void on_forwarded(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    (void)arg;
    if (fd >= 0)
        close(fd);
    phones.pending -= phones.pending > 0;
    phones.trouble = a->error;
    if (a->error.status != CLAN_OK) {
        phones.told = false;
        phones.retry_ms = brain_now() + AGAIN_MS;
    }
    brain_soon(b); /* what is acknowledged, and who waits for it */
}

static void tell_firewall(struct brain *b)
{
    struct ward_device_phones r = {.count = phones.count};
    if (phones.told || brain_now() < phones.retry_ms)
        return;
    for (unsigned i = 0; i < phones.count; i++)
        memcpy(r.addresses[i], phones.list[i].address, 16);
    phones.told = true;
    phones.pending++;
    ward_ask(b, WARD_REQ_DEVICE_PHONES, &r, sizeof r, on_forwarded, NULL);
}

static void route(struct brain *b, const uint8_t address[16], bool on)
{
    struct ward_device_route r = {.on = on};
    memcpy(r.address, address, sizeof r.address);
    ward_ask(b, WARD_REQ_DEVICE_ROUTE, &r, sizeof r, NULL, NULL);
}

/* A key of somebody else would take over what is theirs. */
static bool usable(
    struct brain *b, const struct device *d, const struct member_machine *m, const uint8_t *key)
{
    return key && !sodium_is_zero(key, 32) && memcmp(key, d->public_key, 32) != 0 &&
           member_find_key(b->set, KEY_WIREGUARD, key, true) == m && !device_peers_use(b, key);
}

static unsigned wanted(struct brain *b, const struct device *d, struct phone *ret)
{
    const struct member_machine *list[MEMBER_PHONES_MAX], *self = brain_self(b);
    unsigned n = 0, count = !self || b->catching_up ? 0 : member_phones(b->set, self, list);
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *key = stmt_record_find(&list[i]->record, KEY_WIREGUARD);
        if (!usable(b, d, list[i], key) || !demand_allows(b, list[i]->id, d->host->plugin))
            continue;
        ret[n] = (struct phone){0};
        memcpy(ret[n].key, key, 32);
        memcpy(ret[n++].address, list[i]->address, 16);
    }
    return n;
}

static bool among(const struct phone *list, unsigned count, const struct phone *p)
{
    for (unsigned i = 0; i < count; i++)
        if (memcmp(list[i].key, p->key, 32) == 0 && memcmp(list[i].address, p->address, 16) == 0)
            return true;
    return false;
}

void phones_reconcile(struct brain *b, struct device *d)
{
    struct phone want[MEMBER_PHONES_MAX];
    unsigned count = wanted(b, d, want);
    for (unsigned i = phones.count; i-- > 0;) {
        struct phone *p = &phones.list[i];
        if (among(want, count, p))
            continue;
        if (!device_peers_use(b, p->key)) /* else the key is its new owner's already */
            device_guest_gone(b, d, p->key);
        route(b, p->address, false);
        *p = phones.list[--phones.count];
        phones.told = false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (among(phones.list, phones.count, &want[i]))
            continue;
        device_guest_set(b, d, want[i].key, want[i].address);
        route(b, want[i].address, true);
        phones.list[phones.count++] = want[i];
        phones.ever = true;
        phones.told = false;
    }
    tell_firewall(b);
}

void phones_forget(struct brain *b)
{
    (void)b;
    phones.count = 0;
    phones.told = false;
}

bool phones_settled(const struct brain *b)
{
    return !devices_of(b) || !phones.ever || (phones.told && phones.pending == 0);
}

const struct clan_error *phones_trouble(void)
{
    return &phones.trouble;
}

/* ---- how they do ---- */

bool phones_state(const struct brain *b, const uint8_t key[32], uint64_t handshake_ms,
    uint64_t rx_bytes, uint64_t tx_bytes)
{
    struct phone *p = by_key(key);
    (void)b;
    if (!p)
        return false;
    p->handshake_ms = handshake_ms;
    p->rx_bytes = rx_bytes;
    p->tx_bytes = tx_bytes;
    return true;
}

unsigned phones_keys(const struct brain *b, uint8_t ret[MEMBER_PHONES_MAX][32])
{
    (void)b;
    for (unsigned i = 0; i < phones.count; i++)
        memcpy(ret[i], phones.list[i].key, 32);
    return phones.count;
}

bool phones_show(const struct brain *b, const uint8_t id[32], clan_api_Machine *ret)
{
    const struct member_machine *m = member_find(b->set, id);
    const uint8_t *key = m ? stmt_record_find(&m->record, KEY_WIREGUARD) : NULL;
    const struct phone *p = key ? by_key(key) : NULL;
    if (!p)
        return false;
    uint64_t age_ms = brain_now() - p->handshake_ms;
    ret->connected = p->handshake_ms && age_ms < CONNECTED_MS;
    ret->rx_bytes = p->rx_bytes;
    ret->tx_bytes = p->tx_bytes;
    if (p->handshake_ms)
        ret->last_seen = clock_wall_s() - (int64_t)(age_ms / 1000);
    if (ret->connected)
        snprintf(ret->path, sizeof ret->path, "by WireGuard, behind this machine");
    return true;
}

/* ---- the local API ---- */

static bool is_public(const char *endpoint)
{
    uint8_t a[16];
    link_address(endpoint, a);
    if (memcmp(a, (const uint8_t[12]){[10] = 0xff, [11] = 0xff}, 12) != 0)
        return (a[0] & 0xfe) != 0xfc && !(a[0] == 0xfe && (a[1] & 0xc0) == 0x80);
    return !(a[12] == 10 || (a[12] == 172 && (a[13] & 0xf0) == 16) ||
             (a[12] == 192 && a[13] == 168) || (a[12] == 169 && a[13] == 254) ||
             (a[12] == 100 && (a[13] & 0xc0) == 64));
}

/* A phone roams: what is good from everywhere first. */
static void show_endpoints(const struct device *d, clan_api_Phone *ret)
{
    for (int pass = 1; pass >= 0; pass--)
        for (unsigned i = 0; i < d->host->endpoint_count && ret->endpoints_count < 8; i++)
            if (is_public(d->host->endpoints[i]) == (pass == 1))
                snprintf(ret->endpoints[ret->endpoints_count++], sizeof ret->endpoints[0], "%.63s",
                    d->host->endpoints[i]);
}

static void answer(struct brain *b, struct client *c, const struct device *d, const uint8_t *id)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t prefix[16] = {0};
    clan_api_Answer *a = api_blank();
    clan_api_Phone *p = &a->m.phone;
    a->which_m = clan_api_Answer_phone_tag;
    if (id) {
        memcpy(p->machine_id, id, 32);
        keys_machine_address(b->clan_id, id, p->address);
    }
    memcpy(p->gateway_key, d->public_key, 32);
    memcpy(prefix, b->own_address, 6);
    inet_ntop(AF_INET6, prefix, text, sizeof text);
    snprintf(p->prefix, sizeof p->prefix, "%.40s/48", text);
    p->mtu = MTU_PHONE;
    p->carried = phones_settled(b) ? phones.count : 0;
    show_endpoints(d, p);
    api_answer(c, a, true);
}

static clan_status may_add(struct brain *b, const struct device *d, struct clan_error *e)
{
    const struct member_machine *have[MEMBER_PHONES_MAX], *self = brain_self(b);
    if (!doors_serve(b, e))
        return e->status;
    if (b->stale_open || b->one_door) {
        err_set(e, CLAN_E_STALE, "this machine does not know where the clan is");
        err_remedy(e, "try again when a keeper or another machine of the clan is reachable");
    } else if (!d) {
        err_set(e, CLAN_E_STATE, "this machine does not speak WireGuard, which phones need");
        err_why(e, "a phone comes by the WireGuard of the machine that invites it");
        err_remedy(e, "as root: clan plugin grant wireguard; then put wireguard into transports: "
                      "with clan config apply, or invite from a machine that has it");
    } else if (phones.trouble.status != CLAN_OK) {
        *e = phones.trouble;
        err_why(e, "without it this machine cannot hand a phone's packets on");
    } else if (self && member_phones(b->set, self, have) >= MEMBER_PHONES_MAX) {
        err_set(e, CLAN_E_LIMIT, "this machine is the gateway of %u phones", MEMBER_PHONES_MAX);
        err_remedy(e, "remove one that is not used: clan remove NAME; or invite from another one");
    }
    return e->status;
}

static clan_status admit(
    struct brain *b, const clan_api_PhoneAdd *m, uint8_t ret_id[32], struct clan_error *e)
{
    struct join_phone p = {.root = b->root,
        .gateway_secret = b->secret,
        .seq = b->own_admission_seq + 1,
        .wall = clock_wall_s()};
    uint8_t raw[STMT_MAX];
    size_t size;
    memcpy(p.seed, m->seed.bytes, sizeof p.seed);
    memcpy(p.gateway_id, b->own_id, 32);
    memcpy(p.wireguard, m->key, 32);
    clan_status st = join_make_phone(b->set, &p, raw, &size, ret_id, e);
    sodium_memzero(&p, sizeof p);
    if (st == CLAN_OK)
        st = spread_publish(b, raw, size, e);
    if (st == CLAN_OK)
        b->own_admission_seq++;
    return st;
}

void phones_add(struct brain *b, struct client *c, const clan_api_PhoneAdd *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct device *d = devices_of(b);
    uint8_t id[32];
    bool adds = m->seed.size > 0;
    clan_status st = may_add(b, d, &e);
    if (st == CLAN_OK && adds && (m->seed.size != 16 || !usable(b, d, NULL, m->key)))
        st = err_set(&e, CLAN_E_INVAL, "that is no seed of an invitation, or no key for a phone");
    if (st == CLAN_OK && adds)
        st = admit(b, m, id, &e);
    if (st == CLAN_OK)
        answer(b, c, d, adds ? id : NULL);
    else
        api_error(c, &e);
}
