/* One mini host for each user: a socket by which later commands hand their links to it. */
#include "base/error.h"
#include "cli/desktop.h"
#include "cli/uihost.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HAND_MS 5000 /* a browser may be started meanwhile */
#define HEAR_MS 1000 /* one of this user's own commands has it ready */

static clan_status socket_path(char *ret, size_t cap, const char *name, struct clan_error *e)
{
    char dir[DESKTOP_PATH_MAX];
    clan_status st = desktop_run_dir(dir, e);
    if (st == CLAN_OK && snprintf(ret, cap, "%s/%s", dir, name) >= (int)cap)
        st = err_set(e, CLAN_E_LIMIT, "the path of this user's folder is too long");
    return st;
}

static bool is_own(int fd)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.uid == geteuid();
}

/* ---- who comes later ---- */

static clan_status talk(
    int fd, const struct invite_link *link, clan_api_UiCode *ret_code, struct clan_error *e)
{
    clan_api_Request *r = calloc(1, sizeof *r);
    clan_api_Answer *a = calloc(1, sizeof *a);
    clan_assert(r && a);
    r->which_m = link ? clan_api_Request_join_preview_tag : clan_api_Request_ui_code_tag;
    if (link)
        link_format(link, r->m.join_preview.link);
    clan_status st = frame_send_blocking(fd, clan_api_Request_fields, r);
    if (st == CLAN_OK)
        st = frame_recv_blocking(fd, clan_api_Answer_fields, a, HAND_MS);
    if (st == CLAN_OK && a->which_m == clan_api_Answer_error_tag) {
        st = a->m.error.status ? (clan_status)a->m.error.status : CLAN_E_DEFECT;
        err_set(e, st, "%s", a->m.error.what);
        err_why(e, "%s", a->m.error.why);
        err_remedy(e, "%s", a->m.error.remedy);
    } else if (st == CLAN_OK && a->which_m == clan_api_Answer_ui_code_tag) {
        *ret_code = a->m.ui_code;
    } else if (st != CLAN_OK) {
        err_set(e, st, "the `clan open` or `clan ui` that runs already does not answer");
        err_remedy(e, "end it and try again");
    }
    sodium_memzero(r, sizeof *r);
    sodium_memzero(a, sizeof *a);
    free(r);
    free(a);
    return st;
}

clan_status uisocket_hand(struct cli *c, const struct invite_link *link, clan_api_UiCode *ret_code)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    clan_status st = socket_path(at.sun_path, sizeof at.sun_path, "open.sock", &c->e);
    if (st != CLAN_OK)
        return st;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) != 0 || !is_own(fd))
        st = CLAN_E_NOENT;
    else
        st = talk(fd, link, ret_code, &c->e);
    if (fd >= 0)
        close(fd);
    return st;
}

/* ---- who was first ---- */

static void answer(int fd, clan_api_Answer *a)
{
    a->last = true;
    frame_send_blocking(fd, clan_api_Answer_fields, a);
}

static clan_status hear(struct uihost *h, const clan_api_Request *r, clan_api_Answer *a)
{
    struct clan_error *e = &h->c->e;
    struct invite_link link;
    if (r->which_m == clan_api_Request_ui_code_tag) {
        a->which_m = clan_api_Answer_ui_code_tag;
        uihost_code(h, &a->m.ui_code);
        return CLAN_OK;
    }
    if (r->which_m != clan_api_Request_join_preview_tag)
        return err_set(e, CLAN_E_NOSYS, "that is not what is asked here");
    clan_status st = link_parse(r->m.join_preview.link, &link, e);
    if (st == CLAN_OK)
        st = uijoin_add(h, &link, e);
    sodium_memzero(&link, sizeof link);
    if (st == CLAN_OK && !uihost_is_shown(h))
        st = uihost_show(h);
    a->which_m = clan_api_Answer_ok_tag;
    return st;
}

static void on_accept(void *arg, int listen_fd, uint32_t events)
{
    struct uihost *h = arg;
    (void)events;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    clan_api_Request *r = calloc(1, sizeof *r);
    clan_api_Answer *a = calloc(1, sizeof *a);
    clan_assert(r && a);
    if (is_own(fd) && frame_recv_blocking(fd, clan_api_Request_fields, r, HEAR_MS) == CLAN_OK) {
        h->c->e = (struct clan_error)CLAN_ERROR_INIT;
        if (hear(h, r, a) != CLAN_OK) {
            memset(a, 0, sizeof *a);
            a->which_m = clan_api_Answer_error_tag;
            a->m.error.status = (uint32_t)h->c->e.status;
            snprintf(a->m.error.what, sizeof a->m.error.what, "%s", h->c->e.what);
            snprintf(a->m.error.why, sizeof a->m.error.why, "%s", h->c->e.why);
            snprintf(a->m.error.remedy, sizeof a->m.error.remedy, "%s", h->c->e.remedy);
        }
        answer(fd, a);
    }
    sodium_memzero(r, sizeof *r);
    sodium_memzero(a, sizeof *a);
    free(r);
    free(a);
    close(fd);
}

/* The lock says who is first; a socket that a dead one left is in nobody's way. */
clan_status uisocket_listen(struct uihost *h, struct clan_error *e)
{
    char lock[DESKTOP_PATH_MAX];
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    clan_status st = socket_path(at.sun_path, sizeof at.sun_path, "open.sock", e);
    if (st == CLAN_OK)
        st = socket_path(lock, sizeof lock, "open.lock", e);
    if (st != CLAN_OK)
        return st;
    h->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (h->lock_fd < 0 || flock(h->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        err_set(e, CLAN_E_STATE, "another `clan open` or `clan ui` of this user just began");
        err_remedy(e, "try again");
        return CLAN_E_STATE;
    }
    unlink(at.sun_path);
    h->open_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t before = umask(0177);
    bool bound = h->open_fd >= 0 && bind(h->open_fd, (struct sockaddr *)&at, sizeof at) == 0;
    umask(before);
    if (!bound || listen(h->open_fd, 8) != 0 ||
        loop_fd_add(h->loop, h->open_fd, EPOLLIN, on_accept, h) != CLAN_OK)
        return err_errno(e, CLAN_E_IO, "cannot listen on %s", at.sun_path);
    snprintf(h->open_path, sizeof h->open_path, "%s", at.sun_path);
    return CLAN_OK;
}

void uisocket_close(struct uihost *h)
{
    if (h->open_path[0])
        unlink(h->open_path);
    if (h->open_fd >= 0)
        close(h->open_fd);
    if (h->lock_fd >= 0)
        close(h->lock_fd);
    h->open_fd = h->lock_fd = -1;
}
