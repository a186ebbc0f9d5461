/* What each process logs, in a ring of files under a name that the process cannot choose. */
#ifndef LOGRING_LOGRING_H
#define LOGRING_LOGRING_H

#include "base/log.h"

#include <clan/status.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct logring {
    int dir;
    gid_t gid; /* may read */
    bool echo; /* to standard error too */
};
/* The directory `name` below `at`, made when it is not there. */
clan_status logring_open(struct logring *r, int at, const char *name, struct clan_error *e);

#define LOGRING_SEEN 256 /* different refusals of one process that are written without a rate */

struct logring_rate {
    uint64_t second;
    unsigned count, dropped;
};
struct logring_file { /* CLAN-PROCESS.log; the first name may be empty */
    const struct logring *ring;
    int file; /* -1: opened by the next line */
    char clan[33], process[64];
    pid_t pid;
    bool plain;   /* a program of the system: its records have no level byte */
    bool *loaded; /* set when it says that its libraries are loaded; NULL: it does not */
    struct logring_rate said, refused;
    uint32_t refused_count; /* since it was started; each text is written at least once */
    uint32_t refused_seen[LOGRING_SEEN];
    char last_words[200];
};
void logring_line(struct logring_file *f, enum log_level level, const char *text);
/* Records of other processes begin with their level, `plain` ones do not. */
struct logring_file logring_file(
    const struct logring *r, const char *clan, const char *process, bool plain);
/* What the sandbox refused it: each text once, of more only a few a second, so that noise hides nothing. */
void logring_refused(struct logring_file *f, const char *text);
/* How many were not written, if any: said when it is quiet again or gone, not first at the next one. */
void logring_flush(struct logring_file *f);
/* At most `limit` records from its channel; false at the end of the channel. */
bool logring_read(struct logring_file *f, int channel, unsigned limit);
void logring_close(struct logring_file *f); /* until the next line */
void logring_rename(
    struct logring_file *f, const char *clan); /* it goes on in the file of that clan */

#endif
