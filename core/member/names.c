/* One namespace for services and machines, decided by statements (SECURITY B4). */
#include "base/text.h"
#include "member/set.h"

#include <stdio.h>
#include <string.h>

const struct clan_config_machine *member_row(const struct clan_config *cfg, const uint8_t id[32])
{
    for (unsigned i = 0; cfg && i < cfg->machine_count; i++)
        if (memcmp(cfg->machines[i].id, id, 32) == 0)
            return &cfg->machines[i];
    return NULL;
}

static const char *config_name(const struct clan_config *cfg, const uint8_t id[32])
{
    const struct clan_config_machine *row = member_row(cfg, id);
    return row && row->name[0] ? row->name : NULL;
}

static const char *invite_name(const struct member_set *m, const struct machine *x)
{
    if (x->pub.standing != MEMBER_PROVISIONAL && x->pub.standing != MEMBER_CONFIRMED)
        return NULL;
    const struct invite *in = x->pub.founder ? NULL : invite_get(m, x->pub.invite_id);
    return in && in->pub.body.for_name[0] ? in->pub.body.for_name : NULL;
}

/* "m-" and 8 of base32: only the ID form looks so */
static bool id_form(const char *name)
{
    return name[0] == 'm' && name[1] == '-' && strlen(name) == 10;
}

static bool is_service(const struct clan_config *cfg, const char *name)
{
    for (unsigned i = 0; cfg && i < cfg->service_count; i++)
        if (!strcmp(cfg->services[i].name, name))
            return true;
    return false;
}

static bool usable(const struct clan_config *cfg, const char *name)
{
    return name && text_name_ok(name) && !id_form(name) && !is_service(cfg, name);
}

/* How many entries of clan.yaml claim a name. */
static unsigned config_claims(const struct clan_config *cfg, const char *name)
{
    unsigned n = 0;
    for (unsigned i = 0; cfg && i < cfg->machine_count; i++)
        n += !strcmp(cfg->machines[i].name, name);
    return n;
}

static unsigned invite_claims(
    const struct member_set *m, const struct clan_config *cfg, const char *name)
{
    unsigned n = 0;
    for (size_t i = 0; i < m->machine_count; i++) {
        const char *other = invite_name(m, m->machines[i]);
        n += other && !strcmp(other, name) && !config_name(cfg, m->machines[i]->pub.id);
    }
    return n;
}

void member_name(const struct member_set *m, const struct clan_config *cfg, const uint8_t id[32],
    char ret_name[33])
{
    char text[TEXT_ID_CHARS + 1];
    const struct machine *x = machine_get(m, id);
    const char *name = config_name(cfg, id);
    bool ok;
    if (name) {
        ok = usable(cfg, name) && config_claims(cfg, name) == 1;
    } else {
        name = x ? invite_name(m, x) : NULL;
        ok = usable(cfg, name) && config_claims(cfg, name) == 0 && invite_claims(m, cfg, name) == 1;
    }
    if (ok) {
        snprintf(ret_name, 33, "%s", name);
        return;
    }
    text_base32(id, 32, text);
    snprintf(ret_name, 33, "m-%.8s", text);
}

static const struct member_machine *if_named(const struct member_set *m,
    const struct clan_config *cfg, const struct machine *x, const char *name)
{
    char own[33];
    if (!x)
        return NULL;
    member_name(m, cfg, x->pub.id, own);
    return strcmp(own, name) ? NULL : &x->pub;
}

static const struct member_machine *by_id_form(
    const struct member_set *m, const struct clan_config *cfg, const char *name)
{
    const struct member_machine *found = NULL;
    for (size_t i = 0; i < m->machine_count; i++) {
        char text[TEXT_ID_CHARS + 1];
        text_base32(m->machines[i]->pub.id, 32, text);
        if (strncmp(text, name + 2, 8))
            continue;
        const struct member_machine *x = if_named(m, cfg, m->machines[i], name);
        if (x && found) /* two IDs that begin alike: neither */
            return NULL;
        found = x ? x : found;
    }
    return found;
}

const struct member_machine *member_by_name(
    const struct member_set *m, const struct clan_config *cfg, const char *name)
{
    uint8_t id[32];
    if (strlen(name) == TEXT_ID_CHARS && text_base32_decode(name, TEXT_ID_CHARS, id, 32))
        return member_find(m, id);
    if (id_form(name))
        return by_id_form(m, cfg, name);
    for (unsigned i = 0; cfg && i < cfg->machine_count; i++)
        if (!strcmp(cfg->machines[i].name, name))
            return if_named(m, cfg, machine_get(m, cfg->machines[i].id), name);
    for (size_t i = 0; i < m->machine_count; i++) {
        const char *other = invite_name(m, m->machines[i]);
        if (other && !strcmp(other, name) && !config_name(cfg, m->machines[i]->pub.id))
            return if_named(m, cfg, m->machines[i], name);
    }
    return NULL;
}
