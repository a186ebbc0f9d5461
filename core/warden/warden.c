/* The warden's start, its main loop, and the sockets that new clans come in by. */
#include "warden/warden.h"

#include "base/clock.h"
#include "cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK_MS      5000
#define SLEPT_MS      2000
#define READY_LATE_MS 20000
#define STOP_GRACE_MS 3000
#define STOP_MS       8000

static void tell_supervisor(const struct warden *w, char word)
{
    if (w->opt.supervisor_fd >= 0 && write(w->opt.supervisor_fd, &word, 1) < 0)
        logs_say(NULL, LOG_LEVEL_WARN, "the supervisor does not listen");
}

/* Ready: new.sock listens and every clan that is to run has a core that works. */
void warden_ready(struct warden *w)
{
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        if (w->clans[i].used && w->clans[i].bound && !w->clans[i].down && !w->clans[i].ready)
            return;
    if (!w->ready)
        tell_supervisor(w, 'R');
    w->ready = true;
}

static void ready_late(void *arg)
{
    struct warden *w = arg;
    if (!w->ready)
        tell_supervisor(w, 'R'); /* one clan that does not start is no reason to stop the others */
    w->ready = true;
}

static void check(void *arg)
{
    struct warden *w = arg;
    struct ward_simple event = {{WARD_EV_RESUMED, 0}};
    int64_t asleep = (int64_t)clock_boot_ms() - (int64_t)clock_mono_ms();
    for (unsigned i = 0; asleep - w->sleep_ms > SLEPT_MS && i < WARD_SLOTS; i++)
        if (w->clans[i].used)
            monitor_event(&w->clans[i], &event, sizeof event, -1);
    w->sleep_ms = asleep;
    tell_supervisor(w, 'W');
    loop_timer_in(w->loop, CHECK_MS, check, w);
}

static void stop_now(void *arg)
{
    loop_stop(((struct warden *)arg)->loop, 0);
}

static void stop_if_done(struct warden *w)
{
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        if (w->clans[i].used && children_find(&w->clans[i], 0, 0))
            return;
    loop_stop(w->loop, 0);
}

static void stop(struct warden *w)
{
    w->stopping = true;
    logs_say(NULL, LOG_LEVEL_INFO, "stops");
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        if (w->clans[i].used)
            clans_end(&w->clans[i], STOP_GRACE_MS);
    loop_timer_in(w->loop, STOP_MS, stop_now, w);
    stop_if_done(w);
}

static void on_signal(void *arg, int fd, uint32_t events)
{
    struct warden *w = arg;
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    (void)events;
    while (read(fd, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGTERM && !w->stopping)
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
        logs_error(NULL, "new", &e);
        close(connection);
        return;
    }
    c->connection = connection;
    loop_fd_add(w->loop, connection, 0, connection_ended, c); /* 0: only its end */
    clans_start(c);
}

static clan_status mounts(struct clan_error *e)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) != 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
        return err_errno(e, CLAN_E_PERM, "cannot mount /proc for the warden");
    return CLAN_OK;
}

/* Without the name services' modules, which would stay loaded in this process. */
static gid_t local_group(const char *name)
{
    gid_t gid = 0;
    FILE *f = fopen("/etc/group", "re");
    for (struct group *g; f && (g = fgetgrent(f));)
        if (strcmp(g->gr_name, name) == 0)
            gid = g->gr_gid;
    if (f)
        fclose(f);
    return gid;
}

static clan_status directories(struct warden *w, struct clan_error *e)
{
    char path[4096];
    w->clan_gid = local_group("clan");
    snprintf(path, sizeof path, "%s/clans", w->opt.state_dir);
    mkdir(w->opt.run_dir, 0755);
    mkdir(w->opt.state_dir, 0755);
    mkdir(path, 0700);
    w->clans_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    w->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (w->clans_fd < 0 || w->null_fd < 0 || chown(w->opt.run_dir, 0, 0) != 0 ||
        chmod(w->opt.run_dir, 0755) != 0)
        return err_errno(e, CLAN_E_IO, "cannot open %s or %s", path, w->opt.run_dir);
    if (flock(w->clans_fd, LOCK_EX | LOCK_NB) != 0) {
        err_set(e, CLAN_E_CONFLICT, "another cland works in %s", w->opt.state_dir);
        err_remedy(e, "end that one first: systemctl stop cland");
        return CLAN_E_CONFLICT;
    }
    return logs_open(w, e);
}

static void consent(struct warden *w)
{
    struct clan_error e = CLAN_ERROR_INIT;
    w->have_grants = grants_load(w->opt.grants, true, &w->grants, &e) == CLAN_OK;
    if (!w->have_grants) {
        memset(&w->grants, 0, sizeof w->grants);
        logs_error(NULL, "no plugin will run", &e);
    }
}

static clan_status cgroups(struct warden *w, struct clan_error *e)
{
    bool limits = true;
    clan_status s = cgroup_begin(w->opt.cgroup, &w->procs.cgroup_fd, &limits, e);
    if (!limits)
        logs_say(NULL, LOG_LEVEL_DEBUG, "no memory controller here: limits by rlimit");
    return w->have_grants && (w->grants.weaker & SANDBOX_WEAKER_CGROUP) ? CLAN_OK : s;
}

static clan_status prepare(struct warden *w, struct clan_error *e)
{
    clan_status s = mounts(e);
    if (s == CLAN_OK)
        s = directories(w, e);
    if (s != CLAN_OK)
        return s;
    consent(w);
    if ((s = sandbox_probe(w->grants.weaker, e)) == CLAN_OK)
        s = cgroups(w, e);
    if (s == CLAN_OK && (w->new_sock = clans_socket(w, "new", e)) < 0)
        s = e->status;
    if (s == CLAN_OK && net_watch(w) != CLAN_OK)
        s = err_errno(e, CLAN_E_IO, "cannot watch this machine's addresses");
    return s;
}

static clan_status signals(struct warden *w, struct clan_error *e)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGCHLD);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the supervisor turns it into SIGTERM */
    sigprocmask(SIG_SETMASK, &set, NULL);
    w->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w->signal_fd < 0 || loop_fd_add(w->loop, w->signal_fd, EPOLLIN, on_signal, w) != CLAN_OK)
        return err_errno(e, CLAN_E_IO, "cannot take signals");
    return CLAN_OK;
}

int warden_main(const struct warden_options *opt)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct warden *w = calloc(1, sizeof *w);
    clan_assert(w && sodium_init() >= 0);
    w->opt = *opt;
    w->loop = loop_new();
    w->procs = (struct procs){w->loop, -1, children_due, children_died, NULL, 0, 0};
    clan_assert(w->loop);
    umask(022);
    clan_status s = signals(w, &e);
    if (s == CLAN_OK)
        s = prepare(w, &e);
    if (s != CLAN_OK) {
        logs_error(NULL, "cannot start", &e);
        fprintf(stderr, "cland: %s: %s (%s)\n", e.what, e.why, e.remedy);
        return 3;
    }
    w->sleep_ms = (int64_t)clock_boot_ms() - (int64_t)clock_mono_ms();
    firewall_begin(w);
    clans_load(w);
    loop_fd_add(w->loop, w->new_sock, EPOLLIN, on_connection, w);
    logs_say(NULL, LOG_LEVEL_INFO, "listens at %s/new.sock", w->opt.run_dir);
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        if (w->clans[i].used && w->clans[i].bound && !w->clans[i].down)
            clans_start(&w->clans[i]);
    loop_timer_in(w->loop, READY_LATE_MS, ready_late, w);
    check(w);
    warden_ready(w);
    return loop_run(w->loop);
}
