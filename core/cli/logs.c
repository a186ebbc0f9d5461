/* clan logs: the rings of all processes, merged by time. */
#include "base/error.h"
#include "base/text.h"
#include "cli/out.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define STATE_DIR  "/var/lib/clan"
#define FILES_MAX  512
#define LINE_BYTES 1536
#define LINES_MAX  200000
#define FOLLOW_MS  1000

struct line {
    char *text;
    unsigned long order; /* as read: equal times stay in file order */
};
struct logs {
    struct cli *c;
    char dir[256];
    const char *process;
    struct line *lines;
    size_t count, cap;
    struct { /* how far each live file was read */
        char name[128];
        ino_t inode;
        off_t at;
    } seen[FILES_MAX];
    unsigned seen_count;
};

/* "home-core.log", "home-core.log.2"; with --clan only that clan's and cland's own. */
static bool wanted_file(const struct logs *l, const char *name)
{
    const char *dot = strstr(name, ".log");
    if (!dot || (dot[4] && (dot[4] != '.' || strlen(dot) != 6)) || dot - name > 90)
        return false;
    size_t len = (size_t)(dot - name), clan = l->c->clan ? strlen(l->c->clan) : 0;
    bool own = len == 5 && strncmp(name, "cland", 5) == 0;
    if (clan && !own && (strncmp(name, l->c->clan, clan) != 0 || name[clan] != '-'))
        return false;
    if (!l->process)
        return true;
    size_t plen = strlen(l->process);
    return len >= plen && strncmp(name + len - plen, l->process, plen) == 0 &&
           (len == plen || name[len - plen - 1] == '-');
}

static void keep_line(struct logs *l, const char *text)
{
    if (l->count == LINES_MAX)
        return;
    if (l->count == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 1024;
        l->lines = realloc(l->lines, l->cap * sizeof *l->lines);
        clan_assert(l->lines);
    }
    l->lines[l->count].order = (unsigned long)l->count;
    l->lines[l->count].text = strdup(text);
    clan_assert(l->lines[l->count++].text);
}

static unsigned seen_index(struct logs *l, const char *name)
{
    for (unsigned i = 0; i < l->seen_count; i++)
        if (strcmp(l->seen[i].name, name) == 0)
            return i;
    if (l->seen_count == FILES_MAX)
        return FILES_MAX;
    memset(&l->seen[l->seen_count], 0, sizeof l->seen[0]);
    snprintf(l->seen[l->seen_count].name, sizeof l->seen[0].name, "%s", name);
    return l->seen_count++;
}

static void read_lines(struct logs *l, FILE *f, off_t *at)
{
    char text[LINE_BYTES];
    while (fgets(text, sizeof text, f)) {
        size_t len = strlen(text);
        if (len && text[len - 1] != '\n' && len < sizeof text - 1)
            break; /* still being written */
        *at += (off_t)len;
        if (len && text[len - 1] == '\n')
            text[len - 1] = 0;
        text_sanitize(text);
        keep_line(l, text);
    }
}

/* Reads what is new; a file that was rotated away is read again under its new name only at the
 * start. */
static void read_file(struct logs *l, const char *name)
{
    char path[512];
    struct stat st;
    unsigned i = seen_index(l, name);
    if (i == FILES_MAX || snprintf(path, sizeof path, "%s/%s", l->dir, name) >= (int)sizeof path)
        return;
    FILE *f = fopen(path, "re");
    if (!f)
        return;
    if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode)) {
        if (l->seen[i].inode != st.st_ino || st.st_size < l->seen[i].at)
            l->seen[i].at = 0;
        l->seen[i].inode = st.st_ino;
        if (fseeko(f, l->seen[i].at, SEEK_SET) == 0)
            read_lines(l, f, &l->seen[i].at);
    }
    fclose(f);
}

static clan_status read_all(struct logs *l, bool rotated_too)
{
    DIR *dir = opendir(l->dir);
    if (!dir) {
        clan_status st = errno == ENOENT ? CLAN_E_NOENT : errno == EACCES ? CLAN_E_PERM : CLAN_E_IO;
        err_errno(&l->c->e, st, "cannot read the logs in %s", l->dir);
        err_remedy(&l->c->e, st == CLAN_E_PERM
                                 ? "use sudo, or join the group clan"
                                 : "they are there once cland has run on this machine");
        return st;
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (wanted_file(l, e->d_name) && (rotated_too || !strstr(e->d_name, ".log.")))
            read_file(l, e->d_name);
    closedir(dir);
    return CLAN_OK;
}

/* Records begin with their time in one form, so they sort as text. */
static int by_time(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int d = strncmp(x->text, y->text, 24);
    return d ? d : x->order < y->order ? -1 : 1;
}

static void print_line(struct cli *c, const char *text)
{
    enum out_colour colour = strstr(text, "]: error: ")     ? OUT_BAD
                             : strstr(text, "]: warning: ") ? OUT_WAIT
                                                            : OUT_PLAIN;
    if (c->json)
        out_json(c, json_pack("{s:s}", "line", text));
    else
        fprintf(c->out, "%s%s%s\n", out_on(c, colour), text, colour == OUT_PLAIN ? "" : out_off(c));
}

static void flush_lines(struct logs *l, size_t last)
{
    if (l->count)
        qsort(l->lines, l->count, sizeof *l->lines, by_time);
    for (size_t i = 0; i < l->count; i++) {
        if (i + last >= l->count)
            print_line(l->c, l->lines[i].text);
        free(l->lines[i].text);
    }
    l->count = 0;
    fflush(l->c->out);
}

static clan_status follow(struct logs *l)
{
    clan_status st = CLAN_OK;
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0)
        inotify_add_watch(fd, l->dir, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    while (st == CLAN_OK && !ferror(l->c->out)) {
        char events[4096];
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        poll(&pfd, 1, FOLLOW_MS);
        while (fd >= 0 && read(fd, events, sizeof events) > 0)
            ;
        st = read_all(l, false);
        flush_lines(l, SIZE_MAX / 2);
    }
    if (fd >= 0)
        close(fd);
    return st;
}

static clan_status unknown_process(struct cli *c, const char *name)
{
    err_set(&c->e, CLAN_E_NOENT, "no process called %s has logged anything here", name);
    err_remedy(
        &c->e, "a plugin's is host-NAME; the others are core, link, resolver, keeper, cland");
    return CLAN_E_NOENT;
}

clan_status cmd_logs(struct cli *c)
{
    struct logs *l = calloc(1, sizeof *l);
    const char *state = getenv("CLAN_STATE_DIR");
    uint32_t last = cli_opt(c, "follow") ? 20 : 200;
    clan_assert(l);
    l->c = c;
    l->process = cli_opt(c, "process");
    clan_status st = cli_opt_number(c, "lines", 1, LINES_MAX, &last);
    if (st == CLAN_OK && snprintf(l->dir, sizeof l->dir, "%s/log",
                             state && state[0] ? state : STATE_DIR) >= (int)sizeof l->dir)
        st = err_set(&c->e, CLAN_E_INVAL, "CLAN_STATE_DIR is too long");
    if (st == CLAN_OK)
        st = read_all(l, true);
    if (st == CLAN_OK && l->process && !l->seen_count && !cli_opt(c, "follow"))
        st = unknown_process(c, l->process);
    flush_lines(l, st == CLAN_OK ? last : 0);
    if (st == CLAN_OK && cli_opt(c, "follow"))
        st = follow(l);
    free(l->lines);
    free(l);
    return st;
}
