/* Noise_IKpsk2 as WireGuard's paper 5.4 has it: messages in and out, no sockets, clocks or chance. */
#ifndef WG_NOISE_H
#define WG_NOISE_H

#include "crypto.h"

#define WG_INITIATION_SIZE 148 /* 5.4.2 */
#define WG_RESPONSE_SIZE   92  /* 5.4.3 */
#define WG_COOKIE_SIZE     64  /* 5.4.7 */
#define WG_DATA_HEAD       16  /* 5.4.6 */
#define WG_MACS_SIZE       32  /* mac1 and mac2 end the first two */
#define WG_TAI64N          12
#define WG_TYPE_INITIATION 1u
#define WG_TYPE_RESPONSE   2u
#define WG_TYPE_COOKIE     3u
#define WG_TYPE_DATA       4u

struct wg_identity { /* guarded memory */
    uint8_t private_key[WG_KEY], public_key[WG_KEY];
    uint8_t mac1_key[WG_KEY], cookie_key[WG_KEY]; /* of messages to us, 5.4.4 and 5.4.7 */
};

struct wg_remote { /* what is known of a peer without talking to it; guarded memory */
    uint8_t public_key[WG_KEY], psk[WG_KEY];
    uint8_t shared[WG_KEY]; /* static-static, computed once */
    uint8_t mac1_key[WG_KEY], cookie_key[WG_KEY];
};

struct wg_handshake { /* guarded memory; one at a time of a peer */
    uint8_t chaining_key[WG_KEY], hash[WG_KEY];
    uint8_t ephemeral[WG_KEY], remote_ephemeral[WG_KEY];
    uint32_t local_index, remote_index;
};

void wg_identity_set(struct wg_identity *ret_id, const uint8_t private_key[WG_KEY]);
/* false: the public key is none anybody can have (a point of low order). */
bool wg_remote_set(struct wg_remote *ret_remote, const struct wg_identity *id,
    const uint8_t public_key[WG_KEY], const uint8_t *psk);

/* Messages are made up to their macs.  `ephemeral` is a fresh random private key.  false, and nothing
 * kept: a low-order point or a tag that does not verify. */
bool wg_initiation_make(struct wg_handshake *ret_hs, const struct wg_identity *id,
    const struct wg_remote *to, const uint8_t ephemeral[WG_KEY], uint32_t local_index,
    const uint8_t tai64n[WG_TAI64N], uint8_t ret_message[WG_INITIATION_SIZE]);
/* In two steps: who is it, then (with what is known of him) is it true. */
bool wg_initiation_who(struct wg_handshake *ret_hs, const struct wg_identity *id,
    const uint8_t message[WG_INITIATION_SIZE], uint8_t ret_public_key[WG_KEY]);
bool wg_initiation_read(struct wg_handshake *hs, const struct wg_remote *from,
    const uint8_t message[WG_INITIATION_SIZE], uint8_t ret_tai64n[WG_TAI64N]);
bool wg_response_make(struct wg_handshake *hs, const struct wg_remote *to,
    const uint8_t ephemeral[WG_KEY], uint32_t local_index, uint8_t ret_message[WG_RESPONSE_SIZE]);
/* Works on a copy: a forged answer must not end a handshake that is on its way. */
bool wg_response_read(struct wg_handshake *hs, const struct wg_identity *id,
    const struct wg_remote *from, const uint8_t message[WG_RESPONSE_SIZE]);
/* 5.4.5; wipes the handshake. */
void wg_handshake_keys(
    struct wg_handshake *hs, bool initiator, uint8_t ret_send[WG_KEY], uint8_t ret_receive[WG_KEY]);

/* The greater of the clock and the last one plus a nanosecond: what was said is never said again. */
void wg_tai64n_next(
    uint8_t last[WG_TAI64N], uint64_t unix_s, uint32_t ns, uint8_t ret_tai64n[WG_TAI64N]);

#endif
