/* What may be asked: the table behind /v1, which also describes it. */
#include "dashboard.h"

#include "json/json.h"

#include <sodium.h>
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

bool route_take(json_t *o, const clan_api_Answer *a)
{
    switch (a->which_m) {
    case clan_api_Answer_status_tag: {
        json_t *s = json_of_status(&a->m.status);
        json_object_update(o, s);
        json_decref(s);
        break;
    }
    case clan_api_Answer_health_tag:
        keep(o, "health", json_of_health(&a->m.health));
        break;
    case clan_api_Answer_machine_tag:
        keep(o, "machines", json_of_machine(&a->m.machine));
        break;
    case clan_api_Answer_service_tag:
        keep(o, "services", json_of_service(&a->m.service));
        break;
    case clan_api_Answer_invitation_tag:
        keep(o, "invitations", json_of_invitation(&a->m.invitation));
        break;
    case clan_api_Answer_proposal_tag:
        keep(o, "proposals", json_of_proposal(&a->m.proposal));
        break;
    case clan_api_Answer_ui_question_tag:
        keep(o, "questions", json_of_question(&a->m.ui_question));
        break;
    case clan_api_Answer_ui_state_tag:
        json_object_set_new(o, "mode", json_string(a->m.ui_state.mode));
        json_object_set_new(o, "version", json_string(a->m.ui_state.version));
        break;
    case clan_api_Answer_ui_created_tag:
        json_object_set_new(o, "words", json_string(a->m.ui_created.words));
        json_object_set_new(o, "url", json_string(a->m.ui_created.url));
        json_object_set_new(o, "petname", json_string(a->m.ui_created.petname));
        break;
    default:
        break;
    }
    return o != NULL;
}

static bool take(void *arg, const clan_api_Answer *a)
{
    struct request *r = arg;
    if (a->which_m == clan_api_Answer_session_tag)
        r->session = a->m.session;
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

void route_ask(struct request *r, const clan_api_Request *q, const char *list)
{
    r->answer = json_pack("{s:i}", "v", 1);
    if (r->answer && list)
        json_object_set_new(r->answer, list, json_array());
    r->call = call_start(r->door->d, r->route->open ? NULL : &r->use, q, take, done, r);
    if (r->call)
        http_wait(r);
    else
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is asked at once",
            "16 questions wait for the clan's answer", "try again");
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
SIMPLE(dismiss, dismiss_alarms, NULL)

/* ---- the session ---- */

static json_t *session_json(const clan_api_Session *s)
{
    return json_pack("{s:i, s:s, s:s, s:b, s:o}", "v", 1, "person", s->person, "role", s->role,
        "owner", s->owner, "expires", json_time(s->expires));
}

static void session_told(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    r->call = NULL;
    json_decref(r->answer);
    r->answer = NULL;
    if (error)
        http_failed(r, error);
    else
        http_answer(r, MHD_HTTP_OK, session_json(&r->session));
}

/* Any question that the session may ask says who it is. */
static void get_session(struct request *r)
{
    r->answer = json_object();
    clan_api_Request q = {.which_m = clan_api_Request_status_tag};
    r->call = call_start(r->door->d, &r->use, &q, take, session_told, r);
    if (r->call)
        http_wait(r);
    else
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is asked at once", "", "try again");
}

static void signed_in(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    const clan_api_Session *s = &r->session;
    char cookie[sodium_base64_ENCODED_LEN(64, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
    char token[65];
    r->call = NULL;
    json_decref(r->answer);
    r->answer = NULL;
    if (error || s->cookie.size != 64 || s->token.size != 32) {
        static const clan_wire_Error odd = {.status = CLAN_E_PROTO, .what = "no session came"};
        http_failed(r, error ? error : &odd);
        return;
    }
    sodium_bin2base64(cookie, sizeof cookie, s->cookie.bytes, s->cookie.size,
        sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_bin2hex(token, sizeof token, s->token.bytes, s->token.size);
    snprintf(
        r->cookie, sizeof r->cookie, "clan_session=%s; HttpOnly; SameSite=Strict; Path=/", cookie);
    json_t *o = session_json(s);
    json_object_set_new(o, "token", json_string(token));
    http_answer(r, MHD_HTTP_OK, o);
    sodium_memzero(token, sizeof token);
}

static void post_session(struct request *r)
{
    clan_api_Request q = {.which_m = clan_api_Request_session_open_tag};
    json_t *body = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, NULL);
    const char *code = json_string_value(json_object_get(body, "code"));
    size_t size = 0;
    bool ok = code && strlen(code) == 32 &&
              sodium_hex2bin(q.m.session_open.code, 16, code, 32, NULL, &size, NULL) == 0 &&
              size == 16;
    json_decref(body);
    if (!ok) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "that is no code",
            "{\"code\": \"32 hexadecimal digits\"} was expected", "sign in: clan ui");
        return;
    }
    q.m.session_open.uid = r->door->at.uid;
    r->answer = json_object();
    r->call = call_start(r->door->d, NULL, &q, take, signed_in, r);
    sodium_memzero(&q, sizeof q);
    if (r->call)
        http_wait(r);
    else
        http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "too much is asked at once", "", "try again");
}

static void delete_session(struct request *r)
{
    snprintf(
        r->cookie, sizeof r->cookie, "clan_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    route_ask(r, &(clan_api_Request){.which_m = clan_api_Request_session_end_tag}, NULL);
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
    {"POST", "/session", "A one-time code of \"clan ui\" becomes a session.", true, post_session},
    {"GET", "/session", "Who is signed in.", false, get_session},
    {"DELETE", "/session", "Signs out.", false, delete_session},
    {"GET", "/status", "How the clan is, health first.", false, get_status},
    {"GET", "/machines", "Machines, their paths and traffic.", false, get_machines},
    {"GET", "/services", "Services of the clan, where they run and why not.", false, get_services},
    {"GET", "/invitations", "Invitations and who came by them.", false, get_invitations},
    {"GET", "/stream", "text/event-stream: snapshots of what changed.", false, get_stream},
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

static bool fits(const char *pattern, const char *path)
{
    size_t n = strcspn(pattern, "{");
    return pattern[n] ? strncmp(pattern, path, n) == 0 && path[n] && !strchr(path + n, '/')
                      : strcmp(pattern, path) == 0;
}

uint32_t route_id(const struct request *r)
{
    const char *text = strrchr(r->path, '/') + 1;
    size_t n = strspn(text, "0123456789");
    return n && n < 10 && !text[n] ? (uint32_t)strtoul(text, NULL, 10) : 0;
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
