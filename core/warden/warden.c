/* The warden's start, its main loop, and the sockets that new clans come in by. */
#include "warden/warden.h"

#include "base/clock.h"
#include "cgroup/cgroup.h"
#include "daemon/daemon.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_MS      5000
#define SLEPT_MS      2000
#define READY_LATE_MS 20000
#define STOP_GRACE_MS 3000
#define STOP_MS       8000

static void ready(void *arg)
{
    struct warden *w = arg;
    if (!w->ready)
        daemon_tell(w->opt.supervisor_fd, 'R');
    w->ready = true;
}

/* Ready: new.sock listens and every clan that is to run has a core that works. */
void warden_ready(struct warden *w)
{
    for (struct clan *c = NULL; (c = clans_next(w, c));)
        if (c->bound && !c->down && !c->ready)
            return;
    ready(w);
}

static void check(void *arg)
{
    struct warden *w = arg;
    struct ward_simple event = {{WARD_EV_RESUMED, 0}};
    if (clock_slept_ms(&w->sleep_ms) > SLEPT_MS)
        for (struct clan *c = NULL; (c = clans_next(w, c));)
            monitor_event(c, &event, sizeof event, -1);
    disk_check(&w->disk);
    daemon_tell(w->opt.supervisor_fd, 'W');
    loop_timer_in(w->loop, CHECK_MS, check, w);
}

static void stop_if_done(struct warden *w)
{
    for (struct clan *c = NULL; (c = clans_next(w, c));)
        if (children_next(c, NULL))
            return;
    loop_stop(w->loop, 0);
}

static void stop(struct warden *w)
{
    w->stopping = true;
    logs_say("", LOG_LEVEL_INFO, "stops");
    for (struct clan *c = NULL; (c = clans_next(w, c));)
        clans_end(c, STOP_GRACE_MS);
    loop_timer_in(w->loop, STOP_MS, loop_end, w->loop);
    stop_if_done(w);
}

static void on_signal(void *arg, int fd, uint32_t events)
{
    struct warden *w = arg;
    int status;
    pid_t pid;
    (void)events;
    if (daemon_told_to_end(fd) && !w->stopping)
        stop(w);
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!tool_reap(pid, status))
            proc_reap(&w->procs, pid, status);
    if (w->stopping)
        stop_if_done(w);
}

static void connection_ended(void *arg, int fd, uint32_t events)
{
    struct clan *c = arg;
    (void)events;
    loop_fd_del(c->warden->loop, fd);
    if (!c->bound && !c->leaving)
        clans_end(c, 0);
}

static void on_connection(void *arg, int fd, uint32_t events)
{
    struct warden *w = arg;
    struct clan_error e = CLAN_ERROR_INIT;
    (void)events;
    int connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0)
        return;
    struct clan *c = w->stopping ? NULL : clans_new(w, &e);
    if (!c) {
        logs_error("", "new", &e);
        close(connection);
        return;
    }
    c->connection = connection;
    loop_fd_add(w->loop, connection, 0, connection_ended, c); /* 0: only its end */
    clans_start(c);
}

static clan_status directories(struct warden *w, struct clan_error *e)
{
    int run = daemon_directory(w->opt.run_dir, 0755, e);
    if (run < 0 || slots_open(&w->slots, w->opt.state_dir, logs_failed,
                       (void *)(uintptr_t) "/bin/rm", e) != CLAN_OK)
        return e->status;
    close(run);
    w->disk =
        (struct disk){w->opt.libexec_dir, w->slots.path, hosts_disk_full, logs_failed, NULL, 0, 0};
    w->clan_gid = daemon_group("clan");
    w->logs = (struct logring){.gid = w->clan_gid, .echo = w->opt.verbose};
    return logs_open(&w->logs, w->slots.dir, "../log", "cland", e);
}

static void consent(struct warden *w)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (grants_load(w->opt.grants, true, &w->grants, &e) != CLAN_OK) {
        memset(&w->grants, 0, sizeof w->grants);
        logs_error("", "no plugin will run", &e);
    }
}

static bool prepare(struct warden *w, struct clan_error *e)
{
    bool limits = true;
    if (daemon_mounts(e) != CLAN_OK || directories(w, e) != CLAN_OK)
        return false;
    consent(w);
    if (kernel_probe(w->grants.weaker, e) != CLAN_OK ||
        (cgroup_begin(w->opt.cgroup, &w->procs.cgroup_fd, &limits, e) != CLAN_OK &&
            !(w->grants.weaker & SANDBOX_WEAKER_CGROUP)))
        return false;
    if (!limits)
        logs_say("", LOG_LEVEL_DEBUG, "no memory controller here: limits by rlimit");
    return (w->new_sock = clans_socket(w, "new", e)) >= 0 && net_begin(w, e) == CLAN_OK;
}

int warden_main(const struct warden_options *opt)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct warden *w = calloc(1, sizeof *w);
    clan_assert(w && sodium_init() >= 0);
    w->opt = *opt;
    w->loop = loop_new();
    w->procs =
        (struct procs){w->loop, -1, children_try, children_died, children_refused, NULL, 0, 0};
    clan_assert(w->loop);
    umask(022);
    int signals = daemon_signals(&e);
    if (signals < 0 || !prepare(w, &e)) {
        logs_error("", "cannot start", &e);
        fprintf(stderr, "cland: %s: %s (%s)\n", e.what, e.why, e.remedy);
        return 3;
    }
    clock_slept_ms(&w->sleep_ms);
    slots_scan(&w->slots, WARD_SLOTS, clans_found, w);
    loop_fd_add(w->loop, signals, EPOLLIN, on_signal, w);
    loop_fd_add(w->loop, w->new_sock, EPOLLIN, on_connection, w);
    logs_say("", LOG_LEVEL_INFO, "listens at %s/new.sock", w->opt.run_dir);
    for (struct clan *c = NULL; (c = clans_next(w, c));)
        if (c->bound && !c->down)
            clans_start(c);
    loop_timer_in(w->loop, READY_LATE_MS, ready, w); /* one that fails does not stop the others */
    check(w);
    warden_ready(w);
    return loop_run(w->loop);
}
