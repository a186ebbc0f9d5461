/* What an admin's key has to sign: asked for here, decided at a terminal by `clan sign`. */
#include "dashboard.h"

#include <string.h>

void proposals_get(struct request *r)
{
    route_ask(r, &(clan_api_Request){.which_m = clan_api_Request_proposals_tag}, "proposals");
}

static bool take_words(json_t *list, clan_api_Propose *m)
{
    size_t i, count = json_array_size(list);
    json_t *word;
    if (count == 0 || count > sizeof m->words / sizeof m->words[0])
        return false;
    json_array_foreach(list, i, word)
    {
        const char *text = json_string_value(word);
        if (!text || json_string_length(word) >= sizeof m->words[0] ||
            json_string_length(word) != strlen(text))
            return false;
        strcpy(m->words[i], text);
    }
    m->words_count = (pb_size_t)count;
    return true;
}

static bool take_text(json_t *value, clan_api_Propose *m)
{
    size_t size = json_string_length(value);
    if (!value || json_is_null(value))
        return true;
    if (!json_is_string(value) || size > sizeof m->text.bytes)
        return false;
    memcpy(m->text.bytes, json_string_value(value), size);
    m->text.size = (pb_size_t)size;
    return true;
}

static bool take(void *arg, const clan_api_Answer *a)
{
    struct request *r = arg;
    if (a->which_m == clan_api_Answer_proposal_tag)
        json_object_set_new(r->answer, "id", json_integer(a->m.proposal.id));
    return true;
}

static void done(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    json_t *o = r->answer;
    r->call = NULL;
    r->answer = NULL;
    if (error) {
        json_decref(o);
        http_failed(r, error);
    } else
        http_answer(r, MHD_HTTP_OK, o);
}

void proposals_post(struct request *r)
{
    static clan_api_Request q; /* large */
    memset(&q, 0, sizeof q);
    q.which_m = clan_api_Request_propose_tag;
    json_t *body = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, NULL);
    bool ok = take_words(json_object_get(body, "words"), &q.m.propose) &&
              take_text(json_object_get(body, "text"), &q.m.propose);
    json_decref(body);
    if (!ok) {
        http_error(r, MHD_HTTP_BAD_REQUEST, "that is no command",
            "{\"words\": [\"enable\", \"files\"], \"text\": \"\"} was expected, at most 24 words "
            "of "
            "127 characters and 32 KiB of text",
            "");
        return;
    }
    r->answer = json_pack("{s:i}", "v", 1);
    route_call(r, &q, take, done);
}

void proposals_delete(struct request *r)
{
    clan_api_Request q = {.which_m = clan_api_Request_proposal_drop_tag};
    q.m.proposal_drop.id = route_id(r);
    route_ask(r, &q, NULL);
}
