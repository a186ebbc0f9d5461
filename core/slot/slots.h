/* The directory of all slots, one below the other; a discarded one goes at once and is deleted in its time. */
#ifndef SLOT_SLOTS_H
#define SLOT_SLOTS_H

#include "slot/slot.h"
#include "tool/tool.h"

struct slots {
    int dir;
    char path[4096]; /* of dir: rm is told it */
    tool_fn *removed;
    void *arg; /* of removed */
};
/* state_dir/clans: root's alone, and this process has it alone.  removed(arg) hears how rm went. */
clan_status slots_open(
    struct slots *all, const char *state_dir, tool_fn *removed, void *arg, struct clan_error *e);
/* Calls found() for every slot below `count` that is a clan (it has the file `bound`, even a damaged one).
 * Those whose clan was never finished are discarded, and what was being deleted goes on being deleted. */
typedef void slots_found_fn(void *arg, unsigned number);
void slots_scan(const struct slots *all, unsigned count, slots_found_fn *found, void *arg);
/* An empty slot in place of what may be there. */
clan_status slots_make(
    const struct slots *all, unsigned number, struct slot *ret_slot, struct clan_error *e);
void slots_discard(const struct slots *all, unsigned number);

#endif
