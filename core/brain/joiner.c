/* Joining: fetch and verify what the link promises, then join for real (DESIGN 14, SECURITY A). */
#include "brain/joiner.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/brain.h"
#include "brain/joindial.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define JOINER_DIAL_MS   5000   /* one endpoint (SECURITY A6) */
#define JOINER_PHASE_MS  300000 /* with progress: who is asked does not hold a caller for ever */
#define JOINER_LONG_MS   5000 /* who waited so long stood in line and comes again when sent away */
#define JOINER_TRIES     8
#define JOINER_PAUSE_MS  1000 /* before the second try, and as much again by chance; then longer */
#define JOINER_PAUSE_MAX 8000

static void drop_set(struct joiner *j)
{
    if (j->gossip)
        gossip_free(j->gossip);
    if (j->set)
        member_free(j->set);
    j->gossip = NULL;
    j->set = NULL;
}

static void end_session(struct joiner *j)
{
    struct session *s = session_find(j->b, j->session);
    j->session = 0;
    if (!s)
        return;
    s->joiner = NULL;
    session_close(j->b, s, false);
}

static void joiner_free(struct brain *b)
{
    struct joiner *j = b->joiner;
    if (!j)
        return;
    b->joiner = NULL;
    transports_forget(b, j);
    end_session(j);
    drop_set(j);
    sodium_memzero(j, sizeof *j);
    free(j);
}

void joiner_cancel(struct brain *b, struct client *c)
{
    if (b->joiner && b->joiner->client == c)
        b->joiner->client = NULL;
    if (b->joiner && !b->bound && b->joiner->phase < PHASE_BIND)
        joiner_free(b);
}

void joiner_fail(struct joiner *j, const struct clan_error *e)
{
    struct brain *b = j->b;
    struct clan_error copy = *e; /* e may live in j */
    struct client *c = j->client;
    joiner_free(b);
    if (c)
        api_error(c, &copy);
}

/* ---- gossip's wishes while joining ---- */

static bool op_send(void *arg, uint32_t session, const clan_peer_PeerMsg *msg)
{
    return session_send(((struct joiner *)arg)->b, session, msg);
}

static bool op_store(void *arg, const uint8_t *raw, size_t size, const struct member_effect *effect)
{
    struct joiner *j = arg;
    (void)effect;
    if (j->phase != PHASE_JOIN)
        return true; /* a preview leaves nothing behind */
    return stmt_store_append(j->b->store, raw, size, &j->last) == CLAN_OK;
}

static void op_changed(void *arg, const struct member_effect *effect, uint32_t session)
{
    (void)arg, (void)effect, (void)session;
}

static void op_introduced(void *arg, uint32_t session, const uint8_t id[32])
{
    (void)arg, (void)session, (void)id;
}

static void op_drop(void *arg, uint32_t session, clan_status why, const char *text)
{
    struct joiner *j = arg;
    struct session *s = session_find(j->b, session);
    err_set(&j->last, why, "the machine at the other end was hung up on");
    err_why(&j->last, "%s", text);
    if (s)
        session_close(j->b, s, false); /* its Down ends the attempt */
}

static bool op_body_get(
    void *arg, const uint8_t hash[32], const uint8_t **ret_data, size_t *ret_size)
{
    (void)arg, (void)hash, (void)ret_data, (void)ret_size;
    return false;
}

static bool op_body_put(void *arg, const uint8_t hash[32], const uint8_t *data, size_t size)
{
    (void)arg, (void)hash, (void)data, (void)size;
    return false;
}

static void op_head(void *arg, uint32_t session, const clan_peer_Head *head)
{
    (void)arg, (void)session, (void)head;
}

static const struct gossip_ops joiner_ops = {op_send, op_store, op_changed, op_introduced, op_drop,
    op_body_get, op_body_put, op_head, NULL, brain_random};

/* ---- dialling the door ---- */

void joiner_fail_or_again(struct joiner *j)
{
    uint64_t pause = (uint64_t)JOINER_PAUSE_MS << (j->tries < 3 ? j->tries : 3);
    bool asks = j->phase == PHASE_FETCH || j->phase == PHASE_JOIN;
    if (!j->busy || !asks || j->tries >= JOINER_TRIES || brain_now() >= j->deadline_ms) {
        joiner_fail(j, &j->last);
        return;
    }
    transports_forget(j->b, j);
    end_session(j);
    drop_set(j);
    pause = pause < JOINER_PAUSE_MAX ? pause : JOINER_PAUSE_MAX;
    pause += brain_random(NULL, (uint32_t)pause); /* a crowd does not come back as one */
    j->tries++;
    j->retry_ms = brain_now() + pause;
    log_info("joining is tried again: %s", j->last.what);
    api_progress(j->client, "again", "busy; asking again in %u s (try %u)",
        (unsigned)((pause + 999) / 1000), j->tries + 1);
}

static void dial_next(struct joiner *j)
{
    struct brain *b = j->b;
    while (j->endpoint < link_endpoint_count(&j->link)) {
        char text[LINK_ENDPOINT_TEXT];
        unsigned i = j->endpoint++;
        const char *transport = link_endpoint_transport(&j->link, i);
        struct dialing what = {.purpose = clan_link_Purpose_PURPOSE_DOOR, .joiner = j};
        if (!joindial_allowed(b, &j->link, i, &j->last))
            continue;
        link_endpoint_text(&j->link, i, text);
        rendezvous_invited(b, transport, text, j->link.seed);
        if (transports_dial(b, &what, transport, text, JOINER_DIAL_MS)) {
            if (j->client)
                api_progress(j->client, "dial", "asking %s", text);
            return;
        }
        joindial_needs(b, transport, &j->last);
    }
    if (j->last.status == CLAN_OK)
        err_set(&j->last, CLAN_E_UNREACHABLE, "the link names no address that can be asked");
    joiner_fail_or_again(j);
}

static void moved(struct joiner *j)
{
    j->moved_ms = j->shown_ms = brain_now();
}

/* Statements of an earlier try are not this one's. */
static bool empty_store(struct joiner *j)
{
    struct brain *b = j->b;
    unlinkat(b->state_fd, "statements.log", 0);
    if (b->store)
        stmt_store_close(b->store);
    b->store = NULL;
    return stmt_store_open(b->state_fd, NULL, NULL, &b->store, &j->last) == CLAN_OK;
}

void joiner_try_phase(struct joiner *j)
{
    j->endpoint = 0;
    j->answered = false;
    j->retry_ms = 0;
    j->last.status = CLAN_OK;
    moved(j);
    drop_set(j);
    if (j->phase == PHASE_JOIN && !empty_store(j)) {
        joiner_fail(j, &j->last);
        return;
    }
    j->set = member_new();
    clan_assert(j->set);
    dial_next(j);
}

void joiner_begin_phase(struct joiner *j, enum phase phase)
{
    j->phase = phase;
    j->tries = 0;
    j->deadline_ms = brain_now() + JOINER_PHASE_MS;
    joiner_try_phase(j);
}

void joiner_dial_failed(struct brain *b, struct joiner *j, const struct clan_error *e)
{
    if (b->joiner != j)
        return;
    err_set(&j->last, CLAN_E_UNREACHABLE, "nobody answers at the addresses of this link");
    err_why(&j->last, "%.150s%s%.150s", e->what, e->why[0] ? ": " : "", e->why);
    err_remedy(&j->last, "is the computer of whoever invites you on, and are you in the same "
                         "network? then try again");
    dial_next(j);
}

void joiner_fill_stream(struct joiner *j, struct session *s, clan_link_Stream *st)
{
    j->session = s->id;
    moved(j);
    memcpy(st->invite_id, j->id, 16);
    memcpy(st->psk, j->psk, 32);
    memcpy(st->clan_id, j->link.clan_id, 32);
    st->throwaway = j->phase == PHASE_FETCH;
}

/* ---- the handshake ---- */

void joiner_need_payload(struct brain *b, struct session *s, const uint8_t hash[64])
{
    struct joiner *j = s->joiner;
    uint8_t text[KEYS_PROOF_MAX], proof[64];
    unsigned n;
    size_t size;
    if (j->phase == PHASE_FETCH)
        n = keys_fetch_proof(j->link.clan_id, j->id, hash, text);
    else
        n = keys_join_proof(
            j->link.clan_id, j->id, b->own_record, (uint32_t)b->own_record_size, text);
    crypto_sign_detached(proof, NULL, text, n, j->secret);
    clan_link_ToLink *m = link_blank(clan_link_ToLink_payload_tag);
    m->m.payload.session = s->id;
    bool join = j->phase == PHASE_JOIN;
    if (join_payload(join ? JOIN_MODE_JOIN : JOIN_MODE_FETCH, proof, join ? b->own_record : NULL,
            join ? b->own_record_size : 0, m->m.payload.data.bytes, sizeof m->m.payload.data.bytes,
            &size) != CLAN_OK)
        return;
    m->m.payload.data.size = (pb_size_t)size;
    link_send(b, m, NULL, 0);
}

void joiner_up(struct brain *b, struct session *s)
{
    struct joiner *j = s->joiner;
    static const uint8_t nobody[32];
    memcpy(j->door_static, s->peer_static, 32);
    moved(j);
    gossip_free(j->gossip); /* of an endpoint that went silent */
    j->gossip = gossip_new(j->set, j->phase == PHASE_JOIN ? b->own_id : nobody, &joiner_ops, j);
    clan_assert(j->gossip);
    gossip_up(j->gossip, s->id, GOSSIP_JOINER, NULL, s->peer_static, brain_now());
}

void joiner_down(struct brain *b, struct session *s, clan_link_Reason reason)
{
    struct joiner *j = s->joiner;
    if (b->joiner != j || j->session != s->id || j->phase >= PHASE_BIND || j->phase == PHASE_ASK)
        return;
    j->session = 0;
    j->busy |= brain_now() - j->moved_ms >= JOINER_LONG_MS;
    if (!j->answered && j->last.status == CLAN_OK) {
        err_set(&j->last, CLAN_E_AUTH, "the machine that was asked stays silent");
        err_why(&j->last, "this is what it does when it knows no such invitation: the link was "
                          "changed on its way, "
                          "belongs to another clan, or was made a moment ago on a machine it has "
                          "not heard of yet");
        err_remedy(&j->last,
            "ask for the link again and copy all of it; if that does not help, ask for a new one");
    } else if (j->last.status == CLAN_OK) {
        err_set(&j->last, CLAN_E_UNREACHABLE, "the connection broke while joining (reason %d)",
            (int)reason);
        err_remedy(&j->last, "try again");
    }
    if (j->answered)
        joiner_fail_or_again(j);
    else
        dial_next(j);
}

/* ---- after the door spoke ---- */

static void suggest_petname(const char *clan, char ret[33])
{
    snprintf(ret, 33, "%.32s", text_name_ok(clan) ? clan : "clan");
}

static void tell_facts(
    struct joiner *j, const struct member_machine *door, const struct member_invite *inv)
{
    clan_api_Answer *a = api_blank();
    clan_api_JoinFacts *f = &a->m.join_facts;
    const char *name = NULL;
    a->which_m = clan_api_Answer_join_facts_tag;
    snprintf(f->clan, sizeof f->clan, "%.32s", member_genesis(j->set)->clan);
    memcpy(f->clan_id, j->link.clan_id, 32);
    keys_words("clan", j->link.clan_id, j->link.clan_id, f->words);
    member_is_admin(j->set, inv->by, &name);
    snprintf(f->inviter, sizeof f->inviter, "%.32s", name ? name : "a former admin");
    keys_words("admin", j->link.clan_id, inv->by, f->inviter_words);
    snprintf(f->for_name, sizeof f->for_name, "%.32s", inv->body.for_name);
    f->uses = inv->body.uses;
    f->expires = inv->body.expires;
    member_name(j->set, NULL, door->id, f->door);
    suggest_petname(f->clan, f->suggested_petname);
    api_answer(j->client, a, true);
}

static void on_bound(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    struct joiner *j = arg;
    if (b->joiner != j || j->phase != PHASE_BIND) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (answer->error.status != CLAN_OK || fd < 0) {
        if (fd >= 0)
            close(fd);
        j->last = answer->error;
        joiner_fail(j, &j->last);
        return;
    }
    /* the verified set becomes the clan's, the door session an ordinary source of statements */
    snprintf(b->petname, sizeof b->petname, "%s", j->petname);
    b->set = j->set;
    j->set = NULL;
    gossip_down(j->gossip, j->session);
    gossip_free(j->gossip);
    j->gossip = NULL;
    b->gossip = gossip_new(b->set, b->own_id, &spread_ops, b);
    clan_assert(b->gossip);
    struct session *s = session_find(b, j->session);
    if (s) {
        s->joiner = NULL;
        s->gossiping = true;
        gossip_up(b->gossip, s->id, GOSSIP_JOINER, NULL, j->door_static, brain_now());
    }
    j->phase = PHASE_WAIT;
    j->deadline_ms = brain_now() + j->wait_ms;
    if (j->client)
        api_progress(j->client, "joined", "admitted, building the network");
    brain_bound(b);
    api_listen(b, fd);
    ward_simple(b, WARD_REQ_READY, NULL, NULL);
}

static void settled(struct joiner *j)
{
    const struct member_machine *door;
    const struct member_invite *inv;
    struct brain *b = j->b;
    clan_status st = join_verify(j->set, &j->link, j->door_static, &door, &inv, &j->last);
    if (st != CLAN_OK) {
        joiner_fail(j, &j->last);
        return;
    }
    if (j->phase == PHASE_FETCH) {
        tell_facts(j, door, inv);
        end_session(j);
        drop_set(j);
        j->phase = PHASE_ASK;
        return;
    }
    const struct member_machine *self = member_find(j->set, b->own_id);
    if (!self || self->standing == MEMBER_UNKNOWN || self->standing == MEMBER_REVOKED) {
        err_set(&j->last, CLAN_E_PROTO, "the door said yes but handed over no valid admission");
        err_remedy(&j->last, "ask for a link from another machine of the clan");
        joiner_fail(j, &j->last);
        return;
    }
    if (onedoor_begin(b, j->set, &j->last) != CLAN_OK) {
        joiner_fail(j, &j->last);
        return;
    }
    struct ward_bind r = {0};
    memcpy(r.clan_id, b->clan_id, 32);
    snprintf(r.petname, sizeof r.petname, "%s", j->petname);
    j->phase = PHASE_BIND;
    ward_ask(b, WARD_REQ_BIND, &r, sizeof r, on_bound, j);
}

void joiner_recv(struct brain *b, struct session *s, const clan_peer_PeerMsg *m)
{
    struct joiner *j = s->joiner;
    moved(j);
    if (m->which_m == clan_peer_PeerMsg_door_answer_tag) {
        j->answered = true;
        if (m->m.door_answer.error.status == CLAN_OK)
            return;
        error_from_wire(&j->last, &m->m.door_answer.error);
        joiner_fail(j, &j->last);
        return;
    }
    if (!j->answered || !j->gossip || (j->phase != PHASE_FETCH && j->phase != PHASE_JOIN))
        return;
    gossip_recv(j->gossip, s->id, m, brain_now());
    if (b->joiner == j && m->which_m == clan_peer_PeerMsg_settled_tag)
        settled(j);
}

/* ---- what the command line asks ---- */

void joiner_preview(struct brain *b, struct client *c, const char *text)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct invite_link link;
    uint8_t x25519[32];
    if (b->bound) {
        err_set(&e, CLAN_E_STATE, "this connection belongs to a clan already");
        api_error(c, &e);
        return;
    }
    if (link_parse(text, &link, &e) != CLAN_OK) {
        api_error(c, &e);
        return;
    }
    joiner_free(b);
    struct joiner *j = calloc(1, sizeof *j);
    clan_assert(j);
    b->joiner = j;
    *j = (struct joiner){.b = b, .client = c, .link = link, .phase = PHASE_START_FETCH};
    moved(j);
    keys_invite(link.seed, j->secret, j->public_key, x25519);
    keys_invite_id(j->public_key, j->id);
    keys_invite_psk(link.clan_id, j->public_key, j->psk);
    sodium_memzero(&link, sizeof link);
    joiner_tick(b);
}

static void on_seed_stored(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    struct joiner *j = arg;
    uint8_t id[32];
    size_t size;
    static uint8_t raw[STMT_MAX];
    if (fd >= 0)
        close(fd);
    if (b->joiner != j || j->phase != PHASE_START_JOIN) /* an attempt that is over asked */
        return;
    if (answer->error.status != CLAN_OK) {
        j->last = answer->error;
        joiner_fail(j, &j->last);
        return;
    }
    memcpy(b->clan_id, j->link.clan_id, 32);
    identity_make_record(b, b->clan_id, raw, &size, id);
    identity_use_record(b, raw, size, id);
    link_send_keys(b);
    joiner_begin_phase(j, PHASE_JOIN);
}

void joiner_yes(struct brain *b, struct client *c, const clan_api_JoinYes *yes)
{
    struct joiner *j = b->joiner;
    struct clan_error e = CLAN_ERROR_INIT;
    struct ward_seed_store r = {0};
    if (!j || j->client != c || j->phase != PHASE_ASK) {
        err_set(&e, CLAN_E_STATE, "there is no invitation to say yes to");
        api_error(c, &e);
        return;
    }
    if (!text_name_ok(yes->petname)) {
        err_set(&e, CLAN_E_INVAL, "\"%s\" cannot be the name of a clan here", yes->petname);
        err_remedy(&e, "use a to z, 0 to 9 and -, at most 32");
        api_error(c, &e);
        return;
    }
    snprintf(j->petname, sizeof j->petname, "%s", yes->petname);
    j->wait_ms = yes->wait_ms < 120000 ? yes->wait_ms : 120000;
    j->phase = PHASE_START_JOIN;
    moved(j);
    randombytes_buf(r.seed, sizeof r.seed);
    identity_set(b, r.seed);
    ward_ask(b, WARD_REQ_SEED_STORE, &r, sizeof r, on_seed_stored, j);
    sodium_memzero(&r, sizeof r);
}

/* ---- after the admission: until confirmed, or until the asker's patience ends ---- */

static void tell_joined(struct joiner *j)
{
    struct brain *b = j->b;
    struct client *c = j->client;
    clan_api_Answer *a = api_blank();
    clan_api_Joined *m = &a->m.joined;
    const struct member_machine *self = brain_self(b);
    a->which_m = clan_api_Answer_joined_tag;
    snprintf(m->petname, sizeof m->petname, "%s", b->petname);
    memcpy(m->machine_id, b->own_id, 32);
    memcpy(m->address, b->own_address, 16);
    brain_name(b, b->own_id, m->machine);
    snprintf(m->standing, sizeof m->standing, "%s",
        !self || self->standing != MEMBER_CONFIRMED ? "provisional"
        : b->one_door                               ? "known to one door only"
                                                    : "member");
    m->network_up = b->net_up;
    if (c)
        api_answer(c, a, true);
    j->client = NULL;
}

void joiner_standing(struct brain *b)
{
    struct joiner *j = b->joiner;
    if (!j || j->phase != PHASE_WAIT)
        return;
    bool done = brain_confirmed(b) && !b->one_door && b->net_up && b->fw && !b->fw_commits;
    bool patience = brain_now() < j->deadline_ms;
    if (j->client && (done || !patience))
        tell_joined(j);
    /* the door session is needed until a control session carries statements */
    bool connected = false;
    for (size_t i = 0; i < b->peer_count; i++)
        connected |= b->peers[i].control != 0;
    if (!j->client && (connected || !patience))
        joiner_free(b);
}
