/*
 * Simulator of membership: machines join, are invited and removed while the network delays, breaks
 * and splits, and machines crash, also in the middle of a write.  Invariants after everything that
 * happens:
 *   - no machine that was not admitted is CONFIRMED anywhere
 *   - the configuration never goes back, also over a restart
 *   - who is removed stays removed on every machine that heard of it
 * and after healing: all sets and standings are the same.
 *   sim [--seed N] [--machines N] [--steps N] [--seconds N]
 */
#include "base/error.h"
#include "world.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static uint32_t seed;
static uint32_t total_steps;

static void fail(const struct world *w, const struct node *n, const char *what)
{
    fprintf(stderr, "INVARIANT BROKEN: %s (machine %u, %llu ms)\nreproduce: sim --seed %u\n", what,
        n ? n->index : 0, (unsigned long long)w->now, seed);
    exit(1);
}

static void check(struct world *w, struct node *n)
{
    uint64_t head = member_head(n->m, NULL, NULL);
    if (head < n->head_seen)
        fail(w, n, "the configuration went back");
    n->head_seen = head;
    for (size_t i = 0; i < member_count(n->m); i++) {
        const struct member_machine *x = member_at(n->m, i);
        const struct node *who = world_member(w, x->id);
        if (!who)
            fail(w, n, "a machine that does not exist");
        if (who->rogue && x->standing == MEMBER_CONFIRMED)
            fail(w, n, "a machine that was not admitted is confirmed");
        if (n->revoked_seen[who->index] && x->standing != MEMBER_REVOKED)
            fail(w, n, "a removed machine came back");
        if (x->standing == MEMBER_REVOKED && !who->removed)
            fail(w, n, "a machine is removed that nobody removed");
        n->revoked_seen[who->index] |= x->standing == MEMBER_REVOKED;
    }
    if (member_chain_stopped(n->m))
        fail(w, n, "a rival of the tip");
}

static bool is_member(const struct node *n)
{
    const struct member_machine *x = n->m ? member_find(n->m, n->key.id) : NULL;
    return x && x->standing == MEMBER_CONFIRMED && !n->removed;
}

static struct node *pick_member(struct world *w)
{
    for (unsigned tries = 0; tries < 50; tries++) {
        struct node *n = w->nodes[world_random(w, w->count)];
        if (is_member(n) && !n->joining)
            return n;
    }
    return NULL;
}

/* The last invitation of each attempt to join, for links that leak. */
static struct fx_invite invites[WORLD_NODES];

static void event_join(struct world *w, unsigned max)
{
    struct node *door = pick_member(w);
    if (!door || w->count >= max || member_head(door->m, NULL, NULL) < w->version)
        return; /* the admin signs where the newest version is */
    struct node *n = world_node(w);
    struct fx_invite *in = &invites[n->index];
    fx_invite(&w->f, in, 1, w->version, 1);
    if (node_publish(door, in->stmt) != CLAN_OK || world_join(w, n, door, in) != CLAN_OK)
        n->rogue = !n->joining; /* refused: stays out; when its door died it asks again */
    else
        n->exists = true;
    n->exists |= n->joining;
}

/* Joiners go on as ordinary machines after a while. */
static void event_settle(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = w->nodes[i];
        if (!n->joining || !n->m || w->now - n->joined_ms < 2000)
            continue;
        for (unsigned k = 0; k < WORLD_LINKS; k++)
            if (w->links[k].open && (w->links[k].a == i || w->links[k].b == i))
                world_disconnect(w, w->links[k].id);
        if (!member_find(n->m, n->key.id)) { /* its connection broke: asks again, elsewhere */
            struct node *door = pick_member(w);
            if (door && world_join(w, n, door, &invites[i]) == CLAN_E_WITHDRAWN)
                n->exists = n->joining = false; /* a removal closed its invitation meanwhile */
            continue;
        }
        n->joining = false;
    }
}

static void event_remove(struct world *w)
{
    struct node *n = pick_member(w), *at = pick_member(w);
    if (!n || !at || n->index == 0 || at == n || member_head(at->m, NULL, NULL) < w->version)
        return;
    n->removed = true;
    if (node_publish(at, fx_removal(&w->f, &n->key, w->version, 3)) != CLAN_OK)
        n->removed = false; /* its disk died under it */
    else if (member_find(at->m, n->key.id) &&
             member_find(at->m, n->key.id)->standing != MEMBER_REVOKED)
        fail(w, at, "a removal without effect");
}

static void event_version(struct world *w)
{
    struct node *at = pick_member(w);
    if (!at || w->version >= 30 || member_head(at->m, NULL, NULL) < w->version)
        return;
    w->version++;
    struct stmt_envelope b = fx_envelope_body(&w->f, w->version, 7, 2, w->nodes[0]->key.id);
    w->f.v[w->version] = fx_envelope(&w->f, &b, 3);
    if (node_publish(at, w->f.v[w->version]) != CLAN_OK)
        w->version--; /* its disk died under it: the same will be signed again */
}

/* A removed machine opens its door with an old link, dated back, and signs a receipt for good
 * measure. */
static void event_rogue(struct world *w)
{
    struct node *door = NULL, *at = pick_member(w);
    for (unsigned i = 1; i < w->count; i++)
        if (w->nodes[i]->removed && world_random(w, 3) == 0)
            door = w->nodes[i];
    if (!door || !at || w->count >= WORLD_NODES - 1)
        return;
    const struct member_machine *x = member_find(at->m, door->key.id);
    if (!x || x->standing != MEMBER_REVOKED)
        return; /* gossip has no time: before this machine heard of it, it could not know */
    struct node *rogue = world_node(w);
    struct fx_invite in;
    rogue->rogue = true;
    fx_invite(&w->f, &in, 1, 2, 1);
    struct fx_stmt a = fx_admission(&w->f, &door->key, &in, &rogue->key, FX_NOW - 5000);
    (void)node_publish(at, in.stmt);
    (void)node_publish(at, a);
    (void)node_publish(at, fx_receipt(&w->f, &door->key, 0, &in, &rogue->key, &a, 1, 1));
    (void)node_publish(at, fx_receipt(&w->f, NULL, 4, &in, &rogue->key, &a, 1, 1));
}

static void event_record(struct world *w)
{
    struct node *n = pick_member(w);
    if (!n)
        return;
    uint64_t seq = member_find(n->m, n->key.id)->record_seq + 1;
    (void)node_publish(n, fx_record(&w->f, &n->key, seq, FX_NOW));
    (void)node_publish(n, fx_ack(&w->f, &n->key, seq, w->version));
}

static void event_network(struct world *w)
{
    switch (world_random(w, 4)) {
    case 0: /* a split in two, or whole again */
        for (unsigned i = 0; i < w->count; i++)
            w->nodes[i]->part = world_random(w, 2);
        break;
    case 1:
        for (unsigned i = 0; i < w->count; i++)
            w->nodes[i]->part = 0;
        break;
    case 2:
        w->delay_ms = 1 + world_random(w, 400);
        break;
    default:
        w->break_per_mille = world_random(w, 30);
        break;
    }
    for (unsigned i = 0; i < WORLD_LINKS; i++) {
        struct link *l = &w->links[i];
        if (l->open && w->nodes[l->a]->part != w->nodes[l->b]->part)
            world_disconnect(w, l->id);
    }
}

static void event_crash(struct world *w)
{
    struct node *n = w->nodes[world_random(w, w->count)];
    if (n->rogue || !n->exists || n->joining)
        return;
    if (!n->m)
        node_start(n);
    else if (world_random(w, 2))
        node_crash(n);
    else
        n->torn_next = 1 + world_random(w, 3);
}

static void revive(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = w->nodes[i];
        if (n->m && n->torn_next > UINT32_MAX / 2)
            node_crash(n);
        if (!n->m && n->exists && !n->rogue)
            node_start(n);
        n->torn_next = 0;
        n->part = 0;
    }
}

static void heal(struct world *w)
{
    w->delay_ms = 20;
    w->break_per_mille = 0;
    revive(w);
    for (unsigned i = 0; i < 200; i++) {
        event_settle(w);
        revive(w);
        world_mesh(w, 4);
        world_run(w, 3000);
        if (i > 2 && world_agreed(w, false))
            return;
        if (i % 10 == 9) /* who is connected changes, as it does */
            for (unsigned k = 0; k < WORLD_LINKS; k++)
                if (w->links[k].open)
                    world_disconnect(w, w->links[k].id);
    }
    (void)world_agreed(w, true);
    fail(w, NULL, "sets do not converge after healing");
}

static void check_same_standings(struct world *w)
{
    const struct node *ref = w->nodes[0];
    for (unsigned i = 1; i < w->count; i++) {
        struct node *n = w->nodes[i];
        if (!is_member(n))
            continue;
        if (member_count(n->m) != member_count(ref->m))
            fail(w, n, "another number of machines");
        for (size_t k = 0; k < member_count(ref->m); k++) {
            const struct member_machine *a = member_at(ref->m, k);
            const struct member_machine *b = member_find(n->m, a->id);
            if (!b || b->standing != a->standing || b->record_seq != a->record_seq)
                fail(w, n, "another standing");
        }
    }
    for (unsigned i = 0; i < w->count; i++) {
        const struct node *n = w->nodes[i];
        const struct member_machine *x = member_find(ref->m, n->key.id);
        if (n->removed && x && x->standing != MEMBER_REVOKED)
            fail(w, n, "a removed machine is not removed");
    }
}

static void run(unsigned machines, unsigned steps)
{
    struct world *w = malloc(sizeof *w);
    unsigned members = 0, removed = 0, rogues = 0;
    clan_assert(w);
    world_open(w, seed, 3, 2);
    w->check = check;
    for (unsigned step = 0; step < steps; step++) {
        switch (world_random(w, 12)) {
        case 0:
        case 1:
        case 2:
        case 3:
            event_join(w, machines);
            break;
        case 4:
            if (world_random(w, 4) == 0)
                event_remove(w);
            break;
        case 5:
            event_version(w);
            break;
        case 6:
            event_rogue(w);
            break;
        case 7:
        case 8:
            event_record(w);
            break;
        case 9:
            event_network(w);
            break;
        default:
            event_crash(w);
            break;
        }
        event_settle(w);
        world_mesh(w, 3);
        world_run(w, 500 + world_random(w, 20000));
        w->now += world_random(w, 3) ? 0 : 3600000; /* nights go by */
        total_steps++;
    }
    heal(w);
    check_same_standings(w);
    for (unsigned i = 0; i < w->count; i++) {
        members += is_member(w->nodes[i]);
        removed += w->nodes[i]->removed;
        rogues += w->nodes[i]->rogue;
    }
    printf("seed %u: %u steps, %u members, %u removed, %u rogues, version %llu, %zu statements, "
           "%zu packets, %zu KiB\n",
        seed, steps, members, removed, rogues, (unsigned long long)w->version,
        member_stmt_count(w->nodes[0]->m), w->packets, w->bytes >> 10);
    world_close(w);
    free(w);
}

int main(int argc, char **argv)
{
    unsigned machines = 0, steps = 0, seconds = 6;
    bool one = false;
    for (int i = 1; i + 1 < argc; i += 2) {
        unsigned v = (unsigned)strtoul(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--seed")) {
            seed = v;
            one = true;
        } else if (!strcmp(argv[i], "--machines"))
            machines = v;
        else if (!strcmp(argv[i], "--steps"))
            steps = v;
        else if (!strcmp(argv[i], "--seconds"))
            seconds = v;
        else
            return fprintf(stderr, "sim [--seed N] [--machines N] [--steps N] [--seconds N]\n"), 2;
    }
    if (sodium_init() < 0)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    time_t end = time(NULL) + seconds;
    if (!one)
        seed = 1; /* the same on every machine; more by --seconds */
    do {
        /* small ones often, a large one at times: the size follows from the seed */
        unsigned size = machines ? machines : seed % 6 == 5 ? 60 : 3 + seed * 7 % 22;
        run(size, steps ? steps : size * 5);
        seed++;
    } while (!one && time(NULL) < end);
    printf("%u steps without a broken invariant\n", total_steps);
    return 0;
}
