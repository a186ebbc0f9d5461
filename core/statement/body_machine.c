/* Bodies of what machines sign: admission, receipt, record, acknowledgement. */
#include "base/text.h"
#include "statement/body.h"

#include <string.h>

#define WIREGUARD 4 /* KEY_WIREGUARD of noise/keys.h, which stands above this folder */

static bool admission_ok(const struct stmt_admission *b)
{
    return b->how >= STMT_ADMIT_JOIN && b->how <= STMT_ADMIT_PHONE && b->record_size > STMT_HEAD &&
           b->record_size <= stmt_size_limit(STMT_RECORD);
}

clan_status stmt_put_admission(
    const struct stmt_admission *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    body_want_put(&w, admission_ok(b));
    buf_put_u8(&w, b->how);
    buf_put(&w, b->invite_id, 16);
    buf_put(&w, b->proof, 64);
    buf_put_u64(&w, (uint64_t)b->time);
    buf_put_u16(&w, b->record_size);
    buf_put(&w, b->record, b->record_size);
    return body_put(&w, ret_size);
}

clan_status stmt_get_admission(const struct stmt *s, struct stmt_admission *ret)
{
    struct buf_reader r = body_of(s, STMT_ADMISSION);
    memset(ret, 0, sizeof *ret);
    ret->how = buf_get_u8(&r);
    buf_get(&r, ret->invite_id, 16);
    buf_get(&r, ret->proof, 64);
    ret->time = (int64_t)buf_get_u64(&r);
    ret->record_size = buf_get_u16(&r);
    ret->record = buf_view(&r, ret->record_size);
    body_want(&r, admission_ok(ret));
    return body_got(&r);
}

clan_status stmt_put_receipt(
    const struct stmt_receipt *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    buf_put(&w, b->invite_id, 16);
    buf_put_u32(&w, b->slot);
    buf_put_u32(&w, b->uses);
    buf_put(&w, b->machine, 32);
    buf_put(&w, b->admission, 32);
    buf_put_u32(&w, b->generation);
    buf_put_u64(&w, b->revision);
    buf_put_u64(&w, (uint64_t)b->time);
    return body_put(&w, ret_size);
}

clan_status stmt_get_receipt(const struct stmt *s, struct stmt_receipt *ret)
{
    struct buf_reader r = body_of(s, STMT_RECEIPT);
    memset(ret, 0, sizeof *ret);
    buf_get(&r, ret->invite_id, 16);
    ret->slot = buf_get_u32(&r);
    ret->uses = buf_get_u32(&r);
    buf_get(&r, ret->machine, 32);
    buf_get(&r, ret->admission, 32);
    ret->generation = buf_get_u32(&r);
    ret->revision = buf_get_u64(&r);
    ret->time = (int64_t)buf_get_u64(&r);
    return body_got(&r);
}

/* Endpoints travel to transports and terminals: printable ASCII without blanks. */
bool stmt_endpoint_ok(const char *text)
{
    if (!text[0])
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

static bool record_ok(const struct stmt_record *b)
{
    if (b->key_count > 8 || b->endpoint_count > STMT_ENDPOINTS_MAX || b->generation == 0 ||
        b->version_min > b->version_max)
        return false;
    for (unsigned i = 0; i < b->key_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (b->keys[i].purpose == b->keys[j].purpose)
                return false;
    for (unsigned i = 0; i < b->endpoint_count; i++)
        if (!text_name_ok(b->endpoints[i].transport) || !stmt_endpoint_ok(b->endpoints[i].text))
            return false;
    return true;
}

clan_status stmt_put_record(const struct stmt_record *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    body_want_put(&w, record_ok(b));
    buf_put_u32(&w, b->generation);
    buf_put(&w, b->identity, 32);
    buf_put_u8(&w, b->key_count);
    for (unsigned i = 0; i < b->key_count && !w.failed; i++) {
        buf_put_u8(&w, b->keys[i].purpose);
        buf_put_u32(&w, b->keys[i].counter);
        buf_put(&w, b->keys[i].key, 32);
    }
    buf_put_u8(&w, b->endpoint_count);
    for (unsigned i = 0; i < b->endpoint_count && !w.failed; i++) {
        buf_put_str(&w, b->endpoints[i].transport);
        buf_put_str(&w, b->endpoints[i].text);
    }
    buf_put_u16(&w, b->version_min);
    buf_put_u16(&w, b->version_max);
    buf_put_u64(&w, b->features);
    buf_put_u64(&w, (uint64_t)b->time);
    return body_put(&w, ret_size);
}

clan_status stmt_get_record(const struct stmt *s, struct stmt_record *ret)
{
    struct buf_reader r = body_of(s, STMT_RECORD);
    memset(ret, 0, sizeof *ret);
    ret->generation = buf_get_u32(&r);
    buf_get(&r, ret->identity, 32);
    ret->key_count = buf_get_u8(&r);
    body_want(&r, ret->key_count <= 8);
    for (unsigned i = 0; i < ret->key_count && !r.failed; i++) {
        ret->keys[i].purpose = buf_get_u8(&r);
        ret->keys[i].counter = buf_get_u32(&r);
        buf_get(&r, ret->keys[i].key, 32);
    }
    ret->endpoint_count = buf_get_u8(&r);
    body_want(&r, ret->endpoint_count <= STMT_ENDPOINTS_MAX);
    for (unsigned i = 0; i < ret->endpoint_count && !r.failed; i++) {
        buf_get_str(&r, ret->endpoints[i].transport, sizeof ret->endpoints[i].transport);
        buf_get_str(&r, ret->endpoints[i].text, sizeof ret->endpoints[i].text);
    }
    ret->version_min = buf_get_u16(&r);
    ret->version_max = buf_get_u16(&r);
    ret->features = buf_get_u64(&r);
    ret->time = (int64_t)buf_get_u64(&r);
    if (!r.failed)
        body_want(&r, record_ok(ret));
    return body_got(&r);
}

const uint8_t *stmt_record_find(const struct stmt_record *r, uint8_t purpose)
{
    for (unsigned i = 0; i < r->key_count; i++)
        if (r->keys[i].purpose == purpose)
            return r->keys[i].key;
    return NULL;
}

bool stmt_record_of_phone(const struct stmt_record *r)
{
    return r->key_count == 1 && r->keys[0].purpose == WIREGUARD && r->endpoint_count == 0;
}

clan_status stmt_put_ack(const struct stmt_ack *b, uint8_t *ret, size_t cap, size_t *ret_size)
{
    struct buf_writer w = buf_writer_of(ret, cap);
    buf_put_u64(&w, b->config_version);
    buf_put(&w, b->revocations, 32);
    buf_put_u32(&w, b->revocation_count);
    return body_put(&w, ret_size);
}

clan_status stmt_get_ack(const struct stmt *s, struct stmt_ack *ret)
{
    struct buf_reader r = body_of(s, STMT_ACK);
    memset(ret, 0, sizeof *ret);
    ret->config_version = buf_get_u64(&r);
    buf_get(&r, ret->revocations, 32);
    ret->revocation_count = buf_get_u32(&r);
    return body_got(&r);
}
