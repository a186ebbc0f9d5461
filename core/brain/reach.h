/* Which transports have been proven to reach others and to be reached, since this core runs. */
#ifndef BRAIN_REACH_H
#define BRAIN_REACH_H

#include "brain/brain.h"

void reach_begin(void);
void reach_up(const struct brain *b, const struct session *s); /* its handshake was verified */
void reach_failed(const char *transport, const uint8_t machine[32]); /* a dial came to nothing */
void reach_show(struct brain *b, struct client *c);                  /* for clan netcheck */

#endif
