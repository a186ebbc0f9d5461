/* Children: start, death, starting anew with back-off, and what the core hears about them. */
#include "warden/warden.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const kind_names[] = {
    "", "core", "link", "resolver", "keeper", "host", "program"};

struct child *children_find(struct clan *c, uint32_t kind, uint32_t id)
{
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++) {
        struct child *ch = &c->children[i];
        if (ch->clan && (!kind || ch->kind == kind) && (!id || ch->proc.id == id))
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
    *ch = (struct child){.clan = c, .kind = kind, .uid = uid};
    snprintf(ch->name, sizeof ch->name, "%s", name);
    snprintf(ch->plugin, sizeof ch->plugin, "%s", plugin);
    ch->proc.log = (struct logring_file){.ring = &c->warden->logs,
        .file = -1,
        .plain = kind == WARD_KIND_PROGRAM,
        .loaded = &ch->proc.sandbox.loaded};
    snprintf(ch->proc.log.clan, sizeof ch->proc.log.clan, "%s", clans_name(c));
    snprintf(ch->proc.log.process, sizeof ch->proc.log.process, "%s%s%s", kind_names[kind],
        kind >= WARD_KIND_HOST ? "-" : "", name);
    proc_add(&c->warden->procs, &ch->proc, ch);
    return ch;
}

void children_free(struct child *ch)
{
    for (unsigned i = 0; i < ch->listen_count; i++)
        close(ch->listen[i]);
    proc_remove(&ch->proc);
    ch->clan = NULL;
}

/* Adds what every child has to what its kind needs, and starts it. */
clan_status children_launch(struct child *ch, struct launch *l, struct clan_error *e)
{
    struct clan *c = ch->clan;
    char name[32];
    snprintf(name, sizeof name, "%u-%s", c->slot, kind_names[ch->kind]);
    l->spec.uid = l->spec.gid = ch->uid;
    l->spec.weaker = c->warden->have_grants ? c->warden->grants.weaker : 0;
    clan_status s = proc_launch(&ch->proc, l, name, e);
    if (s != CLAN_OK)
        return s;
    if (ch->kind == WARD_KIND_CORE) {
        c->core_fd = ch->proc.channel;
        c->state = c->bound ? WARD_BOUND : WARD_UNBOUND;
        memset(c->rate, 0, sizeof c->rate);
        loop_fd_add(c->warden->loop, c->core_fd, EPOLLIN, monitor_readable, c);
    }
    if (sandbox_readback(&ch->proc.sandbox, l->spec.profile, e) != CLAN_OK) {
        proc_kill(&ch->proc); /* reaped and reported like any death */
        logs_error(c, "sandbox", e);
    }
    return CLAN_OK;
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
    launch_own(l, dir);
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
    launch_close(&l);
    return s;
}

void children_announce(struct child *ch, bool adopted)
{
    struct ward_child event = {.head = {WARD_EV_CHILD, 0},
        .child = ch->proc.id,
        .kind = ch->kind,
        .adopted = adopted,
        .host = ch->host};
    memcpy(event.name, ch->name, sizeof event.name);
    memcpy(event.plugin, ch->plugin, sizeof event.plugin);
    monitor_event(ch->clan, &event, sizeof event, ch->proc.channel);
}

/* One try; when it fails the next one comes by itself. */
static void start(struct child *ch)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct clan *c = ch->clan;
    if (children_spawn(ch, &e) != CLAN_OK) {
        logs_error(c, kind_names[ch->kind], &e);
        proc_due_in(&ch->proc, proc_backoff_failed(&ch->proc));
        return;
    }
    logs_say(c, LOG_LEVEL_INFO, "%s%s%s[%d] runs", kind_names[ch->kind], ch->name[0] ? " " : "",
        ch->name, ch->proc.sandbox.pid);
    if (ch->kind != WARD_KIND_CORE)
        children_announce(ch, false);
    for (unsigned i = 0; ch->kind == WARD_KIND_CORE && i < WARD_CHILDREN_MAX; i++) {
        struct child *old = &c->children[i]; /* a new core finds what lived on */
        if (old->clan && old->proc.runs && !old->proc.ending && old != ch)
            children_announce(old, true);
    }
}

void children_due(struct proc *p)
{
    start(p->owner);
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

void children_end(struct child *ch, unsigned grace_ms)
{
    ch->proc.ending = true;
    if (ch->proc.runs)
        proc_end(&ch->proc, grace_ms);
    else
        children_free(ch);
}

static void report(struct child *ch, int wait_status, bool again, unsigned wait)
{
    struct ward_child_died event = {.head = {WARD_EV_CHILD_DIED, 0},
        .child = ch->proc.id,
        .kind = ch->kind,
        .restarting = again,
        .wait_status = wait_status,
        .host = ch->host};
    char how[160], then[64] = "";
    sandbox_exit_text(wait_status, how, sizeof how);
    if (again)
        snprintf(then, sizeof then, "; starts again in %u ms", wait);
    logs_say(ch->clan, ch->proc.ending ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "%s%s%s[%d] %s%s%s%s%s",
        kind_names[ch->kind], ch->name[0] ? " " : "", ch->name, ch->proc.sandbox.pid, how,
        ch->proc.log.last_words[0] ? "; last words: \"" : "", ch->proc.log.last_words,
        ch->proc.log.last_words[0] ? "\"" : "", then);
    memcpy(event.name, ch->name, sizeof event.name);
    memcpy(event.last_words, ch->proc.log.last_words, sizeof event.last_words);
    if (ch->kind != WARD_KIND_CORE)
        monitor_event(ch->clan, &event, sizeof event, -1);
}

void children_died(struct proc *p, int wait_status)
{
    struct child *ch = p->owner;
    struct clan *c = ch->clan;
    bool unbound_core = ch->kind == WARD_KIND_CORE && !c->bound;
    bool again = !p->ending && !unbound_core && ch->kind != WARD_KIND_PROGRAM && !c->leaving;
    unsigned wait = again ? proc_backoff_after(p) : 0;
    report(ch, wait_status, again, wait);
    for (unsigned i = 0; ch->kind == WARD_KIND_HOST && i < WARD_CHILDREN_MAX; i++)
        if (c->children[i].clan && c->children[i].kind == WARD_KIND_PROGRAM &&
            c->children[i].host == ch->proc.id)
            children_end(&c->children[i], 0);
    if (ch->kind == WARD_KIND_CORE)
        c->core_fd = -1;
    proc_gone(p);
    if (again)
        proc_due_in(p, wait);
    else
        children_free(ch);
    if (unbound_core && !c->leaving)
        clans_end(c, 0);
    clans_settle(c);
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
