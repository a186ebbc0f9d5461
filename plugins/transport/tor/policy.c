/* Back-off of tor and of machines that are off. */
#include "policy.h"

#include <stdio.h>
#include <string.h>

#define WORTH_MS 500 /* no way through Tor is quicker */

static uint64_t doubled(uint64_t first, uint64_t most, unsigned times)
{
    while (times-- && first < most)
        first *= 2;
    return first < most ? first : most;
}

uint64_t policy_restart(struct policy_restart *r, uint64_t life_ms)
{
    if (life_ms >= POLICY_RESTART_MAX_MS)
        r->failures = 0;
    return doubled(POLICY_RESTART_MS, POLICY_RESTART_MAX_MS, r->failures++);
}

static const struct policy_peer *find(const struct policy_peers *p, const char *address)
{
    for (unsigned i = 0; i < POLICY_PEERS_MAX; i++)
        if (strcmp(p->rows[i].address, address) == 0)
            return &p->rows[i];
    return NULL;
}

uint64_t policy_peer_wait(const struct policy_peers *p, const char *address, uint64_t now_ms)
{
    const struct policy_peer *row = find(p, address);
    return row && row->until_ms > now_ms ? row->until_ms - now_ms : 0;
}

void policy_peer_off(struct policy_peers *p, const char *address, uint64_t now_ms)
{
    struct policy_peer *row = (struct policy_peer *)(uintptr_t)find(p, address);
    for (unsigned i = 0; i < POLICY_PEERS_MAX && !row; i++)
        if (!p->rows[i].address[0])
            row = &p->rows[i];
    for (unsigned i = 0; i < POLICY_PEERS_MAX && !row; i++)
        if (p->rows[i].until_ms <= now_ms)
            row = &p->rows[i];
    if (!row)
        return; /* 256 are waited for: one more may be tried as often as core likes */
    if (strcmp(row->address, address) != 0) {
        *row = (struct policy_peer){0};
        snprintf(row->address, sizeof row->address, "%s", address);
    }
    row->until_ms = now_ms + doubled(POLICY_OFF_MS, POLICY_OFF_MAX_MS, row->failures++);
}

void policy_peer_on(struct policy_peers *p, const char *address)
{
    struct policy_peer *row = (struct policy_peer *)(uintptr_t)find(p, address);
    if (row && address[0])
        *row = (struct policy_peer){0};
}

void policy_peers_forget(struct policy_peers *p)
{
    *p = (struct policy_peers){0};
}

#define RELAY_ANSWERED 15 /* "handshake_done" */

bool policy_stuck(unsigned progress, uint64_t since_ms)
{
    return progress < 100 &&
           since_ms >= (progress < RELAY_ANSWERED ? POLICY_NO_RELAY_MS : POLICY_STUCK_MS);
}

uint64_t policy_own(struct policy_own *o, bool answered, bool *ret_publish)
{
    *ret_publish = false;
    if (answered) {
        o->failures = 0;
        return POLICY_OWN_MS;
    }
    o->failures++;
    *ret_publish = o->failures >= POLICY_OWN_FAILURES;
    return doubled(POLICY_OWN_AGAIN_MS, POLICY_OWN_MS, o->failures - 1);
}

uint64_t policy_attempt(uint64_t now_ms, uint64_t deadline_ms)
{
    uint64_t left = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    if (left < WORTH_MS)
        return 0;
    return left < POLICY_ATTEMPT_MS ? left : POLICY_ATTEMPT_MS;
}
