/* The mini host's side towards the plugin: loading it, and the tables that every host offers. */
#include "base/error.h"
#include "check/note.h"
#include "cli/out.h"
#include "cli/uihost.h"

#include <clan/api.h>
#include <clan/service.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLUGIN     "dashboard"
#define DELAY_MAX  (366ull * 24 * 3600 * 1000)
#define EVENTS_ALL (CLAN_IO_READ | CLAN_IO_WRITE | CLAN_IO_HUP)

#define WATCHES_MAX 128
#define TIMERS_MAX  128
#define OPENS_MAX   64

struct watch {
    int fd; /* -1: free */
    uint32_t events;
    clan_io_fn *fn;
    void *user;
};

struct timer {
    uint64_t id, loop_id; /* id 0: free */
    clan_timer_fn *fn;
    void *user;
};

struct opening {
    struct uihost *h;
    clan_api_opened_fn *opened; /* NULL: free */
    void *user;
};

struct uiplugin {
    struct clan_host table;
    const struct clan_plugin *code;
    void *instance;
    const struct clan_service *service;
    struct watch watches[WATCHES_MAX];
    struct timer timers[TIMERS_MAX];
    uint64_t next_timer;
    struct opening openings[OPENS_MAX];
};

/* ---- the table ---- */

static void host_log(void *host_data, uint32_t level, const char *text)
{
    struct uihost *h = host_data;
    if (text && level <= CLAN_LOG_WARN)
        out_warn(h->c, "dashboard: %.900s", text);
}

static struct watch *find_watch(struct uihost *h, int fd)
{
    for (unsigned i = 0; i < WATCHES_MAX; i++)
        if (h->plugin->watches[i].fd == fd)
            return &h->plugin->watches[i];
    return NULL;
}

static uint32_t to_epoll(uint32_t events)
{
    return (events & CLAN_IO_READ ? (uint32_t)EPOLLIN : 0) |
           (events & CLAN_IO_WRITE ? (uint32_t)EPOLLOUT : 0) |
           (events & CLAN_IO_HUP ? (uint32_t)EPOLLRDHUP : 0);
}

static void on_io(void *arg, int fd, uint32_t got)
{
    const struct watch *w = arg;
    uint32_t events = (got & EPOLLIN ? CLAN_IO_READ : 0) | (got & EPOLLOUT ? CLAN_IO_WRITE : 0);
    if (got & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        events |= CLAN_IO_HUP;
    if (got & (EPOLLERR | EPOLLHUP)) /* who waits to read or write meets the error there */
        events |= w->events;
    w->fn(w->user, fd, events);
}

static clan_status host_io_watch(
    void *host_data, int32_t fd, uint32_t events, clan_io_fn *fn, void *user)
{
    struct uihost *h = host_data;
    struct watch *w = fd < 0 ? NULL : find_watch(h, fd);
    if (fd < 0 || !fn || !events || (events & ~EVENTS_ALL))
        return CLAN_E_INVAL;
    bool is_new = !w;
    if (!w && !(w = find_watch(h, -1)))
        return CLAN_E_LIMIT;
    clan_status st = is_new ? loop_fd_add(h->loop, fd, to_epoll(events), on_io, w)
                            : loop_fd_mod(h->loop, fd, to_epoll(events));
    if (st == CLAN_OK)
        *w = (struct watch){.fd = fd, .events = events, .fn = fn, .user = user};
    return st == CLAN_E_IO ? CLAN_E_INVAL : st;
}

static void host_io_unwatch(void *host_data, int32_t fd)
{
    struct uihost *h = host_data;
    struct watch *w = fd < 0 ? NULL : find_watch(h, fd);
    if (!w)
        return;
    loop_fd_del(h->loop, fd);
    w->fd = -1;
}

static void on_timer(void *arg)
{
    struct timer *t = arg;
    t->id = 0;
    t->fn(t->user);
}

static clan_status host_timer_start(
    void *host_data, uint64_t delay_ms, clan_timer_fn *fn, void *user, uint64_t *ret_timer)
{
    struct uihost *h = host_data;
    if (!fn || !ret_timer || delay_ms > DELAY_MAX)
        return CLAN_E_INVAL;
    for (unsigned i = 0; i < TIMERS_MAX; i++) {
        struct timer *t = &h->plugin->timers[i];
        if (t->id)
            continue;
        uint64_t loop_id = loop_timer_in(h->loop, delay_ms, on_timer, t);
        if (!loop_id)
            return CLAN_E_LIMIT;
        *t = (struct timer){++h->plugin->next_timer, loop_id, fn, user};
        *ret_timer = t->id;
        return CLAN_OK;
    }
    return CLAN_E_LIMIT;
}

static void host_timer_stop(void *host_data, uint64_t timer)
{
    struct uihost *h = host_data;
    for (unsigned i = 0; timer && i < TIMERS_MAX; i++)
        if (h->plugin->timers[i].id == timer) {
            loop_timer_cancel(h->loop, h->plugin->timers[i].loop_id);
            h->plugin->timers[i].id = 0;
        }
}

/* There are no threads here: soon is the loop's next turn. */
static clan_status host_wake(void *host_data, clan_wake_fn *fn, void *user)
{
    uint64_t timer;
    return host_timer_start(host_data, 0, fn, user, &timer);
}

static void host_random(void *host_data, void *ret_bytes, uint64_t size)
{
    (void)host_data;
    randombytes_buf(ret_bytes, (size_t)size);
}

/* ---- clan.api.host ---- */

static void on_open(void *arg)
{
    struct opening *o = arg, of = *o;
    struct clan_error e = CLAN_ERROR_INIT;
    int fd = -1;
    o->opened = NULL; /* it may ask again at once */
    if (uiserve_connect(of.h, &fd) != CLAN_OK)
        err_set(&e, CLAN_E_LIMIT, "there are too many connections");
    of.opened(of.user, fd, fd < 0 ? &e : NULL);
}

static clan_status api_open(
    void *host_data, clan_api_opened_fn *opened, void *user, struct clan_error *e)
{
    struct uihost *h = host_data;
    if (!opened)
        return err_set(e, CLAN_E_INVAL, "open() needs a function");
    for (unsigned i = 0; i < OPENS_MAX; i++) {
        struct opening *o = &h->plugin->openings[i];
        if (o->opened)
            continue;
        *o = (struct opening){h, opened, user};
        if (loop_timer_in(h->loop, 0, on_open, o))
            return CLAN_OK;
        o->opened = NULL;
        break;
    }
    return err_set(e, CLAN_E_LIMIT, "%u connections wait for their answer", OPENS_MAX);
}

static uint32_t api_listeners(void *host_data, struct clan_api_listener *ret, uint32_t max)
{
    const struct uihost *h = host_data;
    if (!ret || !max)
        return 0;
    *ret = (struct clan_api_listener){.fd = h->listen_fd, .uid = getuid()};
    snprintf(ret->origin, sizeof ret->origin, "%s", h->origin);
    return 1;
}

static const struct clan_api_host api_table = {
    .struct_size = sizeof api_table, .open = api_open, .listeners = api_listeners};

/* ---- clan.program.host ---- */

static void program_end(void *host_data, uint32_t run)
{
    (void)host_data, (void)run;
}

static void program_state(void *host_data, uint32_t up, const struct clan_error *error)
{
    struct uihost *h = host_data;
    h->up = up != 0;
    h->failed = !up;
    if (!up && error)
        h->error = *error;
    loop_stop(h->loop, 0); /* uihost_open() waits for it */
}

static void program_health(void *host_data, uint32_t request, uint32_t healthy, const char *text)
{
    (void)host_data, (void)request, (void)healthy, (void)text;
}

static const struct clan_program_host program_table = {.struct_size = sizeof program_table,
    .run = clan_program_nosys_run_,
    .end = program_end,
    .service_state = program_state,
    .health_result = program_health};

static const void *host_get_interface(void *host_data, const char *id)
{
    (void)host_data;
    if (id && strcmp(id, CLAN_API_HOST) == 0)
        return &api_table;
    return id && strcmp(id, CLAN_PROGRAM_HOST) == 0 ? &program_table : NULL;
}

/* ---- the file ---- */

/* It runs as this user, without a sandbox: nobody but this user and root may have written it. */
static clan_status open_file(
    const char *folder, char *ret_path, size_t cap, int *ret_fd, struct clan_error *e)
{
    struct stat file, dir;
    snprintf(ret_path, cap, "%s/" PLUGIN ".so", folder);
    int fd = open(ret_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        err_set(e, CLAN_E_NOENT, "the dashboard is not installed");
        err_why(e, "there is no %s", ret_path);
        err_remedy(e, "`clan up` and `clan join` do the same on a terminal");
        return CLAN_E_NOENT;
    }
    if (fd < 0 || fstat(fd, &file) != 0 || stat(folder, &dir) != 0) {
        if (fd >= 0)
            close(fd);
        return err_errno(e, CLAN_E_IO, "cannot read %s", ret_path);
    }
    bool ours = (file.st_uid == 0 || file.st_uid == geteuid()) && !(file.st_mode & 022) &&
                (dir.st_uid == 0 || dir.st_uid == geteuid()) && !(dir.st_mode & 022);
    if (!ours) {
        close(fd);
        err_set(e, CLAN_E_PERM, "the dashboard is not loaded");
        err_why(e, "others than root may write %s or its folder", ret_path);
        err_remedy(e, "install it anew");
        return CLAN_E_PERM;
    }
    *ret_fd = fd;
    return CLAN_OK;
}

static clan_status load(struct uihost *h, int fd, const char *path, struct clan_error *e)
{
    struct note_source src;
    struct clan_note_body note;
    char name[32];
    clan_plugin_query_fn *query;
    clan_status st = note_source_fd(fd, PLUGIN ".so", &src, e);
    if (st == CLAN_OK)
        st = note_read(&src, PLUGIN ".so", &note, e);
    if (st != CLAN_OK)
        return st;
    /* the file that was looked at, whatever has its name now */
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    void *so = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (!so) {
        const char *why = dlerror();
        err_set(e, CLAN_E_IO, "%s cannot be loaded", path);
        err_why(e, "%s", why ? why : "the loader does not say");
        err_remedy(e, "install the libraries that it needs");
        return CLAN_E_IO;
    }
    void *symbol = dlsym(so, CLAN_PLUGIN_QUERY_NAME);
    memcpy(&query, &symbol, sizeof query);
    if (!query)
        return check_no_query(&note, e);
    h->plugin->code = query();
    return check_descriptor(&note, h->plugin->code, e);
}

static clan_status create(struct uihost *h, struct clan_error *e)
{
    const struct clan_config config = {.struct_size = sizeof config,
        .setting_size = sizeof(struct clan_setting),
        .instance = PLUGIN,
        .clan = "",
        .machine = "",
        .state_dir = "",
        .volume_dir = ""};
    struct uiplugin *p = h->plugin;
    clan_status st = p->code->create(&p->table, &config, &p->instance, e);
    if (st != CLAN_OK)
        return st;
    p->service = p->code->get_interface(p->instance, CLAN_SERVICE);
    if (!p->service || p->service->struct_size < sizeof *p->service)
        return err_set(e, CLAN_E_ABI, "the dashboard is no service of this Clan");
    return p->service->start(p->instance, e);
}

clan_status uiplugin_load(struct uihost *h, const char *folder, struct clan_error *e)
{
    char path[512];
    int fd = -1;
    struct uiplugin *p = h->plugin = calloc(1, sizeof *p);
    clan_assert(p);
    for (unsigned i = 0; i < WATCHES_MAX; i++)
        p->watches[i].fd = -1;
    p->table = (struct clan_host){.size = sizeof p->table,
        .abi_major = CLAN_ABI_MAJOR,
        .abi_minor = CLAN_ABI_MINOR,
        .host_data = h,
        .log = host_log,
        .io_watch = host_io_watch,
        .io_unwatch = host_io_unwatch,
        .timer_start = host_timer_start,
        .timer_stop = host_timer_stop,
        .wake = host_wake,
        .random = host_random,
        .get_interface = host_get_interface};
    clan_status st = open_file(folder, path, sizeof path, &fd, e);
    if (st == CLAN_OK)
        st = load(h, fd, path, e);
    if (st == CLAN_OK)
        st = create(h, e);
    if (fd >= 0)
        close(fd);
    return st;
}

void uiplugin_unload(struct uihost *h)
{
    struct uiplugin *p = h->plugin;
    if (!p)
        return;
    if (h->up && p->service)
        p->service->stop(p->instance);
    if (p->instance)
        p->code->destroy(p->instance);
    free(p);
    h->plugin = NULL;
}
