/* A unified diff of two texts; the work is bounded, beyond it one block stands for another. */
#include "config/config.h"

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define CONTEXT   3
#define EDITS_MAX 1500             /* longest script that is looked for; its trace takes 9 MB */
#define STEPS_MAX (20u * 1000000u) /* compared lines */

struct line {
    const char *text;
    size_t size; /* with the line break, if there is one */
    uint64_t hash;
    bool changed;
};
struct side {
    struct line *lines;
    size_t count;
};

static bool split(const char *text, size_t size, struct side *ret)
{
    size_t count = 0;
    const char *end = text + size;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '\n';
    count += size && end[-1] != '\n';
    ret->lines = calloc(count + 1, sizeof *ret->lines);
    ret->count = count;
    for (size_t i = 0; ret->lines && i < count; i++) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((nl ? nl + 1 : end) - text);
        uint64_t h = 14695981039346656037u; /* FNV-1a */
        for (size_t k = 0; k < len; k++)
            h = (h ^ (unsigned char)text[k]) * 1099511628211u;
        ret->lines[i] = (struct line){text, len, h, false};
        text += len;
    }
    return ret->lines != NULL;
}

static bool same(const struct line *a, const struct line *b)
{
    return a->hash == b->hash && a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

/* Myers, "An O(ND) Difference Algorithm" (1986), greedy forward form with a trace.  trace[d] holds
 * the furthest x of the diagonals -d..d.  Returns the length of the script, -1 beyond the bounds.
 */
static int search(const struct line *a, int n, const struct line *b, int m, int **trace)
{
    unsigned steps = 0;
    for (int d = 0; d <= EDITS_MAX && d <= n + m; d++) {
        int *v = malloc((size_t)(2 * d + 1) * sizeof *v);
        const int *u = d ? trace[d - 1] : NULL; /* index k + d - 1 */
        if (!v)
            return -1;
        trace[d] = v;
        for (int k = -d; k <= d; k += 2) {
            int x = 0;
            if (d && (k == -d || (k != d && u[k - 1 + d - 1] < u[k + 1 + d - 1])))
                x = u[k + 1 + d - 1];
            else if (d)
                x = u[k - 1 + d - 1] + 1;
            while (x < n && x - k < m && same(&a[x], &b[x - k])) {
                x++;
                if (++steps > STEPS_MAX)
                    return -1;
            }
            v[k + d] = x;
            /* diagonals of the other parity are never read, those past an end never win */
            if (x >= n && x - k >= m)
                return d;
        }
    }
    return -1;
}

static void mark_script(struct line *a, int n, struct line *b, int m, int **trace, int d)
{
    int x = n, y = m;
    for (; d > 0; d--) {
        int k = x - y;
        const int *u = trace[d - 1];
        bool down = k == -d || (k != d && u[k - 1 + d - 1] < u[k + 1 + d - 1]);
        int before = down ? u[k + 1 + d - 1] : u[k - 1 + d - 1];
        if (down) {
            y = before - (k + 1);
            x = before;
            b[y].changed = true;
        } else {
            x = before;
            y = before - (k - 1);
            a[x].changed = true;
        }
    }
}

static void mark_all(struct line *lines, size_t count)
{
    for (size_t i = 0; i < count; i++)
        lines[i].changed = true;
}

static void compare(struct side *old, struct side *new)
{
    size_t head = 0, n = old->count, m = new->count;
    while (head < n && head < m && same(&old->lines[head], &new->lines[head]))
        head++;
    while (n > head && m > head && same(&old->lines[n - 1], &new->lines[m - 1])) {
        n--;
        m--;
    }
    struct line *a = old->lines + head, *b = new->lines + head;
    n -= head;
    m -= head;
    int **trace = n && m ? calloc(EDITS_MAX + 1, sizeof *trace) : NULL;
    int d = trace ? search(a, (int)n, b, (int)m, trace) : -1;
    if (d >= 0) {
        mark_script(a, (int)n, b, (int)m, trace, d);
    } else {
        mark_all(a, n);
        mark_all(b, m);
    }
    for (int i = 0; trace && i <= EDITS_MAX; i++)
        free(trace[i]);
    free(trace);
}

static void print_line(FILE *out, char mark, const struct line *l, bool colour)
{
    size_t size = l->size;
    bool ended = size && l->text[size - 1] == '\n';
    char *copy = strndup(l->text, size - ended);
    const char *paint = !colour ? "" : mark == '+' ? "\033[32m" : mark == '-' ? "\033[31m" : "";
    if (copy) { /* the text may come from others: nothing in it may drive the terminal */
        text_sanitize(copy);
        fprintf(out, "%s%c%s%s\n", paint, mark, copy, *paint ? "\033[0m" : "");
    }
    if (!ended)
        fputs("\\ No newline at end of file\n", out);
    free(copy);
}

static void print_range(FILE *out, char mark, size_t from, size_t count)
{
    fprintf(out, "%c%zu", mark, count ? from + 1 : from);
    if (count != 1)
        fprintf(out, ",%zu", count);
}

/* Where the two sides stand: i and j are the next lines. */
struct hunk {
    size_t i, j, i_end, j_end;
};

/* The next hunk from (i, j) on, with its context; false when nothing more is changed. */
static bool next_hunk(
    const struct side *a, const struct side *b, size_t i, size_t j, struct hunk *ret)
{
    size_t equal = 0;
    while (i < a->count && j < b->count && !a->lines[i].changed && !b->lines[j].changed) {
        i++;
        j++;
        equal++;
    }
    if (i >= a->count && j >= b->count)
        return false;
    size_t before = equal < CONTEXT ? equal : CONTEXT;
    ret->i = i - before;
    ret->j = j - before;
    for (equal = 0; i < a->count || j < b->count;) {
        if (i < a->count && a->lines[i].changed) {
            i++;
            equal = 0;
        } else if (j < b->count && b->lines[j].changed) {
            j++;
            equal = 0;
        } else if (equal == 2 * CONTEXT) {
            break;
        } else {
            i++;
            j++;
            equal++;
        }
    }
    size_t after = equal > CONTEXT ? equal - CONTEXT : 0;
    ret->i_end = i - after;
    ret->j_end = j - after;
    return true;
}

static void print_hunk(
    FILE *out, const struct side *a, const struct side *b, const struct hunk *h, bool colour)
{
    size_t i = h->i, j = h->j;
    fputs(colour ? "\033[36m@@ " : "@@ ", out);
    print_range(out, '-', h->i, h->i_end - h->i);
    fputc(' ', out);
    print_range(out, '+', h->j, h->j_end - h->j);
    fputs(colour ? " @@\033[0m\n" : " @@\n", out);
    while (i < h->i_end || j < h->j_end) {
        if (i < h->i_end && a->lines[i].changed)
            print_line(out, '-', &a->lines[i++], colour);
        else if (j < h->j_end && b->lines[j].changed)
            print_line(out, '+', &b->lines[j++], colour);
        else {
            print_line(out, ' ', &a->lines[i++], colour);
            j++;
        }
    }
}

void config_diff(const char *old_text, size_t old_size, const char *new_text, size_t new_size,
    const char *old_name, const char *new_name, FILE *out, bool colour)
{
    struct side a = {0}, b = {0};
    if (!split(old_text, old_size, &a) || !split(new_text, new_size, &b)) {
        fputs("out of memory: the change cannot be shown\n", out);
    } else {
        struct hunk h;
        size_t i = 0, j = 0;
        bool first = true;
        compare(&a, &b);
        for (; next_hunk(&a, &b, i, j, &h); i = h.i_end, j = h.j_end) {
            if (first)
                fprintf(out, "--- %s\n+++ %s\n", old_name, new_name);
            first = false;
            print_hunk(out, &a, &b, &h, colour);
        }
    }
    free(a.lines);
    free(b.lines);
}
