/* The transport tcp-noise: TCP streams over IPv4 and IPv6, sealed by Clan. */
#include "endpoint.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_LISTEN_MAX    16
#define TCP_DIALS_MAX     64
#define TCP_ACCEPT_BURST  16   /* in one turn of the loop, so that dials are not starved */
#define TCP_PAUSE_FULL_MS 100  /* core does not keep up */
#define TCP_PAUSE_FDS_MS  1000 /* no descriptors or memory: accept() would fail again at once */
#define TCP_TIMEOUT_MIN   100
#define TCP_TIMEOUT_MAX   120000

struct tcp;

struct tcp_dial {
    struct tcp *t;
    uint32_t request; /* 0: free */
    int fd;
    uint64_t timer;
    union tcp_addr addr;
};

struct tcp {
    const struct clan_host *host;
    const struct clan_transport_host *to;
    int32_t listen_fds[TCP_LISTEN_MAX];
    uint32_t listen_count;
    bool listening;
    uint64_t pause;
    struct tcp_dial dials[TCP_DIALS_MAX];
};

static clan_status fail(
    struct clan_error *e, clan_status status, const char *what, const char *why, const char *remedy)
{
    e->status = status;
    snprintf(e->what, sizeof e->what, "%s", what);
    snprintf(e->why, sizeof e->why, "%s", why);
    snprintf(e->remedy, sizeof e->remedy, "%s", remedy);
    return status;
}

/* A dead peer is noticed by Clan's own probes first; this ends what nobody probes. */
static void tune(int fd)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, 60},
        {IPPROTO_TCP, TCP_KEEPINTVL, 15},
        {IPPROTO_TCP, TCP_KEEPCNT, 4},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

/* ---- accepting ---- */

static void on_listener(void *user, int32_t fd, uint32_t events);

static void unlisten(struct tcp *t)
{
    for (uint32_t i = 0; t->listening && i < t->listen_count; i++)
        clan_io_unwatch(t->host, t->listen_fds[i]);
    t->listening = false;
}

static clan_status listen_on(struct tcp *t)
{
    t->listening = true;
    for (uint32_t i = 0; i < t->listen_count; i++) {
        clan_status st = clan_io_watch(t->host, t->listen_fds[i], CLAN_IO_READ, on_listener, t);
        if (st != CLAN_OK) {
            unlisten(t);
            return st;
        }
    }
    return CLAN_OK;
}

static void resume(void *user)
{
    struct tcp *t = user;
    t->pause = 0;
    if (listen_on(t) != CLAN_OK)
        clan_log(t->host, CLAN_LOG_ERROR, "cannot listen again after a pause");
}

static void pause_for(struct tcp *t, uint64_t delay_ms)
{
    if (t->pause)
        return;
    unlisten(t);
    if (clan_timer_start(t->host, delay_ms, resume, t, &t->pause) != CLAN_OK) {
        t->pause = 0;
        resume(t);
    }
}

/* false: no more for now */
static bool accept_failed(struct tcp *t)
{
    char text[160];
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        snprintf(text, sizeof text, "cannot take a connection (%s); next try in %u ms",
            strerror(errno), TCP_PAUSE_FDS_MS);
        clan_log(t->host, CLAN_LOG_WARN, text);
        pause_for(t, TCP_PAUSE_FDS_MS);
        return false;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
    case EOPNOTSUPP:
        clan_log(t->host, CLAN_LOG_ERROR, "a listening socket is broken; nobody can call here");
        unlisten(t);
        return false;
    default:
        return true; /* the caller went away (accept(2): errors of the new connection) */
    }
}

static void on_listener(void *user, int32_t fd, uint32_t events)
{
    struct tcp *t = user;
    (void)events;
    for (unsigned i = 0; i < TCP_ACCEPT_BURST && t->listening; i++) {
        union tcp_addr from = {0};
        socklen_t len = sizeof from;
        char remote[CLAN_ENDPOINT_MAX + 1];
        int stream = accept4(fd, &from.any, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (stream < 0) {
            if (!accept_failed(t))
                return;
            continue;
        }
        tune(stream);
        tcp_endpoint_text(&from, remote);
        if (t->to->offer_stream(t->host->host_data, 0, stream, remote) == CLAN_E_LIMIT)
            pause_for(t, TCP_PAUSE_FULL_MS);
    }
}

/* ---- dialling ---- */

static void drop_dial(struct tcp_dial *d)
{
    if (d->fd >= 0) {
        clan_io_unwatch(d->t->host, d->fd);
        close(d->fd);
    }
    clan_timer_stop(d->t->host, d->timer);
    d->request = 0;
    d->fd = -1;
    d->timer = 0;
}

static void dial_error(struct tcp_dial *d, clan_status status, const char *why)
{
    struct clan_error e = CLAN_ERROR_INIT;
    char remote[CLAN_ENDPOINT_MAX + 1], what[160];
    uint32_t request = d->request;
    struct tcp *t = d->t;
    tcp_endpoint_text(&d->addr, remote);
    snprintf(what, sizeof what, "no connection to %s", remote);
    fail(&e, status, what, why, "see that the other machine is on and its port is reachable");
    drop_dial(d);
    t->to->dial_failed(t->host->host_data, request, &e);
}

static void on_dial_timeout(void *user)
{
    struct tcp_dial *d = user;
    d->timer = 0;
    dial_error(d, CLAN_E_TIMEOUT, "the other side did not answer in time");
}

/* TCP connects a socket to itself when it dials its own port of the moment. */
static bool is_own(int fd)
{
    union tcp_addr us = {0}, them = {0};
    socklen_t a = sizeof us, b = sizeof them;
    return getsockname(fd, &us.any, &a) == 0 && getpeername(fd, &them.any, &b) == 0 && a == b &&
           memcmp(&us, &them, a) == 0;
}

static void dial_done(struct tcp_dial *d, int error)
{
    char remote[CLAN_ENDPOINT_MAX + 1];
    if (error || is_own(d->fd)) {
        dial_error(d, CLAN_E_UNREACHABLE, error ? strerror(error) : "it is this machine itself");
        return;
    }
    int fd = d->fd;
    uint32_t request = d->request;
    struct tcp *t = d->t;
    clan_io_unwatch(t->host, fd);
    d->fd = -1;
    tcp_endpoint_text(&d->addr, remote);
    drop_dial(d);
    tune(fd);
    if (t->to->offer_stream(t->host->host_data, request, fd, remote) == CLAN_E_LIMIT)
        clan_log(t->host, CLAN_LOG_WARN, "a connection was dropped: Clan does not keep up");
}

static void on_dial(void *user, int32_t fd, uint32_t events)
{
    struct tcp_dial *d = user;
    int error = 0;
    socklen_t len = sizeof error;
    (void)events;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    dial_done(d, error);
}

static clan_status begin_dial(struct tcp_dial *d, socklen_t len, uint32_t timeout_ms)
{
    d->fd = socket(d->addr.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (d->fd < 0) {
        int error = errno;
        dial_error(d, CLAN_E_IO, strerror(error));
        return CLAN_OK;
    }
    if (connect(d->fd, &d->addr.any, len) == 0) {
        dial_done(d, 0);
        return CLAN_OK;
    }
    if (errno != EINPROGRESS) {
        dial_done(d, errno);
        return CLAN_OK;
    }
    clan_status st = clan_io_watch(d->t->host, d->fd, CLAN_IO_WRITE, on_dial, d);
    if (st == CLAN_OK)
        st = clan_timer_start(d->t->host, timeout_ms, on_dial_timeout, d, &d->timer);
    if (st != CLAN_OK)
        drop_dial(d);
    return st;
}

static struct tcp_dial *find_dial(struct tcp *t, uint32_t request)
{
    for (unsigned i = 0; i < TCP_DIALS_MAX; i++)
        if (t->dials[i].request == request)
            return &t->dials[i];
    return NULL;
}

static clan_status tcp_dial(void *instance, uint32_t request, const char *endpoint,
    uint32_t timeout_ms, struct clan_error *reterr)
{
    struct tcp *t = instance;
    struct tcp_dial *d = find_dial(t, 0);
    union tcp_addr addr;
    socklen_t len;
    if (!d)
        return fail(
            reterr, CLAN_E_LIMIT, "too many dials at once", "64 are under way", "dial again later");
    if (!tcp_endpoint_parse(endpoint, &addr, &len))
        return fail(reterr, CLAN_E_INVAL, "this is no endpoint of tcp-noise",
            endpoint[0] ? endpoint : "it is empty", "write 192.0.2.7:7117 or [2001:db8::7]:7117");
    if (timeout_ms < TCP_TIMEOUT_MIN)
        timeout_ms = TCP_TIMEOUT_MIN;
    if (timeout_ms > TCP_TIMEOUT_MAX)
        timeout_ms = TCP_TIMEOUT_MAX;
    *d = (struct tcp_dial){.t = t, .request = request, .fd = -1, .addr = addr};
    clan_status st = begin_dial(d, len, timeout_ms);
    if (st == CLAN_OK)
        return CLAN_OK;
    return fail(reterr, st, "the dial cannot be watched", "a limit of the host is reached",
        "dial again later");
}

static void tcp_cancel(void *instance, uint32_t request)
{
    struct tcp_dial *d = request ? find_dial(instance, request) : NULL;
    if (d)
        drop_dial(d);
}

/* ---- endpoints ---- */

struct tcp_listener {
    uint8_t address[16]; /* IPv4 mapped; zero: any */
    bool any, four, six;
    uint16_t port; /* network order */
};

static bool read_listener(int fd, struct tcp_listener *ret)
{
    union tcp_addr a = {0};
    socklen_t len = sizeof a;
    *ret = (struct tcp_listener){0};
    if (getsockname(fd, &a.any, &len) != 0)
        return false;
    if (a.any.sa_family == AF_INET) {
        ret->four = true;
        ret->any = a.v4.sin_addr.s_addr == 0;
        ret->port = a.v4.sin_port;
        ret->address[10] = ret->address[11] = 0xff;
        memcpy(ret->address + 12, &a.v4.sin_addr, 4);
        return true;
    }
    if (a.any.sa_family != AF_INET6)
        return false;
    int only = 1;
    len = sizeof only;
    getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &len);
    ret->six = true;
    ret->any = IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr);
    ret->four = ret->any && !only;
    ret->port = a.v6.sin6_port;
    memcpy(ret->address, &a.v6.sin6_addr, 16);
    return true;
}

static void add_address(const uint8_t address[16], uint16_t port,
    void (*add)(void *user, const char *endpoint), void *user)
{
    char text[CLAN_ENDPOINT_MAX + 1];
    union tcp_addr a = {.v6 = {.sin6_family = AF_INET6, .sin6_port = port}};
    memcpy(&a.v6.sin6_addr, address, 16);
    tcp_endpoint_text(&a, text);
    add(user, text);
}

static void tcp_endpoints(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    const struct tcp *t = instance;
    struct tcp_listener l[TCP_LISTEN_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->listen_count; i++)
        count += read_listener(t->listen_fds[i], &l[count]);
    for (int rank = 0; rank <= 3; rank++)
        for (uint32_t a = 0; a < addr_count; a++) {
            const uint8_t *address = local_addresses + 16 * (size_t)a;
            if (tcp_address_rank(address) != rank)
                continue;
            for (uint32_t i = 0; i < count; i++)
                if (l[i].any ? (tcp_is_mapped(address) ? l[i].four : l[i].six)
                             : memcmp(l[i].address, address, 16) == 0)
                    add_address(address, l[i].port, add, user);
        }
}

/* ---- life ---- */

static clan_status tcp_start(void *instance, struct clan_error *reterr)
{
    struct tcp *t = instance;
    if (listen_on(t) == CLAN_OK)
        return CLAN_OK;
    return fail(reterr, CLAN_E_IO, "tcp-noise cannot listen",
        "a listening socket of the machine cannot be watched", "see listen: in machine.yaml");
}

static void tcp_stop(void *instance)
{
    struct tcp *t = instance;
    clan_timer_stop(t->host, t->pause);
    t->pause = 0;
    unlisten(t);
    for (unsigned i = 0; i < TCP_DIALS_MAX; i++)
        if (t->dials[i].request)
            drop_dial(&t->dials[i]);
}

static const struct clan_transport_stream tcp_stream = {
    .struct_size = sizeof tcp_stream,
    .start = tcp_start,
    .stop = tcp_stop,
    .dial = tcp_dial,
    .cancel = tcp_cancel,
    .endpoints = tcp_endpoints,
};

static clan_status tcp_create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    const struct clan_transport_host *to = clan_transport_host_get(host);
    char what[160];
    if (config->setting_count) {
        snprintf(what, sizeof what, "tcp-noise has no setting \"%.64s\"", config->settings[0].key);
        return fail(reterr, CLAN_E_INVAL, what, "it has no settings at all", "remove that line");
    }
    if (!to->struct_size) /* the stub: no stream could be handed over */
        return fail(reterr, CLAN_E_ABI, "tcp-noise cannot be used with this Clan",
            "differing item: " CLAN_TRANSPORT_HOST, "use the tcp-noise of this Clan");
    if (config->listen_count > TCP_LISTEN_MAX)
        return fail(reterr, CLAN_E_LIMIT, "tcp-noise listens on 16 addresses at most",
            "more are handed over", "shorten listen: in machine.yaml");
    struct tcp *t = calloc(1, sizeof *t);
    if (!t)
        return fail(reterr, CLAN_E_NOMEM, "tcp-noise cannot start", "out of memory", "");
    t->host = host;
    t->to = to;
    t->listen_count = config->listen_count;
    if (t->listen_count)
        memcpy(t->listen_fds, config->listen_fds, t->listen_count * sizeof t->listen_fds[0]);
    *ret_instance = t;
    return CLAN_OK;
}

static void tcp_destroy(void *instance)
{
    free(instance);
}

static const void *tcp_get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_TRANSPORT_STREAM) == 0 ? &tcp_stream : NULL;
}

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_TRANSPORT, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .needs_minor = 1, .id = "tcp-noise", .version = "0.1.0",
    .title = "TCP", .sentence = "Connects machines by TCP over the local network and the internet.",
    .asks_count = 3, .asks = {"net.listen", "net.connect:lan", "net.connect:internet"});

static const struct clan_plugin tcp_plugin = {
    .magic = CLAN_PLUGIN_MAGIC,
    .struct_size = sizeof tcp_plugin,
    .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR,
    .kind = CLAN_KIND_TRANSPORT,
    .id = "tcp-noise",
    .version = "0.1.0",
    .vendor = "Clan",
    .licence = "same as Clan",
    .create = tcp_create,
    .destroy = tcp_destroy,
    .get_interface = tcp_get_interface,
};

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return &tcp_plugin;
}
