/* Measuring: what plugins made is only looked at, never opened but for directories. */
#include "disk/usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool within(const struct disk_usage *u)
{
    return u->bytes <= u->max_bytes && u->files <= u->max_files && !u->too_deep;
}

static bool add(struct disk_usage *u, const struct stat *st, nlink_t share)
{
    u->files++;
    u->bytes += (uint64_t)st->st_blocks * 512 / (share ? share : 1);
    return within(u);
}

static bool dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static bool walk(struct disk_usage *u, int dir, dev_t dev, unsigned depth)
{
    DIR *d = fdopendir(dir);
    struct dirent *entry;
    u->too_deep |= depth > DISK_DEPTH_MAX;
    while (d && within(u) && (entry = readdir(d))) {
        struct stat st;
        if (dots(entry->d_name) ||
            fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0 ||
            st.st_dev != dev)
            continue; /* gone meanwhile, or nothing of the plugin's */
        if (!add(u, &st, S_ISDIR(st.st_mode) ? 1 : st.st_nlink) || !S_ISDIR(st.st_mode))
            continue;
        int below = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (below >= 0)
            walk(u, below, dev, depth + 1);
        else if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
            u->error = errno;
    }
    if (d)
        closedir(d);
    else
        close(dir);
    return within(u);
}

bool disk_names(struct disk_usage *u, int dir)
{
    struct stat st;
    int again = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (again < 0 || fstat(again, &st) != 0) {
        u->error = errno;
        if (again >= 0)
            close(again);
        return true;
    }
    return walk(u, again, st.st_dev, 0);
}

/* By its status: a process can keep others from owning its directory in /proc. */
static bool of_user(int proc, const char *pid, uid_t uid)
{
    char path[64], text[1024], line[32];
    snprintf(path, sizeof path, "%.20s/status", pid);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = 0;
    snprintf(line, sizeof line, "\nUid:\t%u\t", (unsigned)uid);
    return strstr(text, line) != NULL;
}

struct seen { /* a file that is open twice counts once, as far as this remembers */
    ino_t inode[4096];
    unsigned count;
};

static bool seen_before(struct seen *s, ino_t inode)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->inode[i] == inode)
            return true;
    if (s->count < sizeof s->inode / sizeof s->inode[0])
        s->inode[s->count++] = inode;
    return false;
}

static void descriptors(struct disk_usage *u, int proc, const char *pid, dev_t dev, struct seen *s)
{
    char path[32];
    snprintf(path, sizeof path, "%.20s/fd", pid);
    int dir = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = dir >= 0 ? fdopendir(dir) : NULL;
    struct dirent *entry;
    while (d && within(u) && (entry = readdir(d))) {
        struct stat st;
        if (!dots(entry->d_name) && fstatat(dir, entry->d_name, &st, 0) == 0 && st.st_dev == dev &&
            S_ISREG(st.st_mode) && st.st_nlink == 0 && !seen_before(s, st.st_ino))
            add(u, &st, 1);
    }
    if (d)
        closedir(d);
    else if (dir >= 0)
        close(dir);
}

bool disk_hidden(struct disk_usage *u, uid_t uid, dev_t dev)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = proc >= 0 ? fdopendir(proc) : NULL;
    struct seen *s = calloc(1, sizeof *s);
    struct dirent *entry;
    while (d && s && within(u) && (entry = readdir(d)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && of_user(proc, entry->d_name, uid))
            descriptors(u, proc, entry->d_name, dev, s);
    free(s);
    if (d)
        closedir(d);
    return within(u);
}
