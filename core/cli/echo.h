/* ICMPv6 echo requests to machines of the clan. */
#ifndef CLI_ECHO_H
#define CLI_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ECHO_SIZE_MAX 8000 /* of the data behind the header */

struct echo {
    int fd; /* -1: this user may not send them */
    bool raw;
    uint16_t ident;
};

void echo_open(struct echo *e);
void echo_close(struct echo *e);
/* True with the round trip, false when nothing came back in time. */
bool echo_once(const struct echo *e, const uint8_t to[16], uint16_t seq, size_t size,
    unsigned timeout_ms, uint64_t *ret_us);

#endif
