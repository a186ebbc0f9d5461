/* The two UDP sockets: batches out with segmentation offload, batches in with receive offload. */
#include "udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <string.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#define UDP_GRO     104
#endif
#define BUFFER_BYTES (4 << 20) /* asked for; the kernel gives what net.core allows */
#define FULL_MS      20        /* how long a full socket is waited for */
#define IN_BYTES     65536u

static void set(int fd, int level, int option, int value)
{
    setsockopt(fd, level, option, &value, sizeof value); /* tried, not needed */
}

void wg_udp_open(struct wg_udp *ret_udp, const int32_t fds[2])
{
    *ret_udp = (struct wg_udp){.fd = {fds[0], fds[1]}};
    for (int i = 0; i < 2; i++) {
        int on = 1;
        if (fds[i] < 0)
            continue;
        ret_udp->gro[i] = setsockopt(fds[i], IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0;
        set(fds[i], SOL_SOCKET, SO_SNDBUF, BUFFER_BYTES);
        set(fds[i], SOL_SOCKET, SO_RCVBUF, BUFFER_BYTES);
        /* as WireGuard in the kernel: what is too long for the way is cut on it, not lost */
        if (i == 0) {
            set(fds[i], IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT);
            set(fds[i], IPPROTO_IP, IP_RECVTOS, 1);
        } else {
            set(fds[i], IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_DONT);
            set(fds[i], IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
        }
    }
}

/* ---- out ---- */

struct control {
    union {
        struct cmsghdr head;
        uint8_t bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))];
    };
};

static struct cmsghdr *add(
    struct msghdr *m, struct cmsghdr *c, int level, int type, const void *value, size_t size)
{
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(c), value, size);
    m->msg_controllen += CMSG_SPACE(size);
    return (struct cmsghdr *)((uint8_t *)c + CMSG_SPACE(size));
}

static int which(const struct wg_endpoint *to)
{
    return to->sa.sa_family == AF_INET6;
}

static void fill(struct msghdr *ret, struct iovec *iov, struct control *control,
    const struct wg_endpoint *to, uint8_t tos, uint16_t segment)
{
    *ret = (struct msghdr){.msg_name = (void *)(uintptr_t)to,
        .msg_namelen = which(to) ? sizeof to->in6 : sizeof to->in,
        .msg_iov = iov,
        .msg_iovlen = 1,
        .msg_control = control->bytes};
    struct cmsghdr *c = &control->head;
    int mark = tos;
    if (tos)
        c = which(to) ? add(ret, c, IPPROTO_IPV6, IPV6_TCLASS, &mark, sizeof mark)
                      : add(ret, c, IPPROTO_IP, IP_TOS, &mark, sizeof mark);
    if (segment)
        add(ret, c, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment);
    if (!ret->msg_controllen)
        ret->msg_control = NULL;
}

/* The kernel's answer to the first message that it did not take; false: it is to be dropped. */
static bool try_again(int fd)
{
    struct pollfd p = {fd, POLLOUT, 0};
    if (errno == EINTR)
        return true;
    return (errno == EAGAIN || errno == ENOBUFS) && poll(&p, 1, FULL_MS) > 0 && p.revents & POLLOUT;
}

void wg_udp_send(struct wg_udp *u, const struct wg_endpoint *to, const uint8_t *message,
    size_t size, uint8_t tos)
{
    struct control control;
    struct iovec iov = {(void *)(uintptr_t)message, size};
    struct msghdr m;
    int fd = u->fd[which(to)];
    fill(&m, &iov, &control, to, tos, 0);
    if (fd < 0 || sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        atomic_fetch_add(&u->lost, 1);
}

static void send_singly(struct wg_udp *u, const struct wg_train *t)
{
    int fd = u->fd[which(&t->to)];
    for (size_t at = 0; at < t->size; at += t->segment) {
        size_t size = t->size - at < t->segment ? t->size - at : t->segment;
        struct control control;
        struct iovec iov = {t->data + at, size};
        struct msghdr m;
        fill(&m, &iov, &control, &t->to, t->tos, 0);
        while (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            if (!try_again(fd)) {
                atomic_fetch_add(&u->lost, 1);
                break;
            }
    }
}

/* Not taken: without offload where that is the reason, once more where the socket was full. */
static bool after_refusal(struct wg_udp *u, const struct wg_train *t)
{
    int i = which(&t->to);
    if (t->count > 1 && (errno == EIO || errno == EINVAL || errno == EMSGSIZE)) {
        if (errno == EIO) /* the device cannot; the others: too long for this way */
            atomic_store(&u->no_gso[i], true);
        send_singly(u, t);
        return false;
    }
    if (try_again(u->fd[i]))
        return true;
    atomic_fetch_add(&u->lost, t->count);
    return false;
}

/* Neighbours that leave by one socket. */
static void send_some(struct wg_udp *u, const struct wg_train *t, unsigned count)
{
    struct control control[WG_BATCH];
    struct iovec iov[WG_BATCH];
    struct mmsghdr m[WG_BATCH];
    int fd = u->fd[which(&t->to)];
    for (unsigned i = 0; i < count; i++) {
        iov[i] = (struct iovec){t[i].data, t[i].size};
        fill(&m[i].msg_hdr, &iov[i], &control[i], &t[i].to, t[i].tos,
            t[i].count > 1 ? t[i].segment : 0);
    }
    for (unsigned at = 0; at < count;) {
        int n = sendmmsg(fd, m + at, count - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            at += (unsigned)n;
        else if (!after_refusal(u, &t[at]))
            at++;
    }
}

void wg_udp_send_trains(struct wg_udp *u, const struct wg_train *t, unsigned count)
{
    for (unsigned at = 0; at < count;) {
        int i = which(&t[at].to);
        unsigned n = 0;
        bool whole = !atomic_load(&u->no_gso[i]);
        while (at + n < count && n < WG_BATCH && which(&t[at + n].to) == i &&
               (whole || t[at + n].count == 1))
            n++;
        if (u->fd[i] < 0)
            atomic_fetch_add(&u->lost, t[at].count), at++;
        else if (n)
            send_some(u, t + at, n), at += n;
        else
            send_singly(u, &t[at]), at++;
    }
}

/* ---- in ---- */

struct in_control {
    union {
        struct cmsghdr head;
        uint8_t bytes[2 * CMSG_SPACE(sizeof(int))];
    };
};

static void read_control(struct msghdr *m, struct wg_arrival *a)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        int value = 0;
        size_t size = c->cmsg_len - CMSG_LEN(0);
        if (size > sizeof value) /* little ends first or not, the kernel's are int or one byte */
            continue;
        memcpy(&value, CMSG_DATA(c), size);
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO && value > 0)
            a->segment = (size_t)value;
        else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            a->tos = *CMSG_DATA(c);
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
            a->tos = (uint8_t)value;
    }
}

unsigned wg_udp_receive(struct wg_udp *u, int socket_of, struct wg_arrival ret_arrivals[WG_BATCH])
{
    static uint8_t buffer[WG_BATCH][IN_BYTES];
    struct in_control control[WG_BATCH];
    struct iovec iov[WG_BATCH];
    struct mmsghdr m[WG_BATCH];
    for (unsigned i = 0; i < WG_BATCH; i++) {
        memset(&ret_arrivals[i].from, 0, sizeof ret_arrivals[i].from);
        iov[i] = (struct iovec){buffer[i], IN_BYTES};
        m[i].msg_hdr = (struct msghdr){.msg_name = &ret_arrivals[i].from,
            .msg_namelen = sizeof ret_arrivals[i].from,
            .msg_iov = &iov[i],
            .msg_iovlen = 1,
            .msg_control = control[i].bytes,
            .msg_controllen = sizeof control[i].bytes};
    }
    int n = recvmmsg(u->fd[socket_of], m, WG_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        struct wg_arrival *a = &ret_arrivals[i];
        a->data = buffer[i];
        a->size = m[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : m[i].msg_len;
        a->segment = a->size;
        a->tos = 0;
        read_control(&m[i].msg_hdr, a);
        if (a->from.sa.sa_family == AF_INET6)
            a->from.in6.sin6_flowinfo = 0; /* endpoints are compared */
    }
    return n > 0 ? (unsigned)n : 0;
}
