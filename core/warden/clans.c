/* Slots: what is on disk of each clan, its sockets, and how a clan begins and ends. */
#include "warden/warden.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define CLAN_GRACE_MS 3000

struct bound_file {
    char magic[8];
    uint8_t clan_id[32];
    char petname[33];
    uint8_t down, zero[6];
};
static const char bound_magic[8] = "clan 1\n";

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
    free(c->fw);
    free(c->names);
    memset(c, 0, sizeof *c);
    *c = (struct clan){.warden = w, .used = true, .slot = slot, .state = WARD_UNBOUND};
    c->generation = ++w->next_generation;
    c->dir_fd = c->core_fd = c->listener = c->connection = c->tun = -1;
}

static void bind_to(struct clan *c, const uint8_t id[32], const char *petname)
{
    memcpy(c->id, id, sizeof c->id);
    snprintf(c->petname, sizeof c->petname, "%s", petname);
    c->prefix[0] = 0xfd; /* fd and 40 bits of the clan id: a /48 */
    memcpy(c->prefix + 1, id, 5);
    c->bound = true;
}

/* Out of the way at once, deleted by rm in its own time (a volume may be large). */
static void slot_discard(struct warden *w, const char *name)
{
    static const char *const rm = "/bin/rm";
    char gone[64], *path = NULL;
    snprintf(gone, sizeof gone, "gone-%s-%llu", name, (unsigned long long)clock_mono_ns());
    if (strncmp(name, "gone-", 5) == 0)
        snprintf(gone, sizeof gone, "%s", name);
    else if (renameat(w->clans_fd, name, w->clans_fd, gone) != 0)
        return;
    if (asprintf(&path, "%s/clans/%s", w->opt.state_dir, gone) < 0)
        return;
    tool_run(w, TOOL_REMOVE, (const char *const[]){rm, "-rf", "--", path, NULL}, NULL, NULL, path);
}

static bool slot_open(struct clan *c, struct clan_error *e)
{
    char name[16];
    uint8_t *uids = NULL;
    size_t size;
    snprintf(name, sizeof name, "%u", c->slot);
    c->dir_fd = openat(c->warden->clans_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (c->dir_fd < 0) {
        err_errno(e, CLAN_E_IO, "cannot open slot %s of %s", name, c->warden->opt.state_dir);
        return false;
    }
    if (file_read(c->dir_fd, "uids", sizeof c->uids, &uids, &size, NULL) == CLAN_OK &&
        size == sizeof c->uids)
        memcpy(c->uids, uids, size);
    free(uids);
    for (unsigned i = 0; i < WARD_UIDS; i++)
        c->uids[i][WARD_UID_NAME - 1] = 0;
    return true;
}

static bool slot_load(struct clan *c, struct clan_error *e)
{
    uint8_t *data = NULL;
    size_t size = 0;
    const struct bound_file *b;
    if (!slot_open(c, e))
        return false;
    clan_status s = file_read(c->dir_fd, "bound", sizeof *b, &data, &size, e);
    b = (const struct bound_file *)(void *)data;
    if (s == CLAN_OK && (size != sizeof *b || memcmp(b->magic, bound_magic, 8) != 0 ||
                            b->petname[32] != 0 || !text_name_ok(b->petname)))
        s = err_set(e, CLAN_E_INVAL, "the file bound of slot %u is damaged", c->slot);
    if (s == CLAN_OK) {
        bind_to(c, b->clan_id, b->petname);
        c->state = WARD_BOUND;
        c->down = b->down;
    }
    free(data);
    return s == CLAN_OK;
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
        if (!slot_load(&w->clans[slot], &e)) {
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
    if (mkdirat(w->clans_fd, name, 0700) != 0 || !slot_open(c, e)) {
        err_errno(e, CLAN_E_IO, "cannot make a directory in %s/clans", w->opt.state_dir);
        c->used = false;
        return NULL;
    }
    return c;
}

clan_status clans_store(struct clan *c, struct clan_error *e)
{
    struct bound_file b = {.down = c->down};
    memcpy(b.magic, bound_magic, sizeof b.magic);
    memcpy(b.clan_id, c->id, sizeof b.clan_id);
    memcpy(b.petname, c->petname, sizeof b.petname);
    return file_write_durable(c->dir_fd, "bound", &b, sizeof b, 0600, e);
}

int clans_uid_index(char names[WARD_UIDS][WARD_UID_NAME], const char *key)
{
    for (int i = 0; i < WARD_UIDS; i++)
        if (strcmp(names[i], key) == 0)
            return i;
    for (int i = 0; i < WARD_UIDS; i++)
        if (names[i][0] == 0) {
            snprintf(names[i], WARD_UID_NAME, "%s", key);
            return i;
        }
    return -1;
}

/* The same child gets the same uid for ever: its directories belong to it. */
int clans_uid(
    struct clan *c, uint32_t kind, const char *name, const char *detail, struct clan_error *e)
{
    char key[WARD_UID_NAME];
    snprintf(key, sizeof key, "%u:%s:%s", kind, name, detail);
    for (int i = 0; i < WARD_UIDS; i++)
        if (strcmp(c->uids[i], key) == 0)
            return i;
    int index = clans_uid_index(c->uids, key);
    if (index >= 0 &&
        file_write_durable(c->dir_fd, "uids", c->uids, sizeof c->uids, 0600, e) == CLAN_OK)
        return index;
    if (index < 0)
        err_set(e, CLAN_E_LIMIT, "this clan has used its %d users", WARD_UIDS);
    else
        memset(c->uids[index], 0, WARD_UID_NAME);
    return -1;
}

static int dir_at(int at, const char *name)
{
    mkdirat(at, name, 0700);
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

/* Opens parent/name of a slot (parent may be empty) as a directory of uid, made on first use. */
int clans_dir(struct clan *c, const char *parent, const char *name, uid_t uid, gid_t gid,
    mode_t mode, struct clan_error *e)
{
    struct stat st;
    int at = parent[0] ? dir_at(c->dir_fd, parent) : dup(c->dir_fd);
    int fd = at >= 0 ? dir_at(at, name) : -1;
    if (at >= 0)
        close(at);
    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == uid)
        return fd;
    if (fd >= 0 && st.st_uid != 0) {
        err_set(e, CLAN_E_CONFLICT, "the directory %s belongs to another plugin", name);
        err_remedy(e, "use another name for the service");
    } else if (fd < 0 || fchown(fd, uid, gid) != 0 || fchmod(fd, mode) != 0)
        err_errno(e, CLAN_E_IO, "cannot make the directory %s", name);
    else
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* A listening socket in the run directory, for root and the group clan, else for the owner. */
int clans_socket(struct warden *w, const char *name, struct clan_error *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    uid_t owner = w->clan_gid ? 0 : w->have_grants ? w->grants.owner_uid : 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (snprintf(at.sun_path, sizeof at.sun_path, "%s/%s.sock", w->opt.run_dir, name) >=
        (int)sizeof at.sun_path)
        errno = ENAMETOOLONG;
    else if (fd >= 0 && (unlink(at.sun_path) == 0 || errno == ENOENT) &&
             bind(fd, (struct sockaddr *)&at, sizeof at) == 0 &&
             chown(at.sun_path, owner, w->clan_gid) == 0 &&
             chmod(at.sun_path, w->clan_gid ? 0660 : 0600) == 0 && listen(fd, 64) == 0)
        return fd;
    err_errno(e, CLAN_E_IO, "cannot listen at %s", at.sun_path);
    if (fd >= 0)
        close(fd);
    return -1;
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
    if (core && !core->ending) /* the last one, so that it can say how it went */
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
    forget(&c->dir_fd);
    snprintf(name, sizeof name, "%u", c->slot);
    slot_discard(c->warden, name);
    c->used = false;
}

void clans_seed_store(struct clan *c, const void *request)
{
    const struct ward_seed_store *r = request;
    struct clan_error e = CLAN_ERROR_INIT;
    if (faccessat(c->dir_fd, "seed", F_OK, 0) == 0)
        err_set(&e, CLAN_E_EXIST, "this clan has an identity already");
    else
        file_write_durable(c->dir_fd, "seed", r->seed, sizeof r->seed, 0600, &e);
    sodium_memzero((void *)(uintptr_t)r->seed, sizeof r->seed); /* the monitor's buffer */
    monitor_answer(c, r->head.serial, &e, 0, 0, -1);
}

static void bind_check(struct clan *c, const struct ward_bind *r, struct clan_error *e)
{
    unsigned bound = 0;
    if (r->petname[32] != 0 || !text_name_ok(r->petname) || strcmp(r->petname, "new") == 0) {
        err_set(e, CLAN_E_INVAL, "not a name for a clan");
        err_remedy(e, "use up to 32 of a-z, 0-9 and '-'");
    } else if (faccessat(c->dir_fd, "seed", F_OK, 0) != 0)
        err_set(e, CLAN_E_STATE, "the clan has no identity yet");
    for (unsigned i = 0; i < WARD_SLOTS; i++) {
        const struct clan *other = &c->warden->clans[i];
        if (!other->used || !other->bound)
            continue;
        bound++;
        if (strcmp(other->petname, r->petname) == 0 ||
            memcmp(other->prefix + 1, r->clan_id, 5) == 0) {
            err_set(e, CLAN_E_EXIST, "this machine is in the clan %s already", other->petname);
            err_remedy(
                e, "choose another name for the clan here, or leave %s first", other->petname);
        }
    }
    if (bound >= WARD_CLANS_MAX)
        err_set(e, CLAN_E_LIMIT, "this machine is in %d clans", WARD_CLANS_MAX);
}

void clans_bind(struct clan *c, const void *request)
{
    const struct ward_bind *r = request;
    struct clan_error e = CLAN_ERROR_INIT;
    bind_check(c, r, &e);
    if (e.status == CLAN_OK) {
        bind_to(c, r->clan_id, r->petname);
        clans_listen(c, &e);
        if (e.status == CLAN_OK && clans_store(c, &e) == CLAN_OK) {
            c->state = WARD_BOUND;
            loop_fd_del(c->warden->loop, c->connection);
            forget(&c->connection);
            for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++)
                if (c->children[i].clan)
                    forget(&c->children[i].log_file); /* goes on under the clan's name */
            logs_say(c, LOG_LEVEL_INFO, "bound to slot %u", c->slot);
        } else {
            c->bound = false;
            forget(&c->listener);
        }
    }
    monitor_answer(c, r->head.serial, &e, 0, 0, c->listener);
}

static void end_asked(struct clan *c, const struct ward_head *head, bool down)
{
    struct clan_error e = CLAN_ERROR_INIT;
    c->down = down;
    if (down)
        clans_store(c, &e);
    else if (unlinkat(c->dir_fd, "bound", 0) !=
             0) /* from here on it is no clan, whatever happens */
        err_errno(&e, CLAN_E_IO, "cannot leave");
    monitor_answer(c, head->serial, &e, 0, 0, -1);
    if (e.status == CLAN_OK)
        clans_end(c, CLAN_GRACE_MS);
}

void clans_down(struct clan *c, const void *request)
{
    end_asked(c, request, true);
}

void clans_leave(struct clan *c, const void *request)
{
    end_asked(c, request, false);
}

void clans_start_named(struct clan *c, const void *request)
{
    const struct ward_petname *r = request;
    struct clan_error e = CLAN_ERROR_INIT;
    struct clan *found = NULL;
    for (unsigned i = 0; i < WARD_SLOTS; i++) {
        struct clan *other = &c->warden->clans[i];
        if (other->used && other->bound &&
            strncmp(other->petname, r->petname, sizeof r->petname) == 0)
            found = other;
    }
    if (!found)
        err_set(&e, CLAN_E_NOENT, "this machine is in no clan of that name");
    else if (found->leaving)
        err_set(&e, CLAN_E_AGAIN, "clan %s is still going down", found->petname);
    else if (found->down) {
        found->down = false;
        if (clans_store(found, &e) == CLAN_OK) {
            found->state = WARD_BOUND;
            clans_start(found);
        } else
            found->down = true;
    }
    monitor_answer(c, r->head.serial, &e, 0, 0, -1);
}
