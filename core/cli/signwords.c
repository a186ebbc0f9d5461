/* The list of what a page may ask to be signed, held here as well: the core's list is another process's word. */
#include "cli/signwords.h"

#include "base/text.h"

#include <stddef.h>
#include <string.h>

#define LETTERS   "abcdefghijklmnopqrstuvwxyz0123456789-"
#define VALUE_MAX 127

static const struct signwords rows[] = {
    {"enable", NULL, 1, false, true, NULL, {"--on", "--as", "--allow", "--set"}},
    {"disable", NULL, 1, false, true, NULL, {NULL}},
    {"invite", "withdraw", 1, false, false, "The invitation is closed; who came by it stays.",
        {NULL}},
    {"invite", NULL, 0, false, false,
        "An invitation is signed. The link is shown on the page that asked for it: whoever has it "
        "can join.",
        {"--for", "--uses", "--expires", NULL}},
    {"remove", NULL, 1, false, false,
        "The machine is removed for good. It comes back only by a new invitation, as a new "
        "machine.",
        {NULL}},
    {"machines", "rename", 2, false, true, NULL, {NULL}},
    {"config", "apply", 0, true, true, NULL, {"--from", NULL}},
};

/* Names, numbers, times, lists of them: nothing that begins like an option, or that a terminal shows as
 * something else. */
static bool is_value(const char *word, bool of_option)
{
    size_t n = strspn(word, of_option ? LETTERS ":," : LETTERS);
    return word[0] && word[0] != '-' && !word[n] && n <= VALUE_MAX;
}

static int option_at(const struct signwords *r, const char *word)
{
    for (int i = 0; i < 4 && r->options[i]; i++)
        if (strcmp(r->options[i], word) == 0)
            return i;
    return -1;
}

static bool follows(const struct signwords *r, const char *const *words, unsigned count)
{
    unsigned args = 0, seen = 0;
    for (unsigned at = r->second ? 2 : 1; at < count; at++) {
        int option = option_at(r, words[at]);
        if (option < 0) {
            if (!is_value(words[at], false))
                return false;
            args++;
            continue;
        }
        bool set = strcmp(words[at], "--set") == 0; /* one for each setting */
        if ((!set && (seen & (1u << option))) || ++at == count ||
            !(set ? strlen(words[at]) <= VALUE_MAX && text_setting_ok(words[at])
                  : is_value(words[at], true)))
            return false;
        seen |= 1u << option;
    }
    return args == r->args;
}

const struct signwords *signwords_find(const char *const *words, unsigned count, bool has_text)
{
    if (count == 0 || count > SIGNWORDS_MAX)
        return NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct signwords *r = &rows[i];
        if (strcmp(r->first, words[0]) != 0 ||
            (r->second && (count < 2 || strcmp(r->second, words[1]) != 0)))
            continue;
        return r->text == has_text && follows(r, words, count) ? r : NULL;
    }
    return NULL;
}
