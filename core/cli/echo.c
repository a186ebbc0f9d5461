/* ICMPv6 echo requests: an unprivileged socket where the kernel gives one, else a raw one. */
#include "cli/echo.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Echo sockets for users are a matter of net.ipv4.ping_group_range; root has raw ones. */
void echo_open(struct echo *e)
{
    *e = (struct echo){.ident = (uint16_t)getpid()};
    e->fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    if (e->fd >= 0)
        return;
    e->fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMPV6);
    e->raw = e->fd >= 0;
    if (e->raw) {
        struct icmp6_filter filter;
        ICMP6_FILTER_SETBLOCKALL(&filter);
        ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
        setsockopt(e->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
    }
}

void echo_close(struct echo *e)
{
    if (e->fd >= 0)
        close(e->fd);
    e->fd = -1;
}

static bool is_reply(const struct echo *e, const uint8_t *data, ssize_t n, size_t size,
    const struct sockaddr_in6 *from, const uint8_t to[16], uint16_t seq)
{
    struct icmp6_hdr h;
    if (n != (ssize_t)(sizeof h + size) || memcmp(&from->sin6_addr, to, 16) != 0)
        return false;
    memcpy(&h, data, sizeof h);
    return h.icmp6_type == ICMP6_ECHO_REPLY && ntohs(h.icmp6_seq) == seq &&
           (!e->raw || ntohs(h.icmp6_id) == e->ident);
}

bool echo_once(const struct echo *e, const uint8_t address[16], uint16_t seq, size_t size,
    unsigned timeout_ms, uint64_t *ret_us)
{
    static uint8_t packet[sizeof(struct icmp6_hdr) + ECHO_SIZE_MAX];
    static uint8_t answer[sizeof packet + 1];
    struct icmp6_hdr h = {.icmp6_type = ICMP6_ECHO_REQUEST};
    struct sockaddr_in6 to = {.sin6_family = AF_INET6}, from;
    clan_assert(size <= ECHO_SIZE_MAX);
    h.icmp6_id = htons(e->ident);
    h.icmp6_seq = htons(seq);
    memcpy(packet, &h, sizeof h);
    memcpy(&to.sin6_addr, address, 16);
    uint64_t began = clock_mono_ns(), end = clock_mono_ms() + timeout_ms;
    if (sendto(e->fd, packet, sizeof h + size, 0, (struct sockaddr *)&to, sizeof to) < 0)
        return false;
    for (;;) {
        uint64_t now = clock_mono_ms();
        struct pollfd pfd = {.fd = e->fd, .events = POLLIN};
        socklen_t len = sizeof from;
        if (now >= end || poll(&pfd, 1, (int)(end - now)) == 0)
            return false;
        ssize_t n =
            recvfrom(e->fd, answer, sizeof answer, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
        if (n >= 0 && is_reply(e, answer, n, size, &from, address, seq)) {
            *ret_us = (clock_mono_ns() - began) / 1000;
            return true;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return false;
    }
}
