/* clan enable, disable: a service in clan.yaml, from the edit to its address. */
#include "base/error.h"
#include "base/text.h"
#include "cli/change.h"
#include "cli/machine.h"
#include "cli/names.h"
#include "cli/out.h"
#include "config/machine.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SERVICE_WAIT_MS 20000

struct found {
    const char *name;
    clan_api_Service service;
    bool got;
};

static clan_status take_service(void *arg, const clan_api_Answer *a)
{
    struct found *f = arg;
    if (a->which_m == clan_api_Answer_service_tag && strcmp(a->m.service.name, f->name) == 0) {
        f->service = a->m.service;
        f->got = true;
    }
    return CLAN_OK;
}

static clan_status wait_up(struct cli *c, struct change *ch, const char *name)
{
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_wait_for_tag;
    snprintf(req->m.wait_for.service_up, sizeof req->m.wait_for.service_up, "%s", name);
    req->m.wait_for.timeout_ms = SERVICE_WAIT_MS;
    clan_status up = session_call(c, ch->api, req, SERVICE_WAIT_MS + SESSION_IDLE_MS, NULL, NULL);
    free(req);
    return up;
}

/* The service is in the configuration whatever happens here; what keeps it from running is told. */
static void wait_service(struct cli *c, struct change *ch, const char *name, json_t *json)
{
    struct found f = {.name = name};
    struct clan_error wait_error = CLAN_ERROR_INIT;
    clan_status up = CLAN_OK;
    clan_status st = session_ask(c, ch->api, clan_api_Request_services_tag, take_service, &f);
    if (!f.got || strcmp(f.service.state, "not granted") != 0) { /* else the owner has to act */
        up = wait_up(c, ch, name);
        wait_error = c->e;
        st = session_ask(c, ch->api, clan_api_Request_services_tag, take_service, &f);
    }
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    bool running = st == CLAN_OK && f.got && strcmp(f.service.state, "up") == 0;
    json_object_set_new(json, "up", json_boolean(running));
    if (f.got) {
        json_object_set_new(json, "state", json_string(f.service.state));
        json_object_set_new(json, "url", json_string(f.service.url));
        json_object_set_new(json, "why", json_string(f.service.why));
    }
    if (running) {
        out_line(c, "%s is up on %s: %s", name, f.service.host, f.service.url);
        return;
    }
    out_para(c, 4, "%s is not up yet%s%s", name, f.got ? ": " : "", f.got ? f.service.state : "");
    const char *why = f.got && f.service.why[0] ? f.service.why
                      : up != CLAN_OK           ? wait_error.what
                                                : "";
    const char *remedy = f.got && f.service.remedy[0] ? f.service.remedy : wait_error.remedy;
    if (why[0])
        out_para(c, 6, " why: %s", why);
    if (remedy[0])
        out_para(c, 6, "  do: %s", remedy);
}

static unsigned split_allow(const char *text, char *copy, size_t cap, const char **ret_list)
{
    unsigned count = 0;
    char *save;
    snprintf(copy, cap, "%s", text);
    for (char *w = strtok_r(copy, ",", &save); w && count < CONFIG_ALLOW_MAX;
         w = strtok_r(NULL, ",", &save))
        ret_list[count++] = w;
    return count;
}

static clan_status dry_run(struct cli *c, const struct change *ch)
{
    if (c->json)
        out_json(c, json_pack("{s:b, s:I, s:s}", "dry_run", true, "config_version",
                        (json_int_t)ch->version, "config", ch->wanted));
    out_note(c, "nothing was changed (--dry-run)");
    return CLAN_OK;
}

static clan_status review_and_publish(
    struct cli *c, struct change *ch, const char *name, bool enable)
{
    clan_status st = change_review(c, ch);
    if (st != CLAN_OK)
        return st;
    if (cli_opt(c, "dry-run"))
        return dry_run(c, ch);
    json_t *json = json_pack("{s:s}", "service", name);
    st = change_publish(c, ch, json);
    if (st == CLAN_OK && enable)
        wait_service(c, ch, name, json);
    else if (st == CLAN_OK)
        out_line(c, "%s is disabled; what it stored stays on its machine", name);
    if (st == CLAN_OK && c->json)
        out_json(c, json_incref(json));
    json_decref(json);
    return st;
}

/* Machines whose name may be written into clan.yaml. */
static size_t known_machines(const struct session_machines *m, struct config_known *ret)
{
    size_t count = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (strcmp(m->rows[i].standing, "member") != 0)
            continue;
        memcpy(ret[count].id, m->rows[i].id, 32);
        snprintf(ret[count++].name, sizeof ret->name, "%s", m->rows[i].name);
    }
    return count;
}

static clan_status edit(
    struct cli *c, struct change *ch, const struct config_service_wanted *wanted)
{
    struct session_machines m = {0};
    struct clan_config *cfg = NULL;
    struct config_known *known = NULL;
    clan_status st = change_check(c, "clan.yaml", ch->text, ch->size, &cfg);
    if (st == CLAN_OK)
        st = session_machines(c, ch->api, &m);
    if (st == CLAN_OK) {
        known = calloc(m.count + 1, sizeof *known);
        clan_assert(known);
        st = config_change_enable(ch->text, ch->size, ch->version, wanted, known,
            known_machines(&m, known), &ch->wanted, &ch->wanted_size, &c->e);
    }
    free(known);
    free(m.rows);
    config_clan_free(cfg);
    return st;
}

/* ---- is there such a plugin? ---- */

/* Machines do not tell each other what is installed: known is what lies here and what works somewhere. */
struct known {
    const char *plugin;
    bool there;
    unsigned distance; /* of the nearest */
    char near[33];
};

static void consider(struct known *k, const char *id)
{
    unsigned max = strlen(k->plugin) < 4 ? 1 : 2; /* a slip, not another word */
    unsigned d = text_distance(k->plugin, id, max + 1);
    k->there |= d == 0;
    if (id[0] == 0 || d > max || d >= k->distance)
        return;
    k->distance = d;
    snprintf(k->near, sizeof k->near, "%s", id);
}

static clan_status consider_service(void *arg, const clan_api_Answer *a)
{
    static const char *const works[] = {"up", "starting", "down"};
    if (a->which_m == clan_api_Answer_service_tag)
        for (unsigned i = 0; i < sizeof works / sizeof works[0]; i++)
            if (strcmp(a->m.service.state, works[i]) == 0)
                consider(arg, a->m.service.plugin);
    return CLAN_OK;
}

static void look_for(struct cli *c, struct change *ch, struct known *k)
{
    struct cfg_plugins found;
    struct clan_error e = CLAN_ERROR_INIT, before = c->e;
    if (cfg_plugins_scan(machine_plugin_dir(c), &found, &e) == CLAN_OK) {
        for (unsigned i = 0; i < found.count; i++)
            consider(k, found.list[i].id);
        cfg_plugins_free(&found);
    }
    session_ask(c, ch->api, clan_api_Request_services_tag, consider_service, k);
    c->e = before; /* a daemon that does not answer says so at the next question */
}

/* Before anything is signed: a slip is refused, a plugin that is to come is said to be missing. */
static clan_status expect_plugin(
    struct cli *c, struct change *ch, const char *plugin, const char *name, const char *on)
{
    struct known k = {.plugin = plugin, .distance = UINT_MAX};
    look_for(c, ch, &k);
    if (k.there)
        return CLAN_OK;
    if (k.near[0]) {
        err_set(&c->e, CLAN_E_NOENT, "no plugin is called \"%s\" (did you mean \"%s\"?)", plugin,
            k.near);
        err_why(&c->e, "it is not installed here, and no machine of the clan runs it; nothing was "
                       "signed");
        err_remedy(&c->e,
            "clan enable %s; if there is a plugin %s, install it here first, or write the service "
            "into clan.yaml: clan config apply FILE",
            k.near, plugin);
        return CLAN_E_NOENT;
    }
    bool here = strcmp(on, ch->context->machine) == 0;
    out_note(c,
        "no machine is known to have the plugin %s yet: %s waits until it is installed and granted "
        "on %s%s (`clan plugin list` shows what is here)",
        plugin, name, on, here ? ", this machine" : "");
    return CLAN_OK;
}

/* ---- what the plugin asks ---- */

struct answers {
    const struct check_result *plugin; /* NULL: its file does not lie here */
    struct cfg_plugins found;
    const char *list[CONFIG_SETTINGS_MAX]; /* "KEY=VALUE" */
    unsigned count;
    char own[CLAN_NOTE_SETTINGS_MAX][32 + 1 + 128];
};

static const char *given(const struct cli *c, const char *key)
{
    const char *word;
    for (unsigned i = 0; (word = cli_opt_at(c, "set", i)); i++)
        if (strncmp(word, key, strlen(key)) == 0 && word[strlen(key)] == '=')
            return word + strlen(key) + 1;
    return NULL;
}

static clan_status check_given(struct cli *c, const struct check_result *p)
{
    const char *word;
    for (unsigned i = 0; (word = cli_opt_at(c, "set", i)); i++) {
        char known[CLAN_NOTE_SETTINGS_MAX * 34] = "";
        bool found = false;
        for (unsigned k = 0; k < p->setting_count; k++) {
            const struct clan_note_setting *s = &p->settings[k];
            size_t len = strlen(known);
            found = found ||
                    (strncmp(word, s->key, strlen(s->key)) == 0 && word[strlen(s->key)] == '=');
            snprintf(known + len, sizeof known - len, "%s%s", len ? ", " : "", s->key);
        }
        if (found)
            continue;
        err_set(&c->e, CLAN_E_INVAL, "%s has no setting \"%.*s\"", p->id, (int)strcspn(word, "="),
            word);
        err_why(&c->e, known[0] ? "it has %s" : "it has none", known);
        err_remedy(&c->e, "clan enable %s --set KEY=VALUE", p->id);
        text_sanitize(c->e.what);
        return CLAN_E_INVAL;
    }
    return CLAN_OK;
}

#define ASK_AGAIN 3 /* answers that do not fit; then it stays as it is */

static clan_status ask_setting(
    struct cli *c, const struct clan_note_setting *s, char *ret, size_t cap)
{
    const char *hint = s->kind == CLAN_SETTING_YES_NO ? " (true, false)" : "";
    char prompt[512];
    if (s->kind == CLAN_SETTING_CHOICE)
        snprintf(prompt, sizeof prompt, "%s (%s) [%s] ", s->question, s->choices, s->preset);
    else
        snprintf(prompt, sizeof prompt, "%s%s [%s] ", s->question, hint, s->preset);
    for (unsigned i = 0; i < ASK_AGAIN; i++) {
        struct clan_error e = CLAN_ERROR_INIT;
        if (!ask_line(c, prompt, ret, cap))
            return err_set(&c->e, CLAN_E_CANCELLED, "cancelled; nothing was changed");
        if (!ret[0])
            snprintf(ret, cap, "%s", s->preset);
        if (s->kind == CLAN_SETTING_YES_NO && (!strcasecmp(ret, "y") || !strcasecmp(ret, "yes")))
            snprintf(ret, cap, "true");
        if (s->kind == CLAN_SETTING_YES_NO && (!strcasecmp(ret, "n") || !strcasecmp(ret, "no")))
            snprintf(ret, cap, "false");
        if (note_setting_fits(s, ret, &e) == CLAN_OK)
            return CLAN_OK;
        out_note(c, "%s: %s", e.what, e.why);
    }
    return err_set(&c->e, CLAN_E_INVAL, "no answer to \"%s\"", s->question);
}

static clan_status answer(
    struct cli *c, struct answers *a, const struct clan_note_setting *s, char own[32 + 1 + 128])
{
    const char *value = given(c, s->key);
    char asked[128];
    clan_status st = value ? note_setting_fits(s, value, &c->e) : CLAN_OK;
    if (st == CLAN_OK && !value && ask_possible(c) && !c->yes) {
        st = ask_setting(c, s, asked, sizeof asked);
        value = asked;
    }
    if (st == CLAN_OK && value && strcmp(value, s->preset) != 0) { /* else it does so by itself */
        snprintf(own, sizeof a->own[0], "%s=%s", s->key, value);
        a->list[a->count++] = own;
    }
    return st;
}

/* A plugin whose file lies on another machine only gets what was given, unseen. */
static clan_status take_answers(struct cli *c, const char *plugin, struct answers *a)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const char *word;
    clan_status st = CLAN_OK;
    if (cfg_plugins_scan(machine_plugin_dir(c), &a->found, &e) == CLAN_OK)
        for (unsigned i = 0; i < a->found.count && !a->plugin; i++)
            if (strcmp(a->found.list[i].id, plugin) == 0 &&
                a->found.list[i].error.status == CLAN_OK)
                a->plugin = &a->found.list[i];
    if (!a->plugin) {
        for (; a->count < CONFIG_SETTINGS_MAX && (word = cli_opt_at(c, "set", a->count));
             a->count++)
            a->list[a->count] = word;
        return CLAN_OK;
    }
    st = check_given(c, a->plugin);
    for (unsigned i = 0; st == CLAN_OK && i < a->plugin->setting_count; i++)
        st = answer(c, a, &a->plugin->settings[i], a->own[i]);
    return st;
}

clan_status cmd_enable(struct cli *c)
{
    struct answers answers = {0};
    struct change ch;
    char copy[1024];
    const char *allow[CONFIG_ALLOW_MAX] = {"all"};
    const char *plugin = c->args[0], *name = cli_opt(c, "as"), *on = cli_opt(c, "on");
    const char *wanted = cli_opt(c, "allow");
    unsigned allow_count = wanted ? split_allow(wanted, copy, sizeof copy, allow) : 1;
    if (!name)
        name = plugin;
    if (!text_name_ok(plugin))
        return names_refuse(c, "plugin", plugin);
    if (!text_name_ok(name))
        return names_refuse(c, "service", name);
    clan_status st = change_open(c, &ch);
    if (st != CLAN_OK)
        return st;
    if (!on)
        on = ch.context->machine; /* here */
    st = take_answers(c, plugin, &answers);
    const struct config_service_wanted service = {
        name, plugin, on, allow, allow_count, answers.list, answers.count};
    if (st == CLAN_OK)
        st = edit(c, &ch, &service);
    if (st == CLAN_OK)
        st = expect_plugin(c, &ch, plugin, name, on);
    if (st == CLAN_OK)
        st = review_and_publish(c, &ch, name, true);
    cfg_plugins_free(&answers.found);
    change_close(&ch);
    return st;
}

clan_status cmd_disable(struct cli *c)
{
    struct change ch;
    const char *name = c->args[0];
    if (!text_name_ok(name))
        return names_refuse(c, "service", name);
    clan_status st = change_open(c, &ch);
    if (st != CLAN_OK)
        return st;
    st = config_edit_disable(ch.text, ch.size, name, &ch.wanted, &ch.wanted_size, &c->e);
    if (st == CLAN_OK)
        st = review_and_publish(c, &ch, name, false);
    change_close(&ch);
    return st;
}
