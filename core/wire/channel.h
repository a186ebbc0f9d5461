/* Messages between our own processes: one nanopb message per SOCK_SEQPACKET datagram. */
#ifndef WIRE_CHANNEL_H
#define WIRE_CHANNEL_H

#include <clan/status.h>
#include <pb.h>
#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_FDS_MAX 16

/* Sends without blocking; CLAN_E_AGAIN when the channel is full, CLAN_E_IO when it is broken,
 * CLAN_E_LIMIT when the message does not encode within WIRE_FRAME_MAX.  Descriptors stay the
 * caller's. */
clan_status channel_send(
    int fd, const pb_msgdesc_t *desc, const void *msg, const int *fds, size_t fd_count);
/* Receives without blocking into *ret_msg.  Descriptors (O_CLOEXEC) become the caller's, also when
 * CLAN_E_PROTO is returned with *ret_fd_count == 0 (they were closed).  CLAN_E_AGAIN: nothing
 * there; CLAN_E_IO: the other end is gone. */
clan_status channel_recv(int fd, const pb_msgdesc_t *desc, void *ret_msg, int *ret_fds,
    size_t fds_cap, size_t *ret_fd_count);
/* A pair of SOCK_SEQPACKET sockets, O_CLOEXEC, with send buffers for a few of the largest messages.
 */
clan_status channel_pair(int ret_fds[2]);

/* Raw datagrams with descriptors: what the two above and the warden's fixed structs use. */
clan_status channel_send_raw(
    int fd, const void *data, size_t size, const int *fds, size_t fd_count);
clan_status channel_recv_raw(int fd, void *ret_data, size_t cap, size_t *ret_size, int *ret_fds,
    size_t fds_cap, size_t *ret_fd_count);
/* The same without descriptors: PROTO when one came (it is closed), or more than cap bytes. */
clan_status channel_recv_plain(int fd, void *ret_data, size_t cap, size_t *ret_size);
void channel_close_fds(int *fds, size_t count);

#endif
