/* Streams that only the device carries: to a peer's control port and from it; by them a path is probed. */
#include "base/error.h"
#include "base/log.h"
#include "brain/devices.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIAL_MS      2000 /* TCP asks again after one second, and once more */
#define ACCEPT_BURST 16
#define STREAMS_A_S  100

struct device_listener {
    uv_poll_t poll;
    struct brain *b;
    int fd;
};

struct device_stream {
    uv_poll_t poll;
    struct brain *b;
    uint32_t request;
    uint8_t machine[32];
    char via[DEVICE_ENDPOINT];
    uint64_t until_ms;
    int fd; /* -1: the warden makes it */
};

void device_address_text(const uint8_t address[16], uint16_t port, char ret[DEVICE_ENDPOINT])
{
    char host[INET6_ADDRSTRLEN];
    bool v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? address + 12 : address, host, sizeof host);
    snprintf(ret, DEVICE_ENDPOINT, v4 ? "%s:%u" : "[%s]:%u", host, port);
}

/* ---- accepted ---- */

static void accepted(struct brain *b, int fd, const struct sockaddr_in6 *from)
{
    const struct device *d = devices_of(b);
    const uint8_t *address = from->sin6_addr.s6_addr;
    const struct member_machine *m = d && b->set ? member_find_address(b->set, address) : NULL;
    const struct peer_device *pd = m ? device_peer(peer_find(b, m->id)) : NULL;
    char via[DEVICE_ENDPOINT];
    if (!pd || !pd->set) {
        close(fd);
        return;
    }
    device_address_text(address, ntohs(from->sin6_port), via);
    link_stream(b, fd, d->host->plugin, pd->heard[0] ? pd->heard : via, NULL);
    struct session *s = session_find(b, b->next_session);
    if (s)
        memcpy(s->through, address, sizeof s->through);
}

bool device_streams_fits(const struct brain *b, const struct session *s)
{
    const struct member_machine *m = s->has_machine ? member_find(b->set, s->machine) : NULL;
    return sodium_is_zero(s->through, 16) || (m && memcmp(m->address, s->through, 16) == 0);
}

static void on_listener(uv_poll_t *poll, int status, int events)
{
    struct device_listener *l = poll->data;
    (void)events;
    for (unsigned i = 0; status == 0 && i < ACCEPT_BURST; i++) {
        struct sockaddr_in6 from = {0};
        socklen_t size = sizeof from;
        int fd = accept4(l->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        accepted(l->b, fd, &from);
    }
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct device_listener *l = handle->data;
    close(l->fd);
    free(l);
}

static void on_listening(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    struct device *d = b->device;
    struct device_listener *l = NULL;
    if (a->error.status != CLAN_OK)
        log_clan_error(LOG_LEVEL_WARN, &a->error);
    if (fd >= 0 && d && d->state == DEVICE_READY && d->child == (uint32_t)(uintptr_t)arg &&
        !d->listener)
        l = calloc(1, sizeof *l);
    if (!l) {
        if (fd >= 0)
            close(fd);
        return;
    }
    l->b = b;
    l->fd = fd;
    l->poll.data = l;
    clan_assert(uv_poll_init(&b->loop, &l->poll, fd) == 0);
    uv_poll_start(&l->poll, UV_READABLE, on_listener);
    d->listener = l;
}

void device_streams_listen(struct brain *b, struct device *d)
{
    struct ward_device_stream r = {0};
    ward_ask(b, WARD_REQ_DEVICE_STREAM, &r, sizeof r, on_listening, (void *)(uintptr_t)d->child);
}

/* ---- dialled ---- */

static void on_stream_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Its place is free, its socket the caller's. */
static int take(struct device *d, unsigned i)
{
    struct device_stream *s = d->streams[i];
    int fd = s->fd;
    d->streams[i] = NULL;
    if (fd < 0) {
        free(s);
        return -1;
    }
    uv_poll_stop(&s->poll);
    uv_close((uv_handle_t *)&s->poll, on_stream_closed);
    return fd;
}

static void ended(struct brain *b, struct device *d, unsigned i, const struct clan_error *e)
{
    struct device_stream *s = d->streams[i];
    uint32_t request = s->request;
    struct peer_device *pd = device_peer(peer_find(b, s->machine));
    char via[DEVICE_ENDPOINT];
    memcpy(via, s->via, sizeof via);
    if (pd && !e && pd->heard[0]) /* where it really was heard */
        memcpy(via, pd->heard, sizeof via);
    if (pd && e)
        pd->handshake_ms = 0; /* the next one goes to what the record says */
    int fd = take(d, i);
    if (e && fd >= 0) {
        close(fd);
        fd = -1;
    }
    transports_dial_result(b, d->host, request, fd, via, e);
}

static void on_connected(uv_poll_t *poll, int status, int events)
{
    struct device_stream *s = poll->data;
    struct device *d = s->b->device;
    struct clan_error e = CLAN_ERROR_INIT;
    int error = 0;
    socklen_t size = sizeof error;
    (void)events;
    if (status < 0)
        error = -status;
    else if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    if (error) {
        errno = error;
        err_errno(&e, CLAN_E_UNREACHABLE, "no connection through %s", s->via);
    }
    for (unsigned i = 0; i < DEVICE_DIALS_MAX; i++)
        if (d->streams[i] == s) {
            ended(s->b, d, i, error ? &e : NULL);
            return;
        }
}

static void on_stream(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    struct device *d = b->device;
    for (unsigned i = 0; d && i < DEVICE_DIALS_MAX; i++) {
        struct device_stream *s = d->streams[i];
        if (!s || s->request != (uint32_t)(uintptr_t)arg || s->fd >= 0)
            continue;
        if (fd < 0) {
            struct clan_error e = a->error;
            ended(b, d, i, &e);
            return;
        }
        s->fd = fd;
        s->poll.data = s;
        clan_assert(uv_poll_init(&b->loop, &s->poll, fd) == 0);
        uv_poll_start(&s->poll, UV_WRITABLE, on_connected);
        return;
    }
    if (fd >= 0)
        close(fd);
}

bool device_streams_dial(struct brain *b, uint32_t request, const uint8_t machine[32],
    const char *endpoint, uint32_t timeout_ms)
{
    struct device *d = devices_of(b);
    struct peer *p = peer_find(b, machine);
    const struct member_machine *m = b->set ? member_find(b->set, machine) : NULL;
    unsigned i = 0;
    struct ward_device_stream r = {0};
    while (i < DEVICE_DIALS_MAX && d && d->streams[i])
        i++;
    if (!d || !p || !m || i == DEVICE_DIALS_MAX || !rate_within(&d->asked_streams, STREAMS_A_S) ||
        !device_peer_set(b, d, p, m, endpoint))
        return false;
    struct device_stream *s = calloc(1, sizeof *s);
    if (!s)
        return false;
    uint8_t key[32];
    s->b = b;
    s->request = request;
    s->fd = -1;
    s->until_ms = brain_now() + (timeout_ms < DIAL_MS ? timeout_ms : DIAL_MS);
    memcpy(s->machine, machine, sizeof s->machine);
    device_endpoint(endpoint, s->via, key);
    d->streams[i] = s;
    memcpy(r.peer, m->address, sizeof r.peer);
    ward_ask(b, WARD_REQ_DEVICE_STREAM, &r, sizeof r, on_stream, (void *)(uintptr_t)request);
    return true;
}

void device_streams_tick(struct brain *b, struct device *d)
{
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, CLAN_E_TIMEOUT, "nothing came back through the device");
    for (unsigned i = 0; i < DEVICE_DIALS_MAX; i++)
        if (d->streams[i] && brain_now() > d->streams[i]->until_ms)
            ended(b, d, i, &e);
}

void device_streams_end(struct brain *b, struct device *d)
{
    (void)b;
    for (unsigned i = 0; i < DEVICE_DIALS_MAX; i++) {
        int fd = d->streams[i] ? take(d, i) : -1;
        if (fd >= 0)
            close(fd);
    }
    if (d->listener)
        uv_close((uv_handle_t *)&d->listener->poll, on_listener_closed);
    d->listener = NULL;
}
