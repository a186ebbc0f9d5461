/* Lines of the process that keeps the logs. */
#include "logring/logs.h"

#include "base/error.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static struct logring_file own = {.file = -1};

clan_status logs_open(
    struct logring *r, int at, const char *name, const char *process, struct clan_error *e)
{
    own.pid = getpid();
    snprintf(own.process, sizeof own.process, "%s", process);
    clan_status s = logring_open(r, at, name, e);
    if (s == CLAN_OK)
        own.ring = r;
    return s;
}

void logs_say(const char *about, enum log_level level, const char *fmt, ...)
{
    char text[LOG_RECORD_MAX];
    va_list ap;
    int n = about[0] ? snprintf(text, sizeof text, "%s: ", about) : 0;
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
    va_end(ap);
    text_sanitize(text);
    if (own.ring)
        logring_line(&own, level, text);
    else
        fprintf(stderr, "cland: %s\n", text);
}

void logs_error(const char *about, const char *doing, const struct clan_error *e)
{
    logs_say(about, LOG_LEVEL_ERROR, "%s%s%s%s%s%s%s%s", doing, doing[0] ? ": " : "", e->what,
        e->why[0] ? ": " : "", e->why, e->remedy[0] ? " (" : "", e->remedy,
        e->remedy[0] ? ")" : "");
}

void logs_failed(void *doing, const struct clan_error *e)
{
    if (e)
        logs_error("", doing, e);
}
