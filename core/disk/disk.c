/* When to measure: the free space says that somebody wrote, the walk says who has too much. */
#include "disk/disk.h"

#include "base/error.h"
#include "tool/tool.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define FELL_KIB 4096 /* less is not worth a walk */
#define LOW_KIB  1024
#define LOW_MAX  3  /* checks: whoever has too much is ended by then, else it would take that too */
#define AGE_MAX  60 /* checks: other files may have gone meanwhile, which hides what came */

struct job {
    struct disk *disk;
    uint32_t id;
};

static void measured(void *arg, const struct clan_error *e)
{
    struct job *j = arg;
    struct disk_user *u = j->disk->first;
    while (u && u->id != j->id)
        u = u->next;
    if (u) {
        u->running = false;
        u->measured = true;
        u->why[0] = 0;
        if (e && e->status == CLAN_E_LIMIT) {
            snprintf(u->why, sizeof u->why, "%s", e->why);
            j->disk->full(u);
        } else if (e)
            j->disk->failed(u->name, e);
    }
    free(j);
}

static void measure(struct disk *d, struct disk_user *u, uint64_t free_kib)
{
    char program[PATH_MAX], limit[16], state[PATH_MAX], volume[PATH_MAX];
    struct job *j = malloc(sizeof *j);
    clan_assert(j);
    *j = (struct job){d, u->id};
    snprintf(program, sizeof program, "%s/clan-disk", d->libexec);
    snprintf(limit, sizeof limit, "%u", u->limit_mib);
    snprintf(state, sizeof state, "%s/%u/hosts/%s", d->path, u->slot, u->name);
    snprintf(volume, sizeof volume, "%s/%u/volumes/%s", d->path, u->slot, u->name);
    u->running = true;
    u->free_then = free_kib;
    u->age = 0;
    tool_run(TOOL_DISK,
        (const char *const[]){program, limit, state, u->volume ? volume : NULL, NULL}, NULL,
        measured, j);
}

static void keep(struct disk *d, uint64_t free_kib)
{
    char path[PATH_MAX];
    struct clan_error e = CLAN_ERROR_INIT;
    snprintf(path, sizeof path, "%s/kept", d->path);
    d->low = free_kib < LOW_KIB ? d->low + 1 : 0;
    if (d->low == LOW_MAX && unlink(path) == 0) {
        err_set(&e, CLAN_E_LIMIT, "the disk is full");
        err_why(&e, "the %d MiB that were kept for Clan's own files are in use now", DISK_KEPT_MIB);
        err_remedy(&e, "make room on the file system of %s", d->path);
        d->failed((void *)(uintptr_t) "disk", &e);
    }
    int fd = free_kib > 8ull * DISK_KEPT_MIB * 1024
                 ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                 : -1;
    if (fd >= 0 && posix_fallocate(fd, 0, (off_t)DISK_KEPT_MIB << 20) != 0)
        unlink(path);
    if (fd >= 0)
        close(fd);
}

void disk_check(struct disk *d)
{
    struct statvfs fs;
    if (statvfs(d->path, &fs) != 0)
        return;
    uint64_t free_kib = (uint64_t)fs.f_bavail * fs.f_frsize / 1024;
    keep(d, free_kib);
    for (struct disk_user *u = d->first, *next; u; u = next) {
        next = u->next;
        u->age++;
        if (!u->running &&
            (!u->measured || u->why[0] || u->age >= AGE_MAX || free_kib + FELL_KIB <= u->free_then))
            measure(d, u, free_kib);
        else if (free_kib > u->free_then)
            u->free_then = free_kib;
    }
}

clan_status disk_allow(struct disk *d, struct disk_user *u, unsigned slot, const char *name,
    uint32_t mib, struct clan_error *reterr)
{
    if (!u->of) {
        u->of = d;
        u->id = ++d->last_id;
        u->next = d->first;
        d->first = u;
    }
    u->slot = slot;
    u->limit_mib = mib ? mib : DISK_STATE_MIB;
    u->volume = mib != 0;
    snprintf(u->name, sizeof u->name, "%s", name);
    if (!u->why[0])
        return CLAN_OK;
    err_set(reterr, CLAN_E_LIMIT, "%s does not run: %s", name, u->why);
    err_remedy(reterr,
        "delete files of it in %s/%u, or allow it more with disk: in machine.yaml, "
        "then run as root: clan machine apply",
        d->path, slot);
    return CLAN_E_LIMIT;
}

void disk_forget(struct disk_user *u)
{
    struct disk_user **at = u->of ? &u->of->first : NULL;
    while (at && *at && *at != u)
        at = &(*at)->next;
    if (at && *at)
        *at = u->next;
    u->of = NULL;
}
