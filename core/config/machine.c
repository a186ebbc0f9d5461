/* machine.yaml -> grants: the owner's word, bound to the files that are installed. */
#include "config/machine.h"

#include "base/error.h"
#include "config/problem.h"
#include "config/schema.h"
#include "config/value.h"
#include "sandbox/sandbox.h"
#include "wire/limits.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>

struct compile {
    struct config_problems *problems;
    struct cfg_node *root;
    struct cfg_plugins plugins;
    const char *directory; /* of those */
    struct grants *g;
};

static bool lists(const struct cfg_node *list, const char *word)
{
    for (const struct cfg_node *n = list ? list->first : NULL; n; n = n->next)
        if (strcmp(n->text, word) == 0)
            return true;
    return false;
}

/* ---- what must fit together ---- */

static void check_asked(struct compile *c, struct cfg_node *plugin, const struct check_result *file)
{
    struct cfg_node *allow = cfg_get(plugin, "allow");
    unsigned programs = 0;
    for (struct cfg_node *n = allow ? allow->first : NULL; n; n = n->next) {
        char asks[160];
        if (n->bad)
            continue;
        if (strncmp(n->text, "exec:", 5) == 0 && ++programs > GRANTS_EXEC_MAX)
            cfg_problem(c->problems, n, "at most %u programs for one plugin", GRANTS_EXEC_MAX);
        if (!file || file->error.status != CLAN_OK)
            continue;
        if (cfg_plugin_asks(file, n->text)) {
            if (!cfg_grantable(n->text, asks, sizeof asks))
                cfg_problem(c->problems, n, "%s", asks);
            continue;
        }
        cfg_plugin_asks_text(file, asks, sizeof asks);
        cfg_problem(c->problems, n, "%s never asks for this; it asks for %s", file->id, asks);
    }
}

/* What carries packets itself could forge them: not anybody's (SECURITY F2). */
static void check_device(
    struct compile *c, struct cfg_node *plugin, const struct check_result *file)
{
    const struct cfg_node *keys = cfg_get(cfg_get(c->root, "signatures"), "keys"),
                          *signer = cfg_get(plugin, "signer");
    struct cfg_node *allow = cfg_get(plugin, "allow");
    for (struct cfg_node *n = allow ? allow->first : NULL; n; n = n->next) {
        struct config_signature s;
        if (n->bad || strcmp(n->text, "net.device") != 0 || !file ||
            file->error.status != CLAN_OK || file->release)
            continue;
        cfg_signature(keys, signer ? signer->text : NULL, c->directory, file->file, &s);
        if (s.error.status != CLAN_OK)
            cfg_problem(c->problems, n,
                "%s could read and forge everything you send in this clan: it is no plugin of Clan "
                "itself, and nobody signed it whose key stands in \"signatures: keys:\"",
                file->id);
    }
}

static void check_listen(struct compile *c, struct cfg_node *listen)
{
    const struct cfg_node *plugins = cfg_get(c->root, "plugins");
    for (struct cfg_node *l = listen->first; l; l = l->next) {
        char hint[80];
        const struct cfg_node *plugin = cfg_get(plugins, l->key->text);
        if (l->bad)
            continue;
        if (!plugin) {
            struct cfg_suggest s = cfg_suggest_for(l->key->text);
            for (struct cfg_node *n = plugins ? plugins->first : NULL; n && n->key; n = n->next)
                cfg_suggest_try(&s, n->key->text);
            cfg_problem_key(c->problems, l, false, "\"plugins:\" names no %s%s", l->key->text,
                cfg_suggest_text(&s, hint, sizeof hint));
        } else if (!plugin->bad && !lists(cfg_get(plugin, "allow"), "net.listen") &&
                   !lists(cfg_get(plugin, "allow"), "net.device")) {
            cfg_problem_key(c->problems, l, false,
                "%s may not accept connections: add net.listen to plugins.%s.allow", l->key->text,
                l->key->text);
        }
    }
}

static bool same_address(const struct cfg_node *a, const struct cfg_node *b)
{
    struct grant_listen x, y;
    return cfg_listen(a->text, &x) && cfg_listen(b->text, &y) && memcmp(&x, &y, sizeof x) == 0;
}

/* One address and port, one plugin; 4096 comparisons at most. */
static void check_addresses(struct compile *c, struct cfg_node *listen)
{
    for (struct cfg_node *l = listen->first; l; l = l->next)
        for (struct cfg_node *a = l->first; a && !l->bad; a = a->next)
            for (struct cfg_node *k = listen->first; k && !a->bad; k = k->next)
                for (struct cfg_node *b = k->first; b && b->start < a->start && !a->bad;
                     b = b->next)
                    if (!b->bad && same_address(a, b))
                        cfg_problem(c->problems, a, "is the address in line %u again", b->line);
}

static bool find_user(const char *text, uint32_t *ret_uid)
{
    uint64_t number;
    struct passwd pw, *found = NULL;
    char buf[16384];
    if (cfg_number(text, 0, 0xfffffffe, &number)) {
        *ret_uid = (uint32_t)number;
        return true;
    }
    if (getpwnam_r(text, &pw, buf, sizeof buf, &found) != 0 || !found)
        return false;
    *ret_uid = found->pw_uid;
    return true;
}

static void check_user(struct compile *c, struct cfg_node *n)
{
    uint32_t uid;
    if (n && n->kind == CFG_SCALAR && !n->bad && !find_user(n->text, &uid))
        cfg_problem(c->problems, n, "this machine has no user \"%s\"", n->text);
}

/* A name in `signer:` is one of signatures.keys. */
static void check_signer(struct compile *c, struct cfg_node *plugin)
{
    const struct cfg_node *keys = cfg_get(cfg_get(c->root, "signatures"), "keys");
    struct cfg_node *signer = cfg_get(plugin, "signer");
    char hint[80];
    if (!signer || signer->bad || cfg_get(keys, signer->text))
        return;
    struct cfg_suggest s = cfg_suggest_for(signer->text);
    for (struct cfg_node *n = keys ? keys->first : NULL; n && n->key; n = n->next)
        cfg_suggest_try(&s, n->key->text);
    cfg_problem(c->problems, signer, "\"signatures: keys:\" names no %s%s", signer->text,
        cfg_suggest_text(&s, hint, sizeof hint));
}

/* Each member needs those of a service; a transport's are this machine's. */
static void check_settings(
    struct compile *c, struct cfg_node *plugin, const struct check_result *file)
{
    struct cfg_node *settings = cfg_get(plugin, "settings");
    if (settings && file && file->error.status == CLAN_OK && file->kind != GRANT_KIND_TRANSPORT)
        cfg_problem_key(c->problems, settings, false,
            "%s is no transport: the settings of a service stand in clan.yaml", plugin->key->text);
}

static void check_all(struct compile *c)
{
    struct cfg_node *plugins = cfg_get(c->root, "plugins"), *listen = cfg_get(c->root, "listen");
    struct cfg_node *users = cfg_get(c->root, "local_users");
    /* no key: a list stands where a map belongs */
    for (struct cfg_node *n = plugins ? plugins->first : NULL; n && n->key; n = n->next) {
        check_asked(c, n, cfg_plugins_find(&c->plugins, n->key->text));
        check_device(c, n, cfg_plugins_find(&c->plugins, n->key->text));
        check_signer(c, n);
        check_settings(c, n, cfg_plugins_find(&c->plugins, n->key->text));
    }
    if (listen && listen->kind == CFG_MAP) {
        check_listen(c, listen);
        check_addresses(c, listen);
    }
    check_user(c, cfg_get(c->root, "owner"));
    for (struct cfg_node *n = users ? users->first : NULL; n; n = n->next)
        check_user(c, n);
}

/* ---- from here on the tree is known to be right ---- */

static uint8_t choice(const struct cfg_node *n, const char *const *words, unsigned count)
{
    for (unsigned i = 0; n && i < count; i++)
        if (strcmp(n->text, words[i]) == 0)
            return (uint8_t)i;
    return 0;
}
#define CHOICE(node, words) choice(node, words, sizeof(words) / sizeof((words)[0]))

static uint32_t mib_of(const struct cfg_node *n)
{
    uint64_t bytes = 0;
    if (n)
        clan_assert(cfg_size(n->text, &bytes));
    return (uint32_t)((bytes + (1u << 20) - 1) >> 20);
}

/* A signature is needed: a file without a good one cannot be used. */
static void need_signature(struct compile *c, const struct cfg_node *plugin, const char *directory)
{
    const struct cfg_node *signatures = cfg_get(c->root, "signatures"),
                          *signer = cfg_get(plugin, "signer");
    const struct check_result *file = cfg_plugins_find(&c->plugins, plugin->key->text);
    struct config_signature s;
    if (!file || file->error.status != CLAN_OK || (!signer && !c->g->require_signature))
        return;
    size_t at = (size_t)(file - c->plugins.list);
    cfg_signature(
        cfg_get(signatures, "keys"), signer ? signer->text : NULL, directory, file->file, &s);
    snprintf(c->plugins.signers[at].by, sizeof c->plugins.signers[at].by, "%s", s.by);
    memcpy(c->plugins.signers[at].key, s.key, sizeof s.key);
    c->plugins.list[at].error = s.error;
}

static void fill_plugin(struct grant_plugin *p, const struct cfg_node *n,
    const struct check_result *file, const struct cfg_signer *signer, const struct cfg_node *listen)
{
    const struct cfg_node *pids = cfg_get(n, "pids");
    uint64_t number = 0;
    snprintf(p->id, sizeof p->id, "%s", file->id);
    snprintf(p->file, sizeof p->file, "%s", file->file);
    if (!cfg_get(n, "signer"))
        memcpy(p->hash, file->hash, sizeof p->hash);
    memcpy(p->signer, signer->key, sizeof p->signer);
    p->kind = (uint8_t)file->kind;
    const struct cfg_node *allow = cfg_get(n, "allow");
    for (const struct cfg_node *a = allow->first; a; a = a->next) {
        p->permissions |= perm_bit(a->text);
        if (strncmp(a->text, "exec:", 5) == 0)
            snprintf(p->exec[p->exec_count++], sizeof p->exec[0], "%s", a->text + 5);
    }
    p->memory_mib = mib_of(cfg_get(n, "memory"));
    p->disk_mib = mib_of(cfg_get(n, "disk"));
    if (pids)
        clan_assert(cfg_number(pids->text, 1, 65536, &number));
    p->pids = (uint32_t)number;
    const struct cfg_node *settings = cfg_get(n, "settings");
    for (const struct cfg_node *s = settings ? settings->first : NULL; s; s = s->next) {
        struct grant_setting *set = &p->settings[p->setting_count++];
        snprintf(set->key, sizeof set->key, "%s", s->key->text);
        snprintf(set->value, sizeof set->value, "%s", s->text);
    }
    const struct cfg_node *mine = cfg_get(listen, n->key->text);
    for (const struct cfg_node *a = mine ? mine->first : NULL; a; a = a->next)
        clan_assert(cfg_listen(a->text, &p->listen[p->listen_count++]));
    for (unsigned i = 0; (p->permissions & GRANT_NET_DEVICE) && !mine && i < 2; i++) {
        struct grant_listen *l = &p->listen[p->listen_count++];
        *l = (struct grant_listen){.port = WIRE_DEVICE_PORT, .family = i ? 6 : 4};
        if (i == 0) /* 0.0.0.0 */
            l->addr[10] = l->addr[11] = 0xff;
    }
}

static void add_user(struct grants *g, uint32_t uid)
{
    for (unsigned i = 0; i < g->user_count; i++)
        if (g->users[i] == uid)
            return;
    if (uid != g->owner_uid)
        g->users[g->user_count++] = uid;
}

static void fill_users(struct compile *c, uint32_t owner_uid)
{
    const struct cfg_node *owner = cfg_get(c->root, "owner"),
                          *users = cfg_get(c->root, "local_users");
    uint32_t uid = owner_uid;
    if (owner)
        find_user(owner->text, &uid);
    c->g->owner_uid = uid;
    for (const struct cfg_node *n = users ? users->first : NULL; n; n = n->next)
        if (find_user(n->text, &uid))
            add_user(c->g, uid);
}

static void fill(struct compile *c, const char *directory, uint32_t owner_uid)
{
    static const char *const dns[] = {"auto", "resolved", "hosts", "off"};
    static const char *const manage[] = {"none", "services", "manage"};
    static const char *const stale[] = {"open", "closed"};
    static const char *const hosting[] = {"ask", "yes", "no"};
    struct grants *g = c->g;
    memset(g, 0, sizeof *g);
    g->magic = GRANTS_MAGIC;
    g->version = GRANTS_VERSION;
    g->size = sizeof *g;
    g->dns = CHOICE(cfg_get(c->root, "dns"), dns);
    g->manage = CHOICE(cfg_get(c->root, "manage"), manage);
    g->stale = CHOICE(cfg_get(c->root, "stale"), stale);
    g->hosting = CHOICE(cfg_get(cfg_get(c->root, "offer"), "hosting"), hosting);
    const struct cfg_node *weaker = cfg_get(cfg_get(c->root, "sandbox"), "weaker");
    g->weaker = (lists(weaker, "landlock") ? SANDBOX_WEAKER_LANDLOCK : 0) |
                (lists(weaker, "notify") ? SANDBOX_WEAKER_NOTIFY : 0) |
                (lists(weaker, "cgroup") ? SANDBOX_WEAKER_CGROUP : 0);
    const struct cfg_node *require = cfg_get(cfg_get(c->root, "signatures"), "require");
    g->require_signature = require && strcmp(require->text, "yes") == 0;
    fill_users(c, owner_uid);
    const struct cfg_node *plugins = cfg_get(c->root, "plugins"),
                          *listen = cfg_get(c->root, "listen");
    for (const struct cfg_node *n = plugins ? plugins->first : NULL; n; n = n->next) {
        need_signature(c, n, directory);
        const struct check_result *file = cfg_plugins_find(&c->plugins, n->key->text);
        if (file && file->error.status == CLAN_OK)
            fill_plugin(&g->plugins[g->plugin_count++], n, file,
                &c->plugins.signers[file - c->plugins.list], listen);
    }
}

static clan_status wrong(struct compile *c, struct clan_error *reterr)
{
    const struct config_problem *q = config_problems_at(c->problems, 0);
    err_set(reterr, CLAN_E_INVAL, "machine.yaml has problems, so nothing was granted");
    err_why(reterr, "line %u: %s%s%s", q->line, q->path, q->path[0] ? ": " : "", q->text);
    err_remedy(reterr, "change machine.yaml and run clan machine apply again");
    return CLAN_E_INVAL;
}

static clan_status compile(struct compile *c, const char *plugin_dir, uint32_t owner_uid,
    char **ret_summary, struct clan_error *reterr)
{
    cfg_walk(&cfg_schema_machine, c->root, c->problems);
    clan_status s = cfg_plugins_scan(plugin_dir, &c->plugins, reterr);
    if (s != CLAN_OK)
        return s;
    check_all(c);
    if (config_problems_count(c->problems))
        return wrong(c, reterr);
    fill(c, plugin_dir, owner_uid);
    *ret_summary = cfg_summary(c->root, &c->plugins, c->g);
    return *ret_summary ? CLAN_OK : err_set(reterr, CLAN_E_NOMEM, "out of memory");
}

clan_status config_machine_compile(const char *text, size_t size, const char *plugin_dir,
    uint32_t owner_uid, struct config_problems *problems, struct grants *ret_grants,
    char **ret_summary, struct clan_error *reterr)
{
    struct compile c = {.problems = problems};
    struct cfg_tree *tree = cfg_tree_parse(text, size, problems);
    if (!tree)
        return wrong(&c, reterr);
    clan_status s = CLAN_E_NOMEM;
    char *summary = NULL;
    c.root = cfg_tree_root(tree);
    c.directory = plugin_dir;
    c.g = malloc(sizeof *c.g);
    if (c.g)
        s = compile(&c, plugin_dir, owner_uid, &summary, reterr);
    else
        err_set(reterr, s, "out of memory");
    if (s == CLAN_OK) {
        *ret_grants = *c.g;
        *ret_summary = summary;
    }
    free(c.g);
    cfg_plugins_free(&c.plugins);
    cfg_tree_free(tree);
    return s;
}
