/* Lists as the text of their rows, and the events that tell them to a page. */
#ifndef DASHBOARD_ROWS_H
#define DASHBOARD_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ROWS_MAX 8192

struct row {
    char *key, *text; /* of one allocation: free(key) */
};
struct rows {
    struct row *at;
    size_t count;
    bool told;   /* to pages */
    bool failed; /* too many, or out of memory: not whole */
};
void rows_add(
    struct rows *r, const char *key, json_t *row); /* takes row; key: of its members, NULL: "" */
void rows_free(struct rows *r);                    /* and empties it */

/* One event, the same bytes for all who get it. */
struct chunk {
    unsigned refs;
    size_t size;
    char bytes[];
};
struct chunk *chunk_new(const char *bytes, size_t size); /* refs 1; NULL: out of memory */
void chunk_free(struct chunk *c);                        /* takes one ref; NULL: nothing */
/* Events with that number; NULL with *ret_failed: out of memory.  rows_delta() is NULL too when nothing is different.
 * Numbers: whoever reads them in order and applies them has the rows in the order of the list. */
struct chunk *rows_snapshot(const struct rows *r, const char *topic, unsigned id, bool *ret_failed);
struct chunk *rows_delta(const struct rows *old, const struct rows *now, const char *topic,
    unsigned id, bool *ret_failed);

#endif
