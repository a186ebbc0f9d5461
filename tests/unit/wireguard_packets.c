/* Inner packets of the transport wireguard: cutting, coalescing, checksums, ECN; the kept floor; endpoints. */
#include "coalesce.h"
#include "endpoint.h"
#include "floor.h"
#include "segment.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PORTS 0x1f901451u

/* A packet with a right checksum; what is in it depends on its place in the stream only. */
static size_t tcp(uint8_t *p, uint32_t seq, size_t payload, uint8_t flags, size_t options)
{
    size_t head = WG_IP6_HEAD + WG_TCP_HEAD + options, size = head + payload;
    memset(p, 0, head);
    p[0] = 0x60;
    wg_put_be16(p + 4, size - WG_IP6_HEAD);
    p[6] = IPPROTO_TCP;
    p[7] = 64;
    p[8] = p[24] = 0xfd;
    p[23] = 1;
    p[39] = 2;
    uint8_t *t = p + WG_IP6_HEAD;
    wg_put_be32(t, PORTS);
    wg_put_be32(t + 4, seq);
    wg_put_be32(t + 8, 77);
    t[12] = (uint8_t)((WG_TCP_HEAD + options) / 4 << 4);
    t[13] = flags;
    wg_put_be16(t + 14, 500);
    for (size_t i = 0; i < options; i++)
        t[WG_TCP_HEAD + i] = 1;
    for (size_t i = 0; i < payload; i++)
        p[head + i] = (uint8_t)((seq + i) * 31 >> 3);
    uint64_t acc = wg_sum_pseudo(p, (uint32_t)(size - WG_IP6_HEAD), IPPROTO_TCP);
    uint16_t sum = (uint16_t)~wg_sum_fold(wg_sum(acc, t, size - WG_IP6_HEAD));
    memcpy(t + 16, &sum, 2);
    return size;
}

static bool right_sum(const uint8_t *p, size_t size)
{
    uint64_t acc = wg_sum_pseudo(p, (uint32_t)(size - WG_IP6_HEAD), p[6]);
    return wg_sum_fold(wg_sum(acc, p + WG_IP6_HEAD, size - WG_IP6_HEAD)) == 0xffff;
}

/* ---- what is written to the TUN ---- */

struct written {
    unsigned count;
    struct {
        struct virtio_net_hdr head;
        size_t size;
        uint8_t bytes[65536];
    } of[16];
};

static void write_fn(void *user, const struct iovec *iov, int count)
{
    struct written *w = user;
    assert_true(w->count < 16);
    assert_int_equal(iov[0].iov_len, sizeof w->of[0].head);
    memcpy(&w->of[w->count].head, iov[0].iov_base, sizeof w->of[0].head);
    w->of[w->count].size = 0;
    for (int i = 1; i < count; i++) {
        memcpy(w->of[w->count].bytes + w->of[w->count].size, iov[i].iov_base, iov[i].iov_len);
        w->of[w->count].size += iov[i].iov_len;
    }
    w->count++;
}

static struct written *out;
static struct wg_coalesce *to;
static uint8_t (*in)[2048];

static int setup(void **state)
{
    (void)state;
    out = calloc(1, sizeof *out);
    to = calloc(1, sizeof *to);
    in = calloc(80, sizeof *in);
    *to = (struct wg_coalesce){.write = write_fn, .user = out, .tcp = true};
    return out && to && in ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(out);
    free(to);
    free(in);
    return 0;
}

static void put(unsigned i, uint32_t seq, size_t payload, uint8_t flags)
{
    wg_coalesce_add(to, in[i], tcp(in[i], seq, payload, flags, 12));
}

static void cut_and_put_together(void **state)
{
    (void)state;
    static uint8_t whole[65536];
    const size_t payload = 20000, mss = 1348, head = WG_IP6_HEAD + WG_TCP_HEAD + 12;
    size_t size = tcp(whole, 4294960000u, payload, WG_TCP_ACK | WG_TCP_PSH, 12);
    struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
        .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
        .gso_size = (uint16_t)mss,
        .csum_start = WG_IP6_HEAD,
        .csum_offset = 16};
    struct wg_cut c;
    unsigned n = 0;
    size_t piece, max;
    assert_true(wg_cut_begin(&c, whole, size, &h));
    while (max = wg_cut_max(&c), (piece = wg_cut_next(&c, in[n])) != 0) {
        assert_true(piece <= max && piece <= head + mss);
        assert_true(right_sum(in[n], piece));
        assert_int_equal(wg_get_be16(in[n] + 4) + WG_IP6_HEAD, piece);
        bool last = (n + 1) * mss >= payload;
        assert_int_equal(in[n][WG_IP6_HEAD + 13], last ? WG_TCP_ACK | WG_TCP_PSH : WG_TCP_ACK);
        wg_coalesce_add(to, in[n++], piece);
    }
    assert_int_equal(n, (payload + mss - 1) / mss);
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 1);
    assert_int_equal(out->of[0].size, size);
    assert_int_equal(out->of[0].head.gso_size, mss);
    assert_int_equal(out->of[0].head.gso_type, VIRTIO_NET_HDR_GSO_TCPV6);
    assert_int_equal(out->of[0].head.hdr_len, head);
    assert_int_equal(out->of[0].head.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
    /* the sum is the kernel's to finish; all else is what it was */
    uint16_t pseudo =
        wg_sum_fold(wg_sum_pseudo(whole, (uint32_t)(size - WG_IP6_HEAD), IPPROTO_TCP));
    assert_memory_equal(out->of[0].bytes + WG_IP6_HEAD + 16, &pseudo, 2);
    memcpy(out->of[0].bytes + WG_IP6_HEAD + 16, whole + WG_IP6_HEAD + 16, 2);
    assert_memory_equal(out->of[0].bytes, whole, size);
}

static void udp_is_cut(void **state)
{
    (void)state;
    static uint8_t whole[4096];
    size_t size = WG_IP6_HEAD + 8 + 3000;
    struct virtio_net_hdr h = {.gso_type = VIRTIO_NET_HDR_GSO_UDP_L4, .gso_size = 1200};
    struct wg_cut c;
    whole[0] = 0x60;
    whole[6] = IPPROTO_UDP;
    wg_put_be16(whole + 4, size - WG_IP6_HEAD);
    assert_true(wg_cut_begin(&c, whole, size, &h));
    const size_t expected[] = {1200, 1200, 600};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(wg_cut_next(&c, in[0]), WG_IP6_HEAD + 8 + expected[i]);
        assert_int_equal(wg_get_be16(in[0] + WG_IP6_HEAD + 4), 8 + expected[i]);
        assert_true(right_sum(in[0], WG_IP6_HEAD + 8 + expected[i]));
    }
    assert_int_equal(wg_cut_next(&c, in[0]), 0);
}

static void an_open_checksum(void **state)
{
    (void)state;
    size_t size = tcp(in[0], 1, 100, WG_TCP_ACK, 0);
    uint16_t pseudo =
        wg_sum_fold(wg_sum_pseudo(in[0], (uint32_t)(size - WG_IP6_HEAD), IPPROTO_TCP));
    memcpy(in[0] + WG_IP6_HEAD + 16, &pseudo, 2);
    struct virtio_net_hdr h = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = WG_IP6_HEAD, .csum_offset = 16};
    struct wg_cut c;
    assert_true(wg_cut_begin(&c, in[0], size, &h));
    assert_int_equal(wg_cut_next(&c, in[1]), size);
    assert_true(right_sum(in[1], size));
}

static void what_cannot_be_cut(void **state)
{
    (void)state;
    struct wg_cut c;
    struct virtio_net_hdr h = {0};
    size_t size = tcp(in[0], 1, 1000, WG_TCP_ACK, 0);
    assert_true(wg_cut_begin(&c, in[0], size, &h));
    assert_false(wg_cut_begin(&c, in[0], size - 1, &h)); /* shorter than it says */
    assert_false(wg_cut_begin(&c, in[0], WG_IP6_HEAD - 1, &h));
    h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
    assert_false(wg_cut_begin(&c, in[0], size, &h)); /* pieces of nothing */
    h.gso_size = 500;
    assert_true(wg_cut_begin(&c, in[0], size, &h));
    in[0][WG_IP6_HEAD + 12] = 0x40; /* a header too short */
    assert_false(wg_cut_begin(&c, in[0], size, &h));
    in[0][6] = IPPROTO_UDP;
    assert_false(wg_cut_begin(&c, in[0], size, &h));
    h = (struct virtio_net_hdr){
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = (uint16_t)(size - 1)};
    assert_false(wg_cut_begin(&c, in[0], size, &h)); /* outside */
    h.csum_start = 8;
    assert_false(wg_cut_begin(&c, in[0], size, &h)); /* in the addresses */
    in[0][0] = 0x45;
    h = (struct virtio_net_hdr){0};
    assert_false(wg_cut_begin(&c, in[0], size, &h)); /* IPv4 */
}

/* Who breaks the row ends it, and the order stays. */
static void what_is_not_put_together(void **state)
{
    (void)state;
    const uint8_t special[] = {WG_TCP_ACK | WG_TCP_FIN, WG_TCP_ACK | 0x20, 0x02, WG_TCP_ACK | 0x04,
        WG_TCP_ACK | WG_TCP_CWR, WG_TCP_ACK | 0x40, 0};
    for (unsigned i = 0; i < sizeof special; i++) {
        out->count = 0;
        put(0, 0, 1000, WG_TCP_ACK);
        put(1, 1000, 1000, special[i]);
        put(2, 2000, 1000, WG_TCP_ACK);
        wg_coalesce_flush(to);
        assert_int_equal(out->count, 3);
        for (unsigned k = 0; k < 3; k++) {
            assert_int_equal(wg_get_be32(out->of[k].bytes + WG_IP6_HEAD + 4), k * 1000);
            assert_int_equal(out->of[k].head.gso_size, 0);
        }
        out->count = 0; /* two alike are as special as one */
        put(0, 0, 1000, special[i]);
        put(1, 1000, 1000, special[i]);
        wg_coalesce_flush(to);
        assert_int_equal(out->count, 2);
    }
}

static void gaps_sums_and_ends(void **state)
{
    (void)state;
    put(0, 0, 1000, WG_TCP_ACK);
    put(1, 1001, 1000, WG_TCP_ACK); /* a gap */
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 2);
    out->count = 0;
    put(0, 0, 1000, WG_TCP_ACK);
    size_t size = tcp(in[1], 1000, 1000, WG_TCP_ACK, 12);
    in[1][500] ^= 1; /* its sum is wrong: the kernel is to see that */
    wg_coalesce_add(to, in[1], size);
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 2);
    assert_int_equal(out->of[1].head.flags, 0);
    out->count = 0;
    put(0, 0, 1000, WG_TCP_ACK);
    put(1, 1000, 400, WG_TCP_ACK); /* a short one is the last one */
    put(2, 1400, 1000, WG_TCP_ACK);
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 2);
    assert_int_equal(out->of[0].size, WG_IP6_HEAD + WG_TCP_HEAD + 12 + 1400);
    out->count = 0;
    put(0, 0, 1000, WG_TCP_ACK);
    put(1, 1000, 1001, WG_TCP_ACK); /* longer than the first */
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 2);
    out->count = 0;
    put(0, 0, 100, WG_TCP_ACK);
    put(1, 100, 100, WG_TCP_ACK); /* too small for a super-packet */
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 2);
}

static void limits_of_a_row(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 70; i++)
        put(i, i * 600, 600, WG_TCP_ACK);
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 2); /* 64 segments, and the rest */
    assert_int_equal(out->of[1].size, WG_IP6_HEAD + WG_TCP_HEAD + 12 + 6 * 600);
    out->count = 0;
    for (unsigned i = 0; i < 60; i++)
        put(i, i * 1400, 1400, WG_TCP_ACK);
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 2); /* 65,535 bytes */
    assert_true(out->of[0].size <= 65535 && out->of[0].size + 1400 > 65535);
    out->count = 0;
    to->tcp = false; /* a TUN without offload */
    put(0, 0, 1000, WG_TCP_ACK);
    put(1, 1000, 1000, WG_TCP_ACK);
    assert_int_equal(out->count, 2);
}

static void other_flows_go_on(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        size_t size = tcp(in[i], i / 10 * 1000, 1000, WG_TCP_ACK, 12);
        in[i][WG_IP6_HEAD + 1] = (uint8_t)(i % 10); /* ten connections, two packets of each */
        memset(in[i] + WG_IP6_HEAD + 16, 0, 2);
        uint64_t acc = wg_sum_pseudo(in[i], (uint32_t)(size - WG_IP6_HEAD), IPPROTO_TCP);
        uint16_t sum = (uint16_t)~wg_sum_fold(wg_sum(acc, in[i] + 40, size - WG_IP6_HEAD));
        memcpy(in[i] + WG_IP6_HEAD + 16, &sum, 2);
        if (i % 10 < 8)
            wg_coalesce_add(to, in[i], size);
    }
    wg_coalesce_flush(to);
    assert_int_equal(out->count, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(out->of[i].head.gso_size, 1000);
}

/* ---- headers ---- */

static void routing_headers(void **state)
{
    (void)state;
    uint8_t p[80] = {0x60};
    p[6] = IPPROTO_ICMPV6;
    assert_false(wg_reroutes(p, sizeof p));
    p[6] = IPPROTO_ROUTING;
    assert_true(wg_reroutes(p, sizeof p));
    p[6] = IPPROTO_HOPOPTS;
    p[40] = IPPROTO_ROUTING;
    assert_true(wg_reroutes(p, sizeof p));
    p[40] = IPPROTO_TCP;
    assert_false(wg_reroutes(p, sizeof p));
    p[41] = 200; /* longer than the packet */
    assert_true(wg_reroutes(p, sizeof p));
    p[6] = IPPROTO_FRAGMENT;
    p[42] = 1; /* not the first piece, of whatever */
    assert_false(wg_reroutes(p, sizeof p));
}

static void congestion_marks(void **state)
{
    (void)state;
    for (unsigned inner = 0; inner < 4; inner++)
        for (unsigned outer = 0; outer < 4; outer++) {
            uint8_t p[40] = {0x6f, (uint8_t)(0xcf | inner << 4)};
            bool lives = outer != 3 || inner != 0;
            assert_int_equal(wg_ecn_out(p, outer), lives);
            if (lives)
                assert_int_equal(wg_ecn(p), outer == 3 ? 3 : inner);
            assert_int_equal(p[0], 0x6f);
            assert_int_equal(p[1] & 0xcf, 0xcf);
        }
}

/* ---- the floor ---- */

static void a_floor_is_kept(void **state)
{
    (void)state;
    char dir[] = "/tmp/wg-floor-XXXXXX", path[64];
    const uint8_t kept[WG_TAI64N] = {0x40, 0, 0, 0, 0x65, 1, 2, 3, 4, 5, 6, 255};
    uint8_t got[WG_TAI64N];
    static const uint8_t none[WG_TAI64N];
    assert_non_null(mkdtemp(dir));
    assert_int_equal(wg_floor_read(dir, got), WG_FLOOR_NONE);
    assert_memory_equal(got, none, sizeof got);
    assert_true(wg_floor_write(dir, none));
    assert_true(wg_floor_write(dir, kept));
    assert_int_equal(wg_floor_read(dir, got), WG_FLOOR_OK);
    assert_memory_equal(got, kept, sizeof got);
    snprintf(path, sizeof path, "%s/floor", dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size + 1; size >= 0; size -= 5) {
        assert_int_equal(truncate(path, size), 0);
        assert_int_equal(wg_floor_read(dir, got), WG_FLOOR_DAMAGED);
        assert_memory_equal(got, none, sizeof got);
    }
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
    assert_false(wg_floor_write(dir, kept));
}

/* ---- endpoints ---- */

static void endpoints(void **state)
{
    (void)state;
    const char *const good[] = {"192.0.2.7:7120", "[2001:db8::7]:1", "10.0.0.1:65535"};
    const char *const bad[] = {"", ":1", "1.2.3.4", "1.2.3.4:", "1.2.3.4:0", "1.2.3.4:65536",
        "1.2.3.4:07", "1.2.3:5", "[::1]", "[::1:5", "::1:5", "[fe80::1%lo]:5", "name:5",
        "[1.2.3.4]:5", "1.2.3.4:5 ", "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb]:5"};
    struct wg_endpoint e;
    char text[WG_ENDPOINT_TEXT];
    for (unsigned i = 0; i < 3; i++) {
        assert_true(wg_endpoint_parse(good[i], &e));
        wg_endpoint_text(&e, text);
        assert_string_equal(text, good[i]);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(wg_endpoint_parse(bad[i], &e));
}

static void which_addresses_are_told(void **state)
{
    (void)state;
    static const struct {
        uint8_t address[16];
        int rank;
    } all[] = {{{0x20, 1, 0xd, 0xb8}, 0}, {{[10] = 255, 255, 8, 8, 8, 8}, 1},
        {{[10] = 255, 255, 192, 168, 1, 1}, 2}, {{[10] = 255, 255, 100, 64, 0, 1}, 2}, {{0xfd}, 3},
        {{0xfe, 0x80}, -1}, {{[15] = 1}, -1}, {{[10] = 255, 255, 127, 0, 0, 1}, -1},
        {{[10] = 255, 255, 169, 254, 0, 1}, -1}, {{[10] = 255, 255, 224, 0, 0, 1}, -1}};
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        assert_int_equal(wg_address_rank(all[i].address), all[i].rank);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(cut_and_put_together), T(udp_is_cut), T(an_open_checksum),
        T(what_cannot_be_cut), T(what_is_not_put_together), T(gaps_sums_and_ends),
        T(limits_of_a_row), T(other_flows_go_on), T(routing_headers), T(congestion_marks),
        T(a_floor_is_kept), T(endpoints), T(which_addresses_are_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
