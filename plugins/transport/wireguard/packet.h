/* Inner packets: checksums, and what of an IPv6 header matters here; pure functions. */
#ifndef WG_PACKET_H
#define WG_PACKET_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WG_IP6_HEAD 40
#define WG_TCP_HEAD 20
#define WG_TCP_FIN  0x01
#define WG_TCP_PSH  0x08
#define WG_TCP_ACK  0x10
#define WG_TCP_CWR  0x80
#define WG_ECN_CE   3u
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4 /* headers older than Linux 6.2 */
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

/* Ones' complement arithmetic of Internet checksums (RFC 1071), in the computer's own byte order; each
 * part but the last has an even size. */
uint64_t wg_sum(uint64_t sum, const uint8_t *data, size_t size);
uint16_t wg_sum_fold(uint64_t sum);
uint64_t wg_sum_pseudo(const uint8_t *ip6, uint32_t payload_size, uint8_t protocol);

/* A routing header would take the packet past who may send where; a chain that does not end inside is
 * as bad.  The packet has at least its IPv6 header. */
bool wg_reroutes(const uint8_t *packet, size_t size);

static inline unsigned wg_ecn(const uint8_t *ip6)
{
    return ip6[1] >> 4 & 3;
}

/* What arrived in an outer packet of that ECN (RFC 6040, 4.2).  false: it is to be dropped. */
bool wg_ecn_out(uint8_t *ip6, unsigned outer);

static inline unsigned wg_get_be16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static inline uint32_t wg_get_be32(const uint8_t *p)
{
    return (uint32_t)wg_get_be16(p) << 16 | wg_get_be16(p + 2);
}

static inline void wg_put_be16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void wg_put_be32(uint8_t *p, uint32_t v)
{
    wg_put_be16(p, v >> 16);
    wg_put_be16(p + 2, v & 0xffff);
}

#endif
