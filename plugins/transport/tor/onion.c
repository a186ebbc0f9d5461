/* Keys and addresses of onion services, by libcrypto: libsodium has no SHA3. */
#include "onion.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#define ONION_RAW 35 /* public key, checksum, version */

static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";

void onion_base32(const uint8_t *bytes, size_t size, char *ret_text)
{
    unsigned have = 0, bits = 0;
    for (size_t i = 0; i < size; i++) {
        bits = (bits << 8 | bytes[i]) & 0xfff;
        for (have += 8; have >= 5; have -= 5)
            *ret_text++ = letters[bits >> (have - 5) & 31];
    }
    if (have)
        *ret_text++ = letters[bits << (5 - have) & 31];
    *ret_text = 0;
}

bool onion_base32_decode(const char *text, size_t len, uint8_t *ret_bytes, size_t size)
{
    unsigned have = 0, bits = 0;
    size_t n = 0;
    if (len != (size * 8 + 4) / 5)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
        const char *at = c ? strchr(letters, c) : NULL;
        if (!at)
            return false;
        bits = (bits << 5 | (unsigned)(at - letters)) & 0xfff;
        have += 5;
        if (have >= 8) {
            have -= 8;
            ret_bytes[n++] = (uint8_t)(bits >> have);
        }
    }
    return n == size && (bits & ((1u << have) - 1)) == 0;
}

void onion_base64(const uint8_t *bytes, size_t size, char *ret_text)
{
    EVP_EncodeBlock((unsigned char *)ret_text, bytes, (int)size);
}

bool onion_derive(const uint8_t secret[32], const char *purpose, uint8_t ret_key[32])
{
    unsigned len = 0;
    return HMAC(EVP_sha256(), secret, 32, (const unsigned char *)purpose, strlen(purpose), ret_key,
               &len) &&
           len == 32;
}

static bool public_of(int type, const uint8_t secret[32], uint8_t ret_public[32])
{
    size_t len = 32;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(type, NULL, secret, 32);
    bool ok = key && EVP_PKEY_get_raw_public_key(key, ret_public, &len) == 1 && len == 32;
    EVP_PKEY_free(key);
    return ok;
}

bool onion_expand(const uint8_t seed[32], uint8_t ret_key[64], uint8_t ret_public[32])
{
    unsigned len = 0;
    if (EVP_Digest(seed, 32, ret_key, &len, EVP_sha512(), NULL) != 1 || len != 64)
        return false;
    ret_key[0] &= 248;
    ret_key[31] &= 127;
    ret_key[31] |= 64;
    return public_of(EVP_PKEY_ED25519, seed, ret_public);
}

bool onion_client_public(const uint8_t secret[32], uint8_t ret_public[32])
{
    return public_of(EVP_PKEY_X25519, secret, ret_public);
}

static bool checksum(const uint8_t public[32], uint8_t ret_sum[2])
{
    static const char what[] = ".onion checksum";
    uint8_t text[sizeof what - 1 + 33], hash[32];
    unsigned len = 0;
    memcpy(text, what, sizeof what - 1);
    memcpy(text + sizeof what - 1, public, 32);
    text[sizeof text - 1] = 3;
    if (EVP_Digest(text, sizeof text, hash, &len, EVP_sha3_256(), NULL) != 1 || len != sizeof hash)
        return false;
    memcpy(ret_sum, hash, 2);
    return true;
}

bool onion_address(const uint8_t public[32], char ret_address[ONION_ADDRESS + 1])
{
    uint8_t raw[ONION_RAW];
    memcpy(raw, public, 32);
    raw[34] = 3;
    if (!checksum(public, raw + 32))
        return false;
    onion_base32(raw, sizeof raw, ret_address);
    return true;
}

static bool address_ok(const char *text, size_t len)
{
    uint8_t raw[ONION_RAW], sum[2];
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z') /* one spelling, so that texts can be compared */
            return false;
    return onion_base32_decode(text, len, raw, sizeof raw) && raw[34] == 3 && checksum(raw, sum) &&
           memcmp(sum, raw + 32, 2) == 0;
}

bool onion_address_ok(const char *address)
{
    return address_ok(address, strlen(address));
}

bool onion_endpoint_parse(const char *text, struct onion_endpoint *ret)
{
    static const char between[] = ".onion:";
    uint8_t key[32];
    *ret = (struct onion_endpoint){0};
    size_t len = strlen(text);
    if (len > ONION_ENDPOINT_MAX || len < ONION_ADDRESS + sizeof between ||
        memcmp(text + ONION_ADDRESS, between, sizeof between - 1) != 0 ||
        !address_ok(text, ONION_ADDRESS))
        return false;
    const char *port = text + ONION_ADDRESS + sizeof between - 1;
    size_t digits = strspn(port, "0123456789");
    uint32_t number = 0;
    if (digits < 1 || digits > 5 || port[0] == '0')
        return false;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (uint32_t)(port[i] - '0');
    const char *rest = port + digits;
    if (number > 65535 || (*rest && *rest != '/'))
        return false;
    if (*rest && !onion_base32_decode(rest + 1, strlen(rest + 1), key, sizeof key))
        return false;
    memcpy(ret->address, text, ONION_ADDRESS);
    ret->port = (uint16_t)number;
    if (*rest)
        memcpy(ret->client, rest + 1, ONION_CLIENT);
    return true;
}

void onion_endpoint_text(const struct onion_endpoint *e, char ret_text[ONION_ENDPOINT_MAX + 1])
{
    snprintf(ret_text, ONION_ENDPOINT_MAX + 1, "%s.onion:%u%s%s", e->address, e->port,
        e->client[0] ? "/" : "", e->client);
}
