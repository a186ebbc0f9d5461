/*
 * The hostile plugin: a service or a transport that works well enough to be started, and does what
 * /state/order says: "constructor", "create" and "run" make all attempts there; else a bomb's name.
 */
#include "attempts.h"

#include <clan/service.h>
#include <clan/transport.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LOOK_MS 100

static const struct clan_host *host;
static char done[64]; /* the order that was carried out */

static void read_order(char ret[64])
{
    int fd = open("/state/order", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, ret, 63);
    ret[n > 0 ? n : 0] = 0;
    ret[strcspn(ret, "\n")] = 0;
    if (fd >= 0)
        close(fd);
}

static void attempt_all(const char *phase)
{
    static const struct attempt *const tables[] = {
        attempts_files, attempts_processes, attempts_kernel, attempts_network};
    char line[200];
    snprintf(line, sizeof line, "/state/results-%s", phase);
    int fd = open(line, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const struct attempt *a = tables[t]; a->name; a++) {
            int n = snprintf(
                line, sizeof line, "%d\t%s\t%s\n", a->fn(), a->name, a->named ? a->named : "");
            if (write(fd, line, (size_t)n) != n)
                return;
        }
    if (write(fd, "end\n", 4) == 4)
        close(fd);
}

static void at(const char *phase)
{
    char order[64];
    read_order(order);
    if (strcmp(order, phase) != 0 || strcmp(order, done) == 0)
        return;
    snprintf(done, sizeof done, "%s", order);
    attempt_all(phase);
}

__attribute__((constructor)) static void constructor(void)
{
    at("constructor");
}

static void *obey(void *arg)
{
    char order[64];
    read_order(order);
    if (strcmp(order, "run") == 0)
        at("run");
    else if (strcmp(order, done) != 0 && (snprintf(done, sizeof done, "%s", order), bomb(order))) {
        bomb_says("done ");
        bomb_says(order);
        bomb_says("\n");
    }
    return arg;
}

static void look(void *user)
{
    uint64_t timer;
    pthread_t thread;
    char order[64];
    read_order(order);
    /* attempts on the thread of the host; bombs beside it, so that it goes on answering */
    if (strcmp(order, "run") == 0)
        obey(NULL);
    else if (order[0] && strcmp(order, done) != 0 && pthread_create(&thread, NULL, obey, NULL) == 0)
        pthread_detach(thread);
    clan_timer_start(host, LOOK_MS, look, user, &timer);
}

static clan_status create(const struct clan_host *h, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    (void)config, (void)reterr;
    host = h;
    *ret_instance = done;
    at("create");
    return CLAN_OK;
}

static void destroy(void *instance)
{
    (void)instance;
}

static clan_status start(void *instance, struct clan_error *reterr)
{
    (void)reterr;
    look(instance);
#ifndef HOSTILE_TRANSPORT
    const struct clan_program_host *p = clan_host_interface(host, CLAN_PROGRAM_HOST);
    p->service_state(host->host_data, 1, NULL);
#endif
    return CLAN_OK;
}

static void stop(void *instance)
{
    (void)instance;
}

#ifdef HOSTILE_TRANSPORT
static clan_status dial(void *instance, uint32_t request, const char *endpoint, uint32_t timeout_ms,
    struct clan_error *reterr)
{
    (void)instance, (void)request, (void)endpoint, (void)timeout_ms;
    return clan_error_set(reterr, CLAN_E_NOSYS, "no", "it is hostile", "");
}
static void cancel(void *instance, uint32_t request)
{
    (void)instance, (void)request;
}
static void endpoints(void *instance, const uint8_t *local, uint32_t count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    (void)instance, (void)local, (void)count;
    add(user, "203.0.113.1:1");
}
static const struct clan_transport_stream table = {
    sizeof table, 0, start, stop, dial, cancel, endpoints};
#define ID        "escape-net"
#define INTERFACE CLAN_TRANSPORT_STREAM
#define KIND      CLAN_KIND_TRANSPORT
#define ASKS      CLAN_ASKS("net.listen", "net.connect:lan", "fs.state")
#else
static void health(void *instance, uint32_t request)
{
    (void)instance;
    const struct clan_program_host *p = clan_host_interface(host, CLAN_PROGRAM_HOST);
    p->health_result(host->host_data, request, 1, "");
}
static const struct clan_service table = {sizeof table, 0, start, stop, health};
#define ID        "escape"
#define INTERFACE CLAN_SERVICE
#define KIND      CLAN_KIND_SERVICE
#define ASKS      CLAN_ASKS("net.service", "fs.state")
#endif

static const void *get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, INTERFACE) == 0 ? &table : NULL;
}

CLAN_PLUGIN_DEFINE(KIND, ID, "1.0", "Hostile", "Tries to get out.", 80, ASKS, "Nobody", "none",
    create, destroy, get_interface)
