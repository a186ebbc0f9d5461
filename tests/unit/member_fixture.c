/* Builds signed statements of a made-up clan, for the tests of membership. */
#include "member_fixture.h"
#include "base/error.h"
#include "noise/keys.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t zero[32];

static void seed_of(struct fx *f, uint8_t *ret, size_t size)
{
    uint8_t in[8] = {0};
    f->counter++;
    memcpy(in, &f->counter, 4);
    crypto_generichash(
        ret, size < 16 ? 16 : size, in, sizeof in, (const uint8_t *)"member fixture ok", 17);
}

static struct fx_stmt keep(struct fx *f, const uint8_t *raw, size_t size)
{
    struct fx_stmt s = {.size = size};
    struct stmt parsed;
    struct clan_error e = CLAN_ERROR_INIT;
    s.raw = malloc(size);
    f->owned = realloc(f->owned, (f->owned_count + 1) * sizeof *f->owned);
    clan_assert(s.raw && f->owned);
    f->owned[f->owned_count++] = s.raw;
    memcpy(s.raw, raw, size);
    if (stmt_parse(s.raw, size, &parsed, &e) != CLAN_OK)
        fprintf(stderr, "fixture: %s: %s\n", e.what, e.why);
    clan_assert(stmt_parse(s.raw, size, &parsed, NULL) == CLAN_OK);
    memcpy(s.id, parsed.id, 32);
    return s;
}

struct fx_stmt fx_sign(struct fx *f, uint8_t kind, const uint8_t author[32], uint64_t seq,
    const void *body, size_t body_size, unsigned signers, const uint8_t *secret)
{
    static uint8_t raw[STMT_MAX];
    size_t size;
    clan_assert(stmt_build(kind, kind == STMT_GENESIS ? zero : f->clan, author, seq, body,
                    body_size, raw, &size) == CLAN_OK);
    for (unsigned i = 0; i < FX_ADMINS; i++)
        if (signers >> i & 1)
            clan_assert(stmt_sign(raw, &size, f->admin_secret[i]) == CLAN_OK);
    if (secret)
        clan_assert(stmt_sign(raw, &size, secret) == CLAN_OK);
    return keep(f, raw, size);
}

static void admins_fill(struct fx *f, struct stmt_admin *a, uint8_t *count, unsigned mask)
{
    for (unsigned i = 0; i < FX_ADMINS; i++) {
        if (!(mask >> i & 1))
            continue;
        memcpy(a[*count].key, f->admin_key[i], 32);
        snprintf(a[*count].name, sizeof a->name, "admin%u", i);
        (*count)++;
    }
}

void fx_open(struct fx *f, unsigned admins, unsigned threshold, uint32_t seed)
{
    uint8_t body[4096];
    size_t n;
    memset(f, 0, sizeof *f);
    f->counter = seed * 100000;
    for (unsigned i = 0; i < FX_ADMINS; i++) {
        uint8_t s[32];
        seed_of(f, s, 32);
        keys_sign_pair(s, f->admin_secret[i], f->admin_key[i]);
    }
    struct stmt_genesis g = {.time = FX_NOW, .clan = "home", .threshold = (uint8_t)threshold};
    seed_of(f, g.nonce, 16);
    admins_fill(f, g.admins, &g.admin_count, (1u << admins) - 1);
    clan_assert(stmt_put_genesis(&g, body, sizeof body, &n) == CLAN_OK);
    f->genesis = fx_sign(f, STMT_GENESIS, zero, 1, body, n, 1, NULL);
    memcpy(f->clan, f->genesis.id, 32);
    f->v[1] = f->genesis;
}

void fx_close(struct fx *f)
{
    for (size_t i = 0; i < f->owned_count; i++)
        free(f->owned[i]);
    free(f->owned);
}

struct stmt_envelope fx_envelope_body(
    struct fx *f, uint64_t version, unsigned admin_mask, unsigned threshold, const uint8_t *keeper)
{
    struct stmt_envelope b = {.version = version,
        .time = FX_NOW,
        .threshold = (uint8_t)threshold,
        .body_size = 100,
        .keeper_generation = 1,
        .min_protocol = 1};
    memcpy(b.previous, f->v[version - 1].id, 32);
    admins_fill(f, b.admins, &b.admin_count, admin_mask);
    b.body_hash[0] = (uint8_t)version;
    if (keeper) {
        b.keeper_count = 1;
        memcpy(b.keepers[0], keeper, 32);
    }
    return b;
}

struct fx_stmt fx_envelope(struct fx *f, const struct stmt_envelope *b, unsigned signers)
{
    uint8_t body[16384];
    size_t n;
    clan_assert(stmt_put_envelope(b, body, sizeof body, &n) == CLAN_OK);
    return fx_sign(f, STMT_ENVELOPE, zero, b->version, body, n, signers, NULL);
}

void fx_machine(struct fx *f, struct fx_machine *m)
{
    uint8_t raw[STMT_MAX], seed[32], public[32], secret[32];
    size_t size;
    memset(m, 0, sizeof *m);
    seed_of(f, m->root, 32);
    keys_identity(m->root, seed);
    keys_sign_pair(seed, m->identity_secret, public);
    keys_static(m->root, KEY_CONTROL, 1, secret, m->control);
    keys_static(m->root, KEY_DOOR, 1, secret, m->door);
    clan_assert(
        join_make_record(m->root, f->clan, 1, NULL, NULL, FX_NOW, raw, &size, m->id) == CLAN_OK);
    m->record = keep(f, raw, size);
}

struct fx_stmt fx_founder(struct fx *f, const struct fx_machine *m, unsigned signers)
{
    uint8_t body[4096];
    size_t n;
    struct stmt_admission b = {.how = STMT_ADMIT_FOUNDER,
        .time = FX_NOW,
        .record = m->record.raw,
        .record_size = (uint16_t)m->record.size};
    clan_assert(stmt_put_admission(&b, body, sizeof body, &n) == CLAN_OK);
    return fx_sign(f, STMT_ADMISSION, f->admin_key[0], 1, body, n, signers, NULL);
}

struct fx_stmt fx_invite_state(
    struct fx *f, struct fx_invite *i, uint8_t state, uint64_t seq, unsigned signers)
{
    uint8_t body[1024];
    size_t n;
    const uint8_t *author = zero;
    struct stmt_invitation b = i->body;
    b.state = state;
    for (int k = 0; k < FX_ADMINS; k++)
        if (signers == 1u << k)
            author = f->admin_key[k];
    clan_assert(stmt_put_invitation(&b, body, sizeof body, &n) == CLAN_OK);
    return fx_sign(f, STMT_INVITATION, author, seq, body, n, signers, NULL);
}

void fx_invite(struct fx *f, struct fx_invite *i, uint32_t uses, uint64_t version, unsigned signers)
{
    memset(i, 0, sizeof *i);
    seed_of(f, i->seed, 16);
    i->body.uses = uses;
    i->body.created = FX_NOW;
    i->body.expires = FX_NOW + 3600;
    i->body.config_version = version;
    keys_invite(i->seed, i->secret, i->public, i->body.x25519);
    memcpy(i->body.public_key, i->public, 32);
    keys_invite_id(i->public, i->id);
    i->stmt = fx_invite_state(f, i, STMT_INVITE_OPEN, 1, signers);
}

struct fx_stmt fx_admission(struct fx *f, const struct fx_machine *door, const struct fx_invite *i,
    const struct fx_machine *joiner, int64_t time)
{
    uint8_t body[4096], text[KEYS_PROOF_MAX];
    size_t n;
    struct stmt_admission b = {.how = STMT_ADMIT_JOIN,
        .time = time,
        .record = joiner->record.raw,
        .record_size = (uint16_t)joiner->record.size};
    memcpy(b.invite_id, i->id, 16);
    unsigned t = keys_join_proof(f->clan, i->id, b.record, b.record_size, text);
    crypto_sign_detached(b.proof, NULL, text, t, i->secret);
    clan_assert(stmt_put_admission(&b, body, sizeof body, &n) == CLAN_OK);
    return fx_sign(f, STMT_ADMISSION, door->id, (uint64_t)time, body, n, 0, door->identity_secret);
}

struct fx_stmt fx_receipt(struct fx *f, const struct fx_machine *by, int admin,
    const struct fx_invite *i, const struct fx_machine *m, const struct fx_stmt *admission,
    uint32_t place, uint64_t revision)
{
    uint8_t body[1024];
    size_t n;
    struct stmt_receipt b = {.slot = place ? place - 1 : 0,
        .uses = i ? i->body.uses : 1,
        .generation = 1,
        .revision = revision,
        .time = FX_NOW};
    if (i)
        memcpy(b.invite_id, i->id, 16);
    memcpy(b.machine, m->id, 32);
    memcpy(b.admission, admission->id, 32);
    clan_assert(stmt_put_receipt(&b, body, sizeof body, &n) == CLAN_OK);
    return fx_sign(f, STMT_RECEIPT, by ? by->id : f->admin_key[admin], revision, body, n,
        by ? 0 : 1u << admin, by ? by->identity_secret : NULL);
}

struct fx_stmt fx_record(struct fx *f, const struct fx_machine *m, uint64_t seq, int64_t time)
{
    uint8_t raw[STMT_MAX], id[32];
    size_t size;
    clan_assert(
        join_make_record(m->root, f->clan, seq, m->id, NULL, time, raw, &size, id) == CLAN_OK);
    return keep(f, raw, size);
}

static struct fx_stmt revocation(struct fx *f, const struct fx_machine *m, uint8_t reason,
    uint64_t version, unsigned signers, const uint8_t *secret)
{
    uint8_t body[1024];
    size_t n;
    struct stmt_revocation b = {.reason = reason, .time = FX_NOW + 100, .config_version = version};
    memcpy(b.machine, m->id, 32);
    clan_assert(stmt_put_revocation(&b, body, sizeof body, &n) == CLAN_OK);
    return fx_sign(f, STMT_REVOCATION, secret ? m->id : zero, 1, body, n, signers, secret);
}

struct fx_stmt fx_removal(
    struct fx *f, const struct fx_machine *m, uint64_t version, unsigned signers)
{
    return revocation(f, m, STMT_REVOKE_REMOVED, version, signers, NULL);
}

struct fx_stmt fx_leave(struct fx *f, const struct fx_machine *m)
{
    return revocation(f, m, STMT_REVOKE_LEFT, 1, 0, m->identity_secret);
}

struct fx_stmt fx_ack(struct fx *f, const struct fx_machine *m, uint64_t seq, uint64_t version)
{
    uint8_t body[256];
    size_t n;
    struct stmt_ack b = {.config_version = version};
    clan_assert(stmt_put_ack(&b, body, sizeof body, &n) == CLAN_OK);
    return fx_sign(f, STMT_ACK, m->id, seq, body, n, 0, m->identity_secret);
}
