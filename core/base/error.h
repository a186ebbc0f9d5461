/* Filling error records: what, why, what to do. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <clan/status.h>

/* Sets status and `what` (printf style), clears the rest; e may be NULL.  Returns status. */
clan_status err_set(struct clan_error *e, clan_status status, const char *what_fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds the other two sentences; e may be NULL. */
void err_why(struct clan_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_remedy(struct clan_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* `what` from the arguments, `why` from errno. */
clan_status err_errno(struct clan_error *e, clan_status status, const char *what_fmt, ...)
    __attribute__((format(printf, 3, 4)));

const char *clan_status_name(clan_status status); /* "EXPIRED" */
const char *clan_status_text(clan_status status); /* "expired" */
int clan_status_exit(clan_status status);         /* exit class of the command line */

/* A programming error: stays on in release, prints the place to the log and aborts. */
#define clan_assert(cond) ((cond) ? (void)0 : clan_assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void clan_assert_failed(const char *cond, const char *file, int line);

#endif
