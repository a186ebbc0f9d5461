/* Asks the kernel what is in force. */
#include "base/error.h"
#include "sandbox/steps.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static clan_status differs(struct clan_error *reterr, int pid, const char *what)
{
    err_set(reterr, CLAN_E_PERM, "process %d is not in its sandbox", pid);
    err_why(reterr, "the kernel does not say: %.*s", (int)strcspn(what, "\n"), what);
    err_remedy(reterr, "end it; this is a defect in Clan or a kernel that it does not know");
    return CLAN_E_PERM;
}

/* A process can name itself like a line of its status, but only inside a line. */
static clan_status check_status(const struct sandbox_child *child, struct clan_error *reterr)
{
    char uid[64], gid[64], name[64], status[8192];
    const char *const wanted[] = {uid, gid,
#ifndef CLAN_SANITIZE
        "\nSeccomp:\t2\n",
#endif
        "\nNoNewPrivs:\t1\n", "\nCapInh:\t0000000000000000\n", "\nCapPrm:\t0000000000000000\n",
        "\nCapEff:\t0000000000000000\n", "\nCapBnd:\t0000000000000000\n",
        "\nCapAmb:\t0000000000000000\n"};
    unsigned u = child->uid, g = child->gid; /* real, effective, saved, of the file system */
    snprintf(uid, sizeof uid, "\nUid:\t%u\t%u\t%u\t%u\n", u, u, u, u);
    snprintf(gid, sizeof gid, "\nGid:\t%u\t%u\t%u\t%u\n", g, g, g, g);
    snprintf(name, sizeof name, "/proc/%d/status", (int)child->pid);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, status, sizeof status - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return err_errno(reterr, CLAN_E_IO, "cannot read %s", name);
    status[n] = 0;
    bool some = child->without & SANDBOX_WITHOUT_ROOT; /* such a user may keep a bounding set */
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (!strstr(status, wanted[i]) && !(some && strstr(wanted[i], "CapBnd")))
            return differs(reterr, child->pid, wanted[i] + 1);
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
    clan_status st = check_status(child, reterr);
    if (child->without & SANDBOX_WITHOUT_ROOT)
        return st;
    for (size_t i = 0; st == CLAN_OK && i < sizeof spaces / sizeof spaces[0]; i++) {
        struct stat theirs, ours;
        char name[64], mine[32];
        snprintf(name, sizeof name, "/proc/%d/ns/%s", (int)child->pid, spaces[i].name);
        snprintf(mine, sizeof mine, "/proc/self/ns/%s", spaces[i].name);
        if (stat(name, &theirs) != 0 || stat(mine, &ours) != 0)
            return err_errno(reterr, CLAN_E_IO, "cannot read %s", name);
        if ((theirs.st_ino != ours.st_ino) != spaces[i].own)
            st = differs(reterr, child->pid, name);
    }
    return st;
}
