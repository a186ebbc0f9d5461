/* Hostile packets: each reason to drop one, and what the kernel is told about those that pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/packet.h"
#include "link/protocol.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define MTU 1420

static const uint8_t own[2][16] = {{0xfd, 1, [15] = 1}, {0xfd, 1, [15] = 0x51}};
static const uint8_t from[2][16] = {{0xfd, 1, [15] = 2}, {0xfd, 1, [15] = 0x52}};
static const uint8_t third[16] = {0xfd, 1, [15] = 3};

static struct link_rules rules(void)
{
    return (struct link_rules){.own = own,
        .own_count = 2,
        .from = from,
        .from_count = 2,
        .reachable = &own[1],
        .reachable_count = 1,
        .mtu = MTU};
}

struct sample {
    uint8_t kind;
    uint16_t mss;
    size_t size;
    uint8_t bytes[65536];
};

/* A good one: 30,000 bytes of one TCP flow, or a plain packet of 100. */
static void make(struct sample *s, bool super)
{
    memset(s, 0, sizeof *s);
    s->kind = super ? LINK_TCP6 : LINK_PACKET;
    s->mss = super ? 1340 : 0;
    s->size = super ? 30060 : 100;
    s->bytes[0] = 0x60;
    s->bytes[4] = (uint8_t)((s->size - 40) >> 8);
    s->bytes[5] = (uint8_t)(s->size - 40);
    s->bytes[6] = super ? IPPROTO_TCP : IPPROTO_UDP;
    memcpy(s->bytes + 8, from[0], 16);
    memcpy(s->bytes + 24, own[0], 16);
    s->bytes[52] = 5 << 4;
    s->bytes[53] = 0x18;
}

static void resize(struct sample *s, size_t size)
{
    s->size = size;
    s->bytes[4] = (uint8_t)((size - 40) >> 8);
    s->bytes[5] = (uint8_t)(size - 40);
}

static struct sample sample;
static struct virtio_net_hdr head;

static int check(const struct link_rules *r)
{
    memset(&head, 0xff, sizeof head);
    return link_check_packet(r, sample.kind, sample.mss, sample.bytes, sample.size, &head);
}

static void good_ones_pass(void **state)
{
    (void)state;
    struct link_rules r = rules();
    make(&sample, false);
    assert_int_equal(check(&r), LINK_OK);
    static const struct virtio_net_hdr none;
    assert_memory_equal(&head, &none, sizeof none);
    memcpy(sample.bytes + 8, from[1], 16); /* from a service the peer holds to one of ours */
    memcpy(sample.bytes + 24, own[1], 16);
    assert_int_equal(check(&r), LINK_OK);
    make(&sample, true);
    sample.bytes[53] |= 0x80; /* CWR */
    assert_int_equal(check(&r), LINK_OK);
    assert_int_equal(head.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    assert_int_equal(head.gso_type, VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN);
    assert_int_equal(head.hdr_len, 60);
    assert_int_equal(head.gso_size, 1340);
    assert_int_equal(head.csum_start, 40);
    assert_int_equal(head.csum_offset, 16);
    uint16_t sum, want = link_sum_fold(link_sum_pseudo(sample.bytes, 30020, IPPROTO_TCP));
    memcpy(&sum, sample.bytes + 56, 2);
    assert_int_equal(sum, want);
}

/* One thing wrong at a time: where, the value, what it counts as. */
struct wrong {
    const char *name;
    bool super;
    uint16_t at;
    uint8_t value;
    int reason;
};

static void one_thing_wrong(void **state)
{
    static const struct wrong table[] = {
        {"IPv4", false, 0, 0x45, LINK_COUNT_PEER_BAD_IP},
        {"version 7", false, 0, 0x70, LINK_COUNT_PEER_BAD_IP},
        {"payload length + 1", false, 5, 61, LINK_COUNT_PEER_BAD_IP},
        {"payload length - 1", false, 5, 59, LINK_COUNT_PEER_BAD_IP},
        {"payload length 0 (jumbo)", true, 4, 0, LINK_COUNT_PEER_BAD_IP},
        {"routing header", false, 6, IPPROTO_ROUTING, LINK_COUNT_PEER_BAD_IP},
        {"somebody else's source", false, 23, 3, LINK_COUNT_PEER_BAD_SOURCE},
        {"our own source", false, 23, 1, LINK_COUNT_PEER_BAD_SOURCE},
        {"a source outside the clan", false, 8, 0x20, LINK_COUNT_PEER_BAD_SOURCE},
        {"link-local source", true, 8, 0xfe, LINK_COUNT_PEER_BAD_SOURCE},
        {"somebody else's destination", false, 39, 3, LINK_COUNT_PEER_BAD_DEST},
        {"multicast", false, 24, 0xff, LINK_COUNT_PEER_BAD_DEST},
        {"a destination outside", true, 24, 0x20, LINK_COUNT_PEER_BAD_DEST},
        {"UDP as super-packet", true, 6, IPPROTO_UDP, LINK_COUNT_PEER_BAD_TCP},
        {"hop-by-hop before TCP", true, 6, IPPROTO_HOPOPTS, LINK_COUNT_PEER_BAD_TCP},
        {"fragment header before TCP", true, 6, IPPROTO_FRAGMENT, LINK_COUNT_PEER_BAD_TCP},
        {"TCP header of 16 bytes", true, 52, 4 << 4, LINK_COUNT_PEER_BAD_TCP},
        {"SYN", true, 53, 0x02, LINK_COUNT_PEER_BAD_TCP},
        {"RST", true, 53, 0x14, LINK_COUNT_PEER_BAD_TCP},
        {"URG", true, 53, 0x30, LINK_COUNT_PEER_BAD_TCP},
    };
    (void)state;
    struct link_rules r = rules();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        make(&sample, table[i].super);
        sample.bytes[table[i].at] = table[i].value;
        int got = check(&r);
        if (got != table[i].reason)
            print_error("%s\n", table[i].name);
        assert_int_equal(got, table[i].reason);
    }
}

/* The chain of extension headers is followed, and has to end in the packet. */
static void no_routing_header_anywhere(void **state)
{
    static const struct {
        uint8_t first, bytes[32];
        int result;
    } table[] = {
        {IPPROTO_DSTOPTS, {IPPROTO_UDP}, LINK_OK},
        {IPPROTO_HOPOPTS, {IPPROTO_DSTOPTS, [8] = IPPROTO_UDP, 1}, LINK_OK},
        {IPPROTO_FRAGMENT, {IPPROTO_UDP, [3] = 1}, LINK_OK},
        {IPPROTO_FRAGMENT, {IPPROTO_DSTOPTS, [2] = 1}, LINK_OK}, /* not the first */
        {IPPROTO_AH, {IPPROTO_UDP, 4}, LINK_OK},
        {IPPROTO_HOPOPTS, {IPPROTO_ROUTING}, LINK_COUNT_PEER_BAD_IP},
        {IPPROTO_DSTOPTS, {IPPROTO_DSTOPTS, 1, [16] = IPPROTO_ROUTING}, LINK_COUNT_PEER_BAD_IP},
        {IPPROTO_AH, {IPPROTO_ROUTING, 4}, LINK_COUNT_PEER_BAD_IP},
        {IPPROTO_FRAGMENT, {IPPROTO_ROUTING, [3] = 1}, LINK_COUNT_PEER_BAD_IP},
        {IPPROTO_FRAGMENT, {IPPROTO_ROUTING, [2] = 1}, LINK_COUNT_PEER_BAD_IP},
        {IPPROTO_FRAGMENT, {IPPROTO_DSTOPTS, [8] = IPPROTO_ROUTING}, LINK_COUNT_PEER_BAD_IP},
        {IPPROTO_DSTOPTS, {IPPROTO_UDP, 7}, LINK_COUNT_PEER_BAD_IP}, /* 64 bytes of 60 */
        {IPPROTO_DSTOPTS, {IPPROTO_HOPOPTS, 6}, LINK_COUNT_PEER_BAD_IP},
    };
    (void)state;
    struct link_rules r = rules();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        make(&sample, false);
        sample.bytes[6] = table[i].first;
        memcpy(sample.bytes + 40, table[i].bytes, sizeof table[i].bytes);
        assert_int_equal(check(&r), table[i].result);
    }
}

static void record_heads(void **state)
{
    (void)state;
    struct link_rules r = rules();
    make(&sample, false);
    sample.mss = 1340; /* a plain packet has none */
    assert_int_equal(check(&r), LINK_COUNT_PEER_BAD_HEAD);
    sample.mss = 0;
    sample.kind = LINK_CONTROL;
    assert_int_equal(check(&r), LINK_COUNT_PEER_BAD_HEAD);
}

static void sizes(void **state)
{
    (void)state;
    struct link_rules r = rules();
    make(&sample, false);
    resize(&sample, MTU);
    assert_int_equal(check(&r), LINK_OK);
    resize(&sample, MTU + 1);
    assert_int_equal(check(&r), LINK_COUNT_PEER_TOO_LONG);
    make(&sample, false);
    for (sample.size = 0; sample.size < 40; sample.size++)
        assert_int_equal(check(&r), LINK_COUNT_PEER_BAD_IP);
    make(&sample, true);
    for (size_t size = 40; size < 60; size++) {
        resize(&sample, size);
        assert_int_equal(check(&r), LINK_COUNT_PEER_BAD_TCP);
    }
    make(&sample, true);
    sample.bytes[52] = 0xf0; /* 60 bytes of header, no payload behind them */
    resize(&sample, 100);
    assert_int_equal(check(&r), LINK_COUNT_PEER_BAD_TCP);
}

static void segment_sizes(void **state)
{
    (void)state;
    struct link_rules r = rules();
    static const struct {
        uint16_t mss;
        size_t payload;
        int result;
    } table[] = {
        {1, 30000, LINK_COUNT_PEER_BAD_MSS}, /* 60,000 packets of one byte: SECURITY F1 */
        {0, 30000, LINK_COUNT_PEER_BAD_MSS},
        {LINK_MSS_MIN - 1, 30000, LINK_COUNT_PEER_BAD_MSS},
        {LINK_MSS_MIN, 30000, LINK_OK},
        {MTU - 60, 30000, LINK_OK},
        {MTU - 59, 30000, LINK_COUNT_PEER_BAD_MSS},
        {65535, 30000, LINK_COUNT_PEER_BAD_MSS},
        {400, 400, LINK_COUNT_PEER_BAD_MSS},
        {600, 600, LINK_COUNT_PEER_BAD_MSS}, /* one segment is a plain packet */
        {600, 601, LINK_OK},
        {LINK_MSS_MIN, (size_t)LINK_MSS_MIN * LINK_SEGMENTS_MAX - 4000, LINK_OK},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        make(&sample, true);
        sample.mss = table[i].mss;
        resize(&sample, 60 + table[i].payload);
        assert_int_equal(check(&r), table[i].result);
    }
    make(&sample, true);
    sample.bytes[52] = 8 << 4; /* 12 bytes of options leave less for a segment */
    sample.mss = MTU - 72;
    assert_int_equal(check(&r), LINK_OK);
    sample.mss = MTU - 71;
    assert_int_equal(check(&r), LINK_COUNT_PEER_BAD_MSS);
    r.mtu = 1280; /* 128 segments fit into one record only when they are small */
    make(&sample, true);
    sample.mss = LINK_MSS_MIN;
    resize(&sample, 65500);
    assert_int_equal(check(&r), LINK_OK);
}

static void provisional_peers(void **state)
{
    (void)state;
    struct link_rules r = rules();
    r.restricted = true;
    make(&sample, false);
    assert_int_equal(check(&r), LINK_COUNT_PEER_NOT_ALLOWED);
    memcpy(sample.bytes + 24, own[1], 16);
    assert_int_equal(check(&r), LINK_OK);
    memcpy(sample.bytes + 24, third, 16); /* reachable or not: it is not ours */
    assert_int_equal(check(&r), LINK_COUNT_PEER_BAD_DEST);
    r.restricted = false;
    r.no_data = true;
    memcpy(sample.bytes + 24, own[1], 16);
    assert_int_equal(check(&r), LINK_COUNT_PEER_NOT_ALLOWED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones_pass),
        cmocka_unit_test(one_thing_wrong),
        cmocka_unit_test(no_routing_header_anywhere),
        cmocka_unit_test(record_heads),
        cmocka_unit_test(sizes),
        cmocka_unit_test(segment_sizes),
        cmocka_unit_test(provisional_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
