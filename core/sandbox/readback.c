/* What the kernel offers, what is in force, and what became of a child, in words. */
#include "base/error.h"
#include "base/log.h"
#include "sandbox/profiles.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

const char *sandbox_step_name(int step)
{
    static const char *const names[] = {
#define STEP_NAME(name) [STEP_##name] = #name,
        SANDBOX_STEPS(STEP_NAME)
#undef STEP_NAME
    };
    return step > 0 && step < STEP_COUNT ? names[step] : "unknown";
}

void sandbox_exit_text(int wait_status, char *ret_text, size_t cap)
{
    int sig = WTERMSIG(wait_status), code = WEXITSTATUS(wait_status),
        step = code - SANDBOX_EXIT_BASE;
    const char *name = sigdescr_np(sig);
    if (WIFSIGNALED(wait_status) && name)
        snprintf(ret_text, cap, "killed by signal %d (%c%s)", sig, name[0] | 0x20, name + 1);
    else if (WIFSIGNALED(wait_status))
        snprintf(ret_text, cap, "killed by signal %d", sig);
    else if (!WIFEXITED(wait_status))
        snprintf(ret_text, cap, "stopped");
    else if (step > 0 && step < STEP_COUNT)
        snprintf(ret_text, cap, "sandbox step %s failed", sandbox_step_name(step));
    else
        snprintf(ret_text, cap, "ended with status %d", code);
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
        {"cgroup v2", SANDBOX_WEAKER_CGROUP,
            access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 ||
                access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0},
        {"seccomp filters", 0,
            syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kill_process) == 0},
        {"network namespaces", 0, access("/proc/self/ns/net", F_OK) == 0},
        {"PID namespaces", 0, access("/proc/self/ns/pid", F_OK) == 0},
    };
    char missing[200] = "";
#ifdef CLAN_SANITIZE
    log_warn("SANITIZER BUILD: sandboxes WITHOUT seccomp and Landlock, never for use");
#endif
    for (size_t i = 0, n = 0; i < sizeof features / sizeof features[0]; i++, n = strlen(missing))
        if (!features[i].there && !(features[i].weaker & weaker))
            snprintf(missing + n, sizeof missing - n, "%s%s", n ? ", " : "", features[i].name);
    if (!missing[0])
        return CLAN_OK;
    err_set(reterr, CLAN_E_NOSYS, "this kernel cannot hold Clan's sandbox");
    err_why(reterr, "missing: %s", missing);
    err_remedy(reterr, "boot a kernel that has it, or allow the weaker mode in machine.yaml: "
                       "sandbox: {weaker: [landlock, notify, cgroup]}");
    return CLAN_E_NOSYS;
}

static clan_status differs(struct clan_error *reterr, int pid, const char *what)
{
    err_set(reterr, CLAN_E_PERM, "process %d is not in its sandbox", pid);
    err_why(reterr, "the kernel does not say: %.*s", (int)strcspn(what, "\n"), what);
    err_remedy(reterr, "end it; this is a defect in Clan or a kernel that it does not know");
    return CLAN_E_PERM;
}

/* Lines of /proc/PID/status as they have to be; a process can name itself like one, but only inside
 * a line. */
static const char *const wanted_lines[] = {
#ifndef CLAN_SANITIZE
    "\nSeccomp:\t2\n",
#endif
    "\nNoNewPrivs:\t1\n", "\nCapInh:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n",
    "\nCapEff:\t0000000000000000\n", "\nCapBnd:\t0000000000000000\n",
    "\nCapAmb:\t0000000000000000\n"};

static clan_status check_status(int pid, const char *status, struct clan_error *reterr)
{
    static const char *const ids[] = {"\nUid:", "\nGid:"};
    for (size_t i = 0; i < sizeof wanted_lines / sizeof wanted_lines[0]; i++)
        if (!strstr(status, wanted_lines[i]))
            return differs(reterr, pid, wanted_lines[i] + 1);
    for (int i = 0; i < 2; i++) {
        unsigned id[4];
        const char *at = strstr(status, ids[i]);
        if (!at || sscanf(at + 5, "%u %u %u %u", id, id + 1, id + 2, id + 3) != 4 || id[0] == 0 ||
            id[0] != id[1] || id[0] != id[2] || id[0] != id[3])
            return differs(reterr, pid, i ? "one Gid, not root" : "one Uid, not root");
    }
    return CLAN_OK;
}

clan_status sandbox_readback(
    const struct sandbox_child *child, const char *profile, struct clan_error *reterr)
{
    const struct profile *p = profile_find(profile);
    clan_assert(p != NULL);
    const struct {
        const char *name;
        bool own;
    } spaces[] = {{"mnt", true}, {"ipc", true}, {"uts", true}, {"net", !(p->flags & PROFILE_NET)},
        {"pid", p->flags & PROFILE_PIDNS}};
    char name[64], status[8192];
    snprintf(name, sizeof name, "/proc/%d/status", (int)child->pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return err_errno(reterr, CLAN_E_IO, "cannot read %s", name);
    status[n] = 0;
    clan_status st = check_status(child->pid, status, reterr);
    for (size_t i = 0; st == CLAN_OK && i < sizeof spaces / sizeof spaces[0]; i++) {
        struct stat theirs, ours;
        char mine[32];
        snprintf(name, sizeof name, "/proc/%d/ns/%s", (int)child->pid, spaces[i].name);
        snprintf(mine, sizeof mine, "/proc/self/ns/%s", spaces[i].name);
        if (stat(name, &theirs) != 0 || stat(mine, &ours) != 0)
            return err_errno(reterr, CLAN_E_IO, "cannot read %s", name);
        if ((theirs.st_ino != ours.st_ino) != spaces[i].own)
            st = differs(reterr, child->pid, name);
    }
    return st;
}
