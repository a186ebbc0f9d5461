/* clan plugin show: what a plugin is, who signed it, what it asks for, what it has, and what that means. */
#include "cli/plugin.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/machine.h"
#include "cli/out.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static clan_status look_at_path(struct cli *c, const char *path, struct plugin_look *l)
{
    const char *slash = strrchr(path, '/');
    size_t len = (size_t)(slash - path);
    if (len >= sizeof l->directory)
        return err_set(&c->e, CLAN_E_INVAL, "that path is too long");
    snprintf(l->directory, sizeof l->directory, "%.*s", len ? (int)len : 1, path);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        clan_status st = errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO;
        return err_errno(&c->e, st, "cannot open %.200s", path);
    }
    check_file(fd, slash + 1, &l->file, NULL);
    close(fd);
    return CLAN_OK;
}

static clan_status not_there(struct cli *c, const struct cfg_plugins *found, const char *name)
{
    const char *near = NULL;
    unsigned best = 4;
    for (unsigned i = 0; i < found->count; i++) {
        unsigned d = text_distance(name, found->list[i].id, best);
        if (d < best && found->list[i].id[0]) {
            best = d;
            near = found->list[i].id;
        }
    }
    err_set(&c->e, CLAN_E_NOENT, "no plugin is called \"%.60s\" on this machine%s%s%s", name,
        near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
    err_remedy(&c->e,
        "`clan plugin list` shows those that are there; a path (./%.60s.so) shows a "
        "file that is not installed",
        name);
    return CLAN_E_NOENT;
}

static clan_status look_at_id(struct cli *c, const char *name, struct plugin_look *l)
{
    struct cfg_plugins found;
    const char *directory = machine_plugin_dir(c);
    clan_status st = cfg_plugins_scan(directory, &found, &c->e);
    if (st != CLAN_OK)
        return st;
    const struct check_result *f = cfg_plugins_find(&found, name);
    for (unsigned i = 0; i < found.count && !f; i++)
        if (strcmp(found.list[i].file, name) == 0)
            f = &found.list[i];
    if (f) {
        l->file = *f;
        snprintf(l->directory, sizeof l->directory, "%s", directory);
    } else
        st = not_there(c, &found, name);
    cfg_plugins_free(&found);
    return st;
}

static enum plugin_bound bound_to(const struct plugin_look *l)
{
    const struct grant_plugin *g = l->granted;
    if (!g)
        return PLUGIN_NOT_GRANTED;
    bool by_file = !sodium_is_zero(g->hash, 32), by_key = !sodium_is_zero(g->signer, 32);
    bool signer = l->signature.error.status == CLAN_OK &&
                  memcmp(g->signer, l->signature.key, sizeof g->signer) == 0;
    if ((by_file && memcmp(g->hash, l->file.hash, 32) != 0) || (by_key && !signer))
        return PLUGIN_ANOTHER_FILE;
    return by_file ? PLUGIN_THIS_FILE : PLUGIN_ITS_SIGNER;
}

clan_status plugin_look(struct cli *c, const char *name, struct plugin_look *l)
{
    uint8_t *yaml = NULL;
    *l = (struct plugin_look){0};
    clan_status st = strchr(name, '/') ? look_at_path(c, name, l) : look_at_id(c, name, l);
    if (st != CLAN_OK)
        return st;
    if (file_read(AT_FDCWD, machine_yaml(), CONFIG_FILE_MAX, &yaml, &l->yaml_size, NULL) == CLAN_OK)
        l->yaml = (char *)yaml;
    config_signature(l->yaml, l->yaml_size, l->directory, l->file.file, &l->signature);
    l->grants = calloc(1, sizeof *l->grants);
    clan_assert(l->grants);
    if (grants_load(machine_grants(), false, l->grants, NULL) != CLAN_OK) {
        free(l->grants);
        l->grants = NULL;
    }
    l->granted = l->grants && l->file.id[0] ? grants_find(l->grants, l->file.id) : NULL;
    l->bound = bound_to(l);
    return CLAN_OK;
}

void plugin_look_free(struct plugin_look *l)
{
    free(l->grants);
    free(l->yaml);
    *l = (struct plugin_look){0};
}

static const char *signature_state(const struct plugin_look *l)
{
    clan_status st = l->signature.error.status;
    return st == CLAN_OK        ? "good"
           : st == CLAN_E_NOENT ? "none"
           : st == CLAN_E_AUTH  ? "unknown"
                                : "bad";
}

static void print_signature(struct cli *c, const struct plugin_look *l)
{
    const struct config_signature *s = &l->signature;
    if (s->error.status == CLAN_OK)
        out_para(c, 10, "  signed  by %s (key %s): \"%s\"", s->by, s->key_id, s->comment);
    else if (s->error.status == CLAN_E_NOENT)
        out_line(c, "  signed  by nobody");
    else
        out_para(c, 10, "  signed  %s: %s%s%s", s->error.what, s->error.why,
            s->error.remedy[0] ? "; to do: " : "", s->error.remedy);
}

static void print_bound(struct cli *c, const struct plugin_look *l)
{
    switch (l->bound) {
    case PLUGIN_NOT_GRANTED:
        out_line(c, "  granted nothing yet: it does not run");
        break;
    case PLUGIN_THIS_FILE:
        out_line(c, "  granted to this very file");
        break;
    case PLUGIN_ITS_SIGNER:
        out_line(c, "  granted to every version that %s signs", l->signature.by);
        break;
    case PLUGIN_ANOTHER_FILE:
        out_para(c, 10, "  granted to another file of this name: this one does not run");
        break;
    }
}

void plugin_print_file(struct cli *c, const struct plugin_look *l)
{
    char hash[65];
    const struct check_result *f = &l->file;
    text_hex(f->hash, 32, hash);
    out_para(c, 2, "%s%s %s%s, a %s: %s. %s", out_on(c, OUT_BOLD), f->id[0] ? f->id : f->file,
        f->version, out_off(c), check_kind_text(f->kind), f->title, f->sentence);
    out_line(c, "  file    %s/%s", l->directory, f->file);
    out_line(c, "  hash    %s", hash);
    print_signature(c, l);
    print_bound(c, l);
}

void plugin_print_word(struct cli *c, const char *before, const char *word)
{
    char means[160];
    const struct perm_word *w = perm_find(word, NULL);
    out_para(c, 6, "  %s%s%s (%s). %s%s%s", before, before[0] ? " " : "",
        perm_lets(word, means, sizeof means), word, w ? "It never " : "", w ? w->never : "",
        w ? "." : "");
}

static void print_group(
    struct cli *c, const struct plugin_look *l, const char *title, bool granted, bool available)
{
    char why[160];
    bool said = false;
    for (unsigned i = 0; i < l->file.ask_count && i < CLAN_NOTE_ASKS_MAX; i++) {
        const char *word = l->file.asks[i];
        if ((l->granted && grants_has(l->granted, word)) != granted ||
            (!granted && cfg_grantable(word, why, sizeof why) != available))
            continue;
        if (!said)
            out_line(c, "%s", title);
        said = true;
        plugin_print_word(c, c->utf8 ? "·" : "-", word);
    }
}

static void print_words(struct cli *c, const struct plugin_look *l)
{
    char words[GRANTS_WORDS_MAX][PERM_WORD_MAX];
    print_group(c, l, "It may:", true, true);
    print_group(c, l,
        l->granted ? "It asks for more, which is not granted. It would:"
                   : "It asks for this, and none of it is granted. It would:",
        false, true);
    print_group(
        c, l, "It asks for what this version of Clan grants to nobody. It would:", false, false);
    if (l->file.ask_count == 0)
        out_line(c, "It asks for nothing: it runs in its sandbox and reaches nothing outside.");
    unsigned count = l->granted ? grants_words(l->granted, words) : 0;
    for (unsigned i = 0; i < count; i++)
        if (!cfg_plugin_asks(&l->file, words[i]))
            out_para(c, 4, "  %s is granted, but it no longer asks for it", words[i]);
    for (unsigned i = 0; i < l->file.setting_count; i++) {
        const struct clan_note_setting *s = &l->file.settings[i];
        if (i == 0)
            out_line(c, "`clan enable %s` asks:", l->file.id);
        out_para(c, 4, "  %s [%s]  --set %s=...%s%s", s->question, s->preset, s->key,
            s->choices[0] ? "  one of " : "", s->choices);
    }
}

static json_t *ask_json(const struct plugin_look *l, const char *word)
{
    char means[160], why[160] = "";
    const struct perm_word *w = perm_find(word, NULL);
    bool available = cfg_grantable(word, why, sizeof why);
    bool granted = l->granted && grants_has(l->granted, word);
    return json_pack("{s:s, s:s, s:s, s:b, s:b, s:s}", "word", word, "may",
        perm_lets(word, means, sizeof means), "never", w ? w->never : "", "granted", granted,
        "available", available, "why", available ? "" : why);
}

json_t *plugin_look_json(const struct plugin_look *l)
{
    static const char *const bound[] = {"nothing", "this file", "its signer", "another file"};
    const struct check_result *f = &l->file;
    const struct config_signature *s = &l->signature;
    char hash[65], path[352], words[GRANTS_WORDS_MAX][PERM_WORD_MAX];
    json_t *asks = json_array(), *granted = json_array();
    text_hex(f->hash, 32, hash);
    snprintf(path, sizeof path, "%s/%s", l->directory, f->file);
    for (unsigned i = 0; i < f->ask_count && i < CLAN_NOTE_ASKS_MAX; i++)
        json_array_append_new(asks, ask_json(l, f->asks[i]));
    unsigned count = l->granted ? grants_words(l->granted, words) : 0;
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(granted, json_string(words[i]));
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:s,"
                     " s:{s:s, s:s, s:s, s:s, s:s}, s:s, s:o, s:o}",
        "plugin", f->id, "file", path, "version", f->version, "kind", check_kind_text(f->kind),
        "title", f->title, "sentence", f->sentence, "sdk", f->sdk, "hash", hash, "usable",
        f->error.status == CLAN_OK, "why", f->error.why, "remedy", f->error.remedy, "signature",
        "state", signature_state(l), "by", s->by, "key", s->key_id, "comment",
        s->by[0] ? s->comment : "", "why", s->error.status == CLAN_E_NOENT ? "" : s->error.why,
        "granted_to", bound[l->bound], "granted", granted, "asks", asks);
}

clan_status cmd_plugin_show(struct cli *c)
{
    struct plugin_look l;
    clan_status st = plugin_look(c, c->args[0], &l);
    if (st == CLAN_OK && c->json)
        out_json(c, plugin_look_json(&l));
    else if (st == CLAN_OK) {
        plugin_print_file(c, &l);
        if (l.file.error.status != CLAN_OK)
            out_para(c, 2, "It cannot be used: %s: %s; to do: %s", l.file.error.what,
                l.file.error.why, l.file.error.remedy);
        else
            print_words(c, &l);
        if (l.bound == PLUGIN_ANOTHER_FILE)
            out_para(c, 2, "If you trust this file, run as root: clan plugin grant %s", l.file.id);
    }
    plugin_look_free(&l);
    return st;
}
