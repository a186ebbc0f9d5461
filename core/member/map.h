/* Multi-map from 32-byte keys to pointers, for the indexes of a member set. */
#ifndef MEMBER_MAP_H
#define MEMBER_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
    uint8_t key[32];
    void *value; /* NULL: free, MAP_GONE: deleted */
};
struct map {
    struct map_slot *slots; /* owned */
    size_t cap, used;       /* used counts deleted slots too */
};

void map_free(struct map *m);
/* false: out of memory.  Equal keys may be added several times with different values. */
bool map_add(struct map *m, const uint8_t key[32], void *value);
void map_del(struct map *m, const uint8_t key[32], const void *value);
/* The first value of a key, or NULL; *iter continues with map_next. */
void *map_get(const struct map *m, const uint8_t key[32], size_t *iter);
void *map_next(const struct map *m, const uint8_t key[32], size_t *iter);

#endif
