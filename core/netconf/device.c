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
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define METRIC_CLAN 4096 /* behind clan0: only sockets that are bound to the device take it */
#define METRIC_PEER 512
#define BACKLOG     64
#define UDP_BUFFER  (4 << 20)

static const uint8_t nobody[32];

/* ---- what it has: a later core may not know ---- */

static struct netconf_known *find(struct netconf_list *l, const void *key, size_t size)
{
    for (unsigned i = 0; i < l->count; i++)
        if (memcmp(l->rows[i].key, key, size) == 0)
            return &l->rows[i];
    return NULL;
}

static void note(struct netconf_list *l, const void *key, size_t size, bool there)
{
    struct netconf_known *k = find(l, key, size);
    if (!there) {
        if (k)
            *k = l->rows[--l->count];
        return;
    }
    if (!k && l->count == l->cap) {
        unsigned cap = l->cap ? 2 * l->cap : 16;
        struct netconf_known *more = realloc(l->rows, cap * sizeof *more);
        clan_assert(more);
        l->rows = more;
        l->cap = cap;
    }
    if (!k) {
        k = &l->rows[l->count++];
        *k = (struct netconf_known){0};
        memcpy(k->key, key, size);
    }
    k->named = true;
}

static void forget(struct netconf_list *l)
{
    free(l->rows);
    *l = (struct netconf_list){0};
}

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

static clan_status make_kernel(
    struct netconf_device *d, const struct ward_device_up *how, struct clan_error *e)
{
    clan_status st = CLAN_E_AGAIN;
    d->ifindex = interface_index(d->ifname);
    for (unsigned i = 0; st == CLAN_E_AGAIN && i < WARD_DEVICE_TRIES; i++) { /* taken: the next */
        *e = (struct clan_error)CLAN_ERROR_INIT;
        st = wireguard_key(d->ifindex, how->secret, (uint16_t)(how->port + i), e);
        d->flags = WARD_TUN_NONE | (uint32_t)(how->port + i) << 16;
    }
    return st;
}

static clan_status make(
    struct netconf_device *d, const struct ward_device_up *how, struct clan_error *e)
{
    unsigned old = interface_index(d->ifname); /* of a warden that was killed */
    clan_status st = old ? interface_remove(old, e) : CLAN_OK;
    if (st == CLAN_OK && !how->user && (st = wireguard_create(d->ifname, e)) == CLAN_OK)
        return make_kernel(d, how, e);
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
    forget(&d->routes);
    forget(&d->peers);
    *d = (struct netconf_device){.tun = -1};
}

static clan_status move(const struct netconf *n, struct netconf_device *d,
    const struct ward_device_route *r, struct clan_error *e)
{
    clan_status st = route(n, d, r->address, 128, r->on != 0, e);
    if (st != CLAN_OK && !r->on && errno == ESRCH) { /* it went by clan0 already */
        *e = (struct clan_error)CLAN_ERROR_INIT;
        st = CLAN_OK;
    }
    if (st == CLAN_OK)
        note(&d->routes, r->address, 16, r->on != 0);
    return st;
}

/* A new core decides what goes through it, and says which peers there are. */
static void again(const struct netconf *n, struct netconf_device *d)
{
    struct clan_error ignored = CLAN_ERROR_INIT;
    for (unsigned i = 0; i < d->routes.count; i++)
        route(n, d, d->routes.rows[i].key, 128, false, &ignored);
    forget(&d->routes);
    for (unsigned i = 0; i < d->peers.count; i++)
        d->peers.rows[i].named = false;
}

static void begin(
    const struct netconf *n, struct netconf_device *d, const void *request, struct clan_error *e)
{
    struct ward_device_up how;
    memcpy(&how, request, sizeof how);
    if (d->ifindex == 0)
        up(n, d, &how, e);
    else
        again(n, d);
    explicit_bzero(&how, sizeof how);
}

/* ---- peers of the kernel's ---- */

static clan_status set_one(
    struct netconf_device *d, const struct ward_device_peer *p, struct clan_error *e)
{
    clan_status st = wireguard_peer(d->ifindex, p, e);
    if (st == CLAN_OK)
        note(&d->peers, p->key, 32, !p->remove);
    return st;
}

static clan_status remove_unnamed(struct netconf_device *d, struct clan_error *e)
{
    clan_status st = CLAN_OK;
    for (unsigned i = d->peers.count; st == CLAN_OK && i-- > 0;) {
        struct ward_device_peer gone = {.remove = 1};
        memcpy(gone.key, d->peers.rows[i].key, sizeof gone.key);
        if (!d->peers.rows[i].named)
            st = set_one(d, &gone, e);
    }
    return st;
}

static clan_status set_peer(
    struct netconf_device *d, const struct ward_device_peer *p, struct clan_error *e)
{
    bool all = p->remove && memcmp(p->key, nobody, sizeof p->key) == 0;
    return all ? remove_unnamed(d, e) : set_one(d, p, e);
}

/* ---- sockets ---- */

/* Large buffers: the plugin's own wish is capped, and what it cannot take in time is lost. */
static int udp(
    const struct grants *grants, const struct ward_device_socket *r, struct clan_error *e)
{
    const struct grant_listen *at = grants_device(grants, r->family, r->port, r->tries);
    int size = UDP_BUFFER, fd = netconf_socket(SOCK_DGRAM, at->addr, r->port, r->tries, e);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    }
    return fd;
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
static const char *judge(const struct netconf *n, const struct netconf_device *d,
    const struct grants *g, const void *request)
{
    const struct ward_device_socket *k = request;
    const struct ward_device_up *u = request;
    const struct ward_device_peer *p = request;
    const struct ward_device_ask *a = request;
    const struct ward_device_route *r = request;
    const struct ward_device_stream *s = request;
    uint32_t id = u->head.id;
    bool kernel = (d->flags & WARD_TUN_NONE) != 0;
    if (id == WARD_REQ_DEVICE_UP && (u->mtu < 1280 || u->mtu > 9000))
        return "not an MTU";
    if (id == WARD_REQ_DEVICE_UP)
        return grants_device(g, 0, u->port, WARD_DEVICE_TRIES) ? NULL
                                                               : "not a port that is granted";
    if (id == WARD_REQ_DEVICE_SOCKET)
        return (k->family == 4 || k->family == 6) && k->tries > 0 &&
                       grants_device(g, k->family, k->port, k->tries)
                   ? NULL
                   : "not a port that is granted";
    if (id == WARD_REQ_DEVICE_DOWN)
        return NULL;
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

bool netconf_owns(const struct netconf *n, const struct netconf_device *d, unsigned ifindex)
{
    return (n->tun >= 0 && n->ifindex == ifindex) || (d->ifindex && d->ifindex == ifindex);
}

clan_status netconf_device(const struct netconf *n, struct netconf_device *d,
    const struct grants *grants, const void *request, struct ward_device_states *ret_states,
    int *ret_fd, struct clan_error *e)
{
    const char *wrong = judge(n, d, grants, request);
    if (wrong)
        return err_set(e, CLAN_E_INVAL, "a request for the device: %s", wrong);
    switch (((const struct ward_head *)request)->id) {
    case WARD_REQ_DEVICE_UP:
        begin(n, d, request, e);
        explicit_bzero((void *)(uintptr_t)request, sizeof(struct ward_device_up)); /* a key */
        *ret_fd = d->tun;
        return e->status;
    case WARD_REQ_DEVICE_PEER:
        return set_peer(d, request, e);
    case WARD_REQ_DEVICE_STATES:
        return states(d, request, ret_states, e);
    case WARD_REQ_DEVICE_ROUTE:
        return move(n, d, request, e);
    case WARD_REQ_DEVICE_SOCKET:
        *ret_fd = udp(grants, request, e);
        return e->status;
    case WARD_REQ_DEVICE_DOWN:
        netconf_device_down(d);
        return CLAN_OK;
    default:
        *ret_fd = stream(n, d, ((const struct ward_device_stream *)request)->peer, e);
        return e->status;
    }
}
