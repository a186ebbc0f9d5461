/* Files: durable writing, bounded reading. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <clan/status.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Written to a temporary name, fsynced, renamed, directory fsynced.  dir_fd is a directory. */
clan_status file_write_durable(int dir_fd, const char *name, const void *data, size_t size,
    mode_t mode, struct clan_error *reterr);
/* Reads a regular file of at most max bytes; *ret_data is malloc'd (one extra NUL), caller frees.
 * CLAN_E_NOENT when it is not there, CLAN_E_LIMIT when it is longer. */
clan_status file_read(int dir_fd, const char *name, size_t max, uint8_t **ret_data,
    size_t *ret_size, struct clan_error *reterr);
/* The same for an open descriptor. */
clan_status file_read_fd(
    int fd, size_t max, uint8_t **ret_data, size_t *ret_size, struct clan_error *reterr);
clan_status file_write_all(
    int fd, const void *data, size_t size); /* retries EINTR and short writes */
void file_forget(int *fd);                  /* closes it, -1: not; then it is -1 */

#endif
