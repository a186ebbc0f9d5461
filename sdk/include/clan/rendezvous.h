/*
 * clan.transport.rendezvous/draft-1: a stream transport that lets in only whom it is told of beforehand.
 *
 * Such a transport meets others at a place that strangers cannot find, as an onion service does.  It needs to
 * know the members, for the one place, and the open invitations, for another one: whoever holds a link must
 * learn nothing about where the members meet.
 *
 * Draft: ids end in draft-N and change with every change until SDK 1.0.
 */
#ifndef CLAN_RENDEZVOUS_H
#define CLAN_RENDEZVOUS_H

#include <clan/transport.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_TRANSPORT_RENDEZVOUS      "clan.transport.rendezvous/draft-1"      /* of the plugin */
#define CLAN_TRANSPORT_RENDEZVOUS_HOST "clan.transport.rendezvous.host/draft-1" /* of the host */

/* What the plugin may implement beside clan.transport.stream.  All calls must be there.  since 0.2 */
struct clan_transport_rendezvous {
    uint32_t struct_size; /* sizeof(struct clan_transport_rendezvous) */
    uint32_t zero;        /* 0 */
    /* The endpoints by which other members are reached with this transport, all of them, each time that they
     * changed; borrowed for the call.  Other machines wrote them.  [loop, started]  since 0.2 */
    void (*members)(void *instance, const char *const *endpoints, uint32_t count);
    /* The open invitations that this machine may answer, each by its X25519 public key (count x 32 bytes), all
     * of them, each time that they changed; 0: none is open, and the place for them closes.
     * [loop, started]  since 0.2 */
    void (*invitations)(void *instance, const uint8_t *keys, uint32_t count);
    /* The endpoint that goes into links, at once, also while no invitation is open; "" when there is none.
     * [loop, started]  since 0.2 */
    void (*door)(void *instance, char ret_endpoint[CLAN_ENDPOINT_MAX + 1]);
    /* A dial() to `endpoint`, which comes from a link, needs this X25519 secret key: the half of the link's
     * own that it alone knows.  Comes before that dial.  [loop, started]  since 0.2 */
    void (*invited)(void *instance, const char *endpoint, const uint8_t secret[32]);
};

/* What the host offers to a transport.  since 0.2 */
struct clan_transport_rendezvous_host {
    uint32_t struct_size; /* of the host's table */
    uint32_t zero;
    /* How the transport does, for `clan status`: works 1, or 0 while nobody can be reached by it; text: one
     * line, "" when there is nothing to say.  [loop, started]  since 0.2 */
    void (*tell)(void *host_data, uint32_t works, const char *text);
};

/* The stub's call. */
static inline void clan_transport_nosys_tell_(void *host_data, uint32_t works, const char *text)
{
    (void)host_data;
    (void)works;
    (void)text;
}

/* The host's table.  Never NULL: without one comes a stub, which does nothing; its struct_size is 0.
 * [loop]  Valid until the process ends.  since 0.2 */
static inline const struct clan_transport_rendezvous_host *clan_transport_rendezvous_host_get(
    const struct clan_host *host)
{
    static const struct clan_transport_rendezvous_host stub = {0, 0, clan_transport_nosys_tell_};
    const void *found = clan_host_interface(host, CLAN_TRANSPORT_RENDEZVOUS_HOST);
    const struct clan_transport_rendezvous_host *table =
        (const struct clan_transport_rendezvous_host *)found;
    return table && table->struct_size >= sizeof stub ? table : &stub;
}

#ifdef __cplusplus
}
#endif
#endif
