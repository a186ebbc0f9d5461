/*
 * clan.transport.device/draft-1: a plugin that carries the clan's IP packets itself, as WireGuard does.
 *
 * Such a plugin sees what it carries and could forge it, where a stream transport sees only what Clan
 * sealed: it is taken from the release, or signed by a key that the owner named, and nothing else.
 *
 * Keys, addresses and who is a peer come from Clan.  The plugin says under which UDP addresses this machine
 * is reached, and moves packets between the TUN and its UDP sockets: out goes what is for an address of a
 * peer, in comes what a peer sent from an address of its own, and nothing else.  Where the kernel carries
 * (tun_fd is -1) the plugin says its endpoints, and nothing more.
 *
 * Draft: ids end in draft-N and change with every change until SDK 1.0.
 */
#ifndef CLAN_DEVICE_H
#define CLAN_DEVICE_H

#include <clan/plugin.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_TRANSPORT_DEVICE      "clan.transport.device/draft-1"      /* of the plugin */
#define CLAN_TRANSPORT_DEVICE_HOST "clan.transport.device.host/draft-1" /* of the host */

#define CLAN_DEVICE_TSO 1u /* the TUN has TSO4, TSO6 and CSUM on */
#define CLAN_DEVICE_USO 2u /* and USO4, USO6 */

/* What start() is given; borrowed for the call, the descriptors are the plugin's until the process ends and
 * are not to be closed.  since 0.3 */
struct clan_device_config {
    uint32_t struct_size;
    int32_t tun_fd; /* IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, non-blocking; -1: the kernel carries */
    uint32_t tun_flags; /* CLAN_DEVICE_ */
    uint32_t mtu;       /* of the TUN */
    int32_t
        udp_fds[2]; /* bound to one port of all addresses, IPv4 and IPv6, non-blocking; -1: none */
    uint16_t port;  /* that port, also where the kernel has it; host order */
    uint16_t zero0;
    uint32_t zero1;
    uint8_t
        secret_key[32]; /* X25519, of this machine for this transport in this clan.  Wipe copies. */
};

/* One peer, whole: what is not in it is not so any more.  Borrowed for the call.  since 0.3 */
struct clan_device_peer {
    uint32_t struct_size;
    uint32_t address_count; /* at most 64 */
    uint8_t public_key[32]; /* X25519 */
    const char
        *endpoint; /* "192.0.2.7:7120", "[2001:db8::7]:7120"; "": keep the one that is known */
    const uint8_t
        *addresses; /* address_count x 16 bytes, IPv6 in network order: its own, no one else's */
    uint32_t keepalive_s; /* 0: none */
    uint32_t zero;
};

/* What the plugin implements.  All calls must be there.  since 0.3 */
struct clan_transport_device {
    uint32_t struct_size; /* sizeof(struct clan_transport_device) */
    uint32_t zero;        /* 0 */
    /* Begins to carry.  [loop, created]  Any failure ends the start: fill *reterr.  since 0.3 */
    clan_status (*start)(
        void *instance, const struct clan_device_config *config, struct clan_error *reterr);
    /* Sends and takes nothing any more.  [loop, started]  since 0.3 */
    void (*stop)(void *instance);
    /* Adds a peer or changes it; sessions go on.  At most 1,000 peers.  INVAL: no such key can be;
     * LIMIT.  [loop, started]  since 0.3 */
    clan_status (*set_peer)(
        void *instance, const struct clan_device_peer *peer, struct clan_error *reterr);
    /* That peer is none any more; unknown ones are passed over.  [loop, started]  since 0.3 */
    void (*remove_peer)(void *instance, const uint8_t public_key[32]);
    /* The computer's network changed: sockets may have lost their ways.  [loop, started]  since 0.3 */
    void (*network_changed)(void *instance);
    /* As clan_transport_stream.endpoints: under which "address:port" others reach this machine, best
     * first, at most 16.  [loop, started]  since 0.3 */
    void (*endpoints)(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
        void (*add)(void *user, const char *endpoint), void *user);
};

/* How a peer does; borrowed for the call.  since 0.3 */
struct clan_device_state {
    uint32_t struct_size;
    uint32_t handshake_age_s; /* since the last one that succeeded; UINT32_MAX: none did */
    uint8_t public_key[32];
    const char *endpoint;        /* where it was heard last, "" when it was not */
    uint64_t rx_bytes, tx_bytes; /* inner packets, since the peer is known */
    uint32_t
        silent_ms; /* so long ago something was sent and nothing came since; 0: it did.  since 0.4 */
    uint32_t zero;
};

/* What the host offers to a device transport.  since 0.3 */
struct clan_transport_device_host {
    uint32_t struct_size; /* of the host's table */
    uint32_t zero;
    /* A peer's handshake succeeded, or its endpoint moved, or 10 s of traffic passed, or something was sent to
     * it and for 100 ms nothing came from it: that one once until something comes.  More often
     * than four times a second and peer: the last one is told when its time has come.  [loop, started]  since 0.3 */
    void (*peer_state)(void *host_data, const struct clan_device_state *state);
    /* The texts of endpoints() may have changed.  [loop, started]  since 0.3 */
    void (*endpoints_changed)(void *host_data);
};

/* The stub's calls. */
static inline void clan_device_nosys_state_(void *host_data, const struct clan_device_state *state)
{
    (void)host_data;
    (void)state;
}
static inline void clan_device_nosys_changed_(void *host_data)
{
    (void)host_data;
}

/* The host's table.  Never NULL: without one comes a stub, which does nothing; its struct_size is 0.
 * [loop]  Valid until the process ends.  since 0.3 */
static inline const struct clan_transport_device_host *clan_transport_device_host_get(
    const struct clan_host *host)
{
    static const struct clan_transport_device_host stub = {
        0, 0, clan_device_nosys_state_, clan_device_nosys_changed_};
    const void *found = clan_host_interface(host, CLAN_TRANSPORT_DEVICE_HOST);
    const struct clan_transport_device_host *table =
        (const struct clan_transport_device_host *)found;
    return table && table->struct_size >= sizeof stub ? table : &stub;
}

#ifdef __cplusplus
}
#endif
#endif
