/* What happened lately: a short list in memory, for people. */
#ifndef BRAIN_EVENTS_H
#define BRAIN_EVENTS_H

#include "brain/brain.h"

#define EVENTS_MAX  200
#define EVENTS_MANY 120 /* of kinds that a machine whose network is bad makes all the time */

/* kind: "joined", "confirmed", "removed", "connected", "lost", "path", "service-up", "service-down",
 * "service-moved", "config", "invited", "invite-used",
 * "invite-closed", "alarm".  machine, service: "" none. */
void events_note(struct brain *b, const char *kind, const char *machine, const char *service,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
void events_reconcile(struct brain *b); /* what became different since the last time */
void events_path(
    struct brain *b, const uint8_t machine[32], const char *from, const char *to, const char *why);
void events_show(struct client *c); /* the newest first */
uint64_t events_serial(void);       /* grows with each */
void events_forget(void);           /* for tests: as a fresh core */

#endif
