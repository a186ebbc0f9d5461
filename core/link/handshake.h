/* Handshakes: from the preface to the keys of a session. */
#ifndef LINK_HANDSHAKE_H
#define LINK_HANDSHAKE_H

#include "link.h"

void handshake_dial(struct link_session *s, const clan_link_Stream *m);
/* Accepted: the 24 bytes of the other's preface. */
void handshake_preface(struct link_session *s, const uint8_t *preface);
void handshake_message(struct link_session *s, const uint8_t *message, size_t size);
/* Core's answer to NeedPayload. */
void handshake_payload(struct link_session *s, const uint8_t *payload, size_t size);
/* The other's first record. */
void handshake_hello(struct link_session *s, const uint8_t *body, size_t size);

#endif
