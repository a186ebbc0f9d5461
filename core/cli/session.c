/* Choosing a clan and the requests that many commands share. */
#include "cli/session.h"

#include "base/error.h"
#include "base/text.h"
#include "cli/out.h"
#include "wire/limits.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BODY_MAX     (1u << 20)
#define MACHINES_MAX 4096

static bool cland_listens(const struct cli *c)
{
    char path[256];
    return snprintf(path, sizeof path, "%s/new.sock", c->run_dir) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

static clan_status no_clan(struct cli *c)
{
    struct api_client *ignored;
    if (!cland_listens(c))
        return api_connect(c->run_dir, NULL, &ignored, &c->e); /* has the words for it */
    err_set(&c->e, CLAN_E_NOTRUNNING, "no clan is running on this machine");
    err_why(&c->e, "cland runs, but this machine is in no clan, or its clan was put down");
    err_remedy(&c->e, "make or start a clan with `clan up`, or join one with `clan join`");
    return CLAN_E_NOTRUNNING;
}

static clan_status several_clans(struct cli *c, char names[][33], size_t count)
{
    char list[240] = "";
    size_t len = 0;
    for (size_t i = 0; i < count && len < sizeof list; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", names[i]);
    err_set(&c->e, CLAN_E_INVAL, "this machine is in several clans");
    err_why(&c->e, "they are %s", list);
    err_remedy(&c->e, "say which one: --clan %s", names[0]);
    return CLAN_E_INVAL;
}

clan_status session_open(struct cli *c, struct api_client **ret_api)
{
    char names[API_CLANS_MAX][33];
    const char *name = c->clan;
    if (!name) {
        size_t count = api_clans(c->run_dir, names);
        if (count != 1)
            return count ? several_clans(c, names, count) : no_clan(c);
        name = names[0];
    }
    if (!text_name_ok(name))
        return err_set(&c->e, CLAN_E_INVAL, "\"%.60s\" is not a name of a clan", name);
    snprintf(c->petname, sizeof c->petname, "%s", name);
    return api_connect(c->run_dir, c->petname, ret_api, &c->e);
}

struct call {
    struct cli *c;
    api_answer_fn *fn;
    void *arg;
};

static clan_status show_or_pass(void *arg, const clan_api_Answer *a)
{
    struct call *call = arg;
    if (a->which_m == clan_api_Answer_progress_tag) {
        out_progress(call->c, &a->m.progress);
        return CLAN_OK;
    }
    return call->fn ? call->fn(call->arg, a) : CLAN_OK;
}

clan_status session_call(struct cli *c, struct api_client *api, const clan_api_Request *req,
    int idle_ms, api_answer_fn *fn, void *arg)
{
    struct call call = {c, fn, arg};
    clan_status st = api_call(api, req, idle_ms, show_or_pass, &call, &c->e);
    out_progress_end(c);
    return st;
}

clan_status session_ask(
    struct cli *c, struct api_client *api, pb_size_t tag, api_answer_fn *fn, void *arg)
{
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = tag;
    clan_status st = session_call(c, api, req, SESSION_IDLE_MS, fn, arg);
    free(req);
    return st;
}

struct context {
    clan_api_Context *to;
    bool got;
};

static clan_status take_context(void *arg, const clan_api_Answer *a)
{
    struct context *x = arg;
    if (a->which_m == clan_api_Answer_context_tag) {
        *x->to = a->m.context;
        x->got = true;
    }
    return CLAN_OK;
}

static clan_status unexpected(struct cli *c)
{
    err_set(&c->e, CLAN_E_PROTO, "Clan left out what was asked for");
    err_why(&c->e, "the program and the daemon are of different versions");
    err_remedy(&c->e, "restart cland after an update");
    return CLAN_E_PROTO;
}

clan_status session_context(struct cli *c, struct api_client *api, clan_api_Context *ret_context)
{
    struct context x = {.to = ret_context};
    clan_status st = session_ask(c, api, clan_api_Request_context_tag, take_context, &x);
    return st == CLAN_OK && !x.got ? unexpected(c) : st;
}

struct body {
    char *data;
    size_t size, total;
};

static clan_status take_chunk(void *arg, const clan_api_Answer *a)
{
    struct body *b = arg;
    const clan_api_Chunk *k = &a->m.chunk;
    if (a->which_m != clan_api_Answer_chunk_tag)
        return CLAN_OK;
    if (!b->data) {
        if (k->total > BODY_MAX)
            return CLAN_E_LIMIT;
        b->total = k->total;
        b->data = malloc(b->total + 1);
        if (!b->data)
            return CLAN_E_NOMEM;
    }
    if (k->total != b->total || k->offset != b->size || k->data.size > b->total - b->size)
        return CLAN_E_PROTO;
    memcpy(b->data + b->size, k->data.bytes, k->data.size);
    b->size += k->data.size;
    return CLAN_OK;
}

clan_status session_body(struct cli *c, struct api_client *api, uint64_t version,
    const uint8_t *want_hash, char **ret_text, size_t *ret_size)
{
    uint8_t hash[32];
    struct body b = {0};
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_config_get_tag;
    req->m.config_get.version = version;
    clan_status st = session_call(c, api, req, SESSION_IDLE_MS, take_chunk, &b);
    free(req);
    if (st == CLAN_OK && (!b.data || b.size != b.total))
        st = unexpected(c);
    else if (st != CLAN_OK && c->e.status != st)
        unexpected(c);
    if (st == CLAN_OK && want_hash) {
        crypto_generichash(hash, sizeof hash, (const uint8_t *)b.data, b.size, NULL, 0);
        if (memcmp(hash, want_hash, sizeof hash) != 0) {
            st = err_set(&c->e, CLAN_E_CONFLICT, "the configuration changed while it was read");
            err_remedy(&c->e, "try again");
        }
    }
    if (st != CLAN_OK) {
        free(b.data);
        return st;
    }
    b.data[b.size] = 0;
    *ret_text = b.data;
    *ret_size = b.size;
    return CLAN_OK;
}

clan_status session_blob_put(
    struct cli *c, struct api_client *api, const void *data, size_t size, uint8_t ret_hash[32])
{
    clan_status st = CLAN_OK;
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req && size && size <= BODY_MAX);
    crypto_generichash(ret_hash, 32, data, size, NULL, 0);
    for (size_t at = 0; at < size && st == CLAN_OK;) {
        size_t n = size - at < WIRE_CHUNK_MAX ? size - at : WIRE_CHUNK_MAX;
        req->which_m = clan_api_Request_blob_put_tag;
        memcpy(req->m.blob_put.hash, ret_hash, 32);
        req->m.blob_put.total = (uint32_t)size;
        req->m.blob_put.offset = (uint32_t)at;
        req->m.blob_put.data.size = (pb_size_t)n;
        memcpy(req->m.blob_put.data.bytes, (const char *)data + at, n);
        st = session_call(c, api, req, SESSION_IDLE_MS, NULL, NULL);
        at += n;
    }
    free(req);
    return st;
}

clan_status session_submit(
    struct cli *c, struct api_client *api, const void *statement, size_t size)
{
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req && size <= sizeof req->m.submit.statement.bytes);
    req->which_m = clan_api_Request_submit_tag;
    req->m.submit.statement.size = (pb_size_t)size;
    memcpy(req->m.submit.statement.bytes, statement, size);
    clan_status st = session_call(c, api, req, SESSION_IDLE_MS, NULL, NULL);
    free(req);
    return st;
}

static clan_status take_machine(void *arg, const clan_api_Answer *a)
{
    struct session_machines *m = arg;
    if (a->which_m != clan_api_Answer_machine_tag || m->count == MACHINES_MAX)
        return CLAN_OK;
    clan_api_Machine *more = realloc(m->rows, (m->count + 1) * sizeof *more);
    if (!more)
        return CLAN_E_NOMEM;
    m->rows = more;
    m->rows[m->count++] = a->m.machine;
    return CLAN_OK;
}

clan_status session_machines(struct cli *c, struct api_client *api, struct session_machines *ret)
{
    *ret = (struct session_machines){0};
    return session_ask(c, api, clan_api_Request_machines_tag, take_machine, ret);
}

const clan_api_Machine *session_find(const struct session_machines *m, const char *name)
{
    const clan_api_Machine *found = NULL;
    char id[TEXT_ID_CHARS + 1];
    size_t len = strlen(name);
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->rows[i].name, name) == 0)
            return &m->rows[i];
    for (size_t i = 0; i < m->count && len >= 8; i++) {
        text_base32(m->rows[i].id, 32, id);
        if (strncmp(id, name, len) == 0) {
            if (found)
                return NULL;
            found = &m->rows[i];
        }
    }
    return found;
}

struct acks {
    struct cli *c;
    bool told;
    clan_api_Progress last; /* its text names who is missing */
};

static clan_status take_ack(void *arg, const clan_api_Answer *a)
{
    struct acks *k = arg;
    if (a->which_m != clan_api_Answer_progress_tag)
        return CLAN_OK;
    k->last = a->m.progress;
    k->told = true;
    clan_api_Progress shown = k->last;
    if (shown.text[0])
        snprintf(shown.text, sizeof shown.text, "waiting: %.200s", k->last.text);
    out_progress(k->c, &shown);
    return CLAN_OK;
}

static json_t *missing_json(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        size_t len = strcspn(text, ",");
        json_array_append_new(list, json_stringn(text, len));
        text += len;
        text += strspn(text, ", ");
    }
    return list;
}

clan_status session_wait_acks(
    struct cli *c, struct api_client *api, clan_api_WaitFor wait, json_t *ret_json)
{
    struct acks k = {.c = c};
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_wait_for_tag;
    req->m.wait_for = wait;
    clan_status st =
        api_call(api, req, (int)wait.timeout_ms + SESSION_IDLE_MS, take_ack, &k, &c->e);
    out_progress_end(c);
    free(req);
    bool all = st == CLAN_OK;
    if (st == CLAN_E_TIMEOUT && k.told) {
        st = CLAN_OK;
        c->e = (struct clan_error)CLAN_ERROR_INIT;
    }
    if (st != CLAN_OK)
        return st;
    if (all) {
        k.last.done = k.last.total;
        k.last.text[0] = 0;
    }
    if (k.told)
        out_note(c, "acknowledged by %u of %u%s%s", k.last.done, k.last.total,
            k.last.text[0] ? "; not yet: " : "", k.last.text);
    if (ret_json) {
        json_object_set_new(ret_json, "acknowledged", json_integer(k.last.done));
        json_object_set_new(ret_json, "machines", json_integer(k.last.total));
        json_object_set_new(ret_json, "missing", missing_json(k.last.text));
    }
    return CLAN_OK;
}
