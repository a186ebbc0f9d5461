/*
 * What clan-core may ask of the warden: fixed-size structs on a SOCK_SEQPACKET channel.  The request
 * table in warden/monitor.c {id, permitted states, size, rate, handler} IS the security policy.  A datagram
 * of another length, an unknown id, a request in a wrong state or above its rate kills the core.
 * Host byte order: both ends are one build on one machine.  Answers and events carry the `head` too.
 *
 * Fixed descriptors of a child (all others are closed before exec; see core/README.md for the reasons):
 *   0 1 2  /dev/null
 *   3      channel: core -> warden; link, resolver, keeper, host -> core
 *   4      log, SOCK_SEQPACKET to the warden (base/log.h)
 *   5      core: sealed memfd with the 32-byte identity seed, empty when there is none yet
 *          host: the verified plugin file;  resolver: UDP socket at prefix::53
 *   6      core, keeper, host: own state directory;  resolver: TCP listener at prefix::53
 *   7      core: listening API socket of its clan, or (unbound) the connection it was started for
 *          host: volume directory of its service, or /dev/null
 *   8 ..   host: listening sockets, in the order of the grant, then those for people (api.session);
 *          a service's own is the last
 */
#ifndef WIRE_WARDEN_REQUESTS_H
#define WIRE_WARDEN_REQUESTS_H

#include <clan/status.h>
#include <stdint.h>

#define CHILD_FD_CHANNEL 3
#define CHILD_FD_LOG     4
#define CHILD_FD_SEED    5
#define CHILD_FD_PLUGIN  5
#define CHILD_FD_STATE   6
#define CHILD_FD_API     7
#define CHILD_FD_VOLUME  7
#define CHILD_FD_LISTEN  8

#define WARD_REQUEST_MAX  1024 /* bytes */
#define WARD_CLANS_MAX    8
#define WARD_CHILDREN_MAX 32 /* per clan */
#define WARD_LOCAL_MAX    32

enum ward_state {
    WARD_UNBOUND = 1,
    WARD_BOUND = 2,
    WARD_UP = 4
}; /* of a clan; a bit each: permitted sets */

enum ward_kind {
    WARD_KIND_CORE = 1,
    WARD_KIND_LINK,
    WARD_KIND_RESOLVER,
    WARD_KIND_KEEPER,
    WARD_KIND_HOST,
    WARD_KIND_PROGRAM
};

/* Requests (core -> warden).  Each is answered once by a ward_answer with the same serial. */
enum ward_request {
    WARD_REQ_SEED_STORE = 1, /* unbound: identity seed to disk, root 0600, fsynced */
    WARD_REQ_BIND = 2,       /* unbound -> bound; answer carries the API listener */
    WARD_REQ_NET_UP =
        3, /* bound -> up: TUN, address, routes, firewall closed; answer carries the TUN */
    WARD_REQ_TUN = 4,         /* another descriptor of the TUN, for a new link */
    WARD_REQ_LOCAL_ADDRS = 5, /* addresses of this computer; answered by ward_local_addrs */
    WARD_REQ_ADDR_ADD = 6,    /* a service address onto clan0 */
    WARD_REQ_ADDR_DEL = 7,
    WARD_REQ_FW_MEMBER = 8,  /* may ping this machine: add or delete one peer address */
    WARD_REQ_FW_ALLOW = 9,   /* {peer, own or service address, protocol, port}: add or delete */
    WARD_REQ_FW_COMMIT = 10, /* everything since the last commit, in one nft transaction */
    WARD_REQ_FW_CLEAR = 11,  /* forget all members and allows (a new core); applied at commit */
    WARD_REQ_HOST_START = 12,
    WARD_REQ_CHILD_END = 13, /* graceful TERM, then cgroup.kill after the given time */
    WARD_REQ_RUN = 14,       /* a program for a host: exec:PROFILE of its grant */
    WARD_REQ_KEEPER_START = 15,
    WARD_REQ_NAMES_BEGIN = 16, /* hosts block or resolved, as the owner's dns: says */
    WARD_REQ_NAMES_ADD = 17,
    WARD_REQ_NAMES_COMMIT = 18,
    WARD_REQ_CLAN_DOWN =
        19, /* ends everything of this clan, removes its firewall; not started at boot */
    WARD_REQ_CLAN_LEAVE = 20, /* the same, and removes its directory with the identity */
    WARD_REQ_CLAN_START = 21, /* unbound: start a clan of this machine that is down */
    WARD_REQ_GRANTS = 22,     /* the grants file changed: hosts without their grant are ended */
    WARD_REQ_READY = 23,      /* core works: sd_notify, and "started" in the log */
    WARD_REQ_DEADLINE = 24,   /* reserved: moves the freeze deadline (leases) */
    WARD_REQ_DEVICE_UP =
        25, /* the second interface, of a device transport; answer carries its TUN, if it has one */
    WARD_REQ_DEVICE_PEER = 26,   /* kernel WireGuard: add, replace or remove a peer */
    WARD_REQ_DEVICE_STATES = 27, /* kernel WireGuard: answered by ward_device_states */
    WARD_REQ_DEVICE_ROUTE = 28,  /* one address goes through the device, or by clan0 again */
    WARD_REQ_DEVICE_STREAM =
        29, /* to a peer's control port through the device only; answer carries the socket */
    WARD_REQ_DEVICE_SOCKET =
        30, /* UDP, for the plugin of a device; answer carries it, made by the owner's grant */
    WARD_REQ_DEVICE_DOWN = 31,   /* the interface and its routes go */
    WARD_REQ_DEVICE_PHONES = 32, /* those behind this machine; again after DEVICE_UP */
    WARD_REQ_COUNT
};

/* Events and answers (warden -> core). */
enum ward_event {
    WARD_EV_ANSWER = 100,
    WARD_EV_LOCAL_ADDRS = 101,
    WARD_EV_CHILD =
        102, /* a child runs; descriptor: core's end of its channel (not for programs) */
    WARD_EV_CHILD_DIED = 103,
    WARD_EV_ADDRS_CHANGED = 104, /* links, addresses or routes of this computer changed */
    WARD_EV_RESUMED = 105,       /* the machine slept: catch up */
    WARD_EV_REFUSED = 106,       /* the sandbox refused calls to a host or a program */
    WARD_EV_DEVICE_STATES = 107
};

struct ward_head {
    uint32_t id;     /* ward_request or ward_event */
    uint32_t serial; /* chosen by core, > 0; 0 in events */
};

struct
    ward_simple { /* TUN, LOCAL_ADDRS, FW_COMMIT, FW_CLEAR, NAMES_BEGIN/COMMIT, CLAN_*, GRANTS, READY, KEEPER_START, DEVICE_DOWN */
    struct ward_head head;
};

struct ward_seed_store {
    struct ward_head head;
    uint8_t seed[32];
};

struct ward_bind {
    struct ward_head head;
    uint8_t clan_id[32];
    char petname[33];
    uint8_t zero[7];
};

struct ward_net_up {
    struct ward_head head;
    uint8_t address[16]; /* in the clan's /48, which the warden derives from clan_id itself */
    uint32_t mtu;        /* 1280 .. 9000 */
    uint32_t zero;
};

struct ward_addr {
    struct ward_head head;
    uint8_t address[16]; /* in the clan's /48 */
};

struct ward_fw_member {
    struct ward_head head;
    uint8_t peer[16];
    uint32_t add; /* 1 add, 0 delete */
    uint32_t zero;
};

struct ward_fw_allow {
    struct ward_head head;
    uint8_t peer[16]; /* in the clan's /48 */
    uint8_t dest[16]; /* an address of ours */
    uint16_t port;
    uint8_t protocol; /* IPPROTO_TCP or IPPROTO_UDP */
    uint8_t add;
    uint32_t zero;
};

struct ward_host_start {
    struct ward_head head;
    char plugin[32];   /* id; file, hash, permissions come from the grants */
    char instance[33]; /* service name, or the plugin's id */
    uint8_t service;   /* 1: listen on service_address and give it a volume */
    uint16_t service_port;
    uint8_t zero[4];
    uint8_t service_address[16];
};

struct ward_child_end {
    struct ward_head head;
    uint32_t child;
    uint32_t grace_ms; /* at most 30,000 */
};

struct ward_run {
    struct ward_head head;
    uint32_t host; /* child id of the host that asked */
    uint32_t zero;
    char profile[32];
};

struct ward_name {
    struct ward_head head;
    char name[72]; /* "files.home.clan", [a-z0-9.-] */
    uint8_t address[16];
};

struct ward_petname {
    struct ward_head head;
    char petname[33];
    uint8_t zero[7];
};

/* ---- the interface of a device transport; one a clan, where the owner granted net.device ---- */

#define WARD_DEVICE_PORT      7118 /* machine to machine control through a device: TCP */
#define WARD_DEVICE_ADDRESSES 33   /* its own, and services that it holds */
#define WARD_DEVICE_ASKED     10
#define WARD_DEVICE_TRIES     16 /* ports from the granted one on */

/* For one that is there already (a new core): its routes are taken back, and peers are named anew. */
struct ward_device_up {
    struct ward_head head;
    uint8_t secret[32]; /* X25519, of this machine in this clan; for the kernel's WireGuard only */
    uint32_t mtu;       /* 1280 .. 9000 */
    uint16_t port;      /* UDP, of the kernel's WireGuard, or the next free one; WARD_TUN_PORT() */
    uint8_t user;       /* 1: a TUN for the plugin, also where the kernel has WireGuard */
    uint8_t zero;
};

struct ward_device_socket {
    struct ward_head head;
    uint16_t port;  /* or the next free one of `tries` */
    uint8_t family; /* 4 or 6 */
    uint8_t tries;  /* 1 .. WARD_DEVICE_TRIES */
    uint32_t zero;
};

struct ward_device_peer {
    struct ward_head head;
    uint8_t key[32];      /* X25519, public; zero with remove: who was not named since DEVICE_UP */
    uint8_t endpoint[16]; /* IPv4 mapped */
    uint16_t port;        /* of the endpoint; 0: none is known, the one that it came from stays */
    uint16_t keepalive_s; /* 0: none */
    uint8_t remove;
    uint8_t count; /* of addresses; all others of this peer are dropped */
    uint8_t zero[2];
    uint8_t addresses[WARD_DEVICE_ADDRESSES][16]; /* in the clan's /48 */
};

struct ward_device_ask {
    struct ward_head head;
    uint32_t count, zero;
    uint8_t keys[WARD_DEVICE_ASKED][32];
};

struct ward_device_state {
    uint8_t key[32];
    uint8_t endpoint[16];
    uint16_t port; /* 0: none */
    uint8_t zero[6];
    int64_t handshake_s;         /* wall clock; 0: never */
    uint64_t rx_bytes, tx_bytes; /* since the device is there */
};

struct ward_device_states { /* those of the asked ones that the kernel knows */
    struct ward_head head;
    uint32_t count, zero;
    struct ward_device_state states[WARD_DEVICE_ASKED];
};

struct ward_device_route {
    struct ward_head head;
    uint8_t address[16]; /* in the clan's /48, not ours */
    uint32_t on;         /* 1: through the device */
    uint32_t zero;
};

#define WARD_PHONES_MAX 16  /* behind one machine */
struct ward_device_phones { /* all of them: forwarded between the device and the clan's /48 */
    struct ward_head head;
    uint32_t count, zero;
    uint8_t addresses[WARD_PHONES_MAX][16]; /* in the clan's /48, not ours */
};

struct ward_device_stream {
    struct ward_head head;
    uint8_t peer[16]; /* in the clan's /48; zero: the answer is a listener instead */
};

struct ward_answer {
    struct ward_head head; /* WARD_EV_ANSWER and the request's serial */
    uint32_t child;        /* HOST_START, RUN, KEEPER_START: the child's id */
    uint32_t flags;        /* NET_UP, TUN, DEVICE_UP: WARD_TUN_ bits */
    struct clan_error error;
};
#define WARD_TUN_VNET        (1u << 0) /* IFF_VNET_HDR and TSO4|TSO6|CSUM are on */
#define WARD_TUN_USO         (1u << 1)
#define WARD_TUN_NONE        (1u << 2) /* DEVICE_UP: the kernel's WireGuard, no TUN */
#define WARD_TUN_PORT(flags) ((uint16_t)((flags) >> 16)) /* then: its UDP port */

struct ward_local_addrs {
    struct ward_head head;
    uint32_t count, zero;
    struct {
        uint8_t address[16]; /* IPv4 mapped */
        uint8_t prefix_len;  /* of the mapped form: an IPv4 /24 is 120 */
        uint8_t zero[3];
        uint32_t ifindex;
    } addrs[WARD_LOCAL_MAX]; /* no loopback, link-local, or overlay ones */
};

struct ward_child {
    struct ward_head head;
    uint32_t child; /* id, never reused while the warden lives */
    uint32_t kind;  /* ward_kind */
    char name[33];  /* host: instance; program: profile */
    char plugin[32];
    uint8_t adopted; /* 1: it lived before this core; send Hello and ask for its state */
    uint8_t slot;    /* of this clan on this machine: see grants_address() */
    uint8_t zero[5];
    uint32_t host; /* program: the host it belongs to */
};

struct ward_child_refused { /* at most one a second for each child */
    struct ward_head head;
    uint32_t child, count; /* since it was started */
};

struct ward_child_died {
    struct ward_head head;
    uint32_t child, kind;
    char name[33];
    uint8_t restarting; /* 1: the warden starts it anew by itself (link, resolver, keeper, host) */
    uint8_t disk_full;  /* 1: when it has less on the disk; last_words say it */
    uint8_t zero[5];
    int32_t wait_status; /* wait(2) */
    uint32_t host;
    char last_words[200];
};

#endif
