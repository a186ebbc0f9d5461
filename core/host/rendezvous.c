/* What a plugin is told about its clan: its own secret, and whom a transport with hidden places lets in. */
#include "host/host.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static clan_status secret(void *host_data, uint8_t ret_secret[32], uint32_t *ret_counter)
{
    const struct host *h = host_data;
    if (!host_on_loop("secret") || !h->secret_counter)
        return CLAN_E_STATE;
    memcpy(ret_secret, h->secret, sizeof h->secret);
    *ret_counter = h->secret_counter;
    return CLAN_OK;
}

const struct clan_secret_host host_secret_table = {
    .struct_size = sizeof(struct clan_secret_host),
    .secret = secret,
};

static void tell(void *host_data, uint32_t works, const char *text)
{
    struct host *h = host_data;
    if (!host_on_loop("tell"))
        return;
    if (!h->started || !h->transport) {
        host_refused(h, "tell");
        return;
    }
    clan_host_Health *m = &host_message(h, clan_host_FromHost_health_tag)->m.health;
    m->ok = works != 0;
    snprintf(m->text, sizeof m->text, "%s", text ? text : "");
    text_sanitize(m->text);
    host_send(h, -1);
}

const struct clan_transport_rendezvous_host host_rendezvous_table = {
    .struct_size = sizeof(struct clan_transport_rendezvous_host),
    .tell = tell,
};

void host_rendezvous_find(struct host *h)
{
    const struct clan_transport_rendezvous *r =
        h->transport ? h->plugin->get_interface(h->instance_data, CLAN_TRANSPORT_RENDEZVOUS) : NULL;
    h->rendezvous =
        r && r->struct_size >= sizeof *r && r->members && r->invitations && r->door && r->invited
            ? r
            : NULL;
}

void host_secret(struct host *h, const clan_host_Secret *m)
{
    memcpy(h->secret, m->secret, sizeof h->secret);
    h->secret_counter = m->counter;
}

static void forget_members(struct host *h)
{
    free(h->members);
    h->members = NULL;
    h->member_count = 0;
}

static bool add_members(struct host *h, const clan_host_Members *m)
{
    size_t count = h->member_count + m->endpoint_count;
    void *more =
        count <= HOST_MEMBERS_MAX ? realloc(h->members, (count + 1) * sizeof h->members[0]) : NULL;
    if (!more) {
        log_error("core tells of more than %u members", HOST_MEMBERS_MAX);
        return false;
    }
    h->members = more;
    for (pb_size_t i = 0; i < m->endpoint_count; i++)
        memcpy(h->members[h->member_count++], m->endpoint[i], sizeof h->members[0]);
    return true;
}

void host_members(struct host *h, const clan_host_Members *m)
{
    if (m->first)
        forget_members(h);
    if (!add_members(h, m)) {
        forget_members(h);
        return;
    }
    if (!m->last)
        return;
    const char **list = malloc((h->member_count + 1) * sizeof *list);
    for (uint32_t i = 0; list && i < h->member_count; i++)
        list[i] = h->members[i];
    if (list && h->rendezvous && h->started)
        h->rendezvous->members(h->instance_data, list, h->member_count);
    free(list);
    forget_members(h);
}

void host_invitations(struct host *h, const clan_host_Invitations *m)
{
    if (h->rendezvous && h->started)
        h->rendezvous->invitations(h->instance_data, m->key_count ? m->key[0] : NULL, m->key_count);
}

void host_invited(struct host *h, const clan_host_Invited *m)
{
    if (h->rendezvous && h->started)
        h->rendezvous->invited(h->instance_data, m->endpoint, m->secret);
}
