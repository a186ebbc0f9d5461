/* Joining: what a door verifies and what a joiner verifies (SECURITY A1, A3, A5, A7, A10). */
#include "member/join.h"
#include "member_fixture.h"
#include "noise/keys.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct clan {
    struct fx f;
    struct member_set *m;
    struct fx_machine nas, bob;
    struct fx_invite in;
    uint8_t proof[64], fetch[64], hash[64];
    struct clan_error e;
};

static void give(struct clan *c, struct fx_stmt s)
{
    assert_int_equal(member_apply(c->m, s.raw, s.size, 1, NULL, NULL), CLAN_OK);
}

static void prove(struct clan *c, const struct fx_invite *in, const struct fx_machine *who)
{
    uint8_t text[KEYS_PROOF_MAX];
    unsigned n =
        keys_join_proof(c->f.clan, in->id, who->record.raw, (uint32_t)who->record.size, text);
    crypto_sign_detached(c->proof, NULL, text, n, in->secret);
    n = keys_fetch_proof(c->f.clan, in->id, c->hash, text);
    crypto_sign_detached(c->fetch, NULL, text, n, in->secret);
}

static void clan_open(struct clan *c)
{
    memset(c, 0, sizeof *c);
    memset(c->hash, 7, 64);
    fx_open(&c->f, 1, 1, 2);
    c->m = member_new();
    give(c, c->f.genesis);
    fx_machine(&c->f, &c->nas);
    give(c, fx_founder(&c->f, &c->nas, 1));
    struct stmt_envelope b = fx_envelope_body(&c->f, 2, 1, 1, c->nas.id);
    c->f.v[2] = fx_envelope(&c->f, &b, 1);
    give(c, c->f.v[2]);
    fx_invite(&c->f, &c->in, 1, 2, 1);
    give(c, c->in.stmt);
    fx_machine(&c->f, &c->bob);
    prove(c, &c->in, &c->bob);
}

static void clan_close(struct clan *c)
{
    member_free(c->m);
    fx_close(&c->f);
}

static clan_status door(struct clan *c, uint8_t mode, const struct fx_machine *who,
    const uint8_t *proof, const uint8_t *peer_static, int64_t wall)
{
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    return join_door_check(c->m, c->in.id, mode, proof, who->record.raw, who->record.size,
        peer_static, c->hash, wall, &c->e);
}

static void test_payload(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    uint8_t raw[JOIN_PAYLOAD_MAX], mode;
    const uint8_t *proof, *record;
    size_t size, record_size;
    clan_open(c);
    assert_int_equal(join_payload(JOIN_MODE_JOIN, c->proof, c->bob.record.raw, c->bob.record.size,
                         raw, sizeof raw, &size),
        CLAN_OK);
    assert_int_equal(join_payload_parse(raw, size, &mode, &proof, &record, &record_size), CLAN_OK);
    assert_int_equal(mode, JOIN_MODE_JOIN);
    assert_memory_equal(proof, c->proof, 64);
    assert_int_equal(record_size, c->bob.record.size);
    assert_memory_equal(record, c->bob.record.raw, record_size);
    for (size_t cut = 0; cut < size; cut += 7)
        assert_int_equal(
            join_payload_parse(raw, cut, &mode, &proof, &record, &record_size), CLAN_E_INVAL);
    raw[0] = 2;
    assert_int_equal(
        join_payload_parse(raw, size, &mode, &proof, &record, &record_size), CLAN_E_INVAL);
    assert_int_equal(
        join_payload(JOIN_MODE_FETCH, c->fetch, NULL, 0, raw, sizeof raw, &size), CLAN_OK);
    assert_int_equal(join_payload_parse(raw, size, &mode, &proof, &record, &record_size), CLAN_OK);
    assert_int_equal(mode, JOIN_MODE_FETCH);
    assert_int_equal(
        join_payload_parse(raw, size + 1, &mode, &proof, &record, &record_size), CLAN_E_INVAL);
    assert_int_equal(
        join_payload(JOIN_MODE_JOIN, c->proof, raw, 5000, raw, sizeof raw, &size), CLAN_E_LIMIT);
    clan_close(c);
}

static void test_door(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_machine eve;
    clan_open(c);
    fx_machine(&c->f, &eve);
    assert_int_equal(door(c, JOIN_MODE_JOIN, &c->bob, c->proof, c->bob.door, FX_NOW), CLAN_OK);
    assert_int_equal(door(c, JOIN_MODE_FETCH, &c->bob, c->fetch, c->bob.door, FX_NOW), CLAN_OK);
    /* silent: nothing is told to who cannot show the seed */
    assert_int_equal(
        door(c, JOIN_MODE_JOIN, &eve, c->proof, eve.door, FX_NOW), CLAN_E_AUTH); /* copied proof */
    assert_int_equal(door(c, JOIN_MODE_JOIN, &c->bob, c->proof, eve.door, FX_NOW),
        CLAN_E_AUTH); /* its session */
    assert_int_equal(
        door(c, JOIN_MODE_JOIN, &c->bob, c->proof, c->bob.control, FX_NOW), CLAN_E_AUTH);
    assert_int_equal(door(c, JOIN_MODE_FETCH, &c->bob, c->proof, c->bob.door, FX_NOW), CLAN_E_AUTH);
    assert_int_equal(door(c, JOIN_MODE_JOIN, &c->bob, c->fetch, c->bob.door, FX_NOW), CLAN_E_AUTH);
    assert_int_equal(door(c, 3, &c->bob, c->proof, c->bob.door, FX_NOW), CLAN_E_AUTH);
    c->hash[0] ^= 1; /* a fetch proof replayed in another handshake */
    assert_int_equal(door(c, JOIN_MODE_FETCH, &c->bob, c->fetch, c->bob.door, FX_NOW), CLAN_E_AUTH);
    c->hash[0] ^= 1;
    /* by the door's own clock */
    assert_int_equal(
        door(c, JOIN_MODE_JOIN, &c->bob, c->proof, c->bob.door, FX_NOW + 3600), CLAN_OK);
    assert_int_equal(
        door(c, JOIN_MODE_JOIN, &c->bob, c->proof, c->bob.door, FX_NOW + 3601), CLAN_E_EXPIRED);
    clan_close(c);
}

static void test_used(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_machine eve;
    uint8_t raw[STMT_MAX];
    size_t size;
    clan_open(c);
    assert_int_equal(
        join_make_admission(c->m, c->in.id, c->proof, c->bob.record.raw, c->bob.record.size,
            c->nas.id, c->nas.identity_secret, 5, FX_NOW, raw, &size),
        CLAN_OK);
    assert_int_equal(member_apply(c->m, raw, size, 1, NULL, NULL), CLAN_OK);
    assert_int_equal(member_find(c->m, c->bob.id)->standing, MEMBER_PROVISIONAL);
    /* the same machine again: its connection broke */
    assert_int_equal(
        door(c, JOIN_MODE_JOIN, &c->bob, c->proof, c->bob.door, FX_NOW + 9999), CLAN_OK);
    fx_machine(&c->f, &eve);
    prove(c, &c->in, &eve);
    assert_int_equal(door(c, JOIN_MODE_JOIN, &eve, c->proof, eve.door, FX_NOW), CLAN_E_USED);
    assert_true(strlen(c->e.what) && strlen(c->e.why) && strlen(c->e.remedy));
    assert_int_equal(door(c, JOIN_MODE_FETCH, &eve, c->fetch, eve.door, FX_NOW), CLAN_E_USED);
    give(c, fx_invite_state(&c->f, &c->in, STMT_INVITE_CLOSED, 2, 1));
    assert_int_equal(door(c, JOIN_MODE_JOIN, &eve, c->proof, eve.door, FX_NOW), CLAN_E_WITHDRAWN);
    clan_close(c);
}

static void test_removed_comes_again(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_invite next;
    clan_open(c);
    give(c, fx_admission(&c->f, &c->nas, &c->in, &c->bob, FX_NOW));
    give(c, fx_removal(&c->f, &c->bob, 2, 1));
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 1, 1, c->nas.id);
    c->f.v[3] = fx_envelope(&c->f, &b, 1);
    give(c, c->f.v[3]);
    fx_invite(&c->f, &next, 1, 3, 1);
    give(c, next.stmt);
    c->in = next;
    prove(c, &next, &c->bob);
    assert_int_equal(
        door(c, JOIN_MODE_JOIN, &c->bob, c->proof, c->bob.door, FX_NOW), CLAN_E_REVOKED);
    /* the old keys in a new first record are the old machine */
    struct fx_machine again = c->bob;
    uint8_t raw[STMT_MAX];
    assert_int_equal(join_make_record(c->bob.root, c->f.clan, 1, NULL, NULL, FX_NOW + 5, raw,
                         &again.record.size, again.id),
        CLAN_OK);
    again.record.raw = raw;
    prove(c, &next, &again);
    assert_int_equal(
        door(c, JOIN_MODE_JOIN, &again, c->proof, c->bob.door, FX_NOW), CLAN_E_REVOKED);
    fx_machine(&c->f, &again);
    prove(c, &next, &again);
    assert_int_equal(door(c, JOIN_MODE_JOIN, &again, c->proof, again.door, FX_NOW), CLAN_OK);
    clan_close(c);
}

/* ---- the joiner ---- */
static clan_status verify(struct clan *c, const struct member_set *m,
    const struct invite_link *link, const uint8_t *door_static)
{
    const struct member_machine *d;
    const struct member_invite *i;
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    clan_status r = join_verify(m, link, door_static, &d, &i, &c->e);
    if (r == CLAN_OK) {
        assert_memory_equal(i->id, c->in.id, 16);
        assert_non_null(d);
    } else {
        assert_int_equal(c->e.status, r);
    }
    return r;
}

static void test_joiner(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct invite_link link = {.floor_version = 2};
    clan_open(c);
    memcpy(link.clan_id, c->f.clan, 32);
    memcpy(link.seed, c->in.seed, 16);
    memcpy(link.floor_hash, c->f.v[2].id, 16);
    assert_int_equal(verify(c, c->m, &link, c->nas.door), CLAN_OK);
    assert_int_equal(verify(c, c->m, &link, c->nas.control), CLAN_E_AUTH);
    assert_int_equal(verify(c, c->m, &link, c->bob.door), CLAN_E_AUTH);
    link.clan_id[3] ^= 1;
    assert_int_equal(verify(c, c->m, &link, c->nas.door), CLAN_E_AUTH);
    link.clan_id[3] ^= 1;
    link.seed[3] ^= 1;
    assert_int_equal(verify(c, c->m, &link, c->nas.door), CLAN_E_AUTH);
    link.seed[3] ^= 1;
    /* a prefix of the chain: valid, and too short (A3) */
    link.floor_version = 3;
    assert_int_equal(verify(c, c->m, &link, c->nas.door), CLAN_E_STALE);
    link.floor_version = 2;
    link.floor_hash[0] ^= 1;
    assert_int_equal(verify(c, c->m, &link, c->nas.door), CLAN_E_STALE);
    link.floor_hash[0] ^= 1;
    /* a guest as door */
    struct fx_stmt a = fx_admission(&c->f, &c->nas, &c->in, &c->bob, FX_NOW);
    give(c, a);
    assert_int_equal(verify(c, c->m, &link, c->bob.door), CLAN_E_AUTH);
    give(c, fx_receipt(&c->f, &c->nas, 0, &c->in, &c->bob, &a, 1, 1));
    assert_int_equal(verify(c, c->m, &link, c->bob.door), CLAN_OK);
    /* a removed door, when its removal is in what it shows */
    give(c, fx_removal(&c->f, &c->bob, 2, 1));
    assert_int_equal(verify(c, c->m, &link, c->bob.door), CLAN_E_REVOKED);
    struct member_set *empty = member_new();
    assert_int_equal(verify(c, empty, &link, c->nas.door), CLAN_E_AUTH);
    member_free(empty);
    clan_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_payload),
        cmocka_unit_test(test_door),
        cmocka_unit_test(test_used),
        cmocka_unit_test(test_removed_comes_again),
        cmocka_unit_test(test_joiner),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
