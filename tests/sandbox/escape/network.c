/* Attempts on the network and on sockets that were handed over. */
#include "attempts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int sock(int family, int type, int protocol)
{
    int fd = socket(family, type | SOCK_CLOEXEC, protocol);
    int r = result(fd);
    if (fd >= 0)
        close(fd);
    return r;
}

#define SOCK(name, family, type, protocol)                                                         \
    static int name(void)                                                                          \
    {                                                                                              \
        return sock(family, type, protocol);                                                       \
    }
SOCK(udp, AF_INET, SOCK_DGRAM, 0)
SOCK(udp6, AF_INET6, SOCK_DGRAM, 0)
SOCK(raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCK(ping, AF_INET, SOCK_DGRAM, IPPROTO_ICMP)
SOCK(packet, AF_PACKET, SOCK_RAW, 0)
SOCK(netlink, AF_NETLINK, SOCK_RAW, 0)
SOCK(local, AF_UNIX, SOCK_STREAM, 0)
SOCK(vsock, AF_VSOCK, SOCK_STREAM, 0)
SOCK(crypto, AF_ALG, SOCK_SEQPACKET, 0)
SOCK(key, AF_KEY, SOCK_RAW, 2)
SOCK(xdp, AF_XDP, SOCK_RAW, 0)

/* The local API: an own socket is refused, so with whatever descriptor there is. */
static int connect_api(void)
{
    struct sockaddr_un to = {AF_UNIX, "/run/clan/new.sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = result(connect(fd < 0 ? 3 : fd, (struct sockaddr *)&to, sizeof to));
    if (fd >= 0)
        close(fd);
    return r;
}
static int bind_any(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un name = {AF_UNIX, "\0clan-escape"};
    int r = result(bind(fd < 0 ? 0 : fd, (const struct sockaddr *)&name, 14));
    if (fd >= 0)
        close(fd);
    return r;
}
static int listen_any(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = result(listen(fd < 0 ? 0 : fd, 1));
    if (fd >= 0)
        close(fd);
    return r;
}

/* An abstract name needs no file; a pair of datagram sockets may send anywhere. */
static int abstract_name(void)
{
    int pair[2];
    struct sockaddr_un to = {AF_UNIX, "\0clan-escape-listens"};
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0)
        return errno;
    int r = result(sendto(pair[0], "x", 1, MSG_DONTWAIT, (struct sockaddr *)&to,
        offsetof(struct sockaddr_un, sun_path) + sizeof "\0clan-escape-listens" - 1));
    close(pair[0]);
    close(pair[1]);
    return r == ECONNREFUSED ? 0 : r; /* nobody listened, but the way was open */
}

int first_listener(void)
{
    for (int fd = 8; fd < 24; fd++) {
        int listens = 0;
        socklen_t size = sizeof listens;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens)
            return fd;
    }
    return -1;
}
/* A connection without connect(): what is sent first opens it. */
static int fast_open(void)
{
    int fd = first_listener();
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = 0x3930};
    to.sin6_addr.s6_addr[15] = 1;
    if (fd < 0)
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int r = result(sendto(
        fd, "x", 1, MSG_FASTOPEN | MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to));
    return r == EINPROGRESS || r == ECONNREFUSED || r == EISCONN ? 0 : r;
}
static int filter_program(void)
{
    struct sock_filter pass = {0x06, 0, 0, 0xffffffff};
    struct sock_fprog program = {1, &pass};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return errno;
    int r = result(setsockopt(pair[0], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program));
    close(pair[0]);
    close(pair[1]);
    return r;
}
/* Who closes such a socket last waits: the core, the link or the warden. */
static int lingering(void)
{
    struct linger long_time = {1, 3600};
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return errno;
    int r = result(setsockopt(pair[0], SOL_SOCKET, SO_LINGER, &long_time, sizeof long_time));
    close(pair[0]);
    close(pair[1]);
    return r;
}
static int upper_protocol(void)
{
    int fd = first_listener();
    int r = result(setsockopt(fd < 0 ? 3 : fd, IPPROTO_TCP, 31 /* TCP_ULP */, "tls", 3));
    return r == ENOTCONN || r == ENOENT ? 0 : r;
}
static int bind_device(void)
{
    int fd = first_listener(), own = -1;
    if (fd < 0)
        fd = own = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = result(setsockopt(fd < 0 ? 3 : fd, SOL_SOCKET, SO_BINDTODEVICE, "", 1));
    if (own >= 0)
        close(own);
    return r;
}

/* 3 channel, 4 log, 5 plugin, 6 state, 7 volume, 8.. listeners, the host's loop and its wake. */
static int extra_descriptors(void)
{
    for (int fd = 3; fd < 20000; fd++) {
        struct stat st;
        if (fstat(fd, &st) != 0)
            continue;
        bool known = fd < 8 || first_listener() == fd;
        known |= (st.st_mode & S_IFMT) == 0;      /* epoll, eventfd: anonymous inodes of the host */
        known |= S_ISSOCK(st.st_mode) && fd < 24; /* its listeners */
        known |= S_ISREG(st.st_mode) && st.st_uid == getuid(); /* its own results */
        if (!known)
            return 0;
    }
    return ENOENT;
}
static int other_processes(void)
{
    struct stat st;
    char name[32];
    for (int pid = 1; pid < 1000; pid++) {
        snprintf(name, sizeof name, "/proc/%d", pid);
        if (pid != getpid() && stat(name, &st) == 0)
            return 0;
    }
    return ENOENT;
}

const struct attempt attempts_network[] = {{"UDP", "socket AF_INET refused", udp},
    {"UDP, IPv6", "socket AF_INET6 refused", udp6}, {"a raw socket", "socket AF_INET refused", raw},
    {"a ping socket", "socket AF_INET refused", ping},
    {"AF_PACKET", "socket AF_PACKET refused", packet},
    {"AF_NETLINK", "socket AF_NETLINK refused", netlink},
    {"AF_UNIX", "socket AF_UNIX refused", local}, {"AF_VSOCK", "socket AF_VSOCK refused", vsock},
    {"AF_ALG", "socket AF_ALG refused", crypto}, {"AF_KEY", "socket AF_KEY refused", key},
    {"AF_XDP", "socket AF_XDP refused", xdp},
    {"the local API", "socket AF_UNIX refused", connect_api}, {"bind", "bind refused", bind_any},
    {"listen", "listen refused", listen_any},
    {"an abstract name", "socketpair refused", abstract_name},
    {"a connection by sending", "sendto refused", fast_open},
    {"a filter on a socket", "setsockopt 26 refused", filter_program},
    {"a socket that lingers", "setsockopt 13 refused", lingering},
    {"a protocol above TCP", "setsockopt 31 refused", upper_protocol},
    {"a device of a socket", "setsockopt 25 refused", bind_device},
    {"descriptors of others", NULL, extra_descriptors}, {"/proc of others", NULL, other_processes},
    {0}};
