/* The names of one interface, given to systemd-resolved. */
#ifndef HOSTSFILE_RESOLVED_H
#define HOSTSFILE_RESOLVED_H

#include "tool/tool.h"
#include "wire/grants.h"

#include <stdbool.h>
#include <stdint.h>

bool resolved_runs(void);                /* and is what programs of this machine ask */
bool resolved_chosen(enum grant_dns by); /* by the owner, or because it runs */
/* Names below `domain` are asked at that resolver over that interface, nothing else; forgotten with it.
 * done() hears what went wrong first. */
void resolved_set(
    const char *ifname, const uint8_t resolver[16], const char *domain, tool_fn *done, void *arg);

#endif
