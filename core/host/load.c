/* Looks at the plugin's note, loads it, and holds its descriptor against both. */
#include "host/host.h"

#include "base/error.h"
#include "check/note.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define LOAD_REMEDY "rebuild the plugin with this Clan's SDK"
/* The descriptor of the first SDK: later ones are longer, and plugins built before stay as they are. */
#define LOAD_DESCRIPTOR_MIN                                                                        \
    (offsetof(struct clan_plugin, get_interface) + sizeof(((struct clan_plugin *)0)->get_interface))

static clan_status differs(struct host *h, struct clan_error *e, const char *remedy,
    const char *item_fmt, ...) __attribute__((format(printf, 4, 5)));
static clan_status differs(
    struct host *h, struct clan_error *e, const char *remedy, const char *item_fmt, ...)
{
    char item[sizeof e->why - 32];
    va_list ap;
    va_start(ap, item_fmt);
    vsnprintf(item, sizeof item, item_fmt, ap);
    va_end(ap);
    err_set(e, CLAN_E_ABI, "plugin %s was built for SDK %u.%u; this Clan provides %u.%u", h->id,
        h->note.abi_major, h->note.abi_minor, CLAN_ABI_MAJOR, CLAN_ABI_MINOR);
    err_why(e, "differing item: %s", item);
    err_remedy(e, "remedy: %s", remedy);
    return CLAN_E_ABI;
}

/* Only the first 16 bytes are there for certain. */
static clan_status check_head(struct host *h, const struct clan_plugin *p, struct clan_error *e)
{
    if (p->magic != CLAN_PLUGIN_MAGIC)
        return differs(h, e, LOAD_REMEDY,
            "magic number of the descriptor: 0x%08x, where 0x%08x is read", p->magic,
            CLAN_PLUGIN_MAGIC);
    if (p->abi_major != CLAN_ABI_MAJOR)
        return differs(h, e,
            p->abi_major > CLAN_ABI_MAJOR ? "use a newer Clan, or the plugin's version for this one"
                                          : LOAD_REMEDY,
            "ABI major of the descriptor: %u, where %u is needed", p->abi_major, CLAN_ABI_MAJOR);
    if (p->abi_minor != h->note.abi_minor)
        return differs(h, e, LOAD_REMEDY, "ABI minor of the descriptor: %u, its note says %u",
            p->abi_minor, h->note.abi_minor);
    if (p->struct_size < LOAD_DESCRIPTOR_MIN)
        return differs(h, e, "set struct_size to sizeof(struct clan_plugin), and " LOAD_REMEDY,
            "size of the descriptor: %u bytes, where at least %zu are read", p->struct_size,
            LOAD_DESCRIPTOR_MIN);
    return CLAN_OK;
}

static clan_status check_descriptor(
    struct host *h, const struct clan_plugin *p, struct clan_error *e)
{
    if (!p)
        return differs(h, e, LOAD_REMEDY, CLAN_PLUGIN_QUERY_NAME "() answers NULL");
    clan_status st = check_head(h, p, e);
    if (st != CLAN_OK)
        return st;
    if (p->kind != h->note.kind)
        return differs(h, e, "give note and descriptor the same kind, and rebuild the plugin",
            "kind of the descriptor: %u, its note says %u", p->kind, h->note.kind);
    if (p->flags)
        return differs(h, e, "use a newer Clan, or the plugin's version for this one",
            "flags of the descriptor: 0x%llx, this Clan knows none", (unsigned long long)p->flags);
    if (!p->id || strcmp(p->id, h->note.id) != 0)
        return differs(h, e, "give note and descriptor the same id, and rebuild the plugin",
            "id of the descriptor: \"%.31s\", its note says \"%s\"", p->id ? p->id : "",
            h->note.id);
    if (!p->create || !p->destroy || !p->get_interface)
        return differs(h, e, "fill in that function, and rebuild the plugin",
            "%s() of the descriptor is NULL",
            !p->create    ? "create"
            : !p->destroy ? "destroy"
                          : "get_interface");
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
        return differs(h, e, "mark that function with CLAN_PLUGIN_EXPORT, and rebuild the plugin",
            "it does not export " CLAN_PLUGIN_QUERY_NAME);
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
        st = check_descriptor(h, p, reterr);
    if (st == CLAN_OK)
        h->plugin = p;
    return st;
}
