/* The local API: connections, frames, who may ask what, and waiting for events. */
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/brain.h"
#include "brain/client.h"
#include "brain/events.h"
#include "brain/phones.h"
#include "brain/proposals.h"
#include "brain/reach.h"
#include "brain/sessions.h"
#include "brain/visit.h"
#include "brain/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of one client, not read yet.  MEMBER_MACHINES_MAX rows at their longest fit. */
#define API_OUT_MAX  (8u << 20)
#define API_LAST_MAX (FRAME_HEAD + WIRE_FRAME_MAX) /* beyond it: an answer always ends */

static clan_api_Request request;
static clan_api_Answer answer;

void wire_from_error(clan_wire_Error *ret, const struct clan_error *e)
{
    ret->status = e->status;
    snprintf(ret->what, sizeof ret->what, "%s", e->what);
    snprintf(ret->why, sizeof ret->why, "%s", e->why);
    snprintf(ret->remedy, sizeof ret->remedy, "%s", e->remedy);
}

void error_from_wire(struct clan_error *ret, const clan_wire_Error *e)
{
    err_set(ret, e->status, "%s", e->what);
    err_why(ret, "%s", e->why);
    err_remedy(ret, "%s", e->remedy);
    text_sanitize(ret->what);
    text_sanitize(ret->why);
    text_sanitize(ret->remedy);
}

/* ---- output ---- */

static void on_poll(uv_poll_t *poll, int status, int events);

static void client_free(uv_handle_t *handle)
{
    struct client *c = handle->data;
    close(c->fd);
    sodium_memzero(c->in, sizeof c->in);
    free(c->out);
    free(c);
}

static void client_close(struct client *c)
{
    struct brain *b = c->b;
    if (c->closing)
        return;
    c->closing = true;
    watch_gone(b, c);
    visit_gone(c);
    for (struct client **p = &b->clients; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            break;
        }
    for (unsigned i = 0; i < b->session_top; i++)
        if (b->sessions[i].ping_client == c)
            b->sessions[i].ping_client = NULL;
    joiner_cancel(b, c);
    uv_close((uv_handle_t *)&c->poll, client_free);
    if (c->first && !b->bound)
        exit(0); /* the one this core was started for is gone, and nothing came of it */
}

static void flush(struct client *c)
{
    size_t sent = 0;
    while (sent < c->out_len) {
        ssize_t n = send(c->fd, c->out + sent, c->out_len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        sent += (size_t)n;
    }
    if (sent)
        memmove(c->out, c->out + sent, c->out_len - sent);
    c->out_len -= sent;
    uv_poll_start(&c->poll, c->out_len ? UV_READABLE | UV_WRITABLE : UV_READABLE, on_poll);
}

bool api_alive(const struct brain *b, const struct client *c)
{
    for (const struct client *i = b->clients; i; i = i->next)
        if (i == c)
            return true;
    return false;
}

clan_api_Answer *api_blank(void)
{
    memset(&answer, 0, sizeof answer);
    return &answer;
}

static bool put(struct client *c, const uint8_t *bytes, size_t size, size_t most)
{
    size_t need = c->out_len + size;
    if (need > most)
        return false;
    if (need > c->out_cap) {
        size_t cap = need * 2 < most ? need * 2 : most;
        uint8_t *grown = realloc(c->out, cap);
        if (!grown)
            return false;
        c->out = grown;
        c->out_cap = cap;
    }
    memcpy(c->out + c->out_len, bytes, size);
    c->out_len = need;
    return true;
}

/* A list that lacks rows never looks whole: it ends with an error. */
static void lacks(clan_api_Answer *a)
{
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, CLAN_E_LIMIT, "the answer is too long");
    err_why(&e, "at most %u MiB wait for whoever asks, and what comes after was left out",
        API_OUT_MAX >> 20);
    err_remedy(&e, "ask for less; if it was no long list, ask again");
    memset(a, 0, sizeof *a);
    a->which_m = clan_api_Answer_error_tag;
    wire_from_error(&a->m.error, &e);
}

void api_answer(struct client *c, clan_api_Answer *a, bool last)
{
    static uint8_t bytes[FRAME_HEAD + WIRE_FRAME_MAX];
    size_t size;
    if (!c || c->closing)
        return;
    if (c->probe) {
        watch_take(a);
        return;
    }
    if (!last && (c->lacks || !client_sees(c, a)))
        return;
    if (last && c->lacks)
        lacks(a);
    a->last = last;
    bool fits = frame_encode(clan_api_Answer_fields, a, bytes, sizeof bytes, &size) == CLAN_OK &&
                put(c, bytes, size, API_OUT_MAX + (last ? API_LAST_MAX : 0));
    c->lacks = !last && !fits;
    if (last)
        c->busy = false;
    if (last && !fits)
        shutdown(c->fd, SHUT_RDWR); /* it is let go when it is heard of next */
    flush(c);
}

void api_error(struct client *c, const struct clan_error *e)
{
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_error_tag;
    wire_from_error(&a->m.error, e);
    api_answer(c, a, true);
}

void api_ok(struct client *c)
{
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_ok_tag;
    api_answer(c, a, true);
}

void api_progress(struct client *c, const char *step, const char *fmt, ...)
{
    clan_api_Answer *a = api_blank();
    va_list ap;
    a->which_m = clan_api_Answer_progress_tag;
    snprintf(a->m.progress.step, sizeof a->m.progress.step, "%s", step);
    va_start(ap, fmt);
    vsnprintf(a->m.progress.text, sizeof a->m.progress.text, fmt, ap);
    va_end(ap);
    api_answer(c, a, false);
}

/* ---- requests ---- */

static void give_code(struct client *c, const char *at)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (at[0] && !visit_is_here(c->b, at)) {
        visit_ask(c->b, c, at);
        return;
    }
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_ui_code_tag;
    if (sessions_code(c->b, c->uid, &a->m.ui_code, &e) != CLAN_OK)
        api_error(c, &e);
    else
        api_answer(c, a, true);
}

/* By a code, which only makes a session, or by a session, for what follows. */
static void sign_in(struct client *c, const clan_api_Request *r)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_api_Answer *a = api_blank();
    bool opens = r->which_m == clan_api_Request_session_open_tag;
    bool visits = (opens ? r->m.session_open.from.size : r->m.session_use.from.size) == 16;
    clan_status st;
    a->which_m = clan_api_Answer_session_tag;
    if (visits != c->visits)
        st = err_set(&e, CLAN_E_PERM, "that is a session of another door");
    else if (opens)
        st = sessions_open(c->b, &r->m.session_open, &a->m.session, &e);
    else
        st = sessions_use(c->b, &r->m.session_use, &c->session, c->session_id, &e);
    if (st != CLAN_OK) {
        api_error(c, &e);
        return;
    }
    if (!opens) {
        c->signed_in = true;
        c->uid = c->session.uid;
        a->m.session = c->session;
    }
    api_answer(c, a, true);
    sodium_memzero(a, sizeof *a);
}

static void propose(struct client *c, const clan_api_Propose *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    uint32_t id;
    if (proposals_add(c->b, c, m, &id, &e) != CLAN_OK) {
        api_error(c, &e);
        return;
    }
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_proposal_tag;
    a->m.proposal.id = id;
    a->m.proposal.mine = true;
    a->m.proposal.signer = watch_signer(c->b);
    snprintf(a->m.proposal.state, sizeof a->m.proposal.state, "waiting");
    api_answer(c, a, true);
}

static void answer_with(struct client *c, clan_status st, const struct clan_error *e)
{
    if (st == CLAN_OK)
        api_ok(c);
    else
        api_error(c, e);
}

static void wait_for(struct brain *b, struct client *c, const clan_api_WaitFor *w)
{
    c->waiting = true;
    c->wait = *w;
    c->told_count = 0;
    c->deadline_ms = brain_now() + (w->timeout_ms < 600000 ? w->timeout_ms : 600000);
    api_wait_check(b, c);
}

static void handle(struct client *c, clan_api_Request *r)
{
    struct brain *b = c->b;
    struct clan_error e = CLAN_ERROR_INIT;
    c->busy = true;
    if (client_may(c, r->which_m, &e) != CLAN_OK) {
        api_error(c, &e);
        return;
    }
    switch (r->which_m) {
    case clan_api_Request_status_tag:
        api_status(b, c);
        break;
    case clan_api_Request_machines_tag:
        api_machines(b, c);
        break;
    case clan_api_Request_services_tag:
        api_services(b, c);
        break;
    case clan_api_Request_context_tag:
        api_context(b, c);
        break;
    case clan_api_Request_blob_put_tag:
        if (bodies_chunk(b, &r->m.blob_put, &e) == CLAN_OK)
            api_ok(c);
        else
            api_error(c, &e);
        break;
    case clan_api_Request_submit_tag:
        api_submit(b, c, &r->m.submit);
        break;
    case clan_api_Request_config_get_tag:
        api_config_get(b, c, r->m.config_get.version);
        break;
    case clan_api_Request_config_log_tag:
        api_config_log(b, c);
        break;
    case clan_api_Request_invitations_tag:
        api_invitations(b, c);
        break;
    case clan_api_Request_wait_for_tag:
        wait_for(b, c, &r->m.wait_for);
        break;
    case clan_api_Request_ping_tag:
        api_ping(b, c, r->m.ping.machine);
        break;
    case clan_api_Request_paths_tag:
        paths_show(b, c, r->m.paths.machine);
        break;
    case clan_api_Request_create_tag:
        founder_create(b, c, &r->m.create);
        break;
    case clan_api_Request_create_commit_tag:
        founder_commit(b, c, &r->m.create_commit);
        break;
    case clan_api_Request_join_preview_tag:
        joiner_preview(b, c, r->m.join_preview.link);
        break;
    case clan_api_Request_join_yes_tag:
        joiner_yes(b, c, &r->m.join_yes);
        break;
    case clan_api_Request_leave_tag:
        api_leave(b, c);
        break;
    case clan_api_Request_down_tag:
        api_down(b, c);
        break;
    case clan_api_Request_machine_changed_tag:
        api_machine_changed(b, c);
        break;
    case clan_api_Request_plugins_tag:
        api_plugins(b, c);
        break;
    case clan_api_Request_start_tag:
        api_start(b, c, r->m.start.petname);
        break;
    case clan_api_Request_dismiss_alarms_tag:
        api_dismiss(b, c);
        break;
    case clan_api_Request_netcheck_tag:
        reach_show(b, c);
        break;
    case clan_api_Request_phone_add_tag:
        phones_add(b, c, &r->m.phone_add);
        sodium_memzero(&r->m.phone_add, sizeof r->m.phone_add);
        break;
    case clan_api_Request_ui_code_tag:
        give_code(c, r->m.ui_code.at);
        break;
    case clan_api_Request_session_open_tag:
    case clan_api_Request_session_use_tag:
        sign_in(c, r);
        break;
    case clan_api_Request_session_end_tag:
        answer_with(
            c, c->signed_in ? sessions_end(b, &c->session, c->session_id, &e) : CLAN_OK, &e);
        watch_touch(b); /* its other connections hear it */
        break;
    case clan_api_Request_watch_tag:
        watch_begin(b, c);
        break;
    case clan_api_Request_propose_tag:
        propose(c, &r->m.propose);
        break;
    case clan_api_Request_proposals_tag:
        proposals_show(b, c);
        break;
    case clan_api_Request_proposal_set_tag:
        answer_with(c, proposals_set(b, &r->m.proposal_set, &e), &e);
        break;
    case clan_api_Request_proposal_drop_tag:
        answer_with(c, proposals_drop(b, c, r->m.proposal_drop.id, &e), &e);
        break;
    case clan_api_Request_activity_tag:
        events_show(c);
        break;
    default:
        api_status(b, c); /* alarms: health lines are part of it */
        break;
    }
}

/* ---- input ---- */

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct client *c = poll->data;
    if (status == 0 && (events & UV_WRITABLE))
        flush(c);
    if (!(events & UV_READABLE) && status == 0)
        return;
    size_t room;
    uint8_t *space = frame_space(&c->reader, &room);
    ssize_t n = room ? recv(c->fd, space, room, MSG_DONTWAIT) : -1;
    if (n < 0 && (errno == EAGAIN || errno == EINTR) && room)
        return;
    if (n <= 0) {
        client_close(c);
        return;
    }
    frame_added(&c->reader, (size_t)n);
    const uint8_t *payload;
    size_t size;
    clan_status st;
    while (
        !c->closing && !c->busy && (st = frame_peek(&c->reader, &payload, &size)) != CLAN_E_AGAIN) {
        pb_istream_t is = pb_istream_from_buffer(payload, size);
        bool ok = st == CLAN_OK && pb_decode(&is, clan_api_Request_fields, &request);
        if (ok) {
            frame_pop(&c->reader);
            handle(c, &request);
            sodium_memzero(&request, sizeof request); /* it may have held a link */
        } else {
            client_close(c);
        }
    }
}

/* Browsers and the command line do not take each other's places.  Of the command line's, a user has no more than are
 * left for others: the plugin sees to that for its people. */
static bool has_room(const struct brain *b, bool plugin, uid_t uid)
{
    unsigned count = 0, own = 0;
    for (const struct client *c = b->clients; c; c = c->next) {
        count += c->plugin == plugin;
        own += !plugin && !c->plugin && c->uid == uid;
    }
    return count < (plugin ? BRAIN_PLUGIN_MAX : BRAIN_CLIENTS_MAX) &&
           (plugin || own < BRAIN_CLIENTS_MAX - count);
}

static struct client *take(struct brain *b, int fd, bool first, bool plugin, bool visits)
{
    struct ucred cred = {.uid = (uid_t)-1};
    socklen_t len = sizeof cred;
    struct client *c = NULL;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && has_room(b, plugin, cred.uid))
        c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return NULL;
    }
    c->b = b;
    c->fd = fd;
    c->first = first;
    c->plugin = plugin;
    c->visits = visits;
    c->uid = plugin ? (uid_t)-1 : cred.uid; /* nobody yet: the one who made the pair is this core */
    c->reader = (struct frame_reader){.buf = c->in, .cap = sizeof c->in};
    c->next = b->clients;
    b->clients = c;
    c->poll.data = c;
    uv_poll_init(&b->loop, &c->poll, fd);
    uv_poll_start(&c->poll, UV_READABLE, on_poll);
    return c;
}

void api_plugin_connect(struct brain *b, bool visits, int *ret_fd)
{
    int pair[2];
    *ret_fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return;
    struct client *c = take(b, pair[0], false, true, visits);
    if (!c) {
        close(pair[1]);
        return;
    }
    *ret_fd = pair[1];
}

void api_first(struct brain *b, int fd)
{
    take(b, fd, true, false, false);
}

static void on_accept(uv_poll_t *poll, int status, int events)
{
    struct brain *b = poll->data;
    (void)status, (void)events;
    int fd = accept4(b->api_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        take(b, fd, false, false, false);
}

void api_listen(struct brain *b, int fd)
{
    b->api_fd = fd;
    b->api_listening = true;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    uv_poll_init(&b->loop, &b->api_poll, fd);
    b->api_poll.data = b;
    uv_poll_start(&b->api_poll, UV_READABLE, on_accept);
}

void api_changed(struct brain *b)
{
    for (struct client *c = b->clients, *next; c; c = next) {
        next = c->next;
        if (c->waiting)
            api_wait_check(b, c);
    }
    watch_touch(b);
}

void api_tick(struct brain *b)
{
    api_changed(b);
    api_ping_tick(b);
    visit_tick(b);
}
