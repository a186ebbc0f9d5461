/* clan plugin grant, clan plugin revoke: one question, then machine.yaml and what the warden reads. */
#include "cli/plugin.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/adminkey.h"
#include "cli/machine.h"
#include "cli/out.h"

#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HASH_DIGITS_MIN 8

struct consent {
    struct plugin_look look;    /* grant */
    struct grants *now;         /* what the warden has; changed for one plugin only */
    struct grant_plugin before; /* id "": none */
    char *text, *wanted;
    size_t size, wanted_size;
};

static clan_status consent_open(struct cli *c, struct consent *x)
{
    uint8_t *data = NULL;
    clan_status st = file_read(AT_FDCWD, machine_yaml(), CONFIG_FILE_MAX, &data, &x->size, &c->e);
    x->text = (char *)data;
    x->now = calloc(1, sizeof *x->now);
    clan_assert(x->now);
    if (st == CLAN_OK)
        st = grants_load(machine_grants(), false, x->now, &c->e);
    if (st == CLAN_E_NOENT) {
        err_set(&c->e, st, "this machine's owner did not say anything yet");
        err_why(&c->e, "%s or what was made from it is not there", machine_yaml());
        err_remedy(&c->e, "run `sudo clan machine apply` once; it asks about all plugins together");
    }
    return st;
}

static void consent_close(struct consent *x)
{
    plugin_look_free(&x->look);
    free(x->now);
    free(x->text);
    free(x->wanted);
}

/* Only this plugin's record changes: a file of another plugin that changed stays a question. */
static clan_status put_record(struct cli *c, struct grants *g, const char *id,
    const struct grant_plugin *record, struct grant_plugin *ret_before)
{
    unsigned at = 0;
    while (at < g->plugin_count && strcmp(g->plugins[at].id, id) != 0)
        at++;
    if (at < g->plugin_count)
        *ret_before = g->plugins[at];
    if (record && at == GRANTS_PLUGINS_MAX)
        return err_set(&c->e, CLAN_E_LIMIT, "at most %u plugins may run here", GRANTS_PLUGINS_MAX);
    if (record) {
        g->plugins[at] = *record;
        g->plugin_count += at == g->plugin_count;
    } else if (at < g->plugin_count) {
        g->plugins[at] = g->plugins[--g->plugin_count];
        memset(&g->plugins[g->plugin_count], 0, sizeof g->plugins[0]);
    }
    return CLAN_OK;
}

static void show_diff(struct cli *c, const struct consent *x)
{
    if (c->json || (x->size == x->wanted_size && memcmp(x->text, x->wanted, x->size) == 0))
        return;
    char wanted[PATH_MAX];
    snprintf(wanted, sizeof wanted, "%s (new)", machine_yaml());
    config_diff(
        x->text, x->size, x->wanted, x->wanted_size, machine_yaml(), wanted, c->out, c->colour);
}

/* machine.yaml stays the truth, so it is written first. */
static clan_status store(struct cli *c, const struct consent *x, unsigned *ret_told)
{
    const char *name;
    int dir;
    clan_status st = userdir_open(machine_yaml(), &dir, &name, &c->e);
    if (st == CLAN_OK) {
        st = file_write_durable(dir, name, x->wanted, x->wanted_size, 0644, &c->e);
        close(dir);
    }
    if (st == CLAN_OK)
        st = grants_store(machine_grants(), x->now, &c->e);
    if (st == CLAN_OK)
        machine_offers(c);
    *ret_told = st == CLAN_OK ? machine_tell_clans(c) : 0;
    return st;
}

/* ---- grant ---- */

/* --yes is for scripts: they say which bytes somebody looked at. */
static clan_status hash_agrees(struct cli *c, const struct plugin_look *l)
{
    char hash[65];
    const char *given = cli_opt(c, "hash");
    text_hex(l->file.hash, 32, hash);
    if (given && (strlen(given) < HASH_DIGITS_MIN || strlen(given) > 64 ||
                     strncasecmp(given, hash, strlen(given)) != 0)) {
        err_set(&c->e, CLAN_E_CONFLICT, "%s is not the file that --hash names", l->file.file);
        err_why(
            &c->e, "its hash is %s; at least %u digits of it are compared", hash, HASH_DIGITS_MIN);
        err_remedy(&c->e, "look at it anew: clan plugin show %s", l->file.id);
        return CLAN_E_CONFLICT;
    }
    if (c->yes && !given && !cli_opt(c, "dry-run") && l->signature.error.status != CLAN_OK) {
        err_set(&c->e, CLAN_E_INVAL, "--yes needs --hash for a file that nobody you know signed");
        err_why(&c->e, "without it, whatever lies there by then would be granted");
        err_remedy(&c->e, "add --hash %.16s if that is the file you looked at", hash);
        return CLAN_E_INVAL;
    }
    return CLAN_OK;
}

/* What is not granted unasked: what cannot be, and that other machines look at this one. */
static bool left_out(const struct check_result *f, const char *word, char *ret_why, size_t cap)
{
    if (!cfg_grantable(word, ret_why, cap))
        return true;
    if (strcmp(word, "net.service") != 0 || !cfg_plugin_asks(f, "api.session"))
        return false;
    snprintf(ret_why, cap,
        "net.service, by which other machines look at this one; to allow it, name it");
    return true;
}

/* The words to grant: those of the command line, or all that the plugin asks for and can have. */
static clan_status choose(struct cli *c, const struct plugin_look *l,
    const char *words[CLAN_NOTE_ASKS_MAX], unsigned *ret_count)
{
    char why[160];
    unsigned n = 0;
    for (unsigned i = 1; i < c->arg_count; i++) {
        if (!cfg_grantable(c->args[i], why, sizeof why))
            return err_set(&c->e, CLAN_E_INVAL, "%s", why);
        if (!cfg_plugin_asks(&l->file, c->args[i])) {
            cfg_plugin_asks_text(&l->file, why, sizeof why);
            return err_set(&c->e, CLAN_E_INVAL, "%s never asks for %s; it asks for %s", l->file.id,
                c->args[i], why);
        }
        words[n++] = c->args[i];
    }
    for (unsigned i = 0; c->arg_count == 1 && i < l->file.ask_count; i++)
        if (!left_out(&l->file, l->file.asks[i], why, sizeof why))
            words[n++] = l->file.asks[i];
    *ret_count = n;
    return CLAN_OK;
}

/* The record that the new machine.yaml gives to this plugin. */
static clan_status compile_record(struct cli *c, struct consent *x)
{
    struct grants *g = calloc(1, sizeof *g);
    char *summary = NULL;
    clan_assert(g);
    clan_status st = machine_compile(c, machine_yaml(), x->wanted, x->wanted_size, g, &summary);
    const struct grant_plugin *p = st == CLAN_OK ? grants_find(g, x->look.file.id) : NULL;
    if (st == CLAN_OK && !p) {
        st = err_set(&c->e, CLAN_E_GRANT, "%s cannot be granted", x->look.file.id);
        err_why(&c->e, "%s: %s", x->look.signature.error.what, x->look.signature.error.why);
        err_remedy(&c->e, "%s", x->look.signature.error.remedy);
    }
    if (st == CLAN_OK && !sodium_is_zero(p->hash, 32) &&
        memcmp(p->hash, x->look.file.hash, 32) != 0) { /* what is shown is what is granted */
        st = err_set(&c->e, CLAN_E_CONFLICT, "the file %s changed just now", x->look.file.file);
        err_remedy(&c->e, "look at it anew: clan plugin show %s", x->look.file.id);
    }
    if (st == CLAN_OK)
        st = put_record(c, x->now, p->id, p, &x->before);
    free(summary);
    free(g);
    return st;
}

/* The whole of it for a new plugin; beside what was agreed to for one that is known. */
static void show_grant(struct cli *c, const struct consent *x)
{
    const struct grant_plugin *p = grants_find(x->now, x->look.file.id);
    char words[GRANTS_WORDS_MAX][PERM_WORD_MAX], why[160];
    unsigned count = grants_words(p, words), more = 0;
    bool known = x->before.id[0] != 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0, said = 0; i < count; i++) {
            bool had = known && grants_has(&x->before, words[i]);
            if (had != (pass == 1))
                continue;
            if (!said++)
                out_line(c, pass    ? "As before, it may:"
                            : known ? "It asks in addition to:"
                                    : "It asks to:");
            plugin_print_word(c, c->utf8 ? "·" : "-", words[i]);
            more += pass == 0;
        }
    }
    if (count == 0)
        out_line(c, "It asks for nothing: it runs in its sandbox and reaches nothing outside.");
    if (known && !more)
        out_line(c, "It asks for nothing in addition.");
    count = known ? grants_words(&x->before, words) : 0;
    for (unsigned i = 0; i < count; i++)
        if (!grants_has(p, words[i]))
            out_para(c, 2, "It no longer asks for %s, which is taken away.", words[i]);
    for (unsigned i = 0; i < x->look.file.ask_count; i++)
        if (!grants_has(p, x->look.file.asks[i]) &&
            left_out(&x->look.file, x->look.file.asks[i], why, sizeof why))
            out_para(c, 2, "Left out: %s.", why);
    if ((p->permissions & GRANT_NET_LISTEN) && p->listen_count == 0)
        out_para(c, 2, "It accepts connections nowhere until \"listen:\" in %s lists addresses.",
            machine_yaml());
}

/* What an earlier version had and this one no longer asks for goes out of machine.yaml. */
static void drop_unasked(struct consent *x, char **ret_text, size_t *ret_size)
{
    char all[GRANTS_WORDS_MAX][PERM_WORD_MAX];
    const char *gone[GRANTS_WORDS_MAX];
    const struct grant_plugin *had = grants_find(x->now, x->look.file.id);
    unsigned count = had ? grants_words(had, all) : 0, n = 0;
    for (unsigned i = 0; i < count; i++)
        if (!cfg_plugin_asks(&x->look.file, all[i]))
            gone[n++] = all[i];
    /* where the text does not say them, there is nothing to take out */
    if (n)
        config_edit_revoke(x->text, x->size, x->look.file.id, gone, n, ret_text, ret_size, NULL);
}

/* A command that can be copied is whole, and its words mean what they say to a shell. */
static bool command_ok(const char *file, const char *directory)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._+-";
    return strlen(file) + strlen(directory) < 140 && !file[strspn(file, plain)] &&
           !directory[strspn(directory, plain)];
}

static clan_status prepare(struct cli *c, struct consent *x)
{
    const char *words[CLAN_NOTE_ASKS_MAX];
    unsigned count = 0;
    struct plugin_look *l = &x->look;
    clan_status st = plugin_look(c, c->args[0], l);
    if (st == CLAN_OK && l->file.error.status != CLAN_OK) {
        c->e = l->file.error;
        st = c->e.status;
    }
    if (st == CLAN_OK && strchr(c->args[0], '/')) {
        st = err_set(
            &c->e, CLAN_E_INVAL, "%s is not installed, so it cannot be granted", l->file.file);
        err_why(
            &c->e, "permission is given to a plugin in Clan's directory, where only root writes");
        if (command_ok(c->args[0], machine_plugin_dir(c)))
            err_remedy(&c->e, "sudo install -m 644 %s %s/ && sudo clan plugin grant %s", c->args[0],
                machine_plugin_dir(c), l->file.id);
        else
            err_remedy(
                &c->e, "copy it to %s as root, then grant %s", machine_plugin_dir(c), l->file.id);
    }
    if (st == CLAN_OK)
        st = hash_agrees(c, l);
    if (st == CLAN_OK)
        st = choose(c, l, words, &count);
    if (st == CLAN_OK)
        st = consent_open(c, x);
    char *less = NULL;
    size_t size = 0;
    if (st == CLAN_OK)
        drop_unasked(x, &less, &size);
    if (st == CLAN_OK)
        st = config_edit_grant(less ? less : x->text, less ? size : x->size, l->file.id, words,
            count, cli_opt(c, "signer"), &x->wanted, &x->wanted_size, &c->e);
    free(less);
    return st == CLAN_OK ? compile_record(c, x) : st;
}

static clan_status give(struct cli *c, struct consent *x)
{
    const char *id = x->look.file.id;
    const struct grant_plugin *now = grants_find(x->now, id);
    char question[160];
    unsigned told = 0;
    bool same = memcmp(now, &x->before, sizeof *now) == 0;
    plugin_print_file(c, &x->look);
    if (same) {
        out_line(c, "All of that is granted already; nothing was changed.");
    } else {
        show_grant(c, x);
        show_diff(c, x);
    }
    bool dry = cli_opt(c, "dry-run") != NULL;
    clan_status st = CLAN_OK;
    if (dry && !same)
        out_note(c, "nothing was changed (--dry-run)");
    snprintf(
        question, sizeof question, "Let %s %s do this on this machine?", id, x->look.file.version);
    if (!same && !dry)
        st = ask_go_on(c, question);
    if (!same && !dry && st == CLAN_OK) {
        st = store(c, x, &told);
        if (st == CLAN_OK)
            out_line(c, "granted%s", told ? ", and taken over" : "");
    }
    if (st == CLAN_OK && c->json) {
        x->look.granted = now;
        x->look.bound = sodium_is_zero(now->hash, 32) ? PLUGIN_ITS_SIGNER : PLUGIN_THIS_FILE;
        json_t *o = plugin_look_json(&x->look);
        json_object_set_new(o, "changed", json_boolean(!same && !dry));
        json_object_set_new(o, "clans_told", json_integer(told));
        out_json(c, o);
    }
    return st;
}

clan_status cmd_plugin_grant(struct cli *c)
{
    struct consent x = {0};
    clan_status st = machine_root(c, "plugin grant");
    if (st == CLAN_OK)
        st = prepare(c, &x);
    if (st == CLAN_OK)
        st = give(c, &x);
    consent_close(&x);
    return st;
}

/* ---- revoke ---- */

/* The record without some words; without any given, none at all. */
static clan_status take_away(struct cli *c, struct consent *x, const char *id)
{
    struct grant_plugin less = {0};
    const struct grant_plugin *had = grants_find(x->now, id);
    if (c->arg_count == 1 || !had)
        return put_record(c, x->now, id, NULL, &x->before);
    less = *had;
    less.exec_count = 0;
    memset(less.exec, 0, sizeof less.exec);
    for (unsigned k = 0; k < had->exec_count; k++) {
        char word[PERM_WORD_MAX];
        bool goes = false;
        snprintf(word, sizeof word, "exec:%.31s", had->exec[k]);
        for (unsigned i = 1; i < c->arg_count; i++)
            goes |= strcmp(c->args[i], word) == 0;
        if (!goes)
            memcpy(less.exec[less.exec_count++], had->exec[k], sizeof less.exec[0]);
    }
    for (unsigned i = 1; i < c->arg_count; i++)
        less.permissions &= ~perm_bit(c->args[i]);
    if (!(less.permissions & GRANT_NET_LISTEN)) {
        memset(less.listen, 0, sizeof less.listen);
        less.listen_count = 0;
    }
    return put_record(c, x->now, id, &less, &x->before);
}

static clan_status take_back(struct cli *c, struct consent *x, const char *id)
{
    char question[160];
    unsigned told = 0;
    bool dry = cli_opt(c, "dry-run") != NULL;
    const struct grant_plugin *left = grants_find(x->now, id);
    if (left)
        machine_changes(c, &x->before, left);
    else
        out_para(c, 2,
            "%s may do nothing any more: it is ended and not started again. Its data "
            "stays where it is.",
            id);
    show_diff(c, x);
    snprintf(question, sizeof question, "Take this away from %s?", id);
    clan_status st = dry ? CLAN_OK : ask_go_on(c, question);
    if (st == CLAN_OK && !dry)
        st = store(c, x, &told);
    if (st != CLAN_OK)
        return st;
    if (dry)
        out_note(c, "nothing was changed (--dry-run)");
    else
        out_line(c, "revoked%s", told ? ", and taken over" : "");
    if (c->json)
        out_json(c, json_pack("{s:s, s:b, s:b, s:i}", "plugin", id, "granted", left != NULL,
                        "changed", !dry, "clans_told", (int)told));
    return CLAN_OK;
}

clan_status cmd_plugin_revoke(struct cli *c)
{
    struct consent x = {0};
    const char *id = c->args[0];
    clan_status st = machine_root(c, "plugin revoke");
    if (st == CLAN_OK)
        st = consent_open(c, &x);
    if (st == CLAN_OK)
        st = config_edit_revoke(
            x.text, x.size, id, c->args + 1, c->arg_count - 1, &x.wanted, &x.wanted_size, &c->e);
    if (st == CLAN_OK)
        st = take_away(c, &x, id);
    if (st == CLAN_OK)
        st = take_back(c, &x, id);
    consent_close(&x);
    return st;
}
