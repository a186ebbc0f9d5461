/* When to try again: tor itself, and machines that could not be reached.  Time is passed in. */
#ifndef TOR_POLICY_H
#define TOR_POLICY_H

#include "onion.h"

#define POLICY_RESTART_MS     1000
#define POLICY_RESTART_MAX_MS 60000
#define POLICY_ATTEMPT_MS     30000 /* of one way through Tor; then another one is tried */
#define POLICY_OFF_MS         2000
#define POLICY_OFF_MAX_MS     300000
#define POLICY_PEERS_MAX      256

/* The wait before tor is started again, after it lived so long.  A life of a minute forgets what was before. */
struct policy_restart {
    unsigned failures;
};
uint64_t policy_restart(struct policy_restart *r, uint64_t life_ms);

/* Who is not in Tor's directory is not looked for again at once: each look tells a directory whom we want,
 * and loads Tor.  2 s, doubling to 5 minutes; forgotten when the network comes back or they call. */
struct policy_peer {
    char address[ONION_ADDRESS + 1]; /* "": free */
    unsigned failures;
    uint64_t until_ms;
};
struct policy_peers {
    struct policy_peer rows[POLICY_PEERS_MAX];
};
uint64_t policy_peer_wait(const struct policy_peers *p, const char *address, uint64_t now_ms);
void policy_peer_off(struct policy_peers *p, const char *address, uint64_t now_ms);
void policy_peer_on(struct policy_peers *p, const char *address);
void policy_peers_forget(struct policy_peers *p);

/* A start that does not get on: told after a while, and begun anew; sooner while no relay has answered at all. */
#define POLICY_STALLED_MS  6000
#define POLICY_NO_RELAY_MS 20000
#define POLICY_STUCK_MS    90000
bool policy_stuck(unsigned progress, uint64_t since_ms);

/* Looks at our own place: soon after it was published, then from time to time.  What failed once is looked at
 * again before anything is done; then it is published anew, and that again ever less often. */
#define POLICY_OWN_FIRST_MS 3000
#define POLICY_OWN_AGAIN_MS 60000
#define POLICY_OWN_MS       600000
#define POLICY_OWN_FAILURES 2
struct policy_own {
    unsigned failures;
};
/* After a look: the wait until the next one; *ret_publish: it is to be published anew now. */
uint64_t policy_own(struct policy_own *o, bool answered, bool *ret_publish);

/* How long this attempt may take of a dial that ends at deadline_ms; 0: no attempt is worth it. */
uint64_t policy_attempt(uint64_t now_ms, uint64_t deadline_ms);

#endif
