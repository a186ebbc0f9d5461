/* A hash table with keys of up to 32 bytes; keyed, so that nobody outside can choose collisions. */
#ifndef WG_MAP_H
#define WG_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wg_map_entry {
    uint8_t key[32];
    void *value; /* NULL: free */
};

struct wg_map { /* zeros and key_size are an empty one */
    struct wg_map_entry *entries;
    uint32_t size, used; /* size: 0 or a power of two */
    uint8_t key_size;
    uint8_t seed[16];
};

void *wg_map_get(const struct wg_map *m, const void *key);
bool wg_map_put(struct wg_map *m, const void *key, void *value); /* false: out of memory */
void wg_map_remove(struct wg_map *m, const void *key);
void wg_map_free(struct wg_map *m);

#endif
