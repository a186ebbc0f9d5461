/* Connections of the local API to the brain of brain_fixture.h, whose clock stands still. */
#ifndef BRAIN_CLIENT_FIXTURE_H
#define BRAIN_CLIENT_FIXTURE_H

#include "brain_fixture.h"

extern uint64_t now_ms;
extern int64_t wall_s;
extern clan_api_Answer client_answer,
    client_row;              /* the last one, and the one before that was not */
extern unsigned client_rows; /* answers before the last */

/* nas, with root, the owner 1000, the local users 1001 and who runs the test, and a plugin that runs */
int client_setup(void **state);
int client_teardown(void **state);
int client_connects(void); /* as the command line */
int client_signs_in(uint32_t uid);
void session_of(uint32_t uid, clan_api_Session *ret);
clan_status client_ask(int fd, const clan_api_Request *r); /* of the last answer */
clan_status client_asks(int fd, pb_size_t tag);
void client_tells(int fd, pb_size_t tag); /* and waits for nothing */
/* The next answer within wait_ms; false: none came. */
bool client_next(int fd, int wait_ms);
void client_hangs_up(int fd);

#endif
