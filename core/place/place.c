/* Holders and permissions of services. */
#include "place/place.h"

#include <string.h>

const struct member_machine *place_holder(
    const struct member_set *m, const struct clan_config *cfg, const struct clan_config_service *s)
{
    const struct member_machine *p = s->on[0] ? member_by_name(m, cfg, s->on) : NULL;
    return p && p->standing == MEMBER_CONFIRMED && !p->phone ? p : NULL;
}

static bool has_tag(const struct clan_config *cfg, const uint8_t id[32], const char *tag)
{
    const struct clan_config_machine *row = member_row(cfg, id);
    for (unsigned i = 0; row && i < row->tag_count; i++)
        if (strcmp(row->tags[i], tag) == 0)
            return true;
    return false;
}

bool place_allows(const struct member_set *m, const struct clan_config *cfg,
    const struct clan_config_service *s, const struct member_machine *who)
{
    char name[33];
    bool member = who->standing == MEMBER_CONFIRMED;
    if (!member && who->standing != MEMBER_PROVISIONAL)
        return false;
    member_name(m, cfg, who->id, name);
    for (unsigned i = 0; i < s->allow_count; i++) {
        const char *a = s->allow[i];
        if (strcmp(a, "provisional") == 0) {
            if (!member)
                return true;
        } else if (!member) {
            continue; /* nothing else ever means a provisional machine */
        } else if (strcmp(a, "all") == 0 || strcmp(a, name) == 0) {
            return true;
        } else if (strncmp(a, "tag:", 4) == 0 && has_tag(cfg, who->id, a + 4)) {
            return true;
        }
    }
    return false;
}

uint16_t place_port(const struct clan_config_service *s)
{
    return s->port ? s->port : PLACE_DEFAULT_PORT;
}

bool place_same_instance(const struct clan_config_service *a, const struct clan_config_service *b)
{
    if (strcmp(a->name, b->name) != 0 || strcmp(a->plugin, b->plugin) != 0 ||
        place_port(a) != place_port(b) || a->setting_count != b->setting_count)
        return false;
    for (unsigned i = 0; i < a->setting_count; i++)
        if (strcmp(a->settings[i].key, b->settings[i].key) != 0 ||
            strcmp(a->settings[i].value, b->settings[i].value) != 0)
            return false;
    return true;
}
