/* A plugin that lets the person who connects speak with the core as the plugin may: a line about the listener, then bytes. */
#include <clan/api.h>
#include <clan/service.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CALLS_MAX 16

struct call {
    int person, core; /* -1: none */
};

static const struct clan_host *host;
static struct clan_api_listener listeners[CLAN_API_LISTENERS_MAX];
static uint32_t listener_count;
static struct call calls[CALLS_MAX];

static void hang_up(struct call *c)
{
    int fds[] = {c->person, c->core};
    for (int i = 0; i < 2; i++)
        if (fds[i] >= 0) {
            host->io_unwatch(host->host_data, fds[i]);
            close(fds[i]);
        }
    *c = (struct call){-1, -1};
}

static void pass_on(void *user, int32_t fd, uint32_t events)
{
    struct call *c = user;
    char bytes[4096];
    (void)events;
    ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n <= 0 || send(fd == c->core ? c->person : c->core, bytes, (size_t)n, MSG_NOSIGNAL) != n)
        hang_up(c);
}

static void opened(void *user, int fd, const struct clan_error *error)
{
    struct call *c = user;
    if (fd < 0) {
        send(c->person, error->what, strlen(error->what), MSG_NOSIGNAL);
        hang_up(c);
        return;
    }
    c->core = fd;
    host->io_watch(host->host_data, c->core, CLAN_IO_READ, pass_on, c);
    host->io_watch(host->host_data, c->person, CLAN_IO_READ, pass_on, c);
}

static void accepted(void *user, int32_t fd, uint32_t events)
{
    const struct clan_api_listener *l = user;
    const struct clan_api_host *api = clan_api_host_get(host);
    struct clan_error e = CLAN_ERROR_INIT;
    struct call *c = calls;
    char line[96];
    (void)events;
    while (c < calls + CALLS_MAX && c->person >= 0)
        c++;
    int person = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    if (person < 0 || c == calls + CALLS_MAX) {
        close(person);
        return;
    }
    c->person = person;
    snprintf(line, sizeof line, "uid %u at %s of %u\n", l->uid, l->origin, listener_count);
    send(person, line, strlen(line), MSG_NOSIGNAL);
    if (api->open(host->host_data, opened, c, &e) != CLAN_OK)
        opened(c, -1, &e);
}

static clan_status start(void *instance, struct clan_error *reterr)
{
    (void)instance;
    listener_count =
        clan_api_host_get(host)->listeners(host->host_data, listeners, CLAN_API_LISTENERS_MAX);
    for (int i = 0; i < CALLS_MAX; i++)
        calls[i] = (struct call){-1, -1};
    for (uint32_t i = 0; i < listener_count; i++)
        if (host->io_watch(
                host->host_data, listeners[i].fd, CLAN_IO_READ, accepted, &listeners[i]) != CLAN_OK)
            return clan_error_set(reterr, CLAN_E_IO, "a listener is not watched", "", "");
    clan_program_host_get(host)->service_state(host->host_data, 1, NULL);
    return CLAN_OK;
}

static void stop(void *instance)
{
    (void)instance;
}

static void health(void *instance, uint32_t request)
{
    (void)instance;
    clan_program_host_get(host)->health_result(host->host_data, request, 1, "");
}

static const struct clan_service service = {
    .struct_size = sizeof service,
    .start = start,
    .stop = stop,
    .health = health,
};

static clan_status create(const struct clan_host *of, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    (void)reterr;
    host = of;
    *ret_instance = &host;
    return config->listen_count == 0
               ? CLAN_OK /* those of people are not among them */
               : clan_error_set(reterr, CLAN_E_INVAL, "it has listeners", "", "");
}

static void destroy(void *instance)
{
    (void)instance;
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? &service : NULL;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "people-bridge", "1.0", "A bridge to the core",
    "Passes bytes between people and the core, for a test.", 80, CLAN_ASKS("api.session"), "Clan",
    "same as Clan", create, destroy, get_interface)
