/* The rules of each kind of statement as a table, and applying one by it. */
#include "member/member.h"
#include "base/error.h"
#include "member/set.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/*
 * SECURITY L2: who signs what, and what happens when two disagree.  check verifies against the set
 * without changing it; add takes it in.  derive: standings follow from this kind.
 */
typedef clan_status check_fn(struct member_set *m, struct plan *p, struct clan_error *e);
typedef clan_status add_fn(struct member_set *m, struct plan *p, struct member_effect *ret);
static const struct rule {
    const char *signed_by, *conflict;
    check_fn *check;
    add_fn *add;
    bool derive;
} rules[STMT_KINDS] = {
    [STMT_GENESIS] = {"the first admin", "its hash is the clan", chain_check_genesis,
        chain_add_genesis, true},
    [STMT_ENVELOPE] = {"M of the N admins of the version before, M > N/2",
        "a rival of the tip stops the chain, an older one is evidence", chain_check_envelope,
        chain_add_envelope, true},
    [STMT_INVITATION] = {"one admin up to 5 uses and 24 h, else M; closing: one",
        "the higher number, closed over open", invite_check, invite_add, true},
    [STMT_ADMISSION] =
        {"the invitation's seed, the machine, and a confirmed door; the founder's by "
         "the genesis admin",
            "over `uses`: all of a single one, else those over it, wait for an admin",
            admission_check, admission_add, true},
    [STMT_RECEIPT] = {"a majority of the keepers, or an admin",
        "higher generation; two for one place: both wait for an admin", receipt_check, receipt_add,
        true},
    [STMT_RECORD] = {"the machine", "highest number; equal number: it runs twice", record_check,
        record_add, false},
    [STMT_REVOCATION] = {"M admins, or the machine for itself", "union, final", revocation_check,
        revocation_add, true},
    [STMT_ACK] = {"the machine", "highest number", ack_check, ack_add, false},
};
static const struct rule rule_other = {
    "somebody who belongs, inside a quota", "all are kept", other_check, other_add, false};

static const struct rule *rule_of(uint8_t kind)
{
    return kind < STMT_KINDS && rules[kind].check ? &rules[kind] : &rule_other;
}

struct member_set *member_new(void)
{
    struct member_set *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->digest_dirty = true;
    return m;
}

static void plan_clear(struct plan *p)
{
    free(p->item);
    memset(p, 0, sizeof *p);
}

static void free_all(void *array, size_t count)
{
    void **p = array;
    for (size_t i = 0; i < count; i++)
        free(p[i]);
}

void member_free(struct member_set *m)
{
    if (!m)
        return;
    wait_free_all(m);
    plan_clear(&m->plan);
    free_all(m->items, m->item_count);
    free_all(m->machines, m->machine_count);
    free_all(m->invites, m->invite_count);
    free_all(m->revoked, m->revoked_count);
    free_all(m->authors, m->author_count);
    for (int b = 0; b < 256; b++)
        free(m->buckets[b]);
    struct map *maps[] = {&m->by_id, &m->machine_by_id, &m->machine_by_address, &m->machine_by_key,
        &m->invite_by_id, &m->revoked_by_id, &m->author_by_id, &m->see.machines, &m->see.invites};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
        map_free(maps[i]);
    free(m->items);
    free(m->machines);
    free(m->phones);
    free(m->invites);
    free(m->revoked);
    free(m->versions);
    free(m->adminsets);
    free(m->keepersets);
    free(m->removed);
    free(m);
}

/* The same bytes again, or the same statement with other signatures. */
static bool is_here(const struct member_set *m, const struct stmt *s)
{
    return set_find(m, s->id) != NULL;
}

static clan_status plan_make(struct member_set *m, const void *raw, size_t size, uint64_t hour,
    struct plan *p, struct clan_error *e)
{
    clan_status r = stmt_parse(raw, size, &p->s, e);
    if (r != CLAN_OK)
        return r;
    if (is_here(m, &p->s)) {
        p->known = true;
        return CLAN_OK;
    }
    p->hour = hour;
    if (!(p->item = item_new(&p->s, raw, size)))
        return err_set(e, CLAN_E_NOMEM, "no memory for a statement");
    if ((r = stmt_parse(p->item->raw, size, &p->s, e)) != CLAN_OK) /* borrows from our copy */
        return r;
    if (!m->has_genesis && p->s.kind != STMT_GENESIS)
        return plan_waits(p, NEEDS(STMT_GENESIS), NULL);
    if (p->s.kind != STMT_GENESIS && memcmp(p->s.clan, m->clan, 32))
        return err_set(e, CLAN_E_AUTH, "a statement of another clan");
    r = rule_of(p->s.kind)->check(m, p, e);
    if (r == CLAN_OK && !p->known && !p->waits_for)
        r = quota_check(m, p, false, e);
    return r;
}

static void effect_of(const struct plan *p, struct member_effect *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->kind = p->s.kind;
    memcpy(ret->id, p->s.id, 32);
    ret->known = p->known;
    ret->waits = !p->known && p->waits_for;
    ret->is_new = !p->known && !p->waits_for;
    if (!p->item)
        return;
    bool of_machine = p->s.kind != STMT_INVITATION && p->s.kind != STMT_ENVELOPE;
    if (of_machine)
        memcpy(ret->machine, p->item->subject, 32);
}

clan_status member_check(struct member_set *m, const void *raw, size_t size, uint64_t hour,
    struct member_effect *ret_effect, struct clan_error *reterr)
{
    struct plan *p = &m->plan;
    plan_clear(p);
    memset(ret_effect, 0, sizeof *ret_effect);
    clan_status r = plan_make(m, raw, size, hour, p, reterr);
    if (r != CLAN_OK) {
        plan_clear(p);
        return r;
    }
    effect_of(p, ret_effect);
    if (ret_effect->waits)
        wait_put(m, p);
    if (!ret_effect->is_new)
        plan_clear(p);
    return CLAN_OK;
}

clan_status member_add(
    struct member_set *m, struct member_effect *ret_effect, struct clan_error *reterr)
{
    struct plan *p = &m->plan;
    const struct rule *rule = rule_of(p->s.kind);
    clan_assert(p->item); /* something was checked, and is new */
    effect_of(p, ret_effect);
    m->alarmed = false;
    clan_status r = quota_check(m, p, true, reterr);
    if (r == CLAN_OK && (r = rule->add(m, p, ret_effect)) != CLAN_OK)
        err_set(reterr, r, "a statement could not be kept");
    if (r != CLAN_OK) {
        plan_clear(p);
        memset(ret_effect, 0, sizeof *ret_effect);
        return r;
    }
    if (rule->derive)
        derive(m);
    if (ret_effect->is_new)
        p->item = NULL; /* the set's now */
    m->round++;
    m->ready_kinds |= NEEDS(p->s.kind < STMT_KINDS ? p->s.kind : 31);
    if (m->alarmed)
        ret_effect->changed |= MEMBER_CHANGED_ALARM;
    plan_clear(p);
    return CLAN_OK;
}

clan_status member_apply(struct member_set *m, const void *raw, size_t size, uint64_t hour,
    struct member_effect *ret_effect, struct clan_error *reterr)
{
    struct member_effect own;
    if (!ret_effect)
        ret_effect = &own;
    clan_status r = member_check(m, raw, size, hour, ret_effect, reterr);
    if (r != CLAN_OK || !ret_effect->is_new || (r = member_add(m, ret_effect, reterr)) != CLAN_OK)
        return r;
    uint8_t *next = malloc(STMT_MAX);
    size_t next_size;
    uint64_t next_hour;
    while (next && member_ready(m, next, &next_size, &next_hour)) {
        struct member_effect more;
        if (member_check(m, next, next_size, next_hour, &more, NULL) == CLAN_OK && more.is_new &&
            member_add(m, &more, NULL) == CLAN_OK)
            ret_effect->changed |= more.changed;
    }
    free(next);
    return CLAN_OK;
}

void member_revocations_digest(
    const struct member_set *m, uint8_t ret_digest[32], uint32_t *ret_count)
{
    uint32_t n = 0;
    crypto_generichash_state h;
    crypto_generichash_init(&h, NULL, 0, 32);
    for (int b = 0; b < 256; b++)
        for (size_t i = 0; i < m->bucket_count[b]; i++)
            if (m->buckets[b][i]->kind == STMT_REVOCATION) {
                crypto_generichash_update(&h, m->buckets[b][i]->id, 32);
                n++;
            }
    crypto_generichash_final(&h, ret_digest, 32);
    if (ret_count)
        *ret_count = n;
}

size_t member_critical_count(const struct member_set *m)
{
    return m->critical_count;
}
