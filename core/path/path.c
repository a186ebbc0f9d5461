/* Neighbours by distance of the IDs, back-off by doubling. */
#include "path/path.h"

#include <string.h>

/* Where it stands in the record; -1: there are fewer. */
static int endpoint_at(const struct stmt_record *r, const struct path_order *order, unsigned index)
{
    for (unsigned t = 0; t < order->count; t++)
        for (unsigned i = 0; i < r->endpoint_count; i++)
            if (strcmp(r->endpoints[i].transport, order->names[t]) == 0 && index-- == 0)
                return (int)i;
    return -1;
}

bool path_next(struct path_dial *d, const struct stmt_record *r, const struct path_order *order,
    uint64_t now_ms, uint64_t *ret_at, const char **ret_transport, const char **ret_endpoint)
{
    *ret_at = UINT64_MAX;
    if (d->busy || endpoint_at(r, order, 0) < 0)
        return false;
    if (now_ms < d->not_before_ms) {
        *ret_at = d->not_before_ms;
        return false;
    }
    if (endpoint_at(r, order, d->endpoint) < 0)
        d->endpoint = 0;
    int at = endpoint_at(r, order, d->endpoint);
    *ret_transport = r->endpoints[at].transport;
    *ret_endpoint = r->endpoints[at].text;
    d->busy = true;
    return true;
}

void path_failed(struct path_dial *d, const struct stmt_record *r, const struct path_order *order,
    uint32_t jitter, uint64_t now_ms)
{
    d->busy = false;
    d->endpoint++;
    if (endpoint_at(r, order, d->endpoint) >= 0)
        return; /* the next endpoint of this round, at once */
    d->endpoint = 0;
    unsigned shift = d->failures < 7 ? d->failures : 7;
    uint64_t pause = (uint64_t)PATH_BACKOFF_FIRST_MS << shift;
    if (pause > PATH_BACKOFF_MAX_MS)
        pause = PATH_BACKOFF_MAX_MS;
    d->failures++;
    d->not_before_ms = now_ms + pause + jitter % (pause / 4 + 1);
}

void path_connected(struct path_dial *d)
{
    d->busy = false;
}

void path_ended(struct path_dial *d, bool lived, const struct stmt_record *r,
    const struct path_order *order, uint32_t jitter, uint64_t now_ms)
{
    if (lived)
        *d = (struct path_dial){0};
    else
        path_failed(d, r, order, jitter, now_ms);
}

void path_nudge(struct path_dial *d)
{
    d->failures = 0;
    d->not_before_ms = 0;
}

/* Distance on the ring of IDs, first 8 bytes: every machine has successors, and every machine is
 * one. */
static uint64_t ring_distance(const uint8_t from[32], const uint8_t to[32])
{
    uint64_t a = 0, b = 0;
    for (int i = 0; i < 8; i++) {
        a = a << 8 | from[i];
        b = b << 8 | to[i];
    }
    return b - a;
}

size_t path_neighbours(
    const struct member_set *m, const uint8_t own_id[32], size_t *ret_index, size_t cap)
{
    size_t n = 0, keepers = 0;
    uint64_t distance[64];
    if (cap > 64)
        cap = 64;
    for (size_t i = 0; i < member_count(m) && n < cap; i++) {
        const struct member_machine *p = member_at(m, i);
        if (p->keeper && !p->phone && p->standing != MEMBER_REVOKED &&
            memcmp(p->id, own_id, 32) != 0)
            ret_index[n++] = i;
    }
    keepers = n;
    for (size_t i = 0; i < member_count(m); i++) {
        const struct member_machine *p = member_at(m, i);
        if (p->keeper || p->phone || memcmp(p->id, own_id, 32) == 0 ||
            p->standing == MEMBER_REVOKED || p->standing == MEMBER_UNKNOWN)
            continue;
        uint64_t d = ring_distance(own_id, p->id);
        size_t at = n;
        while (at > keepers && distance[at - 1] > d)
            at--;
        if (at >= cap)
            continue;
        size_t last = n < cap ? n : cap - 1;
        for (size_t k = last; k > at; k--) {
            ret_index[k] = ret_index[k - 1];
            distance[k] = distance[k - 1];
        }
        ret_index[at] = i;
        distance[at] = d;
        if (n < cap)
            n++;
    }
    return n;
}
