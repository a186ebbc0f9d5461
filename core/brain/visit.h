/* Looking at another machine from here, and letting others look at this one: where its owner granted what shows the
 * clan the address of a service. */
#ifndef BRAIN_VISIT_H
#define BRAIN_VISIT_H

#include "brain/brain.h"
#include "brain/sessions.h"

#define VISIT_CODES_MAX 16 /* waiting at once, one of a machine; the oldest goes */
#define VISIT_ASKS_MAX  8  /* of this machine's people, at once */
#define VISIT_ASK_MS    5000

bool visit_is_here(struct brain *b, const char *at); /* its machine is this one */
/* Asks the machine that is called so, or that holds the service, for a code; answers the client later. */
void visit_ask(struct brain *b, struct client *c, const char *at);
void visit_gone(const struct client *c); /* it does not wait any more */
void visit_tick(struct brain *b);

/* What other machines say. */
void visit_asked(struct brain *b, struct session *s, const clan_peer_VisitAsk *m);
void visit_told(struct brain *b, struct session *s, clan_peer_VisitCode *m);

/* A member who may look at this machine now, NULL with the reason.  from: as its browser comes. */
const struct member_machine *visit_guest(
    struct brain *b, const uint8_t from[16], struct clan_error *reterr);
/* Was it this machine's code?  It is spent whatever comes of it. */
bool visit_spend(const uint8_t code[16], const struct member_machine *from);

#endif
