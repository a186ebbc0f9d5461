/* One overlay network of this computer: its TUN, addresses, routes, listeners, and what is around. */
#ifndef NETCONF_NETCONF_H
#define NETCONF_NETCONF_H

#include "base/loop.h"
#include "wire/grants.h"
#include "wire/warden_requests.h"

#include <clan/status.h>
#include <sys/types.h>

#define NETCONF_LISTEN_MAX (GRANTS_LISTEN_MAX + GRANTS_PEOPLE_MAX) /* sockets of a plugin */

struct netconf {
    int tun; /* -1: none */
    char ifname[16];
    unsigned ifindex;
    uint32_t flags, mtu; /* WARD_TUN_ bits */
    uint8_t prefix[16];  /* a /48 */
    uint8_t address[16], resolver[16];
    unsigned slot;                      /* of the clan on this machine: its addresses of loopback */
    uint32_t people[GRANTS_PEOPLE_MAX]; /* for whom the firewall keeps one each */
    unsigned people_count;
};

void netconf_identity(struct netconf *n, const uint8_t clan_id[32]);  /* its prefix, its resolver */
bool netconf_has(const struct netconf *n, const uint8_t address[16]); /* is it in the prefix? */
clan_status netconf_tun(struct netconf *n, struct clan_error *e); /* opens it, without addresses */
clan_status netconf_up(
    const struct netconf *n, struct clan_error *e); /* sizes, addresses, routes */
void netconf_tun_close(struct netconf *n); /* addresses and route go with the last descriptor */
clan_status netconf_down(struct netconf *n, struct clan_error *e);
clan_status netconf_address(
    const struct netconf *n, const uint8_t address[16], bool add, struct clan_error *e);

/* device.c: the second interface, of a device transport: the kernel's WireGuard, or a TUN for the
 * plugin.  Its addresses sit on the first one. */
struct netconf_device {
    char ifname[16];  /* of the first one, and "w" */
    unsigned ifindex; /* 0: there is none */
    int tun;          /* -1: the kernel's own */
    uint32_t flags;   /* WARD_TUN_ bits */
    struct netconf_list {
        struct netconf_known {
            uint8_t key[32]; /* of a peer; an address */
            bool named;      /* since the last DEVICE_UP */
        } * rows;
        unsigned count, cap;
    } routes, peers; /* addresses that go through it; peers of the kernel's */
};
void netconf_device_name(const struct netconf *n, char ret_name[16]);
/* Does what one WARD_REQ_DEVICE_ request asks for, within the clan's /48 and the grants, and wipes a key in it.  *ret_fd: a TUN, which stays
 * the device's, or a socket, which is the caller's; else it is left alone.  ret_states: filled when it
 * was asked for, then its head has an id. */
clan_status netconf_device(const struct netconf *n, struct netconf_device *d,
    const struct grants *grants, const void *request, struct ward_device_states *ret_states,
    int *ret_fd, struct clan_error *e);
bool netconf_owns(const struct netconf *n, const struct netconf_device *d, unsigned ifindex);
void netconf_device_down(struct netconf_device *d); /* routes go with it */

/* local.c: the addresses of this computer; interfaces that skip() names are not counted */
typedef bool netconf_skip_fn(const void *arg, unsigned ifindex);
clan_status netconf_local(
    netconf_skip_fn *skip, const void *arg, struct ward_local_addrs *ret, struct clan_error *e);
struct netconf_watch {
    struct loop *loop;
    netconf_skip_fn *skip;
    loop_timer_fn *changed; /* half a second after the first of a row of changes */
    void *arg;
    uint64_t timer;
};
clan_status netconf_watch(struct netconf_watch *watch); /* lives as long as the process */

/* listen.c: sockets, -1 on error.  TCP and UDP at an address that may come later (FREEBIND); TCP
 * listens, at the next free port of `tries`. */
int netconf_socket(
    int type, const uint8_t address[16], uint16_t port, unsigned tries, struct clan_error *e);

/* Those of a grant that can be had, TCP, at the next free port of `tries`, then with the sessions of people
 * one on loopback for each of them; failed() hears of the others. */
unsigned netconf_listen(const struct netconf *n, const struct grant_plugin *p, bool with_people,
    unsigned tries, void (*failed)(void *arg, const struct clan_error *e), void *arg,
    int ret_fds[NETCONF_LISTEN_MAX]);
/* The same at directory/name.sock, and the end of it. */
int netconf_unix_in(const char *directory, const char *name, uid_t uid, gid_t gid, mode_t mode,
    struct clan_error *e);
void netconf_unix_remove(const char *directory, const char *name);
int netconf_unix(const char *path, uid_t uid, gid_t gid, mode_t mode, struct clan_error *e);

#endif
