/* Lines, their files, and how many of them a second. */
#include "logring/logring.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "wire/channel.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_BYTES         (1024 * 1024)
#define FILES              4
#define SAID_PER_SECOND    200
#define REFUSED_PER_SECOND 5
#define SAID_WHAT          "records"
#define REFUSED_WHAT       "refused calls"

clan_status logring_open(struct logring *r, int at, const char *name, struct clan_error *e)
{
    mkdirat(at, name, 0750);
    r->dir = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (r->dir < 0 || fchown(r->dir, 0, r->gid) != 0)
        return err_errno(e, CLAN_E_IO, "cannot open the directory of the logs");
    return CLAN_OK;
}

struct logring_file logring_file(
    const struct logring *r, const char *clan, const char *process, bool plain)
{
    struct logring_file f = {.ring = r, .file = -1, .plain = plain};
    snprintf(f.clan, sizeof f.clan, "%s", clan);
    snprintf(f.process, sizeof f.process, "%s", process);
    return f;
}

void logring_close(struct logring_file *f)
{
    if (f->file >= 0)
        close(f->file);
    f->file = -1;
}

static void rotate(struct logring_file *f, const char *name)
{
    char from[160], to[160];
    for (unsigned i = FILES - 1; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%u", name, i);
        snprintf(from, sizeof from, i > 1 ? "%s.%u" : "%s", name, i - 1);
        renameat(f->ring->dir, from, f->ring->dir, to);
    }
    logring_close(f);
}

static void append(struct logring_file *f, const char *line, size_t len)
{
    struct stat st;
    char name[128];
    snprintf(name, sizeof name, "%s%s%s.log", f->clan, f->clan[0] ? "-" : "", f->process);
    if (f->file >= 0 && fstat(f->file, &st) == 0 && (size_t)st.st_size + len > FILE_BYTES)
        rotate(f, name);
    if (f->file < 0) {
        f->file = openat(
            f->ring->dir, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
        if (f->file < 0 || fchown(f->file, 0, f->ring->gid) != 0)
            return;
    }
    file_write_all(f->file, line, len);
}

void logring_line(struct logring_file *f, enum log_level level, const char *text)
{
    static const char *const words[] = {"error: ", "warning: ", "", "debug: "};
    char line[LOG_RECORD_MAX + 256];
    struct timespec now;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    size_t len = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &tm);
    int n =
        snprintf(line + len, sizeof line - len, ".%03ldZ %s%s%s[%d]: %s%s\n", now.tv_nsec / 1000000,
            f->clan, f->clan[0] ? " " : "", f->process, (int)f->pid, words[level], text);
    len = n < 0 ? 0 : len + (size_t)n < sizeof line ? len + (size_t)n : sizeof line - 1;
    append(f, line, len);
    if (f->ring->echo)
        file_write_all(STDERR_FILENO, line, len);
}

static void tell_dropped(
    struct logring_file *f, struct logring_rate *r, unsigned limit, const char *what)
{
    char text[64];
    if (!r->dropped)
        return;
    snprintf(
        text, sizeof text, "%u %s more than %u a second were dropped", r->dropped, what, limit);
    r->dropped = 0;
    logring_line(f, LOG_LEVEL_WARN, text);
}

/* False for one too many; the next second says how many there were. */
static bool within(struct logring_file *f, struct logring_rate *r, unsigned limit, const char *what)
{
    uint64_t second = clock_mono_ms() / 1000;
    if (second != r->second) {
        tell_dropped(f, r, limit, what);
        *r = (struct logring_rate){.second = second};
    }
    if (++r->count <= limit)
        return true;
    r->dropped++;
    return false;
}

static bool seen_before(struct logring_file *f, const char *text)
{
    uint32_t hash =
        2166136261u; /* FNV-1a; a plugin that makes two texts equal hides one of its own */
    while (*text)
        hash = (hash ^ (uint8_t)*text++) * 16777619u;
    hash += hash == 0;
    for (unsigned i = 0; i < LOGRING_SEEN; i++) {
        if (f->refused_seen[i] == hash)
            return true;
        if (f->refused_seen[i] == 0) {
            f->refused_seen[i] = hash;
            return false;
        }
    }
    return true;
}

void logring_refused(struct logring_file *f, const char *text)
{
    f->refused_count++;
    if (!seen_before(f, text))
        logring_line(f, LOG_LEVEL_WARN, text);
    else if (within(f, &f->refused, REFUSED_PER_SECOND, REFUSED_WHAT))
        logring_line(f, LOG_LEVEL_WARN, text);
}

void logring_flush(struct logring_file *f)
{
    tell_dropped(f, &f->refused, REFUSED_PER_SECOND, REFUSED_WHAT);
    tell_dropped(f, &f->said, SAID_PER_SECOND, SAID_WHAT);
}

static void take(struct logring_file *f, char *text, size_t size)
{
    enum log_level level = LOG_LEVEL_INFO;
    if (size == 7 && memcmp(text, "\x01loaded", 7) == 0) {
        if (f->loaded)
            *f->loaded = true;
        return;
    }
    if (!f->plain) {
        level =
            text[0] >= '0' && text[0] <= '3' ? (enum log_level)(text[0] - '0') : LOG_LEVEL_ERROR;
        text++;
    }
    for (size_t n = strlen(text); n && text[n - 1] == '\n'; n--)
        text[n - 1] = 0;
    text_sanitize(text);
    snprintf(f->last_words, sizeof f->last_words, "%s", text);
    if (within(f, &f->said, SAID_PER_SECOND, SAID_WHAT))
        logring_line(f, level, text);
}

bool logring_read(struct logring_file *f, int channel, unsigned limit)
{
    char text[LOG_RECORD_MAX + 1];
    int fds[CHANNEL_FDS_MAX];
    while (limit--) {
        size_t size, fd_count;
        clan_status s =
            channel_recv_raw(channel, text, LOG_RECORD_MAX, &size, fds, CHANNEL_FDS_MAX, &fd_count);
        if (s == CLAN_E_AGAIN || s == CLAN_E_IO)
            return s == CLAN_E_AGAIN;
        channel_close_fds(fds, s == CLAN_OK ? fd_count : 0);
        if (s != CLAN_OK || size == 0)
            continue; /* longer than a record may be */
        text[size] = 0;
        take(f, text, size);
    }
    return true;
}

void logring_rename(struct logring_file *f, const char *clan)
{
    logring_close(f);
    snprintf(f->clan, sizeof f->clan, "%s", clan);
}
