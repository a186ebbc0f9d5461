/* What the dashboard asks the mini host, as it would ask a core: signing in, what stands, what is to be done. */
#include "base/clock.h"
#include "base/error.h"
#include "cli/session.h"
#include "cli/uihost.h"

#include <errno.h>
#include <pb_decode.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define URL_MS 2000 /* a core of this machine answers in a moment */

static clan_api_Request request;
static clan_api_Answer answer;

void uiserve_close(struct uihost_client *k)
{
    struct uihost *h = k->h;
    for (struct uihost_client **p = &h->clients; *p; p = &(*p)->next)
        if (*p == k) {
            *p = k->next;
            break;
        }
    loop_fd_del(h->loop, k->fd);
    close(k->fd);
    sodium_memzero(k, sizeof *k);
    free(k);
}

/* A few frames fit into the socket; who does not read them is let go when it hangs up. */
void uiserve_answer(struct uihost_client *k, clan_api_Answer *a, bool last)
{
    static uint8_t bytes[FRAME_HEAD + WIRE_FRAME_MAX];
    size_t size;
    a->last = last;
    if (frame_encode(clan_api_Answer_fields, a, bytes, sizeof bytes, &size) == CLAN_OK &&
        send(k->fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)size)
        shutdown(k->fd, SHUT_RDWR);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(a, sizeof *a);
}

void uiserve_error(struct uihost_client *k, const struct clan_error *e)
{
    clan_wire_Error *m = &answer.m.error;
    memset(&answer, 0, sizeof answer);
    answer.which_m = clan_api_Answer_error_tag;
    m->status = (uint32_t)e->status;
    snprintf(m->what, sizeof m->what, "%s", e->what);
    snprintf(m->why, sizeof m->why, "%s", e->why);
    snprintf(m->remedy, sizeof m->remedy, "%s", e->remedy);
    uiserve_answer(k, &answer, true);
}

static void ok(struct uihost_client *k)
{
    memset(&answer, 0, sizeof answer);
    answer.which_m = clan_api_Answer_ok_tag;
    uiserve_answer(k, &answer, true);
}

/* ---- sessions ---- */

static void refuse(struct uihost_client *k, const char *why)
{
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, CLAN_E_AUTH, "you are not signed in");
    err_why(&e, "%s", why);
    err_remedy(&e, "run `clan ui` again");
    uiserve_error(k, &e);
}

static void give(struct uihost_client *k, const struct uihost_session *s, bool secrets)
{
    clan_api_Session *m = &answer.m.session;
    memset(&answer, 0, sizeof answer);
    answer.which_m = clan_api_Answer_session_tag;
    m->uid = getuid();
    m->owner = true;
    m->expires = s->expires;
    snprintf(m->role, sizeof m->role, "member");
    if (secrets) {
        memcpy(m->cookie.bytes, s->cookie, sizeof s->cookie);
        m->cookie.size = sizeof s->cookie;
        memcpy(m->token.bytes, s->token, sizeof s->token);
        m->token.size = sizeof s->token;
    }
    uiserve_answer(k, &answer, true);
}

static void session_open_by(struct uihost_client *k, const clan_api_SessionOpen *m)
{
    struct uihost *h = k->h;
    bool good = false;
    for (unsigned i = 0; i < UIHOST_CODES_MAX; i++) {
        if (!h->codes[i].until_ms || sodium_memcmp(h->codes[i].code, m->code, sizeof m->code) != 0)
            continue;
        good = h->codes[i].until_ms > clock_mono_ms() && m->uid == getuid();
        sodium_memzero(&h->codes[i], sizeof h->codes[i]); /* spent, whatever comes of it */
    }
    if (!good) {
        refuse(k, "the code was used, or is older than 30 seconds");
        return;
    }
    struct uihost_session *s = &h->sessions[0]; /* a free one, else the oldest */
    for (unsigned i = 1; i < UIHOST_SESSIONS_MAX; i++)
        if (h->sessions[i].expires < s->expires)
            s = &h->sessions[i];
    for (struct uihost_client *o = h->clients; o; o = o->next)
        if (o->session == s)
            o->session = NULL;
    randombytes_buf(s->cookie, sizeof s->cookie);
    randombytes_buf(s->token, sizeof s->token);
    s->expires = clock_wall_s() + UIHOST_SESSION_S;
    give(k, s, true);
}

static void session_use(struct uihost_client *k, const clan_api_SessionUse *m)
{
    struct uihost *h = k->h;
    struct uihost_session *found = NULL;
    for (unsigned i = 0; i < UIHOST_SESSIONS_MAX; i++) {
        struct uihost_session *s = &h->sessions[i];
        if (s->expires > clock_wall_s() && m->cookie.size == sizeof s->cookie &&
            m->token.size == sizeof s->token &&
            sodium_memcmp(s->cookie, m->cookie.bytes, sizeof s->cookie) == 0 &&
            sodium_memcmp(s->token, m->token.bytes, sizeof s->token) == 0)
            found = s;
    }
    if (!found) {
        refuse(k, "cookie and token are no pair that this Clan made, or their session ended");
        return;
    }
    k->session = found;
    h->asked_ms = clock_mono_ms();
    give(k, found, false);
}

static void session_end(struct uihost_client *k)
{
    struct uihost_session *s = k->session;
    for (struct uihost_client *o = k->h->clients; o; o = o->next)
        if (o->session == s)
            o->session = NULL;
    sodium_memzero(s, sizeof *s);
    ok(k);
}

/* ---- what stands ---- */

struct code {
    clan_api_UiCode code;
    bool got;
};

static clan_status take_code(void *arg, const clan_api_Answer *a)
{
    struct code *k = arg;
    if (a->which_m == clan_api_Answer_ui_code_tag) {
        k->code = a->m.ui_code;
        k->got = true;
    }
    return CLAN_OK;
}

void uiserve_url_of(struct uihost *h, const char *petname, char ret_url[160])
{
    struct api_client *api = NULL;
    struct code k = {.got = false};
    clan_api_Request *r = calloc(1, sizeof *r);
    clan_assert(r);
    ret_url[0] = 0;
    r->which_m = clan_api_Request_ui_code_tag;
    if (api_connect(h->c->run_dir, petname, &api, NULL) == CLAN_OK &&
        api_call(api, r, URL_MS, take_code, &k, NULL) == CLAN_OK && k.got)
        uihost_url(&k.code, ret_url);
    api_close(api);
    free(r);
}

/* Who has not signed in hears what this page is for, and nothing of the questions. */
static void state(struct uihost_client *k)
{
    struct uihost *h = k->h;
    memset(&answer, 0, sizeof answer);
    answer.which_m = clan_api_Answer_ui_state_tag;
    snprintf(answer.m.ui_state.mode, sizeof answer.m.ui_state.mode, "%s",
        h->joins || h->question_count ? "join" : "first-run");
    snprintf(answer.m.ui_state.version, sizeof answer.m.ui_state.version, "%s", CLAN_VERSION);
    uiserve_answer(k, &answer, !k->session);
    if (!k->session)
        return;
    for (unsigned i = 0; i < h->question_count; i++) {
        memset(&answer, 0, sizeof answer);
        answer.which_m = clan_api_Answer_ui_question_tag;
        uijoin_show(h, i, &answer.m.ui_question);
        uiserve_answer(k, &answer, false);
    }
    ok(k);
}

static void act(struct uihost_client *k, const clan_api_UiJoin *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (uijoin_act(k->h, m, &e) == CLAN_OK)
        ok(k);
    else
        uiserve_error(k, &e);
}

static void handle(struct uihost_client *k, const clan_api_Request *r)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (r->which_m == clan_api_Request_session_open_tag && !k->session)
        session_open_by(k, &r->m.session_open);
    else if (r->which_m == clan_api_Request_session_use_tag && !k->session)
        session_use(k, &r->m.session_use);
    else if (r->which_m == clan_api_Request_ui_state_tag)
        state(k);
    else if (!k->session)
        refuse(k, "nobody signed in on this connection");
    else if (r->which_m == clan_api_Request_status_tag) /* who is signed in was told before */
        ok(k);
    else if (r->which_m == clan_api_Request_session_end_tag)
        session_end(k);
    else if (r->which_m == clan_api_Request_ui_create_tag)
        uicreate_begin(k, &r->m.ui_create);
    else if (r->which_m == clan_api_Request_ui_join_tag)
        act(k, &r->m.ui_join);
    else {
        err_set(&e, CLAN_E_STATE, "this machine is in no clan that could be asked");
        err_remedy(&e, "make a clan or join one first");
        uiserve_error(k, &e);
    }
}

static void on_readable(void *arg, int fd, uint32_t events)
{
    struct uihost_client *k = arg;
    const uint8_t *payload;
    size_t size, room;
    clan_status st;
    (void)events;
    uint8_t *space = frame_space(&k->reader, &room);
    ssize_t n = room ? recv(fd, space, room, MSG_DONTWAIT) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        uiserve_close(k);
        return;
    }
    frame_added(&k->reader, (size_t)n);
    while (!k->creates && (st = frame_peek(&k->reader, &payload, &size)) != CLAN_E_AGAIN) {
        pb_istream_t is = pb_istream_from_buffer(payload, size);
        if (st != CLAN_OK || !pb_decode(&is, clan_api_Request_fields, &request)) {
            uiserve_close(k);
            return;
        }
        frame_pop(&k->reader);
        handle(k, &request);
        sodium_memzero(&request, sizeof request);
    }
}

clan_status uiserve_connect(struct uihost *h, int *ret_fd)
{
    int pair[2];
    unsigned count = 0;
    for (struct uihost_client *k = h->clients; k; k = k->next)
        count++;
    struct uihost_client *k = count < UIHOST_CLIENTS_MAX ? calloc(1, sizeof *k) : NULL;
    if (!k || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        free(k);
        return CLAN_E_LIMIT;
    }
    *k = (struct uihost_client){.next = h->clients, .h = h, .fd = pair[0]};
    k->reader = (struct frame_reader){.buf = k->in, .cap = sizeof k->in};
    if (loop_fd_add(h->loop, k->fd, EPOLLIN, on_readable, k) != CLAN_OK) {
        close(pair[0]);
        close(pair[1]);
        free(k);
        return CLAN_E_LIMIT;
    }
    h->clients = k;
    *ret_fd = pair[1];
    return CLAN_OK;
}
