/* The overlay interface: one descriptor, read by the sender, written by the receiver. */
#ifndef LINK_TUN_H
#define LINK_TUN_H

#include "link.h"

#include <linux/virtio_net.h>

/* Takes fd.  It must be O_NONBLOCK; vnet: the head is the 10 bytes of struct virtio_net_hdr. */
void tun_set(struct link *l, int fd, uint32_t mtu, bool vnet);
/* The receiver: a packet that passed link_check_packet. */
void tun_write(struct link *l, const struct virtio_net_hdr *head, uint8_t *packet, size_t size);
/* The sender: size, -1 nothing there, -2 too long (it is gone). */
long tun_read(struct link *l, struct virtio_net_hdr *ret_head, uint8_t *ret_packet, size_t cap);

#endif
