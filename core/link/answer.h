/* What a local program is told about a peer that cannot be reached. */
#ifndef LINK_ANSWER_H
#define LINK_ANSWER_H

#include "link.h"

/* A packet for a peer without a session.  true: it is lost, the peer could not be reached for
 * LINK_UNREACHABLE_MS; its sender is told by ICMPv6, LINK_ANSWERS_MS apart.  Caller: the lock. */
bool answer_unreachable(
    struct link *l, struct link_peer *peer, const uint8_t *packet, size_t size, uint64_t now_ms);
/* A packet that may not go by the path in use: it is lost, and its sender is told.  Caller: the lock. */
void answer_prohibited(
    struct link *l, struct link_peer *peer, const uint8_t *packet, size_t size, uint64_t now_ms);

#endif
