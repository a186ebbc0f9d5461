/* Names of the clan for this machine, as the owner said: systemd-resolved or the hosts file. */
#include "warden/warden.h"

#include <stdio.h>

void names_begin(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request, (void)a;
    c->names.count = 0;
}

void names_add(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_name *r = request;
    if (!netconf_has(&c->net, r->address))
        err_set(&a->error, CLAN_E_INVAL, "an address outside of the clan");
    else
        hostsfile_add(&c->names, r->name, r->address, &a->error);
}

void names_commit(struct clan *c, const void *request, struct ward_reply *a)
{
    char domain[64];
    snprintf(domain, sizeof domain, "%s.clan", c->petname);
    a->later = resolved_chosen(c->warden->grants.dns);
    if (a->later)
        resolved_set(c->net.ifname, c->net.resolver, domain, monitor_done,
            monitor_job(c, "names", NULL, request));
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
