/*
 * The invitation link: clan://join/ and base32 (capitals) of
 *   u8 version (1) | clan ID 32 | seed 16 | floor {u32 version, 16 bytes of its envelope's ID} |
 *   u8 endpoint count (0..2) | { u8 4 or 6 | address 4 or 16 | u16 port } | u8 onion count (0) |
 *   4 bytes BLAKE2b of all before (a mistyped link is told from a stranger's)
 */
#ifndef STATEMENT_LINK_H
#define STATEMENT_LINK_H

#include <clan/status.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_PREFIX        "clan://join/"
#define LINK_TEXT_MAX      300
#define LINK_ENDPOINTS_MAX 2

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
    } endpoints[LINK_ENDPOINTS_MAX];
};

/* ret_text holds LINK_TEXT_MAX + 1. */
clan_status link_format(const struct invite_link *l, char *ret_text);
/* Case does not matter, white space around is ignored.  INVAL with words for: not a link, damaged, made
 * by a newer Clan. */
clan_status link_parse(const char *text, struct invite_link *ret, struct clan_error *reterr);
/* "203.0.113.5:7117", "[2001:db8::1]:7117"; ret_text holds 64 */
void link_endpoint_text(const struct invite_link *l, unsigned index, char *ret_text);
/* INVAL for loopback, link-local, multicast, unspecified. */
clan_status link_endpoint_allowed(
    const struct invite_link *l, unsigned index, struct clan_error *reterr);

#endif
