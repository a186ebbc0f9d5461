/* Datagrams between our own processes, with descriptors. */
#include "wire/channel.h"

#include "wire/limits.h"

#include <errno.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message on its way, on the stack and not cleared: of 16 pages mostly one is touched. */
#define MESSAGE(name) __attribute__((uninitialized)) uint8_t name[WIRE_FRAME_MAX]

void channel_close_fds(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        close(fds[i]);
        fds[i] = -1;
    }
}

clan_status channel_pair(int ret_fds[2])
{
    int size = 512 * 1024;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) != 0)
        return CLAN_E_IO;
    for (int i = 0; i < 2; i++)
        setsockopt(ret_fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return CLAN_OK;
}

clan_status channel_send_raw(int fd, const void *data, size_t size, const int *fds, size_t fd_count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd_count > CHANNEL_FDS_MAX)
        return CLAN_E_LIMIT;
    if (fd_count) {
        memset(&control, 0, sizeof control);
        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&mh);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    for (;;) {
        if (sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
            return CLAN_OK;
        if (errno == EINTR)
            continue;
        return errno == EAGAIN || errno == ENOBUFS ? CLAN_E_AGAIN : CLAN_E_IO;
    }
}

static size_t take_fds(struct msghdr *mh, int *ret_fds, size_t cap, bool *ret_over)
{
    size_t count = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof fd);
            if (count < cap)
                ret_fds[count++] = fd;
            else {
                close(fd);
                *ret_over = true;
            }
        }
    }
    return count;
}

clan_status channel_recv_raw(int fd, void *ret_data, size_t cap, size_t *ret_size, int *ret_fds,
    size_t fds_cap, size_t *ret_fd_count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = ret_data, .iov_len = cap};
    struct msghdr mh = {.msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof control.bytes};
    bool over = false;
    ssize_t n;
    *ret_size = 0;
    *ret_fd_count = 0;
    do
        n = recvmsg(fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? CLAN_E_AGAIN : CLAN_E_IO;
    size_t count = take_fds(&mh, ret_fds, fds_cap, &over);
    if (n == 0 && count == 0)
        return CLAN_E_IO; /* end of the channel; we send no empty datagrams */
    if (over || (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        channel_close_fds(ret_fds, count);
        return CLAN_E_PROTO;
    }
    *ret_size = (size_t)n;
    *ret_fd_count = count;
    return CLAN_OK;
}

clan_status channel_send(
    int fd, const pb_msgdesc_t *desc, const void *msg, const int *fds, size_t fd_count)
{
    MESSAGE(bytes);
    pb_ostream_t os = pb_ostream_from_buffer(bytes, sizeof bytes);
    if (!pb_encode(&os, desc, msg) || os.bytes_written == 0)
        return CLAN_E_LIMIT;
    return channel_send_raw(fd, bytes, os.bytes_written, fds, fd_count);
}

clan_status channel_recv(int fd, const pb_msgdesc_t *desc, void *ret_msg, int *ret_fds,
    size_t fds_cap, size_t *ret_fd_count)
{
    MESSAGE(bytes);
    size_t size;
    clan_status st =
        channel_recv_raw(fd, bytes, sizeof bytes, &size, ret_fds, fds_cap, ret_fd_count);
    if (st != CLAN_OK)
        return st;
    pb_istream_t is = pb_istream_from_buffer(bytes, size);
    if (!pb_decode(&is, desc, ret_msg)) {
        channel_close_fds(ret_fds, *ret_fd_count);
        *ret_fd_count = 0;
        return CLAN_E_PROTO;
    }
    return CLAN_OK;
}

clan_status channel_recv_plain(int fd, void *ret_data, size_t cap, size_t *ret_size)
{
    int fds[CHANNEL_FDS_MAX];
    size_t count = 0;
    clan_status s = channel_recv_raw(fd, ret_data, cap, ret_size, fds, CHANNEL_FDS_MAX, &count);
    channel_close_fds(fds, s == CLAN_OK ? count : 0);
    return s == CLAN_OK && count ? CLAN_E_PROTO : s;
}
