/* Cutting a super-packet into packets, as the kernel's segmentation offload would. */
#include "segment.h"

#include "packet.h"

#include <netinet/in.h>
#include <string.h>

#define HEAD_MAX (LINK_IP6_HEAD + 60)
#define TCP_LAST 0x09 /* FIN, PSH: only on the last piece */
#define TCP_CWR  0x80 /* only on the first */

static void put_u16(uint8_t *p, size_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, v >> 16);
    put_u16(p + 2, v & 0xffff);
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Full checksum of a piece, whose header and payload lie apart. */
static void set_checksum(uint8_t *head, size_t head_size, uint8_t protocol, size_t field,
    const uint8_t *payload, size_t payload_size)
{
    uint16_t sum;
    memset(head + field, 0, 2);
    size_t above_ip = head_size - LINK_IP6_HEAD; /* a multiple of 4: the payload's sum aligns */
    uint64_t acc = link_sum_pseudo(head, (uint32_t)(above_ip + payload_size), protocol);
    acc = link_sum(acc, head + LINK_IP6_HEAD, above_ip);
    sum = (uint16_t)~link_sum_fold(link_sum(acc, payload, payload_size));
    if (sum == 0 && protocol == IPPROTO_UDP)
        sum = 0xffff;
    memcpy(head + field, &sum, 2);
}

static void cut_tcp(const uint8_t *packet, size_t head_size, size_t size, uint16_t mss,
    size_t piece_max, link_piece_fn *fn, void *arg)
{
    uint8_t head[HEAD_MAX];
    uint32_t seq = get_u32(packet + LINK_IP6_HEAD + 4);
    uint8_t flags = packet[LINK_IP6_HEAD + 13];
    for (size_t at = head_size; at < size;) {
        size_t n = size - at < piece_max ? size - at : piece_max;
        uint8_t f = flags;
        if (at + n < size)
            f &= (uint8_t)~TCP_LAST;
        if (at > head_size)
            f &= (uint8_t)~TCP_CWR;
        memcpy(head, packet, head_size);
        put_u16(head + 4, head_size - LINK_IP6_HEAD + n);
        put_u32(head + LINK_IP6_HEAD + 4, seq + (uint32_t)(at - head_size));
        head[LINK_IP6_HEAD + 13] = f;
        if (n <= mss)
            set_checksum(head, head_size, IPPROTO_TCP, LINK_IP6_HEAD + 16, packet + at, n);
        fn(arg, head, head_size, packet + at, n, n <= mss ? 0 : mss);
        at += n;
    }
}

static void cut_udp(const uint8_t *packet, size_t size, uint16_t mss, link_piece_fn *fn, void *arg)
{
    uint8_t head[LINK_IP6_HEAD + 8];
    for (size_t at = sizeof head; at < size;) {
        size_t n = size - at < mss ? size - at : mss;
        memcpy(head, packet, sizeof head);
        put_u16(head + 4, 8 + n);
        put_u16(head + LINK_IP6_HEAD + 4, 8 + n);
        set_checksum(head, sizeof head, IPPROTO_UDP, LINK_IP6_HEAD + 6, packet + at, n);
        fn(arg, head, sizeof head, packet + at, n, 0);
        at += n;
    }
}

bool link_segment(const uint8_t *packet, size_t size, uint16_t mss, unsigned segments,
    link_piece_fn *fn, void *arg)
{
    if (size <= LINK_IP6_HEAD + 8 || packet[0] >> 4 != 6 || mss == 0 || segments == 0)
        return false;
    if (packet[6] == IPPROTO_UDP) {
        cut_udp(packet, size, mss, fn, arg);
        return true;
    }
    if (packet[6] != IPPROTO_TCP || size < LINK_IP6_HEAD + 20)
        return false;
    size_t head_size = LINK_IP6_HEAD + (packet[LINK_IP6_HEAD + 12] >> 4) * 4u;
    if (head_size < LINK_IP6_HEAD + 20 || head_size >= size)
        return false;
    cut_tcp(packet, head_size, size, mss, (size_t)mss * segments, fn, arg);
    return true;
}

bool link_finish_checksum(uint8_t *packet, size_t size, const struct virtio_net_hdr *head)
{
    size_t start = head->csum_start, field = start + head->csum_offset;
    if (start >= size || field + 2 > size)
        return false;
    /* the field holds the pseudo header's sum, so it is summed with the rest */
    uint16_t sum = (uint16_t)~link_sum_fold(link_sum(0, packet + start, size - start));
    if (sum == 0)
        sum = 0xffff; /* the same value; 0 would mean "none" for UDP */
    memcpy(packet + field, &sum, 2);
    return true;
}
