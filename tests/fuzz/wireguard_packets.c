/* Any bytes as packets of a TUN and of a peer: pieces and super-packets stay inside, and add up. */
#include "coalesce.h"
#include "segment.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok)
        __builtin_trap();
}

/* Memory of exactly that size, so that a byte too far is seen. */
static uint8_t *copy(const uint8_t *data, size_t size)
{
    uint8_t *p = malloc(size ? size : 1);
    need(p);
    if (size)
        memcpy(p, data, size);
    return p;
}

static void cut(const uint8_t *data, size_t size)
{
    struct virtio_net_hdr head;
    struct wg_cut c;
    if (size < sizeof head)
        return;
    memcpy(&head, data, sizeof head);
    size -= sizeof head;
    uint8_t *packet = copy(data + sizeof head, size);
    if (size >= WG_IP6_HEAD) { /* else most inputs end here */
        packet[0] = 0x60;
        wg_put_be16(packet + 4, size - WG_IP6_HEAD);
    }
    if (wg_cut_begin(&c, packet, size, &head)) {
        size_t payload = 0, got, room = wg_cut_max(&c);
        uint8_t *out = malloc(room);
        need(out);
        while ((got = wg_cut_next(&c, out)) != 0) {
            need(got <= room && got > c.head_size);
            payload += got - c.head_size;
            wg_reroutes(out, got);
        }
        need(payload == size - c.head_size);
        free(out);
    }
    free(packet);
}

static size_t written;

static void write_fn(void *user, const struct iovec *iov, int count)
{
    struct virtio_net_hdr head;
    uint8_t all[65536 * 2];
    size_t size = 0;
    (void)user;
    need(count >= 2 && iov[0].iov_len == sizeof head);
    memcpy(&head, iov[0].iov_base, sizeof head);
    for (int i = 1; i < count; i++) {
        need(size + iov[i].iov_len <= sizeof all);
        memcpy(all + size, iov[i].iov_base, iov[i].iov_len);
        size += iov[i].iov_len;
    }
    if (head.gso_size) { /* what the kernel would believe */
        need(count > 2 && size <= 65535 && head.hdr_len >= 60 && head.hdr_len < size);
        need(wg_get_be16(all + 4) + (size_t)WG_IP6_HEAD == size && all[6] == IPPROTO_TCP);
        size_t payload = size - head.hdr_len, pieces = (size_t)count - 1;
        need((payload + head.gso_size - 1) / head.gso_size == pieces && head.gso_size >= 536);
        need(WG_IP6_HEAD + (all[WG_IP6_HEAD + 12] >> 4) * 4u == head.hdr_len);
    } else {
        need(count == 2 && head.flags == 0);
    }
    written += (size_t)count - 1;
}

/* A row of packets: two bytes of length, two of what to change, what it is filled with. */
static void coalesce(const uint8_t *data, size_t size)
{
    static struct wg_coalesce c;
    uint8_t *packets[64];
    unsigned count = 0;
    uint32_t seq = 0;
    c = (struct wg_coalesce){.write = write_fn, .tcp = true};
    written = 0;
    for (; size >= 4 && count < 64; data += 4, size -= 4) {
        size_t n = WG_IP6_HEAD + wg_get_be16(data) % 2000;
        uint8_t *p = packets[count++] = calloc(1, n);
        need(p);
        p[0] = 0x60;
        wg_put_be16(p + 4, n - WG_IP6_HEAD);
        p[6] = IPPROTO_TCP;
        if (n >= 60) {
            wg_put_be32(p + 44, seq);
            p[52] = data[0] & 0x80 ? (uint8_t)(data[3] & 0xf0) : 0x50;
            p[53] = WG_TCP_ACK;
            seq += (uint32_t)(n - 60);
        }
        p[data[2] % n] ^= data[3] & 7 ? 0 : data[3];
        if (n >= 60) {
            memset(p + 56, 0, 2);
            uint64_t acc = wg_sum_pseudo(p, (uint32_t)(n - WG_IP6_HEAD), IPPROTO_TCP);
            uint16_t sum = (uint16_t)~wg_sum_fold(wg_sum(acc, p + WG_IP6_HEAD, n - WG_IP6_HEAD));
            memcpy(p + 56, &sum, 2);
        }
        wg_coalesce_add(&c, p, n);
    }
    wg_coalesce_flush(&c);
    need(written == count);
    while (count)
        free(packets[--count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] & 1)
        cut(data + 1, size - 1);
    else
        coalesce(data + 1, size - 1);
    return 0;
}
