/* WebSocket frames (RFC 6455, section 5): bytes in, data and control messages out, without any I/O. */
#ifndef WS_FRAME_H
#define WS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_CONTROL_MAX 125 /* payload of a control frame (5.5) */
#define WS_HEAD_MAX    14  /* 2 + 8 bytes of length + 4 of mask */

enum ws_opcode { WS_MORE = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* Status codes of a close frame (7.4) */
enum { WS_NORMAL = 1000, WS_PROTOCOL_ERROR = 1002, WS_NO_TEXT = 1003 };

struct ws_frames {
    bool from_client; /* set by the user: its frames must be masked, a server's must not */
    uint8_t head[WS_HEAD_MAX];
    uint8_t have, want; /* bytes of the head; want 0: two, to begin with */
    bool bad;           /* the protocol was broken: nothing is read any more */
    bool body;          /* the head is whole */
    bool open;          /* a message began and its last frame has not come */
    uint8_t opcode, mask[4];
    uint64_t left; /* of the payload */
    uint8_t mask_at;
    uint8_t control[WS_CONTROL_MAX];
    uint8_t control_size;
};

enum ws_event {
    WS_EV_NONE,    /* all bytes are used up */
    WS_EV_DATA,    /* *ret_data: bytes of the stream, unmasked in place */
    WS_EV_CONTROL, /* opcode, control and control_size say what */
    WS_EV_BAD      /* the other side broke the protocol; *ret_code says how */
};

/* Takes one step over `data`; *ret_used bytes of it are done with.  Call until NONE or BAD. */
enum ws_event ws_step(struct ws_frames *f, uint8_t *data, size_t size, size_t *ret_used,
    uint8_t **ret_data, size_t *ret_data_size, uint16_t *ret_code);

/* The head of one whole frame; mask NULL: unmasked.  Returns its size. */
size_t ws_head(
    uint8_t ret[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t size, const uint8_t mask[4]);
void ws_mask(uint8_t *data, size_t size, const uint8_t mask[4], unsigned at);

#endif
