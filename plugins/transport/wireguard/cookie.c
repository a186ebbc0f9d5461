/* Who may make us compute: mac1, cookies under load, a rate for each source (paper 5.3, 5.4.4, 5.4.7). */
#include "cookie.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define WAYS    4u
#define BUCKETS 1024u
#define TOKEN   (1000u / WG_RATE_PER_S) /* milliseconds that one costs */

struct wg_rates {
    uint8_t seed[16];
    struct {
        uint64_t source, last_ms;
        uint32_t tokens_ms;
    } of[BUCKETS][WAYS];
};

/* /32 or /64: what one subscriber has. */
static uint64_t source_of(const struct wg_rates *r, const struct wg_endpoint *from)
{
    uint64_t hash = 0;
    if (from->sa.sa_family == AF_INET)
        crypto_shorthash((uint8_t *)&hash, (const uint8_t *)&from->in.sin_addr, 4, r->seed);
    else
        crypto_shorthash((uint8_t *)&hash, (const uint8_t *)&from->in6.sin6_addr, 8, r->seed);
    return hash | 1; /* 0 is a free place */
}

static bool rate_ok(struct wg_checker *c, const struct wg_endpoint *from, uint64_t now_ms)
{
    if (!c->rates) {
        c->rates = calloc(1, sizeof *c->rates);
        if (!c->rates)
            return false;
        randombytes_buf(c->rates->seed, sizeof c->rates->seed);
    }
    uint64_t source = source_of(c->rates, from);
    unsigned bucket = (unsigned)(source >> 32) % BUCKETS, at = 0;
    for (unsigned i = 0; i < WAYS; i++) {
        if (c->rates->of[bucket][i].source == source) {
            at = i;
            break;
        }
        if (c->rates->of[bucket][i].last_ms < c->rates->of[bucket][at].last_ms)
            at = i; /* the oldest makes room */
    }
    uint32_t full = WG_RATE_BURST * TOKEN;
    if (c->rates->of[bucket][at].source != source) {
        c->rates->of[bucket][at].source = source;
        c->rates->of[bucket][at].tokens_ms = full;
        c->rates->of[bucket][at].last_ms = now_ms;
    }
    uint64_t tokens =
        c->rates->of[bucket][at].tokens_ms + (now_ms - c->rates->of[bucket][at].last_ms);
    tokens = tokens < full ? tokens : full;
    bool ok = tokens >= TOKEN;
    c->rates->of[bucket][at].tokens_ms = (uint32_t)(ok ? tokens - TOKEN : tokens);
    c->rates->of[bucket][at].last_ms = now_ms;
    return ok;
}

static bool loaded(struct wg_checker *c, uint64_t now_ms)
{
    if (now_ms - c->window_ms >= WG_LOAD_WINDOW_MS) {
        c->window_ms = now_ms;
        c->count = 0;
    }
    if (++c->count > WG_LOAD_COUNT)
        c->loaded_until_ms = now_ms + WG_LOAD_HOLD_MS;
    return now_ms < c->loaded_until_ms;
}

/* tau = MAC(secret, address and port), 5.4.7 */
static void cookie_of(struct wg_checker *c, const struct wg_endpoint *from, uint64_t now_ms,
    uint8_t ret_cookie[WG_MAC])
{
    if (!c->have_secret || now_ms - c->secret_ms >= WG_COOKIE_MS) {
        randombytes_buf(c->secret, sizeof c->secret);
        c->secret_ms = now_ms;
        c->have_secret = true;
    }
    if (from->sa.sa_family == AF_INET)
        wg_mac(ret_cookie, c->secret, WG_KEY, &from->in.sin_addr, 4, &from->in.sin_port, 2);
    else
        wg_mac(ret_cookie, c->secret, WG_KEY, &from->in6.sin6_addr, 16, &from->in6.sin6_port, 2);
}

enum wg_verdict wg_check(struct wg_checker *c, const struct wg_identity *id, const uint8_t *message,
    size_t size, const struct wg_endpoint *from, uint64_t now_ms)
{
    uint8_t mac[WG_MAC], cookie[WG_MAC];
    size_t alpha = size - WG_MACS_SIZE, beta = size - WG_MAC;
    wg_mac(mac, id->mac1_key, WG_KEY, message, alpha, NULL, 0);
    if (sodium_memcmp(mac, message + alpha, WG_MAC) != 0)
        return WG_CHECK_BAD;
    if (!loaded(c, now_ms))
        return WG_CHECK_GOOD;
    cookie_of(c, from, now_ms, cookie);
    wg_mac(mac, cookie, WG_MAC, message, beta, NULL, 0);
    if (sodium_memcmp(mac, message + beta, WG_MAC) != 0)
        return WG_CHECK_COOKIE;
    return rate_ok(c, from, now_ms) ? WG_CHECK_GOOD : WG_CHECK_BAD;
}

void wg_cookie_reply(struct wg_checker *c, const struct wg_identity *id, const uint8_t *message,
    size_t size, const struct wg_endpoint *from, uint64_t now_ms, const uint8_t nonce[24],
    uint8_t ret_reply[WG_COOKIE_SIZE])
{
    uint8_t cookie[WG_MAC];
    cookie_of(c, from, now_ms, cookie);
    wg_put_le32(ret_reply, WG_TYPE_COOKIE);
    memcpy(ret_reply + 4, message + 4, 4); /* its sender is our receiver */
    memcpy(ret_reply + 8, nonce, 24);
    crypto_aead_xchacha20poly1305_ietf_encrypt(ret_reply + 32, NULL, cookie, sizeof cookie,
        message + size - WG_MACS_SIZE, WG_MAC, NULL, nonce, id->cookie_key);
}

void wg_checker_wipe(struct wg_checker *c)
{
    free(c->rates);
    sodium_memzero(c, sizeof *c);
}

void wg_macs_add(
    struct wg_cookie *k, const struct wg_remote *to, uint8_t *message, size_t size, uint64_t now_ms)
{
    size_t alpha = size - WG_MACS_SIZE, beta = size - WG_MAC;
    wg_mac(message + alpha, to->mac1_key, WG_KEY, message, alpha, NULL, 0);
    memcpy(k->mac1, message + alpha, WG_MAC);
    k->have_mac1 = true;
    memset(message + beta, 0, WG_MAC);
    if (k->have_cookie && now_ms - k->cookie_ms < WG_COOKIE_MS)
        wg_mac(message + beta, k->cookie, WG_MAC, message, beta, NULL, 0);
}

bool wg_cookie_read(struct wg_cookie *k, const struct wg_remote *from,
    const uint8_t message[WG_COOKIE_SIZE], uint64_t now_ms)
{
    uint8_t cookie[WG_MAC];
    if (!k->have_mac1 ||
        crypto_aead_xchacha20poly1305_ietf_decrypt(cookie, NULL, NULL, message + 32,
            WG_MAC + WG_TAG, k->mac1, WG_MAC, message + 8, from->cookie_key) != 0)
        return false;
    memcpy(k->cookie, cookie, WG_MAC);
    k->cookie_ms = now_ms;
    k->have_cookie = true;
    k->have_mac1 = false; /* one answer for each message */
    return true;
}
