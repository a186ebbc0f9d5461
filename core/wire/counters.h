/* Why link dropped something, counted by name; the order is the order of clan.link.Counters. */
#ifndef WIRE_COUNTERS_H
#define WIRE_COUNTERS_H

#define LINK_COUNTER_TABLE(X)                                                                      \
    X(TUN_RX, "packets read from the overlay interface")                                           \
    X(TUN_TX, "packets written to the overlay interface")                                          \
    X(TUN_TOO_LONG, "packets from this machine longer than a record")                              \
    X(TUN_NOT_IP6, "packets from this machine that are not IPv6")                                  \
    X(TUN_NO_PEER, "packets from this machine to nobody known")                                    \
    X(TUN_REFUSED, "packets the kernel refused to take")                                           \
    X(TUN_BARRED, "packets of a service that clan.yaml keeps off the path in use")                 \
    X(QUEUE_DROP, "packets dropped by a full or slow queue")                                       \
    X(PEER_BAD_HEAD, "records with a malformed head")                                              \
    X(PEER_BAD_IP, "packets from a peer that are not well-formed IPv6")                            \
    X(PEER_BAD_SOURCE, "packets from a peer with somebody else's source")                          \
    X(PEER_BAD_DEST, "packets from a peer that are not for this machine")                          \
    X(PEER_NOT_ALLOWED, "packets from a provisional peer to what it may not reach")                \
    X(PEER_BARRED, "packets from a peer by a path that clan.yaml forbids a service")               \
    X(PEER_BAD_TCP, "super-packets that are not one clean TCP flow")                               \
    X(PEER_BAD_MSS, "super-packets with an impossible segment size")                               \
    X(PEER_TOO_LONG, "packets from a peer longer than the interface takes")                        \
    X(SEAL_FAILED, "records that did not verify")                                                  \
    X(FRAME_BAD, "frames with a bad length or type")                                               \
    X(PREFACE_BAD, "streams that did not begin as Clan's do")                                      \
    X(HANDSHAKE_BAD, "handshakes that did not verify")                                             \
    X(HANDSHAKE_UNKNOWN, "handshakes with a key nobody here knows")                                \
    X(HANDSHAKE_NO_INVITE, "door calls for an invitation that is not open here")                   \
    X(HANDSHAKE_LIMIT, "handshakes refused by a limit")                                            \
    X(HANDSHAKE_TIMEOUT, "handshakes that took too long")                                          \
    X(FD_REFUSED, "descriptors from a plugin that are not connected streams")                      \
    X(STRANGER_LIMIT, "strangers that used up their time or bytes")                                \
    X(CONTROL_FULL, "control messages refused by a full queue")

enum {
#define LINK_COUNTER_ENUM(name, text) LINK_COUNT_##name,
    LINK_COUNTER_TABLE(LINK_COUNTER_ENUM)
#undef LINK_COUNTER_ENUM
        LINK_COUNTERS
};

#endif
