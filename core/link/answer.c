/* ICMPv6 "address unreachable" and "prohibited" to local programs, which else wait for their own timeouts. */
#include "answer.h"

#include "packet.h"
#include "tun.h"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <string.h>

#define QUOTE_MAX (1280u - LINK_IP6_HEAD - 8) /* RFC 4443 */
#define HOP_LIMIT 64

/* Errors and multicast are never answered (RFC 4443, 2.4). */
static bool may_answer(const uint8_t *packet, size_t size)
{
    bool icmp = packet[6] == IPPROTO_ICMPV6;
    return packet[8] != 0xff && (!icmp || (size > LINK_IP6_HEAD && packet[LINK_IP6_HEAD] >= 128));
}

static void answer(struct link *l, uint8_t code, const uint8_t *packet, size_t size)
{
    static const struct virtio_net_hdr plain;
    uint8_t bytes[1280] = {0x60};
    size_t quote = size < QUOTE_MAX ? size : QUOTE_MAX;
    uint8_t *icmp = bytes + LINK_IP6_HEAD;
    bytes[4] = (uint8_t)((8 + quote) >> 8);
    bytes[5] = (uint8_t)(8 + quote);
    bytes[6] = IPPROTO_ICMPV6;
    bytes[7] = HOP_LIMIT;
    memcpy(bytes + 8, packet + 24, 16); /* as if the peer said it: no other address is known here */
    memcpy(bytes + 24, packet + 8, 16);
    icmp[0] = ICMP6_DST_UNREACH;
    icmp[1] = code;
    memcpy(icmp + 8, packet, quote);
    uint64_t sum = link_sum_pseudo(bytes, (uint32_t)(8 + quote), IPPROTO_ICMPV6);
    uint16_t check = (uint16_t)~link_sum_fold(link_sum(sum, icmp, 8 + quote));
    memcpy(icmp + 2, &check, sizeof check);
    tun_write(l, &plain, bytes, LINK_IP6_HEAD + 8 + quote);
}

static void answer_one(struct link *l, struct link_peer *peer, uint8_t code, const uint8_t *packet,
    size_t size, uint64_t now_ms)
{
    if (link_since(now_ms, peer->answered_ms) < LINK_ANSWERS_MS || !may_answer(packet, size))
        return;
    peer->answered_ms = now_ms;
    answer(l, code, packet, size);
}

void answer_prohibited(
    struct link *l, struct link_peer *peer, const uint8_t *packet, size_t size, uint64_t now_ms)
{
    answer_one(l, peer, ICMP6_DST_UNREACH_ADMIN, packet, size, now_ms);
}

bool answer_unreachable(
    struct link *l, struct link_peer *peer, const uint8_t *packet, size_t size, uint64_t now_ms)
{
    if (!peer->waiting_ms || link_since(now_ms, peer->waited_ms) > LINK_UNREACHABLE_FORGET_MS)
        peer->waiting_ms = now_ms; /* it is worth the wait again */
    peer->waited_ms = now_ms;
    if (link_since(now_ms, peer->waiting_ms) < LINK_UNREACHABLE_MS)
        return false;
    answer_one(l, peer, ICMP6_DST_UNREACH_ADDR, packet, size, now_ms);
    return true;
}
