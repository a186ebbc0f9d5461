/*
 * The frozen core of the plugin interface: descriptor, host table, configuration.
 *
 * A plugin is one .so that links nothing of Clan and exports one function, CLAN_PLUGIN_QUERY_NAME.  It
 * runs in a process of its own, in a sandbox that is complete before its first constructor runs.
 *
 * Threads: every call into a plugin comes on the host's loop thread, and a plugin calls the host from
 * that thread only, except for the functions tagged [any].  A plugin may have threads of its own.
 * Ownership: each side frees what it allocated; strings and buffers are borrowed for the time of a call.
 * States, enforced by Clan: created -> started -> stopped; [created] and so on name where a call may come.
 */
#ifndef CLAN_PLUGIN_H
#define CLAN_PLUGIN_H

#include <clan/note.h>
#include <clan/status.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLAN_PLUGIN_MAGIC      0x4e414c43u /* "CLAN" in memory */
#define CLAN_ABI_MAJOR         0           /* 0 while interfaces are drafts */
#define CLAN_ABI_MINOR         1
#define CLAN_PLUGIN_QUERY      clan_plugin_query
#define CLAN_PLUGIN_QUERY_NAME "clan_plugin_query"

/* Kinds: what a plugin mainly is.  What it can do are its interfaces. */
#define CLAN_KIND_TRANSPORT  1u
#define CLAN_KIND_HYPERVISOR 2u
#define CLAN_KIND_SERVICE    3u

struct clan_host;
struct clan_config;

/* The descriptor.  Its first 16 bytes are frozen for ever, across majors. */
struct clan_plugin {
    uint32_t magic;       /* CLAN_PLUGIN_MAGIC */
    uint32_t struct_size; /* sizeof(struct clan_plugin) it was built with */
    uint16_t abi_major;   /* equal to the host's */
    uint16_t abi_minor;   /* built for; what it needs stands in the note */
    uint32_t kind;
    /* --- 16 bytes --- */
    uint64_t flags; /* 0 */
    const char *id; /* [a-z0-9-]{1,31}, as in the note */
    const char *version, *vendor, *licence;

    /*
     * Makes the one instance.  [loop]  Copies what it keeps of `config`.  On failure fills *reterr with
     * three sentences (what, why, what to do) and leaves *ret_instance alone.  since 0.1
     */
    clan_status (*create)(const struct clan_host *host, const struct clan_config *config,
        void **ret_instance, struct clan_error *reterr);
    /* Ends it.  [loop, created|stopped]  The process exits soon after; never unloaded.  since 0.1 */
    void (*destroy)(void *instance);
    /* The table behind an interface id, or NULL.  [loop, created]  Valid until destroy.  since 0.1 */
    const void *(*get_interface)(void *instance, const char *id);
};

typedef const struct clan_plugin *clan_plugin_query_fn(void);

/* Settings of this instance, checked by Clan against limits but not for meaning. */
struct clan_setting {
    const char *key, *value;
};
struct clan_config {
    uint32_t struct_size;
    uint32_t setting_count;
    uint32_t setting_size; /* sizeof(struct clan_setting) of the host: the stride */
    uint32_t listen_count; /* listening sockets handed over, at listen_fds */
    const struct clan_setting *settings;
    const int32_t *listen_fds;  /* the plugin's to use, not to close; a service's own is the last */
    const char *instance;       /* service name, or the plugin's id */
    const char *clan, *machine; /* names, for texts */
    const char *state_dir;      /* with fs.state: absolute path inside the sandbox, else "" */
    const char *volume_dir;     /* services: where their data lives, else "" */
    uint8_t service_address[16]; /* services: overlay address (IPv6, network order) */
    uint16_t service_port;       /* host order */
    uint16_t zero0;
    uint32_t zero1;
};

/* Log levels */
#define CLAN_LOG_ERROR 0u
#define CLAN_LOG_WARN  1u
#define CLAN_LOG_INFO  2u
#define CLAN_LOG_DEBUG 3u

/* Events of a watched descriptor */
#define CLAN_IO_READ  1u
#define CLAN_IO_WRITE 2u
#define CLAN_IO_HUP   4u

typedef void clan_io_fn(void *user, int32_t fd, uint32_t events);
typedef void clan_timer_fn(void *user);
typedef void clan_wake_fn(void *user);

/* What the host offers.  Grows at the end: call through the inline functions below, which look at `size`. */
struct clan_host {
    uint32_t size;
    uint16_t abi_major, abi_minor;
    void *host_data; /* the first argument of every call */

    /* One line, UTF-8, at most 900 bytes; control characters are replaced.  [any]  since 0.1 */
    void (*log)(void *host_data, uint32_t level, const char *text);
    /* Calls fn when fd is ready; one watch per fd, a second call replaces it; at most 256.  An error or
     * a hang-up of fd comes as CLAN_IO_HUP together with `events`.  [loop]  INVAL, LIMIT.  since 0.1 */
    clan_status (*io_watch)(
        void *host_data, int32_t fd, uint32_t events, clan_io_fn *fn, void *user);
    /* Ends the watch; before the descriptor is closed.  [loop]  since 0.1 */
    void (*io_unwatch)(void *host_data, int32_t fd);
    /* One shot after delay_ms; *ret_timer > 0.  At most 128 at once.  [loop]  LIMIT.  since 0.1 */
    clan_status (*timer_start)(
        void *host_data, uint64_t delay_ms, clan_timer_fn *fn, void *user, uint64_t *ret_timer);
    void (*timer_stop)(void *host_data, uint64_t timer); /* [loop]  since 0.1 */
    /* Runs fn on the loop thread soon.  [any]  LIMIT above 64 outstanding.  since 0.1 */
    clan_status (*wake)(void *host_data, clan_wake_fn *fn, void *user);
    /* size cryptographically secure random bytes.  [any]  since 0.1 */
    void (*random)(void *host_data, void *ret_bytes, uint64_t size);
    /* A table of further abilities of the host by id, or NULL.  [loop]  since 0.1 */
    const void *(*get_interface)(void *host_data, const char *id);
};

#define CLAN_HOST_HAS(host, field)                                                                 \
    ((host)->size >= offsetof(struct clan_host, field) + sizeof((host)->field) && (host)->field)

static inline void clan_log(const struct clan_host *h, uint32_t level, const char *text)
{
    if (CLAN_HOST_HAS(h, log))
        h->log(h->host_data, level, text);
}

static inline clan_status clan_io_watch(
    const struct clan_host *h, int32_t fd, uint32_t events, clan_io_fn *fn, void *user)
{
    return CLAN_HOST_HAS(h, io_watch) ? h->io_watch(h->host_data, fd, events, fn, user)
                                      : CLAN_E_NOSYS;
}

static inline void clan_io_unwatch(const struct clan_host *h, int32_t fd)
{
    if (CLAN_HOST_HAS(h, io_unwatch))
        h->io_unwatch(h->host_data, fd);
}

static inline clan_status clan_timer_start(const struct clan_host *h, uint64_t delay_ms,
    clan_timer_fn *fn, void *user, uint64_t *ret_timer)
{
    return CLAN_HOST_HAS(h, timer_start)
               ? h->timer_start(h->host_data, delay_ms, fn, user, ret_timer)
               : CLAN_E_NOSYS;
}

static inline void clan_timer_stop(const struct clan_host *h, uint64_t timer)
{
    if (CLAN_HOST_HAS(h, timer_stop))
        h->timer_stop(h->host_data, timer);
}

static inline clan_status clan_wake(const struct clan_host *h, clan_wake_fn *fn, void *user)
{
    return CLAN_HOST_HAS(h, wake) ? h->wake(h->host_data, fn, user) : CLAN_E_NOSYS;
}

static inline clan_status clan_random(const struct clan_host *h, void *ret_bytes, uint64_t size)
{
    if (!CLAN_HOST_HAS(h, random))
        return CLAN_E_NOSYS;
    h->random(h->host_data, ret_bytes, size);
    return CLAN_OK;
}

static inline const void *clan_host_interface(const struct clan_host *h, const char *id)
{
    return CLAN_HOST_HAS(h, get_interface) ? h->get_interface(h->host_data, id) : NULL;
}

/*
 * Marks the one exported function:
 *     CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void) { return &my_plugin; }
 */
#ifdef __cplusplus
#define CLAN_PLUGIN_EXPORT extern "C" __attribute__((visibility("default"), used))
#else
#define CLAN_PLUGIN_EXPORT __attribute__((visibility("default"), used))
#endif

__attribute__((visibility("default"))) const struct clan_plugin *clan_plugin_query(void);

#ifdef __cplusplus
}
#endif
#endif
