/* Bodies of what people sign: genesis, envelope, invitation, revocation. */
#include "statement/body.h"

#include "base/text.h"

#include <string.h>

struct buf_reader body_of(const struct stmt *s, uint8_t kind)
{
    struct buf_reader r = buf_reader_of(s->body, s->body_size);
    body_want(&r, s->kind == kind);
    return r;
}

clan_status body_got(const struct buf_reader *r)
{
    return r->failed ? CLAN_E_INVAL : CLAN_OK;
}

clan_status body_put(const struct buf_writer *w, size_t *ret_size)
{
    if (w->failed)
        return CLAN_E_LIMIT;
    *ret_size = w->len;
    return CLAN_OK;
}

/* M of N with M > N/2, each key once (SECURITY C1, L2). */
static bool admins_ok(const struct stmt_admin *admins, unsigned count, unsigned threshold)
{
    if (count < 1 || count > STMT_ADMINS_MAX || threshold > count || 2 * threshold <= count)
        return false;
    for (unsigned i = 0; i < count; i++) {
        if (!text_name_ok(admins[i].name))
            return false;
        for (unsigned j = 0; j < i; j++)
            if (memcmp(admins[i].key, admins[j].key, 32) == 0)
                return false;
    }
    return true;
}

static void put_admins(
    struct buf_writer *w, const struct stmt_admin *admins, uint8_t count, uint8_t threshold)
{
    body_want_put(w, admins_ok(admins, count, threshold));
    buf_put_u8(w, threshold);
    buf_put_u8(w, count);
    for (unsigned i = 0; i < count && !w->failed; i++) {
        buf_put(w, admins[i].key, 32);
        buf_put_str(w, admins[i].name);
    }
}

static void get_admins(
    struct buf_reader *r, struct stmt_admin *admins, uint8_t *ret_count, uint8_t *ret_threshold)
{
    *ret_threshold = buf_get_u8(r);
    *ret_count = buf_get_u8(r);
    body_want(r, *ret_count <= STMT_ADMINS_MAX);
    for (unsigned i = 0; i < *ret_count && !r->failed; i++) {
        buf_get(r, admins[i].key, 32);
        buf_get_str(r, admins[i].name, sizeof admins[i].name);
    }
    if (!r->failed)
        body_want(r, admins_ok(admins, *ret_count, *ret_threshold));
}

clan_status stmt_put_genesis(
    const struct stmt_genesis *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    body_want_put(&w, text_name_ok(b->clan));
    buf_put(&w, b->nonce, sizeof b->nonce);
    buf_put_u64(&w, (uint64_t)b->time);
    buf_put_str(&w, b->clan);
    put_admins(&w, b->admins, b->admin_count, b->threshold);
    return body_put(&w, ret_size);
}

clan_status stmt_get_genesis(const struct stmt *s, struct stmt_genesis *ret)
{
    struct buf_reader r = body_of(s, STMT_GENESIS);
    memset(ret, 0, sizeof *ret);
    buf_get(&r, ret->nonce, sizeof ret->nonce);
    ret->time = (int64_t)buf_get_u64(&r);
    buf_get_str(&r, ret->clan, sizeof ret->clan);
    body_want(&r, text_name_ok(ret->clan));
    get_admins(&r, ret->admins, &ret->admin_count, &ret->threshold);
    return body_got(&r);
}

static bool feature_ok(const char *f)
{
    return f[0] && strspn(f, "abcdefghijklmnopqrstuvwxyz0123456789-._/") == strnlen(f, 33);
}

clan_status stmt_put_envelope(
    const struct stmt_envelope *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    body_want_put(&w, b->version >= 2 && b->removed_count <= STMT_REMOVED_MAX &&
                          b->feature_count <= STMT_FEATURES_MAX && b->keeper_count <= 5);
    buf_put_u64(&w, b->version);
    buf_put(&w, b->previous, 32);
    buf_put_u64(&w, (uint64_t)b->time);
    put_admins(&w, b->admins, b->admin_count, b->threshold);
    buf_put_u16(&w, b->removed_count);
    for (unsigned i = 0; i < b->removed_count && !w.failed; i++)
        buf_put(&w, b->removed[i], 32);
    buf_put_u8(&w, b->feature_count);
    for (unsigned i = 0; i < b->feature_count && !w.failed; i++) {
        body_want_put(&w, feature_ok(b->features[i]));
        buf_put_str(&w, b->features[i]);
    }
    buf_put(&w, b->body_hash, 32);
    buf_put_u32(&w, b->body_size);
    buf_put_u32(&w, b->keeper_generation);
    buf_put_u8(&w, b->keeper_count);
    for (unsigned i = 0; i < b->keeper_count && !w.failed; i++)
        buf_put(&w, b->keepers[i], 32);
    buf_put_u16(&w, b->min_protocol);
    buf_put(&w, b->rival, 32);
    return body_put(&w, ret_size);
}

clan_status stmt_get_envelope(const struct stmt *s, struct stmt_envelope *ret)
{
    struct buf_reader r = body_of(s, STMT_ENVELOPE);
    memset(ret, 0, sizeof *ret);
    ret->version = buf_get_u64(&r);
    body_want(&r, ret->version >= 2 && ret->version == s->seq);
    buf_get(&r, ret->previous, 32);
    ret->time = (int64_t)buf_get_u64(&r);
    get_admins(&r, ret->admins, &ret->admin_count, &ret->threshold);
    ret->removed_count = buf_get_u16(&r);
    body_want(&r, ret->removed_count <= STMT_REMOVED_MAX);
    for (unsigned i = 0; i < ret->removed_count && !r.failed; i++)
        buf_get(&r, ret->removed[i], 32);
    ret->feature_count = buf_get_u8(&r);
    body_want(&r, ret->feature_count <= STMT_FEATURES_MAX);
    for (unsigned i = 0; i < ret->feature_count && !r.failed; i++) {
        buf_get_str(&r, ret->features[i], sizeof ret->features[i]);
        body_want(&r, feature_ok(ret->features[i]));
    }
    buf_get(&r, ret->body_hash, 32);
    ret->body_size = buf_get_u32(&r);
    ret->keeper_generation = buf_get_u32(&r);
    ret->keeper_count = buf_get_u8(&r);
    body_want(&r, ret->keeper_count <= 5);
    for (unsigned i = 0; i < ret->keeper_count && !r.failed; i++)
        buf_get(&r, ret->keepers[i], 32);
    ret->min_protocol = buf_get_u16(&r);
    buf_get(&r, ret->rival, 32);
    return body_got(&r);
}

static bool invitation_ok(const struct stmt_invitation *b)
{
    return (b->state == STMT_INVITE_OPEN || b->state == STMT_INVITE_CLOSED) && b->uses >= 1 &&
           b->approve <= 1 && (!b->for_name[0] || text_name_ok(b->for_name));
}

static bool for_phones(const struct stmt_invitation *b)
{
    static const uint8_t zero[32];
    return memcmp(b->gateway, zero, sizeof zero) != 0;
}

clan_status stmt_put_invitation(
    const struct stmt_invitation *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    body_want_put(&w, invitation_ok(b));
    buf_put_u8(&w, b->state);
    buf_put(&w, b->public_key, 32);
    buf_put(&w, b->x25519, 32);
    buf_put_u32(&w, b->uses);
    buf_put_u64(&w, (uint64_t)b->created);
    buf_put_u64(&w, (uint64_t)b->expires);
    buf_put_str(&w, b->for_name);
    buf_put_u8(&w, b->approve);
    buf_put_u8(&w, b->wishes);
    buf_put_u64(&w, b->config_version);
    if (for_phones(b)) /* the others are as they were before there were phones */
        buf_put(&w, b->gateway, 32);
    return body_put(&w, ret_size);
}

clan_status stmt_get_invitation(const struct stmt *s, struct stmt_invitation *ret)
{
    struct buf_reader r = body_of(s, STMT_INVITATION);
    memset(ret, 0, sizeof *ret);
    ret->state = buf_get_u8(&r);
    buf_get(&r, ret->public_key, 32);
    buf_get(&r, ret->x25519, 32);
    ret->uses = buf_get_u32(&r);
    ret->created = (int64_t)buf_get_u64(&r);
    ret->expires = (int64_t)buf_get_u64(&r);
    buf_get_str(&r, ret->for_name, sizeof ret->for_name);
    ret->approve = buf_get_u8(&r);
    ret->wishes = buf_get_u8(&r);
    ret->config_version = buf_get_u64(&r);
    if (r.left >= sizeof ret->gateway)
        buf_get(&r, ret->gateway, 32);
    body_want(&r, invitation_ok(ret));
    return body_got(&r);
}

clan_status stmt_put_revocation(
    const struct stmt_revocation *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    buf_put(&w, b->machine, 32);
    buf_put_u32(&w, b->generation);
    buf_put_u8(&w, b->reason);
    buf_put_u64(&w, (uint64_t)b->time);
    buf_put_u64(&w, b->config_version);
    return body_put(&w, ret_size);
}

/* A reason of a later release is obeyed like any other. */
clan_status stmt_get_revocation(const struct stmt *s, struct stmt_revocation *ret)
{
    struct buf_reader r = body_of(s, STMT_REVOCATION);
    memset(ret, 0, sizeof *ret);
    buf_get(&r, ret->machine, 32);
    ret->generation = buf_get_u32(&r);
    ret->reason = buf_get_u8(&r);
    ret->time = (int64_t)buf_get_u64(&r);
    ret->config_version = buf_get_u64(&r);
    return body_got(&r);
}
