/* Bounded reading and writing with a sticky error. */
#include "base/buf.h"

#include <string.h>

struct buf_reader buf_reader_of(const void *data, size_t size)
{
    return (struct buf_reader){.p = data, .left = size};
}

const uint8_t *buf_view(struct buf_reader *r, size_t size)
{
    if (r->failed || size > r->left) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->p;
    r->p += size;
    r->left -= size;
    return at;
}

void buf_get(struct buf_reader *r, void *ret_data, size_t size)
{
    const uint8_t *at = buf_view(r, size);
    if (size == 0)
        return;
    if (at)
        memcpy(ret_data, at, size);
    else
        memset(ret_data, 0, size);
}

uint8_t buf_get_u8(struct buf_reader *r)
{
    uint8_t b;
    buf_get(r, &b, 1);
    return b;
}

uint16_t buf_get_u16(struct buf_reader *r)
{
    uint8_t b[2];
    buf_get(r, b, sizeof b);
    return (uint16_t)(b[0] << 8 | b[1]);
}

uint32_t buf_get_u32(struct buf_reader *r)
{
    uint32_t hi = buf_get_u16(r);
    return hi << 16 | buf_get_u16(r);
}

uint64_t buf_get_u64(struct buf_reader *r)
{
    uint64_t hi = buf_get_u32(r);
    return hi << 32 | buf_get_u32(r);
}

void buf_get_str(struct buf_reader *r, char *ret_str, size_t cap)
{
    size_t len = buf_get_u16(r);
    ret_str[0] = 0;
    if (len >= cap)
        r->failed = true;
    const uint8_t *at = buf_view(r, len);
    if (!at)
        return;
    if (memchr(at, 0, len)) {
        r->failed = true;
        return;
    }
    memcpy(ret_str, at, len);
    ret_str[len] = 0;
}

bool buf_done(const struct buf_reader *r)
{
    return !r->failed && r->left == 0;
}

struct buf_writer buf_writer_of(void *data, size_t cap)
{
    return (struct buf_writer){.base = data, .cap = cap};
}

void buf_put(struct buf_writer *w, const void *data, size_t size)
{
    if (w->failed || size > w->cap - w->len) {
        w->failed = true;
        return;
    }
    if (size)
        memcpy(w->base + w->len, data, size);
    w->len += size;
}

void buf_put_u8(struct buf_writer *w, uint8_t v)
{
    buf_put(w, &v, 1);
}

void buf_put_u16(struct buf_writer *w, uint16_t v)
{
    uint8_t b[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buf_put(w, b, sizeof b);
}

void buf_put_u32(struct buf_writer *w, uint32_t v)
{
    buf_put_u16(w, (uint16_t)(v >> 16));
    buf_put_u16(w, (uint16_t)v);
}

void buf_put_u64(struct buf_writer *w, uint64_t v)
{
    buf_put_u32(w, (uint32_t)(v >> 32));
    buf_put_u32(w, (uint32_t)v);
}

void buf_put_str(struct buf_writer *w, const char *str)
{
    size_t len = strlen(str);
    if (len > UINT16_MAX) {
        w->failed = true;
        return;
    }
    buf_put_u16(w, (uint16_t)len);
    buf_put(w, str, len);
}
