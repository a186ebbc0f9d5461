/* What a joiner may dial, and how far the start of what it dials with is. */
#ifndef BRAIN_JOINDIAL_H
#define BRAIN_JOINDIAL_H

#include "brain/brain.h"

/* An endpoint of a link: not this computer, and private ones only where it is attached (SECURITY A6). */
bool joindial_allowed(
    const struct brain *b, const struct invite_link *link, unsigned i, struct clan_error *e);
/* Says that the link needs this transport, unless e says something already. */
void joindial_needs(const struct brain *b, const char *transport, struct clan_error *e);
/* Grows while a transport starts; what does not grow is stuck. */
unsigned joindial_start_steps(const struct brain *b);

#endif
