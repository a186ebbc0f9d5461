/* What the pages of one session are shown, and how it reaches them. */
#ifndef DASHBOARD_FEED_H
#define DASHBOARD_FEED_H

#include "dashboard.h"
#include "rows.h"

#define FEED_TOPICS       9
#define FEEDS_MAX         8          /* sessions whose pages listen, of one person */
#define FEEDS_VISITOR_MAX 2          /* and of another machine's people */
#define LISTENERS_MAX     16         /* pages of one session */
#define LISTENER_CHUNKS   64         /* a page that does not read is hung up on, and comes back */
#define LISTENER_BYTES    (8u << 20) /* as well */

/* ---- feed.c: one for each session ---- */

struct feed;

/* A page.  Its owner is stream.c. */
struct listener {
    struct listener *next;
    struct feed *feed;
    struct request *r;
    struct chunk *queue[LISTENER_CHUNKS];
    unsigned first, count;
    size_t sent, bytes; /* of the first chunk; of all */
    bool suspended, over;
};

/* LIMIT: too many listen. */
clan_status feed_join(struct listener *l);
void feed_leave(struct listener *l);
void feed_tick(struct dashboard *d); /* once a second */

/* ---- stream.c ---- */

void listener_put(struct listener *l, struct chunk *c); /* keeps a ref */
void listener_end(struct listener *l);                  /* after what waits */
bool listener_gone(const struct listener *l);           /* hung up */

#endif
