/* Software segmentation of super-packets: for slow paths, and where the kernel's is missing. */
#ifndef LINK_SEGMENT_H
#define LINK_SEGMENT_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One piece: a plain packet with its checksums (mss 0), or a shorter super-packet. */
typedef void link_piece_fn(void *arg, const uint8_t *head, size_t head_size, const uint8_t *payload,
    size_t payload_size, uint16_t mss);

/* Cuts an IPv6 TCP or UDP super-packet into pieces of `segments` segments of mss bytes; UDP always
 * into single ones.  false: it is not one that can be cut. */
bool link_segment(const uint8_t *packet, size_t size, uint16_t mss, unsigned segments,
    link_piece_fn *fn, void *arg);

/* Sets the checksum that the kernel left to the device.  false: the header points outside. */
bool link_finish_checksum(uint8_t *packet, size_t size, const struct virtio_net_hdr *head);

#endif
