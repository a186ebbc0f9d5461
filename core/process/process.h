/* The life of a sandboxed process: its channel, log, cgroup, end, and the wait before the next one. */
#ifndef PROCESS_PROCESS_H
#define PROCESS_PROCESS_H

#include "base/loop.h"
#include "logring/logring.h"
#include "profiles/profiles.h"
#include "sandbox/sandbox.h"

struct proc;
struct procs {
    struct loop *loop;
    int cgroup_fd; /* of all, -1: none */
    void (*start)(struct proc *p);
    void (*died)(struct proc *p, int wait_status); /* calls proc_gone() when it has looked */
    void (*refused)(
        struct proc *p); /* a second after a call was refused to it; NULL: nobody asks */
    struct proc *first;
    uint32_t last_id;
    uint64_t timer;
};
struct proc {
    struct procs *of;
    struct proc *next;
    void *owner;
    uint32_t id; /* of the running one, never used again */
    bool runs, ending;
    struct sandbox_child sandbox;
    int channel, log_fd, cgroup_fd;
    char cgroup[96];
    uint64_t due_ms, started_ms; /* due: start, kill or "loaded", whatever its state needs */
    unsigned backoff_ms;
    unsigned turns; /* of this second */
    uint64_t resume_timer;
    uint32_t refused_told;
    struct logring_file log;
};

/* launch.c: what a process is started with, gathered piece by piece */
struct launch {
    struct sandbox_spec spec;
    struct sandbox_fd fds[SANDBOX_FDS_MAX];
    struct sandbox_bind binds[4];
    const char *argv[8], *envp[8];
    char text[8][128]; /* arguments that were made from a template */
    char path[512];    /* of a program of ours */
    int close[SANDBOX_FDS_MAX];
    unsigned close_count;
};
void launch_fd(struct launch *l, int from, int to, bool own); /* own: closed after the start */
void launch_bind(struct launch *l, int fd, const char *target, bool writable);
void launch_own(struct launch *l, int fd);
void launch_null(struct launch *l, int to);              /* /dev/null */
void launch_or_null(struct launch *l, int from, int to); /* that one, from -1: /dev/null */
/* A directory at a path inside and, unless `to` is -1, at a descriptor (dir -1: /dev/null there). */
void launch_dir(struct launch *l, int dir, int to, const char *target, bool writable);
void launch_path(
    struct launch *l, const char *path, const char *target); /* if it is there, to read */
/* Program, profile, arguments and environment of a row; {state} and {volume} as it sees them. */
/* clan-NAME of that directory, by its profile NAME, without arguments. */
void launch_ours(struct launch *l, const char *directory, const char *name);
void launch_program(struct launch *l, const struct profile_program *row);
/* The owner's own directory for it, beside the file of grants, if there is one. */
void launch_owner(struct launch *l, const char *grants, const struct profile_program *row);
void launch_close(struct launch *l);
/* Adds channel, log and cgroup, and starts it; log.plain: no channel, its log is standard error.
 * name: of its cgroup, the number is added. */
clan_status proc_launch(struct proc *p, struct launch *l, const char *name, struct clan_error *e);

void proc_add(struct procs *all, struct proc *p, void *owner);
void proc_remove(struct proc *p); /* it does not run */
void proc_due_in(struct proc *p, uint64_t ms);
void proc_watch(struct proc *p); /* for launch.c */
void proc_kill(struct proc *p);
void proc_end(struct proc *p, unsigned grace_ms); /* TERM, then kill; 0: kill at once */
void proc_gone(struct proc *p);                   /* closes all that was the dead one's */
/* "[12] killed by signal 9 (killed); last words: \"...\"; starts again in 100 ms"; again_ms -1: it does not */
void proc_end_text(const struct proc *p, int wait_status, int again_ms, char *ret_text, size_t cap);
void proc_log_rest(struct proc *p); /* reads what it said before it died */
bool proc_reap(struct procs *all, pid_t pid, int wait_status); /* false: not one of these */
/* The wait before the next start; a life of a minute is a good one. */
unsigned proc_backoff(unsigned last_ms, uint64_t life_ms, unsigned *ret_next);
unsigned proc_backoff_after(struct proc *p);  /* of one that died */
unsigned proc_backoff_failed(struct proc *p); /* of one that could not be started */

#endif
