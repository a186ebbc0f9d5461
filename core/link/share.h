/* Whether the receiver's thread sends as well, or the sender's own does. */
#ifndef LINK_SHARE_H
#define LINK_SHARE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct link;

struct link_share {
    bool two;             /* [lock] the sender's thread sends */
    pthread_cond_t begin; /* it waits here while it does not */
    clockid_t receiver, sender;
    uint64_t wall_ns, receiver_ns, sender_ns; /* at the last look */
};

bool share_setup(struct link *l);
/* Called by the receiver each round; looks every 300 ms. */
void share_look(struct link *l, uint64_t now_ms);
/* Pure: two threads from now on?  Times of one window. */
bool share_two(bool two, uint64_t wall_ns, uint64_t receiver_ns, uint64_t sender_ns);

#endif
