/* A SOCK_SEQPACKET channel in the libuv loop, with a bounded queue for what it does not take at
 * once. */
#ifndef BRAIN_CHAN_H
#define BRAIN_CHAN_H

#include "wire/channel.h"

#include <stdbool.h>
#include <uv.h>

#define CHAN_QUEUE_MAX (8u << 20) /* bytes; a child that does not read this much is broken */

struct chan;
/* A datagram; descriptors are the callee's. */
typedef void chan_recv_fn(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count);
typedef void chan_gone_fn(
    void *arg); /* the other end is gone or broke the protocol; chan is still open */

/* Takes fd. */
struct chan *chan_open(uv_loop_t *loop, int fd, chan_recv_fn *recv, chan_gone_fn *gone, void *arg);
void chan_close(struct chan *c); /* takes NULL */
/* false: the queue is full or the channel broken; the message is lost.  Descriptors stay the
 * caller's. */
bool chan_send(
    struct chan *c, const pb_msgdesc_t *desc, const void *msg, const int *fds, size_t fd_count);
bool chan_send_raw(struct chan *c, const void *data, size_t size, const int *fds, size_t fd_count);

#endif
