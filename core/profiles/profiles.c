/* Finding rows in the policy (profiles.def, programs.def) and words in its lists. */
#include "profiles/profiles.h"

#include <string.h>

#include "profiles/profiles.def"
#include "profiles/programs.def"

const struct profile_program *profile_program_find(const char *profile)
{
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        if (strcmp(programs[i].profile, profile) == 0)
            return &programs[i];
    return NULL;
}

const struct profile *profile_find(const char *name)
{
    for (const struct profile *p = profiles; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

bool profile_word(const char **list, char ret_word[32])
{
    const char *p = *list + strspn(*list, " ");
    size_t n = strcspn(p, " ");
    if (n == 0 || n >= 32)
        return false;
    memcpy(ret_word, p, n);
    ret_word[n] = 0;
    *list = p + n;
    return true;
}

bool profile_lists(const char *list, const char *name)
{
    char word[32];
    while (profile_word(&list, word))
        if (strcmp(word, name) == 0)
            return true;
    return false;
}
