/* Start and end of the process around a plugin. */
#include "host/host.h"

#include "base/error.h"
#include "base/log.h"
#include "wire/warden_requests.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_EXIT_USE    64
#define HOST_EXIT_MEMORY 71

/* The warden refuses to open libraries for us from now on. */
static void tell_loaded(void)
{
    static const char record[] = "\001loaded";
    while (send(CHILD_FD_LOG, record, sizeof record - 1, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

static void listen_fds(struct host *h, int first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        int fd = first + (int)i, flags = fcntl(fd, F_GETFL);
        /* accept() on a listener whose only caller went away must not wait */
        if (flags >= 0 && !(flags & O_NONBLOCK))
            fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        h->listen_fds[i] = fd;
    }
    h->listen_count = count;
}

struct host *host_new(const char *id, const char *instance, int first_listen, unsigned listen_count)
{
    struct host *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    snprintf(h->id, sizeof h->id, "%s", id);
    snprintf(h->instance, sizeof h->instance, "%s", instance);
    h->channel = CHILD_FD_CHANNEL;
    h->plugin_fd = CHILD_FD_PLUGIN;
    h->state_fd = CHILD_FD_STATE;
    h->volume_fd = CHILD_FD_VOLUME;
    listen_fds(h, first_listen, listen_count);
    h->loop = loop_new();
    if (!h->loop || host_api_open(h) != CLAN_OK) {
        host_free(h);
        return NULL;
    }
    return h;
}

void host_free(struct host *h)
{
    if (!h)
        return;
    host_out_clear(h);
    host_api_close(h);
    loop_free(h->loop);
    free(h->members);
    host_device_free(h);
    free(h);
}

int host_run(struct host *h)
{
    struct clan_error err = CLAN_ERROR_INIT;
    clan_status st = host_load(h, &err);
    tell_loaded();
    if (st != CLAN_OK) {
        /* stays, so that core learns why; it will say Stop */
        log_clan_error(LOG_LEVEL_ERROR, &err);
        host_state(h, clan_host_State_STATE_FAILED, &err);
    } else
        host_state(h, clan_host_State_STATE_LOADED, NULL);
    if (loop_fd_add(h->loop, h->channel, EPOLLIN, host_session_readable, h) != CLAN_OK)
        return HOST_EXIT_USE;
    return loop_run(h->loop);
}

int host_main(int argc, char **argv)
{
    log_init(CHILD_FD_LOG, LOG_LEVEL_INFO);
    char *end = NULL;
    unsigned long count = argc == 4 ? strtoul(argv[3], &end, 10) : HOST_LISTEN_MAX + 1;
    if (count > HOST_LISTEN_MAX || *end || strlen(argv[1]) >= sizeof((struct host *)0)->id ||
        strlen(argv[2]) >= sizeof((struct host *)0)->instance) {
        log_error("clan-host is started by cland: PLUGIN INSTANCE LISTENERS");
        return HOST_EXIT_USE;
    }
    struct host *h = host_new(argv[1], argv[2], CHILD_FD_LISTEN, (unsigned)count);
    if (!h) {
        log_error("clan-host cannot start: out of memory or descriptors");
        return HOST_EXIT_MEMORY;
    }
    int result = host_run(h);
    host_free(h);
    return result;
}
