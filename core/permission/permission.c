/* Looks words up in the table of permissions, and says what they mean. */
#include "permission/permission.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

#define WORD(word, form, arg, by, bit, lets, never, enforced)                                      \
    {word, form, PERM_##arg, PERM_##by, bit, lets, never, enforced},
const struct perm_word perm_words[] = {
#include "permission/permission.def"
};
const unsigned perm_word_count = sizeof perm_words / sizeof perm_words[0];

static bool is_port(const char *s)
{
    unsigned v = 0;
    for (; *s >= '0' && *s <= '9' && v <= 65535; s++)
        v = v * 10 + (unsigned)(*s - '0');
    return *s == 0 && v >= 1 && v <= 65535;
}

/* Absolute, and nothing that leads elsewhere than it reads. */
static bool is_path(const char *s)
{
    if (s[0] != '/')
        return false;
    for (const char *c = s; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return false;
    return !strstr(s, "/../") && !strstr(s, "//") &&
           (strlen(s) < 3 || strcmp(s + strlen(s) - 3, "/.."));
}

static bool arg_ok(enum perm_arg kind, const char *arg)
{
    switch (kind) {
    case PERM_PORT:
        return arg[0] != '0' && is_port(arg);
    case PERM_PATH:
    case PERM_FOLDER: /* ":rw" at its end is a part of it */
        return is_path(arg);
    case PERM_NAME:
        return text_name_ok(arg) && strlen(arg) < 32;
    case PERM_VALUE:
        return arg[0] != 0;
    case PERM_NONE:
        break;
    }
    return false;
}

const struct perm_word *perm_find(const char *text, const char **ret_arg)
{
    for (unsigned i = 0; strlen(text) < PERM_WORD_MAX && i < perm_word_count; i++) {
        const struct perm_word *w = &perm_words[i];
        size_t len = strlen(w->word);
        if (strncmp(text, w->word, len) != 0)
            continue;
        bool bare = text[len] == 0 && (w->arg == PERM_NONE || w->by == PERM_LIMIT);
        if (!bare && !(w->arg != PERM_NONE && text[len] == ':' && arg_ok(w->arg, text + len + 1)))
            continue;
        if (ret_arg)
            *ret_arg = bare ? "" : text + len + 1;
        return w;
    }
    return NULL;
}

uint32_t perm_bit(const char *text)
{
    const struct perm_word *w = perm_find(text, NULL);
    return w && w->enforced ? w->bit : 0;
}

uint32_t perm_bits(void)
{
    uint32_t all = 0;
    for (unsigned i = 0; i < perm_word_count; i++)
        all |= perm_words[i].enforced ? perm_words[i].bit : 0;
    return all;
}

const char *perm_nearest(const char *text, char ret[PERM_WORD_MAX])
{
    unsigned best = 4;
    const struct perm_word *found = NULL;
    for (unsigned i = 0; i < perm_word_count; i++) {
        const struct perm_word *w = &perm_words[i];
        char head[PERM_WORD_MAX];
        const char *colon = w->arg == PERM_NONE ? NULL : strrchr(text, ':');
        snprintf(head, sizeof head, "%.*s", colon ? (int)(colon - text) : PERM_WORD_MAX - 1, text);
        unsigned d = text_distance(head, w->word, best);
        if (d < best && d < strlen(w->word)) {
            best = d;
            found = w;
        }
    }
    if (!found)
        return NULL;
    snprintf(ret, PERM_WORD_MAX, "%s%s%s", found->word, found->form[0] ? ":" : "", found->form);
    return ret;
}

bool perm_check(const char *text, enum perm_place place, char *ret_why, size_t cap)
{
    const struct perm_word *w = perm_find(text, NULL);
    char copy[PERM_WORD_MAX], near[PERM_WORD_MAX];
    snprintf(copy, sizeof copy, "%s", text);
    text_sanitize(copy);
    if (!w) {
        const char *n = perm_nearest(text, near);
        snprintf(ret_why, cap, "\"%s\" is no permission%s%s%s", copy, n ? " (did you mean \"" : "",
            n ? n : "", n ? "\"?)" : "");
    } else if (w->by == PERM_LIMIT && place == PERM_IN_NOTE)
        snprintf(ret_why, cap, "%s is a limit: the owner sets it, no plugin asks for it", w->word);
    else if (w->by == PERM_LIMIT)
        snprintf(ret_why, cap, "%s is a limit: write \"%s: %s\" beside \"allow:\"", w->word,
            w->word, w->form);
    else if (w->by == PERM_CHOSEN && place == PERM_IN_NOTE)
        snprintf(ret_why, cap, "only the owner chooses %s, no plugin asks for it", w->word);
    else if (!w->enforced && place == PERM_IN_ALLOW)
        snprintf(ret_why, cap,
            "%s is not available in this version of Clan: nothing would keep a plugin within it",
            copy);
    else
        return true;
    return false;
}

const char *perm_lets(const char *text, char *ret_text, size_t cap)
{
    const char *arg = "", *at;
    const struct perm_word *w = perm_find(text, &arg);
    if (!w)
        snprintf(ret_text, cap, "do \"%.47s\", which this Clan does not know", text);
    else if ((at = strchr(w->lets, '@')))
        snprintf(
            ret_text, cap, "%.*s%s%s", (int)(at - w->lets), w->lets, *arg ? arg : w->form, at + 1);
    else
        snprintf(ret_text, cap, "%s", w->lets);
    text_sanitize(ret_text);
    return ret_text;
}
