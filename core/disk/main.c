/* clan-disk LIMIT_MIB DIRECTORY...: what its user stored there, in names and in open files; 3: too much. */
#include "disk/usage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SECONDS       600 /* of an old disk with many files */
#define FILES_PER_MIB 256
#define EXIT_TOO_MUCH 3

/* Of root's powers it keeps those to look. */
static int only_look(void)
{
    const uint64_t keep = 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_SYS_PTRACE;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct caps[2] = {{0}, {0}};
    if (geteuid() != 0)
        return 0; /* it has none */
    caps[0].effective = caps[0].permitted = (uint32_t)keep;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? (int)syscall(SYS_capset, &head, caps) : -1;
}

static bool measure(struct disk_usage *u, const char *path)
{
    struct stat st;
    int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0 || fstat(dir, &st) != 0) {
        u->error = errno == ENOENT ? 0 : errno;
        if (dir >= 0)
            close(dir);
        return true;
    }
    bool good = disk_names(u, dir) && (st.st_uid == 0 || disk_hidden(u, st.st_uid, st.st_dev));
    close(dir);
    return good;
}

int main(int argc, char **argv)
{
    char *end = NULL;
    uint64_t mib = argc > 2 ? strtoull(argv[1], &end, 10) : 0;
    struct disk_usage u = {.max_bytes = mib << 20, .max_files = mib * FILES_PER_MIB};
    bool good = true;
    if (argc < 3 || *end || mib == 0 || mib > UINT32_MAX) {
        fprintf(stderr, "usage: clan-disk LIMIT_MIB DIRECTORY...\n");
        return 2;
    }
    alarm(SECONDS);
    setpriority(PRIO_PROCESS, 0, 19);
    if (only_look() != 0) {
        perror("clan-disk: capabilities");
        return 1;
    }
    for (int i = 2; i < argc && good; i++)
        good = measure(&u, argv[i]);
    if (!good) {
        if (u.too_deep)
            fprintf(stderr, "its directories lie more than %d deep in each other", DISK_DEPTH_MAX);
        else if (u.files > u.max_files)
            fprintf(stderr, "it has more than the %" PRIu64 " files that go with %" PRIu64 " MiB",
                u.max_files, mib);
        else
            fprintf(stderr, "it fills more than its %" PRIu64 " MiB of the disk", mib);
        return EXIT_TOO_MUCH;
    }
    if (u.error)
        fprintf(stderr, "cannot read all of it: %s", strerror(u.error));
    else
        printf("%" PRIu64 " KiB in %" PRIu64 " files\n", u.bytes >> 10, u.files);
    return u.error ? 1 : 0;
}
