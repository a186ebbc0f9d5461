/* The chain of versions, bodies against their envelopes, removals: with real signatures. */
#include "base/text.h"
#include "member_clan.h"
#include "noise/keys.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- the chain (C1, C4) ---- */
static void test_chain(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 3, 2);
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 7, 2, c->nas.id);
    assert_int_equal(give(c, fx_envelope(&c->f, &b, 1)), CLAN_E_AUTH);      /* one of two */
    assert_int_equal(give(c, fx_envelope(&c->f, &b, 1 | 16)), CLAN_E_AUTH); /* one and a stranger */
    /* admin 2 is removed; then nobody may bring it back */
    b = fx_envelope_body(&c->f, 3, 3, 2, c->nas.id);
    b.removed_count = 1;
    memcpy(b.removed[0], c->f.admin_key[2], 32);
    c->f.v[3] = fx_envelope(&c->f, &b, 3);
    struct stmt_envelope b4 = fx_envelope_body(&c->f, 4, 3, 2, c->nas.id);
    struct fx_stmt v4 = fx_envelope(&c->f, &b4, 3);
    OK(give(c, v4)); /* a gap waits */
    assert_int_equal(member_head(c->m, NULL, NULL), 2);
    OK(give(c, c->f.v[3]));
    assert_int_equal(member_head(c->m, NULL, NULL), 4);
    c->f.v[4] = v4;
    struct stmt_envelope b5 = fx_envelope_body(&c->f, 5, 7, 2, c->nas.id);
    assert_int_equal(give(c, fx_envelope(&c->f, &b5, 3)), CLAN_E_AUTH);
    /* the retired admin still signs: for yesterday's height */
    struct stmt_envelope old = fx_envelope_body(&c->f, 3, 7, 2, c->nas.id);
    old.time = 5;
    OK(give(c, fx_envelope(&c->f, &old, 6)));
    assert_false(member_chain_stopped(c->m));
    assert_true(alarmed(c->m, MEMBER_ALARM_OLD_RIVAL));
    assert_int_equal(member_head(c->m, NULL, NULL), 4);
    /* an invitation by it, dated back: nobody comes in by it any more */
    struct fx_invite in;
    fx_invite(&c->f, &in, 1, 2, 4);
    OK(give(c, in.stmt));
    assert_true(member_invite_find(c->m, in.id)->closed);
    fx_invite(&c->f, &in, 1, 4, 4);
    assert_int_equal(give(c, in.stmt), CLAN_E_AUTH);
    /* a rival of the tip stops everything */
    struct stmt_envelope rival = fx_envelope_body(&c->f, 4, 3, 2, c->nas.id);
    rival.time = 6;
    OK(give(c, fx_envelope(&c->f, &rival, 3)));
    assert_true(member_chain_stopped(c->m));
    assert_true(alarmed(c->m, MEMBER_ALARM_FORK));
    b5 = fx_envelope_body(&c->f, 5, 3, 2, c->nas.id);
    OK(give(c, fx_envelope(&c->f, &b5, 3)));
    assert_int_equal(member_head(c->m, NULL, NULL), 4);
    clan_close(c);
}

/* The single key of the genesis, retired long ago, and the clan's height (C1). */
static void test_retired_genesis_key(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 6, 2, c->nas.id);
    b.removed_count = 1;
    memcpy(b.removed[0], c->f.admin_key[0], 32);
    c->f.v[3] = fx_envelope(&c->f, &b, 1);
    OK(give(c, c->f.v[3]));
    struct stmt_envelope b4 = fx_envelope_body(&c->f, 4, 6, 2, c->nas.id);
    c->f.v[4] = fx_envelope(&c->f, &b4, 6);
    OK(give(c, c->f.v[4]));
    struct stmt_envelope rival = fx_envelope_body(&c->f, 2, 1, 1, c->bob.id);
    OK(give(c, fx_envelope(&c->f, &rival, 1)));
    assert_false(member_chain_stopped(c->m));
    assert_int_equal(member_head(c->m, NULL, NULL), 4);
    assert_true(member_find(c->m, c->nas.id)->keeper);
    /* it cannot remove who came later, nor confirm anybody */
    struct fx_machine carl;
    struct fx_invite in;
    fx_invite(&c->f, &in, 1, 4, 2);
    OK(give(c, in.stmt));
    fx_machine(&c->f, &carl);
    struct fx_stmt a = fx_admission(&c->f, &c->nas, &in, &carl, FX_NOW);
    OK(give(c, a));
    OK(give(c, fx_receipt(&c->f, NULL, 0, &in, &carl, &a, 0, 77)));
    IS(&carl, PROVISIONAL);
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in, &carl, &a, 1, 7)));
    IS(&carl, CONFIRMED);
    OK(give(c, fx_removal(&c->f, &carl, 2, 1)));
    IS(&carl, CONFIRMED);
    assert_int_equal(give(c, fx_removal(&c->f, &carl, 4, 2)), CLAN_E_AUTH); /* one of two */
    OK(give(c, fx_removal(&c->f, &carl, 4, 6)));
    IS(&carl, REVOKED);
    clan_close(c);
}

/* ---- removal (A3, A10, D3) ---- */
static void test_removed_door(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_invite open, used;
    struct fx_machine eve, carl;
    clan_open(c, 2, 2);
    OK(give(c, c->bob_receipt));
    fx_invite(&c->f, &open, 1, 2, 1);
    fx_invite(&c->f, &used, 1, 2, 1);
    OK(give(c, open.stmt));
    OK(give(c, used.stmt));
    fx_machine(&c->f, &carl);
    struct fx_stmt carl_admission = fx_admission(&c->f, &c->bob, &used, &carl, FX_NOW);
    OK(give(c, carl_admission));
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &used, &carl, &carl_admission, 1, 4)));
    IS(&carl, CONFIRMED);
    assert_int_equal(give(c, fx_removal(&c->f, &c->bob, 2, 1)), CLAN_E_AUTH);
    struct fx_stmt removal = fx_removal(&c->f, &c->bob, 2, 3);
    OK(give(c, removal));
    IS(&c->bob, REVOKED);
    IS(&carl, CONFIRMED); /* the keeper had judged it */
    assert_true(member_invite_find(c->m, open.id)->closed);
    /* dated before the removal, by the removed door */
    fx_machine(&c->f, &eve);
    struct fx_stmt a = fx_admission(&c->f, &c->bob, &open, &eve, FX_NOW - 1000);
    OK(give(c, a));
    IS(&eve, UNKNOWN);
    /* nor does it push out who came by a link that it knows */
    struct fx_machine late;
    fx_machine(&c->f, &late);
    OK(give(c, fx_admission(&c->f, &c->bob, &used, &late, FX_NOW - 1000)));
    IS(&late, UNKNOWN);
    IS(&carl, CONFIRMED);
    assert_false(alarmed(c->m, MEMBER_ALARM_SHARED_LINK));
    assert_null(member_find_key(c->m, KEY_CONTROL, c->bob.control, false));
    assert_non_null(member_find_key(c->m, KEY_CONTROL, c->bob.control, true));
    OK(give(c, fx_receipt(&c->f, NULL, 1, &open, &eve, &a, 0, 1)));
    IS(&eve, CONFIRMED); /* an admin's word */
    /* what it signs afterwards is refused, and it stays out */
    assert_int_equal(give(c, fx_record(&c->f, &c->bob, 2, FX_NOW)), CLAN_E_REVOKED);
    assert_int_equal(give(c, fx_ack(&c->f, &c->bob, 1, 2)), CLAN_E_REVOKED);
    OK(give(c, fx_receipt(&c->f, NULL, 0, &c->bob_invite, &c->bob, &c->bob_admission, 0, 9)));
    IS(&c->bob, REVOKED);
    clan_close(c);
}

/* Keeper and door in one, removed: its own receipts do not carry its own guests. */
static void test_removed_keeper_door(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    OK(give(c, fx_removal(&c->f, &c->nas, 2, 1)));
    IS(&c->nas, REVOKED);
    IS(&c->bob, PROVISIONAL);
    OK(give(c, fx_receipt(&c->f, NULL, 0, &c->bob_invite, &c->bob, &c->bob_admission, 0, 1)));
    IS(&c->bob, CONFIRMED);
    clan_close(c);
}

static void test_leave(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    struct fx_machine fake = c->nas;
    memcpy(fake.id, c->bob.id, 32); /* nas signs that bob leaves */
    assert_int_equal(give(c, fx_leave(&c->f, &fake)), CLAN_E_AUTH);
    IS(&c->bob, CONFIRMED);
    OK(give(c, fx_leave(&c->f, &c->bob)));
    IS(&c->bob, REVOKED);
    assert_true(member_invite_find(c->m, c->bob_invite.id)->closed);
    uint8_t d[32], none[32];
    uint32_t n;
    member_revocations_digest(c->m, d, &n);
    crypto_generichash(none, 32, NULL, 0, NULL, 0);
    assert_int_equal(n, 1);
    assert_memory_not_equal(d, none, 32);
    clan_close(c);
}

/* ---- a body against its envelope (C2, C4) ---- */
static void test_bodies(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 2, 2);
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 1, 1, NULL);
    b.removed_count = 1;
    memcpy(b.removed[0], c->f.admin_key[1], 32);
    struct clan_config cfg = {.version = 3, .clan = "home", .threshold = 1, .admin_count = 1};
    struct clan_config_machine entry = {.name = "bob"};
    snprintf(cfg.admins[0].name, 33, "admin0");
    memcpy(cfg.admins[0].key, c->f.admin_key[0], 32);
    assert_int_equal(member_body_matches(c->m, &b, &cfg, NULL), CLAN_OK);
    cfg.threshold = 2;
    assert_int_equal(member_body_matches(c->m, &b, &cfg, NULL), CLAN_E_CONFLICT);
    cfg.threshold = 1;
    memcpy(cfg.admins[0].key, c->f.admin_key[1], 32);
    assert_int_equal(member_body_matches(c->m, &b, &cfg, NULL), CLAN_E_CONFLICT);
    assert_int_equal(member_body_allowed(c->m, &cfg, NULL), CLAN_OK);
    OK(give(c, fx_envelope(&c->f, &b, 3)));
    assert_int_equal(member_body_allowed(c->m, &cfg, NULL), CLAN_E_REVOKED);
    memcpy(cfg.admins[0].key, c->f.admin_key[0], 32);
    cfg.machines = &entry;
    cfg.machine_count = 1;
    memcpy(entry.id, c->bob.id, 32);
    assert_int_equal(member_body_allowed(c->m, &cfg, NULL), CLAN_OK);
    OK(give(c, fx_removal(&c->f, &c->bob, 3, 1)));
    assert_int_equal(member_body_allowed(c->m, &cfg, NULL), CLAN_E_REVOKED);
    clan_close(c);
}

/* A later protocol or a feature: the envelope is obeyed, its text is left alone (C2). */
static void test_later_release(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 1, 1, NULL);
    assert_int_equal(member_body_understood(&b, 1, NULL), CLAN_OK);
    b.min_protocol = 2;
    assert_int_equal(member_body_understood(&b, 1, NULL), CLAN_E_NOSYS);
    OK(give(c, fx_envelope(&c->f, &b, 1)));
    assert_int_equal(member_head(c->m, NULL, NULL), 3);
    b.min_protocol = 1;
    b.feature_count = 1;
    strcpy(b.features[0], "backups");
    assert_int_equal(member_body_understood(&b, 1, NULL), CLAN_E_NOSYS);
    clan_close(c);
}

/* nas was the keeper up to version 2, nobody is from version 3 on: by an invitation of version 3 it
 * confirms nobody, and what it signed for bob stays. */
static void test_dropped_keeper(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 1, 1, NULL);
    b.keeper_count = 1;
    memcpy(b.keepers[0], c->bob.id, 32);
    OK(give(c, fx_envelope(&c->f, &b, 1)));
    assert_int_equal(member_find(c->m, c->bob.id)->standing, MEMBER_CONFIRMED);
    struct fx_invite in;
    struct fx_machine eve;
    fx_invite(&c->f, &in, 1, 3, 1);
    fx_machine(&c->f, &eve);
    struct fx_stmt a = fx_admission(&c->f, &c->nas, &in, &eve, FX_NOW);
    OK(give(c, in.stmt));
    OK(give(c, a));
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in, &eve, &a, 1, 900)));
    assert_int_equal(member_find(c->m, eve.id)->standing, MEMBER_PROVISIONAL);
    OK(give(c, fx_receipt(&c->f, &c->bob, 0, &in, &eve, &a, 1, 1)));
    assert_int_equal(member_find(c->m, eve.id)->standing, MEMBER_CONFIRMED);
    clan_close(c);
}

/* A removal has no time: who was admin when a machine came may still remove it by that version, also
 * after losing the key's rank; by it nobody who came later is removed, and nobody comes back. */
static void test_former_admins_removal(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 2, 2);
    OK(give(c, c->bob_receipt));
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 4, 1, c->nas.id);
    OK(give(c, fx_envelope(&c->f, &b, 3))); /* both admins make place for a third */
    struct fx_invite in;
    struct fx_machine eve;
    fx_invite(&c->f, &in, 1, 3, 4);
    fx_machine(&c->f, &eve);
    struct fx_stmt a = fx_admission(&c->f, &c->nas, &in, &eve, FX_NOW);
    OK(give(c, in.stmt));
    OK(give(c, a));
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in, &eve, &a, 1, 2)));
    OK(give(c, fx_removal(&c->f, &eve, 2, 3)));
    assert_int_equal(member_find(c->m, eve.id)->standing, MEMBER_CONFIRMED);
    assert_int_equal(give(c, fx_removal(&c->f, &c->bob, 2, 1)), CLAN_E_AUTH); /* one of two */
    assert_int_equal(give(c, fx_removal(&c->f, &c->bob, 3, 3)), CLAN_E_AUTH); /* today's say no */
    OK(give(c, fx_removal(&c->f, &c->bob, 2, 3)));
    assert_int_equal(member_find(c->m, c->bob.id)->standing, MEMBER_REVOKED);
    clan_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_retired_genesis_key),
        cmocka_unit_test(test_removed_door),
        cmocka_unit_test(test_removed_keeper_door),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_later_release),
        cmocka_unit_test(test_dropped_keeper),
        cmocka_unit_test(test_former_admins_removal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
