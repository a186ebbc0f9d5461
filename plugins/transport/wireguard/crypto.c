/* The primitives of WireGuard's paper 5.4: BLAKE2s by libcrypto, everything else by libsodium. */
#include "crypto.h"

#include <assert.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <sodium.h>
#include <string.h>

#define BLOCK 64 /* of BLAKE2s, for HMAC (RFC 2104) */

static EVP_MD *blake2s;
static EVP_MD_CTX *hasher;
static EVP_MAC_CTX *macer;

bool wg_crypto_init(void)
{
    if (hasher)
        return true;
    /* nothing of the machine's openssl.cnf belongs into this process */
    if (sodium_init() < 0 || !OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
        return false;
    blake2s = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "BLAKE2SMAC", NULL);
    macer = mac ? EVP_MAC_CTX_new(mac) : NULL;
    EVP_MAC_free(mac); /* the context keeps it */
    size_t size = WG_MAC;
    OSSL_PARAM p[] = {OSSL_PARAM_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_END};
    if (!blake2s || !macer || !EVP_MAC_CTX_set_params(macer, p))
        return false;
    hasher = EVP_MD_CTX_new();
    return hasher && EVP_DigestInit_ex2(hasher, blake2s, NULL);
}

/* A hash that fails is a process without memory or a library that is broken: nothing may go on. */
static void digest(uint8_t ret[WG_KEY], const void *const data[3], const size_t size[3])
{
    int ok = EVP_DigestInit_ex2(hasher, NULL, NULL);
    for (int i = 0; i < 3; i++)
        if (size[i])
            ok &= EVP_DigestUpdate(hasher, data[i], size[i]);
    ok &= EVP_DigestFinal_ex(hasher, ret, NULL);
    if (!ok)
        sodium_misuse();
}

void wg_hash2(uint8_t ret_hash[WG_KEY], const void *a, size_t a_size, const void *b, size_t b_size)
{
    digest(ret_hash, (const void *[]){a, b, NULL}, (size_t[]){a_size, b_size, 0});
}

void wg_mac(uint8_t ret_mac[WG_MAC], const uint8_t *key, size_t key_size, const void *a,
    size_t a_size, const void *b, size_t b_size)
{
    size_t n;
    if (!EVP_MAC_init(macer, key, key_size, NULL) || !EVP_MAC_update(macer, a, a_size) ||
        (b_size && !EVP_MAC_update(macer, b, b_size)) ||
        !EVP_MAC_final(macer, ret_mac, &n, WG_MAC) || n != WG_MAC)
        sodium_misuse();
}

static void hmac(uint8_t ret[WG_KEY], const uint8_t key[WG_KEY], const void *a, size_t a_size,
    const void *b, size_t b_size)
{
    uint8_t pad[BLOCK], inner[WG_KEY];
    memset(pad, 0x36, sizeof pad);
    for (int i = 0; i < WG_KEY; i++)
        pad[i] ^= key[i];
    digest(inner, (const void *[]){pad, a, b}, (size_t[]){BLOCK, a_size, b_size});
    for (int i = 0; i < BLOCK; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    digest(ret, (const void *[]){pad, inner, NULL}, (size_t[]){BLOCK, sizeof inner, 0});
    sodium_memzero(pad, sizeof pad);
    sodium_memzero(inner, sizeof inner);
}

void wg_kdf(uint8_t ret_1[WG_KEY], uint8_t *ret_2, uint8_t *ret_3, const uint8_t ck[WG_KEY],
    const void *input, size_t size)
{
    uint8_t prk[WG_KEY], t[WG_KEY];
    hmac(prk, ck, input, size, NULL, 0);
    hmac(t, prk, "\1", 1, NULL, 0);
    memcpy(ret_1, t, WG_KEY);
    if (ret_2) {
        hmac(t, prk, t, WG_KEY, "\2", 1);
        memcpy(ret_2, t, WG_KEY);
    }
    if (ret_3) {
        assert(ret_2);
        hmac(t, prk, t, WG_KEY, "\3", 1);
        memcpy(ret_3, t, WG_KEY);
    }
    sodium_memzero(prk, sizeof prk);
    sodium_memzero(t, sizeof t);
}

void wg_seal(uint8_t *ret_data, const uint8_t key[WG_KEY], uint64_t counter, const void *data,
    size_t size, const void *ad, size_t ad_size)
{
    uint8_t nonce[12] = {0};
    wg_put_le64(nonce + 4, counter);
    crypto_aead_chacha20poly1305_ietf_encrypt(
        ret_data, NULL, data, size, ad, ad_size, NULL, nonce, key);
}

bool wg_open(uint8_t *ret_data, const uint8_t key[WG_KEY], uint64_t counter, const void *data,
    size_t size, const void *ad, size_t ad_size)
{
    uint8_t nonce[12] = {0};
    wg_put_le64(nonce + 4, counter);
    return crypto_aead_chacha20poly1305_ietf_decrypt(
               ret_data, NULL, NULL, data, size, ad, ad_size, nonce, key) == 0;
}
