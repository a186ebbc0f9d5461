/* Walks a tree along the schema table; reports everything that does not fit. */
#include "config/schema.h"

#include "base/error.h"
#include "config/problem.h"
#include "config/value.h"
#include "wire/grants.h"

#include <stdio.h>
#include <string.h>

struct walk {
    const struct cfg_schema *schema;
    struct config_problems *problems;
};

static void walk_node(struct walk *w, struct cfg_node *n, const struct cfg_row *row);

const char *cfg_row_name(const struct cfg_row *row)
{
    const char *dot = strrchr(row->path, '.');
    return dot ? dot + 1 : row->path;
}

/* What follows the parent's path in the row's, without the dot; NULL when it is no child. */
static const char *last_part(const struct cfg_row *parent, const struct cfg_row *row)
{
    size_t len = parent ? strlen(parent->path) : 0;
    if (parent && strncmp(row->path, parent->path, len) != 0)
        return NULL;
    const char *rest = row->path + len;
    if (parent && parent->type == CFG_T_LIST)
        return strcmp(rest, "[]") == 0 ? rest : NULL;
    if (parent && *rest++ != '.')
        return NULL;
    return *rest && strpbrk(rest, ".[") == NULL ? rest : NULL;
}

bool cfg_row_is_child(const struct cfg_row *parent, const struct cfg_row *row)
{
    return last_part(parent, row) != NULL;
}

const struct cfg_row *cfg_row_child(
    const struct cfg_schema *s, const struct cfg_row *parent, const char *key)
{
    for (unsigned i = 0; i < s->count; i++) {
        const char *part = last_part(parent, &s->rows[i]);
        if (part && strcmp(part, key) == 0)
            return &s->rows[i];
    }
    return NULL;
}

/* Copies the choice with this index; false after the last. */
static bool choice_at(const char *choices, unsigned index, char *ret_text, size_t cap)
{
    for (; index; index--) {
        choices = strchr(choices, '|');
        if (!choices)
            return false;
        choices++;
    }
    snprintf(ret_text, cap, "%.*s", (int)strcspn(choices, "|"), choices);
    return true;
}

static void expects_choice(const char *choices, char *ret_text, size_t cap)
{
    char word[32];
    size_t len = 0;
    ret_text[0] = 0;
    for (unsigned i = 0; choice_at(choices, i, word, sizeof word) && len < cap; i++) {
        char next[32];
        bool last = !choice_at(choices, i + 1, next, sizeof next);
        len += (size_t)snprintf(ret_text + len, cap - len, "%s%s",
            i == 0 ? ""
            : last ? " or "
                   : ", ",
            word);
    }
}

void cfg_row_expects(const struct cfg_row *row, char *ret_text, size_t cap)
{
    static const char *const words[] = {
        [CFG_T_MAP] = "a mapping (key: value)",
        [CFG_T_DICT] = "a mapping (key: value)",
        [CFG_T_LIST] = "a list",
        [CFG_T_KEY] = "an Ed25519 key: \"ed25519:\" and 52 characters a-z 2-7",
        [CFG_T_ALLOW] = "all, provisional, tag:NAME or the name of a machine",
        [CFG_T_SIZE] = "a size such as 512M or 20G",
        [CFG_T_PERCENT] = "a percentage such as 50%",
        [CFG_T_SHARE] = "a percentage such as 25% or a size such as 20G",
        [CFG_T_DURATION] = "a time such as 30s, 5m, 2h or 7d",
        [CFG_T_LISTEN] = "an address and a port such as \"[::]:7117\" or \"0.0.0.0:7117\"",
        [CFG_T_PERMISSION] = "a permission such as fs.state or \"exec:lighttpd\"",
        [CFG_T_USER] = "the name or the number of a user",
        [CFG_T_MINISIGN] =
            "a public key of minisign: 56 characters, the second line of minisign.pub",
    };
    if (row->type == CFG_T_NUMBER && row->min == row->max)
        snprintf(ret_text, cap, "the number %llu", (unsigned long long)row->min);
    else if (row->type == CFG_T_NUMBER)
        snprintf(ret_text, cap, "a number from %llu to %llu", (unsigned long long)row->min,
            (unsigned long long)row->max);
    else if (row->type == CFG_T_NAME)
        snprintf(ret_text, cap, "a name of 1 to %llu characters a-z 0-9 - with no hyphen at an end",
            (unsigned long long)row->max);
    else if (row->type == CFG_T_TEXT)
        snprintf(ret_text, cap, "a text of at most %llu bytes", (unsigned long long)row->max);
    else if (row->type == CFG_T_CHOICE)
        expects_choice(row->choices, ret_text, cap);
    else
        snprintf(ret_text, cap, "%s", words[row->type]);
}

static bool accepts_choice(const struct cfg_row *row, const char *text)
{
    char word[32];
    for (unsigned i = 0; choice_at(row->choices, i, word, sizeof word); i++)
        if (strcmp(word, text) == 0)
            return true;
    return false;
}

bool cfg_row_accepts(const struct cfg_row *row, const char *text)
{
    uint64_t number;
    unsigned percent;
    uint8_t key[32];
    struct grant_listen listen;
    switch (row->type) {
    case CFG_T_NAME:
        return cfg_name(text, row->max);
    case CFG_T_NUMBER:
        return cfg_number(text, row->min, row->max, &number);
    case CFG_T_CHOICE:
        return accepts_choice(row, text);
    case CFG_T_KEY:
        return cfg_admin_key(text, key);
    case CFG_T_TEXT:
        return strlen(text) <= row->max;
    case CFG_T_ALLOW:
        return cfg_allow(text);
    case CFG_T_SIZE:
        return cfg_size(text, &number);
    case CFG_T_PERCENT:
        return cfg_percent(text, &percent);
    case CFG_T_SHARE:
        return cfg_size(text, &number) || cfg_percent(text, &percent);
    case CFG_T_DURATION:
        return cfg_duration(text, &number);
    case CFG_T_LISTEN:
        return cfg_listen(text, &listen);
    case CFG_T_PERMISSION:
        return cfg_permission(text);
    case CFG_T_USER:
        return cfg_user(text);
    case CFG_T_MINISIGN:
        return cfg_minisign(text);
    case CFG_T_MAP:
    case CFG_T_DICT:
    case CFG_T_LIST:
        break;
    }
    return false;
}

/* The nearest value that would be right, as far as there is a list of them. */
static struct cfg_suggest suggest_value(
    const struct cfg_row *row, const char *text, char *word, size_t cap)
{
    struct cfg_suggest s = cfg_suggest_for(text);
    const char *best = NULL;
    for (unsigned i = 0; row->type == CFG_T_CHOICE && choice_at(row->choices, i, word, cap); i++) {
        unsigned before = s.distance;
        cfg_suggest_try(&s, word);
        if (s.distance < before)
            best = strstr(row->choices, word);
    }
    const char *near = row->type == CFG_T_PERMISSION ? perm_nearest(text, word) : NULL;
    if (near)
        s.best = near;
    if (best) {
        snprintf(word, cap, "%.*s", (int)strcspn(best, "|"), best);
        s.best = word;
    }
    return s;
}

static const char *got(const struct cfg_node *n, char *buf, size_t cap)
{
    if (n->kind == CFG_LIST)
        return "a list";
    if (n->kind == CFG_MAP)
        return "a mapping";
    return cfg_is_nothing(n) ? "nothing" : cfg_quote(n->text, buf, cap);
}

static void wrong(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    char expects[128], quoted[48], word[PERM_WORD_MAX], hint[80] = "", why[160];
    if (row->type == CFG_T_PERMISSION && n->kind == CFG_SCALAR && perm_find(n->text, NULL)) {
        perm_check(n->text, PERM_IN_ALLOW, why, sizeof why);
        cfg_problem(w->problems, n, "%s", why);
        return;
    }
    if (cfg_problems_room(w->problems, n->line, n->column)) {
        cfg_row_expects(row, expects, sizeof expects);
        if (n->kind == CFG_SCALAR) {
            struct cfg_suggest s = suggest_value(row, n->text, word, sizeof word);
            cfg_suggest_text(&s, hint, sizeof hint);
        }
    }
    cfg_problem(
        w->problems, n, "expected %s, got %s%s", expects, got(n, quoted, sizeof quoted), hint);
}

/* Returns the row that was meant, if one is near; NULL otherwise. */
static const struct cfg_row *unknown_key(
    struct walk *w, struct cfg_node *n, const struct cfg_row *parent)
{
    char quoted[48], hint[80] = "";
    const struct cfg_row *meant = NULL;
    if (cfg_problems_room(w->problems, n->key->line, n->key->column)) {
        struct cfg_suggest s = cfg_suggest_for(n->key->text);
        for (unsigned i = 0; i < w->schema->count; i++) {
            if (!cfg_row_is_child(parent, &w->schema->rows[i]))
                continue;
            cfg_suggest_try(&s, cfg_row_name(&w->schema->rows[i]));
            if (s.best == cfg_row_name(&w->schema->rows[i]))
                meant = &w->schema->rows[i];
        }
        cfg_suggest_text(&s, hint, sizeof hint);
    }
    cfg_problem_key(w->problems, n, true, "unknown key %s%s",
        cfg_quote(n->key->text, quoted, sizeof quoted), hint);
    return meant;
}

/* `meant`: bits of rows that a misspelt key stands for; they are not missing too. */
static void check_missing(
    struct walk *w, struct cfg_node *n, const struct cfg_row *parent, uint64_t meant)
{
    for (unsigned i = 0; i < w->schema->count; i++) {
        const struct cfg_row *row = &w->schema->rows[i];
        if (!cfg_row_is_child(parent, row) || row->fallback || (meant >> i & 1) ||
            cfg_get(n, cfg_row_name(row)))
            continue;
        cfg_problem_key(
            w->problems, n, false, "\"%s:\" is missing: %s", cfg_row_name(row), row->doc);
    }
}

static void walk_map(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    uint64_t meant = 0;
    clan_assert(w->schema->count <= 64);
    for (struct cfg_node *c = n->first; c; c = c->next) {
        if (c->bad && c->kind == CFG_SCALAR) /* said already */
            continue;
        const struct cfg_row *child = cfg_row_child(w->schema, row, c->key->text);
        if (child)
            walk_node(w, c, child);
        else if (!c->bad && (child = unknown_key(w, c, row)))
            meant |= UINT64_C(1) << (child - w->schema->rows);
    }
    check_missing(w, n, row, meant);
}

static bool check_key(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    static const char *const expects[] = {
        [CFG_KEYS_NAME] = "a name of 1 to 32 characters a-z 0-9 - with no hyphen at an end",
        [CFG_KEYS_ID] = "the ID of a machine: 52 characters a-z 2-7, as \"clan status\" shows it",
        [CFG_KEYS_SETTING] = "a setting of 1 to 63 characters a-z 0-9 . _ -",
    };
    uint8_t id[32];
    const char *key = n->key->text;
    bool ok = row->keys == CFG_KEYS_ID     ? cfg_id(key, id)
              : row->keys == CFG_KEYS_NAME ? cfg_name(key, 32)
                                           : cfg_setting_key(key);
    char quoted[48];
    if (!ok)
        cfg_problem_key(w->problems, n, true, "expected %s, got %s", expects[row->keys],
            cfg_quote(key, quoted, sizeof quoted));
    return ok;
}

/* Entries above the cap are counted but not looked at. */
static void check_count(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    if (n->count > row->max)
        cfg_problem_key(w->problems, n, false, "at most %llu entries, got %u",
            (unsigned long long)row->max, n->count);
    else if (n->count < row->min)
        cfg_problem_key(w->problems, n, false, "at least %llu entries, got %u",
            (unsigned long long)row->min, n->count);
}

static void walk_dict(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    const struct cfg_row *child = cfg_row_child(w->schema, row, "*");
    clan_assert(child);
    check_count(w, n, row);
    for (struct cfg_node *c = n->first; c && c->index < row->max; c = c->next)
        if (!(c->bad && c->kind == CFG_SCALAR) && check_key(w, c, row))
            walk_node(w, c, child);
}

static void walk_list(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    const struct cfg_row *child = cfg_row_child(w->schema, row, "[]");
    clan_assert(child);
    check_count(w, n, row);
    for (struct cfg_node *c = n->first; c && c->index < row->max; c = c->next) {
        walk_node(w, c, child);
        for (struct cfg_node *d = n->first; d != c && !c->bad; d = d->next)
            if (strcmp(d->text, c->text) == 0)
                cfg_problem(w->problems, c, "stands here twice");
    }
}

static void check_later(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    if (row->later && !n->bad && (row->later[0] == '*' || strcmp(row->later, n->text) == 0))
        cfg_problem(w->problems, n, "%s", row->instead);
}

static void walk_node(struct walk *w, struct cfg_node *n, const struct cfg_row *row)
{
    bool nothing = cfg_is_nothing(n);
    bool structure = row->type == CFG_T_MAP || row->type == CFG_T_DICT || row->type == CFG_T_LIST;
    enum cfg_kind kind = row->type == CFG_T_LIST ? CFG_LIST : structure ? CFG_MAP : CFG_SCALAR;
    if (n->bad && n->kind == CFG_SCALAR) /* said already */
        return;
    if (n->kind != kind && !(nothing && structure))
        wrong(w, n, row);
    else if (row->type == CFG_T_MAP)
        walk_map(w, n, row);
    else if (row->type == CFG_T_DICT)
        walk_dict(w, n, row);
    else if (row->type == CFG_T_LIST)
        walk_list(w, n, row);
    else if (nothing || !cfg_row_accepts(row, n->text))
        wrong(w, n, row);
    check_later(w, n, row);
}

void cfg_walk(const struct cfg_schema *s, struct cfg_node *root, struct config_problems *problems)
{
    struct walk w = {s, problems};
    if (root->kind == CFG_MAP)
        walk_map(&w, root, NULL);
    else
        cfg_problem(problems, root, "expected a mapping (key: value), got %s",
            root->kind == CFG_LIST ? "a list" : "a single value");
}
