/* A bounded table of networks that were dialled, with back-off for those where no member answered
 * yet. */
#include "path/limit.h"

#include <sodium.h>
#include <string.h>

void path_limit_net(const uint8_t address[16], uint8_t ret_net[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(ret_net, address, 16);
    if (memcmp(address, mapped, 12) == 0)
        ret_net[15] = 0; /* /24 */
    else
        memset(ret_net + 8, 0, 8); /* /64 */
}

void path_limit_hidden(const char *endpoint, uint8_t ret_net[16])
{
    crypto_generichash(ret_net, 16, (const uint8_t *)endpoint, strcspn(endpoint, ":"), NULL, 0);
}

static struct path_limit_row *find(struct path_limit *l, const uint8_t net[16])
{
    for (unsigned i = 0; i < l->count; i++)
        if (memcmp(l->rows[i].net, net, 16) == 0)
            return &l->rows[i];
    return NULL;
}

/* The longest unused gives way; proven ones last. */
static struct path_limit_row *add(struct path_limit *l, const uint8_t net[16])
{
    struct path_limit_row *at = &l->rows[0];
    if (l->count < PATH_LIMIT_ROWS)
        at = &l->rows[l->count++];
    else
        for (unsigned i = 1; i < l->count; i++) {
            struct path_limit_row *r = &l->rows[i];
            if (r->proven < at->proven || (r->proven == at->proven && r->last_ms < at->last_ms))
                at = r;
        }
    memset(at, 0, sizeof *at);
    memcpy(at->net, net, 16);
    return at;
}

/* Another machine than before names it: it may be there after all. */
static void named_by(struct path_limit_row *r, const uint8_t source[32])
{
    uint64_t id;
    memcpy(&id, source, sizeof id);
    for (unsigned i = 0; i < r->source_count; i++)
        if (r->sources[i] == id)
            return;
    if (r->source_count == PATH_LIMIT_SOURCES) {
        memmove(r->sources, r->sources + 1, sizeof r->sources - sizeof r->sources[0]);
        r->source_count--;
    }
    r->sources[r->source_count++] = id;
    r->failures = 0;
    if (r->last_ms && r->not_before_ms > r->last_ms + PATH_LIMIT_FIRST_MS)
        r->not_before_ms = r->last_ms + PATH_LIMIT_FIRST_MS;
}

/* The wait after so many failures. */
static uint64_t pause_after(const struct path_limit_row *r)
{
    bool hidden = r->kind == PATH_LIMIT_HIDDEN;
    uint64_t first = hidden ? PATH_LIMIT_HIDDEN_FIRST_MS : PATH_LIMIT_FIRST_MS;
    uint64_t most = hidden ? PATH_LIMIT_HIDDEN_MAX_MS : PATH_LIMIT_MAX_MS;
    uint64_t pause = first << (r->failures < 16 ? r->failures : 16);
    return pause < most ? pause : most;
}

bool path_limit_take(struct path_limit *l, enum path_limit_kind kind, const uint8_t net[16],
    const uint8_t source[32], uint64_t now_ms)
{
    struct path_limit_row *r = find(l, net);
    if (!r)
        r = add(l, net);
    r->kind = kind;
    if (kind == PATH_LIMIT_NETWORK)
        named_by(r, source);
    bool given_up = kind == PATH_LIMIT_NETWORK && r->failures >= PATH_LIMIT_FAILURES;
    if (!r->proven && (now_ms < r->not_before_ms || given_up))
        return false;
    r->last_ms = now_ms;
    r->not_before_ms = now_ms + pause_after(r);
    r->failures++;
    return true;
}

void path_limit_proven(struct path_limit *l, const uint8_t net[16], uint64_t now_ms)
{
    struct path_limit_row *r = find(l, net);
    if (!r)
        r = add(l, net);
    r->proven = true;
    r->failures = 0;
    r->last_ms = now_ms;
    r->not_before_ms = 0;
}

static void clear(struct path_limit *l, bool networks)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < l->count; i++)
        if (l->rows[i].proven || (!networks && l->rows[i].kind == PATH_LIMIT_NETWORK))
            l->rows[kept++] = l->rows[i];
    l->count = kept;
}

void path_limit_clear(struct path_limit *l)
{
    clear(l, true);
}

void path_limit_clear_hidden(struct path_limit *l)
{
    clear(l, false);
}
