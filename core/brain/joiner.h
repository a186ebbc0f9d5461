/* An attempt to join: what its steps and its clock share. */
#ifndef BRAIN_JOINER_H
#define BRAIN_JOINER_H

#include "brain/brain.h"

enum phase {
    PHASE_START_FETCH,
    PHASE_FETCH,
    PHASE_ASK,
    PHASE_START_JOIN,
    PHASE_JOIN,
    PHASE_BIND,
    PHASE_WAIT
};

struct joiner {
    struct brain *b;
    struct client *client;
    enum phase phase;
    struct invite_link link;
    uint8_t secret[64], public_key[32], id[16], psk[32];
    char petname[33];
    uint32_t wait_ms;
    unsigned endpoint; /* the next one to try */
    uint32_t session;
    bool answered;
    bool busy;      /* this computer or the door is: what takes long is tried again */
    unsigned steps; /* of the transport's start, the farthest so far */
    unsigned tries; /* of this phase, after the first */
    uint64_t deadline_ms, moved_ms, retry_ms, shown_ms;
    uint8_t door_static[32];
    struct member_set *set;
    struct gossip *gossip;
    struct clan_error last;
};

/* Ends this attempt; the connection stays and may try again. */
void joiner_fail(struct joiner *j, const struct clan_error *e);
/* Busy is no answer: who stood in line, or whose own computer is slow, comes again. */
void joiner_fail_or_again(struct joiner *j);
void joiner_begin_phase(struct joiner *j, enum phase phase);
void joiner_try_phase(struct joiner *j);

#endif
