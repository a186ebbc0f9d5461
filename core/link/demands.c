/* Services that only some transports may carry ("via:" of a service in clan.yaml). */
#include "demands.h"

#include <string.h>

void demands_set(struct link *l, const clan_link_Demand *m)
{
    struct link_demands *next = &l->demands_next;
    if (m->first)
        next->count = 0;
    if (m->has_service && next->count < WIRE_DEMANDS_MAX) {
        struct link_demand *d = &next->rows[next->count++];
        _Static_assert(sizeof m->via == sizeof d->via, "they fit");
        memcpy(d->address, m->address, sizeof d->address);
        memcpy(d->via, m->via, sizeof d->via);
        d->via_count = m->via_count;
    }
    if (!m->last)
        return;
    link_lock(l);
    l->demands = *next;
    link_unlock(l);
}

static bool lists(const struct link_demand *d, const char *transport)
{
    for (unsigned i = 0; transport && i < d->via_count; i++)
        if (strcmp(d->via[i], transport) == 0)
            return true;
    return false;
}

bool demands_allow(const struct link *l, const uint8_t *packet, const char *transport)
{
    for (unsigned i = 0; i < l->demands.count; i++) {
        const struct link_demand *d = &l->demands.rows[i];
        if ((memcmp(packet + 8, d->address, 16) == 0 || memcmp(packet + 24, d->address, 16) == 0) &&
            !lists(d, transport))
            return false;
    }
    return true;
}
