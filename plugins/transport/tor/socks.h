/* SOCKS5 as tor speaks it (RFC 1928, RFC 1929, tor's socks-extensions.txt). */
#ifndef TOR_SOCKS_H
#define TOR_SOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SOCKS_ASK_MAX  512
#define SOCKS_USER_MAX 63

/* All that is said: the first SOCKS_HELLO bytes, and the rest after SOCKS_SAY: tor 0.4.9.11 loses its first
 * answer when more than the greeting lies before it (measured).  A user of its own gets a circuit of its own
 * (IsolateSOCKSAuth).  Returns the size; 0: host or user is too long. */
#define SOCKS_HELLO 3
size_t socks_ask(const char *user, const char *host, uint16_t port, uint8_t ret[SOCKS_ASK_MAX]);

enum socks_state { SOCKS_MORE, SOCKS_SAY, SOCKS_CONNECTED, SOCKS_REFUSED, SOCKS_BROKEN };

/* Reads the answers.  Exactly socks_want() bytes are read from the socket and fed, so that not a byte of the
 * peer is taken. */
struct socks {
    uint8_t bytes[264];
    unsigned have, need;
    unsigned step; /* method, authentication, reply head, rest of the reply */
    uint8_t reply;
};
void socks_begin(struct socks *s);
unsigned socks_want(const struct socks *s);
enum socks_state socks_feed(struct socks *s, const uint8_t *bytes, unsigned size);

#define SOCKS_CLOSED    0x05 /* the service is there, and nothing listens at that port */
#define SOCKS_NOT_FOUND 0xf0 /* the peer's service is not published: its machine is off */
/* What a refusal means, in words. */
const char *socks_text(uint8_t reply);

#endif
