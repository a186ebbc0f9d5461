/* A configuration body against its envelope and against what was removed (SECURITY C2, C4). */
#include "base/error.h"
#include "base/text.h"
#include "member/set.h"

#include <string.h>

static clan_status admins_match(
    const struct stmt_envelope *v, const struct clan_config *cfg, struct clan_error *e)
{
    if (v->threshold != cfg->threshold || v->admin_count != cfg->admin_count)
        return err_set(e, CLAN_E_CONFLICT,
            "the text of version %llu names other admins than its envelope",
            (unsigned long long)v->version);
    for (unsigned i = 0; i < v->admin_count; i++) {
        bool found = false;
        for (unsigned k = 0; k < cfg->admin_count; k++)
            found |= !memcmp(v->admins[i].key, cfg->admins[k].key, 32) &&
                     !strcmp(v->admins[i].name, cfg->admins[k].name);
        if (!found)
            return err_set(e, CLAN_E_CONFLICT,
                "the text of version %llu does not name the admin %s",
                (unsigned long long)v->version, v->admins[i].name);
    }
    return CLAN_OK;
}

static clan_status keepers_match(const struct member_set *m, const struct stmt_envelope *v,
    const struct clan_config *cfg, struct clan_error *e)
{
    if (v->keeper_count != cfg->keeper_count)
        return err_set(e, CLAN_E_CONFLICT,
            "the text of version %llu names %u keepers, its envelope %u",
            (unsigned long long)v->version, cfg->keeper_count, v->keeper_count);
    for (unsigned i = 0; i < cfg->keeper_count; i++) {
        const uint8_t *id = NULL;
        for (unsigned k = 0; k < cfg->machine_count; k++)
            if (!strcmp(cfg->machines[k].name, cfg->keepers[i]))
                id = cfg->machines[k].id;
        const struct member_machine *x = id ? NULL : member_by_name(m, cfg, cfg->keepers[i]);
        if (x)
            id = x->id;
        bool found = false;
        for (unsigned k = 0; id && k < v->keeper_count; k++)
            found |= !memcmp(v->keepers[k], id, 32);
        if (id && !found) /* a keeper that is not known here yet is no contradiction */
            return err_set(e, CLAN_E_CONFLICT,
                "the text of version %llu names the keeper %s, its envelope does not",
                (unsigned long long)v->version, cfg->keepers[i]);
    }
    return CLAN_OK;
}

clan_status member_body_matches(const struct member_set *m, const struct stmt_envelope *envelope,
    const struct clan_config *cfg, struct clan_error *reterr)
{
    if (cfg->version != envelope->version)
        return err_set(reterr, CLAN_E_CONFLICT, "the text says version %llu, its envelope %llu",
            (unsigned long long)cfg->version, (unsigned long long)envelope->version);
    if (m->has_genesis && strcmp(cfg->clan, m->genesis.clan))
        return err_set(reterr, CLAN_E_CONFLICT, "the text is for the clan %s", cfg->clan);
    clan_status r = admins_match(envelope, cfg, reterr);
    return r == CLAN_OK ? keepers_match(m, envelope, cfg, reterr) : r;
}

clan_status member_body_understood(
    const struct stmt_envelope *envelope, unsigned protocol, struct clan_error *reterr)
{
    bool features = envelope->feature_count > 0;
    if (!features && envelope->min_protocol <= protocol)
        return CLAN_OK;
    err_set(reterr, CLAN_E_NOSYS, "configuration %llu is for a later version of Clan",
        (unsigned long long)envelope->version);
    if (features)
        err_why(reterr, "it asks for what this one does not know: %.40s", envelope->features[0]);
    else
        err_why(reterr, "it asks for protocol %u, and this one speaks up to %u",
            envelope->min_protocol, protocol);
    err_remedy(reterr, "update Clan on this machine");
    return CLAN_E_NOSYS;
}

clan_status member_body_allowed(
    const struct member_set *m, const struct clan_config *cfg, struct clan_error *reterr)
{
    for (unsigned i = 0; i < cfg->admin_count; i++) {
        if (!chain_key_removed(m, cfg->admins[i].key))
            continue;
        err_set(reterr, CLAN_E_REVOKED, "admin %s was removed", cfg->admins[i].name);
        err_remedy(
            reterr, "a removed key never returns; let %s make a new one", cfg->admins[i].name);
        return CLAN_E_REVOKED;
    }
    for (unsigned i = 0; i < cfg->machine_count; i++) {
        const struct member_machine *x = member_find(m, cfg->machines[i].id);
        if (!x || x->standing != MEMBER_REVOKED)
            continue;
        err_set(reterr, CLAN_E_REVOKED, "machine %s was removed", cfg->machines[i].name);
        err_remedy(reterr, "take it out of machines:; it comes back by a new invitation");
        return CLAN_E_REVOKED;
    }
    for (unsigned i = 0; i < cfg->keeper_count; i++) {
        const struct member_machine *x = member_by_name(m, cfg, cfg->keepers[i]);
        if (x && x->phone)
            return err_set(
                reterr, CLAN_E_INVAL, "%s is a phone and can be no keeper", cfg->keepers[i]);
    }
    return CLAN_OK;
}
