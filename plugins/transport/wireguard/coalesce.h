/* Packets of one TCP connection that follow each other, put together before the kernel gets them. */
#ifndef WG_COALESCE_H
#define WG_COALESCE_H

#include "packet.h"

#include <sys/uio.h>

#define WG_FLOWS    8u  /* at a time */
#define WG_SEGMENTS 64u /* of one flow */

/* One packet for the TUN, or a super-packet: iov[0] is the header that belongs to it. */
typedef void wg_write_fn(void *user, const struct iovec *iov, int count);

struct wg_flow {
    uint8_t *first; /* the first packet: its headers are those of all */
    size_t head_size, size, mss;
    uint32_t next_seq;
    unsigned count;
    bool ends; /* nothing follows its last segment */
    struct iovec iov[1 + WG_SEGMENTS];
};

struct wg_coalesce { /* zeros, but for these */
    wg_write_fn *write;
    void *user;
    bool tcp;      /* the TUN takes super-packets */
    unsigned used; /* of flow, in the order of their beginning */
    struct wg_flow flow[WG_FLOWS];
};

/* A packet as wg_device_receive() gave it; it stays where it is, and may be changed, until the flush. */
void wg_coalesce_add(struct wg_coalesce *c, uint8_t *packet, size_t size);
void wg_coalesce_flush(struct wg_coalesce *c);

#endif
