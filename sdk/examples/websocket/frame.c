/* WebSocket frames: a decoder that holds one head and one control message at most, and an encoder. */
#include "frame.h"

#include <string.h>

void ws_mask(uint8_t *data, size_t size, const uint8_t mask[4], unsigned at)
{
    for (size_t i = 0; i < size; i++)
        data[i] ^= mask[(at + i) & 3];
}

size_t ws_head(
    uint8_t ret[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t size, const uint8_t mask[4])
{
    unsigned bytes = size < 126 ? 0 : size <= 0xffff ? 2 : 8;
    size_t n = 2;
    ret[0] = (uint8_t)(0x80 | opcode);
    ret[1] = (uint8_t)((mask ? 0x80 : 0) | (bytes == 0 ? size : bytes == 2 ? 126 : 127));
    for (unsigned i = bytes; i-- > 0;)
        ret[n++] = (uint8_t)(size >> (8 * i));
    if (mask) {
        memcpy(ret + n, mask, 4);
        n += 4;
    }
    return n;
}

/* What the first two bytes say; 0: they are wrong. */
static uint8_t head_size(const struct ws_frames *f)
{
    uint8_t length = f->head[1] & 0x7f;
    bool masked = f->head[1] & 0x80;
    if ((f->head[0] & 0x70) || masked != f->from_client)
        return 0;
    return (uint8_t)(2 + (length == 126 ? 2 : length == 127 ? 8 : 0) + (masked ? 4 : 0));
}

static bool length_of(const struct ws_frames *f, uint64_t *ret)
{
    uint8_t length = f->head[1] & 0x7f;
    unsigned bytes = length == 126 ? 2 : length == 127 ? 8 : 0;
    uint64_t n = bytes ? 0 : length;
    for (unsigned i = 0; i < bytes; i++)
        n = n << 8 | f->head[2 + i];
    *ret = n;
    /* the shortest form, and no sign bit (5.2) */
    return bytes == 0 || (bytes == 2 ? n >= 126 : n > 0xffff && n >> 63 == 0);
}

/* The head is whole: may such a frame come now? */
static bool begin(struct ws_frames *f, uint16_t *ret_code)
{
    bool fin = f->head[0] & 0x80;
    f->opcode = f->head[0] & 15;
    *ret_code = WS_PROTOCOL_ERROR;
    if (!length_of(f, &f->left))
        return false;
    if (f->opcode >= WS_CLOSE) {
        if (f->opcode > WS_PONG || !fin || f->left > WS_CONTROL_MAX ||
            (f->opcode == WS_CLOSE && f->left == 1))
            return false;
        f->control_size = 0;
    } else {
        if (f->opcode == WS_TEXT)
            *ret_code = WS_NO_TEXT;
        if ((f->opcode != WS_MORE && f->opcode != WS_BINARY) || f->open != (f->opcode == WS_MORE))
            return false;
        f->open = !fin;
    }
    if (f->from_client)
        memcpy(f->mask, f->head + f->want - 4, 4);
    f->mask_at = 0;
    f->body = true;
    return true;
}

static void frame_done(struct ws_frames *f)
{
    f->body = false;
    f->have = f->want = 0;
}

static enum ws_event take_body(
    struct ws_frames *f, uint8_t *data, size_t size, size_t *ret_used, uint8_t **ret, size_t *ret_n)
{
    size_t n = size < f->left ? size : (size_t)f->left;
    bool control = f->opcode >= WS_CLOSE;
    if (f->from_client)
        ws_mask(data, n, f->mask, f->mask_at);
    f->mask_at = (uint8_t)((f->mask_at + n) & 3);
    f->left -= n;
    *ret_used += n;
    if (control) {
        memcpy(f->control + f->control_size, data, n);
        f->control_size = (uint8_t)(f->control_size + n);
    }
    if (f->left == 0)
        frame_done(f);
    if (control)
        return f->body ? WS_EV_NONE : WS_EV_CONTROL;
    *ret = data;
    *ret_n = n;
    return WS_EV_DATA;
}

enum ws_event ws_step(struct ws_frames *f, uint8_t *data, size_t size, size_t *ret_used,
    uint8_t **ret_data, size_t *ret_data_size, uint16_t *ret_code)
{
    *ret_used = 0;
    *ret_code = WS_PROTOCOL_ERROR;
    while (!f->body && !f->bad) {
        if (*ret_used == size)
            return WS_EV_NONE;
        f->head[f->have++] = data[(*ret_used)++];
        if (f->have == 2)
            f->bad = (f->want = head_size(f)) == 0;
        if (f->have >= 2 && f->have == f->want)
            f->bad = !begin(f, ret_code);
        if (f->body && f->left == 0 && f->opcode < WS_CLOSE)
            frame_done(f); /* an empty frame of data says nothing */
    }
    if (f->bad)
        return WS_EV_BAD;
    if (*ret_used == size && f->left)
        return WS_EV_NONE;
    return take_body(f, data + *ret_used, size - *ret_used, ret_used, ret_data, ret_data_size);
}
