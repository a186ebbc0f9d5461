/* One connection of the local API. */
#ifndef BRAIN_CLIENT_H
#define BRAIN_CLIENT_H

#include "brain/brain.h"
#include "wire/frame.h"

#include <sys/types.h>

struct client {
    struct client *next;
    struct brain *b;
    uv_poll_t poll;
    int fd;
    uid_t uid;
    bool first;     /* an unbound core lives for it */
    bool plugin;    /* of a plugin: nothing is its own to ask */
    bool visits;    /* of one that other machines look at: it asks for their people only */
    bool probe;     /* no connection: what would be answered is hashed, see watch.h */
    bool signed_in; /* it asks for this session */
    clan_api_Session session;
    uint8_t session_id[16];
    bool busy;  /* a request is being answered: the next waits */
    bool lacks; /* rows of its answer found no room */
    bool closing;
    struct frame_reader reader;
    uint8_t in[FRAME_HEAD + WIRE_FRAME_MAX];
    uint8_t *out;
    size_t out_len, out_cap;
    bool waiting;
    clan_api_WaitFor wait;
    uint64_t deadline_ms;
    uint32_t told_count; /* acknowledgements reported */
    bool watching;
    uint32_t topics; /* that it was not told of yet */
};

clan_status client_may(struct client *c, pb_size_t request, struct clan_error *reterr);
/* What a guest may not see is taken out of the answer; false: all of it. */
bool client_sees(const struct client *c, clan_api_Answer *a);
bool client_owns(const struct client *c);     /* root, the owner of the machine, a local user */
bool client_is_guest(const struct client *c); /* by people: in clan.yaml */
void api_wait_check(struct brain *b, struct client *c); /* reports what is new; ends the wait */
bool api_alive(const struct brain *b, const struct client *c); /* it may have hung up meanwhile */
/* "laptop is off, desk": who did not acknowledge yet what is waited for. */
void api_who_misses(struct brain *b, const clan_api_WaitFor *w, char *ret_text, size_t cap);
void api_ping_tick(struct brain *b);

#endif
