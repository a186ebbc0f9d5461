/* WireGuard's messages against a second implementation; the replay window; TAI64N. */
#include "cookie.h"
#include "noise.h"
#include "replay.h"
#include "vectors/wireguard_vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static struct wg_identity id[2];
static struct wg_remote remote[2]; /* as the other sees them */
static uint8_t ephemeral[2][WG_KEY];
static const uint8_t tai[WG_TAI64N] = {0x40, 0, 0, 0, 0x5f, 0x5e, 0x10, 0x0a, 1, 2, 3, 4};

static int setup(void **state)
{
    (void)state;
    uint8_t key[WG_KEY], psk[WG_KEY];
    memset(psk, 0x55, sizeof psk);
    if (!wg_crypto_init())
        return -1;
    wg_bulk_name();
    for (int i = 0; i < 2; i++) {
        memset(key, 0x11 * (i + 1), sizeof key);
        memset(ephemeral[i], 0x11 * (i + 3), WG_KEY);
        wg_identity_set(&id[i], key);
    }
    return wg_remote_set(&remote[0], &id[1], id[0].public_key, psk) &&
                   wg_remote_set(&remote[1], &id[0], id[1].public_key, psk)
               ? 0
               : -1;
}

static void the_published_bytes(void **state)
{
    (void)state;
    struct wg_handshake a, b;
    struct wg_cookie none[2] = {0};
    uint8_t m1[WG_INITIATION_SIZE], m2[WG_RESPONSE_SIZE], who[WG_KEY], stamp[WG_TAI64N];
    uint8_t send[2][WG_KEY], receive[2][WG_KEY];
    assert_true(wg_initiation_make(&a, &id[0], &remote[1], ephemeral[0], 0x01020304, tai, m1));
    wg_macs_add(&none[0], &remote[1], m1, sizeof m1, 0);
    assert_memory_equal(m1, vector_initiation, sizeof m1);
    assert_true(wg_initiation_who(&b, &id[1], m1, who));
    assert_memory_equal(who, id[0].public_key, WG_KEY);
    assert_true(wg_initiation_read(&b, &remote[0], m1, stamp));
    assert_memory_equal(stamp, tai, sizeof tai);
    assert_true(wg_response_make(&b, &remote[0], ephemeral[1], 0x0a0b0c0d, m2));
    wg_macs_add(&none[1], &remote[0], m2, sizeof m2, 0);
    assert_memory_equal(m2, vector_response, sizeof m2);
    m2[50] ^= 1; /* a forged answer leaves the handshake as it was */
    assert_false(wg_response_read(&a, &id[0], &remote[1], m2));
    m2[50] ^= 1;
    assert_true(wg_response_read(&a, &id[0], &remote[1], m2));
    wg_handshake_keys(&a, true, send[0], receive[0]);
    wg_handshake_keys(&b, false, send[1], receive[1]);
    assert_memory_equal(send[0], vector_key_to_responder, WG_KEY);
    assert_memory_equal(receive[0], vector_key_to_initiator, WG_KEY);
    assert_memory_equal(send[1], receive[0], WG_KEY);
    assert_memory_equal(receive[1], send[0], WG_KEY);
}

static void packets_by_either_library(void **state)
{
    (void)state;
    size_t size = sizeof vector_packet_7 - WG_DATA_HEAD;
    uint8_t data[sizeof vector_packet_7];
    struct wg_bulk b, s;
    assert_true(wg_bulk_begin(&b, vector_key_to_responder));
    memcpy(data, vector_packet_7 + WG_DATA_HEAD, size);
    assert_true(wg_bulk_open(&b, 7, data, size));
    assert_int_equal(data[1279], 255);
    memcpy(data, vector_packet_7 + WG_DATA_HEAD, size);
    assert_true(wg_open(data, vector_key_to_responder, 7, data, size, NULL, 0));
    assert_true(wg_bulk_begin(&s, vector_key_to_responder));
    assert_true(wg_bulk_seal(&s, 7, data, size - WG_TAG));
    assert_memory_equal(data, vector_packet_7 + WG_DATA_HEAD, size);
    data[0] ^= 1;
    assert_false(wg_bulk_open(&b, 7, data, size));
    wg_bulk_end(&b);
    wg_bulk_end(&s);
}

/* Each size, also those that end inside of a block: libcrypto's parts against libsodium's whole. */
static void both_ciphers_of_all_sizes(void **state)
{
    (void)state;
    enum { MAX = 1500 };
    uint8_t key[WG_KEY], plain[MAX], a[MAX + WG_TAG], b[MAX + WG_TAG];
    randombytes_buf(key, sizeof key);
    randombytes_buf(plain, sizeof plain);
    for (int libcrypto = 0; libcrypto < 2; libcrypto++) {
        assert_true(wg_bulk_choose(libcrypto));
        struct wg_bulk x;
        assert_true(wg_bulk_begin(&x, key));
        for (size_t size = 0; size <= MAX; size++) {
            uint64_t counter = size * 0x123456789abcdull;
            memcpy(a, plain, size);
            assert_true(wg_bulk_seal(&x, counter, a, size));
            wg_seal(b, key, counter, plain, size, NULL, 0);
            assert_memory_equal(a, b, size + WG_TAG);
            a[size * 7 % (size + WG_TAG)] ^= 1;
            assert_false(wg_bulk_open(&x, counter, a, size + WG_TAG));
            assert_true(wg_bulk_open(&x, counter, b, size + WG_TAG));
            assert_memory_equal(b, plain, size);
        }
        wg_bulk_end(&x);
    }
}

static void low_order_points(void **state)
{
    (void)state;
    static const uint8_t zero[WG_KEY];
    struct wg_remote r;
    assert_false(wg_remote_set(&r, &id[0], zero, NULL));
}

static void replay_window(void **state)
{
    (void)state;
    struct wg_replay r = {0};
    const uint64_t w = WG_REPLAY_SIZE;
    assert_true(wg_replay_take(&r, 1));
    assert_false(wg_replay_take(&r, 1));
    assert_true(wg_replay_take(&r, 0));
    assert_true(wg_replay_take(&r, w));
    assert_false(wg_replay_take(&r, 0)); /* just fell out */
    assert_false(wg_replay_take(&r, 1)); /* still in, and seen */
    assert_true(wg_replay_take(&r, 2));
    for (uint64_t i = 3; i < w; i++)
        assert_true(wg_replay_take(&r, i));
    assert_true(wg_replay_take(&r, 3 * w + 7)); /* a leap empties it */
    assert_true(wg_replay_take(&r, 2 * w + 8));
    assert_false(wg_replay_take(&r, 2 * w + 7));
    assert_false(wg_replay_take(&r, w));
    for (uint64_t i = 2 * w + 9; i < 3 * w + 7; i++)
        assert_true(wg_replay_take(&r, i));
    assert_false(wg_replay_take(&r, UINT64_MAX));
}

static void tai64n_never_goes_back(void **state)
{
    (void)state;
    uint8_t last[WG_TAI64N] = {0}, a[WG_TAI64N], b[WG_TAI64N];
    wg_tai64n_next(last, 1000, 999999999, a);
    wg_tai64n_next(last, 900, 5, b);
    assert_true(memcmp(b, a, WG_TAI64N) > 0);
    wg_tai64n_next(last, 1001, 0, a);
    assert_true(memcmp(a, b, WG_TAI64N) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_published_bytes),
        cmocka_unit_test(packets_by_either_library), cmocka_unit_test(both_ciphers_of_all_sizes),
        cmocka_unit_test(low_order_points), cmocka_unit_test(replay_window),
        cmocka_unit_test(tai64n_never_goes_back)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
