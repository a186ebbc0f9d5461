/* clan status, machines, services: what is there, and how it is. */
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/out.h"
#include "cli/session.h"
#include "noise/keys.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct status {
    struct cli *c;
    clan_api_Status s;
    bool got;
    clan_api_Health *health;
    size_t health_count;
};

static clan_status take_status(void *arg, const clan_api_Answer *a)
{
    struct status *x = arg;
    if (a->which_m == clan_api_Answer_status_tag) {
        x->s = a->m.status;
        x->got = true;
    } else if (a->which_m == clan_api_Answer_health_tag && x->health_count < 256) {
        clan_api_Health *more = realloc(x->health, (x->health_count + 1) * sizeof *more);
        clan_assert(more);
        x->health = more;
        x->health[x->health_count++] = a->m.health;
    }
    return CLAN_OK;
}

static void machine_row(struct cli *c, struct out_table *t, const clan_api_Machine *m)
{
    char name[80], path[300], traffic[80], extra[400] = "", rtt[32], rx[32], tx[32], ago[48];
    const char *word = m->self                              ? "this machine"
                       : strcmp(m->standing, "member") != 0 ? m->standing
                       : m->connected                       ? "connected"
                       : m->gateway[0] && !m->last_seen     ? "phone"
                                                            : "not connected";
    enum out_colour colour;
    const char *shape = out_shape(c, word, &colour);
    snprintf(name, sizeof name, "%s %s", shape, m->name);
    path[0] = traffic[0] = 0;
    if (m->connected && !m->self) {
        out_short(m->path, path, sizeof path);
        bool any = m->rx_bytes || m->tx_bytes;
        if (any)
            snprintf(traffic, sizeof traffic, "%s%sin %s, out %s",
                m->rtt_us ? out_rtt(m->rtt_us, rtt) : "", m->rtt_us ? ", " : "",
                out_bytes(m->rx_bytes, rx), out_bytes(m->tx_bytes, tx));
        else if (m->rtt_us)
            snprintf(traffic, sizeof traffic, "%s", out_rtt(m->rtt_us, rtt));
    } else if (!m->self && m->last_seen) {
        snprintf(path, sizeof path, "seen %s", text_ago(clock_wall_s() - m->last_seen, ago));
    }
    size_t len = (size_t)snprintf(extra, sizeof extra, "%s%s", m->keeper ? "keeper" : "",
        m->admin ? (m->keeper ? ", admin" : "admin") : "");
    if (m->gateway[0] && len < sizeof extra)
        len += (size_t)snprintf(
            extra + len, sizeof extra - len, "%sphone behind %s", len ? ", " : "", m->gateway);
    if (m->demand[0] && (m->self || !m->connected) && len < sizeof extra)
        len +=
            (size_t)snprintf(extra + len, sizeof extra - len, "%s%s", len ? ", " : "", m->demand);
    for (unsigned i = 0; i < m->tags_count && len < sizeof extra; i++)
        len +=
            (size_t)snprintf(extra + len, sizeof extra - len, "%s%s", len ? ", " : "", m->tags[i]);
    if (m->clock_offset > 300 || m->clock_offset < -300)
        if (len < sizeof extra)
            snprintf(extra + len, sizeof extra - len, "%sclock off by %lld s", len ? ", " : "",
                (long long)m->clock_offset);
    const char *cells[] = {name, word, path, traffic, extra};
    out_table_row(t, colour, cells);
}

static void print_machines(struct cli *c, const struct session_machines *m)
{
    struct out_table t;
    out_table_init(&t, 5);
    for (int self = 1; self >= 0; self--)
        for (size_t i = 0; i < m->count; i++)
            if (m->rows[i].self == (bool)self)
                machine_row(c, &t, &m->rows[i]);
    out_table_print(c, &t);
}

static json_t *machines_json(const struct session_machines *m)
{
    json_t *list = json_array();
    for (size_t i = 0; i < m->count; i++)
        json_array_append_new(list, json_of_machine(&m->rows[i]));
    return list;
}

static void print_health(struct cli *c, const struct status *x)
{
    for (size_t i = 0; i < x->health_count; i++) {
        const clan_api_Health *h = &x->health[i];
        enum out_colour colour;
        const char *word = json_severity(h->severity), *shape = out_shape(c, word, &colour);
        out_para(c, 4, "%s%s %s%s: %s%s%s", out_on(c, colour), shape, word, out_off(c), h->what,
            h->remedy[0] ? "\nto do: " : "", h->remedy);
    }
    if (x->health_count)
        out_line(c, "%s", "");
}

static void print_status(struct cli *c, const struct status *x, const struct session_machines *m)
{
    const clan_api_Status *s = &x->s;
    char address[64], words[KEYS_WORDS_MAX];
    print_health(c, x);
    out_para(c, 4, "%s%s%s%s%s in clan %s%s%s, %s", out_on(c, OUT_BOLD), s->machine, out_off(c),
        s->keeper ? ", keeper" : "", s->catching_up ? ", catching up" : "", s->petname,
        strcmp(s->petname, s->clan) == 0 ? "" : " = ",
        strcmp(s->petname, s->clan) == 0 ? "" : s->clan, s->standing);
    out_para(c, 4, "%s.%s.clan  %s", s->machine, s->petname, out_address(s->address, address));
    keys_words("clan", s->clan_id, s->clan_id, words);
    out_para(c, 4, "the clan's six words: %s", words);
    out_para(c, 4, "configuration %" PRIu64 "%s, %u of %u machines reachable, %u service%s",
        s->config_version, s->config_readable ? "" : " (this Clan is too old to read it)",
        s->reachable, s->machines, s->services, s->services == 1 ? "" : "s");
    out_line(c, "%s", "");
    print_machines(c, m);
}

static json_t *status_json(const struct status *x, const struct session_machines *m)
{
    json_t *health = json_array(), *o = json_of_status(&x->s);
    for (size_t i = 0; i < x->health_count; i++)
        json_array_append_new(health, json_of_health(&x->health[i]));
    json_object_set_new(o, "health", health);
    json_object_set_new(o, "machines", machines_json(m));
    return o;
}

clan_status cmd_status(struct cli *c)
{
    struct api_client *api = NULL;
    struct status x = {.c = c};
    struct session_machines m = {0};
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK && cli_opt(c, "dismiss"))
        st = session_ask(c, api, clan_api_Request_dismiss_alarms_tag, NULL, NULL);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_status_tag, take_status, &x);
    if (st == CLAN_OK && !x.got)
        st = err_set(&c->e, CLAN_E_PROTO, "Clan did not answer with its status");
    if (st == CLAN_OK)
        st = session_machines(c, api, &m);
    if (st == CLAN_OK && c->json)
        out_json(c, status_json(&x, &m));
    else if (st == CLAN_OK)
        print_status(c, &x, &m);
    free(m.rows);
    free(x.health);
    api_close(api);
    return st;
}

clan_status cmd_machines(struct cli *c)
{
    struct api_client *api = NULL;
    struct session_machines m = {0};
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_machines(c, api, &m);
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:o}", "machines", machines_json(&m)));
    else if (st == CLAN_OK)
        print_machines(c, &m);
    for (size_t i = 0; st == CLAN_OK && cli_opt(c, "words") && i < m.count; i++)
        out_line(c, "%s: %s", m.rows[i].name, m.rows[i].words);
    free(m.rows);
    api_close(api);
    return st;
}

struct services {
    struct cli *c;
    json_t *json;
    struct out_table table;
};

static clan_status take_service(void *arg, const clan_api_Answer *a)
{
    struct services *x = arg;
    const clan_api_Service *s = &a->m.service;
    char name[64], where[80], why[600] = "";
    enum out_colour colour;
    if (a->which_m != clan_api_Answer_service_tag)
        return CLAN_OK;
    if (x->json) {
        json_array_append_new(x->json, json_of_service(s));
        return CLAN_OK;
    }
    bool up = strcmp(s->state, "up") == 0;
    snprintf(name, sizeof name, "%s %s", out_shape(x->c, s->state, &colour), s->name);
    snprintf(where, sizeof where, "%s%s", s->host[0] ? "on " : "", s->host);
    if (!up)
        snprintf(why, sizeof why, "%s%s%s", s->why, s->why[0] && s->remedy[0] ? "; to do: " : "",
            s->remedy);
    else if (!s->open_to_me)
        snprintf(why, sizeof why, "not open to this machine");
    const char *cells[] = {name, s->state, where, up ? s->url : "", why};
    out_table_row(&x->table, colour, cells);
    return CLAN_OK;
}

clan_status cmd_services(struct cli *c)
{
    struct api_client *api = NULL;
    struct services x = {.c = c, .json = c->json ? json_array() : NULL};
    out_table_init(&x.table, 5);
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_services_tag, take_service, &x);
    bool none = x.table.rows == 0;
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:O}", "services", x.json));
    out_table_print(c, &x.table);
    if (st == CLAN_OK && none)
        out_line(c, "no services; `clan enable PLUGIN --on MACHINE` starts one");
    json_decref(x.json);
    api_close(api);
    return st;
}
