/* Looking at another machine from here, and letting others look at this one.
 *
 * What shows the clan runs a second time for that, as a service of clan.yaml: another process and another user than
 * those of this machine's people, at an address that `allow:` opens.  A machine's word that somebody there may look
 * comes over its control session; an address alone, which every program there has, is worth nothing. */
#include "brain/visit.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/client.h"

#include <sodium.h>
#include <string.h>

static struct code {
    uint8_t code[16], machine[32];
    uint64_t until_ms; /* 0: free */
} codes[VISIT_CODES_MAX];

static struct ask {
    const struct client *c; /* NULL: free */
    uint32_t session;
    uint64_t nonce, until_ms;
} asks[VISIT_ASKS_MAX];

/* ---- letting others look ---- */

/* A service here that shows the clan, and that this machine may open.  name: that one, "": any. */
static const struct clan_config_service *shown_to(
    struct brain *b, const struct member_machine *who, const char *name)
{
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        const struct clan_config_service *s = &b->cfg->services[i];
        const struct host *h = host_find(b, s->name);
        if (h && ui_visited(h) && h->state == HOST_STARTED &&
            (!name[0] || strcmp(s->name, name) == 0) && place_allows(b->set, b->cfg, s, who))
            return s;
    }
    return NULL;
}

static clan_status refuse(struct clan_error *e, const char *why, const char *remedy)
{
    err_set(e, CLAN_E_PERM, "that machine does not show itself to this one");
    err_why(e, "%s", why);
    err_remedy(e, "%s", remedy);
    return CLAN_E_PERM;
}

static const struct clan_config_service *may_look(
    struct brain *b, const struct member_machine *who, const char *name, struct clan_error *e)
{
    const struct clan_config_machine *row = who ? member_row(b->cfg, who->id) : NULL;
    const struct clan_config_service *s = NULL;
    if (!who || who->standing != MEMBER_CONFIRMED || !brain_confirmed(b))
        refuse(e, "one of the two is not confirmed as a member", "see: clan machines");
    else if (row && row->role == CONFIG_GUEST)
        refuse(e, "people: in clan.yaml says that this machine is a guest's", "");
    else if (!(s = shown_to(b, who, name)))
        refuse(e,
            "it has no dashboard among the services of clan.yaml that is up and open to this one",
            "its owner allows net.service to the dashboard in machine.yaml; an admin names it: "
            "clan enable "
            "dashboard --as NAME --on MACHINE");
    return s;
}

const struct member_machine *visit_guest(
    struct brain *b, const uint8_t from[16], struct clan_error *e)
{
    const struct member_machine *m = member_find_address(b->set, from);
    return may_look(b, m, "", e) ? m : NULL;
}

static struct code *code_slot(const struct member_machine *who)
{
    struct code *oldest = &codes[0];
    for (unsigned i = 0; i < VISIT_CODES_MAX; i++) {
        if (codes[i].until_ms && memcmp(codes[i].machine, who->id, 32) == 0)
            return &codes[i]; /* one of a machine: none takes the places of the others */
        if (codes[i].until_ms < oldest->until_ms)
            oldest = &codes[i];
    }
    return oldest;
}

void visit_asked(struct brain *b, struct session *s, const clan_peer_VisitAsk *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const struct member_machine *who = member_find(b->set, s->machine);
    const struct clan_config_service *shown = may_look(b, who, m->service, &e);
    clan_peer_PeerMsg *msg = peer_blank(clan_peer_PeerMsg_visit_code_tag);
    clan_peer_VisitCode *a = &msg->m.visit_code;
    a->nonce = m->nonce;
    if (shown) {
        struct code *c = code_slot(who);
        randombytes_buf(c->code, sizeof c->code);
        memcpy(c->machine, who->id, 32);
        c->until_ms = brain_now() + SESSIONS_CODE_S * 1000;
        snprintf(a->service, sizeof a->service, "%s", shown->name);
        char name[33];
        brain_name(b, who->id, name);
        log_info("somebody on %s may look at this machine, by %s", name, shown->name);
        a->code.size = sizeof c->code;
        memcpy(a->code.bytes, c->code, sizeof c->code);
    } else {
        a->has_error = true;
        wire_from_error(&a->error, &e);
    }
    session_send(b, s->id, msg);
    sodium_memzero(msg, sizeof *msg);
}

bool visit_spend(const uint8_t code[16], const struct member_machine *from)
{
    struct code *found = NULL;
    for (unsigned i = 0; i < VISIT_CODES_MAX; i++) /* all are compared */
        if (sodium_memcmp(codes[i].code, code, sizeof codes[i].code) == 0 && codes[i].until_ms)
            found = &codes[i];
    bool good =
        found && from && found->until_ms > brain_now() && memcmp(found->machine, from->id, 32) == 0;
    if (found)
        sodium_memzero(found, sizeof *found);
    return good;
}

/* ---- looking at others ---- */

static const struct member_machine *holder_of(
    struct brain *b, const char *at, const char **ret_service)
{
    const struct member_machine *m = member_by_name(b->set, b->cfg, at);
    *ret_service = "";
    for (unsigned i = 0; !m && b->cfg && i < b->cfg->service_count; i++)
        if (strcmp(b->cfg->services[i].name, at) == 0) {
            m = place_holder(b->set, b->cfg, &b->cfg->services[i]);
            *ret_service = b->cfg->services[i].name;
        }
    return m;
}

bool visit_is_here(struct brain *b, const char *at)
{
    const char *service;
    return holder_of(b, at, &service) == brain_self(b);
}

static struct ask *ask_new(const struct client *c, uint32_t session)
{
    for (unsigned i = 0; i < VISIT_ASKS_MAX; i++)
        if (!asks[i].c) {
            asks[i] = (struct ask){c, session, 0, brain_now() + VISIT_ASK_MS};
            randombytes_buf(&asks[i].nonce, sizeof asks[i].nonce);
            return &asks[i];
        }
    return NULL;
}

static clan_status send_ask(struct brain *b, struct client *c, const char *at, struct clan_error *e)
{
    const char *service;
    const struct member_machine *m = holder_of(b, at, &service);
    const struct peer *p = m ? peer_find(b, m->id) : NULL;
    const struct session *s = p ? session_find(b, p->control) : NULL;
    struct ask *a = s ? ask_new(c, s->id) : NULL;
    if (!m) {
        err_set(e, CLAN_E_NOENT, "no machine and no service here is called \"%.60s\"", at);
        err_remedy(e, "see: clan machines, clan services");
    } else if (!s) {
        err_set(e, CLAN_E_UNREACHABLE, "%.60s cannot be asked: its machine is not connected", at);
        err_remedy(e, "see: clan machines");
    } else if (!a) {
        err_set(e, CLAN_E_AGAIN, "too many ask for another machine's page");
        err_remedy(e, "try again in a moment");
    } else {
        clan_peer_PeerMsg *msg = peer_blank(clan_peer_PeerMsg_visit_ask_tag);
        msg->m.visit_ask.nonce = a->nonce;
        snprintf(msg->m.visit_ask.service, sizeof msg->m.visit_ask.service, "%s", service);
        session_send(b, s->id, msg);
    }
    return e->status;
}

void visit_ask(struct brain *b, struct client *c, const char *at)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (send_ask(b, c, at, &e) != CLAN_OK)
        api_error(c, &e);
}

/* The service is looked up here: its machine's word alone sends nobody anywhere. */
static bool fits(
    struct brain *b, const struct session *s, const clan_peer_VisitCode *m, clan_api_UiCode *ret)
{
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        const struct clan_config_service *c = &b->cfg->services[i];
        const struct member_machine *holder = place_holder(b->set, b->cfg, c);
        if (strcmp(c->name, m->service) != 0 || !holder || memcmp(holder->id, s->machine, 32) != 0)
            continue;
        snprintf(ret->origin, sizeof ret->origin,
            place_port(c) == 80 ? "%s.%s.clan" : "%s.%s.clan:%u", c->name, b->petname,
            place_port(c));
        return true;
    }
    return false;
}

void visit_told(struct brain *b, struct session *s, clan_peer_VisitCode *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct client *c = NULL;
    for (struct client *i = b->clients; i && !c; i = i->next)
        for (unsigned k = 0; k < VISIT_ASKS_MAX; k++)
            if (asks[k].c == i && asks[k].session == s->id && asks[k].nonce == m->nonce) {
                asks[k].c = NULL;
                c = i;
                break;
            }
    if (!c)
        return;
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_ui_code_tag;
    if (m->has_error) {
        error_from_wire(&e, &m->error);
        if (e.status == CLAN_OK)
            err_set(&e, CLAN_E_PROTO, "that machine's answer makes no sense");
        api_error(c, &e);
    } else if (m->code.size != sizeof a->m.ui_code.code || !fits(b, s, m, &a->m.ui_code)) {
        err_set(&e, CLAN_E_PROTO, "that machine's answer names a service that is not there");
        err_remedy(&e, "clan.yaml may have changed meanwhile: try again");
        api_error(c, &e);
    } else {
        memcpy(a->m.ui_code.code, m->code.bytes, sizeof a->m.ui_code.code);
        a->m.ui_code.valid_s = SESSIONS_CODE_S;
        api_answer(c, a, true);
    }
    sodium_memzero(a, sizeof *a);
    sodium_memzero(m, sizeof *m);
}

void visit_gone(const struct client *c)
{
    for (unsigned i = 0; i < VISIT_ASKS_MAX; i++)
        if (asks[i].c == c)
            asks[i].c = NULL;
}

/* An older Clan does not answer, nor does a session that ended. */
void visit_tick(struct brain *b)
{
    for (struct client *c = b->clients, *next; c; c = next) {
        next = c->next;
        for (unsigned i = 0; i < VISIT_ASKS_MAX; i++) {
            if (asks[i].c != c ||
                (brain_now() < asks[i].until_ms && session_find(b, asks[i].session)))
                continue;
            struct clan_error e = CLAN_ERROR_INIT;
            asks[i].c = NULL;
            err_set(&e, CLAN_E_TIMEOUT, "that machine did not answer");
            err_why(&e, "it is not there any more, or its Clan is an older one");
            err_remedy(&e, "see: clan machines");
            api_error(c, &e);
            break;
        }
    }
}
