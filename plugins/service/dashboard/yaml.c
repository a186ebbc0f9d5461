/* Texts of clan.yaml: what is wrong in one, and what a command or a text would change. */
#include "yaml.h"

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#define NEAR_MAX 160 /* of a line that is shown beside its problem */

/* ---- what is different ---- */

static json_t *diff_json(const char *old, size_t old_size, const char *now, size_t now_size)
{
    char *text = NULL, *save = NULL;
    size_t size;
    json_t *lines = json_array();
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return lines;
    config_diff(old, old_size, now, now_size, "", "", out, false);
    if (fclose(out) != 0)
        size = 0;
    unsigned head = 0; /* two lines with the names of the files */
    for (char *l = size ? strtok_r(text, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save))
        if (head++ >= 2 && strchr(" +-@", l[0]))
            json_array_append_new(
                lines, json_pack("{s:s#, s:s}", "op", l, 1, "text", l[0] == '@' ? l : l + 1));
    free(text);
    return lines;
}

/* ---- what is wrong ---- */

/* The line, and a mark below the place. */
static json_t *near_json(const char *text, const struct config_problem *q)
{
    struct text t = {0};
    const char *line = text;
    for (unsigned n = 1; n < q->line && line; n++) {
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    if (!line || q->line == 0)
        return json_string("");
    size_t size = strcspn(line, "\r\n");
    text_add(&t, "%.*s", (int)(size < NEAR_MAX ? size : NEAR_MAX), line);
    if (q->column && q->column <= size + 1 && q->column < NEAR_MAX)
        text_add(&t, "\n%*s", (int)q->column, "^");
    json_t *o = t.failed ? NULL : json_string(t.data);
    free(t.data);
    return o ? o : json_string("");
}

static json_t *problems_json(const struct config_problems *p, const char *text)
{
    json_t *list = json_array();
    for (size_t i = 0; i < config_problems_count(p); i++) {
        const struct config_problem *q = config_problems_at(p, i);
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:i, s:s, s:s, s:o}", "line", (int)q->line, "column",
                      (int)q->column, "length", (int)q->length, "path", q->path, "text", q->text,
                      "near", near_json(text, q)));
    }
    return list;
}

static json_t *version_problem(uint64_t is, uint64_t next)
{
    char text[200];
    snprintf(text, sizeof text,
        "this text is of version %llu, but version %llu is next: the configuration changed since "
        "it "
        "was made",
        (unsigned long long)is, (unsigned long long)next);
    return json_pack("[{s:i, s:i, s:s, s:s, s:s}]", "line", 1, "column", 1, "path", "version",
        "text", text, "near", "");
}

static json_t *found(bool ok, json_t *problems, json_t *diff)
{
    return json_pack("{s:i, s:b, s:o, s:o}", "v", 1, "ok", ok, "problems", problems, "diff", diff);
}

/* As `clan config apply` takes it: a text made from the head gets the next number by itself. */
static json_t *diff_of(const struct yaml_head *h, const char *text, size_t size, uint64_t version)
{
    char *numbered = NULL;
    size_t numbered_size;
    if (version != h->version)
        return diff_json(h->text, h->size, text, size);
    if (config_edit_version(text, size, h->version + 1, &numbered, &numbered_size, NULL) != CLAN_OK)
        return json_array();
    json_t *diff = diff_json(h->text, h->size, numbered, numbered_size);
    free(numbered);
    return diff;
}

json_t *yaml_check(const struct yaml_head *h, const char *text, size_t size)
{
    struct clan_config *cfg = NULL;
    struct config_problems *p = config_problems_new("clan.yaml");
    json_t *o;
    if (!p)
        return NULL;
    if (config_clan_parse(text, size, p, &cfg) != CLAN_OK)
        o = found(false, problems_json(p, text), json_array());
    else if (cfg->version != h->version && cfg->version != h->version + 1)
        o = found(false, version_problem(cfg->version, h->version + 1), json_array());
    else
        o = found(true, json_array(), diff_of(h, text, size, cfg->version));
    config_clan_free(cfg);
    config_problems_free(p);
    return o;
}

/* ---- what a command would change ---- */

static const char *word(const json_t *words, size_t at)
{
    const char *w = json_string_value(json_array_get(words, at));
    return w ? w : "";
}

static const char *option(const json_t *words, const char *name)
{
    size_t count = json_array_size(words);
    for (size_t i = 2; i + 1 < count; i += 2)
        if (strcmp(word(words, i), name) == 0)
            return word(words, i + 1);
    return NULL;
}

static clan_status enable(const struct yaml_head *h, const json_t *words, char **ret_text,
    size_t *ret_size, struct clan_error *e)
{
    char copy[1024], *save = NULL;
    const char *settings[CONFIG_SETTINGS_MAX], *allow[CONFIG_ALLOW_MAX] = {"all"},
                                               *as = option(words, "--as"),
                                               *list = option(words, "--allow");
    struct config_service_wanted w = {.name = as ? as : word(words, 1),
        .plugin = word(words, 1),
        .on = option(words, "--on"),
        .allow = allow,
        .allow_count = 1,
        .settings = settings};
    for (size_t i = 2; i + 1 < json_array_size(words) && w.setting_count < CONFIG_SETTINGS_MAX;
         i += 2)
        if (strcmp(word(words, i), "--set") == 0)
            settings[w.setting_count++] = word(words, i + 1);
    if (list) {
        snprintf(copy, sizeof copy, "%s", list);
        w.allow_count = 0;
        for (char *x = strtok_r(copy, ",", &save); x && w.allow_count < CONFIG_ALLOW_MAX;
             x = strtok_r(NULL, ",", &save))
            allow[w.allow_count++] = x;
    }
    if (!w.on)
        return err_set(e, CLAN_E_INVAL, "no machine is named: --on");
    return config_change_enable(
        h->text, h->size, h->version + 1, &w, h->machines, h->machine_count, ret_text, ret_size, e);
}

static const uint8_t *id_of(const struct yaml_head *h, const char *name, struct clan_error *e)
{
    for (size_t i = 0; i < h->machine_count; i++)
        if (strcmp(h->machines[i].name, name) == 0)
            return h->machines[i].id;
    err_set(e, CLAN_E_NOENT, "there is no such machine");
    return NULL;
}

static clan_status remove_machine(const struct yaml_head *h, const json_t *words, char **ret_text,
    size_t *ret_size, struct clan_error *e)
{
    const uint8_t *id = id_of(h, word(words, 1), e);
    return id ? config_change_remove(h->text, h->size, h->version + 1, id, ret_text, ret_size, e)
              : CLAN_E_NOENT;
}

static clan_status rename_machine(const struct yaml_head *h, const json_t *words, char **ret_text,
    size_t *ret_size, struct clan_error *e)
{
    const uint8_t *id = id_of(h, word(words, 2), e);
    return id ? config_edit_machine(h->text, h->size, id, word(words, 3), ret_text, ret_size, e)
              : CLAN_E_NOENT;
}

/* Commands that do not touch clan.yaml change nothing in it. */
static clan_status change(const struct yaml_head *h, const json_t *words, char **ret_text,
    size_t *ret_size, struct clan_error *e)
{
    const char *command = word(words, 0);
    if (strcmp(command, "enable") == 0)
        return enable(h, words, ret_text, ret_size, e);
    if (strcmp(command, "disable") == 0)
        return config_edit_disable(h->text, h->size, word(words, 1), ret_text, ret_size, e);
    if (strcmp(command, "remove") == 0)
        return remove_machine(h, words, ret_text, ret_size, e);
    if (strcmp(command, "machines") == 0 && strcmp(word(words, 1), "rename") == 0)
        return rename_machine(h, words, ret_text, ret_size, e);
    *ret_text = strndup(h->text, h->size);
    *ret_size = h->size;
    return *ret_text ? CLAN_OK : err_set(e, CLAN_E_NOMEM, "out of memory");
}

json_t *yaml_preview(const struct yaml_head *h, const json_t *words, struct clan_error *e)
{
    char *text = NULL;
    size_t size = 0;
    clan_status st = change(h, words, &text, &size, e);
    json_t *diff = st == CLAN_OK ? diff_json(h->text, h->size, text, size) : NULL;
    free(text);
    return diff;
}
