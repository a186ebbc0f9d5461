/* A question to the core, on a connection of its own that is the session's. */
#include "dashboard.h"

#include "wire/frame.h"

#include <errno.h>
#include <pb_decode.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const unsigned places[CALL_KINDS] = {[CALL_ASKED] = 16, [CALL_LIST] = 8, [CALL_WATCH] = 32};

struct call {
    struct dashboard *d;
    struct door *door;
    enum call_kind kind;
    int fd; /* -1: it is being opened */
    uint64_t timer;
    bool over;   /* done() was called, or nobody waits any more */
    bool opened; /* the host answered */
    bool signed_in, has_use;
    clan_api_SessionUse use;
    clan_api_Request *request; /* until it is sent */
    call_answer_fn *answer;
    call_done_fn *done;
    void *arg;
    size_t total;
    struct frame_reader reader;
    uint8_t in[FRAME_HEAD + WIRE_FRAME_MAX];
};

static void drop_request(struct call *c)
{
    if (c->request)
        sodium_memzero(c->request, sizeof *c->request);
    free(c->request);
    c->request = NULL;
}

/* The host's answer to open() still names it: it is freed then. */
static void call_free(struct call *c)
{
    const struct clan_host *host = c->d->host;
    clan_timer_stop(host, c->timer);
    c->timer = 0;
    c->over = true;
    if (!c->opened)
        return;
    if (c->fd >= 0) {
        clan_io_unwatch(host, c->fd);
        close(c->fd);
    }
    c->d->calls[c->kind]--;
    c->door->calls[c->kind]--;
    drop_request(c);
    sodium_memzero(&c->use, sizeof c->use);
    sodium_memzero(
        c->in, c->total < sizeof c->in ? c->total : sizeof c->in); /* a session, a link */
    free(c);
}

static void finish(struct call *c, const clan_wire_Error *error)
{
    call_done_fn *done = c->over ? NULL : c->done;
    void *arg = c->arg;
    clan_wire_Error copy = clan_wire_Error_init_zero;
    if (error)
        copy = *error;
    call_free(c);
    if (done)
        done(arg, error ? &copy : NULL);
}

static void fail(struct call *c, clan_status status, const char *what, const char *why)
{
    clan_wire_Error e = {.status = (uint32_t)status};
    snprintf(e.what, sizeof e.what, "%s", what);
    snprintf(e.why, sizeof e.why, "%s", why);
    snprintf(e.remedy, sizeof e.remedy, "try again; if it stays so: clan status");
    finish(c, &e);
}

static void on_timer(void *user)
{
    struct call *c = user;
    c->timer = 0;
    fail(c, CLAN_E_TIMEOUT, "the clan does not answer", "nothing came within 10 seconds");
}

/* false: the call is over. */
static bool on_answer(struct call *c, const clan_api_Answer *a)
{
    if (a->which_m == clan_api_Answer_error_tag) {
        finish(c, &a->m.error);
        return false;
    }
    if (c->has_use && !c->signed_in) {
        if (a->which_m != clan_api_Answer_session_tag || !a->last) {
            fail(c, CLAN_E_PROTO, "the clan answers what was not asked", "");
            return false;
        }
        c->signed_in = true;
    }
    if (c->kind == CALL_WATCH) { /* it may take as long as it likes from now on */
        clan_timer_stop(c->d->host, c->timer);
        c->timer = 0;
    }
    if (a->which_m != clan_api_Answer_ok_tag && !c->answer(c->arg, a)) {
        fail(c, CLAN_E_LIMIT, "the answer is too long", "");
        return false;
    }
    bool of_session = c->has_use && a->which_m == clan_api_Answer_session_tag;
    if (a->last && !of_session) {
        finish(c, NULL);
        return false;
    }
    return true;
}

static void on_io(void *user, int32_t fd, uint32_t events)
{
    static clan_api_Answer answer;
    struct call *c = user;
    const uint8_t *payload;
    size_t size, room;
    clan_status st;
    (void)events;
    uint8_t *space = frame_space(&c->reader, &room);
    ssize_t n = recv(fd, space, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    c->total += n > 0 ? (size_t)n : 0;
    if (c->total > ANSWER_MAX && c->kind != CALL_WATCH) {
        fail(c, CLAN_E_LIMIT, "the answer is too long", "");
        return;
    }
    if (n <= 0) {
        fail(c, CLAN_E_NOTRUNNING, "the clan hung up", "its core may have been started anew");
        return;
    }
    frame_added(&c->reader, (size_t)n);
    while ((st = frame_peek(&c->reader, &payload, &size)) != CLAN_E_AGAIN) {
        pb_istream_t is = pb_istream_from_buffer(payload, size);
        if (st != CLAN_OK || !pb_decode(&is, clan_api_Answer_fields, &answer)) {
            fail(c, CLAN_E_PROTO, "the clan's answer cannot be read", "");
            return;
        }
        frame_pop(&c->reader);
        if (!on_answer(c, &answer))
            return;
    }
}

/* A fresh socket takes a few frames at once. */
static bool send_request(int fd, const clan_api_Request *r)
{
    static uint8_t bytes[FRAME_HEAD + WIRE_FRAME_MAX];
    size_t size;
    bool ok = frame_encode(clan_api_Request_fields, r, bytes, sizeof bytes, &size) == CLAN_OK &&
              send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)size;
    sodium_memzero(bytes, sizeof bytes);
    return ok;
}

static bool send_all(struct call *c)
{
    clan_api_Request use = {.which_m = clan_api_Request_session_use_tag};
    use.m.session_use = c->use;
    bool ok = !c->has_use || send_request(c->fd, &use);
    sodium_memzero(&use, sizeof use);
    ok = ok && send_request(c->fd, c->request);
    drop_request(c);
    return ok;
}

static void on_opened(void *user, int fd, const struct clan_error *error)
{
    struct call *c = user;
    c->opened = true;
    c->fd = fd;
    if (c->over)
        call_free(c);
    else if (fd < 0)
        fail(c, error ? error->status : CLAN_E_NOTRUNNING,
            error ? error->what : "the clan is not there", error ? error->why : "");
    else if (!send_all(c) || clan_io_watch(c->d->host, fd, CLAN_IO_READ, on_io, c) != CLAN_OK)
        fail(c, CLAN_E_NOTRUNNING, "the clan takes no question now", "");
}

struct call *call_start(struct door *door, enum call_kind kind, const clan_api_SessionUse *use,
    const clan_api_Request *request, call_answer_fn *answer, call_done_fn *done, void *arg)
{
    struct dashboard *d = door->d;
    bool room = door->calls[kind] < places[kind] - d->calls[kind];
    struct call *c = room ? calloc(1, sizeof *c) : NULL;
    if (!c)
        return NULL;
    c->request = malloc(sizeof *c->request);
    if (!c->request) {
        free(c);
        return NULL;
    }
    *c->request = *request;
    c->d = d; /* one by one: what is not used is not touched, and takes no memory */
    c->door = door;
    c->kind = kind;
    c->fd = -1;
    c->answer = answer;
    c->done = done;
    c->arg = arg;
    c->has_use = use != NULL;
    c->reader = (struct frame_reader){.buf = c->in, .cap = sizeof c->in};
    if (use)
        c->use = *use;
    d->calls[kind]++;
    door->calls[kind]++;
    if (clan_timer_start(d->host, CALL_MS, on_timer, c, &c->timer) == CLAN_OK &&
        d->api->open(d->host->host_data, on_opened, c, NULL) == CLAN_OK)
        return c;
    c->opened = true; /* it will not be */
    call_free(c);
    return NULL;
}

void call_wait(struct call *c, uint64_t ms)
{
    clan_timer_stop(c->d->host, c->timer);
    c->timer = 0;
    clan_timer_start(c->d->host, ms, on_timer, c, &c->timer);
}

void call_cancel(struct call *c)
{
    call_free(c);
}
