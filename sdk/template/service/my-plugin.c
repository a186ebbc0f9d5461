/* My plugin: answers HTTP at the address of its service. */
#include <clan/service.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define VISITORS_MAX 64
#define REQUEST_MAX  4096  /* bytes */
#define VISIT_MAX_MS 10000 /* who has not finished asking by then is gone */
#define GREETING_MAX 200

struct plugin;

struct visitor {
    struct plugin *plugin;
    int fd; /* -1: free */
    uint64_t timer;
    size_t size;
    char request[REQUEST_MAX];
};

struct plugin {
    const struct clan_host *host;
    const struct clan_program_host *clan;
    char greeting[GREETING_MAX + 1];
    int listen_fd;
    struct visitor visitors[VISITORS_MAX];
};

/* ---- HTTP ---- */

static void say_goodbye(struct visitor *v)
{
    clan_timer_stop(v->plugin->host, v->timer);
    clan_io_unwatch(v->plugin->host, v->fd);
    close(v->fd);
    v->fd = -1;
}

static void on_late(void *user)
{
    say_goodbye(user);
}

/* The answer is smaller than any socket's buffer: what cannot be written at once has no reader. */
static void answer(struct visitor *v)
{
    char text[GREETING_MAX + 256];
    int size = snprintf(text, sizeof text,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %zu\r\n"
        "Connection: close\r\n\r\n%s\n",
        strlen(v->plugin->greeting) + 1, v->plugin->greeting);
    if (send(v->fd, text, (size_t)size, MSG_NOSIGNAL) != size)
        clan_log(v->plugin->host, CLAN_LOG_DEBUG, "a visitor left early");
}

static void on_request(void *user, int32_t fd, uint32_t events)
{
    struct visitor *v = user;
    (void)events;
    ssize_t n = read(fd, v->request + v->size, REQUEST_MAX - 1 - v->size);
    if (n <= 0) {
        say_goodbye(v);
        return;
    }
    v->size += (size_t)n;
    v->request[v->size] = 0;
    bool complete = strstr(v->request, "\r\n\r\n") != NULL;
    if (complete)
        answer(v);
    if (complete || v->size == REQUEST_MAX - 1)
        say_goodbye(v);
}

static void on_visitor(void *user, int32_t fd, uint32_t events)
{
    struct plugin *p = user;
    (void)events;
    int i = 0, visitor_fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (i < VISITORS_MAX && p->visitors[i].fd >= 0)
        i++;
    if (visitor_fd < 0)
        return;
    if (i == VISITORS_MAX) {
        close(visitor_fd);
        return;
    }
    struct visitor *v = &p->visitors[i];
    v->fd = visitor_fd;
    v->size = 0;
    v->timer = 0;
    if (clan_timer_start(p->host, VISIT_MAX_MS, on_late, v, &v->timer) != CLAN_OK ||
        clan_io_watch(p->host, visitor_fd, CLAN_IO_READ, on_request, v) != CLAN_OK)
        say_goodbye(v);
}

/* ---- the service ---- */

static clan_status start(void *instance, struct clan_error *reterr)
{
    struct plugin *p = instance;
    clan_status st = clan_io_watch(p->host, p->listen_fd, CLAN_IO_READ, on_visitor, p);
    if (st != CLAN_OK)
        return clan_error_set(reterr, st, "my-plugin cannot serve",
            "the listening socket cannot be watched", "restart the service");
    p->clan->service_state(p->host->host_data, 1, NULL);
    return CLAN_OK;
}

static void stop(void *instance)
{
    struct plugin *p = instance;
    clan_io_unwatch(p->host, p->listen_fd);
    for (int i = 0; i < VISITORS_MAX; i++)
        if (p->visitors[i].fd >= 0)
            say_goodbye(&p->visitors[i]);
}

static void health(void *instance, uint32_t request)
{
    struct plugin *p = instance;
    p->clan->health_result(p->host->host_data, request, 1, "");
}

static const struct clan_service service = {
    .struct_size = sizeof service,
    .start = start,
    .stop = stop,
    .health = health,
};

/* ---- the plugin ---- */

static clan_status take_settings(
    struct plugin *p, const struct clan_config *config, struct clan_error *reterr)
{
    char what[160];
    snprintf(
        p->greeting, sizeof p->greeting, "Hello from %s on %s", config->instance, config->machine);
    for (uint32_t i = 0; i < config->setting_count; i++) {
        const struct clan_setting *s = clan_setting_at(config, i);
        if (strcmp(s->key, "greeting") != 0) {
            snprintf(what, sizeof what, "my-plugin has no setting \"%.64s\"", s->key);
            return clan_error_set(reterr, CLAN_E_INVAL, what, "it knows greeting",
                "remove that line or correct its spelling");
        }
        if (strlen(s->value) > GREETING_MAX)
            return clan_error_set(reterr, CLAN_E_INVAL, "the setting \"greeting\" is too long",
                "200 bytes are the most", "shorten it");
        snprintf(p->greeting, sizeof p->greeting, "%s", s->value);
    }
    return CLAN_OK;
}

static clan_status create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    if (config->listen_count == 0)
        return clan_error_set(reterr, CLAN_E_GRANT, "my-plugin cannot serve",
            "it was given no socket", "grant net.service to my-plugin in machine.yaml");
    struct plugin *p = calloc(1, sizeof *p);
    if (!p)
        return clan_error_set(reterr, CLAN_E_NOMEM, "my-plugin cannot start", "out of memory", "");
    p->host = host;
    p->clan = clan_program_host_get(host);
    p->listen_fd = config->listen_fds[config->listen_count - 1];
    for (int i = 0; i < VISITORS_MAX; i++)
        p->visitors[i] = (struct visitor){.plugin = p, .fd = -1};
    clan_status st = take_settings(p, config, reterr);
    if (st == CLAN_OK)
        *ret_instance = p;
    else
        free(p);
    return st;
}

static void destroy(void *instance)
{
    free(instance);
}

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? &service : NULL;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "my-plugin", "0.1.0", "My plugin",
    "Says hello to whoever opens it.", 80, CLAN_ASKS("net.service"), "unknown", "unknown", create,
    destroy, get_interface)
