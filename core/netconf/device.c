/* The interface of a device transport, its routes, and the sockets that belong to it. */
#include "netconf/interface.h"
#include "netconf/netconf.h"
#include "netconf/request.h"
#include "netconf/wireguard.h"

#include "base/error.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define METRIC_CLAN 4096 /* behind clan0: only sockets that are bound to the device take it */
#define METRIC_PEER 512
#define BACKLOG     64

static const uint8_t nobody[16];

void netconf_device_name(const struct netconf *n, char ret_name[16])
{
    snprintf(ret_name, 16, "%.14sw", n->ifname);
}

static clan_status route(const struct netconf *n, const struct netconf_device *d,
    const uint8_t address[16], uint8_t bits, bool add, struct clan_error *e)
{
    struct netconf_request r;
    struct rtmsg *m = netconf_request(
        &r, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof *m);
    *m = (struct rtmsg){.rtm_family = AF_INET6,
        .rtm_dst_len = bits,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST};
    mnl_attr_put(r.head, RTA_DST, 16, address);
    mnl_attr_put_u32(r.head, RTA_PRIORITY, bits == 128 ? METRIC_PEER : METRIC_CLAN);
    mnl_attr_put_u32(r.head, RTA_OIF, d->ifindex);
    mnl_attr_put(r.head, RTA_PREFSRC, 16, n->address);
    return netconf_run(&r, NULL, NULL, e, "set a route of the device");
}

static clan_status make(
    struct netconf_device *d, const struct ward_device_up *how, struct clan_error *e)
{
    unsigned old = interface_index(d->ifname); /* of a warden that was killed */
    clan_status st = old ? interface_remove(old, e) : CLAN_OK;
    if (st == CLAN_OK && !how->user && (st = wireguard_create(d->ifname, e)) == CLAN_OK) {
        d->flags = WARD_TUN_NONE;
        d->ifindex = interface_index(d->ifname);
        return wireguard_key(d->ifindex, how->secret, how->port, e);
    }
    if (st != CLAN_OK && st != CLAN_E_NOSYS)
        return st;
    *e = (struct clan_error)CLAN_ERROR_INIT;
    return interface_tun(d->ifname, &d->tun, &d->ifindex, &d->flags, e);
}

static clan_status up(const struct netconf *n, struct netconf_device *d,
    const struct ward_device_up *how, struct clan_error *e)
{
    clan_status st;
    *d = (struct netconf_device){.tun = -1};
    netconf_device_name(n, d->ifname);
    if ((st = make(d, how, e)) == CLAN_OK &&
        (st = interface_sizes(d->ifindex, how->mtu, e)) == CLAN_OK &&
        (st = interface_quiet(d->ifname, e)) == CLAN_OK &&
        (st = interface_up(d->ifindex, e)) == CLAN_OK) {
        if (d->tun >= 0)
            interface_no_queue(d->ifindex);
        st = route(n, d, n->prefix, 48, true, e);
    }
    if (st != CLAN_OK)
        netconf_device_down(d);
    return st;
}

void netconf_device_down(struct netconf_device *d)
{
    struct clan_error ignored = CLAN_ERROR_INIT;
    if (d->ifindex) /* also a TUN: a plugin has it too */
        interface_remove(d->ifindex, &ignored);
    if (d->tun >= 0)
        close(d->tun);
    *d = (struct netconf_device){.tun = -1};
}

static clan_status move(const struct netconf *n, const struct netconf_device *d,
    const struct ward_device_route *r, struct clan_error *e)
{
    clan_status st = route(n, d, r->address, 128, r->on != 0, e);
    if (st == CLAN_OK || r->on || errno != ESRCH)
        return st;
    *e = (struct clan_error)CLAN_ERROR_INIT; /* it went by clan0 already */
    return CLAN_OK;
}

/* A socket that only the device carries: to a peer's control port, or (peer zero) the listener. */
static int stream(const struct netconf *n, const struct netconf_device *d, const uint8_t peer[16],
    struct clan_error *e)
{
    bool listens = memcmp(peer, nobody, 16) == 0;
    struct sockaddr_in6 own = {.sin6_family = AF_INET6}, to = {.sin6_family = AF_INET6};
    int on = 1, fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    memcpy(&own.sin6_addr, n->address, 16);
    memcpy(&to.sin6_addr, peer, 16);
    to.sin6_port = htons(WARD_DEVICE_PORT);
    own.sin6_port = listens ? to.sin6_port : 0;
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, d->ifname, sizeof d->ifname) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, (struct sockaddr *)&own, sizeof own) == 0 &&
        (listens ? listen(fd, BACKLOG) == 0
                 : connect(fd, (struct sockaddr *)&to, sizeof to) == 0 || errno == EINPROGRESS))
        return fd;
    err_errno(
        e, CLAN_E_IO, listens ? "cannot listen at %s" : "cannot connect through %s", d->ifname);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* ---- states of peers, of those that were asked for ---- */

struct asked {
    const struct ward_device_ask *r;
    struct ward_device_states *states;
};

static void take_state(void *arg, const struct ward_device_state *s)
{
    const struct asked *x = arg;
    for (uint32_t i = 0; i < x->states->count; i++) /* its other addresses, without numbers */
        if (memcmp(x->states->states[i].key, s->key, sizeof s->key) == 0)
            return;
    for (uint32_t i = 0; i < x->r->count && x->states->count < WARD_DEVICE_ASKED; i++)
        if (memcmp(x->r->keys[i], s->key, sizeof s->key) == 0)
            x->states->states[x->states->count++] = *s;
}

static clan_status states(const struct netconf_device *d, const struct ward_device_ask *r,
    struct ward_device_states *ret, struct clan_error *e)
{
    struct asked x = {r, ret};
    ret->head = (struct ward_head){WARD_EV_DEVICE_STATES, r->head.serial};
    return wireguard_states(d->ifindex, take_state, &x, e);
}

/* ---- the requests ---- */

static bool in_clan(const struct netconf *n, const uint8_t *addresses, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (memcmp(addresses + i * 16, n->prefix, 6) != 0 ||
            memcmp(addresses + i * 16, n->address, 16) == 0)
            return false;
    return true;
}

/* What is wrong with a request, or NULL. */
static const char *judge(
    const struct netconf *n, const struct netconf_device *d, const void *request)
{
    const struct ward_device_up *u = request;
    const struct ward_device_peer *p = request;
    const struct ward_device_ask *a = request;
    const struct ward_device_route *r = request;
    const struct ward_device_stream *s = request;
    uint32_t id = u->head.id;
    bool kernel = (d->flags & WARD_TUN_NONE) != 0;
    if (id == WARD_REQ_DEVICE_UP)
        return u->mtu < 1280 || u->mtu > 9000 || u->port == 0 ? "not an MTU and port" : NULL;
    if (d->ifindex == 0)
        return "there is no device";
    if ((id == WARD_REQ_DEVICE_PEER || id == WARD_REQ_DEVICE_STATES) && !kernel)
        return "the kernel does not carry this device";
    if (id == WARD_REQ_DEVICE_PEER)
        return p->count > WARD_DEVICE_ADDRESSES || !in_clan(n, p->addresses[0], p->count)
                   ? "not addresses of this clan"
                   : NULL;
    if (id == WARD_REQ_DEVICE_STATES)
        return a->count > WARD_DEVICE_ASKED ? "too many peers at once" : NULL;
    if (id == WARD_REQ_DEVICE_ROUTE)
        return in_clan(n, r->address, 1) ? NULL : "not an address of this clan";
    return memcmp(s->peer, nobody, 16) == 0 || in_clan(n, s->peer, 1) ? NULL : "not a peer";
}

clan_status netconf_device(const struct netconf *n, struct netconf_device *d, const void *request,
    struct ward_device_states *ret_states, int *ret_fd, struct clan_error *e)
{
    const char *wrong = judge(n, d, request);
    if (wrong)
        return err_set(e, CLAN_E_INVAL, "a request for the device: %s", wrong);
    switch (((const struct ward_head *)request)->id) {
    case WARD_REQ_DEVICE_UP:
        if (d->ifindex == 0)
            up(n, d, request, e);
        explicit_bzero((void *)(uintptr_t)request, sizeof(struct ward_device_up)); /* a key */
        *ret_fd = d->tun;
        return e->status;
    case WARD_REQ_DEVICE_PEER:
        return wireguard_peer(d->ifindex, request, e);
    case WARD_REQ_DEVICE_STATES:
        return states(d, request, ret_states, e);
    case WARD_REQ_DEVICE_ROUTE:
        return move(n, d, request, e);
    default:
        *ret_fd = stream(n, d, ((const struct ward_device_stream *)request)->peer, e);
        return e->status;
    }
}
