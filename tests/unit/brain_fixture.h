/* A clan of four machines and the brain of one of them, without other processes. */
#ifndef BRAIN_FIXTURE_H
#define BRAIN_FIXTURE_H

#include "brain/brain.h"
#include "member_fixture.h"

/* nas founded the clan and is its keeper; carl, dave and erin are members; own and guest are spare. */
extern struct fx f;
extern struct brain *b;
extern char dir[64]; /* its state directory */
extern struct fx_machine nas, carl, dave, erin, own, guest;

int brain_setup(void **state);
int brain_teardown(void **state);
struct brain *brain_new(void);
void give(struct fx_stmt s);
void admit(struct fx_machine *m, const struct fx_machine *door, bool confirmed);
void become(const struct fx_machine *m);               /* whose brain it is */
struct session *connected(const struct fx_machine *m); /* a control session with it, that is up */

/* of a channel that only the test reads */
void no_chan(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count);
void no_gone(void *arg);

#endif
