/*
 * The cipher of packets: libcrypto's for long ones where it is the faster, else libsodium's.
 *
 * ChaCha20-Poly1305 (RFC 8439, 2.8, without additional data) from libcrypto's two parts: for a packet's
 * size its AEAD spends as long on its own parameters as on the packet.
 */
#include "crypto.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#define LONG      256u /* below, a call of libcrypto costs more than its wider arithmetic saves */
#define SAMPLE    1440u
#define BLOCK     64u
#define PIECE_MAX 9216u /* a jumbo frame; what is longer is rare */
#define TRIES     64

static EVP_CIPHER *cipher;
static EVP_MAC *poly1305;
static bool measured, preferred;

static uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t cost(struct wg_bulk *b, uint8_t *data)
{
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 4; round++) { /* the first one warms up */
        uint64_t begin = cpu_ns();
        for (uint64_t i = 0; i < TRIES; i++)
            if (!wg_bulk_seal(b, i, data, SAMPLE))
                return UINT64_MAX;
        uint64_t took = cpu_ns() - begin;
        best = took < best ? took : best;
    }
    return best;
}

static void measure(void)
{
    static uint8_t data[SAMPLE + WG_TAG];
    static const uint8_t key[WG_KEY] = {1};
    measured = true;
    cipher = EVP_CIPHER_fetch(NULL, "ChaCha20", NULL);
    poly1305 = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    preferred = cipher && poly1305;
    struct wg_bulk b;
    bool have = preferred && wg_bulk_begin(&b, key);
    uint64_t crypto = have ? cost(&b, data) : UINT64_MAX;
    preferred = false;
    preferred = have && crypto < cost(&b, data);
    if (have)
        wg_bulk_end(&b);
}

const char *wg_bulk_name(void)
{
    if (!measured)
        measure();
    return preferred ? "libcrypto from 256 bytes" : "libsodium";
}

bool wg_bulk_choose(bool libcrypto)
{
    wg_bulk_name();
    preferred = libcrypto && cipher && poly1305;
    return preferred == libcrypto;
}

bool wg_bulk_begin(struct wg_bulk *ret_bulk, const uint8_t key[WG_KEY])
{
    memset(ret_bulk, 0, sizeof *ret_bulk);
    memcpy(ret_bulk->key, key, WG_KEY);
    if (!preferred)
        return true;
    ret_bulk->stream = EVP_CIPHER_CTX_new();
    ret_bulk->mac = EVP_MAC_CTX_new(poly1305);
    if (ret_bulk->stream && ret_bulk->mac &&
        EVP_EncryptInit_ex2(ret_bulk->stream, cipher, key, NULL, NULL))
        return true;
    wg_bulk_end(ret_bulk);
    return false;
}

void wg_bulk_end(struct wg_bulk *b)
{
    EVP_CIPHER_CTX_free(b->stream); /* both cleanse their keys */
    EVP_MAC_CTX_free(b->mac);
    sodium_memzero(b, sizeof *b);
}

/* Block 0, of which 2.6 makes the key of the tag, and the data behind it, as one piece: vector units
 * take 16 blocks in the time of one. */
static _Thread_local uint8_t piece[BLOCK + PIECE_MAX];

static bool run(struct wg_bulk *b, uint64_t counter, const uint8_t *data, size_t size)
{
    uint8_t iv[16] = {0}; /* the block's number, four bytes of nonce, the counter */
    int out;
    wg_put_le64(iv + 8, counter);
    memset(piece, 0, BLOCK);
    memcpy(piece + BLOCK, data, size);
    return EVP_EncryptInit_ex2(b->stream, NULL, NULL, iv, NULL) &&
           EVP_EncryptUpdate(b->stream, piece, &out, piece, (int)(BLOCK + size));
}

static bool tag_of(struct wg_bulk *b, const uint8_t *data, size_t size, uint8_t ret_tag[WG_TAG])
{
    uint8_t end[32] = {0}; /* zeros up to a whole block, and the two lengths */
    size_t fill = -size & 15, n;
    wg_put_le64(end + fill + 8, size);
    bool ok = EVP_MAC_init(b->mac, piece, WG_KEY, NULL) && EVP_MAC_update(b->mac, data, size) &&
              EVP_MAC_update(b->mac, end, fill + 16) && EVP_MAC_final(b->mac, ret_tag, &n, WG_TAG);
    sodium_memzero(piece, BLOCK);
    return ok;
}

static bool for_libcrypto(size_t size)
{
    return preferred && size >= LONG && size <= PIECE_MAX;
}

bool wg_bulk_seal(struct wg_bulk *b, uint64_t counter, uint8_t *data, size_t size)
{
    if (!for_libcrypto(size)) {
        wg_seal(data, b->key, counter, data, size, NULL, 0);
        return true;
    }
    if (!run(b, counter, data, size))
        return false;
    memcpy(data, piece + BLOCK, size);
    return tag_of(b, data, size, data + size);
}

bool wg_bulk_open(struct wg_bulk *b, uint64_t counter, uint8_t *data, size_t size)
{
    uint8_t tag[WG_TAG];
    if (size < WG_TAG)
        return false;
    size -= WG_TAG;
    if (!for_libcrypto(size))
        return wg_open(data, b->key, counter, data, size + WG_TAG, NULL, 0);
    /* nothing of it goes back before the tag is known to be right */
    if (!run(b, counter, data, size) || !tag_of(b, data, size, tag) ||
        sodium_memcmp(tag, data + size, WG_TAG) != 0)
        return false;
    memcpy(data, piece + BLOCK, size);
    return true;
}
