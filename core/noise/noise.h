/*
 * The Noise Protocol Framework (revision 34), DH 25519, cipher ChaChaPoly, hash BLAKE2b: one engine
 * over the tokens of the patterns.  Clan uses IK and XXpsk0; the others are there for the vectors.
 */
#ifndef NOISE_NOISE_H
#define NOISE_NOISE_H

#include "noise/aead.h"

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NOISE_HASH_SIZE   64
#define NOISE_KEY_SIZE    32
#define NOISE_TAG_SIZE    16
#define NOISE_MESSAGE_MAX 65535

struct noise_params {
    const char *pattern; /* "IK", "XXpsk0", "NNpsk2", ... */
    bool initiator;
    const uint8_t *prologue;
    size_t prologue_size;
    const uint8_t *s_secret; /* own static, NULL when the pattern has none */
    const uint8_t *rs;       /* the other's static, when known beforehand */
    const uint8_t *e_secret; /* fixed ephemeral: vectors only, NULL otherwise */
    const uint8_t *psk;      /* 32 bytes; the same for every psk token */
};

struct noise_handshake; /* in guarded memory, wiped by noise_free */

/* INVAL: unknown pattern or a missing key. */
clan_status noise_new(const struct noise_params *p, struct noise_handshake **ret);
void noise_free(struct noise_handshake *h);
bool noise_my_turn(const struct noise_handshake *h); /* to write */
bool noise_done(const struct noise_handshake *h);
/* LIMIT when it does not fit; any error ends the handshake. */
clan_status noise_write(struct noise_handshake *h, const uint8_t *payload, size_t size,
    uint8_t *ret_message, size_t cap, size_t *ret_size);
/* AUTH when it does not verify. */
clan_status noise_read(struct noise_handshake *h, const uint8_t *message, size_t size,
    uint8_t *ret_payload, size_t cap, size_t *ret_size);
/* After the static key of the other side was received (IK responder: after message 1). */
const uint8_t *noise_remote_static(const struct noise_handshake *h);
const uint8_t *noise_hash(const struct noise_handshake *h); /* 64 bytes, after each message */
/* When done: the two directions of this side.  The handshake may be freed afterwards. */
clan_status noise_split(
    struct noise_handshake *h, uint8_t ret_send_key[32], uint8_t ret_recv_key[32]);

#endif
