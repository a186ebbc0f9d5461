/* The new root: a small tmpfs with the system's libraries and what the spec binds, nothing else. */
#include "sandbox/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define QUIET   (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
#define LIBRARY (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_RDONLY)

static int attributes(int fd, uint64_t set)
{
    struct mount_attr attr = {.attr_set = set, .propagation = MS_PRIVATE};
    return mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr);
}

static int tree_of(int dir, const char *path, uint64_t set)
{
    int tree = open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    if (tree >= 0 && attributes(tree, set) != 0) {
        int saved = errno;
        close(tree);
        errno = saved;
        return -1;
    }
    return tree;
}

/* Clones must be made in the mount namespace of the descriptors, before the own one exists. */
int root_binds(const struct sandbox_spec *spec, int *ret_trees)
{
    for (unsigned i = 0; i < spec->bind_count; i++) {
        const struct sandbox_bind *b = &spec->binds[i];
        uint64_t set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (b->exec ? 0 : MOUNT_ATTR_NOEXEC) |
                       (b->writable ? 0 : MOUNT_ATTR_RDONLY);
        if (b->exec && b->writable)
            return errno = EINVAL, -1; /* W^X */
        if ((ret_trees[i] = tree_of(b->source_fd, "", set)) < 0)
            return -1;
    }
    return 0;
}

/* Mounts the tree at path (absolute) under root, making the place for it; closes it. */
static int attach(int root, int tree, const char *path)
{
    struct stat st;
    char part[PATH_MAX];
    int r = fstat(tree, &st);
    if (r != 0 || path[0] != '/' || snprintf(part, sizeof part, "%s", path + 1) >= (int)sizeof part)
        return -1;
    for (char *slash = part; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        if (mkdirat(root, part, 0755) != 0 && errno != EEXIST)
            return -1;
    }
    if (S_ISDIR(st.st_mode))
        r = mkdirat(root, part, 0755);
    else
        r = mknodat(root, part, S_IFREG | 0444, 0);
    if (r == 0)
        r = move_mount(tree, "", root, part, MOVE_MOUNT_F_EMPTY_PATH);
    if (r == 0)
        r = close(tree);
    return r;
}

/* options: key, value, ..., NULL */
static int new_fs(const char *type, const char *const *options, uint64_t set)
{
    int fs = fsopen(type, FSOPEN_CLOEXEC), fd = -1, r = fs < 0 ? -1 : 0;
    for (; r == 0 && *options; options += 2)
        r = fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0);
    if (r == 0)
        r = fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0);
    if (r == 0)
        fd = fsmount(fs, FSMOUNT_CLOEXEC, (unsigned)set);
    int saved = errno;
    if (fs >= 0)
        close(fs);
    errno = saved;
    return fd;
}

static int system_parts(int root)
{
    static const struct {
        const char *path;
        uint64_t set;
    } parts[] = {
        {"/usr/lib", LIBRARY},
        {"/usr/lib32", LIBRARY},
        {"/usr/lib64", LIBRARY},
        {"/usr/local/lib", LIBRARY},
        {"/lib", LIBRARY},
        {"/lib32", LIBRARY},
        {"/lib64", LIBRARY},
        {"/etc/ld.so.cache", LIBRARY | MOUNT_ATTR_NOEXEC},
        {"/dev/null", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC},
        {"/dev/urandom", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char link[PATH_MAX];
        ssize_t n = readlink(parts[i].path, link, sizeof link - 1);
        if (n > 0) { /* merged /usr: /lib -> usr/lib */
            link[n] = 0;
            if (symlinkat(link, root, parts[i].path + 1) != 0)
                return -1;
            continue;
        }
        int tree = tree_of(AT_FDCWD, parts[i].path, parts[i].set);
        if (tree < 0 && errno == ENOENT)
            continue;
        if (tree < 0 || attach(root, tree, parts[i].path) != 0)
            return -1;
    }
    return 0;
}

int root_enter(const struct sandbox_spec *spec, const int *trees)
{
    static const char *const small[] = {"size", "64k", "nr_inodes", "128", "mode", "0755", NULL};
    /* /proc/self/fd for dlopen of a descriptor; other processes are not there */
    static const char *const own[] = {"hidepid", "ptraceable", "subset", "pid", NULL};
    /* the place only serves to pivot from it */
    static const char place[] = "/tmp";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return -1;
    int fs = new_fs("tmpfs", small, QUIET);
    if (fs < 0 || move_mount(fs, "", AT_FDCWD, place, MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return -1;
    if (system_parts(fs) != 0)
        return -1;
    int proc = new_fs("proc", own, QUIET | MOUNT_ATTR_RDONLY);
    if (proc < 0 || attach(fs, proc, "/proc") != 0)
        return -1;
    for (unsigned i = 0; i < spec->bind_count; i++)
        if (attach(fs, trees[i], spec->binds[i].target) != 0)
            return -1;
    if (fchdir(fs) != 0 || syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0)
        return -1;
    int r = chdir("/");
    if (r == 0)
        r = attributes(fs, QUIET | MOUNT_ATTR_RDONLY);
    close(fs);
    return r;
}
