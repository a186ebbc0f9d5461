/* A service's settings, as its file says them before anything of it runs, and whether an answer fits. */
#include "base/error.h"
#include "base/text.h"
#include "check/elf.h"
#include "check/note.h"

#include <clan/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTING_TEXT_MAX 95 /* with its key a word of 127, as pages may propose */
#define SET_KEY          "abcdefghijklmnopqrstuvwxyz0123456789_-"

static bool clean(const char *s, size_t cap)
{
    char copy[128];
    size_t size = strnlen(s, cap);
    if (size == cap || size >= sizeof copy)
        return false;
    memcpy(copy, s, size + 1);
    text_sanitize(copy);
    return strcmp(copy, s) == 0;
}

static bool number(const char *text, long min, long max)
{
    char *end, again[24];
    long n = strtol(text, &end, 10);
    snprintf(again, sizeof again, "%ld", n); /* one way to write each: not " 7", "+7", "007" */
    return strcmp(again, text) == 0 && n >= min && n <= max;
}

static bool among(const char *choices, const char *value)
{
    size_t size = strlen(value);
    for (const char *at = choices; size; at++) {
        size_t len = strcspn(at, "|");
        if (len == size && memcmp(at, value, size) == 0)
            return true;
        at += len;
        if (!*at)
            break;
    }
    return false;
}

static bool fits(const struct clan_note_setting *s, const char *value)
{
    switch (s->kind) {
    case CLAN_SETTING_TEXT:
        return clean(value, (size_t)s->max + 1) && (value[0] || !s->preset[0]);
    case CLAN_SETTING_YES_NO:
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    case CLAN_SETTING_NUMBER:
        return number(value, s->min, s->max);
    default:
        return !strchr(value, '|') && among(s->choices, value);
    }
}

bool note_setting_ok(const struct clan_note_setting *s)
{
    bool text = s->kind == CLAN_SETTING_TEXT, choice = s->kind == CLAN_SETTING_CHOICE;
    return s->kind >= CLAN_SETTING_TEXT && s->kind <= CLAN_SETTING_CHOICE && s->zero == 0 &&
           clean(s->key, sizeof s->key) && s->key[0] && s->key[strspn(s->key, SET_KEY)] == 0 &&
           s->key[0] != '-' && s->key[0] != '_' && clean(s->preset, sizeof s->preset) &&
           clean(s->question, sizeof s->question) && s->question[0] &&
           clean(s->choices, sizeof s->choices) && (s->choices[0] != 0) == choice &&
           (!text || (s->max >= 1 && s->max <= SETTING_TEXT_MAX)) && s->min <= s->max &&
           fits(s, s->preset);
}

clan_status note_setting_fits(
    const struct clan_note_setting *s, const char *value, struct clan_error *e)
{
    if (fits(s, value))
        return CLAN_OK;
    err_set(e, CLAN_E_INVAL, "%s: \"%.60s\" is no answer", s->key, value);
    if (s->kind == CLAN_SETTING_TEXT)
        err_why(e, "a text of at most %d bytes was expected", s->max);
    else if (s->kind == CLAN_SETTING_YES_NO)
        err_why(e, "true or false was expected");
    else if (s->kind == CLAN_SETTING_NUMBER)
        err_why(e, "a number from %d to %d was expected", s->min, s->max);
    else
        err_why(e, "one of these was expected: %s", s->choices);
    text_sanitize(e->what);
    return CLAN_E_INVAL;
}

clan_status note_read_settings(const struct note_source *src, const char *file,
    struct clan_note_setting ret[CLAN_NOTE_SETTINGS_MAX], uint32_t *ret_count, struct clan_error *e)
{
    struct elf_view v;
    unsigned found = 0;
    uint64_t at = 0;
    uint32_t size = 0;
    *ret_count = 0;
    clan_status st = elf_open(src, file, &v, e);
    if (st == CLAN_OK)
        st = elf_find_note(&v, CLAN_NOTE_SETTINGS, &found, &at, &size, e);
    if (st != CLAN_OK || !found)
        return st;
    uint32_t count = size / sizeof *ret;
    if (found > 1 || size % sizeof *ret || count > CLAN_NOTE_SETTINGS_MAX ||
        !elf_read(src, at, ret, size))
        return elf_refuse(e, file, "use CLAN_PLUGIN_SETTINGS once, with at most 8 of them",
            "its settings are damaged");
    for (uint32_t i = 0; i < count; i++) {
        bool twice = false;
        for (uint32_t k = 0; k < i; k++)
            twice = twice || strcmp(ret[i].key, ret[k].key) == 0;
        if (twice || !note_setting_ok(&ret[i]))
            return elf_refuse(e, file, "see CLAN_PLUGIN_SETTINGS in clan/note.h",
                "its setting %u breaks a rule: key, kind, limits, preset or question", i + 1);
    }
    *ret_count = count;
    return CLAN_OK;
}
