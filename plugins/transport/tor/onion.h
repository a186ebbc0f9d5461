/* Onion services of version 3: keys, addresses, and the endpoints that carry them to other machines. */
#ifndef TOR_ONION_H
#define TOR_ONION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ONION_ADDRESS      56 /* base32, without ".onion" */
#define ONION_CLIENT       52 /* base32 of an X25519 key */
#define ONION_PORT         7117
#define ONION_ENDPOINT_MAX 127

/* HMAC-SHA256 of a text: one secret from Clan, a key for each use. */
bool onion_derive(const uint8_t secret[32], const char *purpose, uint8_t ret_key[32]);

/* The 64 bytes that ADD_ONION wants: the clamped SHA-512 of the seed (RFC 8032, 5.1.5), which is not what
 * libsodium calls the secret key; and the public key. */
bool onion_expand(const uint8_t seed[32], uint8_t ret_key[64], uint8_t ret_public[32]);
/* rend-spec-v3, 6: base32(public || checksum || 3).  false: the library could not hash. */
bool onion_address(const uint8_t public[32], char ret_address[ONION_ADDRESS + 1]);
/* Is this an address?  56 small letters and digits, version 3, its checksum right. */
bool onion_address_ok(const char *address);

/* X25519 public half, for client authorization. */
bool onion_client_public(const uint8_t secret[32], uint8_t ret_public[32]);

/* "ADDRESS.onion:7117" or "ADDRESS.onion:7117/CLIENT": the client is the key by which the machine that wrote
 * the endpoint asks others for theirs. */
struct onion_endpoint {
    char address[ONION_ADDRESS + 1];
    char client[ONION_CLIENT + 1]; /* "": none */
    uint16_t port;
};
bool onion_endpoint_parse(const char *text, struct onion_endpoint *ret);
void onion_endpoint_text(const struct onion_endpoint *e, char ret_text[ONION_ENDPOINT_MAX + 1]);

/* RFC 4648 base32 in small letters without padding; ret_text holds (size * 8 + 4) / 5 + 1. */
void onion_base32(const uint8_t *bytes, size_t size, char *ret_text);
/* Exactly size bytes, capitals too; false: anything else. */
bool onion_base32_decode(const char *text, size_t len, uint8_t *ret_bytes, size_t size);
/* With padding; ret_text holds (size + 2) / 3 * 4 + 1. */
void onion_base64(const uint8_t *bytes, size_t size, char *ret_text);

#endif
