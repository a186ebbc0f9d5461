/* Derivations that both ends must agree on (SECURITY A1, A8, B3, E2); fixed vectors in
 * tests/unit/keys.c. */
#ifndef NOISE_KEYS_H
#define NOISE_KEYS_H

#include <stdint.h>

enum key_purpose { KEY_LINK = 1, KEY_CONTROL = 2, KEY_DOOR = 3, KEY_WIREGUARD = 4 /* reserved */ };
#define KEY_PURPOSES 3

/* root: the 32-byte seed of the machine's generation.  crypto_kdf (BLAKE2b), context "clankeys". */
void keys_identity(const uint8_t root[32], uint8_t ret_ed25519_seed[32]);
/* X25519 pair of a purpose; counter starts at 1 and stands in the machine's record */
void keys_static(const uint8_t root[32], enum key_purpose purpose, uint32_t counter,
    uint8_t ret_secret[32], uint8_t ret_public[32]);

/* The secret of a plugin (SECURITY B3): crypto_kdf with the purpose 16, which is no enum key_purpose, then
 * BLAKE2b-256("clan plugin secret v1" || that || plugin || 0 || instance). */
#define KEYS_PLUGIN_COUNTER 1 /* until a record says another one */
void keys_plugin(const uint8_t root[32], uint32_t counter, const char *plugin, const char *instance,
    uint8_t ret_secret[32]);

/* Identity of a phone that this machine is the gateway of: crypto_kdf with the purpose 17, then
 * BLAKE2b-256("clan phone identity v1" || that || id_i of its invitation). */
void keys_phone(const uint8_t root[32], const uint8_t id_i[16], uint8_t ret_ed25519_seed[32]);

/* What makes and knows the sessions of people at this machine: crypto_kdf with the purpose 18. */
void keys_sessions(const uint8_t root[32], uint8_t ret_key[32]);

/* Ed25519 pair from a 32-byte seed; secret is libsodium's 64-byte form. */
void keys_sign_pair(const uint8_t seed[32], uint8_t ret_secret[64], uint8_t ret_public[32]);

/* An invitation: its 16-byte seed -> Ed25519 pair (sk_i, pk_i), and the X25519 public key for Tor
 * doors. */
void keys_invite(const uint8_t seed[16], uint8_t ret_secret[64], uint8_t ret_public[32],
    uint8_t ret_x25519_public[32]);
/* The secret half of that X25519 key: who holds the link opens the door's onion service by it. */
void keys_invite_onion(const uint8_t seed[16], uint8_t ret_x25519_secret[32]);
void keys_invite_id(const uint8_t pk_i[32], uint8_t ret_id[16]);
void keys_invite_psk(const uint8_t clan_id[32], const uint8_t pk_i[32], uint8_t ret_psk[32]);

/* prologue = "clan noise v1" || purpose text || clan ID || responder ID; for a door the responder
 * ID is id_i followed by 16 zero bytes (the joiner does not know the door's machine ID yet). */
#define KEYS_PROLOGUE_MAX 96
unsigned keys_prologue(enum key_purpose purpose, const uint8_t clan_id[32],
    const uint8_t responder_id[32], uint8_t ret_prologue[KEYS_PROLOGUE_MAX]);

/* "clan join proof v1" || clan ID || id_i || BLAKE2b-256(record), and
 * "clan fetch proof v1" || clan ID || id_i || handshake hash after message 2 (64 bytes):
 * what sk_i signs.  Returns the size. */
#define KEYS_PROOF_MAX 144
unsigned keys_join_proof(const uint8_t clan_id[32], const uint8_t id_i[16], const uint8_t *record,
    uint32_t record_size, uint8_t ret_text[KEYS_PROOF_MAX]);
unsigned keys_fetch_proof(const uint8_t clan_id[32], const uint8_t id_i[16],
    const uint8_t handshake_hash[64], uint8_t ret_text[KEYS_PROOF_MAX]);

/* Addresses: fd + 40 bits of the clan ID as /48, then 80 bits of the machine ID or of
 * BLAKE2b-256("clan service v1" || name); the resolver is prefix::53. */
void keys_machine_address(
    const uint8_t clan_id[32], const uint8_t machine_id[32], uint8_t ret_addr[16]);
void keys_service_address(const uint8_t clan_id[32], const char *name, uint8_t ret_addr[16]);
void keys_resolver_address(const uint8_t clan_id[32], uint8_t ret_addr[16]);

/* Six words (66 bits) of BLAKE2b-256("clan words v1" || purpose || clan ID || key), joined by '-'.
 * purpose: "clan", "machine", "admin". */
#define KEYS_WORDS_MAX 64
void keys_words(const char *purpose, const uint8_t clan_id[32], const uint8_t key[32],
    char ret_words[KEYS_WORDS_MAX]);
/* Twelve recovery words of a 16-byte admin key entropy: 128 bits + 4 bits of checksum. */
#define KEYS_RECOVERY_MAX 128
void keys_recovery_words(const uint8_t entropy[16], char ret_words[KEYS_RECOVERY_MAX]);
int keys_recovery_decode(const char *words, uint8_t ret_entropy[16]); /* 0, or -1: mistyped */
/* admin signing seed = BLAKE2b-256("clan admin v1" || entropy) */
void keys_admin_seed(const uint8_t entropy[16], uint8_t ret_seed[32]);

#endif
