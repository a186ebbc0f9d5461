/* Membership: every rule of SECURITY A, B, C, D that statements decide, with real signatures. */
#include "member/member.h"
#include "base/text.h"
#include "member_fixture.h"
#include "noise/keys.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- a clan: founder nas (keeper, door), bob confirmed ---- */
struct clan {
    struct fx f;
    struct member_set *m;
    struct fx_machine nas, bob;
    struct fx_invite bob_invite;
    struct fx_stmt founder, bob_admission, bob_receipt;
    unsigned all; /* mask of admins */
    struct clan_error e;
};

static clan_status give(struct clan *c, struct fx_stmt s)
{
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    return member_apply(c->m, s.raw, s.size, 1, NULL, &c->e);
}

#define OK(x)                                                                                      \
    do {                                                                                           \
        clan_status r_ = (x);                                                                      \
        if (r_ != CLAN_OK)                                                                         \
            print_error("%s: status %d: %s\n", #x, r_, c->e.what);                                 \
        assert_int_equal(r_, CLAN_OK);                                                             \
    } while (0)

static enum member_standing standing(const struct member_set *m, const struct fx_machine *x)
{
    const struct member_machine *found = member_find(m, x->id);
    return found ? found->standing : MEMBER_UNKNOWN;
}

#define IS(x, what) assert_int_equal(standing(c->m, x), MEMBER_##what)

static void clan_open(struct clan *c, unsigned admins, unsigned threshold)
{
    memset(c, 0, sizeof *c);
    fx_open(&c->f, admins, threshold, 1);
    c->all = (1u << admins) - 1;
    c->m = member_new();
    assert_non_null(c->m);
    OK(give(c, c->f.genesis));
    fx_machine(&c->f, &c->nas);
    c->founder = fx_founder(&c->f, &c->nas, 1);
    OK(give(c, c->founder));
    struct stmt_envelope b = fx_envelope_body(&c->f, 2, c->all, threshold, c->nas.id);
    c->f.v[2] = fx_envelope(&c->f, &b, c->all);
    OK(give(c, c->f.v[2]));
    fx_invite(&c->f, &c->bob_invite, 1, 2, 1);
    OK(give(c, c->bob_invite.stmt));
    fx_machine(&c->f, &c->bob);
    c->bob_admission = fx_admission(&c->f, &c->nas, &c->bob_invite, &c->bob, FX_NOW);
    OK(give(c, c->bob_admission));
    c->bob_receipt =
        fx_receipt(&c->f, &c->nas, 0, &c->bob_invite, &c->bob, &c->bob_admission, 1, 1);
}

static void clan_close(struct clan *c)
{
    member_free(c->m);
    fx_close(&c->f);
}

static bool alarmed(const struct member_set *m, enum member_alarm_kind kind)
{
    for (size_t i = 0; i < member_alarm_count(m); i++)
        if (member_alarm_at(m, i)->kind == kind)
            return true;
    return false;
}

/* ---- joining ---- */
static void test_join(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    IS(&c->nas, CONFIRMED);
    assert_true(member_find(c->m, c->nas.id)->founder);
    assert_true(member_find(c->m, c->nas.id)->keeper);
    IS(&c->bob, PROVISIONAL);
    OK(give(c, c->bob_receipt));
    IS(&c->bob, CONFIRMED);
    assert_int_equal(member_invite_find(c->m, c->bob_invite.id)->admitted, 1);
    assert_int_equal(member_invite_find(c->m, c->bob_invite.id)->confirmed, 1);
    assert_ptr_equal(
        member_find_key(c->m, KEY_CONTROL, c->bob.control, false), member_find(c->m, c->bob.id));
    assert_null(member_find_key(c->m, KEY_LINK, c->bob.control, false));
    uint8_t addr[16];
    keys_machine_address(c->f.clan, c->bob.id, addr);
    assert_ptr_equal(member_find_address(c->m, addr), member_find(c->m, c->bob.id));
    clan_close(c);
}

static void test_admission_refused(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_machine eve;
    struct fx_invite other;
    clan_open(c, 1, 1);
    fx_machine(&c->f, &eve);
    fx_invite(&c->f, &other, 1, 2, 1);
    /* the proof of another invitation's seed */
    struct fx_invite mixed = c->bob_invite;
    memcpy(mixed.secret, other.secret, 64);
    struct fx_stmt a = fx_admission(&c->f, &c->nas, &mixed, &eve, FX_NOW);
    assert_int_equal(give(c, a), CLAN_E_AUTH);
    /* a door's name without its key */
    struct fx_machine fake = eve;
    memcpy(fake.id, c->nas.id, 32);
    a = fx_admission(&c->f, &fake, &c->bob_invite, &eve, FX_NOW);
    assert_int_equal(give(c, a), CLAN_E_AUTH);
    /* a provisional machine is no door: its admission waits, and counts only once it is confirmed
     */
    OK(give(c, other.stmt));
    a = fx_admission(&c->f, &c->bob, &other, &eve, FX_NOW);
    OK(give(c, a));
    IS(&eve, UNKNOWN);
    assert_int_equal(member_waiting(c->m), 1);
    OK(give(c, c->bob_receipt));
    IS(&eve, PROVISIONAL);
    assert_int_equal(member_waiting(c->m), 0);
    /* a second founder: the genesis key signed again; version 2 named the first */
    struct fx_machine late;
    fx_machine(&c->f, &late);
    OK(give(c, fx_founder(&c->f, &late, 1)));
    IS(&late, UNKNOWN);
    IS(&c->nas, CONFIRMED);
    /* a founder signed by somebody else */
    struct fx_machine x;
    fx_machine(&c->f, &x);
    assert_int_equal(give(c, fx_founder(&c->f, &x, 2)), CLAN_E_AUTH);
    clan_close(c);
}

static void test_forged_receipts(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    struct fx_stmt r;
    /* by the guest itself, by a member that is no keeper, by a keeper's name without its key */
    r = fx_receipt(&c->f, &c->bob, 0, &c->bob_invite, &c->bob, &c->bob_admission, 1, 1);
    OK(give(c, r));
    IS(&c->bob, PROVISIONAL);
    struct fx_machine fake = c->bob;
    memcpy(fake.id, c->nas.id, 32);
    r = fx_receipt(&c->f, &fake, 0, &c->bob_invite, &c->bob, &c->bob_admission, 1, 1);
    assert_int_equal(give(c, r), CLAN_E_AUTH);
    /* by a key that never was an admin's */
    r = fx_receipt(&c->f, NULL, 3, &c->bob_invite, &c->bob, &c->bob_admission, 1, 1);
    OK(give(c, r));
    IS(&c->bob, PROVISIONAL);
    /* for a place that the invitation does not have */
    r = fx_receipt(&c->f, &c->nas, 0, &c->bob_invite, &c->bob, &c->bob_admission, 2, 1);
    assert_int_equal(give(c, r), CLAN_E_INVAL);
    /* one flipped bit of the signature */
    r = fx_receipt(&c->f, &c->nas, 0, &c->bob_invite, &c->bob, &c->bob_admission, 1, 9);
    r.raw[r.size - 3] ^= 1;
    assert_int_equal(give(c, r), CLAN_E_AUTH);
    IS(&c->bob, PROVISIONAL);
    /* of another invitation */
    struct fx_invite other;
    fx_invite(&c->f, &other, 1, 2, 1);
    OK(give(c, other.stmt));
    r = fx_receipt(&c->f, &c->nas, 0, &other, &c->bob, &c->bob_admission, 1, 2);
    assert_int_equal(give(c, r), CLAN_E_INVAL);
    IS(&c->bob, PROVISIONAL);
    OK(give(c, c->bob_receipt));
    IS(&c->bob, CONFIRMED);
    clan_close(c);
}

static void test_keeper_majority(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    struct fx_machine carl, dora;
    struct fx_invite in[2];
    struct fx_stmt a[2];
    struct fx_machine *who[2] = {&carl, &dora};
    for (int i = 0; i < 2; i++) {
        fx_machine(&c->f, who[i]);
        fx_invite(&c->f, &in[i], 1, 2, 1);
        OK(give(c, in[i].stmt));
        a[i] = fx_admission(&c->f, &c->nas, &in[i], who[i], FX_NOW);
        OK(give(c, a[i]));
    }
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in[0], &carl, &a[0], 1, 2)));
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 1, 1, c->nas.id);
    b.keeper_count = 3;
    b.keeper_generation = 2;
    memcpy(b.keepers[1], c->bob.id, 32);
    memcpy(b.keepers[2], carl.id, 32);
    c->f.v[3] = fx_envelope(&c->f, &b, 1);
    OK(give(c, c->f.v[3]));
    IS(&carl, CONFIRMED); /* by the generation before */
    struct stmt_receipt body = {.slot = 0, .uses = 1, .generation = 2, .revision = 5};
    memcpy(body.invite_id, in[1].id, 16);
    memcpy(body.machine, dora.id, 32);
    memcpy(body.admission, a[1].id, 32);
    uint8_t raw[1024];
    size_t n;
    assert_int_equal(stmt_put_receipt(&body, raw, sizeof raw, &n), CLAN_OK);
    struct fx_stmt one =
        fx_sign(&c->f, STMT_RECEIPT, c->bob.id, 5, raw, n, 0, c->bob.identity_secret);
    OK(give(c, one));
    IS(&dora, PROVISIONAL); /* one keeper of three cannot confirm a guest */
    static uint8_t two[STMT_MAX];
    size_t size = one.size;
    memcpy(two, one.raw, size);
    assert_int_equal(stmt_sign(two, &size, carl.identity_secret), CLAN_OK);
    assert_int_equal(member_apply(c->m, two, size, 1, NULL, &c->e), CLAN_OK);
    IS(&dora, CONFIRMED);
    clan_close(c);
}

/* ---- double spending (A2) ---- */
static void test_shared_link(void **state)
{
    (void)state;
    for (int order = 0; order < 4; order++) {
        struct clan s, *c = &s;
        struct fx_machine eve;
        clan_open(c, 1, 1);
        fx_machine(&c->f, &eve);
        struct fx_stmt a = fx_admission(&c->f, &c->nas, &c->bob_invite, &eve, FX_NOW);
        struct fx_stmt r = fx_receipt(&c->f, &c->nas, 0, &c->bob_invite, &eve, &a, 1, 2);
        if (order & 1)
            OK(give(c, c->bob_receipt));
        OK(give(c, a));
        if (order & 2)
            OK(give(c, r));
        if (!(order & 1))
            OK(give(c, c->bob_receipt));
        IS(&c->bob, PROVISIONAL);
        IS(&eve, PROVISIONAL);
        assert_true(member_find(c->m, c->bob.id)->conflict);
        assert_true(member_find(c->m, eve.id)->conflict);
        assert_true(alarmed(c->m, MEMBER_ALARM_SHARED_LINK));
        OK(give(c, fx_receipt(&c->f, NULL, 0, &c->bob_invite, &c->bob, &c->bob_admission, 0, 1)));
        IS(&c->bob, CONFIRMED); /* an admin says which */
        IS(&eve, PROVISIONAL);
        clan_close(c);
    }
}

static void test_many_uses(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_invite in;
    struct fx_machine g[4];
    struct fx_stmt a[4];
    clan_open(c, 1, 1);
    fx_invite(&c->f, &in, 3, 2, 1);
    OK(give(c, in.stmt));
    for (int i = 0; i < 4; i++) {
        fx_machine(&c->f, &g[i]);
        a[i] = fx_admission(&c->f, &c->nas, &in, &g[i], FX_NOW);
        OK(give(c, a[i]));
        IS(&g[i], PROVISIONAL);
    }
    assert_true(alarmed(c->m, MEMBER_ALARM_SHARED_LINK));
    for (unsigned i = 0; i < 3; i++) {
        OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in, &g[i], &a[i], i + 1, i + 1)));
        IS(&g[i], CONFIRMED);
    }
    IS(&g[3], PROVISIONAL); /* over the number */
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in, &g[3], &a[3], 2, 9)));
    IS(&g[0], CONFIRMED);
    IS(&g[1], PROVISIONAL); /* place 2 twice */
    IS(&g[2], CONFIRMED);
    IS(&g[3], PROVISIONAL);
    assert_true(alarmed(c->m, MEMBER_ALARM_TWO_RECEIPTS));
    clan_close(c);
}

static void test_approve(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_invite in;
    struct fx_machine g;
    clan_open(c, 1, 1);
    fx_invite(&c->f, &in, 1, 2, 1);
    in.body.approve = 1;
    OK(give(c, fx_invite_state(&c->f, &in, STMT_INVITE_OPEN, 2, 1)));
    fx_machine(&c->f, &g);
    struct fx_stmt a = fx_admission(&c->f, &c->nas, &in, &g, FX_NOW);
    OK(give(c, a));
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in, &g, &a, 1, 1)));
    IS(&g, PROVISIONAL);
    OK(give(c, fx_receipt(&c->f, NULL, 0, &in, &g, &a, 0, 1)));
    IS(&g, CONFIRMED);
    clan_close(c);
}

/* ---- invitations (A4) ---- */
static void test_invitations(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 3, 2);
    static const struct {
        uint32_t uses;
        int64_t seconds;
        unsigned signers;
        clan_status status;
    } row[] = {
        {1, 3600, 1, CLAN_OK}, {5, 86400, 2, CLAN_OK},
        {6, 86400, 1, CLAN_E_AUTH},                         /* a cap and one */
        {5, 86401, 1, CLAN_E_AUTH}, {6, 86400, 3, CLAN_OK}, /* M of N */
        {5, 864000, 6, CLAN_OK}, {1, 3600, 8, CLAN_E_AUTH}, /* no admin */
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct fx_invite in;
        fx_invite(&c->f, &in, 1, 2, 1);
        in.body.uses = row[i].uses;
        in.body.expires = in.body.created + row[i].seconds;
        clan_status r = give(c, fx_invite_state(&c->f, &in, STMT_INVITE_OPEN, 1, row[i].signers));
        if (r != row[i].status)
            print_error("row %zu: %d %s\n", i, r, c->e.what);
        assert_int_equal(r, row[i].status);
    }
    /* closing: any one admin, the higher number wins, in both orders */
    for (int order = 0; order < 2; order++) {
        struct fx_invite in;
        fx_invite(&c->f, &in, 4, 2, 1);
        struct fx_stmt closed = fx_invite_state(&c->f, &in, STMT_INVITE_CLOSED, 2, 2);
        OK(give(c, order ? closed : in.stmt));
        OK(give(c, order ? in.stmt : closed));
        assert_true(member_invite_find(c->m, in.id)->closed);
        assert_int_equal(member_invite_find(c->m, in.id)->body.uses, 4);
    }
    clan_close(c);
}

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

/* ---- records, acknowledgements ---- */
static void test_records(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    size_t before = member_stmt_count(c->m);
    OK(give(c, fx_record(&c->f, &c->bob, 3, FX_NOW)));
    OK(give(c, fx_record(&c->f, &c->bob, 2, FX_NOW))); /* older: passed over */
    assert_int_equal(member_find(c->m, c->bob.id)->record_seq, 3);
    assert_int_equal(member_stmt_count(c->m), before + 1);
    OK(give(c, fx_record(&c->f, &c->bob, 3, FX_NOW + 1)));
    assert_true(member_find(c->m, c->bob.id)->clone);
    assert_true(alarmed(c->m, MEMBER_ALARM_CLONE));
    OK(give(c, fx_record(&c->f, &c->bob, 4, FX_NOW)));
    assert_false(member_find(c->m, c->bob.id)->clone);
    assert_int_equal(member_stmt_count(c->m), before + 1);
    OK(give(c, fx_ack(&c->f, &c->bob, 1, 1)));
    OK(give(c, fx_ack(&c->f, &c->bob, 2, 2)));
    OK(give(c, fx_ack(&c->f, &c->bob, 1, 9)));
    assert_int_equal(member_find(c->m, c->bob.id)->acked_version, 2);
    assert_int_equal(member_stmt_count(c->m), before + 2);
    /* an identity cannot be changed by a record */
    struct fx_machine other;
    fx_machine(&c->f, &other);
    memcpy(other.id, c->bob.id, 32);
    assert_int_equal(give(c, fx_record(&c->f, &other, 9, FX_NOW)), CLAN_E_AUTH);
    clan_close(c);
}

/* ---- bounds (D1) ---- */
static void test_quota(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    for (unsigned i = 0; i < MEMBER_NEW_PER_HOUR + 1; i++) {
        uint8_t body[8] = {(uint8_t)i};
        struct fx_stmt k = fx_sign(
            &c->f, STMT_OFFER, c->bob.id, i + 1, body, sizeof body, 0, c->bob.identity_secret);
        clan_status r = give(c, k);
        assert_int_equal(r, i < MEMBER_NEW_PER_HOUR ? CLAN_OK : CLAN_E_LIMIT);
        if (r == CLAN_E_LIMIT) {
            assert_true(alarmed(c->m, MEMBER_ALARM_QUOTA));
            assert_int_equal(member_apply(c->m, k.raw, k.size, 2, NULL, NULL), CLAN_OK);
        }
    }
    /* an unknown kind: the same; of somebody who does not belong: no */
    struct fx_machine eve;
    fx_machine(&c->f, &eve);
    struct fx_stmt k = fx_sign(&c->f, 99, eve.id, 1, "x", 1, 0, eve.identity_secret);
    size_t before = member_stmt_count(c->m);
    OK(give(c, k));
    assert_int_equal(member_stmt_count(c->m), before);
    k = fx_sign(&c->f, 99, c->nas.id, 1, "x", 1, 0, c->nas.identity_secret);
    OK(give(c, k));
    assert_int_equal(member_stmt_count(c->m), before + 1);
    /* critical, by the admins: this release must only read */
    k = fx_sign(&c->f, 99 | STMT_CRITICAL, (uint8_t[32]){0}, 1, "y", 1, 1, NULL);
    OK(give(c, k));
    assert_int_equal(member_critical_count(c->m), 1);
    clan_close(c);
}

static void test_waiting_is_bounded(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_machine eve;
    clan_open(c, 1, 1);
    fx_machine(&c->f, &eve);
    for (unsigned i = 0; i < 300; i++)
        OK(give(c, fx_ack(&c->f, &eve, i + 1, 1)));
    assert_int_equal(member_waiting(c->m), 256);
    clan_close(c);
}

/* ---- names (B4) ---- */
static void named(
    struct clan *c, const struct clan_config *cfg, const struct fx_machine *x, const char *expected)
{
    char name[33], form[TEXT_ID_CHARS + 1], id[16];
    member_name(c->m, cfg, x->id, name);
    text_base32(x->id, 32, form);
    snprintf(id, sizeof id, "m-%.8s", form);
    assert_string_equal(name, expected ? expected : id);
    assert_ptr_equal(member_by_name(c->m, cfg, name), member_find(c->m, x->id));
    assert_ptr_equal(member_by_name(c->m, cfg, form), member_find(c->m, x->id));
}

static void test_names(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct clan_config cfg = {.version = 2};
    struct clan_config_machine entry[2] = {0};
    struct fx_invite in;
    struct fx_machine guest;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    fx_invite(&c->f, &in, 1, 2, 1);
    snprintf(in.body.for_name, sizeof in.body.for_name, "laptop");
    OK(give(c, fx_invite_state(&c->f, &in, STMT_INVITE_OPEN, 2, 1)));
    fx_machine(&c->f, &guest);
    OK(give(c, fx_admission(&c->f, &c->nas, &in, &guest, FX_NOW)));
    named(c, NULL, &c->nas, NULL);
    named(c, NULL, &guest, "laptop");
    cfg.machines = entry;
    cfg.machine_count = 1;
    memcpy(entry[0].id, c->nas.id, 32);
    snprintf(entry[0].name, 33, "nas");
    named(c, &cfg, &c->nas, "nas");
    snprintf(entry[0].name, 33, "laptop"); /* clan.yaml is above --for */
    named(c, &cfg, &c->nas, "laptop");
    named(c, &cfg, &guest, NULL);
    cfg.machine_count = 2; /* two equal claims */
    memcpy(entry[1].id, c->bob.id, 32);
    snprintf(entry[1].name, 33, "laptop");
    named(c, &cfg, &c->nas, NULL);
    named(c, &cfg, &c->bob, NULL);
    snprintf(entry[1].name, 33, "files"); /* services are above machines */
    cfg.service_count = 1;
    snprintf(cfg.services[0].name, 33, "files");
    named(c, &cfg, &c->bob, NULL);
    clan_close(c);
}

/* ---- what a guest sees ---- */
static bool guest_sees(struct clan *c, const struct fx_machine *guest, const uint8_t id[32])
{
    size_t i = member_stmt_index(c->m, id);
    assert_true(i != SIZE_MAX);
    return member_may_see(c->m, NULL, member_find(c->m, guest->id), c->nas.id, i);
}

static void test_guest_view(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_invite in;
    struct fx_machine guest;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    struct fx_stmt bob_record = fx_record(&c->f, &c->bob, 2, FX_NOW);
    struct fx_stmt nas_record = fx_record(&c->f, &c->nas, 2, FX_NOW);
    OK(give(c, bob_record));
    OK(give(c, nas_record));
    fx_invite(&c->f, &in, 1, 2, 1);
    OK(give(c, in.stmt));
    fx_machine(&c->f, &guest);
    struct fx_stmt a = fx_admission(&c->f, &c->nas, &in, &guest, FX_NOW);
    OK(give(c, a));
    assert_true(guest_sees(c, &guest, c->f.genesis.id));
    assert_true(guest_sees(c, &guest, c->f.v[2].id));
    assert_true(guest_sees(c, &guest, c->founder.id));
    assert_true(guest_sees(c, &guest, nas_record.id));
    assert_true(guest_sees(c, &guest, in.stmt.id));
    assert_true(guest_sees(c, &guest, a.id));
    assert_false(guest_sees(c, &guest, bob_record.id)); /* no roster */
    assert_false(guest_sees(c, &guest, c->bob_admission.id));
    assert_false(guest_sees(c, &guest, c->bob_invite.stmt.id));
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &in, &guest, &a, 1, 8)));
    assert_true(guest_sees(c, &guest, bob_record.id));
    /* somebody else comes by its link: it is told who, and no more */
    struct fx_machine rival;
    fx_machine(&c->f, &rival);
    struct fx_stmt second = fx_admission(&c->f, &c->nas, &in, &rival, FX_NOW);
    OK(give(c, second));
    assert_int_equal(member_find(c->m, guest.id)->standing, MEMBER_PROVISIONAL);
    assert_true(guest_sees(c, &guest, second.id));
    assert_true(guest_sees(c, &rival, a.id));
    assert_false(guest_sees(c, &guest, bob_record.id));
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

/* ---- order of arrival ---- */
#define MANY 64
static uint32_t lcg(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static size_t story(struct clan *c, struct fx_machine *g, struct fx_stmt *all)
{
    size_t n = 0;
    struct fx_invite in[5], shared;
    struct fx_stmt a[6];
    all[n++] = c->f.genesis;
    all[n++] = c->founder;
    all[n++] = c->f.v[2];
    all[n++] = c->bob_invite.stmt;
    all[n++] = c->bob_admission;
    all[n++] = c->bob_receipt;
    for (int i = 0; i < 5; i++) { /* a line of doors: nas, bob, 0, 1, ... */
        fx_machine(&c->f, &g[i]);
        fx_invite(&c->f, &in[i], 1, 2, 1);
        all[n++] = in[i].stmt;
        a[i] = fx_admission(&c->f, i == 0 ? &c->bob : &g[i - 1], &in[i], &g[i], FX_NOW);
        all[n++] = a[i];
        all[n++] = fx_receipt(&c->f, &c->nas, 0, &in[i], &g[i], &a[i], 1, (uint64_t)i + 2);
        all[n++] = fx_record(&c->f, &g[i], 2, FX_NOW);
        all[n++] = fx_record(&c->f, &g[i], 3, FX_NOW);
        all[n++] = fx_ack(&c->f, &g[i], 1, 2);
    }
    all[n++] = fx_record(&c->f, &g[1], 3, FX_NOW + 7); /* a clone */
    all[n++] = fx_record(&c->f, &g[1], 3, FX_NOW + 8);
    fx_machine(&c->f, &g[5]); /* one link, two machines */
    a[5] = fx_admission(&c->f, &g[2], &in[3], &g[5], FX_NOW);
    all[n++] = a[5];
    all[n++] = fx_receipt(&c->f, &c->nas, 0, &in[3], &g[5], &a[5], 1, 20);
    all[n++] = fx_removal(&c->f, &g[0], 2, 1); /* a removed door, with guests */
    fx_machine(&c->f, &g[6]);
    fx_invite(&c->f, &shared, 2, 2, 1);
    all[n++] = shared.stmt;
    all[n++] = fx_admission(&c->f, &g[0], &shared, &g[6], FX_NOW - 10);
    all[n++] = fx_invite_state(&c->f, &shared, STMT_INVITE_CLOSED, 2, 1);
    struct stmt_envelope b = fx_envelope_body(&c->f, 3, 7, 2, g[2].id);
    c->f.v[3] = fx_envelope(&c->f, &b, 1);
    all[n++] = c->f.v[3];
    struct stmt_envelope old = fx_envelope_body(&c->f, 2, 1, 1, c->bob.id);
    old.time = 1;
    all[n++] = fx_envelope(&c->f, &old, 1); /* evidence, once 3 is there */
    all[n++] = fx_leave(&c->f, &g[4]);
    return n;
}

static void test_orders(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_machine g[7];
    struct fx_stmt all[MANY];
    uint8_t digest[32], first[32];
    enum member_standing stand[9] = {0};
    uint32_t seed = 7;
    clan_open(c, 1, 1);
    size_t n = story(c, g, all);
    assert_true(n <= MANY);
    for (int round = 0; round < 200; round++) {
        struct member_set *m = member_new();
        size_t order[MANY], evidence = n - 2;
        for (size_t i = 0; i < n; i++)
            order[i] = i;
        for (size_t i = n - 1; i > 0 && round > 0; i--) {
            size_t k = lcg(&seed) % (i + 1), t = order[i];
            order[i] = order[k];
            order[k] = t;
        }
        /* what was refused (of a removed machine) or pushed out comes again: as by anti-entropy */
        for (int pass = 0; pass < 3; pass++)
            for (size_t i = 0; i < n; i++)
                if (order[i] != evidence || member_head(m, NULL, NULL) >= 3)
                    member_apply(m, all[order[i]].raw, all[order[i]].size, 0, NULL, NULL);
        member_digest(m, digest);
        const struct fx_machine *who[9] = {
            &c->nas, &c->bob, &g[0], &g[1], &g[2], &g[3], &g[4], &g[5], &g[6]};
        for (int i = 0; i < 9; i++) {
            if (round == 0)
                stand[i] = standing(m, who[i]);
            assert_int_equal(standing(m, who[i]), stand[i]);
        }
        assert_true(member_find(m, g[1].id)->clone);
        assert_int_equal(member_head(m, NULL, NULL), 3);
        if (round == 0)
            memcpy(first, digest, 32);
        assert_memory_equal(digest, first, 32);
        member_free(m);
    }
    static const enum member_standing expected[9] = {MEMBER_CONFIRMED, MEMBER_CONFIRMED,
        MEMBER_REVOKED, MEMBER_CONFIRMED, MEMBER_CONFIRMED, MEMBER_PROVISIONAL, MEMBER_REVOKED,
        MEMBER_PROVISIONAL, MEMBER_UNKNOWN};
    assert_memory_equal(stand, expected, sizeof expected);
    clan_close(c);
}

/* A log in the set's order loads in one pass, and gives the same. */
static void test_reload(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct fx_machine g[7];
    struct fx_stmt all[MANY];
    uint8_t a[32], b[32], x[2048], y[2048];
    clan_open(c, 1, 1);
    size_t n = story(c, g, all);
    for (size_t i = 0; i < n; i++)
        member_apply(c->m, all[i].raw, all[i].size, 0, NULL, NULL);
    struct member_set *m = member_new();
    for (size_t i = 0; i < member_stmt_count(c->m); i++) {
        const uint8_t *raw;
        size_t size;
        struct member_effect effect;
        assert_int_equal(member_stmt_at(c->m, i, &raw, &size, NULL, NULL), CLAN_OK);
        assert_int_equal(member_apply(m, raw, size, 0, &effect, NULL), CLAN_OK);
        assert_true(effect.is_new);
    }
    member_digest(c->m, a);
    member_digest(m, b);
    assert_memory_equal(a, b, 32);
    member_buckets(c->m, x);
    member_buckets(m, y);
    assert_memory_equal(x, y, 2048);
    member_free(m);
    clan_close(c);
}

/* What the first hop drops and a store fails to take leaves no trace. */
static void test_check_changes_nothing(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct member_effect effect;
    uint8_t a[32], b[32];
    clan_open(c, 1, 1);
    member_digest(c->m, a);
    assert_int_equal(
        member_check(c->m, c->bob_receipt.raw, c->bob_receipt.size, 1, &effect, NULL), CLAN_OK);
    assert_true(effect.is_new);
    member_digest(c->m, b);
    assert_memory_equal(a, b, 32);
    IS(&c->bob, PROVISIONAL);
    assert_int_equal(member_check(c->m, "x", 1, 1, &effect, NULL), CLAN_E_INVAL);
    assert_int_equal(
        member_check(c->m, c->bob_receipt.raw, c->bob_receipt.size, 1, &effect, NULL), CLAN_OK);
    assert_int_equal(member_add(c->m, &effect, NULL), CLAN_OK);
    IS(&c->bob, CONFIRMED);
    clan_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_admission_refused),
        cmocka_unit_test(test_forged_receipts),
        cmocka_unit_test(test_keeper_majority),
        cmocka_unit_test(test_shared_link),
        cmocka_unit_test(test_many_uses),
        cmocka_unit_test(test_approve),
        cmocka_unit_test(test_invitations),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_retired_genesis_key),
        cmocka_unit_test(test_removed_door),
        cmocka_unit_test(test_removed_keeper_door),
        cmocka_unit_test(test_leave),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_waiting_is_bounded),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_guest_view),
        cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_check_changes_nothing),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
