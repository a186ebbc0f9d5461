/* The Noise engine: published vectors, both sides against each other, hostile messages, limits. */
#include "noise/noise.h"
#include "vector_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#define BIG 70000

static const uint8_t prologue[] = "clan noise v1 test";

struct two {
    struct noise_handshake *init, *resp;
    uint8_t s_i[32], s_r[32], s_r_public[32], s_i_public[32], psk[32];
};

static clan_status make(struct two *t, const char *pattern, bool initiator, const uint8_t psk[32],
    struct noise_handshake **ret)
{
    struct noise_params p = {.pattern = pattern,
        .initiator = initiator,
        .prologue = prologue,
        .prologue_size = sizeof prologue,
        .s_secret = initiator ? t->s_i : t->s_r,
        .rs = initiator ? t->s_r_public : t->s_i_public,
        .psk = psk};
    return noise_new(&p, ret);
}

static void begin(struct two *t, const char *pattern)
{
    memset(t, 0, sizeof *t);
    randombytes_buf(t->s_i, 32);
    randombytes_buf(t->s_r, 32);
    randombytes_buf(t->psk, 32);
    crypto_scalarmult_base(t->s_i_public, t->s_i);
    crypto_scalarmult_base(t->s_r_public, t->s_r);
    assert_int_equal(make(t, pattern, true, t->psk, &t->init), CLAN_OK);
    assert_int_equal(make(t, pattern, false, t->psk, &t->resp), CLAN_OK);
}

static void end(struct two *t)
{
    noise_free(t->init);
    noise_free(t->resp);
}

/* Passes one message with a payload from whose turn it is. */
static void pass(struct two *t)
{
    struct noise_handshake *from = noise_my_turn(t->init) ? t->init : t->resp;
    struct noise_handshake *to = from == t->init ? t->resp : t->init;
    uint8_t message[512], payload[512];
    size_t size = 0, got = 0;
    assert_int_equal(
        noise_write(from, (const uint8_t *)"payload", 7, message, sizeof message, &size), CLAN_OK);
    assert_int_equal(noise_read(to, message, size, payload, sizeof payload, &got), CLAN_OK);
    assert_int_equal(got, 7);
    assert_memory_equal(payload, "payload", 7);
}

static void run_file(const char *path, size_t expected)
{
    json_t *file = json_load_file(path, 0, NULL), *v;
    assert_non_null(file);
    size_t i;
    json_array_foreach(json_object_get(file, "vectors"), i, v)
    {
        char why[160];
        if (vector_run(v, why, sizeof why) != VECTOR_PASSED)
            fail_msg("%s: %s", json_string_value(json_object_get(v, "protocol_name")), why);
    }
    assert_int_equal(i, expected);
    json_decref(file);
}

static void published_vectors(void **state)
{
    (void)state;
    run_file(CLAN_TEST_DIR "/unit/vectors/noise.json", 12);
}

static void second_implementation_agrees_on_xxpsk0(void **state)
{
    (void)state;
    run_file(CLAN_TEST_DIR "/unit/vectors/xxpsk0.json", 1);
}

static void a_changed_vector_fails(void **state)
{
    (void)state;
    json_t *file = json_load_file(CLAN_TEST_DIR "/unit/vectors/xxpsk0.json", 0, NULL);
    json_t *v = json_array_get(json_object_get(file, "vectors"), 0);
    char why[160], hash[129];
    snprintf(hash, sizeof hash, "%s", json_string_value(json_object_get(v, "handshake_hash")));
    hash[127] = hash[127] == '0' ? '1' : '0';
    json_object_set_new(v, "handshake_hash", json_string(hash));
    assert_int_equal(vector_run(v, why, sizeof why), VECTOR_FAILED);
    assert_string_equal(why, "handshake hash differs");
    json_decref(file);
}

static const char *const all_patterns[] = {"NN", "NK", "NX", "KN", "KK", "KX", "XN", "XK", "XX",
    "IN", "IK", "IX", "NNpsk0", "NNpsk2", "XXpsk0", "XXpsk3", "IKpsk1", "IKpsk2", "XXpsk0+psk3",
    "IKpsk0+psk1+psk2"};

static void every_pattern_agrees_with_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all_patterns / sizeof all_patterns[0]; i++) {
        struct two t;
        uint8_t keys[4][32];
        begin(&t, all_patterns[i]);
        while (!noise_done(t.init) || !noise_done(t.resp))
            pass(&t);
        assert_memory_equal(noise_hash(t.init), noise_hash(t.resp), NOISE_HASH_SIZE);
        assert_int_equal(noise_split(t.init, keys[0], keys[1]), CLAN_OK);
        assert_int_equal(noise_split(t.resp, keys[2], keys[3]), CLAN_OK);
        assert_memory_equal(keys[0], keys[3], 32);
        assert_memory_equal(keys[1], keys[2], 32);
        assert_memory_not_equal(keys[0], keys[1], 32);
        end(&t);
    }
}

static void bad_names_and_missing_keys_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "I", "QQ", "IK_", "IKpsk", "IKpsk3", "IKpsk1+",
        "IKpsk1psk2", "IKpsk2+psk1", "IKpsk1+psk1", "XXpsk9", "XXfallback",
        "XXpsk0+psk1+psk2+psk3"};
    struct two t;
    struct noise_handshake *h = NULL;
    begin(&t, "IK");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(make(&t, bad[i], true, t.psk, &h), CLAN_E_INVAL);
    struct noise_params p = {.pattern = "IK", .initiator = true, .s_secret = t.s_i};
    assert_int_equal(noise_new(&p, &h), CLAN_E_INVAL); /* whom to? */
    p = (struct noise_params){.pattern = "IK", .initiator = true, .rs = t.s_r_public};
    assert_int_equal(noise_new(&p, &h), CLAN_E_INVAL); /* who am I? */
    p = (struct noise_params){.pattern = "XX"};
    assert_int_equal(noise_new(&p, &h), CLAN_E_INVAL);
    assert_int_equal(make(&t, "XXpsk0", true, NULL, &h), CLAN_E_INVAL);
    assert_null(h);
    end(&t);
}

static void a_wrong_psk_fails_at_the_first_message(void **state)
{
    (void)state;
    struct two t;
    uint8_t other[32], message[128], payload[128];
    size_t size = 0, got = 0;
    begin(&t, "XXpsk0");
    noise_free(t.resp);
    memcpy(other, t.psk, 32);
    other[31] ^= 1;
    assert_int_equal(make(&t, "XXpsk0", false, other, &t.resp), CLAN_OK);
    assert_int_equal(noise_write(t.init, NULL, 0, message, sizeof message, &size), CLAN_OK);
    assert_int_equal(noise_read(t.resp, message, size, payload, sizeof payload, &got), CLAN_E_AUTH);
    assert_false(noise_my_turn(t.resp)); /* nothing is answered */
    assert_int_equal(noise_write(t.resp, NULL, 0, message, sizeof message, &size), CLAN_E_STATE);
    end(&t);
}

static void another_prologue_fails(void **state)
{
    (void)state;
    struct two t;
    uint8_t message[128], payload[128];
    size_t size = 0, got = 0;
    begin(&t, "IK");
    noise_free(t.resp);
    struct noise_params p = {.pattern = "IK",
        .prologue = prologue,
        .prologue_size = sizeof prologue - 1,
        .s_secret = t.s_r};
    assert_int_equal(noise_new(&p, &t.resp), CLAN_OK);
    assert_int_equal(noise_write(t.init, NULL, 0, message, sizeof message, &size), CLAN_OK);
    assert_int_equal(noise_read(t.resp, message, size, payload, sizeof payload, &got), CLAN_E_AUTH);
    assert_null(noise_remote_static(t.resp));
    end(&t);
}

static void the_static_key_arrives(void **state)
{
    (void)state;
    struct two t;
    begin(&t, "IK");
    assert_null(noise_remote_static(t.resp));
    pass(&t);
    assert_memory_equal(noise_remote_static(t.resp), t.s_i_public, 32);
    end(&t);
    begin(&t, "XXpsk0");
    pass(&t);
    assert_null(noise_remote_static(t.resp));
    pass(&t);
    assert_memory_equal(noise_remote_static(t.init), t.s_r_public, 32);
    pass(&t);
    assert_memory_equal(noise_remote_static(t.resp), t.s_i_public, 32);
    end(&t);
}

/* Gives the reader of message `number` (from 0) a changed copy: flips one byte, or cuts it at `at`.
 */
static void spoil(const char *pattern, unsigned number, size_t at, bool cut, size_t *ret_size)
{
    struct two t;
    uint8_t message[512], payload[512];
    size_t size = 0, got = 0;
    begin(&t, pattern);
    for (unsigned i = 0; i < number; i++)
        pass(&t);
    struct noise_handshake *from = noise_my_turn(t.init) ? t.init : t.resp;
    struct noise_handshake *to = from == t.init ? t.resp : t.init;
    assert_int_equal(
        noise_write(from, (const uint8_t *)"payload", 7, message, sizeof message, &size), CLAN_OK);
    *ret_size = size;
    if (cut)
        size = at;
    else
        message[at] ^= 0x40;
    clan_status st = noise_read(to, message, size, payload, sizeof payload, &got);
    if (st != CLAN_E_AUTH && !(cut && st == CLAN_E_PROTO))
        fail_msg("%s message %u byte %zu %s: status %d", pattern, number + 1, at,
            cut ? "cut" : "changed", (int)st);
    assert_int_equal(noise_read(to, message, size, payload, sizeof payload, &got), CLAN_E_STATE);
    end(&t);
}

static void every_changed_byte_is_noticed(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        unsigned messages;
    } rows[] = {{"IK", 2}, {"XXpsk0", 3}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (unsigned m = 0; m < rows[i].messages; m++)
            for (size_t at = 0, size = 1; at < size; at++) {
                spoil(rows[i].pattern, m, at, false, &size);
                spoil(rows[i].pattern, m, at, true, &size);
            }
}

static void points_of_small_order_are_refused(void **state)
{
    (void)state;
    struct two t;
    uint8_t payload[64], message[64] = {0};
    size_t got = 0;
    for (uint8_t first = 0; first < 2; first++) { /* 0 and 1 */
        begin(&t, "XX");
        message[0] = first;
        assert_int_equal(noise_read(t.resp, message, 32, payload, sizeof payload, &got), CLAN_OK);
        uint8_t answer[256];
        size_t size = 0;
        assert_int_equal(noise_write(t.resp, NULL, 0, answer, sizeof answer, &size), CLAN_E_AUTH);
        assert_false(noise_my_turn(t.resp));
        end(&t);
    }
}

static void limits(void **state)
{
    (void)state;
    struct two t;
    uint8_t *big = calloc(1, BIG), *message = malloc(BIG);
    size_t size = 0, got = 0;
    begin(&t, "NN"); /* 32 bytes and the payload in clear */
    assert_int_equal(noise_write(t.init, big, 65535 - 32, message, BIG, &size), CLAN_OK);
    assert_int_equal(size, 65535);
    assert_int_equal(noise_read(t.resp, message, size, big, 65535 - 33, &got), CLAN_E_LIMIT);
    end(&t);
    begin(&t, "NN");
    assert_int_equal(noise_write(t.init, big, 65536 - 32, message, BIG, &size), CLAN_E_LIMIT);
    assert_int_equal(noise_read(t.resp, big, 65536, message, BIG, &got), CLAN_E_LIMIT);
    end(&t);
    begin(&t, "IK"); /* 32, 48, tag */
    assert_int_equal(noise_write(t.init, NULL, 0, message, 95, &size), CLAN_E_LIMIT);
    assert_int_equal(noise_write(t.init, NULL, 0, message, 96, &size), CLAN_E_STATE);
    end(&t);
    begin(&t, "IK");
    assert_int_equal(noise_write(t.init, NULL, 0, message, 96, &size), CLAN_OK);
    assert_int_equal(noise_read(t.resp, message, 96, NULL, 0, &got), CLAN_OK);
    uint8_t keys[2][32];
    assert_int_equal(noise_split(t.resp, keys[0], keys[1]), CLAN_E_STATE); /* not done */
    end(&t);
    free(big);
    free(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors),
        cmocka_unit_test(second_implementation_agrees_on_xxpsk0),
        cmocka_unit_test(a_changed_vector_fails),
        cmocka_unit_test(every_pattern_agrees_with_itself),
        cmocka_unit_test(bad_names_and_missing_keys_are_refused),
        cmocka_unit_test(a_wrong_psk_fails_at_the_first_message),
        cmocka_unit_test(another_prologue_fails),
        cmocka_unit_test(the_static_key_arrives),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(points_of_small_order_are_refused),
        cmocka_unit_test(limits),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
