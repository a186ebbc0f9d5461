/* Bulk sealing: both implementations give the same bytes, tampering fails, the counter is obeyed.
 */
#include "noise/aead.c" /* the counter's end and the threshold are inside */

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX 65519

static const size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 255, 256, 511, 512, 1023,
    1024, 1420, 4095, 8192, 16384, 32768, 61440, MAX};

static void both_give_the_same_bytes(void **state)
{
    (void)state;
    static uint8_t plain[MAX], data[MAX + AEAD_TAG], expected[MAX + AEAD_TAG];
    static const uint8_t ad[20] = "additional";
    uint8_t key[32];
    randombytes_buf(key, sizeof key);
    randombytes_buf(plain, sizeof plain);
    for (unsigned which = 0; which < 2; which++) { /* libsodium alone, libcrypto alone */
        bulk_from = which ? 0 : SIZE_MAX;
        struct aead *send = aead_new(key), *recv = aead_new(key);
        for (uint64_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            size_t size = sizes[i], ad_size = i % 3 ? sizeof ad : 0;
            uint8_t nonce[12] = {[4] = (uint8_t)i};
            crypto_aead_chacha20poly1305_ietf_encrypt(
                expected, NULL, plain, size, ad, ad_size, NULL, nonce, key);
            memcpy(data, plain, size);
            assert_int_equal(aead_counter(send), i);
            assert_true(aead_seal(send, ad, ad_size, data, size));
            assert_memory_equal(data, expected, size + AEAD_TAG);
            assert_true(aead_open(recv, ad, ad_size, data, size + AEAD_TAG));
            assert_memory_equal(data, plain, size);
        }
        assert_int_equal(aead_counter(recv), sizeof sizes / sizeof sizes[0]);
        aead_free(send);
        aead_free(recv);
    }
}

static void tampering_fails_and_the_counter_stays(void **state)
{
    (void)state;
    static const uint8_t key[32] = {1}, ad[4] = "ad";
    for (unsigned which = 0; which < 2; which++) {
        bulk_from = which ? 0 : SIZE_MAX;
        struct aead *send = aead_new(key), *recv = aead_new(key);
        uint8_t good[300 + AEAD_TAG] = {7}, data[sizeof good];
        assert_true(aead_seal(send, ad, sizeof ad, good, 300));
        for (size_t i = 0; i < sizeof good; i++) {
            memcpy(data, good, sizeof good);
            data[i] ^= 1;
            assert_false(aead_open(recv, ad, sizeof ad, data, sizeof data));
            for (size_t j = 0; j < 300; j++) /* nothing unverified is left to be used by mistake */
                assert_int_equal(data[j], 0);
        }
        memcpy(data, good, sizeof good);
        assert_false(aead_open(recv, ad, sizeof ad - 1, data, sizeof data));
        memcpy(data, good, sizeof good);
        assert_false(aead_open(recv, ad, sizeof ad, data, sizeof data - 1));
        assert_false(aead_open(recv, ad, sizeof ad, data, AEAD_TAG - 1));
        memcpy(data, good, sizeof good);
        assert_int_equal(aead_counter(recv), 0);
        assert_true(aead_open(recv, ad, sizeof ad, data, sizeof data));
        memcpy(data, good, sizeof good);
        assert_false(aead_open(recv, ad, sizeof ad, data, sizeof data)); /* replayed */
        aead_free(send);
        aead_free(recv);
    }
}

static void a_used_up_counter_ends_it(void **state)
{
    (void)state;
    static const uint8_t key[32] = {2};
    uint8_t data[64 + AEAD_TAG] = {0};
    struct aead *a = aead_new(key);
    a->counter = UINT64_MAX - 1;
    assert_true(aead_seal(a, NULL, 0, data, 64));
    assert_false(aead_seal(a, NULL, 0, data, 64));
    assert_false(aead_open(a, NULL, 0, data, sizeof data));
    assert_true(aead_counter(a) == UINT64_MAX);
    aead_free(a);
}

static void many_keys_share_guarded_pages(void **state)
{
    (void)state;
    enum { MANY = 5 * SLAB_KEYS + 1 };
    struct aead *a[MANY];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            uint8_t key[32] = {(uint8_t)i, (uint8_t)(i >> 8)};
            a[i] = aead_new(key);
            assert_non_null(a[i]);
            assert_int_equal((uintptr_t)a[i] % 64, 0); /* two threads' keys share no cache line */
        }
        for (unsigned i = 0; i < MANY; i++) {
            uint8_t data[1 + AEAD_TAG] = {9};
            assert_int_equal(a[i]->key[0], i & 0xff);
            assert_true(aead_seal(a[i], NULL, 0, data, 1));
            aead_free(a[i]);
        }
        assert_null(slabs->next);
        assert_int_equal(slabs->used, 0);
    }
    aead_free(NULL);
}

static void the_choice_is_measured(void **state)
{
    (void)state;
    uint64_t start = clock_mono_ns();
    const char *text = aead_init();
    print_message("%s, measured in %.1f ms\n", text, (double)(clock_mono_ns() - start) / 1e6);
    assert_true(strncmp(text, "lib", 3) == 0);
    assert_true(bulk_from == SIZE_MAX || bulk_from <= MEASURE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_give_the_same_bytes),
        cmocka_unit_test(tampering_fails_and_the_counter_stays),
        cmocka_unit_test(a_used_up_counter_ends_it),
        cmocka_unit_test(many_keys_share_guarded_pages),
        cmocka_unit_test(the_choice_is_measured),
    };
    return sodium_init() < 0 || !bulk_init() || cmocka_run_group_tests(tests, NULL, NULL);
}
