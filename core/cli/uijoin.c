/* Questions whether to join, as pages ask them: one after the other, nothing dialled before the first yes. */
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/desktop.h"
#include "cli/uihost.h"

#include <errno.h>
#include <pb_decode.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define URL_AGE_MS    20000 /* a code is good for 30 s */
#define URL_TRY_MS    1000
#define AFTERWARDS_MS 15000 /* what came of it stands so long when another question waits */

static clan_api_Request request;
static clan_api_Answer answer;

static const char *const steps[] = {"ask", "asking", "facts", "joining", "joined", "failed"};

/* ---- the conversation with the core ---- */

static void hang_up(struct uijoin *q)
{
    loop_timer_cancel(q->h->loop, q->timer);
    q->timer = 0;
    if (q->fd < 0)
        return;
    loop_fd_del(q->h->loop, q->fd);
    close(q->fd);
    q->fd = -1;
    sodium_memzero(q->in, sizeof q->in);
}

static void drop(struct uijoin *q)
{
    struct uihost *h = q->h;
    hang_up(q);
    for (unsigned i = 0; i < h->question_count; i++) {
        if (h->questions[i] != q)
            continue;
        memmove(&h->questions[i], &h->questions[i + 1],
            (h->question_count - i - 1) * sizeof h->questions[0]);
        h->question_count--;
        break;
    }
    sodium_memzero(q, sizeof *q);
    free(q);
}

static struct uijoin *active(const struct uihost *h)
{
    return h->question_count ? h->questions[0] : NULL;
}

static void on_afterwards(void *arg)
{
    struct uijoin *q = arg;
    q->timer = 0;
    if (q->h->question_count > 1)
        drop(q);
    else
        q->timer = loop_timer_in(q->h->loop, AFTERWARDS_MS, on_afterwards, q);
}

static void fail(struct uijoin *q, const struct clan_error *e)
{
    clan_wire_Error *m = &q->shown.error;
    hang_up(q);
    q->step = UIJOIN_FAILED;
    q->shown.has_error = true;
    m->status = (uint32_t)e->status;
    snprintf(m->what, sizeof m->what, "%s", e->what);
    snprintf(m->why, sizeof m->why, "%s", e->why);
    snprintf(m->remedy, sizeof m->remedy, "%s", e->remedy);
    text_sanitize(m->what);
    text_sanitize(m->why);
    text_sanitize(m->remedy);
}

static void on_silence(void *arg)
{
    struct uijoin *q = arg;
    struct clan_error e = CLAN_ERROR_INIT;
    q->timer = 0;
    err_set(&e, CLAN_E_TIMEOUT, "Clan does not answer");
    err_remedy(&e, "look at `clan logs`, then try the link again");
    fail(q, &e);
}

static void wait_on(struct uijoin *q, uint64_t ms)
{
    loop_timer_cancel(q->h->loop, q->timer);
    q->timer = ms ? loop_timer_in(q->h->loop, ms, on_silence, q) : 0;
}

/* Names are letters, digits and hyphens; whatever else somebody signed is not shown. */
static void take_facts(struct uijoin *q, const clan_api_JoinFacts *f)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_api_JoinFacts *to = &q->shown.facts;
    if (joinlink_check(f, &q->link, &e) != CLAN_OK) {
        fail(q, &e);
        return;
    }
    q->shown.has_facts = true;
    *to = *f;
    char *const texts[] = {to->clan, to->words, to->inviter, to->inviter_words, to->for_name,
        to->door, to->petname, to->suggested_petname};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        dialog_safe(texts[i]);
    if (joinlink_petname(q->h->c->run_dir, NULL, f, q->petname, &e) == CLAN_OK)
        snprintf(to->suggested_petname, sizeof to->suggested_petname, "%s", q->petname);
    q->step = UIJOIN_FACTS;
    q->shown.progress[0] = 0;
    wait_on(q, 0); /* the person has time */
}

static void take_joined(struct uijoin *q, const clan_api_Joined *m)
{
    snprintf(q->petname, sizeof q->petname, "%s", m->petname);
    hang_up(q);
    q->step = UIJOIN_JOINED;
    q->shown.progress[0] = 0;
    q->timer = loop_timer_in(q->h->loop, AFTERWARDS_MS, on_afterwards, q);
}

static void take(struct uijoin *q, const clan_api_Answer *a)
{
    struct clan_error e = CLAN_ERROR_INIT;
    bool asked = q->step == UIJOIN_ASKING || q->step == UIJOIN_JOINING;
    q->h->asked_ms = clock_mono_ms();
    if (a->which_m == clan_api_Answer_error_tag) {
        const clan_wire_Error *m = &a->m.error;
        err_set(&e, (clan_status)m->status, "%s", m->what);
        err_why(&e, "%s", m->why);
        err_remedy(&e, "%s", m->remedy);
        fail(q, &e);
    } else if (a->which_m == clan_api_Answer_progress_tag && asked) {
        snprintf(q->shown.progress, sizeof q->shown.progress, "%s", a->m.progress.text);
        text_sanitize(q->shown.progress);
        wait_on(q, JOIN_IDLE_MS + JOIN_WAIT_MS);
    } else if (a->which_m == clan_api_Answer_join_facts_tag && q->step == UIJOIN_ASKING) {
        take_facts(q, &a->m.join_facts);
    } else if (a->which_m == clan_api_Answer_joined_tag && q->step == UIJOIN_JOINING &&
               text_name_ok(a->m.joined.petname)) {
        take_joined(q, &a->m.joined);
    } else {
        err_set(&e, CLAN_E_PROTO, "Clan answered what was not asked");
        err_remedy(&e, "restart cland after an update and try again");
        fail(q, &e);
    }
}

static void on_readable(void *arg, int fd, uint32_t events)
{
    struct uijoin *q = arg;
    struct clan_error e = CLAN_ERROR_INIT;
    const uint8_t *payload;
    size_t size, room;
    clan_status st;
    (void)events;
    uint8_t *space = frame_space(&q->reader, &room);
    ssize_t n = room ? recv(fd, space, room, MSG_DONTWAIT) : 0;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        err_set(&e, CLAN_E_NOTRUNNING, "Clan closed the connection");
        err_why(&e, "its core ended before it answered");
        err_remedy(&e, "try the link again; if it happens again, look at `clan logs`");
        fail(q, &e);
        return;
    }
    frame_added(&q->reader, (size_t)n);
    while (q->fd >= 0 && (st = frame_peek(&q->reader, &payload, &size)) != CLAN_E_AGAIN) {
        pb_istream_t is = pb_istream_from_buffer(payload, size);
        memset(&answer, 0, sizeof answer);
        if (st != CLAN_OK || !pb_decode(&is, clan_api_Answer_fields, &answer))
            answer.which_m = 0; /* refused as what was not asked */
        else
            frame_pop(&q->reader);
        take(q, &answer);
    }
}

static clan_status connect_new(struct uijoin *q, struct clan_error *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    snprintf(at.sun_path, sizeof at.sun_path, "%s/new.sock", q->h->c->run_dir);
    q->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    q->reader = (struct frame_reader){.buf = q->in, .cap = sizeof q->in};
    if (q->fd < 0 || connect(q->fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        loop_fd_add(q->h->loop, q->fd, EPOLLIN, on_readable, q) != CLAN_OK) {
        struct api_client *ignored = NULL;
        if (q->fd >= 0)
            close(q->fd);
        q->fd = -1;
        if (api_connect(q->h->c->run_dir, NULL, &ignored, e) == CLAN_OK) /* has the words for it */
            err_set(e, CLAN_E_AGAIN, "Clan cannot be asked now");
        api_close(ignored);
        return e->status;
    }
    return CLAN_OK;
}

static clan_status send_request(struct uijoin *q, struct clan_error *e)
{
    clan_status st = frame_send_blocking(q->fd, clan_api_Request_fields, &request);
    sodium_memzero(&request, sizeof request);
    wait_on(q, JOIN_IDLE_MS + JOIN_WAIT_MS);
    return st == CLAN_OK ? st : err_set(e, CLAN_E_NOTRUNNING, "Clan closed the connection");
}

/* ---- what the person says ---- */

static void ask(struct uijoin *q)
{
    struct clan_error e = CLAN_ERROR_INIT;
    q->step = UIJOIN_ASKING;
    clan_status st = connect_new(q, &e);
    if (st == CLAN_OK) {
        memset(&request, 0, sizeof request);
        request.which_m = clan_api_Request_join_preview_tag;
        link_format(&q->link, request.m.join_preview.link);
        st = send_request(q, &e);
    }
    sodium_memzero(q->link.seed, sizeof q->link.seed);
    if (st != CLAN_OK)
        fail(q, &e);
}

static clan_status yes(struct uijoin *q, const char *as, struct clan_error *reterr)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_status st =
        joinlink_petname(q->h->c->run_dir, as[0] ? as : NULL, &q->shown.facts, q->petname, reterr);
    if (st != CLAN_OK)
        return st; /* the question stays: another name may do */
    q->step = UIJOIN_JOINING;
    memset(&request, 0, sizeof request);
    request.which_m = clan_api_Request_join_yes_tag;
    memcpy(request.m.join_yes.petname, q->petname, sizeof q->petname);
    request.m.join_yes.wait_ms = JOIN_WAIT_MS;
    if (send_request(q, &e) != CLAN_OK)
        fail(q, &e);
    return CLAN_OK;
}

clan_status uijoin_act(struct uihost *h, const clan_api_UiJoin *m, struct clan_error *e)
{
    struct uijoin *q = NULL;
    for (unsigned i = 0; i < h->question_count; i++)
        if (h->questions[i]->id == m->id)
            q = h->questions[i];
    if (!q)
        return err_set(e, CLAN_E_NOENT, "that question is not there any more");
    h->asked_ms = clock_mono_ms();
    if (m->act == clan_api_UiJoinAct_UI_JOIN_NO) {
        drop(q);
        return CLAN_OK;
    }
    if (m->act == clan_api_UiJoinAct_UI_JOIN_ASK && q == active(h) && q->step == UIJOIN_ASK) {
        ask(q);
        return CLAN_OK;
    }
    if (m->act == clan_api_UiJoinAct_UI_JOIN_YES && q->step == UIJOIN_FACTS)
        return yes(q, m->petname, e);
    err_set(e, CLAN_E_STATE, "that is not the question now");
    err_remedy(e, "look at the page again");
    return CLAN_E_STATE;
}

/* ---- the list ---- */

static void mark(const struct invite_link *link, uint8_t ret[16])
{
    char text[LINK_TEXT_MAX + 1] = "";
    link_format(link, text);
    crypto_generichash(ret, 16, (const uint8_t *)text, strlen(text), NULL, 0);
    sodium_memzero(text, sizeof text);
}

static bool waits_already(const struct uihost *h, const uint8_t of[16])
{
    for (unsigned i = 0; i < h->question_count; i++)
        if (memcmp(h->questions[i]->mark, of, 16) == 0 && h->questions[i]->step != UIJOIN_FAILED &&
            h->questions[i]->step != UIJOIN_JOINED)
            return true;
    return false;
}

clan_status uijoin_add(struct uihost *h, const struct invite_link *link, struct clan_error *e)
{
    uint8_t of[16];
    clan_status st = joinlink_usable(link, e);
    if (st != CLAN_OK)
        return st;
    mark(link, of);
    if (waits_already(h, of))
        return CLAN_OK;
    if (h->question_count == UIHOST_QUESTIONS_MAX) {
        err_set(e, CLAN_E_LIMIT, "%d invitations wait for an answer already", UIHOST_QUESTIONS_MAX);
        err_remedy(e, "answer some of them, then open the link again");
        return CLAN_E_LIMIT;
    }
    struct uijoin *q = calloc(1, sizeof *q);
    clan_assert(q);
    q->h = h;
    q->id = ++h->next_question;
    q->fd = -1;
    q->link = *link;
    memcpy(q->mark, of, sizeof q->mark);
    q->shown.id = q->id;
    for (unsigned i = 0; i < link_endpoint_count(link); i++) {
        char *text = q->shown.endpoints[q->shown.endpoints_count];
        if (joinlink_endpoint(link, i, text, NULL) != CLAN_OK)
            continue;
        dialog_safe(text);
        q->shown.endpoints_count++;
    }
    h->questions[h->question_count++] = q;
    return CLAN_OK;
}

/* The code in it is not older than the page's click on it may be. */
static void fresh_url(struct uijoin *q)
{
    uint64_t age = clock_mono_ms() - q->url_ms;
    if (q->url_ms && age < (q->shown.url[0] ? URL_AGE_MS : URL_TRY_MS))
        return;
    q->url_ms = clock_mono_ms();
    uiserve_url_of(q->h, q->petname, q->shown.url);
}

void uijoin_show(struct uihost *h, unsigned i, clan_api_UiQuestion *ret)
{
    struct uijoin *q = h->questions[i];
    if (q->step == UIJOIN_JOINED)
        fresh_url(q);
    *ret = q->shown;
    snprintf(ret->step, sizeof ret->step, "%s", q == active(h) ? steps[q->step] : "waits");
}

bool uijoin_over(const struct uihost *h)
{
    for (unsigned i = 0; i < h->question_count; i++)
        if (h->questions[i]->step != UIJOIN_JOINED && h->questions[i]->step != UIJOIN_FAILED)
            return false;
    return true;
}

void uijoin_end(struct uihost *h)
{
    while (h->question_count)
        drop(h->questions[0]);
}
