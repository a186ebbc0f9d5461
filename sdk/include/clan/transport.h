/*
 * clan.transport.stream/draft-1: a plugin that connects byte streams between machines.
 *
 * It never sees a key: what flows through a stream is sealed by Clan.  It can break a stream, not read it.
 * A transport gives its machine texts under which it reaches it, the endpoints: "192.0.2.7:7117".  Such a
 * text is the plugin's own; it travels to the other machines and comes back to the same plugin's dial()
 * there.  It is printable ASCII without spaces.  dial() trusts nothing in it: other machines wrote it.
 *
 * Draft: ids end in draft-N and change with every change until SDK 1.0.
 */
#ifndef CLAN_TRANSPORT_H
#define CLAN_TRANSPORT_H

#include <clan/plugin.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_TRANSPORT_STREAM "clan.transport.stream/draft-1" /* of the plugin */
#define CLAN_TRANSPORT_HOST   "clan.transport.host/draft-1"   /* of the host */
#define CLAN_ENDPOINT_MAX     127 /* bytes of an endpoint's text, without NUL */

/* What the plugin implements; it returns the table from get_interface(CLAN_TRANSPORT_STREAM).  All calls
 * must be there.  since 0.1 */
struct clan_transport_stream {
    uint32_t struct_size; /* sizeof(struct clan_transport_stream) */
    uint32_t zero;        /* 0 */
    /* Begins to accept on the listening sockets of its config, and to serve dial().  Without a listening
     * socket it only dials.  [loop, created]  Any failure ends the start: fill *reterr.  since 0.1 */
    clan_status (*start)(void *instance, struct clan_error *reterr);
    /* No stream is offered afterwards, dials are forgotten; streams handed over live on.  [loop, started]
     * since 0.1 */
    void (*stop)(void *instance);
    /*
     * Connects to `endpoint` within timeout_ms (> 0) and answers by offer_stream() or dial_failed() with
     * `request` (> 0), exactly once, later or before it returns.  A return other than CLAN_OK is an answer
     * too: fill *reterr and call neither.  [loop, started]  At most 64 at once.  since 0.1
     */
    clan_status (*dial)(void *instance, uint32_t request, const char *endpoint, uint32_t timeout_ms,
        struct clan_error *reterr);
    /* No answer to that dial is needed any more; one that comes is refused.  [loop, started]  since 0.1 */
    void (*cancel)(void *instance, uint32_t request);
    /*
     * Calls add() for each text under which others may dial this machine, best first, at most 16, before
     * it returns; texts that are longer than CLAN_ENDPOINT_MAX are passed over.  None: this machine cannot
     * be dialled.  local_addresses: the computer's addresses, addr_count x 16 bytes in network order,
     * IPv4 as ::ffff:a.b.c.d.  [loop, started]  since 0.1
     */
    void (*endpoints)(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
        void (*add)(void *user, const char *endpoint), void *user);
};

/* What the host offers to a transport: clan_transport_host_get(host).  since 0.1 */
struct clan_transport_host {
    uint32_t struct_size; /* of the host's table */
    uint32_t zero;
    /*
     * Hands over a connected SOCK_STREAM socket (AF_INET, AF_INET6, AF_UNIX), of which the plugin has read
     * and written nothing beyond its own preamble.  request 0: accepted, else the dial it answers.  The host
     * takes the descriptor in every case: do not close it, and end its watch before.  remote: endpoint text
     * of the other side, "" when unknown.  A transport whose connections have frames hands over one end of
     * a socketpair() and moves the bytes itself, also after stop(), until destroy(); such a stream ends
     * with the plugin's process.  [loop, started]  STATE: not started, or no such dial.  INVAL: not
     * a stream socket.  LIMIT: too many in flight.  since 0.1
     */
    clan_status (*offer_stream)(void *host_data, uint32_t request, int32_t fd, const char *remote);
    /* That dial came to nothing; *error says why, for the owner.  [loop, started]  since 0.1 */
    void (*dial_failed)(void *host_data, uint32_t request, const struct clan_error *error);
    /* The texts of endpoints() may have changed: it is asked anew.  [loop, started]  since 0.1 */
    void (*endpoints_changed)(void *host_data);
};

/* The stub's calls: an answer that is always true, and nothing else. */
static inline clan_status clan_transport_nosys_offer_(
    void *host_data, uint32_t request, int32_t fd, const char *remote)
{
    (void)host_data;
    (void)request;
    (void)remote;
    close(fd);
    return CLAN_E_NOSYS;
}
static inline void clan_transport_nosys_failed_(
    void *host_data, uint32_t request, const struct clan_error *error)
{
    (void)host_data;
    (void)request;
    (void)error;
}
static inline void clan_transport_nosys_changed_(void *host_data)
{
    (void)host_data;
}

/*
 * The host's table for transports.  Never NULL: from a host without it, or with one that is older than this
 * header, comes a stub: offer_stream() closes the descriptor and answers CLAN_E_NOSYS, the others do
 * nothing; its struct_size is 0.  [loop]  Valid until the process ends.  since 0.1
 */
static inline const struct clan_transport_host *clan_transport_host_get(
    const struct clan_host *host)
{
    static const struct clan_transport_host stub = {0, 0, clan_transport_nosys_offer_,
        clan_transport_nosys_failed_, clan_transport_nosys_changed_};
    const void *found = clan_host_interface(host, CLAN_TRANSPORT_HOST);
    const struct clan_transport_host *table = (const struct clan_transport_host *)found;
    return table && table->struct_size >= sizeof stub ? table : &stub;
}

#ifdef __cplusplus
}
#endif
#endif
