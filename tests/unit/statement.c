/* Statements: round trips, truncation, limits, contents. */
#include "statement/statement.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t zero[32];
static uint8_t clan[32], author[32], keys[STMT_SIGS_MAX + 1][32], secrets[STMT_SIGS_MAX + 1][64];

static int set_up(void **state)
{
    (void)state;
    memset(clan, 0xc1, sizeof clan);
    memset(author, 0xa0, sizeof author);
    for (unsigned i = 0; i <= STMT_SIGS_MAX; i++) {
        uint8_t seed[32] = {(uint8_t)(i + 1)};
        crypto_sign_seed_keypair(keys[i], secrets[i], seed);
    }
    return 0;
}

/* Every body once, filled to the brim. */
static struct stmt_genesis genesis;
static struct stmt_envelope envelope;
static struct stmt_invitation invitation;
static struct stmt_admission admission;
static struct stmt_receipt receipt;
static struct stmt_record record;
static struct stmt_revocation revocation;
static struct stmt_ack ack;
static uint8_t record_raw[600];

static void fill_admins(struct stmt_admin *admins, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        memset(admins[i].key, (int)(i + 1), 32);
        memset(admins[i].name, 'a' + (int)(i % 26), 32);
    }
}

static void fill(void)
{
    memset(&genesis, 0, sizeof genesis);
    memset(genesis.nonce, 9, sizeof genesis.nonce);
    genesis.time = 1700000000;
    memset(genesis.clan, 'h', 32);
    genesis.threshold = 9;
    genesis.admin_count = STMT_ADMINS_MAX;
    fill_admins(genesis.admins, STMT_ADMINS_MAX);

    memset(&envelope, 0, sizeof envelope);
    envelope.version = 42;
    memset(envelope.previous, 3, 32);
    envelope.time = -1;
    envelope.threshold = 16;
    envelope.admin_count = STMT_ADMINS_MAX;
    fill_admins(envelope.admins, STMT_ADMINS_MAX);
    envelope.removed_count = STMT_REMOVED_MAX;
    for (unsigned i = 0; i < STMT_REMOVED_MAX; i++)
        memset(envelope.removed[i], (int)i, 32);
    envelope.feature_count = STMT_FEATURES_MAX;
    for (unsigned i = 0; i < STMT_FEATURES_MAX; i++)
        memset(envelope.features[i], 'a' + (int)i, 32);
    memset(envelope.body_hash, 4, 32);
    envelope.body_size = 1u << 20;
    envelope.keeper_generation = 1;
    envelope.keeper_count = 5;
    memset(envelope.keepers, 5, sizeof envelope.keepers);
    envelope.min_protocol = 1;
    memset(envelope.rival, 6, 32);

    invitation = (struct stmt_invitation){.state = STMT_INVITE_OPEN,
        .uses = UINT32_MAX,
        .created = 1,
        .expires = INT64_MAX,
        .approve = 1,
        .wishes = 255,
        .config_version = UINT64_MAX};
    memset(invitation.public_key, 1, 32);
    memset(invitation.x25519, 2, 32);
    memset(invitation.for_name, 'n', 32);

    memset(record_raw, 0x11, sizeof record_raw);
    admission = (struct stmt_admission){
        .how = STMT_ADMIT_JOIN, .time = 5, .record_size = sizeof record_raw, .record = record_raw};
    memset(admission.invite_id, 7, 16);
    memset(admission.proof, 8, 64);

    receipt = (struct stmt_receipt){
        .slot = 1, .uses = 2, .generation = 3, .revision = 1ull << 60, .time = 99};
    memset(receipt.invite_id, 1, 16);
    memset(receipt.machine, 2, 32);
    memset(receipt.admission, 3, 32);

    memset(&record, 0, sizeof record);
    record.generation = 1;
    memset(record.identity, 1, 32);
    record.key_count = 8;
    for (unsigned i = 0; i < 8; i++) {
        record.keys[i].purpose = (uint8_t)(i + 1);
        record.keys[i].counter = i;
        memset(record.keys[i].key, (int)(0x80 + i), 32);
    }
    record.endpoint_count = STMT_ENDPOINTS_MAX;
    for (unsigned i = 0; i < STMT_ENDPOINTS_MAX; i++) {
        memset(record.endpoints[i].transport, 't', 32);
        memset(record.endpoints[i].text, '1', STMT_ENDPOINT_MAX);
    }
    record.version_max = 3;
    record.features = 0x123456789abcdef0;
    record.time = 77;

    revocation = (struct stmt_revocation){
        .generation = 2, .reason = STMT_REVOKE_LEFT, .time = 8, .config_version = 9};
    memset(revocation.machine, 0x55, 32);
    ack = (struct stmt_ack){.config_version = 12, .revocation_count = 13};
    memset(ack.revocations, 0x66, 32);
}

/* One row per kind: how to encode the example, and how to decode and compare it. */
#define KINDS(X)                                                                                   \
    X(genesis, STMT_GENESIS)                                                                       \
    X(envelope, STMT_ENVELOPE)                                                                     \
    X(invitation, STMT_INVITATION)                                                                 \
    X(receipt, STMT_RECEIPT)                                                                       \
    X(record, STMT_RECORD)                                                                         \
    X(revocation, STMT_REVOCATION)                                                                 \
    X(ack, STMT_ACK)                                                                               \
    X(admission, STMT_ADMISSION)

#define ROW(name, kind_)                                                                           \
    static clan_status put_##name(uint8_t *ret, size_t cap, size_t *ret_size)                      \
    {                                                                                              \
        return stmt_put_##name(&name, ret, cap, ret_size);                                         \
    }                                                                                              \
    static clan_status get_##name(const struct stmt *s, bool compare)                              \
    {                                                                                              \
        struct stmt_##name got, *want = &name;                                                     \
        clan_status st = stmt_get_##name(s, &got);                                                 \
        if (st == CLAN_OK && compare && kind_ != STMT_ADMISSION)                                   \
            assert_memory_equal(&got, want, sizeof got);                                           \
        return st;                                                                                 \
    }
KINDS(ROW)
#undef ROW

static const struct kind_row {
    uint8_t kind;
    clan_status (*put)(uint8_t *, size_t, size_t *);
    clan_status (*get)(const struct stmt *, bool);
} rows[] = {
#define ROW(name, kind_) {kind_, put_##name, get_##name},
    KINDS(ROW)
#undef ROW
};
#define ROWS (sizeof rows / sizeof rows[0])

static uint64_t seq_of(uint8_t kind)
{
    return kind == STMT_ENVELOPE ? envelope.version : 5;
}

static void build(const struct kind_row *row, uint8_t *ret_raw, size_t *ret_size)
{
    uint8_t body[STMT_MAX];
    size_t size;
    assert_int_equal(row->put(body, sizeof body, &size), CLAN_OK);
    assert_int_equal(
        stmt_build(row->kind, clan, author, seq_of(row->kind), body, size, ret_raw, ret_size),
        CLAN_OK);
}

/* For the sanitizer to see a read past the end. */
static clan_status parse_exact(
    const uint8_t *raw, size_t size, struct stmt *ret, uint8_t **ret_copy)
{
    *ret_copy = malloc(size ? size : 1);
    memcpy(*ret_copy, raw, size);
    return stmt_parse(*ret_copy, size, ret, NULL);
}

static void round_trip(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t raw[STMT_MAX];
        size_t size;
        struct stmt s;
        build(&rows[i], raw, &size);
        assert_int_equal(stmt_sign(raw, &size, secrets[0]), CLAN_OK);
        assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
        assert_int_equal(s.kind, rows[i].kind);
        assert_false(s.critical);
        assert_memory_equal(s.clan, clan, 32);
        assert_memory_equal(s.author, author, 32);
        assert_int_equal(s.seq, seq_of(rows[i].kind));
        assert_int_equal(s.sig_count, 1);
        assert_true(stmt_signed_by(&s, keys[0]));
        assert_false(stmt_signed_by(&s, keys[1]));
        assert_int_equal(rows[i].get(&s, true), CLAN_OK);
        for (size_t j = 0; j < ROWS; j++)
            if (j != i)
                assert_int_equal(rows[j].get(&s, false), CLAN_E_INVAL);
    }
    uint8_t raw[STMT_MAX];
    size_t size;
    struct stmt s;
    struct stmt_admission got;
    build(&rows[ROWS - 1], raw, &size);
    stmt_parse(raw, size, &s, NULL);
    assert_int_equal(stmt_get_admission(&s, &got), CLAN_OK);
    assert_int_equal(got.record_size, sizeof record_raw);
    assert_memory_equal(got.record, record_raw, sizeof record_raw);
    assert_memory_equal(got.proof, admission.proof, 64);
    assert_int_equal(got.time, admission.time);
    invitation.gateway[31] = 7; /* with and without that field */
    uint8_t body[STMT_MAX];
    size_t body_size;
    struct stmt_invitation phones;
    assert_int_equal(stmt_put_invitation(&invitation, body, sizeof body, &body_size), CLAN_OK);
    assert_int_equal(
        stmt_build(STMT_INVITATION, clan, author, 5, body, body_size, raw, &size), CLAN_OK);
    assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
    assert_int_equal(stmt_get_invitation(&s, &phones), CLAN_OK);
    assert_memory_equal(&phones, &invitation, sizeof phones);
    assert_null(stmt_record_find(&record, 9));
    assert_ptr_equal(stmt_record_find(&record, 3), record.keys[2].key);
}

static void truncation(void **state)
{
    (void)state;
    fill();
    for (size_t i = 0; i < ROWS; i++) {
        uint8_t raw[STMT_MAX], body[STMT_MAX], *copy;
        size_t size, body_size;
        struct stmt s;
        build(&rows[i], raw, &size);
        stmt_sign(raw, &size, secrets[0]);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_not_equal(parse_exact(raw, cut, &s, &copy), CLAN_OK);
            free(copy);
        }
        raw[size] = 0;
        assert_int_not_equal(stmt_parse(raw, size + 1, &s, NULL), CLAN_OK);
        /* the body alone, cut, inside a statement whose sizes fit */
        assert_int_equal(rows[i].put(body, sizeof body, &body_size), CLAN_OK);
        for (size_t cut = 0; cut < body_size; cut++) {
            stmt_build(rows[i].kind, clan, author, seq_of(rows[i].kind), body, cut, raw, &size);
            assert_int_equal(parse_exact(raw, size, &s, &copy), CLAN_OK);
            assert_int_equal(rows[i].get(&s, false), CLAN_E_INVAL);
            free(copy);
        }
        /* and a buffer that is too small for it */
        for (size_t cap = 0; cap < body_size; cap++) {
            size_t ignored;
            uint8_t *small = malloc(cap ? cap : 1);
            assert_int_equal(rows[i].put(small, cap, &ignored), CLAN_E_LIMIT);
            free(small);
        }
        /* a later release may add fields */
        if (rows[i].kind != STMT_ACK) {
            memset(body + body_size, 0xee, 20);
            stmt_build(
                rows[i].kind, clan, author, seq_of(rows[i].kind), body, body_size + 20, raw, &size);
            assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
            assert_int_equal(rows[i].get(&s, true), CLAN_OK);
        }
    }
}

static void size_limits(void **state)
{
    (void)state;
    static const uint8_t kinds[] = {STMT_GENESIS, STMT_ENVELOPE, STMT_INVITATION, STMT_ADMISSION,
        STMT_RECEIPT, STMT_RECORD, STMT_ROTATION, STMT_SUSPEND, STMT_REVOCATION, STMT_ACK,
        STMT_KEEPERS, STMT_OFFER, STMT_EPOCH, STMT_TAKEOVER, STMT_MANIFEST, 99};
    static const size_t limits[] = {4096, 16384, 1024, 4096, 1024, 4096, 1024, 1024, 1024, 256,
        2048, 2048, 1024, 1024, 1024, 4096};
    static uint8_t raw[STMT_MAX + 100], body[STMT_MAX];
    for (size_t i = 0; i < sizeof kinds; i++) {
        size_t limit = stmt_size_limit(kinds[i]), size;
        struct stmt s;
        assert_int_equal(limit, limits[i]);
        assert_int_equal(stmt_size_limit(kinds[i] | STMT_CRITICAL), limit);
        size_t fits = limit - STMT_HEAD - 1;
        assert_int_equal(stmt_build(kinds[i], clan, author, 1, body, fits, raw, &size), CLAN_OK);
        assert_int_equal(size, limit);
        assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
        assert_int_equal(stmt_sign(raw, &size, secrets[0]), CLAN_E_LIMIT); /* and stays as it was */
        assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
        assert_int_equal(
            stmt_build(kinds[i], clan, author, 1, body, fits + 1, raw, &size), CLAN_E_LIMIT);
        /* the same made by hand */
        raw[74] = (uint8_t)((fits + 1) >> 8);
        raw[75] = (uint8_t)(fits + 1);
        raw[limit] = 0;
        assert_int_equal(stmt_parse(raw, limit + 1, &s, NULL), CLAN_E_LIMIT);
    }
    assert_string_equal(stmt_kind_name(STMT_INVITATION), "invitation");
    assert_string_equal(stmt_kind_name(99), "unknown");
    assert_string_equal(stmt_kind_name(0), "unknown");
}

static void counts(void **state)
{
    (void)state;
    uint8_t raw[STMT_MAX];
    size_t size;
    struct stmt s;
    fill();
    /* signatures: 16 fit, the 17th does not */
    build(&rows[1], raw, &size);
    for (unsigned i = 0; i < STMT_SIGS_MAX; i++)
        assert_int_equal(stmt_sign(raw, &size, secrets[i]), CLAN_OK);
    size_t full = size;
    assert_int_equal(stmt_sign(raw, &size, secrets[STMT_SIGS_MAX]), CLAN_E_LIMIT);
    assert_int_equal(size, full);
    assert_int_equal(stmt_sign(raw, &size, secrets[3]), CLAN_OK); /* already there */
    assert_int_equal(size, full);
    assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
    assert_int_equal(s.sig_count, STMT_SIGS_MAX);
    assert_int_equal(
        stmt_count_signers(&s, (const uint8_t(*)[32])keys, STMT_SIGS_MAX + 1), STMT_SIGS_MAX);
    raw[STMT_HEAD + s.body_size] = STMT_SIGS_MAX + 1;
    memset(raw + size, 0, STMT_SIG_SIZE);
    assert_int_equal(stmt_parse(raw, size + STMT_SIG_SIZE, &s, NULL), CLAN_E_INVAL);
}

/* Each is the good example with one thing changed; encoder and decoder both refuse it. */
static void bad_contents(void **state)
{
    (void)state;
    uint8_t out[STMT_MAX];
    size_t n;
#define BAD(name, change)                                                                          \
    fill();                                                                                        \
    change;                                                                                        \
    assert_int_equal(stmt_put_##name(&name, out, sizeof out, &n), CLAN_E_LIMIT)
    BAD(genesis, genesis.admin_count = 17);
    BAD(genesis, genesis.admin_count = 0);
    BAD(genesis, genesis.threshold = 8); /* not more than half of 16 */
    BAD(genesis, genesis.threshold = 17);
    BAD(genesis, memcpy(genesis.admins[4].key, genesis.admins[3].key, 32));
    BAD(genesis, strcpy(genesis.clan, "Home"));
    BAD(genesis, genesis.clan[0] = 0);
    BAD(genesis, strcpy(genesis.admins[2].name, "-x"));
    BAD(envelope, envelope.version = 1);
    BAD(envelope, envelope.removed_count = STMT_REMOVED_MAX + 1);
    BAD(envelope, envelope.feature_count = STMT_FEATURES_MAX + 1);
    BAD(envelope, envelope.keeper_count = 6);
    BAD(envelope, strcpy(envelope.features[0], "a b"));
    BAD(invitation, invitation.state = 3);
    BAD(invitation, invitation.uses = 0);
    BAD(invitation, invitation.approve = 2);
    BAD(invitation, strcpy(invitation.for_name, "a.b"));
    BAD(admission, admission.how = 4);
    BAD(admission, admission.record_size = STMT_HEAD);
    BAD(admission, admission.record_size = 4097);
    BAD(record, record.key_count = 9);
    BAD(record, record.endpoint_count = STMT_ENDPOINTS_MAX + 1);
    BAD(record, record.generation = 0);
    BAD(record, record.version_min = 4);
    BAD(record, record.keys[3].purpose = 1);
    BAD(record, strcpy(record.endpoints[1].text, "1.2.3.4:1 x"));
    BAD(record, strcpy(record.endpoints[1].text, "\033[2J"));
    BAD(record, record.endpoints[0].text[0] = 0);
    BAD(record, strcpy(record.endpoints[1].transport, "T"));
#undef BAD
    /* the decoder's own checks, on bytes that no encoder of ours writes */
    static const struct {
        size_t row, offset;
        uint8_t value;
    } flips[] = {
        {0, 16 + 8 + 2 + 32, 8},        /* genesis threshold */
        {0, 16 + 8 + 2 + 32 + 1, 17},   /* admin count */
        {0, 16 + 8 + 2, '_'},           /* clan name */
        {0, 16 + 8, 1},                 /* its length */
        {1, 7, 41},                     /* envelope version is not seq */
        {2, 0, 0},                      /* invitation state */
        {4, 3, 0},                      /* record generation */
        {4, 36, 9},                     /* key count */
        {7, 0, 9},                      /* admission: how */
        {7, 16 + 64 + 8 + 1 + 1, 0x59}, /* record longer than the rest */
    };
    for (size_t i = 0; i < sizeof flips / sizeof *flips; i++) {
        uint8_t body[STMT_MAX], raw[STMT_MAX];
        size_t size;
        struct stmt s;
        fill();
        const struct kind_row *row = &rows[flips[i].row];
        row->put(body, sizeof body, &n);
        assert_int_not_equal(body[flips[i].offset], flips[i].value);
        body[flips[i].offset] = flips[i].value;
        stmt_build(row->kind, clan, author, seq_of(row->kind), body, n, raw, &size);
        assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
        assert_int_equal(row->get(&s, false), CLAN_E_INVAL);
    }
}

static void outer_form(void **state)
{
    (void)state;
    uint8_t raw[STMT_MAX];
    size_t size;
    struct stmt s;
    struct clan_error err = CLAN_ERROR_INIT;
    stmt_build(77 | STMT_CRITICAL, zero, zero, UINT64_MAX, "x", 1, raw, &size);
    assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
    assert_int_equal(s.kind, 77);
    assert_true(s.critical);
    assert_true(s.seq == UINT64_MAX);
    raw[0] = 2;
    assert_int_equal(stmt_parse(raw, size, &s, &err), CLAN_E_INVAL);
    assert_non_null(strstr(err.why, "version"));
    raw[0] = 1;
    raw[1] = STMT_CRITICAL;
    assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_E_INVAL);
    static uint8_t big[STMT_MAX + 1];
    assert_int_equal(stmt_parse(big, sizeof big, &s, NULL), CLAN_E_INVAL);
    assert_int_equal(stmt_build(3, zero, zero, 1, big, 70000, raw, &size), CLAN_E_LIMIT);
}

/* The bytes that last: changing them would change every clan's ID. */
static void fixed_vector(void **state)
{
    (void)state;
    static const char want[] = "375512b216c3444b53cdd6ade7e83ea675e6b12e946e39d289a268ad6c35c925";
    struct stmt_genesis g = {
        .time = 1, .clan = "home", .threshold = 1, .admin_count = 1, .admins = {{{1}, "anna"}}};
    uint8_t body[STMT_MAX], raw[STMT_MAX];
    size_t n, size;
    char hex[65];
    struct stmt s;
    assert_int_equal(stmt_put_genesis(&g, body, sizeof body, &n), CLAN_OK);
    stmt_build(STMT_GENESIS, zero, zero, 1, body, n, raw, &size);
    assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
    sodium_bin2hex(hex, sizeof hex, s.id, 32);
    assert_string_equal(hex, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(truncation),
        cmocka_unit_test(size_limits),
        cmocka_unit_test(counts),
        cmocka_unit_test(bad_contents),
        cmocka_unit_test(outer_form),
        cmocka_unit_test(fixed_vector),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, set_up, NULL);
}
