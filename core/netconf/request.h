/* One request to rtnetlink, and its answers. */
#ifndef NETCONF_REQUEST_H
#define NETCONF_REQUEST_H

#include <clan/status.h>
#include <libmnl/libmnl.h>
#include <stdint.h>

struct netconf_request {
    _Alignas(NLMSG_ALIGNTO) uint8_t bytes[512];
    struct nlmsghdr *head;
};

void *netconf_request(struct netconf_request *r, uint16_t type, uint16_t flags, size_t extra);
/* Sends it and hands the answers to fn (NULL: only the acknowledgement). */
clan_status netconf_run(
    struct netconf_request *r, mnl_cb_t fn, void *arg, struct clan_error *e, const char *what);

#endif
