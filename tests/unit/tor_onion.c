/* Keys and addresses of onion services, against what tor itself answered. */
#include "onion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ADDRESS "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead"

static void seed_of(uint8_t ret[32])
{
    for (unsigned i = 0; i < 32; i++)
        ret[i] = (uint8_t)i;
}

/* The vector is tor's: ADD_ONION with these 64 bytes answered with this address. */
static void address_is_what_tor_says(void **state)
{
    (void)state;
    static const uint8_t scalar[] = {0x38, 0x94, 0xee, 0xa4};
    uint8_t seed[32], key[64], public[32];
    char address[ONION_ADDRESS + 1];
    seed_of(seed);
    assert_true(onion_expand(seed, key, public));
    assert_true(onion_address(public, address));
    assert_string_equal(address, ADDRESS);
    assert_memory_equal(key, scalar, sizeof scalar);
    assert_int_equal(key[31], 0x6f);
    assert_int_equal(key[63], 0x49);
    assert_memory_not_equal(key + 32, public, 32); /* not libsodium's seed || public */
}

static void addresses(void **state)
{
    (void)state;
    char changed[] = ADDRESS;
    assert_true(onion_address_ok(ADDRESS));
    for (size_t i = 0; i < ONION_ADDRESS; i++) {
        char was = changed[i];
        changed[i] = was == 'a' ? 'b' : 'a';
        assert_false(onion_address_ok(changed)); /* the checksum sees each letter */
        changed[i] = was;
    }
    changed[0] = 'A';
    assert_false(onion_address_ok(changed));
    assert_false(onion_address_ok(""));
    assert_false(onion_address_ok(ADDRESS "a"));
    assert_false(onion_address_ok("1oqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead"));
}

static void endpoints(void **state)
{
    (void)state;
    static const char client[] = "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq";
    static const char *const bad[] = {"", "x", ADDRESS, ADDRESS ".onion",
        ADDRESS ".onion:", ADDRESS ".onion:0", ADDRESS ".onion:65536", ADDRESS ".onion:07117",
        ADDRESS ".onion:7117 ", ADDRESS ".onion:7117/", ADDRESS ".onion:7117/aa",
        ADDRESS ".onion:711733", ADDRESS ".exit:7117", "b" ADDRESS ".onion:7117", "192.0.2.7:7117",
        ADDRESS ".onion:7117/aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp1",
        ADDRESS ".onion:7117/aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypr"};
    struct onion_endpoint e;
    char text[ONION_ENDPOINT_MAX + 1], again[ONION_ENDPOINT_MAX + 1];
    assert_true(onion_endpoint_parse(ADDRESS ".onion:7117", &e));
    assert_string_equal(e.address, ADDRESS);
    assert_int_equal(e.port, 7117);
    assert_string_equal(e.client, "");
    memcpy(e.client, client, sizeof client);
    onion_endpoint_text(&e, text);
    assert_true(onion_endpoint_parse(text, &e));
    assert_string_equal(e.client, client);
    onion_endpoint_text(&e, again);
    assert_string_equal(text, again);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (onion_endpoint_parse(bad[i], &e))
            fail_msg("\"%s\" is taken for an endpoint", bad[i]);
}

/* RFC 4648, 10 and RFC 7748, 6.1 */
static void codes(void **state)
{
    (void)state;
    static const struct {
        const char *plain, *base32, *base64;
    } rows[] = {{"f", "my", "Zg=="}, {"fo", "mzxq", "Zm8="}, {"foo", "mzxw6", "Zm9v"},
        {"foob", "mzxw6yq", "Zm9vYg=="}, {"fooba", "mzxw6ytb", "Zm9vYmE="},
        {"foobar", "mzxw6ytboi", "Zm9vYmFy"}};
    static const uint8_t alice[32] = {0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16,
        0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1,
        0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a};
    static const uint8_t public_begins[] = {0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54};
    uint8_t bytes[32], a[32], b[32];
    char text[64];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].plain);
        onion_base32((const uint8_t *)rows[i].plain, n, text);
        assert_string_equal(text, rows[i].base32);
        assert_true(onion_base32_decode(text, strlen(text), bytes, n));
        assert_memory_equal(bytes, rows[i].plain, n);
        onion_base64((const uint8_t *)rows[i].plain, n, text);
        assert_string_equal(text, rows[i].base64);
    }
    assert_true(onion_client_public(alice, bytes));
    assert_memory_equal(bytes, public_begins, sizeof public_begins);
    assert_true(onion_derive(alice, "one", a) && onion_derive(alice, "two", b));
    assert_memory_not_equal(a, b, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(address_is_what_tor_says),
        cmocka_unit_test(addresses), cmocka_unit_test(endpoints), cmocka_unit_test(codes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
