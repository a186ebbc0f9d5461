/* clan-plugin-check: what its parts share. */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include "check/note.h"

#include <clan/plugin.h>
#include <sys/types.h>

enum try_result { TRY_NOT_RUN, TRY_PASSED, TRY_FAILED };

/* Exit statuses of the program. */
enum { EXIT_PASSED = 0, EXIT_FAILED = 1, EXIT_USE = 2, EXIT_INCOMPLETE = 3 };

/* Written by the process of a check, read by the one that started it: shared memory. */
struct try_report {
    int result;
    char doing[128]; /* said when the process ends without a result */
    char why[640];
    char remedy[256];
    uint32_t case_number; /* fuzz */
    uint32_t cases;
    uint64_t value; /* of helpers */
};

#define SETTINGS_MAX 32 /* as core gives a plugin at most */

struct subject {
    const char *path, *name; /* as given, and its last part */
    char load[4096];         /* what is given to dlopen: a sealed copy, or path with --in-process */
    int fd;                  /* the copy */
    struct note_source src;
    struct clan_note_body note;
    const char *host; /* clan-host */
    char dir[256];    /* of this check, with state and volume in it */
    char state[272], volume[272];
    uint64_t seed;
    unsigned fuzz_ms;
    struct clan_setting settings[SETTINGS_MAX]; /* --setting */
    unsigned setting_count;
    bool in_process;
    bool reproduce; /* only_case */
    uint32_t only_case;
};

typedef void try_fn(struct subject *s, struct try_report *r);

enum { NEEDS_NOTE = 1, NEEDS_LOAD = 2, AS_ROOT = 4 };
struct try_row {
    const char *name;
    try_fn *fn;
    unsigned limit_ms;
    unsigned flags;
    const char *about; /* what it makes sure of */
};
extern const struct try_row try_table[]; /* ends at a row without a name */

void try_pass(struct try_report *r);
void try_fail(struct try_report *r, const char *remedy, const char *why_fmt, ...)
    __attribute__((format(printf, 3, 4)));
void try_skip(struct try_report *r, const char *remedy, const char *why_fmt, ...)
    __attribute__((format(printf, 3, 4)));
void try_error(struct try_report *r, const struct clan_error *e);
/* "" when all of a refusal is there, else which part is missing. */
const char *try_text_fault(clan_status status, const struct clan_error *e);

bool note_asks(const struct clan_note_body *n, const char *word); /* "net.connect" too */
unsigned count_entries(const char *dir);                          /* of /proc/self/fd or /task */
bool has_children(void);
uint64_t now_ms(void);
/* A listening TCP socket on 127.0.0.1; its port in host order. */
int loopback_listener(uint16_t *ret_port);

/* runner.c: a process for the check, its end, and what it left. */
void run_try(
    const struct try_row *row, struct subject *s, struct try_report *ret_report, unsigned *ret_ms);
/* Waits for pid and kills it after limit_ms.  False: it was killed. */
bool wait_limited(pid_t pid, unsigned limit_ms, int *ret_status);

/* rootless.c: calls fn as user `id` with all rights in user, mount, network and PID namespaces of its own.
 * False: this kernel does not let the user make them, and fn was not called. */
typedef void rootless_fn(void *arg);
bool rootless_run(unsigned id, rootless_fn *fn, void *arg);

/* show.c */
struct shown {
    const struct try_row *row;
    struct try_report report;
    unsigned ms;
};
void show_text(const struct subject *s, const struct shown *list, unsigned count);
int show_json(const struct subject *s, const struct shown *list, unsigned count);

try_fn try_static_note, try_static_hardening, try_static_paths, try_static_libraries,
    try_static_symbols;
try_fn try_load_open, try_load_time, try_load_threads, try_load_descriptors, try_load_children;
try_fn try_cycle, try_interfaces, try_settings, try_states, try_answers, try_small_host;
try_fn try_sandbox;
try_fn try_fuzz_settings, try_fuzz_peer;

#endif
