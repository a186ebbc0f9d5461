/*
 * Statements: small signed byte strings, verified by anybody, stored and forwarded verbatim.
 *
 * Stored:  u8 format (1) | u8 kind (bit 7: critical) | clan ID 32 | author ID 32 | u64 seq | u16 body size |
 *          body | u8 signature count | { u8 type | key 32 | signature 64 } ...
 * Signed:  "clan statement v1" || kind byte || clan ID || author ID || seq || body
 * ID:      BLAKE2b-256 of the signed bytes (signatures are not part of it).
 * In the genesis clan ID and author are zero, in a machine's first record the author is: the IDs are the
 * statement IDs of those.  Author of what an admin signs alone is the admin's public key; of what M admins
 * sign (envelope, revocation) it is zero; of the rest the machine ID.  Numbers big-endian.
 */
#ifndef STATEMENT_STATEMENT_H
#define STATEMENT_STATEMENT_H

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stmt_kind {
    STMT_GENESIS = 1,
    STMT_ENVELOPE = 2,   /* configuration version; seq = version, genesis is version 1 */
    STMT_INVITATION = 3, /* open, and later closed: the higher seq of the same id_i wins */
    STMT_ADMISSION = 4,
    STMT_RECEIPT = 5,
    STMT_RECORD = 6,
    STMT_ROTATION = 7, /* reserved */
    STMT_SUSPEND = 8,  /* reserved */
    STMT_REVOCATION = 9,
    STMT_ACK = 10,
    STMT_KEEPERS = 11,  /* keeper generation; reserved above 1 */
    STMT_OFFER = 12,    /* reserved */
    STMT_EPOCH = 13,    /* reserved */
    STMT_TAKEOVER = 14, /* reserved */
    STMT_MANIFEST = 15, /* reserved */
    STMT_KINDS
};

#define STMT_CRITICAL                                                                              \
    0x80 /* who does not know this kind must not act for the clan beyond reading */
#define STMT_MAX           20480
#define STMT_HEAD          76 /* bytes before the body */
#define STMT_SIG_SIZE      97
#define STMT_SIGS_MAX      16
#define STMT_ADMINS_MAX    16
#define STMT_REMOVED_MAX   64
#define STMT_FEATURES_MAX  16
#define STMT_ENDPOINTS_MAX 8
#define STMT_ENDPOINT_MAX  127

enum stmt_sig_type { STMT_SIG_ED25519 = 0, STMT_SIG_SSHSIG = 1 /* namespace clan-statement-v1 */ };

struct stmt_sig {
    uint8_t type;
    const uint8_t *key;       /* 32 bytes */
    const uint8_t *signature; /* 64 bytes */
};

/* A parsed statement; pointers are borrowed from the bytes it was parsed from. */
struct stmt {
    uint8_t kind; /* without the critical bit */
    bool critical;
    const uint8_t *clan, *author; /* 32 bytes each */
    uint64_t seq;
    const uint8_t *body;
    size_t body_size;
    unsigned sig_count;
    struct stmt_sig sigs[STMT_SIGS_MAX];
    uint8_t id[32];
    const uint8_t *raw;
    size_t raw_size;
};

/* Largest raw size of a kind (SECURITY L2), also of unknown kinds. */
size_t stmt_size_limit(uint8_t kind);
const char *stmt_kind_name(uint8_t kind); /* "invitation"; "unknown" */

/* Structure and sizes only; no signature is looked at. */
clan_status stmt_parse(const void *raw, size_t size, struct stmt *ret, struct clan_error *reterr);
/* One signature: canonical S, no small order, as libsodium verifies Ed25519. */
bool stmt_sig_valid(const struct stmt *s, unsigned index);
bool stmt_signed_by(const struct stmt *s, const uint8_t key[32]); /* has a valid signature of key */
/* How many *different* keys of the list signed validly. */
unsigned stmt_count_signers(const struct stmt *s, const uint8_t (*keys)[32], unsigned key_count);

/* Building: head and body without signatures; ret_raw holds STMT_MAX.  LIMIT when too large. */
clan_status stmt_build(uint8_t kind, const uint8_t clan[32], const uint8_t author[32], uint64_t seq,
    const void *body, size_t body_size, uint8_t *ret_raw, size_t *ret_size);
/* Appends a signature made with libsodium's 64-byte secret key. */
clan_status stmt_sign(uint8_t *raw, size_t *size, const uint8_t secret[64]);
/* What an ssh-agent is given to sign (OpenSSH PROTOCOL.sshsig); the text has a fixed size. */
#define STMT_SSHSIG_TEXT_MAX 128
clan_status stmt_sshsig_text(
    const uint8_t *raw, size_t size, uint8_t ret_text[STMT_SSHSIG_TEXT_MAX], size_t *ret_size);
/* Appends what it made of that; INVAL when it does not verify. */
clan_status stmt_add_sshsig(
    uint8_t *raw, size_t *size, const uint8_t key[32], const uint8_t signature[64]);
/* Merges the signatures of b into a (same ID); duplicates by key are left out. */
clan_status stmt_merge(uint8_t *a, size_t *a_size, const void *b, size_t b_size);

/* ---- bodies: encode into a caller's buffer (LIMIT when too small), decode with every bound checked ---- */

struct stmt_admin {
    uint8_t key[32];
    char name[33];
};

struct stmt_genesis {
    uint8_t nonce[16];
    int64_t time;
    char clan[33];
    uint8_t threshold;
    uint8_t admin_count;
    struct stmt_admin admins[STMT_ADMINS_MAX];
};

struct stmt_envelope {
    uint64_t version;     /* = seq; 2 follows the genesis */
    uint8_t previous[32]; /* statement ID of version - 1 */
    int64_t time;
    uint8_t threshold;
    uint8_t admin_count;
    struct stmt_admin admins[STMT_ADMINS_MAX];
    uint16_t removed_count;
    uint8_t removed[STMT_REMOVED_MAX][32]; /* admin keys that never return */
    uint8_t feature_count;
    char features[STMT_FEATURES_MAX][33]; /* required to read the body */
    uint8_t body_hash[32];                /* BLAKE2b-256 of the YAML */
    uint32_t body_size;
    uint32_t keeper_generation; /* 1 */
    uint8_t keeper_count;       /* machine IDs of this generation */
    uint8_t keepers[5][32];
    uint16_t min_protocol;
    uint8_t rival[32]; /* reserved for resolving a fork; zero */
};

enum { STMT_INVITE_OPEN = 1, STMT_INVITE_CLOSED = 2 };
struct stmt_invitation {
    uint8_t state;          /* STMT_INVITE_ */
    uint8_t public_key[32]; /* pk_i */
    uint8_t x25519[32];     /* for Tor doors */
    uint32_t uses;
    int64_t created, expires;
    char for_name[33];       /* wanted machine name, or "" */
    uint8_t approve;         /* 1: the receipt waits for an admin */
    uint8_t wishes;          /* reserved: wished tags */
    uint64_t config_version; /* height when it was issued */
    uint8_t gateway
        [32]; /* zero: for machines; else for phones, which this machine admits and carries */
};

/* PHONE: a guest device without Clan.  Its door made its identity, is its gateway, and the invitation names
 * that door; its record holds one key, KEY_WIREGUARD. */
enum { STMT_ADMIT_JOIN = 1, STMT_ADMIT_FOUNDER = 2, STMT_ADMIT_PHONE = 3 };
struct stmt_admission {
    uint8_t how;
    uint8_t invite_id[16]; /* zero for the founder */
    uint8_t proof[64];     /* zero for the founder */
    int64_t time;          /* the door's clock, for people */
    uint16_t record_size;
    const uint8_t *record; /* the machine's first record, verbatim; borrowed */
};

struct stmt_receipt {
    uint8_t invite_id[16];
    uint32_t slot, uses;
    uint8_t machine[32];
    uint8_t admission[32]; /* statement ID */
    uint32_t generation;
    uint64_t revision;
    int64_t time; /* the keeper's clock */
};

struct stmt_record_key {
    uint8_t purpose; /* enum key_purpose */
    uint32_t counter;
    uint8_t key[32];
};
struct stmt_record {
    uint32_t generation; /* 1 */
    uint8_t identity[32];
    uint8_t key_count;
    struct stmt_record_key keys[8];
    uint8_t endpoint_count;
    struct {
        char transport[33];
        char text[STMT_ENDPOINT_MAX + 1];
    } endpoints[STMT_ENDPOINTS_MAX];
    uint16_t version_min, version_max; /* of the machine-to-machine protocol */
    uint64_t features;
    int64_t time;
};
/* Key of a purpose, NULL when the record has none. */
bool stmt_endpoint_ok(const char *text); /* may it stand in a record? */
const uint8_t *stmt_record_find(const struct stmt_record *r, uint8_t purpose);
/* No endpoints, and no key but one for WireGuard: it answers nobody. */
bool stmt_record_of_phone(const struct stmt_record *r);

enum { STMT_REVOKE_REMOVED = 1, STMT_REVOKE_LEFT = 2 };
struct stmt_revocation {
    uint8_t machine[32];
    uint32_t generation; /* 0: the whole ID */
    uint8_t reason;
    int64_t time;
    uint64_t config_version; /* invitations issued up to here are closed with it */
};

struct stmt_ack {
    uint64_t config_version;
    uint8_t revocations[32]; /* BLAKE2b-256 of the sorted IDs of the revocations known */
    uint32_t revocation_count;
};

clan_status stmt_put_genesis(
    const struct stmt_genesis *b, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status stmt_put_envelope(
    const struct stmt_envelope *b, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status stmt_put_invitation(
    const struct stmt_invitation *b, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status stmt_put_admission(
    const struct stmt_admission *b, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status stmt_put_receipt(
    const struct stmt_receipt *b, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status stmt_put_record(
    const struct stmt_record *b, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status stmt_put_revocation(
    const struct stmt_revocation *b, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status stmt_put_ack(const struct stmt_ack *b, uint8_t *ret, size_t cap, size_t *ret_size);

/* CLAN_E_INVAL when the kind differs or the body is malformed; bodies may grow at the end (ignored). */
clan_status stmt_get_genesis(const struct stmt *s, struct stmt_genesis *ret);
clan_status stmt_get_envelope(const struct stmt *s, struct stmt_envelope *ret);
clan_status stmt_get_invitation(const struct stmt *s, struct stmt_invitation *ret);
clan_status stmt_get_admission(const struct stmt *s, struct stmt_admission *ret);
clan_status stmt_get_receipt(const struct stmt *s, struct stmt_receipt *ret);
clan_status stmt_get_record(const struct stmt *s, struct stmt_record *ret);
clan_status stmt_get_revocation(const struct stmt *s, struct stmt_revocation *ret);
clan_status stmt_get_ack(const struct stmt *s, struct stmt_ack *ret);

#endif
