/* What is in force, what the kernel offers, and what became of a child, in words. */
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "sandbox/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char *sandbox_step_name(int step)
{
    static const char *const names[] = {
#define STEP_NAME(name, text) [SANDBOX_STEP_##name] = text,
        SANDBOX_STEPS(STEP_NAME)
#undef STEP_NAME
    };
    return step > 0 && step < SANDBOX_STEP_COUNT ? names[step] : "unknown";
}

void sandbox_exit_text(int wait_status, char *ret_text, size_t cap)
{
    int code = WEXITSTATUS(wait_status), step = code - SANDBOX_EXIT_BASE;
    if (WIFSIGNALED(wait_status)) {
        const char *name = sigdescr_np(WTERMSIG(wait_status));
        snprintf(ret_text, cap, "killed by signal %d (%s)", WTERMSIG(wait_status),
            name ? name : "unknown");
        for (char *p = strchr(ret_text, '('); p && *p; p++)
            *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    } else if (!WIFEXITED(wait_status)) {
        snprintf(ret_text, cap, "stopped");
    } else if (step > 0 && step < SANDBOX_STEP_COUNT) {
        snprintf(ret_text, cap, "sandbox step %s failed", sandbox_step_name(step));
    } else if (code == 0) {
        snprintf(ret_text, cap, "ended by itself");
    } else {
        snprintf(ret_text, cap, "ended with status %d", code);
    }
}

clan_status sandbox_probe(uint32_t weaker, struct clan_error *reterr)
{
    struct seccomp_notif_sizes sizes;
    uint32_t kill_process = SECCOMP_RET_KILL_PROCESS;
    const struct {
        const char *name;
        uint32_t weaker;
        bool there;
    } features[] = {
        {"landlock (lsm=landlock,... at boot)", SANDBOX_WEAKER_LANDLOCK, landlock_abi() > 0},
        {"seccomp notifications", SANDBOX_WEAKER_NOTIFY,
            syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0},
        {"cgroup v2 (cgroup.freeze)", SANDBOX_WEAKER_CGROUP,
            access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 ||
                access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0},
        {"seccomp filters", 0,
            syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill_process) == 0},
        {"network namespaces", 0, access("/proc/self/ns/net", F_OK) == 0},
        {"PID namespaces", 0, access("/proc/self/ns/pid", F_OK) == 0},
    };
    char missing[200] = "";
#ifdef CLAN_SANITIZE
    log_warn("SANITIZER BUILD: sandboxes WITHOUT seccomp and Landlock, never use this build");
#endif
    for (size_t i = 0; i < sizeof features / sizeof features[0]; i++) {
        size_t n = strlen(missing);
        if (!features[i].there && !(features[i].weaker & weaker))
            snprintf(missing + n, sizeof missing - n, "%s%s", n ? ", " : "", features[i].name);
    }
    if (!missing[0])
        return CLAN_OK;
    err_set(reterr, CLAN_E_NOSYS, "this kernel cannot hold Clan's sandbox");
    err_why(reterr, "missing: %s", missing);
    err_remedy(reterr,
        "boot a kernel that has it, or allow the weaker mode by name in machine.yaml: "
        "sandbox: {weaker: [landlock|notify|cgroup]}");
    return CLAN_E_NOSYS;
}

static clan_status differs(
    struct clan_error *reterr, const struct sandbox_child *child, const char *what, const char *is)
{
    err_set(reterr, CLAN_E_PERM, "process %d is not in its sandbox: %s", (int)child->pid, what);
    err_why(reterr, "the kernel says: %.100s", is);
    err_remedy(reterr, "end it; this is a defect in Clan or a kernel that it does not know");
    return CLAN_E_PERM;
}

/* The value of "Key:\t..." in /proc/PID/status. */
static void status_value(const char *status, const char *key, char ret_value[64])
{
    const char *at = strstr(status, key);
    ret_value[0] = 0;
    if (at)
        snprintf(ret_value, 64, "%.*s", (int)strcspn(at + strlen(key), "\n"), at + strlen(key));
}

static clan_status check_status(
    const struct sandbox_child *child, const char *status, struct clan_error *reterr)
{
    static const struct {
        const char *key, *value;
    } wanted[] = {
#ifndef CLAN_SANITIZE
        {"\nSeccomp:\t", "2"},
#endif
        {"\nNoNewPrivs:\t", "1"},
        {"\nCapInh:\t", "0000000000000000"},
        {"\nCapPrm:\t", "0000000000000000"},
        {"\nCapEff:\t", "0000000000000000"},
        {"\nCapBnd:\t", "0000000000000000"},
        {"\nCapAmb:\t", "0000000000000000"},
    };
    static const char *const ids[] = {"\nUid:\t", "\nGid:\t"};
    char value[64];
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        status_value(status, wanted[i].key, value);
        if (strcmp(value, wanted[i].value) != 0)
            return differs(reterr, child, wanted[i].key + 1, value);
    }
    for (int i = 0; i < 2; i++) {
        unsigned a, b, c, d;
        status_value(status, ids[i], value);
        if (sscanf(value, "%u %u %u %u", &a, &b, &c, &d) != 4 || a == 0 || a != b || a != c ||
            a != d)
            return differs(reterr, child, ids[i] + 1, value);
    }
    return CLAN_OK;
}

clan_status sandbox_readback(
    const struct sandbox_child *child, const char *profile, struct clan_error *reterr)
{
    static const struct {
        const char *name;
        uint32_t with, without;
    } spaces[] = {{"mnt", 0, 0}, {"ipc", 0, 0}, {"uts", 0, 0}, {"net", 0, PROFILE_NET},
        {"pid", PROFILE_PIDNS, 0}};
    const struct profile *p = profile_find(profile);
    char name[64];
    uint8_t status[8192];
    clan_assert(p != NULL);
    snprintf(name, sizeof name, "/proc/%d/status", (int)child->pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return err_errno(reterr, CLAN_E_IO, "cannot read %s", name);
    status[n] = 0;
    clan_status st = check_status(child, (const char *)status, reterr);
    for (size_t i = 0; st == CLAN_OK && i < sizeof spaces / sizeof spaces[0]; i++) {
        struct stat theirs, ours;
        snprintf(name, sizeof name, "/proc/%d/ns/%s", (int)child->pid, spaces[i].name);
        if (stat(name, &theirs) != 0)
            return err_errno(reterr, CLAN_E_IO, "cannot read %s", name);
        snprintf(name, sizeof name, "/proc/self/ns/%s", spaces[i].name);
        if (stat(name, &ours) != 0)
            return err_errno(reterr, CLAN_E_IO, "cannot read %s", name);
        bool own = (p->flags & spaces[i].with) == spaces[i].with && !(p->flags & spaces[i].without);
        if ((theirs.st_ino != ours.st_ino) != own)
            st = differs(reterr, child, "namespace", spaces[i].name);
    }
    return st;
}
