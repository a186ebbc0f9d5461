/* My plugin: byte streams over TCP; an endpoint is ADDRESS:PORT or [ADDRESS]:PORT. */
#include <clan/transport.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DIALS_MAX  64
#define LISTEN_MAX 16

struct plugin;

struct dial {
    struct plugin *plugin;
    uint32_t request; /* 0: free */
    int fd;
    uint64_t timer;
    char endpoint[CLAN_ENDPOINT_MAX + 1];
};

struct plugin {
    const struct clan_host *host;
    const struct clan_transport_host *clan;
    int listen_fds[LISTEN_MAX];
    uint32_t listen_count;
    struct dial dials[DIALS_MAX];
};

/* ---- endpoints: texts from other machines, so nothing in them is trusted ---- */

static bool parse(const char *text, struct sockaddr_storage *ret_at, socklen_t *ret_size)
{
    struct sockaddr_in *a4 = (struct sockaddr_in *)ret_at;
    struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)ret_at;
    char host[INET6_ADDRSTRLEN] = "", rest;
    unsigned port = 0;
    memset(ret_at, 0, sizeof *ret_at);
    bool six = text[0] == '[';
    int found = six ? sscanf(text, "[%45[0-9a-fA-F:.]]:%5u%c", host, &port, &rest)
                    : sscanf(text, "%45[0-9.]:%5u%c", host, &port, &rest);
    if (found != 2 || port == 0 || port > 65535)
        return false;
    *ret_size = six ? sizeof *a6 : sizeof *a4;
    if (six) {
        a6->sin6_family = AF_INET6;
        a6->sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host, &a6->sin6_addr) == 1;
    }
    a4->sin_family = AF_INET;
    a4->sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &a4->sin_addr) == 1;
}

/* IPv4 comes as ::ffff:a.b.c.d */
static void print(
    const struct in6_addr *address, unsigned port, char ret_text[CLAN_ENDPOINT_MAX + 1])
{
    char host[INET6_ADDRSTRLEN] = "";
    bool four = IN6_IS_ADDR_V4MAPPED(address);
    inet_ntop(four ? AF_INET : AF_INET6, four ? &address->s6_addr[12] : &address->s6_addr[0], host,
        sizeof host);
    snprintf(ret_text, CLAN_ENDPOINT_MAX + 1, four ? "%s:%u" : "[%s]:%u", host, port);
}

static unsigned port_of(int listen_fd)
{
    struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof at;
    if (getsockname(listen_fd, (struct sockaddr *)&at, &size) != 0)
        return 0;
    return ntohs(at.ss_family == AF_INET ? ((struct sockaddr_in *)&at)->sin_port
                                         : ((struct sockaddr_in6 *)&at)->sin6_port);
}

static void endpoints(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    struct plugin *p = instance;
    char text[CLAN_ENDPOINT_MAX + 1];
    unsigned port = p->listen_count ? port_of(p->listen_fds[0]) : 0;
    for (uint32_t i = 0; port && i < addr_count; i++) {
        struct in6_addr address;
        memcpy(&address, local_addresses + i * sizeof address, sizeof address);
        print(&address, port, text);
        add(user, text);
    }
}

/* ---- streams ---- */

/* Forgets a dial; its descriptor is the caller's. */
static void release(struct dial *d)
{
    clan_timer_stop(d->plugin->host, d->timer);
    clan_io_unwatch(d->plugin->host, d->fd);
    d->request = 0;
}

static void fail(struct dial *d, clan_status status, const char *why)
{
    struct clan_error e = CLAN_ERROR_INIT;
    char what[160];
    uint32_t request = d->request;
    release(d);
    close(d->fd);
    snprintf(what, sizeof what, "%s cannot be reached", d->endpoint);
    clan_error_set(&e, status, what, why, "see that the other machine is on");
    d->plugin->clan->dial_failed(d->plugin->host->host_data, request, &e);
}

static void on_late(void *user)
{
    fail(user, CLAN_E_TIMEOUT, "it did not answer in time");
}

static void on_connected(void *user, int32_t fd, uint32_t events)
{
    struct dial *d = user;
    int error = 0;
    socklen_t size = sizeof error;
    (void)events;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error) {
        fail(d, CLAN_E_UNREACHABLE, strerror(error));
        return;
    }
    uint32_t request = d->request;
    release(d);
    d->plugin->clan->offer_stream(d->plugin->host->host_data, request, fd, d->endpoint);
}

static clan_status dial(void *instance, uint32_t request, const char *endpoint, uint32_t timeout_ms,
    struct clan_error *reterr)
{
    struct plugin *p = instance;
    struct sockaddr_storage at;
    socklen_t size;
    int i = 0;
    if (strlen(endpoint) > CLAN_ENDPOINT_MAX || !parse(endpoint, &at, &size))
        return clan_error_set(reterr, CLAN_E_INVAL, "that is no endpoint of my-plugin",
            "it is not ADDRESS:PORT", "see that both machines have the same plugin");
    while (i < DIALS_MAX && p->dials[i].request)
        i++;
    if (i == DIALS_MAX)
        return clan_error_set(
            reterr, CLAN_E_LIMIT, "my-plugin cannot dial now", "it dials 64 times already", "");
    struct dial *d = &p->dials[i];
    *d = (struct dial){.plugin = p, .request = request};
    snprintf(d->endpoint, sizeof d->endpoint, "%s", endpoint);
    d->fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd >= 0 && (connect(d->fd, (struct sockaddr *)&at, size) == 0 || errno == EINPROGRESS) &&
        clan_timer_start(p->host, timeout_ms, on_late, d, &d->timer) == CLAN_OK &&
        clan_io_watch(p->host, d->fd, CLAN_IO_WRITE, on_connected, d) == CLAN_OK)
        return CLAN_OK;
    const char *why = strerror(errno);
    if (d->fd >= 0) {
        release(d);
        close(d->fd);
    }
    d->request = 0;
    return clan_error_set(reterr, CLAN_E_UNREACHABLE, "that machine cannot be dialled", why,
        "see that this computer has a network");
}

static void cancel(void *instance, uint32_t request)
{
    struct plugin *p = instance;
    for (int i = 0; i < DIALS_MAX; i++)
        if (p->dials[i].request == request) {
            release(&p->dials[i]);
            close(p->dials[i].fd);
        }
}

static void on_caller(void *user, int32_t fd, uint32_t events)
{
    struct plugin *p = user;
    (void)events;
    int stream = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (stream >= 0) /* the host takes it in every case */
        p->clan->offer_stream(p->host->host_data, 0, stream, "");
}

static void stop(void *instance)
{
    struct plugin *p = instance;
    for (uint32_t i = 0; i < p->listen_count; i++)
        clan_io_unwatch(p->host, p->listen_fds[i]);
    for (int i = 0; i < DIALS_MAX; i++)
        if (p->dials[i].request)
            cancel(p, p->dials[i].request);
}

static clan_status start(void *instance, struct clan_error *reterr)
{
    struct plugin *p = instance;
    clan_status st = CLAN_OK;
    for (uint32_t i = 0; st == CLAN_OK && i < p->listen_count; i++)
        st = clan_io_watch(p->host, p->listen_fds[i], CLAN_IO_READ, on_caller, p);
    if (st == CLAN_OK)
        return CLAN_OK;
    stop(p);
    return clan_error_set(reterr, st, "my-plugin cannot listen", "a socket cannot be watched",
        "shorten listen: in machine.yaml");
}

static const struct clan_transport_stream transport = {
    .struct_size = sizeof transport,
    .start = start,
    .stop = stop,
    .dial = dial,
    .cancel = cancel,
    .endpoints = endpoints,
};

/* ---- the plugin ---- */

static clan_status create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    char what[160];
    if (config->setting_count) {
        snprintf(what, sizeof what, "my-plugin has no setting \"%.64s\"",
            clan_setting_at(config, 0)->key);
        return clan_error_set(
            reterr, CLAN_E_INVAL, what, "it has no settings at all", "remove that line");
    }
    if (config->listen_count > LISTEN_MAX)
        return clan_error_set(reterr, CLAN_E_LIMIT, "my-plugin cannot listen",
            "it listens on 16 addresses at most", "shorten listen: in machine.yaml");
    struct plugin *p = calloc(1, sizeof *p);
    if (!p)
        return clan_error_set(reterr, CLAN_E_NOMEM, "my-plugin cannot start", "out of memory", "");
    p->host = host;
    p->clan = clan_transport_host_get(host);
    p->listen_count = config->listen_count;
    for (uint32_t i = 0; i < p->listen_count; i++)
        p->listen_fds[i] = config->listen_fds[i];
    *ret_instance = p;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    free(instance);
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_TRANSPORT_STREAM) == 0 ? &transport : NULL;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_TRANSPORT, "my-plugin", "0.1.0", "My plugin",
    "Connects machines by plain TCP.", 0, CLAN_ASKS("net.listen", "net.connect:lan"), "unknown",
    "unknown", create, destroy, get_interface)
