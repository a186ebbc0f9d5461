/* The service "Shared files": a folder for the clan by lighttpd, in browsers and over WebDAV. */
#include "files.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define FILES_SETTLE_MS   400   /* a bad configuration ends lighttpd at once */
#define FILES_SHORT_MS    3000  /* ended so soon: it could not start */
#define FILES_LONG_MS     60000 /* lived so long: earlier failures are forgotten */
#define FILES_BACKOFF_MS  100
#define FILES_BACKOFF_MAX 10000
#define FILES_GIVE_UP     6 /* failures in a row, then Clan decides */

clan_status files_fail(struct clan_error *e, clan_status status, const char *remedy,
    const char *what, const char *why_fmt, ...)
{
    va_list ap;
    e->status = status;
    snprintf(e->what, sizeof e->what, "%s", what);
    snprintf(e->remedy, sizeof e->remedy, "%s", remedy);
    va_start(ap, why_fmt);
    vsnprintf(e->why, sizeof e->why, why_fmt, ap);
    va_end(ap);
    return status;
}

uint64_t files_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- the program ---- */

static clan_status begin(struct files *f, struct clan_error *reterr);

static void tell(struct files *f, const struct clan_error *error)
{
    f->programs->service_state(f->host->host_data, error == NULL, error);
}

static void on_again(void *user)
{
    struct files *f = user;
    struct clan_error err = CLAN_ERROR_INIT;
    f->timer = 0;
    if (begin(f, &err) != CLAN_OK)
        tell(f, &err);
}

static void again(struct files *f, uint64_t delay_ms)
{
    struct clan_error err = CLAN_ERROR_INIT;
    f->phase = FILES_IDLE;
    f->run = 0;
    clan_timer_stop(f->host, f->timer);
    if (clan_timer_start(f->host, delay_ms, on_again, f, &f->timer) != CLAN_OK) {
        files_fail(&err, CLAN_E_LIMIT, "start the service again", "lighttpd is not started again",
            "the host has no timer left");
        tell(f, &err);
    }
}

static uint64_t back_off(const struct files *f)
{
    uint64_t delay = FILES_BACKOFF_MS;
    for (unsigned i = 1; i < f->failures && delay < FILES_BACKOFF_MAX; i++)
        delay *= 2;
    return delay < FILES_BACKOFF_MAX ? delay : FILES_BACKOFF_MAX;
}

static void on_settled(void *user)
{
    struct files *f = user;
    f->timer = 0;
    f->phase = FILES_UP;
    tell(f, NULL);
}

static void on_started(void *user, uint32_t run, const struct clan_error *error)
{
    struct files *f = user;
    if (f->phase != FILES_ASKED) {
        if (!error)
            f->programs->end(f->host->host_data, run); /* stopped meanwhile */
        return;
    }
    if (error && error->status == CLAN_E_CANCELLED) {
        again(f, FILES_BACKOFF_MS);
        return;
    }
    if (error) {
        f->phase = FILES_IDLE;
        tell(f, error);
        return;
    }
    f->run = run;
    f->phase = FILES_SETTLING;
    f->begun_ms = files_now_ms();
    if (clan_timer_start(f->host, FILES_SETTLE_MS, on_settled, f, &f->timer) != CLAN_OK)
        on_settled(f);
}

static void exit_text(uint32_t status, char *ret_text, size_t cap)
{
    int s = (int)status;
    if (WIFSIGNALED(s))
        snprintf(ret_text, cap, "lighttpd was ended by signal %d", WTERMSIG(s));
    else
        snprintf(ret_text, cap, "lighttpd ended with status %d", WEXITSTATUS(s));
}

static void on_exited(void *user, uint32_t run, uint32_t exit_status)
{
    struct files *f = user;
    struct clan_error err = CLAN_ERROR_INIT;
    char text[96];
    if (run != f->run || f->phase < FILES_SETTLING)
        return; /* one that was replaced or stopped */
    uint64_t life = files_now_ms() - f->begun_ms;
    exit_text(exit_status, text, sizeof text);
    clan_log(f->host, CLAN_LOG_WARN, text);
    f->phase = FILES_IDLE;
    f->failures = life > FILES_LONG_MS ? 1 : f->failures + 1;
    if (life < FILES_SHORT_MS && f->locks && WIFEXITED((int)exit_status)) {
        f->locks = false;
        clan_log(f->host, CLAN_LOG_WARN, "trying without WebDAV locks");
    }
    if (f->failures < FILES_GIVE_UP) {
        again(f, back_off(f));
        return;
    }
    clan_timer_stop(f->host, f->timer);
    files_fail(&err, CLAN_E_NOTRUNNING, "see the lines of lighttpd in Clan's log",
        "shared files are not served", "%s, %u times in a row", text, f->failures);
    tell(f, &err);
}

static clan_status begin(struct files *f, struct clan_error *reterr)
{
    clan_status st = files_write(f, reterr);
    if (st != CLAN_OK)
        return st;
    f->phase = FILES_ASKED;
    st = f->programs->run(f->host->host_data, "lighttpd", on_started, on_exited, f, reterr);
    if (st != CLAN_OK)
        f->phase = FILES_IDLE;
    return st;
}

void files_restart(struct files *f)
{
    clan_log(f->host, CLAN_LOG_WARN, "lighttpd does not answer; it is started again");
    f->programs->end(f->host->host_data, f->run);
    f->failures++;
    again(f, back_off(f));
}

/* ---- the service ---- */

static clan_status files_start(void *instance, struct clan_error *reterr)
{
    struct files *f = instance;
    f->failures = 0;
    f->locks = !f->read_only;
    return begin(f, reterr);
}

static void files_stop(void *instance)
{
    struct files *f = instance;
    clan_timer_stop(f->host, f->timer);
    f->timer = 0;
    f->phase = FILES_IDLE;
    if (f->run)
        f->programs->end(f->host->host_data, f->run);
    f->run = 0;
}

static void files_ask_health(void *instance, uint32_t request)
{
    files_health(instance, request);
}

static const struct clan_service files_service = {
    .struct_size = sizeof files_service,
    .start = files_start,
    .stop = files_stop,
    .health = files_ask_health,
};

/* ---- settings ---- */

#define TITLE "Shared files"

CLAN_PLUGIN_SETTINGS(2, CLAN_ASK_TEXT("title", "What is its page called?", TITLE, 64),
    CLAN_ASK_YES_NO("read_only", "May the others only read?", "false"));

static bool title_ok(const char *s)
{
    size_t n = strlen(s);
    if (n < 1 || n > 64)
        return false;
    for (; *s; s++)
        if ((unsigned char)*s < ' ' || *s == 127)
            return false;
    return true;
}

static clan_status take_setting(
    struct files *f, const char *key, const char *value, struct clan_error *e)
{
    if (strcmp(key, "title") == 0) {
        if (!title_ok(value))
            return files_fail(e, CLAN_E_INVAL, "write a title of 1 to 64 bytes without line breaks",
                "the setting \"title\" of files is wrong", "\"%.64s\" is no title", value);
        snprintf(f->title, sizeof f->title, "%s", value);
        return CLAN_OK;
    }
    if (strcmp(key, "read_only") == 0) {
        f->read_only = strcmp(value, "true") == 0;
        if (!f->read_only && strcmp(value, "false") != 0)
            return files_fail(e, CLAN_E_INVAL, "write read_only: true or read_only: false",
                "the setting \"read_only\" of files is wrong",
                "\"%.64s\" is neither true nor false", value);
        return CLAN_OK;
    }
    return files_fail(e, CLAN_E_INVAL, "remove that line, or see the README of the plugin",
        "files has no such setting", "\"%.64s\" is not known; known are title and read_only", key);
}

static const struct clan_setting *setting_at(const struct clan_config *c, uint32_t i)
{
    return (const struct clan_setting *)(const void *)((const char *)c->settings +
                                                       (size_t)c->setting_size * i);
}

/* Paths go into a configuration file: the host's are harmless, anything else is refused. */
static bool path_ok(const char *path)
{
    return path[0] == '/' && strlen(path) < FILES_DIR_MAX &&
           strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") ==
               strlen(path);
}

static clan_status fill(struct files *f, const struct clan_config *c, struct clan_error *e)
{
    snprintf(f->title, sizeof f->title, TITLE);
    for (uint32_t i = 0; i < c->setting_count; i++) {
        const struct clan_setting *s = setting_at(c, i);
        clan_status st = take_setting(f, s->key, s->value, e);
        if (st != CLAN_OK)
            return st;
    }
    if (!path_ok(c->state_dir) || !path_ok(c->volume_dir))
        return files_fail(e, CLAN_E_GRANT, "grant fs.state to files in machine.yaml",
            "files cannot start", "it has no directory for its state or no volume");
    snprintf(f->state_dir, sizeof f->state_dir, "%s", c->state_dir);
    snprintf(f->volume_dir, sizeof f->volume_dir, "%s", c->volume_dir);
    memcpy(f->address, c->service_address, sizeof f->address);
    f->port = c->service_port;
    f->listen_fd = c->listen_count ? c->listen_fds[c->listen_count - 1] : -1;
    return CLAN_OK;
}

static clan_status files_create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    const struct clan_program_host *programs = clan_program_host_get(host);
    if (!programs->struct_size) /* the stub: nothing could be run */
        return files_fail(reterr, CLAN_E_ABI, "use the files plugin of this Clan",
            "files cannot be used with this Clan", "differing item: %s", CLAN_PROGRAM_HOST);
    struct files *f = calloc(1, sizeof *f);
    if (!f)
        return files_fail(reterr, CLAN_E_NOMEM, "", "files cannot start", "out of memory");
    f->host = host;
    f->programs = programs;
    clan_status st = fill(f, config, reterr);
    if (st != CLAN_OK) {
        free(f);
        return st;
    }
    *ret_instance = f;
    return CLAN_OK;
}

static void files_destroy(void *instance)
{
    free(instance);
}

static const void *files_get_interface(void *instance, const char *id)
{
    (void)instance;
    return strcmp(id, CLAN_SERVICE) == 0 ? &files_service : NULL;
}

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_SERVICE, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .needs_minor = 1, .id = "files", .version = "0.1.0",
    .title = "Shared files",
    .sentence = "A folder for everybody in the clan, in the browser and as a network drive.",
    .asks_count = 3, .asks = {"fs.state", "net.service", "exec:lighttpd"}, .default_port = 80);

static const struct clan_plugin files_plugin = {
    .magic = CLAN_PLUGIN_MAGIC,
    .struct_size = sizeof files_plugin,
    .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR,
    .kind = CLAN_KIND_SERVICE,
    .id = "files",
    .version = "0.1.0",
    .vendor = "Clan",
    .licence = "same as Clan",
    .create = files_create,
    .destroy = files_destroy,
    .get_interface = files_get_interface,
};

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return &files_plugin;
}
