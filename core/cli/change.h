/* Changing a clan: from a new text of clan.yaml to a signed version that every machine has. */
#ifndef CLI_CHANGE_H
#define CLI_CHANGE_H

#include "cli/adminkey.h"
#include "cli/session.h"
#include "config/config.h"

/* The configuration as it is now. */
struct change {
    struct api_client *api;
    clan_api_Context *context; /* heap: it is large */
    char *text;                /* of the head */
    size_t size;
    char *wanted; /* the new one */
    size_t wanted_size;
    uint64_t version; /* of the new one */
};
clan_status change_open(struct cli *c, struct change *ret);
void change_close(struct change *ch);

/* Checks `wanted`, shows the difference, asks; OK, CANCELLED, INVAL with all problems printed. */
clan_status change_review(struct cli *c, struct change *ch);
/* What the last review showed: of which head, and which text would follow it. */
void change_shown(uint8_t ret[32]);
/* From now on a review of anything else is a CONFLICT, and nothing is signed.  NULL: any is good again. */
void change_only(const uint8_t shown[32]);
/* Signs and submits. */
clan_status change_submit(struct cli *c, struct change *ch);
/* Signs, submits, waits for acknowledgements.  json may be NULL. */
clan_status change_publish(struct cli *c, struct change *ch, json_t *json);

/* Signs an envelope body with every key of the ring, after noting it beside each key.  reuse: an
 * earlier, equal proposal of the same version is signed again instead. */
clan_status change_sign(struct cli *c, const uint8_t clan_id[32], struct stmt_envelope *envelope,
    struct admin_ring *ring, uint8_t *ret_raw, size_t *ret_size);
/* Envelope of a configuration that was checked. */
clan_status change_envelope(struct cli *c, const struct clan_config *cfg, const char *text,
    size_t size, const uint8_t previous[32], int64_t wall, struct stmt_envelope *ret);
/* Parses; problems are printed (or put into the error record's JSON).  NULL problems are never
 * kept. */
clan_status change_check(struct cli *c, const char *name, const char *text, size_t size,
    struct clan_config **ret_config);
void change_problems(struct cli *c, const struct config_problems *p);

/* Signs a revocation or another statement of M admins (author zero). */
clan_status change_sign_statement(struct cli *c, uint8_t kind, const uint8_t clan_id[32],
    const uint8_t author[32], uint64_t seq, const void *body, size_t body_size,
    struct admin_ring *ring, uint8_t *ret_raw, size_t *ret_size, uint8_t ret_id[32]);

#endif
