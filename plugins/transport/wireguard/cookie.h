/* Who may make us compute: mac1, cookies under load, a rate for each source (paper 5.3, 5.4.4, 5.4.7). */
#ifndef WG_COOKIE_H
#define WG_COOKIE_H

#include "noise.h"

#include <netinet/in.h>

#define WG_COOKIE_MS      120000u /* a secret changes and a cookie ends */
#define WG_LOAD_WINDOW_MS 100u
#define WG_LOAD_COUNT     50u /* handshake messages in a window: a tenth of a core */
#define WG_LOAD_HOLD_MS   1000u
#define WG_RATE_PER_S     20u
#define WG_RATE_BURST     5u

struct wg_endpoint { /* an address, comparable by memcmp; the family 0 is none */
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

struct wg_rates; /* sources and their tokens, bounded */

struct wg_checker { /* zeros */
    uint8_t secret[WG_KEY];
    uint64_t secret_ms;
    bool have_secret;
    uint64_t window_ms, loaded_until_ms;
    unsigned count;
    struct wg_rates *rates;
};

enum wg_verdict { WG_CHECK_BAD, WG_CHECK_COOKIE, WG_CHECK_GOOD };

/* What to do with an initiation or a response: nothing, answer with a cookie, read it. */
enum wg_verdict wg_check(struct wg_checker *c, const struct wg_identity *id, const uint8_t *message,
    size_t size, const struct wg_endpoint *from, uint64_t now_ms);
void wg_checker_wipe(struct wg_checker *c);
void wg_cookie_reply(struct wg_checker *c, const struct wg_identity *id, const uint8_t *message,
    size_t size, const struct wg_endpoint *from, uint64_t now_ms, const uint8_t nonce[24],
    uint8_t ret_reply[WG_COOKIE_SIZE]);

struct wg_cookie { /* of one peer; zeros */
    uint8_t cookie[WG_MAC], mac1[WG_MAC];
    uint64_t cookie_ms;
    bool have_cookie, have_mac1;
};

/* Ends a message of ours: mac1, and mac2 while there is a cookie. */
void wg_macs_add(struct wg_cookie *k, const struct wg_remote *to, uint8_t *message, size_t size,
    uint64_t now_ms);
bool wg_cookie_read(struct wg_cookie *k, const struct wg_remote *from,
    const uint8_t message[WG_COOKIE_SIZE], uint64_t now_ms);

#endif
