/* A small epoll loop for the processes whose list of system calls stays short. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <clan/status.h>
#include <stdbool.h>
#include <stdint.h>

#define LOOP_FDS_MAX    1024
#define LOOP_TIMERS_MAX 256

struct loop;
typedef void loop_fd_fn(void *arg, int fd, uint32_t epoll_events);
typedef void loop_timer_fn(void *arg);

struct loop *loop_new(void);
void loop_free(struct loop *l); /* takes NULL; closes nothing that it did not open */
/* epoll_events as in epoll_ctl(2).  At most LOOP_FDS_MAX: CLAN_E_LIMIT above. */
clan_status loop_fd_add(struct loop *l, int fd, uint32_t epoll_events, loop_fd_fn *fn, void *arg);
clan_status loop_fd_mod(struct loop *l, int fd, uint32_t epoll_events);
void loop_fd_del(struct loop *l, int fd); /* before the descriptor is closed */
/* One-shot, at a CLOCK_MONOTONIC millisecond.  Returns an id > 0, or 0 when LOOP_TIMERS_MAX is
 * reached. */
uint64_t loop_timer_at(struct loop *l, uint64_t mono_ms, loop_timer_fn *fn, void *arg);
uint64_t loop_timer_in(struct loop *l, uint64_t delay_ms, loop_timer_fn *fn, void *arg);
void loop_timer_cancel(struct loop *l, uint64_t id); /* 0 and ids that fired are ignored */
/* The next wait polls for up to this long before it sleeps: for who is about to be asked again, as
 * waking a process takes longer than most answers.  Called anew for each wait. */
void loop_stay_awake(struct loop *l, uint64_t ns);
/* Runs until loop_stop(); returns its argument. */
int loop_run(struct loop *l);
void loop_stop(struct loop *l, int result);
loop_timer_fn loop_end; /* loop_stop(arg, 0) */

#endif
