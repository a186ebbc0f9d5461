/* The usable plugins of a folder, in the form that the core shows. */
#include "config/offers.h"

#include "base/error.h"
#include "base/text.h"
#include "config/machine.h"

#include <string.h>

static void put(struct offer *o, const struct check_result *f)
{
    *o = (struct offer){.kind = f->kind};
    snprintf(o->id, sizeof o->id, "%s", f->id);
    snprintf(o->file, sizeof o->file, "%s", f->file);
    snprintf(o->version, sizeof o->version, "%s", f->version);
    snprintf(o->title, sizeof o->title, "%s", f->title);
    snprintf(o->sentence, sizeof o->sentence, "%s", f->sentence);
    text_sanitize(o->version);
    text_sanitize(o->title);
    text_sanitize(o->sentence);
    for (; o->ask_count < f->ask_count && o->ask_count < OFFERS_ASKS_MAX; o->ask_count++)
        snprintf(o->asks[o->ask_count], sizeof o->asks[0], "%s", f->asks[o->ask_count]);
    o->setting_count = f->setting_count;
    memcpy(o->settings, f->settings, sizeof o->settings);
}

clan_status config_offers(const char *directory, struct offers *ret, struct clan_error *e)
{
    struct cfg_plugins found;
    clan_status st = cfg_plugins_scan(directory, &found, e);
    if (st != CLAN_OK)
        return st;
    memset(ret, 0, sizeof *ret);
    ret->magic = OFFERS_MAGIC;
    ret->version = OFFERS_VERSION;
    ret->size = sizeof *ret;
    for (unsigned i = 0; i < found.count && ret->count < OFFERS_MAX; i++)
        if (found.list[i].error.status == CLAN_OK)
            put(&ret->list[ret->count++], &found.list[i]);
    cfg_plugins_free(&found);
    return CLAN_OK;
}
