/* A conversation with the core of one clan: choosing it, and the questions many commands ask first.
 */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/cli.h"

#define SESSION_IDLE_MS 15000

/* The clan of --clan, or the only one here; c->petname is set. */
clan_status session_open(struct cli *c, struct api_client **ret_api);
/* One request without a body, by its tag. */
clan_status session_ask(
    struct cli *c, struct api_client *api, pb_size_t tag, api_answer_fn *fn, void *arg);
/* Progress answers are shown; others go to fn (may be NULL). */
clan_status session_call(struct cli *c, struct api_client *api, const clan_api_Request *req,
    int idle_ms, api_answer_fn *fn, void *arg);
clan_status session_context(struct cli *c, struct api_client *api, clan_api_Context *ret_context);
/* A configuration body: version 0 is the head.  Checked against want_hash when that is not NULL.
 * malloc'd. */
clan_status session_body(struct cli *c, struct api_client *api, uint64_t version,
    const uint8_t *want_hash, char **ret_text, size_t *ret_size);
clan_status session_blob_put(
    struct cli *c, struct api_client *api, const void *data, size_t size, uint8_t ret_hash[32]);
clan_status session_submit(
    struct cli *c, struct api_client *api, const void *statement, size_t size);

/* Machines of the clan; the array is malloc'd. */
struct session_machines {
    clan_api_Machine *rows;
    size_t count;
};
clan_status session_machines(struct cli *c, struct api_client *api, struct session_machines *ret);
/* By name, or by eight or more characters of the ID. */
const clan_api_Machine *session_find(const struct session_machines *m, const char *name);

/* Waits for acknowledgements and says "on 2 of 3, laptop is off"; a limit that passes is no
 * failure. */
clan_status session_wait_acks(
    struct cli *c, struct api_client *api, clan_api_WaitFor wait, json_t *ret_json);

#endif
