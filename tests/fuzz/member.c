/*
 * Arbitrary statements for a set that has a clan in it.  Input: u8 how many bytes to change, that
 * many {u16 offset, u8 xor}, and then either u8 (below the number of made-up statements) or 255 and
 * raw bytes. Signatures keep a fuzzer out of everything that is interesting, so the made-up
 * statements are there to be bent.
 */
#include "../unit/member_fixture.h"
#include "base/buf.h"
#include "base/error.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fx f;
static struct fx_stmt story[24];
static unsigned primed, count;

/* What a gateway makes; the invitation has to be in a set for it. */
static void make_phone(const struct fx_machine *gateway)
{
    static uint8_t raw[STMT_MAX];
    struct fx_invite i;
    struct fx_machine x;
    struct fx_stmt a = {.raw = raw};
    struct stmt s;
    struct join_phone p = {.root = gateway->root,
        .gateway_secret = gateway->identity_secret,
        .wireguard = {9},
        .seq = 3,
        .wall = FX_NOW};
    struct member_set *m = member_new();
    fx_invite(&f, &i, 1, 2, 1);
    memcpy(i.body.gateway, gateway->id, 32);
    i.stmt = fx_invite_state(&f, &i, STMT_INVITE_OPEN, 1, 1);
    memcpy(p.seed, i.seed, 16);
    memcpy(p.gateway_id, gateway->id, 32);
    for (unsigned k = 0; k < 3; k++)
        clan_assert(member_apply(m, story[k].raw, story[k].size, 0, NULL, NULL) == CLAN_OK);
    clan_assert(member_apply(m, i.stmt.raw, i.stmt.size, 0, NULL, NULL) == CLAN_OK);
    clan_assert(join_make_phone(m, &p, raw, &a.size, x.id, NULL) == CLAN_OK);
    member_free(m);
    clan_assert(stmt_parse(raw, a.size, &s, NULL) == CLAN_OK);
    memcpy(a.id, s.id, 32);
    story[count++] = i.stmt;
    story[count++] = a;
    story[count++] = fx_receipt(&f, gateway, 0, &i, &x, &a, 1, 4);
}

static void make_story(void)
{
    static struct fx_machine nas, bob, eve;
    static struct fx_invite in, other;
    clan_assert(sodium_init() >= 0);
    fx_open(&f, 3, 2, 11);
    fx_machine(&f, &nas);
    fx_machine(&f, &bob);
    fx_machine(&f, &eve);
    fx_invite(&f, &in, 1, 2, 1);
    fx_invite(&f, &other, 3, 2, 1);
    struct stmt_envelope b = fx_envelope_body(&f, 2, 7, 2, nas.id);
    f.v[2] = fx_envelope(&f, &b, 3);
    story[count++] = f.genesis;
    story[count++] = fx_founder(&f, &nas, 1);
    story[count++] = f.v[2];
    story[count++] = in.stmt;
    story[count++] = fx_admission(&f, &nas, &in, &bob, FX_NOW);
    primed = count;
    struct fx_stmt a = story[4];
    story[count++] = fx_receipt(&f, &nas, 0, &in, &bob, &a, 1, 1);
    story[count++] = fx_receipt(&f, NULL, 0, &in, &bob, &a, 1, 1);
    story[count++] = fx_record(&f, &bob, 2, FX_NOW);
    story[count++] = fx_record(&f, &bob, 2, FX_NOW + 1);
    story[count++] = fx_ack(&f, &bob, 1, 2);
    story[count++] = fx_removal(&f, &bob, 2, 3);
    story[count++] = fx_leave(&f, &nas);
    story[count++] = other.stmt;
    story[count++] = fx_admission(&f, &nas, &other, &eve, FX_NOW);
    story[count++] = fx_admission(&f, &bob, &in, &eve, FX_NOW);
    b = fx_envelope_body(&f, 3, 3, 2, bob.id);
    f.v[3] = fx_envelope(&f, &b, 3);
    story[count++] = f.v[3];
    b.time = 9;
    story[count++] = fx_envelope(&f, &b, 3);
    b = fx_envelope_body(&f, 2, 1, 1, nas.id);
    story[count++] = fx_envelope(&f, &b, 7);
    story[count++] = fx_sign(&f, 77, nas.id, 1, "later", 5, 0, nas.identity_secret);
    story[count++] = fx_invite_state(&f, &in, STMT_INVITE_CLOSED, 2, 2);
    make_phone(&nas);
}

/* Whatever came in: what is answered fits together. */
static void look(const struct member_set *m)
{
    uint8_t digest[32], buckets[2048];
    size_t confirmed = 0;
    member_digest(m, digest);
    member_buckets(m, buckets);
    for (size_t i = 0; i < member_count(m); i++) {
        char name[33];
        const struct member_machine *x = member_at(m, i);
        member_name(m, NULL, x->id, name);
        clan_assert(member_find(m, x->id) == x);
        confirmed += x->standing == MEMBER_CONFIRMED;
        for (size_t k = 0; k < member_stmt_count(m); k++)
            (void)member_may_see(m, NULL, x, x->id, k);
    }
    clan_assert(confirmed <= 4);
    clan_assert(member_head(m, NULL, NULL) >= 2 && member_head(m, NULL, NULL) <= 3);
    clan_assert(member_waiting(m) <= 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t raw[STMT_MAX + 64];
    if (count == 0)
        make_story();
    struct member_set *m = member_new();
    for (unsigned i = 0; i < primed; i++)
        clan_assert(member_apply(m, story[i].raw, story[i].size, 0, NULL, NULL) == CLAN_OK);
    struct buf_reader r = buf_reader_of(data, size);
    while (r.left > 0 && !r.failed) {
        uint8_t changes = buf_get_u8(&r) % 8;
        const uint8_t *bent = buf_view(&r, (size_t)changes * 3);
        uint8_t which = buf_get_u8(&r);
        size_t n = which == 255 ? (r.left > sizeof raw ? sizeof raw : r.left) : 0;
        if (r.failed)
            break;
        if (which == 255) {
            memcpy(raw, buf_view(&r, n), n);
        } else {
            n = story[which % count].size;
            memcpy(raw, story[which % count].raw, n);
        }
        struct buf_reader c = buf_reader_of(bent, (size_t)changes * 3);
        for (unsigned i = 0; i < changes && n > 0; i++) {
            size_t at = buf_get_u16(&c) % n;
            raw[at] ^= buf_get_u8(&c);
        }
        struct clan_error e = CLAN_ERROR_INIT;
        (void)member_apply(m, raw, n, 1, NULL, &e);
    }
    look(m);
    member_free(m);
    return 0;
}
