/* Sealing and sending on one stream; all of it under the lock. */
#ifndef LINK_TX_H
#define LINK_TX_H

#include "link.h"

/* Handshake bytes and the preface: as they are. */
void tx_raw(struct link_session *s, const uint8_t *data, size_t size);
void tx_handshake(struct link_session *s, const uint8_t *message, size_t size);
/* One sealed record of any kind but packets.  false: out of memory or the key is used up. */
bool tx_record(struct link_session *s, uint8_t kind, const void *body, size_t size);
/* Packets that went into a stream which died, and were not answered, go into this one: those since
 * then.  Their other copies may have arrived: who sent them expects that of any network. */
void tx_again(struct link_session *s, uint64_t since_ms);
/* Keeps a copy of a packet that is about to be sent to p. */
void tx_keep(struct link_peer *p, uint8_t kind, uint16_t mss, const uint8_t *packet, size_t size,
    uint64_t now_ms);
void tx_keep_tick(struct link_peer *p, uint64_t now_ms); /* copies that are of no use any more go */
/* Seals where the packet lies: LINK_HEADROOM before it, LINK_TAG behind.  Size of the frame, 0:
 * failed. */
size_t tx_seal(struct link_session *s, uint8_t *frame, uint8_t kind, uint16_t mss, size_t size);
/* Seals a packet and sends it, takes it: what the socket does not take waits in it.  Only while
 * nothing waits. */
void tx_packet(struct link_session *s, struct fq_packet *p);
void tx_forget(struct link_session *s); /* what waits sealed */
/* Sends sealed frames; what the socket does not take waits. */
void tx_frames(struct link_session *s, const uint8_t *frames, size_t size);
/* What waits sealed, then the peer's queue, until the socket is full.  true: there is more to do.
 */
bool tx_drain(struct link_session *s);
void tx_new_key(struct link_session *s, struct aead *key, uint8_t type);
size_t tx_waiting(const struct link_session *s); /* sealed bytes */
/* While packets flow: asks the transport for the rate of a path that never fills the socket. */
void tx_sample(struct link_session *s, uint64_t now_ns);
/* Forgets a rate that was measured long ago. */
void tx_tick(struct link_session *s, uint64_t now_ms);

#endif
