/* libcrypto's ChaCha20-Poly1305: the key is set once, a message sets only the nonce. */
#include "noise/aead.h"
#include "noise/bulk.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

static EVP_CIPHER *cipher; /* fetched once, before the sandbox closes */

bool bulk_init(void)
{
    /* nothing of the machine's openssl.cnf belongs into this process */
    if (!cipher && OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
        cipher = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    return cipher != NULL;
}

struct bulk *bulk_new(const uint8_t key[32], bool seal)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx && !EVP_CipherInit_ex2(ctx, cipher, key, NULL, seal, NULL)) {
        EVP_CIPHER_CTX_free(ctx);
        ctx = NULL;
    }
    return (struct bulk *)ctx;
}

void bulk_free(struct bulk *b)
{
    EVP_CIPHER_CTX_free((EVP_CIPHER_CTX *)b); /* cleanses the key */
}

/* Sizes here are at most a Noise message, far below INT_MAX. */
static bool run(EVP_CIPHER_CTX *ctx, const uint8_t nonce[12], const void *ad, size_t ad_size,
    uint8_t *data, size_t size)
{
    int out;
    return EVP_CipherInit_ex2(ctx, NULL, NULL, nonce, -1, NULL) &&
           (!ad_size || EVP_CipherUpdate(ctx, NULL, &out, ad, (int)ad_size)) &&
           EVP_CipherUpdate(ctx, data, &out, data, (int)size);
}

bool bulk_seal(struct bulk *b, const uint8_t nonce[12], const void *ad, size_t ad_size,
    uint8_t *data, size_t size)
{
    EVP_CIPHER_CTX *ctx = (EVP_CIPHER_CTX *)b;
    uint8_t rest[16];
    int out;
    return run(ctx, nonce, ad, ad_size, data, size) && EVP_CipherFinal_ex(ctx, rest, &out) &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, data + size);
}

bool bulk_open(struct bulk *b, const uint8_t nonce[12], const void *ad, size_t ad_size,
    uint8_t *data, size_t size)
{
    EVP_CIPHER_CTX *ctx = (EVP_CIPHER_CTX *)b;
    uint8_t rest[16];
    int out;
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, data + size) &&
        run(ctx, nonce, ad, ad_size, data, size) && EVP_CipherFinal_ex(ctx, rest, &out))
        return true;
    OPENSSL_cleanse(data, size); /* it was decrypted before the tag was known to be wrong */
    return false;
}
