/* Gossip: sessions, their budgets, and which message goes where. */
#include "base/error.h"
#include "member/gossip_int.h"
#include "noise/keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gossip *gossip_new(
    struct member_set *m, const uint8_t own_id[32], const struct gossip_ops *ops, void *arg)
{
    struct gossip *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->sessions = calloc(GOSSIP_SESSIONS_MAX, sizeof *g->sessions);
    if (!g->sessions) {
        free(g);
        return NULL;
    }
    g->m = m;
    memcpy(g->own, own_id, 32);
    g->ops = *ops;
    g->arg = arg;
    return g;
}

static void session_free(struct gsession *s)
{
    free(s->want);
    free(s);
}

void gossip_free(struct gossip *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->count; i++)
        session_free(g->sessions[i]);
    body_free_all(g);
    stage_free(g->stage);
    free(g->sessions);
    free(g);
}

void gossip_config(struct gossip *g, const struct clan_config *cfg)
{
    g->cfg = cfg;
}

void gossip_catching_up(struct gossip *g, bool catching_up)
{
    if (g->catching_up == catching_up)
        return;
    g->catching_up = catching_up;
    for (size_t i = 0; i < g->count; i++)
        if (g->sessions[i]->kind == GOSSIP_PEER)
            sync_head(g, g->sessions[i]);
}

/* What was kept aside, in order of arrival: what the chain does not bear out is refused now. */
static void take_kept(struct gossip *g, const struct stage *kept)
{
    const uint8_t *raw;
    size_t size, cursor = 0;
    uint64_t hour;
    struct member_effect effect;
    while (stage_kept(kept, &cursor, &raw, &size, &hour))
        (void)push_accept(g, 0, raw, size, hour, &effect, NULL);
}

void gossip_hold(struct gossip *g, bool hold)
{
    struct stage *kept = g->stage;
    g->stage = NULL;
    if (hold) {
        g->stage = stage_new(g->m);
        clan_assert(g->stage);
    } else if (kept) {
        take_kept(g, kept);
    }
    stage_free(kept);
}

enum stage_who gossip_held_who(const struct gossip *g, const uint8_t machine_id[32])
{
    return g->stage ? stage_who(g->stage, machine_id) : STAGE_UNKNOWN;
}

void gossip_shown(struct gossip *g, const uint8_t machine_id[32], uint64_t version,
    const uint8_t head_id[32], uint64_t now_ms)
{
    g->now = now_ms;
    if (!g->stage)
        return;
    stage_shown(g->stage, machine_id, version, head_id);
    push_held(g);
}

static size_t position(const struct gossip *g, uint32_t id)
{
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (g->sessions[mid]->id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

struct gsession *gsession_find(struct gossip *g, uint32_t id)
{
    size_t i = position(g, id);
    return i < g->count && g->sessions[i]->id == id ? g->sessions[i] : NULL;
}

const struct member_machine *gsession_machine(const struct gossip *g, const struct gsession *s)
{
    if (s->known)
        return member_find(g->m, s->machine);
    if (s->kind == GOSSIP_DOOR)
        return member_find_key(g->m, KEY_DOOR, s->peer_static, true);
    return NULL;
}

bool gsession_is_member(const struct gossip *g, const struct gsession *s)
{
    const struct member_machine *x = gsession_machine(g, s);
    return x && x->standing == MEMBER_CONFIRMED;
}

bool gsession_sees(const struct gossip *g, const struct gsession *s, size_t index)
{
    const struct member_machine *x = gsession_machine(g, s);
    if (s->kind == GOSSIP_JOINER) /* our only way to the clan */
        return true;
    if (s->kind == GOSSIP_STRANGER || (s->kind == GOSSIP_DOOR && !s->handed) || !x)
        return false;
    return member_may_see(g->m, g->cfg, x, g->own, index);
}

void gsession_end(struct gossip *g, uint32_t id, clan_status why, const char *fmt, ...)
{
    char text[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    gossip_down(g, id);
    g->ops.drop(g->arg, id, why, text);
}

static void session_label(const struct gossip *g, const struct gsession *s, char ret[33])
{
    if (s->known)
        member_name(g->m, g->cfg, s->machine, ret);
    else
        snprintf(ret, 33, "%s", s->kind == GOSSIP_STRANGER ? "a stranger" : "a guest");
}

bool gsession_spend(struct gossip *g, struct gsession *s, uint32_t cost)
{
    uint64_t seconds = (g->now - s->tokens_ms) / 1000;
    if (seconds > 0) {
        uint64_t more = s->kind == GOSSIP_STRANGER ? 0 : seconds * GOSSIP_TOKENS_SECOND;
        s->tokens = s->tokens + more > GOSSIP_TOKENS ? GOSSIP_TOKENS : s->tokens + (uint32_t)more;
        s->serve = GOSSIP_SERVE;
        s->tokens_ms += seconds * 1000;
    }
    if (s->tokens >= cost) {
        s->tokens -= cost;
        return true;
    }
    s->tokens = 0;
    s->spam++;
    if (s->spam > GOSSIP_SPAM_MAX || s->kind == GOSSIP_STRANGER) {
        char name[33];
        session_label(g, s, name);
        gsession_end(g, s->id, CLAN_E_LIMIT, "%s sent more than one may", name);
    }
    return false;
}

clan_peer_PeerMsg *gossip_out(struct gossip *g, pb_size_t which)
{
    /* the large arrays behind the first bytes are written before they are counted */
    memset(&g->out, 0, 256);
    g->out.which_m = which;
    return &g->out;
}

bool gossip_send(struct gossip *g, struct gsession *s)
{
    if (g->ops.send(g->arg, s->id, &g->out))
        return true;
    s->behind = true;
    return false;
}

bool gossip_send_stmt(struct gossip *g, struct gsession *s, size_t index)
{
    const uint8_t *raw;
    size_t size;
    if (member_stmt_at(g->m, index, &raw, &size, NULL, NULL) != CLAN_OK || size > STMT_MAX)
        return true;
    clan_peer_Statement *st = &gossip_out(g, clan_peer_PeerMsg_statement_tag)->m.statement;
    st->data.size = (pb_size_t)size;
    memcpy(st->data.bytes, raw, size);
    return gossip_send(g, s);
}

/* The first word on a session. */
void gossip_greet(struct gossip *g, struct gsession *s)
{
    if (s->kind == GOSSIP_PEER)
        sync_head(g, s);
    if (s->kind != GOSSIP_STRANGER)
        return;
    /* our height, so that it can bring what its admission hangs on; and: who are you? */
    const uint8_t *id;
    clan_peer_Head *h = &gossip_out(g, clan_peer_PeerMsg_head_tag)->m.head;
    h->config_version = member_head(g->m, &id, NULL);
    if (id)
        memcpy(h->config_id, id, 32);
    if (gossip_send(g, s)) {
        gossip_out(g, clan_peer_PeerMsg_want_tag)->m.want.ids.size = 0;
        gossip_send(g, s);
    }
}

void gossip_up(struct gossip *g, uint32_t session, enum gossip_kind kind,
    const uint8_t machine_id[32], const uint8_t peer_static[32], uint64_t now_ms)
{
    g->now = now_ms;
    gossip_down(g, session);
    struct gsession *s = g->count < GOSSIP_SESSIONS_MAX ? calloc(1, sizeof *s) : NULL;
    if (!s) {
        g->ops.drop(g->arg, session, CLAN_E_LIMIT, "too many sessions");
        return;
    }
    s->id = session;
    s->kind = kind;
    s->known = machine_id != NULL;
    if (machine_id)
        memcpy(s->machine, machine_id, 32);
    memcpy(s->peer_static, peer_static, 32);
    s->tokens = kind == GOSSIP_STRANGER ? GOSSIP_STRANGER_TOKENS : GOSSIP_TOKENS;
    s->serve = GOSSIP_SERVE;
    s->tokens_ms = now_ms;
    size_t at = position(g, session);
    memmove(&g->sessions[at + 1], &g->sessions[at], (g->count - at) * sizeof *g->sessions);
    g->sessions[at] = s;
    g->count++;
    push_recognise(g);
    if ((s = gsession_find(g, session)) && s->kind == kind) /* else it was greeted, or dropped */
        gossip_greet(g, s);
}

void gossip_down(struct gossip *g, uint32_t session)
{
    size_t at = position(g, session);
    if (at == g->count || g->sessions[at]->id != session)
        return;
    session_free(g->sessions[at]);
    memmove(&g->sessions[at], &g->sessions[at + 1], (g->count - at - 1) * sizeof *g->sessions);
    g->count--;
    body_session_gone(g, session);
}

/* What a session of each kind may send; the rest of it is passed over. */
static bool may_send(const struct gossip *g, const struct gsession *s, pb_size_t which)
{
    switch (s->kind) {
    case GOSSIP_PEER:
        return true;
    case GOSSIP_STRANGER:
        return which == clan_peer_PeerMsg_statement_tag;
    case GOSSIP_DOOR: /* a joiner, once it is in */
        return gsession_machine(g, s) && (which == clan_peer_PeerMsg_statement_tag ||
                                             which == clan_peer_PeerMsg_want_blob_tag);
    case GOSSIP_JOINER:
        return which == clan_peer_PeerMsg_statement_tag || which == clan_peer_PeerMsg_blob_tag ||
               which == clan_peer_PeerMsg_settled_tag;
    }
    return false;
}

static void dispatch(struct gossip *g, struct gsession *s, const clan_peer_PeerMsg *msg)
{
    switch (msg->which_m) {
    case clan_peer_PeerMsg_head_tag:
        sync_on_head(g, s, &msg->m.head);
        break;
    case clan_peer_PeerMsg_statement_tag:
        push_on_statement(g, s, &msg->m.statement);
        break;
    case clan_peer_PeerMsg_buckets_tag:
        sync_on_buckets(g, s, &msg->m.buckets);
        break;
    case clan_peer_PeerMsg_bucket_ids_tag:
        sync_on_ids(g, s, &msg->m.bucket_ids);
        break;
    case clan_peer_PeerMsg_want_tag:
        sync_on_want(g, s, &msg->m.want);
        break;
    case clan_peer_PeerMsg_want_blob_tag:
        body_on_want(g, s, &msg->m.want_blob);
        break;
    case clan_peer_PeerMsg_blob_tag:
        body_on_blob(g, s, &msg->m.blob);
        break;
    default: /* Settled: the caller's; the statements before it are in */
        break;
    }
}

bool gossip_recv(struct gossip *g, uint32_t session, const clan_peer_PeerMsg *msg, uint64_t now_ms)
{
    switch (msg->which_m) {
    case clan_peer_PeerMsg_head_tag:
    case clan_peer_PeerMsg_statement_tag:
    case clan_peer_PeerMsg_buckets_tag:
    case clan_peer_PeerMsg_bucket_ids_tag:
    case clan_peer_PeerMsg_want_tag:
    case clan_peer_PeerMsg_want_blob_tag:
    case clan_peer_PeerMsg_blob_tag:
    case clan_peer_PeerMsg_settled_tag:
        break;
    default:
        return false;
    }
    g->now = now_ms;
    struct gsession *s = gsession_find(g, session);
    if (s && may_send(g, s, msg->which_m))
        dispatch(g, s, msg);
    return true;
}

clan_status gossip_publish(struct gossip *g, const void *raw, size_t size, uint64_t now_ms,
    struct member_effect *ret_effect, struct clan_error *reterr)
{
    struct member_effect own;
    g->now = now_ms;
    return push_accept(
        g, 0, raw, size, now_ms / 3600000 + 1, ret_effect ? ret_effect : &own, reterr);
}

void gossip_hand_over(
    struct gossip *g, uint32_t session, const uint8_t invite_id[16], uint64_t now_ms)
{
    g->now = now_ms;
    struct gsession *s = gsession_find(g, session);
    if (!s)
        return;
    s->handing = s->handed = true;
    s->hand_serial = 0;
    memcpy(s->invite_id, invite_id, 16);
    push_hand_step(g, s);
}

static void repair(struct gossip *g)
{
    size_t peers = 0;
    for (size_t i = 0; i < g->count; i++)
        peers += g->sessions[i]->kind == GOSSIP_PEER;
    g->repair_ms = g->now + GOSSIP_REPAIR_MS - 2000 + g->ops.random(g->arg, 4000);
    if (peers == 0)
        return;
    size_t pick = g->ops.random(g->arg, (uint32_t)peers);
    for (size_t i = 0; i < g->count; i++) {
        if (g->sessions[i]->kind != GOSSIP_PEER)
            continue;
        if (pick-- == 0) {
            sync_head(g, g->sessions[i]);
            return;
        }
    }
}

uint64_t gossip_tick(struct gossip *g, uint64_t now_ms)
{
    g->now = now_ms;
    if (g->repair_ms == 0)
        g->repair_ms = now_ms + g->ops.random(g->arg, GOSSIP_REPAIR_MS);
    if (now_ms >= g->repair_ms)
        repair(g);
    uint64_t next = g->repair_ms;
    for (size_t i = 0; i < g->count; i++) {
        struct gsession *s = g->sessions[i];
        if (s->handing)
            push_hand_step(g, s);
        body_serve(g, s);
        uint64_t at = sync_tick(g, s);
        if (s->handing || s->blob_count > 0)
            at = now_ms + 20;
        if (s->late) {
            at = now_ms + GOSSIP_SYNC_MS;
            sync_late_head(g, s); /* the last word of s here: it may be gone */
        }
        next = at < next ? at : next;
    }
    uint64_t at = body_tick(g);
    return at < next ? at : next;
}
