/* Multi-map from 32-byte keys to pointers: open addressing, linear probing. */
#include "member/map.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static char gone;
#define MAP_GONE ((void *)&gone)

static size_t map_hash(const uint8_t key[32], size_t cap)
{
    /* keys are mostly hashes already, but static keys and ground IDs are the choice of others */
    static const uint8_t k[crypto_shorthash_KEYBYTES] = "clan member map";
    uint8_t out[crypto_shorthash_BYTES];
    uint64_t v;
    crypto_shorthash(out, key, 32, k);
    memcpy(&v, out, sizeof v);
    return (size_t)v & (cap - 1);
}

void map_free(struct map *m)
{
    free(m->slots);
    memset(m, 0, sizeof *m);
}

static void map_put(struct map *m, const uint8_t key[32], void *value)
{
    size_t i = map_hash(key, m->cap);
    while (m->slots[i].value)
        i = (i + 1) & (m->cap - 1);
    memcpy(m->slots[i].key, key, 32);
    m->slots[i].value = value;
    m->used++;
}

static bool map_grow(struct map *m)
{
    struct map old = *m;
    size_t live = 0;
    for (size_t i = 0; i < old.cap; i++)
        live += old.slots[i].value && old.slots[i].value != MAP_GONE;
    size_t cap = 64;
    while (cap < live * 4)
        cap *= 2;
    m->slots = calloc(cap, sizeof *m->slots);
    if (!m->slots) {
        *m = old;
        return false;
    }
    m->cap = cap;
    m->used = 0;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].value && old.slots[i].value != MAP_GONE)
            map_put(m, old.slots[i].key, old.slots[i].value);
    free(old.slots);
    return true;
}

bool map_add(struct map *m, const uint8_t key[32], void *value)
{
    if ((m->used + 1) * 2 > m->cap && !map_grow(m))
        return false;
    map_put(m, key, value);
    return true;
}

static void *map_from(const struct map *m, const uint8_t key[32], size_t *iter)
{
    if (!m->cap)
        return NULL;
    for (size_t i = *iter & (m->cap - 1); m->slots[i].value; i = (i + 1) & (m->cap - 1)) {
        if (m->slots[i].value != MAP_GONE && !memcmp(m->slots[i].key, key, 32)) {
            *iter = i;
            return m->slots[i].value;
        }
    }
    return NULL;
}

void *map_get(const struct map *m, const uint8_t key[32], size_t *iter)
{
    size_t own;
    if (!iter)
        iter = &own;
    *iter = m->cap ? map_hash(key, m->cap) : 0;
    return map_from(m, key, iter);
}

void *map_next(const struct map *m, const uint8_t key[32], size_t *iter)
{
    (*iter)++;
    return map_from(m, key, iter);
}

void map_del(struct map *m, const uint8_t key[32], const void *value)
{
    size_t iter;
    for (void *v = map_get(m, key, &iter); v; v = map_next(m, key, &iter)) {
        if (v == value) {
            m->slots[iter].value = MAP_GONE;
            return;
        }
    }
}
