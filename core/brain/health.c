/* What is not as it should be, in plain words, worst first. */
#include "brain/brain.h"
#include "wire/counters.h"

#include <stdio.h>
#include <string.h>

struct line {
    unsigned severity;
    char code[40], what[320], remedy[240];
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
    for (size_t i = 0; i < member_alarm_count(b->set); i++) {
        const struct member_alarm *a = member_alarm_at(b->set, i);
        add(l, a->kind == MEMBER_ALARM_OLD_RIVAL || a->kind == MEMBER_ALARM_QUOTA ? 1 : 2,
            a->kind < sizeof alarm_code / sizeof alarm_code[0] ? alarm_code[a->kind] : "alarm",
            a->text,
            a->kind == MEMBER_ALARM_SHARED_LINK
                ? "ask who used the link; confirm the right one, or remove the other: clan machines"
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

static void surroundings(struct brain *b, struct lines *l)
{
    if (!b->grants_ok)
        add(l, 2, "no-grants",
            "the owner of this machine has granted nothing, so no transport and no service runs",
            "run as root: clan machine apply");
    else if (!transports_up(b))
        add(l, 2, "no-transport",
            "no transport runs: this machine reaches nobody and nobody reaches it",
            "see: clan logs --process tcp-noise");
    if (!b->net_up && b->bind_trouble.status == CLAN_OK)
        add(l, 1, "network", "the network of the clan is being built", "");
    add_error(l, 2, "network", &b->bind_trouble);
    add_error(l, 2, "disk", &b->disk_trouble);
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

static unsigned median_offset_minutes(struct brain *b)
{
    int64_t offsets[64];
    unsigned n = 0;
    for (size_t i = 0; i < b->peer_count && n < 64; i++)
        if (b->peers[i].control && b->peers[i].shown_head) {
            int64_t o = b->peers[i].clock_offset;
            unsigned at = n++;
            for (; at && offsets[at - 1] > o; at--)
                offsets[at] = offsets[at - 1];
            offsets[at] = o;
        }
    if (!n)
        return 0;
    int64_t m = offsets[n / 2];
    return (unsigned)((m < 0 ? -m : m) / 60);
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
    unsigned off = median_offset_minutes(b);
    if (off >= 5) {
        snprintf(what, sizeof what,
            "the clock of this machine differs by %u minutes from the others'", off);
        add(&l, 1, "clock", what,
            "set it, or turn on time synchronisation: timedatectl set-ntp true");
    }
    for (int severity = 2; severity >= 0; severity--)
        for (unsigned i = 0; i < l.count; i++)
            if (l.line[i].severity == (unsigned)severity)
                emit(arg, l.line[i].severity, l.line[i].code, l.line[i].what, l.line[i].remedy);
}
