/* Statements in any order give one result; what is refused changes nothing. */
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
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_check_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
