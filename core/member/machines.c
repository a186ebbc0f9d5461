/* Machines: records, acknowledgements, revocations, and kinds that this release only stores. */
#include "base/error.h"
#include "member/set.h"
#include "noise/keys.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t zero[32];

struct machine *machine_get(const struct member_set *m, const uint8_t id[32])
{
    return map_get(&m->machine_by_id, id, NULL);
}

struct revoked *revoked_get(const struct member_set *m, const uint8_t id[32])
{
    return map_get(&m->revoked_by_id, id, NULL);
}

void machine_key_id(uint8_t purpose, const uint8_t key[32], uint8_t ret_key[32])
{
    memcpy(ret_key, key, 32);
    ret_key[31] ^=
        (uint8_t)(purpose << 3); /* X25519 keys have no use for the top of the last byte */
}

static bool keys_index(struct member_set *m, struct machine *x)
{
    const struct stmt_record *r = &x->pub.record;
    bool ok = true;
    for (unsigned i = 0; i < r->key_count; i++) {
        uint8_t key[32];
        machine_key_id(r->keys[i].purpose, r->keys[i].key, key);
        ok = ok && map_add(&m->machine_by_key, key, x);
    }
    return ok;
}

static void keys_unindex(struct member_set *m, struct machine *x)
{
    const struct stmt_record *r = &x->pub.record;
    for (unsigned i = 0; i < r->key_count; i++) {
        uint8_t key[32];
        machine_key_id(r->keys[i].purpose, r->keys[i].key, key);
        map_del(&m->machine_by_key, key, x);
    }
}

struct machine *machine_new(
    struct member_set *m, const uint8_t id[32], const struct stmt_record *first)
{
    uint8_t key[32];
    struct machine *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    memcpy(x->pub.id, id, 32);
    keys_machine_address(m->clan, id, x->pub.address);
    x->first = x->pub.record = *first;
    x->pub.record_seq = 1;
    set_prefix_key(x->pub.address, key);
    if (!set_grow(&m->machines, &m->machine_cap, m->machine_count, sizeof *m->machines) ||
        !map_add(&m->machine_by_id, id, x)) {
        free(x);
        return NULL;
    }
    if (!map_add(&m->machine_by_address, key, x) || !keys_index(m, x)) {
        map_del(&m->machine_by_address, key, x);
        map_del(&m->machine_by_id, id, x);
        keys_unindex(m, x);
        free(x);
        return NULL;
    }
    m->machines[m->machine_count++] = x;
    return x;
}

bool machine_anchored(const struct machine *x)
{
    for (unsigned i = 0; i < x->admission_count; i++)
        if (!x->admissions[i].invite)
            return true;
    return x->by_keepers.item || x->by_admin[0].item;
}

static void record_show(
    struct member_set *m, struct machine *x, const struct stmt_record *r, uint64_t seq)
{
    keys_unindex(m, x);
    x->pub.record = *r;
    x->pub.record_seq = seq;
    (void)keys_index(m, x);
}

void machine_purge(struct member_set *m, struct machine *x)
{
    set_drop(m, x->records[0]);
    set_drop(m, x->records[1]);
    set_drop(m, x->ack);
    x->records[0] = x->records[1] = x->ack = NULL;
    x->pub.acked_version = x->ack_seq = 0;
    memset(x->pub.acked_revocations, 0, 32);
    x->pub.clone = false;
    record_show(m, x, &x->first, 1);
    for (size_t i = m->item_count; i > 0; i--) {
        struct item *it = m->items[i - 1];
        bool stored_only = it->kind >= STMT_KINDS || it->kind == STMT_ROTATION ||
                           it->kind == STMT_SUSPEND ||
                           (it->kind >= STMT_KEEPERS && it->kind < STMT_KINDS);
        if (stored_only && !memcmp(it->author, x->pub.id, 32))
            set_drop(m, it);
    }
}

/* The author's machine, and that it signed.  NULL with CLAN_OK: it is not known yet, p waits. */
static clan_status by_machine(
    struct member_set *m, struct plan *p, const char *what, struct clan_error *e)
{
    memcpy(p->item->subject, p->s.author, 32);
    const struct machine *x = p->machine = machine_get(m, p->s.author);
    if (!x)
        return plan_waits(p, NEEDS(STMT_ADMISSION), p->s.author);
    if (x->pub.standing == MEMBER_REVOKED)
        return err_set(e, CLAN_E_REVOKED, "%s of a machine that was removed", what);
    if (!stmt_signed_by(&p->s, x->first.identity))
        return err_set(e, CLAN_E_AUTH, "%s that its machine did not sign", what);
    return CLAN_OK;
}

clan_status record_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    if (stmt_get_record(&p->s, &p->record) != CLAN_OK || p->record.generation != 1)
        return err_set(e, CLAN_E_INVAL, "a machine record that is malformed");
    if (!memcmp(p->s.author, zero, 32)) { /* a first record: it lives in its admission */
        p->known = machine_get(m, p->s.id) != NULL;
        return p->known ? CLAN_OK
                        : err_set(e, CLAN_E_AUTH, "a record of a machine that nobody admitted");
    }
    clan_status r = by_machine(m, p, "a record", e);
    if (r != CLAN_OK || p->waits_for)
        return r;
    const struct machine *x = p->machine;
    if (p->s.seq < 2 || memcmp(p->record.identity, x->first.identity, 32) ||
        stmt_record_of_phone(&p->record) != stmt_record_of_phone(&x->first))
        return err_set(
            e, CLAN_E_INVAL, "a record with another identity, number or kind than its machine's");
    uint64_t have = x->records[0] ? x->pub.record_seq : 1;
    if (p->s.seq < have)
        p->known = true;
    else if (p->s.seq == have && x->records[1]) /* two show the clone; the lowest stay */
        p->known = memcmp(p->s.id, x->records[1]->id, 32) > 0;
    return CLAN_OK;
}

static void clone_alarm(struct member_set *m, const struct machine *x)
{
    char name[33];
    machine_label(m, x->pub.id, name);
    alarm_raise(m, MEMBER_ALARM_CLONE, x->pub.id, 32,
        "%s runs twice: two records with number %llu were signed by it. A copied disk or VM? "
        "Switch one "
        "of the two off; both stay without a path until then.",
        name, (unsigned long long)x->pub.record_seq);
}

clan_status record_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    struct machine *x = p->machine;
    struct item **r = x->records;
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    ret->changed |= MEMBER_CHANGED_MACHINE;
    if (!r[0] || p->s.seq > x->pub.record_seq) {
        set_drop(m, r[0]);
        set_drop(m, r[1]);
        r[0] = p->item;
        r[1] = NULL;
        x->pub.clone = false;
        record_show(m, x, &p->record, p->s.seq);
        return CLAN_OK;
    }
    set_drop(m, r[1]);
    r[1] = p->item;
    if (memcmp(r[1]->id, r[0]->id, 32) < 0) {
        r[1] = r[0];
        r[0] = p->item;
        record_show(m, x, &p->record, p->s.seq);
    }
    x->pub.clone = true;
    clone_alarm(m, x);
    return CLAN_OK;
}

clan_status ack_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    if (stmt_get_ack(&p->s, &p->b.ack) != CLAN_OK)
        return err_set(e, CLAN_E_INVAL, "an acknowledgement that is malformed");
    clan_status r = by_machine(m, p, "an acknowledgement", e);
    if (r != CLAN_OK || p->waits_for)
        return r;
    const struct machine *x = p->machine;
    if (x->ack)
        p->known = p->s.seq < x->ack_seq ||
                   (p->s.seq == x->ack_seq && memcmp(x->ack->id, p->s.id, 32) <= 0);
    return CLAN_OK;
}

clan_status ack_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    struct machine *x = p->machine;
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    set_drop(m, x->ack);
    x->ack = p->item;
    x->ack_seq = p->s.seq;
    x->pub.acked_version = p->b.ack.config_version;
    memcpy(x->pub.acked_revocations, p->b.ack.revocations, 32);
    ret->changed |= MEMBER_CHANGED_ACK;
    return CLAN_OK;
}

static clan_status removal_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    const struct stmt_revocation *b = &p->b.revocation;
    const struct adminset *a = chain_admins(m, b->config_version);
    if (b->config_version == 0)
        return err_set(e, CLAN_E_INVAL, "a removal of no configuration version");
    if (!a)
        return plan_waits(p, NEEDS(STMT_ENVELOPE), NULL);
    if (chain_signers(&p->s, a) < a->threshold) {
        err_set(e, CLAN_E_AUTH, "a removal that is not signed by enough admins");
        err_why(e, "%u of the %u admins of version %llu have to sign", a->threshold, a->count,
            (unsigned long long)b->config_version);
        return CLAN_E_AUTH;
    }
    p->by_admin = true;
    const struct revoked *have = revoked_get(m, b->machine);
    if (have && have->removed)
        p->known = have->config_version > b->config_version ||
                   (have->config_version == b->config_version &&
                       memcmp(have->removed->id, p->s.id, 32) <= 0);
    if (!have && m->revoked_count >= 2 * MEMBER_MACHINES_MAX)
        return err_set(e, CLAN_E_LIMIT, "more removals than a clan can have");
    return CLAN_OK;
}

clan_status revocation_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    struct stmt_revocation *b = &p->b.revocation;
    if (stmt_get_revocation(&p->s, b) != CLAN_OK || b->generation > 1 ||
        (b->reason != STMT_REVOKE_REMOVED && b->reason != STMT_REVOKE_LEFT))
        return err_set(e, CLAN_E_INVAL, "a removal that is malformed");
    memcpy(p->item->subject, b->machine, 32);
    if (!memcmp(p->s.author, zero, 32))
        return removal_check(m, p, e);
    if (memcmp(p->s.author, b->machine, 32))
        return err_set(e, CLAN_E_AUTH, "a machine that removes another one");
    const struct machine *x = machine_get(m, b->machine);
    if (!x)
        return plan_waits(p, NEEDS(STMT_ADMISSION), b->machine);
    if (!stmt_signed_by(&p->s, x->first.identity))
        return err_set(e, CLAN_E_AUTH, "a leave that its machine did not sign");
    const struct revoked *have = revoked_get(m, b->machine);
    p->known = have && have->left && memcmp(have->left->id, p->s.id, 32) <= 0;
    return CLAN_OK;
}

static struct revoked *revoked_new(struct member_set *m, const uint8_t id[32])
{
    struct revoked *r = calloc(1, sizeof *r);
    if (!r || !set_grow(&m->revoked, &m->revoked_cap, m->revoked_count, sizeof *m->revoked) ||
        !map_add(&m->revoked_by_id, id, r)) {
        free(r);
        return NULL;
    }
    memcpy(r->machine, id, 32);
    m->revoked[m->revoked_count++] = r;
    return r;
}

clan_status revocation_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    const struct stmt_revocation *b = &p->b.revocation;
    struct revoked *r = revoked_get(m, b->machine);
    if (!r && !(r = revoked_new(m, b->machine)))
        return CLAN_E_NOMEM;
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    struct item **slot = p->by_admin ? &r->removed : &r->left;
    set_drop(m, *slot);
    *slot = p->item;
    if (p->by_admin) {
        r->config_version = b->config_version;
        r->judged_at = 0;
        m->removals++;
    }
    ret->changed |= MEMBER_CHANGED_MACHINE | MEMBER_CHANGED_INVITE;
    return CLAN_OK;
}

/* Kinds of later releases: stored for others inside their author's quota, signed by somebody who
 * belongs. */
clan_status other_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    const char *name = stmt_kind_name(p->s.kind);
    if (!memcmp(p->s.author, zero, 32)) {
        for (size_t i = 0; i < m->adminset_count; i++)
            if (chain_signers(&p->s, &m->adminsets[i]) >= m->adminsets[i].threshold) {
                p->by_admin = true;
                return CLAN_OK;
            }
        return err_set(e, CLAN_E_AUTH, "a statement (%s) that too few admins signed", name);
    }
    if (chain_ever_admin(m, p->s.author))
        return stmt_signed_by(&p->s, p->s.author)
                   ? CLAN_OK
                   : err_set(e, CLAN_E_AUTH, "a statement (%s) that its admin did not sign", name);
    clan_status r = by_machine(m, p, "a statement", e);
    if (r == CLAN_OK && !p->waits_for && !machine_anchored(p->machine))
        return plan_waits(p, NEEDS(STMT_RECEIPT), p->s.author);
    return r;
}

clan_status other_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    (void)ret;
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    m->critical_count += p->s.critical && p->by_admin;
    return CLAN_OK;
}

size_t member_count(const struct member_set *m)
{
    return m->machine_count;
}

const struct member_machine *member_at(const struct member_set *m, size_t index)
{
    return index < m->machine_count ? &m->machines[index]->pub : NULL;
}

const struct member_machine *member_find(const struct member_set *m, const uint8_t id[32])
{
    const struct machine *x = machine_get(m, id);
    return x ? &x->pub : NULL;
}

static bool since_first(const struct machine *x, uint8_t purpose, const uint8_t key[32])
{
    const uint8_t *have = stmt_record_find(&x->first, purpose);
    return have && !memcmp(have, key, 32);
}

/* A key in two records (nobody proves an X25519 key): who had it from the first record on, which
 * its door compared with all others; then the better standing, then the lower ID. */
static bool better(
    const struct machine *a, const struct machine *b, uint8_t purpose, const uint8_t key[32])
{
    bool a_first = since_first(a, purpose, key), b_first = since_first(b, purpose, key);
    if (a_first != b_first)
        return a_first;
    static const uint8_t rank[] = {[MEMBER_UNKNOWN] = 0,
        [MEMBER_REVOKED] = 1,
        [MEMBER_PROVISIONAL] = 2,
        [MEMBER_CONFIRMED] = 3};
    if (rank[a->pub.standing] != rank[b->pub.standing])
        return rank[a->pub.standing] > rank[b->pub.standing];
    return memcmp(a->pub.id, b->pub.id, 32) < 0;
}

const struct member_machine *member_find_key(
    const struct member_set *m, uint8_t purpose, const uint8_t key[32], bool revoked_too)
{
    uint8_t id[32];
    size_t iter;
    const struct machine *best = NULL;
    machine_key_id(purpose, key, id);
    for (const struct machine *x = map_get(&m->machine_by_key, id, &iter); x;
         x = map_next(&m->machine_by_key, id, &iter)) {
        const uint8_t *have = stmt_record_find(&x->pub.record, purpose);
        if (!have || memcmp(have, key, 32) || (x->pub.standing == MEMBER_REVOKED && !revoked_too))
            continue;
        if (!best || better(x, best, purpose, key))
            best = x;
    }
    return best ? &best->pub : NULL;
}

const struct member_machine *member_find_address(const struct member_set *m, const uint8_t addr[16])
{
    uint8_t key[32];
    set_prefix_key(addr, key);
    const struct machine *x = map_get(&m->machine_by_address, key, NULL);
    return x ? &x->pub : NULL;
}
