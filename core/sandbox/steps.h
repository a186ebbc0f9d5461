/* The steps of a sandbox between fork and exec (private to core/sandbox). */
#ifndef SANDBOX_STEPS_H
#define SANDBOX_STEPS_H

#include "profiles/profiles.h"
#include "sandbox/sandbox.h"

struct sandbox_work { /* of the child */
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

/* *ret_notify_fd -1: it has none */
int filter_load(const struct profile *p, int program_fd, uint32_t weaker, int *ret_notify_fd);

#endif
