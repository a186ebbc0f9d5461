/* Finding, making and discarding slots. */
#include "slot/slots.h"

#include "base/clock.h"
#include "base/error.h"
#include "daemon/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char gone[] = "gone-";

clan_status slots_open(
    struct slots *all, const char *state_dir, tool_fn *removed, void *arg, struct clan_error *e)
{
    *all = (struct slots){.removed = removed, .arg = arg};
    snprintf(all->path, sizeof all->path, "%s/clans", state_dir);
    mkdir(state_dir, 0755);
    all->dir = daemon_directory(all->path, 0700, e);
    return all->dir < 0 ? e->status : daemon_lock(all->dir, state_dir, e);
}

static void remove_tree(const struct slots *all, const char *name)
{
    char path[sizeof all->path + 64];
    snprintf(path, sizeof path, "%s/%s", all->path, name);
    tool_run(TOOL_REMOVE, (const char *const[]){"/bin/rm", "-rf", "--", path, NULL}, NULL,
        all->removed, all->arg);
}

/* Out of the way at once; rm takes its time (a volume may be large). */
void slots_discard(const struct slots *all, unsigned number)
{
    char from[16], to[64];
    snprintf(from, sizeof from, "%u", number);
    snprintf(to, sizeof to, "%s%u-%llu", gone, number, (unsigned long long)clock_mono_ns());
    if (renameat(all->dir, from, all->dir, to) == 0)
        remove_tree(all, to);
}

void slots_scan(const struct slots *all, unsigned count, slots_found_fn *found, void *arg)
{
    int fd = openat(all->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        char *end = NULL, bound[sizeof entry->d_name + 8], number[16];
        unsigned long slot = strtoul(entry->d_name, &end, 10);
        if (strncmp(entry->d_name, gone, strlen(gone)) == 0)
            remove_tree(all, entry->d_name);
        snprintf(number, sizeof number, "%lu", slot);
        if (*end || slot >= count || strcmp(number, entry->d_name) != 0)
            continue;
        snprintf(bound, sizeof bound, "%s/bound", entry->d_name);
        if (faccessat(all->dir, bound, F_OK, 0) != 0 && errno == ENOENT)
            slots_discard(all, (unsigned)slot);
        else
            found(arg, (unsigned)slot);
    }
    if (d)
        closedir(d);
}

clan_status slots_make(
    const struct slots *all, unsigned number, struct slot *ret_slot, struct clan_error *e)
{
    char name[16];
    snprintf(name, sizeof name, "%u", number);
    slots_discard(all, number);
    if (mkdirat(all->dir, name, 0700) != 0)
        return err_errno(e, CLAN_E_IO, "cannot make a directory in %s", all->path);
    return slot_open(ret_slot, all->dir, number, e);
}
