/* The timers of WireGuard's paper 6: an event and the time in, what to do out. */
#include "timers.h"

void wg_timers_reset(struct wg_timers *t, uint32_t persistent_ms)
{
    *t = (struct wg_timers){.persistent_ms = persistent_ms,
        .retry_at = WG_NEVER,
        .keepalive_at = WG_NEVER,
        .silence_at = WG_NEVER,
        .erase_at = WG_NEVER,
        .persistent_at = WG_NEVER};
}

void wg_timers_event(struct wg_timers *t, unsigned events, uint64_t now_ms, uint32_t jitter_ms)
{
    if (events & WG_EV_SENT)
        t->keepalive_at = WG_NEVER;
    if (events & WG_EV_RECEIVED)
        t->silence_at = WG_NEVER;
    /* 6.5: sent something, and no answer, not even a keep-alive: is the session still there? */
    if (events & WG_EV_DATA_SENT && t->silence_at == WG_NEVER)
        t->silence_at = now_ms + WG_KEEPALIVE_MS + WG_REKEY_TIMEOUT_MS + jitter_ms;
    /* 6.5: received something and said nothing: answer once, and once more if more came */
    if (events & WG_EV_DATA_RECEIVED) {
        if (t->keepalive_at == WG_NEVER)
            t->keepalive_at = now_ms + WG_KEEPALIVE_MS;
        else
            t->another = true;
    }
    if (events & WG_EV_INITIATED)
        t->retry_at = now_ms + WG_REKEY_TIMEOUT_MS + jitter_ms; /* 6.4 */
    if (events & WG_EV_COMPLETE) {
        t->retry_at = WG_NEVER;
        t->attempts = 0;
    }
    if (events & WG_EV_DERIVED)
        t->erase_at = now_ms + 3ull * WG_REJECT_AFTER_MS; /* 6.3 */
    if (events & (WG_EV_SENT | WG_EV_RECEIVED) && t->persistent_ms)
        t->persistent_at = now_ms + t->persistent_ms;
}

static bool due(uint64_t *at, uint64_t now_ms)
{
    if (*at > now_ms)
        return false;
    *at = WG_NEVER;
    return true;
}

static unsigned retry(struct wg_timers *t, uint64_t now_ms)
{
    if (t->attempts++ < WG_ATTEMPTS)
        return WG_DO_RETRY;
    t->attempts = 0;
    t->keepalive_at = WG_NEVER;
    if (t->erase_at == WG_NEVER)
        t->erase_at = now_ms + 3ull * WG_REJECT_AFTER_MS;
    return WG_DO_GIVE_UP;
}

unsigned wg_timers_due(struct wg_timers *t, uint64_t now_ms)
{
    unsigned todo = 0;
    if (due(&t->retry_at, now_ms))
        todo |= retry(t, now_ms);
    if (due(&t->keepalive_at, now_ms)) {
        todo |= WG_DO_KEEPALIVE;
        if (t->another)
            t->keepalive_at = now_ms + WG_KEEPALIVE_MS;
        t->another = false;
    }
    if (due(&t->silence_at, now_ms))
        todo |= WG_DO_HANDSHAKE;
    if (due(&t->persistent_at, now_ms))
        todo |= WG_DO_KEEPALIVE;
    if (due(&t->erase_at, now_ms))
        todo |= WG_DO_ERASE;
    return todo;
}

uint64_t wg_timers_next(const struct wg_timers *t)
{
    const uint64_t all[] = {
        t->retry_at, t->keepalive_at, t->silence_at, t->erase_at, t->persistent_at};
    uint64_t next = WG_NEVER;
    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] < next)
            next = all[i];
    return next;
}
