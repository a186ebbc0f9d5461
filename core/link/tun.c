/* Reading and writing the overlay interface. */
#include "tun.h"

#include "closer.h"
#include "packet.h"
#include "segment.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

void tun_set(struct link *l, int fd, uint32_t mtu, bool vnet)
{
    if (fd < 0) {
        log_error("core named an overlay interface without its descriptor");
        return;
    }
    if (!l->sandboxed) { /* afterwards there is no fcntl: the warden's O_NONBLOCK is relied on */
        int flags = fcntl(fd, F_GETFL);
        l->tun_nonblocking = flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
    }
    link_close_sandbox(l);
    link_lock(l);
    if (l->tun >= 0) {
        epoll_ctl(l->send_epoll, EPOLL_CTL_DEL, l->tun, NULL);
        close(l->tun);
    }
    l->tun = fd;
    l->tun_vnet = vnet;
    l->mtu = mtu;
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = LINK_TAG_TUN};
    if (epoll_ctl(l->send_epoll, EPOLL_CTL_ADD, fd, &ev) != 0)
        log_error("the overlay interface cannot be watched: %s", strerror(errno));
    link_unlock(l);
}

long tun_read(struct link *l, struct virtio_net_hdr *ret_head, uint8_t *ret_packet, size_t cap)
{
    struct iovec iov[2] = {{ret_head, sizeof *ret_head}, {ret_packet, cap}};
    ssize_t n = readv(l->tun, l->tun_vnet ? iov : iov + 1, l->tun_vnet ? 2 : 1);
    if (n < 0)
        return -1;
    size_t size = (size_t)n;
    if (l->tun_vnet) {
        if (size < sizeof *ret_head)
            return -1;
        size -= sizeof *ret_head;
    } else {
        memset(ret_head, 0, sizeof *ret_head);
    }
    return size >= cap ? -2 : (long)size; /* cut off, perhaps: never sent */
}

static void write_pieces(struct link *l, struct iovec *iov, int count)
{
    ssize_t n = writev(l->tun, iov, count);
    link_count(l, n < 0 ? LINK_COUNT_TUN_REFUSED : LINK_COUNT_TUN_TX);
}

static void write_segment(void *arg, const uint8_t *head, size_t head_size, const uint8_t *payload,
    size_t payload_size, uint16_t mss)
{
    struct iovec iov[2] = {
        {(void *)(uintptr_t)head, head_size}, {(void *)(uintptr_t)payload, payload_size}};
    (void)mss;
    write_pieces(arg, iov, 2);
}

void tun_write(struct link *l, const struct virtio_net_hdr *head, uint8_t *packet, size_t size)
{
    if (l->tun < 0)
        return;
    if (!l->tun_vnet && head->gso_size) {
        link_segment(packet, size, head->gso_size, 1, write_segment, l);
        return;
    }
    struct iovec iov[2] = {{(void *)(uintptr_t)head, sizeof *head}, {packet, size}};
    write_pieces(l, l->tun_vnet ? iov : iov + 1, l->tun_vnet ? 2 : 1);
}
