/* The event stream: one page's connection, which waits until there is something to send. */
#include "feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BLOCK 4096 /* the server's buffer for each page */

static void wake_up(struct listener *l)
{
    if (!l->suspended)
        return;
    l->suspended = false;
    http_resume(l->r->door, l->r->connection);
}

void listener_end(struct listener *l)
{
    l->over = true;
    wake_up(l);
}

void listener_put(struct listener *l, struct chunk *c)
{
    if (l->over)
        return;
    if (l->count == LISTENER_CHUNKS || l->bytes + c->size > LISTENER_BYTES) {
        listener_end(l);
        return;
    }
    c->refs++;
    l->queue[(l->first + l->count++) % LISTENER_CHUNKS] = c;
    l->bytes += c->size;
    wake_up(l);
}

bool listener_gone(const struct listener *l)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(l->r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    char c;
    ssize_t n = info ? recv(info->connect_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) : 0;
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

static void pop(struct listener *l)
{
    struct chunk *c = l->queue[l->first];
    l->bytes -= c->size;
    l->sent = 0;
    l->first = (l->first + 1) % LISTENER_CHUNKS;
    l->count--;
    chunk_free(c);
}

static ssize_t reader(void *cls, uint64_t at, char *buf, size_t max)
{
    struct listener *l = cls;
    size_t filled = 0;
    (void)at;
    while (l->count && filled < max) {
        const struct chunk *c = l->queue[l->first];
        size_t some = c->size - l->sent < max - filled ? c->size - l->sent : max - filled;
        memcpy(buf + filled, c->bytes + l->sent, some);
        filled += some;
        l->sent += some;
        if (l->sent == c->size)
            pop(l);
    }
    if (filled == 0 && l->over)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (filled == 0) {
        l->suspended = true;
        MHD_suspend_connection(l->r->connection);
    }
    return (ssize_t)filled;
}

static void stream_free(void *cls)
{
    struct listener *l = cls;
    if (l->feed)
        feed_leave(l);
    while (l->count)
        pop(l);
    free(l);
}

struct MHD_Response *stream_open(struct request *r)
{
    struct listener *l = calloc(1, sizeof *l);
    if (!l)
        return NULL;
    l->r = r;
    struct MHD_Response *m =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK, reader, l, stream_free);
    if (!m) {
        free(l);
        return NULL;
    }
    if (feed_join(l) == CLAN_OK)
        return m;
    MHD_destroy_response(m);
    return NULL;
}
