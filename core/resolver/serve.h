/* The process around the table: core's channel, UDP, TCP. */
#ifndef RESOLVER_SERVE_H
#define RESOLVER_SERVE_H

#include "base/loop.h"
#include "resolver/answer.h"
#include "wire/resolver.pb.h"

#define RESOLVER_CHANNEL_FD 3
#define RESOLVER_LOG_FD     4
#define RESOLVER_UDP_FD     5
#define RESOLVER_TCP_FD     6

#define RESOLVER_TCP_MAX     32
#define RESOLVER_TCP_IDLE_MS 5000

/* Runs on the fixed descriptors until the channel ends; returns the exit status. */
int resolver_serve(void);

struct resolver {
    struct loop *loop;
    struct resolver_table *table;
    clan_resolver_Counts counts, told;
    struct tcp_conn {
        struct resolver *owner;
        int fd; /* -1: free */
        uint64_t timer;
        size_t len;
        uint8_t buf[2 + RESOLVER_QUERY_MAX];
    } conns[RESOLVER_TCP_MAX];
};

/* Answers one message and counts it; 0: say nothing. */
size_t resolver_handle(
    struct resolver *r, const uint8_t *query, size_t size, uint8_t ret_reply[RESOLVER_REPLY_MAX]);
clan_status resolver_tcp_open(struct resolver *r, int listener);

#endif
