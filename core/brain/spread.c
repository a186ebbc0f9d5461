/* Statements in and out: the durable log, gossip's wishes, and what control sessions carry. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/brain.h"
#include "brain/visit.h"

#include <pb_decode.h>
#include <stdlib.h>
#include <string.h>

/* ---- loading ---- */

static void note_own(struct brain *b, const struct stmt *st)
{
    if (memcmp(st->author, b->own_id, 32) != 0)
        return;
    if (st->kind == STMT_ACK && st->seq > b->own_ack_seq)
        b->own_ack_seq = st->seq;
    if (st->kind == STMT_ADMISSION && st->seq > b->own_admission_seq)
        b->own_admission_seq = st->seq;
}

/* Our own first record stands in our admission; it is the one that our identity signed. */
static void find_self(struct brain *b, const struct stmt *st)
{
    struct stmt_admission a;
    struct stmt_record r;
    struct stmt rec;
    if (st->kind != STMT_ADMISSION || b->own_record_size || stmt_get_admission(st, &a) != CLAN_OK)
        return;
    if (stmt_parse(a.record, a.record_size, &rec, NULL) == CLAN_OK &&
        stmt_get_record(&rec, &r) == CLAN_OK && memcmp(r.identity, b->identity, 32) == 0)
        identity_use_record(b, rec.raw, rec.raw_size, rec.id);
}

/* Stored statements that the set does not hold, as those of a newer Clan: the log keeps them. */
static struct odd {
    struct odd *next;
    size_t size;
    uint8_t raw[];
} * odd_first, **odd_end = &odd_first;

static void odd_drop(void)
{
    for (struct odd *o = odd_first, *next; o; o = next) {
        next = o->next;
        free(o);
    }
    odd_first = NULL;
    odd_end = &odd_first;
}

static void odd_keep(const uint8_t *raw, size_t size)
{
    struct odd *o = malloc(sizeof *o + size);
    clan_assert(o);
    *o = (struct odd){.size = size};
    memcpy(o->raw, raw, size);
    *odd_end = o;
    odd_end = &o->next;
}

static void on_stored(void *arg, const uint8_t *raw, size_t size)
{
    struct brain *b = arg;
    struct member_effect effect;
    struct clan_error e = CLAN_ERROR_INIT;
    struct stmt st;
    if (stmt_parse(raw, size, &st, &e) != CLAN_OK) {
        log_warn("a stored statement cannot be read: %s", e.what);
        odd_keep(raw, size);
        return;
    }
    if (st.kind == STMT_GENESIS && !member_clan_id(b->set))
        memcpy(b->clan_id, st.id, 32);
    find_self(b, &st);
    note_own(b, &st);
    /* the quota was kept when it came; hours that differ keep it from being counted again */
    static uint64_t hour;
    if (member_apply(b->set, raw, size, hour++, &effect, &e) != CLAN_OK) {
        log_warn("a stored statement is not taken: %s", e.what);
        odd_keep(raw, size);
    }
}

/* ---- the log without what newer statements replaced ---- */

#define SPREAD_LOG_SLACK (256u << 10) /* bytes of replaced statements that are not worth it */

struct live {
    struct brain *b;
    uint64_t serial;
    const struct odd *odd;
};

static bool next_live(void *arg, const uint8_t **ret_raw, size_t *ret_size)
{
    struct live *l = arg;
    size_t i = member_stmt_after(l->b->set, l->serial, &l->serial);
    if (i != SIZE_MAX)
        return member_stmt_at(l->b->set, i, ret_raw, ret_size, NULL, NULL) == CLAN_OK;
    const struct odd *o = l->odd;
    if (!o)
        return false;
    *ret_raw = o->raw;
    *ret_size = o->size;
    l->odd = o->next;
    return true;
}

static uint64_t log_enough; /* bytes of the log at which it is looked at again */

/* Records and acknowledgements are signed anew all the time, and one of each counts. */
static void shrink_log(struct brain *b)
{
    struct live l = {.b = b, .odd = odd_first};
    struct clan_error e = CLAN_ERROR_INIT;
    const uint8_t *raw;
    uint64_t live = 0, bytes = stmt_store_bytes(b->store);
    if (bytes < log_enough)
        return;
    for (size_t size; next_live(&l, &raw, &size);)
        live += size;
    log_enough = 2 * live + SPREAD_LOG_SLACK;
    if (bytes < log_enough)
        return;
    l = (struct live){.b = b, .odd = odd_first};
    if (stmt_store_compact(b->store, next_live, &l, &e) != CLAN_OK) {
        log_clan_error(LOG_LEVEL_WARN, &e);
        log_enough = bytes + SPREAD_LOG_SLACK;
    }
}

bool spread_load(struct brain *b, struct clan_error *e)
{
    b->set = member_new();
    clan_assert(b->set);
    odd_drop();
    log_enough = 0;
    if (stmt_store_open(b->state_fd, on_stored, b, &b->store, e) != CLAN_OK)
        return false;
    if (!member_clan_id(b->set) || !b->own_record_size) {
        err_set(e, CLAN_E_STATE, "the statements of the clan are not complete on this machine");
        err_why(e, "statements.log holds no genesis or no record of this machine");
        err_remedy(e, "run clan leave and join again; the other machines are not touched");
        return false;
    }
    shrink_log(b);
    b->gossip = gossip_new(b->set, b->own_id, &spread_ops, b);
    clan_assert(b->gossip);
    return true;
}

clan_status spread_publish(struct brain *b, const void *raw, size_t size, struct clan_error *e)
{
    struct member_effect effect;
    clan_status st = gossip_publish(b->gossip, raw, size, brain_now(), &effect, e);
    if (st == CLAN_E_IO && b->disk_trouble.status != CLAN_OK)
        *e = b->disk_trouble; /* why, and what to do */
    brain_soon(b);
    return st;
}

/* ---- gossip's wishes ---- */

static bool op_send(void *arg, uint32_t session, const clan_peer_PeerMsg *msg)
{
    if (msg->which_m != clan_peer_PeerMsg_head_tag)
        return session_send(arg, session, msg);
    clan_peer_PeerMsg *head = peer_blank(clan_peer_PeerMsg_head_tag);
    head->m.head = msg->m.head;
    head->m.head.wall = clock_wall_s(); /* gossip knows no clock */
    return session_send(arg, session, head);
}

static bool op_store(void *arg, const uint8_t *raw, size_t size, const struct member_effect *effect)
{
    struct brain *b = arg;
    struct clan_error e = CLAN_ERROR_INIT;
    (void)effect;
    if (stmt_store_append(b->store, raw, size, &e) == CLAN_OK) {
        b->disk_trouble.status = CLAN_OK;
        return true;
    }
    if (b->disk_trouble.status == CLAN_OK)
        log_clan_error(LOG_LEVEL_ERROR, &e);
    b->disk_trouble = e;
    return false;
}

static void op_changed(void *arg, const struct member_effect *effect, uint32_t session)
{
    (void)effect, (void)session;
    shrink_log(arg); /* what was stored is in the set by now */
    brain_soon(arg);
}

static void op_introduced(void *arg, uint32_t id, const uint8_t machine[32])
{
    struct brain *b = arg;
    struct session *s = session_find(b, id);
    if (!s || s->has_machine)
        return;
    peers_reconcile(b); /* link must know the peer before its session is admitted */
    clan_link_ToLink *m = link_blank(clan_link_ToLink_admit_tag);
    m->m.admit.session = id;
    memcpy(m->m.admit.machine_id, machine, 32);
    link_send(b, m, NULL, 0);
    memcpy(s->machine, machine, 32);
    s->has_machine = true;
    /* gossip goes on with the session as a peer's; only our own table is new */
    struct peer *p = peer_get(b, machine);
    if (p) {
        p->control = id;
        p->last_seen = clock_wall_s();
        services_tell(b, s);
    }
    brain_soon(b);
}

static void op_drop(void *arg, uint32_t id, clan_status why, const char *text)
{
    struct brain *b = arg;
    struct session *s = session_find(b, id);
    if (!s)
        return;
    log_info("a session is closed: %s (%s)", text, clan_status_text(why));
    clan_peer_PeerMsg *bye = peer_blank(clan_peer_PeerMsg_bye_tag);
    bye->m.bye.status = (uint32_t)why;
    snprintf(bye->m.bye.text, sizeof bye->m.bye.text, "%s", text);
    session_send(b, id, bye);
    session_close(b, s, true);
}

#define WALL_MAX ((int64_t)1 << 40) /* later than any clock: differences of two must not overflow */

static void op_head(void *arg, uint32_t id, const clan_peer_Head *head)
{
    int64_t wall = head->wall < 0 ? 0 : head->wall < WALL_MAX ? head->wall : WALL_MAX;
    struct brain *b = arg;
    struct session *s = session_find(b, id);
    if (!s || !s->has_machine)
        return;
    struct peer *p = peer_get(b, s->machine);
    if (p) {
        p->shown_head = head->config_version;
        memcpy(p->shown_id, head->config_id, 32);
        p->shown_catching_up = head->catching_up;
        p->wall_at_boot = wall - (int64_t)(clock_boot_ms() / 1000);
        p->last_seen = clock_wall_s();
    }
    catchup_head(b, s, head);
    brain_soon(b);
}

static void op_caught(void *arg)
{
    catchup_caught(arg);
}

const struct gossip_ops spread_ops = {
    .send = op_send,
    .store = op_store,
    .changed = op_changed,
    .introduced = op_introduced,
    .drop = op_drop,
    .body_get = bodies_get,
    .body_put = bodies_put,
    .head = op_head,
    .caught = op_caught,
    .random = brain_random,
};

/* ---- what control and door sessions carry ---- */

static void on_ping(struct brain *b, struct session *s, const clan_peer_Ping *ping)
{
    const struct member_machine *who = s->has_machine ? member_find(b->set, s->machine) : NULL;
    clan_peer_PeerMsg *m = peer_blank(clan_peer_PeerMsg_pong_tag);
    m->m.pong.nonce = ping->nonce;
    m->m.pong.data_allowed =
        who && who->standing == MEMBER_CONFIRMED && brain_confirmed(b) && !b->catching_up;
    if (!m->m.pong.data_allowed)
        snprintf(m->m.pong.refusal, sizeof m->m.pong.refusal, "%s",
            b->catching_up        ? "it was asleep and is still catching up"
            : !brain_confirmed(b) ? "it is itself provisional: no keeper has confirmed it yet"
                                  : "your machine is provisional: no keeper has confirmed it yet");
    session_send(b, s->id, m);
}

void spread_recv(struct brain *b, struct session *s, const uint8_t *data, size_t size)
{
    static clan_peer_PeerMsg msg;
    pb_istream_t is = pb_istream_from_buffer(data, size);
    if (!pb_decode(&is, clan_peer_PeerMsg_fields, &msg)) {
        log_warn("a peer sent a message that does not decode; its session is closed");
        session_close(b, s, false);
        return;
    }
    if (s->joiner) {
        joiner_recv(b, s, &msg);
        return;
    }
    if (s->gossiping && gossip_recv(b->gossip, s->id, &msg, brain_now())) {
        return;
    }
    if (!s->has_machine)
        return;
    switch (msg.which_m) {
    case clan_peer_PeerMsg_service_tag:
        services_soft(b, s, &msg.m.service);
        break;
    case clan_peer_PeerMsg_ping_tag:
        on_ping(b, s, &msg.m.ping);
        break;
    case clan_peer_PeerMsg_pong_tag:
        api_pong(b, s, &msg.m.pong);
        break;
    case clan_peer_PeerMsg_visit_ask_tag:
        visit_asked(b, s, &msg.m.visit_ask);
        break;
    case clan_peer_PeerMsg_visit_code_tag:
        visit_told(b, s, &msg.m.visit_code);
        break;
    case clan_peer_PeerMsg_bye_tag:
        text_sanitize(msg.m.bye.text);
        log_info("a peer says good-bye: %s", msg.m.bye.text);
        session_close(b, s, false);
        break;
    default:
        break; /* a newer kind: skipped */
    }
}
