/* clan enable, disable: a service in clan.yaml, from the edit to its address. */
#include "base/error.h"
#include "base/text.h"
#include "cli/change.h"
#include "cli/names.h"
#include "cli/out.h"

#include <stdlib.h>
#include <string.h>

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

/* The service is in the configuration whatever happens here; what keeps it from running is told. */
static void wait_service(struct cli *c, struct change *ch, const char *name, json_t *json)
{
    struct found f = {.name = name};
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_wait_for_tag;
    snprintf(req->m.wait_for.service_up, sizeof req->m.wait_for.service_up, "%s", name);
    req->m.wait_for.timeout_ms = SERVICE_WAIT_MS;
    clan_status up = session_call(c, ch->api, req, SERVICE_WAIT_MS + SESSION_IDLE_MS, NULL, NULL);
    free(req);
    struct clan_error wait_error = c->e;
    clan_status st = session_ask(c, ch->api, clan_api_Request_services_tag, take_service, &f);
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

clan_status cmd_enable(struct cli *c)
{
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
    st = config_edit_enable(
        ch.text, ch.size, name, plugin, on, allow, allow_count, &ch.wanted, &ch.wanted_size, &c->e);
    if (st == CLAN_OK)
        st = review_and_publish(c, &ch, name, true);
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
