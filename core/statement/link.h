/*
 * The invitation link: clan://join/ and base32 (capitals) of
 *   u8 version (2) | clan ID 32 | seed 16 | floor {u32 version, 16 bytes of its envelope's ID} |
 *   u8 endpoint count (0..2) |
 *     { u8 0 (tcp-noise) or 1..32 and as many bytes of the transport's name |
 *       u8 4 or 6, + 128 with a suffix | address 4 or 16 | u16 port | [u8 1..40 | suffix] } |
 *   u8 onion count (0..1) | { 35 bytes of the address | u16 port } |
 *   4 bytes BLAKE2b of all before (a mistyped link is told from a stranger's)
 * The onion is reached by the transport tor.  It is the door's second onion service, never the
 * members' one (SECURITY A11).
 */
#ifndef STATEMENT_LINK_H
#define STATEMENT_LINK_H

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_PREFIX        "clan://join/"
#define LINK_TEXT_MAX      300
#define LINK_ENDPOINTS_MAX 2
#define LINK_SUFFIX_MAX    40
#define LINK_ONION_SIZE    35
#define LINK_ENDPOINT_TEXT 112

#define LINK_TRANSPORT_USUAL "tcp-noise"
#define LINK_TRANSPORT_ONION "tor"

struct invite_link {
    uint8_t clan_id[32];
    uint8_t seed[16];
    uint32_t floor_version;
    uint8_t floor_hash[16];
    unsigned endpoint_count;
    struct {
        uint8_t address[16]; /* IPv4 mapped */
        uint8_t family;      /* 4 or 6 */
        uint16_t port;
        char transport[33];
        char suffix[LINK_SUFFIX_MAX + 1]; /* "/path"; mostly empty */
    } endpoints[LINK_ENDPOINTS_MAX];
    bool has_onion;
    uint8_t onion[LINK_ONION_SIZE];
    uint16_t onion_port;
};

/* ret_text holds LINK_TEXT_MAX + 1.  LIMIT: it would be too long; with fewer endpoints it fits. */
clan_status link_format(const struct invite_link *l, char *ret_text);
/* Case does not matter, white space around is ignored.  INVAL with words for: not a link, damaged, made
 * by a newer or an
 * older Clan. */
clan_status link_parse(const char *text, struct invite_link *ret, struct clan_error *reterr);
/* Those of endpoints and the onion, which is the last. */
unsigned link_endpoint_count(const struct invite_link *l);
const char *link_endpoint_transport(const struct invite_link *l, unsigned index);
/* 16 bytes, IPv4 mapped; NULL: the onion has none. */
const uint8_t *link_endpoint_address(const struct invite_link *l, unsigned index);
/* "203.0.113.5:7117", "[2001:db8::1]:7117/path", "....onion:7117"; ret_text holds
 * LINK_ENDPOINT_TEXT */
void link_endpoint_text(const struct invite_link *l, unsigned index, char *ret_text);
/* INVAL for loopback, link-local, multicast, unspecified. */
clan_status link_endpoint_allowed(
    const struct invite_link *l, unsigned index, struct clan_error *reterr);

#endif
