/* DNS without I/O: one query in, one reply out. */
#ifndef RESOLVER_ANSWER_H
#define RESOLVER_ANSWER_H

#include "resolver/table.h"

#define RESOLVER_QUERY_MAX 1232 /* a longer message is no question of ours */
#define RESOLVER_REPLY_MAX 512  /* no reply of ours is longer, so nothing is ever truncated */
#define RESOLVER_TTL_S     5

enum resolver_outcome {
    RESOLVER_ANSWERED, /* a record, or "there is the name, but not of this type" */
    RESOLVER_UNKNOWN,  /* no such name in the zone */
    RESOLVER_REFUSED,  /* not our zone, or not a plain question */
    RESOLVER_MALFORMED
};

/* Returns the size of the reply, 0: say nothing.  reply has room for RESOLVER_REPLY_MAX; with less
 * (cap) a reply may become SERVFAIL. */
size_t resolver_answer(const struct resolver_table *t, const uint8_t *query, size_t size,
    uint8_t *reply, size_t cap, enum resolver_outcome *ret_outcome);

#endif
