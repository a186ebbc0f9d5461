/* Text splices at places of the tree: comments, order and blank lines stay. */
#include "config/splice.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void cfg_splices_begin(struct cfg_splices *s, const char *text, size_t size)
{
    const char *nl = memchr(text, '\n', size);
    *s = (struct cfg_splices){.text = text, .size = size};
    s->newline = nl && nl > text && nl[-1] == '\r' ? "\r\n" : "\n";
}

void cfg_splices_end(struct cfg_splices *s)
{
    for (unsigned i = 0; i < s->count; i++)
        free(s->list[i].text);
    s->count = 0;
}

static void add(struct cfg_splices *s, size_t at, size_t cut, char *text)
{
    if (s->count == CFG_SPLICES_MAX || at > s->size || cut > s->size - at) {
        s->failed = true;
        free(text);
        return;
    }
    s->list[s->count++] = (struct cfg_splice){at, cut, text};
}

void cfg_splice(struct cfg_splices *s, size_t at, size_t cut, const char *fmt, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, fmt);
    if (vasprintf(&text, fmt, args) < 0) {
        text = NULL;
        s->failed = true;
    }
    va_end(args);
    add(s, at, cut, text);
}

static size_t line_start(const struct cfg_splices *s, size_t at)
{
    while (at > 0 && s->text[at - 1] != '\n')
        at--;
    return at;
}

/* After the line break, or the end of the text. */
static size_t line_end(const struct cfg_splices *s, size_t at)
{
    const char *nl = at < s->size ? memchr(s->text + at, '\n', s->size - at) : NULL;
    return nl ? (size_t)(nl - s->text) + 1 : s->size;
}

static size_t skip_blanks(const struct cfg_splices *s, size_t at)
{
    while (at < s->size && (s->text[at] == ' ' || s->text[at] == '\t'))
        at++;
    return at;
}

static bool only_blanks(const struct cfg_splices *s, size_t from, size_t to)
{
    for (; from < to; from++)
        if (!strchr(" \t\r\n", s->text[from]))
            return false;
    return true;
}

/* The first place at or after `at` that is no blank, line break or comment. */
static size_t skip_comments(const struct cfg_splices *s, size_t at)
{
    while (at < s->size) {
        if (s->text[at] == '#')
            at = line_end(s, at);
        else if (strchr(" \t\r\n", s->text[at]))
            at++;
        else
            break;
    }
    return at;
}

/* Where the block entry ends that has its last leaf before `at` and its key in `column` (from 0):
 * after the line, and after comments that are indented deeper than the key. */
static size_t block_end(const struct cfg_splices *s, size_t at, size_t column)
{
    size_t end = line_end(s, at);
    while (end < s->size) {
        size_t text = skip_blanks(s, end);
        if (text >= s->size || s->text[text] != '#' || text - end <= column)
            break;
        end = line_end(s, text);
    }
    return end;
}

/* The block lines, each with `column` spaces and the file's own line break. */
static char *indented(const struct cfg_splices *s, const char *block, size_t column)
{
    size_t lines = 0, size = strlen(block);
    for (const char *c = block; *c; c++)
        lines += *c == '\n';
    char *out = malloc(size + lines * (column + 2) + 1), *w = out;
    if (!out)
        return NULL;
    while (*block) {
        size_t len = strcspn(block, "\n");
        memset(w, ' ', column);
        memcpy(w + column, block, len);
        w = stpcpy(w + column + len, s->newline);
        block += len + (block[len] == '\n');
    }
    *w = 0;
    return out;
}

static void entry_block(struct cfg_splices *s, size_t at, size_t column, const char *block)
{
    char *lines = indented(s, block, column);
    bool open_line = at > 0 && s->text[at - 1] != '\n'; /* the file ends without a line break */
    if (!lines)
        s->failed = true;
    else
        cfg_splice(s, at, 0, "%s%s", open_line ? s->newline : "", lines);
    free(lines);
}

static void entry_flow(
    struct cfg_splices *s, const struct cfg_node *map, const char *key, const char *flow)
{
    if (map->last)
        cfg_splice(s, map->last->end, 0, ", %s: %s", key, flow);
    else
        cfg_splice(s, map->start + 1, 0, "%s: %s", key, flow);
}

static size_t column_of(const struct cfg_node *n)
{
    return (n->key ? n->key : n)->column - 1;
}

/* A key that stands first in its line: the only form of block entries that is edited. */
static bool first_in_line(const struct cfg_splices *s, const struct cfg_node *entry)
{
    size_t at = (entry->key ? entry->key : entry)->start, from = line_start(s, at);
    size_t text = skip_blanks(s, from);
    if (!entry->key && text < at && s->text[text] == '-')
        text = skip_blanks(s, text + 1);
    return text == at;
}

void cfg_splice_entry(struct cfg_splices *s, const struct cfg_node *map, const char *key,
    const char *block, const char *flow)
{
    bool in_block = block && map->parent && !map->parent->flow && first_in_line(s, map);
    if (map->kind == CFG_MAP && !map->flow) { /* a block map has an entry */
        if (!first_in_line(s, map->first))
            s->failed = true;
        else
            entry_block(
                s, block_end(s, map->end, column_of(map->first)), column_of(map->first), block);
    } else if (map->count == 0 && in_block &&
               only_blanks(s, map->start + 1, map->end - !!map->flow) &&
               s->text[skip_blanks(s, map->end)] != ',') {
        size_t from = map->start;
        if (map->flow && from > 0 && s->text[from - 1] == ' ')
            from--; /* no space before the end of the line */
        if (map->flow)
            cfg_splice(s, from, map->end - from, "%s", "");
        entry_block(s, line_end(s, map->end), column_of(map) + 2, block);
    } else if (map->kind == CFG_MAP) {
        entry_flow(s, map, key, flow);
    } else {
        cfg_splice(s, map->end, 0, " {%s: %s}", key, flow);
    }
}

static const struct cfg_node *sibling_before(const struct cfg_node *entry)
{
    const struct cfg_node *n = entry->parent->first;
    if (n == entry)
        return NULL;
    while (n->next != entry)
        n = n->next;
    return n;
}

static void out_of_block(struct cfg_splices *s, const struct cfg_node *entry)
{
    const struct cfg_node *parent = entry->parent;
    const struct cfg_node *head = entry->key ? entry->key : entry;
    if (!first_in_line(s, entry)) {
        s->failed = true;
        return;
    }
    size_t from = line_start(s, head->start);
    size_t column = skip_blanks(s, from) - from;
    cfg_splice(s, from, block_end(s, entry->end, column) - from, "%s", "");
    if (parent->count > 1)
        return;
    if (!parent->key || s->text[skip_blanks(s, parent->key->end)] != ':') {
        s->failed = true;
        return;
    }
    cfg_splice(s, skip_blanks(s, parent->key->end) + 1, 0, parent->kind == CFG_MAP ? " {}" : " []");
}

static void out_of_flow(struct cfg_splices *s, const struct cfg_node *entry)
{
    size_t from = (entry->key ? entry->key : entry)->start, to = entry->end;
    size_t comma = skip_comments(s, to);
    const struct cfg_node *before = sibling_before(entry);
    if (comma < s->size && s->text[comma] == ',') {
        /* an entry alone in its line takes the line along */
        size_t after = only_blanks(s, to, comma) ? skip_blanks(s, comma + 1) : to;
        if (after == to)
            cfg_splice(s, comma, 1, "%s", "");
        if (after < s->size && s->text[after] == '\n' &&
            only_blanks(s, line_start(s, from), from)) {
            from = line_start(s, from);
            after++;
        }
        cfg_splice(s, from, after - from, "%s", "");
    } else if (before) {
        comma = skip_comments(s, before->end);
        if (comma + 1 <= from && only_blanks(s, comma + 1, from)) {
            cfg_splice(s, comma, to - comma, "%s", "");
        } else {
            cfg_splice(s, comma, 1, "%s", "");
            cfg_splice(s, from, to - from, "%s", "");
        }
    } else {
        cfg_splice(s, from, to - from, "%s", "");
    }
}

void cfg_splice_out(struct cfg_splices *s, const struct cfg_node *entry)
{
    clan_assert(entry->parent);
    if (entry->parent->flow)
        out_of_flow(s, entry);
    else
        out_of_block(s, entry);
}

static int by_place(const void *a, const void *b)
{
    const struct cfg_splice *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    return x->cut < y->cut ? -1 : x->cut > y->cut;
}

char *cfg_splices_apply(struct cfg_splices *s, size_t *ret_size)
{
    size_t size = s->size + 1, from = 0;
    qsort(s->list, s->count, sizeof s->list[0], by_place);
    for (unsigned i = 0; i < s->count; i++) {
        if (s->failed || s->list[i].at < from)
            return NULL;
        from = s->list[i].at + s->list[i].cut;
        size += s->list[i].text ? strlen(s->list[i].text) : 0;
    }
    char *out = s->failed ? NULL : malloc(size), *w = out;
    if (!out)
        return NULL;
    from = 0;
    for (unsigned i = 0; i < s->count; i++) {
        const struct cfg_splice *x = &s->list[i];
        memcpy(w, s->text + from, x->at - from);
        w += x->at - from;
        if (x->text)
            w = stpcpy(w, x->text);
        from = x->at + x->cut;
    }
    memcpy(w, s->text + from, s->size - from);
    w += s->size - from;
    *w = 0;
    *ret_size = (size_t)(w - out);
    return out;
}
