/* A machine that is in no clan: making one, and the questions of links that were opened. */
#include "dashboard.h"

#include <string.h>

#define CREATE_MS 60000 /* keys, statements, the network's start */

/* ---- is this one? ---- */

static bool take_state(void *arg, const clan_api_Answer *a)
{
    struct dashboard *d = arg;
    d->mini = d->mini || a->which_m == clan_api_Answer_ui_state_tag;
    return true;
}

/* A core refuses the question: then this is a clan's. */
static void looked(void *arg, const clan_wire_Error *error)
{
    struct dashboard *d = arg;
    (void)error;
    clan_program_host_get(d->host)->service_state(d->host->host_data, 1, NULL);
}

void first_look(struct dashboard *d)
{
    const clan_api_Request q = {.which_m = clan_api_Request_ui_state_tag};
    if (!call_start(&d->doors[0], CALL_ASKED, NULL, &q, take_state, looked, d))
        looked(d, NULL);
}

void first_mode(struct request *r)
{
    if (r->door->d->mini)
        route_ask(r, &(clan_api_Request){.which_m = clan_api_Request_ui_state_tag}, NULL);
    else
        http_answer(r, MHD_HTTP_OK,
            json_pack("{s:i, s:s, s:s, s:s}", "v", 1, "mode", "clan", "version", CLAN_VERSION,
                "service", r->door->d->visited));
}

static bool refuse(struct request *r)
{
    if (!r->door->d->mini)
        http_error(r, MHD_HTTP_NOT_FOUND, "this machine is in a clan",
            "links and first steps are answered by a page of their own", "clan open, or clan ui");
    return !r->door->d->mini;
}

/* ---- what is asked ---- */

/* A text of the body: "" when it is not there; false: too long, or something else. */
static bool text_of(json_t *body, const char *key, char *ret, size_t cap)
{
    json_t *value = json_object_get(body, key);
    const char *text = json_string_value(value);
    ret[0] = 0;
    if (!value || json_is_null(value))
        return true;
    return text && json_string_length(value) == strlen(text) &&
           snprintf(ret, cap, "%s", text) < (int)cap;
}

void first_create(struct request *r)
{
    clan_api_Request q = {.which_m = clan_api_Request_ui_create_tag};
    clan_api_UiCreate *m = &q.m.ui_create;
    if (refuse(r))
        return;
    json_t *body = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, NULL);
    bool ok = body && text_of(body, "name", m->name, sizeof m->name) &&
              text_of(body, "machine", m->machine, sizeof m->machine) && m->name[0];
    json_decref(body);
    if (!ok) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "a clan needs a name",
            "{\"name\": \"home\", \"machine\": \"nas\"} was expected, each at most 32 characters",
            "");
        return;
    }
    route_ask(r, &q, NULL);
    if (r->call)
        call_wait(r->call, CREATE_MS);
}

void first_questions(struct request *r)
{
    if (!refuse(r))
        route_ask(r, &(clan_api_Request){.which_m = clan_api_Request_ui_state_tag}, "questions");
}

void first_act(struct request *r)
{
    static const char *const acts[] = {"", "ask", "yes", "no"}; /* by UiJoinAct */
    clan_api_Request q = {.which_m = clan_api_Request_ui_join_tag};
    clan_api_UiJoin *m = &q.m.ui_join;
    char act[8];
    if (refuse(r))
        return;
    json_t *body = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, NULL);
    bool ok = body && text_of(body, "act", act, sizeof act) &&
              text_of(body, "as", m->petname, sizeof m->petname);
    json_decref(body);
    m->id = route_id(r);
    for (unsigned i = 1; ok && i < sizeof acts / sizeof *acts; i++)
        if (strcmp(acts[i], act) == 0)
            m->act = (clan_api_UiJoinAct)i;
    if (!ok || !m->id || m->act == clan_api_UiJoinAct_UI_JOIN_NONE)
        http_error(r, MHD_HTTP_BAD_REQUEST, "that is no answer",
            "{\"act\": \"ask\", \"yes\" or \"no\", \"as\": \"home\"} was expected", "");
    else
        route_ask(r, &q, NULL);
}
