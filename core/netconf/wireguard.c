/* The netlink messages of kernel WireGuard. */
#include "netconf/wireguard.h"

#include "base/error.h"
#include "netconf/request.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <linux/rtnetlink.h>
#include <linux/wireguard.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define MESSAGE_MAX 4096  /* one peer with WARD_DEVICE_ADDRESSES: about 1,600 */
#define ANSWER_MAX  32768 /* the kernel makes dumps of at most that size */

struct message {
    _Alignas(NLMSG_ALIGNTO) uint8_t bytes[MESSAGE_MAX];
    struct nlmsghdr *head;
};

/* ---- generic netlink ---- */

static struct nlmsghdr *begin(struct message *m, uint16_t family, uint8_t command, uint16_t flags)
{
    memset(m, 0, sizeof *m);
    m->head = mnl_nlmsg_put_header(m->bytes);
    m->head->nlmsg_type = family;
    m->head->nlmsg_flags = NLM_F_REQUEST | flags;
    struct genlmsghdr *g = mnl_nlmsg_put_extra_header(m->head, sizeof *g);
    g->cmd = command;
    g->version = 1;
    return m->head;
}

/* Sends a message and hands the answers to fn, to the last one or the acknowledgement; errno on -1. */
static int talk(struct message *m, mnl_cb_t fn, void *arg)
{
    struct mnl_socket *nl = mnl_socket_open2(NETLINK_GENERIC, SOCK_CLOEXEC);
    uint8_t *answer = malloc(ANSWER_MAX);
    int left = -1;
    clan_assert(answer);
    if (m->head->nlmsg_type == 0) /* what family() says of a kernel without it */
        errno = EOPNOTSUPP;
    else if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0) {
        left = mnl_socket_sendto(nl, m->head, m->head->nlmsg_len) < 0 ? -1 : 1;
        while (left > 0) {
            ssize_t n = mnl_socket_recvfrom(nl, answer, ANSWER_MAX);
            left =
                n < 0 ? -1 : mnl_cb_run(answer, (size_t)n, 0, mnl_socket_get_portid(nl), fn, arg);
        }
    }
    int error = errno;
    explicit_bzero(answer, ANSWER_MAX);
    free(answer);
    if (nl)
        mnl_socket_close(nl);
    errno = error;
    return left;
}

static int take_family(const struct nlattr *a, void *arg)
{
    if (mnl_attr_get_type(a) == CTRL_ATTR_FAMILY_ID && mnl_attr_validate(a, MNL_TYPE_U16) == 0)
        *(uint16_t *)arg = mnl_attr_get_u16(a);
    return MNL_CB_OK;
}

static int on_family(const struct nlmsghdr *head, void *arg)
{
    return mnl_attr_parse(head, sizeof(struct genlmsghdr), take_family, arg);
}

/* The number that this kernel gave to the family; 0: it has none, or not yet. */
static uint16_t family(void)
{
    struct message m;
    uint16_t id = 0;
    begin(&m, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_ACK);
    mnl_attr_put_strz(m.head, CTRL_ATTR_FAMILY_NAME, WG_GENL_NAME);
    return talk(&m, on_family, &id) == 0 ? id : 0;
}

static clan_status set(struct message *m, struct clan_error *e, const char *what)
{
    int failed = talk(m, NULL, NULL);
    int error = errno;
    explicit_bzero(m, sizeof *m); /* keys */
    errno = error;
    return failed ? err_errno(e, error == EADDRINUSE ? CLAN_E_AGAIN : CLAN_E_IO, "cannot %s", what)
                  : CLAN_OK;
}

static struct nlmsghdr *begin_set(struct message *m, unsigned index)
{
    begin(m, family(), WG_CMD_SET_DEVICE, NLM_F_ACK);
    mnl_attr_put_u32(m->head, WGDEVICE_A_IFINDEX, index);
    return m->head;
}

/* ---- the device ---- */

clan_status wireguard_create(const char *name, struct clan_error *e)
{
    struct netconf_request r;
    struct ifinfomsg *m = netconf_request(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, sizeof *m);
    mnl_attr_put_strz(r.head, IFLA_IFNAME, name);
    struct nlattr *info = mnl_attr_nest_start(r.head, IFLA_LINKINFO);
    mnl_attr_put_strz(r.head, IFLA_INFO_KIND, WG_GENL_NAME);
    mnl_attr_nest_end(r.head, info);
    clan_status st = netconf_run(&r, NULL, NULL, e, "make the interface of WireGuard");
    if (st == CLAN_OK || errno != EOPNOTSUPP)
        return st;
    return err_set(e, CLAN_E_NOSYS, "this kernel has no WireGuard");
}

clan_status wireguard_key(
    unsigned index, const uint8_t secret[32], uint16_t port, struct clan_error *e)
{
    struct message m;
    begin_set(&m, index);
    mnl_attr_put(m.head, WGDEVICE_A_PRIVATE_KEY, WG_KEY_LEN, secret);
    mnl_attr_put_u16(m.head, WGDEVICE_A_LISTEN_PORT, port);
    mnl_attr_put_u32(m.head, WGDEVICE_A_FLAGS, WGDEVICE_F_REPLACE_PEERS);
    return set(&m, e, "give WireGuard its key");
}

static void put_endpoint(struct nlmsghdr *head, const struct ward_device_peer *p)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(p->port)};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(p->port)};
    memcpy(&v6.sin6_addr, p->endpoint, 16);
    memcpy(&v4.sin_addr, p->endpoint + 12, 4);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr))
        mnl_attr_put(head, WGPEER_A_ENDPOINT, sizeof v4, &v4);
    else
        mnl_attr_put(head, WGPEER_A_ENDPOINT, sizeof v6, &v6);
}

static void put_addresses(struct nlmsghdr *head, const struct ward_device_peer *p)
{
    struct nlattr *list = mnl_attr_nest_start(head, WGPEER_A_ALLOWEDIPS);
    for (unsigned i = 0; i < p->count && i < WARD_DEVICE_ADDRESSES; i++) {
        struct nlattr *one = mnl_attr_nest_start(head, 0);
        mnl_attr_put_u16(head, WGALLOWEDIP_A_FAMILY, AF_INET6);
        mnl_attr_put(head, WGALLOWEDIP_A_IPADDR, 16, p->addresses[i]);
        mnl_attr_put_u8(head, WGALLOWEDIP_A_CIDR_MASK, 128);
        mnl_attr_nest_end(head, one);
    }
    mnl_attr_nest_end(head, list);
}

clan_status wireguard_peer(unsigned index, const struct ward_device_peer *p, struct clan_error *e)
{
    struct message m;
    begin_set(&m, index);
    struct nlattr *peers = mnl_attr_nest_start(m.head, WGDEVICE_A_PEERS);
    struct nlattr *one = mnl_attr_nest_start(m.head, 0);
    mnl_attr_put(m.head, WGPEER_A_PUBLIC_KEY, WG_KEY_LEN, p->key);
    mnl_attr_put_u32(
        m.head, WGPEER_A_FLAGS, p->remove ? WGPEER_F_REMOVE_ME : WGPEER_F_REPLACE_ALLOWEDIPS);
    if (!p->remove) {
        if (p->port)
            put_endpoint(m.head, p);
        mnl_attr_put_u16(m.head, WGPEER_A_PERSISTENT_KEEPALIVE_INTERVAL, p->keepalive_s);
        put_addresses(m.head, p);
    }
    mnl_attr_nest_end(m.head, one);
    mnl_attr_nest_end(m.head, peers);
    return set(&m, e, "set a peer of WireGuard");
}

/* ---- what it knows of its peers ---- */

struct states {
    wireguard_fn *seen;
    void *arg;
};

static void take_endpoint(const struct nlattr *a, struct ward_device_state *s)
{
    const struct sockaddr *sa = mnl_attr_get_payload(a);
    if (mnl_attr_get_payload_len(a) == sizeof(struct sockaddr_in6) && sa->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, sa, sizeof v6);
        memcpy(s->endpoint, &v6.sin6_addr, 16);
        s->port = ntohs(v6.sin6_port);
    } else if (mnl_attr_get_payload_len(a) == sizeof(struct sockaddr_in)) {
        struct sockaddr_in v4;
        memcpy(&v4, sa, sizeof v4);
        s->endpoint[10] = s->endpoint[11] = 0xff;
        memcpy(s->endpoint + 12, &v4.sin_addr, 4);
        s->port = ntohs(v4.sin_port);
    }
}

static int take_state(const struct nlattr *a, void *arg)
{
    struct ward_device_state *s = arg;
    struct timespec at;
    switch (mnl_attr_get_type(a)) {
    case WGPEER_A_PUBLIC_KEY:
        if (mnl_attr_get_payload_len(a) == sizeof s->key)
            memcpy(s->key, mnl_attr_get_payload(a), sizeof s->key);
        break;
    case WGPEER_A_ENDPOINT:
        take_endpoint(a, s);
        break;
    case WGPEER_A_LAST_HANDSHAKE_TIME: /* two 64-bit numbers on every architecture */
        if (mnl_attr_get_payload_len(a) == sizeof at)
            memcpy(&at, mnl_attr_get_payload(a), sizeof at), s->handshake_s = at.tv_sec;
        break;
    case WGPEER_A_RX_BYTES:
        s->rx_bytes = mnl_attr_validate(a, MNL_TYPE_U64) == 0 ? mnl_attr_get_u64(a) : 0;
        break;
    case WGPEER_A_TX_BYTES:
        s->tx_bytes = mnl_attr_validate(a, MNL_TYPE_U64) == 0 ? mnl_attr_get_u64(a) : 0;
        break;
    default:
        break;
    }
    return MNL_CB_OK;
}

static int take_device(const struct nlattr *a, void *arg)
{
    const struct states *x = arg;
    const struct nlattr *one;
    if (mnl_attr_get_type(a) != WGDEVICE_A_PEERS)
        return MNL_CB_OK;
    mnl_attr_for_each_nested(one, a)
    {
        struct ward_device_state s = {0};
        if (mnl_attr_parse_nested(one, take_state, &s) < 0)
            return MNL_CB_ERROR;
        x->seen(x->arg, &s); /* a peer with many addresses may come twice, then without numbers */
    }
    return MNL_CB_OK;
}

static int on_device(const struct nlmsghdr *head, void *arg)
{
    return mnl_attr_parse(head, sizeof(struct genlmsghdr), take_device, arg);
}

clan_status wireguard_states(unsigned index, wireguard_fn *seen, void *arg, struct clan_error *e)
{
    struct message m;
    struct states x = {seen, arg};
    begin(&m, family(), WG_CMD_GET_DEVICE, NLM_F_DUMP);
    mnl_attr_put_u32(m.head, WGDEVICE_A_IFINDEX, index);
    return talk(&m, on_device, &x) == 0 ? CLAN_OK : err_errno(e, CLAN_E_IO, "cannot ask WireGuard");
}
