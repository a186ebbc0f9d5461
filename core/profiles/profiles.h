/*
 * What each process may do and what exec:PROFILE starts: the policy of the sandbox as data.  profiles.def has
 * system calls, limits and flags, rules.def what arguments decide, root.def what is seen of the system,
 * notify.def how a refusal is said, programs.def the programs.  core/sandbox and the warden run on them.
 */
#ifndef PROFILES_PROFILES_H
#define PROFILES_PROFILES_H

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PROFILE_NET = 1u << 0,    /* shares the machine's network, may connect by TCP */
    PROFILE_PIDNS = 1u << 1,  /* a PID namespace of its own */
    PROFILE_NOTIFY = 1u << 2, /* calls that are not listed go to the warden by name */
    PROFILE_PLUGIN = 1u << 3, /* descriptor 5 may be mapped executable */
    PROFILE_CLOSES = 1u << 4, /* loads one more filter itself */
    PROFILE_ALONE = 1u << 5,  /* set by the filter: nobody answers notifications */
    PROFILE_UNIX =
        1u << 6, /* meets its host, or its program, at sockets in the directories they share */
    PROFILE_DEVICE = 1u << 7 /* moves packets between a TUN and UDP sockets that it was given */
};
struct profile {
    const char *name;
    uint32_t flags;
    const char *calls[4]; /* allowed, words with spaces between */
    uint32_t nofile, nproc, memlock_kib, memory_mib;
};
extern const struct profile profiles[];               /* ends at a row without a name */
const struct profile *profile_find(const char *name); /* NULL when there is none */

/* Without notifications the fatal ones kill; libraries try the refused ones and can do without. */
extern const char profile_fatal[], profile_refused[], profile_unconnected[];
extern const char profile_unnamed[];   /* allowed to hosts whose notifications nobody answers */
extern const char profile_link_last[]; /* sandbox_close_link() */

bool profile_word(const char **list, char ret_word[32]); /* the next one; false at the end */
bool profile_lists(const char *list, const char *name);

enum profile_about { /* what decides about a call, or is only said of it */
    ABOUT_OPENS,
    ABOUT_PATH,
    ABOUT_CHANGE,
    ABOUT_TARGET,
    ABOUT_FAMILY,
    ABOUT_PID,
    ABOUT_CODE,
    ABOUT_MAP,
    ABOUT_NUMBER,
    ABOUT_OPTION,
    ABOUT_NOTHING
};
struct profile_call {
    const char *call;
    enum profile_about about;
    uint8_t arg;  /* which argument that is; an open has its flags in the next one */
    uint8_t more; /* of a change: the second path, 0: none */
};
const struct profile_call *profile_call_find(const char *call); /* NULL: nothing to look at */
/* Whether a library may read it before the host says that all are loaded. */
bool profile_readable(const char *path);

struct profile_program {
    const char *profile;     /* "lighttpd" */
    const char *program;     /* "/usr/sbin/lighttpd" */
    const char *const *argv; /* template; {state} and {volume} stand for the directories inside */
    const char *const *envp;
    const char *sandbox; /* "program-lighttpd" */
    const char *package; /* Debian package to install when it is missing */
    const char
        *owner; /* "tor": the directory of that name beside the grants is its /owner; NULL: none */
};
const struct profile_program *profile_program_find(const char *profile); /* NULL: there is none */
/* Of these, the one that has the plugin's connections in its place, so that the host needs no network; NULL. */
const char *profile_caller(const char (*execs)[32], unsigned count);
/* The same, or NULL with what to install when the program is not on this machine. */
const struct profile_program *profile_program_need(const char *profile, struct clan_error *reterr);

#endif
