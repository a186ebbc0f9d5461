/* What is wrong with Tor on this computer, in words for people; out of what tor says of itself. */
#ifndef TOR_HEALTH_H
#define TOR_HEALTH_H

#include "control.h"

#define HEALTH_TEXT 200

struct health {
    struct control_bootstrap start; /* how far it is, and its last warning on the way */
    bool stalled;                   /* it has not got on for some time */
    bool offline;                   /* nothing has come from its network for long */
    long skew_s;                    /* of our clock, ahead if positive; 0: it is right */
    bool unfound; /* connected, and yet this machine's own place does not answer */
    char unfound_why[96];
};

/* An event, or the answer to GETINFO status/bootstrap-phase; true: it changed something. */
bool health_event(struct health *h, const char *text);
/* true: others can be reached, or reach us; "" then.  Else why not, and what to do about it. */
bool health_text(const struct health *h, char ret_text[HEALTH_TEXT]);

#endif
