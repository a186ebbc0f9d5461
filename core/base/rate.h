/* How often something may be done in a second. */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate { /* starts as zeros */
    uint64_t second;
    unsigned count;
};

/* Counts one; false when there were `cap` in this second already. */
static inline bool rate_take(struct rate *r, uint64_t second, unsigned cap)
{
    if (r->second != second)
        r->count = 0;
    r->second = second;
    return ++r->count <= cap;
}

#endif
