/* The transport tor: streams through onion services, by a tor of its own. */
#include "tor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define DIAL_MIN_MS 1000
#define DIAL_MAX_MS 120000

uint64_t tor_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t); /* who slept has waited */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

clan_status tor_fail(struct clan_error *e, clan_status status, const char *remedy, const char *what,
    const char *why_fmt, ...)
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

void tor_log(const struct tor *t, uint32_t level, const char *format, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    clan_log(t->host, level, text);
}

void tor_tell(struct tor *t, bool works, const char *format, ...)
{
    char text[sizeof t->told];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (works == t->told_works && strcmp(text, t->told) == 0)
        return;
    t->told_works = works;
    memcpy(t->told, text, sizeof text);
    if (t->started)
        t->clan->tell(t->host->host_data, works, text);
}

void tor_tell_health(struct tor *t)
{
    char text[HEALTH_TEXT];
    if (!t->ready)
        return; /* child.c tells */
    bool works = health_text(&t->health, text);
    tor_tell(t, works, "%s", text);
}

int tor_connect(const char *dir, const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", dir, name);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    if (fd >= 0)
        close(fd); /* EAGAIN too: its queue is full */
    return -1;
}

/* ---- the transport ---- */

static clan_status on_start(void *instance, struct clan_error *reterr)
{
    struct tor *t = instance;
    clan_status st = service_open(t, reterr);
    if (st == CLAN_OK)
        st = child_start(t, reterr);
    if (st != CLAN_OK) {
        service_close(t);
        return st;
    }
    t->started = true;
    return CLAN_OK;
}

static void on_stop(void *instance)
{
    struct tor *t = instance;
    t->started = false;
    dial_forget(t);
    child_stop(t);
    service_close(t);
}

static clan_status on_dial(void *instance, uint32_t request, const char *endpoint,
    uint32_t timeout_ms, struct clan_error *reterr)
{
    if (timeout_ms < DIAL_MIN_MS)
        timeout_ms = DIAL_MIN_MS;
    return dial_begin(
        instance, request, endpoint, timeout_ms > DIAL_MAX_MS ? DIAL_MAX_MS : timeout_ms, reterr);
}

static void on_cancel(void *instance, uint32_t request)
{
    dial_cancel(instance, request);
}

/* Known before tor is: the key alone makes the address. */
static void on_endpoints(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    struct tor *t = instance;
    struct onion_endpoint e = {.port = ONION_PORT};
    char text[ONION_ENDPOINT_MAX + 1];
    watch_addresses(t, local_addresses, addr_count);
    if (!t->known)
        return;
    memcpy(e.address, t->members.address, sizeof e.address);
    memcpy(e.client, t->client, sizeof e.client);
    onion_endpoint_text(&e, text);
    add(user, text);
}

static const struct clan_transport_stream tor_stream = {
    .struct_size = sizeof tor_stream,
    .start = on_start,
    .stop = on_stop,
    .dial = on_dial,
    .cancel = on_cancel,
    .endpoints = on_endpoints,
};

static void on_members(void *instance, const char *const *endpoints, uint32_t count)
{
    service_members(instance, endpoints, count);
}

static void on_invitations(void *instance, const uint8_t *keys, uint32_t count)
{
    service_invitations(instance, keys, count);
}

static void on_door(void *instance, char ret_endpoint[CLAN_ENDPOINT_MAX + 1])
{
    const struct tor *t = instance;
    struct onion_endpoint e = {.port = ONION_PORT};
    ret_endpoint[0] = 0;
    if (!t->known)
        return;
    memcpy(e.address, t->door.address, sizeof e.address);
    onion_endpoint_text(&e, ret_endpoint);
}

static void on_invited(void *instance, const char *endpoint, const uint8_t secret[32])
{
    dial_invited(instance, endpoint, secret);
}

static const struct clan_transport_rendezvous tor_rendezvous = {
    .struct_size = sizeof tor_rendezvous,
    .members = on_members,
    .invitations = on_invitations,
    .door = on_door,
    .invited = on_invited,
};

/* ---- settings ---- */

static clan_status wrong(struct clan_error *e, const char *key, const char *why)
{
    char what[128];
    snprintf(what, sizeof what, "the setting \"%.64s\" of tor is wrong", key);
    return tor_fail(e, CLAN_E_INVAL, "see the README of the plugin", what, "%s", why);
}

static clan_status take(struct tor *t, const char *key, const char *value, struct clan_error *e)
{
    const char *why = NULL;
    if (strncmp(key, "bridge", 6) == 0)
        why = torrc_bridge_add(&t->conf, value);
    else if (strncmp(key, "proxy-", 6) == 0)
        why = torrc_proxy_add(&t->conf, key + 6, value);
    else if (strcmp(key, "client_auth") == 0) {
        t->open_to_all = strcmp(value, "false") == 0;
        if (!t->open_to_all && strcmp(value, "true") != 0)
            why = "it is neither true nor false";
    } else
        why = "there is none of that name; known are bridge, bridge-2 and so on, proxy-NAME, "
              "client_auth";
    return why ? wrong(e, key, why) : CLAN_OK;
}

/* Paths go into a configuration file: the host's are harmless, anything else is refused. */
static bool path_ok(const char *path)
{
    return path[0] == '/' && strlen(path) < TOR_DIR_MAX &&
           strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-") ==
               strlen(path);
}

static clan_status fill(struct tor *t, const struct clan_config *c, struct clan_error *e)
{
    clan_status st = CLAN_OK;
    for (uint32_t i = 0; i < c->setting_count && st == CLAN_OK; i++) {
        const struct clan_setting *s = clan_setting_at(c, i);
        st = take(t, s->key, s->value, e);
    }
    if (st != CLAN_OK)
        return st;
    const char *alone = torrc_bridge_alone(&t->conf);
    if (alone)
        return wrong(
            e, "bridge", "it names a pluggable transport, and no proxy-NAME says where that runs");
    if (!path_ok(c->state_dir) || !path_ok(c->volume_dir))
        return tor_fail(e, CLAN_E_GRANT, "grant fs.state and exec:tor to tor in machine.yaml",
            "tor cannot start", "it has no directory for its state");
    snprintf(t->state_dir, sizeof t->state_dir, "%s", c->state_dir);
    snprintf(t->dir, sizeof t->dir, "%s", c->volume_dir);
    t->conf.dir = t->dir;
    return CLAN_OK;
}

static clan_status on_create(const struct clan_host *host, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    const struct clan_program_host *programs = clan_program_host_get(host);
    const struct clan_transport_host *to = clan_transport_host_get(host);
    if (!programs->struct_size || !to->struct_size) /* stubs */
        return tor_fail(reterr, CLAN_E_ABI, "use the tor plugin of this Clan",
            "tor cannot be used with this Clan", "differing item: %s",
            to->struct_size ? CLAN_PROGRAM_HOST : CLAN_TRANSPORT_HOST);
    struct tor *t = calloc(1, sizeof *t);
    if (!t)
        return tor_fail(reterr, CLAN_E_NOMEM, "", "tor cannot start", "out of memory");
    t->host = host;
    t->to = to;
    t->programs = programs;
    t->clan = clan_transport_rendezvous_host_get(host);
    t->ctl = t->listener = -1;
    clan_status st = fill(t, config, reterr);
    if (st != CLAN_OK) {
        free(t);
        return st;
    }
    *ret_instance = t;
    return CLAN_OK;
}

static void on_destroy(void *instance)
{
    explicit_bzero(instance, sizeof(struct tor));
    free(instance);
}

static const void *on_get_interface(void *instance, const char *id)
{
    (void)instance;
    if (strcmp(id, CLAN_TRANSPORT_STREAM) == 0)
        return &tor_stream;
    return strcmp(id, CLAN_TRANSPORT_RENDEZVOUS) == 0 ? &tor_rendezvous : NULL;
}

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_TRANSPORT, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .needs_minor = 2, .id = "tor", .version = "0.1.0", .title = "Tor",
    .sentence = "Connects machines through the Tor network, when nothing else reaches them.",
    .asks_count = 3, .asks = {"net.connect:internet", "fs.state", "exec:tor"});
CLAN_PLUGIN_LIBRARIES("libcrypto.so.3");

static const struct clan_plugin tor_plugin = {
    .magic = CLAN_PLUGIN_MAGIC,
    .struct_size = sizeof tor_plugin,
    .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR,
    .kind = CLAN_KIND_TRANSPORT,
    .id = "tor",
    .version = "0.1.0",
    .vendor = "Clan",
    .licence = "same as Clan",
    .create = on_create,
    .destroy = on_destroy,
    .get_interface = on_get_interface,
};

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return &tor_plugin;
}
