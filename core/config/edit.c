/* Edits of clan.yaml: each is a few splices, and is believed only if the new text means what was
 * asked. */
#include "config/clan.h"
#include "config/splice.h"
#include "config/value.h"

#include "base/error.h"
#include "base/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Settings of a command line: 32 of at most 63 and 255 bytes, each of which may need a second one. */
#define SETTINGS_TEXT (CONFIG_SETTINGS_MAX * (63 + 2 * 255 + 8) + 4)
#define ENTRY_MAX     (SETTINGS_TEXT + 4096)

struct edit {
    struct cfg_tree *tree;
    struct cfg_node *root;
    struct clan_config *want; /* the model, changed along with the text */
    struct cfg_splices splices;
    struct clan_error *reterr;
};

static clan_status explain(struct config_problems *p, clan_status s, struct clan_error *reterr)
{
    err_set(reterr, s, "clan.yaml has problems, so it was not changed");
    if (config_problems_count(p)) {
        const struct config_problem *q = config_problems_at(p, 0);
        err_why(reterr, "line %u: %s%s%s", q->line, q->path, q->path[0] ? ": " : "", q->text);
    }
    err_remedy(reterr, "clan config check shows all of them");
    return s;
}

static clan_status edit_begin(
    struct edit *e, const char *text, size_t size, struct clan_error *reterr)
{
    struct config_problems *p = config_problems_new("clan.yaml");
    e->tree = NULL;
    e->want = NULL;
    e->reterr = reterr;
    cfg_splices_begin(&e->splices, text, size);
    if (!p)
        return err_set(reterr, CLAN_E_NOMEM, "out of memory");
    clan_status s = cfg_clan_load(text, size, p, &e->tree, &e->want);
    if (s != CLAN_OK)
        explain(p, s, reterr);
    else
        e->root = cfg_tree_root(e->tree);
    config_problems_free(p);
    return s;
}

static void edit_end(struct edit *e)
{
    cfg_splices_end(&e->splices);
    cfg_tree_free(e->tree);
    config_clan_free(e->want);
}

/* Parses the new text and compares it with what was wanted. */
static clan_status verify(struct edit *e, const char *text, size_t size)
{
    struct config_problems *p = config_problems_new("clan.yaml");
    struct clan_config *now = NULL;
    if (!p)
        return err_set(e->reterr, CLAN_E_NOMEM, "out of memory");
    clan_status s = config_clan_parse(text, size, p, &now);
    if (s == CLAN_E_INVAL || (s == CLAN_OK && !cfg_clan_equal(e->want, now))) {
        s = err_set(e->reterr, CLAN_E_DEFECT,
            "the change did not give what it should; nothing was changed");
        if (config_problems_count(p))
            err_why(e->reterr, "line %u: %s", config_problems_at(p, 0)->line,
                config_problems_at(p, 0)->text);
        err_remedy(e->reterr, "change clan.yaml by hand, and report this");
    } else if (s != CLAN_OK) {
        err_set(e->reterr, s, "out of memory");
    }
    config_clan_free(now);
    config_problems_free(p);
    return s;
}

static clan_status edit_finish(struct edit *e, uint64_t version, char **ret_text, size_t *ret_size)
{
    const struct cfg_node *v = cfg_get(e->root, "version");
    size_t size = 0;
    if (version > UINT32_MAX)
        return err_set(e->reterr, CLAN_E_LIMIT, "a configuration has at most 4294967295 versions");
    e->want->version = version;
    cfg_splice(&e->splices, v->start, v->end - v->start, "%" PRIu64, version);
    char *text = cfg_splices_apply(&e->splices, &size);
    if (!text) {
        clan_status s = err_set(
            e->reterr, CLAN_E_STATE, "clan.yaml is written in a form that is not changed here");
        err_remedy(e->reterr, "change it by hand");
        return s;
    }
    clan_status s = size > CONFIG_FILE_MAX
                        ? err_set(e->reterr, CLAN_E_LIMIT, "clan.yaml would be longer than 1 MiB")
                        : verify(e, text, size);
    if (s != CLAN_OK) {
        free(text);
        return s;
    }
    *ret_text = text;
    *ret_size = size;
    return CLAN_OK;
}

/* Names that another YAML reader would take for something else are quoted. */
static const char *quoted(const char *name, char buf[64])
{
    static const char *const words[] = {
        "true", "false", "yes", "no", "on", "off", "null", "y", "n"};
    bool plain = name[0] >= 'a' && name[0] <= 'z' && !strchr(name, ':');
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++)
        plain = plain && strcmp(name, words[i]) != 0;
    snprintf(buf, 64, plain ? "%s" : "\"%s\"", name);
    return buf;
}

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static struct clan_config_machine *machine_called(struct clan_config *c, const char *name)
{
    for (unsigned i = 0; i < c->machine_count; i++)
        if (same(c->machines[i].name, name))
            return &c->machines[i];
    return NULL;
}

static struct clan_config_service *service_called(struct clan_config *c, const char *name)
{
    for (unsigned i = 0; i < c->service_count; i++)
        if (same(c->services[i].name, name))
            return &c->services[i];
    return NULL;
}

static void set_text(char *ret, size_t cap, const char *text)
{
    memset(ret, 0, cap); /* models are compared byte by byte */
    snprintf(ret, cap, "%s", text);
}

clan_status config_edit_version(const char *text, size_t size, uint64_t version, char **ret_text,
    size_t *ret_size, struct clan_error *reterr)
{
    struct edit e;
    clan_status s = version ? edit_begin(&e, text, size, reterr)
                            : err_set(reterr, CLAN_E_INVAL, "versions begin with 1");
    if (!version)
        return s;
    if (s == CLAN_OK)
        s = edit_finish(&e, version, ret_text, ret_size);
    edit_end(&e);
    return s;
}

static clan_status settings_allowed(struct edit *e, const struct config_service_wanted *w)
{
    clan_status s = CLAN_OK;
    if (w->setting_count > CONFIG_SETTINGS_MAX)
        s = err_set(e->reterr, CLAN_E_LIMIT, "at most %u settings", CONFIG_SETTINGS_MAX);
    for (unsigned i = 0; s == CLAN_OK && i < w->setting_count; i++) {
        size_t key = strcspn(w->settings[i], "=");
        if (!text_setting_ok(w->settings[i]) || strlen(w->settings[i] + key + 1) > 255) {
            s = err_set(e->reterr, CLAN_E_INVAL, "\"%.60s\" is no setting", w->settings[i]);
            err_remedy(e->reterr, "write KEY=VALUE, with a key of small letters");
            if (e->reterr)
                text_sanitize(e->reterr->what);
        }
        for (unsigned j = 0; s == CLAN_OK && j < i; j++)
            if (strncmp(w->settings[i], w->settings[j], key + 1) == 0)
                s = err_set(e->reterr, CLAN_E_INVAL, "%.*s is set twice", (int)key, w->settings[i]);
    }
    return s;
}

static clan_status enable_allowed(struct edit *e, const struct config_service_wanted *w)
{
    const char *service = w->name, *plugin = w->plugin, *on = w->on;
    const char *const *allow = w->allow;
    unsigned allow_count = w->allow_count;
    clan_status s = CLAN_OK;
    if (!text_name_ok(service) || cfg_name_reserved(service, NULL) || !cfg_name(plugin, 31))
        s = err_set(e->reterr, CLAN_E_INVAL, "that is no name for a service or a plugin");
    else if (service_called(e->want, service)) {
        s = err_set(e->reterr, CLAN_E_EXIST, "the service %s is there already", service);
        err_remedy(e->reterr, "clan disable %s first, or change clan.yaml by hand", service);
    } else if (machine_called(e->want, service)) {
        s = err_set(e->reterr, CLAN_E_EXIST, "a machine is called %s", service);
        err_why(e->reterr, "machines and services share their names");
    } else if (!machine_called(e->want, on)) {
        s = err_set(e->reterr, CLAN_E_NOENT, "no machine is called %.32s", on);
        err_remedy(e->reterr, "clan status shows the names");
    } else if (e->want->service_count == CONFIG_SERVICES_MAX || allow_count > CONFIG_ALLOW_MAX) {
        s = err_set(e->reterr, CLAN_E_LIMIT, "at most %u services, and %u entries in allow",
            CONFIG_SERVICES_MAX, CONFIG_ALLOW_MAX);
    }
    for (unsigned i = 0; s == CLAN_OK && i < allow_count; i++) {
        bool word = same(allow[i], "all") || same(allow[i], "provisional") ||
                    strncmp(allow[i], "tag:", 4) == 0;
        if (!cfg_allow(allow[i]) || (!word && !machine_called(e->want, allow[i])))
            s = err_set(e->reterr, CLAN_E_NOENT, "nobody is meant by \"%.40s\" in allow", allow[i]);
        for (unsigned j = 0; s == CLAN_OK && j < i; j++)
            if (same(allow[i], allow[j]))
                s = err_set(e->reterr, CLAN_E_INVAL, "%.40s stands twice in allow", allow[i]);
    }
    return s == CLAN_OK ? settings_allowed(e, w) : s;
}

/* "{title: "Our photos", read_only: true}": texts in quotes, so that none reads as something else. */
static void settings_text(const struct clan_config_service *sv, char *ret, size_t cap)
{
    size_t len = (size_t)snprintf(ret, cap, "{");
    for (unsigned i = 0; i < sv->setting_count; i++) {
        const struct clan_config_setting *t = &sv->settings[i];
        bool plain = same(t->value, "true") || same(t->value, "false") ||
                     (t->value[0] && strlen(t->value) < 10 &&
                         t->value[strspn(t->value, "0123456789")] == 0 && t->value[0] != '0');
        char key[66];
        bool word = t->key[0] >= 'a' && t->key[0] <= 'z' && quoted(t->key, key)[0] != '"';
        len += (size_t)snprintf(
            ret + len, cap - len, word ? "%s%s: " : "%s\"%s\": ", i ? ", " : "", t->key);
        if (!plain)
            ret[len++] = '"';
        for (const char *c = t->value; *c; c++) {
            if (!plain && (*c == '"' || *c == '\\'))
                ret[len++] = '\\';
            ret[len++] = *c;
        }
        if (!plain)
            ret[len++] = '"';
    }
    snprintf(ret + len, cap - len, "}");
}

static void enable_splice(struct edit *e, const struct clan_config_service *sv)
{
    char block[ENTRY_MAX], flow[ENTRY_MAX], allow[64 * CONFIG_ALLOW_MAX + 1] = "";
    char name[64], plugin[64], on[64], who[64],
        settings[SETTINGS_TEXT] = "", more[SETTINGS_TEXT + 32] = "", line[SETTINGS_TEXT + 32] = "";
    size_t len = 0;
    for (unsigned i = 0; i < sv->allow_count; i++)
        len += (size_t)snprintf(
            allow + len, sizeof allow - len, "%s%s", i ? ", " : "", quoted(sv->allow[i], who));
    quoted(sv->name, name);
    quoted(sv->plugin, plugin);
    quoted(sv->on, on);
    if (sv->setting_count) {
        settings_text(sv, settings, sizeof settings);
        snprintf(more, sizeof more, ", settings: %s", settings);
        snprintf(line, sizeof line, "settings: %s\n", settings);
    }
    snprintf(
        flow, sizeof flow, "{plugin: %s, place: {on: %s}, allow: [%s]%s}", plugin, on, allow, more);
    snprintf(block, sizeof block, "%s:\n  plugin: %s\n  place: {on: %s}\n  allow: [%s]\n%s%s", name,
        plugin, on, allow, line[0] ? "  " : "", line);
    const struct cfg_node *services = cfg_get(e->root, "services");
    if (services) {
        cfg_splice_entry(&e->splices, services, name, block, flow);
        return;
    }
    char all[ENTRY_MAX], all_flow[ENTRY_MAX + 128];
    snprintf(all, sizeof all,
        "services:\n  %s:\n    plugin: %s\n    place: {on: %s}\n    allow: [%s]\n%s%s", name,
        plugin, on, allow, line[0] ? "    " : "", line);
    snprintf(all_flow, sizeof all_flow, "{%s: %s}", name, flow);
    cfg_splice_entry(&e->splices, e->root, "services", all, all_flow);
}

clan_status config_edit_enable(const char *text, size_t size, const struct config_service_wanted *w,
    char **ret_text, size_t *ret_size, struct clan_error *reterr)
{
    struct edit e;
    clan_status s = edit_begin(&e, text, size, reterr);
    if (s == CLAN_OK)
        s = enable_allowed(&e, w);
    if (s == CLAN_OK) {
        struct clan_config_service *sv = &e.want->services[e.want->service_count++];
        set_text(sv->name, sizeof sv->name, w->name);
        set_text(sv->plugin, sizeof sv->plugin, w->plugin);
        set_text(sv->on, sizeof sv->on, w->on);
        sv->copies = 1;
        for (unsigned i = 0; i < w->allow_count; i++)
            set_text(sv->allow[sv->allow_count++], sizeof sv->allow[0], w->allow[i]);
        if (w->allow_count == 0)
            set_text(sv->allow[sv->allow_count++], sizeof sv->allow[0], "all");
        for (unsigned i = 0; i < w->setting_count; i++) {
            struct clan_config_setting *t = &sv->settings[sv->setting_count++];
            size_t key = strcspn(w->settings[i], "=");
            snprintf(t->key, sizeof t->key, "%.*s", (int)key, w->settings[i]);
            set_text(t->value, sizeof t->value, w->settings[i] + key + 1);
        }
        enable_splice(&e, sv);
        s = edit_finish(&e, e.want->version + 1, ret_text, ret_size);
    }
    edit_end(&e);
    return s;
}

clan_status config_edit_disable(const char *text, size_t size, const char *service, char **ret_text,
    size_t *ret_size, struct clan_error *reterr)
{
    struct edit e;
    clan_status s = edit_begin(&e, text, size, reterr);
    struct clan_config_service *sv = s == CLAN_OK ? service_called(e.want, service) : NULL;
    if (s == CLAN_OK && !sv) {
        s = err_set(reterr, CLAN_E_NOENT, "there is no service %.32s", service);
        err_remedy(reterr, "`clan services` lists those that are");
    }
    if (sv) {
        struct clan_config_service *end = &e.want->services[e.want->service_count--];
        memmove(sv, sv + 1, (size_t)(end - (sv + 1)) * sizeof *sv);
        memset(end - 1, 0, sizeof *sv);
        cfg_splice_out(&e.splices, cfg_get(cfg_get(e.root, "services"), service));
        s = edit_finish(&e, e.want->version + 1, ret_text, ret_size);
    }
    edit_end(&e);
    return s;
}

static struct clan_config_machine *machine_with(struct clan_config *c, const uint8_t id[32])
{
    for (unsigned i = 0; i < c->machine_count; i++)
        if (memcmp(c->machines[i].id, id, 32) == 0)
            return &c->machines[i];
    return NULL;
}

static void splice_scalar(struct edit *e, const struct cfg_node *n, const char *name)
{
    char buf[64];
    cfg_splice(&e->splices, n->start, n->end - n->start, "%s", quoted(name, buf));
}

static const struct cfg_node *item(const struct cfg_node *list, unsigned index)
{
    const struct cfg_node *n = list->first;
    while (index--)
        n = n->next;
    return n;
}

/* Every place that names the machine follows its new name. */
static void rename_uses(struct edit *e, const char *from, const char *to)
{
    struct clan_config *c = e->want;
    const struct cfg_node *services = cfg_get(e->root, "services");
    for (unsigned i = 0; i < c->keeper_count; i++)
        if (same(c->keepers[i], from)) {
            splice_scalar(e, item(cfg_get(e->root, "keeper"), i), to);
            set_text(c->keepers[i], sizeof c->keepers[i], to);
        }
    for (unsigned i = 0; i < c->service_count; i++) {
        struct clan_config_service *sv = &c->services[i];
        const struct cfg_node *n = cfg_get(services, sv->name);
        if (same(sv->on, from)) {
            splice_scalar(e, cfg_get(cfg_get(n, "place"), "on"), to);
            set_text(sv->on, sizeof sv->on, to);
        }
        for (unsigned j = 0; j < sv->allow_count; j++)
            if (same(sv->allow[j], from)) {
                splice_scalar(e, item(cfg_get(n, "allow"), j), to);
                set_text(sv->allow[j], sizeof sv->allow[j], to);
            }
    }
}

static void rename_machine(
    struct edit *e, struct clan_config_machine *m, const char *id, const char *name)
{
    char from[sizeof m->name];
    memcpy(from, m->name, sizeof from);
    if (same(from, name))
        return;
    splice_scalar(e, cfg_get(cfg_get(cfg_get(e->root, "machines"), id), "name"), name);
    rename_uses(e, from, name);
    set_text(m->name, sizeof m->name, name);
}

static void add_machine(struct edit *e, const uint8_t id[32], const char *id_text, const char *name)
{
    char key[64], buf[64], block[256], flow[128], both[256];
    struct clan_config_machine *m = &e->want->machines[e->want->machine_count++];
    memcpy(m->id, id, 32);
    set_text(m->name, sizeof m->name, name);
    snprintf(key, sizeof key, "\"%s\"", id_text);
    snprintf(flow, sizeof flow, "{name: %s}", quoted(name, buf));
    snprintf(block, sizeof block, "%s: %s\n", key, flow);
    const struct cfg_node *machines = cfg_get(e->root, "machines");
    if (machines) {
        cfg_splice_entry(&e->splices, machines, key, block, flow);
        return;
    }
    snprintf(block, sizeof block, "machines:\n  %s: %s\n", key, flow);
    snprintf(both, sizeof both, "{%s: %s}", key, flow);
    cfg_splice_entry(&e->splices, e->root, "machines", block, both);
}

static clan_status name_free(struct edit *e, const uint8_t id[32], const char *name)
{
    struct clan_config_machine *other;
    if (!text_name_ok(name))
        return err_set(
            e->reterr, CLAN_E_INVAL, "a machine's name has 1 to 32 characters a-z 0-9 -");
    if (cfg_name_reserved(name, id))
        return err_set(e->reterr, CLAN_E_INVAL, "the name %s is kept for something else", name);
    other = machine_called(e->want, name);
    if ((other && memcmp(other->id, id, 32) != 0) || service_called(e->want, name)) {
        err_set(e->reterr, CLAN_E_EXIST, "the name %s is taken by a %s", name,
            other ? "machine" : "service");
        err_remedy(e->reterr, "choose another name");
        return CLAN_E_EXIST;
    }
    return CLAN_OK;
}

clan_status config_edit_machine(const char *text, size_t size, const uint8_t id[32],
    const char *name, char **ret_text, size_t *ret_size, struct clan_error *reterr)
{
    struct edit e;
    char id_text[TEXT_ID_CHARS + 1];
    text_base32(id, 32, id_text);
    clan_status s = edit_begin(&e, text, size, reterr);
    if (s == CLAN_OK)
        s = name_free(&e, id, name);
    if (s == CLAN_OK) {
        struct clan_config_machine *m = machine_with(e.want, id);
        if (m)
            rename_machine(&e, m, id_text, name);
        else if (e.want->machine_count == CONFIG_MACHINES_MAX)
            s = err_set(
                reterr, CLAN_E_LIMIT, "clan.yaml lists %u machines already", CONFIG_MACHINES_MAX);
        else
            add_machine(&e, id, id_text, name);
    }
    if (s == CLAN_OK)
        s = edit_finish(&e, e.want->version + 1, ret_text, ret_size);
    edit_end(&e);
    return s;
}

/* A machine that keeps or runs something is not taken out silently. */
static clan_status gone_allowed(struct edit *e, const char *name)
{
    const struct clan_config *c = e->want;
    for (unsigned i = 0; i < c->keeper_count; i++)
        if (same(c->keepers[i], name)) {
            err_set(e->reterr, CLAN_E_CONFLICT, "%s is a keeper", name);
            err_remedy(e->reterr, "name another machine under keeper: in clan.yaml first");
            return CLAN_E_CONFLICT;
        }
    for (unsigned i = 0; i < c->service_count; i++)
        if (same(c->services[i].on, name)) {
            err_set(
                e->reterr, CLAN_E_CONFLICT, "the service %s runs on %s", c->services[i].name, name);
            err_remedy(e->reterr, "clan disable %s, or name another machine in its place: first",
                c->services[i].name);
            return CLAN_E_CONFLICT;
        }
    return CLAN_OK;
}

/* Nobody may inherit what was allowed to the name. */
static void drop_allowed(struct edit *e, const char *name)
{
    const struct cfg_node *services = cfg_get(e->root, "services");
    for (unsigned i = 0; i < e->want->service_count; i++) {
        struct clan_config_service *sv = &e->want->services[i];
        for (unsigned j = 0; j < sv->allow_count; j++) {
            if (!same(sv->allow[j], name))
                continue;
            cfg_splice_out(&e->splices, item(cfg_get(cfg_get(services, sv->name), "allow"), j));
            memmove(
                sv->allow[j], sv->allow[j + 1], (sv->allow_count - 1 - j) * sizeof sv->allow[0]);
            memset(sv->allow[--sv->allow_count], 0, sizeof sv->allow[0]);
            break;
        }
    }
}

clan_status config_edit_machine_gone(const char *text, size_t size, const uint8_t id[32],
    char **ret_text, size_t *ret_size, struct clan_error *reterr)
{
    struct edit e;
    char id_text[TEXT_ID_CHARS + 1];
    text_base32(id, 32, id_text);
    clan_status s = edit_begin(&e, text, size, reterr);
    struct clan_config_machine *m = s == CLAN_OK ? machine_with(e.want, id) : NULL;
    if (s == CLAN_OK && !m)
        s = err_set(reterr, CLAN_E_NOENT, "clan.yaml does not list that machine");
    if (m)
        s = gone_allowed(&e, m->name);
    if (m && s == CLAN_OK) {
        struct clan_config_machine *end = &e.want->machines[e.want->machine_count--];
        drop_allowed(&e, m->name);
        memmove(m, m + 1, (size_t)(end - (m + 1)) * sizeof *m);
        memset(end - 1, 0, sizeof *m);
        cfg_splice_out(&e.splices, cfg_get(cfg_get(e.root, "machines"), id_text));
        s = edit_finish(&e, e.want->version + 1, ret_text, ret_size);
    }
    edit_end(&e);
    return s;
}
