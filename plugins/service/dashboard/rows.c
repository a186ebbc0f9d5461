/* Lists as the text of their rows: what is compared, and what goes to pages, are the same bytes. */
#include "rows.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

/* ---- a list ---- */

void rows_free(struct rows *r)
{
    for (size_t i = 0; i < r->count; i++)
        free(r->at[i].key);
    free(r->at);
    *r = (struct rows){0};
}

static bool grow(struct rows *r)
{
    if (r->count & (r->count - 1)) /* at each power of two */
        return true;
    struct row *more = realloc(r->at, (r->count ? r->count * 2 : 1) * sizeof *more);
    if (more)
        r->at = more;
    return more != NULL;
}

void rows_add(struct rows *r, const char *key, json_t *row)
{
    const json_t *value = key ? json_object_get(row, key) : NULL;
    char *text = row ? json_dumps(row, JSON_COMPACT) : NULL; /* which has no line breaks */
    char name[96] = "";
    if (json_is_integer(value))
        snprintf(name, sizeof name, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_string(value))
        snprintf(name, sizeof name, "%s", json_string_value(value));
    size_t key_size = strlen(name) + 1, size = text ? strlen(text) + 1 : 0;
    char *kept = text && r->count < ROWS_MAX && grow(r) ? malloc(key_size + size) : NULL;
    if (kept) {
        memcpy(kept, name, key_size);
        memcpy(kept + key_size, text, size);
        r->at[r->count++] = (struct row){kept, kept + key_size};
    } else
        r->failed = true;
    free(text);
    json_decref(row);
}

/* Most are where they were.  SIZE_MAX: none has that key. */
static size_t find(const struct rows *r, const char *key, size_t hint)
{
    for (size_t n = 0; n < r->count; n++) {
        size_t i = (hint + n) % r->count;
        if (strcmp(r->at[i].key, key) == 0)
            return i;
    }
    return SIZE_MAX;
}

/* ---- events ---- */

static void begin(struct text *t, const char *kind, const char *topic, unsigned id)
{
    text_add(t, "id: %u\nevent: %s\ndata: {\"topic\":\"%s\"", id, kind, topic);
}

/* Keys are numbers, base32 and names: nothing that JSON would write in another way. */
static void put_key(struct text *t, const char *key, bool first)
{
    text_add(t, "%s\"%s\"", first ? "" : ",", key);
}

static struct chunk *finish(struct text *t, bool wanted, bool *ret_failed)
{
    text_add(t, "}\n\n");
    struct chunk *c = wanted && !t->failed ? chunk_new(t->data, t->len) : NULL;
    *ret_failed = t->failed || (wanted && !c);
    free(t->data);
    return c;
}

struct chunk *chunk_new(const char *bytes, size_t size)
{
    struct chunk *c = malloc(sizeof *c + size);
    if (c) {
        *c = (struct chunk){.refs = 1, .size = size};
        memcpy(c->bytes, bytes, size);
    }
    return c;
}

void chunk_free(struct chunk *c)
{
    if (c && --c->refs == 0)
        free(c);
}

struct chunk *rows_snapshot(const struct rows *r, const char *topic, unsigned id, bool *ret_failed)
{
    struct text t = {0};
    begin(&t, "snapshot", topic, id);
    text_add(&t, ",\"rows\":[");
    for (size_t i = 0; i < r->count; i++)
        text_add(&t, "%s%s", i ? "," : "", r->at[i].text);
    text_add(&t, "]");
    return finish(&t, true, ret_failed);
}

/* Does a page that takes the rows one by one, new ones last, have them in this order? */
static bool in_order(const struct rows *old, const struct rows *now)
{
    size_t last = 0;
    bool added = false;
    for (size_t i = 0; i < now->count; i++) {
        size_t was = find(old, now->at[i].key, i);
        if (was == SIZE_MAX)
            added = true;
        else if (added || was < last)
            return false;
        else
            last = was;
    }
    return true;
}

static unsigned put_new(struct text *t, const struct rows *old, const struct rows *now)
{
    unsigned count = 0;
    text_add(t, ",\"set\":[");
    for (size_t i = 0; i < now->count; i++) {
        size_t was = find(old, now->at[i].key, i);
        if (was != SIZE_MAX && strcmp(old->at[was].text, now->at[i].text) == 0)
            continue;
        text_add(t, "%s%s", count++ ? "," : "", now->at[i].text);
    }
    text_add(t, "]");
    return count;
}

static unsigned put_gone(struct text *t, const struct rows *old, const struct rows *now)
{
    unsigned count = 0;
    text_add(t, ",\"del\":[");
    for (size_t i = 0; i < old->count; i++)
        if (find(now, old->at[i].key, i) == SIZE_MAX)
            put_key(t, old->at[i].key, count++ == 0);
    text_add(t, "]");
    return count;
}

struct chunk *rows_delta(const struct rows *old, const struct rows *now, const char *topic,
    unsigned id, bool *ret_failed)
{
    struct text t = {0};
    begin(&t, "delta", topic, id);
    unsigned set = put_new(&t, old, now), gone = put_gone(&t, old, now);
    bool ordered = in_order(old, now);
    if (!ordered) {
        text_add(&t, ",\"order\":[");
        for (size_t i = 0; i < now->count; i++)
            put_key(&t, now->at[i].key, i == 0);
        text_add(&t, "]");
    }
    return finish(&t, set || gone || !ordered, ret_failed);
}
