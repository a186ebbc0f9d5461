/*
 * Standings, conflicts, keepers and closed invitations: computed from what is in the set and from
 * nothing else, so every order of arrival ends the same (SECURITY A2, A3, A10, C4, D3).
 */
#include "member/set.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t nobody[32];

static bool named_keeper_first(const struct member_set *m, const struct machine *x)
{
    if (m->version_count < 2 || m->versions[1].keepers == UINT32_MAX)
        return false;
    const struct keeperset *k = &m->keepersets[m->versions[1].keepers];
    for (unsigned i = 0; i < k->count; i++)
        if (!memcmp(k->ids[i], x->pub.id, 32))
            return true;
    return false;
}

static bool has_founder_admission(const struct machine *x)
{
    for (unsigned i = 0; i < x->admission_count; i++)
        if (!x->admissions[i].invite)
            return true;
    return false;
}

/* One founder: the one that version 2 names as keeper; two without that is a genesis key that
 * signed twice. */
static void derive_founders(struct member_set *m)
{
    struct machine *named = NULL;
    unsigned claims = 0;
    for (size_t i = 0; i < m->machine_count; i++) {
        struct machine *x = m->machines[i];
        x->pub.founder = has_founder_admission(x);
        claims += x->pub.founder;
        if (x->pub.founder && named_keeper_first(m, x))
            named = x;
    }
    for (size_t i = 0; claims > 1 && i < m->machine_count; i++) {
        struct machine *x = m->machines[i];
        if (!x->pub.founder || x == named)
            continue;
        x->pub.founder = !named;
        x->pub.conflict = !named;
        alarm_raise(m, MEMBER_ALARM_SHARED_LINK, x->pub.id, 32,
            "More than one machine claims to have founded this clan: the first admin key signed "
            "twice.");
    }
}

/* Today's admins stand behind it, whatever its date. */
static bool removed_today(const struct member_set *m, struct revoked *r)
{
    struct stmt s;
    const struct adminset *a = chain_admins(m, m->version_count);
    if (r->judged_at != m->version_count) { /* signatures are looked at once a version */
        r->judged_at = m->version_count;
        r->by_todays = a && stmt_parse(r->removed->raw, r->removed->size, &s, NULL) == CLAN_OK &&
                       chain_signers(&s, a) >= a->threshold;
    }
    return r->by_todays;
}

/* A removal by former admins counts when it is not older than the invitation: keys that were
 * retired before a machine came cannot remove it by an old date. */
static bool is_revoked(const struct member_set *m, struct machine *x)
{
    struct revoked *r = revoked_get(m, x->pub.id);
    if (!r)
        return false;
    uint64_t lowest = UINT64_MAX;
    for (unsigned i = 0; i < x->admission_count; i++) {
        const struct invite *in = x->admissions[i].invite;
        uint64_t v = !in        ? 1
                     : in->open ? in->open_body.config_version
                                : in->closed_body.config_version;
        lowest = v < lowest ? v : lowest;
    }
    bool removed = r->removed && (r->config_version >= lowest || removed_today(m, r));
    const struct item *by = removed ? r->removed : r->left;
    if (by)
        memcpy(x->pub.revocation_id, by->id, 32);
    return by != NULL;
}

static const struct receipt *admin_receipt(const struct member_set *m, const struct machine *x)
{
    const struct receipt *best = NULL;
    for (unsigned i = 0; i < SET_ADMIN_RECEIPTS; i++) {
        const struct receipt *r = &x->by_admin[i];
        if (r->item && !chain_key_removed(m, r->item->author) &&
            (!best || memcmp(r->item->id, best->item->id, 32) < 0))
            best = r;
    }
    return best;
}

static bool strict_majority(const struct member_set *m, struct receipt *r)
{
    struct stmt s;
    /* signatures are not looked at again before keepers, their machines or removals change; none
     * of these numbers ever falls */
    uint64_t stamp = (uint64_t)m->removals + m->keeperset_count + m->machine_count + 1;
    if (r->strict_stamp == stamp)
        return r->strict;
    r->strict_stamp = stamp;
    r->strict = stmt_parse(r->item->raw, r->item->size, &s, NULL) == CLAN_OK &&
                receipt_has_majority(m, &s, r->body.generation, true);
    return r->strict;
}

/* D3: what a removed door signed counts by the word of somebody else. */
static enum admission_worth worth_of(
    const struct member_set *m, struct machine *x, const struct admission *a)
{
    if (!a->invite)
        return x->pub.founder ? WORTH_FULL : WORTH_NOTHING;
    /* a phone comes by an invitation that names its gateway, and by that gateway; nobody else does */
    if (memcmp(a->invite->pub.body.gateway, a->phone ? a->door : nobody, 32))
        return WORTH_NOTHING;
    const struct revoked *door = revoked_get(m, a->door);
    const struct machine *d = machine_get(m, a->door);
    if (!door || !d || d->pub.standing != MEMBER_REVOKED)
        return WORTH_FULL;
    const struct receipt *by_admin = admin_receipt(m, x);
    if (by_admin && !memcmp(by_admin->body.admission, a->item->id, 32))
        return WORTH_FULL;
    struct receipt *k = &x->by_keepers;
    if (!k->item || memcmp(k->body.admission, a->item->id, 32))
        return WORTH_NOTHING;
    return !door->removed || strict_majority(m, k) ? WORTH_FULL : WORTH_GUEST;
}

static const struct admission *admission_by_id(const struct machine *x, const uint8_t id[32])
{
    for (unsigned i = 0; i < x->admission_count; i++)
        if (!memcmp(x->admissions[i].item->id, id, 32))
            return &x->admissions[i];
    return NULL;
}

static bool uses_invite(const struct machine *x, const struct invite *in)
{
    for (unsigned i = 0; i < x->admission_count; i++)
        if (x->admissions[i].invite == in && x->admissions[i].worth != WORTH_NOTHING)
            return true;
    return false;
}

static int by_slot(const void *a, const void *b)
{
    const struct machine *const *x = a, *const *y = b;
    const struct stmt_receipt *p = &(*x)->by_keepers.body, *q = &(*y)->by_keepers.body;
    if (p->generation != q->generation)
        return p->generation < q->generation ? -1 : 1;
    return p->slot < q->slot ? -1 : p->slot > q->slot;
}

static bool slot_of(const struct machine *x, const struct invite *in)
{
    return x->by_keepers.item && !memcmp(x->by_keepers.body.invite_id, in->pub.id, 16);
}

/* Two receipts for one place: both fall back until an admin signs. */
static void derive_slots(struct member_set *m, struct invite *in, struct machine **of, size_t count)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (slot_of(of[i], in))
            of[n++] = of[i];
    qsort(of, n, sizeof *of, by_slot);
    for (size_t i = 1; i < n; i++) {
        if (by_slot(&of[i - 1], &of[i]))
            continue;
        char a[MACHINE_CARD_MAX], b[MACHINE_CARD_MAX];
        of[i - 1]->pub.conflict = of[i]->pub.conflict = true;
        machine_card(m, of[i - 1], in, a);
        machine_card(m, of[i], in, b);
        alarm_raise(m, MEMBER_ALARM_TWO_RECEIPTS, in->pub.id, 16,
            "%s and %s were both given place %u of one invitation: both wait until an admin says "
            "which.",
            a, b, of[i]->by_keepers.body.slot + 1);
    }
}

static void derive_invite(
    struct member_set *m, struct invite *in, struct machine **of, size_t count)
{
    in->pub.admitted = (uint32_t)count;
    if (count > in->pub.body.uses) {
        char a[MACHINE_CARD_MAX], b[MACHINE_CARD_MAX];
        machine_card(m, of[0], in, a);
        machine_card(m, of[1], in, b);
        alarm_raise(m, MEMBER_ALARM_SHARED_LINK, in->pub.id, 16,
            "An invitation for %u was used by %zu machines, %s and %s%s: the link was shared. %s",
            in->pub.body.uses, count, a, b, count > 2 ? " and others" : "",
            in->pub.body.uses == 1 ? "All of them wait until an admin says which."
                                   : "Those over the number wait.");
        for (size_t i = 0; in->pub.body.uses == 1 && i < count; i++)
            of[i]->pub.conflict = true;
    }
    if (count > 1)
        derive_slots(m, in, of, count);
}

/* Who came by each invitation: one pass over the machines, grouped. */
static void derive_invites(struct member_set *m)
{
    struct pair {
        struct invite *in;
        struct machine *x;
    };
    size_t cap = 0;
    for (size_t i = 0; i < m->machine_count; i++)
        cap += m->machines[i]->admission_count;
    struct machine **of = calloc(cap + 1, sizeof *of);
    for (size_t i = 0; i < m->invite_count; i++) {
        m->invites[i]->pub.admitted = m->invites[i]->pub.confirmed = 0;
        m->invites[i]->guests = NULL;
    }
    for (size_t i = 0; i < m->machine_count; i++) {
        struct machine *x = m->machines[i];
        for (unsigned k = 0; k < x->admission_count; k++) {
            struct admission *a = &x->admissions[k];
            bool again = false;
            for (unsigned j = 0; j < k; j++)
                again |= x->admissions[j].invite == a->invite;
            if (!a->invite || again || !uses_invite(x, a->invite))
                continue;
            a->machine = x;
            a->next = a->invite->guests;
            a->invite->guests = a;
        }
    }
    for (size_t i = 0; of && i < m->invite_count; i++) {
        struct invite *in = m->invites[i];
        size_t n = 0;
        for (struct admission *a = in->guests; a; a = a->next)
            of[n++] = a->machine;
        if (n)
            derive_invite(m, in, of, n);
    }
    free(of);
}

/* The admission that decides: the one an admin, else the keepers named; else the best of the rest.
 */
static const struct admission *deciding(const struct machine *x, const struct receipt *by_admin)
{
    const struct admission *best = NULL;
    if (by_admin)
        return admission_by_id(x, by_admin->body.admission);
    if (x->by_keepers.item && (best = admission_by_id(x, x->by_keepers.body.admission)) &&
        best->worth != WORTH_NOTHING)
        return best;
    best = NULL;
    for (unsigned i = 0; i < x->admission_count; i++) {
        const struct admission *a = &x->admissions[i];
        if (a->worth == WORTH_NOTHING)
            continue;
        if (!best || (!a->invite && best->invite) ||
            (!a->invite == !best->invite && memcmp(a->item->id, best->item->id, 32) < 0))
            best = a;
    }
    return best;
}

static void show_admission(struct machine *x, const struct admission *a)
{
    if (!a && x->admission_count)
        a = &x->admissions[0];
    if (!a)
        return;
    memcpy(x->pub.admission_id, a->item->id, 32);
    memcpy(x->pub.door, a->door, 32);
    x->pub.phone = a->phone;
    memset(x->pub.invite_id, 0, 16);
    if (a->invite)
        memcpy(x->pub.invite_id, a->invite->pub.id, 16);
}

/* Everything but guests of a door, which depend on the door's standing. */
static void derive_standing(struct member_set *m, struct machine *x)
{
    const struct receipt *by_admin = admin_receipt(m, x);
    const struct admission *a = deciding(x, by_admin);
    const struct receipt *r = by_admin ? by_admin : x->by_keepers.item ? &x->by_keepers : NULL;
    show_admission(x, a);
    x->pub.has_receipt = r != NULL;
    if (r)
        x->pub.receipt = r->body;
    if (x->pub.standing == MEMBER_REVOKED)
        return;
    if (by_admin && a) {
        x->pub.conflict = false; /* an admin has decided */
        x->pub.standing = MEMBER_CONFIRMED;
    } else if (!a || a->worth == WORTH_NOTHING) {
        x->pub.standing = MEMBER_UNKNOWN;
    } else if (!a->invite) {
        x->pub.standing = x->pub.conflict ? MEMBER_PROVISIONAL : MEMBER_CONFIRMED;
    } else if (r && !memcmp(r->body.admission, a->item->id, 32)) {
        bool enough = a->worth == WORTH_FULL && !x->pub.conflict && !a->invite->pub.body.approve &&
                      r->body.slot < a->invite->pub.body.uses;
        x->pub.standing = enough ? MEMBER_CONFIRMED : MEMBER_PROVISIONAL;
    } else {
        x->pub.standing = MEMBER_UNKNOWN;
    }
}

/* Without a receipt: a guest of a door that is itself confirmed. */
static bool is_guest(const struct member_set *m, const struct machine *x)
{
    if (x->pub.standing != MEMBER_UNKNOWN)
        return false;
    for (unsigned i = 0; i < x->admission_count; i++) {
        const struct admission *a = &x->admissions[i];
        const struct machine *d = a->invite ? machine_get(m, a->door) : NULL;
        if (a->worth != WORTH_NOTHING && d && d->pub.standing == MEMBER_CONFIRMED)
            return true;
    }
    return false;
}

/* A3, A10: a removal closes every invitation issued before it, and the one its machine came by. */
static void derive_closed(struct member_set *m)
{
    uint64_t upto = 0;
    for (size_t i = 0; i < m->revoked_count; i++)
        if (m->revoked[i]->removed && m->revoked[i]->config_version > upto)
            upto = m->revoked[i]->config_version;
    for (size_t i = 0; i < m->invite_count; i++) {
        struct invite *in = m->invites[i];
        invite_settle(m, in);
        if (upto && in->pub.body.config_version <= upto)
            in->pub.closed = true;
        for (const struct admission *a = in->guests; a; a = a->next) {
            if (a->machine->pub.standing == MEMBER_REVOKED)
                in->pub.closed = true;
            if (a->machine->pub.standing == MEMBER_CONFIRMED)
                in->pub.confirmed++;
        }
    }
}

void derive(struct member_set *m)
{
    for (size_t i = 0; i < m->invite_count; i++)
        invite_settle(m, m->invites[i]); /* uses */
    for (size_t i = 0; i < m->machine_count; i++) {
        struct machine *x = m->machines[i];
        bool was = x->pub.standing == MEMBER_REVOKED;
        x->pub.conflict = false;
        x->pub.keeper = chain_is_keeper(m, x->pub.id);
        x->pub.standing = is_revoked(m, x) ? MEMBER_REVOKED : MEMBER_UNKNOWN;
        if (x->pub.standing == MEMBER_REVOKED && !was)
            machine_purge(m, x);
    }
    derive_founders(m);
    for (size_t i = 0; i < m->machine_count; i++)
        for (unsigned k = 0; k < m->machines[i]->admission_count; k++)
            m->machines[i]->admissions[k].worth =
                worth_of(m, m->machines[i], &m->machines[i]->admissions[k]);
    derive_invites(m);
    for (size_t i = 0; i < m->machine_count; i++)
        derive_standing(m, m->machines[i]);
    for (size_t i = 0; i < m->machine_count; i++)
        if (is_guest(m, m->machines[i]))
            m->machines[i]->pub.standing = MEMBER_PROVISIONAL;
    derive_closed(m);
    phones_derive(m);
    m->changes++;
}
