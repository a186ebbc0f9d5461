/* The second cipher implementation behind aead.c: libcrypto's, or none.  Internal. */
#ifndef NOISE_BULK_H
#define NOISE_BULK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opaque context of one key and direction; the direction is fixed by the first call. */
struct bulk;

bool bulk_init(void); /* false: there is none, use libsodium for every size */
struct bulk *bulk_new(const uint8_t key[32], bool seal); /* NULL: out of memory */
void bulk_free(struct bulk *b);                          /* wipes; takes NULL */
/* In place; false: the library failed, data is spoilt (seal) or wiped (open). */
bool bulk_seal(struct bulk *b, const uint8_t nonce[12], const void *ad, size_t ad_size,
    uint8_t *data, size_t size);
bool bulk_open(struct bulk *b, const uint8_t nonce[12], const void *ad, size_t ad_size,
    uint8_t *data, size_t size); /* size without the tag, which follows */

#endif
