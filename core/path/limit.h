/* How often an address that only somebody's record names is dialled (SECURITY D6).  Logic without
 * I/O. */
#ifndef PATH_LIMIT_H
#define PATH_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define PATH_LIMIT_ROWS     1024
#define PATH_LIMIT_SOURCES  4 /* machines remembered as having named a network */
#define PATH_LIMIT_FIRST_MS 60000
#define PATH_LIMIT_MAX_MS   3600000
#define PATH_LIMIT_FAILURES 10 /* then not any more, until another machine names it */
/* A hidden place is no computer that packets could be aimed at: a dial goes through a network that finds
 * it, or does not, and costs us as much as it costs them.  So it may be asked for sooner, as it comes
 * into the directory a little after its record; and it is not given up, as nobody else will name it. */
#define PATH_LIMIT_HIDDEN_FIRST_MS 1500
#define PATH_LIMIT_HIDDEN_MAX_MS   600000

enum path_limit_kind {
    PATH_LIMIT_NETWORK, /* a /24 of IPv4, a /64 of IPv6 */
    PATH_LIMIT_HIDDEN,  /* the hash of an address of another kind, an onion's for one */
};

struct path_limit_row {
    uint8_t net[16];
    enum path_limit_kind kind;
    uint64_t sources[PATH_LIMIT_SOURCES]; /* first 8 bytes of machine IDs */
    unsigned source_count, failures;
    bool proven; /* a member answered there */
    uint64_t last_ms, not_before_ms;
};
struct path_limit {
    struct path_limit_row rows[PATH_LIMIT_ROWS];
    unsigned count;
};

/* The network of an address; IPv4 is mapped. */
void path_limit_net(const uint8_t address[16], uint8_t ret_net[16]);
/* "HOST:PORT..." of a transport with addresses of its own: the host alone counts, whatever the rest. */
void path_limit_hidden(const char *endpoint, uint8_t ret_net[16]);
/* May `source`'s endpoint there be dialled now?  true counts as a try that failed until
 * path_limit_proven() is called. */
bool path_limit_take(struct path_limit *l, enum path_limit_kind kind, const uint8_t net[16],
    const uint8_t source[32], uint64_t now_ms);
/* A session with a member came up there. */
void path_limit_proven(struct path_limit *l, const uint8_t net[16], uint64_t now_ms);
/* This machine is in other networks now: what failed may be reachable. */
void path_limit_clear(struct path_limit *l);
/* The way to hidden places works again. */
void path_limit_clear_hidden(struct path_limit *l);

#endif
