/* Names of the clan for this machine, as the owner said: systemd-resolved or the hosts file. */
#include "warden/warden.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void resolved_told(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)c, (void)request, (void)a; /* the answer is what resolvectl said */
}

static void resolved_set(struct clan *c, const void *request)
{
    char dns[INET6_ADDRSTRLEN], domain[64];
    inet_ntop(AF_INET6, c->net.resolver, dns, sizeof dns);
    snprintf(domain, sizeof domain, "~%s.clan", c->petname);
    const char *const set[][2] = {{"dns", dns}, {"domain", domain}, {"default-route", "no"}};
    for (unsigned i = 0; i < 3; i++)
        monitor_tool(c, "names",
            (const char *const[]){"/usr/bin/resolvectl", set[i][0], c->net.ifname, set[i][1], NULL},
            NULL, i == 2 ? resolved_told : NULL, request);
}

static bool by_resolved(const struct warden *w)
{
    return w->grants.dns == GRANT_DNS_RESOLVED ||
           (w->grants.dns == GRANT_DNS_AUTO &&
               access("/run/systemd/resolve/stub-resolv.conf", F_OK) == 0);
}

void names_begin(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request, (void)a;
    c->names.count = 0;
}

void names_add(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_name *r = request;
    if (!net_in_prefix(c, r->address))
        err_set(&a->error, CLAN_E_INVAL, "an address outside of the clan");
    else
        hostsfile_add(&c->names, r->name, r->address, &a->error);
}

void names_commit(struct clan *c, const void *request, struct ward_reply *a)
{
    a->later = by_resolved(c->warden);
    if (a->later)
        resolved_set(c, request);
    else if (c->warden->grants.dns != GRANT_DNS_OFF)
        hostsfile_write(c->petname, c->names.rows, c->names.count, &a->error);
}

/* resolved forgets with the interface; the block of the hosts file goes here. */
void names_remove(struct clan *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (c->bound && hostsfile_write(c->petname, NULL, 0, &e) != CLAN_OK && e.status != CLAN_E_NOENT)
        logs_error(clans_name(c), "names", &e);
}
