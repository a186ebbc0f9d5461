/* A made-up network of machines that run the real membership code: seeded delays, breaks and
 * crashes. */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "../unit/member_fixture.h"
#include "member/gossip.h"

#define WORLD_NODES 96
#define WORLD_LINKS 1024

struct world;
struct node {
    struct world *w;
    unsigned index;
    struct fx_machine key;
    struct member_set *m; /* NULL: down */
    struct gossip *g;
    uint64_t next_tick, joined_ms;
    bool exists, rogue, removed, joining, settled;
    unsigned part; /* of the network */
    uint64_t seq, revision;
    /* what its disk holds: size (u32) and bytes, one after another */
    uint8_t *log;
    size_t log_size, log_cap;
    unsigned torn_next; /* crash in the middle of the n-th store from now */
    /* seen, for invariants; survives a restart */
    uint64_t head_seen;
    bool revoked_seen[WORLD_NODES];
    /* counted */
    unsigned changed, introduced, drops;
    clan_status drop_why;
    char drop_text[160];
    uint8_t body[400000];
    size_t body_size;
    bool lies; /* hands out damaged bodies */
    bool held; /* it catches up, and nobody stood behind a newer chain yet */
    void (*head_told)(struct node *n);
};
struct link {
    uint32_t id;
    bool open;
    unsigned a, b;
    uint64_t busy_until[2]; /* in order, per direction */
    size_t in_flight[2];
};
struct packet {
    uint64_t at, order;
    uint32_t link;
    unsigned to;
    uint8_t *data;
    size_t size;
};
struct world {
    struct fx f;
    uint64_t now, order;
    uint32_t rng;
    unsigned delay_ms, break_per_mille; /* of packets that end their connection */
    struct node *nodes[WORLD_NODES];
    unsigned count;
    struct link links[WORLD_LINKS];
    uint32_t next_link;
    struct packet *heap;
    size_t heap_count, heap_cap;
    uint64_t version; /* newest envelope */
    size_t packets, bytes;
    bool keeper_off;
    void (*check)(struct world *w, struct node *n); /* after everything that happens to a machine */
};

void world_open(struct world *w, uint32_t seed, unsigned admins, unsigned threshold);
void world_close(struct world *w);
uint32_t world_random(struct world *w, uint32_t below);
struct node *world_node(struct world *w); /* a new machine, not in the clan */
void node_start(struct node *n);          /* loads its log */
void node_crash(struct node *n);
/* Woken after a sleep, as clan-core does it; it ends by itself when others stand behind a chain. */
void node_hold(struct node *n, bool hold);
clan_status node_publish(struct node *n, struct fx_stmt s);
/* Opens a connection; kinds follow from who knows whom.  0: not possible. */
uint32_t world_connect(struct world *w, struct node *a, struct node *b);
void world_disconnect(struct world *w, uint32_t link);
bool world_connected(const struct world *w, const struct node *a, const struct node *b);
/* joiner asks door with an invitation */
clan_status world_join(
    struct world *w, struct node *joiner, struct node *door, const struct fx_invite *in);
void world_run(struct world *w, uint64_t ms);
void world_mesh(struct world *w, unsigned links); /* each node keeps so many */
struct node *world_member(struct world *w, const uint8_t id[32]);
bool world_agreed(struct world *w, bool say);

#endif
