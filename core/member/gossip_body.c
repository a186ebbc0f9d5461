/* Gossip: bodies of configurations, fetched in chunks from one session at a time, so that a bad one
 * is blamed. */
#include "member/gossip_int.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static struct body *body_find(struct gossip *g, const uint8_t hash[32])
{
    for (int i = 0; i < GOSSIP_BODIES; i++)
        if (g->bodies[i].used && !memcmp(g->bodies[i].hash, hash, 32))
            return &g->bodies[i];
    return NULL;
}

static void body_reset(struct body *b)
{
    free(b->data);
    b->data = NULL;
    b->total = b->next = b->got = b->asked = b->session = 0;
}

static void body_done(struct body *b)
{
    body_reset(b);
    memset(b, 0, sizeof *b);
}

void body_free_all(struct gossip *g)
{
    for (int i = 0; i < GOSSIP_BODIES; i++)
        body_done(&g->bodies[i]);
}

static void body_refuse(struct body *b, uint32_t session)
{
    if (b->refused_count < GOSSIP_REFUSED)
        b->refused[b->refused_count++] = session;
    body_reset(b);
}

static bool body_ask(struct gossip *g, struct gsession *s, struct body *b, uint32_t offset)
{
    clan_peer_WantBlob *w = &gossip_out(g, clan_peer_PeerMsg_want_blob_tag)->m.want_blob;
    memcpy(w->hash, b->hash, 32);
    w->offset = offset;
    if (!gossip_send(g, s))
        return false;
    b->asked |= 1u << (offset / WIRE_CHUNK_MAX);
    b->deadline = g->now + GOSSIP_BODY_MS;
    return true;
}

static bool may_ask(const struct gossip *g, const struct gsession *s, const struct body *b)
{
    for (unsigned i = 0; i < b->refused_count; i++)
        if (b->refused[i] == s->id)
            return false;
    return s->kind == GOSSIP_JOINER || (s->kind == GOSSIP_PEER && gsession_is_member(g, s));
}

static void body_start(struct gossip *g, struct body *b)
{
    struct gsession *fit[GOSSIP_SESSIONS_MAX];
    uint32_t n = 0;
    for (size_t i = 0; i < g->count; i++)
        if (may_ask(g, g->sessions[i], b))
            fit[n++] = g->sessions[i];
    b->deadline = g->now + GOSSIP_BODY_MS;
    if (n == 0) {
        b->refused_count = 0; /* everybody again, later */
        return;
    }
    struct gsession *s = fit[g->ops.random(g->arg, n)];
    b->session = s->id;
    if (!body_ask(g, s, b, 0))
        b->session = 0;
}

void gossip_want_body(struct gossip *g, const uint8_t hash[32], uint64_t now_ms)
{
    const uint8_t *data;
    size_t size;
    g->now = now_ms;
    if (body_find(g, hash) || g->ops.body_get(g->arg, hash, &data, &size))
        return;
    struct body *b = &g->bodies[0]; /* all in use: the oldest wish is the least wanted */
    for (int i = 0; i < GOSSIP_BODIES; i++)
        if (!g->bodies[i].used) {
            b = &g->bodies[i];
            break;
        }
    body_done(b);
    b->used = true;
    memcpy(b->hash, hash, 32);
    body_start(g, b);
}

static void body_pump(struct gossip *g, struct gsession *s, struct body *b)
{
    unsigned chunks = (b->total + WIRE_CHUNK_MAX - 1) / WIRE_CHUNK_MAX, out = 0;
    for (unsigned i = 0; i < chunks; i++)
        out += (b->asked >> i & 1) && !(b->got >> i & 1);
    for (unsigned i = 0; i < chunks && out < WIRE_CHUNKS_OUT; i++) {
        if ((b->asked | b->got) >> i & 1)
            continue;
        if (!body_ask(g, s, b, i * WIRE_CHUNK_MAX))
            return;
        out++;
    }
}

static bool chunk_sound(const struct body *b, const clan_peer_Blob *in)
{
    if (in->total == 0 || in->total > GOSSIP_BODY_MAX || in->offset % WIRE_CHUNK_MAX ||
        in->offset >= in->total || (b->total && b->total != in->total))
        return false;
    uint32_t left = in->total - in->offset;
    return in->data.size == (left < WIRE_CHUNK_MAX ? left : WIRE_CHUNK_MAX) &&
           (b->asked >> (in->offset / WIRE_CHUNK_MAX) & 1);
}

static void body_finish(struct gossip *g, struct gsession *s, struct body *b)
{
    uint8_t hash[32];
    uint32_t id = s->id;
    crypto_generichash(hash, 32, b->data, b->total, NULL, 0);
    if (memcmp(hash, b->hash, 32)) {
        body_refuse(b, id);
        gsession_end(g, id, CLAN_E_PROTO, "sent a configuration that does not match its hash");
        return;
    }
    if (g->ops.body_put(g->arg, b->hash, b->data, b->total)) {
        body_done(b);
        return;
    }
    body_reset(b); /* not stored: again later */
    b->deadline = g->now + GOSSIP_BODY_MS;
}

void body_on_blob(struct gossip *g, struct gsession *s, const clan_peer_Blob *in)
{
    struct body *b = body_find(g, in->hash);
    if (!b || b->session != s->id) {
        (void)gsession_spend(g, s, 4); /* nobody asked for it */
        return;
    }
    if (in->missing) {
        body_refuse(b, s->id);
        body_start(g, b);
        return;
    }
    if (!chunk_sound(b, in)) {
        uint32_t id = s->id;
        body_refuse(b, id);
        gsession_end(g, id, CLAN_E_PROTO, "sent a malformed piece of a configuration");
        return;
    }
    if (b->got >> (in->offset / WIRE_CHUNK_MAX) & 1) { /* no news: it keeps nobody waiting */
        (void)gsession_spend(g, s, 4);
        return;
    }
    if (!b->data && !(b->data = malloc(in->total))) {
        body_reset(b);
        return;
    }
    b->deadline = g->now + GOSSIP_BODY_MS;
    b->total = in->total;
    memcpy(b->data + in->offset, in->data.bytes, in->data.size);
    b->got |= 1u << (in->offset / WIRE_CHUNK_MAX);
    unsigned chunks = (b->total + WIRE_CHUNK_MAX - 1) / WIRE_CHUNK_MAX;
    if (b->got == (chunks == 32 ? UINT32_MAX : (1u << chunks) - 1))
        body_finish(g, s, b);
    else
        body_pump(g, s, b);
}

static bool serve_one(struct gossip *g, struct gsession *s, const uint8_t hash[32], uint32_t offset)
{
    const uint8_t *data = NULL;
    size_t size = 0;
    /* the text names everybody: members only */
    bool have = gsession_is_member(g, s) && g->ops.body_get(g->arg, hash, &data, &size) &&
                offset < size && size <= GOSSIP_BODY_MAX;
    clan_peer_Blob *out = &gossip_out(g, clan_peer_PeerMsg_blob_tag)->m.blob;
    memcpy(out->hash, hash, 32);
    out->offset = offset;
    out->missing = !have;
    out->data.size = 0;
    out->total = 0;
    if (have) {
        size_t left = size - offset;
        out->total = (uint32_t)size;
        out->data.size = (pb_size_t)(left < WIRE_CHUNK_MAX ? left : WIRE_CHUNK_MAX);
        memcpy(out->data.bytes, data + offset, out->data.size);
    }
    return g->ops.send(g->arg, s->id, &g->out);
}

/* As far as the queue takes them; the rest on a later call. */
void body_serve(struct gossip *g, struct gsession *s)
{
    while (s->blob_count > 0 && serve_one(g, s, s->blobs[0].hash, s->blobs[0].offset)) {
        s->blob_count--;
        memmove(&s->blobs[0], &s->blobs[1], s->blob_count * sizeof s->blobs[0]);
    }
}

void body_on_want(struct gossip *g, struct gsession *s, const clan_peer_WantBlob *w)
{
    if (!gsession_spend(g, s, 1) || s->serve == 0 || s->blob_count == WIRE_CHUNKS_OUT)
        return;
    s->serve--;
    memcpy(s->blobs[s->blob_count].hash, w->hash, 32);
    s->blobs[s->blob_count++].offset = w->offset;
    body_serve(g, s);
}

void body_session_gone(struct gossip *g, uint32_t session)
{
    for (int i = 0; i < GOSSIP_BODIES; i++)
        if (g->bodies[i].used && g->bodies[i].session == session) {
            body_reset(&g->bodies[i]);
            g->bodies[i].deadline = g->now;
        }
}

uint64_t body_tick(struct gossip *g)
{
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < GOSSIP_BODIES; i++) {
        struct body *b = &g->bodies[i];
        if (!b->used)
            continue;
        if (g->now >= b->deadline) {
            if (b->session)
                body_refuse(b, b->session);
            body_start(g, b);
        }
        next = b->deadline < next ? b->deadline : next;
    }
    return next;
}
