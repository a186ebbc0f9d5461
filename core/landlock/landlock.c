/* Rulesets of Landlock, within what this kernel knows. */
#include "landlock/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int landlock_abi(void)
{
    long v = syscall(SYS_landlock_create_ruleset, NULL, 0, 1u /* VERSION */);
    return v < 0 ? 0 : (int)v;
}

static uint64_t known_rights(void)
{
    int abi = landlock_abi();
    return (UINT64_C(1) << (abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13)) - 1;
}

int landlock_new(uint64_t net, uint64_t scope)
{
    int abi = landlock_abi();
    uint64_t attr[3] = {known_rights(), net, scope};
    size_t words = abi >= 6 ? 3 : abi >= 4 ? 2 : 1;
    return (int)syscall(SYS_landlock_create_ruleset, attr, words * sizeof attr[0], 0);
}

int landlock_allow_fd(int ruleset, int fd, uint64_t rights)
{
    struct stat st;
    struct {
        uint64_t allowed;
        int32_t parent_fd;
    } __attribute__((packed)) rule = {rights & known_rights(), fd};
    if (fstat(fd, &st) != 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        rule.allowed &= FS_OF_FILES;
    if (syscall(SYS_landlock_add_rule, ruleset, 1 /* PATH_BENEATH */, &rule, 0) == 0)
        return 0;
    return errno == EBADFD ? 0 : -1; /* a memfd has no place: not governed */
}

int landlock_allow_path(int ruleset, const char *path, uint64_t rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -1;
    int r = landlock_allow_fd(ruleset, fd, rights);
    int why = errno;
    close(fd);
    errno = why;
    return r;
}

int landlock_restrict(int ruleset)
{
    return (int)syscall(SYS_landlock_restrict_self, ruleset, 0);
}
