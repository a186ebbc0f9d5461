/* Descriptors from a plugin are hostile objects (SECURITY F6): which are taken, and how they are
 * tamed. */
#ifndef LINK_SOCK_H
#define LINK_SOCK_H

#include "wire/link.pb.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* A connected SOCK_STREAM of AF_INET, AF_INET6 or AF_UNIX; options that block or filter are reset.
 */
bool sock_acceptable(int fd);
void sock_for_purpose(int fd, clan_link_Purpose purpose);
/* Unsent bytes the kernel may hold, for a path of this rate. */
void sock_set_notsent(int fd, uint32_t bytes);
/* Bytes the other end acknowledged, whether some are not yet, and its round trip; false: this
 * transport does not say. */
bool sock_acked(int fd, uint64_t *ret_bytes, bool *ret_backlog, uint32_t *ret_rtt_us);
/* What the transport lately delivered while it always had more to send; 0: it does not say. */
uint64_t sock_delivery_bps(int fd);
/* Never blocks.  Bytes, 0 for "not now" (EAGAIN), -1 broken. */
long sock_send(int fd, const struct iovec *iov, size_t count);
/* Bytes, 0 end of stream, -1 not now, -2 broken. */
long sock_recv(int fd, struct iovec *iov, size_t count);
/* Options that could make close() wait, again. */
void sock_before_close(int fd);

#endif
