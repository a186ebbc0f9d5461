/* Packets of one TCP connection that follow each other, put together before the kernel gets them. */
#include "coalesce.h"

#include <netinet/in.h>
#include <string.h>

#define SUPER_MAX 65535u /* with its IPv6 header: the kernel's limit */
#define MSS_MIN   536u   /* smaller ones are not worth it, and an old weakness of kernels */

/* The kernel believes this header, so nothing in it is the peer's: lengths are counted, the sum is that
 * of the pseudo header, and every segment's own checksum was right. */
static void super_head(const struct wg_flow *f, struct virtio_net_hdr *ret_head)
{
    uint8_t *packet = f->first;
    *ret_head = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
        .hdr_len = (uint16_t)f->head_size,
        .gso_size = (uint16_t)f->mss,
        .csum_start = WG_IP6_HEAD,
        .csum_offset = 16};
    wg_put_be16(packet + 4, f->size - WG_IP6_HEAD);
    uint64_t acc = wg_sum_pseudo(packet, (uint32_t)(f->size - WG_IP6_HEAD), IPPROTO_TCP);
    uint16_t sum = wg_sum_fold(acc);
    memcpy(packet + WG_IP6_HEAD + 16, &sum, 2);
}

static void write_flow(struct wg_coalesce *c, struct wg_flow *f)
{
    struct virtio_net_hdr head = {0};
    if (f->count > 1)
        super_head(f, &head);
    f->iov[0] = (struct iovec){&head, sizeof head};
    c->write(c->user, f->iov, (int)f->count + 1);
}

static void write_alone(struct wg_coalesce *c, uint8_t *packet, size_t size)
{
    struct virtio_net_hdr head = {0};
    const struct iovec iov[2] = {{&head, sizeof head}, {packet, size}};
    c->write(c->user, iov, 2);
}

/* Writes flow `at` and closes the gap. */
static void end_flow(struct wg_coalesce *c, unsigned at)
{
    write_flow(c, &c->flow[at]);
    c->used--;
    for (; at < c->used; at++)
        c->flow[at] = c->flow[at + 1];
}

void wg_coalesce_flush(struct wg_coalesce *c)
{
    for (unsigned i = 0; i < c->used; i++)
        write_flow(c, &c->flow[i]);
    c->used = 0;
}

static unsigned find(const struct wg_coalesce *c, const uint8_t *packet)
{
    unsigned i = 0;
    while (i < c->used && (memcmp(c->flow[i].first + WG_IP6_HEAD, packet + WG_IP6_HEAD, 4) != 0 ||
                              memcmp(c->flow[i].first + 8, packet + 8, 32) != 0))
        i++;
    return i;
}

/* A segment with content and nothing special; 0 or the size of its headers. */
static size_t plain_segment(const uint8_t *packet, size_t size)
{
    size_t head = WG_IP6_HEAD + (packet[WG_IP6_HEAD + 12] >> 4) * 4u;
    uint8_t flags = packet[WG_IP6_HEAD + 13] & (uint8_t)~WG_TCP_PSH;
    if (head < WG_IP6_HEAD + WG_TCP_HEAD || head >= size || flags != WG_TCP_ACK)
        return 0;
    uint64_t sum = wg_sum_pseudo(packet, (uint32_t)(size - WG_IP6_HEAD), IPPROTO_TCP);
    sum = wg_sum(sum, packet + WG_IP6_HEAD, size - WG_IP6_HEAD);
    return wg_sum_fold(sum) == 0xffff ? head : 0;
}

/* All but place, length, sequence and checksum is as in the first one. */
static bool same_headers(const struct wg_flow *f, const uint8_t *packet, size_t head)
{
    const uint8_t *a = f->first + WG_IP6_HEAD, *b = packet + WG_IP6_HEAD;
    return head == f->head_size && memcmp(f->first, packet, 4) == 0 && f->first[7] == packet[7] &&
           memcmp(a + 8, b + 8, 5) == 0 && ((a[13] ^ b[13]) & ~WG_TCP_PSH) == 0 &&
           memcmp(a + 14, b + 14, 2) == 0 && memcmp(a + 18, b + 18, head - WG_IP6_HEAD - 18) == 0;
}

static bool append(struct wg_flow *f, uint8_t *packet, size_t size, size_t head)
{
    size_t payload = size - head;
    if (f->ends || f->count >= WG_SEGMENTS || payload > f->mss || f->size + payload > SUPER_MAX ||
        wg_get_be32(packet + WG_IP6_HEAD + 4) != f->next_seq || !same_headers(f, packet, head))
        return false;
    f->iov[++f->count] = (struct iovec){packet + head, payload};
    f->size += payload;
    f->next_seq += (uint32_t)payload;
    uint8_t push = packet[WG_IP6_HEAD + 13] & WG_TCP_PSH;
    f->first[WG_IP6_HEAD + 13] |= push;
    f->ends = push || payload < f->mss;
    return true;
}

static void begin_flow(struct wg_coalesce *c, uint8_t *packet, size_t size, size_t head)
{
    if (c->used == WG_FLOWS)
        end_flow(c, 0);
    struct wg_flow *f = &c->flow[c->used++];
    f->first = packet;
    f->head_size = head;
    f->size = size;
    f->mss = size - head;
    f->next_seq = wg_get_be32(packet + WG_IP6_HEAD + 4) + (uint32_t)f->mss;
    f->count = 1;
    f->ends = (packet[WG_IP6_HEAD + 13] & WG_TCP_PSH) || f->mss < MSS_MIN;
    f->iov[1] = (struct iovec){packet, size};
}

void wg_coalesce_add(struct wg_coalesce *c, uint8_t *packet, size_t size)
{
    if (!c->tcp || packet[6] != IPPROTO_TCP || size < WG_IP6_HEAD + WG_TCP_HEAD) {
        write_alone(c, packet, size);
        return;
    }
    size_t head = plain_segment(packet, size);
    unsigned at = find(c, packet);
    if (head && at < c->used && append(&c->flow[at], packet, size, head))
        return;
    if (at < c->used)
        end_flow(c, at); /* its order is kept */
    if (head)
        begin_flow(c, packet, size, head);
    else
        write_alone(c, packet, size);
}
