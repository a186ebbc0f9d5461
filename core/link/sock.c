/* Every call on a stream's socket: MSG_DONTWAIT always, the plugin's O_NONBLOCK is not relied on.
 */
#include "sock.h"

#include "protocol.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#define CONTROL_NOTSENT 16384
#define LINE_US         5000

static bool int_option(int fd, int level, int name, int *ret_value)
{
    socklen_t size = sizeof *ret_value;
    *ret_value = 0;
    return getsockopt(fd, level, name, ret_value, &size) == 0 && size == sizeof *ret_value;
}

static void set_int(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof value);
}

static bool tcp_connected(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int protocol;
    memset(&info, 0, sizeof info);
    if (!int_option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) || protocol != IPPROTO_TCP ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0)
        return false;
    return info.tcpi_state == 1 || info.tcpi_state == 8; /* ESTABLISHED, CLOSE_WAIT */
}

static bool unix_connected(int fd)
{
    struct ucred cred;
    socklen_t size = sizeof cred;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) == 0 && cred.uid != (uid_t)-1;
}

void sock_before_close(int fd)
{
    struct linger off = {0, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
    set_int(fd, SOL_SOCKET, SO_RCVLOWAT, 1);
}

bool sock_acceptable(int fd)
{
    struct stat st;
    int type, domain, listens;
    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode) ||
        !int_option(fd, SOL_SOCKET, SO_TYPE, &type) || type != SOCK_STREAM ||
        !int_option(fd, SOL_SOCKET, SO_DOMAIN, &domain) ||
        !int_option(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens) || listens)
        return false;
    bool inet = domain == AF_INET || domain == AF_INET6;
    if (inet ? !tcp_connected(fd) : domain != AF_UNIX || !unix_connected(fd))
        return false;
    int none = 0;
    if (setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none) != 0 && errno == EPERM)
        return false; /* locked: bytes could be taken away any time */
    sock_before_close(fd);
    if (inet) {
        set_int(fd, IPPROTO_TCP, TCP_CORK, 0);
        set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    }
    return true;
}

void sock_for_purpose(int fd, clan_link_Purpose purpose)
{
    sock_set_notsent(
        fd, purpose == clan_link_Purpose_PURPOSE_LINK ? LINK_NOTSENT : CONTROL_NOTSENT);
}

void sock_set_notsent(int fd, uint32_t bytes)
{
    int value = (int)bytes;
    if (setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &value, sizeof value) != 0)
        set_int(
            fd, SOL_SOCKET, SO_SNDBUF, value / 2); /* AF_UNIX: all is unsent; the kernel doubles */
}

bool sock_acked(int fd, uint64_t *ret_bytes, bool *ret_backlog, uint32_t *ret_rtt_us)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int domain;
    if (!int_option(fd, SOL_SOCKET, SO_DOMAIN, &domain) || domain == AF_UNIX)
        return false;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_notsent_bytes) + sizeof info.tcpi_notsent_bytes)
        return false;
    *ret_bytes = info.tcpi_bytes_acked;
    *ret_rtt_us = info.tcpi_rtt;
    *ret_backlog = info.tcpi_unacked > 0 || info.tcpi_notsent_bytes > 0;
    return true;
}

uint64_t sock_delivery_bps(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    int domain;
    if (!int_option(fd, SOL_SOCKET, SO_DOMAIN, &domain) || domain == AF_UNIX)
        return 0;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_delivery_rate) + sizeof info.tcpi_delivery_rate ||
        info.tcpi_delivery_rate_app_limited)
        return 0;
    /* a window that still opens says how far it opened, not what the path carries: unless packets
     * stand in line somewhere */
    bool line = info.tcpi_rtt > 2 * info.tcpi_min_rtt + LINE_US;
    if (info.tcpi_snd_cwnd < info.tcpi_snd_ssthresh && !line)
        return 0;
    return info.tcpi_delivery_rate * 8;
}

long sock_send(int fd, const struct iovec *iov, size_t count)
{
    struct msghdr mh = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    for (;;) {
        ssize_t n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0)
            return n;
        if (errno == EAGAIN || errno == ENOBUFS)
            return 0;
        if (errno != EINTR)
            return -1;
    }
}

long sock_recv(int fd, struct iovec *iov, size_t count)
{
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = count};
    for (;;) {
        ssize_t n = recvmsg(fd, &mh, MSG_DONTWAIT);
        if (n >= 0)
            return n;
        if (errno == EAGAIN)
            return -1;
        if (errno != EINTR)
            return -2;
    }
}
