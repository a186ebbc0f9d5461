/* Invitations: who may issue how large ones, and their newest state (SECURITY A4, A5, A10). */
#include "base/error.h"
#include "member/set.h"
#include "noise/keys.h"

#include <stdlib.h>
#include <string.h>

struct invite *invite_get(const struct member_set *m, const uint8_t id[16])
{
    uint8_t key[32];
    set_prefix_key(id, key);
    return map_get(&m->invite_by_id, key, NULL);
}

static bool small(const struct stmt_invitation *b)
{
    return b->uses <= SET_SMALL_USES && b->expires >= b->created &&
           b->expires - b->created <= SET_SMALL_SECONDS;
}

/* One admin for a small one and for closing any; M otherwise.  Judged by the admins of its own
 * version. */
static clan_status authority(const struct member_set *m, const struct plan *p, struct clan_error *e)
{
    const struct stmt_invitation *b = &p->b.invitation;
    const struct adminset *a = chain_admins(m, b->config_version);
    unsigned needed = small(b) || b->state == STMT_INVITE_CLOSED ? 1 : a->threshold;
    if (chain_signers(&p->s, a) >= needed)
        return CLAN_OK;
    err_set(e, CLAN_E_AUTH, "an invitation that is not signed by enough admins");
    err_why(e, "one for %u machines and %lld h needs %u", b->uses,
        (long long)((b->expires - b->created) / 3600), needed);
    err_remedy(
        e, "make it for at most %d machines and 24 h, or let more admins sign", SET_SMALL_USES);
    return CLAN_E_AUTH;
}

static bool invite_author_ok(const struct member_set *m, const struct plan *p)
{
    static const uint8_t zero[32];
    const struct adminset *a = chain_admins(m, p->b.invitation.config_version);
    if (!memcmp(p->s.author, zero, 32))
        return true;
    for (unsigned i = 0; i < a->count; i++)
        if (!memcmp(a->keys[i], p->s.author, 32))
            return stmt_signed_by(&p->s, p->s.author);
    return false;
}

/* Is what is here at least as new as p?  Of two that opened it the one of the higher version: a
 * former admin cannot date it back.  Equal numbers: the lower ID, everywhere the same. */
static bool state_is_old(const struct invite *i, const struct plan *p)
{
    const struct stmt_invitation *b = &p->b.invitation;
    bool open = b->state == STMT_INVITE_OPEN;
    const struct item *have = open ? i->open : i->closed;
    uint64_t seq = open ? i->open_seq : i->closed_seq;
    if (!have)
        return false;
    if (open && i->open_body.config_version != b->config_version)
        return i->open_body.config_version > b->config_version;
    return seq != p->s.seq ? seq > p->s.seq : memcmp(have->id, p->s.id, 32) <= 0;
}

clan_status invite_check(struct member_set *m, struct plan *p, struct clan_error *e)
{
    struct stmt_invitation *b = &p->b.invitation;
    uint8_t id[16];
    if (stmt_get_invitation(&p->s, b) != CLAN_OK || b->uses == 0 ||
        (b->state != STMT_INVITE_OPEN && b->state != STMT_INVITE_CLOSED) ||
        b->expires < b->created || b->created < 0)
        return err_set(e, CLAN_E_INVAL, "an invitation that is malformed");
    if (!chain_admins(m, b->config_version))
        return b->config_version == 0
                   ? err_set(e, CLAN_E_INVAL, "an invitation of no configuration version")
                   : plan_waits(p, NEEDS(STMT_ENVELOPE), NULL);
    keys_invite_id(b->public_key, id);
    memcpy(p->item->subject, id, 16);
    struct invite *i = p->invite = invite_get(m, id);
    if (i && state_is_old(i, p)) {
        p->known = true;
        return CLAN_OK;
    }
    if (!i && m->invite_count >= MEMBER_INVITES_MAX)
        return err_set(e, CLAN_E_LIMIT, "this clan has %u invitations, and no more are kept",
            MEMBER_INVITES_MAX);
    if (!invite_author_ok(m, p))
        return err_set(e, CLAN_E_AUTH, "an invitation by somebody who was no admin at version %llu",
            (unsigned long long)b->config_version);
    return authority(m, p, e);
}

/* Is one of those who signed an admin today?  A key that is none any more invites nobody: it could
 * still sign with an old date. */
static bool signer_left(const struct member_set *m, uint64_t version, uint16_t signers)
{
    const struct adminset *a = chain_admins(m, version);
    for (unsigned i = 0; i < a->count; i++)
        if ((signers >> i & 1) && member_is_admin(m, a->keys[i], NULL))
            return true;
    return false;
}

static uint16_t signers_of(const struct member_set *m, const struct plan *p)
{
    const struct adminset *a = chain_admins(m, p->b.invitation.config_version);
    uint16_t mask = 0;
    for (unsigned i = 0; i < a->count; i++)
        if (stmt_signed_by(&p->s, a->keys[i]))
            mask |= (uint16_t)(1u << i);
    return mask;
}

void invite_settle(struct member_set *m, struct invite *i)
{
    bool open = i->open != NULL;
    if (!open && !i->closed)
        return;
    i->pub.body = open ? i->open_body : i->closed_body;
    memcpy(i->pub.by, open ? i->open_by : i->closed_by, 32);
    memcpy(i->pub.statement_id, open ? i->open->id : i->closed->id, 32);
    bool withdrawn = i->closed && (!open || i->closed_seq >= i->open_seq);
    if (withdrawn)
        i->pub.body.state = STMT_INVITE_CLOSED;
    i->pub.closed = withdrawn || !signer_left(m, i->open_body.config_version, i->open_signers);
}

static struct invite *invite_new(struct member_set *m, const uint8_t id[16])
{
    uint8_t key[32];
    struct invite *i = calloc(1, sizeof *i);
    set_prefix_key(id, key);
    if (!i || !set_grow(&m->invites, &m->invite_cap, m->invite_count, sizeof *m->invites) ||
        !map_add(&m->invite_by_id, key, i)) {
        free(i);
        return NULL;
    }
    memcpy(i->pub.id, id, 16);
    m->invites[m->invite_count++] = i;
    return i;
}

clan_status invite_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    const struct stmt_invitation *b = &p->b.invitation;
    if (!p->invite && !(p->invite = invite_new(m, p->item->subject)))
        return CLAN_E_NOMEM;
    struct invite *i = p->invite;
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    if (b->state == STMT_INVITE_OPEN) {
        set_drop(m, i->open);
        i->open = p->item;
        i->open_seq = p->s.seq;
        i->open_body = *b;
        memcpy(i->open_by, p->s.author, 32);
        i->open_signers = signers_of(m, p);
    } else {
        set_drop(m, i->closed);
        i->closed = p->item;
        i->closed_seq = p->s.seq;
        i->closed_body = *b;
        memcpy(i->closed_by, p->s.author, 32);
    }
    ret->changed |= MEMBER_CHANGED_INVITE;
    return CLAN_OK;
}

size_t member_invite_count(const struct member_set *m)
{
    return m->invite_count;
}

const struct member_invite *member_invite_at(const struct member_set *m, size_t index)
{
    return index < m->invite_count ? &m->invites[index]->pub : NULL;
}

const struct member_invite *member_invite_find(const struct member_set *m, const uint8_t id[16])
{
    const struct invite *i = invite_get(m, id);
    return i ? &i->pub : NULL;
}
