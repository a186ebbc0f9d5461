/* Who asks through a plugin that shows the clan: one-time codes, and the sessions that they become. */
#ifndef BRAIN_SESSIONS_H
#define BRAIN_SESSIONS_H

#include "brain/brain.h"

#define SESSIONS_CODE_S    30
#define SESSIONS_HOURS     12
#define SESSIONS_CODES_MAX 8 /* waiting at once, of a user; the oldest goes */
#define SESSIONS_ENDED_MAX                                                                         \
    64 /* remembered until they would expire; more: all that are as old end too */

/* A code for that user, good once within SESSIONS_CODE_S, and where the plugin answers it.  NOTRUNNING: no
 * such plugin runs. */
clan_status sessions_code(
    struct brain *b, uint32_t uid, clan_api_UiCode *ret, struct clan_error *reterr);
/* A code becomes a session; it is spent whatever comes of it.  uid: who reaches the address that it came to;
 * from: instead, where a browser of another machine came from (visit.h). */
clan_status sessions_open(struct brain *b, const clan_api_SessionOpen *m, clan_api_Session *ret,
    struct clan_error *reterr);
/* Both halves must fit.  A session outlives this core: it is a MAC by a key of this machine.  *ret has no
 * cookie and no token. */
clan_status sessions_use(struct brain *b, const clan_api_SessionUse *m, clan_api_Session *ret,
    uint8_t ret_id[16], struct clan_error *reterr);
/* May still ask: it neither expired nor ended, and its user still uses the clan here, or its machine may look. */
bool sessions_good(struct brain *b, const clan_api_Session *s, const uint8_t id[16]);
/* Person and role of now. */
void sessions_refresh(struct brain *b, clan_api_Session *s);
/* Durable: a core that starts anew knows it.  An error: it has ended here, and perhaps not for the next core. */
clan_status sessions_end(
    struct brain *b, const clan_api_Session *s, const uint8_t id[16], struct clan_error *reterr);
void sessions_load(struct brain *b); /* those that ended; what cannot be read ends all */

#endif
