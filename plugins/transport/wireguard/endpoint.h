/* UDP endpoints as text, and which of this computer's addresses are worth telling. */
#ifndef WG_ENDPOINT_H
#define WG_ENDPOINT_H

#include "cookie.h"

#define WG_ENDPOINT_TEXT 60

/* "192.0.2.7:7120", "[2001:db8::7]:7120": numbers only. */
bool wg_endpoint_parse(const char *text, struct wg_endpoint *ret_endpoint);
void wg_endpoint_text(const struct wg_endpoint *e, char ret_text[WG_ENDPOINT_TEXT]);

/* As 16 bytes, IPv4 mapped.  The rank, 0 the best; -1: not to be told to anybody. */
bool wg_is_mapped(const uint8_t address[16]);
int wg_address_rank(const uint8_t address[16]);
#define WG_RANKS 4

#endif
