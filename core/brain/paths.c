/* The paths of each peer: what link says of them goes to the choice, its wishes to link and transports. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "brain/demand.h"
#include "brain/devices.h"
#include "brain/events.h"

#include <stdlib.h>
#include <string.h>

#define PATHS_STEPS 16 /* of one peer at once */

static struct path_choice *choice_of(struct peer *p)
{
    if (!p->paths)
        p->paths = calloc(1, sizeof *p->paths);
    return p->paths;
}

void paths_free(struct brain *b)
{
    for (size_t i = 0; i < b->peer_count; i++) {
        free(b->peers[i].paths);
        b->peers[i].paths = NULL;
    }
}

/* ---- the order ---- */

uint32_t paths_rank(const struct brain *b, const char *transport)
{
    struct path_order order;
    transports_configured(b, &order);
    return path_order_rank(&order, transport);
}

/* Link takes the preferred spare by itself when a path ends: it has to know the order. */
static void tell_ranks(struct brain *b, const struct path_order *order)
{
    static struct path_order told;
    if (!b->link || memcmp(&told, order, sizeof told) == 0)
        return;
    bool first = told.count == 0;
    for (unsigned i = 0; !first && i < told.count; i++) {
        clan_link_ToLink *m = link_blank(clan_link_ToLink_rank_tag);
        snprintf(m->m.rank.transport, sizeof m->m.rank.transport, "%s", told.names[i]);
        m->m.rank.rank = path_order_rank(order, told.names[i]);
        link_send(b, m, NULL, 0);
    }
    for (unsigned i = 0; i < order->count; i++) {
        clan_link_ToLink *m = link_blank(clan_link_ToLink_rank_tag);
        snprintf(m->m.rank.transport, sizeof m->m.rank.transport, "%s", order->names[i]);
        m->m.rank.rank = i;
        link_send(b, m, NULL, 0);
    }
    told = *order;
}

/* ---- what link says ---- */

static const char *name_of(const struct path_choice *c, uint32_t session)
{
    const struct path_candidate *p = path_choice_session(c, session);
    return p ? p->transport : "nothing";
}

/* From one transport to another, also when it broke before the other took over. */
static void moved(struct brain *b, const struct peer *p, enum path_why why)
{
    const struct path_choice *c = p->paths;
    const struct path_event *now = &c->history[(c->event_count - 1) % PATH_HISTORY], *from = now;
    if (!from->from[0] && c->event_count > 1)
        from = &c->history[(c->event_count - 2) % PATH_HISTORY];
    if (now->to[0] && from->from[0] && strcmp(from->from, now->to) != 0)
        events_path(b, p->id, from->from, now->to, path_why_text(why));
}

static void carried(struct brain *b, struct peer *p, uint32_t session, enum path_why why)
{
    char name[33];
    struct path_choice *c = choice_of(p);
    p->link = session;
    if (!c || (c->carries == session && session))
        return;
    path_choice_carries(c, session, why, brain_now(), clock_wall_s());
    device_peers_carry(b, p, session && devices_is(b, name_of(c, session)));
    brain_name(b, p->id, name);
    if (session)
        log_info("packets for %s go by %s%s: %s", name, name_of(c, session),
            devices_is(b, name_of(c, session)) ? devices_mode(b) : "", path_why_text(why));
    moved(b, p, why);
    api_changed(b);
}

void paths_up(struct brain *b, struct peer *p, const struct session *s, bool carries)
{
    struct path_choice *c = choice_of(p);
    if (c)
        path_choice_up(c, s->transport, s->via, s->id, s->dialed, brain_now());
    if (carries)
        carried(b, p, s->id, PATH_WHY_FIRST);
}

static bool is_failure(clan_link_Reason reason)
{
    return reason == clan_link_Reason_REASON_DEAD || reason == clan_link_Reason_REASON_IO ||
           reason == clan_link_Reason_REASON_PROTOCOL || reason == clan_link_Reason_REASON_TIMEOUT;
}

void paths_down(struct brain *b, struct peer *p, const struct session *s, clan_link_Reason reason)
{
    struct path_choice *c = p->paths;
    if (!c)
        return;
    if (!s->up) { /* its handshake came to nothing */
        struct dialing d = {.purpose = s->purpose};
        memcpy(d.machine, p->id, sizeof d.machine);
        memcpy(d.transport, s->transport, sizeof d.transport);
        if (s->spare && reason == clan_link_Reason_REASON_REPLACED)
            path_choice_nudge(c); /* the other side's is there */
        else if (s->spare)
            paths_dial_failed(b, p, &d);
        return;
    }
    bool carried_it = c->carries == s->id;
    path_choice_down(c, s->id, is_failure(reason), brain_now());
    if (carried_it)
        carried(b, p, 0, PATH_WHY_NONE);
}

void paths_carries(struct brain *b, const clan_link_Carries *m)
{
    struct peer *p = peer_find(b, m->machine_id);
    if (!p)
        return;
    enum path_why why = m->why == clan_link_Reason_REASON_NONE   ? PATH_WHY_BETTER
                        : m->why == clan_link_Reason_REASON_DEAD ? PATH_WHY_SILENT
                                                                 : PATH_WHY_BROKE;
    carried(b, p, m->session, why);
}

void paths_answered(struct brain *b, const clan_link_Answered *m)
{
    struct session *s = session_find(b, m->session);
    struct peer *p = s && s->has_machine ? peer_find(b, s->machine) : NULL;
    if (!p || !p->paths)
        return;
    path_choice_answered(p->paths, m->session, m->rtt_us, brain_now());
    brain_soon(b);
}

void paths_dial_failed(struct brain *b, struct peer *p, const struct dialing *d)
{
    const struct member_machine *m = b->set ? member_find(b->set, p->id) : NULL;
    if (p->paths && m)
        path_choice_dial_failed(
            p->paths, d->transport, &m->record, brain_random(NULL, 1000), brain_now());
}

/* ---- what is to be done ---- */

static void dial(
    struct brain *b, struct peer *p, const struct member_machine *m, const struct path_step *step)
{
    struct dialing what = {.purpose = clan_link_Purpose_PURPOSE_LINK, .spare = true};
    memcpy(what.machine, p->id, sizeof what.machine);
    snprintf(what.transport, sizeof what.transport, "%s", step->transport);
    if (!peers_may_dial(b, m, step->transport, step->endpoint, what.net) ||
        !transports_dial(b, &what, step->transport, step->endpoint, PATH_DIAL_MS))
        paths_dial_failed(b, p, &what);
}

static void reconcile(
    struct brain *b, struct peer *p, const struct member_machine *m, const struct path_order *order)
{
    for (unsigned i = 0; i < PATHS_STEPS; i++) {
        struct path_step step = path_choice_step(p->paths, &m->record, order, brain_now());
        struct session *s = session_find(b, step.session);
        clan_link_ToLink *msg;
        switch (step.act) {
        case PATH_USE: /* link answers with Carries */
            msg = link_blank(clan_link_ToLink_use_tag);
            msg->m.use.session = step.session;
            link_send(b, msg, NULL, 0);
            return;
        case PATH_DIAL:
            dial(b, p, m, &step);
            break;
        case PATH_CLOSE: /* its Down follows */
            if (s)
                session_close(b, s, true);
            return;
        default:
            return;
        }
    }
}

/* Gossip, pings and the state of services do not stay behind on a path that packets left: the new
 * session takes the old one's place when it is up. */
static void control_follows(struct brain *b, struct peer *p, const struct member_machine *m,
    const struct path_order *running)
{
    const struct session *s = session_find(b, p->control);
    struct path_order one = {.count = 1};
    struct dialing what = {.purpose = clan_link_Purpose_PURPOSE_CONTROL};
    const char *transport, *endpoint;
    uint64_t at;
    if (!s || !path_choice_leads(p->paths, s->transport, brain_now()))
        return;
    const struct path_candidate *now = path_choice_session(p->paths, p->paths->carries);
    snprintf(one.names[0], sizeof one.names[0], "%s", now->transport);
    if (path_order_rank(running, now->transport) >= running->count ||
        !path_next(&p->dial_control, &m->record, &one, brain_now(), &at, &transport, &endpoint))
        return;
    memcpy(what.machine, p->id, sizeof what.machine);
    if (!peers_may_dial(b, m, transport, endpoint, what.net) ||
        !transports_dial(b, &what, transport, endpoint, PATH_DIAL_MS))
        path_failed(&p->dial_control, &m->record, &one, brain_random(NULL, 1000), brain_now());
}

void paths_reconcile(struct brain *b)
{
    struct path_order configured, running;
    transports_configured(b, &configured);
    transports_order(b, &running);
    tell_ranks(b, &configured);
    for (size_t i = 0; i < b->peer_count && b->link_ready; i++) {
        struct peer *p = &b->peers[i];
        const struct member_machine *m = p->paths ? member_find(b->set, p->id) : NULL;
        if (!m || m->clone || p->closing || !p->link || !peers_data_allowed(b, m))
            continue;
        if (p->record_seq != m->record_seq) { /* other addresses */
            p->record_seq = m->record_seq;
            path_choice_nudge(p->paths);
        }
        struct path_order with = running;
        demand_filter(b, p->id, &with);
        reconcile(b, p, m, &with);
        control_follows(b, p, m, &with);
    }
}

void paths_nudge(struct brain *b)
{
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].paths)
            path_choice_nudge(b->peers[i].paths);
}

/* ---- in words ---- */

/* Why the path in use is the one; what clan.yaml demands comes before any preference. */
static void explain(const struct brain *b, const struct peer *p, char *ret_text, size_t cap)
{
    struct path_order order;
    transports_configured(b, &order);
    demand_text(b, p->id, ret_text, cap);
    if (!ret_text[0])
        path_choice_why(p->paths, &order, brain_now(), ret_text, cap);
}

void paths_text(const struct brain *b, const struct peer *p, char *ret_text, size_t cap)
{
    char why[DEMAND_TEXT] = "";
    const struct path_candidate *now =
        p->paths ? path_choice_session(p->paths, p->paths->carries) : NULL;
    ret_text[0] = 0;
    if (now) {
        explain(b, p, why, sizeof why);
        snprintf(ret_text, cap, "%s %s%s%s%s", now->transport,
            device_peers_via(b, p, now->transport, now->via), why[0] ? " (" : "", why,
            why[0] ? ")" : "");
        return;
    }
    const struct session *s = session_find((struct brain *)(uintptr_t)b, p->control);
    if (s)
        snprintf(
            ret_text, cap, "%s %s", s->transport, device_peers_via(b, p, s->transport, s->via));
}

/* ---- for clan paths ---- */

static bool reached_by(const struct member_machine *m, const char *transport)
{
    for (unsigned i = 0; i < m->record.endpoint_count; i++)
        if (strcmp(m->record.endpoints[i].transport, transport) == 0)
            return true;
    return false;
}

static void show_path(const struct brain *b, struct client *c, const struct peer *p,
    const struct path_order *order, unsigned i, bool possible)
{
    static const struct path_candidate none;
    const struct path_candidate *q = p->paths ? path_choice_find(p->paths, order->names[i]) : NULL;
    clan_api_Answer *a = api_blank();
    clan_api_Path *m = &a->m.path;
    a->which_m = clan_api_Answer_path_tag;
    snprintf(m->transport, sizeof m->transport, "%s", order->names[i]);
    m->possible = possible;
    q = q ? q : &none;
    m->connected = q->session != 0;
    m->in_use = m->connected && q->session == p->paths->carries;
    snprintf(m->via, sizeof m->via, "%s%s", device_peers_via(b, p, order->names[i], q->via),
        q->via[0] && devices_is(b, order->names[i]) ? devices_mode(b) : "");
    m->rtt_us = m->in_use && p->rtt_us ? p->rtt_us : q->rtt_us;
    uint64_t since = m->connected ? q->up_ms : q->missing_ms;
    m->since_s = since ? (uint32_t)((brain_now() - since) / 1000) : 0;
    m->failures = q->strikes;
    m->watched_s = (uint32_t)(path_choice_patience_ms(q) / 1000);
    if (m->in_use)
        explain(b, p, m->why, sizeof m->why);
    else if (!demand_allows(b, p->id, order->names[i]))
        demand_text(b, p->id, m->barred, sizeof m->barred);
    api_answer(c, a, false);
}

static void show_event(struct client *c, const struct path_event *e)
{
    clan_api_Answer *a = api_blank();
    clan_api_PathEvent *m = &a->m.path_event;
    a->which_m = clan_api_Answer_path_event_tag;
    m->wall = e->wall;
    snprintf(m->from, sizeof m->from, "%s", e->from);
    snprintf(m->to, sizeof m->to, "%s", e->to);
    snprintf(m->why, sizeof m->why, "%s", path_why_text(e->why));
    api_answer(c, a, false);
}

void paths_show(struct brain *b, struct client *c, const char *machine)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const struct member_machine *m = member_by_name(b->set, b->cfg, machine);
    const struct peer *p = m && !m->phone ? peer_get(b, m->id) : NULL;
    struct path_order order, running;
    if (!p || m == brain_self(b)) {
        err_set(&e, CLAN_E_NOENT,
            !m         ? "no machine here is called \"%.60s\""
            : m->phone ? "%.60s is a phone: it comes by its gateway, by WireGuard"
                       : "%.60s is this machine",
            machine);
        err_remedy(&e, "see: clan machines");
        api_error(c, &e);
        return;
    }
    transports_configured(b, &order);
    transports_order(b, &running);
    for (unsigned i = 0; i < order.count; i++)
        show_path(b, c, p, &order, i,
            path_order_rank(&running, order.names[i]) < running.count &&
                reached_by(m, order.names[i]));
    unsigned count = p->paths ? p->paths->event_count : 0;
    for (unsigned i = count > PATH_HISTORY ? count - PATH_HISTORY : 0; i < count; i++)
        show_event(c, &p->paths->history[i % PATH_HISTORY]);
    api_ok(c);
}
