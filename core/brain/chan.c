/* Channels to the warden and to the children, in the libuv loop. */
#include "brain/chan.h"

#include "base/error.h"
#include "wire/limits.h"

#include <fcntl.h>
#include <pb_encode.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chan_item {
    struct chan_item *next;
    size_t size, fd_count;
    int fds[CHANNEL_FDS_MAX];
    uint8_t data[];
};

struct chan {
    uv_poll_t poll;
    int fd;
    bool closing;
    chan_recv_fn *recv;
    chan_gone_fn *gone;
    void *arg;
    struct chan_item *head, **tail;
    size_t queued;
};

static uint8_t chan_out[WIRE_FRAME_MAX], chan_in[WIRE_FRAME_MAX];

static void on_poll(uv_poll_t *poll, int status, int events);

static void item_free(struct chan_item *item)
{
    channel_close_fds(item->fds, item->fd_count);
    free(item);
}

static bool enqueue(struct chan *c, const void *data, size_t size, const int *fds, size_t fd_count)
{
    if (c->queued + size > CHAN_QUEUE_MAX || fd_count > CHANNEL_FDS_MAX)
        return false;
    struct chan_item *item = malloc(sizeof *item + size);
    if (!item)
        return false;
    *item = (struct chan_item){.size = size};
    memcpy(item->data, data, size);
    for (size_t i = 0; i < fd_count; i++) {
        int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
        if (fd < 0) {
            item_free(item);
            return false;
        }
        item->fds[item->fd_count++] = fd;
    }
    *c->tail = item;
    c->tail = &item->next;
    c->queued += size;
    uv_poll_start(&c->poll, UV_READABLE | UV_WRITABLE, on_poll);
    return true;
}

bool chan_send_raw(struct chan *c, const void *data, size_t size, const int *fds, size_t fd_count)
{
    if (!c || c->closing)
        return false;
    if (c->head)
        return enqueue(c, data, size, fds, fd_count);
    clan_status st = channel_send_raw(c->fd, data, size, fds, fd_count);
    if (st == CLAN_E_AGAIN)
        return enqueue(c, data, size, fds, fd_count);
    return st == CLAN_OK;
}

bool chan_send(
    struct chan *c, const pb_msgdesc_t *desc, const void *msg, const int *fds, size_t fd_count)
{
    pb_ostream_t os = pb_ostream_from_buffer(chan_out, sizeof chan_out);
    clan_assert(pb_encode(&os, desc, msg)); /* our own message: its bounds are in the .options */
    return chan_send_raw(c, chan_out, os.bytes_written, fds, fd_count);
}

static void flush(struct chan *c)
{
    while (c->head) {
        struct chan_item *item = c->head;
        clan_status st = channel_send_raw(c->fd, item->data, item->size, item->fds, item->fd_count);
        if (st == CLAN_E_AGAIN)
            return;
        c->head = item->next;
        if (!c->head)
            c->tail = &c->head;
        c->queued -= item->size;
        item_free(item);
    }
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
}

/* Bounded per wake-up, so that one talkative child does not starve the rest. */
#define CHAN_BURST 64

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct chan *c = poll->data;
    if (status == 0 && (events & UV_WRITABLE))
        flush(c);
    for (int i = 0; i < CHAN_BURST && !c->closing; i++) {
        int fds[CHANNEL_FDS_MAX];
        size_t size, fd_count;
        clan_status st = channel_recv_raw(
            c->fd, chan_in, sizeof chan_in, &size, fds, CHANNEL_FDS_MAX, &fd_count);
        if (st == CLAN_E_AGAIN)
            return;
        if (st != CLAN_OK) {
            uv_poll_stop(&c->poll);
            c->gone(c->arg);
            return;
        }
        c->recv(c->arg, chan_in, size, fds, fd_count);
    }
}

struct chan *chan_open(uv_loop_t *loop, int fd, chan_recv_fn *recv, chan_gone_fn *gone, void *arg)
{
    struct chan *c = calloc(1, sizeof *c);
    clan_assert(c);
    *c = (struct chan){.fd = fd, .recv = recv, .gone = gone, .arg = arg};
    c->tail = &c->head;
    c->poll.data = c;
    clan_assert(uv_poll_init(loop, &c->poll, fd) == 0);
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
    return c;
}

static void on_closed(uv_handle_t *handle)
{
    struct chan *c = handle->data;
    close(c->fd);
    free(c);
}

void chan_close(struct chan *c)
{
    if (!c || c->closing)
        return;
    c->closing = true;
    while (c->head) {
        struct chan_item *item = c->head;
        c->head = item->next;
        item_free(item);
    }
    uv_close((uv_handle_t *)&c->poll, on_closed);
}
