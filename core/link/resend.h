/* The packets that lately went into a peer's stream: when it dies, those that nobody answered go again. */
#ifndef LINK_RESEND_H
#define LINK_RESEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Small packets only: what a TCP that waits says again and again is one segment long, and an answer
 * to it is what ends its waiting; super-packets would cost a copy of everything. */
#define RESEND_PACKET_MAX (16u * 1024)
#define RESEND_BYTES      (64u * 1024) /* the newest of them */
#define RESEND_MS         2000         /* older than this, they are of no use to anybody */

struct resend; /* one per peer; pure: time is passed in */

struct resend *resend_new(void);
void resend_free(struct resend *r); /* takes NULL */
/* Keeps a copy; the oldest ones make room.  Longer ones than RESEND_PACKET_MAX are left out. */
void resend_keep(struct resend *r, uint8_t kind, uint16_t mss, const uint8_t *packet, size_t size,
    uint64_t now_ms);
/* The oldest one leaves: its size, 0 when there is none (takes NULL).  ret_packet has room for
 * RESEND_PACKET_MAX. */
size_t resend_pop(struct resend *r, uint8_t *ret_packet, uint8_t *ret_kind, uint16_t *ret_mss,
    uint64_t *ret_kept_ms);
void resend_clear(struct resend *r);                       /* takes NULL */
bool resend_idle(const struct resend *r, uint64_t now_ms); /* nothing in it is of use any more */

#endif
