/* clan.yaml: as it is, its versions, what is wrong in a text, and what a command or a text would change.  Nothing is
 * signed here: that takes an admin's key, at a terminal. */
#include "dashboard.h"
#include "yaml.h"

#include "json/json.h"

#include <stdlib.h>
#include <string.h>

/* The configuration in force, read for one request; `then` answers it. */
struct job {
    struct yaml_head head;
    size_t total;    /* bytes of its text */
    json_t *body;    /* of the request */
    json_t *signers; /* of that version */
    void (*then)(struct request *r, struct job *j);
    bool wants_machines, broken;
};

static void job_free(void *p)
{
    struct job *j = p;
    free(j->head.text);
    free(j->head.machines);
    json_decref(j->body);
    json_decref(j->signers);
    free(j);
}

static struct job *job_new(struct request *r, void (*then)(struct request *r, struct job *j))
{
    struct job *j = calloc(1, sizeof *j);
    if (!j)
        return NULL;
    j->then = then;
    r->job = j;
    r->job_free = job_free;
    return j;
}

static void broken(struct request *r)
{
    http_error(r, MHD_HTTP_SERVICE_UNAVAILABLE, "the configuration could not be read",
        "it changed meanwhile, or there is no memory", "try again");
}

/* ---- reading it ---- */

static bool take_chunk(void *arg, const clan_api_Answer *a)
{
    struct job *j = ((struct request *)arg)->job;
    const clan_api_Chunk *k = &a->m.chunk;
    if (a->which_m != clan_api_Answer_chunk_tag)
        return true;
    if (!j->head.text && k->total && k->total <= YAML_TEXT_MAX) {
        j->head.text = malloc(k->total + 1);
        j->total = k->total;
    }
    if (!j->head.text || k->offset != j->head.size || k->total != j->total ||
        k->data.size > j->total - j->head.size)
        j->broken = true;
    if (j->broken)
        return false;
    memcpy(j->head.text + j->head.size, k->data.bytes, k->data.size);
    j->head.size += k->data.size;
    j->head.text[j->head.size] = 0;
    return true;
}

static bool take_machine(void *arg, const clan_api_Answer *a)
{
    struct job *j = ((struct request *)arg)->job;
    const clan_api_Machine *m = &a->m.machine;
    if (a->which_m != clan_api_Answer_machine_tag || strcmp(m->standing, "member") != 0)
        return true;
    if (!j->head.machines)
        j->head.machines = calloc(YAML_MACHINES_MAX, sizeof *j->head.machines);
    if (!j->head.machines || j->head.machine_count == YAML_MACHINES_MAX)
        return false;
    struct config_known *k = &j->head.machines[j->head.machine_count++];
    memcpy(k->id, m->id, sizeof k->id);
    snprintf(k->name, sizeof k->name, "%s", m->name);
    return true;
}

static void got_machines(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    struct job *j = r->job;
    r->call = NULL;
    if (error)
        http_failed(r, error);
    else
        j->then(r, j);
}

static void got_text(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    struct job *j = r->job;
    r->call = NULL;
    if (error && !j->broken)
        http_failed(r, error);
    else if (error || !j->head.text)
        broken(r);
    else if (j->wants_machines)
        route_call(r, &(clan_api_Request){.which_m = clan_api_Request_machines_tag}, take_machine,
            got_machines);
    else
        j->then(r, j);
}

static void ask_text(struct request *r, uint64_t version)
{
    clan_api_Request q = {.which_m = clan_api_Request_config_get_tag};
    q.m.config_get.version = version;
    route_call(r, &q, take_chunk, got_text);
}

/* The newest version: the log is in order, but nobody promises it. */
static bool take_version(void *arg, const clan_api_Answer *a)
{
    struct job *j = ((struct request *)arg)->job;
    const clan_api_ConfigVersion *v = &a->m.config_version;
    if (a->which_m != clan_api_Answer_config_version_tag || v->version < j->head.version)
        return true;
    j->head.version = v->version;
    json_decref(j->signers);
    j->signers = json_array();
    for (unsigned i = 0; i < v->signers_count; i++)
        json_array_append_new(j->signers, json_string(v->signers[i]));
    return true;
}

static void got_log(void *arg, const clan_wire_Error *error)
{
    struct request *r = arg;
    struct job *j = r->job;
    r->call = NULL;
    if (error)
        http_failed(r, error);
    else
        ask_text(r, j->head.version);
}

static void read_head(struct request *r)
{
    route_call(
        r, &(clan_api_Request){.which_m = clan_api_Request_config_log_tag}, take_version, got_log);
}

/* ---- showing it ---- */

static void show(struct request *r, struct job *j)
{
    json_t *o = json_pack("{s:i, s:I, s:o}", "v", 1, "version", (json_int_t)j->head.version, "text",
        json_stringn(j->head.text, j->head.size));
    if (o && j->signers)
        json_object_set(o, "signers", j->signers);
    http_answer(r, MHD_HTTP_OK, o);
}

void config_get(struct request *r)
{
    if (job_new(r, show))
        read_head(r);
    else
        broken(r);
}

void config_get_version(struct request *r)
{
    uint32_t version = route_id(r);
    struct job *j = job_new(r, show);
    if (!j)
        broken(r);
    else if (version == 0)
        http_error(r, MHD_HTTP_NOT_FOUND, "there is no such version", "", "see /v1/config/log");
    else {
        j->head.version = version;
        ask_text(r, version);
    }
}

/* ---- what a text or a command would change ---- */

static void check(struct request *r, struct job *j)
{
    const json_t *text = json_object_get(j->body, "text");
    http_answer(
        r, MHD_HTTP_OK, yaml_check(&j->head, json_string_value(text), json_string_length(text)));
}

static void refuse(struct request *r, const struct clan_error *e)
{
    clan_wire_Error w = {.status = (uint32_t)e->status};
    snprintf(w.what, sizeof w.what, "%s", e->what);
    snprintf(w.why, sizeof w.why, "%s", e->why);
    snprintf(w.remedy, sizeof w.remedy, "%s", e->remedy);
    http_failed(r, &w);
}

static void preview(struct request *r, struct job *j)
{
    struct clan_error e = CLAN_ERROR_INIT;
    json_t *diff = yaml_preview(&j->head, json_object_get(j->body, "words"), &e);
    if (diff)
        http_answer(r, MHD_HTTP_OK, json_pack("{s:i, s:o}", "v", 1, "diff", diff));
    else
        refuse(r, &e);
}

/* Takes body. */
static void begin(struct request *r, json_t *body, bool ok, const char *expected,
    void (*then)(struct request *r, struct job *j), bool wants_machines)
{
    struct job *j = ok ? job_new(r, then) : NULL;
    if (!j) {
        json_decref(body);
        if (ok)
            broken(r);
        else
            http_error(r, MHD_HTTP_BAD_REQUEST, "that is not what was expected", expected, "");
        return;
    }
    j->body = body;
    j->wants_machines = wants_machines;
    read_head(r);
}

void config_check(struct request *r)
{
    json_t *body = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json_string_length(json_object_get(body, "text")) > 0;
    begin(r, body, ok, "{\"text\": \"...\"}", check, false);
}

void config_preview(struct request *r)
{
    json_t *body = json_loadb(r->body, r->body_size, JSON_REJECT_DUPLICATES, NULL);
    json_t *words = json_object_get(body, "words");
    size_t count = json_array_size(words);
    bool ok = count > 0 && count <= 24;
    for (size_t i = 0; i < count && ok; i++)
        ok = json_is_string(json_array_get(words, i));
    begin(r, body, ok, "{\"words\": [\"enable\", \"files\", \"--on\", \"nas\"]}", preview, true);
}
