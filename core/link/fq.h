/* FQ-CoDel (RFC 8290) in front of one peer's stream: packets wait here unsealed. */
#ifndef LINK_FQ_H
#define LINK_FQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FQ_HEADROOM 8  /* in front of the packet, so that it is sealed where it lies */
#define FQ_TAILROOM 16 /* behind it */

struct fq_packet {
    struct fq_packet *next;
    uint64_t queued_ns;
    uint32_t size;
    uint32_t room; /* the longest packet it has memory for: what it costs in a queue */
    uint32_t flow; /* hash */
    uint32_t from; /* once sealed, `size` is all of the frame: what of it was sent */
    uint8_t kind;
    uint16_t mss;
    uint8_t bytes[]; /* FQ_HEADROOM | packet | FQ_TAILROOM */
};

struct fq;       /* one per peer; pure: time is passed in */
struct fq_pool { /* what all queues share */
    size_t bytes, limit;
};

struct fq *fq_new(struct fq_pool *pool, size_t limit);
void fq_free(struct fq *q);                   /* and what waits in it; takes NULL */
struct fq_packet *fq_packet_new(size_t size); /* size and room */
/* Takes the packet.  Returns how many were dropped to make room (perhaps this one). */
unsigned fq_push(struct fq *q, struct fq_packet *p, uint64_t now_ns);
/* The caller frees it; NULL: empty.  *ret_dropped: what CoDel dropped on the way. */
struct fq_packet *fq_pop(struct fq *q, uint64_t now_ns, unsigned *ret_dropped);
size_t fq_bytes(const struct fq *q);           /* 0 for NULL */
void fq_set_limit(struct fq *q, size_t limit); /* takes NULL */
/* The limit that fits a path: 5 ms of it, within bounds.  0: nobody measured it yet. */
size_t fq_limit_for(uint64_t rate_bps);
/* Everything waits from now on: for a queue whose stream was just found. */
void fq_restart(struct fq *q, uint64_t now_ns);
uint32_t fq_flow_of(const uint8_t *ip6, size_t size, uint32_t seed);

#endif
