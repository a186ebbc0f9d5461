/* The cgroup of all sandboxes and one for each: limits, and killing everything in it at once. */
#include "sandbox.h"

#include "base/error.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Best effort: what must hold is read back, or killed by its pidfd too. */
static bool cgroup_write(int dir, const char *name, const char *text)
{
    int fd = dir >= 0 ? openat(dir, name, O_WRONLY | O_CLOEXEC) : -1;
    bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;
    if (fd >= 0)
        close(fd);
    return done;
}

bool sandbox_cgroup_kill(int dir)
{
    return cgroup_write(dir, "cgroup.kill", "1");
}

/* A cgroup below the one we are in: /proc/self/cgroup says which, mountinfo where it is mounted.
 */
static clan_status cgroup_path(const char *name, char *ret_path, size_t cap, struct clan_error *e)
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

/* Kills what an earlier run left and removes its cgroups; children of ours do not exist yet. */
static void cgroup_clean(int dir)
{
    struct dirent *entry;
    sandbox_cgroup_kill(dir);
    for (unsigned tries = 0; tries < 200; tries++) {
        bool left = false;
        DIR *d = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        while (d && (entry = readdir(d)))
            if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
                left |= unlinkat(dir, entry->d_name, AT_REMOVEDIR) != 0;
        if (d)
            closedir(d);
        if (!left)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL); /* they are dying */
    }
}

clan_status sandbox_cgroup_begin(
    const char *name, int *ret_dir, bool *ret_limits, struct clan_error *e)
{
    char path[4096];
    *ret_dir = -1;
    clan_status s = cgroup_path(name, path, sizeof path, e);
    if (s == CLAN_OK && mkdir(path, 0755) != 0 && errno != EEXIST)
        s = err_errno(e, CLAN_E_NOSYS, "cannot make the cgroup %s", path);
    if (s == CLAN_OK && (*ret_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        s = err_errno(e, CLAN_E_NOSYS, "cannot open the cgroup %s", path);
    if (s != CLAN_OK && e->remedy[0] == 0)
        err_remedy(e, "run it where that may be made (systemd: Delegate=yes), or allow less in "
                      "machine.yaml: sandbox: {weaker: [cgroup]}");
    if (s != CLAN_OK)
        return s;
    cgroup_clean(*ret_dir);
    *ret_limits = cgroup_write(*ret_dir, "cgroup.subtree_control", "+memory +pids");
    return CLAN_OK;
}

int sandbox_cgroup_make(int dir, const char *name)
{
    if (dir < 0 || mkdirat(dir, name, 0755) != 0)
        return -1;
    return openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}
