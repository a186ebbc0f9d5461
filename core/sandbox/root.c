/* What there is to see: a new root of system libraries and the binds, and Landlock over it. */
#include "landlock/landlock.h"
#include "sandbox/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "profiles/root.def"

static int attributes(int fd, uint64_t set)
{
    struct mount_attr attr = {.attr_set = set, .propagation = MS_PRIVATE};
    return mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof attr);
}

static int clone_of(int dir, const char *path, uint64_t set)
{
    int tree = open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
    return tree >= 0 && attributes(tree, set) == 0 ? tree : -1;
}

/* Before the own namespace exists: a clone can only be made where the descriptor's mount is. */
int step_binds(struct sandbox_work *w)
{
    for (unsigned i = 0; i < w->spec->bind_count; i++) {
        const struct sandbox_bind *b = &w->spec->binds[i];
        if (b->exec && b->writable)
            return errno = EINVAL, -1; /* W^X */
        uint64_t set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (b->exec ? 0 : MOUNT_ATTR_NOEXEC) |
                       (b->writable ? 0 : MOUNT_ATTR_RDONLY);
        TRY(w->trees[i] = clone_of(b->source_fd, "", set));
    }
    return 0;
}

/* Mounts at an absolute path under root, and makes the place for it. */
static int attach(int root, int tree, const char *path)
{
    struct stat st;
    char part[256];
    TRY(fstat(tree, &st));
    if (path[0] != '/' || snprintf(part, sizeof part, "%s", path + 1) >= (int)sizeof part)
        return errno = EINVAL, -1;
    for (char *slash = part; (slash = strchr(slash, '/')); *slash++ = '/') {
        *slash = 0;
        if (mkdirat(root, part, 0755) != 0 && errno != EEXIST)
            return -1;
    }
    if (S_ISDIR(st.st_mode))
        TRY(mkdirat(root, part, 0755));
    else
        TRY(mknodat(root, part, S_IFREG | 0444, 0));
    return move_mount(tree, "", root, part, MOVE_MOUNT_F_EMPTY_PATH);
}

/* options: key, value, ..., NULL */
static int new_fs(const char *type, const char *const *options, unsigned set)
{
    int fs = fsopen(type, FSOPEN_CLOEXEC);
    TRY(fs);
    for (; *options; options += 2)
        TRY(fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0));
    TRY(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0));
    return fsmount(fs, FSMOUNT_CLOEXEC, set);
}

int step_root(struct sandbox_work *w)
{
    static const char *const small[] = {"size", "64k", "nr_inodes", "128", "mode", "0755", NULL};
    /* /proc/self/fd for dlopen of a descriptor; other processes are not there */
    static const char *const own[] = {"hidepid", "ptraceable", "subset", "pid", NULL};
    char link[PATH_MAX];
    TRY(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    int fs = new_fs("tmpfs", small, QUIET);
    TRY(move_mount(fs, "", AT_FDCWD, "/tmp", MOVE_MOUNT_F_EMPTY_PATH)); /* only to pivot from */
    for (size_t i = 0; i < PART_COUNT; i++) {
        const char *path = system_parts[i].path;
        ssize_t n = readlink(path, link, sizeof link - 1);
        int tree = n > 0 ? -1 : clone_of(AT_FDCWD, path, system_parts[i].mount);
        if (n > 0) { /* merged /usr: /lib -> usr/lib */
            link[n] = 0;
            TRY(symlinkat(link, fs, path + 1));
        } else if (tree >= 0 || errno != ENOENT)
            TRY(attach(fs, tree, path));
    }
    TRY(attach(fs, new_fs("proc", own, QUIET | MOUNT_ATTR_RDONLY), "/proc"));
    for (unsigned i = 0; i < w->spec->bind_count; i++)
        TRY(attach(fs, w->trees[i], w->spec->binds[i].target));
    TRY(fchdir(fs));
    TRY(syscall(SYS_pivot_root, ".", "."));
    TRY(umount2(".", MNT_DETACH));
    TRY(chdir("/"));
    return attributes(fs, QUIET | MOUNT_ATTR_RDONLY);
}

int step_landlock(struct sandbox_work *w)
{
#ifdef CLAN_SANITIZE
    return 0;
#endif
    if (landlock_abi() < 1)
        return w->spec->weaker & SANDBOX_WEAKER_LANDLOCK ? 0 : (errno = EOPNOTSUPP, -1);
    uint64_t net = NET_BIND_TCP | (w->profile->flags & PROFILE_NET ? 0 : NET_CONNECT_TCP);
    int set = landlock_new(net, SCOPE_ABSTRACT_UNIX_AND_SIGNAL);
    TRY(set);
    for (size_t i = 0; i < PART_COUNT; i++)
        TRY(landlock_allow_path(set, system_parts[i].path, system_parts[i].rights));
    TRY(landlock_allow_path(set, "/proc", FS_READ));
    TRY(landlock_allow_fd(set, w->program_fd, FS_READ_FILE | FS_EXECUTE));
    if ((w->profile->flags & PROFILE_PLUGIN) && fcntl(5, F_GETFD) >= 0)
        TRY(landlock_allow_fd(set, 5, FS_READ_FILE | FS_EXECUTE));
    for (unsigned i = 0; i < w->spec->bind_count; i++) {
        const struct sandbox_bind *b = &w->spec->binds[i];
        uint64_t rights = b->writable ? FS_VOLUME : FS_READ | (b->exec ? FS_EXECUTE : 0);
        TRY(landlock_allow_path(set, b->target, rights));
    }
    return landlock_restrict(set);
}
