/* The transport websocket: streams between machines through WebSocket (RFC 6455), so through web proxies too. */
#include "websocket.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WS_ACCEPT_BURST 16
#define WS_OWN_DIALS    16   /* places that callers do not get */
#define WS_PAUSE_MS     100  /* too many callers */
#define WS_PAUSE_FDS_MS 1000 /* no descriptors or memory: accept() would fail again at once */
#define WS_PATH         "/clan"

/* ---- time ---- */

static void on_tick(void *user);

static void need_tick(struct ws *w)
{
    if (!w->tick && clan_timer_start(w->host, WS_TICK_MS, on_tick, w, &w->tick) != CLAN_OK)
        clan_log(w->host, CLAN_LOG_ERROR, "the host has no timer: dead connections stay");
}

static void on_tick(void *user)
{
    struct ws *w = user;
    uint64_t now = ws_now_ms();
    w->tick = 0;
    for (unsigned i = 0; i < WS_STREAMS_MAX; i++)
        if (w->conns[i])
            ws_conn_tick(w->conns[i], now);
    if (ws_conn_count(w, false))
        need_tick(w);
}

/* ---- accepting ---- */

static void on_listener(void *user, int32_t fd, uint32_t events);

static void unlisten(struct ws *w)
{
    for (uint32_t i = 0; w->listening && i < w->listen_count; i++)
        clan_io_unwatch(w->host, w->listen_fds[i]);
    w->listening = false;
}

static clan_status listen_on(struct ws *w)
{
    w->listening = true;
    for (uint32_t i = 0; i < w->listen_count; i++) {
        clan_status st = clan_io_watch(w->host, w->listen_fds[i], CLAN_IO_READ, on_listener, w);
        if (st != CLAN_OK) {
            unlisten(w);
            return st;
        }
    }
    return CLAN_OK;
}

static void resume(void *user)
{
    struct ws *w = user;
    w->pause = 0;
    if (listen_on(w) != CLAN_OK)
        clan_log(w->host, CLAN_LOG_ERROR, "cannot listen again after a pause");
}

static void pause_for(struct ws *w, uint64_t delay_ms)
{
    unlisten(w);
    if (!w->pause && clan_timer_start(w->host, delay_ms, resume, w, &w->pause) != CLAN_OK)
        resume(w);
}

static bool full(const struct ws *w)
{
    return ws_conn_count(w, true) >= WS_NEW_MAX ||
           ws_conn_count(w, false) >= WS_STREAMS_MAX - WS_OWN_DIALS;
}

static void on_listener(void *user, int32_t fd, uint32_t events)
{
    struct ws *w = user;
    (void)events;
    for (unsigned i = 0; i < WS_ACCEPT_BURST && w->listening; i++) {
        union ws_addr from = {0};
        socklen_t len = sizeof from;
        if (full(w)) { /* they wait in the kernel's queue */
            pause_for(w, WS_PAUSE_MS);
            return;
        }
        int tcp = accept4(fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (tcp < 0 && errno == EAGAIN)
            return;
        if (tcp < 0 && (errno == ECONNABORTED || errno == EINTR))
            continue; /* the caller went away */
        struct ws_conn *c = tcp < 0 ? NULL : ws_conn_new(w, tcp, false);
        if (!c) {
            clan_log(w->host, CLAN_LOG_WARN, "cannot take a connection; next try in 1 s");
            pause_for(w, WS_PAUSE_FDS_MS);
            return;
        }
        ws_endpoint_text(&from, "", c->remote);
        need_tick(w);
        ws_conn_watch(c);
    }
}

/* ---- dialling ---- */

static struct ws_conn *find_dial(struct ws *w, uint32_t request)
{
    for (unsigned i = 0; i < WS_STREAMS_MAX; i++)
        if (w->conns[i] && w->conns[i]->request == request)
            return w->conns[i];
    return NULL;
}

/* Waits in tx until TCP is connected. */
static bool prepare_request(struct ws_conn *c, const struct ws_endpoint *to)
{
    const struct ws *w = c->w;
    uint8_t nonce[16];
    if (clan_random(w->host, nonce, sizeof nonce) != CLAN_OK)
        return false;
    ws_base64(nonce, sizeof nonce, c->key);
    c->tx_end = ws_request((char *)c->tx, w->host_name[0] ? w->host_name : to->host,
        to->path[0] ? to->path : WS_PATH, c->key);
    return true;
}

static clan_status dial(void *instance, uint32_t request, const char *endpoint, uint32_t timeout_ms,
    struct clan_error *reterr)
{
    struct ws *w = instance;
    struct ws_endpoint to;
    if (!ws_endpoint_parse(endpoint, &to))
        return clan_error_set(reterr, CLAN_E_INVAL, "this is no endpoint of websocket",
            endpoint[0] ? endpoint : "it is empty",
            "write 192.0.2.7:7180 or [2001:db8::7]:7180/path");
    int tcp = socket(to.addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct ws_conn *c = tcp < 0 ? NULL : ws_conn_new(w, tcp, true);
    if (!c)
        return clan_error_set(reterr, CLAN_E_LIMIT, "too many connections at once",
            "websocket carries 112 streams at most", "try again later");
    c->request = request;
    c->deadline_ms = ws_now_ms() + timeout_ms;
    snprintf(c->remote, sizeof c->remote, "%s", endpoint);
    need_tick(w);
    if (!prepare_request(c, &to)) {
        ws_conn_dial_failed(c, CLAN_E_NOSYS, "this Clan has no random numbers for plugins");
        return CLAN_OK;
    }
    if (connect(tcp, &to.addr.any, to.len) != 0 && errno != EINPROGRESS)
        ws_conn_dial_failed(c, CLAN_E_UNREACHABLE, strerror(errno));
    else
        ws_conn_watch(c); /* answers by itself when it cannot */
    return CLAN_OK;
}

static void cancel(void *instance, uint32_t request)
{
    struct ws_conn *c = request ? find_dial(instance, request) : NULL;
    if (c)
        ws_conn_drop(c);
}

/* ---- endpoints ---- */

/* Does the listener take calls for this address of the machine?  Port in network order. */
static bool listens_at(int fd, const uint8_t address[16], in_port_t *ret_port)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    bool v4 = memcmp(address, mapped, sizeof mapped) == 0;
    union ws_addr a = {0};
    socklen_t len = sizeof a;
    int only = 1;
    if (getsockname(fd, &a.any, &len) != 0)
        return false;
    if (a.any.sa_family == AF_INET) {
        *ret_port = a.v4.sin_port;
        return v4 && (a.v4.sin_addr.s_addr == 0 || memcmp(&a.v4.sin_addr, address + 12, 4) == 0);
    }
    len = sizeof only;
    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
    *ret_port = a.v6.sin6_port;
    return IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr) ? !v4 || !only
                                                    : memcmp(&a.v6.sin6_addr, address, 16) == 0;
}

static void endpoints(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    const struct ws *w = instance;
    const char *path = strcmp(w->path, WS_PATH) == 0 ? "" : w->path;
    for (int rank = 0; rank <= 3; rank++)
        for (uint32_t i = 0; i < addr_count; i++) {
            const uint8_t *address = local_addresses + 16 * (size_t)i;
            union ws_addr a = {.v6 = {.sin6_family = AF_INET6}};
            char text[CLAN_ENDPOINT_MAX + 1];
            if (ws_address_rank(address) != rank)
                continue;
            memcpy(&a.v6.sin6_addr, address, 16);
            for (uint32_t k = 0; k < w->listen_count; k++)
                if (listens_at(w->listen_fds[k], address, &a.v6.sin6_port)) {
                    ws_endpoint_text(&a, path, text);
                    add(user, text);
                }
        }
}

/* ---- life ---- */

static clan_status start(void *instance, struct clan_error *reterr)
{
    struct ws *w = instance;
    clan_status st = listen_on(w);
    return st == CLAN_OK ? st
                         : clan_error_set(reterr, st, "websocket cannot listen",
                               "a listening socket of the machine cannot be watched",
                               "see listen: in machine.yaml");
}

/* Streams that Clan has go on until the process ends: this plugin carries their bytes. */
static void stop(void *instance)
{
    struct ws *w = instance;
    clan_timer_stop(w->host, w->pause);
    w->pause = 0;
    unlisten(w);
    for (unsigned i = 0; i < WS_STREAMS_MAX; i++)
        if (w->conns[i] && w->conns[i]->state < WS_OPEN)
            ws_conn_drop(w->conns[i]);
}

static clan_status take_setting(
    struct ws *w, const char *key, const char *value, struct clan_error *e)
{
    char what[160];
    if (strcmp(key, "path") == 0 && ws_path_ok(value)) {
        snprintf(w->path, sizeof w->path, "%s", value);
        return CLAN_OK;
    }
    if (strcmp(key, "host") == 0 && ws_host_ok(value)) {
        snprintf(w->host_name, sizeof w->host_name, "%s", value);
        return CLAN_OK;
    }
    bool known = strcmp(key, "path") == 0 || strcmp(key, "host") == 0;
    snprintf(what, sizeof what,
        known ? "the setting \"%.64s\" of websocket is wrong"
              : "websocket has no setting \"%.64s\"",
        key);
    return clan_error_set(e, CLAN_E_INVAL, what,
        known ? "it has characters that may not stand there, or is too long"
              : "it has path and host",
        known ? "write path: /clan, host: calls.example.org" : "remove that line");
}

static clan_status create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    if (config->listen_count > WS_LISTEN_MAX)
        return clan_error_set(reterr, CLAN_E_LIMIT, "websocket listens on 16 addresses at most",
            "more are handed over", "shorten listen: in machine.yaml");
    struct ws *w = calloc(1, sizeof *w);
    if (!w)
        return clan_error_set(reterr, CLAN_E_NOMEM, "websocket cannot start", "out of memory", "");
    w->host = host;
    w->to = clan_transport_host_get(host);
    snprintf(w->path, sizeof w->path, WS_PATH);
    for (uint32_t i = 0; i < config->setting_count; i++) {
        const struct clan_setting *s = clan_setting_at(config, i);
        clan_status st = take_setting(w, s->key, s->value, reterr);
        if (st != CLAN_OK) {
            free(w);
            return st;
        }
    }
    w->listen_count = config->listen_count;
    for (uint32_t i = 0; i < config->listen_count; i++)
        w->listen_fds[i] = config->listen_fds[i];
    *ret_instance = w;
    return CLAN_OK;
}

static void destroy(void *instance)
{
    struct ws *w = instance;
    clan_timer_stop(w->host, w->tick);
    for (unsigned i = 0; i < WS_STREAMS_MAX; i++)
        if (w->conns[i])
            ws_conn_drop(w->conns[i]);
    free(w);
}

static const void *get_interface(void *instance, const char *id)
{
    static const struct clan_transport_stream stream = {
        .struct_size = sizeof stream,
        .start = start,
        .stop = stop,
        .dial = dial,
        .cancel = cancel,
        .endpoints = endpoints,
    };
    (void)instance;
    return strcmp(id, CLAN_TRANSPORT_STREAM) == 0 ? &stream : NULL;
}

CLAN_PLUGIN_DEFINE(CLAN_KIND_TRANSPORT, WS_ID, "0.1.0", "WebSocket",
    "Connects machines through WebSocket, also where only the web gets through.", 0,
    CLAN_ASKS("net.listen", "net.connect:lan", "net.connect:internet"), "Clan's examples",
    "same as Clan", create, destroy, get_interface)
