/* The system's own programs (nft, resolvectl, rm): constant arguments, no shell, never waited for. */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include "base/text.h"

#include <clan/status.h>
#include <sys/types.h>

#define TOOL_ARGS_MAX 8 /* the last one is NULL */

#define TOOL_EXIT_LIMIT 3 /* of a tool of ours: CLAN_E_LIMIT, and why is what it said */

/* arg is fn's to free; e NULL: it worked; may be called before tool_run() returns. */
typedef void tool_fn(void *arg, const struct clan_error *e);
/* Of each lane one runs at a time, in the order of the calls. */
enum tool_lane { TOOL_RULES, TOOL_REMOVE, TOOL_DISK, TOOL_LANES };
/* Takes input->data; input NULL: /dev/null. */
void tool_run(
    enum tool_lane lane, const char *const *argv, struct text *input, tool_fn *fn, void *arg);
bool tool_reap(pid_t pid, int wait_status); /* false: it was not one of ours */

#endif
