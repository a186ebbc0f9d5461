/* Printing: folded text, colours with shapes, JSON, errors, tables, progress. */
#include "cli/out.h"

#include "base/error.h"
#include "base/text.h"

#include <langinfo.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_MIN 40
#define WIDTH_MAX 100 /* longer lines of text are hard to read */

static unsigned terminal_width(FILE *f, bool tty)
{
    const char *columns = getenv("COLUMNS");
    struct winsize ws;
    unsigned width = 0;
    if (tty && ioctl(fileno(f), TIOCGWINSZ, &ws) == 0)
        width = ws.ws_col;
    if (columns && strtoul(columns, NULL, 10))
        width = (unsigned)strtoul(columns, NULL, 10);
    if (width == 0)
        return tty ? 80 : 0;
    return width < WIDTH_MIN ? WIDTH_MIN : width;
}

void cli_streams(struct cli *c, FILE *out, FILE *err, FILE *in)
{
    const char *when = cli_opt(c, "color"), *term = getenv("TERM"), *no = getenv("NO_COLOR");
    c->out = out;
    c->err = err;
    c->in = in;
    c->out_tty = isatty(fileno(out));
    c->err_tty = isatty(fileno(err));
    c->in_tty = isatty(fileno(in));
    c->utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    c->width = terminal_width(out, c->out_tty);
    c->colour = c->out_tty && !(no && no[0]) && term && strcmp(term, "dumb") != 0;
    if (when && strcmp(when, "auto") != 0)
        c->colour = strcmp(when, "always") == 0;
}

static unsigned columns_of(const char *text, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

void out_fold(FILE *f, unsigned width, const char *first, unsigned rest, const char *text)
{
    unsigned at = columns_of(first, strlen(first)), limit = width;
    if (limit > WIDTH_MAX)
        limit = WIDTH_MAX;
    fputs(first, f);
    bool start = true;
    while (*text) {
        size_t len = strcspn(text, " \n");
        unsigned cols = columns_of(text, len);
        if (limit && !start && at + 1 + cols > limit) {
            fprintf(f, "\n%*s", (int)rest, "");
            at = rest;
            start = true;
        }
        if (!start) {
            fputc(' ', f);
            at++;
        }
        fwrite(text, 1, len, f);
        at += cols;
        start = false;
        text += len;
        if (*text == '\n') {
            fprintf(f, "\n%*s", text[1] ? (int)rest : 0, "");
            at = rest;
            start = true;
            if (!text[1])
                return;
        }
        if (*text)
            text++;
    }
    fputc('\n', f);
}

void out_line(struct cli *c, const char *fmt, ...)
{
    va_list ap;
    if (c->json)
        return;
    out_progress_end(c);
    va_start(ap, fmt);
    vfprintf(c->out, fmt, ap);
    va_end(ap);
    fputc('\n', c->out);
}

void out_para(struct cli *c, unsigned indent, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    if (c->json)
        return;
    out_progress_end(c);
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    out_fold(c->out, c->width, "", indent, text);
}

static void say(struct cli *c, const char *prefix, const char *fmt, va_list ap)
{
    char text[2048];
    out_progress_end(c);
    fflush(c->out);
    vsnprintf(text, sizeof text, fmt, ap);
    out_fold(c->err, c->err_tty ? c->width : 0, prefix, (unsigned)strlen(prefix), text);
}

void out_note(struct cli *c, const char *fmt, ...)
{
    va_list ap;
    if (c->json || c->quiet)
        return;
    va_start(ap, fmt);
    say(c, "", fmt, ap);
    va_end(ap);
}

void out_warn(struct cli *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(c, "warning: ", fmt, ap);
    va_end(ap);
}

const char *out_on(const struct cli *c, enum out_colour colour)
{
    static const char *const codes[] = {[OUT_PLAIN] = "",
        [OUT_GOOD] = "\033[32m",
        [OUT_WAIT] = "\033[33m",
        [OUT_BAD] = "\033[31m",
        [OUT_DIM] = "\033[2m",
        [OUT_BOLD] = "\033[1m"};
    return c->colour ? codes[colour] : "";
}

const char *out_off(const struct cli *c)
{
    return c->colour ? "\033[0m" : "";
}

const char *out_shape(const struct cli *c, const char *state, enum out_colour *ret_colour)
{
    static const struct {
        const char *word, *utf8, *ascii;
        enum out_colour colour;
    } rows[] = {
        {"up", "●", "*", OUT_GOOD},
        {"connected", "●", "*", OUT_GOOD},
        {"running", "●", "*", OUT_GOOD},
        {"started", "●", "*", OUT_GOOD},
        {"open", "●", "*", OUT_GOOD},
        {"this machine", "●", "*", OUT_GOOD},
        {"starting", "◐", "~", OUT_WAIT},
        {"provisional", "◐", "~", OUT_WAIT},
        {"not granted", "■", "!", OUT_BAD},
        {"no plugin", "■", "!", OUT_BAD},
        {"out of reach", "■", "!", OUT_BAD},
        {"removed", "■", "!", OUT_BAD},
        {"failed", "■", "!", OUT_BAD},
        {"refused", "■", "!", OUT_BAD},
        {"down", "○", "o", OUT_BAD},
        {"alarm", "■", "!", OUT_BAD},
        {"warning", "▲", "^", OUT_WAIT},
        {"note", "·", "-", OUT_DIM},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].word, state) == 0) {
            *ret_colour = rows[i].colour;
            return c->utf8 ? rows[i].utf8 : rows[i].ascii;
        }
    *ret_colour = OUT_DIM;
    return c->utf8 ? "○" : "o";
}

void out_json(struct cli *c, json_t *o)
{
    json_t *whole = json_object();
    out_progress_end(c);
    json_object_set_new(whole, "v", json_integer(1));
    json_object_update(whole, o);
    json_dumpf(whole, c->out, JSON_COMPACT);
    fputc('\n', c->out);
    json_decref(whole);
    json_decref(o);
    fflush(c->out);
}

static void error_json(struct cli *c, const struct clan_error *e)
{
    json_t *o = json_pack("{s:i, s:{s:s, s:i, s:s, s:s, s:s}}", "v", 1, "error", "code",
        clan_status_name(e->status), "exit", clan_status_exit(e->status), "what", e->what, "why",
        e->why, "remedy", e->remedy);
    json_dumpf(o, c->err, JSON_COMPACT);
    fputc('\n', c->err);
    json_decref(o);
}

void out_error(struct cli *c, const struct clan_error *given)
{
    struct clan_error e = *given;
    unsigned width = c->err_tty || getenv("COLUMNS") ? c->width : 0;
    out_progress_end(c);
    fflush(c->out);
    text_sanitize(e.what);
    text_sanitize(e.why);
    text_sanitize(e.remedy);
    if (c->json) {
        error_json(c, &e);
        return;
    }
    out_fold(c->err, width, "clan: ", 6, e.what[0] ? e.what : clan_status_text(e.status));
    if (e.why[0])
        out_fold(c->err, width, " why: ", 6, e.why);
    if (e.remedy[0])
        out_fold(c->err, width, "  do: ", 6, e.remedy);
}

void out_table_init(struct out_table *t, unsigned columns)
{
    *t = (struct out_table){.columns = columns};
    clan_assert(columns && columns <= OUT_CELLS_MAX);
}

void out_table_row(struct out_table *t, enum out_colour first, const char *const *cells)
{
    size_t count = (size_t)(t->rows + 1) * t->columns;
    char **more = realloc(t->cells, count * sizeof *more);
    clan_assert(more);
    t->cells = more;
    enum out_colour *colours = realloc(t->colours, (t->rows + 1) * sizeof *colours);
    clan_assert(colours);
    t->colours = colours;
    for (unsigned i = 0; i < t->columns; i++) {
        t->cells[t->rows * t->columns + i] = strdup(cells[i] ? cells[i] : "");
        clan_assert(t->cells[t->rows * t->columns + i]);
    }
    t->colours[t->rows++] = first;
}

/* How many columns fit side by side; the others go below. */
static unsigned columns_that_fit(const struct out_table *t, unsigned width, unsigned *ret_widths)
{
    unsigned at = 0, fit = 0;
    for (unsigned i = 0; i < t->columns; i++) {
        ret_widths[i] = 0;
        for (unsigned r = 0; r < t->rows; r++) {
            const char *cell = t->cells[r * t->columns + i];
            unsigned cols = columns_of(cell, strlen(cell));
            if (cols > ret_widths[i])
                ret_widths[i] = cols;
        }
        at += ret_widths[i] ? ret_widths[i] + 2 : 0;
        if (!width || at <= width + 2)
            fit = i + 1;
        else
            at = width + 3; /* whatever comes behind it stays with it */
    }
    return fit ? fit : 1;
}

static void row_below(struct cli *c, char *const *cells, unsigned from, unsigned to)
{
    char line[1024];
    size_t len = 0;
    for (unsigned i = from; i < to && len < sizeof line; i++)
        if (cells[i][0])
            len +=
                (size_t)snprintf(line + len, sizeof line - len, "%s%s", len ? "  " : "", cells[i]);
    if (len)
        out_fold(c->out, c->width, "    ", 4, line);
}

void out_table_print(struct cli *c, struct out_table *t)
{
    unsigned widths[OUT_CELLS_MAX], fit = columns_that_fit(t, c->width, widths);
    for (unsigned r = 0; r < t->rows; r++) {
        char *const *cells = t->cells + (size_t)r * t->columns;
        unsigned last = fit;
        while (last && !cells[last - 1][0])
            last--;
        for (unsigned i = 0; i < last; i++) {
            unsigned pad = widths[i] - columns_of(cells[i], strlen(cells[i]));
            const char *on = i == 0 ? out_on(c, t->colours[r]) : "";
            fprintf(c->out, "%s%s%s", on, cells[i], on[0] ? out_off(c) : "");
            if (i + 1 < last && widths[i])
                fprintf(c->out, "%*s", (int)pad + 2, "");
        }
        fputc('\n', c->out);
        row_below(c, cells, fit, t->columns);
        for (unsigned i = 0; i < t->columns; i++)
            free(cells[i]);
    }
    free(t->cells);
    free(t->colours);
    *t = (struct out_table){0};
}

static void progress_json(struct cli *c, const clan_api_Progress *p)
{
    out_json(c, json_pack("{s:{s:s, s:s, s:i, s:i, s:b}}", "progress", "step", p->step, "text",
                    p->text, "done", (int)p->done, "total", (int)p->total, "failed", p->failed));
}

void out_progress(struct cli *c, const clan_api_Progress *p)
{
    char line[400], count[32] = "";
    if (c->json) {
        progress_json(c, p);
        return;
    }
    if (c->quiet)
        return;
    if (p->total)
        snprintf(count, sizeof count, " %u/%u", p->done, p->total);
    snprintf(line, sizeof line, "%s%s%s", p->text[0] ? p->text : p->step, count,
        p->failed ? " (failed)" : "");
    if (!c->err_tty || p->failed) {
        out_progress_end(c);
        fprintf(c->err, "%s\n", line);
        return;
    }
    /* cut at the width: a line that wraps cannot be redrawn */
    size_t len = strlen(line);
    while (c->width && columns_of(line, len) > c->width - 1) {
        do
            line[--len] = 0;
        while (((unsigned char)line[len - 1] & 0xc0) == 0x80);
    }
    fprintf(c->err, "\r%s\033[K", line);
    fflush(c->err);
    c->progress_drawn = true;
}

void out_progress_end(struct cli *c)
{
    if (!c->progress_drawn)
        return;
    c->progress_drawn = false;
    fputs("\r\033[K", c->err);
    fflush(c->err);
}
