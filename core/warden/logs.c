/* What the warden says itself. */
#include "warden/warden.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static struct logring_file own = {.file = -1, .process = "cland"};

clan_status logs_open(struct warden *w, struct clan_error *e)
{
    w->logs = (struct logring){.gid = w->clan_gid, .echo = w->opt.verbose};
    own.pid = getpid();
    clan_status s = logring_open(&w->logs, w->clans_fd, "../log", e);
    if (s != CLAN_OK)
        return err_errno(e, s, "cannot open %s/log", w->opt.state_dir);
    own.ring = &w->logs;
    return CLAN_OK;
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
    if (own.ring)
        logring_line(&own, level, text);
    else
        fprintf(stderr, "cland: %s\n", text);
}

void logs_error(struct clan *c, const char *doing, const struct clan_error *e)
{
    logs_say(c, LOG_LEVEL_ERROR, "%s%s%s%s%s%s%s%s", doing, doing[0] ? ": " : "", e->what,
        e->why[0] ? ": " : "", e->why, e->remedy[0] ? " (" : "", e->remedy,
        e->remedy[0] ? ")" : "");
}
