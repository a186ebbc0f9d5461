/* The rows that the sandbox runs on, and its steps (private to core/sandbox). */
#ifndef SANDBOX_PROFILES_H
#define SANDBOX_PROFILES_H

#include "sandbox/sandbox.h"

enum {
    PROFILE_NET = 1u << 0,    /* shares the machine's network, may connect by TCP */
    PROFILE_PIDNS = 1u << 1,  /* a PID namespace of its own */
    PROFILE_NOTIFY = 1u << 2, /* calls that are not listed go to the warden by name */
    PROFILE_PLUGIN = 1u << 3, /* descriptor 5 may be mapped executable */
    PROFILE_CLOSES = 1u << 4  /* loads one more filter itself */
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
extern const char profile_fatal[], profile_refused[];
extern const char profile_link_last[]; /* sandbox_close_link() */

bool profile_word(const char **list, char ret_word[32]); /* the next one; false at the end */
bool profile_lists(const char *list, const char *name);

struct sandbox_work { /* of the child, between fork and exec */
    const struct sandbox_spec *spec;
    const struct profile *profile;
    int program_fd, status_fd;
    int trees[SANDBOX_BINDS_MAX]; /* the binds, as mounts without a place */
};

/* Steps of spawn.c that have a file of their own.  They return 0, or -1 with errno; what they opened
 * is closed by exec or exit. */
int step_binds(struct sandbox_work *w);
int step_root(struct sandbox_work *w);
int step_landlock(struct sandbox_work *w);
#define TRY(call)                                                                                  \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            return -1;                                                                             \
    } while (0)

int landlock_abi(void); /* 0: the kernel has none */
/* *ret_notify_fd -1: it has none */
int filter_load(const struct profile *p, int program_fd, uint32_t weaker, int *ret_notify_fd);

#endif
