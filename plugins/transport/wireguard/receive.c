/* Messages from outside: handshakes, cookies, packets. */
#include "device.h"

#include <sodium.h>
#include <string.h>

#define FLOOR_STEP_S        600u /* how far ahead of what is said the kept floor lies */
#define INITIATION_EVERY_MS 20u  /* of one peer: 50 in a second */
#define IP6_HEAD            40u

/* 5.1: greater than anything this machine said before, also when its clock went back. */
static bool timestamp(struct wg_device *d, uint8_t ret_tai64n[WG_TAI64N])
{
    uint64_t s;
    uint32_t ns;
    d->ops.wall(d->ops.user, &s, &ns);
    wg_tai64n_next(d->last_tai64n, s, ns, ret_tai64n);
    if (memcmp(ret_tai64n, d->floor_tai64n, WG_TAI64N) < 0)
        return true;
    uint8_t ahead[WG_TAI64N];
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v = v << 8 | ret_tai64n[i];
    v += FLOOR_STEP_S;
    memset(ahead, 0, sizeof ahead);
    for (int i = 0; i < 8; i++)
        ahead[i] = (uint8_t)(v >> 8 * (7 - i));
    if (!d->ops.keep_floor(d->ops.user, ahead))
        return false;
    memcpy(d->floor_tai64n, ahead, WG_TAI64N);
    return true;
}

static void say(struct wg_device *d, const struct wg_endpoint *to, const uint8_t *m, size_t size)
{
    d->ops.send(d->ops.user, to, m, size, 0x88); /* AF41, as Linux marks its handshakes */
}

static void leave_handshake(struct wg_peer *p)
{
    if (p->initiating)
        wg_index_drop(p->device, p->handshake.local_index);
    p->initiating = false;
}

void wg_device_handshake(struct wg_device *d, struct wg_peer *p, uint64_t now_ms)
{
    uint8_t message[WG_INITIATION_SIZE], tai64n[WG_TAI64N], ephemeral[WG_KEY];
    uint32_t index;
    if (!p->endpoint.sa.sa_family ||
        (p->initiated_ms && now_ms - p->initiated_ms < WG_REKEY_TIMEOUT_MS) ||
        !timestamp(d, tai64n))
        return;
    leave_handshake(p);
    if (!wg_index_new(d, p, &index))
        return;
    randombytes_buf(ephemeral, sizeof ephemeral);
    p->initiating = wg_initiation_make(
        &p->handshake, d->identity, &p->remote, ephemeral, index, tai64n, message);
    sodium_memzero(ephemeral, sizeof ephemeral);
    if (!p->initiating) {
        wg_index_drop(d, index);
        return;
    }
    wg_macs_add(&p->cookie, &p->remote, message, sizeof message, now_ms);
    p->initiated_ms = now_ms ? now_ms : 1;
    say(d, &p->endpoint, message, sizeof message);
    wg_peer_event(p, WG_EV_SENT | WG_EV_INITIATED, now_ms);
}

/* 2.1: the peer is where its last authentic message came from. */
static void roam(struct wg_peer *p, const struct wg_endpoint *from)
{
    if (memcmp(&p->endpoint, from, sizeof *from) == 0)
        return;
    wg_lock(p->device);
    p->endpoint = *from;
    wg_unlock(p->device);
}

static void answer(struct wg_device *d, struct wg_peer *p, struct wg_handshake *hs,
    const struct wg_endpoint *from, uint64_t now_ms)
{
    uint8_t message[WG_RESPONSE_SIZE], ephemeral[WG_KEY];
    uint32_t index;
    if (!wg_index_new(d, p, &index))
        return;
    randombytes_buf(ephemeral, sizeof ephemeral);
    bool ok = wg_response_make(hs, &p->remote, ephemeral, index, message);
    sodium_memzero(ephemeral, sizeof ephemeral);
    if (!ok) {
        wg_index_drop(d, index);
        return;
    }
    leave_handshake(p);
    p->handshake = *hs;
    if (!wg_session_begin(p, false, now_ms))
        return;
    roam(p, from);
    wg_macs_add(&p->cookie, &p->remote, message, sizeof message, now_ms);
    say(d, from, message, sizeof message);
    wg_peer_event(p, WG_EV_RECEIVED | WG_EV_SENT, now_ms);
}

static void initiation(
    struct wg_device *d, const uint8_t *message, const struct wg_endpoint *from, uint64_t now_ms)
{
    struct wg_handshake hs;
    uint8_t key[WG_KEY], tai64n[WG_TAI64N];
    struct wg_peer *p = NULL;
    bool good = wg_initiation_who(&hs, d->identity, message, key) &&
                (p = wg_map_get(&d->by_key, key)) != NULL &&
                wg_initiation_read(&hs, &p->remote, message, tai64n);
    /* 5.1: each is used once */
    bool fresh = good && memcmp(tai64n, p->greatest_tai64n, WG_TAI64N) > 0 &&
                 (!p->answered_ms || now_ms - p->answered_ms >= INITIATION_EVERY_MS);
    if (fresh) {
        memcpy(p->greatest_tai64n, tai64n, WG_TAI64N);
        p->answered_ms = now_ms ? now_ms : 1;
        p->heard++;
        answer(d, p, &hs, from, now_ms);
    } else if (good) {
        d->counts.replayed++;
    } else {
        d->counts.bad++;
    }
    sodium_memzero(&hs, sizeof hs);
}

static void response(
    struct wg_device *d, const uint8_t *message, const struct wg_endpoint *from, uint64_t now_ms)
{
    uint32_t index = wg_get_le32(message + 8);
    struct wg_peer *p = wg_map_get(&d->by_index, &index);
    if (!p || !p->initiating || p->handshake.local_index != index ||
        !wg_response_read(&p->handshake, d->identity, &p->remote, message)) {
        d->counts.bad++;
        return;
    }
    p->initiating = false;
    if (!wg_session_begin(p, true, now_ms))
        return;
    p->handshake_ms = now_ms;
    p->heard++;
    roam(p, from);
    wg_peer_event(p, WG_EV_RECEIVED | WG_EV_COMPLETE, now_ms);
    wg_peer_keepalive(p, now_ms); /* what waits, or an empty packet: it proves the session */
}

static void cookie(struct wg_device *d, const uint8_t *message, uint64_t now_ms)
{
    uint32_t index = wg_get_le32(message + 4);
    struct wg_peer *p = wg_map_get(&d->by_index, &index);
    if (!p || !wg_cookie_read(&p->cookie, &p->remote, message, now_ms))
        d->counts.bad++;
}

static void handshake(struct wg_device *d, const uint8_t *message, size_t size,
    const struct wg_endpoint *from, uint64_t now_ms)
{
    enum wg_verdict v = wg_check(&d->checker, d->identity, message, size, from, now_ms);
    if (v == WG_CHECK_BAD) {
        d->counts.bad++;
    } else if (v == WG_CHECK_COOKIE) {
        uint8_t reply[WG_COOKIE_SIZE], nonce[24];
        randombytes_buf(nonce, sizeof nonce);
        wg_cookie_reply(&d->checker, d->identity, message, size, from, now_ms, nonce, reply);
        d->counts.cookies_sent++;
        say(d, from, reply, sizeof reply);
    } else if (message[0] == WG_TYPE_INITIATION) {
        initiation(d, message, from, now_ms);
    } else {
        response(d, message, from, now_ms);
    }
}

static struct wg_keypair *keys_of(struct wg_peer *p, uint32_t index)
{
    struct wg_keypair *all[] = {p->current, p->previous, p->upcoming};
    for (int i = 0; i < 3; i++)
        if (all[i] && all[i]->local_index == index)
            return all[i];
    return NULL;
}

/* 6.2: the initiator that only receives begins anew before the session ends. */
static void look_at_age(struct wg_peer *p, struct wg_keypair *k, uint64_t now_ms)
{
    if (!k->initiator || k->late ||
        now_ms - k->created_ms < WG_REJECT_AFTER_MS - WG_KEEPALIVE_MS - WG_REKEY_TIMEOUT_MS)
        return;
    k->late = true;
    wg_device_handshake(p->device, p, now_ms);
}

/* An IPv6 packet, whole, from an address of this peer (2.: cryptokey routing). */
static bool inner(
    struct wg_device *d, struct wg_peer *p, uint32_t index, const uint8_t *packet, size_t *size)
{
    size_t length = *size < IP6_HEAD ? 0 : IP6_HEAD + ((size_t)packet[4] << 8 | packet[5]);
    if (*size < IP6_HEAD || packet[0] >> 4 != 6 || length > *size) {
        d->counts.bad++;
        return false;
    }
    *size = length; /* the padding goes */
    bool same = d->last.peer == p && memcmp(d->last.source, packet + 8, 16) == 0;
    if (!same && wg_map_get(&d->by_address, packet + 8) != p) {
        d->counts.not_allowed++;
        return false;
    }
    if (!same) {
        d->last.peer = p;
        d->last.index = index;
        memcpy(d->last.source, packet + 8, 16);
    }
    p->rx_bytes += length;
    return true;
}

static bool data(struct wg_device *d, uint8_t *message, size_t size, const struct wg_endpoint *from,
    uint64_t now_ms, uint8_t **ret_packet, size_t *ret_size, struct wg_peer **ret_peer)
{
    uint32_t index = wg_get_le32(message + 4);
    uint64_t counter = wg_get_le64(message + 8);
    struct wg_peer *p =
        d->last.peer && d->last.index == index ? d->last.peer : wg_map_get(&d->by_index, &index);
    struct wg_keypair *k = p ? keys_of(p, index) : NULL;
    if (!k || now_ms - k->created_ms >= WG_REJECT_AFTER_MS || counter >= WG_REJECT_AFTER_MESSAGES) {
        d->counts.unknown++;
        return false;
    }
    if (!wg_bulk_open(&k->receive, counter, message + WG_DATA_HEAD, size - WG_DATA_HEAD)) {
        d->counts.bad++;
        return false;
    }
    if (!wg_replay_take(&k->replay, counter)) {
        d->counts.replayed++;
        return false;
    }
    p->heard++;
    roam(p, from);
    if (k == p->upcoming)
        wg_session_confirm(p, now_ms);
    *ret_size = size - WG_DATA_HEAD - WG_TAG;
    unsigned events = *ret_size ? WG_EV_RECEIVED | WG_EV_DATA_RECEIVED : WG_EV_RECEIVED;
    wg_peer_event(p, events, now_ms);
    look_at_age(p, k, now_ms);
    *ret_packet = message + WG_DATA_HEAD;
    *ret_peer = p;
    return *ret_size && inner(d, p, index, *ret_packet, ret_size);
}

bool wg_device_receive(struct wg_device *d, uint8_t *message, size_t size,
    const struct wg_endpoint *from, uint64_t now_ms, uint8_t **ret_packet, size_t *ret_size,
    struct wg_peer **ret_peer)
{
    uint32_t type = size >= 4 ? wg_get_le32(message) : 0; /* with its three zeros */
    if (type == WG_TYPE_DATA && size >= WG_DATA_HEAD + WG_TAG)
        return data(d, message, size, from, now_ms, ret_packet, ret_size, ret_peer);
    if ((type == WG_TYPE_INITIATION && size == WG_INITIATION_SIZE) ||
        (type == WG_TYPE_RESPONSE && size == WG_RESPONSE_SIZE))
        handshake(d, message, size, from, now_ms);
    else if (type == WG_TYPE_COOKIE && size == WG_COOKIE_SIZE)
        cookie(d, message, now_ms);
    else
        d->counts.bad++;
    return false;
}
