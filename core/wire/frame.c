/* Frames on byte streams. */
#include "wire/frame.h"

#include "base/clock.h"

#include <errno.h>
#include <pb_decode.h>
#include <pb_encode.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

clan_status frame_encode(
    const pb_msgdesc_t *desc, const void *msg, uint8_t *ret_bytes, size_t cap, size_t *ret_size)
{
    if (cap < FRAME_HEAD)
        return CLAN_E_LIMIT;
    size_t room = cap - FRAME_HEAD;
    if (room > WIRE_FRAME_MAX)
        room = WIRE_FRAME_MAX;
    pb_ostream_t os = pb_ostream_from_buffer(ret_bytes + FRAME_HEAD, room);
    if (!pb_encode(&os, desc, msg) || os.bytes_written == 0)
        return CLAN_E_LIMIT;
    ret_bytes[0] = (uint8_t)(os.bytes_written >> 8);
    ret_bytes[1] = (uint8_t)os.bytes_written;
    *ret_size = FRAME_HEAD + os.bytes_written;
    return CLAN_OK;
}

uint8_t *frame_space(struct frame_reader *r, size_t *ret_size)
{
    *ret_size = r->cap - r->len;
    return r->buf + r->len;
}

void frame_added(struct frame_reader *r, size_t size)
{
    r->len += size;
}

static size_t head_size(const struct frame_reader *r)
{
    return (size_t)(r->buf[0] << 8 | r->buf[1]);
}

clan_status frame_peek(struct frame_reader *r, const uint8_t **ret_payload, size_t *ret_size)
{
    if (r->len < FRAME_HEAD)
        return CLAN_E_AGAIN;
    size_t size = head_size(r);
    if (size == 0 || FRAME_HEAD + size > r->cap)
        return CLAN_E_PROTO;
    if (r->len < FRAME_HEAD + size)
        return CLAN_E_AGAIN;
    *ret_payload = r->buf + FRAME_HEAD;
    *ret_size = size;
    return CLAN_OK;
}

void frame_pop(struct frame_reader *r)
{
    size_t whole = FRAME_HEAD + head_size(r);
    memmove(r->buf, r->buf + whole, r->len - whole);
    r->len -= whole;
}

clan_status frame_send_blocking(int fd, const pb_msgdesc_t *desc, const void *msg)
{
    size_t cap = FRAME_HEAD + WIRE_FRAME_MAX, size, sent = 0;
    uint8_t *bytes = malloc(cap);
    if (!bytes)
        return CLAN_E_NOMEM;
    clan_status st = frame_encode(desc, msg, bytes, cap, &size);
    while (st == CLAN_OK && sent < size) {
        ssize_t n = send(fd, bytes + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            st = CLAN_E_IO;
        else
            sent += (size_t)n;
    }
    explicit_bzero(bytes, cap); /* requests may carry an invitation link */
    free(bytes);
    return st;
}

static clan_status recv_exact(int fd, uint8_t *p, size_t size, uint64_t end_ms)
{
    while (size) {
        uint64_t now = clock_mono_ms();
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        int n = poll(&pfd, 1, now < end_ms ? (int)(end_ms - now) : 0);
        if (n == 0)
            return CLAN_E_TIMEOUT;
        if (n < 0 && errno != EINTR)
            return CLAN_E_IO;
        ssize_t got = recv(fd, p, size, MSG_DONTWAIT);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0)
            return CLAN_E_IO;
        p += got;
        size -= (size_t)got;
    }
    return CLAN_OK;
}

clan_status frame_recv_blocking(int fd, const pb_msgdesc_t *desc, void *ret_msg, int timeout_ms)
{
    uint8_t head[FRAME_HEAD];
    uint64_t end = clock_mono_ms() + (uint64_t)timeout_ms;
    clan_status st = recv_exact(fd, head, sizeof head, end);
    if (st != CLAN_OK)
        return st;
    size_t size = (size_t)(head[0] << 8 | head[1]);
    if (size == 0)
        return CLAN_E_PROTO;
    uint8_t *bytes = malloc(size);
    if (!bytes)
        return CLAN_E_NOMEM;
    st = recv_exact(fd, bytes, size, end);
    if (st == CLAN_OK) {
        pb_istream_t is = pb_istream_from_buffer(bytes, size);
        if (!pb_decode(&is, desc, ret_msg))
            st = CLAN_E_PROTO;
    }
    free(bytes);
    return st;
}
