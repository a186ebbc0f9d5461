/* The queue in front of a stream, and software segmentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/fq.h"
#include "link/packet.h"
#include "link/protocol.h"
#include "link/segment.h"
#include "link/share.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define LIMIT 262144
#define MS    1000000ull

static struct fq_packet *packet(uint32_t flow, size_t size, uint8_t mark)
{
    struct fq_packet *p = fq_packet_new(size);
    assert_non_null(p);
    p->flow = flow;
    p->kind = mark;
    return p;
}

static void bounded(void **state)
{
    (void)state;
    struct fq_pool pool = {0, 3 * LIMIT};
    struct fq *q = fq_new(&pool, LIMIT);
    unsigned dropped = 0;
    for (int i = 0; i < 1000; i++) {
        dropped += fq_push(q, packet(1, 1400, 0), 0);
        assert_true(fq_bytes(q) <= LIMIT);
    }
    assert_true(dropped > 700 && dropped < 1000);
    assert_int_equal(pool.bytes, fq_bytes(q));
    /* a short flow is let in, the long one pays */
    assert_int_equal(fq_push(q, packet(2, 1400, 7), 0), 1);
    unsigned d;
    bool seen = false;
    for (struct fq_packet *p; (p = fq_pop(q, 0, &d)); free(p))
        seen = seen || p->kind == 7;
    assert_true(seen);
    assert_int_equal(pool.bytes, 0);
    /* the pool is full of others: nothing to drop here, so the packet itself goes */
    pool.bytes = pool.limit;
    assert_int_equal(fq_push(q, packet(1, 100, 0), 0), 1);
    assert_int_equal(fq_bytes(q), 0);
    fq_free(q);
}

/* A block costs what it can hold, not what lies in it; a faster path may hold more. */
static void memory_counts(void **state)
{
    (void)state;
    struct fq_pool pool = {0, 4 * LIMIT};
    struct fq *q = fq_new(&pool, LIMIT);
    unsigned d;
    for (int i = 0; i < 8; i++) {
        struct fq_packet *p = packet(1, 65000, 0);
        p->size = 20000;
        fq_push(q, p, 0);
    }
    assert_true(fq_bytes(q) > 4 * 65000 && fq_bytes(q) <= LIMIT);
    fq_set_limit(q, 2 * LIMIT);
    assert_int_equal(fq_push(q, packet(1, 65000, 0), 0), 0);
    assert_true(fq_bytes(q) > LIMIT);
    fq_set_limit(q, LIMIT);
    assert_int_equal(fq_push(q, packet(1, 65000, 0), 0), 1 + 1); /* what is too much goes, too */
    assert_true(fq_bytes(q) <= LIMIT);
    for (struct fq_packet *p; (p = fq_pop(q, 0, &d)); free(p))
        assert_in_range(p->size, 20000, 65000);
    assert_int_equal(pool.bytes, 0);
    fq_set_limit(NULL, 1);
    fq_free(q);
}

static void limit_fits_the_path(void **state)
{
    (void)state;
    assert_int_equal(fq_limit_for(1), LINK_QUEUE_PEER); /* the slowest keeps the least */
    assert_int_equal(fq_limit_for(LINK_QUEUE_PEER * 1600ull + 1600), LINK_QUEUE_PEER + 1);
    assert_int_equal(fq_limit_for(4000000000ull), 2500000); /* 5 ms */
    assert_int_equal(fq_limit_for(UINT64_MAX), LINK_QUEUE_FAST);
    /* not measured: more than a window of a few round trips, and not all that a fast one may have */
    assert_int_equal(fq_limit_for(0), LINK_QUEUE_FAST / 2);
}

static void new_flows_first(void **state)
{
    (void)state;
    struct fq_pool pool = {0, LIMIT};
    struct fq *q = fq_new(&pool, LIMIT);
    unsigned d;
    for (int i = 0; i < 4; i++)
        fq_push(q, packet(1, 60000, 1), 0);
    struct fq_packet *p = fq_pop(q, 0, &d);
    assert_int_equal(p->kind, 1);
    free(p);
    fq_push(q, packet(2, 100, 2), 0); /* a ping behind three super-packets */
    p = fq_pop(q, 0, &d);
    assert_int_equal(p->kind, 2);
    free(p);
    fq_free(q);
    assert_int_equal(pool.bytes, 0);
}

static void two_flows_share(void **state)
{
    (void)state;
    struct fq_pool pool = {0, 1 << 20};
    struct fq *q = fq_new(&pool, 1 << 20);
    unsigned d, bytes[3] = {0};
    for (int i = 0; i < 8; i++)
        fq_push(q, packet(1, 60000, 1), 0);
    for (int i = 0; i < 300; i++)
        fq_push(q, packet(2, 1400, 2), 0);
    while (bytes[1] < 180000) {
        struct fq_packet *p = fq_pop(q, 0, &d);
        bytes[p->kind] += p->size;
        free(p);
    }
    assert_in_range(bytes[2], 100000, 260000);
    fq_free(q);
}

static void standing_queue_drops(void **state)
{
    (void)state;
    struct fq_pool pool = {0, LIMIT};
    struct fq *q = fq_new(&pool, LIMIT);
    unsigned dropped = 0, d;
    uint64_t now = MS;
    for (int i = 0; i < 40; i++)
        fq_push(q, packet(1, 1400, 0), now);
    for (int i = 0; i < 1000; i++) { /* always 40 ms of waiting */
        now += MS;
        fq_push(q, packet(1, 1400, 0), now);
        free(fq_pop(q, now, &d));
        if (i < 90)
            assert_int_equal(d, 0); /* the interval has not passed */
        dropped += d;
    }
    assert_in_range(dropped, 3, 40);
    fq_free(q);
}

static void restart_forgives(void **state)
{
    (void)state;
    struct fq_pool pool = {0, LIMIT};
    struct fq *q = fq_new(&pool, LIMIT);
    unsigned d;
    for (int i = 0; i < 20; i++)
        fq_push(q, packet(1, 100, 0), 0);
    fq_restart(q, 3000 * MS); /* three seconds until the stream was there */
    for (int i = 0; i < 20; i++) {
        struct fq_packet *p = fq_pop(q, 3001 * MS, &d);
        assert_non_null(p);
        assert_int_equal(d, 0);
        free(p);
    }
    fq_free(q);
}

/* --- segmentation --- */

static uint8_t super[40000], joined[40000];
static size_t joined_size;
static unsigned pieces, last_flags, first_flags;
static uint16_t checked_mss;

static void on_piece(void *arg, const uint8_t *head, size_t head_size, const uint8_t *payload,
    size_t payload_size, uint16_t mss)
{
    uint8_t whole[40000];
    uint8_t protocol = head[6];
    (void)arg;
    memcpy(whole, head, head_size);
    memcpy(whole + head_size, payload, payload_size);
    size_t above = head_size - 40 + payload_size;
    assert_int_equal(head[4] << 8 | head[5], above);
    assert_int_equal(mss, checked_mss);
    if (!mss) { /* a plain packet: the far kernel verifies this */
        uint64_t sum = link_sum_pseudo(whole, (uint32_t)above, protocol);
        assert_int_equal(link_sum_fold(link_sum(sum, whole + 40, above)), 0xffff);
    }
    if (protocol == IPPROTO_TCP) {
        uint32_t seq = (uint32_t)head[44] << 24 | (uint32_t)head[45] << 16 |
                       (uint32_t)head[46] << 8 | head[47];
        assert_int_equal(seq - 0xfffff000u, joined_size);
        last_flags = head[53];
        if (!pieces)
            first_flags = head[53];
    } else {
        assert_int_equal(head[44] << 8 | head[45], above);
    }
    memcpy(joined + joined_size, payload, payload_size);
    joined_size += payload_size;
    pieces++;
}

static size_t make_super(uint8_t protocol, size_t payload)
{
    size_t head = protocol == IPPROTO_TCP ? 72 : 48;
    memset(super, 0, sizeof super);
    super[0] = 0x60;
    super[6] = protocol;
    memset(super + 8, 0xfd, 32);
    super[44] = 0xff; /* sequence near its end: it wraps */
    super[45] = 0xff;
    super[46] = 0xf0;
    if (protocol == IPPROTO_TCP) {
        super[52] = 8 << 4;
        super[53] = 0x99; /* CWR, ACK, PSH, FIN */
    }
    for (size_t i = 0; i < payload; i++)
        super[head + i] = (uint8_t)(i * 7);
    joined_size = pieces = 0;
    return head + payload;
}

static void cut_tcp(void **state)
{
    (void)state;
    checked_mss = 0;
    size_t size = make_super(IPPROTO_TCP, 30001);
    assert_true(link_segment(super, size, 1348, 1, on_piece, NULL));
    assert_int_equal(pieces, 23);
    assert_int_equal(joined_size, 30001);
    assert_memory_equal(joined, super + 72, joined_size);
    assert_int_equal(first_flags, 0x90); /* CWR once, FIN and PSH at the end */
    assert_int_equal(last_flags, 0x19);
}

static void cut_into_shorter_supers(void **state)
{
    (void)state;
    checked_mss = 1000;
    size_t size = make_super(IPPROTO_TCP, 30000);
    assert_true(link_segment(super, size, 1000, 10, on_piece, NULL));
    assert_int_equal(pieces, 3);
    assert_memory_equal(joined, super + 72, 30000);
}

static void cut_udp(void **state)
{
    (void)state;
    checked_mss = 0;
    size_t size = make_super(IPPROTO_UDP, 10001);
    assert_true(link_segment(super, size, 1000, 5, on_piece, NULL));
    assert_int_equal(pieces, 11);
    assert_memory_equal(joined, super + 48, 10001);
}

static void not_to_be_cut(void **state)
{
    (void)state;
    size_t size = make_super(IPPROTO_TCP, 3000);
    assert_false(link_segment(super, size, 0, 1, on_piece, NULL));
    assert_false(link_segment(super, 50, 1000, 1, on_piece, NULL));
    assert_false(link_segment(super, 72, 1000, 1, on_piece, NULL));
    super[6] = IPPROTO_HOPOPTS;
    assert_false(link_segment(super, size, 1000, 1, on_piece, NULL));
    assert_int_equal(pieces, 0);
}

static void checksum_left_to_the_device(void **state)
{
    (void)state;
    uint8_t p[101];
    struct virtio_net_hdr head = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 40, .csum_offset = 6};
    for (size_t i = 0; i < sizeof p; i++)
        p[i] = (uint8_t)(i * 31);
    uint16_t pseudo = link_sum_fold(link_sum_pseudo(p, 61, IPPROTO_UDP));
    memcpy(p + 46, &pseudo, 2);
    assert_true(link_finish_checksum(p, sizeof p, &head));
    uint64_t sum = link_sum_pseudo(p, 61, IPPROTO_UDP);
    assert_int_equal(link_sum_fold(link_sum(sum, p + 40, 61)), 0xffff);
    head.csum_start = 95;
    assert_false(link_finish_checksum(p, sizeof p, &head));
    head.csum_start = 65535;
    head.csum_offset = 65535;
    assert_false(link_finish_checksum(p, sizeof p, &head));
}

static void two_threads_when_one_is_not_enough(void **state)
{
    (void)state;
    assert_false(share_two(false, 1000, 500, 0));
    assert_false(share_two(false, 1000, 950, 0));
    assert_true(share_two(false, 1000, 990, 0));
    /* together they would still fill one */
    assert_true(share_two(true, 1000, 300, 600));
    assert_true(share_two(true, 1000, 1000, 1000));
    assert_false(share_two(true, 1000, 300, 500));
    assert_false(share_two(true, 1000, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bounded),
        cmocka_unit_test(memory_counts),
        cmocka_unit_test(limit_fits_the_path),
        cmocka_unit_test(new_flows_first),
        cmocka_unit_test(two_flows_share),
        cmocka_unit_test(standing_queue_drops),
        cmocka_unit_test(restart_forgives),
        cmocka_unit_test(two_threads_when_one_is_not_enough),
        cmocka_unit_test(cut_tcp),
        cmocka_unit_test(cut_into_shorter_supers),
        cmocka_unit_test(cut_udp),
        cmocka_unit_test(not_to_be_cut),
        cmocka_unit_test(checksum_left_to_the_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
