/* Children: start, death, starting anew with back-off, and what the core hears about them. */
#include "warden/warden.h"

#include "base/clock.h"
#include "base/file.h"
#include "wire/channel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS   10000
#define LIFE_GOOD_MS     60000
#define LOADED_MS        5000

static const char *const kind_names[] = {
    "", "core", "link", "resolver", "keeper", "host", "program"};

static void tick_arm(struct warden *w)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        for (unsigned k = 0; w->clans[i].used && k < WARD_CHILDREN_MAX; k++) {
            const struct child *ch = &w->clans[i].children[k];
            if (ch->clan && ch->due_ms && ch->due_ms < next)
                next = ch->due_ms;
        }
    loop_timer_cancel(w->loop, w->tick);
    w->tick = next == UINT64_MAX ? 0 : loop_timer_at(w->loop, next, children_tick, w);
}

static void due_in(struct child *ch, uint64_t ms)
{
    ch->due_ms = clock_mono_ms() + ms;
    tick_arm(ch->clan->warden);
}

/* The wait before the next start; a life of a minute is a good one. */
unsigned children_backoff(unsigned last_ms, uint64_t life_ms, unsigned *ret_next)
{
    unsigned wait = life_ms >= LIFE_GOOD_MS ? 0 : last_ms;
    *ret_next = wait == 0                   ? BACKOFF_FIRST_MS
                : wait * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
                                            : wait * 2;
    return wait;
}

struct child *children_find(struct clan *c, uint32_t kind, uint32_t id)
{
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++) {
        struct child *ch = &c->children[i];
        if (ch->clan && (!kind || ch->kind == kind) && (!id || ch->id == id))
            return ch;
    }
    return NULL;
}

struct child *children_new(
    struct clan *c, uint32_t kind, const char *name, const char *plugin, struct clan_error *e)
{
    struct child *ch = NULL;
    uid_t uid = clans_uid(c, kind, name, plugin, e);
    for (unsigned i = 0; i < WARD_CHILDREN_MAX && !ch; i++)
        ch = c->children[i].clan ? NULL : &c->children[i];
    if (!ch)
        err_set(e, CLAN_E_LIMIT, "this clan has %d processes", WARD_CHILDREN_MAX);
    if (!ch || !uid)
        return NULL;
    *ch = (struct child){
        .clan = c, .kind = kind, .uid = uid, .core_end = -1, .log_fd = -1, .cgroup_fd = -1};
    snprintf(ch->name, sizeof ch->name, "%s", name);
    snprintf(ch->plugin, sizeof ch->plugin, "%s", plugin);
    ch->log = (struct logring_file){.ring = &c->warden->logs,
        .file = -1,
        .plain = kind == WARD_KIND_PROGRAM,
        .loaded = &ch->sandbox.loaded};
    snprintf(ch->log.clan, sizeof ch->log.clan, "%s", clans_name(c));
    snprintf(ch->log.process, sizeof ch->log.process, "%s%s%s", kind_names[kind],
        kind >= WARD_KIND_HOST ? "-" : "", name);
    return ch;
}

void children_free(struct child *ch)
{
    for (unsigned i = 0; i < ch->listen_count; i++)
        close(ch->listen[i]);
    logring_close(&ch->log);
    ch->clan = NULL;
}

void launch_fd(struct launch *l, int from, int to, bool own)
{
    clan_assert(l->spec.fd_count < SANDBOX_FDS_MAX);
    l->fds[l->spec.fd_count++] = (struct sandbox_fd){from, to};
    if (own)
        l->close[l->close_count++] = from;
}

void launch_bind(struct launch *l, int fd, const char *target, bool writable)
{
    clan_assert(l->spec.bind_count < 4);
    l->binds[l->spec.bind_count++] =
        (struct sandbox_bind){.source_fd = fd, .target = target, .writable = writable};
}

static void log_readable(void *arg, int fd, uint32_t events)
{
    struct child *ch = arg;
    (void)events;
    if (!logring_read(&ch->log, fd, 64))
        loop_fd_del(ch->clan->warden->loop, fd);
}

static void log_rest(struct child *ch)
{
    if (ch->log_fd >= 0)
        logring_read(&ch->log, ch->log_fd, 512);
}

static void notified(void *arg, int fd, uint32_t events)
{
    struct child *ch = arg;
    char text[256] = "";
    if (events & (EPOLLHUP | EPOLLERR))
        loop_fd_del(ch->clan->warden->loop, fd);
    log_rest(ch); /* "loaded", if it was said before this call */
    if (!(events & (EPOLLHUP | EPOLLERR)) &&
        sandbox_notification(&ch->sandbox, text, sizeof text) == CLAN_OK && text[0])
        logring_refused(&ch->log, text);
}

static void let_go(struct child *ch)
{
    struct clan *c = ch->clan;
    int *mine[] = {&ch->sandbox.pidfd, &ch->sandbox.notify_fd, &ch->log_fd, &ch->core_end,
        &ch->cgroup_fd, ch->kind == WARD_KIND_CORE ? &c->core_fd : &ch->core_end};
    for (unsigned i = 0; i < sizeof mine / sizeof mine[0]; i++) {
        loop_fd_del(c->warden->loop, *mine[i]);
        if (*mine[i] >= 0)
            close(*mine[i]);
        *mine[i] = -1;
    }
    if (ch->cgroup[0])
        unlinkat(c->warden->cgroup_fd, ch->cgroup, AT_REMOVEDIR);
    ch->cgroup[0] = 0;
    ch->runs = false;
}

static void watch(struct child *ch, int channel)
{
    struct clan *c = ch->clan;
    if (ch->kind == WARD_KIND_CORE) {
        c->core_fd = channel;
        c->state = c->bound ? WARD_BOUND : WARD_UNBOUND;
        memset(c->rate, 0, sizeof c->rate);
        loop_fd_add(c->warden->loop, channel, EPOLLIN, monitor_readable, c);
    } else
        ch->core_end = channel;
    loop_fd_add(c->warden->loop, ch->log_fd, EPOLLIN, log_readable, ch);
    if (ch->sandbox.notify_fd >= 0)
        loop_fd_add(c->warden->loop, ch->sandbox.notify_fd, EPOLLIN, notified, ch);
    ch->runs = true;
    ch->due_ms = 0;
    ch->started_ms = clock_mono_ms();
    ch->log.last_words[0] = 0;
    ch->log.pid = ch->sandbox.pid;
    if (ch->sandbox.notify_fd >= 0)
        due_in(ch, LOADED_MS);
}

/* Adds what every child has (channel, log, user, cgroup) to what its kind needs, and starts it. */
clan_status children_launch(struct child *ch, struct launch *l, struct clan_error *e)
{
    struct warden *w = ch->clan->warden;
    int channel[2] = {-1, -1}, log[2] = {-1, -1};
    clan_status s = channel_pair(log);
    if (s == CLAN_OK && ch->kind != WARD_KIND_PROGRAM)
        s = channel_pair(channel);
    if (s != CLAN_OK)
        err_errno(e, s, "no channel for a new process");
    ch->id = ++w->next_child;
    snprintf(
        ch->cgroup, sizeof ch->cgroup, "%u-%s-%u", ch->clan->slot, kind_names[ch->kind], ch->id);
    ch->cgroup_fd = sandbox_cgroup_make(w->cgroup_fd, ch->cgroup);
    if (channel[1] >= 0)
        launch_fd(l, channel[1], CHILD_FD_CHANNEL, true);
    if (ch->kind != WARD_KIND_PROGRAM)
        launch_fd(l, log[1], CHILD_FD_LOG, false);
    else /* a program of the system says what it has to say on its standard error */
        launch_fd(l, log[1], STDERR_FILENO, false);
    l->spec.fds = l->fds;
    l->spec.binds = l->binds;
    l->spec.argv = (char *const *)(uintptr_t)l->argv;
    l->spec.envp = (char *const *)(uintptr_t)l->envp;
    l->spec.uid = l->spec.gid = ch->uid;
    l->spec.cgroup_fd = ch->cgroup_fd;
    l->spec.weaker = w->have_grants ? w->grants.weaker : 0;
    if (s == CLAN_OK)
        s = sandbox_spawn(&l->spec, &ch->sandbox, e);
    for (unsigned i = 0; i < l->close_count; i++)
        close(l->close[i]);
    close(log[1]);
    ch->log_fd = log[0];
    if (s == CLAN_OK) {
        watch(ch, channel[0]);
        s = sandbox_readback(&ch->sandbox, l->spec.profile, e);
        if (s != CLAN_OK)
            children_kill(ch); /* reaped and reported like any death */
        return s == CLAN_OK ? s : (logs_error(ch->clan, "sandbox", e), CLAN_OK);
    }
    ch->sandbox = (struct sandbox_child){.pidfd = -1, .notify_fd = -1};
    ch->core_end = channel[0];
    let_go(ch);
    return s;
}

/* What the owner granted: core reads it to ask good questions, this process enforces it. */
static void bind_grants(struct clan *c, struct launch *l)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", c->warden->opt.grants);
    int dir = open(dirname(path), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return;
    launch_bind(l, dir, "/etc/clan", false);
    l->close[l->close_count++] = dir;
}

/* Which descriptors and directories a kind has; wire/warden_requests.h says why. */
static clan_status inherit(struct child *ch, struct launch *l, struct clan_error *e)
{
    struct clan *c = ch->clan;
    if (ch->kind == WARD_KIND_CORE || ch->kind == WARD_KIND_KEEPER) {
        int dir = slot_dir(&c->disk, "", ch->kind == WARD_KIND_CORE ? "state" : "keeper", ch->uid,
            ch->uid, 0700, e);
        if (dir < 0)
            return e->status;
        launch_fd(l, dir, CHILD_FD_STATE, true);
        launch_bind(l, dir, "/state", true);
    }
    if (ch->kind == WARD_KIND_CORE) {
        bind_grants(c, l);
        launch_fd(l, slot_seed(&c->disk), CHILD_FD_SEED, true);
        launch_fd(l, c->bound ? c->listener : c->connection, CHILD_FD_API, false);
    }
    if (ch->kind == WARD_KIND_RESOLVER) {
        int udp = netconf_socket(SOCK_DGRAM, c->net.resolver, 53, 1, e),
            tcp = netconf_socket(SOCK_STREAM, c->net.resolver, 53, 1, e);
        if (udp >= 0)
            launch_fd(l, udp, CHILD_FD_SEED, true);
        if (tcp >= 0)
            launch_fd(l, tcp, CHILD_FD_STATE, true);
        return udp >= 0 && tcp >= 0 ? CLAN_OK : e->status;
    }
    return CLAN_OK;
}

clan_status children_spawn(struct child *ch, struct clan_error *e)
{
    struct launch l = {0};
    char program[512], name[32];
    if (ch->kind == WARD_KIND_HOST)
        return hosts_spawn(ch, e);
    snprintf(program, sizeof program, "%s/clan-%s", ch->clan->warden->opt.libexec_dir,
        kind_names[ch->kind]);
    snprintf(name, sizeof name, "clan-%s", kind_names[ch->kind]);
    l.spec.profile = kind_names[ch->kind];
    l.spec.program = program;
    l.argv[0] = name;
    l.argv[1] = ch->clan->bound ? ch->clan->petname : "-";
    clan_status s = inherit(ch, &l, e);
    if (s == CLAN_OK)
        return children_launch(ch, &l, e);
    for (unsigned i = 0; i < l.close_count; i++)
        close(l.close[i]);
    return s;
}

void children_announce(struct child *ch, bool adopted)
{
    struct ward_child event = {.head = {WARD_EV_CHILD, 0},
        .child = ch->id,
        .kind = ch->kind,
        .adopted = adopted,
        .host = ch->host};
    memcpy(event.name, ch->name, sizeof event.name);
    memcpy(event.plugin, ch->plugin, sizeof event.plugin);
    monitor_event(ch->clan, &event, sizeof event, ch->core_end);
}

/* One try; when it fails the next one comes by itself. */
static void start(struct child *ch)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct clan *c = ch->clan;
    if (children_spawn(ch, &e) != CLAN_OK) {
        unsigned wait = children_backoff(
            ch->backoff_ms ? ch->backoff_ms : BACKOFF_FIRST_MS, 0, &ch->backoff_ms);
        logs_error(c, kind_names[ch->kind], &e);
        due_in(ch, wait);
        return;
    }
    logs_say(c, LOG_LEVEL_INFO, "%s%s%s[%d] runs", kind_names[ch->kind], ch->name[0] ? " " : "",
        ch->name, ch->sandbox.pid);
    if (ch->kind != WARD_KIND_CORE) {
        children_announce(ch, false);
        return;
    }
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++) /* a new core finds what lived on */
        if (c->children[i].clan && c->children[i].runs && !c->children[i].ending &&
            &c->children[i] != ch)
            children_announce(&c->children[i], true);
}

void children_start(struct clan *c, uint32_t kind)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (children_find(c, kind, 0))
        return;
    struct child *ch = children_new(c, kind, "", "", &e);
    if (ch)
        start(ch);
    else
        logs_error(c, kind_names[kind], &e);
}

void children_kill(struct child *ch)
{
    if (!ch || !ch->runs)
        return;
    sandbox_cgroup_kill(ch->cgroup_fd);
    pidfd_send_signal(ch->sandbox.pidfd, SIGKILL, NULL, 0);
}

void children_end(struct child *ch, unsigned grace_ms)
{
    ch->ending = true;
    if (!ch->runs)
        children_free(ch);
    else if (grace_ms && pidfd_send_signal(ch->sandbox.pidfd, SIGTERM, NULL, 0) == 0)
        due_in(ch, grace_ms);
    else
        children_kill(ch);
}

void children_tick(void *arg)
{
    struct warden *w = arg;
    w->tick = 0;
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        for (unsigned k = 0; w->clans[i].used && k < WARD_CHILDREN_MAX; k++) {
            struct child *ch = &w->clans[i].children[k];
            if (!ch->clan || !ch->due_ms || ch->due_ms > clock_mono_ms())
                continue;
            ch->due_ms = 0;
            if (ch->ending)
                children_kill(ch);
            else if (!ch->runs)
                start(ch);
            else
                ch->sandbox.loaded = true; /* too late for more libraries */
        }
    tick_arm(w);
}

static void report(struct child *ch, int wait_status, bool again, unsigned wait)
{
    struct ward_child_died event = {.head = {WARD_EV_CHILD_DIED, 0},
        .child = ch->id,
        .kind = ch->kind,
        .restarting = again,
        .wait_status = wait_status,
        .host = ch->host};
    char how[160], then[64] = "";
    sandbox_exit_text(wait_status, how, sizeof how);
    if (again)
        snprintf(then, sizeof then, "; starts again in %u ms", wait);
    logs_say(ch->clan, ch->ending ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "%s%s%s[%d] %s%s%s%s%s",
        kind_names[ch->kind], ch->name[0] ? " " : "", ch->name, ch->sandbox.pid, how,
        ch->log.last_words[0] ? "; last words: \"" : "", ch->log.last_words,
        ch->log.last_words[0] ? "\"" : "", then);
    memcpy(event.name, ch->name, sizeof event.name);
    memcpy(event.last_words, ch->log.last_words, sizeof event.last_words);
    if (ch->kind != WARD_KIND_CORE)
        monitor_event(ch->clan, &event, sizeof event, -1);
}

static void died(struct child *ch, int wait_status)
{
    struct clan *c = ch->clan;
    bool unbound_core = ch->kind == WARD_KIND_CORE && !c->bound;
    bool again = !ch->ending && !unbound_core && ch->kind != WARD_KIND_PROGRAM && !c->leaving;
    unsigned wait = 0;
    log_rest(ch);
    sandbox_cgroup_kill(ch->cgroup_fd); /* what it may have forked */
    if (again)
        wait = children_backoff(ch->backoff_ms, clock_mono_ms() - ch->started_ms, &ch->backoff_ms);
    report(ch, wait_status, again, wait);
    for (unsigned i = 0; ch->kind == WARD_KIND_HOST && i < WARD_CHILDREN_MAX; i++)
        if (c->children[i].clan && c->children[i].kind == WARD_KIND_PROGRAM &&
            c->children[i].host == ch->id)
            children_end(&c->children[i], 0);
    let_go(ch);
    if (again)
        due_in(ch, wait);
    else
        children_free(ch);
    if (unbound_core && !c->leaving)
        clans_end(c, 0);
    clans_settle(c);
}

void children_reap(struct warden *w, pid_t pid, int wait_status)
{
    for (unsigned i = 0; i < WARD_SLOTS; i++)
        for (unsigned k = 0; w->clans[i].used && k < WARD_CHILDREN_MAX; k++) {
            struct child *ch = &w->clans[i].children[k];
            if (ch->clan && ch->runs && ch->sandbox.pid == pid) {
                died(ch, wait_status);
                return;
            }
        }
}

void children_child_end(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_child_end *r = request;
    struct child *ch = children_find(c, 0, r->child);
    if (!ch || r->child == 0 || ch->kind < WARD_KIND_KEEPER)
        err_set(&a->error, CLAN_E_NOENT, "no keeper, host or program with the number %u", r->child);
    else
        children_end(ch, r->grace_ms > 30000 ? 30000 : r->grace_ms);
}

void children_keeper_start(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request;
    a->child = children_find(c, WARD_KIND_KEEPER, 0);
    a->started = !a->child;
    if (a->started && (a->child = children_new(c, WARD_KIND_KEEPER, "", "", &a->error)) &&
        children_spawn(a->child, &a->error) != CLAN_OK) {
        children_free(a->child);
        a->child = NULL;
    }
}
