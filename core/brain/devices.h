/* A transport that carries packets itself: its interface, peers, streams and routes.  One a clan. */
#ifndef BRAIN_DEVICES_H
#define BRAIN_DEVICES_H

#include "brain/brain.h"

#define DEVICE_KEY_TEXT  43 /* base64url of a key, without padding */
#define DEVICE_ENDPOINT  64 /* "[2001:db8::7]:7120", with its end */
#define DEVICE_ADDRESSES WARD_DEVICE_ADDRESSES
#define DEVICE_DIALS_MAX BRAIN_DIALS_MAX

enum device_state { DEVICE_NONE, DEVICE_ASKED, DEVICE_READY };

/* What of a peer the device knows; beside struct peer. */
struct peer_device {
    uint64_t record_seq; /* whose endpoints were read; 0: none yet */
    bool usable;         /* they name one key */
    bool twice;          /* another machine names it too */
    bool set;
    uint8_t key[32];
    uint8_t sent_hash[32]; /* of key and addresses, as set */
    char first[DEVICE_ENDPOINT], heard[DEVICE_ENDPOINT];
    uint64_t handshake_ms; /* of the last one; 0: none, or a dial showed that it is worth nothing */
    uint64_t rx_bytes, tx_bytes;
    unsigned route_count; /* addresses that go through the device */
    uint8_t routes[DEVICE_ADDRESSES][16];
};

struct device_stream; /* a stream that is being connected */

struct device {
    enum device_state state;
    uint32_t child; /* its host's process */
    struct host *host;
    bool adopted; /* that outlived an earlier core */
    bool kernel;  /* the kernel's WireGuard carries */
    bool synced;  /* peers of an earlier core are gone */
    uint32_t flags;
    uint16_t port;
    int fds[3]; /* TUN, UDP by IPv4 and by IPv6, until the host has them; -1 */
    uint8_t public_key[32];
    struct device_listener *listener;
    struct device_stream *streams[DEVICE_DIALS_MAX];
    uint64_t asked_ms, asked_all_ms; /* states, of the kernel */
    struct rate asked_streams;
};

/* devices.c: its life */
bool devices_is(
    const struct brain *b, const char *transport); /* granted as one that carries itself */
bool devices_among(const char (*interfaces)[64], size_t count);
/* Its host is created, or goes on as it did under an earlier core: then its port. */
void devices_created(struct host *h);
void devices_adopted(struct host *h, uint32_t port);
void devices_gone(struct brain *b, const struct host *h);
void devices_reconcile(struct brain *b);
void devices_tick(struct brain *b);
struct device *devices_of(const struct brain *b); /* one that carries now, or NULL */
/* " by the kernel", " in user space" */
const char *devices_mode(const struct brain *b);
/* "ADDR:PORT/KEY", as this machine's record has it. */
void devices_endpoint(const struct brain *b, const char *endpoint, char ret[STMT_ENDPOINT_MAX + 1]);
/* The other transports before it: they answer at once where UDP is dropped. */
void devices_last(const struct brain *b, struct path_order *order);
void devices_told(struct host *h, pb_size_t which, const clan_host_FromHost *m);

/* device_peers.c: who is set, and where packets go */
void device_peers_reconcile(struct brain *b, struct device *d);
struct peer_device *device_peer(const struct peer *p);
/* Where a session's other end is: through the device the transport knows no more than its inner address. */
const char *device_peers_via(
    const struct brain *b, const struct peer *p, const char *transport, const char *via);
bool device_peer_set(struct brain *b, struct device *d, struct peer *p,
    const struct member_machine *m, const char *endpoint);
/* "ADDR:PORT" of "ADDR:PORT/KEY"; false: it is none. */
void device_address_text(const uint8_t address[16], uint16_t port, char ret[DEVICE_ENDPOINT]);
bool device_endpoint(const char *text, char ret[DEVICE_ENDPOINT], uint8_t ret_key[32]);
/* One without Clan: a phone behind this machine.  Is a key some machine's? */
void device_guest_set(
    struct brain *b, struct device *d, const uint8_t key[32], const uint8_t address[16]);
void device_guest_gone(struct brain *b, struct device *d, const uint8_t key[32]);
bool device_peers_use(const struct brain *b, const uint8_t key[32]);
void device_peers_forget(struct brain *b); /* the device is gone, and what it knew */
void device_peers_carry(struct brain *b, struct peer *p, bool on);
void device_peers_state(struct brain *b, const uint8_t key[32], const char *endpoint,
    uint64_t handshake_ms, uint64_t rx_bytes, uint64_t tx_bytes, bool silent);
void device_peers_ask(struct brain *b, struct device *d); /* the kernel's */
void device_peers_states(struct brain *b, const struct ward_device_states *s);

/* device_streams.c: sessions through it */
void device_streams_listen(struct brain *b, struct device *d);
bool device_streams_dial(struct brain *b, uint32_t request, const uint8_t machine[32],
    const char *endpoint, uint32_t timeout_ms);
void device_streams_tick(struct brain *b, struct device *d);
void device_streams_end(struct brain *b, struct device *d);
/* Who came through it by that address is who it says? */
bool device_streams_fits(const struct brain *b, const struct session *s);

#endif
