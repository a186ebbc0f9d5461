/* clan machine: the owner's consent, from machine.yaml to what the warden reads. */
#include "cli/machine.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/change.h"
#include "cli/out.h"
#include "cli/session.h"
#include "config/offers.h"
#include "wire/grants.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static clan_status find_owner(struct cli *c, uint32_t *ret_uid)
{
    const char *given = cli_opt(c, "owner"), *sudo = getenv("SUDO_UID");
    const char *text = given ? given : sudo ? sudo : "0";
    char *end;
    unsigned long uid = strtoul(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && !*end && uid < UINT32_MAX) {
        *ret_uid = (uint32_t)uid;
        return CLAN_OK;
    }
    const struct passwd *pw = getpwnam(text);
    if (!pw)
        return err_set(&c->e, CLAN_E_NOENT, "there is no user %.60s on this machine", text);
    *ret_uid = pw->pw_uid;
    return CLAN_OK;
}

/* ---- where the owner's word is ---- */

static const char *in_machine_dir(char path[static PATH_MAX], const char *name)
{
    snprintf(path, PATH_MAX, "%s/%s", machine_dir(), name);
    return path;
}

const char *machine_dir(void)
{
    const char *dir = getenv("CLAN_CONFIG_DIR");
    return dir && dir[0] == '/' ? dir : MACHINE_DIR;
}

const char *machine_yaml(void)
{
    static char path[PATH_MAX];
    return in_machine_dir(path, "machine.yaml");
}

const char *machine_grants(void)
{
    static char path[PATH_MAX];
    return in_machine_dir(path, strrchr(GRANTS_PATH, '/') + 1);
}

/* Whoever looks for a plugin in a browser finds fewer without it; what is granted is granted. */
void machine_offers(struct cli *c)
{
    char path[PATH_MAX];
    struct clan_error e = CLAN_ERROR_INIT;
    struct offers *o = calloc(1, sizeof *o);
    clan_assert(o);
    clan_status st = config_offers(machine_plugin_dir(c), o, &e);
    if (st == CLAN_OK)
        st = offers_store(in_machine_dir(path, strrchr(OFFERS_PATH, '/') + 1), o, &e);
    if (st != CLAN_OK)
        out_warn(c, "pages will not show what else is installed: %s", e.what);
    free(o);
}

static unsigned recommended(const char *transport)
{
    static const char *const known[] = {"wireguard", "tcp-noise", "", "tor"}; /* "": all others */
    for (unsigned i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i], transport) == 0)
            return i;
    return 2;
}

static int compare_transports(const void *a, const void *b)
{
    unsigned x = recommended(a), y = recommended(b);
    return x != y ? (x < y ? -1 : 1) : strcmp(a, b);
}

unsigned machine_transports(char ret_names[CONFIG_TRANSPORTS_MAX][33])
{
    char names[GRANTS_PLUGINS_MAX][33];
    struct grants *g = calloc(1, sizeof *g);
    unsigned n = 0;
    clan_assert(g);
    if (grants_load(machine_grants(), true, g, NULL) == CLAN_OK)
        for (unsigned i = 0; i < g->plugin_count; i++)
            if (g->plugins[i].kind == GRANT_KIND_TRANSPORT)
                snprintf(names[n++], sizeof names[0], "%s", g->plugins[i].id);
    free(g);
    qsort(names, n, sizeof names[0], compare_transports);
    n = n < CONFIG_TRANSPORTS_MAX ? n : CONFIG_TRANSPORTS_MAX;
    memcpy(ret_names, names, n * sizeof names[0]);
    return n;
}

/* The brain of a clan, a user of its own, reads the consent: nothing in this directory is secret.
 */
static clan_status make_machine_dir(struct cli *c)
{
    if ((mkdir(machine_dir(), 0755) != 0 && errno != EEXIST) || chmod(machine_dir(), 0755) != 0)
        return err_errno(&c->e, CLAN_E_IO, "cannot make the directory %s", machine_dir());
    return CLAN_OK;
}

/* The commented example is the default: everything in it is a default. */
static clan_status create_default(struct cli *c, const char *path)
{
    char *text = NULL;
    size_t size = 0;
    const char *name;
    int dir;
    FILE *f = open_memstream(&text, &size);
    clan_assert(f);
    clan_status st = config_generate("example-machine", f);
    fclose(f);
    if (st != CLAN_OK) {
        free(text);
        return err_set(&c->e, st, "the example could not be written");
    }
    st = userdir_open(path, &dir, &name, &c->e);
    if (st == CLAN_OK) {
        st = file_write_durable(dir, name, text, size, 0644, &c->e);
        close(dir);
    }
    if (st == CLAN_OK)
        out_note(c, "%s was missing and is made from the example", path);
    free(text);
    return st;
}

static clan_status read_machine_yaml(
    struct cli *c, const char *path, char **ret_text, size_t *ret_size)
{
    uint8_t *data = NULL;
    clan_status st = file_read(AT_FDCWD, path, CONFIG_FILE_MAX, &data, ret_size, &c->e);
    if (st == CLAN_E_NOENT && c->arg_count == 0 && !cli_opt(c, "dry-run")) {
        st = create_default(c, path);
        if (st == CLAN_OK)
            st = file_read(AT_FDCWD, path, CONFIG_FILE_MAX, &data, ret_size, &c->e);
    }
    *ret_text = (char *)data;
    return st;
}

clan_status machine_root(struct cli *c, const char *command)
{
    if (geteuid() == 0 || cli_opt(c, "dry-run"))
        return CLAN_OK;
    err_set(&c->e, CLAN_E_PERM, "only root may decide what plugins may do on this machine");
    err_why(
        &c->e, "%s belongs to root, so that no program of a user can change it", machine_grants());
    err_remedy(&c->e, "run `sudo clan %s`; --dry-run only shows what it would do", command);
    return CLAN_E_PERM;
}

const char *machine_plugin_dir(const struct cli *c)
{
    const char *given = cli_opt(c, "plugin-dir");
    return given ? given : CLAN_PLUGINDIR;
}

clan_status machine_compile(struct cli *c, const char *path, const char *text, size_t size,
    struct grants *ret_grants, char **ret_summary)
{
    uint32_t owner = 0;
    clan_status st = find_owner(c, &owner);
    if (st != CLAN_OK)
        return st;
    struct config_problems *p = config_problems_new(path);
    clan_assert(p);
    st = config_machine_compile(
        text, size, machine_plugin_dir(c), owner, p, ret_grants, ret_summary, &c->e);
    size_t count = config_problems_count(p);
    if (st != CLAN_OK && count) {
        change_problems(c, p);
        err_set(&c->e, st, "%s has %zu problem%s", path, count, count == 1 ? "" : "s");
        err_remedy(
            &c->e, "correct what is marked; `clan config example --machine` shows every key");
    }
    config_problems_free(p);
    return st;
}

/* One that is down reads them when it starts. */
unsigned machine_tell_clans(struct cli *c)
{
    char names[API_CLANS_MAX][33];
    unsigned told = 0;
    size_t count = api_clans(c->run_dir, names);
    for (size_t i = 0; i < count; i++) {
        struct api_client *api;
        if (api_connect(c->run_dir, names[i], &api, &c->e) != CLAN_OK)
            continue; /* a socket that a clan left behind */
        if (session_ask(c, api, clan_api_Request_machine_changed_tag, NULL, NULL) == CLAN_OK)
            told++;
        else
            out_warn(c, "the clan %s did not take over the new grants: %s", names[i], c->e.what);
        api_close(api);
    }
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    return told;
}

static bool bound_as_before(const struct grant_plugin *a, const struct grant_plugin *b)
{
    return memcmp(a->hash, b->hash, 32) == 0 && memcmp(a->signer, b->signer, 32) == 0;
}

/* Words of a that b lacks, after "SENTENCE". */
static bool lacks(
    struct cli *c, const char *sentence, const struct grant_plugin *a, const struct grant_plugin *b)
{
    char words[GRANTS_WORDS_MAX][PERM_WORD_MAX], means[160];
    unsigned count = grants_words(a, words), n = 0;
    for (unsigned i = 0; i < count; i++)
        if (!grants_has(b, words[i])) {
            out_para(
                c, 4, "  %s %s (%s)", sentence, perm_lets(words[i], means, sizeof means), words[i]);
            n++;
        }
    return n != 0;
}

bool machine_changes(
    struct cli *c, const struct grant_plugin *before, const struct grant_plugin *now)
{
    static const uint8_t none[32];
    if (memcmp(before, now, sizeof *now) == 0)
        return false;
    out_line(
        c, "%s%s%s, beside what you agreed to before:", out_on(c, OUT_BOLD), now->id, out_off(c));
    bool said = false;
    if (!bound_as_before(before, now)) {
        if (memcmp(now->hash, none, 32) == 0)
            out_para(c, 4, "  any file that its signer signed, instead of one file");
        else
            out_para(c, 4, "  another file than the one before");
        said = true;
    }
    said |= lacks(c, "it may in addition", now, before);
    said |= lacks(c, "it may no longer", before, now);
    if (before->setting_count != now->setting_count ||
        memcmp(before->settings, now->settings, sizeof now->settings) != 0) {
        out_para(c, 4, "  other settings");
        said = true;
    }
    if (!said)
        out_para(c, 4, "  other limits or addresses");
    return true;
}

/* A changed file is a question again (SECURITY I3): it stands right above the question. */
static void show_changes(struct cli *c, const struct grants *g)
{
    struct grants *before = calloc(1, sizeof *before);
    clan_assert(before);
    if (grants_load(machine_grants(), false, before, NULL) == CLAN_OK)
        for (unsigned i = 0; i < g->plugin_count; i++) {
            const struct grant_plugin *b = grants_find(before, g->plugins[i].id);
            if (b)
                machine_changes(c, b, &g->plugins[i]);
        }
    free(before);
}

static clan_status apply(struct cli *c, const char *path, struct grants *g, char **summary)
{
    char *text = NULL;
    size_t size = 0;
    clan_status st = cli_opt(c, "dry-run") ? CLAN_OK : make_machine_dir(c);
    if (st == CLAN_OK)
        st = read_machine_yaml(c, path, &text, &size);
    if (st == CLAN_OK)
        st = machine_compile(c, path, text, size, g, summary);
    free(text);
    if (st != CLAN_OK)
        return st;
    if (!c->json && *summary)
        fprintf(c->out, "%s", *summary);
    show_changes(c, g);
    if (cli_opt(c, "dry-run")) {
        out_note(c, "nothing was changed (--dry-run)");
        return CLAN_OK;
    }
    st = ask_go_on(c, "Grant this?");
    if (st == CLAN_OK)
        st = grants_store(machine_grants(), g, &c->e);
    if (st != CLAN_OK)
        return st;
    machine_offers(c);
    unsigned told = machine_tell_clans(c);
    if (told)
        out_line(c, "granted; %u running clan%s took it over", told, told == 1 ? "" : "s");
    else
        out_line(c, "granted");
    if (c->json)
        out_json(
            c, json_pack("{s:b, s:i, s:i, s:s}", "granted", true, "plugins", (int)g->plugin_count,
                   "clans_told", (int)told, "summary", *summary ? *summary : ""));
    return CLAN_OK;
}

clan_status cmd_machine_apply(struct cli *c)
{
    const char *path = c->arg_count ? c->args[0] : machine_yaml();
    if (machine_root(c, "machine apply") != CLAN_OK)
        return CLAN_E_PERM;
    struct grants *g = calloc(1, sizeof *g);
    char *summary = NULL;
    clan_assert(g);
    clan_status st = apply(c, path, g, &summary);
    free(summary);
    free(g);
    return st;
}

static json_t *plugin_json(const struct grant_plugin *p)
{
    json_t *words = json_array();
    char list[GRANTS_WORDS_MAX][PERM_WORD_MAX];
    unsigned count = grants_words(p, list);
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(words, json_string(list[i]));
    return json_pack("{s:s, s:s, s:o}", "plugin", p->id, "file", p->file, "granted", words);
}

static void print_plugin(struct cli *c, const struct grant_plugin *p)
{
    out_line(c, "%s%s%s (%s)", out_on(c, OUT_BOLD), p->id, out_off(c), p->file);
    char list[GRANTS_WORDS_MAX][PERM_WORD_MAX], means[160];
    unsigned count = grants_words(p, list);
    for (unsigned i = 0; i < count; i++)
        out_para(c, 4, "  it may %s (%s)", perm_lets(list[i], means, sizeof means), list[i]);
}

clan_status cmd_machine_show(struct cli *c)
{
    static const char *const manage[] = {"none", "services", "manage"};
    static const char *const hosting[] = {"ask", "yes", "no"};
    struct grants *g = calloc(1, sizeof *g);
    clan_assert(g);
    clan_status st = grants_load(machine_grants(), true, g, &c->e);
    if (st == CLAN_E_NOENT) {
        err_set(&c->e, st, "nothing is granted on this machine yet");
        err_remedy(&c->e, "run `sudo clan machine apply`");
    }
    if (st == CLAN_OK && c->json) {
        json_t *list = json_array();
        for (unsigned i = 0; i < g->plugin_count; i++)
            json_array_append_new(list, plugin_json(&g->plugins[i]));
        out_json(
            c, json_pack("{s:I, s:s, s:s, s:o}", "owner_uid", (json_int_t)g->owner_uid, "manage",
                   manage[g->manage % 3], "hosting", hosting[g->hosting % 3], "plugins", list));
    } else if (st == CLAN_OK) {
        const struct passwd *pw = getpwuid(g->owner_uid);
        out_para(c, 0, "owner %s (uid %u), manage: %s, hosting: %s", pw ? pw->pw_name : "?",
            g->owner_uid, manage[g->manage % 3], hosting[g->hosting % 3]);
        for (unsigned i = 0; i < g->plugin_count; i++)
            print_plugin(c, &g->plugins[i]);
    }
    free(g);
    return st;
}
