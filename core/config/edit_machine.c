/* Edits of machine.yaml: what a plugin may do, granted and revoked in the owner's own text. */
#include "config/problem.h"
#include "config/schema.h"
#include "config/splice.h"
#include "config/value.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX 1024 /* words of one plugin, as text */

struct edit {
    struct cfg_tree *tree;
    struct cfg_node *root;
    struct cfg_splices splices;
    struct clan_error *reterr;
};

static struct cfg_tree *parse(const char *text, size_t size, struct clan_error *reterr)
{
    struct config_problems *p = config_problems_new("machine.yaml");
    struct cfg_tree *tree = p ? cfg_tree_parse(text, size, p) : NULL;
    if (tree)
        cfg_walk(&cfg_schema_machine, cfg_tree_root(tree), p);
    if (p && config_problems_count(p)) {
        const struct config_problem *q = config_problems_at(p, 0);
        err_set(reterr, CLAN_E_INVAL, "machine.yaml has problems, so it was not changed");
        err_why(reterr, "line %u: %s%s%s", q->line, q->path, q->path[0] ? ": " : "", q->text);
        err_remedy(reterr, "clan machine apply --dry-run shows all of them");
        cfg_tree_free(tree);
        tree = NULL;
    } else if (!tree)
        err_set(reterr, CLAN_E_NOMEM, "out of memory");
    config_problems_free(p);
    return tree;
}

static clan_status begin(struct edit *e, const char *text, size_t size, struct clan_error *reterr)
{
    e->reterr = reterr;
    e->tree = parse(text, size, reterr);
    cfg_splices_begin(&e->splices, text, size);
    if (!e->tree)
        return reterr ? reterr->status : CLAN_E_INVAL;
    e->root = cfg_tree_root(e->tree);
    return CLAN_OK;
}

static void end(struct edit *e)
{
    cfg_splices_end(&e->splices);
    cfg_tree_free(e->tree);
}

static struct cfg_node *listed(const struct cfg_node *list, const char *word)
{
    for (struct cfg_node *n = list ? list->first : NULL; n; n = n->next)
        if (strcmp(n->text, word) == 0)
            return n;
    return NULL;
}

static unsigned count_of(const struct cfg_node *n)
{
    return n ? n->count : 0;
}

/* Believed only if the new text means what was asked: allow has `count` words, these among them or not. */
static bool means(const char *text, size_t size, const char *plugin, const char *const *words,
    unsigned word_count, bool there, unsigned count, const char *signer)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct cfg_tree *tree = parse(text, size, &e);
    if (!tree)
        return false;
    const struct cfg_node *p = cfg_get(cfg_get(cfg_tree_root(tree), "plugins"), plugin);
    const struct cfg_node *allow = cfg_get(p, "allow"), *by = cfg_get(p, "signer");
    bool ok = count_of(allow) == count && (!signer || (by && strcmp(by->text, signer) == 0));
    for (unsigned i = 0; i < word_count; i++)
        ok = ok && (listed(allow, words[i]) != NULL) == there;
    cfg_tree_free(tree);
    return ok;
}

static clan_status by_hand(struct edit *e)
{
    err_set(e->reterr, CLAN_E_STATE, "machine.yaml is written in a form that is not changed here");
    err_remedy(e->reterr, "change it by hand, then run as root: clan machine apply");
    return CLAN_E_STATE;
}

/* "fs.state, \"exec:lighttpd\"": all of the words, or those that the list lacks. */
static unsigned join(const struct cfg_node *list, const char *const *words, unsigned word_count,
    const char *between, char ret_text[LIST_MAX])
{
    unsigned n = 0;
    size_t len = 0;
    ret_text[0] = 0;
    for (unsigned i = 0; i < word_count && len < LIST_MAX; i++) {
        const char *q = strchr(words[i], ':') ? "\"" : "";
        if (!listed(list, words[i]))
            len += (size_t)snprintf(
                ret_text + len, LIST_MAX - len, "%s%s%s%s", n++ ? between : "", q, words[i], q);
    }
    return n;
}

static void new_entry(struct edit *e, const char *plugin, const char *const *words, unsigned count,
    const char *signer)
{
    char list[LIST_MAX], by[64] = "", flow[LIST_MAX + 128], block[LIST_MAX + 256],
                         all[LIST_MAX + 256], all_flow[LIST_MAX + 256];
    const struct cfg_node *plugins = cfg_get(e->root, "plugins");
    join(NULL, words, count, ", ", list);
    if (signer)
        snprintf(by, sizeof by, ", signer: \"%s\"", signer);
    snprintf(flow, sizeof flow, "{allow: [%s]%s}", list, by);
    snprintf(block, sizeof block, "%s: %s\n", plugin, flow);
    snprintf(all, sizeof all, "plugins:\n  %s", block);
    snprintf(all_flow, sizeof all_flow, "{%s: %s}", plugin, flow);
    if (plugins)
        cfg_splice_entry(&e->splices, plugins, plugin, block, flow);
    else
        cfg_splice_entry(&e->splices, e->root, "plugins", all, all_flow);
}

/* Before the first item: comments behind the items stay with them. */
static bool add_words(
    struct edit *e, const struct cfg_node *allow, const char *const *words, unsigned count)
{
    char list[LIST_MAX], between[160];
    const char *text = e->splices.text;
    if (allow->kind != CFG_LIST)
        return false;
    if (allow->flow) {
        if (join(allow, words, count, ", ", list))
            cfg_splice(&e->splices, allow->last ? allow->last->end : allow->start + 1, 0, "%s%s",
                allow->last ? ", " : "", list);
        return true;
    }
    size_t dash = allow->first->start, line;
    while (dash > 0 && (text[dash - 1] == ' ' || text[dash - 1] == '"' || text[dash - 1] == '\''))
        dash--;
    if (dash == 0 || text[--dash] != '-')
        return false;
    for (line = dash; line > 0 && text[line - 1] == ' '; line--)
        ;
    if (dash - line > 100 || (line > 0 && text[line - 1] != '\n'))
        return false;
    snprintf(between, sizeof between, "%s%*s- ", e->splices.newline, (int)(dash - line), "");
    if (join(allow, words, count, between, list))
        cfg_splice(
            &e->splices, dash, 0, "- %s%s%*s", list, e->splices.newline, (int)(dash - line), "");
    return true;
}

static void set_signer(struct edit *e, const struct cfg_node *plugin, const char *signer)
{
    char block[80], value[40];
    const struct cfg_node *now = cfg_get(plugin, "signer");
    snprintf(value, sizeof value, "\"%s\"", signer);
    snprintf(block, sizeof block, "signer: %s\n", value);
    if (now)
        cfg_splice(&e->splices, now->start, now->end - now->start, "%s", value);
    else
        cfg_splice_entry(&e->splices, plugin, "signer", block, value);
}

clan_status config_edit_grant(const char *text, size_t size, const char *plugin,
    const char *const *words, unsigned word_count, const char *signer, char **ret_text,
    size_t *ret_size, struct clan_error *reterr)
{
    struct edit e;
    bool possible = true;
    unsigned count = 0;
    clan_status st = begin(&e, text, size, reterr);
    if (st == CLAN_OK && (!cfg_name(plugin, 31) || (signer && !cfg_name(signer, 32))))
        st = err_set(reterr, CLAN_E_INVAL, "that is no name of a plugin or a key");
    if (st == CLAN_OK) {
        const struct cfg_node *p = cfg_get(cfg_get(e.root, "plugins"), plugin),
                              *allow = cfg_get(p, "allow");
        count = count_of(allow);
        for (unsigned i = 0; i < word_count; i++)
            count += !listed(allow, words[i]);
        if (!p)
            new_entry(&e, plugin, words, word_count, signer);
        else if ((possible = add_words(&e, allow, words, word_count)) && signer)
            set_signer(&e, p, signer);
        size_t new_size = 0;
        char *out = possible ? cfg_splices_apply(&e.splices, &new_size) : NULL;
        if (out && means(out, new_size, plugin, words, word_count, true, count, signer)) {
            *ret_text = out;
            *ret_size = new_size;
        } else {
            free(out);
            st = by_hand(&e);
        }
    }
    end(&e);
    return st;
}

clan_status config_edit_revoke(const char *text, size_t size, const char *plugin,
    const char *const *words, unsigned word_count, char **ret_text, size_t *ret_size,
    struct clan_error *reterr)
{
    struct edit e;
    clan_status st = begin(&e, text, size, reterr);
    const struct cfg_node *p = NULL;
    if (st == CLAN_OK && !(p = cfg_get(cfg_get(e.root, "plugins"), plugin))) {
        st = err_set(reterr, CLAN_E_NOENT, "machine.yaml does not name the plugin %.32s", plugin);
        err_remedy(reterr, "clan plugin list shows those that it names");
    }
    const struct cfg_node *allow = cfg_get(p, "allow"),
                          *listen = p ? cfg_get(cfg_get(e.root, "listen"), plugin) : NULL;
    bool stops_listening = !word_count;
    for (unsigned i = 0; st == CLAN_OK && i < word_count; i++) {
        const struct cfg_node *n = listed(allow, words[i]);
        stops_listening |=
            strcmp(words[i], "net.listen") == 0 || strcmp(words[i], "net.device") == 0;
        if (n)
            cfg_splice_out(&e.splices, n);
        else
            st = err_set(reterr, CLAN_E_NOENT, "%s is not allowed %.47s", plugin, words[i]);
    }
    if (st == CLAN_OK) {
        size_t new_size = 0;
        if (!word_count)
            cfg_splice_out(&e.splices, p);
        if (listen && stops_listening)
            cfg_splice_out(&e.splices, listen);
        char *out = cfg_splices_apply(&e.splices, &new_size);
        unsigned left = word_count ? count_of(allow) - word_count : 0;
        if (out && means(out, new_size, plugin, words, word_count, false, left, NULL)) {
            *ret_text = out;
            *ret_size = new_size;
        } else {
            free(out);
            st = by_hand(&e);
        }
    }
    end(&e);
    return st;
}
