/* The problems of one file: kept in file order, printed with the line and a caret. */
#include "config/problem.h"

#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW 100 /* characters of a source line that are shown */

struct config_problems {
    char *file_name;
    char *text; /* NULL: nothing to show */
    size_t size;
    size_t count, dropped;
    struct config_problem list[CONFIG_ERRORS_MAX];
};

struct config_problems *config_problems_new(const char *file_name)
{
    struct config_problems *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->file_name = strdup(file_name);
    if (!p->file_name) {
        free(p);
        return NULL;
    }
    text_sanitize(p->file_name);
    return p;
}

void config_problems_free(struct config_problems *p)
{
    if (!p)
        return;
    free(p->file_name);
    free(p->text);
    free(p);
}

size_t config_problems_count(const struct config_problems *p)
{
    return p->count;
}

const struct config_problem *config_problems_at(const struct config_problems *p, size_t index)
{
    clan_assert(index < p->count);
    return &p->list[index];
}

void cfg_problems_begin(struct config_problems *p, const char *text, size_t size)
{
    free(p->text);
    p->text = NULL;
    p->size = 0;
    p->count = p->dropped = 0;
    if (!text)
        return;
    p->text = malloc(size + 1);
    if (!p->text) /* without it only the quoted lines are missing */
        return;
    memcpy(p->text, text, size);
    p->text[size] = 0;
    p->size = size;
}

static bool before(const struct config_problem *a, unsigned line, unsigned column)
{
    return a->line < line || (a->line == line && a->column <= column);
}

bool cfg_problems_room(const struct config_problems *p, unsigned line, unsigned column)
{
    return p->count < CONFIG_ERRORS_MAX || !before(&p->list[p->count - 1], line, column);
}

/* The place for a new problem, in file order; NULL when a hundred come before it. */
static struct config_problem *insert(struct config_problems *p, unsigned line, unsigned column)
{
    if (!cfg_problems_room(p, line, column)) {
        p->dropped++;
        return NULL;
    }
    if (p->count == CONFIG_ERRORS_MAX) {
        p->count--;
        p->dropped++;
    }
    size_t i = p->count;
    while (i > 0 && !before(&p->list[i - 1], line, column))
        i--;
    memmove(&p->list[i + 1], &p->list[i], (p->count - i) * sizeof p->list[0]);
    p->count++;
    memset(&p->list[i], 0, sizeof p->list[i]);
    return &p->list[i];
}

__attribute__((format(printf, 6, 0))) static void add(struct config_problems *p, unsigned line,
    unsigned column, unsigned length, const char *path, const char *fmt, va_list args)
{
    struct config_problem *q = insert(p, line, column);
    if (!q)
        return;
    q->line = line;
    q->column = column;
    q->length = length ? length : 1;
    snprintf(q->path, sizeof q->path, "%s", path);
    vsnprintf(q->text, sizeof q->text, fmt, args);
    text_sanitize(q->path);
    text_sanitize(q->text);
}

void cfg_problem_place(struct config_problems *p, unsigned line, unsigned column, unsigned length,
    const char *path, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(p, line, column, length, path, fmt, args);
    va_end(args);
}

static void mark_bad(struct cfg_node *n)
{
    for (; n && !n->bad; n = n->parent)
        n->bad = true;
}

void cfg_problem(struct config_problems *p, struct cfg_node *n, const char *fmt, ...)
{
    char path[sizeof p->list[0].path] = "";
    va_list args;
    mark_bad(n);
    if (cfg_problems_room(p, n->line, n->column))
        cfg_path(n, path, sizeof path);
    va_start(args, fmt);
    add(p, n->line, n->column, n->length, path, fmt, args);
    va_end(args);
}

void cfg_problem_key(
    struct config_problems *p, struct cfg_node *n, bool in_map, const char *fmt, ...)
{
    char path[sizeof p->list[0].path] = "";
    const struct cfg_node *at = n->key ? n->key : n;
    va_list args;
    mark_bad(n);
    if (cfg_problems_room(p, at->line, at->column))
        cfg_path(in_map ? n->parent : n, path, sizeof path);
    va_start(args, fmt);
    add(p, at->line, at->column, at->length, path, fmt, args);
    va_end(args);
}

struct cfg_suggest cfg_suggest_for(const char *want)
{
    size_t len = strlen(want);
    return (struct cfg_suggest){.want = want, .distance = len <= 3 ? 2 : len <= 6 ? 3 : 4};
}

void cfg_suggest_try(struct cfg_suggest *s, const char *candidate)
{
    unsigned d = text_distance(s->want, candidate, s->distance);
    if (d >= s->distance || d >= strlen(candidate)) /* nothing in common is not near */
        return;
    s->distance = d;
    s->best = candidate;
}

const char *cfg_suggest_text(const struct cfg_suggest *s, char *buf, size_t cap)
{
    buf[0] = 0;
    if (s->best)
        snprintf(buf, cap, " (did you mean \"%s\"?)", s->best);
    return buf;
}

const char *cfg_quote(const char *text, char *buf, size_t cap)
{
    clan_assert(cap >= 16);
    int n = snprintf(buf, cap - 4, "\"%s", text);
    bool cut = n < 0 || (size_t)n >= cap - 4;
    text_sanitize(buf); /* also cleans a character cut in two */
    strcat(buf, cut ? "...\"" : "\"");
    return buf;
}

/* Bytes of the character at s, as libyaml counts them; the text was checked to be UTF-8 or is
 * cleaned. */
static size_t char_size(const char *s, size_t left)
{
    unsigned char c = (unsigned char)*s;
    size_t n = c < 0x80 ? 1 : c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    return n <= left ? n : left;
}

static const char *find_line(const struct config_problems *p, unsigned line, size_t *ret_size)
{
    const char *s = p->text, *end = p->text + p->size;
    for (unsigned i = 1; i < line; i++) {
        s = memchr(s, '\n', (size_t)(end - s));
        if (!s)
            return NULL;
        s++;
    }
    const char *nl = memchr(s, '\n', (size_t)(end - s));
    *ret_size = (size_t)((nl ? nl : end) - s);
    if (*ret_size && s[*ret_size - 1] == '\r')
        (*ret_size)--;
    return s;
}

/* Copies WINDOW characters from the one with index `skip`; tabs become one space so that the caret
 * fits. */
static void cut_line(const char *s, size_t size, unsigned skip, char *ret_text)
{
    size_t at = 0, len = 0;
    for (unsigned i = 0; at < size && i < skip + WINDOW; i++) {
        size_t n = char_size(s + at, size - at);
        if (i >= skip) {
            memcpy(ret_text + len, s + at, n);
            if (ret_text[len] == '\t' || ret_text[len] == 0)
                ret_text[len] = ' ';
            len += n;
        }
        at += n;
    }
    ret_text[len] = 0;
    text_sanitize(ret_text);
}

static void print_source(
    const struct config_problems *p, const struct config_problem *q, FILE *out, bool colour)
{
    char cut[4 * WINDOW + 1];
    size_t size;
    const char *line = p->text ? find_line(p, q->line, &size) : NULL;
    if (!line)
        return;
    unsigned column = q->column - 1;
    unsigned skip = column > WINDOW * 3 / 4 ? column - WINDOW / 2 : 0;
    cut_line(line, size, skip, cut);
    fprintf(out, "%5u | %s\n      | ", q->line, cut);
    for (unsigned i = skip; i < column; i++)
        fputc(' ', out);
    fputs(colour ? "\033[1;32m^" : "^", out);
    for (unsigned i = 1; i < q->length && column - skip + i < WINDOW; i++)
        fputc('~', out);
    fputs(colour ? "\033[0m\n" : "\n", out);
}

void config_problems_print(const struct config_problems *p, FILE *out, bool colour)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct config_problem *q = &p->list[i];
        fprintf(out, "%s:%u:%u: %serror:%s ", p->file_name, q->line, q->column,
            colour ? "\033[1;31m" : "", colour ? "\033[0m" : "");
        fprintf(out, "%s%s%s\n", q->path, q->path[0] ? ": " : "", q->text);
        print_source(p, q, out, colour);
    }
    if (p->dropped)
        fprintf(out, "%s: and %zu more\n", p->file_name, p->dropped);
}
