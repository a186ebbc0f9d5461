/* The channel between clan-core and clan-link. */
#ifndef LINK_CORE_H
#define LINK_CORE_H

#include "link.h"

/* Handles what waits in the channel.  false: core's end is gone for good. */
bool core_read(struct link *l);
/* Sends l->from; waits in order when the channel is full. */
void link_report(struct link *l);
/* The channel has room again. */
void core_flush(struct link *l);

#endif
