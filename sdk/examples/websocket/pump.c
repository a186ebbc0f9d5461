/*
 * Moves bytes between frames and the socket pair.  Back-pressure: nothing is read that cannot be passed on,
 * so one buffer in each direction is all there ever is.
 */
#include "websocket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool later(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* A pong answers the newest ping only (RFC 6455, 5.5.3); nothing comes after a close. */
void ws_control(struct ws_conn *c, enum ws_opcode opcode, const void *data, size_t size)
{
    if (c->control_opcode == WS_CLOSE || c->close_sent)
        return;
    memcpy(c->control, data, size);
    c->control_size = (uint8_t)size;
    c->control_opcode = (uint8_t)opcode;
}

void ws_close(struct ws_conn *c, uint16_t code)
{
    const uint8_t bytes[2] = {(uint8_t)(code >> 8), (uint8_t)code};
    ws_control(c, WS_CLOSE, bytes, code ? 2 : 0);
    if (c->pipe >= 0) {
        clan_io_unwatch(c->w->host, c->pipe);
        close(c->pipe);
        c->pipe = -1;
        c->pipe_watch = 0;
    }
    c->rx_at += c->rx_plain; /* nobody wants it */
    c->rx_plain = 0;
    if (c->state != WS_CLOSING)
        c->deadline_ms = ws_now_ms() + WS_CLOSE_MS;
    c->state = WS_CLOSING;
}

/* ---- frames -> stream ---- */

static void on_control(struct ws_conn *c)
{
    const struct ws_frames *f = &c->frames;
    uint16_t code = WS_NORMAL;
    if (f->opcode == WS_PING)
        ws_control(c, WS_PONG, f->control, f->control_size);
    if (f->opcode != WS_CLOSE)
        return; /* of a pong, heard_ms is what counts */
    if (f->control_size >= 2)
        code = (uint16_t)(f->control[0] << 8 | f->control[1]);
    ws_close(c, code >= 1000 && code < 5000 ? code : WS_PROTOCOL_ERROR);
}

/* What rx holds of plain bytes goes to the stream.  false: there is still some. */
static bool deliver(struct ws_conn *c, bool *ret_gone)
{
    while (c->rx_plain) {
        ssize_t n = send(c->pipe, c->rx + c->rx_at, c->rx_plain, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            *ret_gone = !later();
            return false;
        }
        c->rx_at += (size_t)n;
        c->rx_plain -= (size_t)n;
    }
    return true;
}

/* Reads what rx has, as far as the stream takes it. */
static void decode(struct ws_conn *c)
{
    while (true) {
        bool gone = false;
        size_t used, size = 0;
        uint16_t code;
        uint8_t *data = NULL;
        if (c->rx_plain && !deliver(c, &gone)) {
            if (!gone)
                return;
            ws_close(c, WS_NORMAL); /* Clan has closed the stream */
        }
        enum ws_event ev =
            ws_step(&c->frames, c->rx + c->rx_at, c->rx_end - c->rx_at, &used, &data, &size, &code);
        if (ev == WS_EV_BAD) {
            c->rx_at = c->rx_end = 0;
            ws_close(c, code);
            return;
        }
        c->rx_at += used;
        if (ev == WS_EV_DATA && c->state == WS_OPEN) {
            c->rx_at -= size;
            c->rx_plain = size;
        } else if (ev == WS_EV_CONTROL) {
            on_control(c);
        } else if (ev == WS_EV_NONE) {
            c->rx_at = c->rx_end = 0;
            return;
        }
    }
}

bool ws_pump_in(struct ws_conn *c)
{
    decode(c);
    while (c->rx_end == 0) { /* all of it is used up */
        ssize_t n = recv(c->tcp, c->rx, sizeof c->rx, MSG_DONTWAIT);
        if (n < 0 && later())
            return true;
        if (n <= 0) { /* what came before has been delivered: rx is empty */
            ws_conn_drop(c);
            return false;
        }
        c->rx_end = (size_t)n;
        c->heard_ms = ws_now_ms();
        c->pinged = false;
        decode(c);
        if ((size_t)n < sizeof c->rx)
            return true; /* others wait too */
    }
    return true;
}

/* ---- stream -> frames ---- */

/* One frame into tx, whose first `size` bytes after the head are the payload. */
static bool seal(struct ws_conn *c, enum ws_opcode opcode, size_t size)
{
    uint8_t mask[4], head[WS_HEAD_MAX], *payload = c->tx + WS_HEAD_MAX;
    if (c->client && clan_random(c->w->host, mask, sizeof mask) != CLAN_OK)
        return false;
    size_t n = ws_head(head, opcode, size, c->client ? mask : NULL);
    if (c->client)
        ws_mask(payload, size, mask, 0);
    c->tx_at = WS_HEAD_MAX - n;
    c->tx_end = WS_HEAD_MAX + size;
    memcpy(c->tx + c->tx_at, head, n);
    return true;
}

/* The next frame.  0: there is none; -1: the connection cannot go on. */
static int next_frame(struct ws_conn *c)
{
    uint8_t *payload = c->tx + WS_HEAD_MAX;
    if (c->control_opcode) {
        enum ws_opcode opcode = c->control_opcode;
        memcpy(payload, c->control, c->control_size);
        c->close_sent |= opcode == WS_CLOSE;
        c->control_opcode = 0;
        return seal(c, opcode, c->control_size) ? 1 : -1;
    }
    if (c->pipe < 0)
        return 0;
    ssize_t n = recv(c->pipe, payload, WS_BUFFER, MSG_DONTWAIT);
    if (n > 0)
        return seal(c, WS_BINARY, (size_t)n) ? 1 : -1;
    if (n < 0 && later())
        return 0;
    ws_close(c, WS_NORMAL); /* Clan has closed the stream */
    return next_frame(c);
}

/* 1: all is sent; 0: there is more; -1: the connection is broken */
static int flush(struct ws_conn *c)
{
    ssize_t n = send(c->tcp, c->tx + c->tx_at, c->tx_end - c->tx_at, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return later() ? 0 : -1;
    c->tx_at += (size_t)n;
    return c->tx_at == c->tx_end;
}

bool ws_pump_out(struct ws_conn *c)
{
    int some = 1;
    for (unsigned turn = 0; turn < 16 && some > 0; turn++) { /* others wait too */
        if (c->tx_at == c->tx_end)
            some = next_frame(c);
        if (some > 0)
            some = flush(c);
    }
    if (some < 0)
        ws_conn_drop(c);
    return some >= 0;
}
