/* FQ-CoDel: a queue per flow, new flows first, the longest pays when there is no room. */
#include "fq.h"

#include "protocol.h"

#include <stdlib.h>
#include <string.h>

#define FLOWS       64
#define QUANTUM     3000
#define TARGET_NS   5000000ull
#define INTERVAL_NS 100000000ull
#define OVERHEAD    sizeof(struct fq_packet) /* small packets cost memory, too */

enum list { LIST_NONE, LIST_NEW, LIST_OLD };

struct flow {
    struct fq_packet *head, *tail;
    struct flow *next; /* in its list */
    size_t bytes;
    int32_t deficit;
    uint8_t list;
    /* CoDel */
    bool dropping;
    uint32_t count;
    uint64_t above_since_ns; /* first time above target + interval, 0: below */
    uint64_t drop_next_ns;
};

struct flows {
    struct flow *first, *last;
};

struct fq {
    struct fq_pool *pool;
    size_t limit, bytes;
    struct flows fresh, old;
    struct flow flow[FLOWS];
};

struct fq *fq_new(struct fq_pool *pool, size_t limit)
{
    struct fq *q = calloc(1, sizeof *q);
    if (!q)
        return NULL;
    q->pool = pool;
    q->limit = limit;
    return q;
}

struct fq_packet *fq_packet_new(size_t size)
{
    struct fq_packet *p = malloc(sizeof *p + FQ_HEADROOM + size + FQ_TAILROOM);
    if (!p)
        return NULL;
    memset(p, 0, sizeof *p);
    p->size = p->room = (uint32_t)size;
    return p;
}

void fq_set_limit(struct fq *q, size_t limit)
{
    if (q)
        q->limit = limit;
}

/* An unmeasured path gets room as if it were fast: a sender doubles its window each round trip, and
 * with the least room the first 50 ms, until there is a rate, drop every second super-packet.  CoDel
 * bounds how long packets wait there, the pool how much memory all of them take. */
size_t fq_limit_for(uint64_t rate_bps)
{
    uint64_t limit = rate_bps ? rate_bps / 8 / 200 : LINK_QUEUE_FAST / 2;
    return limit < LINK_QUEUE_PEER   ? LINK_QUEUE_PEER
           : limit < LINK_QUEUE_FAST ? (size_t)limit
                                     : LINK_QUEUE_FAST;
}

size_t fq_bytes(const struct fq *q)
{
    return q ? q->bytes : 0;
}

static struct fq_packet *take(struct fq *q, struct flow *f)
{
    struct fq_packet *p = f->head;
    if (!p)
        return NULL;
    f->head = p->next;
    if (!f->head)
        f->tail = NULL;
    size_t cost = p->room + OVERHEAD;
    f->bytes -= cost;
    q->bytes -= cost;
    q->pool->bytes -= cost;
    return p;
}

void fq_free(struct fq *q)
{
    if (!q)
        return;
    for (unsigned i = 0; i < FLOWS; i++)
        for (struct fq_packet *p; (p = take(q, &q->flow[i]));)
            free(p);
    free(q);
}

void fq_restart(struct fq *q, uint64_t now_ns)
{
    for (unsigned i = 0; i < FLOWS; i++)
        for (struct fq_packet *p = q->flow[i].head; p; p = p->next)
            p->queued_ns = now_ns;
}

static void list_add(struct flows *l, struct flow *f, enum list which)
{
    f->next = NULL;
    f->list = which;
    if (l->last)
        l->last->next = f;
    else
        l->first = f;
    l->last = f;
}

static void list_pop(struct flows *l)
{
    struct flow *f = l->first;
    l->first = f->next;
    if (!l->first)
        l->last = NULL;
    f->list = LIST_NONE;
}

static bool drop_longest(struct fq *q)
{
    struct flow *longest = &q->flow[0];
    for (unsigned i = 1; i < FLOWS; i++)
        if (q->flow[i].bytes > longest->bytes)
            longest = &q->flow[i];
    struct fq_packet *p = take(q, longest); /* the oldest: its sender learns of it first */
    free(p);
    return p != NULL;
}

unsigned fq_push(struct fq *q, struct fq_packet *p, uint64_t now_ns)
{
    struct flow *f = &q->flow[p->flow % FLOWS];
    size_t cost = p->room + OVERHEAD;
    unsigned dropped = 0;
    while (q->bytes + cost > q->limit || q->pool->bytes + cost > q->pool->limit) {
        if (!drop_longest(q)) { /* all the room is taken by other peers */
            free(p);
            return dropped + 1;
        }
        dropped++;
    }
    p->queued_ns = now_ns;
    p->next = NULL;
    if (f->tail)
        f->tail->next = p;
    else
        f->head = p;
    f->tail = p;
    f->bytes += cost;
    q->bytes += cost;
    q->pool->bytes += cost;
    if (f->list == LIST_NONE) {
        f->deficit = QUANTUM;
        list_add(&q->fresh, f, LIST_NEW);
    }
    return dropped;
}

/* --- CoDel (RFC 8289), one flow --- */

static uint64_t control_law(uint64_t t, uint32_t count)
{
    uint32_t root = 1; /* integer square root: count stays small */
    while ((uint64_t)(root + 1) * (root + 1) <= count)
        root++;
    return t + INTERVAL_NS / root;
}

static bool too_old(struct flow *f, const struct fq_packet *p, uint64_t now_ns)
{
    uint64_t waited = now_ns > p->queued_ns ? now_ns - p->queued_ns : 0;
    if (waited < TARGET_NS || !f->head) { /* the last packet always goes */
        f->above_since_ns = 0;
        return false;
    }
    if (f->above_since_ns == 0) {
        f->above_since_ns = now_ns + INTERVAL_NS;
        return false;
    }
    return now_ns >= f->above_since_ns;
}

static struct fq_packet *codel_take(
    struct fq *q, struct flow *f, uint64_t now_ns, unsigned *dropped)
{
    struct fq_packet *p = take(q, f);
    if (!p)
        return NULL;
    bool drop = too_old(f, p, now_ns);
    if (!drop) {
        f->dropping = false;
        return p;
    }
    if (!f->dropping) {
        f->dropping = true;
        bool recent = f->drop_next_ns && now_ns - f->drop_next_ns < 16 * INTERVAL_NS;
        f->count = recent && f->count > 2 ? f->count - 2 : 1;
        f->drop_next_ns = now_ns;
    }
    while (f->dropping && now_ns >= f->drop_next_ns) {
        free(p);
        (*dropped)++;
        if (f->count < 1000000)
            f->count++;
        f->drop_next_ns = control_law(f->drop_next_ns, f->count);
        p = take(q, f);
        if (!p || !too_old(f, p, now_ns))
            f->dropping = false;
    }
    return p;
}

struct fq_packet *fq_pop(struct fq *q, uint64_t now_ns, unsigned *ret_dropped)
{
    *ret_dropped = 0;
    for (;;) {
        bool fresh = q->fresh.first != NULL;
        struct flows *l = fresh ? &q->fresh : &q->old;
        struct flow *f = l->first;
        if (!f)
            return NULL;
        if (f->deficit <= 0) {
            f->deficit += QUANTUM;
            list_pop(l);
            list_add(&q->old, f, LIST_OLD);
            continue;
        }
        struct fq_packet *p = codel_take(q, f, now_ns, ret_dropped);
        if (p) {
            f->deficit -= (int32_t)p->size;
            return p;
        }
        list_pop(l);
        if (fresh && q->old.first) /* may not come back as new at once */
            list_add(&q->old, f, LIST_OLD);
    }
}

uint32_t fq_flow_of(const uint8_t *ip6, size_t size, uint32_t seed)
{
    uint64_t h = seed, w;
    for (unsigned i = 8; i < 40; i += 8) {
        memcpy(&w, ip6 + i, 8);
        h = (h ^ w) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    uint32_t ports = 0;
    if (size >= 44 && (ip6[6] == 6 || ip6[6] == 17))
        memcpy(&ports, ip6 + 40, 4);
    h = (h ^ ports ^ ((uint64_t)ip6[6] << 32)) * 0x9e3779b97f4a7c15ull;
    return (uint32_t)(h >> 32);
}
