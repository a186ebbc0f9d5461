/* What happened lately: a short list in memory, for people.
 * Most is found by comparing what is with what was, so that nothing that changes it has to say so. */
#include "brain/events.h"

#include "base/clock.h"
#include "base/text.h"
#include "brain/watch.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static struct event {
    int64_t wall;
    uint64_t id;
    bool many; /* of a kind that pushes out only its like */
    char kind[24], what[240], machine[33], service[33];
} events[EVENTS_MAX]; /* the oldest first */
static unsigned event_count, many_count;
static uint64_t serial;

struct seen_machine {
    uint8_t id[32], standing;
    bool connected;
};
enum { SAID_NOTHING, SAID_UP, SAID_DOWN };
struct seen_service {
    char name[33], host[33];
    uint8_t said;
    bool new; /* came after this core did: its first state is news */
};
struct seen_invite {
    uint8_t id[16];
    uint32_t admitted;
    bool closed;
};
struct seen_alarm {
    uint8_t kind, subject[32];
};

static struct {
    bool begun;
    struct seen_machine *machines; /* in the set's order */
    size_t machine_count;
    struct seen_service *services;
    size_t service_count;
    struct seen_invite *invites;
    size_t invite_count;
    uint64_t version;
    struct seen_alarm alarms[BRAIN_ALARMS_MAX];
    unsigned alarm_count;
} seen;

/* ---- the list ---- */

static void drop(unsigned at)
{
    many_count -= events[at].many;
    event_count--;
    memmove(&events[at], &events[at + 1], (event_count - at) * sizeof *events);
}

static void make_room(bool many)
{
    unsigned at = 0;
    if (many && many_count == EVENTS_MANY) {
        while (!events[at].many)
            at++;
        drop(at);
    } else if (event_count == EVENTS_MAX) {
        drop(0);
    }
}

static bool is_many(const char *kind)
{
    static const char *const kinds[] = {
        "connected", "lost", "path", "service-up", "service-down", "alarm"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i], kind) == 0)
            return true;
    return false;
}

void events_note(struct brain *b, const char *kind, const char *machine, const char *service,
    const char *fmt, ...)
{
    struct event e = {.wall = clock_wall_s(), .many = is_many(kind)};
    va_list ap;
    make_room(e.many);
    va_start(ap, fmt);
    vsnprintf(e.what, sizeof e.what, fmt, ap);
    va_end(ap);
    text_sanitize(e.what);
    snprintf(e.kind, sizeof e.kind, "%s", kind);
    snprintf(e.machine, sizeof e.machine, "%s", machine);
    snprintf(e.service, sizeof e.service, "%s", service);
    e.id = ++serial;
    events[event_count++] = e;
    many_count += e.many;
    watch_touch(b);
}

uint64_t events_serial(void)
{
    return serial;
}

void events_show(struct client *c)
{
    for (unsigned i = event_count; i > 0; i--) {
        const struct event *e = &events[i - 1];
        clan_api_Answer *a = api_blank();
        clan_api_Event *m = &a->m.event;
        a->which_m = clan_api_Answer_event_tag;
        m->wall = e->wall;
        m->id = e->id;
        snprintf(m->kind, sizeof m->kind, "%s", e->kind);
        snprintf(m->what, sizeof m->what, "%s", e->what);
        snprintf(m->machine, sizeof m->machine, "%s", e->machine);
        snprintf(m->service, sizeof m->service, "%s", e->service);
        api_answer(c, a, false);
    }
    api_ok(c);
}

void events_forget(void)
{
    free(seen.machines);
    free(seen.services);
    free(seen.invites);
    memset(&seen, 0, sizeof seen);
    event_count = many_count = 0;
}

/* ---- what is different ---- */

/* Most are where they were; NULL: it is new. */
static struct seen_machine *machine_seen(size_t hint, const uint8_t id[32])
{
    if (hint < seen.machine_count && memcmp(seen.machines[hint].id, id, 32) == 0)
        return &seen.machines[hint];
    for (size_t i = 0; i < seen.machine_count; i++)
        if (memcmp(seen.machines[i].id, id, 32) == 0)
            return &seen.machines[i];
    return NULL;
}

static void standing(
    struct brain *b, const struct member_machine *m, uint8_t before, const char *name)
{
    char door[33] = "";
    if (m->standing == before)
        return;
    if (m->standing == MEMBER_REVOKED) {
        events_note(b, "removed", name, "", "%s was removed from the clan", name);
    } else if (before == MEMBER_PROVISIONAL && m->standing == MEMBER_CONFIRMED) {
        events_note(b, "confirmed", name, "", "%s was confirmed as a member", name);
    } else if (before == MEMBER_UNKNOWN) {
        if (!m->founder)
            brain_name(b, m->door, door);
        events_note(b, "joined", name, "", "%s joined the clan%s%s%s", name,
            door[0] ? ", let in by " : "", door,
            m->standing == MEMBER_PROVISIONAL ? "; a keeper confirms it" : "");
    }
}

static void machines(struct brain *b)
{
    size_t count = member_count(b->set);
    struct seen_machine *now = calloc(count ? count : 1, sizeof *now);
    if (!now)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct member_machine *m = member_at(b->set, i);
        const struct seen_machine *was = machine_seen(i, m->id);
        const struct peer *p = peer_find(b, m->id);
        char name[33];
        memcpy(now[i].id, m->id, 32);
        now[i].standing = (uint8_t)m->standing;
        now[i].connected = !m->phone && p && (p->control || p->link);
        bool moved = now[i].connected != (was && was->connected);
        if (!seen.begun || (was && was->standing == m->standing && !moved))
            continue;
        brain_name(b, m->id, name);
        standing(b, m, was ? was->standing : MEMBER_UNKNOWN, name);
        if (moved && m->standing != MEMBER_REVOKED)
            events_note(b, now[i].connected ? "connected" : "lost", name, "",
                now[i].connected ? "%s is connected" : "%s is not connected any more", name);
    }
    free(seen.machines);
    seen.machines = now;
    seen.machine_count = count;
}

static const struct seen_service *service_seen(size_t hint, const char *name)
{
    if (hint < seen.service_count && strcmp(seen.services[hint].name, name) == 0)
        return &seen.services[hint];
    for (size_t i = 0; i < seen.service_count; i++)
        if (strcmp(seen.services[i].name, name) == 0)
            return &seen.services[i];
    return NULL;
}

/* One whose machine is away, or that starts, says nothing. */
static uint8_t said(const clan_api_Service *row)
{
    static const char *const down[] = {"down", "not granted", "no plugin", "out of reach"};
    if (strcmp(row->state, "up") == 0)
        return SAID_UP;
    for (size_t i = 0; i < sizeof down / sizeof *down; i++)
        if (strcmp(row->state, down[i]) == 0)
            return SAID_DOWN;
    return SAID_NOTHING;
}

static void service(struct brain *b, const struct clan_config_service *s,
    const struct seen_service *was, struct seen_service *now)
{
    static clan_api_Service row;
    memset(&row, 0, sizeof row);
    service_row(b, s, &row);
    snprintf(now->name, sizeof now->name, "%s", s->name);
    snprintf(now->host, sizeof now->host, "%s", s->on);
    now->new = seen.begun && !was;
    if (was)
        *now = *was;
    if (was && strcmp(was->host, s->on) != 0) {
        events_note(b, "service-moved", s->on, s->name, "%s moved from %s to %s", s->name,
            was->host, s->on);
        snprintf(now->host, sizeof now->host, "%s", s->on);
        now->said = SAID_NOTHING;
        now->new = true;
    }
    uint8_t is = said(&row);
    if (is == SAID_NOTHING || is == now->said)
        return;
    bool news = now->new || now->said != SAID_NOTHING;
    now->said = is;
    now->new = false;
    if (!news || !seen.begun)
        return;
    if (is == SAID_UP)
        events_note(b, "service-up", s->on, s->name, "%s is up on %s", s->name, s->on);
    else
        events_note(b, "service-down", s->on, s->name, "%s is %s on %s%s%.120s", s->name, row.state,
            s->on, row.why[0] ? ": " : "", row.why);
}

static void services(struct brain *b)
{
    size_t count = b->cfg ? b->cfg->service_count : 0;
    struct seen_service *now = calloc(count ? count : 1, sizeof *now);
    if (!now)
        return;
    for (size_t i = 0; i < count; i++)
        service(b, &b->cfg->services[i], service_seen(i, b->cfg->services[i].name), &now[i]);
    free(seen.services);
    seen.services = now;
    seen.service_count = count;
}

static const struct seen_invite *invite_seen(size_t hint, const uint8_t id[16])
{
    if (hint < seen.invite_count && memcmp(seen.invites[hint].id, id, 16) == 0)
        return &seen.invites[hint];
    for (size_t i = 0; i < seen.invite_count; i++)
        if (memcmp(seen.invites[i].id, id, 16) == 0)
            return &seen.invites[i];
    return NULL;
}

static void invite(struct brain *b, const struct member_invite *in, const struct seen_invite *was)
{
    const char *by = NULL, *whom = in->body.for_name[0] ? in->body.for_name : "a machine";
    member_is_admin(b->set, in->by, &by);
    if (!was)
        events_note(b, "invited", "", "", "%s invited %s", by ? by : "a former admin", whom);
    if (in->admitted > (was ? was->admitted : 0))
        events_note(b, "invite-used", "", "", "the invitation for %s was used, %u of %u", whom,
            in->admitted, in->body.uses);
    if (in->closed && was && !was->closed)
        events_note(b, "invite-closed", "", "", "the invitation for %s was closed", whom);
}

static void invites(struct brain *b)
{
    size_t count = member_invite_count(b->set);
    struct seen_invite *now = calloc(count ? count : 1, sizeof *now);
    if (!now)
        return;
    for (size_t i = 0; i < count; i++) {
        const struct member_invite *in = member_invite_at(b->set, i);
        memcpy(now[i].id, in->id, 16);
        now[i].admitted = in->admitted;
        now[i].closed = in->closed;
        if (seen.begun)
            invite(b, in, invite_seen(i, in->id));
    }
    free(seen.invites);
    seen.invites = now;
    seen.invite_count = count;
}

static void configuration(struct brain *b)
{
    if (seen.begun && b->body_version > seen.version)
        events_note(b, "config", "", "", "configuration %llu is in use here",
            (unsigned long long)b->body_version);
    seen.version = b->body_version;
}

static bool alarm_seen(const struct alarm *a)
{
    for (unsigned i = 0; i < seen.alarm_count; i++)
        if (seen.alarms[i].kind == a->kind && memcmp(seen.alarms[i].subject, a->subject, 32) == 0)
            return true;
    return false;
}

/* One that was dismissed is news when it comes again. */
static void alarms(struct brain *b)
{
    struct seen_alarm now[BRAIN_ALARMS_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < b->alarm_count; i++) {
        const struct alarm *a = &b->alarms[i];
        char text[sizeof events[0].what] = "";
        if (!alarms_shown(b, a->kind, a->subject))
            continue;
        now[count].kind = a->kind;
        memcpy(now[count++].subject, a->subject, 32);
        if (!seen.begun || alarm_seen(a))
            continue;
        if (a->kind == ALARM_TRIED)
            alarms_text(b, a, text, sizeof text);
        for (size_t k = 0; !text[0] && k < member_alarm_count(b->set); k++) {
            const struct member_alarm *m = member_alarm_at(b->set, k);
            if ((uint8_t)m->kind == a->kind && memcmp(m->subject, a->subject, 32) == 0)
                snprintf(text, sizeof text, "%.239s", m->text);
        }
        if (text[0])
            events_note(b, "alarm", "", "", "%s", text);
    }
    memcpy(seen.alarms, now, count * sizeof *now);
    seen.alarm_count = count;
}

void events_reconcile(struct brain *b)
{
    if (!b->set)
        return;
    configuration(b);
    machines(b);
    services(b);
    invites(b);
    alarms(b);
    seen.begun = true;
}

void events_path(
    struct brain *b, const uint8_t machine[32], const char *from, const char *to, const char *why)
{
    char name[33];
    brain_name(b, machine, name);
    events_note(
        b, "path", name, "", "packets for %s go by %s instead of %s: %s", name, to, from, why);
}
