/* Statements kept aside while a machine catches up, and which chain others stand behind (SECURITY
 * C5). */
#include "member/stage.h"
#include "member/map.h"
#include "member/set.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct kept {
    uint8_t id[32];
    uint64_t hour;
    size_t size;
    struct kept *parent;     /* of an envelope that verified, unless it follows the set's */
    uint64_t version;        /* of an envelope; 0: another kind */
    bool verified;           /* it follows one that is here, and enough admins signed */
    unsigned stands, keeper; /* behind it: members and keepers; keepers alone */
    struct adminset admins;
    uint8_t previous[32];
    uint8_t raw[];
};

struct source {
    uint8_t id[32], head[32];
    uint64_t version; /* shown; 0: nothing */
    size_t bytes;
};

struct stage {
    struct {
        uint8_t id[32];
        bool keeper;
    } * before;
    size_t before_count;
    struct source sources[STAGE_SOURCES];
    unsigned source_count;
    struct kept **kept;
    size_t count, cap;
    bool news;        /* who stands behind what is to be counted again */
    struct map by_id; /* first 16 bytes of the ID, zeros */
};

struct stage *stage_new(const struct member_set *m)
{
    struct stage *s = calloc(1, sizeof *s);
    if (!s || !(s->before = calloc(member_count(m) + 1, sizeof *s->before))) {
        free(s);
        return NULL;
    }
    for (size_t i = 0; i < member_count(m); i++) {
        const struct member_machine *x = member_at(m, i);
        if (x->standing != MEMBER_CONFIRMED)
            continue;
        memcpy(s->before[s->before_count].id, x->id, 32);
        s->before[s->before_count++].keeper = x->keeper;
    }
    return s;
}

void stage_free(struct stage *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->kept[i]);
    free(s->kept);
    map_free(&s->by_id);
    free(s->before);
    free(s);
}

enum stage_who stage_who(const struct stage *s, const uint8_t machine_id[32])
{
    for (size_t i = 0; i < s->before_count; i++)
        if (memcmp(s->before[i].id, machine_id, 32) == 0)
            return s->before[i].keeper ? STAGE_KEEPER : STAGE_MEMBER;
    return STAGE_UNKNOWN;
}

bool stage_holds(uint8_t kind)
{
    return kind != STMT_RECORD && kind != STMT_ACK && kind != STMT_REVOCATION;
}

static struct kept *find(const struct stage *s, const uint8_t id_prefix[16])
{
    uint8_t key[32];
    set_prefix_key(id_prefix, key);
    return map_get(&s->by_id, key, NULL);
}

bool stage_has(const struct stage *s, const uint8_t id_prefix[16])
{
    return find(s, id_prefix) != NULL;
}

static struct source *source_of(struct stage *s, const uint8_t id[32])
{
    for (unsigned i = 0; i < s->source_count; i++)
        if (memcmp(s->sources[i].id, id, 32) == 0)
            return &s->sources[i];
    if (s->source_count == STAGE_SOURCES || stage_who(s, id) == STAGE_UNKNOWN)
        return NULL;
    struct source *new = &s->sources[s->source_count++];
    memcpy(new->id, id, 32);
    return new;
}

/* ---- the chain ---- */

static bool signed_by_parent(struct kept *k, const struct adminset *a)
{
    struct stmt st;
    return a && stmt_parse(k->raw, k->size, &st, NULL) == CLAN_OK &&
           chain_signers(&st, a) >= a->threshold;
}

/* Links an envelope to the one before it.  false: that one is here, and it does not verify. */
static bool link_to_parent(const struct stage *s, const struct member_set *m, struct kept *k)
{
    uint64_t tip = m->version_count;
    if (k->version == tip + 1 && memcmp(k->previous, m->versions[tip - 1].id, 32) == 0)
        return k->verified = signed_by_parent(k, chain_admins(m, tip));
    struct kept *p = find(s, k->previous);
    if (!p || !p->verified || p->version + 1 != k->version || memcmp(p->id, k->previous, 32) != 0)
        return k->version > tip + 1; /* it may still come */
    k->parent = p;
    return k->verified = signed_by_parent(k, &p->admins);
}

static void drop(struct stage *s, size_t index)
{
    struct kept *k = s->kept[index];
    uint8_t key[32];
    set_prefix_key(k->id, key);
    map_del(&s->by_id, key, k);
    memmove(&s->kept[index], &s->kept[index + 1], (s->count - index - 1) * sizeof *s->kept);
    s->count--;
    free(k);
}

/* Those that came before the one that they follow. */
static void link_waiting(struct stage *s, const struct member_set *m)
{
    for (bool again = true; again;) {
        again = false;
        for (size_t i = s->count; i > 0; i--) {
            struct kept *k = s->kept[i - 1];
            if (k->version == 0 || k->verified)
                continue;
            if (!link_to_parent(s, m, k))
                drop(s, i - 1);
            else
                again |= k->verified;
        }
    }
}

static bool read_envelope(struct kept *k, const struct stmt *st)
{
    struct stmt_envelope e;
    if (stmt_get_envelope(st, &e) != CLAN_OK || e.version != st->seq || e.version < 2)
        return false;
    k->version = e.version;
    memcpy(k->previous, e.previous, 32);
    k->admins = (struct adminset){.threshold = e.threshold, .count = e.admin_count};
    for (unsigned i = 0; i < e.admin_count; i++)
        memcpy(k->admins.keys[i], e.admins[i].key, 32);
    return true;
}

static bool keep(struct stage *s, struct kept *k)
{
    uint8_t key[32];
    set_prefix_key(k->id, key);
    if (!set_grow(&s->kept, &s->cap, s->count, sizeof *s->kept) || !map_add(&s->by_id, key, k))
        return false;
    s->kept[s->count++] = k;
    return true;
}

bool stage_put(struct stage *s, const struct member_set *m, const uint8_t source[32],
    const void *raw, size_t size, uint64_t hour)
{
    struct stmt st;
    struct source *from = source_of(s, source);
    if (!from || stmt_parse(raw, size, &st, NULL) != CLAN_OK || memcmp(st.clan, m->clan, 32) != 0)
        return false;
    if (stage_has(s, st.id))
        return true;
    struct kept *k = s->count < STAGE_COUNT_MAX && from->bytes + size <= STAGE_SOURCE_BYTES
                         ? calloc(1, sizeof *k + size)
                         : NULL;
    if (!k)
        return false;
    memcpy(k->id, st.id, 32);
    memcpy(k->raw, raw, size);
    k->size = size;
    k->hour = hour;
    bool envelope = st.kind == STMT_ENVELOPE;
    if ((envelope && (!read_envelope(k, &st) || !link_to_parent(s, m, k))) || !keep(s, k)) {
        free(k);
        return false;
    }
    from->bytes += size;
    if (k->verified) {
        link_waiting(s, m);
        for (unsigned i = 0; i < s->source_count; i++)
            s->news |= s->sources[i].version && stage_has(s, s->sources[i].head);
    }
    return true;
}

/* ---- heads ---- */

void stage_shown(
    struct stage *s, const uint8_t machine_id[32], uint64_t version, const uint8_t head_id[32])
{
    struct source *from = source_of(s, machine_id);
    if (!from)
        return;
    from->version = version;
    memcpy(from->head, head_id, 32);
    s->news = true;
}

static void count_behind(struct stage *s, const struct source *from)
{
    struct kept *k = from->version ? find(s, from->head) : NULL;
    bool keeper = stage_who(s, from->id) == STAGE_KEEPER;
    if (!k || !k->verified || k->version != from->version || memcmp(k->id, from->head, 32) != 0)
        return;
    for (; k; k = k->parent) { /* whoever stands behind a head stands behind what it follows */
        k->stands += keeper ? 2 : 1;
        k->keeper += keeper;
    }
}

static void count_all(struct stage *s)
{
    s->news = false;
    for (size_t i = 0; i < s->count; i++)
        s->kept[i]->stands = s->kept[i]->keeper = 0;
    for (unsigned i = 0; i < s->source_count; i++)
        count_behind(s, &s->sources[i]);
}

bool stage_next(
    struct stage *s, const struct member_set *m, const uint8_t **ret_raw, size_t *ret_size)
{
    const uint8_t *tip;
    uint64_t version = member_head(m, &tip, NULL);
    struct kept *best = NULL;
    bool tie = false;
    if (s->news)
        count_all(s);
    for (size_t i = 0; i < s->count; i++) {
        struct kept *k = s->kept[i];
        if (k->version != version + 1 || !k->verified || k->stands < 2 ||
            memcmp(k->previous, tip, 32) != 0)
            continue;
        /* rivals that all have enough behind them: a keeper's word is worth more, else none */
        bool more = !best || (k->keeper && !best->keeper);
        tie = more ? false : tie || !k->keeper == !best->keeper;
        best = more ? k : best;
    }
    if (!best || tie)
        return false;
    *ret_raw = best->raw;
    *ret_size = best->size;
    return true;
}

bool stage_kept(const struct stage *s, size_t *cursor, const uint8_t **ret_raw, size_t *ret_size,
    uint64_t *ret_hour)
{
    while (*cursor < s->count) {
        const struct kept *k = s->kept[(*cursor)++];
        if (k->version)
            continue;
        *ret_raw = k->raw;
        *ret_size = k->size;
        *ret_hour = k->hour;
        return true;
    }
    return false;
}

/* ---- the digest ---- */

static int by_id(const void *a, const void *b)
{
    return memcmp(*(const uint8_t *const *)a, *(const uint8_t *const *)b, 32);
}

void stage_digest(const struct stage *s, const struct member_set *m, uint8_t ret_digest[32])
{
    size_t n = 0, cap = member_stmt_count(m) + s->count;
    const uint8_t **ids = calloc(cap + 1, sizeof *ids);
    crypto_generichash_state h;
    memset(ret_digest, 0, 32);
    if (!ids)
        return;
    for (size_t i = 0; i < member_stmt_count(m); i++)
        member_stmt_at(m, i, NULL, NULL, &ids[n++], NULL);
    for (size_t i = 0; i < s->count; i++)
        if (!set_find(m, s->kept[i]->id))
            ids[n++] = s->kept[i]->id;
    qsort(ids, n, sizeof *ids, by_id);
    crypto_generichash_init(&h, NULL, 0, 32);
    for (size_t i = 0; i < n; i++)
        crypto_generichash_update(&h, ids[i], 32);
    crypto_generichash_final(&h, ret_digest, 32);
    free(ids);
}
