/*
 * The state of clan-link, and who may touch what.
 *
 * The receiver (main thread: core's channel, handshakes, every record that arrives, timers) owns
 * everything here.  It sends, too (TUN -> streams), as long as one processor is enough for both: an
 * answer then costs no second wake-up.  When it is not, the sender's thread takes that over
 * (share.h).  What sending touches is marked [lock] and changes only under the lock; the receiver's
 * link_lock() nests and goes first: the sender's thread steps aside between two packets.  A third
 * thread only closes descriptors (closer.h).
 */
#ifndef LINK_LINK_H
#define LINK_LINK_H

#include "fq.h"
#include "protocol.h"
#include "share.h"

#include "noise/aead.h"
#include "noise/noise.h"
#include "wire/counters.h"

#include "wire/link.pb.h"

#include <linux/virtio_net.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define LINK_SERVICES_MAX 32
#define LINK_OWN_MAX      65
#define LINK_VIA_MAX      8
#define LINK_INVITES_MAX  256
#define LINK_RECV_SIZE    (256u * 1024)
#define LINK_ARRIVED_MAX  16
#define LINK_BATCH_SIZE   (32u * 1024)

struct link;
struct link_session;
struct resend;

struct link_peer {
    uint8_t machine_id[32], link_key[32], control_key[32];
    uint8_t from[1 + LINK_SERVICES_MAX][16]; /* its address, then the services it holds */
    unsigned from_count;
    uint8_t reachable[LINK_SERVICES_MAX][16];
    unsigned reachable_count;
    bool restricted, no_data;
    bool only; /* sessions by other transports than these are refused */
    unsigned via_count;
    char via[LINK_VIA_MAX][33];
    bool named;                          /* since the core's last Hello */
    struct link_session *data, *control; /* the ones in use; [lock] for data */
    uint8_t last_id[LINK_RANKS + 1][8];  /* of the last session: data by rank, control */
    struct fq *queue;                    /* [lock] unsealed packets, made when needed */
    struct resend *again;                /* [lock] copies of what was sent lately; as needed */
    bool want;                           /* [lock] a packet came and there is no session */
    uint64_t wanted_ms;
    uint64_t waiting_ms, waited_ms, answered_ms; /* [lock] packets without a session: answer.h */
    uint64_t rx_bytes, rx_packets;
    uint64_t tx_bytes, tx_packets, dropped; /* [lock] */
};

enum link_state {
    LINK_WAITING, /* accepted, stands in line for a handshake */
    LINK_PREFACE, /* accepted, nothing understood yet */
    LINK_HANDSHAKE,
    LINK_NEED_PAYLOAD, /* dialed door: core makes message 3's payload */
    LINK_CONFIRM,      /* keys are there, the other's first record is not */
    LINK_UP,
    LINK_FLUSHING, /* core closed it, the rest goes out */
    LINK_CLOSED    /* memory goes at the end of the round */
};

struct link_out { /* sealed bytes the socket did not take, in the blocks they were sealed in */
    struct fq_packet *first, *last;
    size_t bytes;
};

struct link_tx { /* [lock] */
    struct aead *key;
    uint8_t type; /* LINK_FRAME_KEY_A or _B */
    struct link_out out;
    bool blocked, broken;
    uint64_t bytes, used; /* used: bytes under this key, without keep-alives */
    uint64_t last_ms;
    uint64_t busy_since_ns, busy_bytes, measured_ms; /* while the socket is full */
    uint64_t rate_bps;                               /* 0: never been full lately */
    uint64_t sampled_ns;                             /* of the transport's own measurement */
    uint32_t piece_max; /* longest super-packet for this rate, 0: any */
};

struct link_rx {
    struct aead *key[2]; /* by slot; the old one until the new one was used */
    uint8_t slot;
    uint8_t *part; /* an unfinished unit */
    size_t part_len, part_need, part_cap;
    uint8_t stash[LINK_FRAME_HEAD]; /* less than a head */
    size_t stash_len;
    uint64_t bytes, used;
    uint64_t last_ms;
};

struct link_session {
    struct link *link;
    uint32_t number; /* core's */
    uint32_t slot, generation;
    uint32_t watched; /* events the receiver waits for */
    int fd;
    enum link_state state;
    clan_link_Purpose purpose;
    clan_link_Reason reason; /* for the Down that follows LINK_FLUSHING */
    bool dialed, stranger, counted, paused, refused, at_sender, up_told, clean;
    uint8_t remote[16];
    char transport[33], via[64];
    uint32_t rank; /* of the transport: 0 is preferred */
    struct link_peer *peer;
    uint8_t peer_id[32], peer_static[32];
    uint64_t since_ms;         /* of the state */
    struct link_session *next; /* line, dead list or chain */
    struct link_session *by_number;
    /* handshake */
    struct noise_handshake *hs;
    uint8_t invite_id[16], hash2[NOISE_HASH_SIZE];
    /* from hellos: how two sessions are told apart */
    uint8_t id[8], replaces[8];
    uint64_t their_process, serial;
    uint32_t version;
    uint64_t features;
    /* rekey */
    struct noise_handshake *rekey;
    uint64_t keyed_ms, rekey_ms;
    uint64_t stranger_bytes;
    /* probes */
    uint64_t ping_ms;  /* 0: none is out */
    uint64_t asked_ms; /* the first of those without an answer; 0: none */
    uint64_t trial_ms;
    unsigned missed;
    uint64_t acked; /* the transport's progress at the last probe */
    uint32_t rtt_us, rtt_max_us;
    struct link_tx tx;
    struct link_rx rx;
};

struct link_keys { /* guarded memory */
    uint8_t link[32], control[32], door[32];
};

struct link_invite {
    uint8_t id[16], psk[32];
    bool used, named;
};

struct link_dest {
    uint8_t address[16];
    struct link_peer *peer; /* NULL: free */
};

struct link_report { /* a message that core's channel did not take */
    struct link_report *next;
    size_t size;
    uint8_t bytes[];
};

struct link_source;

struct link_demand {
    uint8_t address[16]; /* of a service */
    unsigned via_count;
    char via[LINK_VIA_MAX][33];
};
struct link_demands {
    unsigned count;
    struct link_demand rows[WIRE_DEMANDS_MAX];
};

struct link_arrived { /* checked, not yet written to the TUN */
    struct virtio_net_hdr head;
    uint8_t *packet; /* where it was opened */
    size_t size;
};

struct link {
    int core_fd, epoll, wake_fd;
    int send_epoll; /* TUN and streams with room: in `epoll` while the receiver sends */
    struct link_share share;
    bool sandboxed, tun_nonblocking;
    const char *cipher;
    pthread_barrier_t started; /* a thread's first steps need calls the sandbox forbids */
    /* [lock] */
    pthread_mutex_t lock;
    pthread_cond_t turn;
    atomic_uint waiting; /* the receiver wants the lock */
    unsigned depth;      /* of the receiver's nesting; its own */
    int tun;             /* -1: none; [lock] */
    bool tun_vnet;
    uint32_t mtu;
    struct link_dest *dest; /* [lock] open addressing, dest_size a power of two */
    uint32_t dest_size;
    uint64_t dest_seed;
    struct fq_pool pool;   /* [lock] */
    atomic_bool slow_tick; /* the receiver sleeps long: wake it when traffic starts */
    atomic_bool look_at_wants;
    /* identity */
    bool have_keys;
    uint8_t clan_id[32], machine_id[32];
    uint8_t own[LINK_OWN_MAX][16];
    unsigned own_count;
    struct link_keys *keys;
    uint64_t process, serial;
    /* tables */
    struct link_peer **peers;
    unsigned peer_count, peer_cap;
    struct link_invite invites[LINK_INVITES_MAX];
    struct link_demands demands, demands_next;     /* [lock] the first one */
    struct link_session *slots[LINK_SESSIONS_MAX]; /* [lock] */
    uint32_t generation;
    unsigned session_count, door_count;
    uint64_t now_ms; /* of this round of the receiver */
    struct link_session *numbers[1024];
    struct link_session *dead;
    /* line of handshakes */
    struct link_session *line, **line_end;
    unsigned line_length, handshakes;
    struct link_source *sources;
    /* core's channel */
    struct link_report *reports, **reports_end;
    size_t report_bytes;
    bool core_full;
    uint32_t generation_hello; /* sessions up to here are older than this core */
    clan_link_ToLink to;
    clan_link_FromLink from;
    uint8_t encoded[WIRE_FRAME_MAX];
    struct link_arrived arrived[LINK_ARRIVED_MAX]; /* of the bytes that are being read */
    unsigned arrived_count;
    /* buffers, touched only when used */
    uint8_t *spare_part;
    struct fq_packet *reading; /* [lock] the next packet of the TUN; never NULL */
    _Alignas(64) uint8_t recv_bytes[LINK_RECV_SIZE];
    _Alignas(64) uint8_t batch[LINK_BATCH_SIZE]; /* [lock] small packets, sealed */
    _Atomic uint64_t counters[LINK_COUNTERS];
};

static inline void link_count(struct link *l, int which)
{
    atomic_fetch_add_explicit(&l->counters[which], 1, memory_order_relaxed);
}

/* A round's time may lie before what happened in it. */
static inline uint64_t link_since(uint64_t now_ms, uint64_t then_ms)
{
    return now_ms > then_ms ? now_ms - then_ms : 0;
}

/* The receiver's side of the lock: nests. */
void link_lock(struct link *l);
void link_unlock(struct link *l);

/* run.c */
int link_run(int core_fd);
void link_close_sandbox(struct link *l);

/* receive.c */
int link_receive_loop(struct link *l);
void link_watch(struct link_session *s); /* sets what the receiver waits for */
void link_wake(struct link *l);

/* sender.c */
void *link_sender_main(void *arg);
void link_sender_turn(struct link *l); /* the receiver's: what is there now */
#define LINK_TAG_CORE 1ull
#define LINK_TAG_WAKE 2ull
#define LINK_TAG_TUN  3ull
#define LINK_TAG_SEND 4ull
/* epoll data of a session: generation << 32 | slot + 16 */
uint64_t link_tag_of(const struct link_session *s);
struct link_session *link_session_by_tag(struct link *l, uint64_t tag);

#endif
