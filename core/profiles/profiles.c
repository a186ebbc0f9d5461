/* Finding rows in the policy (profiles.def, programs.def) and words in its lists. */
#include "profiles/profiles.h"

#include "base/error.h"

#include <string.h>
#include <unistd.h>

#include "profiles/notify.def"
#include "profiles/profiles.def"
#include "profiles/programs.def"

const struct profile_program *profile_program_find(const char *profile)
{
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        if (strcmp(programs[i].profile, profile) == 0)
            return &programs[i];
    return NULL;
}

const char *profile_caller(const char (*execs)[32], unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct profile_program *row = profile_program_find(execs[i]);
        if (row && profile_find(row->sandbox)->flags & PROFILE_NET)
            return execs[i];
    }
    return NULL;
}

const struct profile_program *profile_program_need(const char *profile, struct clan_error *reterr)
{
    const struct profile_program *row = profile_program_find(profile);
    if (row && access(row->program, X_OK) == 0)
        return row;
    err_set(reterr, CLAN_E_NOENT, "the program %s is not there", profile);
    err_remedy(reterr, "apt install %s", row ? row->package : profile);
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

const struct profile_call *profile_call_find(const char *call)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(known[i].call, call) == 0)
            return &known[i];
    return NULL;
}

bool profile_readable(const char *path)
{
    if (strstr(path, "..")) /* the name says nothing about the place */
        return false;
    for (size_t i = 0; i < sizeof readable / sizeof readable[0]; i++) {
        size_t n = strlen(readable[i]);
        if (strncmp(path, readable[i], n) == 0 && (path[n] == 0 || readable[i][n - 1] == '/'))
            return true;
    }
    return false;
}
