/* Every derivation against vectors of a second implementation (vectors/make_vectors.py); the word
 * list. */
#include "noise/keys.h"

#include "base/text.h"
#include "noise/words.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static json_t *file;

static const char *text_of(const char *name)
{
    const char *text = json_string_value(json_object_get(file, name));
    if (!text)
        fail_msg("keys.json has no %s", name);
    return text;
}

/* Bytes of the vector; a few static buffers, so that calls can stand in one expression. */
static const uint8_t *bytes_of(const char *name, size_t size)
{
    static uint8_t buffers[8][160];
    static unsigned next;
    uint8_t *to = buffers[next++ % 8];
    const char *text = text_of(name);
    assert_true(size <= sizeof buffers[0]);
    if (!text_hex_decode(text, strlen(text), to, size))
        fail_msg("keys.json: %s is not %zu bytes", name, size);
    return to;
}

static void expect(const char *name, const uint8_t *got, size_t size)
{
    char hex[321];
    text_hex(got, size, hex);
    if (strcmp(hex, text_of(name)) != 0)
        fail_msg("%s is %s, expected %s", name, hex, text_of(name));
}

static void machine_keys(void **state)
{
    (void)state;
    static const char *const names[] = {"link", "control", "door", "wireguard"};
    uint8_t seed[32], secret[64], public[32];
    keys_identity(bytes_of("root", 32), seed);
    expect("identity_seed", seed, 32);
    keys_sign_pair(seed, secret, public);
    expect("identity_public", public, 32);
    for (unsigned p = 0; p < 4; p++)
        for (uint32_t counter = 1; counter <= 2; counter++) {
            char name[32];
            keys_static(bytes_of("root", 32), (enum key_purpose)(p + 1), counter, secret, public);
            snprintf(name, sizeof name, "%s%u_secret", names[p], counter);
            expect(name, secret, 32);
            snprintf(name, sizeof name, "%s%u_public", names[p], counter);
            expect(name, public, 32);
        }
    keys_plugin(bytes_of("root", 32), 1, "tor", "tor-2", secret);
    expect("plugin1", secret, 32);
    keys_plugin(bytes_of("root", 32), 2, "tor", "tor-2", secret);
    expect("plugin2", secret, 32);
    keys_phone(bytes_of("root", 32), bytes_of("invite_id", 16), seed);
    expect("phone_seed", seed, 32);
    keys_admin_seed(bytes_of("entropy", 16), seed);
    expect("admin_seed", seed, 32);
}

static void invitations(void **state)
{
    (void)state;
    uint8_t secret[64], public[32], x[32], id[16], psk[32];
    keys_invite(bytes_of("seed", 16), secret, public, x);
    expect("invite_sign_seed", secret, 32); /* libsodium's secret begins with the seed */
    expect("invite_public", public, 32);
    expect("invite_x25519", x, 32);
    keys_invite_id(public, id);
    expect("invite_id", id, 16);
    keys_invite_psk(bytes_of("clan", 32), public, psk);
    expect("invite_psk", psk, 32);
}

static void prologues_and_proofs(void **state)
{
    (void)state;
    static const char *const names[] = {"prologue_link", "prologue_control", "prologue_door"};
    uint8_t text[KEYS_PROOF_MAX], prologue[KEYS_PROLOGUE_MAX];
    for (unsigned p = 0; p < 3; p++) {
        unsigned size = keys_prologue(
            (enum key_purpose)(p + 1), bytes_of("clan", 32), bytes_of("machine", 32), prologue);
        expect(names[p], prologue, size);
    }
    unsigned size = keys_join_proof(
        bytes_of("clan", 32), bytes_of("invite_id", 16), bytes_of("record", 60), 60, text);
    expect("join_proof", text, size);
    size = keys_fetch_proof(
        bytes_of("clan", 32), bytes_of("invite_id", 16), bytes_of("hash", 64), text);
    expect("fetch_proof", text, size);
}

static void addresses(void **state)
{
    (void)state;
    uint8_t addr[16];
    keys_machine_address(bytes_of("clan", 32), bytes_of("machine", 32), addr);
    expect("machine_address", addr, 16);
    keys_service_address(bytes_of("clan", 32), "files", addr);
    expect("service_address", addr, 16);
    keys_resolver_address(bytes_of("clan", 32), addr);
    expect("resolver_address", addr, 16);
}

static void fingerprint_words(void **state)
{
    (void)state;
    char words[KEYS_WORDS_MAX];
    keys_words("clan", bytes_of("clan", 32), bytes_of("machine", 32), words);
    assert_string_equal(words, text_of("words_clan"));
    keys_words("machine", bytes_of("clan", 32), bytes_of("machine", 32), words);
    assert_string_equal(words, text_of("words_machine"));
    keys_words("admin", bytes_of("clan", 32), bytes_of("machine", 32), words);
    assert_string_equal(words, text_of("words_admin"));
}

static void recovery_words(void **state)
{
    (void)state;
    char words[KEYS_RECOVERY_MAX], typed[2 * KEYS_RECOVERY_MAX] = " ";
    uint8_t entropy[16];
    keys_recovery_words(bytes_of("entropy", 16), words);
    assert_string_equal(words, text_of("recovery"));
    assert_int_equal(keys_recovery_decode(words, entropy), 0);
    expect("entropy", entropy, 16);
    for (size_t i = 0; words[i]; i++) { /* as a person types it */
        char c = words[i] >= 'a' ? (char)(words[i] - 'a' + 'A') : words[i];
        size_t len = strlen(typed);
        snprintf(typed + len, sizeof typed - len, c == '-' ? " \n" : "%c", c);
    }
    memset(entropy, 0, sizeof entropy);
    assert_int_equal(keys_recovery_decode(typed, entropy), 0);
    expect("entropy", entropy, 16);
}

static void mistyped_recovery_words(void **state)
{
    (void)state;
    char words[KEYS_RECOVERY_MAX], bad[2 * KEYS_RECOVERY_MAX], long_text[300];
    uint8_t entropy[16] = {0}, zero[16] = {0};
    unsigned accepted = 0;
    keys_recovery_words(zero, words);
    snprintf(bad, sizeof bad, "%s-%.8s", words, words_table[0]);
    assert_int_equal(keys_recovery_decode(bad, entropy), -1); /* 13 words */
    *strrchr(words, '-') = 0;
    assert_int_equal(keys_recovery_decode(words, entropy), -1); /* 11 words */
    for (unsigned i = 0; i < 2048;
         i++) { /* another last word: 4 bits of checksum let one in 16 pass */
        snprintf(bad, sizeof bad, "%s-%.8s", words, words_table[i]);
        accepted += keys_recovery_decode(bad, entropy) == 0;
    }
    assert_true(accepted == 128);
    snprintf(bad, sizeof bad, "%s-xyzzy", words);
    assert_int_equal(keys_recovery_decode(bad, entropy), -1);
    memset(long_text, ' ', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    assert_int_equal(keys_recovery_decode(long_text, entropy), -1);
    assert_int_equal(keys_recovery_decode("", entropy), -1);
}

static void the_word_list(void **state)
{
    (void)state;
    for (unsigned i = 0; i < WORDS_COUNT; i++) {
        size_t len = strnlen(words_table[i], sizeof words_table[i]);
        assert_in_range(len, 3, WORDS_LEN_MAX);
        assert_int_equal(strspn(words_table[i], "abcdefghijklmnopqrstuvwxyz"), len);
        assert_int_equal(words_find(words_table[i]), i);
        if (i && strcmp(words_table[i - 1], words_table[i]) >= 0)
            fail_msg("%s stands before %s", words_table[i - 1], words_table[i]);
        if (i && strncmp(words_table[i - 1], words_table[i], 4) == 0)
            fail_msg("%s and %s begin alike", words_table[i - 1], words_table[i]);
    }
    assert_int_equal(words_find("xyzzy"), -1);
    /* the order is part of the protocol: recovery words on paper depend on it */
    uint8_t digest[16];
    crypto_generichash(
        digest, sizeof digest, (const uint8_t *)words_table, sizeof words_table, NULL, 0);
    expect("word_list", digest, sizeof digest);
}

static int open_file(void **state)
{
    (void)state;
    file = json_load_file(CLAN_TEST_DIR "/unit/vectors/keys.json", 0, NULL);
    return file ? 0 : -1;
}

static int close_file(void **state)
{
    (void)state;
    json_decref(file);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine_keys),
        cmocka_unit_test(invitations),
        cmocka_unit_test(prologues_and_proofs),
        cmocka_unit_test(addresses),
        cmocka_unit_test(fingerprint_words),
        cmocka_unit_test(recovery_words),
        cmocka_unit_test(mistyped_recovery_words),
        cmocka_unit_test(the_word_list),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, open_file, close_file);
}
