/* What two clan-link processes say to each other on a stream; explained in README.md. */
#ifndef LINK_PROTOCOL_H
#define LINK_PROTOCOL_H

#include "wire/limits.h"

#include <assert.h>

/* Numbers are big-endian.  Preface, once, by the side that dialed:
 * "clan" | u8 version | u8 kind | u16 0 | 16 bytes (door: id_i, else zero) */
#define LINK_PREFACE_SIZE    24
#define LINK_PREFACE_VERSION 1
enum link_kind { LINK_KIND_LINK = 1, LINK_KIND_CONTROL = 2, LINK_KIND_DOOR = 3 };

/* Frame: u16 length of what follows the head | u8 type | u8 0 */
#define LINK_FRAME_HEAD 4
enum link_frame_type { LINK_FRAME_HANDSHAKE = 0, LINK_FRAME_KEY_A = 1, LINK_FRAME_KEY_B = 2 };
#define LINK_FRAME_MAX     (WIRE_FRAME_MAX - LINK_FRAME_HEAD)
#define LINK_HANDSHAKE_MAX 4608 /* a handshake message: a machine record and room */

/* Record, before sealing: u8 kind | u8 0 | u16 mss (super-packets, else 0) | body */
#define LINK_RECORD_HEAD 4
#define LINK_TAG         16
#define LINK_BODY_MAX    (WIRE_RECORD_MAX - LINK_RECORD_HEAD)
enum link_record_kind {
    LINK_PACKET = 1,  /* one IPv6 packet */
    LINK_TCP6 = 2,    /* one IPv6 TCP super-packet, to be cut at mss */
    LINK_CONTROL = 3, /* one message between the cores */
    LINK_HELLO = 4,   /* the first record of each side */
    LINK_PING = 5,    /* 8 bytes that come back in a pong */
    LINK_PONG = 6,
    LINK_REKEY_1 = 7, /* Noise_IK inside the stream, by the side that dialed */
    LINK_REKEY_2 = 8,
    LINK_CLOSE = 9,
    LINK_PAD = 10, /* filler: whoever gets it passes over it */
    LINK_LEFT = 11 /* 8 bytes: the id of a session that this side gave up as dead */
};

/* Hello: u16 version | u16 0 | u64 features | u64 process | u64 serial | 8 bytes replaces.
 * process: random number of this clan-link; serial: of the dialer's sessions, ascending;
 * replaces: id of the dialer's last session with this peer (the head of its handshake hash). */
#define LINK_HELLO_SIZE 36
#define LINK_VERSION    1
#define LINK_FEATURES   0ull

/* Header bytes in front of a packet that is sealed in place, and behind it. */
#define LINK_HEADROOM   (LINK_FRAME_HEAD + LINK_RECORD_HEAD)
#define LINK_PACKET_MAX LINK_BODY_MAX

static_assert(LINK_RECORD_HEAD + LINK_BODY_MAX + LINK_TAG <= LINK_FRAME_MAX, "a record fits");
static_assert(WIRE_GSO_MAX + 40 < LINK_PACKET_MAX, "a super-packet fits");

/* Times. */
#define LINK_KEEPALIVE_MS  15000
#define LINK_SPARE_MS      60000 /* keep-alive of a path that carries nothing */
#define LINK_TRIAL_MS      1000  /* while it is preferred to the one in use: does it answer? */
#define LINK_PROBE_MS      250
#define LINK_PROBES_MISSED 2
#define LINK_FIRST_MS      50  /* the first probe of the path in use, or two round trips */
#define LINK_AGAIN_MS      125 /* the next ones */
#define LINK_LEAVE_MS                                                                              \
    350 /* since the first one, while another path answers: a segment that was
                                   lost once comes again after 200 ms */
#define LINK_DEAD_MS       700  /* since the first one, of the only path */
#define LINK_SPARE_DEAD_MS 1000 /* ... of sessions without packets: not before the one with them */
#define LINK_EXCUSED_MS                                                                            \
    800 /* of a transport that says it gets bytes through; or 4 of its round trips */
#define LINK_PAD_SIZE     1300 /* a path proves itself with packets as long as it will carry */
#define LINK_SLOW_DEAD_MS 5000 /* streams that are not IP (Tor) may stall this long */
#ifndef LINK_REKEY_MS          /* a test has no two minutes */
#define LINK_REKEY_MS 120000
#endif
#define LINK_REKEY_BYTES (1ull << 36)
#ifndef LINK_UNREACHABLE_MS /* core tries one endpoint after the other, 4 s each */
#define LINK_UNREACHABLE_MS 9000
#endif
#define LINK_UNREACHABLE_FORGET_MS 30000
#define LINK_ANSWERS_MS            100
#define LINK_DOOR_DIAL_MS          30000 /* a joiner may stand in line at its door */
#define LINK_LINE_MAX              512   /* accepted streams that wait for their handshake */
#define LINK_LINE_MS               30000
#define LINK_HANDSHAKES_PER_S      10 /* of one source */
#define LINK_FLUSH_MS              5000

/* Sizes. */
#define LINK_QUEUE_PEER    (320u * 1024)       /* in front of one peer's stream, at least; */
#define LINK_QUEUE_FAST    (4u * 1024 * 1024)  /* 5 ms of a fast path, at most so much */
#define LINK_QUEUE_ALL     (16u * 1024 * 1024) /* in front of all */
#define LINK_NOTSENT       (128 * 1024)
#define LINK_NOTSENT_FAST  (1024 * 1024) /* 2 ms of a fast path, at most so much */
#define LINK_CONTROL_QUEUE (64u * 1024)
#define LINK_SLOW_BPS      20000000u /* below: one MTU at a time */
#define LINK_PIECE_MS      5         /* above: super-packets no longer than this */
#define LINK_DOORS_MAX     256       /* door sessions after their handshake */
#define LINK_SESSIONS_MAX  4096
#define LINK_RANKS         8 /* transports told apart in `replaces` */

#endif
