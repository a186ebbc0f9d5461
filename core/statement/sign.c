/* Signatures of statements: checking, counting, adding, merging. */
#include "base/buf.h"
#include "base/error.h"
#include "statement/internal.h"

#include <sodium.h>
#include <string.h>

#define SSHSIG_NAMESPACE "clan-statement-v1"
#define SSHSIG_HASH      "sha512"

static void put_ssh_string(struct buf_writer *w, const void *data, size_t size)
{
    buf_put_u32(w, (uint32_t)size);
    buf_put(w, data, size);
}

/* What an SSH agent signs (OpenSSH PROTOCOL.sshsig, "Blob to be signed"). */
static size_t sshsig_text(
    const uint8_t *signed_bytes, size_t size, uint8_t ret_text[STMT_SSHSIG_TEXT_MAX])
{
    uint8_t hash[crypto_hash_sha512_BYTES];
    struct buf_writer w = buf_writer_of(ret_text, STMT_SSHSIG_TEXT_MAX);
    crypto_hash_sha512(hash, signed_bytes, size);
    buf_put(&w, "SSHSIG", 6);
    put_ssh_string(&w, SSHSIG_NAMESPACE, sizeof SSHSIG_NAMESPACE - 1);
    put_ssh_string(&w, "", 0);
    put_ssh_string(&w, SSHSIG_HASH, sizeof SSHSIG_HASH - 1);
    put_ssh_string(&w, hash, sizeof hash);
    clan_assert(!w.failed);
    return w.len;
}

static bool verify(const struct stmt_sig *sig, const uint8_t *text, size_t size)
{
    uint8_t blob[STMT_SSHSIG_TEXT_MAX];
    if (sig->type == STMT_SIG_SSHSIG) {
        size = sshsig_text(text, size, blob);
        text = blob;
    } else if (sig->type != STMT_SIG_ED25519) {
        return false;
    }
    return crypto_sign_verify_detached(sig->signature, text, size, sig->key) == 0;
}

bool stmt_sig_valid(const struct stmt *s, unsigned index)
{
    uint8_t text[STMT_SIGNED_MAX];
    if (index >= s->sig_count)
        return false;
    return verify(&s->sigs[index], text, stmt_signed_bytes(s, text));
}

bool stmt_signed_by(const struct stmt *s, const uint8_t key[32])
{
    for (unsigned i = 0; i < s->sig_count; i++)
        if (memcmp(s->sigs[i].key, key, 32) == 0 && stmt_sig_valid(s, i))
            return true;
    return false;
}

static bool listed_before(const uint8_t (*keys)[32], unsigned index)
{
    for (unsigned i = 0; i < index; i++)
        if (memcmp(keys[i], keys[index], 32) == 0)
            return true;
    return false;
}

unsigned stmt_count_signers(const struct stmt *s, const uint8_t (*keys)[32], unsigned key_count)
{
    unsigned count = 0;
    for (unsigned i = 0; i < key_count; i++)
        if (!listed_before(keys, i) && stmt_signed_by(s, keys[i]))
            count++;
    return count;
}

/* Writes s again with the signatures given; LIMIT when it would be too large. */
static clan_status rewrite(const struct stmt *s, const struct stmt_sig *sigs, unsigned count,
    uint8_t *ret_raw, size_t *ret_size)
{
    size_t head = STMT_HEAD + s->body_size;
    if (count > STMT_SIGS_MAX || head + 1 + count * STMT_SIG_SIZE > stmt_size_limit(s->kind))
        return CLAN_E_LIMIT;
    uint8_t tail[1 + STMT_SIGS_MAX * STMT_SIG_SIZE];
    struct buf_writer w = buf_writer_of(tail, sizeof tail);
    buf_put_u8(&w, (uint8_t)count);
    for (unsigned i = 0; i < count; i++) {
        buf_put_u8(&w, sigs[i].type);
        buf_put(&w, sigs[i].key, 32);
        buf_put(&w, sigs[i].signature, 64);
    }
    clan_assert(!w.failed);
    memmove(ret_raw, s->raw, head);
    memcpy(ret_raw + head, tail, w.len);
    *ret_size = head + w.len;
    return CLAN_OK;
}

/* Adds sig unless its key is there already. */
static bool add_sig(struct stmt_sig *sigs, unsigned *count, struct stmt_sig sig)
{
    for (unsigned i = 0; i < *count; i++)
        if (memcmp(sigs[i].key, sig.key, 32) == 0)
            return false;
    sigs[(*count)++] = sig;
    return true;
}

clan_status stmt_sign(uint8_t *raw, size_t *size, const uint8_t secret[64])
{
    struct stmt s;
    struct stmt_sig sigs[STMT_SIGS_MAX + 1];
    uint8_t text[STMT_SIGNED_MAX], signature[64], key[32];
    clan_status st = stmt_parse(raw, *size, &s, NULL);
    if (st != CLAN_OK)
        return st;
    size_t text_size = stmt_signed_bytes(&s, text);
    crypto_sign_ed25519_sk_to_pk(key, secret);
    crypto_sign_detached(signature, NULL, text, text_size, secret);
    unsigned count = s.sig_count;
    memcpy(sigs, s.sigs, count * sizeof sigs[0]);
    struct stmt_sig own = {STMT_SIG_ED25519, key, signature};
    if (!add_sig(sigs, &count, own))
        return CLAN_OK;
    return rewrite(&s, sigs, count, raw, size);
}

clan_status stmt_sshsig_text(
    const uint8_t *raw, size_t size, uint8_t ret_text[STMT_SSHSIG_TEXT_MAX], size_t *ret_size)
{
    struct stmt s;
    uint8_t text[STMT_SIGNED_MAX];
    clan_status st = stmt_parse(raw, size, &s, NULL);
    if (st == CLAN_OK)
        *ret_size = sshsig_text(text, stmt_signed_bytes(&s, text), ret_text);
    return st;
}

clan_status stmt_add_sshsig(
    uint8_t *raw, size_t *size, const uint8_t key[32], const uint8_t signature[64])
{
    struct stmt s;
    struct stmt_sig sigs[STMT_SIGS_MAX + 1];
    uint8_t text[STMT_SIGNED_MAX];
    struct stmt_sig sig = {STMT_SIG_SSHSIG, key, signature};
    clan_status st = stmt_parse(raw, *size, &s, NULL);
    if (st != CLAN_OK)
        return st;
    if (!verify(&sig, text, stmt_signed_bytes(&s, text)))
        return CLAN_E_INVAL;
    unsigned count = s.sig_count;
    memcpy(sigs, s.sigs, count * sizeof sigs[0]);
    return add_sig(sigs, &count, sig) ? rewrite(&s, sigs, count, raw, size) : CLAN_OK;
}

clan_status stmt_merge(uint8_t *a, size_t *a_size, const void *b, size_t b_size)
{
    struct stmt sa, sb;
    struct stmt_sig sigs[2 * STMT_SIGS_MAX];
    unsigned count = 0;
    clan_status st = stmt_parse(a, *a_size, &sa, NULL);
    if (st == CLAN_OK)
        st = stmt_parse(b, b_size, &sb, NULL);
    if (st != CLAN_OK)
        return st;
    if (memcmp(sa.id, sb.id, sizeof sa.id) != 0)
        return CLAN_E_INVAL;
    /* an invalid signature would take the place of a valid one with the same key */
    for (unsigned i = 0; i < sa.sig_count; i++)
        if (stmt_sig_valid(&sa, i))
            add_sig(sigs, &count, sa.sigs[i]);
    for (unsigned i = 0; i < sb.sig_count; i++)
        if (stmt_sig_valid(&sb, i))
            add_sig(sigs, &count, sb.sigs[i]);
    return rewrite(&sa, sigs, count, a, a_size);
}
