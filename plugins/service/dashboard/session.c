/* Signing in by a one-time code, who is signed in, signing out. */
#include "dashboard.h"

#include "json/json.h"

#include <sodium.h>
#include <string.h>

static bool take(void *arg, const clan_api_Answer *a)
{
    struct request *r = arg;
    if (a->which_m == clan_api_Answer_session_tag)
        r->session = a->m.session;
    return true;
}

static json_t *session_json(const clan_api_Session *s)
{
    return json_pack("{s:i, s:s, s:s, s:b, s:o, s:s}", "v", 1, "person", s->person, "role", s->role,
        "owner", s->owner, "expires", json_time(s->expires), "from", s->from);
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
void session_get(struct request *r)
{
    r->answer = json_object();
    clan_api_Request q = {.which_m = clan_api_Request_status_tag};
    route_call(r, &q, take, session_told);
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

void session_post(struct request *r)
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
    q.m.session_open.from.size = r->use.from.size;
    memcpy(q.m.session_open.from.bytes, r->use.from.bytes, r->use.from.size);
    r->answer = json_object();
    route_call(r, &q, take, signed_in);
    sodium_memzero(&q, sizeof q);
}

void session_delete(struct request *r)
{
    snprintf(
        r->cookie, sizeof r->cookie, "clan_session=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    route_ask(r, &(clan_api_Request){.which_m = clan_api_Request_session_end_tag}, NULL);
}
