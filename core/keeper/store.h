/*
 * What a keeper must never forget: uses of invitations, removals, one growing revision.  A change
 * is on the disk before its function returns CLAN_OK; after an error nothing has changed and the
 * call may be repeated.
 */
#ifndef KEEPER_STORE_H
#define KEEPER_STORE_H

#include <clan/status.h>
#include <stdbool.h>
#include <stdint.h>

#define STORE_FILE     "keeper.db"
#define STORE_USES_MAX 10000 /* of one invitation; more is a mistake, not a clan */

struct store;

/* Opens or makes STORE_FILE in dir_fd for the clan; the working directory becomes dir_fd.
 * CONFLICT: it is another clan's; ABI: a later release's; IO: damaged, locked, unreadable, no room.
 */
clan_status store_open(
    int dir_fd, const uint8_t clan_id[32], struct store **ret, struct clan_error *reterr);
void store_close(struct store *s); /* takes NULL */
uint32_t store_generation(const struct store *s);
uint64_t store_revision(const struct store *s);

struct store_spend {
    uint8_t invite_id[16], machine_id[32], admission_id[32];
    uint32_t uses;
    int64_t expires; /* the last second that counts */
    bool closed;
};
struct store_spent {
    uint32_t slot, generation;
    uint64_t revision;
    int64_t time;
};
/* Judges one use, once: a machine that has a slot is given the same again, whatever became of the
 * invitation.  REVOKED, WITHDRAWN, EXPIRED, USED, INVAL; IO: nothing was decided. */
clan_status store_spend(struct store *s, const struct store_spend *ask, int64_t now_s,
    struct store_spent *ret, struct clan_error *reterr);
/* Records a removal; the first revision stays. */
clan_status store_removed(struct store *s, const uint8_t machine_id[32], int64_t now_s,
    uint64_t *ret_revision, struct clan_error *reterr);
/* How many uses of an invitation are spent. */
clan_status store_count(
    struct store *s, const uint8_t invite_id[16], uint32_t *ret_spent, struct clan_error *reterr);

#endif
