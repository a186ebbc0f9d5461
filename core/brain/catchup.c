/* Catching up after boot or sleep: control channels only, until somebody shows where the clan is
 * (SECURITY D2). */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "brain/brain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* When this boot began by the wall clock, and how long it slept: tells a restart of ours from a
 * gap. */
struct awake {
    int64_t boot_wall;
    uint64_t slept_ms;
};

static struct awake now_awake(void)
{
    uint64_t boot = clock_boot_ms(), mono = clock_mono_ms();
    return (struct awake){clock_wall_s() - (int64_t)(boot / 1000), boot - mono};
}

static void remember(struct brain *b)
{
    struct awake a = now_awake();
    char text[80];
    int n = snprintf(
        text, sizeof text, "%lld %llu\n", (long long)a.boot_wall, (unsigned long long)a.slept_ms);
    file_write_durable(b->state_fd, "awake", text, (size_t)n, 0600, NULL);
}

static bool no_gap(struct brain *b)
{
    struct awake a = now_awake();
    uint8_t *data;
    size_t size;
    long long wall;
    unsigned long long slept;
    if (file_read(b->state_fd, "awake", 80, &data, &size, NULL) != CLAN_OK)
        return false;
    bool ok = sscanf((const char *)data, "%lld %llu", &wall, &slept) == 2;
    free(data);
    return ok && llabs(wall - a.boot_wall) < 60 && slept + 2000 > a.slept_ms;
}

/* A clan of one, and a sole keeper, are their own authority. */
static bool own_authority(struct brain *b)
{
    unsigned others = 0, other_keepers = 0;
    const struct member_machine *self = brain_self(b);
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m == self || m->standing != MEMBER_CONFIRMED || m->phone)
            continue;
        others++;
        other_keepers += m->keeper;
    }
    return others == 0 || (self && self->keeper && other_keepers == 0);
}

static void done(struct brain *b, const char *why)
{
    if (b->catching_up)
        log_info("caught up: %s", why);
    b->catching_up = false;
    b->stale_open = false;
    gossip_catching_up(b->gossip, false);
    gossip_hold(b->gossip, false);
    remember(b);
    brain_soon(b);
}

void catchup_caught(struct brain *b)
{
    done(b, "a keeper or two members stand behind a newer configuration");
}

void catchup_begin(struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    if (!b->bound || !self || self->standing != MEMBER_CONFIRMED || own_authority(b))
        return;
    log_info("this machine was away: catching up before anything else");
    b->catching_up = true;
    b->stale_open = false;
    b->catching_since_ms = brain_now();
    b->catching_heads = 0;
    gossip_hold(b->gossip, true); /* who is known now vouches; what is heard waits (SECURITY C5) */
    gossip_catching_up(b->gossip, true);
    peers_nudge(b);
}

void catchup_start(struct brain *b)
{
    if (no_gap(b)) {
        remember(b);
        return;
    }
    catchup_begin(b);
    if (!b->catching_up)
        remember(b);
}

void catchup_head(struct brain *b, struct session *s, const clan_peer_Head *head)
{
    const uint8_t *id;
    const struct stmt_envelope *env;
    const struct member_machine *m = member_find(b->set, s->machine);
    enum stage_who known = gossip_held_who(b->gossip, s->machine);
    if (!b->catching_up && !b->stale_open)
        return;
    if (known == STAGE_UNKNOWN || !m || m->standing != MEMBER_CONFIRMED || head->catching_up)
        return;
    gossip_shown(b->gossip, s->machine, head->config_version, head->config_id, brain_now());
    if (!b->catching_up && !b->stale_open)
        return; /* that was it: catchup_caught() */
    /* whoever is ahead of us is heard again when others have shown the same */
    if (head->config_version != member_head(b->set, &id, &env) || !id ||
        memcmp(head->config_id, id, 32) != 0)
        return;
    if (known == STAGE_KEEPER) {
        done(b, "a keeper shows the same head");
        return;
    }
    for (unsigned i = 0; i < b->catching_heads; i++)
        if (memcmp(b->catching_from[i], m->id, 32) == 0)
            return;
    if (b->catching_heads < 2)
        memcpy(b->catching_from[b->catching_heads++], m->id, 32);
    if (b->catching_heads == 2)
        done(b, "two members show the same head");
}

void catchup_tick(struct brain *b)
{
    if (!b->catching_up || b->stale_open || brain_now() - b->catching_since_ms < BRAIN_STALE_MS)
        return;
    if (b->grants_ok && b->grants.stale == GRANT_STALE_CLOSED)
        return;
    log_warn("nobody who knows the clan is reachable: going on as it was known (stale: open)");
    b->catching_up = false;
    b->stale_open = true;
    gossip_catching_up(b->gossip, false);
    brain_soon(b);
}
