/* Is the other end still there: keep-alives, probes, round trips, and every timer. */
#ifndef LINK_PROBE_H
#define LINK_PROBE_H

#include "link.h"

/* Looks at every session; returns when to come again, in ms, or -1. */
int probe_tick(struct link *l, uint64_t now_ms);
void probe_ping(struct link_session *s, const uint8_t *body, size_t size);
void probe_doubt(struct link_session *s); /* is it still there?  Asked now */
void probe_pong(struct link_session *s, const uint8_t *body, size_t size);

#endif
