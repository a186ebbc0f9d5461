/* Addresses and routes of one overlay network. */
#include "netconf/netconf.h"

#include "base/error.h"
#include "netconf/interface.h"
#include "netconf/request.h"

#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#define ROUTE_METRIC    1024
#define ROUTE_BELOW_ALL 0x7ffffffe
#define PROBE_PRIORITY  0x7fffu /* behind the main table's */
#define PROBE_TABLE     7117u   /* and the clan's slot */

void netconf_identity(struct netconf *n, const uint8_t clan_id[32])
{
    n->prefix[0] = n->resolver[0] = 0xfd; /* fd and 40 bits of the clan id: a /48 */
    memcpy(n->prefix + 1, clan_id, 5);
    memcpy(n->resolver + 1, clan_id, 5);
    n->resolver[15] = 0x53;
}

bool netconf_has(const struct netconf *n, const uint8_t address[16])
{
    return n->prefix[0] && memcmp(n->prefix, address, 6) == 0; /* none is before there is a clan */
}

void *netconf_request(struct netconf_request *r, uint16_t type, uint16_t flags, size_t extra)
{
    memset(r, 0, sizeof *r);
    r->head = mnl_nlmsg_put_header(r->bytes);
    r->head->nlmsg_type = type;
    r->head->nlmsg_flags = NLM_F_REQUEST | flags;
    return mnl_nlmsg_put_extra_header(r->head, extra);
}

/* Sends one request and hands the answers to fn (NULL: only the acknowledgement). */
clan_status netconf_run(
    struct netconf_request *r, mnl_cb_t fn, void *arg, struct clan_error *e, const char *what)
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

clan_status netconf_address(
    const struct netconf *n, const uint8_t address[16], bool add, struct clan_error *e)
{
    struct netconf_request r;
    struct ifaddrmsg *m = netconf_request(
        &r, add ? RTM_NEWADDR : RTM_DELADDR, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof *m);
    *m = (struct ifaddrmsg){.ifa_family = AF_INET6,
        .ifa_prefixlen = 128,
        .ifa_index = n->ifindex,
        .ifa_flags = IFA_F_NODAD};
    mnl_attr_put(r.head, IFA_LOCAL, 16, address);
    mnl_attr_put(r.head, IFA_ADDRESS, 16, address);
    clan_status s = netconf_run(&r, NULL, NULL, e, add ? "add an address" : "remove an address");
    return !add && s != CLAN_OK && errno == EADDRNOTAVAIL ? CLAN_OK : s;
}

/* The /48: into the TUN, or (unreachable) below it, for when the TUN is gone. */
static clan_status route_put(const struct netconf *n, bool unreachable, bool add,
    const char *congestion, struct clan_error *e)
{
    struct netconf_request r;
    struct rtmsg *m = netconf_request(
        &r, add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | NLM_F_REPLACE : 0, sizeof *m);
    *m = (struct rtmsg){.rtm_family = AF_INET6,
        .rtm_dst_len = 48,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = unreachable ? RTN_UNREACHABLE : RTN_UNICAST};
    mnl_attr_put(r.head, RTA_DST, 16, n->prefix);
    mnl_attr_put_u32(r.head, RTA_PRIORITY, unreachable ? ROUTE_BELOW_ALL : ROUTE_METRIC);
    if (!unreachable) {
        mnl_attr_put_u32(r.head, RTA_OIF, n->ifindex);
        mnl_attr_put(r.head, RTA_PREFSRC, 16, n->address);
    }
    if (congestion) {
        struct nlattr *metrics = mnl_attr_nest_start(r.head, RTA_METRICS);
        mnl_attr_put_strz(r.head, RTAX_CC_ALGO, congestion);
        mnl_attr_nest_end(r.head, metrics);
    }
    return netconf_run(&r, NULL, NULL, e, "set the route of the clan");
}

/*
 * What flows through the TUN meets one bottleneck, clan-link's queue, which tells a sender by dropping.
 * BBR does not listen to that and paces each super-packet by a timer of its own, so TCP in the tunnel is
 * cubic whatever the machine's default is or a program wishes; the stream that carries it keeps the default.
 */
static clan_status route_set(
    const struct netconf *n, bool unreachable, bool add, struct clan_error *e)
{
    struct clan_error no_cubic = CLAN_ERROR_INIT;
    if (add && !unreachable && route_put(n, unreachable, add, "cubic", &no_cubic) == CLAN_OK)
        return CLAN_OK;
    return route_put(n, unreachable, add, NULL, e);
}

/*
 * Chromium looks up no IPv6 address, and the clan has no others, unless a socket can be connected to this one; it sends
 * nothing there.  On a computer without IPv6 a service would open in every program but that one.  The rule comes after
 * all others: where there is IPv6 it is never reached.  What is sent there all the same ends in clan-link.
 */
static const uint8_t probe[16] = {
    0x20, 0x01, 0x48, 0x60, 0x48, 0x60, [14] = 0x88, 0x88}; /* 2001:4860:4860::8888 */

static void probe_rule(const struct netconf *n, bool add)
{
    struct netconf_request r;
    struct clan_error e = CLAN_ERROR_INIT;
    struct fib_rule_hdr *m = netconf_request(
        &r, add ? RTM_NEWRULE : RTM_DELRULE, add ? NLM_F_CREATE | NLM_F_EXCL : 0, sizeof *m);
    *m = (struct fib_rule_hdr){.family = AF_INET6, .dst_len = 128, .action = FR_ACT_TO_TBL};
    mnl_attr_put(r.head, FRA_DST, 16, probe);
    mnl_attr_put_u32(r.head, FRA_PRIORITY, PROBE_PRIORITY);
    mnl_attr_put_u32(r.head, FRA_TABLE, PROBE_TABLE + n->slot);
    netconf_run(&r, NULL, NULL, &e,
        "set the rule of the probe"); /* there already, or a kernel without rules */
}

static void probe_route(const struct netconf *n)
{
    struct netconf_request r;
    struct clan_error e = CLAN_ERROR_INIT;
    struct rtmsg *m = netconf_request(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, sizeof *m);
    *m = (struct rtmsg){.rtm_family = AF_INET6,
        .rtm_dst_len = 128,
        .rtm_protocol = RTPROT_STATIC,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST};
    mnl_attr_put(r.head, RTA_DST, 16, probe);
    mnl_attr_put_u32(r.head, RTA_TABLE, PROBE_TABLE + n->slot);
    mnl_attr_put_u32(r.head, RTA_OIF, n->ifindex);
    mnl_attr_put(r.head, RTA_PREFSRC, 16, n->address);
    netconf_run(&r, NULL, NULL, &e, "set the route of the probe");
}

clan_status netconf_tun(struct netconf *n, struct clan_error *e)
{
    strcpy(n->ifname, "clan%d"); /* the kernel takes the first free number */
    return interface_tun(n->ifname, &n->tun, &n->ifindex, &n->flags, e);
}

clan_status netconf_up(const struct netconf *n, struct clan_error *e)
{
    clan_status s;
    if ((s = interface_sizes(n->ifindex, n->mtu, e)) != CLAN_OK ||
        (s = interface_quiet(n->ifname, e)) != CLAN_OK ||
        (s = route_set(n, true, true, e)) != CLAN_OK ||
        (s = interface_up(n->ifindex, e)) != CLAN_OK ||
        (s = netconf_address(n, n->address, true, e)) != CLAN_OK ||
        (s = netconf_address(n, n->resolver, true, e)) != CLAN_OK)
        return s;
    interface_no_queue(n->ifindex);
    probe_route(n);
    probe_rule(n, true);
    return route_set(n, false, true, e);
}

void netconf_tun_close(struct netconf *n)
{
    if (n->tun >= 0)
        close(n->tun);
    n->tun = -1;
}

clan_status netconf_down(struct netconf *n, struct clan_error *e)
{
    netconf_tun_close(n);
    probe_rule(n, false);
    clan_status s = route_set(n, true, false, e);
    return s != CLAN_OK && errno == ESRCH ? CLAN_OK : s;
}
