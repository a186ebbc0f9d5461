/* DNS over TCP (RFC 7766): messages behind a two-byte length, few connections, a short patience. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "resolver/serve.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void end(struct tcp_conn *c)
{
    loop_timer_cancel(c->owner->loop, c->timer);
    loop_fd_del(c->owner->loop, c->fd);
    close(c->fd);
    c->fd = -1;
}

static void on_idle(void *arg)
{
    struct tcp_conn *c = arg;
    c->timer = 0;
    end(c);
}

/* Counted from the last whole question, so that dripping bytes keeps nothing open. */
static void patience(struct tcp_conn *c)
{
    loop_timer_cancel(c->owner->loop, c->timer);
    c->timer = loop_timer_in(c->owner->loop, RESOLVER_TCP_IDLE_MS, on_idle, c);
}

/* A reply fits into an empty socket buffer; who lets it run full does not get more. */
static bool reply(struct tcp_conn *c, const uint8_t *query, size_t size)
{
    uint8_t message[2 + RESOLVER_REPLY_MAX];
    size_t len = resolver_handle(c->owner, query, size, message + 2);
    struct buf_writer w = buf_writer_of(message, 2);
    buf_put_u16(&w, (uint16_t)len);
    return len > 0 &&
           send(c->fd, message, len + 2, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len + 2;
}

/* Answers every whole question in the buffer; false: the connection is to be closed. */
static bool answer_all(struct tcp_conn *c)
{
    for (;;) {
        struct buf_reader r = buf_reader_of(c->buf, c->len);
        size_t size = buf_get_u16(&r);
        if (c->len < 2)
            return true;
        if (size == 0 || size > RESOLVER_QUERY_MAX)
            return false;
        const uint8_t *query = buf_view(&r, size);
        if (!query)
            return true;
        if (!reply(c, query, size))
            return false;
        memmove(c->buf, r.p, r.left);
        c->len = r.left;
        patience(c);
    }
}

static void on_readable(void *arg, int fd, uint32_t events)
{
    struct tcp_conn *c = arg;
    (void)events;
    ssize_t n = recv(fd, c->buf + c->len, sizeof c->buf - c->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        end(c);
        return;
    }
    c->len += (size_t)n;
    if (!answer_all(c))
        end(c);
}

static void on_connection(void *arg, int listener, uint32_t events)
{
    struct resolver *r = arg;
    (void)events;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    for (unsigned i = 0; i < RESOLVER_TCP_MAX; i++) {
        struct tcp_conn *c = &r->conns[i];
        if (c->fd >= 0)
            continue;
        c->owner = r;
        c->fd = fd;
        c->len = 0;
        c->timer = 0;
        if (loop_fd_add(r->loop, fd, EPOLLIN, on_readable, c) != CLAN_OK) {
            close(fd);
            c->fd = -1;
            return;
        }
        patience(c);
        return;
    }
    close(fd); /* the asker falls back to UDP or tries again */
}

clan_status resolver_tcp_open(struct resolver *r, int listener)
{
    for (unsigned i = 0; i < RESOLVER_TCP_MAX; i++)
        r->conns[i].fd = -1;
    return loop_fd_add(r->loop, listener, EPOLLIN, on_connection, r);
}
