/* What every way of joining has in common, in the terminal, a dialog or the browser. */
#ifndef CLI_JOINLINK_H
#define CLI_JOINLINK_H

#include "cli/cli.h"
#include "statement/link.h"

#define JOINLINK_TEXT_MAX     (LINK_TEXT_MAX + 64) /* with white space around */
#define JOINLINK_ENDPOINT_MAX 164
#define JOIN_IDLE_MS          60000
#define JOIN_WAIT_MS          5000 /* for the confirmation, after the admission */

/* Copies an argument and overwrites it: every user of the machine can read a command line.  "": too long. */
void joinlink_take_argument(const char *argument, char ret_text[JOINLINK_TEXT_MAX]);
/* "203.0.113.5:7117", "....onion:7117 by tor"; INVAL for one that is never dialled. */
clan_status joinlink_endpoint(const struct invite_link *l, unsigned index,
    char ret_text[JOINLINK_ENDPOINT_MAX], struct clan_error *e);
/* INVAL when the link names nothing that may be dialled. */
clan_status joinlink_usable(const struct invite_link *l, struct clan_error *e);
/* PROTO unless the facts (NULL: none came) are of the link's clan. */
clan_status joinlink_check(
    const clan_api_JoinFacts *facts, const struct invite_link *l, struct clan_error *e);
/* as: what the user wants it to be called here, NULL: the clan's own name, or the next free one. */
clan_status joinlink_petname(const char *run_dir, const char *as, const clan_api_JoinFacts *facts,
    char ret_petname[33], struct clan_error *e);
/* What the clan may do on this machine, by the owner's machine.yaml. */
const char *joinlink_consent(void);

/* join.c: `clan join` with a link that was read already. */
clan_status join_by(struct cli *c, const struct invite_link *link);

#endif
