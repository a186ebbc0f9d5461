/* What may be asked: the table behind /v1, which also describes it. */
#include "dashboard.h"

#include "json/json.h"

#include <stdlib.h>
#include <string.h>

/* ---- lists and single things, as the core has them ---- */

static void keep(json_t *o, const char *list, json_t *row)
{
    json_t *rows = json_object_get(o, list);
    if (!rows) {
        rows = json_array();
        json_object_set_new(o, list, rows);
    }
    json_array_append_new(rows, row);
}

json_t *route_row(const clan_api_Answer *a, const char **ret_list)
{
    const clan_api_Answer *x = a;
    switch (a->which_m) {
#define ROW(tag, list)                                                                             \
    case clan_api_Answer_##tag##_tag:                                                              \
        *ret_list = list;                                                                          \
        return json_of_##tag(&x->m.tag)
        ROW(health, "health");
        ROW(machine, "machines");
        ROW(service, "services");
        ROW(invitation, "invitations");
        ROW(proposal, "proposals");
        ROW(plugin, "plugins");
        ROW(event, "activity");
        ROW(config_version, "versions");
        ROW(path, "paths");
        ROW(path_event, "history");
        ROW(ui_question, "questions");
#undef ROW
    default:
        *ret_list = NULL;
        return NULL;
    }
}

static void update(json_t *o, json_t *from)
{
    json_object_update(o, from);
    json_decref(from);
}

bool route_take(json_t *o, const clan_api_Answer *a)
{
    const char *list;
    json_t *row = route_row(a, &list);
    if (list)
        keep(o, list, row);
    else if (a->which_m == clan_api_Answer_status_tag)
        update(o, json_of_status(&a->m.status));
    else if (a->which_m == clan_api_Answer_ping_tag)
        update(o, json_of_ping(&a->m.ping));
    else if (a->which_m == clan_api_Answer_ui_state_tag)
        update(o,
            json_pack("{s:s, s:s}", "mode", a->m.ui_state.mode, "version", a->m.ui_state.version));
    else if (a->which_m == clan_api_Answer_ui_created_tag)
        update(o, json_pack("{s:s, s:s, s:s}", "words", a->m.ui_created.words, "url",
                      a->m.ui_created.url, "petname", a->m.ui_created.petname));
    return o != NULL;
}

static bool take(void *arg, const clan_api_Answer *a)
{
    struct request *r = arg;
    return route_take(r->answer, a);
}

static void done(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    r->call = NULL;
    if (error) {
        http_failed(r, error);
        return;
    }
    json_t *o = r->answer;
    r->answer = NULL;
    http_answer(r, MHD_HTTP_OK, o);
}

void route_call(
    struct request *r, const clan_api_Request *q, call_answer_fn *answer, call_done_fn *answered)
{
    r->call =
        call_start(r->door, CALL_ASKED, r->route->open ? NULL : &r->use, q, answer, answered, r);
    if (r->call) {
        http_wait(r);
        return;
    }
    http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is asked at once",
        "your other questions still wait for the clan's answer", "try again");
}

void route_ask(struct request *r, const clan_api_Request *q, const char *list)
{
    r->answer = json_pack("{s:i}", "v", 1);
    if (r->answer && list)
        json_object_set_new(r->answer, list, json_array());
    route_call(r, q, take, done);
}

#define SIMPLE(name, tag, list)                                                                    \
    static void get_##name(struct request *r)                                                      \
    {                                                                                              \
        route_ask(r, &(clan_api_Request){.which_m = clan_api_Request_##tag##_tag}, list);          \
    }
SIMPLE(status, status, "health")
SIMPLE(machines, machines, "machines")
SIMPLE(services, services, "services")
SIMPLE(invitations, invitations, "invitations")
SIMPLE(plugins, plugins, "plugins")
SIMPLE(activity, activity, "activity")
SIMPLE(config_log, config_log, "versions")
SIMPLE(dismiss, dismiss_alarms, NULL)

/* ---- one machine ---- */

static bool machine_of(struct request *r, char ret[33])
{
    if (route_word(r, ret, 33))
        return true;
    http_error(r, MHD_HTTP_NOT_FOUND, "there is no such machine", "", "see /v1/machines");
    return false;
}

static void get_paths(struct request *r)
{
    clan_api_Request q = {.which_m = clan_api_Request_paths_tag};
    if (!machine_of(r, q.m.paths.machine))
        return;
    route_ask(r, &q, "paths");
    if (r->answer)
        json_object_set_new(r->answer, "history", json_array());
}

static void post_ping(struct request *r)
{
    clan_api_Request q = {.which_m = clan_api_Request_ping_tag};
    if (machine_of(r, q.m.ping.machine))
        route_ask(r, &q, NULL);
}

/* ---- about itself ---- */

static void get_stream(struct request *r)
{
    r->streams = true;
}

static void get_openapi(struct request *r);

static const struct route routes[] = {
    {"GET", "/mode", "What this page is for: clan, first-run or join.", true, first_mode},
    {"GET", "/openapi.json", "This description.", true, get_openapi},
    {"POST", "/session", "A one-time code of \"clan ui\" becomes a session.", true, session_post},
    {"GET", "/session", "Who is signed in.", false, session_get},
    {"DELETE", "/session", "Signs out.", false, session_delete},
    {"GET", "/status", "How the clan is, health first.", false, get_status},
    {"GET", "/machines", "Machines, their paths and traffic.", false, get_machines},
    {"GET", "/services", "Services of the clan, where they run and why not.", false, get_services},
    {"GET", "/machines/{name}/paths", "How a machine is reached, and was.", false, get_paths},
    {"POST", "/machines/{name}/ping", "Does it answer, and how fast?", false, post_ping},
    {"GET", "/invitations", "Invitations and who came by them.", false, get_invitations},
    {"GET", "/stream", "text/event-stream: snapshots of what changed.", false, get_stream},
    {"GET", "/plugins", "What is installed and granted here, and may do what.", false, get_plugins},
    {"GET", "/activity", "What happened lately, the newest first.", false, get_activity},
    {"GET", "/netcheck", "What this machine's network lets through.", false, netcheck_get},
    {"GET", "/config", "clan.yaml as it is in force, and who signed it.", false, config_get},
    {"GET", "/config/log", "Its versions.", false, get_config_log},
    {"GET", "/config/{version}", "An earlier version.", false, config_get_version},
    {"POST", "/config/check", "What is wrong in a text, and what it would change.", false,
        config_check},
    {"POST", "/preview", "What a command would change in clan.yaml.", false, config_preview},
    {"POST", "/qr", "A text as a QR code, for SVG.", false, qr_post},
    {"GET", "/proposals", "What waits for an admin's key, and what came of it.", false,
        proposals_get},
    {"POST", "/proposals", "Asks for a command that an admin's key has to sign.", false,
        proposals_post},
    {"DELETE", "/proposals/{id}", "Takes it back.", false, proposals_delete},
    {"POST", "/first/create", "Makes a clan of this machine.", false, first_create},
    {"GET", "/join", "Invitations that wait for an answer.", false, first_questions},
    {"POST", "/join/{id}", "Answers one: ask, yes or no.", false, first_act},
    {"POST", "/alarms/dismiss", "Alarms about invitations were read.", false, get_dismiss},
};

static void get_openapi(struct request *r)
{
    json_t *paths = json_object();
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        const struct route *x = &routes[i];
        json_t *one = json_object_get(paths, x->path);
        char method[8] = "";
        for (size_t k = 0; x->method[k] && k < sizeof method - 1; k++)
            method[k] = (char)(x->method[k] | 0x20);
        if (!one) {
            one = json_object();
            json_object_set_new(paths, x->path, one);
        }
        json_object_set_new(one, method,
            json_pack("{s:s, s:{s:{s:s}}, s:o}", "summary", x->words, "responses", "200",
                "description", "JSON with \"v\": 1", "security",
                x->open ? json_array() : json_pack("[{s:[], s:[]}]", "cookie", "token")));
    }
    http_answer(r, MHD_HTTP_OK,
        json_pack("{s:s, s:{s:s, s:s}, s:[{s:s}], s:o, s:{s:{s:{s:s,s:s,s:s}, s:{s:s,s:s,s:s}}}}",
            "openapi", "3.1.0", "info", "title", "Clan", "version", CLAN_VERSION, "servers", "url",
            "/v1", "paths", paths, "components", "securitySchemes", "cookie", "type", "apiKey",
            "in", "cookie", "name", "clan_session", "token", "type", "apiKey", "in", "header",
            "name", "Clan-Token"));
}

/* A word in braces stands for one that is not empty. */
static bool fits(const char *pattern, const char *path)
{
    while (*pattern && *path) {
        if (*pattern == '{') {
            size_t n = strcspn(path, "/");
            if (n == 0)
                return false;
            path += n;
            pattern += strcspn(pattern, "}") + 1;
        } else if (*pattern++ != *path++)
            return false;
    }
    return !*pattern && !*path;
}

bool route_word(const struct request *r, char *ret, size_t cap)
{
    const char *at = r->path + strlen("/v1") + strcspn(r->route->path, "{");
    size_t n = strcspn(at, "/");
    snprintf(ret, cap, "%.*s", (int)n, at);
    return n < cap;
}

uint32_t route_id(const struct request *r)
{
    char text[11];
    if (!route_word(r, text, sizeof text) || strspn(text, "0123456789") != strlen(text))
        return 0;
    unsigned long long n = strtoull(text, NULL, 10);
    return n <= UINT32_MAX ? (uint32_t)n : 0;
}

const struct route *route_find(const char *method, const char *path, bool *ret_known)
{
    *ret_known = false;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        if (!fits(routes[i].path, path))
            continue;
        *ret_known = true;
        if (strcmp(routes[i].method, method) == 0)
            return &routes[i];
    }
    return NULL;
}
