/* The primitives of WireGuard's paper 5.4: BLAKE2s by libcrypto, everything else by libsodium. */
#ifndef WG_CRYPTO_H
#define WG_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WG_KEY 32
#define WG_TAG 16
#define WG_MAC 16

/* Fetches BLAKE2s and makes its contexts; before the sandbox closes.  Hashes, MACs and KDFs belong to
 * one thread, the one that does handshakes; sealing to any. */
bool wg_crypto_init(void);

void wg_hash2(uint8_t ret_hash[WG_KEY], const void *a, size_t a_size, const void *b, size_t b_size);
/* Keyed BLAKE2s with 16 bytes: the paper's MAC(key, input). */
void wg_mac(uint8_t ret_mac[WG_MAC], const uint8_t *key, size_t key_size, const void *a,
    size_t a_size, const void *b, size_t b_size);
/* The paper's KDF1 to KDF3: outputs that are NULL are not computed.  ck may be ret_1. */
void wg_kdf(uint8_t ret_1[WG_KEY], uint8_t *ret_2, uint8_t *ret_3, const uint8_t ck[WG_KEY],
    const void *input, size_t size);

/* ret_data[size + WG_TAG], may be data. */
void wg_seal(uint8_t *ret_data, const uint8_t key[WG_KEY], uint64_t counter, const void *data,
    size_t size, const void *ad, size_t ad_size);
/* size with the tag; false: does not verify, ret_data is not to be used. */
bool wg_open(uint8_t *ret_data, const uint8_t key[WG_KEY], uint64_t counter, const void *data,
    size_t size, const void *ad, size_t ad_size);

/* The cipher of one direction's packets, in place and without more data.  libcrypto's for long ones
 * where it is the faster (measured at start), else libsodium's; the same bytes.  One thread each. */
struct wg_bulk { /* in guarded memory */
    uint8_t key[WG_KEY];
    struct evp_cipher_ctx_st *stream;
    struct evp_mac_ctx_st *mac;
};
bool wg_bulk_begin(struct wg_bulk *ret_bulk, const uint8_t key[WG_KEY]); /* false: out of memory */
void wg_bulk_end(struct wg_bulk *b);                                     /* wipes */
bool wg_bulk_seal(struct wg_bulk *b, uint64_t counter, uint8_t *data, size_t size);
bool wg_bulk_open(struct wg_bulk *b, uint64_t counter, uint8_t *data, size_t size); /* with tag */
const char *wg_bulk_name(void);                                                     /* for people */
/* For tests: that one whatever was measured; false: it is not to be had.  Not while one is in use. */
bool wg_bulk_choose(bool libcrypto);

static inline void wg_put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static inline void wg_put_le64(uint8_t *p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static inline uint32_t wg_get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t wg_get_le64(const uint8_t *p)
{
    return wg_get_le32(p) | (uint64_t)wg_get_le32(p + 4) << 32;
}

#endif
