/* The Noise engine: one interpreter over the token tables of the patterns (Noise revision 34). */
#include "noise/noise.h"

#include "base/buf.h"
#include "base/error.h"

#include <sodium.h>
#include <string.h>

#define HMAC_BLOCK   128 /* of BLAKE2b */
#define MESSAGES_MAX 3
#define TOKENS_MAX   8 /* of a message: five of a pattern, a psk at either end, the terminator */

enum token { T_END, T_E, T_S, T_EE, T_ES, T_SE, T_SS, T_PSK };

struct pattern {
    char name[3];
    bool pre_initiator, pre_responder; /* static keys known beforehand */
    uint8_t messages[MESSAGES_MAX][TOKENS_MAX];
};

/* Section 7.5 of the specification; the initiator sends the first and third message. */
static const struct pattern patterns[] = {
    {"NN", false, false, {{T_E}, {T_E, T_EE}}},
    {"NK", false, true, {{T_E, T_ES}, {T_E, T_EE}}},
    {"NX", false, false, {{T_E}, {T_E, T_EE, T_S, T_ES}}},
    {"KN", true, false, {{T_E}, {T_E, T_EE, T_SE}}},
    {"KK", true, true, {{T_E, T_ES, T_SS}, {T_E, T_EE, T_SE}}},
    {"KX", true, false, {{T_E}, {T_E, T_EE, T_SE, T_S, T_ES}}},
    {"XN", false, false, {{T_E}, {T_E, T_EE}, {T_S, T_SE}}},
    {"XK", false, true, {{T_E, T_ES}, {T_E, T_EE}, {T_S, T_SE}}},
    {"XX", false, false, {{T_E}, {T_E, T_EE, T_S, T_ES}, {T_S, T_SE}}},
    {"IN", false, false, {{T_E, T_S}, {T_E, T_EE, T_SE}}},
    {"IK", false, true, {{T_E, T_ES, T_S, T_SS}, {T_E, T_EE, T_SE}}},
    {"IX", false, false, {{T_E, T_S}, {T_E, T_EE, T_SE, T_S, T_ES}}},
};

struct key_pair {
    uint8_t secret[NOISE_KEY_SIZE], public[NOISE_KEY_SIZE];
    bool have;
};

struct noise_handshake {
    uint8_t tokens[MESSAGES_MAX][TOKENS_MAX];
    unsigned count, step; /* messages in all and done */
    bool initiator, dead, psk_mode, has_key, fixed_e, have_rs, have_re;
    uint8_t ck[NOISE_HASH_SIZE], h[NOISE_HASH_SIZE], k[NOISE_KEY_SIZE];
    uint64_t n;
    struct key_pair s, e;
    uint8_t rs[NOISE_KEY_SIZE], re[NOISE_KEY_SIZE], psk[NOISE_KEY_SIZE];
};

/* --- hash and key derivation --- */

static void hmac(const uint8_t key[NOISE_HASH_SIZE], const uint8_t *a, size_t a_size,
    const uint8_t *b, size_t b_size, uint8_t ret_mac[NOISE_HASH_SIZE])
{
    uint8_t pad[HMAC_BLOCK], inner[NOISE_HASH_SIZE];
    crypto_generichash_state st;
    memset(pad, 0x36, sizeof pad);
    for (unsigned i = 0; i < NOISE_HASH_SIZE; i++)
        pad[i] ^= key[i];
    crypto_generichash_init(&st, NULL, 0, NOISE_HASH_SIZE);
    crypto_generichash_update(&st, pad, sizeof pad);
    crypto_generichash_update(&st, a, a_size);
    crypto_generichash_update(&st, b, b_size);
    crypto_generichash_final(&st, inner, sizeof inner);
    for (unsigned i = 0; i < HMAC_BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    crypto_generichash_init(&st, NULL, 0, NOISE_HASH_SIZE);
    crypto_generichash_update(&st, pad, sizeof pad);
    crypto_generichash_update(&st, inner, sizeof inner);
    crypto_generichash_final(&st, ret_mac, NOISE_HASH_SIZE);
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
    sodium_memzero(&st, sizeof st);
}

/* HKDF of section 4.3: `count` outputs of 64 bytes from the chaining key and ikm. */
static void hkdf(const uint8_t ck[NOISE_HASH_SIZE], const uint8_t *ikm, size_t ikm_size,
    unsigned count, uint8_t ret_out[][NOISE_HASH_SIZE])
{
    uint8_t temp[NOISE_HASH_SIZE];
    hmac(ck, ikm, ikm_size, NULL, 0, temp);
    for (unsigned i = 0; i < count; i++) {
        uint8_t number = (uint8_t)(i + 1);
        hmac(temp, i ? ret_out[i - 1] : NULL, i ? NOISE_HASH_SIZE : 0, &number, 1, ret_out[i]);
    }
    sodium_memzero(temp, sizeof temp);
}

static void mix_hash(struct noise_handshake *h, const uint8_t *data, size_t size)
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, NOISE_HASH_SIZE);
    crypto_generichash_update(&st, h->h, sizeof h->h);
    crypto_generichash_update(&st, data, size);
    crypto_generichash_final(&st, h->h, sizeof h->h);
}

static void set_key(struct noise_handshake *h, const uint8_t key[NOISE_HASH_SIZE])
{
    memcpy(h->k, key, NOISE_KEY_SIZE); /* truncated: HASHLEN is 64 */
    h->n = 0;
    h->has_key = true;
}

static void mix_key(struct noise_handshake *h, const uint8_t *ikm, size_t size)
{
    uint8_t out[2][NOISE_HASH_SIZE];
    hkdf(h->ck, ikm, size, 2, out);
    memcpy(h->ck, out[0], sizeof h->ck);
    set_key(h, out[1]);
    sodium_memzero(out, sizeof out);
}

static void mix_psk(struct noise_handshake *h)
{
    uint8_t out[3][NOISE_HASH_SIZE];
    hkdf(h->ck, h->psk, sizeof h->psk, 3, out);
    memcpy(h->ck, out[0], sizeof h->ck);
    mix_hash(h, out[1], NOISE_HASH_SIZE);
    set_key(h, out[2]);
    sodium_memzero(out, sizeof out);
}

/* --- sealing inside the handshake --- */

static void nonce_of(uint64_t n, uint8_t ret_nonce[12])
{
    memset(ret_nonce, 0, 4);
    for (unsigned i = 0; i < 8; i++)
        ret_nonce[4 + i] = (uint8_t)(n >> (8 * i));
}

static void encrypt_and_hash(
    struct noise_handshake *h, const uint8_t *plain, size_t size, struct buf_writer *w)
{
    size_t sealed = size + (h->has_key ? NOISE_TAG_SIZE : 0);
    uint8_t *out = w->base + w->len;
    if (w->failed || w->cap - w->len < sealed) {
        w->failed = true;
        return;
    }
    if (h->has_key) {
        uint8_t nonce[12];
        nonce_of(h->n++, nonce);
        crypto_aead_chacha20poly1305_ietf_encrypt(
            out, NULL, plain, size, h->h, sizeof h->h, NULL, nonce, h->k);
    } else if (size)
        memcpy(out, plain, size);
    w->len += sealed;
    mix_hash(h, out, sealed);
}

/* sealed may be borrowed; ret_plain holds what is left without the tag. */
static clan_status decrypt_and_hash(
    struct noise_handshake *h, const uint8_t *sealed, size_t size, uint8_t *ret_plain)
{
    if (h->has_key) {
        uint8_t nonce[12], nothing;
        nonce_of(h->n, nonce);
        if (size < NOISE_TAG_SIZE ||
            crypto_aead_chacha20poly1305_ietf_decrypt(ret_plain ? ret_plain : &nothing, NULL, NULL,
                sealed, size, h->h, sizeof h->h, nonce, h->k) != 0)
            return CLAN_E_AUTH;
        h->n++;
    } else if (size)
        memcpy(ret_plain, sealed, size);
    mix_hash(h, sealed, size);
    return CLAN_OK;
}

static clan_status mix_dh(struct noise_handshake *h, enum token t)
{
    bool own_s = t == T_SS || t == (h->initiator ? T_SE : T_ES);
    bool their_s = t == T_SS || t == (h->initiator ? T_ES : T_SE);
    const struct key_pair *own = own_s ? &h->s : &h->e;
    uint8_t shared[NOISE_KEY_SIZE];
    clan_assert(own->have && (their_s ? h->have_rs : h->have_re));
    /* -1: the other side sent a point of small order, the secret would be all zero */
    if (crypto_scalarmult_curve25519(shared, own->secret, their_s ? h->rs : h->re) != 0) {
        sodium_memzero(shared, sizeof shared);
        return CLAN_E_AUTH;
    }
    mix_key(h, shared, sizeof shared);
    sodium_memzero(shared, sizeof shared);
    return CLAN_OK;
}

/* --- setting up --- */

static const struct pattern *find_pattern(const char *name)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (strncmp(name, patterns[i].name, 2) == 0)
            return &patterns[i];
    return NULL;
}

/* "psk0", "psk0+psk2": psk0 goes before the first message's tokens, pskN behind those of message N.
 */
static bool add_psks(struct noise_handshake *h, const char *mods)
{
    for (int last = -1; *mods;) {
        int at = strncmp(mods, "psk", 3) == 0 && mods[3] >= '0' ? mods[3] - '0' : -1;
        if (at <= last || at > (int)h->count)
            return false;
        uint8_t *row = h->tokens[at ? at - 1 : 0];
        size_t len = strnlen((const char *)row, TOKENS_MAX);
        clan_assert(len + 1 < TOKENS_MAX);
        if (at == 0)
            memmove(row + 1, row, len);
        row[at == 0 ? 0 : len] = T_PSK;
        h->psk_mode = true;
        last = at;
        mods += 4;
        if (*mods == '+' && mods[1])
            mods++;
        else if (*mods)
            return false;
    }
    return true;
}

static bool set_pair(struct key_pair *pair, const uint8_t *secret)
{
    memcpy(pair->secret, secret, NOISE_KEY_SIZE);
    pair->have = crypto_scalarmult_curve25519_base(pair->public, pair->secret) == 0;
    return pair->have;
}

/* Whether this side's (or the other's) static key must be there: known beforehand or sent later. */
static bool needs_static(const struct noise_handshake *h, const struct pattern *pat)
{
    if (h->initiator ? pat->pre_initiator : pat->pre_responder)
        return true;
    for (unsigned m = h->initiator ? 0 : 1; m < h->count; m += 2)
        if (memchr(h->tokens[m], T_S, TOKENS_MAX))
            return true;
    return false;
}

static bool set_keys(
    struct noise_handshake *h, const struct pattern *pat, const struct noise_params *p)
{
    bool needs_rs = h->initiator ? pat->pre_responder : pat->pre_initiator;
    if ((needs_static(h, pat) && !p->s_secret) || (needs_rs && !p->rs) || (h->psk_mode && !p->psk))
        return false;
    if (p->s_secret && !set_pair(&h->s, p->s_secret))
        return false;
    if (p->e_secret) {
        h->fixed_e = true;
        if (!set_pair(&h->e, p->e_secret))
            return false;
    }
    if (needs_rs) {
        memcpy(h->rs, p->rs, sizeof h->rs);
        h->have_rs = true;
    }
    if (h->psk_mode)
        memcpy(h->psk, p->psk, sizeof h->psk);
    return true;
}

static void start_hash(
    struct noise_handshake *h, const struct pattern *pat, const struct noise_params *p)
{
    crypto_generichash_state st;
    static const char head[] = "Noise_", tail[] = "_25519_ChaChaPoly_BLAKE2b";
    size_t name_size = strlen(p->pattern) + sizeof head - 1 + sizeof tail - 1;
    if (name_size <= NOISE_HASH_SIZE) { /* short names are padded, not hashed */
        struct buf_writer w = buf_writer_of(h->h, sizeof h->h);
        buf_put(&w, head, sizeof head - 1);
        buf_put(&w, p->pattern, strlen(p->pattern));
        buf_put(&w, tail, sizeof tail - 1);
    } else {
        crypto_generichash_init(&st, NULL, 0, NOISE_HASH_SIZE);
        crypto_generichash_update(&st, (const uint8_t *)head, sizeof head - 1);
        crypto_generichash_update(&st, (const uint8_t *)p->pattern, strlen(p->pattern));
        crypto_generichash_update(&st, (const uint8_t *)tail, sizeof tail - 1);
        crypto_generichash_final(&st, h->h, sizeof h->h);
    }
    memcpy(h->ck, h->h, sizeof h->ck);
    mix_hash(h, p->prologue, p->prologue_size);
    if (pat->pre_initiator)
        mix_hash(h, h->initiator ? h->s.public : h->rs, NOISE_KEY_SIZE);
    if (pat->pre_responder)
        mix_hash(h, h->initiator ? h->rs : h->s.public, NOISE_KEY_SIZE);
}

clan_status noise_new(const struct noise_params *p, struct noise_handshake **ret)
{
    if (!p->pattern || strlen(p->pattern) < 2 || strlen(p->pattern) > 16)
        return CLAN_E_INVAL;
    const struct pattern *pat = find_pattern(p->pattern);
    if (!pat || sodium_init() < 0)
        return CLAN_E_INVAL;
    struct noise_handshake *h = sodium_malloc(sizeof *h);
    if (!h)
        return CLAN_E_NOMEM;
    memset(h, 0, sizeof *h);
    h->initiator = p->initiator;
    memcpy(h->tokens, pat->messages, sizeof h->tokens);
    while (h->count < MESSAGES_MAX && h->tokens[h->count][0] != T_END)
        h->count++;
    if (!add_psks(h, p->pattern + 2) || !set_keys(h, pat, p)) {
        noise_free(h);
        return CLAN_E_INVAL;
    }
    start_hash(h, pat, p);
    *ret = h;
    return CLAN_OK;
}

void noise_free(struct noise_handshake *h)
{
    sodium_free(h); /* wipes, takes NULL */
}

bool noise_my_turn(const struct noise_handshake *h)
{
    return !h->dead && h->step < h->count && ((h->step & 1) == 0) == h->initiator;
}

bool noise_done(const struct noise_handshake *h)
{
    return !h->dead && h->step == h->count;
}

/* --- messages --- */

static clan_status fail(struct noise_handshake *h, clan_status st)
{
    h->dead = true;
    return st;
}

static void write_e(struct noise_handshake *h, struct buf_writer *w)
{
    if (!h->fixed_e) {
        uint8_t secret[NOISE_KEY_SIZE];
        randombytes_buf(secret, sizeof secret);
        bool made = set_pair(&h->e, secret);
        sodium_memzero(secret, sizeof secret);
        clan_assert(made);
    }
    buf_put(w, h->e.public, NOISE_KEY_SIZE);
    mix_hash(h, h->e.public, NOISE_KEY_SIZE);
    if (h->psk_mode)
        mix_key(h, h->e.public, NOISE_KEY_SIZE);
}

clan_status noise_write(struct noise_handshake *h, const uint8_t *payload, size_t size,
    uint8_t *ret_message, size_t cap, size_t *ret_size)
{
    if (!noise_my_turn(h))
        return fail(h, CLAN_E_STATE);
    struct buf_writer w =
        buf_writer_of(ret_message, cap < NOISE_MESSAGE_MAX ? cap : NOISE_MESSAGE_MAX);
    clan_status st = CLAN_OK;
    for (const uint8_t *t = h->tokens[h->step]; *t != T_END && st == CLAN_OK; t++) {
        if (*t == T_E)
            write_e(h, &w);
        else if (*t == T_S)
            encrypt_and_hash(h, h->s.public, NOISE_KEY_SIZE, &w);
        else if (*t == T_PSK)
            mix_psk(h);
        else
            st = mix_dh(h, *t);
    }
    encrypt_and_hash(h, payload, size, &w);
    if (st != CLAN_OK || w.failed)
        return fail(h, st != CLAN_OK ? st : CLAN_E_LIMIT);
    h->step++;
    *ret_size = w.len;
    return CLAN_OK;
}

static clan_status read_e(struct noise_handshake *h, struct buf_reader *r)
{
    const uint8_t *e = buf_view(r, NOISE_KEY_SIZE);
    if (!e)
        return CLAN_E_PROTO;
    memcpy(h->re, e, sizeof h->re);
    h->have_re = true;
    mix_hash(h, h->re, sizeof h->re);
    if (h->psk_mode)
        mix_key(h, h->re, sizeof h->re);
    return CLAN_OK;
}

static clan_status read_s(struct noise_handshake *h, struct buf_reader *r)
{
    size_t size = NOISE_KEY_SIZE + (h->has_key ? NOISE_TAG_SIZE : 0);
    const uint8_t *sealed = buf_view(r, size);
    if (!sealed)
        return CLAN_E_PROTO;
    clan_status st = decrypt_and_hash(h, sealed, size, h->rs);
    h->have_rs = st == CLAN_OK;
    return st;
}

static clan_status read_payload(
    struct noise_handshake *h, struct buf_reader *r, uint8_t *ret_payload, size_t cap, size_t *ret)
{
    size_t size = r->left, tag = h->has_key ? NOISE_TAG_SIZE : 0;
    if (size < tag)
        return CLAN_E_PROTO;
    if (size - tag > cap)
        return CLAN_E_LIMIT;
    const uint8_t *sealed = buf_view(r, size);
    clan_status st = decrypt_and_hash(h, sealed, size, ret_payload);
    if (st == CLAN_OK)
        *ret = size - tag;
    return st;
}

clan_status noise_read(struct noise_handshake *h, const uint8_t *message, size_t size,
    uint8_t *ret_payload, size_t cap, size_t *ret_size)
{
    if (h->dead || noise_done(h) || noise_my_turn(h))
        return fail(h, CLAN_E_STATE);
    if (size > NOISE_MESSAGE_MAX)
        return fail(h, CLAN_E_LIMIT);
    struct buf_reader r = buf_reader_of(message, size);
    clan_status st = CLAN_OK;
    for (const uint8_t *t = h->tokens[h->step]; *t != T_END && st == CLAN_OK; t++) {
        if (*t == T_E)
            st = read_e(h, &r);
        else if (*t == T_S)
            st = read_s(h, &r);
        else if (*t == T_PSK)
            mix_psk(h);
        else
            st = mix_dh(h, *t);
    }
    if (st == CLAN_OK)
        st = read_payload(h, &r, ret_payload, cap, ret_size);
    if (st != CLAN_OK)
        return fail(h, st);
    h->step++;
    return CLAN_OK;
}

const uint8_t *noise_remote_static(const struct noise_handshake *h)
{
    return h->have_rs ? h->rs : NULL;
}

const uint8_t *noise_hash(const struct noise_handshake *h)
{
    return h->h;
}

clan_status noise_split(
    struct noise_handshake *h, uint8_t ret_send_key[32], uint8_t ret_recv_key[32])
{
    uint8_t out[2][NOISE_HASH_SIZE];
    if (!noise_done(h))
        return CLAN_E_STATE;
    hkdf(h->ck, NULL, 0, 2, out);
    memcpy(ret_send_key, out[h->initiator ? 0 : 1], NOISE_KEY_SIZE);
    memcpy(ret_recv_key, out[h->initiator ? 1 : 0], NOISE_KEY_SIZE);
    sodium_memzero(out, sizeof out);
    return CLAN_OK;
}
