/* Requests that change something, or wait for something. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"
#include "brain/client.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define API_PING_MS 5000

/* ---- statements signed by the command line ---- */

/* Of two signed versions with one number both would be evidence against a key, and the clan stops: whoever was slower
 * by a moment hears it here, before anybody else has the second one. */
static clan_status follows_head(
    struct brain *b, const struct stmt *st, const struct stmt_envelope *env, struct clan_error *e)
{
    const uint8_t *id;
    const struct stmt_envelope *head;
    uint64_t version = member_head(b->set, &id, &head);
    if (env->version == version ? memcmp(st->id, id, 32) == 0
                                : env->version > version + 1 || memcmp(env->previous, id, 32) == 0)
        return CLAN_OK;
    err_set(e, CLAN_E_CONFLICT, "the clan's configuration changed meanwhile");
    err_why(e, "version %llu is in force, and what was signed does not follow it",
        (unsigned long long)version);
    err_remedy(e, "look at what is in force (clan config show), then run the command again");
    return CLAN_E_CONFLICT;
}

/* An envelope is only taken with its body: nobody may advance a chain whose body nobody has. */
static clan_status check_envelope(struct brain *b, const struct stmt *st, struct clan_error *e)
{
    static struct stmt_envelope env;
    const uint8_t *data;
    size_t size;
    if (st->kind != STMT_ENVELOPE)
        return CLAN_OK;
    if (stmt_get_envelope(st, &env) != CLAN_OK)
        return err_set(e, CLAN_E_INVAL, "the envelope of the configuration cannot be read");
    if (follows_head(b, st, &env, e) != CLAN_OK)
        return CLAN_E_CONFLICT;
    if (bodies_uploaded(env.body_hash) || bodies_get(b, env.body_hash, &data, &size))
        return bodies_keep(b, &env, e);
    err_set(e, CLAN_E_NOENT, "the text of the configuration did not come with its signature");
    err_remedy(e, "run the command again");
    return e->status;
}

void api_submit(struct brain *b, struct client *c, const clan_api_Submit *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct stmt st;
    if (b->stale_open || b->catching_up) {
        err_set(&e, CLAN_E_STALE, "this machine does not know where the clan is");
        err_why(&e, "since it woke up nobody was reachable who could say whether it is up to date");
        err_remedy(&e, b->catching_up ? "try again in half a minute"
                                      : "do this on another machine, or connect this one first");
        api_error(c, &e);
        return;
    }
    if (stmt_parse(m->statement.bytes, m->statement.size, &st, &e) != CLAN_OK ||
        check_envelope(b, &st, &e) != CLAN_OK ||
        spread_publish(b, m->statement.bytes, m->statement.size, &e) != CLAN_OK) {
        api_error(c, &e);
        return;
    }
    api_ok(c);
}

/* ---- waiting ---- */

/* For a phone its gateway does. */
static bool acks(const struct member_machine *m)
{
    return m->standing == MEMBER_CONFIRMED && !m->phone;
}

static bool acked(struct brain *b, const struct member_machine *m, const clan_api_WaitFor *w)
{
    uint8_t digest[32];
    uint32_t count;
    if (w->config_version && m->acked_version < w->config_version)
        return false;
    if (w->revocation_id.size == 0)
        return true;
    member_revocations_digest(b->set, digest, &count);
    return memcmp(m->acked_revocations, digest, 32) == 0;
}

void api_who_misses(struct brain *b, const clan_api_WaitFor *w, char *ret_text, size_t cap)
{
    size_t len = 0;
    ret_text[0] = 0;
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        char name[33];
        if (!acks(m) || acked(b, m, w))
            continue;
        brain_name(b, m->id, name);
        const struct peer *peer = peer_find(b, m->id);
        int n = snprintf(ret_text + len, cap - len, "%s%s%s", len ? ", " : "", name,
            m == brain_self(b)      ? " (this machine)"
            : peer && peer->control ? ""
                                    : " is off");
        if (n < 0 || (size_t)n >= cap - len)
            break;
        len += (size_t)n;
    }
}

static void report_acks(struct brain *b, struct client *c, uint32_t *ret_done, uint32_t *ret_total)
{
    uint32_t done = 0, total = 0;
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (!acks(m))
            continue;
        total++;
        done += acked(b, m, &c->wait);
    }
    if (done != c->told_count) {
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_progress_tag;
        clan_api_Progress *p = &a->m.progress;
        snprintf(p->step, sizeof p->step, "acknowledged");
        api_who_misses(b, &c->wait, p->text, sizeof p->text);
        p->done = done;
        p->total = total;
        c->told_count = done;
        api_answer(c, a, false);
    }
    *ret_done = done;
    *ret_total = total;
}

static const clan_api_Service *row_of(struct brain *b, const char *name)
{
    static clan_api_Service row;
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++)
        if (strcmp(b->cfg->services[i].name, name) == 0) {
            memset(&row, 0, sizeof row);
            service_row(b, &b->cfg->services[i], &row);
            return &row;
        }
    return NULL;
}

/* Only the owner of its machine can go on. */
static bool wait_for_owner(struct client *c, const clan_api_Service *row)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!row || strcmp(row->state, "not granted") != 0)
        return false;
    err_set(&e, CLAN_E_PERM, "%s is not granted on %s", row->name, row->host);
    err_why(&e, "%s", row->why);
    err_remedy(&e, "%s", row->remedy);
    c->waiting = false;
    api_error(c, &e);
    return true;
}

void api_wait_check(struct brain *b, struct client *c)
{
    uint32_t done = 0, total = 0;
    const clan_api_WaitFor *w = &c->wait;
    bool finished = true;
    if (w->config_version || w->revocation_id.size) {
        report_acks(b, c, &done, &total);
        finished = done == total;
    }
    if (w->confirmed_machine.size == 32) {
        const struct member_machine *m = member_find(b->set, w->confirmed_machine.bytes);
        finished = finished && m && m->standing == MEMBER_CONFIRMED;
    }
    if (w->service_up[0]) {
        const clan_api_Service *row = row_of(b, w->service_up);
        if (wait_for_owner(c, row))
            return;
        finished = finished && row && strcmp(row->state, "up") == 0;
    }
    if (finished) {
        c->waiting = false;
        api_ok(c);
    } else if (brain_now() >= c->deadline_ms) {
        struct clan_error e = CLAN_ERROR_INIT;
        c->waiting = false;
        err_set(&e, CLAN_E_TIMEOUT, "not finished in the time given");
        if (total)
            err_why(&e, "%u of %u machines have acknowledged", done, total);
        err_remedy(&e, "machines that are off follow when they are back; see: clan machines");
        api_error(c, &e);
    }
}

/* ---- ping ---- */

static void ping_answer(struct brain *b, struct client *c, const struct member_machine *m,
    const clan_peer_Pong *pong, uint32_t rtt_us)
{
    clan_api_Answer *a = api_blank();
    clan_api_PingResult *r = &a->m.ping;
    const struct peer *p = peer_find(b, m->id);
    a->which_m = clan_api_Answer_ping_tag;
    brain_name(b, m->id, r->machine);
    memcpy(r->address, m->address, 16);
    r->connected = p && p->control;
    r->reachable = pong != NULL || memcmp(m->id, b->own_id, 32) == 0;
    r->control_rtt_us = rtt_us;
    r->data_allowed = pong ? pong->data_allowed : r->reachable;
    if (pong)
        snprintf(r->refusal, sizeof r->refusal, "%s", pong->refusal);
    if (p && (p->control || p->link))
        paths_text(b, p, r->path, sizeof r->path);
    api_answer(c, a, true);
}

void api_ping(struct brain *b, struct client *c, const char *machine)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const struct member_machine *m = member_by_name(b->set, b->cfg, machine);
    if (!m) {
        err_set(&e, CLAN_E_NOENT, "no machine here is called \"%.60s\"", machine);
        err_remedy(&e, "see: clan machines");
        api_error(c, &e);
        return;
    }
    if (m->phone) {
        err_set(&e, CLAN_E_INVAL, "%.60s is a phone and has no Clan to answer", machine);
        err_remedy(&e, "ping its address, which is in: clan machines --json");
        api_error(c, &e);
        return;
    }
    struct peer *p = peer_find(b, m->id);
    struct session *s = p ? session_find(b, p->control) : NULL;
    if (!s) {
        if (p)
            path_nudge(&p->dial_control);
        ping_answer(b, c, m, NULL, 0);
        return;
    }
    if (s->ping_client && s->ping_client != c) {
        err_set(&e, CLAN_E_AGAIN, "\"%.60s\" is being pinged already", machine);
        err_remedy(&e, "try again in a moment");
        api_error(c, &e);
        return;
    }
    clan_peer_PeerMsg *msg = peer_blank(clan_peer_PeerMsg_ping_tag);
    randombytes_buf(&s->ping_nonce, sizeof s->ping_nonce);
    msg->m.ping.nonce = s->ping_nonce;
    s->ping_sent_us = clock_mono_ns() / 1000;
    s->ping_client = c;
    session_send(b, s->id, msg);
}

void api_pong(struct brain *b, struct session *s, const clan_peer_Pong *pong)
{
    const struct member_machine *m = member_find(b->set, s->machine);
    struct client *c = s->ping_client;
    if (!c || !m || pong->nonce != s->ping_nonce)
        return;
    s->ping_client = NULL;
    ping_answer(b, c, m, pong, (uint32_t)(clock_mono_ns() / 1000 - s->ping_sent_us));
}

void api_ping_lost(struct brain *b, struct session *s)
{
    struct client *c = s->ping_client;
    const struct member_machine *m = c ? member_find(b->set, s->machine) : NULL;
    s->ping_client = NULL;
    if (m)
        ping_answer(b, c, m, NULL, 0);
}

void api_ping_tick(struct brain *b)
{
    for (unsigned i = 0; i < b->session_top; i++) {
        struct session *s = &b->sessions[i];
        if (s->ping_client && clock_mono_ns() / 1000 - s->ping_sent_us >= API_PING_MS * 1000u)
            api_ping_lost(b, s);
    }
}

/* ---- the clan on this machine ---- */

void api_dismiss(struct brain *b, struct client *c)
{
    alarms_dismiss(b);
    if (b->alarms_dirty) { /* they would be back after a restart */
        struct clan_error e = CLAN_ERROR_INIT;
        err_set(&e, CLAN_E_IO, "it could not be noted that the alarms were read");
        err_remedy(&e, "see: clan logs --process core");
        api_error(c, &e);
        return;
    }
    api_ok(c);
}

static void on_ended(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    (void)fd;
    if (!api_alive(b, arg))
        return;
    if (answer->error.status != CLAN_OK)
        api_error(arg, &answer->error);
    else
        api_ok(arg);
}

void api_leave(struct brain *b, struct client *c)
{
    struct stmt_revocation body = {.reason = STMT_REVOKE_LEFT, .time = clock_wall_s()};
    uint8_t bytes[256], raw[STMT_MAX];
    size_t size, raw_size;
    struct clan_error e = CLAN_ERROR_INIT;
    memcpy(body.machine, b->own_id, 32);
    if (stmt_put_revocation(&body, bytes, sizeof bytes, &size) == CLAN_OK &&
        stmt_build(STMT_REVOCATION, b->clan_id, b->own_id, 1, bytes, size, raw, &raw_size) ==
            CLAN_OK &&
        stmt_sign(raw, &raw_size, b->secret) == CLAN_OK &&
        spread_publish(b, raw, raw_size, &e) != CLAN_OK && e.status != CLAN_E_EXIST)
        log_clan_error(LOG_LEVEL_WARN, &e);
    ward_simple(b, WARD_REQ_CLAN_LEAVE, on_ended, c);
}

void api_down(struct brain *b, struct client *c)
{
    ward_simple(b, WARD_REQ_CLAN_DOWN, on_ended, c);
}

void api_start(struct brain *b, struct client *c, const char *petname)
{
    struct ward_petname r = {0};
    snprintf(r.petname, sizeof r.petname, "%s", petname);
    ward_ask(b, WARD_REQ_CLAN_START, &r, sizeof r, on_ended, c);
}

static void on_grants(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    (void)fd;
    b->grants_ok = grants_load(GRANTS_PATH, false, &b->grants, &b->grants_trouble) == CLAN_OK;
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++)
        if (b->hosts[i].used && b->hosts[i].state == HOST_FAILED) {
            b->hosts[i].retry_ms = 0; /* what was refused may be granted now */
            b->hosts[i].failures = 0;
        }
    services_changed(b);
    brain_soon(b);
    if (!api_alive(b, arg))
        return;
    if (answer->error.status != CLAN_OK)
        api_error(arg, &answer->error);
    else if (!b->grants_ok)
        api_error(arg, &b->grants_trouble);
    else
        api_ok(arg);
}

void api_machine_changed(struct brain *b, struct client *c)
{
    ward_simple(b, WARD_REQ_GRANTS, on_grants, c);
}
