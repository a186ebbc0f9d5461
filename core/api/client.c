/* The blocking client of clan.api.v1. */
#include "api/client.h"

#include "base/error.h"
#include "base/text.h"
#include "wire/frame.h"

#include <dirent.h>
#include <errno.h>
#include <pb_common.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define NEW_SOCKET "new"

struct api_client {
    int fd;
    clan_api_Answer answer;
};

static clan_status not_running(const char *path, const char *petname, struct clan_error *reterr)
{
    if (petname) {
        err_set(reterr, CLAN_E_NOTRUNNING, "the clan %s is not running here", petname);
        err_why(reterr, "nothing answers on %s", path);
        err_remedy(reterr, "start it with `clan up --name %s`", petname);
    } else {
        err_set(reterr, CLAN_E_NOTRUNNING, "cland is not running on this machine");
        err_why(reterr, "nothing answers on %s", path);
        err_remedy(reterr,
            "start it with `sudo systemctl start cland`, or `sudo cland` where there "
            "is no systemd");
    }
    return CLAN_E_NOTRUNNING;
}

static clan_status connect_failed(const char *path, const char *petname, struct clan_error *reterr)
{
    if (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)
        return not_running(path, petname, reterr);
    if (errno == EACCES || errno == EPERM) {
        err_set(reterr, CLAN_E_PERM, "this user may not talk to Clan");
        err_why(reterr, "%s belongs to root and the group clan", path);
        err_remedy(reterr, "join the group with `sudo usermod -aG clan $USER` and log in again, or "
                           "use sudo");
        return CLAN_E_PERM;
    }
    return err_errno(reterr, CLAN_E_UNREACHABLE, "cannot connect to %s", path);
}

clan_status api_connect(const char *run_dir, const char *petname, struct api_client **ret_client,
    struct clan_error *reterr)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int n = snprintf(
        addr.sun_path, sizeof addr.sun_path, "%s/%s.sock", run_dir, petname ? petname : NEW_SOCKET);
    if (n < 0 || n >= (int)sizeof addr.sun_path)
        return err_set(reterr, CLAN_E_INVAL, "the path of the socket directory is too long");
    if (petname && (!text_name_ok(petname) || strcmp(petname, NEW_SOCKET) == 0))
        return err_set(reterr, CLAN_E_INVAL, "\"%.33s\" is not a name of a clan", petname);
    struct api_client *c = calloc(1, sizeof *c);
    if (!c)
        return err_set(reterr, CLAN_E_NOMEM, "out of memory");
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&addr, sizeof addr) != 0) {
        clan_status st = connect_failed(addr.sun_path, petname, reterr);
        api_close(c);
        return st;
    }
    *ret_client = c;
    return CLAN_OK;
}

void api_close(struct api_client *c)
{
    if (!c)
        return;
    if (c->fd >= 0)
        close(c->fd);
    free(c);
}

static void clean(pb_field_iter_t *it);

static void clean_message(const pb_msgdesc_t *desc, void *msg)
{
    pb_field_iter_t it;
    if (!pb_field_iter_begin(&it, desc, msg))
        return;
    do
        clean(&it);
    while (pb_field_iter_next(&it));
}

/* Everything from the daemon may have come from another machine: no control characters reach a
 * terminal. */
static void clean(pb_field_iter_t *it)
{
    bool oneof = PB_HTYPE(it->type) == PB_HTYPE_ONEOF;
    size_t count = 1;
    if (oneof && *(pb_size_t *)it->pSize != it->tag)
        return;
    if (PB_HTYPE(it->type) == PB_HTYPE_REPEATED)
        count = *(pb_size_t *)it->pSize;
    for (size_t i = 0; i < count; i++) {
        char *data = (char *)it->pData + i * it->data_size;
        if (PB_LTYPE(it->type) == PB_LTYPE_STRING)
            text_sanitize(data);
        else if (PB_LTYPE_IS_SUBMSG(it->type))
            clean_message(it->submsg_desc, data);
    }
}

static clan_status take_error(const clan_wire_Error *e, struct clan_error *reterr)
{
    clan_status st = e->status > 0 ? e->status : CLAN_E_DEFECT;
    err_set(reterr, st, "%s", e->what[0] ? e->what : clan_status_text(st));
    err_why(reterr, "%s", e->why);
    err_remedy(reterr, "%s", e->remedy);
    return st;
}

static clan_status no_answer(clan_status st, struct clan_error *reterr)
{
    if (st == CLAN_E_TIMEOUT) {
        err_set(reterr, st, "Clan does not answer");
        err_why(reterr, "its core took the request and stayed silent");
        err_remedy(reterr, "look at `clan logs`; cland restarts a core that hangs");
    } else if (st == CLAN_E_PROTO) {
        err_set(reterr, st, "Clan answered with something that this program cannot read");
        err_why(reterr, "the program and the daemon are of different versions");
        err_remedy(reterr, "restart cland after an update");
    } else {
        err_set(reterr, CLAN_E_NOTRUNNING, "Clan closed the connection");
        err_why(reterr, "its core ended before it answered");
        err_remedy(reterr, "try again; if it happens again, look at `clan logs`");
        st = CLAN_E_NOTRUNNING;
    }
    return st;
}

clan_status api_call(struct api_client *c, const clan_api_Request *req, int idle_ms,
    api_answer_fn *fn, void *arg, struct clan_error *reterr)
{
    /* a core that refuses early may answer and close while we still send: its answer is read all
     * the same */
    clan_status sent = frame_send_blocking(c->fd, clan_api_Request_fields, req);
    if (sent != CLAN_OK && sent != CLAN_E_IO)
        return err_set(reterr, sent, "the request is too large");
    for (;;) {
        clan_api_Answer *a = &c->answer;
        memset(a, 0, sizeof *a);
        clan_status st = frame_recv_blocking(c->fd, clan_api_Answer_fields, a, idle_ms);
        if (st != CLAN_OK)
            return no_answer(st, reterr);
        clean_message(clan_api_Answer_fields, a);
        if (a->which_m == clan_api_Answer_error_tag)
            return take_error(&a->m.error, reterr);
        bool last = a->last;
        st = fn ? fn(arg, a) : CLAN_OK;
        if (st != CLAN_OK || last)
            return st;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

size_t api_clans(const char *run_dir, char ret_names[API_CLANS_MAX][33])
{
    size_t count = 0;
    DIR *dir = opendir(run_dir);
    if (!dir)
        return 0;
    for (struct dirent *e; count < API_CLANS_MAX && (e = readdir(dir));) {
        char name[33];
        size_t len = strlen(e->d_name);
        if (len <= 5 || len - 5 > TEXT_NAME_MAX || strcmp(e->d_name + len - 5, ".sock") != 0)
            continue;
        memcpy(name, e->d_name, len - 5);
        name[len - 5] = 0;
        if (text_name_ok(name) && strcmp(name, NEW_SOCKET) != 0)
            memcpy(ret_names[count++], name, sizeof name);
    }
    closedir(dir);
    qsort(ret_names, count, sizeof ret_names[0], by_name);
    return count;
}
