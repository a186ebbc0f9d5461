/* Plugins and the programs that they ask for, within what the owner granted. */
#include "warden/warden.h"

#include "base/text.h"
#include "profiles/profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_PORT_TRIES 17
#define CALLER(p)       profile_caller((p)->exec, (p)->exec_count)

/* Shared with the programs of the service by the group of the host. */
static int volume_open(struct child *ch, const struct grant_plugin *p, struct clan_error *e)
{
    struct clan *c = ch->clan;
    uid_t uid = p->exec_count ? clans_uid(c, WARD_KIND_PROGRAM, p->exec[0], ch->name, e) : ch->uid;
    return uid ? slot_volume(&c->disk, ch->name, uid, ch->uid, e) : -1;
}

clan_status hosts_spawn(struct child *ch, struct clan_error *e)
{
    struct warden *w = ch->clan->warden;
    struct launch l = {0};
    char count[16];
    int state = -1, volume = -1;
    const struct grant_plugin *p = grants_need(&w->grants, w->opt.grants, ch->plugin, e);
    if (!p || disk_allow(&w->disk, &ch->disk, ch->clan->slot, ch->name, p->disk_mib, e) != CLAN_OK)
        return e->status;
    int fd = slot_plugin(w->opt.plugin_dir, p, w->grants.require_signature, e);
    if (fd < 0)
        return e->status;
    launch_fd(&l, fd, CHILD_FD_PLUGIN, true);
    if (p->permissions & GRANT_FS_STATE)
        state = slot_dir(&ch->clan->disk, "hosts", ch->name, ch->uid, ch->uid, 02750, e);
    if ((ch->how.service || p->exec_count) && e->status == CLAN_OK)
        volume = volume_open(ch, p, e);
    launch_dir(&l, state, CHILD_FD_STATE, "/state", true);
    launch_dir(&l, volume, CHILD_FD_VOLUME, "/volume", true);
    for (unsigned i = 0; i < ch->listen_count; i++)
        launch_fd(&l, ch->listen[i], (int)(CHILD_FD_LISTEN + i), false);
    launch_ours(&l, w->opt.libexec_dir, "host");
    snprintf(count, sizeof count, "%u", ch->listen_count);
    l.spec.profile = CALLER(p) ? "host-unix" : grants_profile(p);
    l.spec.memory_mib = p->memory_mib;
    l.spec.pids = p->pids;
    l.spec.file_mib = p->disk_mib;
    l.argv[1] = ch->plugin;
    l.argv[2] = ch->name;
    l.argv[3] = count;
    return children_launch(ch, &l, e);
}

static void listen_failed(void *arg, const struct clan_error *e)
{
    const struct child *ch = arg;
    logs_error(clans_name(ch->clan), ch->name, e);
}

static void host_listen(struct child *ch, const struct grant_plugin *p, struct clan_error *e)
{
    const struct ward_host_start *r = &ch->how;
    setfsuid(ch->uid); /* the firewall takes who makes a socket for whose it is */
    ch->listen_count = netconf_listen(
        &ch->clan->net, p, !r->service, HOST_PORT_TRIES, listen_failed, ch, ch->listen);
    int fd =
        r->service ? netconf_socket(SOCK_STREAM, r->service_address, r->service_port, 1, e) : -1;
    setfsuid(0);
    if (fd >= 0)
        ch->listen[ch->listen_count++] = fd; /* the service's own is the last one */
}

/* The firewall knows its user: now it may run. */
static void host_start(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_host_start *r = request;
    struct clan_error *e = &a->error;
    const struct grant_plugin *p =
        e->status == CLAN_OK ? grants_need(&c->warden->grants, c->warden->opt.grants, r->plugin, e)
                             : NULL;
    struct child *ch = NULL;
    if (c->leaving || c->down)
        err_set(e, CLAN_E_STATE, "the clan is going down");
    if (e->status == CLAN_OK && !r->service && !rules_people_told(&c->net, &c->warden->grants, p))
        err_set(e, CLAN_E_AGAIN, "who may use the clan changed meanwhile");
    if (e->status == CLAN_OK)
        ch = children_new(c, WARD_KIND_HOST, 0, r->instance, r->plugin, e);
    if (!ch)
        return;
    ch->how = *r;
    memcpy(ch->plugin, r->plugin, sizeof ch->plugin);
    host_listen(ch, p, e);
    if (e->status != CLAN_OK || children_spawn(ch, e) != CLAN_OK) {
        children_free(ch);
        return;
    }
    if (p->permissions & GRANT_NET_CONNECT_OVERLAY)
        firewall_speakers(c);
    a->child = ch;
    a->started = true;
}

void hosts_start(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_host_start *r = request;
    struct clan_error *e = &a->error;
    const struct grant_plugin *p = NULL;
    if (r->plugin[31] != 0 || r->instance[32] != 0 || !text_name_ok(r->plugin) ||
        !text_name_ok(r->instance))
        err_set(e, CLAN_E_INVAL, "not the name of a plugin or a service");
    else if ((p = grants_need(&c->warden->grants, c->warden->opt.grants, r->plugin, e)) &&
             r->service && grants_serve(p, e) == CLAN_OK &&
             (!netconf_has(&c->net, r->service_address) || r->service_port == 0))
        err_set(e, CLAN_E_INVAL, "not an address and port of a service in this clan");
    const char *by = e->status == CLAN_OK ? CALLER(p) : NULL; /* who connects; NULL: the host */
    bool out = e->status == CLAN_OK && (by || grants_guarded(p));
    if (out && !c->warden->guard.stands) {
        err_set(e, CLAN_E_NOSYS,
            "the plugin %s needs the machine's network, which no firewall guards", p->id);
        err_remedy(e, "install nft (apt install nftables) and restart cland");
    }
    uid_t uid = e->status != CLAN_OK ? 0
                : by                 ? clans_uid(c, WARD_KIND_PROGRAM, by, r->instance, e)
                                     : clans_uid(c, WARD_KIND_HOST, r->instance, r->plugin, e);
    a->later = uid && out;
    if (a->later)
        firewall_host(c, uid, p->permissions, r, host_start);
    else if (uid)
        host_start(c, r, a);
}

/* It sees its host's state, has the volume, and the service's socket as the first one of LISTEN_FDS. */
static clan_status program_spawn(struct child *ch, const struct child *host,
    const struct profile_program *row, const struct grant_plugin *p, struct clan_error *e)
{
    const struct slot *disk = &ch->clan->disk;
    struct launch l = {0};
    int state = slot_dir(disk, "hosts", host->name, host->uid, host->uid, 02750, e), volume = -1;
    if (e->status == CLAN_OK)
        volume = slot_dir(disk, "volumes", host->name, ch->uid, host->uid, 02770, e);
    launch_dir(&l, state, -1, "/state", false);
    launch_dir(&l, volume, -1, "/volume", true);
    launch_or_null(&l, host->how.service ? host->listen[host->listen_count - 1] : -1, 3);
    launch_program(&l, row);
    launch_owner(&l, ch->clan->warden->opt.grants, row);
    l.spec.memory_mib = p->memory_mib;
    l.spec.pids = p->pids;
    l.spec.file_mib = p->disk_mib;
    l.spec.extra_gid = host->uid;
    return children_launch(ch, &l, e);
}

void hosts_run(struct clan *c, const void *request, struct ward_reply *a)
{
    const struct ward_run *r = request;
    struct clan_error *e = &a->error;
    const struct child *host = r->host ? children_find(c, WARD_KIND_HOST, r->host) : NULL;
    const struct grant_plugin *p =
        host ? grants_need(&c->warden->grants, c->warden->opt.grants, host->plugin, e) : NULL;
    const struct profile_program *row = NULL;
    if (!host || !host->proc.runs || host->proc.ending || r->profile[31] != 0)
        err_set(e, CLAN_E_NOENT, "no host with the number %u runs", r->host);
    else if (p && grants_run(p, r->profile, e) == CLAN_OK)
        row = profile_program_need(r->profile, e);
    if (e->status != CLAN_OK)
        return;
    struct child *ch = children_new(c, WARD_KIND_PROGRAM, r->host, r->profile, host->name, e);
    if (!ch)
        return;
    memcpy(ch->plugin, host->plugin, sizeof ch->plugin);
    a->started = program_spawn(ch, host, row, p, e) == CLAN_OK;
    if (a->started)
        a->child = ch;
    else
        children_free(ch);
}

/* Waits, and is started anew when it has less. */
void hosts_disk_full(struct disk_user *u)
{
    struct child *ch = u->owner;
    if (ch->proc.runs)
        logs_say(clans_name(ch->clan), LOG_LEVEL_ERROR, "host %s is ended: %s", ch->name, u->why);
    proc_kill(&ch->proc);
}

/* The owner said something new: whose grant is gone or another one ends; core may ask again. */
void hosts_grants(struct clan *c, const void *request, struct ward_reply *a)
{
    struct warden *w = c->warden;
    struct grants *g = calloc(1, sizeof *g);
    (void)request;
    clan_assert(g);
    if (grants_load(w->opt.grants, true, g, &a->error) == CLAN_OK) {
        for (struct clan *of = NULL; (of = clans_next(w, of));)
            for (struct child *ch = NULL; (ch = children_next(of, ch));)
                if (ch->kind >= WARD_KIND_HOST && !grants_same(g, &w->grants, ch->plugin))
                    children_end(ch, 2000);
        grants_copy(&w->grants, g);
        for (struct clan *of = NULL; (of = clans_next(w, of));)
            firewall_speakers(of);
    }
    free(g);
}
