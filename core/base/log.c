/* Log records to a datagram channel or standard error. */
#include "base/log.h"

#include "base/text.h"

#include <clan/status.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static int log_fd = -1;
static enum log_level log_max = LOG_LEVEL_INFO;
static atomic_uint log_dropped;

void log_init(int fd, enum log_level max_level)
{
    log_fd = fd;
    log_max = max_level;
}

static void log_send(enum log_level level, char *text)
{
    text_sanitize(text + 1);
    text[0] = (char)('0' + level);
    size_t len = 1;
    while (text[len])
        len++;
    if (log_fd < 0) {
        text[len++] = '\n';
        ssize_t ignored = write(STDERR_FILENO, text + 1, len - 1);
        (void)ignored;
        return;
    }
    if (send(log_fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        atomic_fetch_add(&log_dropped, 1);
}

void log_record(enum log_level level, const char *fmt, ...)
{
    char text[LOG_RECORD_MAX + 1];
    if (level > log_max)
        return;
    unsigned dropped = atomic_exchange(&log_dropped, 0);
    if (dropped) {
        snprintf(text, LOG_RECORD_MAX, " %u log records were dropped", dropped);
        log_send(LOG_LEVEL_WARN, text);
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + 1, LOG_RECORD_MAX - 1, fmt, ap);
    va_end(ap);
    log_send(level, text);
}

void log_clan_error(enum log_level level, const struct clan_error *e)
{
    log_record(level, "%s%s%s%s%s%s", e->what, e->why[0] ? ": " : "", e->why,
        e->remedy[0] ? " (" : "", e->remedy, e->remedy[0] ? ")" : "");
}
