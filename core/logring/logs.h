/* What the owner of the ring says itself, in a file of its own. */
#ifndef LOGRING_LOGS_H
#define LOGRING_LOGS_H

#include "logring/logring.h"

/* Until then, and when it fails, lines go to standard error. */
clan_status logs_open(
    struct logring *r, int at, const char *name, const char *process, struct clan_error *e);
/* about: whom it concerns, "" for nobody in particular */
void logs_say(const char *about, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void logs_error(const char *about, const char *doing, const struct clan_error *e);
void logs_failed(void *doing, const struct clan_error *e); /* the same; e NULL: nothing */

#endif
