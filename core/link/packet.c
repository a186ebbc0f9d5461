/* The check of every packet that came from a peer, and the header the kernel gets with it. */
#include "packet.h"

#include "protocol.h"

#include <netinet/in.h>
#include <string.h>

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_URG 0x20
#define TCP_CWR 0x80

/* --- sums --- */

uint64_t link_sum(uint64_t sum, const uint8_t *data, size_t size)
{
    /* native order: the fold of a sum of byte-swapped words is the byte-swapped fold */
    while (size >= 4) {
        uint32_t word;
        memcpy(&word, data, 4);
        sum += word;
        data += 4;
        size -= 4;
    }
    if (size) {
        uint32_t word = 0;
        memcpy(&word, data, size);
        sum += word;
    }
    return sum;
}

uint16_t link_sum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t link_sum_pseudo(const uint8_t *ip6, uint32_t payload_size, uint8_t protocol)
{
    uint32_t tail[2] = {htonl(payload_size), htonl(protocol)};
    return link_sum(link_sum(0, ip6 + 8, 32), (const uint8_t *)tail, sizeof tail);
}

/* --- checks --- */

static unsigned u16_at(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static bool among(const uint8_t (*list)[16], unsigned count, const uint8_t *address)
{
    for (unsigned i = 0; i < count; i++)
        if (memcmp(list[i], address, 16) == 0)
            return true;
    return false;
}

/* A routing header would take the packet past the check of its destination: none, wherever it stands
 * in the chain; nor a chain whose end is not in this packet. */
static bool reroutes(const uint8_t *packet, size_t size)
{
    uint8_t next = packet[6];
    for (size_t at = LINK_IP6_HEAD;;) {
        bool options = next == IPPROTO_HOPOPTS || next == IPPROTO_DSTOPTS || next == IPPROTO_AH;
        if (next == IPPROTO_ROUTING)
            return true;
        if (!options && next != IPPROTO_FRAGMENT)
            return false;
        if (size - at < 8)
            return true;
        const uint8_t *head = packet + at;
        size_t length = next == IPPROTO_FRAGMENT ? 8
                        : next == IPPROTO_AH     ? (head[1] + 2) * 4u
                                                 : (head[1] + 1) * 8u;
        if (next == IPPROTO_FRAGMENT && (u16_at(head + 2) & 0xfff8)) /* the rest is in the first */
            return head[0] == IPPROTO_ROUTING;
        if (size - at < length)
            return true;
        next = head[0];
        at += length;
    }
}

static int check_addresses(const struct link_rules *r, const uint8_t *packet)
{
    if (!among(r->from, r->from_count, packet + 8))
        return LINK_COUNT_PEER_BAD_SOURCE;
    if (!among(r->own, r->own_count, packet + 24))
        return LINK_COUNT_PEER_BAD_DEST;
    if (r->no_data || (r->restricted && !among(r->reachable, r->reachable_count, packet + 24)))
        return LINK_COUNT_PEER_NOT_ALLOWED;
    return LINK_OK;
}

static int check_super(const struct link_rules *r, uint16_t mss, uint8_t *packet, size_t size,
    struct virtio_net_hdr *ret_head)
{
    if (packet[6] != IPPROTO_TCP || size < LINK_IP6_HEAD + 20)
        return LINK_COUNT_PEER_BAD_TCP;
    size_t head = LINK_IP6_HEAD + (packet[LINK_IP6_HEAD + 12] >> 4) * 4u;
    uint8_t flags = packet[LINK_IP6_HEAD + 13];
    if (head < LINK_IP6_HEAD + 20 || head >= size || (flags & (TCP_SYN | TCP_RST | TCP_URG)))
        return LINK_COUNT_PEER_BAD_TCP;
    size_t payload = size - head;
    if (mss < LINK_MSS_MIN || mss + 60u > r->mtu || head + mss > r->mtu || payload <= mss ||
        (payload + mss - 1) / mss > LINK_SEGMENTS_MAX)
        return LINK_COUNT_PEER_BAD_MSS;
    ret_head->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    ret_head->gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    if (flags & TCP_CWR)
        ret_head->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
    ret_head->hdr_len = (uint16_t)head;
    ret_head->gso_size = mss;
    ret_head->csum_start = LINK_IP6_HEAD;
    ret_head->csum_offset = 16;
    uint16_t sum =
        link_sum_fold(link_sum_pseudo(packet, (uint32_t)(size - LINK_IP6_HEAD), IPPROTO_TCP));
    memcpy(packet + LINK_IP6_HEAD + 16, &sum, sizeof sum);
    return LINK_OK;
}

int link_check_packet(const struct link_rules *rules, uint8_t kind, uint16_t mss, uint8_t *packet,
    size_t size, struct virtio_net_hdr *ret_head)
{
    memset(ret_head, 0, sizeof *ret_head);
    if (kind != LINK_PACKET && kind != LINK_TCP6)
        return LINK_COUNT_PEER_BAD_HEAD;
    if (kind == LINK_PACKET && mss != 0)
        return LINK_COUNT_PEER_BAD_HEAD;
    if (size < LINK_IP6_HEAD || packet[0] >> 4 != 6 || u16_at(packet + 4) + LINK_IP6_HEAD != size)
        return LINK_COUNT_PEER_BAD_IP;
    if (kind == LINK_PACKET && reroutes(packet, size))
        return LINK_COUNT_PEER_BAD_IP;
    int why = check_addresses(rules, packet);
    if (why != LINK_OK)
        return why;
    if (kind == LINK_TCP6)
        return check_super(rules, mss, packet, size, ret_head);
    return size > rules->mtu ? LINK_COUNT_PEER_TOO_LONG : LINK_OK;
}
