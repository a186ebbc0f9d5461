/* Plugins that show the clan to people: a listener for each of them, and connections to core. */
#include "host/host.h"

#include "base/error.h"
#include "base/log.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

bool host_asks(const struct host *h, const char *word)
{
    for (unsigned i = 0; i < h->note.asks_count; i++)
        if (strcmp(h->note.asks[i], word) == 0)
            return true;
    return false;
}

/* ---- listeners: 127.x.117.(1 + place among the people) ---- */

static bool of_people(int fd, struct sockaddr_in *ret)
{
    socklen_t size = sizeof *ret;
    const uint8_t *a = (const uint8_t *)&ret->sin_addr;
    return getsockname(fd, (struct sockaddr *)ret, &size) == 0 && ret->sin_family == AF_INET &&
           a[0] == 127 && a[1] >= 64 && a[2] == 117 && a[3] >= 1;
}

void host_people(struct host *h, const clan_host_Create *m)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->listen_count; i++) {
        struct sockaddr_in at = {0};
        const uint8_t *a = (const uint8_t *)&at.sin_addr;
        if (m->people_count == 0 || !of_people(h->listen_fds[i], &at)) {
            h->listen_fds[kept++] = h->listen_fds[i];
            continue;
        }
        unsigned place = a[3] - 1u;
        if (place >= m->people_count || h->people_count == CLAN_API_LISTENERS_MAX)
            continue; /* core knows of nobody there */
        struct clan_api_listener *l = &h->people[h->people_count++];
        *l = (struct clan_api_listener){.fd = h->listen_fds[i], .uid = m->people[place]};
        snprintf(l->origin, sizeof l->origin, "%u.%u.%u.%u:%u", a[0], a[1], a[2], a[3],
            ntohs(at.sin_port));
    }
    h->listen_count = kept;
}

static uint32_t people_listeners(void *host_data, struct clan_api_listener *ret, uint32_t max)
{
    const struct host *h = host_data;
    uint32_t count = h->people_count < max ? h->people_count : max;
    if (!host_on_loop("listeners") || !ret)
        return 0;
    memcpy(ret, h->people, count * sizeof *ret);
    return count;
}

/* ---- connections ---- */

static struct host_api *find(struct host *h, uint32_t request)
{
    for (unsigned i = 0; i < HOST_APIS_MAX; i++)
        if (h->apis[i].request == request)
            return &h->apis[i];
    return NULL;
}

static clan_status people_open(
    void *host_data, clan_api_opened_fn *opened, void *user, struct clan_error *reterr)
{
    struct host *h = host_data;
    struct host_api *a = find(h, 0);
    if (!host_on_loop("open"))
        return err_set(reterr, CLAN_E_STATE, "open() belongs on the loop's thread");
    if ((h->state != clan_host_State_STATE_CREATED && h->state != clan_host_State_STATE_STARTED) ||
        h->dropped) {
        host_refused(h, "open");
        return err_set(reterr, CLAN_E_STATE, "the clan cannot be asked now");
    }
    if (!opened)
        return err_set(reterr, CLAN_E_INVAL, "open() needs a function");
    if (!a)
        return err_set(reterr, CLAN_E_LIMIT, "%u connections wait for their answer", HOST_APIS_MAX);
    if (++h->next_api == 0)
        h->next_api = 1;
    *a = (struct host_api){h->next_api, opened, user};
    host_message(h, clan_host_FromHost_api_open_tag)->m.api_open.request = a->request;
    clan_status st = host_send(h, -1);
    if (st != CLAN_OK) {
        a->request = 0;
        return err_set(reterr, st, "the clan cannot be asked");
    }
    return CLAN_OK;
}

static void answer(struct host *h, struct host_api *a, int fd, const struct clan_error *e)
{
    struct host_api of = *a;
    a->request = 0; /* it may ask again at once */
    if (!h->dropped)
        of.opened(of.user, fd, e);
}

void host_api_opened(struct host *h, const clan_host_ApiOpened *m, int *fds, size_t *fd_count)
{
    struct clan_error e;
    struct host_api *a = m->request ? find(h, m->request) : NULL;
    if (!a || h->dropped)
        return; /* asked of an earlier core, or by an instance that is gone */
    host_error_from_wire(&m->error, &e);
    if (*fd_count == 0 && e.status == CLAN_OK)
        err_set(&e, CLAN_E_IO, "the clan did not answer");
    int fd = e.status == CLAN_OK ? fds[0] : -1;
    if (fd >= 0)
        memmove(fds, fds + 1, --*fd_count * sizeof *fds); /* the plugin's now */
    answer(h, a, fd, fd >= 0 ? NULL : &e);
}

void host_forget_apis(struct host *h)
{
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, CLAN_E_AGAIN, "the clan is not there now");
    err_why(&e, "its core was started anew");
    err_remedy(&e, "try again");
    for (unsigned i = 0; i < HOST_APIS_MAX; i++)
        if (h->apis[i].request)
            answer(h, &h->apis[i], -1, &e);
}

const struct clan_api_host host_people_table = {
    .struct_size = sizeof(struct clan_api_host),
    .open = people_open,
    .listeners = people_listeners,
};
