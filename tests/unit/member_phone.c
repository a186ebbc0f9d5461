/* Phones: who may admit one, what binds it to its gateway, and what ends it; with real signatures. */
#include "member_clan.h"
#include "noise/keys.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct phone {
    struct fx_invite invite;
    struct fx_machine x; /* its identity, ID and record as an admission holds them */
    struct fx_stmt admission;
    uint8_t raw[STMT_MAX], record[STMT_MAX];
    clan_status made;
};

static void invite_phone(struct clan *c, struct fx_invite *i, const struct fx_machine *gateway)
{
    fx_invite(&c->f, i, 1, 2, 1);
    memcpy(i->body.gateway, gateway->id, 32);
    i->stmt = fx_invite_state(&c->f, i, STMT_INVITE_OPEN, 1, 1);
}

/* What `by` makes of the invitation with its own keys. */
static void make(struct clan *c, struct phone *p, const struct fx_machine *by, uint8_t key)
{
    struct join_phone j = {
        .root = by->root, .gateway_secret = by->identity_secret, .seq = 9, .wall = FX_NOW};
    struct stmt s;
    struct stmt_admission b;
    uint8_t seed[32], public[32];
    memcpy(j.seed, p->invite.seed, 16);
    memcpy(j.gateway_id, by->id, 32);
    memset(j.wireguard, key, 32);
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    p->made = join_make_phone(c->m, &j, p->raw, &p->admission.size, p->x.id, &c->e);
    if (p->made != CLAN_OK)
        return;
    p->admission.raw = p->raw;
    assert_int_equal(stmt_parse(p->raw, p->admission.size, &s, NULL), CLAN_OK);
    memcpy(p->admission.id, s.id, 32);
    assert_int_equal(stmt_get_admission(&s, &b), CLAN_OK);
    memcpy(p->record, b.record, b.record_size);
    p->x.record = (struct fx_stmt){.raw = p->record, .size = b.record_size};
    keys_phone(by->root, p->invite.id, seed);
    keys_sign_pair(seed, p->x.identity_secret, public);
}

static struct fx_stmt receipt(struct clan *c, const struct phone *p)
{
    return fx_receipt(&c->f, &c->nas, 0, &p->invite, &p->x, &p->admission, 1, 5);
}

/* Not counted against its admin's hour. */
static clan_status later(struct clan *c, struct fx_stmt s)
{
    return member_apply(c->m, s.raw, s.size, 0, NULL, &c->e);
}

static void admit(struct clan *c, struct phone *p, const struct fx_machine *by, uint8_t key)
{
    memset(p, 0, sizeof *p);
    invite_phone(c, &p->invite, by);
    OK(later(c, p->invite.stmt));
    make(c, p, by, key);
    OK(p->made);
    OK(give(c, p->admission));
    OK(give(c, receipt(c, p)));
}

static unsigned behind(const struct clan *c, const struct fx_machine *gateway)
{
    const struct member_machine *list[MEMBER_PHONES_MAX];
    return member_phones(c->m, member_find(c->m, gateway->id), list);
}

/* An admission by hand: as somebody writes it who does not care for the rules. */
static struct fx_stmt forged(struct clan *c, uint8_t how, const struct fx_machine *door,
    const struct fx_invite *i, const struct fx_stmt *record)
{
    uint8_t body[4096], text[KEYS_PROOF_MAX];
    size_t n;
    struct stmt_admission b = {
        .how = how, .time = FX_NOW, .record = record->raw, .record_size = (uint16_t)record->size};
    memcpy(b.invite_id, i->id, 16);
    unsigned t = keys_join_proof(c->f.clan, i->id, b.record, b.record_size, text);
    crypto_sign_detached(b.proof, NULL, text, t, i->secret);
    assert_int_equal(stmt_put_admission(&b, body, sizeof body, &n), CLAN_OK);
    return fx_sign(
        &c->f, STMT_ADMISSION, door->id, 77, body, n, 0, (const uint8_t *)door->identity_secret);
}

static void a_phone_is_a_member_behind_its_gateway(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct phone p = {0};
    const struct member_machine *list[MEMBER_PHONES_MAX];
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    invite_phone(c, &p.invite, &c->bob);
    strcpy(p.invite.body.for_name, "pixel");
    p.invite.stmt = fx_invite_state(&c->f, &p.invite, STMT_INVITE_OPEN, 1, 1);
    OK(give(c, p.invite.stmt));
    make(c, &p, &c->bob, 0x11);
    OK(p.made);
    OK(give(c, p.admission));
    IS(&p.x, PROVISIONAL);
    assert_int_equal(behind(c, &c->bob), 0); /* nobody carries it before it is confirmed */
    OK(give(c, receipt(c, &p)));
    IS(&p.x, CONFIRMED);
    const struct member_machine *m = member_find(c->m, p.x.id);
    assert_true(m->phone);
    assert_false(member_find(c->m, c->bob.id)->phone);
    assert_memory_equal(m->door, c->bob.id, 32);
    assert_int_equal(member_phones(c->m, member_find(c->m, c->bob.id), list), 1);
    assert_ptr_equal(list[0], m);
    assert_int_equal(behind(c, &c->nas), 0);
    char name[33];
    member_name(c->m, NULL, p.x.id, name);
    assert_string_equal(name, "pixel");
    uint8_t key[32];
    memset(key, 0x11, 32);
    assert_ptr_equal(member_find_key(c->m, KEY_WIREGUARD, key, false), m);
    assert_null(stmt_record_find(&m->record, KEY_LINK)); /* nobody dials it, it opens no session */
    assert_null(stmt_record_find(&m->record, KEY_CONTROL));
    clan_close(c);
}

static void only_the_named_gateway_admits(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct phone p = {0}, q = {0};
    struct fx_machine eve;
    struct fx_invite open;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    invite_phone(c, &p.invite, &c->nas);
    make(c, &p, &c->nas, 0x11);
    assert_int_equal(p.made, CLAN_E_AUTH); /* no such invitation yet */
    OK(give(c, p.invite.stmt));
    make(c, &p, &c->bob, 0x11);
    assert_int_equal(p.made, CLAN_E_AUTH);
    make(c, &p, &c->nas, 0x11);
    OK(p.made);
    /* bob writes the admission all the same, and a keeper is fooled: it counts for nobody */
    struct fx_stmt a = forged(c, STMT_ADMIT_PHONE, &c->bob, &p.invite, &p.x.record);
    OK(give(c, a));
    IS(&p.x, UNKNOWN);
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &p.invite, &p.x, &a, 1, 5)));
    IS(&p.x, UNKNOWN);
    /* a machine by a phone's invitation, a phone by a machine's */
    fx_machine(&c->f, &eve);
    a = forged(c, STMT_ADMIT_JOIN, &c->nas, &p.invite, &eve.record);
    OK(give(c, a));
    IS(&eve, UNKNOWN);
    OK(give(c, fx_receipt(&c->f, &c->nas, 0, &p.invite, &eve, &a, 1, 6)));
    IS(&eve, UNKNOWN);
    fx_invite(&c->f, &open, 1, 2, 1);
    OK(give(c, open.stmt));
    invite_phone(c, &q.invite, &c->nas);
    OK(give(c, q.invite.stmt));
    make(c, &q, &c->nas, 0x12);
    OK(p.made);
    OK(give(c, forged(c, STMT_ADMIT_PHONE, &c->nas, &open, &q.x.record)));
    IS(&q.x, UNKNOWN);
    /* and one that is called the other */
    assert_int_equal(
        give(c, forged(c, STMT_ADMIT_PHONE, &c->nas, &p.invite, &eve.record)), CLAN_E_INVAL);
    assert_int_equal(
        give(c, forged(c, STMT_ADMIT_JOIN, &c->nas, &open, &q.x.record)), CLAN_E_INVAL);
    clan_close(c);
}

static void no_door_opens_by_a_phones_invitation(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct phone p = {0};
    struct fx_machine eve;
    uint8_t proof[64], text[KEYS_PROOF_MAX], hash[64] = {0};
    clan_open(c, 1, 1);
    invite_phone(c, &p.invite, &c->nas);
    fx_machine(&c->f, &eve);
    unsigned n =
        keys_join_proof(c->f.clan, p.invite.id, eve.record.raw, (uint32_t)eve.record.size, text);
    crypto_sign_detached(proof, NULL, text, n, p.invite.secret);
    for (int phone = 0; phone < 2; phone++) {
        if (!phone)
            memset(p.invite.body.gateway, 0, 32);
        else
            memcpy(p.invite.body.gateway, c->nas.id, 32);
        /* of two states of one invitation the newer stands */
        OK(give(c, fx_invite_state(&c->f, &p.invite, STMT_INVITE_OPEN, (uint64_t)phone + 1, 1)));
        assert_int_equal(join_door_check(c->m, p.invite.id, JOIN_MODE_JOIN, proof, eve.record.raw,
                             eve.record.size, eve.door, hash, FX_NOW, &c->e),
            phone ? CLAN_E_AUTH : CLAN_OK);
    }
    clan_close(c);
}

static void one_invitation_one_phone_one_key(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct phone p, q = {0};
    clan_open(c, 1, 1);
    admit(c, &p, &c->nas, 0x21);
    make(c, &p, &c->nas, 0x22);
    assert_int_equal(p.made, CLAN_E_USED);
    invite_phone(c, &q.invite, &c->nas);
    OK(give(c, q.invite.stmt));
    make(c, &q, &c->nas, 0x21);
    assert_int_equal(q.made, CLAN_E_CONFLICT);
    q.invite.body.expires = FX_NOW - 1;
    q.invite.body.created = FX_NOW - 2;
    OK(give(c, fx_invite_state(&c->f, &q.invite, STMT_INVITE_OPEN, 2, 1)));
    make(c, &q, &c->nas, 0x23);
    assert_int_equal(q.made, CLAN_E_EXPIRED);
    OK(give(c, fx_invite_state(&c->f, &q.invite, STMT_INVITE_CLOSED, 3, 1)));
    make(c, &q, &c->nas, 0x23);
    assert_int_equal(q.made, CLAN_E_USED);
    clan_close(c);
}

/* Whoever holds its identity, the gateway, makes no machine of it. */
static void it_stays_a_phone(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct phone p;
    uint8_t body[512];
    size_t n;
    clan_open(c, 1, 1);
    admit(c, &p, &c->nas, 0x31);
    struct stmt_record b = member_find(c->m, p.x.id)->record;
    b.keys[0].key[0] = 0x32; /* another key is one more record */
    assert_int_equal(stmt_put_record(&b, body, sizeof body, &n), CLAN_OK);
    OK(give(c, fx_sign(&c->f, STMT_RECORD, p.x.id, 2, body, n, 0, p.x.identity_secret)));
    b.keys[0].purpose = KEY_CONTROL;
    assert_int_equal(stmt_put_record(&b, body, sizeof body, &n), CLAN_OK);
    assert_int_equal(
        give(c, fx_sign(&c->f, STMT_RECORD, p.x.id, 3, body, n, 0, p.x.identity_secret)),
        CLAN_E_INVAL);
    b.keys[0].purpose = KEY_WIREGUARD;
    b.endpoint_count = 1;
    strcpy(b.endpoints[0].transport, "tcp-noise");
    strcpy(b.endpoints[0].text, "192.0.2.1:7117");
    assert_int_equal(stmt_put_record(&b, body, sizeof body, &n), CLAN_OK);
    assert_int_equal(
        give(c, fx_sign(&c->f, STMT_RECORD, p.x.id, 3, body, n, 0, p.x.identity_secret)),
        CLAN_E_INVAL);
    clan_close(c);
}

static void removal_ends_it(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct phone p, q;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    admit(c, &p, &c->bob, 0x41);
    admit(c, &q, &c->bob, 0x42);
    assert_int_equal(behind(c, &c->bob), 2);
    OK(give(c, fx_removal(&c->f, &p.x, 2, 1)));
    IS(&p.x, REVOKED);
    assert_int_equal(behind(c, &c->bob), 1);
    OK(give(c, fx_removal(&c->f, &c->bob, 2, 1))); /* nobody carries those of a removed gateway */
    assert_int_equal(behind(c, &c->bob), 0);
    clan_close(c);
}

static void a_gateway_has_so_many(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    static struct phone p[MEMBER_PHONES_MAX + 1];
    const struct member_machine *list[MEMBER_PHONES_MAX];
    clan_open(c, 1, 1);
    for (unsigned i = 0; i < MEMBER_PHONES_MAX; i++)
        admit(c, &p[i], &c->nas, (uint8_t)(0x51 + i));
    assert_int_equal(behind(c, &c->nas), MEMBER_PHONES_MAX);
    struct phone *more = &p[MEMBER_PHONES_MAX];
    invite_phone(c, &more->invite, &c->nas);
    OK(later(c, more->invite.stmt));
    make(c, more, &c->nas, 0x71);
    assert_int_equal(more->made, CLAN_E_LIMIT);
    /* one that comes all the same: everywhere the same ones count, the lowest IDs */
    more->x = p[0].x;
    uint8_t body[512], raw[STMT_MAX];
    size_t n;
    struct stmt t;
    struct stmt_record b = member_find(c->m, p[0].x.id)->record;
    memset(b.keys[0].key, 0x72, 32);
    assert_int_equal(stmt_put_record(&b, body, sizeof body, &n), CLAN_OK);
    static const uint8_t zero[32];
    struct fx_stmt record =
        fx_sign(&c->f, STMT_RECORD, zero, 1, body, n, 0, p[0].x.identity_secret);
    memcpy(raw, record.raw, record.size);
    assert_int_equal(stmt_parse(raw, record.size, &t, NULL), CLAN_OK);
    memcpy(more->x.id, t.id, 32);
    more->admission = forged(c, STMT_ADMIT_PHONE, &c->nas, &more->invite, &record);
    OK(give(c, more->admission));
    OK(give(c, receipt(c, more)));
    IS(&more->x, CONFIRMED);
    assert_int_equal(member_phones(c->m, member_find(c->m, c->nas.id), list), MEMBER_PHONES_MAX);
    const uint8_t *highest = more->x.id;
    for (unsigned i = 0; i < MEMBER_PHONES_MAX; i++)
        if (memcmp(p[i].x.id, highest, 32) > 0)
            highest = p[i].x.id;
    for (unsigned i = 0; i < MEMBER_PHONES_MAX; i++) {
        assert_int_not_equal(memcmp(list[i]->id, highest, 32), 0);
        assert_true(i == 0 || memcmp(list[i - 1]->id, list[i]->id, 32) < 0);
    }
    clan_close(c);
}

/* Also when its invitation is signed again for another gateway: then it is behind neither. */
static void in_every_order(void **state)
{
    (void)state;
    struct clan s, *c = &s;
    struct phone p;
    clan_open(c, 1, 1);
    OK(give(c, c->bob_receipt));
    admit(c, &p, &c->bob, 0x61);
    struct fx_stmt all[5] = {p.invite.stmt, p.admission, receipt(c, &p)};
    memcpy(p.invite.body.gateway, c->nas.id, 32);
    all[3] = fx_invite_state(&c->f, &p.invite, STMT_INVITE_OPEN, 2, 1);
    all[4] = c->bob_receipt; /* confirms the gateway */
    for (unsigned with = 3; with <= 4; with++)
        for (unsigned order = 0; order < 5 * 5 * 5 * 5 * 5; order++) {
            unsigned at[5], seen = 0, left = order;
            for (unsigned i = 0; i < 5; i++, left /= 5)
                seen |= 1u << (at[i] = left % 5);
            if (seen != 31)
                continue;
            struct member_set *m = member_new();
            const struct fx_stmt base[] = {
                c->f.genesis, c->founder, c->f.v[2], c->bob_invite.stmt, c->bob_admission};
            for (unsigned i = 0; i < 5; i++)
                member_apply(m, base[i].raw, base[i].size, 0, NULL, NULL);
            for (unsigned i = 0; i < 5; i++)
                if (at[i] != 3 || with == 4)
                    member_apply(m, all[at[i]].raw, all[at[i]].size, 0, NULL, NULL);
            assert_int_equal(standing(m, &p.x), with == 4 ? MEMBER_UNKNOWN : MEMBER_CONFIRMED);
            member_free(m);
        }
    clan_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_phone_is_a_member_behind_its_gateway),
        cmocka_unit_test(only_the_named_gateway_admits),
        cmocka_unit_test(no_door_opens_by_a_phones_invitation),
        cmocka_unit_test(one_invitation_one_phone_one_key),
        cmocka_unit_test(it_stays_a_phone),
        cmocka_unit_test(removal_ends_it),
        cmocka_unit_test(a_gateway_has_so_many),
        cmocka_unit_test(in_every_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
