/* What the local API answers as JSON: the same for "clan --json" and for programs that speak HTTP. */
#include "json/json.h"

#include "base/error.h"
#include "base/text.h"
#include "noise/keys.h"
#include "permission/permission.h"

#include <arpa/inet.h>
#include <time.h>

json_t *json_b32(const void *data, size_t size)
{
    char text[TEXT_BASE32_LEN(64) + 1];
    clan_assert(size <= 64);
    text_base32(data, size, text);
    return json_string(text);
}

json_t *json_address(const uint8_t address[16])
{
    char text[INET6_ADDRSTRLEN];
    return json_string(inet_ntop(AF_INET6, address, text, sizeof text));
}

json_t *json_time(int64_t wall)
{
    char text[48];
    time_t t = (time_t)wall;
    struct tm tm;
    if (wall <= 0 || !gmtime_r(&t, &tm) || !strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm))
        return json_null();
    return json_string(text);
}

const char *json_severity(uint32_t severity)
{
    return severity == 0 ? "note" : severity == 1 ? "warning" : "alarm";
}

json_t *json_of_health(const clan_api_Health *h)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "severity", json_severity(h->severity), "code",
        h->code, "what", h->what, "remedy", h->remedy);
}

json_t *json_of_status(const clan_api_Status *s)
{
    char words[KEYS_WORDS_MAX];
    keys_words("clan", s->clan_id, s->clan_id, words);
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:I, s:b, s:b, s:b, s:i, s:i, s:i, s:o,"
                     " s:s, s:s}",
        "version", s->version, "clan", s->clan, "petname", s->petname, "clan_id",
        json_b32(s->clan_id, 32), "machine_id", json_b32(s->machine_id, 32), "machine", s->machine,
        "standing", s->standing, "config_version", (json_int_t)s->config_version, "config_readable",
        s->config_readable, "catching_up", s->catching_up, "keeper", s->keeper, "machine_count",
        (int)s->machines, "reachable", (int)s->reachable, "service_count", (int)s->services,
        "address", json_address(s->address), "prefix", s->prefix, "words", words);
}

json_t *json_of_error(const clan_wire_Error *e)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "status", clan_status_text((clan_status)e->status),
        "what", e->what, "why", e->why, "remedy", e->remedy);
}

json_t *json_of_machine(const clan_api_Machine *m)
{
    json_t *tags = json_array();
    for (unsigned i = 0; i < m->tags_count; i++)
        json_array_append_new(tags, json_string(m->tags[i]));
    json_t *o =
        json_pack("{s:o, s:s, s:o, s:s, s:b, s:b, s:s, s:I, s:I, s:I}", "id", json_b32(m->id, 32),
            "name", m->name, "address", json_address(m->address), "standing", m->standing, "self",
            m->self, "connected", m->connected, "path", m->path, "rtt_us", (json_int_t)m->rtt_us,
            "rx_bytes", (json_int_t)m->rx_bytes, "tx_bytes", (json_int_t)m->tx_bytes);
    json_object_set_new(o, "last_seen", json_time(m->last_seen));
    json_object_set_new(o, "words", json_string(m->words));
    json_object_set_new(o, "tags", tags);
    json_object_set_new(o, "keeper", json_boolean(m->keeper));
    json_object_set_new(o, "admin", json_boolean(m->admin));
    json_object_set_new(o, "acked_version", json_integer((json_int_t)m->acked_version));
    json_object_set_new(o, "record_seq", json_integer((json_int_t)m->record_seq));
    json_object_set_new(o, "clock_offset_s", json_integer((json_int_t)m->clock_offset));
    if (m->demand[0])
        json_object_set_new(o, "demand", json_string(m->demand));
    if (m->gateway[0])
        json_object_set_new(o, "phone_behind", json_string(m->gateway));
    if (m->invite_id.size)
        json_object_set_new(o, "invitation", json_b32(m->invite_id.bytes, m->invite_id.size));
    return o;
}

json_t *json_of_service(const clan_api_Service *s)
{
    json_t *allow = json_array();
    for (unsigned i = 0; i < s->allow_count; i++)
        json_array_append_new(allow, json_string(s->allow[i]));
    return json_pack("{s:s, s:s, s:o, s:i, s:s, s:s, s:s, s:s, s:b, s:o, s:s}", "name", s->name,
        "plugin", s->plugin, "address", json_address(s->address), "port", (int)s->port, "host",
        s->host, "state", s->state, "why", s->why, "url", s->url, "open_to_me", s->open_to_me,
        "allow", allow, "remedy", s->remedy);
}

json_t *json_of_invitation(const clan_api_Invitation *i)
{
    json_t *guests = json_array();
    for (unsigned g = 0; g < i->guests_count; g++)
        json_array_append_new(guests, json_string(i->guests[g]));
    json_t *o = json_pack("{s:o, s:s, s:s, s:I, s:I, s:o, s:s, s:o}", "id", json_b32(i->id, 16),
        "state", i->state, "for", i->for_name, "uses", (json_int_t)i->uses, "used",
        (json_int_t)i->used, "expires", json_time(i->expires), "by", i->by, "guests", guests);
    if (i->gateway[0])
        json_object_set_new(o, "phone_behind", json_string(i->gateway));
    return o;
}

static json_t *json_of_facts(const clan_api_JoinFacts *f)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:o, s:s, s:s}", "clan", f->clan, "words",
        f->words, "inviter", f->inviter, "inviter_words", f->inviter_words, "for_name", f->for_name,
        "uses", (int)f->uses, "expires", json_time(f->expires), "door", f->door,
        "suggested_petname", f->suggested_petname);
}

json_t *json_of_ui_question(const clan_api_UiQuestion *q)
{
    json_t *endpoints = json_array();
    for (unsigned i = 0; i < q->endpoints_count; i++)
        json_array_append_new(endpoints, json_string(q->endpoints[i]));
    return json_pack("{s:i, s:s, s:o, s:o, s:o, s:s, s:s}", "id", (int)q->id, "step", q->step,
        "endpoints", endpoints, "facts", q->has_facts ? json_of_facts(&q->facts) : json_null(),
        "error", q->has_error ? json_of_error(&q->error) : json_null(), "progress", q->progress,
        "url", q->url);
}

json_t *json_of_proposal(const clan_api_Proposal *p)
{
    json_t *words = json_array();
    for (unsigned i = 0; i < p->words_count; i++)
        json_array_append_new(words, json_string(p->words[i]));
    return json_pack("{s:I, s:o, s:s, s:s, s:o, s:s, s:s, s:b, s:b}", "id", (json_int_t)p->id,
        "words", words, "state", p->state, "by", p->by, "time", json_time(p->wall), "text", p->text,
        "result", p->result, "mine", p->mine, "signer", p->signer);
}

json_t *json_of_config_version(const clan_api_ConfigVersion *v)
{
    json_t *signers = json_array();
    for (unsigned i = 0; i < v->signers_count; i++)
        json_array_append_new(signers, json_string(v->signers[i]));
    return json_pack("{s:I, s:o, s:o, s:o, s:I, s:b}", "version", (json_int_t)v->version, "id",
        json_b32(v->id, 32), "time", json_time(v->time), "signers", signers, "bytes",
        (json_int_t)v->body_size, "here", v->body_here);
}

json_t *json_of_event(const clan_api_Event *e)
{
    return json_pack("{s:I, s:o, s:s, s:s, s:s, s:s}", "id", (json_int_t)e->id, "time",
        json_time(e->wall), "kind", e->kind, "what", e->what, "machine", e->machine, "service",
        e->service);
}

const char *json_path_state(const clan_api_Path *p)
{
    return p->in_use      ? "in use"
           : p->connected ? "spare"
           : p->barred[0] ? "not allowed"
           : p->possible  ? "not connected"
                          : "not there";
}

json_t *json_of_path(const clan_api_Path *p)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:s}", "transport",
        p->transport, "state", json_path_state(p), "via", p->via, "in_use", p->in_use, "connected",
        p->connected, "rtt_us", (json_int_t)p->rtt_us, "since_s", (json_int_t)p->since_s,
        "failures", (json_int_t)p->failures, "watched_s", (json_int_t)p->watched_s, "why", p->why);
    if (p->barred[0])
        json_object_set_new(o, "barred", json_string(p->barred));
    return o;
}

json_t *json_of_path_event(const clan_api_PathEvent *e)
{
    return json_pack("{s:s, s:s, s:s, s:o}", "from", e->from, "to", e->to, "why", e->why, "time",
        json_time(e->wall));
}

json_t *json_of_ping(const clan_api_PingResult *r)
{
    return json_pack("{s:s, s:o, s:b, s:I, s:b, s:s, s:s}", "machine", r->machine, "address",
        json_address(r->address), "reachable", r->reachable, "control_rtt_us",
        (json_int_t)r->control_rtt_us, "data_allowed", r->data_allowed, "refusal", r->refusal,
        "path", r->path);
}

static json_t *words_json(const char (*words)[PERM_WORD_MAX], unsigned count, json_t *means)
{
    char text[200];
    json_t *list = json_array();
    for (unsigned i = 0; i < count; i++) {
        json_array_append_new(list, json_string(words[i]));
        json_object_set_new(means, words[i], json_string(perm_lets(words[i], text, sizeof text)));
    }
    return list;
}

static json_t *setting_json(const clan_api_PluginSetting *s)
{
    json_t *choices = json_array();
    for (const char *at = s->choices; *at;) {
        size_t len = strcspn(at, "|");
        json_array_append_new(choices, json_stringn(at, len));
        at += len + (at[len] == '|');
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:o}", "key", s->key, "kind", s->kind,
        "question", s->question, "preset", s->preset, "min", (int)s->min, "max", (int)s->max,
        "choices", choices);
}

json_t *json_of_plugin(const clan_api_Plugin *p)
{
    json_t *means = json_object();
    json_t *asks = words_json(p->asks, p->asks_count, means);
    json_t *granted = words_json(p->granted, p->granted_count, means);
    json_t *settings = json_array();
    for (unsigned i = 0; i < p->settings_count; i++)
        json_array_append_new(settings, setting_json(&p->settings[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "plugin",
        p->id, "title", p->title, "description", p->sentence, "kind", p->kind, "file", p->file,
        "version", p->version, "state", p->state, "why", p->why, "remedy", p->remedy, "asks", asks,
        "granted", granted, "means", means, "settings", settings);
}

json_t *json_of_net_checks(const struct net_checks *l)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < l->count; i++) {
        const struct net_check *n = &l->rows[i];
        json_array_append_new(list,
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "check", n->id, "state",
                net_verdict_word(n->verdict), "what", n->what, "why", n->why, "remedy", n->remedy));
    }
    return json_pack("{s:s, s:o}", "worst", net_verdict_word(l->worst), "checks", list);
}
