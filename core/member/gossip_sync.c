/* Gossip: heads, buckets and wants, until two sets are the same. */
#include "base/error.h"
#include "member/gossip_int.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* What one session may know of a bucket: full IDs in order.  Returns their number, at most cap. */
static size_t view_bucket(
    struct gossip *g, const struct gsession *s, uint8_t bucket, const uint8_t **ret_ids, size_t cap)
{
    bool all = gsession_is_member(g, s);
    const uint8_t *id = NULL;
    size_t n = 0, total = member_bucket(g->m, bucket, SIZE_MAX, &id);
    for (size_t i = 0; i < total && n < cap; i++) {
        member_bucket(g->m, bucket, i, &id);
        if (all || gsession_sees(g, s, member_stmt_index(g->m, id)))
            ret_ids[n++] = id;
    }
    return n;
}

static void bucket_digest(const uint8_t **ids, size_t n, uint8_t ret[8])
{
    uint8_t out[32];
    crypto_generichash_state h;
    memset(ret, 0, 8);
    if (n == 0)
        return;
    crypto_generichash_init(&h, NULL, 0, 32);
    for (size_t i = 0; i < n; i++)
        crypto_generichash_update(&h, ids[i], 32);
    crypto_generichash_final(&h, out, 32);
    memcpy(ret, out, 8);
}

/* A guest's view has digests of its own, so that two sides agree when it has all that it may have.
 */
static void view_buckets(struct gossip *g, const struct gsession *s, uint8_t ret[2048])
{
    const uint8_t *ids[GOSSIP_BUCKET_IDS];
    if (gsession_is_member(g, s)) {
        member_buckets(g->m, ret);
        return;
    }
    for (int b = 0; b < 256; b++) {
        size_t n = view_bucket(g, s, (uint8_t)b, ids, GOSSIP_BUCKET_IDS);
        bucket_digest(ids, n, ret + b * 8);
    }
}

static uint32_t view_digest(struct gossip *g, const struct gsession *s, uint8_t ret[32])
{
    const uint8_t *ids[GOSSIP_BUCKET_IDS];
    crypto_generichash_state h;
    uint32_t count = 0;
    if (gsession_is_member(g, s)) {
        member_digest(g->m, ret);
        return (uint32_t)member_stmt_count(g->m);
    }
    crypto_generichash_init(&h, NULL, 0, 32);
    for (int b = 0; b < 256; b++) {
        size_t n = view_bucket(g, s, (uint8_t)b, ids, GOSSIP_BUCKET_IDS);
        count += (uint32_t)n;
        for (size_t i = 0; i < n; i++)
            crypto_generichash_update(&h, ids[i], 32);
    }
    crypto_generichash_final(&h, ret, 32);
    return count;
}

/* With what is kept aside. */
static void known_digest(struct gossip *g, const struct gsession *s, uint8_t ret[32])
{
    if (g->stage && gsession_is_member(g, s))
        stage_digest(g->stage, g->m, ret);
    else
        view_digest(g, s, ret);
}

static bool is_here(const struct gossip *g, const uint8_t id_prefix[16])
{
    const uint8_t *raw;
    size_t size;
    return member_stmt_find(g->m, id_prefix, &raw, &size) == CLAN_OK ||
           (g->stage && stage_has(g->stage, id_prefix));
}

void sync_head(struct gossip *g, struct gsession *s)
{
    const uint8_t *id;
    const struct member_machine *own = member_find(g->m, g->own);
    clan_peer_Head *h = &gossip_out(g, clan_peer_PeerMsg_head_tag)->m.head;
    h->config_version = member_head(g->m, &id, NULL);
    if (id)
        memcpy(h->config_id, id, 32);
    h->record_seq = own ? own->record_seq : 0;
    h->statements = view_digest(g, s, h->set_digest);
    h->catching_up = g->catching_up;
    s->fresh = 0;
    gossip_send(g, s);
}

static void send_buckets(struct gossip *g, struct gsession *s)
{
    s->sync_ms = g->now;
    s->behind = false;
    clan_peer_Buckets *b = &gossip_out(g, clan_peer_PeerMsg_buckets_tag)->m.buckets;
    b->digests.size = 2048;
    view_buckets(g, s, b->digests.bytes);
    gossip_send(g, s);
}

/* Envelopes go first: they decide who may sign the rest. */
static void send_envelopes(struct gossip *g, struct gsession *s, uint64_t from)
{
    uint64_t serial = 0, version = 1;
    unsigned sent = 0;
    for (size_t i; (i = member_stmt_after(g->m, serial, &serial)) != SIZE_MAX;) {
        uint8_t kind = 0;
        member_stmt_at(g->m, i, NULL, NULL, NULL, &kind);
        if (kind != STMT_ENVELOPE)
            continue;
        version++;
        if (version <= from)
            continue;
        if (sent++ == GOSSIP_ENVELOPES || !gossip_send_stmt(g, s, i))
            return;
    }
}

void sync_on_head(struct gossip *g, struct gsession *s, const clan_peer_Head *h)
{
    uint8_t digest[32];
    uint32_t id = s->id;
    if (!gsession_spend(g, s, 2))
        return;
    if (g->catching_up) {
        s->late = true;
        s->late_ms = g->now;
        s->late_head = *h;
        sync_late_head(g, s);
    } else {
        g->ops.head(g->arg, id, h);
    }
    if (!(s = gsession_find(g, id)))
        return;
    uint64_t own = member_head(g->m, NULL, NULL);
    if (h->config_version >= 1 && h->config_version < own)
        send_envelopes(g, s, h->config_version);
    static const uint8_t zero[32];
    known_digest(g, s, digest);
    if (!memcmp(h->set_digest, digest, 32) || !memcmp(h->set_digest, zero, 32))
        return;
    if (g->now - s->sync_ms >= GOSSIP_SYNC_MS && s->out_count == 0)
        send_buckets(g, s);
    else
        s->behind = true;
}

/* Whoever catches up believes a head only with what its sender knows besides: a removal is no part
 * of the chain, and comes after the head (SECURITY D2). */
void sync_late_head(struct gossip *g, struct gsession *s)
{
    uint8_t digest[32];
    if (!s->late)
        return;
    bool quiet = s->out_count == 0 && s->want_next == s->want_count;
    if (g->stage && !quiet)
        return;
    known_digest(g, s, digest);
    if (memcmp(s->late_head.set_digest, digest, 32) != 0 &&
        (!quiet || g->now - s->late_ms < GOSSIP_LATE_MS))
        return;
    clan_peer_Head h = s->late_head;
    s->late = false;
    g->ops.head(g->arg, s->id, &h);
}

static bool send_ids(struct gossip *g, struct gsession *s, uint8_t bucket, const uint8_t **ids,
    size_t n, bool answer)
{
    clan_peer_BucketIds *out = &gossip_out(g, clan_peer_PeerMsg_bucket_ids_tag)->m.bucket_ids;
    out->bucket = bucket;
    out->answer = answer;
    out->ids.size = (pb_size_t)(n * 16);
    for (size_t i = 0; i < n; i++)
        memcpy(out->ids.bytes + i * 16, ids[i], 16);
    return gossip_send(g, s);
}

void sync_on_buckets(struct gossip *g, struct gsession *s, const clan_peer_Buckets *b)
{
    uint8_t own[2048];
    const uint8_t *ids[GOSSIP_BUCKET_IDS];
    if (b->digests.size != 2048 || !gsession_spend(g, s, 8))
        return;
    view_buckets(g, s, own);
    unsigned first = g->ops.random(g->arg, 256), sent = 0;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t k = (uint8_t)(first + i);
        if (!memcmp(own + k * 8, b->digests.bytes + k * 8, 8))
            continue;
        if (sent++ == GOSSIP_SYNC_BUCKETS) {
            s->behind = true;
            return;
        }
        size_t n = view_bucket(g, s, k, ids, GOSSIP_BUCKET_IDS);
        if (!send_ids(g, s, k, ids, n, false))
            return;
    }
}

static bool sorted(const uint8_t *ids, size_t n, uint8_t bucket)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i * 16] != bucket || (i > 0 && memcmp(ids + i * 16 - 16, ids + i * 16, 16) >= 0))
            return false;
    return true;
}

static bool asked_elsewhere(const struct gossip *g, const uint8_t *id)
{
    for (size_t i = 0; i < g->count; i++) {
        const struct gsession *s = g->sessions[i];
        for (unsigned k = 0; k < s->out_count; k++)
            if (!memcmp(s->out[k], id, 16))
                return true;
    }
    return false;
}

static void want_add(struct gossip *g, struct gsession *s, const uint8_t *id)
{
    if (is_here(g, id) || s->want_count == GOSSIP_WANT_LIST)
        return;
    if (!s->want && !(s->want = calloc(GOSSIP_WANT_LIST, 16)))
        return;
    memcpy(s->want[s->want_count++], id, 16);
}

void sync_on_ids(struct gossip *g, struct gsession *s, const clan_peer_BucketIds *b)
{
    const uint8_t *ids[GOSSIP_BUCKET_IDS], *extra[GOSSIP_BUCKET_IDS];
    const uint8_t *theirs = b->ids.bytes;
    size_t n = b->ids.size / 16, more = 0, i = 0;
    if (b->bucket > 255 || b->ids.size % 16 || n > GOSSIP_BUCKET_IDS ||
        !sorted(theirs, n, (uint8_t)b->bucket)) {
        gsession_end(g, s->id, CLAN_E_PROTO, "sent a malformed list of statements");
        return;
    }
    if (!gsession_spend(g, s, 1))
        return;
    size_t own = view_bucket(g, s, (uint8_t)b->bucket, ids, GOSSIP_BUCKET_IDS);
    for (size_t k = 0; k < own; k++) {
        int order = -1;
        while (i < n && (order = memcmp(theirs + i * 16, ids[k], 16)) < 0)
            want_add(g, s, theirs + 16 * i++);
        if (i < n && order == 0)
            i++;
        else
            extra[more++] = ids[k];
    }
    while (i < n)
        want_add(g, s, theirs + 16 * i++);
    if (!b->answer && more > 0)
        send_ids(g, s, (uint8_t)b->bucket, extra, more, true);
    sync_pump(g, s);
}

void sync_pump(struct gossip *g, struct gsession *s)
{
    size_t asked = 0;
    clan_peer_Want *w = &gossip_out(g, clan_peer_PeerMsg_want_tag)->m.want;
    while (s->out_count < GOSSIP_WANT_OUT && s->want_next < s->want_count) {
        const uint8_t *id = s->want[s->want_next++];
        if (is_here(g, id) || asked_elsewhere(g, id))
            continue;
        memcpy(s->out[s->out_count++], id, 16);
        memcpy(w->ids.bytes + 16 * asked++, id, 16);
    }
    if (s->want_next == s->want_count)
        s->want_next = s->want_count = 0;
    if (asked == 0)
        return;
    w->ids.size = (pb_size_t)(asked * 16);
    s->out_ms = g->now;
    if (!gossip_send(g, s))
        s->out_count = 0;
}

bool sync_take_asked(struct gsession *s, const uint8_t id[32])
{
    for (unsigned i = 0; i < s->out_count; i++) {
        if (memcmp(s->out[i], id, 16))
            continue;
        memcpy(s->out[i], s->out[--s->out_count], 16);
        return true;
    }
    return false;
}

/* An empty want: "I do not know you".  What we are, and what that hangs on. */
static void introduce(struct gossip *g, struct gsession *s)
{
    if (gsession_spend(g, s, 32))
        push_chain(g, s, g->own);
}

void sync_on_want(struct gossip *g, struct gsession *s, const clan_peer_Want *w)
{
    size_t n = w->ids.size / 16;
    if (w->ids.size % 16 || n > GOSSIP_BUCKET_IDS) {
        gsession_end(g, s->id, CLAN_E_PROTO, "asked for statements in a malformed way");
        return;
    }
    if (n == 0) {
        introduce(g, s);
        return;
    }
    if (!gsession_spend(g, s, 1))
        return;
    for (size_t i = 0; i < n && s->serve > 0; i++) {
        size_t index = member_stmt_index(g->m, w->ids.bytes + i * 16);
        if (index == SIZE_MAX || !gsession_sees(g, s, index))
            continue;
        s->serve--;
        if (!gossip_send_stmt(g, s, index))
            return;
    }
}

uint64_t sync_tick(struct gossip *g, struct gsession *s)
{
    if (s->out_count > 0 && g->now - s->out_ms >= GOSSIP_WANT_MS) {
        s->out_count = 0;
        s->want_next = s->want_count = 0;
        s->behind = true;
    }
    if (s->out_count == 0 && s->want_next < s->want_count)
        sync_pump(g, s);
    if (s->kind != GOSSIP_PEER)
        return UINT64_MAX;
    if (s->behind && s->out_count == 0 && g->now - s->sync_ms >= GOSSIP_SYNC_MS) {
        s->behind = false;
        s->sync_ms = g->now;
        sync_head(g, s);
    }
    if (s->behind)
        return g->now + GOSSIP_SYNC_MS;
    return s->out_count ? s->out_ms + GOSSIP_WANT_MS : UINT64_MAX;
}
