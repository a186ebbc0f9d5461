/* A made-up network of machines that run the real membership code: seeded delays, breaks and
 * crashes. */
#include "world.h"
#include "base/error.h"
#include "noise/keys.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_MAX 65536

uint32_t world_random(struct world *w, uint32_t below)
{
    /* xorshift32: the same on every machine */
    w->rng ^= w->rng << 13;
    w->rng ^= w->rng >> 17;
    w->rng ^= w->rng << 5;
    return below ? w->rng % below : 0;
}

static struct link *link_find(struct world *w, uint32_t id)
{
    struct link *l = &w->links[id % WORLD_LINKS];
    return l->open && l->id == id ? l : NULL;
}

/* ---- packets ---- */
static bool earlier(const struct packet *a, const struct packet *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void heap_push(struct world *w, struct packet p)
{
    if (w->heap_count == w->heap_cap) {
        w->heap_cap = w->heap_cap ? w->heap_cap * 2 : 1024;
        w->heap = realloc(w->heap, w->heap_cap * sizeof *w->heap);
        clan_assert(w->heap);
    }
    size_t i = w->heap_count++;
    while (i > 0 && earlier(&p, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = p;
}

static struct packet heap_pop(struct world *w)
{
    struct packet top = w->heap[0], last = w->heap[--w->heap_count];
    size_t i = 0;
    for (;;) {
        size_t k = 2 * i + 1;
        if (k >= w->heap_count)
            break;
        if (k + 1 < w->heap_count && earlier(&w->heap[k + 1], &w->heap[k]))
            k++;
        if (!earlier(&w->heap[k], &last))
            break;
        w->heap[i] = w->heap[k];
        i = k;
    }
    w->heap[i] = last;
    return top;
}

/* ---- what gossip asks of its machine ---- */
static bool op_send(void *arg, uint32_t session, const clan_peer_PeerMsg *msg)
{
    static uint8_t buf[65536];
    struct node *n = arg;
    struct world *w = n->w;
    struct link *l = link_find(w, session);
    if (!l)
        return true; /* into the void */
    unsigned dir = l->a == n->index ? 0 : 1;
    pb_ostream_t out = pb_ostream_from_buffer(buf, sizeof buf);
    clan_assert(pb_encode(&out, clan_peer_PeerMsg_fields, msg));
    if (l->in_flight[dir] + out.bytes_written > QUEUE_MAX && l->in_flight[dir] > 0)
        return false;
    struct packet p = {.link = session, .to = dir ? l->a : l->b, .size = out.bytes_written};
    p.data = malloc(p.size ? p.size : 1);
    clan_assert(p.data);
    memcpy(p.data, buf, p.size);
    uint64_t at = w->now + 1 + world_random(w, w->delay_ms);
    l->busy_until[dir] =
        at > l->busy_until[dir] ? at : l->busy_until[dir]; /* a stream keeps order */
    p.at = l->busy_until[dir];
    p.order = ++w->order;
    l->in_flight[dir] += p.size;
    w->packets++;
    w->bytes += p.size;
    heap_push(w, p);
    return true;
}

static bool op_store(void *arg, const uint8_t *raw, size_t size, const struct member_effect *effect)
{
    struct node *n = arg;
    (void)effect;
    uint32_t len = (uint32_t)size;
    if (n->log_size + size + 4 > n->log_cap) {
        n->log_cap = (n->log_cap + size + 4) * 2;
        n->log = realloc(n->log, n->log_cap);
        clan_assert(n->log);
    }
    memcpy(n->log + n->log_size, &len, 4);
    memcpy(n->log + n->log_size + 4, raw, size);
    if (n->torn_next > 0 && --n->torn_next == 0) {
        n->log_size += 4 + size / 2; /* half of it, and then nothing is acknowledged */
        n->torn_next = UINT32_MAX;
        return false;
    }
    if (n->torn_next > UINT32_MAX / 2) /* dead already, as far as its disk goes */
        return false;
    n->log_size += 4 + size;
    return true;
}

static void op_changed(void *arg, const struct member_effect *effect, uint32_t session)
{
    struct node *n = arg;
    (void)effect;
    (void)session;
    n->changed++;
    if (n->w->check)
        n->w->check(n->w, n);
}

static void op_introduced(void *arg, uint32_t session, const uint8_t machine_id[32])
{
    struct node *n = arg;
    (void)session;
    (void)machine_id;
    n->introduced++;
}

static void op_drop(void *arg, uint32_t session, clan_status why, const char *text)
{
    struct node *n = arg;
    n->drops++;
    n->drop_why = why;
    snprintf(n->drop_text, sizeof n->drop_text, "%s", text);
    /* what was sent before is delivered; then the connection ends */
    struct link *l = link_find(n->w, session);
    if (l) {
        struct packet p = {.link = session, .to = l->a == n->index ? l->b : l->a};
        p.at = l->busy_until[l->a == n->index ? 0 : 1] + 1;
        p.at = p.at > n->w->now ? p.at : n->w->now + 1;
        p.order = ++n->w->order;
        heap_push(n->w, p);
    }
}

static bool op_body_get(
    void *arg, const uint8_t hash[32], const uint8_t **ret_data, size_t *ret_size)
{
    struct node *n = arg;
    uint8_t own[32];
    if (n->body_size == 0)
        return false;
    crypto_generichash(own, 32, n->body, n->body_size, NULL, 0);
    if (memcmp(own, hash, 32) && !n->lies)
        return false;
    *ret_data = n->body;
    *ret_size = n->body_size;
    return true;
}

static bool op_body_put(void *arg, const uint8_t hash[32], const uint8_t *data, size_t size)
{
    struct node *n = arg;
    (void)hash;
    clan_assert(size <= sizeof n->body);
    memcpy(n->body, data, size);
    n->body_size = size;
    return true;
}

static void op_head(void *arg, uint32_t session, const clan_peer_Head *head)
{
    struct node *n = arg;
    if (n->head_told)
        n->head_told(n);
    const struct link *l = link_find(n->w, session);
    if (!n->held || !l || head->catching_up)
        return;
    const struct node *by = n->w->nodes[l->a == n->index ? l->b : l->a];
    gossip_shown(n->g, by->key.id, head->config_version, head->config_id, n->w->now);
}

static void op_caught(void *arg)
{
    node_hold(arg, false);
}

static uint32_t op_random(void *arg, uint32_t below)
{
    struct node *n = arg;
    return world_random(n->w, below);
}

static const struct gossip_ops ops = {op_send, op_store, op_changed, op_introduced, op_drop,
    op_body_get, op_body_put, op_head, op_caught, op_random};

/* ---- machines ---- */
struct node *world_node(struct world *w)
{
    clan_assert(w->count < WORLD_NODES);
    struct node *n = calloc(1, sizeof *n);
    clan_assert(n);
    n->w = w;
    n->index = w->count;
    fx_machine(&w->f, &n->key);
    w->nodes[w->count++] = n;
    return n;
}

void node_start(struct node *n)
{
    size_t at = 0;
    uint32_t len;
    n->m = member_new();
    n->g = gossip_new(n->m, n->key.id, &ops, n);
    clan_assert(n->m && n->g);
    n->torn_next = 0;
    while (at + 4 <= n->log_size) {
        memcpy(&len, n->log + at, 4);
        if (at + 4 + len > n->log_size)
            break; /* a torn tail */
        clan_assert(member_apply(n->m, n->log + at + 4, len, 0, NULL, NULL) == CLAN_OK ||
                    member_head(n->m, NULL, NULL) > 0);
        at += 4 + len;
    }
    n->log_size = at;
    n->next_tick = n->w->now;
    if (n->w->check)
        n->w->check(n->w, n);
}

void node_hold(struct node *n, bool hold)
{
    n->held = hold;
    gossip_catching_up(n->g, hold);
    gossip_hold(n->g, hold);
    n->next_tick = n->w->now;
}

void node_crash(struct node *n)
{
    for (uint32_t i = 0; i < WORLD_LINKS; i++)
        if (n->w->links[i].open && (n->w->links[i].a == n->index || n->w->links[i].b == n->index))
            world_disconnect(n->w, n->w->links[i].id);
    gossip_free(n->g);
    member_free(n->m);
    n->g = NULL;
    n->m = NULL;
}

clan_status node_publish(struct node *n, struct fx_stmt s)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_status r = gossip_publish(n->g, s.raw, s.size, n->w->now, NULL, &e);
    n->next_tick = n->w->now;
    return r;
}

struct node *world_member(struct world *w, const uint8_t id[32])
{
    for (unsigned i = 0; i < w->count; i++)
        if (!memcmp(w->nodes[i]->key.id, id, 32))
            return w->nodes[i];
    return NULL;
}

void world_open(struct world *w, uint32_t seed, unsigned admins, unsigned threshold)
{
    memset(w, 0, sizeof *w);
    w->rng = seed * 2654435761u + 1;
    if (w->rng == 0)
        w->rng = 1;
    w->now = 1000000;
    w->delay_ms = 5;
    fx_open(&w->f, admins, threshold, seed);
    struct node *nas = world_node(w);
    node_start(nas);
    nas->exists = true;
    unsigned all = (1u << admins) - 1;
    clan_assert(node_publish(nas, w->f.genesis) == CLAN_OK);
    clan_assert(node_publish(nas, fx_founder(&w->f, &nas->key, 1)) == CLAN_OK);
    struct stmt_envelope b = fx_envelope_body(&w->f, 2, all, threshold, nas->key.id);
    w->f.v[2] = fx_envelope(&w->f, &b, all);
    clan_assert(node_publish(nas, w->f.v[2]) == CLAN_OK);
    w->version = 2;
}

void world_close(struct world *w)
{
    for (unsigned i = 0; i < w->count; i++) {
        gossip_free(w->nodes[i]->g);
        member_free(w->nodes[i]->m);
        free(w->nodes[i]->log);
        free(w->nodes[i]);
    }
    while (w->heap_count > 0)
        free(w->heap[--w->heap_count].data);
    free(w->heap);
    fx_close(&w->f);
}

/* ---- connections ---- */
static struct link *link_new(struct world *w, struct node *a, struct node *b)
{
    for (unsigned tries = 0; tries < WORLD_LINKS; tries++) {
        uint32_t id = ++w->next_link;
        struct link *l = &w->links[id % WORLD_LINKS];
        if (l->open || id == 0)
            continue;
        memset(l, 0, sizeof *l);
        l->id = id;
        l->open = true;
        l->a = a->index;
        l->b = b->index;
        return l;
    }
    return NULL;
}

bool world_connected(const struct world *w, const struct node *a, const struct node *b)
{
    for (unsigned i = 0; i < WORLD_LINKS; i++) {
        const struct link *l = &w->links[i];
        if (l->open &&
            ((l->a == a->index && l->b == b->index) || (l->b == a->index && l->a == b->index)))
            return true;
    }
    return false;
}

uint32_t world_connect(struct world *w, struct node *a, struct node *b)
{
    if (!a->m || !b->m || a == b || a->part != b->part || world_connected(w, a, b))
        return 0;
    const struct member_machine *to = member_find_key(a->m, KEY_CONTROL, b->key.control, false);
    const struct member_machine *from = member_find_key(b->m, KEY_CONTROL, a->key.control, true);
    if (!to || to->standing == MEMBER_UNKNOWN)
        return 0; /* a does not know whom to ask for */
    bool known =
        from && (from->standing == MEMBER_PROVISIONAL || from->standing == MEMBER_CONFIRMED);
    struct link *l = link_new(w, a, b);
    if (!l)
        return 0;
    uint32_t id = l->id;
    gossip_up(a->g, id, GOSSIP_PEER, b->key.id, b->key.control, w->now);
    gossip_up(b->g, id, known ? GOSSIP_PEER : GOSSIP_STRANGER, known ? a->key.id : NULL,
        a->key.control, w->now);
    return id;
}

void world_disconnect(struct world *w, uint32_t id)
{
    struct link *l = link_find(w, id);
    if (!l)
        return;
    l->open = false;
    struct node *a = w->nodes[l->a], *b = w->nodes[l->b];
    if (a->g)
        gossip_down(a->g, id);
    if (b->g)
        gossip_down(b->g, id);
}

clan_status world_join(
    struct world *w, struct node *joiner, struct node *door, const struct fx_invite *in)
{
    static uint8_t raw[STMT_MAX];
    uint8_t proof[64], hash[64] = {0}, text[KEYS_PROOF_MAX];
    size_t size;
    const struct fx_stmt *r = &joiner->key.record;
    unsigned t = keys_join_proof(w->f.clan, in->id, r->raw, (uint32_t)r->size, text);
    crypto_sign_detached(proof, NULL, text, t, in->secret);
    clan_status st = join_door_check(door->m, in->id, JOIN_MODE_JOIN, proof, r->raw, r->size,
        joiner->key.door, hash, FX_NOW, NULL);
    const struct member_machine *x = member_find(door->m, door->key.id);
    if (st != CLAN_OK || !x || x->standing != MEMBER_CONFIRMED)
        return st != CLAN_OK ? st : CLAN_E_STATE;
    struct link *l = link_new(w, joiner, door);
    if (!l)
        return CLAN_E_LIMIT;
    uint32_t id = l->id;
    if (!joiner->m)
        node_start(joiner);
    joiner->joining = true;
    joiner->joined_ms = w->now;
    gossip_up(joiner->g, id, GOSSIP_JOINER, NULL, door->key.door, w->now);
    gossip_up(door->g, id, GOSSIP_DOOR, NULL, joiner->key.door, w->now);
    if (!member_find(door->m, joiner->key.id)) {
        st = join_make_admission(door->m, in->id, proof, r->raw, r->size, door->key.id,
            door->key.identity_secret, ++door->seq, FX_NOW, raw, &size);
        clan_assert(st == CLAN_OK);
        st = gossip_publish(door->g, raw, size, w->now, NULL, NULL);
    }
    if (st == CLAN_OK)
        gossip_hand_over(door->g, id, in->id, w->now);
    door->next_tick = w->now;
    return st;
}

/* ---- time ---- */
static void deliver(struct world *w, struct packet *p)
{
    static clan_peer_PeerMsg msg;
    struct link *l = link_find(w, p->link);
    struct node *n = w->nodes[p->to];
    if (l && !p->data) {
        world_disconnect(w, p->link);
    } else if (l) {
        l->in_flight[p->to == l->b ? 0 : 1] -= p->size;
        if (world_random(w, 1000) < w->break_per_mille) {
            world_disconnect(w, p->link); /* lost, and all behind it */
        } else if (n->g) {
            pb_istream_t in = pb_istream_from_buffer(p->data, p->size);
            clan_assert(pb_decode(&in, clan_peer_PeerMsg_fields, &msg));
            (void)gossip_recv(n->g, p->link, &msg, w->now);
            n->next_tick = w->now < n->next_tick ? w->now : n->next_tick;
            if (msg.which_m == clan_peer_PeerMsg_settled_tag)
                n->settled = true;
            if (n->torn_next > UINT32_MAX / 2)
                node_crash(n); /* it died while it was writing */
        }
    }
    free(p->data);
}

/* The keeper: judges each invitation once. */
static void keeper_step(struct world *w, struct node *n)
{
    const struct member_machine *own = n->m ? member_find(n->m, n->key.id) : NULL;
    if (w->keeper_off || !own || !own->keeper || own->standing != MEMBER_CONFIRMED)
        return;
    for (size_t i = 0; i < member_count(n->m); i++) {
        const struct member_machine *x = member_at(n->m, i);
        const struct member_invite *in = member_invite_find(n->m, x->invite_id);
        if (x->standing != MEMBER_PROVISIONAL || x->has_receipt || !in || in->closed ||
            in->admitted > in->body.uses || in->body.uses != 1)
            continue;
        struct node *who = world_member(w, x->id);
        struct fx_stmt admission = {0};
        struct fx_invite inv = {.body = in->body};
        memcpy(inv.id, in->id, 16);
        memcpy(admission.id, x->admission_id, 32);
        clan_assert(who);
        struct fx_stmt r = fx_receipt(
            &w->f, &n->key, 0, &inv, &who->key, &admission, 1, ++n->revision + w->now * 1000);
        (void)node_publish(n, r);
    }
}

static void node_step(struct world *w, struct node *n)
{
    if (n->g && n->torn_next > UINT32_MAX / 2)
        node_crash(n); /* it died while it was writing */
    if (!n->g || w->now < n->next_tick)
        return;
    n->next_tick = gossip_tick(n->g, w->now);
    keeper_step(w, n);
}

void world_run(struct world *w, uint64_t ms)
{
    uint64_t end = w->now + ms;
    while (w->now < end) {
        while (w->heap_count > 0 && w->heap[0].at <= w->now) {
            struct packet p = heap_pop(w);
            deliver(w, &p);
        }
        for (unsigned i = 0; i < w->count; i++)
            node_step(w, w->nodes[i]);
        /* the next moment at which something happens */
        uint64_t next = end;
        if (w->heap_count > 0 && w->heap[0].at < next)
            next = w->heap[0].at;
        for (unsigned i = 0; i < w->count; i++)
            if (w->nodes[i]->g && w->nodes[i]->next_tick < next)
                next = w->nodes[i]->next_tick;
        w->now = next > w->now ? next : w->now + 1;
    }
}

static unsigned degree(const struct world *w, const struct node *n)
{
    unsigned d = 0;
    for (unsigned i = 0; i < WORLD_LINKS; i++)
        d += w->links[i].open && (w->links[i].a == n->index || w->links[i].b == n->index);
    return d;
}

void world_mesh(struct world *w, unsigned links)
{
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = w->nodes[i];
        if (!n->m || n->joining)
            continue;
        for (unsigned tries = 0; tries < 8 && degree(w, n) < links; tries++)
            (void)world_connect(w, n, w->nodes[world_random(w, w->count)]);
    }
}

/* Not confirmed by the keeper's set, for a reason: its invitation or its door are no more. */
static bool world_waits_rightly(const struct world *w, const struct node *n)
{
    const struct member_set *m = w->nodes[0]->m;
    const struct member_machine *x = member_find(m, n->key.id);
    if (!x)
        return false;
    const struct member_invite *in = member_invite_find(m, x->invite_id);
    const struct member_machine *door = member_find(m, x->door);
    return x->standing != MEMBER_CONFIRMED &&
           (x->conflict || (in && in->closed) || (door && door->standing == MEMBER_REVOKED));
}

/* All machines that are members in their own eyes hold the same set. */
bool world_agreed(struct world *w, bool say)
{
    uint8_t first[32], d[32];
    const struct node *ref = NULL;
    for (unsigned i = 0; i < w->count; i++) {
        struct node *n = w->nodes[i];
        if (!n->m || n->removed || n->rogue || !n->exists)
            continue;
        const struct member_machine *x = member_find(n->m, n->key.id);
        if (!x || x->standing != MEMBER_CONFIRMED) {
            if (world_waits_rightly(w, n))
                continue;
            if (say)
                printf("  machine %u is not confirmed in its own eyes (%d), %zu statements\n", i,
                    x ? (int)x->standing : -1, member_stmt_count(n->m));
            return false;
        }
        member_digest(n->m, d);
        if (!ref) {
            ref = n;
            memcpy(first, d, 32);
        } else if (memcmp(first, d, 32)) {
            if (say)
                printf("  machines %u and %u differ: %zu and %zu statements\n", ref->index, i,
                    member_stmt_count(ref->m), member_stmt_count(n->m));
            return false;
        }
    }
    return true;
}
