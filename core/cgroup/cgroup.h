/* Cgroups, version 2: one for all sandboxes and in it one for each; limits, and killing all in it at once. */
#ifndef CGROUP_CGROUP_H
#define CGROUP_CGROUP_H

#include <clan/status.h>
#include <stdbool.h>
#include <stdint.h>

/* The one for all, below the one we are in; what an earlier run left in it is killed and removed.
 * ret_limits: its controllers count memory and processes. */
clan_status cgroup_begin(const char *name, int *ret_dir, bool *ret_limits, struct clan_error *e);
int cgroup_make(int dir, const char *name); /* in it; -1: none */
/* Sets what its controllers can count.  False: memory is not limited by it. */
bool cgroup_limit(int dir, uint64_t memory_bytes, uint32_t pids);
bool cgroup_enter(int dir); /* the calling process */
bool cgroup_kill(int dir);  /* everything in it; dir -1: false */
/* Until no process is left in it or below it; false: there were some after so long. */
bool cgroup_wait_empty(int dir, unsigned limit_ms);

#endif
