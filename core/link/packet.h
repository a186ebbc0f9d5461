/* What a packet from a peer must be before the kernel sees it (SECURITY F1): pure functions. */
#ifndef LINK_PACKET_H
#define LINK_PACKET_H

#include "wire/counters.h"

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_MSS_MIN      536
#define LINK_SEGMENTS_MAX 128
#define LINK_OK           (-1)
#define LINK_IP6_HEAD     40
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* headers older than Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct link_rules {
    const uint8_t (*own)[16]; /* our address and the services we hold */
    unsigned own_count;
    const uint8_t (*from)[16]; /* what this peer may send from */
    unsigned from_count;
    const uint8_t (*reachable)[16]; /* of a restricted peer: the only destinations */
    unsigned reachable_count;
    bool restricted, no_data;
    uint32_t mtu;
};

/* LINK_OK, or the LINK_COUNT_ of the reason.  ret_head is computed, nothing of it comes from the
 * peer; the TCP checksum field of a super-packet is set to what the kernel expects. */
int link_check_packet(const struct link_rules *rules, uint8_t kind, uint16_t mss, uint8_t *packet,
    size_t size, struct virtio_net_hdr *ret_head);

/* Ones' complement arithmetic of Internet checksums. */
uint64_t link_sum(uint64_t sum, const uint8_t *data, size_t size);
uint16_t link_sum_fold(uint64_t sum);
uint64_t link_sum_pseudo(const uint8_t *ip6, uint32_t payload_size, uint8_t protocol);

#endif
