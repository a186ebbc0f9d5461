/* rtnetlink, sysctl and /dev/net/tun for one interface. */
#include "netconf/interface.h"

#include "base/error.h"
#include "netconf/request.h"
#include "wire/limits.h"
#include "wire/warden_requests.h"

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
#define TUN_OFFLOADS      (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)
#define TUN_USO           (0x20 | 0x40)

unsigned interface_index(const char *name)
{
    struct ifreq r = {0};
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    unsigned index =
        probe >= 0 && ioctl(probe, SIOCGIFINDEX, &r) == 0 ? (unsigned)r.ifr_ifindex : 0;
    if (probe >= 0)
        close(probe);
    return index;
}

static int tun_open(const char *wished, short flags, char ret_name[INTERFACE_NAME])
{
    struct ifreq r = {.ifr_flags = flags};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", wished);
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &r) != 0) {
        close(fd);
        return -1;
    }
    memcpy(ret_name, r.ifr_name, INTERFACE_NAME);
    return fd;
}

clan_status interface_tun(char name[INTERFACE_NAME], int *ret_fd, unsigned *ret_index,
    uint32_t *ret_flags, struct clan_error *e)
{
    char wished[INTERFACE_NAME];
    memcpy(wished, name, sizeof wished);
    int fd = tun_open(wished, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, name);
    *ret_flags = 0;
    if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, TUN_OFFLOADS | TUN_USO) == 0)
        *ret_flags = WARD_TUN_VNET | WARD_TUN_USO;
    else if (fd >= 0 && ioctl(fd, TUNSETOFFLOAD, TUN_OFFLOADS) == 0)
        *ret_flags = WARD_TUN_VNET;
    else { /* no offloads: packets without a header */
        if (fd >= 0)
            close(fd);
        fd = tun_open(wished, IFF_TUN | IFF_NO_PI, name);
    }
    if (fd < 0) {
        err_errno(e, CLAN_E_IO, "cannot make a network interface");
        err_remedy(e, "load the kernel module tun: modprobe tun");
        return CLAN_E_IO;
    }
    *ret_fd = fd;
    *ret_index = interface_index(name);
    return *ret_index ? CLAN_OK : err_errno(e, CLAN_E_IO, "cannot find %s", name);
}

static struct ifinfomsg *link_request(struct netconf_request *r, uint16_t type, unsigned index)
{
    struct ifinfomsg *m = netconf_request(r, type, 0, sizeof *m);
    *m = (struct ifinfomsg){.ifi_index = (int)index};
    return m;
}

clan_status interface_remove(unsigned index, struct clan_error *e)
{
    struct netconf_request r;
    link_request(&r, RTM_DELLINK, index);
    clan_status st = netconf_run(&r, NULL, NULL, e, "remove the interface");
    return st != CLAN_OK && errno == ENODEV ? CLAN_OK : st;
}

clan_status interface_sizes(unsigned index, uint32_t mtu, struct clan_error *e)
{
    struct netconf_request r;
    link_request(&r, RTM_NEWLINK, index);
    mnl_attr_put_u32(r.head, IFLA_MTU, mtu);
    mnl_attr_put_u32(r.head, IFLA_GSO_MAX_SIZE, WIRE_GSO_MAX);
    mnl_attr_put_u32(r.head, ATTR_GSO_IPV4_MAX, WIRE_GSO_MAX);
    return netconf_run(&r, NULL, NULL, e, "set the interface's sizes");
}

clan_status interface_up(unsigned index, struct clan_error *e)
{
    struct netconf_request r;
    struct ifinfomsg *m = link_request(&r, RTM_NEWLINK, index);
    m->ifi_flags = m->ifi_change = IFF_UP;
    return netconf_run(&r, NULL, NULL, e, "bring the interface up");
}

/* A TUN takes every packet at once, the queue of a path is its reader's: one in front of it only
 * costs.  A kernel that will not keeps its own. */
void interface_no_queue(unsigned index)
{
    struct netconf_request r;
    struct tcmsg *m = netconf_request(&r, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, sizeof *m);
    *m = (struct tcmsg){.tcm_ifindex = (int)index, .tcm_parent = TC_H_ROOT};
    mnl_attr_put_strz(r.head, TCA_KIND, "noqueue");
    struct clan_error ignored = CLAN_ERROR_INIT;
    netconf_run(&r, NULL, NULL, &ignored, "leave out the interface's queue");
}

static clan_status sysctl_set(const char *name, const char *key, char value, struct clan_error *e)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/%s", name, key);
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

clan_status interface_quiet(const char *name, struct clan_error *e)
{
    clan_status st = sysctl_set(name, "addr_gen_mode", '1', e);
    return st == CLAN_OK ? sysctl_set(name, "accept_ra", '0', e) : st;
}
