/* Making a clan from the page: by a child that does what `clan up` does, so that the pages stay alive meanwhile. */
#include "base/clock.h"
#include "base/error.h"
#include "cli/machine.h"
#include "cli/session.h"
#include "cli/uihost.h"
#include "cli/up.h"

#include <errno.h>
#include <pb_decode.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DASHBOARD_WAIT_MS 5000
#define DASHBOARD_POLL_MS 100

static clan_api_Answer answer;

/* ---- the child ---- */

static bool dashboard_granted(void)
{
    struct grants *g = calloc(1, sizeof *g);
    bool granted = false;
    clan_assert(g);
    if (grants_load(machine_grants(), true, g, NULL) == CLAN_OK)
        for (unsigned i = 0; i < g->plugin_count; i++)
            granted = granted || (g->plugins[i].permissions & GRANT_API_SESSION);
    free(g);
    return granted;
}

/* It starts with the clan: a second or two. */
static void find_url(struct uihost *h, clan_api_UiCreated *m)
{
    uint64_t end = clock_mono_ms() + DASHBOARD_WAIT_MS;
    while (dashboard_granted()) {
        uiserve_url_of(h, m->petname, m->url);
        if (m->url[0] || clock_mono_ms() >= end)
            return;
        poll(NULL, 0, DASHBOARD_POLL_MS);
    }
}

_Noreturn static void child(struct uihost *h, const clan_api_UiCreate *m, int fd)
{
    FILE *null = fopen("/dev/null", "r+e");
    struct cli c = {.run_dir = h->c->run_dir, .quiet = true, .yes = true};
    clan_api_Answer *a = calloc(1, sizeof *a);
    clan_assert(null && a);
    c.out = c.err = c.in = null;
    c.e = (struct clan_error)CLAN_ERROR_INIT;
    a->last = true;
    clan_status st = up_by_name(&c, m->name, m->machine, &a->m.ui_created);
    if (st == CLAN_OK) {
        a->which_m = clan_api_Answer_ui_created_tag;
        find_url(h, &a->m.ui_created);
    } else {
        memset(&a->m, 0, sizeof a->m);
        a->which_m = clan_api_Answer_error_tag;
        a->m.error.status = (uint32_t)st;
        snprintf(a->m.error.what, sizeof a->m.error.what, "%s", c.e.what);
        snprintf(a->m.error.why, sizeof a->m.error.why, "%s", c.e.why);
        snprintf(a->m.error.remedy, sizeof a->m.error.remedy, "%s", c.e.remedy);
    }
    frame_send_blocking(fd, clan_api_Answer_fields, a);
    sodium_memzero(a, sizeof *a);
    _exit(0);
}

/* ---- its answer ---- */

static void forget(struct uihost *h)
{
    if (h->create_fd < 0)
        return;
    loop_fd_del(h->loop, h->create_fd);
    close(h->create_fd);
    h->create_fd = -1;
    while (waitpid(h->create_pid, NULL, 0) < 0 && errno == EINTR)
        ;
    sodium_memzero(h->create_in, FRAME_HEAD + WIRE_FRAME_MAX);
    free(h->create_in);
    h->create_in = NULL;
}

static struct uihost_client *who_waits(struct uihost *h)
{
    struct uihost_client *k = h->clients;
    while (k && !k->creates)
        k = k->next;
    return k;
}

static void keep(struct uihost *h, const clan_api_UiCreated *m)
{
    h->made = malloc(sizeof *m);
    clan_assert(h->made);
    *h->made = *m;
}

static void finish(struct uihost *h)
{
    struct uihost_client *k = who_waits(h);
    forget(h);
    h->asked_ms = clock_mono_ms();
    if (answer.which_m == clan_api_Answer_ui_created_tag) {
        snprintf(h->created, sizeof h->created, "%s", answer.m.ui_created.petname);
        if (!k)
            keep(h, &answer.m.ui_created);
    }
    if (k) {
        k->creates = false;
        uiserve_answer(k, &answer, true);
    }
    sodium_memzero(&answer, sizeof answer);
}

static void on_readable(void *arg, int fd, uint32_t events)
{
    struct uihost *h = arg;
    const uint8_t *payload;
    size_t size, room;
    (void)events;
    uint8_t *space = frame_space(&h->create_reader, &room);
    ssize_t n = recv(fd, space, room, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        frame_added(&h->create_reader, (size_t)n);
    clan_status st = frame_peek(&h->create_reader, &payload, &size);
    if (n > 0 && st == CLAN_E_AGAIN)
        return;
    pb_istream_t is = pb_istream_from_buffer(payload, st == CLAN_OK ? size : 0);
    memset(&answer, 0, sizeof answer);
    if (st != CLAN_OK || !pb_decode(&is, clan_api_Answer_fields, &answer)) {
        memset(&answer, 0, sizeof answer);
        answer.which_m = clan_api_Answer_error_tag;
        answer.m.error.status = CLAN_E_DEFECT;
        strcpy(answer.m.error.what, "making the clan was interrupted");
        strcpy(answer.m.error.remedy, "try again; it goes on with the key that is there");
    }
    finish(h);
}

/* ---- the request ---- */

/* The words are shown once; a code is good for half a minute, and can be had again. */
static void again(struct uihost_client *k)
{
    struct uihost *h = k->h;
    memset(&answer, 0, sizeof answer);
    answer.which_m = clan_api_Answer_ui_created_tag;
    if (h->made) {
        answer.m.ui_created = *h->made;
        sodium_memzero(h->made, sizeof *h->made);
        free(h->made);
        h->made = NULL;
    }
    snprintf(answer.m.ui_created.petname, sizeof answer.m.ui_created.petname, "%s", h->created);
    uiserve_url_of(h, h->created, answer.m.ui_created.url);
    uiserve_answer(k, &answer, true);
}

static void refuse(struct uihost_client *k, clan_status st, const char *what)
{
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, st, "%s", what);
    uiserve_error(k, &e);
}

void uicreate_begin(struct uihost_client *k, const clan_api_UiCreate *m)
{
    struct uihost *h = k->h;
    int pair[2];
    if (h->created[0]) {
        again(k);
        return;
    }
    if (h->create_fd >= 0) {
        refuse(k, CLAN_E_STATE, "a clan is being made already");
        return;
    }
    h->create_in = calloc(1, FRAME_HEAD + WIRE_FRAME_MAX);
    if (!h->create_in || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        free(h->create_in);
        refuse(k, CLAN_E_NOMEM, "the clan cannot be made now");
        return;
    }
    fflush(NULL); /* the child has no part in what waits to be printed */
    h->create_pid = fork();
    if (h->create_pid == 0)
        child(h, m, pair[1]);
    close(pair[1]);
    h->create_fd = pair[0];
    h->create_reader =
        (struct frame_reader){.buf = h->create_in, .cap = FRAME_HEAD + WIRE_FRAME_MAX};
    k->creates = true;
    clan_assert(loop_fd_add(h->loop, h->create_fd, EPOLLIN, on_readable, h) == CLAN_OK);
}

/* A clan that is being made is made: half a one helps nobody. */
void uicreate_end(struct uihost *h)
{
    forget(h);
    if (h->made)
        sodium_memzero(h->made, sizeof *h->made);
    free(h->made);
    h->made = NULL;
}
