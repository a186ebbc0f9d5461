/* A hash table with two chains through each entry: by name, by address. */
#include "resolver/table.h"

#include <stdlib.h>
#include <string.h>

#define HEADS 2048
#define NONE  UINT16_MAX

struct entry {
    char name[TEXT_NAME_MAX + 1];
    uint8_t address[16];
    uint16_t next_name, next_address; /* next_name also chains the free ones */
};

struct resolver_table {
    char petname[TEXT_NAME_MAX + 1];
    uint8_t prefix[6]; /* of the first name: all names of a clan share its /48 */
    uint32_t serial;
    uint16_t count, used,
        free; /* entries in use, ever used since the zone began, chain of free ones */
    uint16_t by_name[HEADS], by_address[HEADS];
    struct entry entries[RESOLVER_NAMES_MAX]; /* untouched pages cost nothing */
};

static uint16_t bucket(const void *data, size_t size)
{
    const uint8_t *p = data;
    uint32_t h = 2166136261u; /* FNV-1a; names come from the clan's own statements */
    for (size_t i = 0; i < size; i++)
        h = (h ^ p[i]) * 16777619u;
    return (uint16_t)((h ^ h >> 16) % HEADS);
}

static uint16_t name_bucket(const char *name)
{
    return bucket(name, strlen(name));
}

static void forget(struct resolver_table *t)
{
    t->count = t->used = 0;
    t->free = NONE;
    for (unsigned i = 0; i < HEADS; i++)
        t->by_name[i] = t->by_address[i] = NONE;
    t->serial++;
}

struct resolver_table *resolver_table_new(void)
{
    struct resolver_table *t = calloc(1, sizeof *t);
    if (t)
        forget(t);
    return t;
}

void resolver_table_free(struct resolver_table *t)
{
    free(t);
}

clan_status resolver_zone(struct resolver_table *t, const char *petname)
{
    forget(t);
    t->petname[0] = 0;
    if (!text_name_ok(petname))
        return CLAN_E_INVAL;
    memcpy(t->petname, petname, strlen(petname) + 1);
    return CLAN_OK;
}

static uint16_t find(const struct resolver_table *t, const char *name)
{
    uint16_t i = t->by_name[name_bucket(name)];
    while (i != NONE && strcmp(t->entries[i].name, name) != 0)
        i = t->entries[i].next_name;
    return i;
}

static uint16_t take(struct resolver_table *t)
{
    uint16_t i = t->free;
    if (i != NONE)
        t->free = t->entries[i].next_name;
    else if (t->used < RESOLVER_NAMES_MAX)
        i = t->used++;
    return i;
}

static void link_address(struct resolver_table *t, uint16_t i)
{
    uint16_t *at = &t->by_address[bucket(t->entries[i].address, 16)];
    while (*at != NONE) /* behind the older ones */
        at = &t->entries[*at].next_address;
    t->entries[i].next_address = NONE;
    *at = i;
}

static void unlink_address(struct resolver_table *t, uint16_t i)
{
    uint16_t *at = &t->by_address[bucket(t->entries[i].address, 16)];
    while (*at != i)
        at = &t->entries[*at].next_address;
    *at = t->entries[i].next_address;
}

clan_status resolver_name_set(struct resolver_table *t, const char *name, const uint8_t address[16])
{
    if (!text_name_ok(name) || !t->petname[0])
        return CLAN_E_INVAL;
    uint16_t i = find(t, name);
    if (i != NONE) {
        if (memcmp(t->entries[i].address, address, 16) == 0)
            return CLAN_OK;
        unlink_address(t, i);
    } else {
        i = take(t);
        if (i == NONE)
            return CLAN_E_LIMIT;
        memcpy(t->entries[i].name, name, strlen(name) + 1);
        uint16_t *head = &t->by_name[name_bucket(name)];
        t->entries[i].next_name = *head;
        *head = i;
        if (t->count++ == 0)
            memcpy(t->prefix, address, sizeof t->prefix);
    }
    memcpy(t->entries[i].address, address, 16);
    link_address(t, i);
    t->serial++;
    return CLAN_OK;
}

void resolver_name_gone(struct resolver_table *t, const char *name)
{
    uint16_t i = find(t, name);
    if (i == NONE)
        return;
    uint16_t *at = &t->by_name[name_bucket(name)];
    while (*at != i)
        at = &t->entries[*at].next_name;
    *at = t->entries[i].next_name;
    unlink_address(t, i);
    t->entries[i].next_name = t->free;
    t->free = i;
    t->count--;
    t->serial++;
}

const char *resolver_petname(const struct resolver_table *t)
{
    return t->petname;
}

uint32_t resolver_serial(const struct resolver_table *t)
{
    return t->serial;
}

size_t resolver_count(const struct resolver_table *t)
{
    return t->count;
}

const uint8_t *resolver_find(const struct resolver_table *t, const char *name)
{
    uint16_t i = find(t, name);
    return i == NONE ? NULL : t->entries[i].address;
}

const char *resolver_find_address(const struct resolver_table *t, const uint8_t address[16])
{
    uint16_t i = t->by_address[bucket(address, 16)];
    while (i != NONE && memcmp(t->entries[i].address, address, 16) != 0)
        i = t->entries[i].next_address;
    return i == NONE ? NULL : t->entries[i].name;
}

bool resolver_prefix_known(const struct resolver_table *t, const uint8_t prefix[6])
{
    return t->count > 0 && memcmp(t->prefix, prefix, sizeof t->prefix) == 0;
}
