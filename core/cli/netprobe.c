/* Looks at the network of this computer for clan netcheck; whatever it sends goes to the clan only. */
#include "cli/netprobe.h"
#include "cli/echo.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAMES_S     5 /* a program gives up about then, too */
#define RESOLVER_MS 1500
#define ECHO_MS     2000
#define ECHO_SMALL  56
#define ECHO_BURST  4 /* full packets in a row fill the segments below them */

/* ---- addresses ---- */

static bool public_v4(const uint8_t a[4])
{
    return !(a[0] == 0 || a[0] == 10 || a[0] == 127 || a[0] >= 224 ||
             (a[0] == 100 && (a[1] & 0xc0) == 64) || (a[0] == 169 && a[1] == 254) ||
             (a[0] == 172 && (a[1] & 0xf0) == 16) || (a[0] == 192 && a[1] == 168));
}

static void take_address(struct net_facts *f, const struct ifaddrs *i)
{
    struct net_address n = {0};
    snprintf(n.ifname, sizeof n.ifname, "%s", i->ifa_name);
    if (i->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, i->ifa_addr, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, n.text, sizeof n.text);
        n.is_public = public_v4((const uint8_t *)&in.sin_addr);
    } else {
        struct sockaddr_in6 in;
        memcpy(&in, i->ifa_addr, sizeof in);
        const uint8_t *a = in.sin6_addr.s6_addr;
        if (f->daemon && memcmp(a, f->status.address, 16) == 0)
            snprintf(f->overlay, sizeof f->overlay, "%s", i->ifa_name);
        if ((a[0] == 0xfe && (a[1] & 0xc0) == 0x80) ||
            (f->daemon && memcmp(a, f->status.address, 6) == 0))
            return; /* link-local, or the clan's */
        n.v6 = true;
        n.is_public = (a[0] & 0xe0) == 0x20;
        inet_ntop(AF_INET6, a, n.text, sizeof n.text);
    }
    if (f->address_count < NET_ADDRESSES_MAX)
        f->addresses[f->address_count++] = n;
}

static unsigned mtu_of(const char *ifname)
{
    struct ifreq r = {0};
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", ifname);
    bool ok = fd >= 0 && ioctl(fd, SIOCGIFMTU, &r) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? (unsigned)r.ifr_mtu : 0;
}

void net_probe_addresses(struct net_facts *f)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        return;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        if (i->ifa_addr && (i->ifa_flags & IFF_UP) && !(i->ifa_flags & IFF_LOOPBACK) &&
            (i->ifa_addr->sa_family == AF_INET || i->ifa_addr->sa_family == AF_INET6))
            take_address(f, i);
    freeifaddrs(list);
    if (f->overlay[0])
        f->overlay_mtu = mtu_of(f->overlay);
}

/* ---- names ---- */

static enum net_names judged(const struct addrinfo *list, const uint8_t want[16])
{
    for (const struct addrinfo *i = list; i; i = i->ai_next) {
        struct sockaddr_in6 in;
        if (i->ai_family != AF_INET6)
            continue;
        memcpy(&in, i->ai_addr, sizeof in);
        if (memcmp(&in.sin6_addr, want, 16) == 0)
            return NET_NAMES_OK;
    }
    return NET_NAMES_OTHER;
}

/* As every program asks, but with a limit of our own: resolv.conf may name a server that is gone. */
static enum net_names ask_as_programs(const char *name, const uint8_t want[16])
{
    static struct gaicb request; /* a thread of libc may still have them at the end */
    static char asked[80];
    static const struct addrinfo hints = {.ai_family = AF_INET6, .ai_socktype = SOCK_STREAM};
    struct gaicb *list[] = {&request};
    const struct gaicb *waited[] = {&request};
    struct timespec limit = {.tv_sec = NAMES_S};
    snprintf(asked, sizeof asked, "%s", name);
    request = (struct gaicb){.ar_name = asked, .ar_request = &hints};
    if (getaddrinfo_a(GAI_NOWAIT, list, 1, NULL) != 0)
        return NET_NAMES_UNKNOWN;
    while (gai_suspend(waited, 1, &limit) == EAI_INTR)
        ;
    int how = gai_error(&request);
    if (how == EAI_INPROGRESS)
        return NET_NAMES_SLOW;
    return how == 0 ? judged(request.ar_result, want) : NET_NAMES_NONE;
}

/* One question to the address on which Clan's resolver answers. */
static enum net_answer ask_resolver(const struct net_facts *f)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    uint8_t query[512], answer[1232];
    memcpy(to.sin6_addr.s6_addr, f->status.address, 6);
    to.sin6_addr.s6_addr[15] = 0x53;
    int size =
        res_mkquery(ns_o_query, f->name, ns_c_in, ns_t_aaaa, NULL, 0, NULL, query, sizeof query);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    enum net_answer got = NET_ANSWER_NO;
    if (size > 0 && fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, query, (size_t)size, 0) == size) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, RESOLVER_MS) == 1 && recv(fd, answer, sizeof answer, 0) >= NS_HFIXEDSZ &&
            memcmp(answer, query, 2) == 0)
            got = NET_ANSWER_YES;
    }
    if (fd >= 0)
        close(fd);
    return got;
}

void net_probe_names(struct net_facts *f)
{
    snprintf(f->name, sizeof f->name, "%s.%s.clan", f->status.machine, f->status.petname);
    f->resolver = ask_resolver(f);
    f->names = ask_as_programs(f->name, f->status.address);
}

/* ---- the firewall ---- */

void net_probe_firewall(struct net_facts *f)
{
    const uint8_t *p = f->status.address;
    char nft[] = "/usr/sbin/nft", list[] = "list", table[] = "table", inet[] = "inet";
    char *argv[] = {nft, list, table, inet, f->table, NULL}, *env[] = {NULL};
    posix_spawn_file_actions_t quiet;
    pid_t pid;
    int how = 0;
    snprintf(f->table, sizeof f->table, "clan_%02x%02x%02x%02x%02x", p[1], p[2], p[3], p[4], p[5]);
    if (geteuid() != 0 || posix_spawn_file_actions_init(&quiet) != 0)
        return;
    for (int fd = 0; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&quiet, fd, "/dev/null", O_RDWR, 0);
    if (posix_spawn(&pid, argv[0], &quiet, NULL, argv, env) == 0) {
        while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
            ;
        if (WIFEXITED(how) && WEXITSTATUS(how) != 127)
            f->firewall = WEXITSTATUS(how) == 0 ? NET_ANSWER_YES : NET_ANSWER_NO;
    }
    posix_spawn_file_actions_destroy(&quiet);
}

/* ---- paths ---- */

/* "10.0.0.2:7117", "[2001:db8::2]:7117" */
static bool parse_via(const char *via, struct sockaddr_storage *ret, socklen_t *ret_size)
{
    char host[64];
    const char *colon = strrchr(via, ':');
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (!colon || (size_t)(colon - via) >= sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", (int)(colon - via), via);
    size_t len = strlen(host);
    v4.sin_port = v6.sin6_port = htons(9); /* nothing is sent */
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        memcpy(ret, &v4, *ret_size = sizeof v4);
        return true;
    }
    if (host[0] != '[' || host[len - 1] != ']')
        return false;
    host[len - 1] = 0;
    if (inet_pton(AF_INET6, host + 1, &v6.sin6_addr) != 1)
        return false;
    memcpy(ret, &v6, *ret_size = sizeof v6);
    return true;
}

/* What the kernel knows: of the interface, or what a router on the way said. */
static unsigned known_mtu(const char *via)
{
    struct sockaddr_storage to;
    socklen_t size, len = sizeof(int);
    int mtu = 0;
    if (!parse_via(via, &to, &size))
        return 0;
    bool v6 = to.ss_family == AF_INET6;
    int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, size) == 0)
        getsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_MTU : IP_MTU, &mtu, &len);
    if (fd >= 0)
        close(fd);
    return mtu > 0 ? (unsigned)mtu : 0;
}

void net_probe_paths(struct net_facts *f)
{
    struct echo e;
    uint64_t us;
    size_t full = f->overlay_mtu > 1280 ? f->overlay_mtu - 48 : 1232; /* IPv6 and ICMPv6 headers */
    if (full > ECHO_SIZE_MAX)
        full = ECHO_SIZE_MAX;
    echo_open(&e);
    for (unsigned i = 0; i < f->transport_count; i++) {
        const clan_api_NetTransport *t = &f->transports[i];
        f->path[i].mtu = known_mtu(t->via);
        if (e.fd < 0 || !t->carries || !t->data_allowed)
            continue;
        f->path[i].small = echo_once(&e, t->via_address, 1, ECHO_SMALL, ECHO_MS, &us)
                               ? NET_ANSWER_YES
                               : NET_ANSWER_NO;
        f->path[i].big = f->path[i].small;
        for (uint16_t k = 0; k < ECHO_BURST && f->path[i].big == NET_ANSWER_YES; k++)
            if (!echo_once(&e, t->via_address, (uint16_t)(2 + k), full, ECHO_MS, &us))
                f->path[i].big = NET_ANSWER_NO;
    }
    echo_close(&e);
}
