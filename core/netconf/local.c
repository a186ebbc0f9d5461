/* The addresses of this computer, and the moment when they, links or routes change. */
#include "netconf/netconf.h"

#include "base/error.h"
#include "netconf/request.h"

#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define DEBOUNCE_MS 500

struct walk {
    netconf_skip_fn *skip;
    const void *arg;
    struct ward_local_addrs *ret;
};

static int local_one(const struct nlmsghdr *h, void *arg)
{
    struct walk *walk = arg;
    const struct ifaddrmsg *m = mnl_nlmsg_get_payload(h);
    const struct nlattr *a, *at = NULL;
    bool v4 = m->ifa_family == AF_INET;
    if ((!v4 && m->ifa_family != AF_INET6) || m->ifa_scope >= RT_SCOPE_LINK ||
        walk->skip(walk->arg, m->ifa_index))
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

clan_status netconf_local(
    netconf_skip_fn *skip, const void *arg, struct ward_local_addrs *ret, struct clan_error *e)
{
    struct netconf_request r;
    struct walk walk = {skip, arg, ret};
    clan_status s = CLAN_E_AGAIN;
    for (unsigned tries = 0; s != CLAN_OK && tries < 3; tries++) { /* EINTR: they changed */
        netconf_request(&r, RTM_GETADDR, 0, sizeof(struct ifaddrmsg));
        memset(ret->addrs, 0, sizeof ret->addrs);
        ret->count = 0;
        s = netconf_run(&r, local_one, &walk, e, "read this machine's addresses");
    }
    return s;
}

static void changes_told(void *arg)
{
    struct netconf_watch *w = arg;
    w->timer = 0;
    w->changed(w->arg);
}

static int changed_one(const struct nlmsghdr *h, void *arg)
{
    struct netconf_watch *w = arg;
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
    if (ifindex && !w->skip(w->arg, ifindex) && !w->timer)
        w->timer = loop_timer_in(w->loop, DEBOUNCE_MS, changes_told, w);
    return MNL_CB_OK;
}

static void changes_readable(void *arg, int fd, uint32_t events)
{
    uint8_t bytes[32768];
    (void)events;
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0)
        mnl_cb_run(bytes, (size_t)n, 0, 0, changed_one, arg);
}

clan_status netconf_watch(struct netconf_watch *w)
{
    struct sockaddr_nl at = {.nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
                     RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        return CLAN_E_IO;
    return loop_fd_add(w->loop, fd, EPOLLIN, changes_readable, w);
}
