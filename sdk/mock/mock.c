/* A host for a plugin's own tests, on poll(2). */
#include "mock/mock.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOCK_WATCHES 256
#define MOCK_TIMERS  128
#define MOCK_RUNS    8

struct mock_inner {
    struct {
        int fd; /* -1: free */
        uint32_t events;
        clan_io_fn *fn;
        void *user;
    } watch[MOCK_WATCHES];
    struct {
        uint64_t id, at_ms; /* id 0: free */
        clan_timer_fn *fn;
        void *user;
    } timer[MOCK_TIMERS];
    struct {
        pid_t pid; /* 0: free */
        uint32_t run;
        bool told;
        clan_program_started_fn *started;
        clan_program_exit_fn *exited;
        void *user;
    } run[MOCK_RUNS];
    struct {
        clan_wake_fn *fn;
        void *user;
    } wake[64];
    unsigned wake_count;
    pthread_mutex_t wake_lock;
    uint64_t next_timer;
    uint32_t next_run;
};

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static struct mock_event *event(struct mock *m, enum mock_kind kind, uint32_t request)
{
    static struct mock_event lost;
    struct mock_event *e = m->event_count < MOCK_EVENTS_MAX ? &m->events[m->event_count++] : &lost;
    *e = (struct mock_event){.kind = kind, .request = request, .fd = -1};
    return e;
}

static void mock_log(void *host_data, uint32_t level, const char *text)
{
    const struct mock *m = host_data;
    if (m->verbose)
        fprintf(stderr, "plugin %u: %s\n", level, text);
}

static clan_status mock_io_watch(
    void *host_data, int32_t fd, uint32_t events, clan_io_fn *fn, void *user)
{
    struct mock_inner *in = ((struct mock *)host_data)->inner;
    int slot = -1;
    for (int i = 0; i < MOCK_WATCHES; i++)
        if (in->watch[i].fd == fd || (slot < 0 && in->watch[i].fd < 0))
            slot = i;
    if (slot < 0)
        return CLAN_E_LIMIT;
    in->watch[slot].fd = fd;
    in->watch[slot].events = events;
    in->watch[slot].fn = fn;
    in->watch[slot].user = user;
    return CLAN_OK;
}

static void mock_io_unwatch(void *host_data, int32_t fd)
{
    struct mock_inner *in = ((struct mock *)host_data)->inner;
    for (int i = 0; fd >= 0 && i < MOCK_WATCHES; i++)
        if (in->watch[i].fd == fd)
            in->watch[i].fd = -1;
}

static clan_status mock_timer_start(
    void *host_data, uint64_t delay_ms, clan_timer_fn *fn, void *user, uint64_t *ret_timer)
{
    struct mock_inner *in = ((struct mock *)host_data)->inner;
    for (int i = 0; i < MOCK_TIMERS; i++) {
        if (in->timer[i].id)
            continue;
        in->timer[i].id = *ret_timer = ++in->next_timer;
        in->timer[i].at_ms = now_ms() + delay_ms;
        in->timer[i].fn = fn;
        in->timer[i].user = user;
        return CLAN_OK;
    }
    return CLAN_E_LIMIT;
}

static void mock_timer_stop(void *host_data, uint64_t timer)
{
    struct mock_inner *in = ((struct mock *)host_data)->inner;
    for (int i = 0; timer && i < MOCK_TIMERS; i++)
        if (in->timer[i].id == timer)
            in->timer[i].id = 0;
}

/* From any thread. */
static clan_status mock_wake(void *host_data, clan_wake_fn *fn, void *user)
{
    struct mock_inner *in = ((struct mock *)host_data)->inner;
    clan_status st = CLAN_E_LIMIT;
    pthread_mutex_lock(&in->wake_lock);
    if (in->wake_count < sizeof in->wake / sizeof in->wake[0]) {
        in->wake[in->wake_count].fn = fn;
        in->wake[in->wake_count++].user = user;
        st = CLAN_OK;
    }
    pthread_mutex_unlock(&in->wake_lock);
    return st;
}

static void mock_random(void *host_data, void *ret_bytes, uint64_t size)
{
    (void)host_data;
    for (uint64_t i = 0; i < size; i += 256)
        if (getrandom((char *)ret_bytes + i, size - i < 256 ? size - i : 256, 0) < 0)
            abort();
}

/* ---- transport ---- */

static clan_status offer_stream(void *host_data, uint32_t request, int32_t fd, const char *remote)
{
    struct mock *m = host_data;
    if (m->refuse_streams || m->event_count == MOCK_EVENTS_MAX) {
        close(fd);
        return CLAN_E_LIMIT;
    }
    struct mock_event *e = event(m, MOCK_STREAM, request);
    e->fd = fd;
    snprintf(e->text, sizeof e->text, "%s", remote);
    return CLAN_OK;
}

static void dial_failed(void *host_data, uint32_t request, const struct clan_error *error)
{
    event(host_data, MOCK_DIAL_FAILED, request)->error = *error;
}

static void endpoints_changed(void *host_data)
{
    event(host_data, MOCK_ENDPOINTS, 0);
}

static const struct clan_transport_host transport_host = {
    sizeof transport_host, 0, offer_stream, dial_failed, endpoints_changed};

/* ---- programs ---- */

/* dup2 clears FD_CLOEXEC, but does nothing when the descriptor is in its place already. */
static void exec_program(const struct mock *m)
{
    char pid[48];
    char *argv[8];
    snprintf(pid, sizeof pid, "LISTEN_PID=%d", (int)getpid());
    char fds[] = "LISTEN_FDS=1", path[] = "PATH=/usr/bin:/bin";
    char *envp[] = {path, fds, pid, NULL};
    int fd = fcntl(m->program_fd, F_DUPFD, 10);
    dup2(fd, 3);
    close(fd);
    for (unsigned i = 0; i < 8; i++)
        argv[i] = m->argv[i] ? strdup(m->argv[i]) : NULL;
    execve(argv[0], argv, envp);
    _exit(127);
}

static clan_status program_run(void *host_data, const char *profile,
    clan_program_started_fn *started, clan_program_exit_fn *exited, void *user,
    struct clan_error *reterr)
{
    struct mock *m = host_data;
    int i = 0;
    (void)profile;
    while (i < MOCK_RUNS && m->inner->run[i].pid)
        i++;
    pid_t pid = i < MOCK_RUNS && m->argv[0] ? fork() : -1;
    if (pid == 0)
        exec_program(m);
    if (pid < 0) {
        reterr->status = CLAN_E_LIMIT;
        snprintf(reterr->what, sizeof reterr->what, "nothing can be run");
        return CLAN_E_LIMIT;
    }
    m->inner->run[i].pid = m->last_pid = pid;
    m->inner->run[i].run = ++m->inner->next_run;
    m->inner->run[i].told = false;
    m->inner->run[i].started = started;
    m->inner->run[i].exited = exited;
    m->inner->run[i].user = user;
    m->runs++;
    return CLAN_OK;
}

static void program_end(void *host_data, uint32_t run)
{
    struct mock *m = host_data;
    for (int i = 0; i < MOCK_RUNS; i++)
        if (m->inner->run[i].pid && m->inner->run[i].run == run)
            kill(m->inner->run[i].pid, SIGTERM);
}

static void service_state(void *host_data, uint32_t up, const struct clan_error *error)
{
    struct mock_event *e = event(host_data, MOCK_SERVICE_STATE, 0);
    e->value = up;
    if (error)
        e->error = *error;
}

static void health_result(void *host_data, uint32_t request, uint32_t healthy, const char *text)
{
    struct mock_event *e = event(host_data, MOCK_HEALTH, request);
    e->value = healthy;
    snprintf(e->text, sizeof e->text, "%s", text);
}

static const struct clan_program_host program_host = {
    sizeof program_host, 0, program_run, program_end, service_state, health_result};

/* ---- secrets, places to meet ---- */

static clan_status mock_secret(void *host_data, uint8_t ret_secret[32], uint32_t *ret_counter)
{
    static const uint8_t none[32];
    const struct mock *m = host_data;
    if (memcmp(m->secret, none, sizeof none) == 0)
        return CLAN_E_STATE;
    memcpy(ret_secret, m->secret, sizeof m->secret);
    *ret_counter = 1;
    return CLAN_OK;
}

static const struct clan_secret_host secret_host = {sizeof secret_host, 0, mock_secret};

static void mock_tell(void *host_data, uint32_t works, const char *text)
{
    struct mock_event *e = event(host_data, MOCK_TOLD, 0);
    e->value = works;
    snprintf(e->text, sizeof e->text, "%s", text);
}

static const struct clan_transport_rendezvous_host rendezvous_host = {
    sizeof rendezvous_host, 0, mock_tell};

/* ---- devices ---- */

static void peer_state(void *host_data, const struct clan_device_state *state)
{
    struct mock_event *e = event(host_data, MOCK_DEVICE_STATE, 0);
    e->value = state->handshake_age_s;
    memcpy(e->key, state->public_key, sizeof e->key);
    snprintf(e->text, sizeof e->text, "%s", state->endpoint);
    e->rx_bytes = state->rx_bytes;
    e->tx_bytes = state->tx_bytes;
}

static const struct clan_transport_device_host device_host = {
    sizeof device_host, 0, peer_state, endpoints_changed};

/* ---- the core ---- */

struct opening {
    struct mock *m;
    clan_api_opened_fn *opened;
    void *user;
};

static void api_opened(void *user)
{
    struct opening o = *(struct opening *)user;
    struct clan_error e = CLAN_ERROR_INIT;
    int pair[2] = {-1, -1};
    free(user);
    if (o.m->refuse_api || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        clan_error_set(
            &e, CLAN_E_AGAIN, "the clan is not there now", "the mock says so", "try again");
    else
        event(o.m, MOCK_API_OPENED, 0)->fd = pair[1];
    o.opened(o.user, pair[0], pair[0] < 0 ? &e : NULL);
}

static clan_status api_open(
    void *host_data, clan_api_opened_fn *opened, void *user, struct clan_error *reterr)
{
    struct opening *o = malloc(sizeof *o);
    if (!o)
        abort();
    *o = (struct opening){host_data, opened, user};
    if (mock_wake(host_data, api_opened, o) == CLAN_OK)
        return CLAN_OK;
    free(o);
    return clan_error_set(reterr, CLAN_E_LIMIT, "64 connections wait for their answer", "", "");
}

static uint32_t api_listeners(void *host_data, struct clan_api_listener *ret, uint32_t max)
{
    const struct mock *m = host_data;
    uint32_t count = m->listener_count < max ? m->listener_count : max;
    memcpy(ret, m->listeners, count * sizeof *ret);
    return count;
}

static const struct clan_api_host api_host = {sizeof api_host, 0, api_open, api_listeners};

static const void *mock_get_interface(void *host_data, const char *id)
{
    (void)host_data;
    if (strcmp(id, CLAN_TRANSPORT_HOST) == 0)
        return &transport_host;
    if (strcmp(id, CLAN_SECRET_HOST) == 0)
        return &secret_host;
    if (strcmp(id, CLAN_TRANSPORT_RENDEZVOUS_HOST) == 0)
        return &rendezvous_host;
    if (strcmp(id, CLAN_TRANSPORT_DEVICE_HOST) == 0)
        return &device_host;
    if (strcmp(id, CLAN_API_HOST) == 0)
        return &api_host;
    return strcmp(id, CLAN_PROGRAM_HOST) == 0 ? &program_host : NULL;
}

/* ---- life ---- */

struct mock *mock_new(void)
{
    struct mock *m = calloc(1, sizeof *m);
    struct mock_inner *in = calloc(1, sizeof *in);
    if (!m || !in)
        abort();
    for (int i = 0; i < MOCK_WATCHES; i++)
        in->watch[i].fd = -1;
    pthread_mutex_init(&in->wake_lock, NULL);
    m->inner = in;
    m->program_fd = -1;
    m->host = (struct clan_host){sizeof m->host, CLAN_ABI_MAJOR, CLAN_ABI_MINOR, m, mock_log,
        mock_io_watch, mock_io_unwatch, mock_timer_start, mock_timer_stop, mock_wake, mock_random,
        mock_get_interface};
    return m;
}

clan_status mock_create(struct mock *m, const char *so_path, const struct clan_config *config,
    struct clan_error *ret_error)
{
    *ret_error = (struct clan_error)CLAN_ERROR_INIT;
    void *so = dlopen(so_path, RTLD_NOW | RTLD_LOCAL);
    void *symbol = so ? dlsym(so, CLAN_PLUGIN_QUERY_NAME) : NULL;
    if (!symbol) {
        snprintf(ret_error->what, sizeof ret_error->what, "%s cannot be loaded", so_path);
        snprintf(ret_error->why, sizeof ret_error->why, "%s", dlerror());
        return ret_error->status = CLAN_E_IO;
    }
    clan_plugin_query_fn *query;
    memcpy(&query, &symbol, sizeof query);
    m->plugin = query();
    return m->plugin->create(&m->host, config, &m->instance, ret_error);
}

struct mock *mock_open(
    const char *so_path, const struct clan_config *config, struct clan_error *ret_error)
{
    struct mock *m = mock_new();
    if (mock_create(m, so_path, config, ret_error) == CLAN_OK)
        return m;
    mock_close(m);
    return NULL;
}

void mock_close(struct mock *m)
{
    if (m->instance)
        m->plugin->destroy(m->instance);
    for (int i = 0; i < MOCK_RUNS; i++)
        if (m->inner->run[i].pid) {
            kill(m->inner->run[i].pid, SIGKILL);
            waitpid(m->inner->run[i].pid, NULL, 0);
        }
    for (unsigned i = 0; i < m->event_count; i++)
        if (m->events[i].fd >= 0)
            close(m->events[i].fd);
    pthread_mutex_destroy(&m->inner->wake_lock);
    free(m->inner);
    free(m);
}

const void *mock_interface(struct mock *m, const char *id)
{
    return m->plugin->get_interface(m->instance, id);
}

/* ---- the loop ---- */

static void turn_programs(struct mock *m)
{
    for (int i = 0; i < MOCK_RUNS; i++) {
        int status = 0;
        if (!m->inner->run[i].pid)
            continue;
        if (!m->inner->run[i].told) {
            m->inner->run[i].told = true;
            m->inner->run[i].started(m->inner->run[i].user, m->inner->run[i].run, NULL);
        }
        if (waitpid(m->inner->run[i].pid, &status, WNOHANG) <= 0)
            continue;
        m->inner->run[i].pid = 0;
        event(m, MOCK_EXITED, 0)->value = (uint32_t)status;
        m->inner->run[i].exited(m->inner->run[i].user, m->inner->run[i].run, (uint32_t)status);
    }
}

static void turn_timers(struct mock *m)
{
    for (int i = 0; i < MOCK_TIMERS; i++)
        if (m->inner->timer[i].id && m->inner->timer[i].at_ms <= now_ms()) {
            m->inner->timer[i].id = 0;
            m->inner->timer[i].fn(m->inner->timer[i].user);
        }
}

static void turn_wakes(struct mock *m)
{
    struct mock_inner *in = m->inner;
    struct {
        clan_wake_fn *fn;
        void *user;
    } now[sizeof in->wake / sizeof in->wake[0]];
    pthread_mutex_lock(&in->wake_lock);
    unsigned n = in->wake_count;
    memcpy(now, in->wake, n * sizeof now[0]);
    in->wake_count = 0;
    pthread_mutex_unlock(&in->wake_lock);
    for (unsigned i = 0; i < n; i++)
        now[i].fn(now[i].user);
}

static void turn_descriptors(struct mock *m)
{
    struct pollfd p[MOCK_WATCHES];
    int slots[MOCK_WATCHES];
    nfds_t n = 0;
    for (int i = 0; i < MOCK_WATCHES; i++) {
        if (m->inner->watch[i].fd < 0)
            continue;
        slots[n] = i;
        uint32_t want = m->inner->watch[i].events;
        p[n++] = (struct pollfd){m->inner->watch[i].fd,
            (short)((want & CLAN_IO_READ ? POLLIN : 0) | (want & CLAN_IO_WRITE ? POLLOUT : 0)), 0};
    }
    poll(p, n, 5);
    for (nfds_t i = 0; i < n; i++) {
        int s = slots[i];
        if (!p[i].revents || m->inner->watch[s].fd != p[i].fd)
            continue;
        uint32_t events = (p[i].revents & POLLIN ? CLAN_IO_READ : 0) |
                          (p[i].revents & POLLOUT ? CLAN_IO_WRITE : 0);
        if (p[i].revents & (POLLERR | POLLHUP))
            events |= CLAN_IO_HUP | m->inner->watch[s].events;
        m->inner->watch[s].fn(m->inner->watch[s].user, p[i].fd, events);
    }
}

bool mock_run(struct mock *m, unsigned timeout_ms, mock_until_fn *fn, void *arg)
{
    uint64_t end = now_ms() + timeout_ms;
    for (;;) {
        if (fn(m, arg))
            return true;
        if (now_ms() >= end)
            return false;
        turn_programs(m);
        turn_timers(m);
        turn_wakes(m);
        turn_descriptors(m);
    }
}

static bool has_kind(struct mock *m, void *arg)
{
    for (unsigned i = 0; i < m->event_count; i++)
        if (m->events[i].kind == *(enum mock_kind *)arg)
            return true;
    return false;
}

bool mock_wait(
    struct mock *m, unsigned timeout_ms, enum mock_kind kind, struct mock_event *ret_event)
{
    if (!mock_run(m, timeout_ms, has_kind, &kind))
        return false;
    unsigned i = 0;
    while (m->events[i].kind != kind)
        i++;
    *ret_event = m->events[i];
    memmove(&m->events[i], &m->events[i + 1], (--m->event_count - i) * sizeof m->events[0]);
    return true;
}

unsigned mock_watches(const struct mock *m)
{
    unsigned n = 0;
    for (int i = 0; i < MOCK_WATCHES; i++)
        n += m->inner->watch[i].fd >= 0;
    return n;
}

unsigned mock_timers(const struct mock *m)
{
    unsigned n = 0;
    for (int i = 0; i < MOCK_TIMERS; i++)
        n += m->inner->timer[i].id != 0;
    return n;
}
