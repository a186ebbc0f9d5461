/* clan plugin list: what lies in the plugin directory, beside what is granted and what runs. */
#include "base/error.h"
#include "base/text.h"
#include "cli/machine.h"
#include "cli/out.h"
#include "cli/session.h"
#include "config/machine.h"
#include "wire/grants.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define PLUGINS_MAX 128

struct plugins {
    struct cli *c;
    unsigned count;
    clan_api_Plugin *rows;
};

static clan_status take_plugin(void *arg, const clan_api_Answer *a)
{
    struct plugins *x = arg;
    const clan_api_Plugin *p = &a->m.plugin;
    /* what is installed is looked at as it is now, not as the last `machine apply` found it */
    if (a->which_m == clan_api_Answer_plugin_tag && x->count < PLUGINS_MAX &&
        strcmp(p->state, "not granted") != 0)
        x->rows[x->count++] = *p;
    return CLAN_OK;
}

static void take_granted(struct plugins *x)
{
    struct grants *g = calloc(1, sizeof *g);
    clan_assert(g);
    if (grants_load(machine_grants(), false, g, NULL) != CLAN_OK)
        g->plugin_count = 0;
    for (; x->count < g->plugin_count; x->count++) {
        const struct grant_plugin *from = &g->plugins[x->count];
        clan_api_Plugin *p = &x->rows[x->count];
        *p = (clan_api_Plugin)clan_api_Plugin_init_zero;
        snprintf(p->id, sizeof p->id, "%s", from->id);
        snprintf(p->file, sizeof p->file, "%s", from->file);
        snprintf(p->state, sizeof p->state, "granted");
        p->granted_count = (pb_size_t)grants_words(from, p->granted);
    }
    free(g);
}

static bool has_word(char (*words)[48], unsigned count, const char *word)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return true;
    return false;
}

static void say(clan_api_Plugin *p, const char *remedy, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(clan_api_Plugin *p, const char *remedy, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->why, sizeof p->why, fmt, ap);
    va_end(ap);
    text_sanitize(p->why);
    snprintf(p->remedy, sizeof p->remedy, "%s", remedy);
}

static const char *then_grant(const clan_api_Plugin *p, const char *first, char buf[160])
{
    snprintf(buf, 160, "%s run as root: clan plugin grant %s", first, p->id);
    return buf;
}

static void describe_file(clan_api_Plugin *p, const struct check_result *f)
{
    snprintf(p->version, sizeof p->version, "%s", f->version);
    snprintf(p->kind, sizeof p->kind, "%s", check_kind_text(f->kind));
    snprintf(p->title, sizeof p->title, "%s", f->title);
    snprintf(p->sentence, sizeof p->sentence, "%s", f->sentence);
    text_sanitize(p->title);
    text_sanitize(p->sentence);
    p->asks_count = 0;
    for (unsigned i = 0; i < f->ask_count && i < 16; i++)
        snprintf(p->asks[p->asks_count++], sizeof p->asks[0], "%s", f->asks[i]);
}

static void refused(clan_api_Plugin *p, const struct check_result *f)
{
    say(p,
        f->error.remedy[0] ? f->error.remedy
                           : "put a file there that was built for this Clan, or remove it",
        "%s%s%.200s", f->error.what, f->error.why[0] ? ": " : "", f->error.why);
}

/* Granted: is the file the one, and does it ask for more? */
static void compare(clan_api_Plugin *p, const struct check_result *f, const struct grant_plugin *g)
{
    char missing[300] = "", why[160];
    size_t len = 0;
    describe_file(p, f);
    if (f->error.status != CLAN_OK) {
        refused(p, f);
        return;
    }
    if (g && !sodium_is_zero(g->hash, 32) && memcmp(g->hash, f->hash, 32) != 0) {
        say(p, then_grant(p, "look at it with clan plugin show, then", why),
            "%s is another file than the owner agreed to%s", f->file,
            strcmp(p->state, "up") == 0 ? "; the one that runs goes on until it ends" : "");
        return;
    }
    for (unsigned i = 0; i < p->asks_count && len < sizeof missing; i++)
        if (cfg_grantable(p->asks[i], why, sizeof why) &&
            !has_word(p->granted, p->granted_count, p->asks[i]))
            len += (size_t)snprintf(
                missing + len, sizeof missing - len, "%s%s", len ? ", " : "", p->asks[i]);
    if (missing[0] && !p->why[0])
        say(p, then_grant(p, "if you agree,", why), "it also asks for %s, which is not granted",
            missing);
}

static void add_file(struct plugins *x, const struct check_result *f)
{
    char todo[160];
    if (x->count == PLUGINS_MAX)
        return;
    clan_api_Plugin *p = &x->rows[x->count++];
    *p = (clan_api_Plugin)clan_api_Plugin_init_zero;
    snprintf(p->file, sizeof p->file, "%s", f->file);
    snprintf(p->id, sizeof p->id, "%s", f->id[0] ? f->id : f->file);
    text_sanitize(p->id);
    describe_file(p, f);
    if (f->error.status != CLAN_OK) {
        snprintf(p->state, sizeof p->state, "refused");
        refused(p, f);
        return;
    }
    snprintf(p->state, sizeof p->state, "not granted");
    say(p, then_grant(p, "look at it with clan plugin show, then", todo),
        "it is installed, but machine.yaml does not name it");
}

static clan_status look_at_files(struct plugins *x, const char *directory)
{
    struct cfg_plugins found;
    struct grants *g = calloc(1, sizeof *g);
    clan_assert(g);
    clan_status st = cfg_plugins_scan(directory, &found, &x->c->e);
    bool known = grants_load(machine_grants(), false, g, NULL) == CLAN_OK;
    unsigned granted = x->count;
    for (unsigned i = 0; st == CLAN_OK && i < granted; i++) {
        clan_api_Plugin *p = &x->rows[i];
        const struct check_result *f = NULL;
        for (unsigned k = 0; k < found.count && !f; k++)
            f = strcmp(found.list[k].file, p->file) == 0 ? &found.list[k] : NULL;
        if (f)
            compare(p, f, known ? grants_find(g, p->id) : NULL);
        else
            say(p, "install it again, or take it out of machine.yaml", "the file %s is not there",
                p->file);
    }
    for (unsigned k = 0; st == CLAN_OK && k < found.count; k++) {
        bool listed = false;
        for (unsigned i = 0; i < granted && !listed; i++)
            listed = strcmp(found.list[k].file, x->rows[i].file) == 0;
        if (!listed)
            add_file(x, &found.list[k]);
    }
    if (st == CLAN_OK)
        cfg_plugins_free(&found);
    free(g);
    return st;
}

static void plugin_row(struct cli *c, struct out_table *t, clan_api_Plugin *p)
{
    char name[80], why[600], granted[900] = "";
    enum out_colour colour;
    size_t len = 0;
    snprintf(name, sizeof name, "%s %s %s", out_shape(c, p->state, &colour), p->id, p->version);
    snprintf(
        why, sizeof why, "%s%s%s", p->why, p->why[0] && p->remedy[0] ? "; to do: " : "", p->remedy);
    for (unsigned i = 0; i < p->granted_count && len < sizeof granted; i++)
        len += (size_t)snprintf(
            granted + len, sizeof granted - len, "%s%s", i ? ", " : "may ", p->granted[i]);
    const char *cells[] = {name, p->state, granted, why};
    out_table_row(t, colour, cells);
}

clan_status cmd_plugin_list(struct cli *c)
{
    struct api_client *api = NULL;
    struct plugins x = {.c = c, .rows = calloc(PLUGINS_MAX, sizeof *x.rows)};
    struct out_table table;
    const char *directory = cli_opt(c, "plugin-dir");
    clan_assert(x.rows);
    char names[API_CLANS_MAX][33];
    clan_status st = CLAN_OK;
    if (!c->clan && api_clans(c->run_dir, names) == 0)
        take_granted(&x); /* no clan runs here: what would run */
    else if ((st = session_open(c, &api)) == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_plugins_tag, take_plugin, &x);
    if (st == CLAN_OK)
        st = look_at_files(&x, directory ? directory : CLAN_PLUGINDIR);
    json_t *list = json_array();
    out_table_init(&table, 4);
    for (unsigned i = 0; st == CLAN_OK && i < x.count; i++) {
        json_array_append_new(list, json_of_plugin(&x.rows[i]));
        if (!c->json) /* only what is printed is freed */
            plugin_row(c, &table, &x.rows[i]);
    }
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:O}", "plugins", list));
    else
        out_table_print(c, &table);
    json_decref(list);
    free(x.rows);
    api_close(api);
    return st;
}
