/*
 * Spreading statements: push to neighbours, anti-entropy, blobs of configuration bodies, strangers
 * and provisional guests.  Logic without I/O: an event and `now` go in, messages come out by ops.
 */
#ifndef MEMBER_GOSSIP_H
#define MEMBER_GOSSIP_H

#include "member/member.h"
#include "member/stage.h"
#include "wire/peer.pb.h"

#define GOSSIP_NEIGHBOURS   8
#define GOSSIP_PUSH         4
#define GOSSIP_REPAIR_MS    30000
#define GOSSIP_SESSIONS_MAX 1100
#define GOSSIP_BODY_MAX     (1u << 20)

enum gossip_kind {
    GOSSIP_PEER = 1, /* known machine: member or provisional */
    GOSSIP_STRANGER, /* control session of a key nobody here knows: statements only, its admission
                        first */
    GOSSIP_DOOR,     /* we are the door for this session */
    GOSSIP_JOINER    /* we join through this session */
};

struct gossip_ops {
    /* Sends on a session; false: the queue is full, gossip tries again at its next repair. */
    bool (*send)(void *arg, uint32_t session, const clan_peer_PeerMsg *msg);
    /* A statement was verified and is new: store it durably NOW; false: it could not be stored, it
     * is dropped (and asked for again later).  Called before it is passed on. */
    bool (*store)(void *arg, const uint8_t *raw, size_t size, const struct member_effect *effect);
    /* After storing: act on what changed. */
    void (*changed)(void *arg, const struct member_effect *effect, uint32_t session);
    /* A stranger became a known machine (its admission arrived), or turned out revoked. */
    void (*introduced)(void *arg, uint32_t session, const uint8_t machine_id[32]);
    void (*drop)(void *arg, uint32_t session, clan_status why, const char *text);
    /* Configuration bodies, by hash. */
    bool (*body_get)(void *arg, const uint8_t hash[32], const uint8_t **ret_data, size_t *ret_size);
    bool (*body_put)(void *arg, const uint8_t hash[32], const uint8_t *data,
        size_t size); /* complete, hash checked */
    /* The peer showed a head: for leaving catch-up. */
    void (*head)(void *arg, uint32_t session, const clan_peer_Head *head);
    /* What was held back went on: a chain that others stand behind was taken in.  May be NULL. */
    void (*caught)(void *arg);
    uint32_t (*random)(void *arg, uint32_t below);
};

struct gossip;
struct gossip *gossip_new(
    struct member_set *m, const uint8_t own_id[32], const struct gossip_ops *ops, void *arg);
void gossip_free(struct gossip *g);
void gossip_config(
    struct gossip *g, const struct clan_config *cfg); /* borrowed; for member_may_see */
void gossip_catching_up(struct gossip *g, bool catching_up);
/* Held: what others bring is kept aside (stage.h, SECURITY C5) until this ends it; then it is taken
 * in. */
void gossip_hold(struct gossip *g, bool hold);
/* While held: was it a member, or a keeper, when holding began?  And the head that it shows: may
 * lead to `caught`. */
enum stage_who gossip_held_who(const struct gossip *g, const uint8_t machine_id[32]);
void gossip_shown(struct gossip *g, const uint8_t machine_id[32], uint64_t version,
    const uint8_t head_id[32], uint64_t now_ms);

/* machine_id: NULL for strangers and door sessions; peer_static: their control key, for recognising
 * a revoked one. */
void gossip_up(struct gossip *g, uint32_t session, enum gossip_kind kind,
    const uint8_t machine_id[32], const uint8_t peer_static[32], uint64_t now_ms);
void gossip_down(struct gossip *g, uint32_t session);
/* Head, Statement, Buckets, BucketIds, Want, WantBlob, Blob, Settled; returns false for other
 * kinds. */
bool gossip_recv(struct gossip *g, uint32_t session, const clan_peer_PeerMsg *msg, uint64_t now_ms);
/* A statement of our own, or from the local API: verified, stored, pushed. */
clan_status gossip_publish(struct gossip *g, const void *raw, size_t size, uint64_t now_ms,
    struct member_effect *ret_effect, struct clan_error *reterr);
/* Asks connected peers for a body that is missing. */
void gossip_want_body(struct gossip *g, const uint8_t hash[32], uint64_t now_ms);
/* Door: hands over genesis, envelopes, the invitation, and what a guest may see, then Settled. */
void gossip_hand_over(
    struct gossip *g, uint32_t session, const uint8_t invite_id[16], uint64_t now_ms);
/* Repairs, retries; returns the next time it wants to be called. */
uint64_t gossip_tick(struct gossip *g, uint64_t now_ms);

#endif
