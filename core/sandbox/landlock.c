/* Landlock: what may be read, executed and written, of what the root shows at all. */
#include "sandbox/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Own definitions: the headers of Debian 12 end at version 2. */
enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_MAKE_CHAR = 1 << 6,
    FS_MAKE_BLOCK = 1 << 11,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
    FS_READ = FS_READ_FILE | FS_READ_DIR,
    NET_BIND_TCP = 1 << 0,
    NET_CONNECT_TCP = 1 << 1,
    SCOPE_ABSTRACT_UNIX = 1 << 0,
    SCOPE_SIGNAL = 1 << 1
};
struct ruleset_attr {
    uint64_t fs, net, scoped;
};
struct beneath_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

int landlock_abi(void)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* VERSION */);
    return v < 0 ? 0 : (int)v;
}

static uint64_t fs_rights(int abi)
{
    unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
    return (UINT64_C(1) << bits) - 1;
}

static int allow_fd(int ruleset, int fd, uint64_t rights)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        rights &= FS_OF_FILES;
    struct beneath_attr attr = {rights & fs_rights(landlock_abi()), fd};
    if (syscall(SYS_landlock_add_rule, ruleset, 1 /* PATH_BENEATH */, &attr, 0) == 0)
        return 0;
    return errno == EBADFD ? 0 : -1; /* a memfd or device without a place: not governed */
}

static int allow_path(int ruleset, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    int r = allow_fd(ruleset, fd, rights);
    close(fd);
    return r;
}

static int allow_all(
    int ruleset, const struct sandbox_spec *spec, const struct profile *p, int program_fd)
{
    static const struct {
        const char *path;
        uint64_t rights;
    } system_paths[] = {
        {"/usr/lib", FS_READ | FS_EXECUTE},
        {"/usr/lib32", FS_READ | FS_EXECUTE},
        {"/usr/lib64", FS_READ | FS_EXECUTE},
        {"/usr/local/lib", FS_READ | FS_EXECUTE},
        {"/lib", FS_READ | FS_EXECUTE},
        {"/lib64", FS_READ | FS_EXECUTE},
        {"/etc/ld.so.cache", FS_READ_FILE},
        {"/proc", FS_READ},
        {"/dev/null", FS_READ_FILE | FS_WRITE_FILE},
        {"/dev/urandom", FS_READ_FILE},
    };
    int r = allow_fd(ruleset, program_fd, FS_READ_FILE | FS_EXECUTE);
    for (size_t i = 0; r == 0 && i < sizeof system_paths / sizeof system_paths[0]; i++)
        r = allow_path(ruleset, system_paths[i].path, system_paths[i].rights);
    for (unsigned i = 0; r == 0 && i < spec->fd_count; i++)
        if (spec->fds[i].to == 5 && (p->flags & PROFILE_PLUGIN))
            r = allow_fd(ruleset, 5, FS_READ_FILE | FS_EXECUTE);
    for (unsigned i = 0; r == 0 && i < spec->bind_count; i++) {
        const struct sandbox_bind *b = &spec->binds[i];
        uint64_t rights =
            b->writable ? ~(uint64_t)(FS_EXECUTE | FS_MAKE_CHAR | FS_MAKE_BLOCK | FS_IOCTL_DEV)
                        : FS_READ;
        r = allow_path(ruleset, b->target, rights | (b->exec ? FS_EXECUTE : 0));
    }
    return r;
}

int landlock_apply(const struct sandbox_spec *spec, const struct profile *p, int program_fd)
{
#ifdef CLAN_SANITIZE
    (void)allow_all, (void)spec, (void)p, (void)program_fd;
    return 0;
#else
    int abi = landlock_abi();
    if (abi < 1)
        return spec->weaker & SANDBOX_WEAKER_LANDLOCK ? 0 : (errno = EOPNOTSUPP, -1);
    struct ruleset_attr attr = {.fs = fs_rights(abi)};
    if (abi >= 4)
        attr.net = p->flags & PROFILE_NET ? NET_BIND_TCP : NET_BIND_TCP | NET_CONNECT_TCP;
    if (abi >= 6)
        attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
    size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? 2 * sizeof attr.fs : sizeof attr.fs;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        return -1;
    int r = allow_all(ruleset, spec, p, program_fd);
    if (r == 0)
        r = (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
    int saved = errno;
    close(ruleset);
    errno = saved;
    return r;
#endif
}
