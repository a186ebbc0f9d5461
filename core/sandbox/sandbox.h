/*
 * One stage, complete before exec: user, namespaces, root, Landlock, capabilities, limits, seccomp.
 * Profiles are data (core/profiles).  A step that fails ends the child with its own exit status; nothing is
 * left out silently: a missing kernel feature is an error that names it, unless the owner allowed it.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include "kernel/kernel.h"

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SANDBOX_FDS_MAX   32
#define SANDBOX_BINDS_MAX 16

struct sandbox_fd {
    int from,
        to; /* every other descriptor is closed; a directory must be one of the binds too: it is
                     opened again inside, else it would lead out of the root.  0-2: /dev/null when unnamed */
};
struct sandbox_bind {
    int source_fd;      /* O_PATH directory or file, owned by the caller */
    const char *target; /* inside the new root: "/state", "/volume", "/plugin.so" */
    bool writable;      /* always nosuid, nodev, noexec unless `exec` */
    bool exec;
};

/* What clan-plugin-check goes without where it is not root; the warden goes without nothing. */
enum {
    SANDBOX_WITHOUT_USER = 1, /* the user stays: the caller mapped it to uid in a user namespace */
    SANDBOX_WITHOUT_ROOT =
        2, /* no namespaces, no root, no binds: Landlock, limits and seccomp alone */
};

struct sandbox_spec {
    const char
        *profile; /* row of profiles/profiles.def: "core", "link", "resolver", "keeper", "host",
                            "host-net" (shares the machine's network), "program-lighttpd", ... */
    const char *program; /* absolute path outside; executed by descriptor */
    char *const *argv, *const *envp;
    uid_t uid;
    gid_t gid, extra_gid; /* extra_gid 0: none */
    const struct sandbox_fd *fds;
    unsigned fd_count;
    const struct sandbox_bind *binds;
    unsigned bind_count;
    int cgroup_fd;             /* directory of its cgroup (v2), -1: none */
    uint32_t memory_mib, pids; /* 0: the profile's */
    uint32_t file_mib;         /* of one file; 0: any */
    uint32_t weaker;           /* SANDBOX_WEAKER_ bits the owner allowed */
    uint32_t without;          /* SANDBOX_WITHOUT_ bits */
};

struct sandbox_child {
    pid_t pid;
    uid_t uid;
    gid_t gid;
    int pidfd;
    int notify_fd; /* seccomp user notifications, -1 when the profile has none */
    bool loaded;   /* set by the warden: library opens are refused from now on */
    uint32_t without;
};

/* Forks, builds, execs.  Returns after exec succeeded or a step failed (named in *reterr, the child is
 * reaped).  The caller is root, but for `without`, and has one thread.  A program is PID 1 of its own PID namespace. */
clan_status sandbox_spawn(
    const struct sandbox_spec *spec, struct sandbox_child *ret_child, struct clan_error *reterr);
/* Compares /proc/PID with the profile: seccomp mode, no new privileges, capabilities, uid, namespaces. */
clan_status sandbox_readback(
    const struct sandbox_child *child, const char *profile, struct clan_error *reterr);
/* Answers one waiting notification: lets reading opens pass until `loaded`, those in the own /state and
 * /volume (descriptors 6, 7) always, refuses the rest; never waits.  AGAIN: there was none.
 * ret_text (at least 256): "openat /etc/shadow refused", empty when it was let through. */
clan_status sandbox_notification(struct sandbox_child *child, char *ret_text, size_t cap);
/* A dead child in words: "killed by signal 31 (bad system call)", "sandbox step landlock failed". */
void sandbox_exit_text(int wait_status, char *ret_text, size_t cap);

/* link closes the last filter itself, after threads and cipher contexts exist. */
clan_status sandbox_close_link(struct clan_error *reterr);

#endif
