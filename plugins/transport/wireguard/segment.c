/* Cutting what the kernel handed out into packets, as a network card with offloads would. */
#include "segment.h"

#include <netinet/in.h>
#include <string.h>

static bool finish_checksum(uint8_t *packet, size_t size, const struct virtio_net_hdr *head)
{
    size_t start = head->csum_start, field = start + head->csum_offset;
    if (start < WG_IP6_HEAD || start >= size || field + 2 > size)
        return false;
    /* the field holds the pseudo header's sum, so it is summed with the rest */
    uint16_t sum = (uint16_t)~wg_sum_fold(wg_sum(0, packet + start, size - start));
    if (sum == 0)
        sum = 0xffff; /* the same value; 0 would mean "none" for UDP */
    memcpy(packet + field, &sum, 2);
    return true;
}

static bool begin_super(struct wg_cut *c, const struct virtio_net_hdr *head)
{
    uint8_t type = head->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
    bool tcp = type == VIRTIO_NET_HDR_GSO_TCPV6 && c->packet[6] == IPPROTO_TCP &&
               c->size >= WG_IP6_HEAD + WG_TCP_HEAD;
    bool udp = type == VIRTIO_NET_HDR_GSO_UDP_L4 && c->packet[6] == IPPROTO_UDP;
    size_t above = tcp ? (c->packet[WG_IP6_HEAD + 12] >> 4) * 4u : 8;
    if ((!tcp && !udp) || (tcp && above < WG_TCP_HEAD) || !head->gso_size)
        return false;
    c->protocol = c->packet[6];
    c->head_size = WG_IP6_HEAD + above;
    c->piece = head->gso_size;
    c->at = c->head_size;
    return c->head_size < c->size;
}

bool wg_cut_begin(
    struct wg_cut *ret_cut, uint8_t *packet, size_t size, const struct virtio_net_hdr *head)
{
    if (size < WG_IP6_HEAD || packet[0] >> 4 != 6 ||
        wg_get_be16(packet + 4) + (size_t)WG_IP6_HEAD != size)
        return false;
    *ret_cut = (struct wg_cut){.packet = packet, .size = size, .piece = size};
    if (head->gso_type != VIRTIO_NET_HDR_GSO_NONE)
        return begin_super(ret_cut, head);
    return !(head->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || finish_checksum(packet, size, head);
}

size_t wg_cut_max(const struct wg_cut *c)
{
    size_t rest = c->size - c->at;
    return c->head_size + (rest < c->piece ? rest : c->piece);
}

/* The sum of what was just copied, which is still near. */
static void set_checksum(const struct wg_cut *c, uint8_t *packet, size_t size)
{
    size_t above = size - WG_IP6_HEAD;
    uint8_t *field = packet + WG_IP6_HEAD + (c->protocol == IPPROTO_TCP ? 16 : 6);
    memset(field, 0, 2);
    uint64_t acc = wg_sum_pseudo(packet, (uint32_t)above, c->protocol);
    uint16_t sum = (uint16_t)~wg_sum_fold(wg_sum(acc, packet + WG_IP6_HEAD, above));
    if (sum == 0 && c->protocol == IPPROTO_UDP)
        sum = 0xffff;
    memcpy(field, &sum, 2);
}

size_t wg_cut_next(struct wg_cut *c, uint8_t *ret_packet)
{
    if (c->done)
        return 0;
    size_t n = c->size - c->at < c->piece ? c->size - c->at : c->piece;
    size_t size = c->head_size + n;
    memcpy(ret_packet, c->packet, c->head_size);
    memcpy(ret_packet + c->head_size, c->packet + c->at, n);
    if (c->protocol) {
        uint8_t *above = ret_packet + WG_IP6_HEAD;
        wg_put_be16(ret_packet + 4, size - WG_IP6_HEAD);
        if (c->protocol == IPPROTO_UDP) {
            wg_put_be16(above + 4, size - WG_IP6_HEAD);
        } else {
            wg_put_be32(above + 4, wg_get_be32(above + 4) + (uint32_t)(c->at - c->head_size));
            if (c->at + n < c->size) /* the end of it comes with its last piece only */
                above[13] &= (uint8_t) ~(WG_TCP_FIN | WG_TCP_PSH);
            if (c->at > c->head_size)
                above[13] &= (uint8_t)~WG_TCP_CWR;
        }
        set_checksum(c, ret_packet, size);
    }
    c->at += n;
    c->done = c->at >= c->size;
    return size;
}
