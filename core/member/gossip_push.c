/* Gossip: taking in statements, passing new ones on, recognising strangers, handing over to a
 * joiner. */
#include "base/error.h"
#include "member/gossip_int.h"
#include "noise/keys.h"

#include <string.h>

/* Who has to hear of it at once, whoever else does. */
static bool must_hear(
    const struct gossip *g, const struct gsession *s, const struct member_effect *e)
{
    const struct member_machine *x = gsession_machine(g, s);
    const struct member_machine *subject = member_find(g->m, e->machine);
    if (s->kind == GOSSIP_JOINER)
        return true;
    if (!x)
        return false;
    /* a receipt reaches the joiner through its door */
    return x->keeper || s->kind == GOSSIP_DOOR || x == subject ||
           (subject && !memcmp(x->id, subject->door, 32));
}

static void push(struct gossip *g, const struct member_effect *e, uint32_t from)
{
    struct gsession *others[GOSSIP_SESSIONS_MAX];
    size_t n = 0, index = member_stmt_index(g->m, e->id);
    if (index == SIZE_MAX)
        return;
    for (size_t i = 0; i < g->count; i++) {
        struct gsession *s = g->sessions[i];
        if (s->id == from || !gsession_sees(g, s, index))
            continue;
        if (must_hear(g, s, e))
            gossip_send_stmt(g, s, index);
        else if (s->kind == GOSSIP_PEER)
            others[n++] = s;
    }
    for (unsigned k = 0; k < GOSSIP_PUSH && n > 0; k++) {
        size_t pick = g->ops.random(g->arg, (uint32_t)n);
        gossip_send_stmt(g, others[pick], index);
        others[pick] = others[--n];
    }
}

static void send_revocation(struct gossip *g, struct gsession *s, const struct member_machine *x)
{
    size_t index = member_stmt_index(g->m, x->revocation_id);
    if (index != SIZE_MAX)
        gossip_send_stmt(g, s, index);
}

/* Of one session; it may be gone afterwards. */
static void recognise(struct gossip *g, struct gsession *s)
{
    const struct member_machine *x = s->kind == GOSSIP_STRANGER
                                         ? member_find_key(g->m, KEY_CONTROL, s->peer_static, true)
                                         : gsession_machine(g, s);
    if (!x || s->kind == GOSSIP_JOINER)
        return;
    if (x->standing == MEMBER_REVOKED) {
        char name[33];
        member_name(g->m, g->cfg, x->id, name);
        send_revocation(g, s, x);
        gsession_end(g, s->id, CLAN_E_REVOKED, "%s was removed from the clan", name);
        return;
    }
    if (s->kind != GOSSIP_STRANGER || x->standing == MEMBER_UNKNOWN)
        return;
    uint32_t id = s->id;
    s->kind = GOSSIP_PEER;
    s->known = true;
    s->tokens = GOSSIP_TOKENS;
    memcpy(s->machine, x->id, 32);
    g->ops.introduced(g->arg, id, s->machine);
    if ((s = gsession_find(g, id)))
        gossip_greet(g, s);
}

void push_recognise(struct gossip *g)
{
    /* from the end, so that a session that goes away moves none that is still to come */
    for (size_t i = g->count; i > 0; i--) {
        if (i > g->count)
            i = g->count;
        if (i > 0)
            recognise(g, g->sessions[i - 1]);
    }
}

static void after(struct gossip *g, const struct member_effect *e, uint32_t session)
{
    push(g, e, session);
    g->ops.changed(g->arg, e, session);
    if (e->changed & (MEMBER_CHANGED_MACHINE | MEMBER_CHANGED_CONFIG | MEMBER_CHANGED_INVITE))
        push_recognise(g);
    if (e->changed & MEMBER_CHANGED_CONFIG)
        for (size_t i = 0; i < g->count; i++)
            if (g->sessions[i]->kind == GOSSIP_PEER)
                sync_head(g, g->sessions[i]);
}

/* Verified, then durable, then in the set, then passed on. */
static clan_status take(struct gossip *g, uint32_t session, const void *raw, size_t size,
    uint64_t hour, struct member_effect *ret, struct clan_error *e)
{
    clan_status r = member_check(g->m, raw, size, hour, ret, e);
    if (r != CLAN_OK || !ret->is_new)
        return r;
    if (!g->ops.store(g->arg, raw, size, ret)) {
        ret->is_new = false;
        return err_set(e, CLAN_E_IO, "a statement could not be stored");
    }
    r = member_add(g->m, ret, e);
    if (r == CLAN_OK)
        after(g, ret, session);
    return r;
}

clan_status push_accept(struct gossip *g, uint32_t session, const void *raw, size_t size,
    uint64_t hour, struct member_effect *ret, struct clan_error *e)
{
    struct member_effect more;
    size_t next;
    uint64_t next_hour;
    clan_status r = take(g, session, raw, size, hour, ret, e);
    if (r != CLAN_OK || !ret->is_new)
        return r;
    while (member_ready(g->m, g->ready, &next, &next_hour))
        (void)take(g, session, g->ready, next, next_hour, &more, NULL);
    return CLAN_OK;
}

void push_held(struct gossip *g)
{
    const uint8_t *raw;
    size_t size;
    bool more, took = false;
    struct member_effect effect;
    while ((more = g->stage && stage_next(g->stage, g->m, &raw, &size))) {
        if (push_accept(g, 0, raw, size, 0, &effect, NULL) != CLAN_OK || !effect.is_new)
            break; /* the disk is full: the next head is the next try */
        took = true;
    }
    if (took && !more && g->ops.caught)
        g->ops.caught(g->arg);
}

/* Kept aside instead of taken in; what nobody of before brings is passed over, and comes again. */
static bool held(struct gossip *g, const struct gsession *s, const struct stmt *st,
    const clan_peer_Statement *in, uint64_t hour)
{
    if (!g->stage || !stage_holds(st->kind) || member_stmt_index(g->m, st->id) != SIZE_MAX)
        return false;
    bool kept =
        s->known && stage_put(g->stage, g->m, s->machine, in->data.bytes, in->data.size, hour);
    if (kept && st->kind == STMT_ENVELOPE)
        push_held(g);
    return true;
}

/* What was asked for is bounded by the asking; its author brings it under its own quota all the
 * same. */
static uint64_t hour_of(
    const struct gossip *g, const struct gsession *s, const struct stmt *st, bool asked)
{
    bool own_words = s->known && !memcmp(st->author, s->machine, 32);
    if (s->kind == GOSSIP_JOINER || (asked && !own_words))
        return 0;
    return g->now / 3600000 + 1;
}

static void refused(struct gossip *g, uint32_t session, clan_status r, const struct clan_error *e)
{
    struct gsession *s = gsession_find(g, session);
    if (!s || (r != CLAN_E_AUTH && r != CLAN_E_INVAL))
        return;
    s->bad++;
    if (s->bad > GOSSIP_BAD_MAX)
        gsession_end(
            g, session, CLAN_E_PROTO, "sent statements that do not verify: %.100s", e->what);
    else
        (void)gsession_spend(g, s, GOSSIP_BAD_COST);
}

/* A stranger whose door was removed: it may have heard of the clan from that door alone, so it is
 * told. */
static void guest_of_removed(struct gossip *g, uint32_t session, const struct stmt *admission)
{
    struct gsession *s = gsession_find(g, session);
    const struct member_machine *door = member_find(g->m, admission->author);
    if (!s || s->kind != GOSSIP_STRANGER || !door || door->standing != MEMBER_REVOKED)
        return;
    send_revocation(g, s, door);
    gsession_end(
        g, session, CLAN_E_REVOKED, "the machine that let it in was removed from the clan");
}

void push_on_statement(struct gossip *g, struct gsession *s, const clan_peer_Statement *st)
{
    struct stmt parsed;
    struct member_effect effect;
    struct clan_error e = CLAN_ERROR_INIT;
    uint32_t id = s->id;
    clan_status r = stmt_parse(st->data.bytes, st->data.size, &parsed, &e);
    if (r != CLAN_OK) {
        refused(g, id, r, &e);
        return;
    }
    bool asked = sync_take_asked(s, parsed.id);
    if (!asked && s->kind != GOSSIP_JOINER && !gsession_spend(g, s, 1))
        return;
    uint64_t hour = hour_of(g, s, &parsed, asked);
    bool aside = held(g, s, &parsed, st, hour);
    if (aside)
        effect.is_new = false;
    else
        r = push_accept(g, id, st->data.bytes, st->data.size, hour, &effect, &e);
    if (r != CLAN_OK)
        refused(g, id, r, &e);
    else if (parsed.kind == STMT_ADMISSION && !aside)
        guest_of_removed(g, id, &parsed);
    if (!asked || !(s = gsession_find(g, id)))
        return;
    s->fresh += r == CLAN_OK && effect.is_new;
    s->late_ms = g->now;
    sync_late_head(g, s);
    if (!(s = gsession_find(g, id)))
        return;
    if (s->out_count <= GOSSIP_WANT_OUT / 2 && s->want_next < s->want_count)
        sync_pump(g, s);
    if (s->out_count == 0 && s->want_next == s->want_count && s->fresh > 0)
        sync_head(g, s); /* the rest, if there is one; after nothing new there is none */
}

struct chain {
    struct gossip *g;
    struct gsession *s;
    bool failed;
};

static void chain_send(void *arg, size_t index)
{
    struct chain *c = arg;
    if (!c->failed && gsession_sees(c->g, c->s, index))
        c->failed = !gossip_send_stmt(c->g, c->s, index);
}

/* A machine's own statements after those of the doors that lead up to it. */
void push_chain(struct gossip *g, struct gsession *s, const uint8_t machine_id[32])
{
    const struct member_machine *line[8];
    unsigned n = 0;
    struct chain c = {g, s, false};
    static const uint8_t zero[32];
    const struct member_machine *x = member_find(g->m, machine_id);
    while (x && n < 8) {
        line[n++] = x;
        x = memcmp(x->door, zero, 32) ? member_find(g->m, x->door) : NULL;
    }
    while (n > 0)
        member_stmts_of(g->m, line[--n]->id, chain_send, &c);
}

/* For a joiner: the chain, its invitation, its own statements, and what a guest may see. */
static bool hand_visible(const struct gossip *g, const struct gsession *s,
    const struct member_machine *guest, size_t index)
{
    const uint8_t *raw;
    size_t size;
    uint8_t kind, id[16];
    struct stmt st;
    struct stmt_invitation in;
    if (member_may_see(g->m, g->cfg, NULL, g->own, index))
        return true;
    if (member_stmt_at(g->m, index, &raw, &size, NULL, &kind) != CLAN_OK ||
        stmt_parse(raw, size, &st, NULL) != CLAN_OK)
        return false;
    if (kind == STMT_INVITATION && stmt_get_invitation(&st, &in) == CLAN_OK) {
        keys_invite_id(in.public_key, id);
        return !memcmp(id, s->invite_id, 16);
    }
    return guest && guest->standing != MEMBER_UNKNOWN && guest->standing != MEMBER_CONFIRMED &&
           member_may_see(g->m, g->cfg, guest, g->own, index);
}

void push_hand_step(struct gossip *g, struct gsession *s)
{
    uint64_t serial = s->hand_serial;
    const struct member_machine *guest = gsession_machine(g, s);
    for (size_t i; (i = member_stmt_after(g->m, serial, &serial)) != SIZE_MAX;) {
        if (hand_visible(g, s, guest, i) && !gossip_send_stmt(g, s, i))
            return; /* the queue is full: the next tick goes on */
        s->hand_serial = serial;
    }
    if (guest) /* confirmed or not, its own */
        push_chain(g, s, guest->id);
    clan_peer_Settled *settled = &gossip_out(g, clan_peer_PeerMsg_settled_tag)->m.settled;
    settled->receipt_known = guest && guest->standing == MEMBER_CONFIRMED;
    if (gossip_send(g, s))
        s->handing = false;
}
