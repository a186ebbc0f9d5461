/* Keeps plugins within their part of the disk: clan-disk measures, on any file system, and whoever has too
 * much is ended until it has less. */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <clan/status.h>
#include <stdbool.h>
#include <stdint.h>

#define DISK_STATE_MIB 1024 /* of a state directory, when the owner says nothing */
#define DISK_KEPT_MIB  16 /* a file that is given up when the disk is full: for Clan's own state */

struct disk_user;
struct disk {
    const char *libexec;               /* where clan-disk lies */
    const char *path;                  /* slots: PATH/SLOT/hosts/NAME, PATH/SLOT/volumes/NAME */
    void (*full)(struct disk_user *u); /* it has too much: u->why */
    void (*failed)(void *arg, const struct clan_error *e); /* it could not be measured */
    struct disk_user *first;
    uint32_t last_id;
    unsigned low; /* checks since the disk is full */
};
struct disk_user {
    struct disk *of; /* NULL: it is not watched */
    struct disk_user *next;
    void *owner;
    uint32_t id, limit_mib;
    bool volume; /* its too: the owner named a limit */
    unsigned slot;
    char name[33];
    uint64_t free_then; /* KiB on the file system when it was measured last */
    unsigned age;       /* checks since then */
    bool measured, running;
    char why[160]; /* it is over its limit; empty: it is not */
};
/* Watches the directories of a host from now on; LIMIT with the reason while it has too much.
 * mib 0: the owner said nothing, so the volume, which is the service's purpose, has no limit. */
clan_status disk_allow(struct disk *d, struct disk_user *u, unsigned slot, const char *name,
    uint32_t mib, struct clan_error *reterr);
void disk_forget(struct disk_user *u);
/* Every few seconds: measures those of whom something can have changed, and sees to what is kept. */
void disk_check(struct disk *d);

#endif
