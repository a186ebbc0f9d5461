/* Does our tor get into its network?  One that found none at its start hardly looks again (measured). */
#include "tor.h"

#include <string.h>

#define TICK_MS 2000

static void on_tick(void *user);

static void tick_later(struct tor *t)
{
    if (clan_timer_start(t->host, TICK_MS, on_tick, t, &t->watch_timer) != CLAN_OK)
        t->watch_timer = 0;
}

static void on_tick(void *user)
{
    struct tor *t = user;
    uint64_t now = tor_now_ms();
    unsigned progress = t->health.start.progress;
    t->watch_timer = 0;
    if (!t->ready || progress == 100)
        return;
    if (progress != t->watch_progress) {
        t->watch_progress = progress;
        t->watch_since_ms = now;
    }
    t->health.stalled = now - t->watch_since_ms >= POLICY_STALLED_MS;
    if (policy_stuck(progress, now - t->watch_since_ms)) {
        child_restart(t, "it gets no connection; see that this computer is online");
        return;
    }
    tor_tell_health(t);
    tick_later(t);
}

void watch_begin(struct tor *t)
{
    watch_end(t);
    t->watch_progress = 0;
    t->watch_since_ms = tor_now_ms();
    tick_later(t);
}

void watch_end(struct tor *t)
{
    clan_timer_stop(t->host, t->watch_timer);
    t->watch_timer = 0;
}

/* Another network: who waits for it need not wait any longer. */
void watch_addresses(struct tor *t, const uint8_t *addresses, uint32_t count)
{
    size_t size = (count < TOR_ADDRESSES_MAX ? count : TOR_ADDRESSES_MAX) * (size_t)16;
    if (size == t->addresses_size && memcmp(addresses, t->addresses, size) == 0)
        return;
    memcpy(t->addresses, addresses, size);
    t->addresses_size = size;
    policy_peers_forget(&t->off);
    if (t->again_timer || (t->ready && t->health.stalled))
        child_now(t);
}
