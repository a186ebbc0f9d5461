/*
 * Peers, sessions and keys of one WireGuard interface: packets in, packets out.  No sockets, no clock:
 * the caller passes `now_ms` (monotonic) and sends what it is given.
 *
 * Threads: one owner (the thread that calls wg_device_receive() and wg_device_tick()) and perhaps one
 * sender, which may call only what is marked [sender], with the lock held.  What the sender reads
 * (current keys, endpoints, the table of addresses) the owner changes under the lock only.
 */
#ifndef WG_DEVICE_H
#define WG_DEVICE_H

#include "cookie.h"
#include "map.h"
#include "noise.h"
#include "replay.h"
#include "timers.h"

#include <pthread.h>
#include <stdatomic.h>

#define WG_PEERS_MAX     1000u
#define WG_CHUNK         64u           /* peers that share a piece of guarded memory */
#define WG_KEY_CHUNK     16u           /* and pairs of keys, of which a peer has three at most */
#define WG_ADDRESSES_MAX 64u           /* of a peer: its own, its services', its phones' */
#define WG_STAGED_MAX    128u          /* packets of a peer that wait for a session */
#define WG_STAGED_BYTES  (4u << 20)    /* of all peers */
#define WG_NEWS_MS       100u          /* how late the timers may hear of what was sent */
#define WG_PACKET_MAX    (65535u - 80) /* inner, with what goes around it */

struct wg_device;

struct wg_keypair { /* guarded memory */
    struct wg_bulk send, receive;
    struct wg_keypair *next; /* in the device's free list */
    uint64_t counter;        /* [lock] */
    struct wg_replay replay;
    uint64_t created_ms;
    uint32_t local_index, remote_index;
    bool initiator, late; /* late: a handshake was begun because it ends soon */
};

struct wg_staged {
    struct wg_staged *next;
    uint32_t size;
    uint8_t tos;
    uint8_t bytes[];
};

struct wg_peer { /* guarded memory */
    struct wg_device *device;
    struct wg_remote remote;
    struct wg_handshake handshake;
    bool initiating; /* the handshake is ours and waits for an answer */
    uint8_t greatest_tai64n[WG_TAI64N];
    struct wg_cookie cookie;
    struct wg_timers timers;
    uint32_t jitter_ms;
    struct wg_endpoint endpoint;                      /* [lock] */
    struct wg_keypair *current, *previous, *upcoming; /* [lock]; upcoming: not confirmed yet */
    struct wg_staged *staged, **staged_end;           /* [lock] */
    unsigned staged_count;                            /* [lock] */
    uint8_t (*addresses)[16];
    unsigned address_count;
    uint64_t initiated_ms, answered_ms, handshake_ms; /* 0: never */
    /* what the owner is to be told: events of the sender; a session is missing or ends */
    atomic_uint sent;
    atomic_bool want;
    bool in_news;                /* [news_lock] */
    struct wg_peer *next_news;   /* [news_lock] */
    uint64_t rx_bytes, tx_bytes; /* of inner packets; owner's; [lock] */
    uint64_t heard;              /* authentic messages */
    struct {
        struct wg_endpoint endpoint;
        uint64_t at_ms, handshake_ms, rx_bytes, tx_bytes;
    } told; /* for who reports: what was said last */
    struct {
        uint64_t heard, tx_bytes; /* at the last look */
        uint64_t unanswered_ms;   /* since when something sent has no answer; 0: it has one */
        bool told;
    } silence;            /* likewise */
    struct wg_peer *next; /* in the device's list or its free list */
};

struct wg_ops {
    void *user;
    /* One message; losing it is allowed.  With the lock held or not. */
    void (*send)(
        void *user, const struct wg_endpoint *to, const uint8_t *message, size_t size, uint8_t tos);
    void (*wall)(void *user, uint64_t *ret_unix_s, uint32_t *ret_ns);
    /* Keeps the TAI64N below which this machine never speaks again, before it comes near (SECURITY,
     * clocks).  false: not kept; the handshake is not begun. */
    bool (*keep_floor)(void *user, const uint8_t tai64n[WG_TAI64N]);
};

struct wg_counts {
    uint64_t bad, replayed, unknown, not_allowed, no_peer, no_session_dropped, cookies_sent,
        handshakes;
};

struct wg_device {
    struct wg_ops ops;
    struct wg_identity *identity;
    pthread_mutex_t lock;
    struct wg_checker checker;
    struct wg_map by_key, by_index;
    struct wg_map by_address; /* [lock] */
    struct {                  /* the peer of the last packet, as the next one is often his too */
        struct wg_peer *peer; /* NULL: nobody */
        uint32_t index;
        uint8_t source[16];
    } last;
    struct wg_peer *peers, *spare;
    struct wg_peer *chunks[WG_PEERS_MAX / WG_CHUNK + 1]; /* guarded memory of peers */
    unsigned chunk_count;
    struct wg_keypair *spare_keys; /* a page's guards take longer than a handshake */
    struct wg_keypair *key_chunks[3 * WG_PEERS_MAX / WG_KEY_CHUNK + 1];
    unsigned key_chunk_count;
    unsigned peer_count;
    size_t staged_bytes; /* [lock] */
    uint64_t next_ms;    /* no timer is due before */
    uint8_t last_tai64n[WG_TAI64N], floor_tai64n[WG_TAI64N];
    pthread_mutex_t news_lock; /* of its own: the lock is held long, while much is sealed */
    struct wg_peer *news;      /* [news_lock] with `sent` or `want` */
    atomic_bool has_news, has_want;
    uint64_t news_ms; /* when they were read last */
    size_t mtu;       /* of the interface: padding does not go beyond it; 0: unknown */
    struct wg_counts counts;
};

/* floor: the last one kept, or zeros.  NULL: out of memory. */
struct wg_device *wg_device_new(
    const struct wg_ops *ops, const uint8_t private_key[WG_KEY], const uint8_t floor[WG_TAI64N]);
void wg_device_free(struct wg_device *d); /* wipes; takes NULL */

struct wg_peer_config {
    uint8_t public_key[WG_KEY];
    const uint8_t *psk;                 /* WG_KEY bytes or NULL */
    const struct wg_endpoint *endpoint; /* NULL: keeps the one it has */
    const uint8_t *addresses; /* IPv6, 16 bytes each; an address has one peer: taken from others */
    unsigned address_count;
    uint32_t persistent_ms;
};

enum wg_set { WG_SET_OK, WG_SET_BAD_KEY, WG_SET_FULL, WG_SET_MEMORY };
/* New, or changed: sessions stay, except when the pre-shared key is another. */
enum wg_set wg_device_set_peer(struct wg_device *d, const struct wg_peer_config *c);
void wg_device_remove_peer(struct wg_device *d, const uint8_t public_key[WG_KEY]);
struct wg_peer *wg_device_peer(const struct wg_device *d, const uint8_t public_key[WG_KEY]);

/* A message from outside, opened in place.  true: ret_packet is an IPv6 packet of ret_peer, from an
 * address it may use, without padding. */
bool wg_device_receive(struct wg_device *d, uint8_t *message, size_t size,
    const struct wg_endpoint *from, uint64_t now_ms, uint8_t **ret_packet, size_t *ret_size,
    struct wg_peer **ret_peer);
/* Timers and what the sender asked for; returns when to come again at the latest. */
uint64_t wg_device_tick(struct wg_device *d, uint64_t now_ms);
void wg_device_handshake(struct wg_device *d, struct wg_peer *p, uint64_t now_ms); /* begins one */

/* [sender] whose address this is; NULL: nobody's */
struct wg_peer *wg_device_route(struct wg_device *d, const uint8_t destination[16]);
/* [sender] the keys to send with; NULL: stage it.  Asks for a handshake when that is due. */
struct wg_keypair *wg_peer_keys(struct wg_peer *p, uint64_t now_ms);
#define WG_OVERHEAD (WG_DATA_HEAD + 15 + WG_TAG) /* of a message, at most */
/* [sender] message[size + WG_OVERHEAD] with the packet at WG_DATA_HEAD; the message's size, 0: failed. */
size_t wg_message_seal(struct wg_peer *p, struct wg_keypair *k, uint8_t *message, size_t size);
/* [sender] copies; the oldest goes when there are too many */
void wg_peer_stage(struct wg_peer *p, const uint8_t *head, size_t head_size, const uint8_t *rest,
    size_t rest_size);

static inline void wg_lock(struct wg_device *d)
{
    pthread_mutex_lock(&d->lock);
}

static inline void wg_unlock(struct wg_device *d)
{
    pthread_mutex_unlock(&d->lock);
}

/* Inside: peer.c. */
void wg_peer_event(struct wg_peer *p, unsigned events, uint64_t now_ms);
void wg_keypair_drop(struct wg_device *d, struct wg_keypair **k);
void wg_peer_erase(struct wg_peer *p); /* all keys */
void wg_peer_purge(struct wg_peer *p); /* what waits */
void wg_peer_flush(struct wg_peer *p, uint64_t now_ms);
void wg_peer_sent(struct wg_peer *p, unsigned events); /* [sender] */
void wg_peer_want(struct wg_peer *p);                  /* [sender] a session */
void wg_peer_keepalive(struct wg_peer *p, uint64_t now_ms);
bool wg_index_new(struct wg_device *d, struct wg_peer *p, uint32_t *ret_index);
void wg_index_drop(struct wg_device *d, uint32_t index);
bool wg_session_begin(struct wg_peer *p, bool initiator, uint64_t now_ms);
void wg_session_confirm(struct wg_peer *p, uint64_t now_ms);

#endif
