/* Signatures of statements: malleability, both kinds, who signed, merging. */
#include "statement/statement.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static uint8_t keys[3][32], secrets[3][64];

static int set_up(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        crypto_sign_seed_keypair(keys[i], secrets[i], seed);
    }
    return 0;
}

/* Without signatures; their body is nobody's business here. */
static void build(uint8_t kind, uint8_t *ret_raw, size_t *ret_size)
{
    static const uint8_t clan[32] = {0xc1}, author[32] = {0xa0};
    static const char body[] = "what is said";
    assert_int_equal(
        stmt_build(kind, clan, author, 7, body, sizeof body, ret_raw, ret_size), CLAN_OK);
}

static void malleability(void **state)
{
    (void)state;
    uint8_t raw[STMT_MAX], id[32];
    size_t size;
    struct stmt s;
    build(STMT_RECORD, raw, &size);
    stmt_parse(raw, size, &s, NULL);
    memcpy(id, s.id, 32);
    stmt_sign(raw, &size, secrets[0]);
    stmt_parse(raw, size, &s, NULL);
    assert_memory_equal(s.id, id, 32); /* signatures are not part of the ID */

    /* everything that is signed is part of it, and of the signature */
    for (size_t at = 1; at < STMT_HEAD + s.body_size; at++) {
        uint8_t bad[STMT_MAX];
        struct stmt t;
        if (at == 74 || at == 75)
            continue; /* the size of the body: does not parse */
        memcpy(bad, raw, size);
        bad[at] ^= 0x80;
        assert_int_equal(stmt_parse(bad, size, &t, NULL), CLAN_OK);
        assert_int_not_equal(memcmp(t.id, id, 32), 0);
        assert_false(stmt_sig_valid(&t, 0));
    }
    /* S + L is the same signature to a careless verifier */
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c,
        0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    uint8_t *S = raw + size - 32;
    assert_true(stmt_sig_valid(&s, 0));
    sodium_add(S, order, 32);
    assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
    assert_memory_equal(s.id, id, 32);
    assert_false(stmt_sig_valid(&s, 0));
    assert_false(stmt_sig_valid(&s, 1));
}

static void small_order(void **state)
{
    (void)state;
    /* key of order one, R the same, S zero: verifies for every message without the check */
    uint8_t raw[STMT_MAX];
    size_t size;
    struct stmt s;
    build(STMT_RECORD, raw, &size);
    raw[size - 1] = 1;
    memset(raw + size, 0, STMT_SIG_SIZE);
    raw[size + 1] = 1;
    raw[size + 33] = 1;
    assert_int_equal(stmt_parse(raw, size + STMT_SIG_SIZE, &s, NULL), CLAN_OK);
    assert_false(stmt_sig_valid(&s, 0));
}

static size_t put_string(uint8_t *p, const void *data, size_t size)
{
    memset(p, 0, 3);
    p[3] = (uint8_t)size;
    memcpy(p + 4, data, size);
    return 4 + size;
}

/* What ssh-keygen -Y sign writes, built here from OpenSSH's PROTOCOL.sshsig. */
static void sshsig(void **state)
{
    (void)state;
    for (int variant = 0; variant < 4; variant++) {
        static const char *const spaces[] = {
            "clan-statement-v1", "file", "clan-statement-v1", "clan-statement-v1"};
        uint8_t raw[STMT_MAX], text[STMT_MAX], blob[256], hash[64];
        size_t size, n = 0;
        struct stmt s;
        build(STMT_RECORD, raw, &size);
        stmt_parse(raw, size, &s, NULL);
        /* "clan statement v1" || kind || clan || author || seq || body */
        memcpy(text, "clan statement v1", 17);
        memcpy(text + 17, raw + 1, 73);
        memcpy(text + 90, s.body, s.body_size);
        if (variant == 2)
            text[20] ^= 1;
        crypto_hash_sha512(hash, text, 90 + s.body_size);
        memcpy(blob, "SSHSIG", 6);
        n = 6;
        n += put_string(blob + n, spaces[variant], strlen(spaces[variant]));
        n += put_string(blob + n, "", 0);
        n += put_string(blob + n, "sha512", 6);
        n += put_string(blob + n, hash, 64);
        raw[size - 1] = 1;
        raw[size] = variant == 3 ? STMT_SIG_ED25519 : STMT_SIG_SSHSIG;
        memcpy(raw + size + 1, keys[2], 32);
        crypto_sign_detached(raw + size + 33, NULL, blob, n, secrets[2]);
        size += STMT_SIG_SIZE;
        assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
        assert_int_equal(stmt_sig_valid(&s, 0), variant == 0);
        if (variant == 0)
            raw[size - STMT_SIG_SIZE] = 2; /* a type of the future parses and never counts */
        stmt_parse(raw, size, &s, NULL);
        assert_false(stmt_sig_valid(&s, 0));
    }
}

static void signers(void **state)
{
    (void)state;
    uint8_t raw[STMT_MAX], list[4][32];
    size_t size;
    struct stmt s;
    build(STMT_ENVELOPE, raw, &size);
    stmt_sign(raw, &size, secrets[0]);
    stmt_sign(raw, &size, secrets[1]);
    stmt_parse(raw, size, &s, NULL);
    memcpy(list[0], keys[0], 32);
    memcpy(list[1], keys[0], 32); /* the same key twice counts once */
    memcpy(list[2], keys[1], 32);
    memcpy(list[3], keys[2], 32); /* did not sign */
    assert_int_equal(stmt_count_signers(&s, (const uint8_t(*)[32])list, 4), 2);
    assert_int_equal(stmt_count_signers(&s, (const uint8_t(*)[32])list, 2), 1);
    assert_int_equal(stmt_count_signers(&s, (const uint8_t(*)[32])list, 0), 0);
    /* one signature twice in the statement counts once */
    size_t sigs = STMT_HEAD + s.body_size + 1;
    memcpy(raw + sigs + STMT_SIG_SIZE, raw + sigs, STMT_SIG_SIZE);
    stmt_parse(raw, size, &s, NULL);
    assert_int_equal(stmt_count_signers(&s, (const uint8_t(*)[32])list, 4), 1);
}

static void merging(void **state)
{
    (void)state;
    uint8_t a[STMT_MAX], b[STMT_MAX], other[STMT_MAX];
    size_t a_size, b_size, other_size;
    struct stmt s;
    build(STMT_ENVELOPE, a, &a_size);
    memcpy(b, a, a_size);
    b_size = a_size;
    stmt_sign(a, &a_size, secrets[0]);
    stmt_sign(b, &b_size, secrets[0]);
    stmt_sign(b, &b_size, secrets[1]);
    assert_int_equal(stmt_merge(a, &a_size, b, b_size), CLAN_OK);
    stmt_parse(a, a_size, &s, NULL);
    assert_int_equal(s.sig_count, 2);
    assert_int_equal(stmt_count_signers(&s, (const uint8_t(*)[32])keys, 3), 2);
    /* a forged signature with a good key neither enters nor keeps the place */
    uint8_t bad[STMT_MAX];
    memcpy(bad, b, b_size);
    bad[b_size - 1] ^= 1;
    size_t bad_size = b_size;
    assert_int_equal(stmt_merge(bad, &bad_size, b, b_size), CLAN_OK);
    stmt_parse(bad, bad_size, &s, NULL);
    assert_int_equal(stmt_count_signers(&s, (const uint8_t(*)[32])keys, 3), 2);
    build(STMT_RECORD, other, &other_size);
    assert_int_equal(stmt_merge(a, &a_size, other, other_size), CLAN_E_INVAL);
    assert_int_equal(stmt_merge(a, &a_size, other, 10), CLAN_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malleability),
        cmocka_unit_test(small_order),
        cmocka_unit_test(sshsig),
        cmocka_unit_test(signers),
        cmocka_unit_test(merging),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, NULL);
}
