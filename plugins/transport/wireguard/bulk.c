/* The cipher of packets: libcrypto's for long ones where it is the faster, else libsodium's. */
#include "crypto.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

#define LONG   256u /* below, a call of libcrypto costs more than its wider arithmetic saves */
#define SAMPLE 1440u
#define TRIES  64

struct wg_bulk { /* guarded memory */
    uint8_t key[WG_KEY];
    EVP_CIPHER_CTX *ctx;
};

static EVP_CIPHER *cipher;
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
    cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    preferred = true;
    struct wg_bulk *b = cipher ? wg_bulk_new(key, true) : NULL;
    uint64_t crypto = b ? cost(b, data) : UINT64_MAX;
    preferred = false;
    preferred = b && crypto < cost(b, data);
    wg_bulk_free(b);
}

const char *wg_bulk_name(void)
{
    if (!measured)
        measure();
    return preferred ? "libcrypto from 256 bytes" : "libsodium";
}

struct wg_bulk *wg_bulk_new(const uint8_t key[WG_KEY], bool seal)
{
    struct wg_bulk *b = sodium_malloc(sizeof *b);
    if (!b)
        return NULL;
    memcpy(b->key, key, WG_KEY);
    b->ctx = preferred ? EVP_CIPHER_CTX_new() : NULL;
    if (preferred && (!b->ctx || !EVP_CipherInit_ex2(b->ctx, cipher, key, NULL, seal, NULL))) {
        wg_bulk_free(b);
        return NULL;
    }
    return b;
}

void wg_bulk_free(struct wg_bulk *b)
{
    if (b)
        EVP_CIPHER_CTX_free(b->ctx); /* cleanses the key */
    sodium_free(b);
}

static bool run(EVP_CIPHER_CTX *ctx, uint64_t counter, uint8_t *data, size_t size)
{
    uint8_t nonce[12] = {0};
    int out;
    wg_put_le64(nonce + 4, counter);
    return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, -1, NULL) &&
           EVP_CipherUpdate(ctx, data, &out, data, (int)size);
}

bool wg_bulk_seal(struct wg_bulk *b, uint64_t counter, uint8_t *data, size_t size)
{
    uint8_t rest[16];
    int out;
    if (size < LONG || !preferred) {
        wg_seal(data, b->key, counter, data, size, NULL, 0);
        return true;
    }
    return run(b->ctx, counter, data, size) && EVP_CipherFinal_ex(b->ctx, rest, &out) &&
           EVP_CIPHER_CTX_ctrl(b->ctx, EVP_CTRL_AEAD_GET_TAG, WG_TAG, data + size);
}

bool wg_bulk_open(struct wg_bulk *b, uint64_t counter, uint8_t *data, size_t size)
{
    uint8_t rest[16];
    int out;
    if (size < WG_TAG)
        return false;
    if (size < LONG || !preferred)
        return wg_open(data, b->key, counter, data, size, NULL, 0);
    size -= WG_TAG;
    if (EVP_CIPHER_CTX_ctrl(b->ctx, EVP_CTRL_AEAD_SET_TAG, WG_TAG, data + size) &&
        run(b->ctx, counter, data, size) && EVP_CipherFinal_ex(b->ctx, rest, &out))
        return true;
    sodium_memzero(data, size); /* it was decrypted before the tag was known to be wrong */
    return false;
}
