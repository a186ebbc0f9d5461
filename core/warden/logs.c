/* The log channel of each child, written to a ring of files under a name that the child cannot
 * choose. */
#include "warden/warden.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "wire/channel.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LOG_FILE_BYTES     (1024 * 1024)
#define LOG_FILES          4
#define LOG_PER_SECOND     200
#define REFUSED_PER_SECOND 5

static struct warden *warden; /* for records that belong to no clan */
static int own_file = -1;

clan_status logs_open(struct warden *w, struct clan_error *e)
{
    warden = w;
    mkdirat(w->clans_fd, "../log", 0750);
    w->log_dir = openat(w->clans_fd, "../log", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (w->log_dir < 0 || fchown(w->log_dir, 0, w->clan_gid) != 0)
        return err_errno(e, CLAN_E_IO, "cannot open %s/log", w->opt.state_dir);
    return CLAN_OK;
}

static void rotate(int *file, const char *name)
{
    char from[160], to[160];
    for (unsigned i = LOG_FILES - 1; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%u", name, i);
        snprintf(from, sizeof from, i > 1 ? "%s.%u" : "%s", name, i - 1);
        renameat(warden->log_dir, from, warden->log_dir, to);
    }
    close(*file);
    *file = -1;
}

static void append(int *file, const char *name, const char *line, size_t len)
{
    struct stat st;
    if (*file >= 0 && fstat(*file, &st) == 0 && (size_t)st.st_size + len > LOG_FILE_BYTES)
        rotate(file, name);
    if (*file < 0) {
        *file = openat(
            warden->log_dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (*file < 0 || fchown(*file, 0, warden->clan_gid) != 0)
            return;
    }
    file_write_all(*file, line, len);
}

static void line_write(int *file, const char *clan, const char *process, pid_t pid,
    enum log_level level, const char *text)
{
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    char line[LOG_RECORD_MAX + 256], name[128];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(line + len, sizeof line - len, ".%03ldZ %s%s%s[%d]: %s%s\n",
        now.tv_nsec / 1000000, clan, clan[0] ? " " : "", process, (int)pid, words[level], text);
    len = n < 0 ? 0 : len + (size_t)n < sizeof line ? len + (size_t)n : sizeof line - 1;
    snprintf(name, sizeof name, "%s%s%s.log", clan, clan[0] ? "-" : "", process);
    append(file, name, line, len);
    if (warden->opt.verbose)
        file_write_all(STDERR_FILENO, line, len);
}

void logs_say(struct clan *c, enum log_level level, const char *fmt, ...)
{
    char text[LOG_RECORD_MAX];
    va_list ap;
    int n = c ? snprintf(text, sizeof text, "%s: ", clans_name(c)) : 0;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    text_sanitize(text);
    if (warden)
        line_write(&own_file, "", "cland", getpid(), level, text);
    else
        fprintf(stderr, "cland: %s\n", text);
}

void logs_error(struct clan *c, const char *doing, const struct clan_error *e)
{
    logs_say(c, LOG_LEVEL_ERROR, "%s%s%s%s%s%s%s%s", doing, doing[0] ? ": " : "", e->what,
        e->why[0] ? ": " : "", e->why, e->remedy[0] ? " (" : "", e->remedy,
        e->remedy[0] ? ")" : "");
}

void logs_write(struct child *ch, enum log_level level, const char *text)
{
    static const char *const kinds[] = {
        "", "core", "link", "resolver", "keeper", "host", "program"};
    char process[96];
    bool named = ch->kind == WARD_KIND_HOST || ch->kind == WARD_KIND_PROGRAM;
    snprintf(process, sizeof process, "%s%s%s", kinds[ch->kind], named ? "-" : "",
        named ? ch->name : "");
    line_write(&ch->log_file, clans_name(ch->clan), process, ch->sandbox.pid, level, text);
}

/* False for one too many; the next second says how many there were. */
static bool within(struct child *ch, struct log_rate *r, unsigned limit, const char *what)
{
    uint64_t second = clock_mono_ms() / 1000;
    if (second != r->second && r->dropped) {
        char dropped[64];
        snprintf(dropped, sizeof dropped, "%u %s more than %u a second were dropped", r->dropped,
            what, limit);
        logs_write(ch, LOG_LEVEL_WARN, dropped);
    }
    if (second != r->second)
        *r = (struct log_rate){.second = second};
    if (++r->count <= limit)
        return true;
    r->dropped++;
    return false;
}

void logs_refused(struct child *ch, const char *text)
{
    if (within(ch, &ch->refused, REFUSED_PER_SECOND, "refused calls"))
        logs_write(ch, LOG_LEVEL_WARN, text);
}

static void take(struct child *ch, char *text, size_t size)
{
    enum log_level level = LOG_LEVEL_INFO;
    if (size == 7 && memcmp(text, "\x01loaded", 7) == 0) {
        ch->sandbox.loaded = true;
        return;
    }
    if (ch->kind != WARD_KIND_PROGRAM) { /* a program's standard error has no level byte */
        level =
            text[0] >= '0' && text[0] <= '3' ? (enum log_level)(text[0] - '0') : LOG_LEVEL_ERROR;
        text++;
    }
    for (size_t n = strlen(text); n && text[n - 1] == '\n'; n--)
        text[n - 1] = 0;
    text_sanitize(text);
    snprintf(ch->last_words, sizeof ch->last_words, "%s", text);
    if (within(ch, &ch->said, LOG_PER_SECOND, "records"))
        logs_write(ch, level, text);
}

/* False at the end of the channel. */
static bool take_some(struct child *ch, unsigned limit)
{
    char text[LOG_RECORD_MAX + 1];
    int fds[CHANNEL_FDS_MAX];
    while (limit--) {
        size_t size, fd_count;
        clan_status s = channel_recv_raw(
            ch->log_fd, text, LOG_RECORD_MAX, &size, fds, CHANNEL_FDS_MAX, &fd_count);
        if (s == CLAN_E_AGAIN || s == CLAN_E_IO)
            return s == CLAN_E_AGAIN;
        channel_close_fds(fds, s == CLAN_OK ? fd_count : 0);
        if (s != CLAN_OK || size == 0)
            continue; /* longer than a record may be */
        text[size] = 0;
        take(ch, text, size);
    }
    return true;
}

void logs_readable(void *arg, int fd, uint32_t events)
{
    struct child *ch = arg;
    (void)events;
    if (!take_some(ch, 64))
        loop_fd_del(ch->clan->warden->loop, fd);
}

void logs_take(struct child *ch)
{
    if (ch->log_fd >= 0)
        take_some(ch, 512);
}
