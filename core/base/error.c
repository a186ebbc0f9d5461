/* Error records and the status table's texts. */
#include "base/error.h"

#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    clan_status status;
    int exit_class;
    const char *name, *text;
} status_table[] = {
#define ROW(n, number, exit_class, t) {number, exit_class, #n, t},
    CLAN_STATUS_TABLE(ROW)
#undef ROW
};

#define STATUS_COUNT ((clan_status)(sizeof status_table / sizeof status_table[0]))

const char *clan_status_name(clan_status status)
{
    return status >= 0 && status < STATUS_COUNT ? status_table[status].name : "UNKNOWN";
}

const char *clan_status_text(clan_status status)
{
    return status >= 0 && status < STATUS_COUNT ? status_table[status].text : "unknown status";
}

int clan_status_exit(clan_status status)
{
    return status >= 0 && status < STATUS_COUNT ? status_table[status].exit_class : 1;
}

clan_status err_set(struct clan_error *e, clan_status status, const char *what_fmt, ...)
{
    if (!e)
        return status;
    e->size = sizeof *e;
    e->status = status;
    e->why[0] = e->remedy[0] = 0;
    va_list ap;
    va_start(ap, what_fmt);
    vsnprintf(e->what, sizeof e->what, what_fmt, ap);
    va_end(ap);
    return status;
}

void err_why(struct clan_error *e, const char *fmt, ...)
{
    if (!e)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->why, sizeof e->why, fmt, ap);
    va_end(ap);
}

void err_remedy(struct clan_error *e, const char *fmt, ...)
{
    if (!e)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->remedy, sizeof e->remedy, fmt, ap);
    va_end(ap);
}

clan_status err_errno(struct clan_error *e, clan_status status, const char *what_fmt, ...)
{
    int saved = errno;
    if (!e)
        return status;
    e->size = sizeof *e;
    e->status = status;
    e->remedy[0] = 0;
    va_list ap;
    va_start(ap, what_fmt);
    vsnprintf(e->what, sizeof e->what, what_fmt, ap);
    va_end(ap);
    snprintf(e->why, sizeof e->why, "%s", strerror(saved));
    errno = saved;
    return status;
}

void clan_assert_failed(const char *cond, const char *file, int line)
{
    log_error("assertion failed: %s at %s:%d", cond, file, line);
    abort();
}
