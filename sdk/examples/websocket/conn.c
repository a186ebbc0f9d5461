/* One connection's life: connecting, greeting, open, closing; what it waits for, and for how long. */
#include "websocket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

uint64_t ws_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct ws_conn *ws_conn_new(struct ws *w, int tcp, bool client)
{
    int on = 1;
    for (unsigned i = 0; i < WS_STREAMS_MAX; i++) {
        if (w->conns[i])
            continue;
        struct ws_conn *c = w->conns[i] = calloc(1, sizeof *c);
        if (!c)
            break;
        c->w = w;
        c->tcp = tcp;
        c->pipe = -1;
        c->client = client;
        c->state = client ? WS_CONNECTING : WS_GREETING;
        c->frames.from_client = !client;
        c->heard_ms = ws_now_ms();
        c->deadline_ms = c->heard_ms + WS_GREET_MS;
        setsockopt(tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return c;
    }
    close(tcp);
    return NULL;
}

void ws_conn_drop(struct ws_conn *c)
{
    int fds[2] = {c->tcp, c->pipe};
    for (unsigned i = 0; i < 2; i++)
        if (fds[i] >= 0) {
            clan_io_unwatch(c->w->host, fds[i]);
            close(fds[i]);
        }
    for (unsigned i = 0; i < WS_STREAMS_MAX; i++)
        if (c->w->conns[i] == c)
            c->w->conns[i] = NULL;
    free(c);
}

unsigned ws_conn_count(const struct ws *w, bool greeting)
{
    unsigned n = 0;
    for (unsigned i = 0; i < WS_STREAMS_MAX; i++)
        if (w->conns[i] &&
            (!greeting || (w->conns[i]->state == WS_GREETING && !w->conns[i]->client)))
            n++;
    return n;
}

void ws_conn_dial_failed(struct ws_conn *c, clan_status status, const char *why)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct ws *w = c->w;
    uint32_t request = c->request;
    char what[160];
    snprintf(what, sizeof what, "no WebSocket to %.120s", c->remote);
    ws_conn_drop(c);
    if (!request)
        return;
    clan_error_set(
        &e, status, what, why, "see that the other machine is on and its port is reachable");
    w->to->dial_failed(w->host->host_data, request, &e);
}

static void end(struct ws_conn *c, clan_status status, const char *why)
{
    if (c->request)
        ws_conn_dial_failed(c, status, why);
    else
        ws_conn_drop(c);
}

/* ---- the opening handshake ---- */

static void send_text(struct ws_conn *c, const char *text, size_t size)
{
    memcpy(c->tx, text, size);
    c->tx_at = 0;
    c->tx_end = size;
}

/* The far end goes to Clan.  false: dropped. */
static bool open_stream(struct ws_conn *c)
{
    struct ws *w = c->w;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
        end(c, CLAN_E_LIMIT, strerror(errno));
        return false;
    }
    uint32_t request = c->request;
    c->request = 0;
    c->pipe = pair[0];
    c->state = WS_OPEN;
    if (w->to->offer_stream(w->host->host_data, request, pair[1], c->remote) == CLAN_OK)
        return true;
    ws_conn_drop(c); /* Clan does not keep up, and has told itself so */
    return false;
}

static bool greet_client(struct ws_conn *c, size_t head)
{
    const char *why = ws_judge_answer(c->rx, head, c->key);
    if (why) {
        end(c, CLAN_E_PROTO, why);
        return false;
    }
    c->rx_at = head;
    return open_stream(c);
}

static bool greet_server(struct ws_conn *c, size_t head)
{
    char text[WS_HTTP_MAX], accept[WS_ACCEPT_SIZE + 1] = "";
    unsigned status = head ? ws_judge_request(c->rx, head, c->w->path, accept) : 400;
    send_text(c, text, ws_answer(text, status, accept));
    c->rx_at = head;
    if (status == 101)
        return open_stream(c);
    c->state = WS_CLOSING;
    c->close_sent = true; /* HTTP has no frames */
    c->rx_at = c->rx_end = 0;
    c->deadline_ms = ws_now_ms() + WS_CLOSE_MS;
    return true;
}

/* false: dropped */
static bool greet(struct ws_conn *c)
{
    ssize_t n = recv(c->tcp, c->rx + c->rx_end, WS_HTTP_MAX - c->rx_end, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return true;
    if (n <= 0) {
        end(c, CLAN_E_UNREACHABLE, "the other side hung up");
        return false;
    }
    c->rx_end += (size_t)n;
    size_t head = ws_http_end(c->rx, c->rx_end);
    if (!head && c->rx_end < WS_HTTP_MAX)
        return true;
    if (c->client && !head) {
        end(c, CLAN_E_PROTO, "its answer is too long");
        return false;
    }
    if (!(c->client ? greet_client(c, head) : greet_server(c, head)))
        return false;
    return c->state != WS_OPEN || ws_pump_in(c); /* frames that came along */
}

static bool connected(struct ws_conn *c)
{
    union ws_addr us = {0}, them = {0};
    socklen_t len = sizeof(int), a = sizeof us, b = sizeof them;
    int error = 0;
    if (getsockopt(c->tcp, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    /* TCP connects a socket to itself when it dials its own port of the moment */
    if (!error && getsockname(c->tcp, &us.any, &a) == 0 &&
        getpeername(c->tcp, &them.any, &b) == 0 && a == b && memcmp(&us, &them, a) == 0)
        error = EADDRINUSE;
    if (error) {
        end(c, CLAN_E_UNREACHABLE, strerror(error));
        return false;
    }
    c->state = WS_GREETING;
    return true;
}

/* ---- events ---- */

/* A refused caller is read until it hangs up, so that its last bytes do not turn our answer into a reset. */
static bool drain(struct ws_conn *c)
{
    ssize_t n = recv(c->tcp, c->rx, sizeof c->rx, MSG_DONTWAIT);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR)))
        return true;
    ws_conn_drop(c);
    return false;
}

static bool read_tcp(struct ws_conn *c)
{
    if (c->state == WS_GREETING)
        return greet(c);
    return c->state == WS_CLOSING && c->close_sent ? drain(c) : ws_pump_in(c);
}

static void on_tcp(void *user, int32_t fd, uint32_t events)
{
    struct ws_conn *c = user;
    (void)fd;
    if (c->state == WS_CONNECTING && !connected(c))
        return;
    if ((events & CLAN_IO_READ) && !read_tcp(c))
        return;
    if (!ws_pump_out(c))
        return;
    if (c->state == WS_CLOSING && c->close_sent && c->tx_at == c->tx_end)
        shutdown(c->tcp, SHUT_WR);
    ws_conn_watch(c);
}

static void on_pipe(void *user, int32_t fd, uint32_t events)
{
    struct ws_conn *c = user;
    (void)fd;
    if ((events & CLAN_IO_WRITE) && !ws_pump_in(c))
        return;
    if (ws_pump_out(c))
        ws_conn_watch(c);
}

static clan_status watch(struct ws_conn *c, int fd, uint32_t want, uint32_t *have, clan_io_fn *fn)
{
    clan_status st = CLAN_OK;
    if (fd < 0 || want == *have)
        return CLAN_OK;
    if (want)
        st = clan_io_watch(c->w->host, fd, want, fn, c);
    else
        clan_io_unwatch(c->w->host, fd);
    *have = want;
    return st;
}

clan_status ws_conn_watch(struct ws_conn *c)
{
    bool sending = c->tx_at < c->tx_end || c->control_opcode;
    uint32_t tcp = sending || c->state == WS_CONNECTING ? CLAN_IO_WRITE : 0;
    uint32_t pipe = (c->rx_plain ? CLAN_IO_WRITE : 0) | (sending ? 0 : CLAN_IO_READ);
    if (c->state != WS_CONNECTING && !c->rx_plain)
        tcp |= CLAN_IO_READ;
    clan_status st = watch(c, c->tcp, tcp, &c->tcp_watch, on_tcp);
    if (st == CLAN_OK)
        st = watch(c, c->pipe, pipe, &c->pipe_watch, on_pipe);
    if (st != CLAN_OK)
        end(c, st, "a limit of the host is reached");
    return st;
}

void ws_conn_tick(struct ws_conn *c, uint64_t now)
{
    if (c->state != WS_OPEN) {
        if (now >= c->deadline_ms)
            end(c, CLAN_E_TIMEOUT, "the other side did not answer in time");
        return;
    }
    if (now - c->heard_ms > WS_DEAD_MS && !c->rx_plain) {
        ws_conn_drop(c);
    } else if (now - c->heard_ms > WS_QUIET_MS && !c->pinged && !c->control_opcode) {
        c->pinged = true;
        ws_control(c, WS_PING, "", 0);
        if (ws_pump_out(c))
            ws_conn_watch(c);
    }
}
