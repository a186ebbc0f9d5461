/* The best path by order and health carries packets; a better one has to prove itself first. */
#include "path/choice.h"

#include <stdio.h>
#include <string.h>

unsigned path_order_rank(const struct path_order *order, const char *transport)
{
    unsigned i = 0;
    while (i < order->count && strcmp(order->names[i], transport) != 0)
        i++;
    return i;
}

/* ---- candidates ---- */

static struct path_candidate *find(struct path_choice *c, const char *transport)
{
    for (unsigned i = 0; transport[0] && i < CONFIG_TRANSPORTS_MAX; i++)
        if (strcmp(c->candidates[i].transport, transport) == 0)
            return &c->candidates[i];
    return NULL;
}

static struct path_candidate *by_session(struct path_choice *c, uint32_t session)
{
    for (unsigned i = 0; session && i < CONFIG_TRANSPORTS_MAX; i++)
        if (c->candidates[i].session == session)
            return &c->candidates[i];
    return NULL;
}

const struct path_candidate *path_choice_find(const struct path_choice *c, const char *transport)
{
    return find((struct path_choice *)(uintptr_t)c, transport);
}

const struct path_candidate *path_choice_session(const struct path_choice *c, uint32_t session)
{
    return by_session((struct path_choice *)(uintptr_t)c, session);
}

/* A place for a transport: a free one, else of one that is not connected. */
static struct path_candidate *get(struct path_choice *c, const char *transport, uint64_t now_ms)
{
    struct path_candidate *p = find(c, transport), *old = NULL;
    if (p)
        return p;
    for (unsigned i = 0; !p && i < CONFIG_TRANSPORTS_MAX; i++) {
        struct path_candidate *q = &c->candidates[i];
        if (!q->transport[0])
            p = q;
        else if (!q->session && !q->dial.busy)
            old = q;
    }
    p = p ? p : old;
    if (!p)
        return NULL;
    *p = (struct path_candidate){.missing_ms = now_ms};
    snprintf(p->transport, sizeof p->transport, "%s", transport);
    return p;
}

uint64_t path_choice_patience_ms(const struct path_candidate *p)
{
    unsigned shift = p->strikes < 16 ? p->strikes : 16;
    uint64_t ms = (uint64_t)PATH_PROVE_MS << shift;
    return ms < PATH_PROVE_MAX_MS ? ms : PATH_PROVE_MAX_MS;
}

static bool proven(const struct path_candidate *p, uint64_t now_ms)
{
    return p->session && p->answers >= PATH_PROVE_ANSWERS &&
           now_ms - p->answered_ms <= PATH_GAP_MS &&
           now_ms - p->proving_ms >= path_choice_patience_ms(p);
}

/* ---- what happened ---- */

void path_choice_up(struct path_choice *c, const char *transport, const char *via, uint32_t session,
    bool ours, uint64_t now_ms)
{
    struct path_candidate *p = get(c, transport, now_ms);
    if (!p)
        return;
    p->session = session;
    p->ours = ours;
    p->up_ms = p->proving_ms = now_ms;
    p->answered_ms = p->answers = 0;
    p->rtt_us = 0;
    snprintf(p->via, sizeof p->via, "%s", via);
    path_connected(&p->dial);
}

/* It carries no more. */
static void stops(struct path_candidate *p, uint64_t now_ms)
{
    if (p->carries_ms && now_ms - p->carries_ms >= PATH_FORGET_MS)
        p->strikes = 0;
    p->carries_ms = 0;
}

/* It was reached and failed: a quarter of a second the first time, then twice as long each time. */
static uint64_t pause_ms(const struct path_candidate *p)
{
    unsigned shift = p->strikes > 16 ? 16 : p->strikes ? p->strikes - 1 : 0;
    uint64_t ms = (uint64_t)PATH_BACKOFF_FIRST_MS << shift;
    return ms < PATH_RETRY_MAX_MS ? ms : PATH_RETRY_MAX_MS;
}

void path_choice_down(struct path_choice *c, uint32_t session, bool failed, uint64_t now_ms)
{
    struct path_candidate *p = by_session(c, session);
    if (c->carries == session)
        c->carries = 0;
    if (!p)
        return;
    stops(p, now_ms);
    if (failed)
        p->strikes++;
    p->session = 0;
    p->missing_ms = now_ms;
    p->dial = (struct path_dial){.not_before_ms = failed ? now_ms + pause_ms(p) : 0};
}

void path_choice_answered(struct path_choice *c, uint32_t session, uint32_t rtt_us, uint64_t now_ms)
{
    struct path_candidate *p = by_session(c, session);
    if (!p)
        return;
    if (p->answers && now_ms - p->answered_ms > PATH_GAP_MS)
        p->answers = 0;
    if (p->answers == 0)
        p->proving_ms = now_ms;
    p->answers++;
    p->answered_ms = now_ms;
    p->rtt_us = rtt_us;
}

static void remember(
    struct path_choice *c, const char *from, const char *to, enum path_why why, int64_t wall)
{
    struct path_event *e = &c->history[c->event_count++ % PATH_HISTORY];
    *e = (struct path_event){.wall = wall, .why = why};
    snprintf(e->from, sizeof e->from, "%s", from);
    snprintf(e->to, sizeof e->to, "%s", to);
}

void path_choice_carries(
    struct path_choice *c, uint32_t session, enum path_why why, uint64_t now_ms, int64_t wall)
{
    if (c->carries == session && session)
        return;
    struct path_candidate *to = by_session(c, session), *from = NULL;
    for (unsigned i = 0; i < CONFIG_TRANSPORTS_MAX; i++)
        if (c->candidates[i].carries_ms)
            from = &c->candidates[i];
    remember(c, from ? from->transport : "", to ? to->transport : "", why, wall);
    if (from)
        stops(from, now_ms);
    c->carries = session;
    if (to)
        to->carries_ms = now_ms ? now_ms : 1;
}

void path_choice_dial_failed(struct path_choice *c, const char *transport,
    const struct stmt_record *r, uint32_t jitter, uint64_t now_ms)
{
    struct path_order one = {.count = 1};
    struct path_candidate *p = find(c, transport);
    if (!p || p->session)
        return;
    snprintf(one.names[0], sizeof one.names[0], "%s", transport);
    path_failed(&p->dial, r, &one, jitter, now_ms);
    uint64_t most = (now_ms - p->missing_ms) / 4;
    most = most < PATH_RETRY_MIN_MS   ? PATH_RETRY_MIN_MS
           : most > PATH_RETRY_MAX_MS ? PATH_RETRY_MAX_MS
                                      : most;
    if (p->dial.not_before_ms > now_ms + most)
        p->dial.not_before_ms = now_ms + most;
    /* path_failed() stops at half a minute; what is missing for long is asked less often */
    if (p->dial.failures > 7 && p->dial.not_before_ms < now_ms + most)
        p->dial.not_before_ms = now_ms + most;
}

void path_choice_nudge(struct path_choice *c)
{
    for (unsigned i = 0; i < CONFIG_TRANSPORTS_MAX; i++)
        path_nudge(&c->candidates[i].dial);
}

/* ---- what to do ---- */

static bool has_endpoint(const struct stmt_record *r, const char *transport)
{
    for (unsigned i = 0; i < r->endpoint_count; i++)
        if (strcmp(r->endpoints[i].transport, transport) == 0)
            return true;
    return false;
}

static bool try(struct path_choice *c, const struct stmt_record *r, const char *transport,
    bool first, uint64_t now_ms, struct path_step *ret)
{
    struct path_order one = {.count = 1};
    uint64_t at;
    struct path_candidate *p = get(c, transport, now_ms);
    if (!p || p->session || (!first && now_ms - p->missing_ms < PATH_YIELD_MS))
        return false;
    snprintf(one.names[0], sizeof one.names[0], "%s", transport);
    const char *name;
    if (!path_next(&p->dial, r, &one, now_ms, &at, &name, &ret->endpoint))
        return false;
    ret->act = PATH_DIAL;
    ret->transport = p->transport;
    return true;
}

/* More than the path in use, the better ones and one spare is not kept. */
static bool surplus(const struct path_choice *c, const struct path_order *order, unsigned spare,
    struct path_step *ret)
{
    for (unsigned i = 0; i < CONFIG_TRANSPORTS_MAX; i++) {
        const struct path_candidate *p = &c->candidates[i];
        if (p->session && p->session != c->carries && p->ours &&
            path_order_rank(order, p->transport) > spare) {
            *ret = (struct path_step){.act = PATH_CLOSE, .session = p->session};
            return true;
        }
    }
    return false;
}

struct path_step path_choice_step(struct path_choice *c, const struct stmt_record *r,
    const struct path_order *order, uint64_t now_ms)
{
    struct path_step step = {.act = PATH_NOTHING};
    const struct path_candidate *now = by_session(c, c->carries);
    if (!now)
        return step;
    unsigned at = path_order_rank(order, now->transport), spare = order->count;
    bool first = now->ours;
    for (unsigned i = 0; i < order->count && i < at; i++) {
        const struct path_candidate *p = find(c, order->names[i]);
        if (p && proven(p, now_ms)) {
            step.act = PATH_USE;
            step.session = p->session;
            return step;
        }
        if (try(c, r, order->names[i], first, now_ms, &step))
            return step;
    }
    for (unsigned i = at + 1; i < order->count; i++) {
        const struct path_candidate *p = find(c, order->names[i]);
        if (!(p && p->session) && !has_endpoint(r, order->names[i]))
            continue;
        spare = i;
        if (try(c, r, order->names[i], first, now_ms, &step))
            return step;
        break;
    }
    surplus(c, order, spare, &step);
    return step;
}

bool path_choice_leads(const struct path_choice *c, const char *control, uint64_t now_ms)
{
    const struct path_candidate *now = path_choice_session(c, c->carries);
    return now && now->ours && strcmp(now->transport, control) != 0 &&
           now_ms - now->carries_ms >= PATH_FOLLOW_MS;
}

/* ---- in words ---- */

const char *path_why_text(enum path_why why)
{
    static const char *const words[PATH_WHYS] = {"the first that answered",
        "preferred, and it answers again", "the other one passed nothing any more",
        "the other one was closed", "none is left"};
    return why < PATH_WHYS ? words[why] : "";
}

void path_choice_why(const struct path_choice *c, const struct path_order *order, uint64_t now_ms,
    char *ret_text, size_t cap)
{
    const struct path_candidate *now = path_choice_session(c, c->carries);
    const struct path_candidate *better = NULL;
    unsigned rank = now ? path_order_rank(order, now->transport) : 0;
    ret_text[0] = 0;
    for (unsigned i = 0; i < rank && i < order->count && !better; i++)
        better = path_choice_find(c, order->names[i]);
    if (!now || rank >= order->count)
        return;
    if (rank == 0)
        snprintf(ret_text, cap, "%s", order->count > 1 ? "preferred" : "");
    else if (!better)
        snprintf(ret_text, cap, "the machine is not reached by %s", order->names[0]);
    else if (better->session)
        snprintf(ret_text, cap, "%s answers again and is being watched for %u s", better->transport,
            (unsigned)(path_choice_patience_ms(better) / 1000));
    else
        snprintf(ret_text, cap, "%s has not answered for %llu s", better->transport,
            (unsigned long long)(now_ms - better->missing_ms) / 1000);
}
