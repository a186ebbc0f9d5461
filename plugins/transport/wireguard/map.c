/* A hash table with keys of up to 32 bytes; keyed, so that nobody outside can choose collisions. */
#include "map.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static uint32_t home(const struct wg_map *m, const void *key)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint32_t h;
    crypto_shorthash(hash, key, m->key_size, m->seed);
    memcpy(&h, hash, sizeof h);
    return h & (m->size - 1);
}

/* Where it is, or the free place where it would be. */
static uint32_t find(const struct wg_map *m, const void *key)
{
    uint32_t at = home(m, key);
    while (m->entries[at].value && memcmp(m->entries[at].key, key, m->key_size) != 0)
        at = (at + 1) & (m->size - 1);
    return at;
}

void *wg_map_get(const struct wg_map *m, const void *key)
{
    return m->size ? m->entries[find(m, key)].value : NULL;
}

static bool grow(struct wg_map *m)
{
    struct wg_map old = *m;
    m->size = old.size ? old.size * 2 : 16;
    m->entries = calloc(m->size, sizeof *m->entries);
    if (!m->entries) {
        *m = old;
        return false;
    }
    if (!old.size)
        randombytes_buf(m->seed, sizeof m->seed);
    for (uint32_t i = 0; i < old.size; i++)
        if (old.entries[i].value)
            m->entries[find(m, old.entries[i].key)] = old.entries[i];
    free(old.entries);
    return true;
}

bool wg_map_put(struct wg_map *m, const void *key, void *value)
{
    if (m->used * 3 >= m->size * 2 && !grow(m))
        return false;
    struct wg_map_entry *e = &m->entries[find(m, key)];
    if (!e->value)
        m->used++;
    memcpy(e->key, key, m->key_size);
    e->value = value;
    return true;
}

void wg_map_remove(struct wg_map *m, const void *key)
{
    if (!wg_map_get(m, key))
        return;
    uint32_t hole = find(m, key), mask = m->size - 1;
    m->used--;
    /* whoever could not be at home because of the hole moves up */
    for (uint32_t at = (hole + 1) & mask; m->entries[at].value; at = (at + 1) & mask) {
        uint32_t from = home(m, m->entries[at].key);
        if (((at - from) & mask) < ((at - hole) & mask))
            continue;
        m->entries[hole] = m->entries[at];
        hole = at;
    }
    memset(&m->entries[hole], 0, sizeof m->entries[hole]);
}

void wg_map_free(struct wg_map *m)
{
    free(m->entries);
    *m = (struct wg_map){.key_size = m->key_size};
}
