/* The plugin that shows the clan to the people of this machine: its start, and its connections to this core. */
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"

#include <string.h>
#include <unistd.h>

/* One, for each person has one address: the first that the owner granted. */
static const struct grant_plugin *chosen(const struct brain *b)
{
    for (unsigned i = 0; b->grants_ok && i < b->grants.plugin_count; i++) {
        const struct grant_plugin *p = &b->grants.plugins[i];
        if ((p->permissions & GRANT_API_SESSION) && p->kind != GRANT_KIND_TRANSPORT)
            return p;
    }
    return NULL;
}

bool ui_is(const struct brain *b, const char *plugin)
{
    const struct grant_plugin *p = chosen(b);
    return p && strcmp(p->id, plugin) == 0;
}

bool ui_visited(const struct host *h)
{
    const struct grant_plugin *p = h->b->grants_ok ? grants_find(&h->b->grants, h->plugin) : NULL;
    return h->service && !h->people && p && (p->permissions & GRANT_API_SESSION);
}

/* It needs no network and no configuration: it runs as long as this machine is in the clan. */
void ui_reconcile(struct brain *b)
{
    const struct grant_plugin *p = chosen(b);
    const struct host *there = p ? host_find(b, p->id) : NULL;
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (h->used && h->people && !(p && strcmp(h->plugin, p->id) == 0))
            host_unwant(b, h);
    }
    if (!p || (there && !there->people)) /* a service of that name: it ends when it is renamed */
        return;
    struct host *h = host_want(b, p->id, p->id, NULL);
    if (h)
        h->people = h->service = true;
}

void ui_create(struct host *h, clan_host_Create *c)
{
    uint32_t uids[GRANTS_PEOPLE_MAX];
    unsigned count = grants_people(&h->b->grants, uids);
    _Static_assert(sizeof c->people == sizeof uids, "as in host.options");
    memcpy(c->people, uids, count * sizeof *uids);
    c->people_count = (pb_size_t)count;
}

/* What may be asked there is decided with each request, by the session. */
void ui_connect(struct host *h, uint32_t request)
{
    struct clan_error e = CLAN_ERROR_INIT;
    int fd = -1;
    if (!(h->people || ui_visited(h)) || (h->state != HOST_STARTING && h->state != HOST_STARTED)) {
        host_offence(h, "asks for the clan, which it may not");
        err_set(&e, CLAN_E_PERM, "the plugin %s may not ask for the clan", h->plugin);
    } else {
        api_plugin_connect(h->b, !h->people, &fd);
        if (fd < 0) {
            err_set(&e, CLAN_E_LIMIT, "the clan takes no more connections now");
            err_remedy(&e, "close some, or try again");
        }
    }
    if (!h->chan) /* it was ended for that */
        return;
    clan_host_ToHost *m = host_blank(clan_host_ToHost_api_opened_tag);
    m->m.api_opened.request = request;
    m->m.api_opened.has_error = true;
    wire_from_error(&m->m.api_opened.error, &e);
    if (!chan_send(h->chan, clan_host_ToHost_fields, m, &fd, fd >= 0 ? 1 : 0))
        log_warn("host %s does not take messages", h->instance);
    if (fd >= 0)
        close(fd);
}
