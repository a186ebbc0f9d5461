/* What is kept aside until its missing part arrives, and the quota of each author (SECURITY D1). */
#include "base/error.h"
#include "member/set.h"

#include <stdlib.h>
#include <string.h>

static void wait_remove(struct member_set *m, size_t i)
{
    memmove(&m->waits[i], &m->waits[i + 1], (m->wait_count - i - 1) * sizeof m->waits[0]);
    m->wait_count--;
}

void wait_free_all(struct member_set *m)
{
    for (size_t i = 0; i < m->wait_count; i++)
        free(m->waits[i].item);
    m->wait_count = 0;
}

/* The oldest gives way: it will be asked for again when heads are compared. */
void wait_put(struct member_set *m, struct plan *p)
{
    for (size_t i = 0; i < m->wait_count; i++)
        if (!memcmp(m->waits[i].item->id, p->item->id, 32))
            return;
    if (m->wait_count == SET_WAITS_MAX) {
        free(m->waits[0].item);
        wait_remove(m, 0);
    }
    struct waiting *w = &m->waits[m->wait_count++];
    w->item = p->item;
    w->hour = p->hour;
    w->needs = p->waits_for;
    w->round = m->round;
    memcpy(w->key, p->waits_key, 32);
    p->item = NULL;
}

static bool key_here(const struct member_set *m, const struct waiting *w)
{
    static const uint8_t zero[32];
    const struct machine *x;
    if (!memcmp(w->key, zero, 32))
        return true;
    if (w->needs & NEEDS(STMT_INVITATION))
        return map_get(&m->invite_by_id, w->key, NULL) != NULL;
    if (!(x = machine_get(m, w->key)))
        return false;
    return !(w->needs & NEEDS(STMT_RECEIPT)) || machine_anchored(x);
}

bool member_ready(struct member_set *m, uint8_t *ret_raw, size_t *ret_size, uint64_t *ret_hour)
{
    for (size_t i = 0; m->ready_kinds && i < m->wait_count; i++) {
        struct waiting *w = &m->waits[i];
        if (w->round == m->round || !(w->needs & m->ready_kinds) || !key_here(m, w))
            continue;
        struct item *it = w->item;
        memcpy(ret_raw, it->raw, it->size);
        *ret_size = it->size;
        *ret_hour = w->hour;
        wait_remove(m, i);
        free(it);
        return true;
    }
    m->ready_kinds = 0;
    return false;
}

size_t member_waiting(const struct member_set *m)
{
    return m->wait_count;
}

static struct author *author_of(struct member_set *m, const uint8_t id[32], bool make)
{
    struct author *a = map_get(&m->author_by_id, id, NULL);
    if (a || !make || m->author_count == SET_AUTHORS_MAX)
        return a;
    a = calloc(1, sizeof *a);
    if (!a || !map_add(&m->author_by_id, id, a)) {
        free(a);
        return NULL;
    }
    memcpy(a->id, id, 32);
    m->authors[m->author_count++] = a;
    return a;
}

/* Kinds whose number nothing else bounds. */
static bool has_quota(uint8_t kind)
{
    switch (kind) {
    case STMT_GENESIS:
    case STMT_ENVELOPE:
    case STMT_ADMISSION:
    case STMT_RECEIPT:
    case STMT_RECORD:
    case STMT_REVOCATION:
    case STMT_ACK:
        return false;
    default:
        return true;
    }
}

/* One stays of each author, but each new one goes to every machine. */
static clan_status renewals_check(
    struct member_set *m, const struct plan *p, bool commit, struct clan_error *e)
{
    struct author *a = p->hour ? author_of(m, p->s.author, commit) : NULL;
    if (!a)
        return CLAN_OK;
    if (a->records_hour == p->hour && a->records >= MEMBER_RECORDS_PER_HOUR) {
        char name[33];
        machine_label(m, p->s.author, name);
        err_set(e, CLAN_E_LIMIT, "%s renewed its addresses more than %u times in an hour", name,
            MEMBER_RECORDS_PER_HOUR);
        err_why(e, "a machine does so by itself far less often; it may run twice, or lie");
        err_remedy(e, "look at that machine; what is newest is taken in the next hour");
        alarm_raise(m, MEMBER_ALARM_QUOTA, p->s.author, 32,
            "%s renews its addresses all the time; the renewals are not passed on.", name);
        return CLAN_E_LIMIT;
    }
    if (!commit)
        return CLAN_OK;
    a->records = a->records_hour == p->hour ? a->records + 1 : 1;
    a->records_hour = p->hour;
    return CLAN_OK;
}

static clan_status over_quota(struct member_set *m, const struct plan *p, struct clan_error *e)
{
    char name[33];
    const char *admin = NULL;
    machine_label(m, p->s.author, name);
    if (member_is_admin(m, p->s.author, &admin))
        memcpy(name, admin, sizeof name);
    err_set(e, CLAN_E_LIMIT, "%s signed more statements than one may", name);
    err_why(e, "%u an hour and %u KiB in all", MEMBER_NEW_PER_HOUR, SET_AUTHOR_BYTES >> 10);
    err_remedy(e, "wait up to an hour; one invitation can be for several: clan invite --uses 5");
    alarm_raise(m, MEMBER_ALARM_QUOTA, p->s.author, 32,
        "%s signed more statements than one may; they are not passed on.", name);
    return CLAN_E_LIMIT;
}

clan_status quota_check(
    struct member_set *m, const struct plan *p, bool commit, struct clan_error *e)
{
    if (m->bytes + p->item->size > MEMBER_SET_MAX_BYTES) {
        alarm_raise(m, MEMBER_ALARM_QUOTA, m->clan, 32,
            "This clan's statements fill %u MiB; no more are taken.", MEMBER_SET_MAX_BYTES >> 20);
        return err_set(e, CLAN_E_LIMIT, "the statements of this clan fill their %u MiB",
            MEMBER_SET_MAX_BYTES >> 20);
    }
    if (p->s.kind == STMT_RECORD)
        return renewals_check(m, p, commit, e);
    if (!has_quota(p->s.kind))
        return CLAN_OK;
    struct author *a = author_of(m, p->s.author, commit);
    if (!a)
        return commit ? CLAN_E_LIMIT : CLAN_OK;
    bool stored_only = p->s.kind != STMT_INVITATION;
    bool counts = p->hour > 0;
    if (counts && a->hour == p->hour && a->in_hour >= MEMBER_NEW_PER_HOUR)
        return over_quota(m, p, e);
    if (stored_only && a->bytes + p->item->size > SET_AUTHOR_BYTES)
        return over_quota(m, p, e);
    if (!commit)
        return CLAN_OK;
    if (counts && a->hour != p->hour) {
        a->hour = p->hour;
        a->in_hour = 0;
    }
    a->in_hour += counts;
    a->bytes += stored_only ? p->item->size : 0;
    return CLAN_OK;
}
