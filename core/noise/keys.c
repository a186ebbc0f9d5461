/* Derivations that both ends must agree on; a change here is another protocol. */
#include "noise/keys.h"

#include "base/buf.h"
#include "base/error.h"
#include "noise/words.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#define KDF_CONTEXT "clankeys" /* crypto_kdf wants exactly 8 bytes */

/* One piece of what is hashed; text labels stand without their NUL. */
struct piece {
    const void *data;
    size_t size;
};
#define PIECE(data, size) ((struct piece){data, size})
#define LABEL(text)       ((struct piece){text, sizeof(text) - 1})

static void hash(uint8_t *ret_hash, size_t size, const struct piece *pieces, unsigned count)
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, size);
    for (unsigned i = 0; i < count; i++)
        crypto_generichash_update(&st, pieces[i].data, pieces[i].size);
    crypto_generichash_final(&st, ret_hash, size);
    sodium_memzero(&st, sizeof st);
}

#define HASH(ret, size, ...)                                                                       \
    hash(ret, size, (const struct piece[]){__VA_ARGS__},                                           \
        sizeof((const struct piece[]){__VA_ARGS__}) / sizeof(struct piece))

/* --- the machine --- */

void keys_identity(const uint8_t root[32], uint8_t ret_ed25519_seed[32])
{
    crypto_kdf_derive_from_key(ret_ed25519_seed, 32, 0, KDF_CONTEXT, root);
}

void keys_static(const uint8_t root[32], enum key_purpose purpose, uint32_t counter,
    uint8_t ret_secret[32], uint8_t ret_public[32])
{
    clan_assert(purpose >= KEY_LINK && purpose <= KEY_WIREGUARD && counter > 0);
    uint64_t subkey = (uint64_t)purpose << 32 | counter;
    crypto_kdf_derive_from_key(ret_secret, 32, subkey, KDF_CONTEXT, root);
    crypto_scalarmult_curve25519_base(ret_public, ret_secret);
}

void keys_plugin(const uint8_t root[32], uint32_t counter, const char *plugin, const char *instance,
    uint8_t ret_secret[32])
{
    uint8_t key[32];
    clan_assert(counter > 0);
    crypto_kdf_derive_from_key(key, 32, UINT64_C(16) << 32 | counter, KDF_CONTEXT, root);
    HASH(ret_secret, 32, LABEL("clan plugin secret v1"), PIECE(key, 32),
        PIECE(plugin, strlen(plugin) + 1), PIECE(instance, strlen(instance)));
    sodium_memzero(key, sizeof key);
}

void keys_phone(const uint8_t root[32], const uint8_t id_i[16], uint8_t ret_ed25519_seed[32])
{
    uint8_t key[32];
    crypto_kdf_derive_from_key(key, 32, UINT64_C(17) << 32 | 1, KDF_CONTEXT, root);
    HASH(ret_ed25519_seed, 32, LABEL("clan phone identity v1"), PIECE(key, 32), PIECE(id_i, 16));
    sodium_memzero(key, sizeof key);
}

void keys_sessions(const uint8_t root[32], uint8_t ret_key[32])
{
    crypto_kdf_derive_from_key(ret_key, 32, UINT64_C(18) << 32 | 1, KDF_CONTEXT, root);
}

void keys_sign_pair(const uint8_t seed[32], uint8_t ret_secret[64], uint8_t ret_public[32])
{
    crypto_sign_ed25519_seed_keypair(ret_public, ret_secret, seed);
}

void keys_admin_seed(const uint8_t entropy[16], uint8_t ret_seed[32])
{
    HASH(ret_seed, 32, LABEL("clan admin v1"), PIECE(entropy, 16));
}

/* --- invitations --- */

void keys_invite(const uint8_t seed[16], uint8_t ret_secret[64], uint8_t ret_public[32],
    uint8_t ret_x25519_public[32])
{
    uint8_t derived[32];
    HASH(derived, 32, LABEL("clan invite sign v1"), PIECE(seed, 16));
    keys_sign_pair(derived, ret_secret, ret_public);
    keys_invite_onion(seed, derived);
    crypto_scalarmult_curve25519_base(ret_x25519_public, derived);
    sodium_memzero(derived, sizeof derived);
}

void keys_invite_onion(const uint8_t seed[16], uint8_t ret_x25519_secret[32])
{
    HASH(ret_x25519_secret, 32, LABEL("clan invite onion v1"), PIECE(seed, 16));
}

void keys_invite_id(const uint8_t pk_i[32], uint8_t ret_id[16])
{
    HASH(ret_id, 16, LABEL("clan invite id v1"), PIECE(pk_i, 32));
}

void keys_invite_psk(const uint8_t clan_id[32], const uint8_t pk_i[32], uint8_t ret_psk[32])
{
    HASH(ret_psk, 32, LABEL("clan invite psk v1"), PIECE(clan_id, 32), PIECE(pk_i, 32));
}

/* --- what handshakes and proofs are bound to --- */

unsigned keys_prologue(enum key_purpose purpose, const uint8_t clan_id[32],
    const uint8_t responder_id[32], uint8_t ret_prologue[KEYS_PROLOGUE_MAX])
{
    static const char *const names[] = {
        [KEY_LINK] = "link", [KEY_CONTROL] = "control", [KEY_DOOR] = "door"};
    clan_assert(purpose >= KEY_LINK && purpose <= KEY_DOOR);
    struct buf_writer w = buf_writer_of(ret_prologue, KEYS_PROLOGUE_MAX);
    buf_put(&w, "clan noise v1", 13);
    buf_put(&w, names[purpose], strlen(names[purpose]));
    buf_put(&w, clan_id, 32);
    buf_put(&w, responder_id, 32);
    clan_assert(!w.failed);
    return (unsigned)w.len;
}

unsigned keys_join_proof(const uint8_t clan_id[32], const uint8_t id_i[16], const uint8_t *record,
    uint32_t record_size, uint8_t ret_text[KEYS_PROOF_MAX])
{
    uint8_t digest[32];
    HASH(digest, 32, PIECE(record, record_size));
    struct buf_writer w = buf_writer_of(ret_text, KEYS_PROOF_MAX);
    buf_put(&w, "clan join proof v1", 18);
    buf_put(&w, clan_id, 32);
    buf_put(&w, id_i, 16);
    buf_put(&w, digest, sizeof digest);
    clan_assert(!w.failed);
    return (unsigned)w.len;
}

unsigned keys_fetch_proof(const uint8_t clan_id[32], const uint8_t id_i[16],
    const uint8_t handshake_hash[64], uint8_t ret_text[KEYS_PROOF_MAX])
{
    struct buf_writer w = buf_writer_of(ret_text, KEYS_PROOF_MAX);
    buf_put(&w, "clan fetch proof v1", 19);
    buf_put(&w, clan_id, 32);
    buf_put(&w, id_i, 16);
    buf_put(&w, handshake_hash, 64);
    clan_assert(!w.failed);
    return (unsigned)w.len;
}

/* --- addresses --- */

static void address(const uint8_t clan_id[32], const uint8_t host[10], uint8_t ret_addr[16])
{
    struct buf_writer w = buf_writer_of(ret_addr, 16);
    buf_put_u8(&w, 0xfd);
    buf_put(&w, clan_id, 5);
    buf_put(&w, host, 10);
    clan_assert(!w.failed && w.len == 16);
}

void keys_machine_address(
    const uint8_t clan_id[32], const uint8_t machine_id[32], uint8_t ret_addr[16])
{
    address(clan_id, machine_id, ret_addr);
}

void keys_service_address(const uint8_t clan_id[32], const char *name, uint8_t ret_addr[16])
{
    uint8_t digest[32];
    HASH(digest, 32, LABEL("clan service v1"), PIECE(name, strlen(name)));
    address(clan_id, digest, ret_addr);
}

void keys_resolver_address(const uint8_t clan_id[32], uint8_t ret_addr[16])
{
    static const uint8_t host[10] = {[9] = 0x53};
    address(clan_id, host, ret_addr);
}

/* --- fingerprints --- */

void keys_words(const char *purpose, const uint8_t clan_id[32], const uint8_t key[32],
    char ret_words[KEYS_WORDS_MAX])
{
    static_assert(6 * (WORDS_LEN_MAX + 1) <= KEYS_WORDS_MAX, "six words fit");
    uint8_t digest[32];
    HASH(digest, 32, LABEL("clan words v1"), PIECE(purpose, strlen(purpose)), PIECE(clan_id, 32),
        PIECE(key, 32));
    words_join(digest, 6, ret_words);
}
