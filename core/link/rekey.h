/* A fresh Noise_IK inside the stream, by the side that dialed (SECURITY E4). */
#ifndef LINK_REKEY_H
#define LINK_REKEY_H

#include "link.h"

void rekey_tick(struct link_session *s, uint64_t now_ms);
void rekey_message(struct link_session *s, uint8_t kind, const uint8_t *message, size_t size);

#endif
