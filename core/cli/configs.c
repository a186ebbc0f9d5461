/* clan config: looking at, checking and applying clan.yaml. */
#include "base/error.h"
#include "base/file.h"
#include "cli/change.h"
#include "cli/out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "-" is standard input. */
static clan_status read_text(struct cli *c, const char *path, char **ret_text, size_t *ret_size)
{
    uint8_t *data = NULL;
    if (strcmp(path, "-") != 0) {
        clan_status st = file_read(AT_FDCWD, path, CONFIG_FILE_MAX, &data, ret_size, &c->e);
        *ret_text = (char *)data;
        return st;
    }
    data = malloc(CONFIG_FILE_MAX + 1);
    if (!data)
        return err_set(&c->e, CLAN_E_NOMEM, "out of memory");
    size_t n = fread(data, 1, CONFIG_FILE_MAX + 1, c->in);
    if (n > CONFIG_FILE_MAX) {
        free(data);
        return err_set(&c->e, CLAN_E_LIMIT, "the text is longer than %u bytes", CONFIG_FILE_MAX);
    }
    data[n] = 0;
    *ret_text = (char *)data;
    *ret_size = n;
    return CLAN_OK;
}

clan_status cmd_config_check(struct cli *c)
{
    char *text = NULL;
    size_t size;
    struct clan_config *cfg = NULL;
    clan_status st = read_text(c, c->args[0], &text, &size);
    if (st != CLAN_OK)
        return st;
    st = change_check(c, c->args[0], text, size, &cfg);
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:b, s:I, s:s}", "ok", true, "version", (json_int_t)cfg->version,
                        "clan", cfg->clan));
    else if (st == CLAN_OK)
        out_para(c, 0, "%s is good: clan %s, version %" PRIu64 ", %u machine%s, %u service%s",
            c->args[0], cfg->clan, cfg->version, cfg->machine_count,
            cfg->machine_count == 1 ? "" : "s", cfg->service_count,
            cfg->service_count == 1 ? "" : "s");
    config_clan_free(cfg);
    free(text);
    return st;
}

static clan_status parse_version(struct cli *c, const char *text, uint64_t *ret_version)
{
    char *end;
    *ret_version = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || *ret_version == 0)
        return err_set(&c->e, CLAN_E_INVAL, "\"%.40s\" is not a version number", text);
    return CLAN_OK;
}

clan_status cmd_config_show(struct cli *c)
{
    struct api_client *api = NULL;
    char *text = NULL;
    size_t size = 0;
    uint64_t version = 0;
    clan_status st = c->arg_count ? parse_version(c, c->args[0], &version) : CLAN_OK;
    if (st == CLAN_OK)
        st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_body(c, api, version, NULL, &text, &size);
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:o}", "config", json_stringn(text, size)));
    else if (st == CLAN_OK)
        fwrite(text, 1, size, c->out);
    free(text);
    api_close(api);
    return st;
}

/* A text may have the next number from whoever wrote it, and somebody else's version that number by now: the
 * number alone does not tell what it was made from. */
static clan_status made_from_head(struct cli *c, const struct change *ch)
{
    uint64_t from = 0;
    const char *text = cli_opt(c, "from");
    clan_status st = text ? parse_version(c, text, &from) : CLAN_OK;
    if (!text || st != CLAN_OK || from == ch->version - 1)
        return st;
    err_set(&c->e, CLAN_E_CONFLICT,
        "the text was made from version %" PRIu64 ", but version %" PRIu64 " is in force", from,
        ch->version - 1);
    err_why(&c->e, "it knows nothing of what changed since, and would undo it");
    err_remedy(&c->e,
        "make the change again, in the text of `clan config show`; `clan config diff %" PRIu64
        " %" PRIu64 "` shows what changed meanwhile",
        from, ch->version - 1);
    return CLAN_E_CONFLICT;
}

/* A text made from the head gets the next number by itself; one made from an older version is
 * refused, because it would undo what happened since. */
static clan_status take_version(struct cli *c, struct change *ch, char *text, size_t size)
{
    struct clan_config *cfg;
    clan_status st = change_check(c, c->args[0], text, size, &cfg);
    if (st != CLAN_OK)
        return st;
    uint64_t version = cfg->version;
    config_clan_free(cfg);
    if (version == ch->version - 1)
        return config_edit_version(text, size, ch->version, &ch->wanted, &ch->wanted_size, &c->e);
    ch->wanted = malloc(size + 1);
    clan_assert(ch->wanted);
    memcpy(ch->wanted, text, size);
    ch->wanted[size] = 0;
    ch->wanted_size = size;
    return CLAN_OK; /* the review compares the number */
}

clan_status cmd_config_apply(struct cli *c)
{
    struct change ch;
    char *text = NULL;
    size_t size;
    clan_status st = read_text(c, c->args[0], &text, &size);
    if (st != CLAN_OK)
        return st;
    st = change_open(c, &ch);
    if (st == CLAN_OK) {
        json_t *json = json_object();
        st = made_from_head(c, &ch);
        if (st == CLAN_OK)
            st = take_version(c, &ch, text, size);
        if (st == CLAN_OK)
            st = change_review(c, &ch);
        if (st == CLAN_OK && !cli_opt(c, "dry-run")) {
            st = change_publish(c, &ch, json);
            if (st == CLAN_OK && c->json)
                out_json(c, json_incref(json));
            else if (st == CLAN_OK)
                out_line(c, "version %" PRIu64 " is in force", ch.version);
        } else if (st == CLAN_OK) {
            out_note(c, "nothing was changed (--dry-run)");
        }
        json_decref(json);
        change_close(&ch);
    }
    free(text);
    return st;
}

static clan_status diff_side(struct cli *c, struct api_client *api, uint64_t version,
    char **ret_text, size_t *ret_size, char ret_name[64])
{
    snprintf(ret_name, 64, version ? "version %" PRIu64 : "now", version);
    return session_body(c, api, version, NULL, ret_text, ret_size);
}

/* A number and no file of that name: a version. */
static bool is_number(const char *text)
{
    return text[0] && strspn(text, "0123456789") == strlen(text);
}

clan_status cmd_config_diff(struct cli *c)
{
    struct api_client *api = NULL;
    char *a = NULL, *b = NULL, a_name[64] = "", b_name[64] = "";
    size_t a_size = 0, b_size = 0;
    uint64_t from = 0, to = 0;
    bool two = c->arg_count == 2, file = c->arg_count == 1 && !is_number(c->args[0]);
    clan_status st = c->arg_count && !file ? parse_version(c, c->args[0], &from) : CLAN_OK;
    if (st == CLAN_OK && two)
        st = parse_version(c, c->args[1], &to);
    if (st == CLAN_OK)
        st = session_open(c, &api);
    if (st == CLAN_OK && c->arg_count == 0) {
        clan_api_Context *x = calloc(1, sizeof *x);
        clan_assert(x);
        st = session_context(c, api, x);
        to = x->config_version;
        from = to - 1;
        free(x);
        if (st == CLAN_OK && to < 3)
            st = err_set(&c->e, CLAN_E_NOENT, "there is only one version yet");
    }
    if (st == CLAN_OK)
        st = diff_side(c, api, from, &a, &a_size, a_name);
    if (st == CLAN_OK && file) {
        snprintf(b_name, sizeof b_name, "%.63s", c->args[0]);
        st = read_text(c, c->args[0], &b, &b_size);
    } else if (st == CLAN_OK) {
        st = diff_side(c, api, to, &b, &b_size, b_name);
    }
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:b, s:o, s:o}", "same", a_size == b_size && !memcmp(a, b, a_size),
                        "from", json_stringn(a, a_size), "to", json_stringn(b, b_size)));
    else if (st == CLAN_OK)
        config_diff(a, a_size, b, b_size, a_name, b_name, c->out, c->colour);
    free(a);
    free(b);
    api_close(api);
    return st;
}

struct log {
    struct cli *c;
    json_t *json;
    struct out_table table;
};

static clan_status take_version_row(void *arg, const clan_api_Answer *a)
{
    struct log *l = arg;
    const clan_api_ConfigVersion *v = &a->m.config_version;
    char number[32], when[48], by[400] = "signed by nobody", size[80], bytes[32];
    if (a->which_m != clan_api_Answer_config_version_tag)
        return CLAN_OK;
    if (l->json) {
        json_array_append_new(l->json, json_of_config_version(v));
        return CLAN_OK;
    }
    snprintf(number, sizeof number, "version %" PRIu64, v->version);
    size_t len = 0;
    for (unsigned i = 0; i < v->signers_count && len < sizeof by; i++)
        len += (size_t)snprintf(
            by + len, sizeof by - len, "%s%s", i ? ", " : "signed by ", v->signers[i]);
    snprintf(size, sizeof size, "%s%s", v->body_size ? out_bytes(v->body_size, bytes) : "genesis",
        v->body_here || !v->body_size ? "" : ", text not kept here");
    const char *cells[] = {number, out_time(v->time, when), by, size};
    out_table_row(&l->table, OUT_PLAIN, cells);
    return CLAN_OK;
}

clan_status cmd_config_log(struct cli *c)
{
    struct api_client *api = NULL;
    struct log l = {.c = c, .json = c->json ? json_array() : NULL};
    out_table_init(&l.table, 4);
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_config_log_tag, take_version_row, &l);
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:O}", "versions", l.json));
    out_table_print(c, &l.table);
    json_decref(l.json);
    api_close(api);
    return st;
}

static clan_status generate(struct cli *c, const char *kind)
{
    char what[32];
    snprintf(what, sizeof what, "%s-%s", kind, cli_opt(c, "machine") ? "machine" : "clan");
    clan_status st = config_generate(what, c->out);
    return st == CLAN_OK ? st : err_set(&c->e, st, "the %s could not be written", kind);
}

clan_status cmd_config_schema(struct cli *c)
{
    return generate(c, "schema");
}

clan_status cmd_config_example(struct cli *c)
{
    return generate(c, "example");
}
