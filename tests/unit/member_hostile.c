/* Membership against those who once had a say, and against members who mean ill. */
#include "member/gossip.h"
#include "member/member.h"
#include "member/stage.h"
#include "member_fixture.h"
#include "wire/limits.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct fx f;
static struct member_set *m;
static struct fx_machine nas;
static uint64_t revision;

static void take(struct fx_stmt s)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_status r = member_apply(m, s.raw, s.size, 0, NULL, &e);
    if (r != CLAN_OK)
        print_error("%s\n", e.what);
    assert_int_equal(r, CLAN_OK);
}

static enum member_standing standing(const struct fx_machine *x)
{
    const struct member_machine *found = member_find(m, x->id);
    return found ? found->standing : MEMBER_UNKNOWN;
}

#define IS(x, what) assert_int_equal(standing(x), MEMBER_##what)

static void found(unsigned admins, unsigned threshold)
{
    fx_open(&f, admins, threshold, 3);
    m = member_new();
    assert_non_null(m);
    take(f.genesis);
    fx_machine(&f, &nas);
    take(fx_founder(&f, &nas, 1));
    struct stmt_envelope b = fx_envelope_body(&f, 2, (1u << admins) - 1, threshold, nas.id);
    f.v[2] = fx_envelope(&f, &b, (1u << admins) - 1);
    take(f.v[2]);
}

static int teardown(void **state)
{
    (void)state;
    member_free(m);
    fx_close(&f);
    return 0;
}

static struct fx_stmt admit(struct fx_machine *x, struct fx_invite *in, uint64_t version, int admin)
{
    fx_machine(&f, x);
    fx_invite(&f, in, 1, version, 1u << admin);
    take(in->stmt);
    struct fx_stmt a = fx_admission(&f, &nas, in, x, FX_NOW);
    take(a);
    revision++;
    take(fx_receipt(&f, &nas, 0, in, x, &a, 1, revision));
    IS(x, CONFIRMED);
    return a;
}

/* A key that is no admin's any more dates an invitation back, and then a removal of who came by it. */
static void test_retired_key_reopens(void **state)
{
    (void)state;
    struct fx_machine carl;
    struct fx_invite in;
    for (int order = 0; order < 2; order++) {
        found(1, 1);
        struct stmt_envelope b = fx_envelope_body(&f, 3, 2, 1, nas.id);
        f.v[3] = fx_envelope(&f, &b, 1);
        take(f.v[3]);
        admit(&carl, &in, 3, 1);
        in.body.config_version = 2;
        struct fx_stmt back = fx_invite_state(&f, &in, STMT_INVITE_OPEN, 9, 1);
        struct fx_stmt removal = fx_removal(&f, &carl, 2, 1);
        take(order ? removal : back);
        take(order ? back : removal);
        IS(&carl, CONFIRMED);
        assert_false(member_invite_find(m, in.id)->closed);
        if (order == 0)
            teardown(NULL);
    }
}

/* What M admins removed does not come back by one admin who dates its invitation anew. */
static void test_removal_is_final(void **state)
{
    (void)state;
    struct fx_machine bob;
    struct fx_invite in;
    found(3, 2);
    admit(&bob, &in, 2, 0);
    take(fx_removal(&f, &bob, 2, 3));
    IS(&bob, REVOKED);
    struct stmt_envelope b = fx_envelope_body(&f, 3, 7, 2, nas.id);
    f.v[3] = fx_envelope(&f, &b, 3);
    take(f.v[3]);
    in.body.config_version = 3;
    take(fx_invite_state(&f, &in, STMT_INVITE_OPEN, 9, 4));
    IS(&bob, REVOKED);
}

static void test_most_uses(void **state)
{
    (void)state;
    struct fx_invite in;
    found(1, 1);
    fx_invite(&f, &in, 1, 2, 1);
    in.body.uses = UINT32_MAX;
    take(fx_invite_state(&f, &in, STMT_INVITE_OPEN, 1, 1));
    for (int i = 0; i < 12; i++) {
        struct fx_machine x;
        fx_machine(&f, &x);
        take(fx_admission(&f, &nas, &in, &x, FX_NOW));
        IS(&x, PROVISIONAL);
    }
}

static struct fx_stmt receipt_by(const struct fx_machine *const *by, unsigned count,
    const struct fx_invite *in, const struct fx_machine *x, const struct fx_stmt *admission)
{
    struct stmt_receipt body = {.slot = 0, .uses = 1, .generation = 2, .revision = 9};
    static uint8_t text[1024], raw[STMT_MAX];
    size_t n;
    memcpy(body.invite_id, in->id, 16);
    memcpy(body.machine, x->id, 32);
    memcpy(body.admission, admission->id, 32);
    assert_int_equal(stmt_put_receipt(&body, text, sizeof text, &n), CLAN_OK);
    struct fx_stmt s = fx_sign(&f, STMT_RECEIPT, by[0]->id, 9, text, n, 0, by[0]->identity_secret);
    memcpy(raw, s.raw, s.size);
    for (unsigned i = 1; i < count; i++)
        assert_int_equal(stmt_sign(raw, &s.size, by[i]->identity_secret), CLAN_OK);
    s.raw = raw;
    return s;
}

/* A keeper that is heard of late counts as one that was known before: the order makes nothing. */
static void test_late_keeper_counts(void **state)
{
    (void)state;
    struct fx_machine bob, carl, dora;
    struct fx_invite bob_in, carl_in, dora_in;
    found(1, 1);
    admit(&bob, &bob_in, 2, 0);
    fx_machine(&f, &carl);
    fx_invite(&f, &carl_in, 1, 2, 1);
    struct stmt_envelope b = fx_envelope_body(&f, 3, 1, 1, nas.id);
    b.keeper_count = 3;
    b.keeper_generation = 2;
    memcpy(b.keepers[1], bob.id, 32);
    memcpy(b.keepers[2], carl.id, 32);
    f.v[3] = fx_envelope(&f, &b, 1);
    take(f.v[3]);
    fx_machine(&f, &dora);
    fx_invite(&f, &dora_in, 1, 2, 1);
    take(dora_in.stmt);
    struct fx_stmt a = fx_admission(&f, &nas, &dora_in, &dora, FX_NOW);
    take(a);
    const struct fx_machine *const all[] = {&nas, &bob, &carl};
    take(receipt_by(all, 3, &dora_in, &dora, &a));
    IS(&dora, CONFIRMED);
    take(fx_removal(&f, &nas, 3, 1));
    IS(&dora, PROVISIONAL); /* bob alone, as far as is known here */
    take(carl_in.stmt);
    take(fx_admission(&f, &bob, &carl_in, &carl, FX_NOW));
    IS(&dora, CONFIRMED); /* bob and carl */
}

/* Three chains with as many behind them: none is taken until a keeper says which. */
static void test_three_rivals(void **state)
{
    (void)state;
    struct fx_machine who[6];
    struct fx_invite in;
    struct fx_stmt rival[3];
    const uint8_t *raw;
    size_t size;
    found(1, 1);
    for (int i = 0; i < 6; i++)
        admit(&who[i], &in, 2, 0);
    struct stage *s = stage_new(m);
    assert_non_null(s);
    for (int i = 0; i < 3; i++) {
        struct stmt_envelope b = fx_envelope_body(&f, 3, 1, 1, nas.id);
        b.time = FX_NOW + i;
        rival[i] = fx_envelope(&f, &b, 1);
        assert_true(stage_put(s, m, who[2 * i].id, rival[i].raw, rival[i].size, 0));
        stage_shown(s, who[2 * i].id, 3, rival[i].id);
        stage_shown(s, who[2 * i + 1].id, 3, rival[i].id);
        assert_int_equal(stage_next(s, m, &raw, &size), i == 0);
    }
    stage_shown(s, nas.id, 3, rival[1].id);
    assert_true(stage_next(s, m, &raw, &size));
    assert_int_equal(size, rival[1].size);
    assert_memory_equal(raw, rival[1].raw, size);
    stage_free(s);
}

/* ---- a member that sends the same piece of a configuration again and again ---- */

#define BODY_SIZE (2 * WIRE_CHUNK_MAX)

static unsigned asked[3];
static bool got_body;

static bool op_send(void *arg, uint32_t session, const clan_peer_PeerMsg *msg)
{
    (void)arg;
    asked[session] += msg->which_m == clan_peer_PeerMsg_want_blob_tag;
    return true;
}

static bool op_store(void *arg, const uint8_t *raw, size_t size, const struct member_effect *effect)
{
    (void)arg, (void)raw, (void)size, (void)effect;
    return true;
}

static void op_changed(void *arg, const struct member_effect *effect, uint32_t session)
{
    (void)arg, (void)effect, (void)session;
}

static void op_introduced(void *arg, uint32_t session, const uint8_t machine_id[32])
{
    (void)arg, (void)session, (void)machine_id;
}

static void op_drop(void *arg, uint32_t session, clan_status why, const char *text)
{
    (void)arg, (void)session, (void)why, (void)text;
}

static bool op_body_get(void *arg, const uint8_t hash[32], const uint8_t **data, size_t *size)
{
    (void)arg, (void)hash, (void)data, (void)size;
    return false;
}

static bool op_body_put(void *arg, const uint8_t hash[32], const uint8_t *data, size_t size)
{
    (void)arg, (void)hash, (void)data, (void)size;
    return got_body = true;
}

static void op_head(void *arg, uint32_t session, const clan_peer_Head *head)
{
    (void)arg, (void)session, (void)head;
}

static uint32_t op_random(void *arg, uint32_t below)
{
    (void)arg, (void)below;
    return 0;
}

static void test_stalled_body(void **state)
{
    (void)state;
    static const struct gossip_ops ops = {op_send, op_store, op_changed, op_introduced, op_drop,
        op_body_get, op_body_put, op_head, NULL, op_random};
    static clan_peer_PeerMsg piece;
    struct fx_machine bob, own;
    struct fx_invite in;
    uint64_t now = 1000;
    found(1, 1);
    admit(&bob, &in, 2, 0);
    admit(&own, &in, 2, 0);
    struct gossip *g = gossip_new(m, own.id, &ops, NULL);
    assert_non_null(g);
    gossip_up(g, 1, GOSSIP_PEER, bob.id, bob.control, now);
    gossip_up(g, 2, GOSSIP_PEER, nas.id, nas.control, now);
    clan_peer_Blob *p = &piece.m.blob;
    piece.which_m = clan_peer_PeerMsg_blob_tag;
    memset(p->hash, 7, 32);
    p->total = BODY_SIZE;
    p->data.size = WIRE_CHUNK_MAX;
    gossip_want_body(g, p->hash, now);
    assert_int_equal(asked[1], 1);
    for (int i = 0; i < 10 && !asked[2]; i++) {
        assert_true(gossip_recv(g, 1, &piece, now));
        now += 2000;
        gossip_tick(g, now);
    }
    assert_int_equal(asked[2], 1); /* somebody else */
    gossip_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_retired_key_reopens, teardown),
        cmocka_unit_test_teardown(test_removal_is_final, teardown),
        cmocka_unit_test_teardown(test_most_uses, teardown),
        cmocka_unit_test_teardown(test_late_keeper_counts, teardown),
        cmocka_unit_test_teardown(test_three_rivals, teardown),
        cmocka_unit_test_teardown(test_stalled_body, teardown),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
