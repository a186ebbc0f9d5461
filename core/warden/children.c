/* Children: start, death, starting anew with back-off, and what the core hears about them. */
#include "base/title.h"
#include "warden/warden.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *const kind_names[] = {
    "", "core", "link", "resolver", "keeper", "host", "program"};

struct child *children_next(struct clan *c, struct child *ch)
{
    for (ch = ch ? ch + 1 : c->children; ch < c->children + WARD_CHILDREN_MAX; ch++)
        if (ch->clan)
            return ch;
    return NULL;
}

struct child *children_find(struct clan *c, uint32_t kind, uint32_t id)
{
    struct child *ch = NULL;
    while ((ch = children_next(c, ch)))
        if ((!kind || ch->kind == kind) && (!id || ch->proc.id == id))
            break;
    return ch;
}

/* detail: what else its user depends on */
struct child *children_new(struct clan *c, uint32_t kind, uint32_t host, const char *name,
    const char *detail, struct clan_error *e)
{
    struct child *ch = NULL;
    char process[64];
    uid_t uid = clans_uid(c, kind, name, detail, e);
    for (struct child *old = NULL; (old = children_next(c, old));)
        if (old->kind == kind && old->host == host && strcmp(old->name, name) == 0)
            return err_set(e, CLAN_E_EXIST, "%s runs already", name), NULL;
    for (unsigned i = 0; i < WARD_CHILDREN_MAX && !ch; i++)
        ch = c->children[i].clan ? NULL : &c->children[i];
    if (!ch)
        err_set(e, CLAN_E_LIMIT, "this clan has %d processes", WARD_CHILDREN_MAX);
    if (!ch || !uid)
        return NULL;
    *ch = (struct child){.clan = c, .kind = kind, .host = host, .uid = uid, .disk = {.owner = ch}};
    snprintf(ch->name, sizeof ch->name, "%s", name);
    snprintf(process, sizeof process, "%s%s%s", kind_names[kind], name[0] ? "-" : "", name);
    ch->proc.log =
        logring_file(&c->warden->logs, clans_name(c), process, kind == WARD_KIND_PROGRAM);
    ch->proc.log.loaded = &ch->proc.sandbox.loaded;
    proc_add(&c->warden->procs, &ch->proc, ch);
    return ch;
}

void children_free(struct child *ch)
{
    for (unsigned i = 0; i < ch->listen_count; i++)
        close(ch->listen[i]);
    disk_forget(&ch->disk);
    proc_remove(&ch->proc);
    ch->clan = NULL;
}

static const char *title(const struct child *ch)
{
    static char text[64];
    snprintf(text, sizeof text, "%s%s%s", kind_names[ch->kind], ch->name[0] ? " " : "", ch->name);
    return text;
}

/* Adds what every child has to what its kind needs, and starts it, unless e says that some of it is missing. */
clan_status children_launch(struct child *ch, struct launch *l, struct clan_error *e)
{
    struct clan *c = ch->clan;
    char name[32];
    snprintf(name, sizeof name, "%u-%s", c->slot, kind_names[ch->kind]);
    l->spec.uid = l->spec.gid = ch->uid;
    l->spec.weaker = c->warden->grants.weaker;
    if (e->status != CLAN_OK)
        launch_close(l);
    if (e->status != CLAN_OK || proc_launch(&ch->proc, l, name, e) != CLAN_OK)
        return e->status;
    if (ch->kind == WARD_KIND_CORE) {
        c->core_fd = ch->proc.channel;
        c->state = c->bound ? WARD_BOUND : WARD_UNBOUND;
        memset(c->rate, 0, sizeof c->rate);
        loop_fd_add(c->warden->loop, c->core_fd, EPOLLIN, monitor_readable, c);
    }
    logs_say(clans_name(c), LOG_LEVEL_INFO, "%s[%d] runs", title(ch), ch->proc.sandbox.pid);
    if (sandbox_readback(&ch->proc.sandbox, l->spec.profile, e) != CLAN_OK) {
        proc_kill(&ch->proc); /* reaped and reported like any death */
        logs_error(clans_name(c), "sandbox", e);
    }
    return CLAN_OK;
}

/* Which descriptors and directories a kind has; wire/warden_requests.h says why. */
static void inherit(struct child *ch, struct launch *l, struct clan_error *e)
{
    struct clan *c = ch->clan;
    bool core = ch->kind == WARD_KIND_CORE;
    char grants[PATH_MAX];
    if (core || ch->kind == WARD_KIND_KEEPER)
        launch_dir(l, slot_dir(&c->disk, "", core ? "state" : "keeper", ch->uid, ch->uid, 0700, e),
            CHILD_FD_STATE, "/state", true);
    if (core) { /* it reads what the owner granted to ask good questions; we enforce it */
        snprintf(grants, sizeof grants, "%s", c->warden->opt.grants);
        launch_path(l, dirname(grants), "/etc/clan");
        launch_fd(l, slot_seed(&c->disk), CHILD_FD_SEED, true);
        launch_fd(l, c->bound ? c->listener : c->connection, CHILD_FD_API, false);
    }
    if (ch->kind == WARD_KIND_RESOLVER) {
        launch_fd(l, netconf_socket(SOCK_DGRAM, c->net.resolver, 53, 1, e), CHILD_FD_SEED, true);
        launch_fd(l, netconf_socket(SOCK_STREAM, c->net.resolver, 53, 1, e), CHILD_FD_STATE, true);
    }
}

clan_status children_spawn(struct child *ch, struct clan_error *e)
{
    struct launch l = {0};
    if (ch->kind == WARD_KIND_HOST)
        return hosts_spawn(ch, e);
    launch_ours(&l, ch->clan->warden->opt.libexec_dir, kind_names[ch->kind]);
    l.argv[1] = ch->clan->bound ? ch->clan->petname : TITLE_UNKNOWN;
    inherit(ch, &l, e);
    return children_launch(ch, &l, e);
}

void children_announce(struct child *ch, bool adopted)
{
    struct ward_child event = {.head = {WARD_EV_CHILD, 0},
        .child = ch->proc.id,
        .kind = ch->kind,
        .adopted = adopted,
        .slot = (uint8_t)ch->clan->slot,
        .host = ch->host};
    memcpy(event.name, ch->name, sizeof event.name);
    memcpy(event.plugin, ch->plugin, sizeof event.plugin);
    monitor_event(ch->clan, &event, sizeof event, ch->proc.channel);
}

/* One try; when it fails the next one comes by itself. */
void children_try(struct proc *p)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct child *ch = p->owner;
    struct clan *c = ch->clan;
    if (children_spawn(ch, &e) != CLAN_OK) {
        logs_error(clans_name(c), title(ch), &e);
        proc_due_in(p, proc_backoff_failed(p));
        return;
    }
    if (ch->kind != WARD_KIND_CORE)
        children_announce(ch, false);
    else /* a new core finds what lived on */
        for (struct child *old = NULL; (old = children_next(c, old));)
            if (old->proc.runs && !old->proc.ending && old != ch)
                children_announce(old, true);
}

void children_start(struct clan *c, uint32_t kind)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (children_find(c, kind, 0))
        return;
    struct child *ch = children_new(c, kind, 0, "", "", &e);
    if (ch)
        children_try(&ch->proc);
    else
        logs_error(clans_name(c), kind_names[kind], &e);
}

static void tell_death(const struct child *ch, int wait_status, bool again)
{
    struct ward_child_died event = {.head = {WARD_EV_CHILD_DIED, 0},
        .child = ch->proc.id,
        .kind = ch->kind,
        .restarting = again,
        .disk_full = ch->disk.why[0] != 0,
        .wait_status = wait_status,
        .host = ch->host};
    memcpy(event.name, ch->name, sizeof event.name);
    snprintf(event.last_words, sizeof event.last_words, "%s",
        ch->disk.why[0] ? ch->disk.why : ch->proc.log.last_words);
    monitor_event(ch->clan, &event, sizeof event, -1);
}

void children_end(struct child *ch, unsigned grace_ms)
{
    ch->proc.ending = true;
    if (ch->proc.runs)
        proc_end(&ch->proc, grace_ms);
    else {
        if (ch->kind == WARD_KIND_HOST && !ch->clan->leaving)
            tell_death(ch, 0, false); /* it was to be started anew: core may ask for it again */
        children_free(ch);
    }
}

static void report(struct child *ch, int wait_status, bool again, unsigned wait)
{
    char how[512];
    proc_end_text(&ch->proc, wait_status, again ? (int)wait : -1, how, sizeof how);
    logs_say(clans_name(ch->clan), ch->proc.ending ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "%s%s",
        title(ch), how);
    if (ch->kind != WARD_KIND_CORE)
        tell_death(ch, wait_status, again);
}

void children_refused(struct proc *p)
{
    const struct child *ch = p->owner;
    struct ward_child_refused event = {
        .head = {WARD_EV_REFUSED, 0}, .child = p->id, .count = p->log.refused_count};
    if (ch->kind >= WARD_KIND_HOST)
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
    for (struct child *its = NULL; (its = children_next(c, its));)
        if (its->kind == WARD_KIND_PROGRAM && its->host == ch->proc.id)
            children_end(its, 0);
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
    if (a->started && (a->child = children_new(c, WARD_KIND_KEEPER, 0, "", "", &a->error)) &&
        children_spawn(a->child, &a->error) != CLAN_OK) {
        children_free(a->child);
        a->child = NULL;
    }
}
