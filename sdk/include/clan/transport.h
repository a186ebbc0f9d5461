/*
 * clan.transport.stream/draft-1: a plugin that connects byte streams between machines.
 * It never sees a key: what flows through a stream is sealed by Clan.  It can break a stream, not read it.
 */
#ifndef CLAN_TRANSPORT_H
#define CLAN_TRANSPORT_H

#include <clan/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_TRANSPORT_STREAM "clan.transport.stream/draft-1"
#define CLAN_TRANSPORT_HOST   "clan.transport.host/draft-1"
#define CLAN_ENDPOINT_MAX     127 /* bytes of an endpoint's text */

/* What the plugin implements. */
struct clan_transport_stream {
    uint32_t struct_size;
    uint32_t zero;
    /* Begins to accept on the listening sockets of its config.  [loop, created]  Errors end the start. */
    clan_status (*start)(void *instance, struct clan_error *reterr);
    /* No stream is offered afterwards; those handed over live on.  [loop, started] */
    void (*stop)(void *instance);
    /*
     * Connects to `endpoint` within timeout_ms and answers by offer_stream() or dial_failed() with
     * `request`, exactly once, later or before it returns.  [loop, started]  At most 64 at once: LIMIT.
     */
    clan_status (*dial)(void *instance, uint32_t request, const char *endpoint, uint32_t timeout_ms,
        struct clan_error *reterr);
    void (*cancel)(
        void *instance, uint32_t request); /* no answer is needed any more.  [loop, started] */
    /*
     * Calls add() for each text under which others may dial this machine, best first, at most 16.
     * local_addresses: addr_count x 16 bytes, IPv4 as ::ffff:a.b.c.d.  [loop, started]
     */
    void (*endpoints)(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
        void (*add)(void *user, const char *endpoint), void *user);
};

/* What the host offers to it: get_interface(host, CLAN_TRANSPORT_HOST), never NULL for a transport. */
struct clan_transport_host {
    uint32_t struct_size;
    uint32_t zero;
    /*
     * Hands over a connected SOCK_STREAM socket (AF_INET, AF_INET6, AF_UNIX).  request 0: accepted,
     * else the dial it answers.  The host takes the descriptor in every case.  remote: endpoint text of
     * the other side, or "".  [loop, started]  LIMIT: too many in flight, it was closed.
     */
    clan_status (*offer_stream)(void *host_data, uint32_t request, int32_t fd, const char *remote);
    void (*dial_failed)(void *host_data, uint32_t request, const struct clan_error *error);
    /* The texts of endpoints() may have changed.  [loop, started] */
    void (*endpoints_changed)(void *host_data);
};

#ifdef __cplusplus
}
#endif
#endif
