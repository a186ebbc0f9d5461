/* Messages to core: sent at once or queued within limits, descriptors never lost. */
#include "host/host.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "wire/channel.h"

#include <pb_encode.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct host_out {
    struct host_out *next;
    int fd; /* -1: none */
    size_t size;
    uint8_t data[];
};

clan_host_FromHost *host_message(struct host *h, pb_size_t which)
{
    memset(&h->message, 0, sizeof h->message);
    h->message.which_m = which;
    return &h->message;
}

static void free_first(struct host *h)
{
    struct host_out *o = h->out_first;
    h->out_first = o->next;
    if (!h->out_first)
        h->out_last = NULL;
    h->out_count--;
    if (o->fd >= 0) {
        h->out_streams--;
        close(o->fd);
    }
    free(o);
}

void host_out_clear(struct host *h)
{
    while (h->out_first)
        free_first(h);
}

void host_out_flush(struct host *h)
{
    while (h->out_first) {
        const struct host_out *o = h->out_first;
        clan_status st = channel_send_raw(h->channel, o->data, o->size, &o->fd, o->fd >= 0 ? 1 : 0);
        if (st == CLAN_E_AGAIN)
            break;
        free_first(h); /* a broken channel shows itself when it is read */
    }
    loop_fd_mod(h->loop, h->channel, EPOLLIN | (h->out_first ? (uint32_t)EPOLLOUT : 0));
}

/* Takes fd. */
static clan_status enqueue(struct host *h, int fd)
{
    size_t size = 0;
    struct host_out *o = NULL;
    if (h->out_count < HOST_OUT_MAX && (fd < 0 || h->out_streams < HOST_STREAMS_MAX) &&
        pb_get_encoded_size(&size, clan_host_FromHost_fields, &h->message))
        o = malloc(sizeof *o + size);
    if (!o) {
        if (fd >= 0)
            close(fd);
        return CLAN_E_LIMIT;
    }
    pb_ostream_t os = pb_ostream_from_buffer(o->data, size);
    clan_assert(pb_encode(&os, clan_host_FromHost_fields, &h->message));
    o->next = NULL;
    o->fd = fd;
    o->size = os.bytes_written;
    if (h->out_last)
        h->out_last->next = o;
    else
        h->out_first = o;
    h->out_last = o;
    h->out_count++;
    h->out_streams += fd >= 0;
    return CLAN_OK;
}

clan_status host_send(struct host *h, int fd)
{
    if (!h->out_first) {
        clan_status st =
            channel_send(h->channel, clan_host_FromHost_fields, &h->message, &fd, fd >= 0 ? 1 : 0);
        if (st != CLAN_E_AGAIN) {
            if (fd >= 0)
                close(fd);
            return st;
        }
    }
    clan_status st = enqueue(h, fd);
    if (st == CLAN_OK)
        host_out_flush(h);
    return st;
}

void host_error_to_wire(const struct clan_error *e, clan_wire_Error *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->status = e->status;
    snprintf(ret->what, sizeof ret->what, "%s", e->what);
    snprintf(ret->why, sizeof ret->why, "%s", e->why);
    snprintf(ret->remedy, sizeof ret->remedy, "%s", e->remedy);
    text_sanitize(ret->what);
    text_sanitize(ret->why);
    text_sanitize(ret->remedy);
}

void host_error_from_wire(const clan_wire_Error *e, struct clan_error *ret)
{
    *ret = (struct clan_error)CLAN_ERROR_INIT;
    ret->status = e->status;
    snprintf(ret->what, sizeof ret->what, "%s", e->what);
    snprintf(ret->why, sizeof ret->why, "%s", e->why);
    snprintf(ret->remedy, sizeof ret->remedy, "%s", e->remedy);
}

struct clan_error host_error_copy(const struct clan_error *e)
{
    struct clan_error copy = CLAN_ERROR_INIT;
    if (e && e->size >= offsetof(struct clan_error, remedy))
        memcpy(&copy, e, e->size < sizeof copy ? e->size : sizeof copy);
    copy.size = sizeof copy;
    copy.what[sizeof copy.what - 1] = 0;
    copy.why[sizeof copy.why - 1] = 0;
    copy.remedy[sizeof copy.remedy - 1] = 0;
    if (copy.status == CLAN_OK)
        copy.status = CLAN_E_IO;
    if (!copy.what[0])
        snprintf(copy.what, sizeof copy.what, "the plugin failed without a word");
    text_sanitize(copy.what);
    text_sanitize(copy.why);
    text_sanitize(copy.remedy);
    return copy;
}

pb_size_t host_interfaces(const struct host *h, char ret[HOST_INTERFACES_MAX][64])
{
    const char *all[] = {h->transport ? CLAN_TRANSPORT_STREAM : NULL,
        h->device ? CLAN_TRANSPORT_DEVICE : NULL, h->rendezvous ? CLAN_TRANSPORT_RENDEZVOUS : NULL,
        h->service ? CLAN_SERVICE : NULL};
    pb_size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (all[i])
            snprintf(ret[n++], sizeof ret[0], "%s", all[i]);
    return n;
}

void host_state(struct host *h, clan_host_State state, const struct clan_error *error)
{
    h->state = state;
    h->error = error ? host_error_copy(error) : (struct clan_error)CLAN_ERROR_INIT;
    clan_host_StateIs *m = &host_message(h, clan_host_FromHost_state_is_tag)->m.state_is;
    m->state = state;
    m->interfaces_count = host_interfaces(h, m->interfaces);
    m->has_error = error != NULL;
    if (error)
        host_error_to_wire(&h->error, &m->error);
    if (host_send(h, -1) == CLAN_E_LIMIT)
        log_warn("core does not read: a change of state was not told");
}
