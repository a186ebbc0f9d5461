/* Landlock by its system calls: the headers of Debian 12 end at version 2 of it. */
#ifndef LANDLOCK_LANDLOCK_H
#define LANDLOCK_LANDLOCK_H

#include <stdint.h>

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ = FS_READ_FILE | 1 << 3, /* directories */
    FS_MAKE_DEVICES = 1 << 6 | 1 << 11,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX_AND_SIGNAL = 3
};

int landlock_abi(void); /* its version; 0: the kernel has none */
/* A ruleset that denies every right of files that this kernel knows, and of `net` and `scope` those it knows.
 * Returns its descriptor.  All of these return -1 with errno when they fail. */
int landlock_new(uint64_t net, uint64_t scope);
int landlock_allow_fd(int ruleset, int fd, uint64_t rights);             /* and below it */
int landlock_allow_path(int ruleset, const char *path, uint64_t rights); /* not there: 0 */
int landlock_restrict(int ruleset); /* this process and its children, for ever */

#endif
