/* Files of cgroups: each call is one line written or read. */
#include "cgroup/cgroup.h"

#include "base/clock.h"
#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DYING_MS 2000

/* Best effort: what must hold is read back, or killed by its pidfd too. */
static bool write_line(int dir, const char *name, const char *text)
{
    int fd = dir >= 0 ? openat(dir, name, O_WRONLY | O_CLOEXEC) : -1;
    bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;
    if (fd >= 0)
        close(fd);
    return done;
}

bool cgroup_kill(int dir)
{
    return write_line(dir, "cgroup.kill", "1");
}

bool cgroup_limit(int dir, uint64_t memory_bytes, uint32_t pids)
{
    char text[32];
    snprintf(text, sizeof text, "%u", pids);
    write_line(dir, "pids.max", text); /* RLIMIT_NPROC holds without it */
    snprintf(text, sizeof text, "%llu", (unsigned long long)memory_bytes);
    return write_line(dir, "memory.max", text);
}

bool cgroup_enter(int dir)
{
    return write_line(dir, "cgroup.procs", "0");
}

/* A cgroup below the one we are in: /proc/self/cgroup says which, mountinfo where it is mounted.
 */
static clan_status find_path(const char *name, char *ret_path, size_t cap, struct clan_error *e)
{
    char line[4096], own[2048] = "", root[1024], point[1024], type[64];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "0::%2047[^\n]", own) == 1)
            break;
    if (f)
        fclose(f);
    f = fopen("/proc/self/mountinfo", "re");
    while (own[0] && f && fgets(line, sizeof line, f)) {
        char *dash = strstr(line, " - ");
        if (!dash || sscanf(dash, " - %63s", type) != 1 || strcmp(type, "cgroup2") != 0 ||
            sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2)
            continue;
        bool below = strcmp(root, "/") == 0 || strncmp(own, root, strlen(root)) == 0;
        const char *rest = strcmp(root, "/") == 0 ? own : below ? own + strlen(root) : "";
        fclose(f);
        snprintf(ret_path, cap, "%s%s%s%s", point, strcmp(rest, "/") == 0 ? "" : rest, "/", name);
        return CLAN_OK;
    }
    if (f)
        fclose(f);
    err_set(e, CLAN_E_NOSYS, "this machine has no cgroup version 2 mounted");
    err_remedy(e, "mount it: mount -t cgroup2 none /sys/fs/cgroup; or allow less: sandbox: "
                  "{weaker: [cgroup]}");
    return CLAN_E_NOSYS;
}

/* The kernel says by POLLPRI that the file has changed since it was last read. */
bool cgroup_wait_empty(int dir, unsigned limit_ms)
{
    uint64_t now = clock_mono_ms(), end = now + limit_ms;
    int fd = openat(dir, "cgroup.events", O_RDONLY | O_CLOEXEC);
    struct pollfd changed = {.fd = fd, .events = POLLPRI};
    bool empty = false;
    for (; fd >= 0; now = clock_mono_ms()) {
        char events[256];
        ssize_t n = pread(fd, events, sizeof events - 1, 0);
        events[n > 0 ? n : 0] = 0;
        empty = strstr(events, "populated 0") != NULL;
        if (n <= 0 || empty || now >= end || poll(&changed, 1, (int)(end - now)) < 0)
            break;
    }
    if (fd >= 0)
        close(fd);
    return empty;
}

/* Kills what an earlier run left and removes its cgroups; children of ours do not exist yet. */
static void clean(int dir)
{
    struct dirent *entry;
    cgroup_kill(dir);
    cgroup_wait_empty(dir, DYING_MS);
    DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    while (d && (entry = readdir(d)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            unlinkat(dir, entry->d_name, AT_REMOVEDIR);
    if (d)
        closedir(d);
}

clan_status cgroup_begin(const char *name, int *ret_dir, bool *ret_limits, struct clan_error *e)
{
    char path[4096];
    *ret_dir = -1;
    clan_status s = find_path(name, path, sizeof path, e);
    if (s == CLAN_OK && mkdir(path, 0755) != 0 && errno != EEXIST)
        s = err_errno(e, CLAN_E_NOSYS, "cannot make the cgroup %s", path);
    if (s == CLAN_OK && (*ret_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        s = err_errno(e, CLAN_E_NOSYS, "cannot open the cgroup %s", path);
    if (s != CLAN_OK && e->remedy[0] == 0)
        err_remedy(e, "run it where that may be made (systemd: Delegate=yes), or allow less in "
                      "machine.yaml: sandbox: {weaker: [cgroup]}");
    if (s != CLAN_OK)
        return s;
    clean(*ret_dir);
    *ret_limits = write_line(*ret_dir, "cgroup.subtree_control", "+memory +pids");
    return CLAN_OK;
}

int cgroup_make(int dir, const char *name)
{
    if (dir < 0 || mkdirat(dir, name, 0755) != 0)
        return -1;
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
