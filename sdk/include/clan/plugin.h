/*
 * The frozen core of the plugin interface: descriptor, host table, configuration.
 *
 * A plugin is one .so that links nothing of Clan and exports one function, CLAN_PLUGIN_QUERY_NAME.  It
 * runs in a process of its own, in a sandbox that is complete before its first constructor runs: empty
 * network, no connect(), no exec, no new executable memory, files of the system libraries only, and
 * beyond that what its note asks for and the owner granted.
 *
 * How to read the tags
 *   [loop]  comes, or may be called, on the host's loop thread only: the thread that called create()
 *   [any]   may be called from any thread of the plugin; every other call from such a thread is refused
 *           and logged
 *   [created] [started] [stopped]  the states in which a call may come or be made; without: in all
 *   since   the SDK that has it first
 *
 * States, enforced by Clan: a call in a wrong state is refused with CLAN_E_STATE or dropped, and logged.
 *
 *     query() -> create() -> [created] -> start() -> [started] -> stop() -> [stopped] -> destroy() -> exit
 *                    \ fails: the process ends       \ fails: destroy()      \ services may be started anew
 *
 * Ownership: each side frees what it allocated; no pointer to free crosses.  Strings and buffers are
 * borrowed for the time of a call, unless their comment says more.  Strings are UTF-8.
 * Growth: structs grow at the end, and say their size first; tables behind an id are frozen with it.
 * Languages: C11 and C++17.  No exception may leave a function that Clan calls.
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
#define CLAN_ABI_MINOR         5
#define CLAN_PLUGIN_QUERY      clan_plugin_query
#define CLAN_PLUGIN_QUERY_NAME "clan_plugin_query"

/* Kinds: what a plugin mainly is.  What it can do are its interfaces. */
#define CLAN_KIND_TRANSPORT  1u /* connects machines: transport.h */
#define CLAN_KIND_HYPERVISOR 2u /* its interface comes with the first plugin of that kind */
#define CLAN_KIND_SERVICE    3u /* runs something for the clan: service.h */

struct clan_host;
struct clan_config;

/*
 * The descriptor, static in the plugin.  Its first 16 bytes are frozen for ever, across majors, so that
 * any Clan can say why it refuses any plugin.  since 0.1
 */
struct clan_plugin {
    uint32_t magic;       /* CLAN_PLUGIN_MAGIC */
    uint32_t struct_size; /* sizeof(struct clan_plugin) it was built with */
    uint16_t abi_major;   /* equal to the host's */
    uint16_t abi_minor;   /* built for; what it needs stands in the note */
    uint32_t kind;        /* CLAN_KIND_, as in the note */
    /* --- 16 bytes --- */
    uint64_t flags;      /* 0 */
    const char *id;      /* [a-z0-9][a-z0-9-]{0,30}, as in the note */
    const char *version; /* as in the note */
    const char *vendor;  /* who made it: for people */
    const char *licence; /* SPDX identifier: for people */

    /*
     * Makes the one instance.  [loop]  `host` stays valid until the process ends; `config` and all in it
     * is borrowed for the call: copy what is kept.  Settings it does not know are refused by name
     * (CLAN_E_INVAL).  On failure it fills *reterr and leaves *ret_instance alone.  Returns soon: what
     * takes longer than a second belongs into start.  since 0.1
     */
    clan_status (*create)(const struct clan_host *host, const struct clan_config *config,
        void **ret_instance, struct clan_error *reterr);
    /* Ends the instance: watches, timers, memory.  [loop, created|stopped]  The process exits soon after;
     * the file is never unloaded.  since 0.1 */
    void (*destroy)(void *instance);
    /* The table behind an interface id, or NULL for one it does not have.  [loop, created]  Static, or
     * valid until destroy().  since 0.1 */
    const void *(*get_interface)(void *instance, const char *id);
};

/* The one exported function.  [loop]  Does nothing but return the descriptor.  since 0.1 */
typedef const struct clan_plugin *clan_plugin_query_fn(void);

/* One setting of the instance, as clan.yaml has it below the service or machine.yaml below the plugin. */
struct clan_setting {
    const char *key;   /* [a-z0-9_-] */
    const char *value; /* text; true and false, numbers: as they were written */
};

/*
 * What create() is given.  Everything is borrowed for that call.  Checked by Clan against limits, but not
 * for meaning: values come from whoever writes clan.yaml.  since 0.1
 */
struct clan_config {
    uint32_t struct_size;                /* sizeof(struct clan_config) of the host */
    uint32_t setting_count;              /* at `settings`; read them by clan_setting_at() */
    uint32_t setting_size;               /* sizeof(struct clan_setting) of the host: the stride */
    uint32_t listen_count;               /* listening sockets handed over, at listen_fds */
    const struct clan_setting *settings; /* of a service; transports have none yet */
    const int32_t
        *listen_fds; /* TCP, listening, non-blocking, valid until the process ends; the plugin's
                                    to use, not to close.  A service's own is the last one */
    const char *instance;        /* service name, or the plugin's id */
    const char *clan, *machine;  /* names, for texts */
    const char *state_dir;       /* with fs.state: absolute path inside the sandbox, else "" */
    const char *volume_dir;      /* services: where their data lives, else "" */
    uint8_t service_address[16]; /* services: overlay address (IPv6, network order), else zeros */
    uint16_t service_port;       /* services: host order, else 0 */
    uint16_t zero0;
    uint32_t zero1;
};

/* The i-th setting, i < setting_count; the only right way to step through them.  [any]  since 0.1 */
static inline const struct clan_setting *clan_setting_at(const struct clan_config *c, uint32_t i)
{
    const void *first = c->settings;
    const void *at = (const unsigned char *)first + (size_t)c->setting_size * i;
    return (const struct clan_setting *)at;
}

/* Log levels: what an owner must know, should know, may want to know, and what helps its author. */
#define CLAN_LOG_ERROR 0u
#define CLAN_LOG_WARN  1u
#define CLAN_LOG_INFO  2u
#define CLAN_LOG_DEBUG 3u

/* Events of a watched descriptor: what is asked for, and what happened. */
#define CLAN_IO_READ  1u /* read() or accept() does not wait */
#define CLAN_IO_WRITE 2u /* write() does not wait */
#define CLAN_IO_HUP   4u /* the other side hung up, or an error: read() tells which */

/* Callbacks; `user` is what was given with them.  [loop] */
typedef void clan_io_fn(void *user, int32_t fd, uint32_t events);
typedef void clan_timer_fn(void *user);
typedef void clan_wake_fn(void *user);

/*
 * What the host offers.  Grows at the end: call through the inline functions below, which look at `size`
 * and answer CLAN_E_NOSYS, or do nothing, where an older host has no such call.  since 0.1
 */
struct clan_host {
    uint32_t size;                 /* of the host's table */
    uint16_t abi_major, abi_minor; /* of the host */
    void *host_data;               /* the first argument of every call */

    /* One line to the machine's log, at most 900 bytes; control characters are replaced.  Beyond 100 lines
     * at once or 20 a second lines are dropped and counted.  No secrets.  [any]  since 0.1 */
    void (*log)(void *host_data, uint32_t level, const char *text);
    /* Calls fn whenever fd is ready, until io_unwatch(): level-triggered.  One watch per fd, a second call
     * replaces it; at most 256.  An error or a hang-up of fd comes as CLAN_IO_HUP together with `events`.
     * [loop]  INVAL: not a descriptor that can be watched, or one of Clan's, or no events: to wait for
     * nothing, unwatch.  LIMIT.  since 0.1 */
    clan_status (*io_watch)(
        void *host_data, int32_t fd, uint32_t events, clan_io_fn *fn, void *user);
    /* Ends the watch; before the descriptor is closed, also from fn itself.  [loop]  since 0.1 */
    void (*io_unwatch)(void *host_data, int32_t fd);
    /* Calls fn once after delay_ms (at most 366 days); *ret_timer > 0 names it.  At most 128 at once.
     * [loop]  INVAL, LIMIT.  since 0.1 */
    clan_status (*timer_start)(
        void *host_data, uint64_t delay_ms, clan_timer_fn *fn, void *user, uint64_t *ret_timer);
    /* The timer does not fire any more.  0 and one that fired: nothing happens.  [loop]  since 0.1 */
    void (*timer_stop)(void *host_data, uint64_t timer);
    /* Runs fn on the loop thread soon: how another thread gets there.  At most 64 outstanding.  [any]
     * INVAL, LIMIT.  since 0.1 */
    clan_status (*wake)(void *host_data, clan_wake_fn *fn, void *user);
    /* size cryptographically secure random bytes; never fails.  [any]  since 0.1 */
    void (*random)(void *host_data, void *ret_bytes, uint64_t size);
    /* A table of further abilities of the host by id, or NULL.  Plugins use the getter beside the id's
     * table (clan_program_host_get() and so on), which never returns NULL.  [loop]  since 0.1 */
    const void *(*get_interface)(void *host_data, const char *id);
};

/* Does this host have that call? */
#define CLAN_HOST_HAS(host, field)                                                                 \
    ((host)->size >= offsetof(struct clan_host, field) + sizeof((host)->field) && (host)->field)

/* See clan_host.log */
static inline void clan_log(const struct clan_host *h, uint32_t level, const char *text)
{
    if (CLAN_HOST_HAS(h, log))
        h->log(h->host_data, level, text);
}

/* See clan_host.io_watch */
static inline clan_status clan_io_watch(
    const struct clan_host *h, int32_t fd, uint32_t events, clan_io_fn *fn, void *user)
{
    if (!CLAN_HOST_HAS(h, io_watch))
        return CLAN_E_NOSYS;
    return h->io_watch(h->host_data, fd, events, fn, user);
}

/* See clan_host.io_unwatch */
static inline void clan_io_unwatch(const struct clan_host *h, int32_t fd)
{
    if (CLAN_HOST_HAS(h, io_unwatch))
        h->io_unwatch(h->host_data, fd);
}

/* See clan_host.timer_start */
static inline clan_status clan_timer_start(const struct clan_host *h, uint64_t delay_ms,
    clan_timer_fn *fn, void *user, uint64_t *ret_timer)
{
    if (!CLAN_HOST_HAS(h, timer_start))
        return CLAN_E_NOSYS;
    return h->timer_start(h->host_data, delay_ms, fn, user, ret_timer);
}

/* See clan_host.timer_stop */
static inline void clan_timer_stop(const struct clan_host *h, uint64_t timer)
{
    if (CLAN_HOST_HAS(h, timer_stop))
        h->timer_stop(h->host_data, timer);
}

/* See clan_host.wake */
static inline clan_status clan_wake(const struct clan_host *h, clan_wake_fn *fn, void *user)
{
    if (!CLAN_HOST_HAS(h, wake))
        return CLAN_E_NOSYS;
    return h->wake(h->host_data, fn, user);
}

/* See clan_host.random; NOSYS: no byte was written. */
static inline clan_status clan_random(const struct clan_host *h, void *ret_bytes, uint64_t size)
{
    if (!CLAN_HOST_HAS(h, random))
        return CLAN_E_NOSYS;
    h->random(h->host_data, ret_bytes, size);
    return CLAN_OK;
}

/* See clan_host.get_interface: the raw call, which may return NULL. */
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

/*
 * All three in one, once in a plugin, in C and C++: note, descriptor and exported function.
 *
 *     CLAN_PLUGIN_DEFINE(CLAN_KIND_SERVICE, "hello", "1.0", "Hello", "Says hello.", 80,
 *         CLAN_ASKS("net.service", "fs.state"), "Jane Doe", "MIT", create, destroy, get_interface)
 *
 * kind, id, version, title, sentence, default_port, asks: as in struct clan_note_body; vendor, licence and
 * the three functions: as in struct clan_plugin.  since 0.1
 *
 * It needs a host of at least this SDK's minor.  A plugin that copes with less, because it looks at what the
 * calls that came later answer, says so before it includes this header:
 *     #define CLAN_PLUGIN_NEEDS_MINOR 1
 */
#ifndef CLAN_PLUGIN_NEEDS_MINOR
#define CLAN_PLUGIN_NEEDS_MINOR CLAN_ABI_MINOR
#endif
#define CLAN_PLUGIN_DEFINE(kind_, id_, version_, title_, sentence_, port_, asks_, vendor_,         \
    licence_, create_, destroy_, get_interface_)                                                   \
    CLAN_NOTE_ATTRIBUTES static const struct clan_note clan_plugin_note = {5,                      \
        sizeof(struct clan_note_body), CLAN_NOTE_TYPE, CLAN_NOTE_NAME,                             \
        {1, sizeof(struct clan_note_body), kind_, CLAN_ABI_MAJOR, CLAN_ABI_MINOR,                  \
            CLAN_PLUGIN_NEEDS_MINOR, CLAN_ASKS_COUNT_ asks_, 0, id_, version_, title_, sentence_,  \
            CLAN_SDK_BUILD, CLAN_ASKS_LIST_ asks_, port_, {0, 0, 0}}};                             \
    static const struct clan_plugin clan_plugin_descriptor = {CLAN_PLUGIN_MAGIC,                   \
        sizeof(struct clan_plugin), CLAN_ABI_MAJOR, CLAN_ABI_MINOR, kind_, 0, id_, version_,       \
        vendor_, licence_, create_, destroy_, get_interface_};                                     \
    CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)                           \
    {                                                                                              \
        return &clan_plugin_descriptor;                                                            \
    }

/* The permissions of CLAN_PLUGIN_DEFINE: CLAN_ASKS("net.service") with 1 to 16 of them, or CLAN_ASKS_NONE. */
#define CLAN_ASKS(...) (__VA_ARGS__)
#define CLAN_ASKS_NONE ("")

/* How they are counted: a list of "" has none. */
#define CLAN_ASKS_LIST_(...)                                                                       \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define CLAN_ASKS_COUNT_(...)                                                                      \
    CLAN_ASKS_NTH_(__VA_ARGS__, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2,                \
        sizeof CLAN_ASKS_FIRST_(__VA_ARGS__, "") > 1, 0)
#define CLAN_ASKS_FIRST_(first, ...)                                               (first)
#define CLAN_ASKS_NTH_(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, count, ...) (count)

#ifdef __cplusplus
}
#endif
#endif
