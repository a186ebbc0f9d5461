/* The lies of link_hostile.c: one thing wrong with a packet at a time, and what it counts as. */
#ifndef LAB_LINK_LIES_H
#define LAB_LINK_LIES_H

#include "lab/link_lab.h"

#include "link/protocol.h"

#include <netinet/in.h>

#define PLAIN_SIZE 100
#define SUPER_SIZE 30060

static uint8_t third[16], service_own[16], service_liar[16], service_third[16];
static const uint8_t multicast[16] = {0xff, 2, [15] = 1}, loopback[16] = {[15] = 1},
                     link_local[16] = {0xfe, 0x80, [15] = 1},
                     mapped[16] = {[10] = 0xff, 0xff, 10, 77, 0, 2},
                     outside[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
struct lie {
    const char *name;
    bool super;
    uint8_t kind, reserved; /* kind 0: what the packet is */
    uint16_t mss;
    size_t size; /* 0: as made; the header agrees */
    int cut;     /* bytes that the header promises and that are not there */
    const uint8_t *from, *to;
    uint8_t at[2], value[2]; /* bytes that are set; at 0: the first byte of the packet if value */
    int counter;
};

static const struct lie lies[] = {
    {"mss 0", .super = true, .mss = 0, .counter = LINK_COUNT_PEER_BAD_MSS},
    {"mss 1", .super = true, .mss = 1, .counter = LINK_COUNT_PEER_BAD_MSS},
    {"mss 535", .super = true, .mss = 535, .counter = LINK_COUNT_PEER_BAD_MSS},
    {"mss 1361", .super = true, .mss = 1361, .counter = LINK_COUNT_PEER_BAD_MSS},
    {"mss 65535", .super = true, .mss = 65535, .counter = LINK_COUNT_PEER_BAD_MSS},
    {"one segment", .super = true, .mss = 1340, .size = 1400, .counter = LINK_COUNT_PEER_BAD_MSS},
    {"mss of a plain packet", .mss = 1340, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"reserved byte", .reserved = 1, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"reserved byte, super", true, .reserved = 0x80, .mss = 1340,
        .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"control", .kind = LINK_CONTROL, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"control of 60 KB", .kind = LINK_CONTROL, .size = 61440, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"hello again", .kind = LINK_HELLO, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"kind 12", .kind = 12, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"left, and no session", .kind = LINK_LEFT, .size = 41, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"kind 255", .kind = 255, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"ping with an mss", .kind = LINK_PING, .mss = 9, .counter = LINK_COUNT_PEER_BAD_HEAD},
    {"UDP super-packet", true, .mss = 1340, .at = {6}, .value = {IPPROTO_UDP},
        .counter = LINK_COUNT_PEER_BAD_TCP},
    {"ICMP super-packet", true, .mss = 1340, .at = {6}, .value = {IPPROTO_ICMPV6},
        .counter = LINK_COUNT_PEER_BAD_TCP},
    {"hop-by-hop, super", true, .mss = 1340, .at = {6, 40}, .value = {0, IPPROTO_TCP},
        .counter = LINK_COUNT_PEER_BAD_TCP},
    {"fragment, super", true, .mss = 1340, .at = {6, 40}, .value = {44, IPPROTO_TCP},
        .counter = LINK_COUNT_PEER_BAD_TCP},
    {"TCP header of 16", true, .mss = 1340, .at = {52}, .value = {4 << 4},
        .counter = LINK_COUNT_PEER_BAD_TCP},
    {"SYN", true, .mss = 1340, .at = {53}, .value = {2}, .counter = LINK_COUNT_PEER_BAD_TCP},
    {"RST", true, .mss = 1340, .at = {53}, .value = {4}, .counter = LINK_COUNT_PEER_BAD_TCP},
    {"URG", true, .mss = 1340, .at = {53}, .value = {0x38}, .counter = LINK_COUNT_PEER_BAD_TCP},
    {"super without TCP", true, .mss = 1340, .size = 59, .counter = LINK_COUNT_PEER_BAD_TCP},
    {"length too long", .cut = 1, .counter = LINK_COUNT_PEER_BAD_IP},
    {"length too short", .cut = -1, .counter = LINK_COUNT_PEER_BAD_IP},
    {"length lies, super", true, .mss = 1340, .cut = 20000, .counter = LINK_COUNT_PEER_BAD_IP},
    {"length 0 (jumbo)", true, .mss = 1340, .at = {4, 5}, .value = {0, 0},
        .counter = LINK_COUNT_PEER_BAD_IP},
    {"39 bytes", .cut = PLAIN_SIZE - 39, .counter = LINK_COUNT_PEER_BAD_IP},
    {"nothing", .cut = PLAIN_SIZE, .counter = LINK_COUNT_PEER_BAD_IP},
    {"IPv4", .at = {0}, .value = {0x45}, .counter = LINK_COUNT_PEER_BAD_IP},
    {"IPv4, super", true, .mss = 1340, .at = {0}, .value = {0x45},
        .counter = LINK_COUNT_PEER_BAD_IP},
    {"routing header", .at = {6, 40}, .value = {43, IPPROTO_UDP},
        .counter = LINK_COUNT_PEER_BAD_IP},
    {"hop-by-hop, routing", .at = {6, 40}, .value = {0, 43}, .counter = LINK_COUNT_PEER_BAD_IP},
    {"options, routing", .at = {6, 40}, .value = {60, 43}, .counter = LINK_COUNT_PEER_BAD_IP},
    {"fragment, routing", .at = {6, 40}, .value = {44, 43}, .counter = LINK_COUNT_PEER_BAD_IP},
    {"options without end", .at = {6, 41}, .value = {60, 255}, .counter = LINK_COUNT_PEER_BAD_IP},
    {"source: another member", .from = third, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: its service", .from = service_third, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: the receiver", .from = lab[1].ip6, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: the receiver's service", .from = service_own, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: the receiver, super", true, .mss = 1340, .from = lab[1].ip6,
        .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: loopback", .from = loopback, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: link-local", .from = link_local, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: multicast", .from = multicast, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"source: outside", .from = outside, .counter = LINK_COUNT_PEER_BAD_SOURCE},
    {"to multicast", .to = multicast, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"to link-local", .to = link_local, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"to loopback", .to = loopback, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"to IPv4", .to = mapped, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"to another machine", .to = third, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"to another's service", .to = service_third, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"to outside, super", true, .mss = 1340, .to = outside, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"back to itself", .to = lab[0].ip6, .counter = LINK_COUNT_PEER_BAD_DEST},
    {"longer than the interface", .size = 1421, .counter = LINK_COUNT_PEER_TOO_LONG},
    {"60 KB in one packet", .size = 61440, .counter = LINK_COUNT_PEER_TOO_LONG},
    {"the longest record", .size = LINK_BODY_MAX, .counter = LINK_COUNT_PEER_TOO_LONG},
};

#endif
