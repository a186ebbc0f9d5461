/* Slots: what is on disk of each clan, its sockets, and how a clan begins and ends. */
#include "warden/warden.h"

#include "base/file.h"
#include "base/text.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct clan *clans_next(struct warden *w, struct clan *c)
{
    for (c = c ? c + 1 : w->clans; c < w->clans + WARD_SLOTS; c++)
        if (c->used)
            return c;
    return NULL;
}

const char *clans_name(const struct clan *c)
{
    return c ? c->petname : "";
}

static void slot_init(struct warden *w, struct clan *c)
{
    free(c->fw.elements);
    free(c->names.rows);
    *c = (struct clan){
        .warden = w, .used = true, .slot = (unsigned)(c - w->clans), .state = WARD_UNBOUND};
    snprintf(c->petname, sizeof c->petname, "new%u", c->slot);
    c->generation = ++w->next_generation;
    c->net.slot = c->slot;
    c->disk.dir = c->core_fd = c->listener = c->connection = c->net.tun = c->device.tun = -1;
}

static void bind_to(struct clan *c, const uint8_t id[32], const char *petname)
{
    memcpy(c->id, id, sizeof c->id);
    snprintf(c->petname, sizeof c->petname, "%s", petname);
    netconf_identity(&c->net, id);
    c->bound = true;
}

void clans_found(void *warden, unsigned slot)
{
    struct warden *w = warden;
    struct clan *c = &w->clans[slot];
    struct clan_error e = CLAN_ERROR_INIT;
    struct slot_bound b;
    slot_init(w, c);
    if (slot_open(&c->disk, w->slots.dir, slot, &e) == CLAN_OK &&
        slot_load(&c->disk, &b, &e) == CLAN_OK) {
        bind_to(c, b.clan_id, b.petname);
        c->state = WARD_BOUND;
        c->down = b.down;
    } else {
        logs_error("", "a clan is not started", &e);
        c->down = true; /* the slot stays taken */
    }
}

struct clan *clans_new(struct warden *w, struct clan_error *e)
{
    struct clan *c = NULL;
    unsigned unbound = 0;
    for (unsigned i = WARD_SLOTS; i-- > 0;) {
        unbound += w->clans[i].used && !w->clans[i].bound;
        c = w->clans[i].used ? c : &w->clans[i];
    }
    if (!c || unbound >= WARD_UNBOUND_MAX) {
        err_set(e, CLAN_E_LIMIT, "%d clans are being made already", WARD_UNBOUND_MAX);
        return NULL;
    }
    slot_init(w, c);
    c->used = slots_make(&w->slots, c->slot, &c->disk, e) == CLAN_OK;
    return c->used ? c : NULL;
}

/* The user of a child, the same for ever; 0 on error. */
uid_t clans_uid(
    struct clan *c, uint32_t kind, const char *name, const char *detail, struct clan_error *e)
{
    int index = slot_uid(&c->disk, kind, name, detail, e);
    return index < 0 ? 0 : c->warden->opt.uid_base + WARD_UIDS * c->slot + (uid_t)index;
}

/* A listening socket in the run directory, for root and the group clan, else for the owner. */
int clans_socket(struct warden *w, const char *name, struct clan_error *e)
{
    gid_t gid = w->clan_gid;
    return netconf_unix_in(
        w->opt.run_dir, name, gid ? 0 : w->grants.owner_uid, gid, gid ? 0660 : 0600, e);
}

void clans_start(struct clan *c)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (c->bound && c->listener < 0 && (c->listener = clans_socket(c->warden, c->petname, &e)) < 0)
        logs_error(clans_name(c), "start", &e);
    children_start(c, WARD_KIND_CORE);
    children_start(c, WARD_KIND_LINK);
}

/* Ends all that runs; clans_settle() goes on when the last one is gone. */
void clans_end(struct clan *c, unsigned grace_ms)
{
    c->leaving = true;
    loop_fd_del(c->warden->loop, c->core_fd); /* it may ask for nothing more */
    loop_fd_del(c->warden->loop, c->connection);
    file_forget(&c->connection);
    if (c->listener >= 0)
        netconf_unix_remove(c->warden->opt.run_dir, c->petname);
    file_forget(&c->listener);
    for (struct child *ch = NULL; (ch = children_next(c, ch));)
        if (ch->kind != WARD_KIND_CORE || grace_ms == 0)
            children_end(ch, grace_ms);
    clans_settle(c);
}

void clans_settle(struct clan *c)
{
    struct child *core = children_find(c, WARD_KIND_CORE, 0);
    if (!c->leaving)
        return;
    for (struct child *ch = NULL; (ch = children_next(c, ch));)
        if (ch != core)
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
        logs_say(clans_name(c), LOG_LEVEL_INFO, c->down ? "down" : "left");
    }
    if (c->bound && c->down)
        return;
    file_forget(&c->disk.dir);
    slots_discard(&c->warden->slots, c->slot);
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
    for (struct clan *other = NULL; (other = clans_next(c->warden, other));) {
        if (!other->bound)
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
    c->listener = clans_socket(c->warden, c->petname, &a->error);
    if (c->listener < 0 || slot_store(&c->disk, c->id, c->petname, c->down, &a->error) != CLAN_OK) {
        c->bound = false;
        file_forget(&c->listener);
        return;
    }
    c->state = WARD_BOUND;
    a->fd = c->listener;
    loop_fd_del(c->warden->loop, c->connection);
    file_forget(&c->connection);
    for (struct child *ch = NULL; (ch = children_next(c, ch));)
        logring_rename(&ch->proc.log, c->petname);
    logs_say(clans_name(c), LOG_LEVEL_INFO, "bound to slot %u", c->slot);
}

void clans_down(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request;
    c->down = a->ends = true;
    slot_store(&c->disk, c->id, c->petname, c->down, &a->error);
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
    struct clan *named = NULL;
    while ((named = clans_next(c->warden, named)))
        if (named->bound && strncmp(named->petname, r->petname, sizeof r->petname) == 0)
            break;
    if (!named)
        err_set(&a->error, CLAN_E_NOENT, "this machine is in no clan of that name");
    else if (named->leaving)
        err_set(&a->error, CLAN_E_AGAIN, "clan %s is still going down", named->petname);
    else if (named->down &&
             slot_store(&named->disk, named->id, named->petname, false, &a->error) == CLAN_OK) {
        named->down = false;
        named->state = WARD_BOUND;
        clans_start(named);
    }
}
