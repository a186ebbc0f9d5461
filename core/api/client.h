/* clan.api.v1 from the caller's side: connecting to a core, requests, answers, errors.  Blocking.
 */
#ifndef API_CLIENT_H
#define API_CLIENT_H

#include "wire/api.pb.h"

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>

#define API_RUN_DIR   "/run/clan"
#define API_CLANS_MAX 64

struct api_client;

/* petname NULL: new.sock, to a core that has no clan yet.  NOTRUNNING, PERM with words for people.
 */
clan_status api_connect(const char *run_dir, const char *petname, struct api_client **ret_client,
    struct clan_error *reterr);
void api_close(struct api_client *c); /* takes NULL */

/* Called for each answer in order; a value other than OK ends api_call with it (and the connection
 * is of no more use).  The answer is borrowed; its texts are safe to print. */
typedef clan_status api_answer_fn(void *arg, const clan_api_Answer *answer);

/* Sends one request and reads answers until the last; idle_ms: the longest silence between two of
 * them. fn may be NULL.  An answer of kind error is returned, never passed to fn. */
clan_status api_call(struct api_client *c, const clan_api_Request *req, int idle_ms,
    api_answer_fn *fn, void *arg, struct clan_error *reterr);

/* Petnames of the clans with a socket in run_dir, sorted.  0 when there are none. */
size_t api_clans(const char *run_dir, char ret_names[API_CLANS_MAX][33]);

#endif
