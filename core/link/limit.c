/* The line in front of the handshakes: so many at once, so many of one source, nobody is sent away
 * who can wait. */
#include "session.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define SOURCES   512
#define FORGET_MS 2000

struct link_source {
    uint8_t key[16];
    bool known;
    unsigned active;
    uint64_t tokens_milli; /* a handshake costs 1,000 */
    uint64_t filled_ms;
};

/* An IPv4 address, or a /64; false: not an IP transport, no source to speak of. */
static bool key_of(const uint8_t remote[16], uint8_t ret_key[16])
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    static const uint8_t none[16];
    memset(ret_key, 0, 16);
    if (memcmp(remote, none, 16) == 0)
        return false;
    memcpy(ret_key, remote, memcmp(remote, mapped, 12) == 0 ? 16 : 8);
    return true;
}

static struct link_source *source_find(struct link *l, const uint8_t key[16], uint64_t now_ms)
{
    struct link_source *room = NULL;
    if (!l->sources && !(l->sources = calloc(SOURCES, sizeof *l->sources)))
        return NULL;
    for (unsigned i = 0; i < SOURCES; i++) {
        struct link_source *src = &l->sources[i];
        if (src->known && memcmp(src->key, key, 16) == 0)
            return src;
        bool forgotten = src->active == 0 && link_since(now_ms, src->filled_ms) > FORGET_MS;
        if (!room && (!src->known || forgotten))
            room = src;
    }
    if (!room)
        return NULL; /* so many sources at once: this one waits */
    memset(room, 0, sizeof *room);
    memcpy(room->key, key, 16);
    room->known = true;
    room->tokens_milli = 1000 * LINK_HANDSHAKES_PER_S;
    room->filled_ms = now_ms;
    return room;
}

static bool may_start(struct link_session *s, uint64_t now_ms)
{
    struct link *l = s->link;
    uint8_t key[16];
    if (l->handshakes >= WIRE_HANDSHAKES_MAX)
        return false;
    if (!key_of(s->remote, key))
        return true;
    struct link_source *src = source_find(l, key, now_ms);
    if (!src)
        return false;
    uint64_t full = 1000 * LINK_HANDSHAKES_PER_S;
    src->tokens_milli += (link_since(now_ms, src->filled_ms)) * LINK_HANDSHAKES_PER_S;
    if (src->tokens_milli > full)
        src->tokens_milli = full;
    src->filled_ms = now_ms;
    if (src->active >= WIRE_HANDSHAKES_PER_NET || src->tokens_milli < 1000)
        return false;
    src->tokens_milli -= 1000;
    src->active++;
    return true;
}

static void start(struct link_session *s, uint64_t now_ms)
{
    s->link->handshakes++;
    s->counted = true;
    s->state = LINK_PREFACE;
    s->since_ms = now_ms;
    link_watch(s);
}

void link_line_join(struct link_session *s)
{
    struct link *l = s->link;
    uint64_t now_ms = clock_mono_ms();
    s->state = LINK_WAITING;
    if (l->line_length >= LINK_LINE_MAX) {
        link_count(l, LINK_COUNT_HANDSHAKE_LIMIT);
        s->state = LINK_PREFACE;
        link_session_close(s, clan_link_Reason_REASON_LIMIT);
        return;
    }
    s->next = NULL;
    *l->line_end = s;
    l->line_end = &s->next;
    l->line_length++;
    link_line_move(l, now_ms);
}

static void unlink_at(struct link *l, struct link_session **at)
{
    struct link_session *s = *at;
    *at = s->next;
    if (l->line_end == &s->next)
        l->line_end = at;
    s->next = NULL;
    l->line_length--;
}

void link_line_leave(struct link_session *s)
{
    struct link *l = s->link;
    for (struct link_session **at = &l->line; *at; at = &(*at)->next)
        if (*at == s) {
            unlink_at(l, at);
            return;
        }
}

void link_line_done(struct link_session *s)
{
    struct link *l = s->link;
    uint8_t key[16];
    if (!s->counted)
        return;
    s->counted = false;
    l->handshakes--;
    if (key_of(s->remote, key)) {
        struct link_source *src = source_find(l, key, clock_mono_ms());
        if (src && src->active)
            src->active--;
    }
}

void link_line_move(struct link *l, uint64_t now_ms)
{
    struct link_session **at = &l->line;
    while (*at) {
        struct link_session *s = *at;
        if (may_start(s, now_ms)) {
            unlink_at(l, at);
            start(s, now_ms);
        } else if (link_since(now_ms, s->since_ms) > LINK_LINE_MS) {
            unlink_at(l, at);
            s->state = LINK_PREFACE;
            link_count(l, LINK_COUNT_HANDSHAKE_LIMIT);
            link_session_close(s, clan_link_Reason_REASON_LIMIT);
        } else {
            at = &s->next;
        }
    }
}
