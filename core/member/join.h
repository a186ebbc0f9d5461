/* Both sides of joining as pure checks: what a door verifies, what a joiner verifies (SECURITY A).
 */
#ifndef MEMBER_JOIN_H
#define MEMBER_JOIN_H

#include "member/member.h"
#include "statement/link.h"

/* Noise message 3's payload: u8 1 | u8 mode | proof 64 | u16 size | record (join) */
enum { JOIN_MODE_FETCH = 1, JOIN_MODE_JOIN = 2 };
#define JOIN_PAYLOAD_MAX 4200
clan_status join_payload(uint8_t mode, const uint8_t proof[64], const uint8_t *record,
    size_t record_size, uint8_t *ret, size_t cap, size_t *ret_size);
clan_status join_payload_parse(const uint8_t *data, size_t size, uint8_t *ret_mode,
    const uint8_t **ret_proof, const uint8_t **ret_record, size_t *ret_record_size);

/* A machine's record from its root seed: seq 1 has the zero author.  ret_raw holds STMT_MAX. */
clan_status join_make_record(const uint8_t root[32], const uint8_t clan_id[32], uint64_t seq,
    const uint8_t machine_id[32] /* NULL at seq 1 */, const struct stmt_record *body_endpoints_only,
    int64_t wall, uint8_t *ret_raw, size_t *ret_size, uint8_t ret_id[32]);

/* The door, after message 3.  wall: its own clock, a courtesy check of expiry.  On success in mode
 * join the admission is built, to be signed by the door's identity (seq chosen by the caller).
 * Errors carry the reason that is told to the joiner: EXPIRED, USED, WITHDRAWN, AUTH (silent),
 * REVOKED. */
clan_status join_door_check(const struct member_set *m, const uint8_t invite_id[16], uint8_t mode,
    const uint8_t proof[64], const uint8_t *record, size_t record_size,
    const uint8_t peer_static[32], const uint8_t handshake_hash[64], int64_t wall,
    struct clan_error *reterr);
clan_status join_make_admission(const struct member_set *m, const uint8_t invite_id[16],
    const uint8_t proof[64], const uint8_t *record, size_t record_size, const uint8_t door_id[32],
    const uint8_t door_secret[64], uint64_t seq, int64_t wall, uint8_t *ret_raw, size_t *ret_size);

/* A phone, by its gateway: record, proof and admission of it are made here.  AUTH: the invitation of that
 * seed does not name the gateway; USED, EXPIRED, CONFLICT (its key), LIMIT.  ret_id: of the phone. */
struct join_phone {
    const uint8_t *root, *gateway_secret; /* of the gateway: its seed, its Ed25519 secret key */
    uint8_t seed[16];                     /* of the invitation */
    uint8_t gateway_id[32];
    uint8_t wireguard[32]; /* the phone's public key */
    uint64_t seq;          /* of the gateway's admissions */
    int64_t wall;
};
clan_status join_make_phone(const struct member_set *m, const struct join_phone *p,
    uint8_t *ret_raw, size_t *ret_size, uint8_t ret_id[32], struct clan_error *reterr);

/* The joiner, after the door handed over its statements: genesis = clan ID, floor, invitation's
 * pk_i, the door confirmed, unrevoked and holding the static key it spoke with.  *ret_door is set
 * on success. */
clan_status join_verify(const struct member_set *m, const struct invite_link *link,
    const uint8_t door_static[32], const struct member_machine **ret_door,
    const struct member_invite **ret_invite, struct clan_error *reterr);

#endif
