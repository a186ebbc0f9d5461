/* The plugin directory, as the reader of notes finds it. */
#include "config/machine.h"

#include "base/error.h"
#include "profiles/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void found(void *user, const struct check_result *result)
{
    struct cfg_plugins *p = user;
    if (p->nomem || p->count == CHECK_FILES_MAX)
        return;
    if (!p->list) {
        p->list = calloc(CHECK_FILES_MAX, sizeof *p->list);
        p->signers = calloc(CHECK_FILES_MAX, sizeof *p->signers);
    }
    if (p->list && p->signers)
        p->list[p->count++] = *result;
    else
        p->nomem = true;
}

clan_status cfg_plugins_scan(
    const char *directory, struct cfg_plugins *ret, struct clan_error *reterr)
{
    *ret = (struct cfg_plugins){0};
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        clan_status s = errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO;
        err_errno(reterr, s, "cannot open the plugin directory %s", directory);
        err_remedy(reterr, "install Clan's plugins");
        return s;
    }
    /* what root applies must come from files that only root can change */
    clan_status s = check_directory(fd, geteuid() == 0, found, ret, reterr);
    close(fd);
    if (s == CLAN_OK && ret->nomem)
        s = err_set(reterr, CLAN_E_NOMEM, "out of memory");
    if (s != CLAN_OK)
        cfg_plugins_free(ret);
    return s;
}

void cfg_plugins_free(struct cfg_plugins *p)
{
    free(p->list);
    free(p->signers);
    *p = (struct cfg_plugins){0};
}

const struct check_result *cfg_plugins_find(const struct cfg_plugins *p, const char *id)
{
    const struct check_result *refused = NULL;
    for (unsigned i = 0; i < p->count; i++) {
        if (strcmp(p->list[i].id, id) != 0)
            continue;
        if (p->list[i].error.status == CLAN_OK)
            return &p->list[i];
        refused = &p->list[i];
    }
    return refused;
}

bool cfg_plugin_asks(const struct check_result *p, const char *word)
{
    for (unsigned i = 0; i < p->ask_count && i < CLAN_NOTE_ASKS_MAX; i++)
        if (strcmp(p->asks[i], word) == 0)
            return true;
    return false;
}

bool cfg_grantable(const char *word, char *ret_why, size_t cap)
{
    const char *arg = "";
    const struct perm_word *w = perm_find(word, &arg);
    if (!perm_check(word, PERM_IN_ALLOW, ret_why, cap))
        return false;
    if (strcmp(w->word, "exec") != 0 || profile_program_find(arg))
        return true;
    snprintf(ret_why, cap, "%s is not available in this version of Clan: it has no sandbox for it",
        word);
    return false;
}

void cfg_plugin_asks_text(const struct check_result *p, char *ret_text, size_t cap)
{
    size_t len = 0;
    snprintf(ret_text, cap, "nothing");
    for (unsigned i = 0; i < p->ask_count && i < CLAN_NOTE_ASKS_MAX && len < cap; i++)
        len += (size_t)snprintf(ret_text + len, cap - len, "%s%s", i ? ", " : "", p->asks[i]);
}
