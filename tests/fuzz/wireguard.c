/* Any bytes as messages of a WireGuard peer, the handshakes with a mac1 that is right. */
#include "device.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_fn(
    void *user, const struct wg_endpoint *to, const uint8_t *m, size_t n, uint8_t tos)
{
    (void)user, (void)to, (void)m, (void)tos;
    if (n > WG_INITIATION_SIZE)
        __builtin_trap();
}

static void wall_fn(void *user, uint64_t *ret_s, uint32_t *ret_ns)
{
    (void)user;
    *ret_s = *ret_ns = 0;
}

static bool floor_fn(void *user, const uint8_t t[WG_TAI64N])
{
    (void)user, (void)t;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wg_device *d;
    static uint64_t now_ms = 1;
    uint8_t key[WG_KEY] = {5}, message[2048], *packet;
    struct wg_endpoint from = {.in = {.sin_family = AF_INET}};
    size_t n;
    struct wg_peer *p;
    if (!d) {
        struct wg_ops ops = {NULL, send_fn, wall_fn, floor_fn};
        d = wg_device_new(&ops, key, (const uint8_t[WG_TAI64N]){0});
        struct wg_peer_config c = {.public_key = {9}, .endpoint = &from};
        wg_device_set_peer(d, &c);
    }
    size = size < sizeof message ? size : sizeof message;
    memcpy(message, data, size);
    if (size == WG_INITIATION_SIZE || size == WG_RESPONSE_SIZE) {
        struct wg_cookie k = {0};
        struct wg_remote self;
        memcpy(self.mac1_key, d->identity->mac1_key, WG_KEY);
        wg_macs_add(&k, &self, message, size, 0);
    }
    if (wg_device_receive(d, message, size, &from, now_ms, &packet, &n, &p))
        __builtin_trap(); /* nobody has keys */
    now_ms += 20;
    wg_device_tick(d, now_ms);
    return 0;
}
