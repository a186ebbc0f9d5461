/* Whom to dial, and when: neighbours, back-off.  Logic without I/O. */
#ifndef PATH_PATH_H
#define PATH_PATH_H

#include "member/member.h"

#define PATH_BACKOFF_FIRST_MS 250
#define PATH_BACKOFF_MAX_MS   30000
#define PATH_DIAL_MS          4000 /* one endpoint */

/* Dialling one peer: endpoints in turn, then a pause that doubles. */
struct path_dial {
    unsigned endpoint; /* the next one to try */
    unsigned failures; /* whole rounds */
    uint64_t not_before_ms;
    bool busy;
};

/* Transports that run here, the preferred one first. */
struct path_order {
    char names[CONFIG_TRANSPORTS_MAX][33];
    unsigned count;
};

/* The next endpoint to dial now and whose it is; false: busy, none known, or not yet (then *ret_at is
 * the time).  All endpoints of one transport come before those of the next. */
bool path_next(struct path_dial *d, const struct stmt_record *r, const struct path_order *order,
    uint64_t now_ms, uint64_t *ret_at, const char **ret_transport, const char **ret_endpoint);
/* jitter: any random number; keeps machines that lost one peer from dialling it in step */
void path_failed(struct path_dial *d, const struct stmt_record *r, const struct path_order *order,
    uint32_t jitter, uint64_t now_ms);
/* The endpoint answered.  It is not proven: one that takes handshakes and passes nothing must not be
 * the first of the next round, too. */
void path_connected(struct path_dial *d);
/* That connection is over; lived: it was of use, the next round begins with the first endpoint. */
void path_ended(struct path_dial *d, bool lived, const struct stmt_record *r,
    const struct path_order *order, uint32_t jitter, uint64_t now_ms);
/* Networks changed, or the peer was heard of: try at once. */
void path_nudge(struct path_dial *d);

/* Whom this machine keeps a control session with: every keeper, and its gossip neighbours.  Indices
 * into the set go to ret_index (cap of them); own machine, revoked and unknown ones are left out.
 */
size_t path_neighbours(
    const struct member_set *m, const uint8_t own_id[32], size_t *ret_index, size_t cap);

#endif
