/* Telling who watches that something changed: which topics, coalesced. */
#ifndef BRAIN_WATCH_H
#define BRAIN_WATCH_H

#include "brain/brain.h"

#define WATCH_COALESCE_MS 20
#define WATCH_TRAFFIC_MS  1000

void watch_begin(struct brain *b, struct client *c); /* until its connection ends */
void watch_gone(struct brain *b, struct client *c);  /* it ends */
void watch_touch(struct brain *b);                   /* something may have changed */
bool watch_signer(const struct brain *b);            /* a `clan sign --watch` is there */
/* What the answers to a topic are made of, into a digest instead of onto a connection. */
void watch_take(clan_api_Answer *a);
void watch_stop(struct brain *b); /* closes its timer */

#endif
