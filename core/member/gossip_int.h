/* Inside of gossip: sessions and what its files share. */
#ifndef MEMBER_GOSSIP_INT_H
#define MEMBER_GOSSIP_INT_H

#include "member/gossip.h"
#include "wire/limits.h"

#define GOSSIP_TOKENS          256  /* unasked messages of a session in one go ... */
#define GOSSIP_TOKENS_SECOND   64   /* ... and again each second */
#define GOSSIP_STRANGER_TOKENS 192  /* a stranger's, in all */
#define GOSSIP_SPAM_MAX        4096 /* over the budget: the session ends */
#define GOSSIP_BAD_MAX         64   /* statements that do not verify: the session ends */
#define GOSSIP_BAD_COST        8
#define GOSSIP_SERVE           1024 /* statements and chunks handed out in one go, and each second */
#define GOSSIP_WANT_LIST       4096
#define GOSSIP_WANT_OUT        32
#define GOSSIP_WANT_MS         5000
#define GOSSIP_SYNC_MS         250  /* between two comparisons with one session */
#define GOSSIP_LATE_MS         1000 /* nothing more came: the other has nothing that is not here */
#define GOSSIP_SYNC_BUCKETS    24   /* differing buckets of one comparison */
#define GOSSIP_BUCKET_IDS      2048
#define GOSSIP_ENVELOPES       64 /* pushed to one that is behind, at once */
#define GOSSIP_BODIES          4  /* fetched at once */
#define GOSSIP_BODY_MS         5000
#define GOSSIP_REFUSED         16 /* sessions that do not have a body */

struct gsession {
    uint32_t id;
    enum gossip_kind kind;
    bool known; /* machine is set */
    uint8_t machine[32], peer_static[32];
    uint32_t tokens, serve, spam, bad;
    uint64_t tokens_ms;
    bool behind; /* something was not sent, or not compared */
    uint64_t sync_ms;
    uint8_t (*want)[16]; /* still to be asked for; owned */
    size_t want_count, want_next;
    uint8_t out[GOSSIP_WANT_OUT][16];
    unsigned out_count;
    uint64_t out_ms;
    unsigned fresh; /* new statements since our last head */
    bool late;      /* a head of theirs waits until what they have is here, too */
    uint64_t late_ms;
    clan_peer_Head late_head;
    struct {
        uint8_t hash[32];
        uint32_t offset;
    } blobs[WIRE_CHUNKS_OUT]; /* asked of us, not sent yet */
    unsigned blob_count;
    bool handing, handed;
    uint64_t hand_serial;
    uint8_t invite_id[16];
};

struct body {
    bool used;
    uint8_t hash[32];
    uint8_t *data; /* total bytes, owned */
    uint32_t total, next;
    uint32_t got, asked; /* bits of chunks */
    uint32_t session;    /* 0: none yet */
    uint64_t deadline;
    uint32_t refused[GOSSIP_REFUSED];
    unsigned refused_count;
};

struct gossip {
    struct member_set *m; /* borrowed */
    uint8_t own[32];
    struct gossip_ops ops;
    void *arg;
    const struct clan_config *cfg; /* borrowed */
    bool catching_up;
    struct stage *stage;        /* while held; owned */
    struct gsession **sessions; /* sorted by id */
    size_t count;
    struct body bodies[GOSSIP_BODIES];
    uint64_t repair_ms, now;
    uint8_t ready[STMT_MAX];
    clan_peer_PeerMsg out; /* scratch */
};

/* gossip.c */
struct gsession *gsession_find(struct gossip *g, uint32_t id);
const struct member_machine *gsession_machine(const struct gossip *g, const struct gsession *s);
bool gsession_is_member(const struct gossip *g, const struct gsession *s); /* a confirmed one */
bool gsession_sees(const struct gossip *g, const struct gsession *s, size_t index);
bool gsession_spend(
    struct gossip *g, struct gsession *s, uint32_t cost); /* may end the session: false */
void gsession_end(struct gossip *g, uint32_t id, clan_status why, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
clan_peer_PeerMsg *gossip_out(struct gossip *g, pb_size_t which);
bool gossip_send(struct gossip *g, struct gsession *s);
bool gossip_send_stmt(struct gossip *g, struct gsession *s, size_t index);
void gossip_greet(struct gossip *g, struct gsession *s);

/* gossip_sync.c */
void sync_head(struct gossip *g, struct gsession *s);
void sync_on_head(struct gossip *g, struct gsession *s, const clan_peer_Head *h);
void sync_on_buckets(struct gossip *g, struct gsession *s, const clan_peer_Buckets *b);
void sync_on_ids(struct gossip *g, struct gsession *s, const clan_peer_BucketIds *b);
void sync_on_want(struct gossip *g, struct gsession *s, const clan_peer_Want *w);
bool sync_take_asked(struct gsession *s, const uint8_t id[32]);
void sync_pump(struct gossip *g, struct gsession *s);
/* The head that waits, when it need not any longer; it may end the session. */
void sync_late_head(struct gossip *g, struct gsession *s);
uint64_t sync_tick(struct gossip *g, struct gsession *s);

/* gossip_push.c */
clan_status push_accept(struct gossip *g, uint32_t session, const void *raw, size_t size,
    uint64_t hour, struct member_effect *ret, struct clan_error *e);
void push_on_statement(struct gossip *g, struct gsession *s, const clan_peer_Statement *st);
void push_recognise(struct gossip *g); /* strangers that are known now, members that are not */
void push_chain(struct gossip *g, struct gsession *s, const uint8_t machine_id[32]);
void push_hand_step(struct gossip *g, struct gsession *s);
void push_held(struct gossip *g); /* the chain that others stand behind, as far as it is here */

/* gossip_body.c */
void body_on_want(struct gossip *g, struct gsession *s, const clan_peer_WantBlob *w);
void body_on_blob(struct gossip *g, struct gsession *s, const clan_peer_Blob *b);
void body_session_gone(struct gossip *g, uint32_t session);
void body_serve(struct gossip *g, struct gsession *s);
uint64_t body_tick(struct gossip *g);
void body_free_all(struct gossip *g);

#endif
