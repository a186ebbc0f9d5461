/* Which of a peer's paths carries its packets, and which are tried meanwhile.  Logic without I/O.
 *
 * Kept are the path in use, those preferred to it, and one spare behind it.  Of three transports the
 * last one is dialled when a better one is missing, some seconds after the first failure: Tor as a
 * second spare would be an idle circuit for each pair of machines, kept by others' relays, against
 * two failures within those seconds.  What takes away UDP and TCP at once, another network or none,
 * mostly takes its stream, too; where it does not, the ordinary dial gets to it in its turn. */
#ifndef PATH_CHOICE_H
#define PATH_CHOICE_H

#include "path/path.h"

#define PATH_PROVE_MS      2000   /* a better path answers this long before packets move to it, */
#define PATH_PROVE_ANSWERS 3      /* and at least so often; */
#define PATH_PROVE_MAX_MS  300000 /* each time it went silent lately doubles the time, up to this */
#define PATH_GAP_MS        2500   /* without an answer: the proof begins anew */
#define PATH_FORGET_MS     600000 /* having carried packets this long, old failures are forgotten */
#define PATH_RETRY_MIN_MS  8000   /* a missing path is dialled at least so often at first, */
#define PATH_RETRY_MAX_MS  60000 /* then each quarter of its absence, or after each failure later */
#define PATH_YIELD_MS      3000  /* whoever dialled the path in use dials the others first */
#define PATH_FOLLOW_MS     2000 /* packets have stayed this long: the control session follows them */
#define PATH_HISTORY       16
#define PATH_VIA_MAX       64

enum path_why {
    PATH_WHY_FIRST,  /* the first one that came up */
    PATH_WHY_BETTER, /* preferred, and it had proven itself */
    PATH_WHY_SILENT, /* the one before passed nothing any more */
    PATH_WHY_BROKE,  /* the one before was closed or broke */
    PATH_WHY_NONE,   /* none is left */
    PATH_WHYS
};

/* One transport to this peer. */
struct path_candidate {
    char transport[33]; /* "": free */
    char via[PATH_VIA_MAX];
    uint32_t session; /* 0: not connected */
    bool ours;        /* this machine dialled it */
    uint64_t up_ms, answered_ms, proving_ms, missing_ms;
    unsigned answers; /* since proving_ms */
    uint32_t rtt_us;
    unsigned strikes;    /* how often it went silent or broke lately */
    uint64_t carries_ms; /* since it carries packets, 0: it does not */
    struct path_dial dial;
};

struct path_event {
    int64_t wall; /* for people */
    char from[33], to[33];
    enum path_why why;
};

struct path_choice {
    struct path_candidate candidates[CONFIG_TRANSPORTS_MAX];
    uint32_t carries;                        /* the session that packets take, 0: none */
    struct path_event history[PATH_HISTORY]; /* a ring */
    unsigned event_count;                    /* ever; the newest is event_count - 1 */
};

enum path_act { PATH_NOTHING, PATH_USE, PATH_DIAL, PATH_CLOSE };
struct path_step {
    enum path_act act;
    uint32_t session;      /* USE, CLOSE */
    const char *transport; /* DIAL: the candidate's, until the next call */
    const char *endpoint;
};

/* What happened. */
void path_choice_up(struct path_choice *c, const char *transport, const char *via, uint32_t session,
    bool ours, uint64_t now_ms);
/* failed: it went silent or broke, and nobody closed it on purpose */
void path_choice_down(struct path_choice *c, uint32_t session, bool failed, uint64_t now_ms);
void path_choice_answered(
    struct path_choice *c, uint32_t session, uint32_t rtt_us, uint64_t now_ms);
/* Packets take this session now, 0: none. */
void path_choice_carries(
    struct path_choice *c, uint32_t session, enum path_why why, uint64_t now_ms, int64_t wall);
void path_choice_dial_failed(struct path_choice *c, const char *transport,
    const struct stmt_record *r, uint32_t jitter, uint64_t now_ms);
/* Networks changed, or the peer's addresses did: what is missing is tried at once. */
void path_choice_nudge(struct path_choice *c);

/* The next thing to do; call again until PATH_NOTHING.  A DIAL is answered by path_choice_up() or
 * path_choice_dial_failed().  Nothing while no path carries packets: the ordinary dial finds one. */
struct path_step path_choice_step(struct path_choice *c, const struct stmt_record *r,
    const struct path_order *order, uint64_t now_ms);

const struct path_candidate *path_choice_find(const struct path_choice *c, const char *transport);
const struct path_candidate *path_choice_session(const struct path_choice *c, uint32_t session);
/* Packets stay on a path that this machine dialled, and control goes by another transport. */
bool path_choice_leads(const struct path_choice *c, const char *control, uint64_t now_ms);
/* How long this one has to answer before packets move to it. */
uint64_t path_choice_patience_ms(const struct path_candidate *p);
/* Where it stands in the order; the count for one that is not in it. */
unsigned path_order_rank(const struct path_order *order, const char *transport);
/* Why packets take the path they take, in words: "preferred", "tcp-noise went silent". */
void path_choice_why(const struct path_choice *c, const struct path_order *order, uint64_t now_ms,
    char *ret_text, size_t cap);
const char *path_why_text(enum path_why why);

#endif
