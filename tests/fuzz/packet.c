/* What a peer sends as a packet: whatever passes must be something the kernel can be given. */
#include "link/packet.h"
#include "link/protocol.h"
#include "link/segment.h"

#include "base/error.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void piece(void *arg, const uint8_t *head, size_t head_size, const uint8_t *payload,
    size_t payload_size, uint16_t mss)
{
    size_t *sum = arg;
    clan_assert(head_size >= LINK_IP6_HEAD + 20 && payload_size > 0 && payload && head && !mss);
    *sum += payload_size;
}

/* Input: u8 kind | u16 mss | u8 flags | packet.  The addresses are made to fit, so that more is
 * reached. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t own[1][16] = {{0xfd, [15] = 1}}, from[1][16] = {{0xfd, [15] = 2}};
    static uint8_t packet[65536];
    struct virtio_net_hdr head;
    if (size < 4 || size - 4 > sizeof packet)
        return 0;
    uint8_t kind = data[0], flags = data[3];
    uint16_t mss = (uint16_t)(data[1] << 8 | data[2]);
    size -= 4;
    memcpy(packet, data + 4, size);
    if ((flags & 1) && size >= 40) {
        memcpy(packet + 8, from[0], 16);
        memcpy(packet + 24, own[0], 16);
    }
    struct link_rules rules = {.own = own,
        .own_count = 1,
        .from = from,
        .from_count = 1,
        .reachable = own,
        .reachable_count = flags & 2 ? 1 : 0,
        .restricted = flags & 4,
        .mtu = 1420};
    int why = link_check_packet(&rules, kind, mss, packet, size, &head);
    clan_assert(why == LINK_OK || (why >= 0 && why < LINK_COUNTERS));
    if (why != LINK_OK)
        return 0;
    clan_assert(packet[0] >> 4 == 6 && memcmp(packet + 8, from[0], 16) == 0);
    if (!head.gso_size) {
        clan_assert(size <= rules.mtu && !head.flags && !head.gso_type);
        return 0;
    }
    size_t sum = 0;
    clan_assert(head.hdr_len + head.gso_size <= rules.mtu && head.gso_size >= LINK_MSS_MIN);
    clan_assert(link_segment(packet, size, head.gso_size, 1, piece, &sum));
    clan_assert(sum + head.hdr_len == size);
    return 0;
}
