/* Logging of every process: one record per line, to a descriptor; identity is added by the reader.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#define LOG_RECORD_MAX 1024 /* bytes of one record, the level byte included */

enum log_level { LOG_LEVEL_ERROR = 0, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Records go to fd as one datagram each: a level byte ('0'..'3') and text.  fd < 0: standard error
 * with a newline (tests, command line).  A full channel drops and counts; logging never blocks. */
void log_init(int fd, enum log_level max_level);
void log_record(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_record(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_record(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_record(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_record(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* Logs an error record in one line: what: why (remedy). */
struct clan_error;
void log_clan_error(enum log_level level, const struct clan_error *e);

#endif
