/* What is installed on this machine, beside the grants. */
#include "wire/offers.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Ends, and shows nothing else than it is. */
static bool is_text(const char *text, size_t cap)
{
    char copy[128];
    if (cap > sizeof copy || strnlen(text, cap) == cap)
        return false;
    strcpy(copy, text);
    text_sanitize(copy);
    return strcmp(copy, text) == 0;
}

static bool is_setting(const struct clan_note_setting *s)
{
    return is_text(s->key, sizeof s->key) && is_text(s->preset, sizeof s->preset) &&
           is_text(s->question, sizeof s->question) && is_text(s->choices, sizeof s->choices);
}

static bool is_good(const struct offer *o)
{
    bool good = is_text(o->id, sizeof o->id) && is_text(o->file, sizeof o->file) &&
                is_text(o->version, sizeof o->version) && is_text(o->title, sizeof o->title) &&
                is_text(o->sentence, sizeof o->sentence) && o->ask_count <= OFFERS_ASKS_MAX &&
                o->setting_count <= CLAN_NOTE_SETTINGS_MAX;
    for (unsigned i = 0; good && i < o->ask_count; i++)
        good = is_text(o->asks[i], sizeof o->asks[i]);
    for (unsigned i = 0; good && i < o->setting_count; i++)
        good = is_setting(&o->settings[i]);
    return good;
}

clan_status offers_load(const char *path, struct offers *ret, struct clan_error *e)
{
    uint8_t *data = NULL;
    size_t size;
    clan_status st = file_read(AT_FDCWD, path, sizeof *ret, &data, &size, e);
    if (st != CLAN_OK)
        return st;
    if (size == sizeof *ret)
        memcpy(ret, data, size);
    bool good = size == sizeof *ret && ret->magic == OFFERS_MAGIC &&
                ret->version == OFFERS_VERSION && ret->size == sizeof *ret &&
                ret->count <= OFFERS_MAX;
    for (unsigned i = 0; good && i < ret->count; i++)
        good = is_good(&ret->list[i]);
    free(data);
    if (good)
        return CLAN_OK;
    memset(ret, 0, sizeof *ret);
    err_set(e, CLAN_E_INVAL, "%s is not what this Clan writes", path);
    err_remedy(e, "run as root: clan machine apply");
    return CLAN_E_INVAL;
}

clan_status offers_store(const char *path, const struct offers *o, struct clan_error *e)
{
    char folder[PATH_MAX], name[PATH_MAX];
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder)
        return err_set(e, CLAN_E_INVAL, "the path is too long");
    strcpy(name, path);
    int dir = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(e, CLAN_E_IO, "cannot open the directory of %s", path);
    clan_status st = file_write_durable(dir, basename(name), o, sizeof *o, 0644, e);
    close(dir);
    return st;
}

const struct offer *offers_find(const struct offers *o, const char *file)
{
    for (unsigned i = 0; i < o->count; i++)
        if (strcmp(o->list[i].file, file) == 0)
            return &o->list[i];
    return NULL;
}
