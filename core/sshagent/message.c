/* The messages of the agent protocol that Clan needs (draft-miller-ssh-agent), without I/O. */
#include "base/buf.h"
#include "base/error.h"
#include "base/text.h"
#include "sshagent/sshagent.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    AGENT_FAILURE = 5,
    AGENT_LIST = 11,
    AGENT_LIST_ANSWER = 12,
    AGENT_SIGN = 13,
    AGENT_SIGN_ANSWER = 14,
};
#define KEY_TYPE      "ssh-ed25519"
#define KEY_HARDWARE  "sk-ssh-ed25519@openssh.com"
#define KEY_BLOB_SIZE (4 + sizeof KEY_TYPE - 1 + 4 + 32)
#define LISTED_MAX    2048 /* as OpenSSH's own client */

static void put_string(struct buf_writer *w, const void *data, size_t size)
{
    buf_put_u32(w, (uint32_t)size);
    buf_put(w, data, size);
}

static const uint8_t *get_string(struct buf_reader *r, size_t *ret_size)
{
    *ret_size = buf_get_u32(r);
    return buf_view(r, *ret_size);
}

/* A string within a string: its reader is bounded by its own end. */
static struct buf_reader get_inner(struct buf_reader *r)
{
    size_t size;
    const uint8_t *data = get_string(r, &size);
    struct buf_reader inner = buf_reader_of(data ? data : (const uint8_t *)"", data ? size : 0);
    inner.failed = !data;
    return inner;
}

static bool string_is(const uint8_t *data, size_t size, const char *text)
{
    return data && size == strlen(text) && memcmp(data, text, size) == 0;
}

static void put_blob(const uint8_t key[32], uint8_t ret_blob[KEY_BLOB_SIZE])
{
    struct buf_writer w = buf_writer_of(ret_blob, KEY_BLOB_SIZE);
    put_string(&w, KEY_TYPE, sizeof KEY_TYPE - 1);
    put_string(&w, key, 32);
    clan_assert(!w.failed);
}

void sshagent_fingerprint(const uint8_t key[32], char ret_text[SSHAGENT_FINGERPRINT_MAX])
{
    uint8_t blob[KEY_BLOB_SIZE], hash[crypto_hash_sha256_BYTES];
    char text[sodium_base64_ENCODED_LEN(sizeof hash, sodium_base64_VARIANT_ORIGINAL_NO_PADDING)];
    put_blob(key, blob);
    crypto_hash_sha256(hash, blob, sizeof blob);
    sodium_bin2base64(
        text, sizeof text, hash, sizeof hash, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    snprintf(ret_text, SSHAGENT_FINGERPRINT_MAX, "SHA256:%s", text);
}

size_t sshagent_put_list(uint8_t ret_request[SSHAGENT_REQUEST_MAX])
{
    struct buf_writer w = buf_writer_of(ret_request, SSHAGENT_REQUEST_MAX);
    buf_put_u32(&w, 1);
    buf_put_u8(&w, AGENT_LIST);
    return w.len;
}

size_t sshagent_put_sign(
    const uint8_t key[32], const void *text, size_t size, uint8_t ret_request[SSHAGENT_REQUEST_MAX])
{
    uint8_t blob[KEY_BLOB_SIZE];
    clan_assert(size <= SSHAGENT_TEXT_MAX);
    struct buf_writer w = buf_writer_of(ret_request, SSHAGENT_REQUEST_MAX);
    put_blob(key, blob);
    buf_put_u32(&w, (uint32_t)(1 + 4 + sizeof blob + 4 + size + 4));
    buf_put_u8(&w, AGENT_SIGN);
    put_string(&w, blob, sizeof blob);
    put_string(&w, text, size);
    buf_put_u32(&w, 0); /* flags: they choose among RSA's hashes */
    clan_assert(!w.failed);
    return w.len;
}

/* The first byte of a reply. */
static clan_status answer_is(struct buf_reader *r, uint8_t wanted)
{
    uint8_t type = buf_get_u8(r);
    if (r->failed || (type != wanted && type != AGENT_FAILURE))
        return CLAN_E_PROTO;
    return type == wanted ? CLAN_OK : CLAN_E_PERM;
}

static void take_comment(const uint8_t *data, size_t size, char ret[SSHAGENT_COMMENT_MAX])
{
    snprintf(ret, SSHAGENT_COMMENT_MAX, "%.*s", (int)(size < 4096 ? size : 4096),
        data ? (const char *)data : "");
    text_sanitize(ret);
}

/* A key that says it is ed25519 and is not so shaped makes the whole answer suspect. */
static clan_status take_key(struct buf_reader *r, struct sshagent_keys *ret)
{
    struct buf_reader blob = get_inner(r);
    size_t type_size, key_size, comment_size;
    const uint8_t *comment = get_string(r, &comment_size);
    const uint8_t *type = get_string(&blob, &type_size);
    if (r->failed || blob.failed)
        return CLAN_E_PROTO;
    if (!string_is(type, type_size, KEY_TYPE)) {
        if (string_is(type, type_size, KEY_HARDWARE))
            ret->hardware++;
        else
            ret->others++;
        return CLAN_OK;
    }
    const uint8_t *key = get_string(&blob, &key_size);
    if (!buf_done(&blob) || key_size != 32)
        return CLAN_E_PROTO;
    if (ret->count == SSHAGENT_KEYS_MAX)
        return CLAN_E_LIMIT;
    struct sshagent_key *k = &ret->keys[ret->count++];
    memcpy(k->public_key, key, 32);
    take_comment(comment, comment_size, k->comment);
    return CLAN_OK;
}

clan_status sshagent_parse_keys(const uint8_t *reply, size_t size, struct sshagent_keys *ret)
{
    struct buf_reader r = buf_reader_of(reply, size);
    memset(ret, 0, sizeof *ret);
    clan_status st = answer_is(&r, AGENT_LIST_ANSWER);
    uint32_t count = st == CLAN_OK ? buf_get_u32(&r) : 0;
    if (count > LISTED_MAX)
        return CLAN_E_PROTO;
    for (uint32_t i = 0; i < count && st == CLAN_OK; i++)
        st = take_key(&r, ret);
    return st == CLAN_OK && !buf_done(&r) ? CLAN_E_PROTO : st;
}

clan_status sshagent_parse_signature(const uint8_t *reply, size_t size, uint8_t ret_signature[64])
{
    struct buf_reader r = buf_reader_of(reply, size);
    clan_status st = answer_is(&r, AGENT_SIGN_ANSWER);
    if (st != CLAN_OK)
        return st;
    struct buf_reader inner = get_inner(&r);
    size_t type_size, sig_size;
    const uint8_t *type = get_string(&inner, &type_size), *sig = get_string(&inner, &sig_size);
    if (!buf_done(&r) || !buf_done(&inner) || !string_is(type, type_size, KEY_TYPE) ||
        sig_size != 64)
        return CLAN_E_PROTO;
    memcpy(ret_signature, sig, 64);
    return CLAN_OK;
}
