/* Both sides of joining as pure checks (SECURITY A1, A3, A5, A7, A10). */
#include "member/join.h"
#include "base/buf.h"
#include "base/error.h"
#include "member/set.h"
#include "noise/keys.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define JOIN_FORMAT 1

clan_status join_payload(uint8_t mode, const uint8_t proof[64], const uint8_t *record,
    size_t record_size, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap < JOIN_PAYLOAD_MAX ? cap : JOIN_PAYLOAD_MAX);
    if (record_size > stmt_size_limit(STMT_RECORD))
        return CLAN_E_LIMIT;
    buf_put_u8(&w, JOIN_FORMAT);
    buf_put_u8(&w, mode);
    buf_put(&w, proof, 64);
    if (mode == JOIN_MODE_JOIN) {
        buf_put_u16(&w, (uint16_t)record_size);
        buf_put(&w, record, record_size);
    }
    if (w.failed)
        return CLAN_E_LIMIT;
    *ret_size = w.len;
    return CLAN_OK;
}

clan_status join_payload_parse(const uint8_t *data, size_t size, uint8_t *ret_mode,
    const uint8_t **ret_proof, const uint8_t **ret_record, size_t *ret_record_size)
{
    struct buf_reader r = buf_reader_of(data, size);
    uint8_t format = buf_get_u8(&r), mode = buf_get_u8(&r);
    const uint8_t *proof = buf_view(&r, 64), *record = NULL;
    size_t record_size = 0;
    if (mode == JOIN_MODE_JOIN) {
        record_size = buf_get_u16(&r);
        record = buf_view(&r, record_size);
    }
    if (!buf_done(&r) || format != JOIN_FORMAT || size > JOIN_PAYLOAD_MAX ||
        (mode != JOIN_MODE_JOIN && mode != JOIN_MODE_FETCH) ||
        (mode == JOIN_MODE_JOIN &&
            (record_size == 0 || record_size > stmt_size_limit(STMT_RECORD))))
        return CLAN_E_INVAL;
    *ret_mode = mode;
    *ret_proof = proof;
    *ret_record = record;
    *ret_record_size = record_size;
    return CLAN_OK;
}

static void record_keys(const uint8_t root[32], struct stmt_record *b)
{
    static const uint8_t purposes[] = {KEY_LINK, KEY_CONTROL, KEY_DOOR};
    b->key_count = sizeof purposes;
    for (unsigned i = 0; i < sizeof purposes; i++) {
        uint8_t secret[32];
        b->keys[i].purpose = purposes[i];
        b->keys[i].counter = 1;
        keys_static(root, purposes[i], 1, secret, b->keys[i].key);
        sodium_memzero(secret, sizeof secret);
    }
}

clan_status join_make_record(const uint8_t root[32], const uint8_t clan_id[32], uint64_t seq,
    const uint8_t machine_id[32], const struct stmt_record *body_endpoints_only, int64_t wall,
    uint8_t *ret_raw, size_t *ret_size, uint8_t ret_id[32])
{
    static const uint8_t zero[32];
    uint8_t seed[32], secret[64], body[4096];
    size_t body_size;
    struct stmt s;
    struct stmt_record b;
    if (seq == 0 || (seq == 1) != (machine_id == NULL))
        return CLAN_E_INVAL;
    memset(&b, 0, sizeof b);
    if (body_endpoints_only)
        b = *body_endpoints_only;
    b.generation = 1;
    b.time = wall;
    if (b.version_max == 0)
        b.version_min = b.version_max = 1;
    keys_identity(root, seed);
    keys_sign_pair(seed, secret, b.identity);
    record_keys(root, &b);
    clan_status r = stmt_put_record(&b, body, sizeof body, &body_size);
    if (r == CLAN_OK)
        r = stmt_build(STMT_RECORD, clan_id, machine_id ? machine_id : zero, seq, body, body_size,
            ret_raw, ret_size);
    if (r == CLAN_OK)
        r = stmt_sign(ret_raw, ret_size, secret);
    if (r == CLAN_OK)
        r = stmt_parse(ret_raw, *ret_size, &s, NULL);
    if (r == CLAN_OK)
        memcpy(ret_id, s.id, 32);
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(secret, sizeof secret);
    return r;
}

/* Does the seed's owner speak?  Whoever cannot show that is told nothing. */
static bool proof_ok(const struct member_set *m, const struct member_invite *in, uint8_t mode,
    const uint8_t proof[64], const uint8_t *record, size_t record_size,
    const uint8_t handshake_hash[64])
{
    uint8_t text[KEYS_PROOF_MAX];
    unsigned n =
        mode == JOIN_MODE_JOIN
            ? keys_join_proof(member_clan_id(m), in->id, record, (uint32_t)record_size, text)
            : keys_fetch_proof(member_clan_id(m), in->id, handshake_hash, text);
    return crypto_sign_verify_detached(proof, text, n, in->body.public_key) == 0;
}

struct joiner {
    struct stmt s;
    struct stmt_record record;
};

static clan_status record_ok(const struct member_set *m, const uint8_t *record, size_t record_size,
    const uint8_t peer_static[32], struct joiner *ret)
{
    static const uint8_t zero[32];
    if (stmt_parse(record, record_size, &ret->s, NULL) != CLAN_OK || ret->s.kind != STMT_RECORD ||
        ret->s.seq != 1 || memcmp(ret->s.author, zero, 32) ||
        memcmp(ret->s.clan, member_clan_id(m), 32) ||
        stmt_get_record(&ret->s, &ret->record) != CLAN_OK || ret->record.generation != 1 ||
        !stmt_signed_by(&ret->s, ret->record.identity))
        return CLAN_E_AUTH;
    const uint8_t *door = stmt_record_find(&ret->record, KEY_DOOR);
    return door && !memcmp(door, peer_static, 32) ? CLAN_OK : CLAN_E_AUTH;
}

/* Keys of somebody else: of a removed machine that comes again, or copied. */
static clan_status keys_free(
    const struct member_set *m, const struct joiner *j, struct clan_error *e)
{
    for (size_t i = 0; i < member_count(m); i++) {
        const struct member_machine *x = member_at(m, i);
        bool same = !memcmp(x->record.identity, j->record.identity, 32);
        for (unsigned k = 0; k < j->record.key_count && !same; k++) {
            const uint8_t *have = stmt_record_find(&x->record, j->record.keys[k].purpose);
            same = have && !memcmp(have, j->record.keys[k].key, 32);
        }
        if (!same || (!memcmp(x->id, j->s.id, 32) && x->standing != MEMBER_REVOKED))
            continue;
        if (x->standing == MEMBER_REVOKED) {
            err_set(e, CLAN_E_REVOKED, "this machine was removed from the clan");
            err_remedy(
                e, "it comes back with new keys and a new invitation: clan leave, then clan join");
            return CLAN_E_REVOKED;
        }
        return err_set(e, CLAN_E_CONFLICT, "another machine of this clan has the same keys");
    }
    return CLAN_OK;
}

/* Who came by an invitation, for the alarm on both sides (A7). */
static const struct member_machine *user_of(
    const struct member_set *m, const struct member_invite *in)
{
    for (size_t i = 0; i < member_count(m); i++)
        if (!memcmp(member_at(m, i)->invite_id, in->id, 16))
            return member_at(m, i);
    return NULL;
}

static clan_status invite_open(const struct member_set *m, const struct member_invite *in,
    int64_t wall, bool again, struct clan_error *e)
{
    if (again) /* the same machine, whose connection broke before it was told */
        return CLAN_OK;
    if (in->closed) {
        err_set(e, CLAN_E_WITHDRAWN, "this invitation was withdrawn");
        err_why(e, "an admin closed it, or a machine was removed after it was made");
        err_remedy(e, "ask for a new one");
        return CLAN_E_WITHDRAWN;
    }
    if (in->admitted >= in->body.uses) {
        char name[MACHINE_CARD_MAX] = "somebody";
        const struct member_machine *x = user_of(m, in);
        if (x)
            machine_card(m, machine_get(m, x->id), invite_get(m, in->id), name);
        err_set(e, CLAN_E_USED, "this invitation was already used");
        err_why(e, "by %s%s; if that was not you, somebody else had the link", name,
            in->admitted > 1 ? " and others" : "");
        err_remedy(e, "tell who invited you, and ask for a new one");
        return CLAN_E_USED;
    }
    if (wall > in->body.expires) {
        err_set(e, CLAN_E_EXPIRED, "this invitation has expired");
        err_why(e, "%lld minutes ago, by the clock of the machine that was asked",
            (long long)((wall - in->body.expires) / 60));
        err_remedy(e, "ask for a new one");
        return CLAN_E_EXPIRED;
    }
    return CLAN_OK;
}

clan_status join_door_check(const struct member_set *m, const uint8_t invite_id[16], uint8_t mode,
    const uint8_t proof[64], const uint8_t *record, size_t record_size,
    const uint8_t peer_static[32], const uint8_t handshake_hash[64], int64_t wall,
    struct clan_error *reterr)
{
    struct joiner j;
    bool again = false;
    const struct member_invite *in = member_clan_id(m) ? member_invite_find(m, invite_id) : NULL;
    if (!in || member_invite_for_phone(in) || (mode != JOIN_MODE_JOIN && mode != JOIN_MODE_FETCH) ||
        !proof_ok(m, in, mode, proof, record, record_size, handshake_hash))
        return err_set(reterr, CLAN_E_AUTH, "somebody asked without the right invitation");
    if (mode == JOIN_MODE_JOIN) {
        if (record_ok(m, record, record_size, peer_static, &j) != CLAN_OK)
            return err_set(reterr, CLAN_E_AUTH, "a joiner whose record is not that of its session");
        clan_status r = keys_free(m, &j, reterr);
        if (r != CLAN_OK)
            return r;
        const struct member_machine *x = member_find(m, j.s.id);
        again = x && !memcmp(x->invite_id, invite_id, 16);
        if (x && x->standing == MEMBER_REVOKED)
            return err_set(reterr, CLAN_E_REVOKED, "this machine was removed from the clan");
    }
    return invite_open(m, in, wall, again, reterr);
}

clan_status join_sign_admission(const struct member_set *m, const struct stmt_admission *b,
    const uint8_t door_id[32], const uint8_t door_secret[64], uint64_t seq, uint8_t *ret_raw,
    size_t *ret_size)
{
    size_t body_size, cap = stmt_size_limit(STMT_ADMISSION);
    uint8_t *body = malloc(cap);
    if (!body)
        return CLAN_E_NOMEM;
    clan_status r = stmt_put_admission(b, body, cap, &body_size);
    if (r == CLAN_OK)
        r = stmt_build(
            STMT_ADMISSION, member_clan_id(m), door_id, seq, body, body_size, ret_raw, ret_size);
    if (r == CLAN_OK)
        r = stmt_sign(ret_raw, ret_size, door_secret);
    free(body);
    return r;
}

clan_status join_make_admission(const struct member_set *m, const uint8_t invite_id[16],
    const uint8_t proof[64], const uint8_t *record, size_t record_size, const uint8_t door_id[32],
    const uint8_t door_secret[64], uint64_t seq, int64_t wall, uint8_t *ret_raw, size_t *ret_size)
{
    struct stmt_admission b = {.how = STMT_ADMIT_JOIN, .time = wall, .record = record};
    if (!member_clan_id(m) || record_size > UINT16_MAX)
        return CLAN_E_INVAL;
    b.record_size = (uint16_t)record_size;
    memcpy(b.invite_id, invite_id, 16);
    memcpy(b.proof, proof, 64);
    return join_sign_admission(m, &b, door_id, door_secret, seq, ret_raw, ret_size);
}

static const struct member_machine *door_of(
    const struct member_set *m, const uint8_t door_static[32], struct clan_error *e)
{
    const struct member_machine *x = member_find_key(m, KEY_DOOR, door_static, true);
    if (!x) {
        err_set(e, CLAN_E_AUTH, "the machine that answered did not show that it is in the clan");
        err_why(e, "no member's record has the key that it spoke with");
    } else if (x->standing == MEMBER_REVOKED) {
        err_set(e, CLAN_E_REVOKED, "the machine that answered was removed from the clan");
        x = NULL;
    } else if (x->standing != MEMBER_CONFIRMED) {
        err_set(e, CLAN_E_AUTH, "the machine that answered is itself not confirmed as a member");
        x = NULL;
    }
    if (!x)
        err_remedy(e, "ask for an invitation from another machine of the clan");
    return x;
}

clan_status join_verify(const struct member_set *m, const struct invite_link *link,
    const uint8_t door_static[32], const struct member_machine **ret_door,
    const struct member_invite **ret_invite, struct clan_error *reterr)
{
    uint8_t secret[64], public[32], x25519[32], id[16];
    if (!member_clan_id(m) || memcmp(member_clan_id(m), link->clan_id, 32))
        return err_set(reterr, CLAN_E_AUTH, "another clan answered than the one of the link");
    if (!member_chain_has(m, link->floor_version, link->floor_hash)) {
        err_set(reterr, CLAN_E_STALE, "the machine that answered knows less than the link");
        err_why(reterr, "the link was made at configuration version %u, shown were %llu",
            link->floor_version, (unsigned long long)member_head(m, NULL, NULL));
        err_remedy(
            reterr, "it may have been removed, or be behind: ask another machine of the clan");
        return CLAN_E_STALE;
    }
    keys_invite(link->seed, secret, public, x25519);
    sodium_memzero(secret, sizeof secret);
    keys_invite_id(public, id);
    const struct member_invite *in = member_invite_find(m, id);
    if (!in || memcmp(in->body.public_key, public, 32))
        return err_set(
            reterr, CLAN_E_AUTH, "the machine that answered does not know this invitation");
    const struct member_machine *door = door_of(m, door_static, reterr);
    if (!door)
        return reterr && reterr->status ? reterr->status : CLAN_E_AUTH;
    *ret_door = door;
    *ret_invite = in;
    return CLAN_OK;
}
