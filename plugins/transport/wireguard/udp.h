/* The two UDP sockets: batches out with segmentation offload, batches in with receive offload; each tried, not
 * assumed. */
#ifndef WG_UDP_H
#define WG_UDP_H

#include "cookie.h"

#include <stdatomic.h>
#include <sys/socket.h>

#define WG_UDP_BYTES    65507u /* of one datagram, also of the kernel's super-datagram */
#define WG_UDP_SEGMENTS 64u    /* of one, UDP_MAX_SEGMENTS of older kernels */
#define WG_BATCH        16u    /* datagrams in a call */

struct wg_udp {
    int fd[2];             /* IPv4, IPv6; -1: none */
    atomic_bool no_gso[2]; /* it was refused by a device: EIO */
    bool gro[2];
    atomic_ullong lost; /* messages that the kernel did not take */
};

/* What can be had of the sockets; none of it is needed. */
void wg_udp_open(struct wg_udp *ret_udp, const int32_t fds[2]);
/* One message; losing it is allowed.  Any thread. */
void wg_udp_send(struct wg_udp *u, const struct wg_endpoint *to, const uint8_t *message,
    size_t size, uint8_t tos);

struct wg_train { /* messages of one size, the last one perhaps shorter, one after the other */
    struct wg_endpoint to;
    uint8_t *data;
    size_t size;
    uint16_t segment, count;
    uint8_t tos;
};
/* Sends up to WG_BATCH trains; waits a little where the socket is full, then drops.  One thread. */
void wg_udp_send_trains(struct wg_udp *u, const struct wg_train *t, unsigned count);

struct wg_arrival {
    struct wg_endpoint from;
    uint8_t *data;
    size_t size, segment; /* segment: of each message but the last */
    uint8_t tos;
};
/* Up to WG_BATCH arrivals of one socket into buffers of its own, valid until the next call; one thread. */
unsigned wg_udp_receive(struct wg_udp *u, int which, struct wg_arrival ret_arrivals[WG_BATCH]);

#endif
