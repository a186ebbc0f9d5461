/* The live statements of a set: storage, order, digests of buckets. */
#include "base/error.h"
#include "member/set.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

bool set_grow(void *array, size_t *cap, size_t count, size_t size)
{
    if (count < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 16;
    void *old, *grown;
    memcpy(&old, array, sizeof old);
    grown = realloc(old, more * size);
    if (!grown)
        return false;
    memcpy(array, &grown, sizeof grown);
    *cap = more;
    return true;
}

void set_prefix_key(const uint8_t prefix[16], uint8_t ret_key[32])
{
    memcpy(ret_key, prefix, 16);
    memset(ret_key + 16, 0, 16);
}

struct item *item_new(const struct stmt *s, const void *raw, size_t size)
{
    struct item *it = calloc(1, sizeof *it + size);
    if (!it)
        return NULL;
    memcpy(it->id, s->id, 32);
    memcpy(it->author, s->author, 32);
    it->kind = s->kind;
    it->size = size;
    memcpy(it->raw, raw, size);
    return it;
}

static bool bucket_add(struct member_set *m, struct item *it)
{
    uint8_t b = it->id[0];
    if (!set_grow(&m->buckets[b], &m->bucket_cap[b], m->bucket_count[b], sizeof(struct item *)))
        return false;
    size_t at = m->bucket_count[b];
    while (at > 0 && memcmp(m->buckets[b][at - 1]->id, it->id, 32) > 0) {
        m->buckets[b][at] = m->buckets[b][at - 1];
        at--;
    }
    m->buckets[b][at] = it;
    m->bucket_count[b]++;
    m->bucket_dirty[b] = m->digest_dirty = true;
    return true;
}

static void bucket_del(struct member_set *m, const struct item *it)
{
    uint8_t b = it->id[0];
    size_t at = 0;
    while (at < m->bucket_count[b] && m->buckets[b][at] != it)
        at++;
    clan_assert(at < m->bucket_count[b]);
    memmove(&m->buckets[b][at], &m->buckets[b][at + 1],
        (m->bucket_count[b] - at - 1) * sizeof(struct item *));
    m->bucket_count[b]--;
    m->bucket_dirty[b] = m->digest_dirty = true;
}

bool set_add(struct member_set *m, struct item *it)
{
    uint8_t key[32];
    set_prefix_key(it->id, key);
    if (!set_grow(&m->items, &m->item_cap, m->item_count, sizeof *m->items) || !bucket_add(m, it))
        return false;
    if (!map_add(&m->by_id, key, it)) {
        bucket_del(m, it);
        return false;
    }
    it->serial = ++m->serial;
    m->items[m->item_count++] = it;
    m->bytes += it->size;
    m->changes++;
    return true;
}

void set_drop(struct member_set *m, struct item *it)
{
    uint8_t key[32];
    if (!it)
        return;
    /* serial numbers grow along the array */
    size_t low = 0, high = m->item_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (m->items[mid]->serial < it->serial)
            low = mid + 1;
        else
            high = mid;
    }
    clan_assert(low < m->item_count && m->items[low] == it);
    memmove(&m->items[low], &m->items[low + 1], (m->item_count - low - 1) * sizeof *m->items);
    m->item_count--;
    m->bytes -= it->size;
    m->changes++;
    set_prefix_key(it->id, key);
    map_del(&m->by_id, key, it);
    bucket_del(m, it);
    free(it);
}

struct item *set_find(const struct member_set *m, const uint8_t id[32])
{
    uint8_t key[32];
    size_t iter;
    set_prefix_key(id, key);
    for (struct item *it = map_get(&m->by_id, key, &iter); it; it = map_next(&m->by_id, key, &iter))
        if (!memcmp(it->id, id, 32))
            return it;
    return NULL;
}

size_t member_stmt_count(const struct member_set *m)
{
    return m->item_count;
}

clan_status member_stmt_at(const struct member_set *m, size_t index, const uint8_t **ret_raw,
    size_t *ret_size, const uint8_t **ret_id, uint8_t *ret_kind)
{
    if (index >= m->item_count)
        return CLAN_E_NOENT;
    const struct item *it = m->items[index];
    if (ret_raw)
        *ret_raw = it->raw;
    if (ret_size)
        *ret_size = it->size;
    if (ret_id)
        *ret_id = it->id;
    if (ret_kind)
        *ret_kind = it->kind;
    return CLAN_OK;
}

clan_status member_stmt_find(
    const struct member_set *m, const uint8_t prefix[16], const uint8_t **ret_raw, size_t *ret_size)
{
    uint8_t key[32];
    set_prefix_key(prefix, key);
    const struct item *it = map_get(&m->by_id, key, NULL);
    if (!it)
        return CLAN_E_NOENT;
    *ret_raw = it->raw;
    *ret_size = it->size;
    return CLAN_OK;
}

size_t member_stmt_index(const struct member_set *m, const uint8_t prefix[16])
{
    uint8_t key[32];
    set_prefix_key(prefix, key);
    const struct item *it = map_get(&m->by_id, key, NULL);
    if (!it)
        return SIZE_MAX;
    return member_stmt_after(m, it->serial - 1, NULL);
}

size_t member_stmt_after(const struct member_set *m, uint64_t serial, uint64_t *ret_serial)
{
    size_t low = 0, high = m->item_count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (m->items[mid]->serial <= serial)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == m->item_count)
        return SIZE_MAX;
    if (ret_serial)
        *ret_serial = m->items[low]->serial;
    return low;
}

/* Digests are a cache: what depends on them is the same before and after. */
static struct member_set *cache_of(const struct member_set *m)
{
    union {
        const struct member_set *in;
        struct member_set *out;
    } u = {m};
    return u.out;
}

void member_digest(const struct member_set *m, uint8_t ret_digest[32])
{
    struct member_set *c = cache_of(m);
    if (m->digest_dirty) {
        crypto_generichash_state h;
        crypto_generichash_init(&h, NULL, 0, 32);
        for (int b = 0; b < 256; b++)
            for (size_t i = 0; i < m->bucket_count[b]; i++)
                crypto_generichash_update(&h, m->buckets[b][i]->id, 32);
        crypto_generichash_final(&h, c->digest, 32);
        c->digest_dirty = false;
    }
    memcpy(ret_digest, m->digest, 32);
}

static void bucket_refresh(struct member_set *c, int b)
{
    uint8_t out[32];
    crypto_generichash_state h;
    c->bucket_dirty[b] = false;
    memset(c->bucket_digest[b], 0, 8);
    if (c->bucket_count[b] == 0)
        return;
    crypto_generichash_init(&h, NULL, 0, 32);
    for (size_t i = 0; i < c->bucket_count[b]; i++)
        crypto_generichash_update(&h, c->buckets[b][i]->id, 32);
    crypto_generichash_final(&h, out, 32);
    memcpy(c->bucket_digest[b], out, 8);
}

void member_buckets(const struct member_set *m, uint8_t ret_digests[2048])
{
    struct member_set *c = cache_of(m);
    for (int b = 0; b < 256; b++) {
        if (m->bucket_dirty[b])
            bucket_refresh(c, b);
        memcpy(ret_digests + b * 8, m->bucket_digest[b], 8);
    }
}

size_t member_bucket(
    const struct member_set *m, uint8_t bucket, size_t index, const uint8_t **ret_id)
{
    if (index < m->bucket_count[bucket])
        *ret_id = m->buckets[bucket][index]->id;
    return m->bucket_count[bucket];
}
