/* The rows that the sandbox runs on, and the steps that carry them out (private to core/sandbox).
 */
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
#define PROFILE_CALLS_MAX 5

struct profile {
    const char *name;
    uint32_t flags;
    const char *calls[PROFILE_CALLS_MAX]; /* allowed, words with spaces between */
    uint32_t nofile, nproc, memlock_kib, memory_mib;
};
const struct profile *profile_find(const char *name); /* NULL when there is none */
const struct profile *profile_at(unsigned i);         /* NULL at the end */

/* Calls of our own that only ever mean harm, and calls that libraries try and can do without. */
extern const char profile_fatal[], profile_refused[];
extern const char profile_link_last[]; /* sandbox_close_link() */

/* Calls that depend on their arguments: (argument & mask) == value. */
enum filter_verdict { FILTER_ALLOW, FILTER_REFUSE, FILTER_KILL };
enum filter_value {
    FILTER_LITERAL,
    FILTER_SELF,
    FILTER_PROGRAM
}; /* own pid; descriptor of the program */
struct filter_rule {
    const char *call;
    uint32_t with, without; /* PROFILE_ bits that must be set, must not be set */
    enum filter_verdict verdict;
    struct {
        uint64_t mask, value; /* mask 0: no condition */
        uint8_t arg, kind;
    } if_arg[2];
};
extern const struct filter_rule filter_rules[];
extern const unsigned filter_rule_count;

/* Next word of a list; false at its end. */
bool profile_word(const char **list, char ret_word[32]);
bool profile_lists(const char *list, const char *name);

#define SANDBOX_STEPS(X)                                                                           \
    X(SESSION, "session")                                                                          \
    X(CGROUP, "cgroup")                                                                            \
    X(BINDS, "binds")                                                                              \
    X(NAMESPACES, "namespaces")                                                                    \
    X(ROOT, "root")                                                                                \
    X(DESCRIPTORS, "descriptors")                                                                  \
    X(LIMITS, "limits")                                                                            \
    X(LANDLOCK, "landlock")                                                                        \
    X(CAPABILITIES, "capabilities")                                                                \
    X(USER, "user")                                                                                \
    X(SECCOMP, "seccomp")                                                                          \
    X(EXEC, "exec")
enum sandbox_step {
    SANDBOX_STEP_NONE,
#define STEP_ENUM(name, text) SANDBOX_STEP_##name,
    SANDBOX_STEPS(STEP_ENUM)
#undef STEP_ENUM
        SANDBOX_STEP_COUNT
};
#define SANDBOX_EXIT_BASE 60 /* exit status of a failed step: base + step */
const char *sandbox_step_name(int step);

/* The steps return 0, or -1 with errno. */
int root_binds(const struct sandbox_spec *spec, int *ret_trees); /* before the new namespaces */
int root_enter(const struct sandbox_spec *spec, const int *trees);
int landlock_abi(void); /* 0: the kernel has none */
int landlock_apply(const struct sandbox_spec *spec, const struct profile *p, int program_fd);
/* *ret_notify_fd is -1 without PROFILE_NOTIFY. */
int filter_load(const struct profile *p, int program_fd, int *ret_notify_fd);

#endif
