/* The network of a clan: no address before the firewall is closed, none outside of the clan. */
#include "warden/warden.h"

#include <string.h>

/* The firewall stands: now the first address may be set. */
static void up_closed(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request;
    if (c->leaving || c->down)
        err_set(&a->error, CLAN_E_STATE, "the clan is going down");
    if (a->error.status == CLAN_OK && netconf_up(&c->net, &a->error) == CLAN_OK) {
        c->net_up = true;
        c->state = WARD_UP;
        logs_say(clans_name(c), LOG_LEVEL_INFO, "%s is up", c->net.ifname);
        children_start(c, WARD_KIND_RESOLVER);
    } else
        netconf_tun_close(&c->net);
    net_tun(c, request, a);
}

void net_up(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_net_up *r = request;
    if (c->net_up && memcmp(c->net.address, r->address, 16) == 0) { /* a new core */
        c->state = WARD_UP;
        net_tun(c, request, a);
    } else if (!netconf_has(&c->net, r->address) || r->mtu < 1280 || r->mtu > 9000)
        err_set(&a->error, CLAN_E_INVAL, "not an address and MTU for this clan");
    else if (c->net.tun >= 0)
        err_set(&a->error, CLAN_E_STATE, "the network of this clan is being set up");
    else {
        memcpy(c->net.address, r->address, 16);
        c->net.mtu = r->mtu;
        a->later = netconf_tun(&c->net, &a->error) == CLAN_OK;
        if (a->later)
            firewall_up(c, r, up_closed);
    }
}

void net_tun(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request;
    *a = (struct ward_reply){.error = a->error, .flags = c->net.flags, .fd = c->net.tun};
}

void net_addr(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_addr *r = request;
    if (!netconf_has(&c->net, r->address) || memcmp(c->net.address, r->address, 16) == 0)
        err_set(&a->error, CLAN_E_INVAL, "not a service address of this clan");
    else
        netconf_address(&c->net, r->address, r->head.id == WARD_REQ_ADDR_ADD, &a->error);
}

void net_device(struct clan *c, const void *request, struct ward_reply *a)
{
    struct ward_device_states states = {0};
    netconf_device(&c->net, &c->device, &c->warden->grants, request, &states, &a->fd, &a->error);
    a->flags = c->device.flags;
    a->passes = a->fd != c->device.tun;
    a->later = states.head.id && a->error.status == CLAN_OK; /* that is the answer */
    if (a->later)
        monitor_event(c, &states, sizeof states, -1);
}

void net_down(struct clan *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    c->net_up = false;
    netconf_device_down(&c->device);
    if (netconf_down(&c->net, &e) != CLAN_OK)
        logs_error(clans_name(c), "down", &e);
}

static bool is_ours(const void *warden, unsigned ifindex)
{
    const struct warden *w = warden;
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        if (w->clans[i].used && netconf_owns(&w->clans[i].net, &w->clans[i].device, ifindex))
            return true;
    return false;
}

void net_local_addrs(struct clan *c, const void *request, struct ward_reply *a)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct ward_local_addrs answer = {
        .head = {WARD_EV_LOCAL_ADDRS, ((const struct ward_head *)request)->serial}};
    if (netconf_local(is_ours, c->warden, &answer, &e) != CLAN_OK)
        logs_error(clans_name(c), "addresses", &e);
    monitor_event(c, &answer, sizeof answer, -1);
    a->later = true; /* that was the answer */
}

static void addrs_changed(void *arg)
{
    struct warden *w = arg;
    struct ward_simple event = {{WARD_EV_ADDRS_CHANGED, 0}};
    nft_guard_lans(&w->guard);
    for (struct clan *c = NULL; (c = clans_next(w, c));)
        monitor_event(c, &event, sizeof event, -1);
}

clan_status net_begin(struct warden *w, struct clan_error *e)
{
    uid_t first = w->opt.uid_base, last = first + WARD_SLOTS * WARD_UIDS - 1;
    w->guard = (struct nft_guard){is_ours, w, logs_failed, false};
    nft_guard_begin(&w->guard, first, last); /* before any plugin runs: jobs run in order */
    w->watch = (struct netconf_watch){w->loop, is_ours, addrs_changed, w, 0};
    return netconf_watch(&w->watch) == CLAN_OK
               ? CLAN_OK
               : err_errno(e, CLAN_E_IO, "cannot watch this machine's addresses");
}
