/* Admissions and receipts: what verifies, and what they hang on (SECURITY A1, A2, B2, D3). */
#include "base/error.h"
#include "member/set.h"
#include "noise/keys.h"

#include <sodium.h>
#include <string.h>

/* The joiner's first record, inside the admission: its ID is the machine's. */
static clan_status inner_record(
    const struct member_set *m, struct plan *p, struct stmt *r, struct clan_error *e)
{
    static const uint8_t zero[32];
    const struct stmt_admission *b = &p->b.admission;
    if (stmt_parse(b->record, b->record_size, r, e) != CLAN_OK || r->kind != STMT_RECORD ||
        r->seq != 1 || memcmp(r->author, zero, 32) || memcmp(r->clan, m->clan, 32) ||
        stmt_get_record(r, &p->record) != CLAN_OK || p->record.generation != 1)
        return err_set(e, CLAN_E_INVAL, "an admission whose machine record is malformed");
    memcpy(p->machine_id, r->id, 32);
    memcpy(p->item->subject, r->id, 32);
    return CLAN_OK;
}

static clan_status address_free(
    const struct member_set *m, const struct plan *p, struct clan_error *e)
{
    uint8_t addr[16];
    keys_machine_address(m->clan, p->machine_id, addr);
    const struct member_machine *other = member_find_address(m, addr);
    if (other && memcmp(other->id, p->machine_id, 32))
        return err_set(e, CLAN_E_CONFLICT, "an admission for an address that is taken");
    return CLAN_OK;
}

static clan_status admission_room(const struct member_set *m, struct plan *p, struct clan_error *e)
{
    const struct machine *x = p->machine = machine_get(m, p->machine_id);
    if (!x && m->machine_count >= MEMBER_MACHINES_MAX)
        return err_set(
            e, CLAN_E_LIMIT, "this clan has %u machines, and no more fit", MEMBER_MACHINES_MAX);
    unsigned by_door = 0;
    for (unsigned i = 0; x && i < x->admission_count; i++)
        by_door += !memcmp(x->admissions[i].door, p->s.author, 32);
    if (x && (x->admission_count >= SET_ADMISSIONS_MAX || by_door >= SET_PER_DOOR))
        return err_set(e, CLAN_E_LIMIT, "one more admission of a machine that has enough of them");
    return CLAN_OK;
}

static clan_status founder_check(
    struct member_set *m, struct plan *p, const struct stmt *record, struct clan_error *e)
{
    const struct adminset *a = chain_admins(m, 1);
    if (!stmt_signed_by(record, p->record.identity) || chain_signers(&p->s, a) == 0)
        return err_set(e, CLAN_E_AUTH, "a founder that the genesis' admin did not sign for");
    p->founder = true;
    return address_free(m, p, e);
}

static clan_status proof_check(const struct member_set *m, const struct plan *p,
    const struct stmt *record, struct clan_error *e)
{
    uint8_t text[KEYS_PROOF_MAX];
    const struct stmt_admission *b = &p->b.admission;
    unsigned n = keys_join_proof(m->clan, b->invite_id, b->record, b->record_size, text);
    if (crypto_sign_verify_detached(b->proof, text, n, p->invite->pub.body.public_key) != 0)
        return err_set(e, CLAN_E_AUTH, "an admission without the invitation's proof");
    if (!stmt_signed_by(record, p->record.identity))
        return err_set(e, CLAN_E_AUTH, "an admission of a record that its machine did not sign");
    return CLAN_OK;
}

static clan_status joiner_check(
    struct member_set *m, struct plan *p, const struct stmt *record, struct clan_error *e)
{
    uint8_t key[32];
    const struct stmt_admission *b = &p->b.admission;
    set_prefix_key(b->invite_id, key);
    if (!(p->invite = invite_get(m, b->invite_id)))
        return plan_waits(p, NEEDS(STMT_INVITATION), key);
    if (!memcmp(p->s.author, p->machine_id, 32))
        return err_set(e, CLAN_E_AUTH, "a machine that admits itself");
    const struct machine *door = machine_get(m, p->s.author);
    if (!door)
        return plan_waits(p, NEEDS(STMT_ADMISSION), p->s.author);
    if (!stmt_signed_by(&p->s, door->first.identity))
        return err_set(e, CLAN_E_AUTH, "an admission that its door did not sign");
    if (!machine_anchored(door)) /* nobody confirmed the door, as far as is known here */
        return plan_waits(p, NEEDS(STMT_RECEIPT), p->s.author);
    if (p->invite->admissions >= (uint64_t)p->invite->pub.body.uses + SET_OVER_USES)
        return err_set(e, CLAN_E_LIMIT, "an invitation for %u machines was used far more often",
            p->invite->pub.body.uses);
    clan_status r = proof_check(m, p, record, e);
    return r == CLAN_OK ? address_free(m, p, e) : r;
}

clan_status admission_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    struct stmt record;
    struct stmt_admission *b = &p->b.admission;
    if (stmt_get_admission(&p->s, b) != CLAN_OK)
        return err_set(e, CLAN_E_INVAL, "an admission that is malformed");
    clan_status r = inner_record(m, p, &record, e);
    if (r == CLAN_OK && (b->how == STMT_ADMIT_PHONE) != stmt_record_of_phone(&p->record))
        return err_set(e, CLAN_E_INVAL, "a phone admitted as a machine, or a machine as a phone");
    if (r == CLAN_OK)
        r = admission_room(m, p, e);
    if (r != CLAN_OK)
        return r;
    return b->how == STMT_ADMIT_FOUNDER ? founder_check(m, p, &record, e)
                                        : joiner_check(m, p, &record, e);
}

clan_status admission_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    struct machine *x = p->machine;
    if (!x && !(x = machine_new(m, p->machine_id, &p->record)))
        return CLAN_E_NOMEM;
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    struct admission *a = &x->admissions[x->admission_count++];
    memset(a, 0, sizeof *a);
    a->item = p->item;
    a->invite = p->founder ? NULL : p->invite;
    a->phone = p->b.admission.how == STMT_ADMIT_PHONE;
    memcpy(a->door, p->founder ? (uint8_t[32]){0} : p->s.author, 32);
    if (a->invite)
        a->invite->admissions++;
    ret->changed |= MEMBER_CHANGED_MACHINE;
    return CLAN_OK;
}

/* Signers among one set of keepers; those that an admin removed do not count when strict. */
static unsigned keepers_signed(const struct member_set *m, const struct stmt *s,
    const struct keeperset *k, bool strict, bool *ret_unknown)
{
    unsigned n = 0;
    for (unsigned i = 0; i < k->count; i++) {
        const struct machine *x = machine_get(m, k->ids[i]);
        const struct revoked *r = revoked_get(m, k->ids[i]);
        *ret_unknown |= !x;
        if (x && !(strict && r && r->removed) && stmt_signed_by(s, x->first.identity))
            n++;
    }
    return n;
}

/* Keepers that were none any more when the invitation was made (its version: since) confirm nobody by
 * it; what they signed for earlier ones stays. */
static bool majority(const struct member_set *m, const struct stmt *s, uint32_t generation,
    uint64_t since, bool strict, bool *ret_unknown)
{
    for (size_t i = m->keeperset_count; i > 0; i--) {
        const struct keeperset *k = &m->keepersets[i - 1];
        if (k->generation != generation || k->count == 0 || k->until < since)
            continue;
        if (keepers_signed(m, s, k, strict, ret_unknown) * 2 > k->count)
            return true;
    }
    return false;
}

bool receipt_has_majority(
    const struct member_set *m, const struct stmt *s, uint32_t generation, bool strict)
{
    bool unknown = false;
    return majority(m, s, generation, 0, strict, &unknown);
}

static clan_status receipt_authority(
    struct member_set *m, struct plan *p, const struct invite *in, struct clan_error *e)
{
    uint64_t since = in ? in->pub.body.config_version : 0;
    bool unknown = false;
    if (chain_ever_admin(m, p->s.author)) {
        p->by_admin = true;
        return stmt_signed_by(&p->s, p->s.author)
                   ? CLAN_OK
                   : err_set(e, CLAN_E_AUTH, "a receipt that its admin did not sign");
    }
    const struct machine *author = machine_get(m, p->s.author);
    if (author && !stmt_signed_by(&p->s, author->first.identity))
        return err_set(e, CLAN_E_AUTH, "a receipt that its author did not sign");
    if (majority(m, &p->s, p->b.receipt.generation, since, false, &unknown))
        return CLAN_OK;
    /* its keepers may stand in a later version, and their machines may not be known yet */
    return plan_waits(p, NEEDS(STMT_ENVELOPE) | NEEDS(STMT_ADMISSION), NULL);
}

/* Is what is here better?  Higher generation, then higher revision, then the lower ID. */
static bool receipt_is_old(const struct receipt *have, const struct plan *p)
{
    const struct stmt_receipt *a = &have->body, *b = &p->b.receipt;
    if (!have->item)
        return false;
    if (a->generation != b->generation)
        return a->generation > b->generation;
    if (a->revision != b->revision)
        return a->revision > b->revision;
    return memcmp(have->item->id, p->s.id, 32) <= 0;
}

/* Each admin has a place of its own: a key that was removed cannot push out what another one
 * signed. */
static struct receipt *receipt_slot(struct machine *x, const struct plan *p)
{
    if (!p->by_admin)
        return &x->by_keepers;
    struct receipt *empty = NULL;
    for (unsigned i = 0; i < SET_ADMIN_RECEIPTS; i++) {
        struct receipt *r = &x->by_admin[i];
        if (r->item && !memcmp(r->item->author, p->s.author, 32))
            return r;
        if (!r->item && !empty)
            empty = r;
    }
    return empty;
}

clan_status receipt_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    static const uint8_t zero[16];
    struct stmt_receipt *b = &p->b.receipt;
    if (stmt_get_receipt(&p->s, b) != CLAN_OK)
        return err_set(e, CLAN_E_INVAL, "a receipt that is malformed");
    memcpy(p->item->subject, b->machine, 32);
    struct machine *x = p->machine = machine_get(m, b->machine);
    const struct admission *a = NULL;
    for (unsigned i = 0; x && i < x->admission_count; i++)
        if (!memcmp(x->admissions[i].item->id, b->admission, 32))
            a = &x->admissions[i];
    if (!a)
        return plan_waits(p, NEEDS(STMT_ADMISSION), b->machine);
    if (memcmp(a->invite ? a->invite->pub.id : zero, b->invite_id, 16))
        return err_set(
            e, CLAN_E_INVAL, "a receipt that names another invitation than its admission");
    clan_status r = receipt_authority(m, p, a->invite, e);
    if (r != CLAN_OK || p->waits_for)
        return r;
    if (!p->by_admin && b->slot >= b->uses)
        return err_set(e, CLAN_E_INVAL, "a receipt for place %u of %u", b->slot + 1, b->uses);
    if (!(p->slot = receipt_slot(x, p)))
        return err_set(e, CLAN_E_LIMIT, "a machine that enough admins signed for");
    p->known = receipt_is_old(p->slot, p);
    return CLAN_OK;
}

clan_status receipt_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    struct receipt *slot = p->slot;
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    set_drop(m, slot->item);
    slot->item = p->item;
    slot->strict_stamp = 0;
    slot->body = p->b.receipt;
    ret->changed |= MEMBER_CHANGED_MACHINE;
    return CLAN_OK;
}
