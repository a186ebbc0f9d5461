/* What is not as it should be, in plain words, worst first. */
#include "brain/demand.h"
#include "brain/phones.h"
#include "wire/counters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line {
    unsigned severity;
    char code[40], what[512], remedy[240];
};
#define HEALTH_MAX 64

struct lines {
    unsigned count;
    struct line line[HEALTH_MAX];
};

static void add(
    struct lines *l, unsigned severity, const char *code, const char *what, const char *remedy)
{
    if (l->count == HEALTH_MAX)
        return;
    struct line *n = &l->line[l->count++];
    n->severity = severity;
    snprintf(n->code, sizeof n->code, "%s", code);
    snprintf(n->what, sizeof n->what, "%s", what);
    snprintf(n->remedy, sizeof n->remedy, "%s", remedy);
}

static void add_error(
    struct lines *l, unsigned severity, const char *code, const struct clan_error *e)
{
    char what[320];
    if (e->status == CLAN_OK)
        return;
    snprintf(what, sizeof what, "%.150s%s%.160s", e->what, e->why[0] ? ": " : "", e->why);
    add(l, severity, code, what, e->remedy);
}

/* What hangs on the machine that let this one in (SECURITY A3, D3). */
static void first_door(struct brain *b, struct lines *l, const struct member_machine *self)
{
    char door[33], what[320];
    const struct member_machine *d = self ? member_find(b->set, self->door) : NULL;
    if (!d)
        return;
    brain_name(b, d->id, door);
    if (self->standing == MEMBER_UNKNOWN && d->standing == MEMBER_REVOKED) {
        snprintf(what, sizeof what,
            "%s, which let this machine in, was removed from the clan: this machine is not in it",
            door);
        add(l, 2, "door-removed", what,
            "run clan leave, then join by an invitation of another machine");
    } else if (b->one_door && self->standing != MEMBER_REVOKED) {
        snprintf(what, sizeof what,
            "known to %s only: nobody else has shown yet that %s is still in the clan", door, door);
        add(l, 1, "one-door", what,
            "nothing to do: it ends when a keeper or an admin's machine is reachable; until then "
            "nothing is hosted here");
    }
}

/* Links that somebody tried although they were used up (SECURITY A7). */
static void tried_again(struct brain *b, struct lines *l)
{
    char what[sizeof l->line[0].what];
    for (unsigned i = 0; i < b->alarm_count; i++) {
        const struct alarm *a = &b->alarms[i];
        if (a->kind != ALARM_TRIED || !alarms_shown(b, a->kind, a->subject))
            continue;
        alarms_text(b, a, what, sizeof what);
        if (what[0])
            add(l, 2, "used-again", what,
                "is it the machine that you invited?  if not: clan machines --words, clan remove; "
                "if it is: clan status --dismiss");
    }
}

static void membership(struct brain *b, struct lines *l)
{
    static const char *const alarm_code[] = {
        "", "shared-link", "two-receipts", "clone", "config-fork", "old-rival", "quota"};
    const struct member_machine *self = brain_self(b);
    if (self && self->standing == MEMBER_REVOKED)
        add(l, 2, "removed", "this machine was removed from the clan",
            "clan leave cleans up here; to come back, ask for a new invitation");
    if (self && self->standing == MEMBER_PROVISIONAL)
        add(l, 1, "provisional", "this machine is provisional: no keeper has confirmed it yet",
            "nothing to do: it is confirmed by itself as soon as a keeper of the clan is "
            "reachable");
    first_door(b, l, self);
    for (size_t i = 0; i < member_alarm_count(b->set); i++) {
        const struct member_alarm *a = member_alarm_at(b->set, i);
        if (!alarms_shown(b, (uint8_t)a->kind, a->subject))
            continue;
        add(l, a->kind == MEMBER_ALARM_OLD_RIVAL || a->kind == MEMBER_ALARM_QUOTA ? 1 : 2,
            a->kind < sizeof alarm_code / sizeof alarm_code[0] ? alarm_code[a->kind] : "alarm",
            a->text,
            a->kind == MEMBER_ALARM_SHARED_LINK ? "ask who used the link; confirm the right one, "
                                                  "or remove the other: clan machines; "
                                                  "when it is settled: clan status --dismiss"
                                                : "");
    }
}

static void admins(struct brain *b, struct lines *l)
{
    const uint8_t *id;
    const struct stmt_envelope *env;
    member_head(b->set, &id, &env);
    if (env && env->admin_count == 1)
        add(l, 1, "one-admin", "one admin: if this key is lost nobody can change the clan",
            "keep the 12 recovery words on paper; add a second admin in clan.yaml");
    if (b->body_version && !b->body_readable)
        add(l, 1, "update", "the newest configuration cannot be read by this version of Clan",
            "update Clan on this machine; until then it goes on with the one before");
}

static void own_services(struct brain *b, struct lines *l)
{
    const struct member_machine *self = brain_self(b);
    char what[320];
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        const struct clan_config_service *s = &b->cfg->services[i];
        static clan_api_Service row;
        if (place_holder(b->set, b->cfg, s) != self)
            continue;
        memset(&row, 0, sizeof row);
        service_row(b, s, &row);
        if (strcmp(row.state, "up") == 0 || strcmp(row.state, "starting") == 0)
            continue;
        snprintf(what, sizeof what, "%s is %s: %.200s", s->name, row.state, row.why);
        add(l, 1, "service", what, row.remedy);
    }
}

/* One that does not run beside others that do: what it said is the owner's to read. */
static void failed_transports(struct brain *b, struct lines *l)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        const struct host *h = &b->hosts[i];
        char what[400];
        if (h->used && h->people && h->wanted && (h->state == HOST_FAILED || h->disk_full)) {
            snprintf(what, sizeof what, "%s does not run: %.300s", h->plugin, h->why);
            add(l, 1, "plugin", what, h->remedy);
        }
        if (!h->used || h->service || !h->wanted)
            continue;
        if (h->state == HOST_STARTED && !h->healthy && h->why[0]) { /* it says so, and why */
            snprintf(what, sizeof what, "%s does not work now: %.300s", h->plugin, h->why);
            add(l, 1, "transport", what, h->remedy);
        }
        if (h->state != HOST_FAILED)
            continue;
        snprintf(what, sizeof what, "the transport %s does not run: %.300s", h->plugin, h->why);
        add(l, 1, "transport", what, h->remedy);
    }
}

static void surroundings(struct brain *b, struct lines *l)
{
    failed_transports(b, l);
    if (!b->grants_ok && b->grants_trouble.status != CLAN_E_NOENT)
        add_error(l, 2, "no-grants", &b->grants_trouble);
    else if (!b->grants_ok)
        add(l, 2, "no-grants",
            "the owner of this machine has granted nothing, so no transport and no service runs",
            "run as root: clan machine apply");
    else if (!transports_up(b)) {
        char name[33], remedy[96], demand[DEMAND_TEXT] = "", what[DEMAND_TEXT + 120];
        transports_first(b, name);
        if (b->bound)
            demand_text(b, b->own_id, demand, sizeof demand);
        snprintf(remedy, sizeof remedy, "see: clan logs --process %s", name);
        if (!grants_find(&b->grants, name))
            snprintf(
                remedy, sizeof remedy, "grant %s in machine.yaml, then: clan machine apply", name);
        snprintf(what, sizeof what,
            "no transport runs%s%s: this machine reaches nobody and nobody reaches it",
            demand[0] ? "; it is to be reached " : "", demand);
        add(l, 2, "no-transport", what, remedy);
    }
    if (!b->net_up && b->bind_trouble.status == CLAN_OK)
        add(l, 1, "network", "the network of the clan is being built", "");
    add_error(l, 2, "network", &b->bind_trouble);
    add_error(l, 2, "disk", &b->disk_trouble);
    add_error(l, 1, "phones", phones_trouble());
    add_error(l, 2, "keeper", &b->keeper_trouble);
    if (b->catching_up)
        add(l, 1, "catching-up",
            "this machine was away and looks for somebody who knows where the clan is", "");
    if (b->stale_open)
        add(l, 1, "stale",
            "nobody who knows the clan was reachable since this machine woke: it goes on "
            "unconfirmed",
            "nothing to do: it catches up by itself when another machine is reachable");
}

static void suspects(struct brain *b, struct lines *l)
{
    char what[320], remedy[240];
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        const struct host *h = &b->hosts[i];
        if (h->used && h->disk_full && !h->child) {
            snprintf(what, sizeof what, "%s was ended: %.200s", h->instance, h->why);
            add(l, 2, "plugin-disk", what,
                "remove some of its files, or allow it more with disk: in machine.yaml and run as "
                "root: clan machine apply; it starts by itself");
        }
        if (!host_suspect(&b->hosts[i], what, sizeof what))
            continue;
        snprintf(remedy, sizeof remedy,
            "see: clan logs --process %s; if you do not trust it, take %s out of machine.yaml and "
            "run as root: "
            "clan machine apply",
            b->hosts[i].instance, b->hosts[i].plugin);
        add(l, 1, "plugin-refused", what, remedy);
    }
}

void health_lines(struct brain *b, health_fn *emit, void *arg)
{
    static struct lines l;
    char what[320];
    l.count = 0;
    membership(b, &l);
    surroundings(b, &l);
    admins(b, &l);
    own_services(b, &l);
    tried_again(b, &l);
    suspects(b, &l);
    int64_t off = llabs(peers_median_clock(b));
    if (off > DOORS_CLOCK_OFF_S) {
        snprintf(what, sizeof what,
            "the clock of this machine differs by %lld minutes from the others', so it answers no "
            "invitations",
            (long long)(off / 60));
        add(&l, 1, "clock", what,
            "set it, or turn on time synchronisation: timedatectl set-ntp true");
    }
    for (int severity = 2; severity >= 0; severity--)
        for (unsigned i = 0; i < l.count; i++)
            if (l.line[i].severity == (unsigned)severity)
                emit(arg, l.line[i].severity, l.line[i].code, l.line[i].what, l.line[i].remedy);
}
