/* Slots: what is on disk of each clan, its sockets, and how a clan begins and ends. */
#include "warden/warden.h"

#include "base/clock.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

const char *clans_name(const struct clan *c)
{
    static char name[16];
    if (c->bound)
        return c->petname;
    snprintf(name, sizeof name, "new%u", c->slot);
    return name;
}

static void slot_init(struct warden *w, struct clan *c, unsigned slot)
{
    free(c->fw.elements);
    free(c->names);
    memset(c, 0, sizeof *c);
    *c = (struct clan){.warden = w, .used = true, .slot = slot, .state = WARD_UNBOUND};
    c->generation = ++w->next_generation;
    c->disk.dir = c->core_fd = c->listener = c->connection = c->net.tun = -1;
}

static void bind_to(struct clan *c, const uint8_t id[32], const char *petname)
{
    memcpy(c->id, id, sizeof c->id);
    snprintf(c->petname, sizeof c->petname, "%s", petname);
    c->net.prefix[0] = c->net.resolver[0] = 0xfd; /* fd and 40 bits of the clan id: a /48 */
    memcpy(c->net.prefix + 1, id, 5);
    memcpy(c->net.resolver + 1, id, 5);
    c->net.resolver[15] = 0x53;
    c->bound = true;
}

static void discarded(void *arg, const struct clan_error *e)
{
    (void)arg;
    if (e)
        logs_error(NULL, "/bin/rm", e);
}

/* Out of the way at once, deleted by rm in its own time (a volume may be large). */
static void slot_discard(struct warden *w, const char *name)
{
    char gone[64], path[4096];
    snprintf(gone, sizeof gone, "gone-%s-%llu", name, (unsigned long long)clock_mono_ns());
    if (strncmp(name, "gone-", 5) == 0)
        snprintf(gone, sizeof gone, "%s", name);
    else if (renameat(w->clans_fd, name, w->clans_fd, gone) != 0)
        return;
    snprintf(path, sizeof path, "%s/clans/%s", w->opt.state_dir, gone);
    tool_run(TOOL_REMOVE, (const char *const[]){"/bin/rm", "-rf", "--", path, NULL}, NULL,
        discarded, NULL);
}

static bool slot_bound_load(struct clan *c, struct clan_error *e)
{
    struct slot_bound b;
    if (slot_open(&c->disk, c->warden->clans_fd, c->slot, e) != CLAN_OK ||
        slot_load(&c->disk, &b, e) != CLAN_OK)
        return false;
    bind_to(c, b.clan_id, b.petname);
    c->state = WARD_BOUND;
    c->down = b.down;
    return true;
}

/* A bound slot is kept, even a damaged one; those whose clan was never finished go. */
void clans_load(struct warden *w)
{
    int fd = openat(w->clans_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    while (d && (entry = readdir(d))) {
        struct clan_error e = CLAN_ERROR_INIT;
        char *end = NULL, path[300];
        unsigned long slot = strtoul(entry->d_name, &end, 10);
        snprintf(path, sizeof path, "%s/bound", entry->d_name);
        if (strncmp(entry->d_name, "gone-", 5) == 0)
            slot_discard(w, entry->d_name);
        if (end == entry->d_name || *end || slot >= WARD_SLOTS)
            continue;
        if (faccessat(w->clans_fd, path, F_OK, 0) != 0 && errno == ENOENT) {
            slot_discard(w, entry->d_name);
            continue;
        }
        slot_init(w, &w->clans[slot], (unsigned)slot);
        if (!slot_bound_load(&w->clans[slot], &e)) {
            logs_error(NULL, "a clan is not started", &e);
            w->clans[slot].down = true; /* the slot stays taken */
        }
    }
    if (d)
        closedir(d);
}

struct clan *clans_new(struct warden *w, struct clan_error *e)
{
    struct clan *c = NULL;
    unsigned unbound = 0;
    char name[16];
    for (unsigned i = WARD_SLOTS; i-- > 0;) {
        unbound += w->clans[i].used && !w->clans[i].bound;
        c = w->clans[i].used ? c : &w->clans[i];
    }
    if (!c || unbound >= WARD_UNBOUND_MAX) {
        err_set(e, CLAN_E_LIMIT, "%d clans are being made already", WARD_UNBOUND_MAX);
        return NULL;
    }
    slot_init(w, c, (unsigned)(c - w->clans));
    snprintf(name, sizeof name, "%u", c->slot);
    slot_discard(w, name);
    if (mkdirat(w->clans_fd, name, 0700) != 0 ||
        slot_open(&c->disk, w->clans_fd, c->slot, e) != CLAN_OK) {
        err_errno(e, CLAN_E_IO, "cannot make a directory in %s/clans", w->opt.state_dir);
        c->used = false;
        return NULL;
    }
    return c;
}

clan_status clans_store(struct clan *c, struct clan_error *e)
{
    return slot_store(&c->disk, c->id, c->petname, c->down, e);
}

/* The user of a child, the same for ever; 0 on error. */
uid_t clans_uid(
    struct clan *c, uint32_t kind, const char *name, const char *detail, struct clan_error *e)
{
    char key[SLOT_UID_NAME];
    snprintf(key, sizeof key, "%u:%s:%s", kind, name, detail);
    int index = slot_uid(&c->disk, key, e);
    return index < 0 ? 0 : c->warden->opt.uid_base + WARD_UIDS * c->slot + (uid_t)index;
}

/* A listening socket in the run directory, for root and the group clan, else for the owner. */
int clans_socket(struct warden *w, const char *name, struct clan_error *e)
{
    char path[4096];
    uid_t owner = w->clan_gid ? 0 : w->have_grants ? w->grants.owner_uid : 0;
    snprintf(path, sizeof path, "%s/%s.sock", w->opt.run_dir, name);
    return netconf_unix(path, owner, w->clan_gid, w->clan_gid ? 0660 : 0600, e);
}

void clans_listen(struct clan *c, struct clan_error *e)
{
    if (c->listener < 0)
        c->listener = clans_socket(c->warden, c->petname, e);
}

void clans_start(struct clan *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (c->bound)
        clans_listen(c, &e);
    if (e.status != CLAN_OK)
        logs_error(c, "start", &e);
    children_start(c, WARD_KIND_CORE);
    children_start(c, WARD_KIND_LINK);
}

static void forget(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Ends all that runs; clans_settle() goes on when the last one is gone. */
void clans_end(struct clan *c, unsigned grace_ms)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    c->leaving = true;
    loop_fd_del(c->warden->loop, c->core_fd); /* it may ask for nothing more */
    loop_fd_del(c->warden->loop, c->connection);
    forget(&c->connection);
    if (c->listener >= 0 && snprintf(path, sizeof path, "%s/%s.sock", c->warden->opt.run_dir,
                                c->petname) < (int)sizeof path)
        unlink(path);
    forget(&c->listener);
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++)
        if (c->children[i].clan && (c->children[i].kind != WARD_KIND_CORE || grace_ms == 0))
            children_end(&c->children[i], grace_ms);
    clans_settle(c);
}

void clans_settle(struct clan *c)
{
    char name[16];
    struct child *core = children_find(c, WARD_KIND_CORE, 0);
    if (!c->leaving)
        return;
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++)
        if (c->children[i].clan && &c->children[i] != core)
            return;
    if (core && !core->proc.ending) /* the last one, so that it can say how it went */
        children_end(core, CLAN_GRACE_MS);
    if (core && core->clan)
        return;
    c->leaving = false;
    if (c->warden->stopping) /* the firewall and the state stay */
        return;
    if (c->bound) {
        names_remove(c);
        net_down(c);
        firewall_down(c);
        logs_say(c, LOG_LEVEL_INFO, c->down ? "down" : "left");
    }
    if (c->bound && c->down)
        return;
    forget(&c->disk.dir);
    snprintf(name, sizeof name, "%u", c->slot);
    slot_discard(c->warden, name);
    c->used = false;
}

void clans_seed_store(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_seed_store *r = request;
    slot_seed_store(&c->disk, r->seed, &a->error);
    sodium_memzero((void *)(uintptr_t)r->seed, sizeof r->seed); /* the monitor's buffer */
}

static void bind_check(struct clan *c, const struct ward_bind *r, struct clan_error *e)
{
    unsigned bound = 0;
    if (r->petname[32] != 0 || !text_name_ok(r->petname) || strcmp(r->petname, "new") == 0) {
        err_set(e, CLAN_E_INVAL, "not a name for a clan");
        err_remedy(e, "use up to 32 of a-z, 0-9 and '-'");
    } else if (!slot_seed_there(&c->disk))
        err_set(e, CLAN_E_STATE, "the clan has no identity yet");
    for (unsigned i = 0; i < WARD_SLOTS; i++) {
        const struct clan *other = &c->warden->clans[i];
        if (!other->used || !other->bound)
            continue;
        bound++;
        if (strcmp(other->petname, r->petname) == 0 ||
            memcmp(other->net.prefix + 1, r->clan_id, 5) == 0) {
            err_set(e, CLAN_E_EXIST, "this machine is in the clan %s already", other->petname);
            err_remedy(
                e, "choose another name for the clan here, or leave %s first", other->petname);
        }
    }
    if (bound >= WARD_CLANS_MAX)
        err_set(e, CLAN_E_LIMIT, "this machine is in %d clans", WARD_CLANS_MAX);
}

void clans_bind(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_bind *r = request;
    bind_check(c, r, &a->error);
    if (a->error.status != CLAN_OK)
        return;
    bind_to(c, r->clan_id, r->petname);
    clans_listen(c, &a->error);
    if (a->error.status != CLAN_OK || clans_store(c, &a->error) != CLAN_OK) {
        c->bound = false;
        forget(&c->listener);
        return;
    }
    c->state = WARD_BOUND;
    a->fd = c->listener;
    loop_fd_del(c->warden->loop, c->connection);
    forget(&c->connection);
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++)
        if (c->children[i].clan) { /* its log goes on under the clan's name */
            logring_close(&c->children[i].proc.log);
            snprintf(c->children[i].proc.log.clan, sizeof c->children[i].proc.log.clan, "%s",
                c->petname);
        }
    logs_say(c, LOG_LEVEL_INFO, "bound to slot %u", c->slot);
}

void clans_down(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request;
    c->down = a->ends = true;
    clans_store(c, &a->error);
}

void clans_leave(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request;
    c->down = false;
    a->ends = true;
    if (unlinkat(c->disk.dir, "bound", 0) != 0) /* from here on it is no clan, come what may */
        err_errno(&a->error, CLAN_E_IO, "cannot leave");
}

void clans_start_named(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_petname *r = request;
    struct clan *found = NULL;
    for (unsigned i = 0; i < WARD_SLOTS; i++) {
        struct clan *other = &c->warden->clans[i];
        if (other->used && other->bound &&
            strncmp(other->petname, r->petname, sizeof r->petname) == 0)
            found = other;
    }
    if (!found)
        err_set(&a->error, CLAN_E_NOENT, "this machine is in no clan of that name");
    else if (found->leaving)
        err_set(&a->error, CLAN_E_AGAIN, "clan %s is still going down", found->petname);
    else if (found->down) {
        found->down = false;
        if (clans_store(found, &a->error) == CLAN_OK) {
            found->state = WARD_BOUND;
            clans_start(found);
        } else
            found->down = true;
    }
}
