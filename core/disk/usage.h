/* How much directories hold, with limits on the work: names in them, and files without a name. */
#ifndef DISK_USAGE_H
#define DISK_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define DISK_DEPTH_MAX 128 /* directories in directories; more counts as too much */

struct disk_usage {
    uint64_t max_bytes, max_files; /* it is stopped beyond these */
    uint64_t bytes, files;
    bool too_deep;
    int error; /* errno of what could not be read, 0: none */
};
/* Adds what is below the directory, on its file system; no link is followed.  A file with several names
 * counts as a share with each.  False when there is too much. */
bool disk_names(struct disk_usage *u, int dir);
/* Adds files of the file system `dev` that a process of `uid` has open and that have no name. */
bool disk_hidden(struct disk_usage *u, uid_t uid, dev_t dev);

#endif
