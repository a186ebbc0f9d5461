/* How many WireGuard handshakes one core answers: good ones under load, and bad ones that it turns away. */
/* usage: wg_rate [ROUNDS]; prints {"good_per_s": N, "bad_per_s": N} for each round; fails when a good one has no answer */
#include "device.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PEERS WG_PEERS_MAX

struct peer {
    struct wg_identity id;
    struct wg_remote remote;
    struct wg_cookie cookie;
    struct wg_endpoint from;
    uint8_t last[WG_TAI64N], message[WG_INITIATION_SIZE];
};

static struct peer *peers;
static struct peer *asking; /* whose message is being read */
static uint64_t now_ms = 1000000;

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void send_fn(
    void *user, const struct wg_endpoint *to, const uint8_t *m, size_t size, uint8_t tos)
{
    (void)user, (void)to, (void)tos;
    if (asking && size == WG_COOKIE_SIZE)
        wg_cookie_read(&asking->cookie, &asking->remote, m, now_ms);
}

static void wall_fn(void *user, uint64_t *ret_unix_s, uint32_t *ret_ns)
{
    (void)user;
    *ret_unix_s = 1600000000;
    *ret_ns = 0;
}

static bool floor_fn(void *user, const uint8_t tai64n[WG_TAI64N])
{
    (void)user, (void)tai64n;
    return true;
}

static void make_peer(struct wg_device *d, uint32_t i)
{
    struct peer *p = &peers[i];
    struct wg_peer_config c = {.address_count = 1};
    uint8_t key[WG_KEY], address[16] = {0xfd};
    randombytes_buf(key, sizeof key);
    wg_identity_set(&p->id, key);
    memcpy(address + 8, &i, sizeof i);
    memcpy(c.public_key, p->id.public_key, WG_KEY);
    c.addresses = address;
    p->from.in.sin_family = AF_INET;
    p->from.in.sin_addr.s_addr = htonl(0x0a000000 + i);
    if (!wg_remote_set(&p->remote, &p->id, d->identity->public_key, NULL) ||
        wg_device_set_peer(d, &c) != WG_SET_OK)
        abort();
}

static void make_message(struct peer *p)
{
    struct wg_handshake hs;
    uint8_t ephemeral[WG_KEY], tai64n[WG_TAI64N];
    randombytes_buf(ephemeral, sizeof ephemeral);
    wg_tai64n_next(p->last, 1600000000, 0, tai64n);
    if (!wg_initiation_make(&hs, &p->id, &p->remote, ephemeral, 7, tai64n, p->message))
        abort();
    wg_macs_add(&p->cookie, &p->remote, p->message, sizeof p->message, now_ms);
}

static void receive(struct wg_device *d, struct peer *p)
{
    uint8_t *packet;
    size_t size;
    struct wg_peer *from;
    wg_device_receive(d, p->message, sizeof p->message, &p->from, now_ms, &packet, &size, &from);
}

/* All at once: more than 50 in 100 ms, so that each needs a cookie; who has none is told one. */
static double all(struct wg_device *d, bool good)
{
    for (uint32_t i = 0; i < PEERS; i++) {
        make_message(&peers[i]);
        if (!good)
            memset(peers[i].message + WG_INITIATION_SIZE - WG_MAC, 0, WG_MAC);
    }
    double begin = cpu_s();
    for (uint32_t i = 0; i < PEERS; i++) {
        asking = good ? NULL : &peers[i];
        receive(d, &peers[i]);
    }
    return PEERS / (cpu_s() - begin);
}

int main(int argc, char **argv)
{
    uint8_t key[WG_KEY] = {5};
    const struct wg_ops ops = {NULL, send_fn, wall_fn, floor_fn};
    struct wg_device *d = wg_device_new(&ops, key, (const uint8_t[WG_TAI64N]){0});
    peers = calloc(PEERS, sizeof *peers);
    if (!d || !peers)
        abort();
    for (uint32_t i = 0; i < PEERS; i++)
        make_peer(d, i);
    all(d, false); /* the first 50 are answered, the others have their cookies */
    all(d, false); /* and these have theirs */
    for (int round = argc > 1 ? atoi(argv[1]) : 1; round > 0; round--) {
        now_ms += 1000;
        all(d, false); /* load, before the good ones come */
        now_ms += 50;  /* the first of them were answered, and each peer is only now and then */
        uint64_t before = d->counts.handshakes;
        double good = all(d, true);
        if (d->counts.handshakes - before != PEERS) {
            fprintf(stderr, "%u of %u good handshakes were answered\n",
                (unsigned)(d->counts.handshakes - before), PEERS);
            return 1;
        }
        printf("{\"good_per_s\": %.0f, \"bad_per_s\": %.0f}\n", good, all(d, false));
    }
    wg_device_free(d);
    sodium_memzero(peers, PEERS * sizeof *peers);
    free(peers);
    return 0;
}
