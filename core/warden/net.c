/* The TUN of a clan, its addresses and routes by rtnetlink, and what changes around it. */
#include "warden/warden.h"

#include "wire/limits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define NET_ATTR_GSO_IPV4_MAX 63 /* IFLA_GSO_IPV4_MAX_SIZE, younger than Debian's headers */
#define NET_TUN_USO           (0x20 | 0x40)
#define NET_ROUTE_METRIC      1024
#define NET_BELOW_ALL         0x7ffffffe
#define NET_DEBOUNCE_MS       500

struct net_request {
    _Alignas(NLMSG_ALIGNTO) uint8_t bytes[512];
    struct nlmsghdr *head;
};

static void *request_begin(struct net_request *r, uint16_t type, uint16_t flags, size_t extra)
{
    memset(r, 0, sizeof *r);
    r->head = mnl_nlmsg_put_header(r->bytes);
    r->head->nlmsg_type = type;
    r->head->nlmsg_flags = NLM_F_REQUEST | flags;
    return mnl_nlmsg_put_extra_header(r->head, extra);
}

/* Sends one request and hands the answers to fn (NULL: only the acknowledgement). */
static clan_status request_run(
    struct net_request *r, mnl_cb_t fn, void *arg, struct clan_error *e, const char *what)
{
    uint8_t answer[32768];
    struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
    int left = -1;
    if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0) {
        r->head->nlmsg_flags |= fn ? NLM_F_DUMP : NLM_F_ACK;
        left = mnl_socket_sendto(nl, r->head, r->head->nlmsg_len) < 0 ? -1 : 1;
        while (left > 0) {
            ssize_t n = mnl_socket_recvfrom(nl, answer, sizeof answer);
            left =
                n < 0 ? -1 : mnl_cb_run(answer, (size_t)n, 0, mnl_socket_get_portid(nl), fn, arg);
        }
    }
    int error = errno;
    if (nl)
        mnl_socket_close(nl);
    errno = error;
    return left == 0 ? CLAN_OK : err_errno(e, CLAN_E_IO, "cannot %s", what);
}

static clan_status address_set(
    const struct clan *c, const uint8_t address[16], bool add, struct clan_error *e)
{
    struct net_request r;
    struct ifaddrmsg *m = request_begin(
        &r, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof *m);
    *m = (struct ifaddrmsg){.ifa_family = AF_INET6,
        .ifa_prefixlen = 128,
        .ifa_index = c->ifindex,
        .ifa_flags = IFA_F_NODAD};
    mnl_attr_put(r.head, IFA_LOCAL, 16, address);
    mnl_attr_put(r.head, IFA_ADDRESS, 16, address);
    clan_status s = request_run(&r, NULL, NULL, e, add ? "add an address" : "remove an address");
    return !add && s != CLAN_OK && errno == EADDRNOTAVAIL ? CLAN_OK : s;
}

/* The clan's /48: into the TUN, or (unreachable) below it, for when the TUN is gone. */
static clan_status route_set(const struct clan *c, bool unreachable, bool add, struct clan_error *e)
{
    struct net_request r;
    struct rtmsg *m = request_begin(
        &r, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof *m);
    *m = (struct rtmsg){.rtm_family = AF_INET6,
        .rtm_dst_len = 48,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = unreachable ? RTN_UNREACHABLE : RTN_UNICAST};
    mnl_attr_put(r.head, RTA_DST, 16, c->prefix);
    mnl_attr_put_u32(r.head, RTA_PRIORITY, unreachable ? NET_BELOW_ALL : NET_ROUTE_METRIC);
    if (!unreachable) {
        mnl_attr_put_u32(r.head, RTA_OIF, c->ifindex);
        mnl_attr_put(r.head, RTA_PREFSRC, 16, c->address);
    }
    return request_run(&r, NULL, NULL, e, "set the route of the clan");
}

static clan_status link_set(const struct clan *c, bool up, struct clan_error *e)
{
    struct net_request r;
    struct ifinfomsg *m = request_begin(&r, RTM_NEWLINK, 0, sizeof *m);
    *m = (struct ifinfomsg){.ifi_index = (int)c->ifindex};
    if (up)
        m->ifi_flags = m->ifi_change = IFF_UP;
    else {
        mnl_attr_put_u32(r.head, IFLA_MTU, c->mtu);
        mnl_attr_put_u32(r.head, IFLA_GSO_MAX_SIZE, WIRE_GSO_MAX);
        mnl_attr_put_u32(r.head, NET_ATTR_GSO_IPV4_MAX, WIRE_GSO_MAX);
    }
    return request_run(
        &r, NULL, NULL, e, up ? "bring the interface up" : "set the interface's sizes");
}

static clan_status sysctl_set(
    const struct clan *c, const char *key, char value, struct clan_error *e)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", c->ifname, key);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    clan_status s = fd >= 0 && write(fd, &value, 1) == 1
                        ? CLAN_OK
                        : err_errno(e, CLAN_E_IO, "cannot set %s", path);
    if (fd < 0)
        err_remedy(e, "IPv6 must be on in this machine's kernel");
    else
        close(fd);
    return s;
}

static clan_status tun_open(struct clan *c, struct clan_error *e)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    strcpy(r.ifr_name, "clan%d"); /* the kernel takes the first free number */
    if (fd >= 0)
        ioctl(fd, TUNSETIFF, &r); /* a failure shows in the next call */
    c->tun_flags = 0;
    if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, offloads | NET_TUN_USO) == 0)
        c->tun_flags = WARD_TUN_VNET | WARD_TUN_USO;
    else if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, offloads) == 0)
        c->tun_flags = WARD_TUN_VNET;
    else if (fd >= 0) { /* no offloads: packets without a header */
        close(fd);
        fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        r.ifr_flags = IFF_TUN | IFF_NO_PI;
        strcpy(r.ifr_name, "clan%d");
        if (fd >= 0 && ioctl(fd, TUNSETIFF, &r) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) {
        err_errno(e, CLAN_E_IO, "cannot make a network interface");
        err_remedy(e, "load the kernel module tun: modprobe tun");
        return CLAN_E_IO;
    }
    c->tun = fd;
    memcpy(c->ifname, r.ifr_name, sizeof c->ifname);
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    c->ifindex = probe >= 0 && ioctl(probe, SIOCGIFINDEX, &r) == 0 ? (unsigned)r.ifr_ifindex : 0;
    if (probe >= 0)
        close(probe);
    return c->ifindex ? CLAN_OK : err_errno(e, CLAN_E_IO, "cannot find %s", c->ifname);
}

static clan_status configure(struct clan *c, struct clan_error *e)
{
    uint8_t resolver[16];
    clan_status s;
    memcpy(resolver, c->prefix, 16);
    resolver[15] = 0x53;
    if ((s = link_set(c, false, e)) != CLAN_OK ||
        (s = sysctl_set(c, "addr_gen_mode", '1', e)) != CLAN_OK ||
        (s = sysctl_set(c, "accept_ra", '0', e)) != CLAN_OK ||
        (s = route_set(c, true, true, e)) != CLAN_OK || (s = link_set(c, true, e)) != CLAN_OK ||
        (s = address_set(c, c->address, true, e)) != CLAN_OK ||
        (s = address_set(c, resolver, true, e)) != CLAN_OK)
        return s;
    return route_set(c, false, true, e);
}

static void tun_close(struct clan *c)
{
    if (c->tun >= 0)
        close(c->tun);
    c->tun = -1;
    c->net_up = false;
}

/* The firewall stands: now the first address may be set. */
static void up_closed(struct clan *c, const void *request, const struct clan_error *e)
{
    const struct ward_net_up *r = request;
    struct clan_error failed = *e;
    if (c->leaving || c->down)
        err_set(&failed, CLAN_E_STATE, "the clan is going down");
    if (failed.status == CLAN_OK && configure(c, &failed) == CLAN_OK) {
        c->net_up = true;
        c->state = WARD_UP;
        logs_say(c, LOG_LEVEL_INFO, "%s is up", c->ifname);
        children_start(c, WARD_KIND_RESOLVER);
    } else
        tun_close(c);
    monitor_answer(c, r->head.serial, &failed, 0, c->tun_flags, c->tun);
}

void net_up(struct clan *c, const void *request)
{
    const struct ward_net_up *r = request;
    struct clan_error e = CLAN_ERROR_INIT;
    bool again = c->tun >= 0 && memcmp(c->address, r->address, 16) == 0;
    if (again && c->net_up) { /* a new core of a clan that is up */
        c->state = WARD_UP;
        monitor_answer(c, r->head.serial, NULL, 0, c->tun_flags, c->tun);
        return;
    }
    if (!net_in_prefix(c, r->address) || r->mtu < 1280 || r->mtu > 9000)
        err_set(&e, CLAN_E_INVAL, "not an address and MTU for this clan");
    else if (c->tun >= 0)
        err_set(&e, CLAN_E_STATE, "the network of this clan is being set up");
    else {
        memcpy(c->address, r->address, 16);
        c->mtu = r->mtu;
        if (tun_open(c, &e) == CLAN_OK) {
            firewall_up(c, r, sizeof *r, up_closed);
            return;
        }
    }
    monitor_answer(c, r->head.serial, &e, 0, 0, -1);
}

void net_tun(struct clan *c, const void *request)
{
    monitor_answer(c, ((const struct ward_head *)request)->serial, NULL, 0, c->tun_flags, c->tun);
}

static void addr_change(struct clan *c, const struct ward_addr *r, bool add)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!net_in_prefix(c, r->address) || memcmp(c->address, r->address, 16) == 0)
        err_set(&e, CLAN_E_INVAL, "not a service address of this clan");
    else
        address_set(c, r->address, add, &e);
    monitor_answer(c, r->head.serial, &e, 0, 0, -1);
}

void net_addr_add(struct clan *c, const void *request)
{
    addr_change(c, request, true);
}

void net_addr_del(struct clan *c, const void *request)
{
    addr_change(c, request, false);
}

bool net_in_prefix(const struct clan *c, const uint8_t address[16])
{
    return c->bound && memcmp(c->prefix, address, 6) == 0;
}

void net_down(struct clan *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    tun_close(c); /* the interface, its addresses and its route go with the last descriptor */
    if (route_set(c, true, false, &e) != CLAN_OK && errno != ESRCH)
        logs_error(c, "down", &e);
}

struct local_walk {
    struct warden *w;
    struct ward_local_addrs *ret;
};

static bool is_ours(const struct warden *w, unsigned ifindex)
{
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        if (w->clans[i].used && w->clans[i].tun >= 0 && w->clans[i].ifindex == ifindex)
            return true;
    return false;
}

static int local_one(const struct nlmsghdr *h, void *arg)
{
    struct local_walk *walk = arg;
    const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
    const struct nlattr *a, *at = NULL;
    bool v4 = m->ifa_family == AF_INET;
    if ((!v4 && m->ifa_family != AF_INET6) || m->ifa_scope >= RT_SCOPE_LINK ||
        is_ours(walk->w, m->ifa_index))
        return MNL_CB_OK;
    mnl_attr_for_each(a, h, sizeof *m)
    {
        if (mnl_attr_get_type(a) == IFA_LOCAL || (mnl_attr_get_type(a) == IFA_ADDRESS && !at))
            at = a;
    }
    if (!at || mnl_attr_get_payload_len(at) != (v4 ? 4 : 16) || walk->ret->count == WARD_LOCAL_MAX)
        return MNL_CB_OK;
    uint8_t *to = walk->ret->addrs[walk->ret->count].address;
    if (v4)
        memset(to + 10, 0xff, 2);
    memcpy(v4 ? to + 12 : to, mnl_attr_get_payload(at), v4 ? 4 : 16);
    walk->ret->addrs[walk->ret->count].prefix_len = (uint8_t)(m->ifa_prefixlen + (v4 ? 96 : 0));
    walk->ret->addrs[walk->ret->count++].ifindex = m->ifa_index;
    return MNL_CB_OK;
}

unsigned net_local(struct warden *w, struct ward_local_addrs *ret)
{
    struct net_request r;
    struct clan_error e = CLAN_ERROR_INIT;
    struct local_walk walk = {w, ret};
    clan_status s = CLAN_E_AGAIN;
    for (unsigned tries = 0; s != CLAN_OK && tries < 3;
         tries++) { /* EINTR: they changed meanwhile */
        request_begin(&r, RTM_GETADDR, 0, sizeof(struct ifaddrmsg));
        memset(ret->addrs, 0, sizeof ret->addrs);
        ret->count = 0;
        s = request_run(&r, local_one, &walk, &e, "read this machine's addresses");
    }
    if (s != CLAN_OK)
        logs_error(NULL, "addresses", &e);
    return ret->count;
}

void net_local_addrs(struct clan *c, const void *request)
{
    struct ward_local_addrs answer = {
        .head = {WARD_EV_LOCAL_ADDRS, ((const struct ward_head *)request)->serial}};
    net_local(c->warden, &answer);
    monitor_event(c, &answer, sizeof answer, -1);
}

static void addrs_changed(void *arg)
{
    struct warden *w = arg;
    struct ward_simple event = {{WARD_EV_ADDRS_CHANGED, 0}};
    w->addrs_timer = 0;
    firewall_lans(w);
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        if (w->clans[i].used)
            monitor_event(&w->clans[i], &event, sizeof event, -1);
}

static int changed_one(const struct nlmsghdr *h, void *arg)
{
    struct warden *w = arg;
    const struct ifaddrmsg *a = mnl_nlmsg_get_payload(h);
    const struct ifinfomsg *l = mnl_nlmsg_get_payload(h);
    const struct nlattr *at;
    unsigned ifindex = 0;
    if (h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_DELADDR)
        ifindex = a->ifa_index;
    else if (h->nlmsg_type == RTM_NEWLINK || h->nlmsg_type == RTM_DELLINK)
        ifindex = (unsigned)l->ifi_index;
    else
        mnl_attr_for_each(at, h, sizeof(struct rtmsg))
        {
            if (mnl_attr_get_type(at) == RTA_OIF)
                ifindex = mnl_attr_get_u32(at);
        }
    if (ifindex && !is_ours(w, ifindex) && !w->addrs_timer)
        w->addrs_timer = loop_timer_in(w->loop, NET_DEBOUNCE_MS, addrs_changed, w);
    return MNL_CB_OK;
}

static void monitor_changes(void *arg, int fd, uint32_t events)
{
    uint8_t bytes[32768];
    (void)events;
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        mnl_cb_run(bytes, (size_t)n, 0, 0, changed_one, arg);
}

clan_status net_monitor(struct warden *w)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                     RTMGRP_IPV6_ROUTE};
    w->monitor_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (w->monitor_fd < 0 || bind(w->monitor_fd, (struct sockaddr *)&at, sizeof at) != 0)
        return CLAN_E_IO;
    return loop_fd_add(w->loop, w->monitor_fd, EPOLLIN, monitor_changes, w);
}

/* A socket at an address that may come later (FREEBIND); TCP listens, at the next free port of
 * `tries`. */
int net_socket(
    int type, const uint8_t address[16], uint16_t port, unsigned tries, struct clan_error *e)
{
    bool v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
    int on = 1, fd = socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
    struct sockaddr_in a4 = {.sin_family = AF_INET};
    memcpy(&a6.sin6_addr, address, 16);
    memcpy(&a4.sin_addr, address + 12, 4);
    if (fd >= 0 && type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && !v4) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    }
    for (unsigned i = 0; fd >= 0 && i < tries && port + i <= 65535; i++) {
        a6.sin6_port = a4.sin_port = htons((uint16_t)(port + i));
        if (bind(fd, v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
                v4 ? sizeof a4 : sizeof a6) == 0 &&
            (type != SOCK_STREAM || listen(fd, 128) == 0))
            return fd;
        if (errno != EADDRINUSE)
            break;
    }
    err_errno(e, CLAN_E_IO, "cannot listen on port %u", port);
    if (fd >= 0)
        close(fd);
    return -1;
}
