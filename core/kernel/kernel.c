/* Looks which means the kernel has. */
#include "kernel/kernel.h"

#include "base/error.h"
#include "base/log.h"
#include "landlock/landlock.h"

#include <linux/seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

clan_status kernel_probe(uint32_t weaker, struct clan_error *reterr)
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
