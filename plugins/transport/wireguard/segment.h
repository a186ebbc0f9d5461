/* Cutting what the kernel handed out into packets, as a network card with offloads would. */
#ifndef WG_SEGMENT_H
#define WG_SEGMENT_H

#include "packet.h"

struct wg_cut {
    const uint8_t *packet;
    size_t size, at; /* at: of the payload that is next; size: the end */
    size_t head_size;
    size_t piece; /* payload of one */
    uint8_t protocol;
    bool done;
};

/* Takes a packet of the TUN and what was said with it; its checksum is finished in place where that was
 * left to us.  false: it is no IPv6 packet, or its offsets point outside. */
bool wg_cut_begin(
    struct wg_cut *ret_cut, uint8_t *packet, size_t size, const struct virtio_net_hdr *head);
/* What the greatest piece measures. */
size_t wg_cut_max(const struct wg_cut *c);
/* The next packet into ret_packet[wg_cut_max()]; 0: there is none. */
size_t wg_cut_next(struct wg_cut *c, uint8_t *ret_packet);

#endif
