/* What people ask for in a browser and an admin's key has to sign: a short list, in memory. */
#ifndef BRAIN_PROPOSALS_H
#define BRAIN_PROPOSALS_H

#include "brain/brain.h"

#define PROPOSALS_MAX    32
#define PROPOSALS_OF_MAX 8    /* of one user: nobody takes the places of others */
#define PROPOSALS_S      3600 /* then it is forgotten, whatever became of it */

/* Only commands of PROPOSAL_WORDS, with the options named there; text: of "config apply", and of nothing
 * else.  *ret_id is never 0.  LIMIT: so many of this user wait, or of all. */
clan_status proposals_add(struct brain *b, const struct client *c, const clan_api_Propose *m,
    uint32_t *ret_id, struct clan_error *reterr);
/* One answer each, the oldest first.  A result goes to the session that asked, a text to sign to who signs. */
void proposals_show(struct brain *b, struct client *c);
/* waiting -> taken -> done, refused or failed; waiting -> done, refused or failed; no other way. */
clan_status proposals_set(
    struct brain *b, const clan_api_ProposalSet *m, struct clan_error *reterr);
/* Who asked may take it back; who signs may drop any. */
clan_status proposals_drop(
    struct brain *b, const struct client *c, uint32_t id, struct clan_error *reterr);
void proposals_nobody_signs(struct brain *b); /* what was taken waits again */
void proposals_tick(struct brain *b);
void proposals_forget(void);             /* for tests: as a fresh core */
void proposals_changed(struct brain *b); /* or who signs did */
uint64_t proposals_serial(void);         /* grows with each change */
bool proposals_words_ok(const clan_api_Propose *m, struct clan_error *reterr);

#endif
