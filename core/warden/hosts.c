/* Plugins and the programs that they ask for, within what the owner granted and not a step beyond.
 */
#include "warden/warden.h"

#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define HOST_NET        (GRANT_NET_CONNECT_LAN | GRANT_NET_CONNECT_INTERNET | GRANT_NET_CONNECT_OVERLAY)
#define HOST_PORT_TRIES 17

static const struct grant_plugin *granted(
    struct warden *w, const char *plugin, struct clan_error *e)
{
    const struct grant_plugin *p = w->have_grants ? grants_find(&w->grants, plugin) : NULL;
    if (!p) {
        err_set(e, CLAN_E_GRANT, "the plugin %s is not granted on this machine", plugin);
        err_why(e, "%s does not name it", w->opt.grants);
        err_remedy(e, "add it to machine.yaml, then run as root: clan machine apply");
    }
    return p;
}

static bool only_root_writes(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 022);
}

static bool file_hash(int fd, uint8_t ret_hash[32])
{
    crypto_generichash_state state;
    uint8_t bytes[65536];
    ssize_t n;
    off_t at = 0;
    crypto_generichash_init(&state, NULL, 0, 32);
    while ((n = pread(fd, bytes, sizeof bytes, at)) > 0) {
        crypto_generichash_update(&state, bytes, (size_t)n);
        at += n;
    }
    crypto_generichash_final(&state, ret_hash, 32);
    return n == 0;
}

/* The descriptor whose bytes the owner agreed to: it is what dlopen gets. */
static int plugin_open(const struct warden *w, const struct grant_plugin *p, struct clan_error *e)
{
    uint8_t hash[32];
    char want[65], found[65];
    if (sodium_is_zero(p->hash, 32)) {
        err_set(e, CLAN_E_NOSYS, "the plugin %s is granted by its signer", p->id);
        err_remedy(e, "grant the file itself; signers are not known to this Clan yet");
        return -1;
    }
    int dir = open(w->opt.plugin_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = dir >= 0 ? openat(dir, p->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0)
        err_errno(e, CLAN_E_NOENT, "cannot open the plugin %s/%s", w->opt.plugin_dir, p->file);
    else if (!only_root_writes(dir) || !only_root_writes(fd)) {
        err_set(
            e, CLAN_E_PERM, "%s/%s may be written by others than root", w->opt.plugin_dir, p->file);
        err_remedy(e, "chown root and chmod go-w, the directory and the file");
    } else if (!file_hash(fd, hash))
        err_errno(e, CLAN_E_IO, "cannot read the plugin %s", p->file);
    else if (sodium_memcmp(hash, p->hash, 32) != 0) {
        text_hex(p->hash, 32, want);
        text_hex(hash, 32, found);
        err_set(e, CLAN_E_GRANT, "the plugin %s is another file than the owner agreed to", p->id);
        err_why(e, "granted %.8s, found %.8s", want, found);
        err_remedy(e, "if you trust the new file, run as root: clan machine apply");
    }
    if (dir >= 0)
        close(dir);
    if (fd >= 0 && e->status != CLAN_OK) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Shared with the programs of the service by the group of the host. */
static int volume_open(struct child *ch, const struct grant_plugin *p, struct clan_error *e)
{
    struct clan *c = ch->clan;
    int index = p->exec_count ? clans_uid(c, WARD_KIND_PROGRAM, p->exec[0], ch->name, e) : 0;
    uid_t uid =
        p->exec_count ? c->warden->opt.uid_base + WARD_UIDS * c->slot + (uid_t)index : ch->uid;
    return index < 0 ? -1 : clans_dir(c, "volumes", ch->name, uid, ch->uid, 02770, e);
}

clan_status hosts_spawn(struct child *ch, struct clan_error *e)
{
    struct warden *w = ch->clan->warden;
    struct launch l = {0};
    char program[512], count[16];
    const struct grant_plugin *p = granted(w, ch->plugin, e);
    int fd = p ? plugin_open(w, p, e) : -1, state = w->null_fd, volume = w->null_fd;
    if (fd < 0)
        return e->status;
    launch_fd(&l, fd, CHILD_FD_PLUGIN, true);
    if (p->permissions & GRANT_FS_STATE)
        state = clans_dir(ch->clan, "hosts", ch->name, ch->uid, ch->uid, 02750, e);
    if (ch->how.service && state >= 0)
        volume = volume_open(ch, p, e);
    launch_fd(&l, state, CHILD_FD_STATE, state != w->null_fd && state >= 0);
    launch_fd(&l, volume, CHILD_FD_VOLUME, volume != w->null_fd && volume >= 0);
    if (state >= 0 && state != w->null_fd)
        launch_bind(&l, state, "/state", true);
    if (volume >= 0 && volume != w->null_fd)
        launch_bind(&l, volume, "/volume", true);
    for (unsigned i = 0; i < ch->listen_count; i++)
        launch_fd(&l, ch->listen[i], (int)(CHILD_FD_LISTEN + i), false);
    snprintf(program, sizeof program, "%s/clan-host", w->opt.libexec_dir);
    snprintf(count, sizeof count, "%u", ch->listen_count);
    l.spec.profile = p->permissions & HOST_NET ? "host-net" : "host";
    l.spec.program = program;
    l.spec.memory_mib = p->memory_mib;
    l.spec.pids = p->pids;
    l.argv[0] = "clan-host";
    l.argv[1] = ch->plugin;
    l.argv[2] = ch->name;
    l.argv[3] = count;
    if (state >= 0 && volume >= 0)
        return children_launch(ch, &l, e);
    for (unsigned i = 0; i < l.close_count; i++)
        close(l.close[i]);
    return e->status;
}

static void host_listen(struct child *ch, const struct grant_plugin *p, struct clan_error *e)
{
    const struct ward_host_start *r = &ch->how;
    for (unsigned i = 0; (p->permissions & GRANT_NET_LISTEN) && i < p->listen_count; i++) {
        struct clan_error one = CLAN_ERROR_INIT;
        int fd =
            net_socket(SOCK_STREAM, p->listen[i].addr, p->listen[i].port, HOST_PORT_TRIES, &one);
        if (fd >= 0)
            ch->listen[ch->listen_count++] = fd;
        else
            logs_error(ch->clan, ch->name, &one); /* the others may do */
    }
    int fd = r->service ? net_socket(SOCK_STREAM, r->service_address, r->service_port, 1, e) : -1;
    if (fd >= 0)
        ch->listen[ch->listen_count++] = fd; /* the service's own is the last one */
}

/* The firewall knows its user: now it may run. */
static void host_start(struct clan *c, const void *request, const struct clan_error *firewall)
{
    const struct ward_host_start *r = request;
    struct clan_error e = *firewall;
    const struct grant_plugin *p = e.status == CLAN_OK ? granted(c->warden, r->plugin, &e) : NULL;
    struct child *ch = NULL;
    for (unsigned i = 0; i < WARD_CHILDREN_MAX; i++)
        if (c->children[i].clan && c->children[i].kind == WARD_KIND_HOST &&
            strcmp(c->children[i].name, r->instance) == 0)
            err_set(&e, CLAN_E_EXIST, "%s runs already", r->instance);
    if (c->leaving || c->down)
        err_set(&e, CLAN_E_STATE, "the clan is going down");
    if (e.status == CLAN_OK && p)
        ch = children_new(c, WARD_KIND_HOST, r->instance, r->plugin, &e);
    if (ch) {
        ch->how = *r;
        host_listen(ch, p, &e);
        if (e.status != CLAN_OK || children_spawn(ch, &e) != CLAN_OK) {
            children_free(ch);
            ch = NULL;
        }
    }
    monitor_answer(c, r->head.serial, &e, ch ? ch->id : 0, 0, -1);
    if (!ch)
        return;
    logs_say(
        c, LOG_LEVEL_INFO, "host %s[%d] runs, plugin %s", ch->name, ch->sandbox.pid, ch->plugin);
    if (p->permissions & GRANT_NET_CONNECT_OVERLAY)
        firewall_speakers(c);
    children_announce(ch, false);
}

void hosts_start(struct clan *c, const void *request)
{
    const struct ward_host_start *r = request;
    struct clan_error e = CLAN_ERROR_INIT;
    const struct grant_plugin *p = NULL;
    int index = -1;
    if (r->plugin[31] != 0 || r->instance[32] != 0 || !text_name_ok(r->plugin) ||
        !text_name_ok(r->instance))
        err_set(&e, CLAN_E_INVAL, "not the name of a plugin or a service");
    else if ((p = granted(c->warden, r->plugin, &e)) && r->service) {
        if (!(p->permissions & GRANT_NET_SERVICE)) {
            err_set(&e, CLAN_E_GRANT, "the plugin %s may not answer on a service's address", p->id);
            err_remedy(
                &e, "allow net.service in machine.yaml, then run as root: clan machine apply");
        } else if (!net_in_prefix(c, r->service_address) || r->service_port == 0)
            err_set(&e, CLAN_E_INVAL, "not an address and port of a service in this clan");
    }
    if (e.status == CLAN_OK && (p->permissions & HOST_NET) && !c->warden->hosts_table) {
        err_set(&e, CLAN_E_NOSYS,
            "the plugin %s needs the machine's network, which no firewall guards", p->id);
        err_remedy(&e, "install nft (apt install nftables) and restart cland");
    }
    if (e.status == CLAN_OK)
        index = clans_uid(c, WARD_KIND_HOST, r->instance, r->plugin, &e);
    if (e.status != CLAN_OK)
        monitor_answer(c, r->head.serial, &e, 0, 0, -1);
    else if (p->permissions & HOST_NET)
        firewall_host(c, c->warden->opt.uid_base + WARD_UIDS * c->slot + (uid_t)index,
            p->permissions, r, sizeof *r, host_start);
    else
        host_start(c, r, &e);
}

/* A unix listener in the host's directory; the directory's mode says who reaches it. */
static int health_listener(int dir, struct clan_error *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/health.sock", dir);
    unlinkat(dir, "health.sock", 0);
    mode_t mask = umask(0); /* never chmod by a name that the host could exchange */
    bool good = fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 8) == 0;
    umask(mask);
    if (good)
        return fd;
    err_errno(e, CLAN_E_IO, "cannot listen for health checks");
    if (fd >= 0)
        close(fd);
    return -1;
}

/* "{state}" and "{volume}" of a template, as the program sees them. */
static const char *argument(const char *from, char *ret_text, size_t cap)
{
    static const char *const places[][2] = {{"{state}", "/state"}, {"{volume}", "/volume"}};
    for (unsigned i = 0; i < 2; i++) {
        const char *at = strstr(from, places[i][0]);
        if (at) {
            snprintf(ret_text, cap, "%.*s%s%s", (int)(at - from), from, places[i][1],
                at + strlen(places[i][0]));
            return ret_text;
        }
    }
    return from;
}

static clan_status program_spawn(struct child *ch, const struct child *host,
    const struct sandbox_program *row, const struct grant_plugin *p, struct clan_error *e)
{
    struct clan *c = ch->clan;
    struct launch l = {0};
    char text[8][128];
    int state = clans_dir(c, "hosts", host->name, host->uid, host->uid, 02750, e);
    int volume = state >= 0 && host->how.service
                     ? clans_dir(c, "volumes", host->name, ch->uid, host->uid, 02770, e)
                     : -1;
    int health = state >= 0 && e->status == CLAN_OK ? health_listener(state, e) : -1;
    unsigned n = 0;
    if (health >= 0) {
        launch_fd(&l, host->how.service ? host->listen[host->listen_count - 1] : c->warden->null_fd,
            3, false);
        launch_fd(&l, health, 4, false);
        launch_bind(&l, state, "/state", false);
        if (volume >= 0)
            launch_bind(&l, volume, "/volume", true);
        for (; row->argv[n] && n < 7; n++)
            l.argv[n] = argument(row->argv[n], text[n], sizeof text[n]);
        clan_assert(!row->argv[n]);
        for (n = 0; row->envp && row->envp[n] && n < 6; n++)
            l.envp[n] = row->envp[n];
        l.envp[n] =
            "LISTEN_FDS=2"; /* LISTEN_PID=1 is in the row: the first process of its namespace */
        l.spec.profile = row->sandbox;
        l.spec.program = row->program;
        l.spec.memory_mib = p->memory_mib;
        l.spec.pids = p->pids;
        l.spec.extra_gid = host->uid;
        children_launch(ch, &l, e);
    }
    for (unsigned i = 0; i < 3; i++) {
        int fd = (int[]){state, volume, health}[i];
        if (fd >= 0)
            close(fd);
    }
    return e->status;
}

void hosts_run(struct clan *c, const void *request)
{
    const struct ward_run *r = request;
    struct clan_error e = CLAN_ERROR_INIT;
    const struct child *host = r->host ? children_find(c, WARD_KIND_HOST, r->host) : NULL;
    const struct grant_plugin *p = host ? granted(c->warden, host->plugin, &e) : NULL;
    const struct sandbox_program *row = NULL;
    struct child *ch = NULL;
    if (!host || !host->runs || host->ending || r->profile[31] != 0)
        err_set(&e, CLAN_E_NOENT, "no host with the number %u runs", r->host);
    else if (p && (!grants_exec(p, r->profile) || !(p->permissions & GRANT_FS_STATE))) {
        err_set(&e, CLAN_E_GRANT, "the plugin %s may not run %s", p->id, r->profile);
        err_remedy(&e,
            "allow exec:%s and fs.state in machine.yaml, then run as root: clan machine apply",
            r->profile);
    } else if (p &&
               (!(row = sandbox_program_find(r->profile)) || access(row->program, X_OK) != 0)) {
        err_set(&e, CLAN_E_NOENT, "the program %s is not there", r->profile);
        err_remedy(&e, "apt install %s", row ? row->package : r->profile);
    }
    for (unsigned i = 0; e.status == CLAN_OK && i < WARD_CHILDREN_MAX; i++)
        if (c->children[i].clan && c->children[i].kind == WARD_KIND_PROGRAM &&
            c->children[i].host == r->host && strcmp(c->children[i].name, r->profile) == 0)
            err_set(&e, CLAN_E_EXIST, "%s of %s runs already", r->profile, host->name);
    if (e.status == CLAN_OK)
        ch = children_new(c, WARD_KIND_PROGRAM, r->profile, host->name, &e);
    if (ch) {
        ch->host = r->host;
        snprintf(ch->plugin, sizeof ch->plugin, "%s", host->plugin);
        if (program_spawn(ch, host, row, p, &e) != CLAN_OK) {
            children_free(ch);
            ch = NULL;
        }
    }
    monitor_answer(c, r->head.serial, &e, ch ? ch->id : 0, 0, -1);
    if (ch)
        children_announce(ch, false);
}

/* The owner said something new: whose grant is gone or another one ends; core may ask again. */
void hosts_grants(struct clan *c, const void *request)
{
    struct warden *w = c->warden;
    struct clan_error e = CLAN_ERROR_INIT;
    struct grants *g = calloc(1, sizeof *g);
    clan_assert(g);
    bool loaded = grants_load(w->opt.grants, true, g, &e) == CLAN_OK;
    for (unsigned i = 0; loaded && i < WARD_SLOTS; i++)
        for (unsigned k = 0; w->clans[i].used && k < WARD_CHILDREN_MAX; k++) {
            struct child *ch = &w->clans[i].children[k];
            if (!ch->clan || ch->kind < WARD_KIND_HOST)
                continue;
            const struct grant_plugin *now = grants_find(g, ch->plugin);
            const struct grant_plugin *before = grants_find(&w->grants, ch->plugin);
            if (!now || !before || memcmp(now, before, sizeof *now) != 0)
                children_end(ch, 2000);
        }
    if (loaded) {
        w->grants = *g;
        w->have_grants = true;
    }
    for (unsigned i = 0; loaded && i < WARD_SLOTS; i++)
        if (w->clans[i].used)
            firewall_speakers(&w->clans[i]);
    free(g);
    monitor_answer(c, ((const struct ward_head *)request)->serial, &e, 0, 0, -1);
}
