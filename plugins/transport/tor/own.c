/* Does our own place answer?  Tor may lose it without a word, so it is dialled through Tor, as others do. */
#include "tor.h"

#include <stdio.h>
#include <string.h>

#define BUSY_MS 10000

static void on_due(void *user);

static void again_in(struct tor *t, uint64_t ms)
{
    clan_timer_stop(t->host, t->own_timer);
    if (clan_timer_start(t->host, ms, on_due, t, &t->own_timer) != CLAN_OK)
        t->own_timer = 0;
}

static void on_due(void *user)
{
    struct tor *t = user;
    t->own_timer = 0;
    if (!t->ready || !t->members.there)
        return; /* own_uploaded() follows when it is published */
    if (t->health.offline || t->health.start.progress < 100 || !dial_own(t))
        again_in(t, BUSY_MS);
}

void own_uploaded(struct tor *t, const char *address)
{
    if (t->own_looks || !t->members.there || strcmp(address, t->members.address) != 0)
        return;
    t->own_looks = true;
    if (!t->own.failures || !t->own_timer) /* else it waits longer, and ever longer */
        again_in(t, t->own.failures ? POLICY_OWN_AGAIN_MS : POLICY_OWN_FIRST_MS);
}

void own_forget(struct tor *t)
{
    dial_own_end(t);
    clan_timer_stop(t->host, t->own_timer);
    t->own_timer = 0;
    t->own_looks = false;
}

void own_result(struct tor *t, bool answered, const char *why)
{
    bool publish, first = answered && !t->own_seen;
    uint64_t wait = policy_own(&t->own, answered, &publish);
    if (first)
        tor_log(t, CLAN_LOG_INFO, "this machine's own onion service answers");
    t->own_seen = answered;
    t->health.unfound = publish;
    snprintf(t->health.unfound_why, sizeof t->health.unfound_why, "%s", why);
    if (publish)
        service_publish(t, &t->members);
    again_in(t, wait);
    tor_tell_health(t);
}
