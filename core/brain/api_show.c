/* Requests that show something. */
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "brain/client.h"
#include "brain/demand.h"
#include "brain/devices.h"
#include "brain/phones.h"
#include "wire/offers.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

static const char *standing_text(const struct brain *b, const struct member_machine *m)
{
    bool one_door = b->one_door && m == brain_self(b);
    switch (m->standing) {
    case MEMBER_CONFIRMED:
        return one_door ? "known to one door only" : "member";
    case MEMBER_PROVISIONAL:
        return m->conflict ? "provisional, disputed"
               : one_door  ? "provisional, known to one door only"
                           : "provisional";
    case MEMBER_REVOKED:
        return "removed";
    default:
        return "unknown";
    }
}

static void emit_health(
    void *arg, unsigned severity, const char *code, const char *what, const char *remedy)
{
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_health_tag;
    a->m.health.severity = severity;
    snprintf(a->m.health.code, sizeof a->m.health.code, "%s", code);
    snprintf(a->m.health.what, sizeof a->m.health.what, "%s", what);
    snprintf(a->m.health.remedy, sizeof a->m.health.remedy, "%s", remedy);
    api_answer(arg, a, false);
}

static void count_machines(struct brain *b, clan_api_Status *s)
{
    const struct member_machine *self = brain_self(b);
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m->phone || (m->standing != MEMBER_CONFIRMED && m->standing != MEMBER_PROVISIONAL))
            continue;
        s->machines++;
        struct peer *p = peer_find(b, m->id);
        s->reachable += m == self || (p && p->control);
    }
}

void api_status(struct brain *b, struct client *c)
{
    const struct member_machine *self = brain_self(b);
    const uint8_t *id;
    const struct stmt_envelope *env;
    health_lines(b, emit_health, c);
    clan_api_Answer *a = api_blank();
    clan_api_Status *s = &a->m.status;
    a->which_m = clan_api_Answer_status_tag;
    snprintf(s->version, sizeof s->version, "%s", BRAIN_BUILD);
    snprintf(s->petname, sizeof s->petname, "%s", b->petname);
    snprintf(s->clan, sizeof s->clan, "%s", member_genesis(b->set)->clan);
    memcpy(s->clan_id, b->clan_id, 32);
    memcpy(s->machine_id, b->own_id, 32);
    brain_name(b, b->own_id, s->machine);
    memcpy(s->address, b->own_address, 16);
    snprintf(s->standing, sizeof s->standing, "%s", self ? standing_text(b, self) : "unknown");
    s->config_version = member_head(b->set, &id, &env);
    s->config_readable = b->body_readable;
    s->catching_up = b->catching_up;
    s->keeper = self && self->keeper;
    s->services = b->cfg ? b->cfg->service_count : 0;
    count_machines(b, s);
    uint8_t prefix[16] = {0};
    char text[INET6_ADDRSTRLEN];
    memcpy(prefix, b->own_address, 6);
    inet_ntop(AF_INET6, prefix, text, sizeof text);
    snprintf(s->prefix, sizeof s->prefix, "%.40s/48", text);
    api_answer(c, a, true);
}

static void ask_stats(struct brain *b)
{
    if (brain_now() - b->stats_asked_ms < 1000)
        return;
    b->stats_asked_ms = brain_now();
    link_send(b, link_blank(clan_link_ToLink_ask_stats_tag), NULL, 0);
}

static void machine_tags(struct brain *b, const uint8_t id[32], clan_api_Machine *m)
{
    for (unsigned i = 0; b->cfg && i < b->cfg->machine_count; i++) {
        const struct clan_config_machine *row = &b->cfg->machines[i];
        if (memcmp(row->id, id, 32) != 0)
            continue;
        for (unsigned k = 0; k < row->tag_count && k < 16; k++, m->tags_count++)
            snprintf(m->tags[k], sizeof m->tags[k], "%s", row->tags[k]);
    }
}

static void machine_row(struct brain *b, const struct member_machine *from, clan_api_Machine *m)
{
    const struct peer *p = peer_find(b, from->id);
    memcpy(m->id, from->id, 32);
    brain_name(b, from->id, m->name);
    memcpy(m->address, from->address, 16);
    snprintf(m->standing, sizeof m->standing, "%s", standing_text(b, from));
    m->self = memcmp(from->id, b->own_id, 32) == 0;
    m->keeper = from->keeper;
    m->record_seq = from->record_seq;
    m->acked_version = from->acked_version;
    m->invite_id.size = from->founder ? 0 : 16;
    memcpy(m->invite_id.bytes, from->invite_id, 16);
    keys_words("machine", b->clan_id, from->record.identity, m->words);
    machine_tags(b, from->id, m);
    demand_text(b, from->id, m->demand, sizeof m->demand);
    if (m->self) {
        m->connected = true;
        snprintf(m->path, sizeof m->path, "this machine");
        return;
    }
    if (from->phone) {
        brain_name(b, from->door, m->gateway);
        phones_show(b, from->id, m);
    }
    if (!p)
        return;
    m->connected = p->control != 0 || p->link != 0;
    if (m->connected)
        paths_text(b, p, m->path, sizeof m->path);
    m->rtt_us = p->rtt_us;
    const struct peer_device *pd = device_peer(p); /* link does not see what goes by it */
    m->rx_bytes = p->rx_bytes + (pd ? pd->rx_bytes : 0);
    m->tx_bytes = p->tx_bytes + (pd ? pd->tx_bytes : 0);
    m->last_seen = m->connected ? clock_wall_s() : p->last_seen;
    m->clock_offset = peer_clock_offset(p);
}

void api_machines(struct brain *b, struct client *c)
{
    ask_stats(b);
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m->standing == MEMBER_UNKNOWN)
            continue;
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_machine_tag;
        machine_row(b, m, &a->m.machine);
        api_answer(c, a, false);
    }
    api_ok(c);
}

void api_services(struct brain *b, struct client *c)
{
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_service_tag;
        service_row(b, &b->cfg->services[i], &a->m.service);
        api_answer(c, a, false);
    }
    for (unsigned i = 0; !b->cfg && i < BRAIN_SOFT_MAX; i++) {
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_service_tag;
        if (soft_row(b, &b->soft[i], &a->m.service))
            api_answer(c, a, false);
    }
    api_ok(c);
}

void api_context(struct brain *b, struct client *c)
{
    const uint8_t *id;
    const struct stmt_envelope *env;
    const struct stmt_genesis *g = member_genesis(b->set);
    clan_api_Answer *a = api_blank();
    clan_api_Context *m = &a->m.context;
    a->which_m = clan_api_Answer_context_tag;
    memcpy(m->clan_id, b->clan_id, 32);
    snprintf(m->clan, sizeof m->clan, "%s", g->clan);
    snprintf(m->petname, sizeof m->petname, "%s", b->petname);
    m->config_version = member_head(b->set, &id, &env);
    memcpy(m->config_id, id, 32);
    snprintf(m->door, sizeof m->door, "%s", rendezvous_door(b));
    for (unsigned i = 0; i < b->endpoint_count && m->endpoints_count < 16; i++)
        if (!devices_is(b, b->endpoints[i].transport)) /* whose keys only members know */
            snprintf(m->endpoints[m->endpoints_count++], sizeof m->endpoints[0], "%s %s",
                b->endpoints[i].transport, b->endpoints[i].text);
    memcpy(m->machine_id, b->own_id, 32);
    brain_name(b, b->own_id, m->machine);
    m->threshold = env ? env->threshold : g->threshold;
    unsigned n = env ? env->admin_count : g->admin_count;
    const struct stmt_admin *admins = env ? env->admins : g->admins;
    for (unsigned i = 0; i < n; i++) {
        memcpy(m->admin_keys[i], admins[i].key, 32);
        snprintf(m->admin_names[i], sizeof m->admin_names[i], "%s", admins[i].name);
        m->admin_keys_count = m->admin_names_count = (pb_size_t)(i + 1);
    }
    for (unsigned i = 0; env && i < env->removed_count; i++) {
        memcpy(m->removed_keys[i], env->removed[i], 32);
        m->removed_keys_count = (pb_size_t)(i + 1);
    }
    if (env) {
        memcpy(m->body_hash, env->body_hash, 32);
        m->body_size = env->body_size;
    }
    m->wall = clock_wall_s();
    api_answer(c, a, true);
}

void api_config_get(struct brain *b, struct client *c, uint64_t version)
{
    struct clan_error e = CLAN_ERROR_INIT;
    char *text;
    size_t size;
    if (version == 0)
        version = b->body_version;
    if (bodies_version(b, version, &text, &size) != CLAN_OK) {
        err_set(&e, CLAN_E_NOENT, "configuration %llu is not on this machine",
            (unsigned long long)version);
        err_why(&e, brain_confirmed(b) ? "the last 100 are kept"
                                       : "a provisional machine is not shown the configuration");
        api_error(c, &e);
        return;
    }
    for (size_t at = 0; at < size || at == 0; at += WIRE_CHUNK_MAX) {
        clan_api_Answer *a = api_blank();
        size_t n = size - at < WIRE_CHUNK_MAX ? size - at : WIRE_CHUNK_MAX;
        a->which_m = clan_api_Answer_chunk_tag;
        a->m.chunk.total = (uint32_t)size;
        a->m.chunk.offset = (uint32_t)at;
        a->m.chunk.data.size = (pb_size_t)n;
        memcpy(a->m.chunk.data.bytes, text + at, n);
        api_answer(c, a, at + n >= size);
    }
    free(text);
}

static bool envelope_at(struct brain *b, size_t i, struct stmt *st, struct stmt_envelope *env)
{
    const uint8_t *raw, *id;
    uint8_t kind;
    size_t size;
    return member_stmt_at(b->set, i, &raw, &size, &id, &kind) == CLAN_OK && kind == STMT_ENVELOPE &&
           stmt_parse(raw, size, st, NULL) == CLAN_OK && stmt_get_envelope(st, env) == CLAN_OK;
}

void api_config_log(struct brain *b, struct client *c)
{
    struct stmt st;
    static struct stmt_envelope env;
    for (size_t i = 0; i < member_stmt_count(b->set); i++) {
        char *text;
        size_t size;
        if (!envelope_at(b, i, &st, &env))
            continue;
        clan_api_Answer *a = api_blank();
        clan_api_ConfigVersion *v = &a->m.config_version;
        a->which_m = clan_api_Answer_config_version_tag;
        v->version = env.version;
        memcpy(v->id, st.id, 32);
        v->time = env.time;
        v->body_size = env.body_size;
        v->body_here = bodies_version(b, env.version, &text, &size) == CLAN_OK;
        if (v->body_here)
            free(text);
        for (unsigned k = 0; k < st.sig_count && v->signers_count < 16; k++) {
            const char *name = NULL;
            for (unsigned n = 0; n < env.admin_count; n++)
                if (memcmp(env.admins[n].key, st.sigs[k].key, 32) == 0)
                    name = env.admins[n].name;
            snprintf(v->signers[v->signers_count++], 33, "%.32s", name ? name : "a former admin");
        }
        api_answer(c, a, false);
    }
    api_ok(c);
}

static const char *invite_state(const struct member_invite *inv)
{
    if (inv->closed)
        return "withdrawn";
    if (inv->admitted > inv->body.uses)
        return "shared";
    if (inv->confirmed >= inv->body.uses)
        return "used up";
    return clock_wall_s() > inv->body.expires ? "expired" : "open";
}

void api_invitations(struct brain *b, struct client *c)
{
    for (size_t i = 0; i < member_invite_count(b->set); i++) {
        const struct member_invite *inv = member_invite_at(b->set, i);
        const char *by = NULL;
        clan_api_Answer *a = api_blank();
        clan_api_Invitation *m = &a->m.invitation;
        a->which_m = clan_api_Answer_invitation_tag;
        memcpy(m->id, inv->id, 16);
        snprintf(m->for_name, sizeof m->for_name, "%s", inv->body.for_name);
        m->uses = inv->body.uses;
        m->used = inv->admitted;
        m->expires = inv->body.expires;
        const uint8_t *raw;
        size_t size;
        if (member_stmt_find(b->set, inv->statement_id, &raw, &size) == CLAN_OK &&
            size <= sizeof m->statement.bytes) {
            memcpy(m->statement.bytes, raw, size);
            m->statement.size = (pb_size_t)size;
        }
        snprintf(m->state, sizeof m->state, "%s", invite_state(inv));
        if (member_invite_for_phone(inv))
            brain_name(b, inv->body.gateway, m->gateway);
        member_is_admin(b->set, inv->by, &by);
        snprintf(m->by, sizeof m->by, "%s", by ? by : "a former admin");
        for (size_t k = 0; k < member_count(b->set) && m->guests_count < 32; k++) {
            const struct member_machine *g = member_at(b->set, k);
            if (!g->founder && memcmp(g->invite_id, inv->id, 16) == 0)
                brain_name(b, g->id, m->guests[m->guests_count++]);
        }
        api_answer(c, a, false);
    }
    api_ok(c);
}

static void settings(clan_api_Plugin *p, const struct offer *o)
{
    static const char *const kinds[] = {[CLAN_SETTING_TEXT] = "text",
        [CLAN_SETTING_YES_NO] = "yes-no",
        [CLAN_SETTING_NUMBER] = "number",
        [CLAN_SETTING_CHOICE] = "choice"};
    for (unsigned i = 0; i < o->setting_count; i++) {
        const struct clan_note_setting *s = &o->settings[i];
        clan_api_PluginSetting *r = &p->settings[p->settings_count];
        if (s->kind < CLAN_SETTING_TEXT || s->kind > CLAN_SETTING_CHOICE)
            continue; /* of a newer Clan's file */
        p->settings_count++;
        r->min = s->min;
        r->max = s->max;
        snprintf(r->kind, sizeof r->kind, "%s", kinds[s->kind]);
        snprintf(r->key, sizeof r->key, "%s", s->key);
        snprintf(r->preset, sizeof r->preset, "%s", s->preset);
        snprintf(r->question, sizeof r->question, "%s", s->question);
        snprintf(r->choices, sizeof r->choices, "%s", s->choices);
    }
}

static void describe(clan_api_Plugin *p, const struct offer *o)
{
    if (!o)
        return;
    snprintf(p->version, sizeof p->version, "%s", o->version);
    snprintf(p->title, sizeof p->title, "%s", o->title);
    snprintf(p->sentence, sizeof p->sentence, "%s", o->sentence);
    for (; p->asks_count < o->ask_count; p->asks_count++)
        snprintf(p->asks[p->asks_count], sizeof p->asks[0], "%s", o->asks[p->asks_count]);
    settings(p, o);
}

static const struct host *host_of(const struct brain *b, const char *plugin)
{
    for (unsigned k = 0; k < BRAIN_HOSTS_MAX; k++)
        if (b->hosts[k].used && strcmp(b->hosts[k].plugin, plugin) == 0)
            return &b->hosts[k];
    return NULL;
}

static void granted_plugin(
    const struct brain *b, const struct grant_plugin *g, const struct offer *o, clan_api_Plugin *p)
{
    static const char *const state_text[] = {
        "not used", "starting", "starting", "starting", "starting", "up", "ending", "failed"};
    const struct host *h = host_of(b, g->id);
    snprintf(p->id, sizeof p->id, "%s", g->id);
    snprintf(p->file, sizeof p->file, "%s", g->file);
    snprintf(
        p->kind, sizeof p->kind, "%s", g->kind == GRANT_KIND_TRANSPORT ? "transport" : "service");
    snprintf(p->state, sizeof p->state, "%s", state_text[h ? h->state : HOST_IDLE]);
    if (h) {
        snprintf(p->why, sizeof p->why, "%s", h->why);
        if (!p->why[0])
            host_suspect(h, p->why, sizeof p->why);
        snprintf(p->remedy, sizeof p->remedy, "%s", h->remedy);
    }
    _Static_assert(sizeof p->granted == GRANTS_WORDS_MAX * PERM_WORD_MAX, "api.options");
    p->granted_count = (pb_size_t)grants_words(g, p->granted);
    describe(p, o);
}

static void offered_plugin(const struct offer *o, clan_api_Plugin *p)
{
    snprintf(p->id, sizeof p->id, "%s", o->id);
    snprintf(p->file, sizeof p->file, "%s", o->file);
    snprintf(
        p->kind, sizeof p->kind, "%s", o->kind == GRANT_KIND_TRANSPORT ? "transport" : "service");
    snprintf(p->state, sizeof p->state, "not granted");
    snprintf(p->why, sizeof p->why, "it is installed, but machine.yaml does not name it");
    snprintf(p->remedy, sizeof p->remedy,
        "the owner looks at it: clan plugin show %s; then, as root: clan plugin grant %s", o->id,
        o->id);
    describe(p, o);
}

/* What the owner granted, then what else is installed.  Pages also choose from it: the command line reads the files. */
void api_plugins(struct brain *b, struct client *c)
{
    struct offers *offers =
        malloc(sizeof *offers); /* as it is now: nobody tells when it is written anew */
    clan_assert(offers);
    if (offers_load(OFFERS_PATH, offers, NULL) != CLAN_OK)
        offers->count = 0;
    for (unsigned i = 0; b->grants_ok && i < b->grants.plugin_count; i++) {
        const struct grant_plugin *g = &b->grants.plugins[i];
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_plugin_tag;
        granted_plugin(b, g, offers_find(offers, g->file), &a->m.plugin);
        api_answer(c, a, false);
    }
    for (unsigned i = 0; i < offers->count; i++) {
        if (b->grants_ok && grants_find(&b->grants, offers->list[i].id))
            continue;
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_plugin_tag;
        offered_plugin(&offers->list[i], &a->m.plugin);
        api_answer(c, a, false);
    }
    free(offers);
    api_ok(c);
}
