/* Every size that two processes or two machines must agree on. */
#ifndef WIRE_LIMITS_H
#define WIRE_LIMITS_H

#include <assert.h>

#define WIRE_FRAME_MAX 65535 /* payload of a length-prefixed frame; a Noise message with tag */
#define WIRE_RECORD_MAX                                                                            \
    (WIRE_FRAME_MAX - 20)            /* 65,515: what a stream record may hold (SECURITY E3) */
#define WIRE_CONTROL_MAX (60 * 1024) /* a control message, encoded */
#define WIRE_CHUNK_MAX   (32 * 1024) /* bytes of a blob in one message */
#define WIRE_CHUNKS_OUT  16          /* outstanding chunk requests per peer */
#define WIRE_GSO_MAX     61440       /* gso_max_size of every TUN, set before it is up */
#define WIRE_MTU         1420        /* of clan0, when nothing smaller is known */
#define WIRE_PORT        7117        /* tcp-noise */
#define WIRE_DEVICE_PORT 7120        /* UDP, of a device transport that lists no other */

#define WIRE_PEERS_MAX          1024
#define WIRE_DEMANDS_MAX        64    /* services with "via:": all that a configuration has */
#define WIRE_STRANGER_MS        10000 /* a peer not known is a stranger for this long ... */
#define WIRE_STRANGER_BYTES     65536 /* ... and for this much */
#define WIRE_HANDSHAKES_MAX     64    /* at once */
#define WIRE_HANDSHAKE_MS       10000
#define WIRE_HANDSHAKES_PER_NET 4 /* at once from one /64 or IPv4 address */

static_assert(WIRE_GSO_MAX + 40 + 4 < WIRE_RECORD_MAX, "a super-packet fits into one record");
static_assert(WIRE_CONTROL_MAX < WIRE_RECORD_MAX, "a control message fits into one record");

#endif
