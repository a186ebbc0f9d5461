/* Looks at the plugin's note, loads it, and holds its descriptor against both. */
#include "host/host.h"

#include "base/error.h"
#include "check/note.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static clan_status load_note(struct host *h, struct clan_error *e)
{
    struct note_source src;
    char name[48];
    snprintf(name, sizeof name, "of %s", h->id);
    clan_status st = note_source_fd(h->plugin_fd, name, &src, e);
    if (st == CLAN_OK)
        st = note_read(&src, name, &h->note, e);
    if (st != CLAN_OK || strcmp(h->note.id, h->id) == 0)
        return st;
    err_set(e, CLAN_E_CONFLICT, "plugin %s is not loaded", h->id);
    err_why(e, "the file calls itself %s", h->note.id);
    err_remedy(e, "run clan machine apply, so that the grants name this file");
    return CLAN_E_CONFLICT;
}

static clan_status open_plugin(
    struct host *h, const struct clan_plugin **ret_plugin, struct clan_error *e)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", h->plugin_fd);
    /* never closed: a reload is a new process */
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        const char *why = dlerror();
        err_set(e, CLAN_E_IO, "plugin %s cannot be loaded", h->id);
        err_why(e, "%s", why ? why : "the loader does not say");
        err_remedy(e, "install the libraries it needs, or rebuild it");
        return CLAN_E_IO;
    }
    void *symbol = dlsym(so, CLAN_PLUGIN_QUERY_NAME);
    clan_plugin_query_fn *query;
    memcpy(&query, &symbol, sizeof query);
    if (!query)
        return check_no_query(&h->note, e);
    *ret_plugin = query();
    return CLAN_OK;
}

clan_status host_load(struct host *h, struct clan_error *reterr)
{
    const struct clan_plugin *p = NULL;
    clan_status st = load_note(h, reterr);
    if (st != CLAN_OK)
        return st;
    host_words_begin(h);
    st = open_plugin(h, &p, reterr);
    host_words_end();
    if (st == CLAN_OK)
        st = check_descriptor(&h->note, p, reterr);
    if (st == CLAN_OK)
        h->plugin = p;
    return st;
}
