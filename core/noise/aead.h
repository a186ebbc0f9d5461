/* Noise's ChaChaPoly for bulk data: libcrypto for large messages and libsodium for small ones,
 * chosen by a measurement at start; the same bytes on the wire.  libsodium alone in processes that
 * do not link libcrypto. */
#ifndef NOISE_AEAD_H
#define NOISE_AEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AEAD_TAG 16

/* A key with its counter (the Noise nonce: 4 zero bytes, u64 little-endian).  One direction, one
 * thread. */
struct aead;

/* Fetches the cipher and measures; before the sandbox closes.  Returns what was chosen, for people:
 * "libcrypto from 1,024 bytes". */
const char *aead_init(void);
struct aead *aead_new(const uint8_t key[32]); /* guarded memory; NULL: out of memory */
void aead_free(struct aead *a);               /* wipes; takes NULL */
uint64_t aead_counter(const struct aead *a);
/* In place: data[size] becomes data[size + AEAD_TAG].  false when the counter is used up (2^64 -
 * 1). */
bool aead_seal(struct aead *a, const void *ad, size_t ad_size, uint8_t *data, size_t size);
/* In place: size includes the tag; false when it does not verify (the counter then stays). */
bool aead_open(struct aead *a, const void *ad, size_t ad_size, uint8_t *data, size_t size);

#endif
