/* What a guest may be given: no roster but whom it has to know (SECURITY A2). */
#include "member/set.h"

#include <string.h>

static void see_invite(struct member_set *m, struct invite *in)
{
    uint8_t key[32];
    set_prefix_key(in->pub.id, key);
    if (!map_get(&m->see.invites, key, NULL))
        (void)map_add(&m->see.invites, key, in);
}

/* A machine, and the doors that lead up to it: without them its admission does not verify. */
static void see_machine(struct member_set *m, const uint8_t id[32])
{
    struct machine *todo[64];
    unsigned n = 0;
    struct machine *x = machine_get(m, id);
    if (x)
        todo[n++] = x;
    while (n > 0) {
        x = todo[--n];
        if (map_get(&m->see.machines, x->pub.id, NULL) || !map_add(&m->see.machines, x->pub.id, x))
            continue;
        for (unsigned i = 0; i < x->admission_count; i++) {
            const struct admission *a = &x->admissions[i];
            struct machine *door = a->invite ? machine_get(m, a->door) : NULL;
            if (a->invite)
                see_invite(m, a->invite);
            if (door && n < 64)
                todo[n++] = door;
        }
    }
}

static void see_hosts(struct member_set *m, const struct clan_config *cfg)
{
    for (unsigned i = 0; cfg && i < cfg->service_count; i++) {
        const struct clan_config_service *s = &cfg->services[i];
        for (unsigned k = 0; k < s->allow_count; k++) {
            const struct member_machine *x =
                strcmp(s->allow[k], "provisional") ? NULL : member_by_name(m, cfg, s->on);
            if (x)
                see_machine(m, x->id);
        }
    }
}

/* A shared link is an alarm for both sides: who came by the same one (SECURITY A2, A7). */
static void see_rivals(struct member_set *m, const struct member_machine *whom)
{
    const struct machine *x = whom && whom->conflict ? machine_get(m, whom->id) : NULL;
    for (unsigned k = 0; x && k < x->admission_count; k++)
        for (size_t i = 0; x->admissions[k].invite && i < m->machine_count; i++)
            for (unsigned j = 0; j < m->machines[i]->admission_count; j++)
                if (m->machines[i]->admissions[j].invite == x->admissions[k].invite)
                    see_machine(m, m->machines[i]->pub.id);
}

static void see_compute(struct member_set *m, const struct clan_config *cfg,
    const struct member_machine *whom, const uint8_t own_id[32])
{
    map_free(&m->see.machines);
    map_free(&m->see.invites);
    see_machine(m, own_id);
    if (whom)
        see_machine(m, whom->id);
    see_rivals(m, whom);
    for (unsigned i = 0; m->version_count >= 2 && i < m->head.keeper_count; i++)
        see_machine(m, m->head.keepers[i]);
    /* the first admin's machine; which others are admins' no statement says */
    for (size_t i = 0; i < m->machine_count; i++)
        if (m->machines[i]->pub.founder)
            see_machine(m, m->machines[i]->pub.id);
    see_hosts(m, cfg);
}

static void see_refresh(struct member_set *m, const struct clan_config *cfg,
    const struct member_machine *whom, const uint8_t own_id[32])
{
    uint8_t id[32] = {0};
    if (whom)
        memcpy(id, whom->id, 32);
    if (m->see.valid && m->see.changes == m->changes && m->see.cfg == cfg &&
        m->see.cfg_version == (cfg ? cfg->version : 0) && !memcmp(m->see.whom, id, 32) &&
        !memcmp(m->see.own, own_id, 32))
        return;
    see_compute(m, cfg, whom, own_id);
    m->see.changes = m->changes;
    m->see.cfg = cfg;
    m->see.cfg_version = cfg ? cfg->version : 0;
    memcpy(m->see.whom, id, 32);
    memcpy(m->see.own, own_id, 32);
    m->see.valid = true;
}

/* Computed once per guest and change: what depends on it is the same before and after. */
static struct member_set *cache_of(const struct member_set *m)
{
    union {
        const struct member_set *in;
        struct member_set *out;
    } u = {m};
    return u.out;
}

bool member_may_see(const struct member_set *m, const struct clan_config *cfg,
    const struct member_machine *whom, const uint8_t own_id[32], size_t stmt_index)
{
    if (stmt_index >= m->item_count)
        return false;
    const struct item *it = m->items[stmt_index];
    if (whom && whom->standing == MEMBER_CONFIRMED)
        return true;
    if (whom && whom->standing == MEMBER_REVOKED)
        return it->kind == STMT_REVOCATION && !memcmp(it->subject, whom->id, 32);
    if (whom && whom->standing == MEMBER_UNKNOWN)
        return false;
    see_refresh(cache_of(m), cfg, whom, own_id);
    switch (it->kind) {
    case STMT_GENESIS:
    case STMT_ENVELOPE:
        return true;
    case STMT_INVITATION:
        return map_get(&m->see.invites, it->subject, NULL) != NULL;
    case STMT_ADMISSION:
    case STMT_RECEIPT:
    case STMT_RECORD:
    case STMT_REVOCATION:
    case STMT_ACK:
        return map_get(&m->see.machines, it->subject, NULL) != NULL;
    default:
        return whom && !memcmp(it->author, whom->id, 32);
    }
}

static void call(const struct member_set *m, const struct item *it,
    void (*fn)(void *arg, size_t stmt_index), void *arg)
{
    size_t index = it ? member_stmt_index(m, it->id) : SIZE_MAX;
    if (index != SIZE_MAX)
        fn(arg, index);
}

void member_stmts_of(const struct member_set *m, const uint8_t machine_id[32],
    void (*fn)(void *arg, size_t stmt_index), void *arg)
{
    const struct machine *x = machine_get(m, machine_id);
    const struct revoked *r = revoked_get(m, machine_id);
    if (!x)
        return;
    for (unsigned i = 0; i < x->admission_count; i++) {
        const struct admission *a = &x->admissions[i];
        if (a->invite) {
            call(m, a->invite->open, fn, arg);
            call(m, a->invite->closed, fn, arg);
        }
        call(m, a->item, fn, arg);
    }
    call(m, x->by_keepers.item, fn, arg);
    for (unsigned i = 0; i < SET_ADMIN_RECEIPTS; i++)
        call(m, x->by_admin[i].item, fn, arg);
    call(m, x->records[0], fn, arg);
    call(m, x->records[1], fn, arg);
    if (r) {
        call(m, r->removed, fn, arg);
        call(m, r->left, fn, arg);
    }
}
