/* Looks at the plugin's note, loads it, and holds its descriptor against both. */
#include "host/host.h"

#include "base/error.h"
#include "check/note.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static clan_status differs(struct host *h, struct clan_error *e, const char *item)
{
    err_set(e, CLAN_E_ABI, "plugin %s was built for SDK %u.%u; this Clan provides %u.%u", h->id,
        h->note.abi_major, h->note.abi_minor, CLAN_ABI_MAJOR, CLAN_ABI_MINOR);
    err_why(e, "differing item: %s", item);
    err_remedy(e, "remedy: rebuild the plugin with this Clan's SDK");
    return CLAN_E_ABI;
}

static clan_status check_descriptor(
    struct host *h, const struct clan_plugin *p, struct clan_error *e)
{
    if (!p)
        return differs(h, e, "its descriptor is NULL");
    if (p->magic != CLAN_PLUGIN_MAGIC)
        return differs(h, e, "magic number of the descriptor");
    if (p->abi_major != CLAN_ABI_MAJOR || p->abi_major != h->note.abi_major)
        return differs(h, e, "ABI major of the descriptor");
    if (p->abi_minor != h->note.abi_minor)
        return differs(h, e, "ABI minor of the descriptor, unlike its note");
    if (p->struct_size < sizeof(struct clan_plugin))
        return differs(h, e, "size of the descriptor");
    if (p->kind != h->note.kind)
        return differs(h, e, "kind of the descriptor, unlike its note");
    if (p->flags)
        return differs(h, e, "flags of the descriptor, which this Clan does not know");
    if (!p->id || strcmp(p->id, h->note.id) != 0)
        return differs(h, e, "id of the descriptor, unlike its note");
    if (!p->create || !p->destroy || !p->get_interface)
        return differs(h, e, "a function of the descriptor is NULL");
    return CLAN_OK;
}

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

clan_status host_load(struct host *h, struct clan_error *reterr)
{
    char path[32];
    clan_status st = load_note(h, reterr);
    if (st != CLAN_OK)
        return st;
    snprintf(path, sizeof path, "/proc/self/fd/%d", h->plugin_fd);
    /* never closed: a reload is a new process */
    void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        const char *why = dlerror();
        err_set(reterr, CLAN_E_IO, "plugin %s cannot be loaded", h->id);
        err_why(reterr, "%s", why ? why : "the loader does not say");
        err_remedy(reterr, "install the libraries it needs, or rebuild it");
        return CLAN_E_IO;
    }
    void *symbol = dlsym(so, CLAN_PLUGIN_QUERY_NAME);
    clan_plugin_query_fn *query;
    memcpy(&query, &symbol, sizeof query);
    if (!query)
        return differs(h, reterr, "it does not export " CLAN_PLUGIN_QUERY_NAME);
    const struct clan_plugin *p = query();
    st = check_descriptor(h, p, reterr);
    if (st == CLAN_OK)
        h->plugin = p;
    return st;
}
