/* Holds the loaded descriptor and the interfaces of an instance against the note. */
#include "check/note.h"

#include "base/error.h"

#include <clan/device.h>
#include <clan/service.h>
#include <clan/transport.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define DESCRIPTOR_REMEDY "rebuild the plugin with this Clan's SDK"
/* The descriptor of the first SDK: later ones are longer, and plugins built before stay as they are. */
#define DESCRIPTOR_MIN                                                                             \
    (offsetof(struct clan_plugin, get_interface) + sizeof(((struct clan_plugin *)0)->get_interface))

static clan_status differs(const struct clan_note_body *n, struct clan_error *e, const char *remedy,
    const char *item_fmt, ...) __attribute__((format(printf, 4, 5)));
static clan_status differs(const struct clan_note_body *n, struct clan_error *e, const char *remedy,
    const char *item_fmt, ...)
{
    char item[sizeof e->why - 32];
    va_list ap;
    va_start(ap, item_fmt);
    vsnprintf(item, sizeof item, item_fmt, ap);
    va_end(ap);
    err_set(e, CLAN_E_ABI, "plugin %s was built for SDK %u.%u; this Clan provides %u.%u", n->id,
        n->abi_major, n->abi_minor, CLAN_ABI_MAJOR, CLAN_ABI_MINOR);
    err_why(e, "differing item: %s", item);
    err_remedy(e, "remedy: %s", remedy);
    return CLAN_E_ABI;
}

/* Only the first 16 bytes are there for certain. */
static clan_status check_head(
    const struct clan_note_body *n, const struct clan_plugin *p, struct clan_error *e)
{
    if (p->magic != CLAN_PLUGIN_MAGIC)
        return differs(n, e, DESCRIPTOR_REMEDY,
            "magic number of the descriptor: 0x%08x, where 0x%08x is read", p->magic,
            CLAN_PLUGIN_MAGIC);
    if (p->abi_major != CLAN_ABI_MAJOR)
        return differs(n, e,
            p->abi_major > CLAN_ABI_MAJOR ? "use a newer Clan, or the plugin's version for this one"
                                          : DESCRIPTOR_REMEDY,
            "ABI major of the descriptor: %u, where %u is needed", p->abi_major, CLAN_ABI_MAJOR);
    if (p->abi_minor != n->abi_minor)
        return differs(n, e, DESCRIPTOR_REMEDY, "ABI minor of the descriptor: %u, its note says %u",
            p->abi_minor, n->abi_minor);
    if (p->struct_size < DESCRIPTOR_MIN)
        return differs(n, e,
            "set struct_size to sizeof(struct clan_plugin), and " DESCRIPTOR_REMEDY,
            "size of the descriptor: %u bytes, where at least %zu are read", p->struct_size,
            DESCRIPTOR_MIN);
    return CLAN_OK;
}

clan_status check_no_query(const struct clan_note_body *n, struct clan_error *e)
{
    return differs(n, e, "mark that function with CLAN_PLUGIN_EXPORT, and rebuild the plugin",
        "it does not export " CLAN_PLUGIN_QUERY_NAME);
}

clan_status check_descriptor(
    const struct clan_note_body *n, const struct clan_plugin *p, struct clan_error *e)
{
    if (!p)
        return differs(n, e, DESCRIPTOR_REMEDY, CLAN_PLUGIN_QUERY_NAME "() answers NULL");
    clan_status st = check_head(n, p, e);
    if (st != CLAN_OK)
        return st;
    if (p->kind != n->kind)
        return differs(n, e, "give note and descriptor the same kind, and rebuild the plugin",
            "kind of the descriptor: %u, its note says %u", p->kind, n->kind);
    if (p->flags)
        return differs(n, e, "use a newer Clan, or the plugin's version for this one",
            "flags of the descriptor: 0x%llx, this Clan knows none", (unsigned long long)p->flags);
    if (!p->id || strcmp(p->id, n->id) != 0)
        return differs(n, e, "give note and descriptor the same id, and rebuild the plugin",
            "id of the descriptor: \"%.31s\", its note says \"%s\"", p->id ? p->id : "", n->id);
    if (!p->create || !p->destroy || !p->get_interface)
        return differs(n, e, "fill in that function, and rebuild the plugin",
            "%s() of the descriptor is NULL",
            !p->create    ? "create"
            : !p->destroy ? "destroy"
                          : "get_interface");
    return CLAN_OK;
}

static bool asks(const struct clan_note_body *n, const char *word)
{
    for (unsigned i = 0; i < n->asks_count; i++)
        if (strcmp(n->asks[i], word) == 0)
            return true;
    return false;
}

/* What carries packets itself says so in its note, where the owner reads it before it runs. */
static clan_status check_device(const struct clan_note_body *n, bool device, struct clan_error *e)
{
    if (n->kind != CLAN_KIND_TRANSPORT || device == asks(n, "net.device"))
        return CLAN_OK;
    err_set(e, CLAN_E_ABI, "plugin %.31s is not what its note says", n->id);
    if (device)
        err_why(e, "it offers %s, and its note does not ask for net.device", CLAN_TRANSPORT_DEVICE);
    else
        err_why(e, "its note asks for net.device, and it offers no complete %s alone",
            CLAN_TRANSPORT_DEVICE);
    err_remedy(e, "rebuild it with a note that fits");
    return CLAN_E_ABI;
}

clan_status check_interfaces(const struct clan_note_body *n, const struct clan_plugin *p,
    void *instance, const struct clan_transport_stream **ret_transport,
    const struct clan_transport_device **ret_device, const struct clan_service **ret_service,
    struct clan_error *e)
{
    const struct clan_transport_stream *t = p->get_interface(instance, CLAN_TRANSPORT_STREAM);
    const struct clan_transport_device *d = p->get_interface(instance, CLAN_TRANSPORT_DEVICE);
    const struct clan_service *s = p->get_interface(instance, CLAN_SERVICE);
    *ret_transport = t && t->struct_size >= sizeof *t && t->start && t->stop && t->dial &&
                             t->cancel && t->endpoints
                         ? t
                         : NULL;
    *ret_device = d && d->struct_size >= sizeof *d && d->start && d->stop && d->set_peer &&
                          d->remove_peer && d->network_changed && d->endpoints && !*ret_transport
                      ? d
                      : NULL;
    *ret_service = s && s->struct_size >= sizeof *s && s->start && s->stop && s->health ? s : NULL;
    clan_status st = check_device(n, *ret_device != NULL, e);
    if (st != CLAN_OK)
        return st;
    if ((n->kind == CLAN_KIND_TRANSPORT && (*ret_transport || *ret_device)) ||
        (n->kind == CLAN_KIND_SERVICE && *ret_service))
        return CLAN_OK;
    err_set(e, CLAN_E_ABI, "plugin %.31s offers nothing that this Clan can start", n->id);
    err_why(e, "a transport needs a complete %s, a service a complete %s", CLAN_TRANSPORT_STREAM,
        CLAN_SERVICE);
    err_remedy(e, "rebuild it with this Clan's SDK");
    return CLAN_E_ABI;
}
