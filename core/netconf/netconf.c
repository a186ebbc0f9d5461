/* rtnetlink, sysctl and /dev/net/tun for one overlay network. */
#include "netconf/netconf.h"

#include "base/error.h"
#include "netconf/request.h"
#include "wire/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTR_GSO_IPV4_MAX 63 /* IFLA_GSO_IPV4_MAX_SIZE, younger than Debian's headers */
#define TUN_USO           (0x20 | 0x40)
#define ROUTE_METRIC      1024
#define ROUTE_BELOW_ALL   0x7ffffffe

void netconf_identity(struct netconf *n, const uint8_t clan_id[32])
{
    n->prefix[0] = n->resolver[0] = 0xfd; /* fd and 40 bits of the clan id: a /48 */
    memcpy(n->prefix + 1, clan_id, 5);
    memcpy(n->resolver + 1, clan_id, 5);
    n->resolver[15] = 0x53;
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
static clan_status route_set(
    const struct netconf *n, bool unreachable, bool add, struct clan_error *e)
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
    return netconf_run(&r, NULL, NULL, e, "set the route of the clan");
}

static clan_status link_set(const struct netconf *n, bool up, struct clan_error *e)
{
    struct netconf_request r;
    struct ifinfomsg *m = netconf_request(&r, RTM_NEWLINK, 0, sizeof *m);
    *m = (struct ifinfomsg){.ifi_index = (int)n->ifindex};
    if (up)
        m->ifi_flags = m->ifi_change = IFF_UP;
    else {
        mnl_attr_put_u32(r.head, IFLA_MTU, n->mtu);
        mnl_attr_put_u32(r.head, IFLA_GSO_MAX_SIZE, WIRE_GSO_MAX);
        mnl_attr_put_u32(r.head, ATTR_GSO_IPV4_MAX, WIRE_GSO_MAX);
    }
    return netconf_run(
        &r, NULL, NULL, e, up ? "bring the interface up" : "set the interface's sizes");
}

/* A TUN takes every packet at once, the queue of a path is clan-link's: one in front of it only
 * costs.  A kernel that will not keeps its own. */
static void queue_none(const struct netconf *n)
{
    struct netconf_request r;
    struct tcmsg *m = netconf_request(&r, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, sizeof *m);
    *m = (struct tcmsg){.tcm_ifindex = (int)n->ifindex, .tcm_parent = TC_H_ROOT};
    mnl_attr_put_strz(r.head, TCA_KIND, "noqueue");
    struct clan_error ignored = CLAN_ERROR_INIT;
    netconf_run(&r, NULL, NULL, &ignored, "leave out the interface's queue");
}

static clan_status sysctl_set(
    const struct netconf *n, const char *key, char value, struct clan_error *e)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", n->ifname, key);
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

clan_status netconf_tun(struct netconf *n, struct clan_error *e)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    unsigned offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    strcpy(r.ifr_name, "clan%d"); /* the kernel takes the first free number */
    if (fd >= 0)
        ioctl(fd, TUNSETIFF, &r); /* a failure shows in the next call */
    n->flags = 0;
    if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, offloads | TUN_USO) == 0)
        n->flags = WARD_TUN_VNET | WARD_TUN_USO;
    else if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, offloads) == 0)
        n->flags = WARD_TUN_VNET;
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
    n->tun = fd;
    memcpy(n->ifname, r.ifr_name, sizeof n->ifname);
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    n->ifindex = probe >= 0 && ioctl(probe, SIOCGIFINDEX, &r) == 0 ? (unsigned)r.ifr_ifindex : 0;
    if (probe >= 0)
        close(probe);
    return n->ifindex ? CLAN_OK : err_errno(e, CLAN_E_IO, "cannot find %s", n->ifname);
}

clan_status netconf_up(const struct netconf *n, struct clan_error *e)
{
    clan_status s;
    if ((s = link_set(n, false, e)) != CLAN_OK ||
        (s = sysctl_set(n, "addr_gen_mode", '1', e)) != CLAN_OK ||
        (s = sysctl_set(n, "accept_ra", '0', e)) != CLAN_OK ||
        (s = route_set(n, true, true, e)) != CLAN_OK || (s = link_set(n, true, e)) != CLAN_OK ||
        (s = netconf_address(n, n->address, true, e)) != CLAN_OK ||
        (s = netconf_address(n, n->resolver, true, e)) != CLAN_OK)
        return s;
    queue_none(n);
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
    clan_status s = route_set(n, true, false, e);
    return s != CLAN_OK && errno == ESRCH ? CLAN_OK : s;
}
