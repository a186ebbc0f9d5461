/* Inner packets: checksums, and what of an IPv6 header matters here. */
#include "packet.h"

#include <netinet/in.h>
#include <string.h>

#define LANES 8 /* 32 bit each: one or two registers of any vector unit */

uint64_t wg_sum(uint64_t sum, const uint8_t *data, size_t size)
{
    /* a constant count of lanes, so that the compiler takes them at once */
    uint64_t lane[LANES] = {0};
    for (; size >= LANES * 4; data += LANES * 4, size -= LANES * 4) {
        uint32_t word[LANES];
        memcpy(word, data, sizeof word);
        for (int i = 0; i < LANES; i++)
            lane[i] += word[i];
    }
    for (int i = 0; i < LANES; i++)
        sum += lane[i];
    for (; size >= 4; data += 4, size -= 4) {
        uint32_t word;
        memcpy(&word, data, 4);
        sum += word;
    }
    uint32_t rest = 0;
    memcpy(&rest, data, size);
    return sum + rest;
}

uint16_t wg_sum_fold(uint64_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

uint64_t wg_sum_pseudo(const uint8_t *ip6, uint32_t payload_size, uint8_t protocol)
{
    const uint32_t tail[2] = {htonl(payload_size), htonl(protocol)};
    return wg_sum(wg_sum(0, ip6 + 8, 32), (const uint8_t *)tail, sizeof tail);
}

bool wg_reroutes(const uint8_t *packet, size_t size)
{
    uint8_t next = packet[6];
    for (size_t at = WG_IP6_HEAD;;) {
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
        if (next == IPPROTO_FRAGMENT && (wg_get_be16(head + 2) & 0xfff8)) /* not the first one */
            return head[0] == IPPROTO_ROUTING;
        if (size - at < length)
            return true;
        next = head[0];
        at += length;
    }
}

bool wg_ecn_out(uint8_t *ip6, unsigned outer)
{
    unsigned inner = wg_ecn(ip6);
    if (outer != WG_ECN_CE || inner == WG_ECN_CE)
        return true;
    if (inner == 0) /* who does not know ECN learns of congestion by loss */
        return false;
    ip6[1] |= WG_ECN_CE << 4;
    return true;
}
