/* Lines of the control protocol out of bytes; values out of lines. */
#include "control.h"

#include <stdio.h>
#include <string.h>

static bool digit(char c)
{
    return c >= '0' && c <= '9';
}

/* false: not a line of this protocol */
static bool take_line(struct control *c, control_line_fn *fn, void *user)
{
    const char *l = c->line;
    if (c->len < 4 || !digit(l[0]) || !digit(l[1]) || !digit(l[2]) ||
        (l[3] != ' ' && l[3] != '-' && l[3] != '+'))
        return false;
    struct control_line line = {
        .code = (unsigned)(l[0] - '0') * 100 + (unsigned)(l[1] - '0') * 10 + (unsigned)(l[2] - '0'),
        .last = l[3] == ' ',
        .text = l + 4};
    c->data = l[3] == '+';
    fn(user, &line);
    return true;
}

static bool end_line(struct control *c, control_line_fn *fn, void *user)
{
    bool good = true;
    if (c->len && c->line[c->len - 1] == '\r')
        c->len--;
    c->line[c->len] = 0;
    if (!c->data)
        good = take_line(c, fn, user);
    else if (strcmp(c->line, ".") == 0)
        c->data = 0;
    c->len = 0;
    return good;
}

bool control_feed(
    struct control *c, const void *bytes, size_t size, control_line_fn *fn, void *user)
{
    const char *p = bytes;
    for (size_t i = 0; i < size && !c->broken; i++) {
        if (c->data && ++c->data > CONTROL_DATA_MAX)
            c->broken = true;
        else if (p[i] == '\n')
            c->broken = !end_line(c, fn, user);
        else if (c->len < CONTROL_LINE_MAX)
            /* it goes into texts for people */
            c->line[c->len++] = p[i] == '\r' || (p[i] >= ' ' && p[i] < 127) ? p[i] : '?';
        else if (!c->data) /* a long line of data is skipped like the rest of it */
            c->broken = true;
    }
    return !c->broken;
}

/* Where the value of KEY= begins, outside of quotes; NULL: nowhere. */
static const char *find_key(const char *text, const char *key)
{
    size_t n = strlen(key);
    bool quoted = false, begins = true;
    for (const char *p = text; *p; p++) {
        if (!quoted && begins && strncmp(p, key, n) == 0 && p[n] == '=')
            return p + n + 1;
        begins = *p == ' ';
        if (*p == '\\' && quoted && p[1])
            p++;
        else if (*p == '"')
            quoted = !quoted;
    }
    return NULL;
}

bool control_value(const char *text, const char *key, char *ret_value, size_t cap)
{
    const char *p = find_key(text, key);
    size_t n = 0;
    if (!p)
        return false;
    bool quoted = *p == '"';
    for (p += quoted; *p && *p != (quoted ? '"' : ' '); p++) {
        if (quoted && *p == '\\' && p[1])
            p++;
        if (n + 1 >= cap)
            return false;
        ret_value[n++] = *p;
    }
    ret_value[n] = 0;
    return !quoted || *p == '"';
}

bool control_bootstrap(const char *text, struct control_bootstrap *ret)
{
    char number[8];
    const char *at = strstr(text, "BOOTSTRAP ");
    *ret = (struct control_bootstrap){0};
    if (!at || !control_value(at, "PROGRESS", number, sizeof number) || !digit(number[0]))
        return false;
    for (const char *p = number; digit(*p) && ret->progress <= 100; p++)
        ret->progress = ret->progress * 10 + (unsigned)(*p - '0');
    if (ret->progress > 100)
        return false;
    if (!control_value(at, "SUMMARY", ret->summary, sizeof ret->summary))
        ret->summary[0] = 0;
    char level[8] = "";
    const char *word = at - text >= 5 ? at - 5 : text;
    snprintf(level, sizeof level, "%.5s", word);
    ret->warns = strncmp(level, "WARN ", 5) == 0;
    if (!ret->warns || !control_value(at, "REASON", ret->reason, sizeof ret->reason))
        ret->reason[0] = 0;
    if (ret->warns && !control_value(at, "WARNING", ret->why, sizeof ret->why))
        snprintf(ret->why, sizeof ret->why, "%s", ret->reason);
    return true;
}
