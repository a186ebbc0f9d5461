/* Neighbours by distance of the IDs, back-off by doubling. */
#include "path/path.h"

#include <string.h>

static const char *endpoint_at(const struct stmt_record *r, const char *transport, unsigned index)
{
    for (unsigned i = 0; i < r->endpoint_count; i++)
        if (strcmp(r->endpoints[i].transport, transport) == 0 && index-- == 0)
            return r->endpoints[i].text;
    return NULL;
}

const char *path_next(struct path_dial *d, const struct stmt_record *r, const char *transport,
    uint64_t now_ms, uint64_t *ret_at)
{
    *ret_at = UINT64_MAX;
    if (d->busy || !endpoint_at(r, transport, 0))
        return NULL;
    if (now_ms < d->not_before_ms) {
        *ret_at = d->not_before_ms;
        return NULL;
    }
    const char *text = endpoint_at(r, transport, d->endpoint);
    if (!text) {
        d->endpoint = 0;
        text = endpoint_at(r, transport, 0);
    }
    d->busy = true;
    return text;
}

void path_failed(struct path_dial *d, const struct stmt_record *r, const char *transport,
    uint32_t jitter, uint64_t now_ms)
{
    d->busy = false;
    d->endpoint++;
    if (endpoint_at(r, transport, d->endpoint))
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
    *d = (struct path_dial){0};
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
        if (p->keeper && p->standing != MEMBER_REVOKED && memcmp(p->id, own_id, 32) != 0)
            ret_index[n++] = i;
    }
    keepers = n;
    for (size_t i = 0; i < member_count(m); i++) {
        const struct member_machine *p = member_at(m, i);
        if (p->keeper || memcmp(p->id, own_id, 32) == 0 || p->standing == MEMBER_REVOKED ||
            p->standing == MEMBER_UNKNOWN)
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
