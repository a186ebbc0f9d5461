/* Length-prefixed frames on a byte stream: a u16 (big-endian) length and that many bytes. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "wire/limits.h"

#include <clan/status.h>
#include <pb.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEAD 2

/* Encodes msg behind its length.  ret_bytes holds FRAME_HEAD + WIRE_FRAME_MAX. */
clan_status frame_encode(
    const pb_msgdesc_t *desc, const void *msg, uint8_t *ret_bytes, size_t cap, size_t *ret_size);

/* Collects bytes into frames.  Bounded by its buffer; a zero length is CLAN_E_PROTO. */
struct frame_reader {
    uint8_t *buf; /* cap bytes, owned by whoever made the reader */
    size_t cap, len;
};

/* Where to read the next bytes to, and how many fit. */
uint8_t *frame_space(struct frame_reader *r, size_t *ret_size);
void frame_added(struct frame_reader *r, size_t size);
/* Next whole frame (borrowed until frame_pop), CLAN_E_AGAIN when more bytes are needed. */
clan_status frame_peek(struct frame_reader *r, const uint8_t **ret_payload, size_t *ret_size);
void frame_pop(struct frame_reader *r);

/* Blocking, for the command line and tests: whole frames on a socket, with a limit in ms. */
clan_status frame_send_blocking(int fd, const pb_msgdesc_t *desc, const void *msg);
clan_status frame_recv_blocking(int fd, const pb_msgdesc_t *desc, void *ret_msg, int timeout_ms);

#endif
