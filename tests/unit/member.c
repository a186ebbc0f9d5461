/* Membership: joining, links, records, bounds, names: what statements decide, with real signatures. */
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
static void test_renewals(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    for (unsigned i = 0; i <= MEMBER_RECORDS_PER_HOUR; i++) {
        struct fx_stmt k = fx_record(&c->f, &c->bob, 2 + i, FX_NOW);
        clan_status r = member_apply(c->m, k.raw, k.size, 7, NULL, NULL);
        assert_int_equal(r, i < MEMBER_RECORDS_PER_HOUR ? CLAN_OK : CLAN_E_LIMIT);
    }
    assert_true(alarmed(c->m, MEMBER_ALARM_QUOTA));
    struct fx_stmt k = fx_record(&c->f, &c->bob, 2 + MEMBER_RECORDS_PER_HOUR, FX_NOW);
    struct fx_stmt other = fx_record(&c->f, &c->nas, 2, FX_NOW); /* has an hour of its own */
    OK(member_apply(c->m, other.raw, other.size, 7, NULL, NULL));
    OK(member_apply(c->m, k.raw, k.size, 8, NULL, NULL)); /* the next hour */
    assert_int_equal(
        member_find(c->m, c->bob.id)->record_seq, 2 + (uint64_t)MEMBER_RECORDS_PER_HOUR);
    clan_close(c);
}

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
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_renewals),
        cmocka_unit_test(test_quota),
        cmocka_unit_test(test_waiting_is_bounded),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_guest_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
