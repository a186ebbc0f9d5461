/* Services that only some transports may carry ("via:" of a service in clan.yaml). */
#ifndef LINK_DEMANDS_H
#define LINK_DEMANDS_H

#include "link.h"

/* A row of core's list; it counts when the last one came. */
void demands_set(struct link *l, const clan_link_Demand *m);
/* Whether a packet from or to such a service may go by that transport; NULL: by all of them. */
bool demands_allow(const struct link *l, const uint8_t *packet, const char *transport);

static inline bool demands_bar(
    const struct link *l, const uint8_t *packet, const struct link_session *s)
{
    return l->demands.count && !demands_allow(l, packet, s ? s->transport : NULL);
}

#endif
