/* A ring of bytes: a head and a packet each, the newest overwrite the oldest. */
#include "resend.h"

#include "base/error.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct head {
    uint64_t kept_ms;
    uint32_t size;
    uint16_t mss;
    uint8_t kind;
};

struct resend {
    size_t first, used; /* of bytes */
    uint64_t newest_ms;
    uint8_t bytes[RESEND_BYTES];
};

struct resend *resend_new(void)
{
    struct resend *r = malloc(sizeof *r);
    if (!r)
        return NULL;
    r->first = r->used = 0; /* not all of its pages */
    r->newest_ms = 0;
    return r;
}

void resend_free(struct resend *r)
{
    if (r)
        sodium_memzero(r, sizeof *r); /* people's packets */
    free(r);
}

void resend_clear(struct resend *r)
{
    if (r)
        r->used = 0;
}

bool resend_idle(const struct resend *r, uint64_t now_ms)
{
    return r->used == 0 || now_ms > r->newest_ms + RESEND_MS;
}

static void put(struct resend *r, const void *from, size_t size)
{
    size_t at = (r->first + r->used) % RESEND_BYTES;
    size_t some = RESEND_BYTES - at < size ? RESEND_BYTES - at : size;
    memcpy(r->bytes + at, from, some);
    memcpy(r->bytes, (const uint8_t *)from + some, size - some);
    r->used += size;
}

/* to: NULL to pass over them. */
static void get(struct resend *r, void *to, size_t size)
{
    size_t some = RESEND_BYTES - r->first < size ? RESEND_BYTES - r->first : size;
    clan_assert(size <= r->used);
    if (to) {
        memcpy(to, r->bytes + r->first, some);
        memcpy((uint8_t *)to + some, r->bytes, size - some);
    }
    r->first = (r->first + size) % RESEND_BYTES;
    r->used -= size;
}

void resend_keep(struct resend *r, uint8_t kind, uint16_t mss, const uint8_t *packet, size_t size,
    uint64_t now_ms)
{
    struct head h = {.kept_ms = now_ms, .size = (uint32_t)size, .mss = mss, .kind = kind}, old;
    if (size > RESEND_PACKET_MAX)
        return;
    while (RESEND_BYTES - r->used < sizeof h + size) {
        get(r, &old, sizeof old);
        get(r, NULL, old.size);
    }
    put(r, &h, sizeof h);
    put(r, packet, size);
    r->newest_ms = now_ms;
}

size_t resend_pop(struct resend *r, uint8_t *ret_packet, uint8_t *ret_kind, uint16_t *ret_mss,
    uint64_t *ret_kept_ms)
{
    struct head h;
    if (!r || r->used == 0)
        return 0;
    get(r, &h, sizeof h);
    get(r, ret_packet, h.size);
    *ret_kind = h.kind;
    *ret_mss = h.mss;
    *ret_kept_ms = h.kept_ms;
    return h.size;
}
