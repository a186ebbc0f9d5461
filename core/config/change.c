/* Changes of clan.yaml as commands and pages make them: several edits, one version. */
#include "config/config.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct draft {
    const char *text;
    size_t size;
    char *own; /* the text after an edit, NULL: none yet */
};

static void take(struct draft *d, char *text, size_t size)
{
    free(d->own);
    d->own = text;
    d->text = text;
    d->size = size;
}

static const struct config_known *find(
    const struct config_known *known, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(known[i].name, name) == 0)
            return &known[i];
    return NULL;
}

static bool is_named(const char *text, size_t size, const char *name)
{
    struct clan_config *cfg = NULL;
    struct config_problems *p = config_problems_new("clan.yaml");
    bool found = false;
    if (p && config_clan_parse(text, size, p, &cfg) == CLAN_OK)
        for (unsigned i = 0; i < cfg->machine_count; i++)
            found = found || strcmp(cfg->machines[i].name, name) == 0;
    config_clan_free(cfg);
    config_problems_free(p);
    return found;
}

/* A machine that got its name from its invitation stands nowhere in clan.yaml yet: it is written there, so that the
 * service means this machine whatever others are called later.  Who is not known: the edit finds the words for it. */
static clan_status name_machine(struct draft *d, const struct config_known *known, size_t count,
    const char *name, struct clan_error *e)
{
    const struct config_known *m = find(known, count, name);
    char *text;
    size_t size;
    if (!m || is_named(d->text, d->size, name))
        return CLAN_OK;
    clan_status st = config_edit_machine(d->text, d->size, m->id, name, &text, &size, e);
    if (st == CLAN_OK)
        take(d, text, size);
    return st;
}

clan_status config_change_enable(const char *text, size_t size, uint64_t version,
    const struct config_service_wanted *w, const struct config_known *known, size_t count,
    char **ret_text, size_t *ret_size, struct clan_error *e)
{
    struct draft d = {text, size, NULL};
    char *enabled;
    size_t enabled_size;
    clan_status st = name_machine(&d, known, count, w->on, e);
    for (unsigned i = 0; i < w->allow_count && st == CLAN_OK; i++)
        st = name_machine(&d, known, count, w->allow[i], e);
    if (st == CLAN_OK)
        st = config_edit_enable(d.text, d.size, w, &enabled, &enabled_size, e);
    if (st == CLAN_OK) {
        take(&d, enabled, enabled_size);
        st = config_edit_version(d.text, d.size, version, ret_text, ret_size, e);
    }
    free(d.own);
    return st;
}

clan_status config_change_remove(const char *text, size_t size, uint64_t version,
    const uint8_t id[32], char **ret_text, size_t *ret_size, struct clan_error *e)
{
    char name[TEXT_ID_CHARS + 1];
    text_base32(id, 32, name);
    if (!memmem(text, size, name, TEXT_ID_CHARS))
        return config_edit_version(text, size, version, ret_text, ret_size, e);
    return config_edit_machine_gone(text, size, id, ret_text, ret_size, e);
}
