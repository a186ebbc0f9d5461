/* Two WireGuard devices, a wire in memory, a clock of ours. */
#include "device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct side {
    struct wg_device *d;
    struct wg_endpoint at, to;
    uint8_t out[64][256];
    size_t size[64];
    unsigned count;
    uint64_t wall_s;
    uint8_t floor[WG_TAI64N];
    bool refuse_floor;
};

static struct side s[2];
static uint64_t now_ms;
static uint8_t address[2][16] = {{0xfd, [15] = 1}, {0xfd, [15] = 2}};

static void send_fn(
    void *user, const struct wg_endpoint *to, const uint8_t *m, size_t size, uint8_t tos)
{
    struct side *x = user;
    (void)tos;
    x->to = *to;
    assert_true(x->count < 64 && size <= 256);
    memcpy(x->out[x->count], m, size);
    x->size[x->count++] = size;
}

static void wall_fn(void *user, uint64_t *ret_s, uint32_t *ret_ns)
{
    *ret_s = ((struct side *)user)->wall_s + now_ms / 1000;
    *ret_ns = (uint32_t)(now_ms % 1000) * 1000000;
}

static bool floor_fn(void *user, const uint8_t t[WG_TAI64N])
{
    struct side *x = user;
    memcpy(x->floor, t, WG_TAI64N);
    return !x->refuse_floor;
}

static struct wg_endpoint v4(uint32_t address4, uint16_t port)
{
    struct wg_endpoint e;
    memset(&e, 0, sizeof e);
    e.in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address4)};
    return e;
}

static int setup(void **state)
{
    (void)state;
    uint8_t key[WG_KEY];
    now_ms = 1000000;
    memset(s, 0, sizeof s);
    for (int i = 0; i < 2; i++) {
        struct wg_ops ops = {&s[i], send_fn, wall_fn, floor_fn};
        static const uint8_t none[WG_TAI64N];
        memset(key, 7 + i, sizeof key);
        s[i].wall_s = 1600000000;
        s[i].at = v4(0x0a000001u + (unsigned)i, 7000);
        s[i].d = wg_device_new(&ops, key, none);
    }
    for (int i = 0; i < 2; i++) {
        struct wg_peer_config c = {
            .endpoint = &s[1 - i].at, .addresses = address[1 - i], .address_count = 1};
        memcpy(c.public_key, s[1 - i].d->identity->public_key, WG_KEY);
        assert_int_equal(wg_device_set_peer(s[i].d, &c), WG_SET_OK);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wg_device_free(s[0].d);
    wg_device_free(s[1].d);
    return 0;
}

/* What i sent arrives at the other; how many packets came out. */
static unsigned deliver(int i)
{
    unsigned got = 0, count = s[i].count;
    uint8_t m[64][256], *packet;
    size_t size;
    struct wg_peer *p;
    memcpy(m, s[i].out, sizeof m);
    s[i].count = 0;
    for (unsigned k = 0; k < count; k++)
        got +=
            wg_device_receive(s[1 - i].d, m[k], s[i].size[k], &s[i].at, now_ms, &packet, &size, &p);
    return got;
}

static void packet_to(int i, int from, int to)
{
    uint8_t packet[60] = {0x60, [5] = 20};
    memcpy(packet + 8, address[from], 16);
    memcpy(packet + 24, address[to], 16);
    struct wg_peer *p = wg_device_route(s[i].d, address[1 - i]);
    assert_non_null(p);
    wg_peer_stage(p, packet, sizeof packet, NULL, 0);
    wg_peer_flush(p, now_ms);
    wg_device_tick(s[i].d, now_ms);
}

static void connect_both(void)
{
    packet_to(0, 0, 1);
    assert_int_equal(s[0].size[0], WG_INITIATION_SIZE);
    assert_int_equal(deliver(0), 0);
    assert_int_equal(s[1].size[0], WG_RESPONSE_SIZE);
    /* the responder does not send before the session is proved */
    assert_null(s[1].d->peers->current);
    deliver(1);
    assert_int_equal(s[0].count, 1);
    assert_int_equal(deliver(0), 1);
    assert_non_null(s[1].d->peers->current);
}

static void a_session(void **state)
{
    (void)state;
    connect_both();
    packet_to(1, 1, 0);
    assert_int_equal(deliver(1), 1);
    assert_int_equal(s[0].d->counts.handshakes, 1);
}

static void only_allowed_sources(void **state)
{
    (void)state;
    connect_both();
    packet_to(0, 1, 1); /* says it is the receiver */
    assert_int_equal(deliver(0), 0);
    assert_int_equal(s[1].d->counts.not_allowed, 1);
}

static void replayed_messages(void **state)
{
    (void)state;
    uint8_t first[WG_INITIATION_SIZE], m[256], *packet;
    size_t size;
    struct wg_peer *p;
    packet_to(0, 0, 1);
    memcpy(first, s[0].out[0], sizeof first);
    deliver(0);
    deliver(1);
    memcpy(m, s[0].out[0], s[0].size[0]);
    size_t n = s[0].size[0];
    assert_int_equal(deliver(0), 1);
    assert_false(wg_device_receive(s[1].d, m, n, &s[0].at, now_ms, &packet, &size, &p));
    assert_int_equal(s[1].d->counts.replayed, 1);
    now_ms += 1000;
    s[1].count = 0;
    assert_false(
        wg_device_receive(s[1].d, first, sizeof first, &s[0].at, now_ms, &packet, &size, &p));
    assert_int_equal(s[1].count, 0);
    assert_int_equal(s[1].d->counts.replayed, 2);
}

static void roaming(void **state)
{
    (void)state;
    connect_both();
    s[0].at = v4(0xc0000201, 9);
    packet_to(0, 0, 1);
    s[0].out[0][20] ^= 1; /* a forged one moves nobody */
    deliver(0);
    assert_memory_not_equal(&s[1].d->peers->endpoint, &s[0].at, sizeof s[0].at);
    packet_to(0, 0, 1);
    deliver(0);
    assert_memory_equal(&s[1].d->peers->endpoint, &s[0].at, sizeof s[0].at);
}

static void rekey_and_end(void **state)
{
    (void)state;
    connect_both();
    now_ms += WG_REKEY_AFTER_MS - 1;
    packet_to(0, 0, 1);
    assert_int_equal(s[0].count, 1);
    deliver(0);
    now_ms += 1;
    packet_to(1, 1, 0); /* the responder does not begin */
    assert_int_equal(s[1].count, 1);
    deliver(1);
    packet_to(0, 0, 1);
    assert_int_equal(s[0].count, 2);
    assert_int_equal(s[0].size[1], WG_INITIATION_SIZE);
    assert_int_equal(deliver(0), 1);
    deliver(1);
    assert_int_equal(s[0].d->counts.handshakes, 2);
    assert_int_equal(deliver(0), 0); /* the keep-alive that proves it */
    assert_non_null(s[1].d->peers->previous);
    now_ms += WG_REJECT_AFTER_MS;
    wg_lock(s[1].d);
    assert_null(wg_peer_keys(s[1].d->peers, now_ms));
    wg_unlock(s[1].d);
    now_ms += 3 * WG_REJECT_AFTER_MS;
    s[0].count = s[1].count = 0;
    wg_device_tick(s[0].d, now_ms);
    wg_device_tick(s[1].d, now_ms);
    assert_null(s[1].d->peers->current);
    assert_null(s[1].d->peers->previous);
    assert_int_equal(s[1].d->by_index.used, 0);
}

static void nobody_answers(void **state)
{
    (void)state;
    unsigned sent = 0;
    packet_to(0, 0, 1);
    for (unsigned i = 0; i < 400; i++, now_ms += 500) {
        sent += s[0].count;
        s[0].count = 0;
        wg_device_tick(s[0].d, now_ms);
    }
    assert_int_equal(sent, 1 + WG_ATTEMPTS);
    assert_null(s[0].d->peers->staged);
}

static void cookie_under_load(void **state)
{
    (void)state;
    uint8_t m[WG_INITIATION_SIZE], *packet;
    size_t size;
    struct wg_peer *p;
    packet_to(0, 0, 1);
    memcpy(m, s[0].out[0], sizeof m);
    for (unsigned i = 0; i < WG_LOAD_COUNT; i++) /* once good, then replays */
        wg_device_receive(s[1].d, m, sizeof m, &s[0].at, now_ms, &packet, &size, &p);
    s[1].count = 0;
    wg_device_receive(s[1].d, m, sizeof m, &s[0].at, now_ms, &packet, &size, &p);
    assert_int_equal(s[1].count, 1);
    assert_int_equal(s[1].size[0], WG_COOKIE_SIZE);
    deliver(1);
    assert_true(s[0].d->peers->cookie.have_cookie);
    s[0].count = 0;
    now_ms += 500;
    s[0].d->peers->initiated_ms = 0;
    wg_device_handshake(s[0].d, s[0].d->peers, now_ms);
    deliver(0);
    assert_int_equal(s[1].size[0], WG_RESPONSE_SIZE);
    for (unsigned i = 0; i < 10; i++) { /* the same source, faster than its rate */
        s[0].d->peers->initiated_ms = 0;
        wg_device_handshake(s[0].d, s[0].d->peers, now_ms);
    }
    uint64_t bad = s[1].d->counts.bad;
    deliver(0);
    assert_true(s[1].d->counts.bad - bad >= 5);
}

static void a_floor_that_is_not_kept(void **state)
{
    (void)state;
    s[0].refuse_floor = true;
    packet_to(0, 0, 1);
    assert_int_equal(s[0].count, 0);
}

static void a_thousand_peers(void **state)
{
    (void)state;
    struct wg_peer_config c = {.endpoint = &s[1].at};
    for (unsigned i = 1; i < WG_PEERS_MAX; i++) {
        memset(c.public_key, 9, WG_KEY);
        memcpy(c.public_key, &i, sizeof i);
        assert_int_equal(wg_device_set_peer(s[0].d, &c), WG_SET_OK);
    }
    c.public_key[30] ^= 1;
    assert_int_equal(wg_device_set_peer(s[0].d, &c), WG_SET_FULL);
    assert_true(sizeof(struct wg_peer) * WG_PEERS_MAX < 2u << 20);
    connect_both();
    for (unsigned i = 1; i < WG_PEERS_MAX; i += 2) {
        memset(c.public_key, 9, WG_KEY);
        memcpy(c.public_key, &i, sizeof i);
        wg_device_remove_peer(s[0].d, c.public_key);
        assert_null(wg_device_peer(s[0].d, c.public_key));
    }
    for (unsigned i = 2; i < WG_PEERS_MAX; i += 2) {
        memset(c.public_key, 9, WG_KEY);
        memcpy(c.public_key, &i, sizeof i);
        assert_non_null(wg_device_peer(s[0].d, c.public_key));
    }
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(a_session), T(only_allowed_sources), T(replayed_messages),
        T(roaming), T(rekey_and_end), T(nobody_answers), T(cookie_under_load),
        T(a_floor_that_is_not_kept), T(a_thousand_peers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
