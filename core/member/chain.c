/* The configuration chain: genesis, envelopes, who was admin and keeper at each version (SECURITY
 * C1, C2). */
#include "base/error.h"
#include "member/set.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static bool key_in(const uint8_t (*keys)[32], size_t count, const uint8_t key[32])
{
    for (size_t i = 0; i < count; i++)
        if (!memcmp(keys[i], key, 32))
            return true;
    return false;
}

const struct adminset *chain_admins(const struct member_set *m, uint64_t version)
{
    if (version == 0 || version > m->version_count)
        return NULL;
    return &m->adminsets[m->versions[version - 1].admins];
}

unsigned chain_signers(const struct stmt *s, const struct adminset *a)
{
    return stmt_count_signers(s, (const uint8_t(*)[32])a->keys, a->count);
}

bool chain_ever_admin(const struct member_set *m, const uint8_t key[32])
{
    for (size_t i = 0; i < m->adminset_count; i++)
        if (key_in((const uint8_t(*)[32])m->adminsets[i].keys, m->adminsets[i].count, key))
            return true;
    return false;
}

bool chain_key_removed(const struct member_set *m, const uint8_t key[32])
{
    return key_in((const uint8_t(*)[32])m->removed, m->removed_count, key);
}

bool chain_is_keeper(const struct member_set *m, const uint8_t machine_id[32])
{
    if (m->version_count < 2)
        return false;
    return key_in((const uint8_t(*)[32])m->head.keepers, m->head.keeper_count, machine_id);
}

/* M > N/2, N different keys (C1) */
static bool admins_sound(const struct stmt_admin *admins, unsigned count, unsigned threshold)
{
    if (count == 0 || count > STMT_ADMINS_MAX || threshold > count || threshold * 2 <= count)
        return false;
    for (unsigned i = 0; i < count; i++)
        for (unsigned j = 0; j < i; j++)
            if (!memcmp(admins[i].key, admins[j].key, 32))
                return false;
    return true;
}

static struct adminset adminset_of(
    const struct stmt_admin *admins, unsigned count, unsigned threshold)
{
    struct adminset a = {.threshold = threshold, .count = count};
    for (unsigned i = 0; i < count; i++)
        memcpy(a.keys[i], admins[i].key, 32);
    return a;
}

static uint32_t adminset_add(struct member_set *m, const struct adminset *a)
{
    if (m->adminset_count && !memcmp(&m->adminsets[m->adminset_count - 1], a, sizeof *a))
        return (uint32_t)m->adminset_count - 1;
    struct adminset *grown = realloc(m->adminsets, (m->adminset_count + 1) * sizeof *grown);
    if (!grown)
        return UINT32_MAX;
    m->adminsets = grown;
    m->adminsets[m->adminset_count] = *a;
    return (uint32_t)m->adminset_count++;
}

static uint32_t keeperset_add(struct member_set *m, const struct stmt_envelope *b)
{
    struct keeperset k = {.generation = b->keeper_generation, .count = b->keeper_count};
    memcpy(k.ids, b->keepers, sizeof k.ids[0] * b->keeper_count);
    for (size_t i = m->keeperset_count; i > 0; i--)
        if (!memcmp(&m->keepersets[i - 1], &k, offsetof(struct keeperset, until))) {
            m->keepersets[i - 1].until = b->version;
            return (uint32_t)i - 1;
        }
    k.until = b->version;
    struct keeperset *grown = realloc(m->keepersets, (m->keeperset_count + 1) * sizeof *grown);
    if (!grown)
        return UINT32_MAX;
    m->keepersets = grown;
    m->keepersets[m->keeperset_count] = k;
    return (uint32_t)m->keeperset_count++;
}

clan_status chain_check_genesis(struct member_set *m, struct plan *p, struct clan_error *e)
{
    static const uint8_t zero[32];
    if (m->has_genesis)
        return err_set(e, CLAN_E_AUTH, "a genesis of another clan");
    if (stmt_get_genesis(&p->s, &p->b.genesis) != CLAN_OK || memcmp(p->s.clan, zero, 32) ||
        memcmp(p->s.author, zero, 32))
        return err_set(e, CLAN_E_INVAL, "a genesis that is malformed");
    const struct stmt_genesis *g = &p->b.genesis;
    if (!admins_sound(g->admins, g->admin_count, g->threshold))
        return err_set(
            e, CLAN_E_INVAL, "a genesis whose threshold is not more than half of its admins");
    struct adminset a = adminset_of(g->admins, g->admin_count, g->threshold);
    if (chain_signers(&p->s, &a) == 0)
        return err_set(e, CLAN_E_AUTH, "a genesis that none of its admins signed");
    return CLAN_OK;
}

static bool version_push(struct member_set *m, struct item *it, uint32_t admins, uint32_t keepers)
{
    if (admins == UINT32_MAX ||
        !set_grow(&m->versions, &m->version_cap, m->version_count, sizeof *m->versions) ||
        !set_add(m, it))
        return false;
    struct version *v = &m->versions[m->version_count++];
    memset(v, 0, sizeof *v);
    memcpy(v->id, it->id, 32);
    v->item = it;
    v->admins = admins;
    v->keepers = keepers;
    return true;
}

clan_status chain_add_genesis(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    const struct stmt_genesis *g = &p->b.genesis;
    struct adminset a = adminset_of(g->admins, g->admin_count, g->threshold);
    if (!version_push(m, p->item, adminset_add(m, &a), UINT32_MAX))
        return CLAN_E_NOMEM;
    m->has_genesis = true;
    m->genesis = *g;
    memcpy(m->clan, p->item->id, 32);
    ret->changed |= MEMBER_CHANGED_CONFIG;
    return CLAN_OK;
}

static clan_status envelope_sound(
    const struct member_set *m, const struct plan *p, struct clan_error *e)
{
    static const uint8_t zero[32];
    const struct stmt_envelope *b = &p->b.envelope;
    if (b->version != p->s.seq || b->version < 2 || memcmp(p->s.author, zero, 32))
        return err_set(e, CLAN_E_INVAL, "a configuration envelope whose numbers disagree");
    if (!admins_sound(b->admins, b->admin_count, b->threshold))
        return err_set(e, CLAN_E_INVAL,
            "version %llu: the threshold is not more than half of the admins",
            (unsigned long long)b->version);
    if (b->keeper_count > 5 || b->body_size > (1u << 20))
        return err_set(
            e, CLAN_E_INVAL, "version %llu: out of bounds", (unsigned long long)b->version);
    for (unsigned i = 0; i < b->keeper_count; i++)
        if (key_in(b->keepers, i, b->keepers[i]))
            return err_set(e, CLAN_E_INVAL, "version %llu names a keeper twice",
                (unsigned long long)b->version);
    for (unsigned i = 0; i < b->admin_count; i++)
        if (key_in((const uint8_t(*)[32])b->removed, b->removed_count, b->admins[i].key))
            return err_set(e, CLAN_E_INVAL, "version %llu names an admin that it removes",
                (unsigned long long)b->version);
    (void)m;
    return CLAN_OK;
}

/* What holds at the tip only: removed keys never return, the keeper generation never goes back. */
static clan_status envelope_follows(
    const struct member_set *m, const struct stmt_envelope *b, struct clan_error *e)
{
    for (unsigned i = 0; i < b->admin_count; i++)
        if (chain_key_removed(m, b->admins[i].key))
            return err_set(e, CLAN_E_AUTH, "version %llu brings back the removed admin key of %s",
                (unsigned long long)b->version, b->admins[i].name);
    if (m->version_count >= 2 && b->keeper_generation < m->head.keeper_generation)
        return err_set(e, CLAN_E_AUTH, "version %llu goes back to an older keeper generation",
            (unsigned long long)b->version);
    return CLAN_OK;
}

clan_status chain_check_envelope(struct member_set *m, struct plan *p, struct clan_error *e)
{
    struct stmt_envelope *b = &p->b.envelope;
    if (stmt_get_envelope(&p->s, b) != CLAN_OK)
        return err_set(e, CLAN_E_INVAL, "a configuration envelope that is malformed");
    clan_status r = envelope_sound(m, p, e);
    if (r != CLAN_OK)
        return r;
    if (b->version > m->version_count + 1 || (b->version == m->version_count + 1 && m->stopped))
        return plan_waits(p, NEEDS(STMT_ENVELOPE), NULL);
    if (memcmp(b->previous, m->versions[b->version - 2].id, 32)) {
        /* the child of a rival: evidence of nothing yet */
        return err_set(e, CLAN_E_CONFLICT,
            "version %llu does not follow the version %llu that is here",
            (unsigned long long)b->version, (unsigned long long)b->version - 1);
    }
    const struct adminset *a = chain_admins(m, b->version - 1);
    if (chain_signers(&p->s, a) < a->threshold) {
        err_set(e, CLAN_E_AUTH, "version %llu is not signed by enough admins",
            (unsigned long long)b->version);
        err_why(e, "%u of the %u admins of version %llu have to sign", a->threshold, a->count,
            (unsigned long long)b->version - 1);
        return CLAN_E_AUTH;
    }
    p->rival = b->version <= m->version_count;
    /* one rival of a height is evidence enough, everywhere the same one */
    const struct item *have = p->rival ? m->versions[b->version - 1].rival : NULL;
    p->known = have && memcmp(have->id, p->s.id, 32) < 0;
    return p->rival ? CLAN_OK : envelope_follows(m, b, e);
}

static clan_status rival_add(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    uint64_t version = p->b.envelope.version;
    struct version *v = &m->versions[version - 1];
    bool tip = version == m->version_count;
    if (tip) {
        m->stopped = true;
        ret->changed |= MEMBER_CHANGED_CONFIG;
        alarm_raise(m, MEMBER_ALARM_FORK, p->item->id, 32,
            "Two configurations are both signed as version %llu: the clan stays at this one until "
            "the "
            "admins decide. An admin key signed twice; find out whose.",
            (unsigned long long)version);
    } else {
        alarm_raise(m, MEMBER_ALARM_OLD_RIVAL, p->item->id, 32,
            "Somebody signed another version %llu with admin keys of that time. It is kept as "
            "evidence "
            "and ignored.",
            (unsigned long long)version);
    }
    if (!set_add(m, p->item))
        return CLAN_E_NOMEM;
    set_drop(m, v->rival);
    v->rival = p->item;
    return CLAN_OK;
}

clan_status chain_add_envelope(struct member_set *m, struct plan *p, struct member_effect *ret)
{
    const struct stmt_envelope *b = &p->b.envelope;
    if (p->rival)
        return rival_add(m, p, ret);
    struct adminset a = adminset_of(b->admins, b->admin_count, b->threshold);
    uint8_t(*grown)[32] =
        realloc(m->removed, (m->removed_count + b->removed_count + 1) * sizeof m->removed[0]);
    if (!grown)
        return CLAN_E_NOMEM;
    m->removed = grown;
    uint32_t keepers = keeperset_add(m, b);
    if (keepers == UINT32_MAX || !version_push(m, p->item, adminset_add(m, &a), keepers))
        return CLAN_E_NOMEM;
    for (unsigned i = 0; i < b->removed_count; i++)
        if (!chain_key_removed(m, b->removed[i]))
            memcpy(m->removed[m->removed_count++], b->removed[i], 32);
    m->head = *b;
    ret->changed |= MEMBER_CHANGED_CONFIG;
    return CLAN_OK;
}

const uint8_t *member_clan_id(const struct member_set *m)
{
    return m->has_genesis ? m->clan : NULL;
}

const struct stmt_genesis *member_genesis(const struct member_set *m)
{
    return m->has_genesis ? &m->genesis : NULL;
}

uint64_t member_head(
    const struct member_set *m, const uint8_t **ret_id, const struct stmt_envelope **ret_envelope)
{
    if (ret_id)
        *ret_id = m->version_count ? m->versions[m->version_count - 1].id : NULL;
    if (ret_envelope)
        *ret_envelope = m->version_count >= 2 ? &m->head : NULL;
    return m->version_count;
}

bool member_chain_stopped(const struct member_set *m)
{
    return m->stopped;
}

bool member_chain_has(const struct member_set *m, uint64_t version, const uint8_t id_prefix[16])
{
    return version >= 1 && version <= m->version_count &&
           !memcmp(m->versions[version - 1].id, id_prefix, 16);
}

bool member_is_admin(const struct member_set *m, const uint8_t key[32], const char **ret_name)
{
    bool first = m->version_count < 2;
    const struct stmt_admin *admins = first ? m->genesis.admins : m->head.admins;
    unsigned count = first ? m->genesis.admin_count : m->head.admin_count;
    for (unsigned i = 0; m->has_genesis && i < count; i++) {
        if (memcmp(admins[i].key, key, 32))
            continue;
        if (ret_name)
            *ret_name = admins[i].name;
        return true;
    }
    return false;
}
