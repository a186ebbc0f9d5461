/* Noise_IKpsk2 as WireGuard's paper 5.4 has it: messages in and out, no sockets, clocks or chance. */
#include "noise.h"

#include <sodium.h>
#include <string.h>

static const char construction[] = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
static const char identifier[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

/* Offsets, 5.4.2 and 5.4.3. */
enum { SENDER = 4, I_EPHEMERAL = 8, I_STATIC = 40, I_TIME = 88 };
enum { RECEIVER = 8, R_EPHEMERAL = 12, R_EMPTY = 44 };

void wg_identity_set(struct wg_identity *ret_id, const uint8_t private_key[WG_KEY])
{
    memcpy(ret_id->private_key, private_key, WG_KEY);
    crypto_scalarmult_base(ret_id->public_key, private_key);
    wg_hash2(ret_id->mac1_key, "mac1----", 8, ret_id->public_key, WG_KEY);
    wg_hash2(ret_id->cookie_key, "cookie--", 8, ret_id->public_key, WG_KEY);
}

bool wg_remote_set(struct wg_remote *ret_remote, const struct wg_identity *id,
    const uint8_t public_key[WG_KEY], const uint8_t *psk)
{
    if (crypto_scalarmult(ret_remote->shared, id->private_key, public_key) != 0)
        return false;
    memcpy(ret_remote->public_key, public_key, WG_KEY);
    memset(ret_remote->psk, 0, WG_KEY);
    if (psk)
        memcpy(ret_remote->psk, psk, WG_KEY);
    wg_hash2(ret_remote->mac1_key, "mac1----", 8, public_key, WG_KEY);
    wg_hash2(ret_remote->cookie_key, "cookie--", 8, public_key, WG_KEY);
    return true;
}

static void mix_hash(struct wg_handshake *hs, const void *data, size_t size)
{
    wg_hash2(hs->hash, hs->hash, WG_KEY, data, size);
}

/* ck, k = KDF2(ck, DH(private, public)); k may be NULL. */
static bool mix_dh(struct wg_handshake *hs, uint8_t *ret_key, const uint8_t private_key[WG_KEY],
    const uint8_t public_key[WG_KEY])
{
    uint8_t dh[WG_KEY];
    bool ok = crypto_scalarmult(dh, private_key, public_key) == 0;
    if (ok)
        wg_kdf(hs->chaining_key, ret_key, NULL, hs->chaining_key, dh, sizeof dh);
    sodium_memzero(dh, sizeof dh);
    return ok;
}

static void begin(struct wg_handshake *hs, const uint8_t responder[WG_KEY])
{
    wg_hash2(hs->chaining_key, construction, sizeof construction - 1, NULL, 0);
    wg_hash2(hs->hash, hs->chaining_key, WG_KEY, identifier, sizeof identifier - 1);
    mix_hash(hs, responder, WG_KEY);
}

static void mix_ephemeral(struct wg_handshake *hs, const uint8_t public_key[WG_KEY])
{
    wg_kdf(hs->chaining_key, NULL, NULL, hs->chaining_key, public_key, WG_KEY);
    mix_hash(hs, public_key, WG_KEY);
}

/* Sealed under a key of its own: the counter is 0 each time. */
static void put(struct wg_handshake *hs, const uint8_t key[WG_KEY], const void *data, size_t size,
    uint8_t *ret_sealed)
{
    wg_seal(ret_sealed, key, 0, data, size, hs->hash, WG_KEY);
    mix_hash(hs, ret_sealed, size + WG_TAG);
}

static bool get(struct wg_handshake *hs, const uint8_t key[WG_KEY], const uint8_t *sealed,
    size_t size, uint8_t *ret_data)
{
    if (!wg_open(ret_data, key, 0, sealed, size + WG_TAG, hs->hash, WG_KEY))
        return false;
    mix_hash(hs, sealed, size + WG_TAG);
    return true;
}

static void head(uint8_t *message, uint8_t type, uint32_t sender)
{
    wg_put_le32(message, type);
    wg_put_le32(message + SENDER, sender);
}

bool wg_initiation_make(struct wg_handshake *ret_hs, const struct wg_identity *id,
    const struct wg_remote *to, const uint8_t ephemeral[WG_KEY], uint32_t local_index,
    const uint8_t tai64n[WG_TAI64N], uint8_t ret_message[WG_INITIATION_SIZE])
{
    struct wg_handshake hs = {.local_index = local_index};
    uint8_t key[WG_KEY];
    memcpy(hs.ephemeral, ephemeral, WG_KEY);
    memset(ret_message, 0, WG_INITIATION_SIZE);
    head(ret_message, WG_TYPE_INITIATION, local_index);
    begin(&hs, to->public_key);
    crypto_scalarmult_base(ret_message + I_EPHEMERAL, ephemeral);
    mix_ephemeral(&hs, ret_message + I_EPHEMERAL);
    bool ok = mix_dh(&hs, key, ephemeral, to->public_key);
    if (ok) {
        put(&hs, key, id->public_key, WG_KEY, ret_message + I_STATIC);
        wg_kdf(hs.chaining_key, key, NULL, hs.chaining_key, to->shared, WG_KEY);
        put(&hs, key, tai64n, WG_TAI64N, ret_message + I_TIME);
        *ret_hs = hs;
    }
    sodium_memzero(key, sizeof key);
    sodium_memzero(&hs, sizeof hs);
    return ok;
}

bool wg_initiation_who(struct wg_handshake *ret_hs, const struct wg_identity *id,
    const uint8_t message[WG_INITIATION_SIZE], uint8_t ret_public_key[WG_KEY])
{
    struct wg_handshake hs = {.remote_index = wg_get_le32(message + SENDER)};
    uint8_t key[WG_KEY];
    memcpy(hs.remote_ephemeral, message + I_EPHEMERAL, WG_KEY);
    begin(&hs, id->public_key);
    mix_ephemeral(&hs, hs.remote_ephemeral);
    bool ok = mix_dh(&hs, key, id->private_key, hs.remote_ephemeral) &&
              get(&hs, key, message + I_STATIC, WG_KEY, ret_public_key);
    if (ok)
        *ret_hs = hs;
    sodium_memzero(key, sizeof key);
    sodium_memzero(&hs, sizeof hs);
    return ok;
}

bool wg_initiation_read(struct wg_handshake *hs, const struct wg_remote *from,
    const uint8_t message[WG_INITIATION_SIZE], uint8_t ret_tai64n[WG_TAI64N])
{
    uint8_t key[WG_KEY];
    wg_kdf(hs->chaining_key, key, NULL, hs->chaining_key, from->shared, WG_KEY);
    bool ok = get(hs, key, message + I_TIME, WG_TAI64N, ret_tai64n);
    sodium_memzero(key, sizeof key);
    return ok;
}

/* What both sides do with the pre-shared key: the "psk2" of the name. */
static void mix_psk(struct wg_handshake *hs, const uint8_t psk[WG_KEY], uint8_t ret_key[WG_KEY])
{
    uint8_t tau[WG_KEY];
    wg_kdf(hs->chaining_key, tau, ret_key, hs->chaining_key, psk, WG_KEY);
    mix_hash(hs, tau, WG_KEY);
    sodium_memzero(tau, sizeof tau);
}

bool wg_response_make(struct wg_handshake *hs, const struct wg_remote *to,
    const uint8_t ephemeral[WG_KEY], uint32_t local_index, uint8_t ret_message[WG_RESPONSE_SIZE])
{
    uint8_t key[WG_KEY];
    hs->local_index = local_index;
    memset(ret_message, 0, WG_RESPONSE_SIZE);
    head(ret_message, WG_TYPE_RESPONSE, local_index);
    wg_put_le32(ret_message + RECEIVER, hs->remote_index);
    crypto_scalarmult_base(ret_message + R_EPHEMERAL, ephemeral);
    mix_ephemeral(hs, ret_message + R_EPHEMERAL);
    bool ok = mix_dh(hs, NULL, ephemeral, hs->remote_ephemeral) &&
              mix_dh(hs, NULL, ephemeral, to->public_key);
    if (ok) {
        mix_psk(hs, to->psk, key);
        put(hs, key, NULL, 0, ret_message + R_EMPTY);
    }
    sodium_memzero(key, sizeof key);
    return ok;
}

bool wg_response_read(struct wg_handshake *hs, const struct wg_identity *id,
    const struct wg_remote *from, const uint8_t message[WG_RESPONSE_SIZE])
{
    struct wg_handshake t = *hs;
    uint8_t key[WG_KEY], none[1];
    t.remote_index = wg_get_le32(message + SENDER);
    memcpy(t.remote_ephemeral, message + R_EPHEMERAL, WG_KEY);
    mix_ephemeral(&t, t.remote_ephemeral);
    bool ok = mix_dh(&t, NULL, t.ephemeral, t.remote_ephemeral) &&
              mix_dh(&t, NULL, id->private_key, t.remote_ephemeral);
    if (ok) {
        mix_psk(&t, from->psk, key);
        ok = get(&t, key, message + R_EMPTY, 0, none);
    }
    if (ok)
        *hs = t;
    sodium_memzero(key, sizeof key);
    sodium_memzero(&t, sizeof t);
    return ok;
}

void wg_handshake_keys(
    struct wg_handshake *hs, bool initiator, uint8_t ret_send[WG_KEY], uint8_t ret_receive[WG_KEY])
{
    wg_kdf(initiator ? ret_send : ret_receive, initiator ? ret_receive : ret_send, NULL,
        hs->chaining_key, NULL, 0);
    sodium_memzero(hs, sizeof *hs);
}

void wg_tai64n_next(
    uint8_t last[WG_TAI64N], uint64_t unix_s, uint32_t ns, uint8_t ret_tai64n[WG_TAI64N])
{
    uint64_t s = unix_s + 0x400000000000000aull;
    for (int i = 0; i < 8; i++)
        ret_tai64n[i] = (uint8_t)(s >> 8 * (7 - i));
    for (int i = 0; i < 4; i++)
        ret_tai64n[8 + i] = (uint8_t)(ns >> 8 * (3 - i));
    if (memcmp(ret_tai64n, last, WG_TAI64N) <= 0) {
        memcpy(ret_tai64n, last, WG_TAI64N);
        for (int i = WG_TAI64N - 1; i >= 0 && ++ret_tai64n[i] == 0; i--)
            ;
    }
    memcpy(last, ret_tai64n, WG_TAI64N);
}
