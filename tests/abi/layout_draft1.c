/* What plugins built with the draft-1 SDK rely on: every offset, type, size and number of it.  Never edited. */
/*
 * Compiled against today's headers, as C and as C++.  A table that grew at its end passes; a field moved, swapped or
 * with another type does not.  What draft-2 adds gets a file of its own.
 */
#include <clan/note.h>
#include <clan/plugin.h>
#include <clan/service.h>
#include <clan/status.h>
#include <clan/transport.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <type_traits>
#define ASSERT(cond, text)       static_assert(cond, text)
#define SAME_FIELD(s, f, ...)    (std::is_same<decltype(s::f), __VA_ARGS__>::value)
#define SAME_FUNCTION(name, ...) (std::is_same<decltype(name), __VA_ARGS__>::value)
#define SAME_TYPE(name, ...)     (std::is_same<name, __VA_ARGS__>::value)
#else
#define ASSERT(cond, text) _Static_assert(cond, text)
#define SAME_FIELD(s, f, ...)                                                                      \
    _Generic(&((struct s *)0)->f, __typeof__(__VA_ARGS__) * : 1, default : 0)
#define SAME_FUNCTION(name, ...) _Generic(&name, __typeof__(__VA_ARGS__) * : 1, default : 0)
#define SAME_TYPE(name, ...)     _Generic((name *)0, __typeof__(__VA_ARGS__) * : 1, default : 0)
#endif

#define FIELD(s, f, offset, ...)                                                                   \
    ASSERT(offsetof(struct s, f) == (offset), #s "." #f " moved; it was at byte " #offset);        \
    ASSERT(SAME_FIELD(s, f, __VA_ARGS__), #s "." #f " was of type " #__VA_ARGS__)
#define AT_LEAST(s, size)   ASSERT(sizeof(struct s) >= (size), #s " was at least " #size " bytes")
#define EXACTLY(s, size)    ASSERT(sizeof(struct s) == (size), #s " is frozen at " #size " bytes")
#define NUMBER(name, value) ASSERT((name) == (value), #name " was " #value)
#define TEXT(name, value)   ASSERT(__builtin_strcmp(name, value) == 0, #name " was " #value)
#define FUNCTION(name, ...) ASSERT(SAME_FUNCTION(name, __VA_ARGS__), #name "() was " #__VA_ARGS__)
#define TYPE(name, ...)     ASSERT(SAME_TYPE(name, __VA_ARGS__), #name " was " #__VA_ARGS__)

ASSERT(sizeof(void *) == 8, "the offsets here are those of 64-bit machines");

/* ---- status.h ---- */

TYPE(clan_status, int32_t);
NUMBER(CLAN_OK, 0);
NUMBER(CLAN_E_OK, 0);
NUMBER(CLAN_E_INVAL, 1);
NUMBER(CLAN_E_NOMEM, 2);
NUMBER(CLAN_E_IO, 3);
NUMBER(CLAN_E_AGAIN, 4);
NUMBER(CLAN_E_NOENT, 5);
NUMBER(CLAN_E_EXIST, 6);
NUMBER(CLAN_E_PERM, 7);
NUMBER(CLAN_E_GRANT, 8);
NUMBER(CLAN_E_AUTH, 9);
NUMBER(CLAN_E_PROTO, 10);
NUMBER(CLAN_E_LIMIT, 11);
NUMBER(CLAN_E_STATE, 12);
NUMBER(CLAN_E_TIMEOUT, 13);
NUMBER(CLAN_E_UNREACHABLE, 14);
NUMBER(CLAN_E_EXPIRED, 15);
NUMBER(CLAN_E_USED, 16);
NUMBER(CLAN_E_WITHDRAWN, 17);
NUMBER(CLAN_E_REVOKED, 18);
NUMBER(CLAN_E_PROVISIONAL, 19);
NUMBER(CLAN_E_STALE, 20);
NUMBER(CLAN_E_NOSYS, 21);
NUMBER(CLAN_E_ABI, 22);
NUMBER(CLAN_E_NOTRUNNING, 23);
NUMBER(CLAN_E_CONFLICT, 24);
NUMBER(CLAN_E_CANCELLED, 25);
NUMBER(CLAN_E_DEFECT, 26);

FIELD(clan_error, size, 0, uint32_t);
FIELD(clan_error, status, 4, int32_t);
FIELD(clan_error, what, 8, char[160]);
FIELD(clan_error, why, 168, char[320]);
FIELD(clan_error, remedy, 488, char[240]);
AT_LEAST(clan_error, 728);

FUNCTION(clan_text_copy, void(char *, uint32_t, const char *));
FUNCTION(clan_error_set,
    int32_t(struct clan_error *, int32_t, const char *, const char *, const char *));

/* ---- note.h: version 1 of the note has a fixed size ---- */

TEXT(CLAN_NOTE_NAME, "Clan");
TEXT(CLAN_NOTE_SECTION, ".note.clan.plugin");
NUMBER(CLAN_NOTE_TYPE, 0x434c414eu);
NUMBER(CLAN_NOTE_LIBRARIES, 0x434c4142u);
NUMBER(CLAN_NOTE_ASKS_MAX, 16);

FIELD(clan_note_body, note_version, 0, uint32_t);
FIELD(clan_note_body, body_size, 4, uint32_t);
FIELD(clan_note_body, kind, 8, uint32_t);
FIELD(clan_note_body, abi_major, 12, uint16_t);
FIELD(clan_note_body, abi_minor, 14, uint16_t);
FIELD(clan_note_body, needs_minor, 16, uint16_t);
FIELD(clan_note_body, asks_count, 18, uint16_t);
FIELD(clan_note_body, zero, 20, uint32_t);
FIELD(clan_note_body, id, 24, char[32]);
FIELD(clan_note_body, version, 56, char[32]);
FIELD(clan_note_body, title, 88, char[64]);
FIELD(clan_note_body, sentence, 152, char[128]);
FIELD(clan_note_body, sdk, 280, char[32]);
FIELD(clan_note_body, asks, 312, char[16][48]);
FIELD(clan_note_body, default_port, 1080, uint16_t);
FIELD(clan_note_body, zero1, 1082, uint16_t[3]);
EXACTLY(clan_note_body, 1088);

FIELD(clan_note, namesz, 0, uint32_t);
FIELD(clan_note, descsz, 4, uint32_t);
FIELD(clan_note, type, 8, uint32_t);
FIELD(clan_note, name, 12, char[8]);
FIELD(clan_note, body, 20, struct clan_note_body);
EXACTLY(clan_note, 1108);

/* ---- plugin.h: descriptor ---- */

NUMBER(CLAN_PLUGIN_MAGIC, 0x4e414c43u);
NUMBER(CLAN_ABI_MAJOR, 0);
ASSERT(CLAN_ABI_MINOR >= 1, "the minor only grows");
TEXT(CLAN_PLUGIN_QUERY_NAME, "clan_plugin_query");
NUMBER(CLAN_KIND_TRANSPORT, 1u);
NUMBER(CLAN_KIND_HYPERVISOR, 2u);
NUMBER(CLAN_KIND_SERVICE, 3u);

FIELD(clan_plugin, magic, 0, uint32_t);
FIELD(clan_plugin, struct_size, 4, uint32_t);
FIELD(clan_plugin, abi_major, 8, uint16_t);
FIELD(clan_plugin, abi_minor, 10, uint16_t);
FIELD(clan_plugin, kind, 12, uint32_t);
FIELD(clan_plugin, flags, 16, uint64_t);
FIELD(clan_plugin, id, 24, const char *);
FIELD(clan_plugin, version, 32, const char *);
FIELD(clan_plugin, vendor, 40, const char *);
FIELD(clan_plugin, licence, 48, const char *);
FIELD(clan_plugin, create, 56,
    int32_t (*)(
        const struct clan_host *, const struct clan_config *, void **, struct clan_error *));
FIELD(clan_plugin, destroy, 64, void (*)(void *));
FIELD(clan_plugin, get_interface, 72, const void *(*)(void *, const char *));
AT_LEAST(clan_plugin, 80);
TYPE(clan_plugin_query_fn, const struct clan_plugin *(void));
FUNCTION(clan_plugin_query, const struct clan_plugin *(void));

/* ---- plugin.h: configuration ---- */

FIELD(clan_setting, key, 0, const char *);
FIELD(clan_setting, value, 8, const char *);
AT_LEAST(clan_setting, 16);

FIELD(clan_config, struct_size, 0, uint32_t);
FIELD(clan_config, setting_count, 4, uint32_t);
FIELD(clan_config, setting_size, 8, uint32_t);
FIELD(clan_config, listen_count, 12, uint32_t);
FIELD(clan_config, settings, 16, const struct clan_setting *);
FIELD(clan_config, listen_fds, 24, const int32_t *);
FIELD(clan_config, instance, 32, const char *);
FIELD(clan_config, clan, 40, const char *);
FIELD(clan_config, machine, 48, const char *);
FIELD(clan_config, state_dir, 56, const char *);
FIELD(clan_config, volume_dir, 64, const char *);
FIELD(clan_config, service_address, 72, uint8_t[16]);
FIELD(clan_config, service_port, 88, uint16_t);
FIELD(clan_config, zero0, 90, uint16_t);
FIELD(clan_config, zero1, 92, uint32_t);
AT_LEAST(clan_config, 96);

/* ---- plugin.h: the host's table ---- */

NUMBER(CLAN_LOG_ERROR, 0u);
NUMBER(CLAN_LOG_WARN, 1u);
NUMBER(CLAN_LOG_INFO, 2u);
NUMBER(CLAN_LOG_DEBUG, 3u);
NUMBER(CLAN_IO_READ, 1u);
NUMBER(CLAN_IO_WRITE, 2u);
NUMBER(CLAN_IO_HUP, 4u);
TYPE(clan_io_fn, void(void *, int32_t, uint32_t));
TYPE(clan_timer_fn, void(void *));
TYPE(clan_wake_fn, void(void *));

FIELD(clan_host, size, 0, uint32_t);
FIELD(clan_host, abi_major, 4, uint16_t);
FIELD(clan_host, abi_minor, 6, uint16_t);
FIELD(clan_host, host_data, 8, void *);
FIELD(clan_host, log, 16, void (*)(void *, uint32_t, const char *));
FIELD(clan_host, io_watch, 24,
    int32_t (*)(void *, int32_t, uint32_t, void (*)(void *, int32_t, uint32_t), void *));
FIELD(clan_host, io_unwatch, 32, void (*)(void *, int32_t));
FIELD(clan_host, timer_start, 40,
    int32_t (*)(void *, uint64_t, void (*)(void *), void *, uint64_t *));
FIELD(clan_host, timer_stop, 48, void (*)(void *, uint64_t));
FIELD(clan_host, wake, 56, int32_t (*)(void *, void (*)(void *), void *));
FIELD(clan_host, random, 64, void (*)(void *, void *, uint64_t));
FIELD(clan_host, get_interface, 72, const void *(*)(void *, const char *));
AT_LEAST(clan_host, 80);

/* The inline functions are in no plugin's table, but in its source. */
FUNCTION(clan_setting_at, const struct clan_setting *(const struct clan_config *, uint32_t));
FUNCTION(clan_log, void(const struct clan_host *, uint32_t, const char *));
FUNCTION(clan_io_watch, int32_t(const struct clan_host *, int32_t, uint32_t, clan_io_fn *, void *));
FUNCTION(clan_io_unwatch, void(const struct clan_host *, int32_t));
FUNCTION(clan_timer_start,
    int32_t(const struct clan_host *, uint64_t, clan_timer_fn *, void *, uint64_t *));
FUNCTION(clan_timer_stop, void(const struct clan_host *, uint64_t));
FUNCTION(clan_wake, int32_t(const struct clan_host *, clan_wake_fn *, void *));
FUNCTION(clan_random, int32_t(const struct clan_host *, void *, uint64_t));
FUNCTION(clan_host_interface, const void *(const struct clan_host *, const char *));

/* ---- service.h: tables behind an id are frozen ---- */

TEXT(CLAN_SERVICE, "clan.service/draft-1");
TEXT(CLAN_PROGRAM_HOST, "clan.program.host/draft-1");
TYPE(clan_program_exit_fn, void(void *, uint32_t, uint32_t));
TYPE(clan_program_started_fn, void(void *, uint32_t, const struct clan_error *));

FIELD(clan_service, struct_size, 0, uint32_t);
FIELD(clan_service, zero, 4, uint32_t);
FIELD(clan_service, start, 8, int32_t (*)(void *, struct clan_error *));
FIELD(clan_service, stop, 16, void (*)(void *));
FIELD(clan_service, health, 24, void (*)(void *, uint32_t));
EXACTLY(clan_service, 32);

FIELD(clan_program_host, struct_size, 0, uint32_t);
FIELD(clan_program_host, zero, 4, uint32_t);
FIELD(clan_program_host, run, 8,
    int32_t (*)(void *, const char *, void (*)(void *, uint32_t, const struct clan_error *),
        void (*)(void *, uint32_t, uint32_t), void *, struct clan_error *));
FIELD(clan_program_host, end, 16, void (*)(void *, uint32_t));
FIELD(clan_program_host, service_state, 24, void (*)(void *, uint32_t, const struct clan_error *));
FIELD(clan_program_host, health_result, 32, void (*)(void *, uint32_t, uint32_t, const char *));
EXACTLY(clan_program_host, 40);
FUNCTION(clan_program_host_get, const struct clan_program_host *(const struct clan_host *));

/* ---- transport.h ---- */

TEXT(CLAN_TRANSPORT_STREAM, "clan.transport.stream/draft-1");
TEXT(CLAN_TRANSPORT_HOST, "clan.transport.host/draft-1");
NUMBER(CLAN_ENDPOINT_MAX, 127);

FIELD(clan_transport_stream, struct_size, 0, uint32_t);
FIELD(clan_transport_stream, zero, 4, uint32_t);
FIELD(clan_transport_stream, start, 8, int32_t (*)(void *, struct clan_error *));
FIELD(clan_transport_stream, stop, 16, void (*)(void *));
FIELD(clan_transport_stream, dial, 24,
    int32_t (*)(void *, uint32_t, const char *, uint32_t, struct clan_error *));
FIELD(clan_transport_stream, cancel, 32, void (*)(void *, uint32_t));
FIELD(clan_transport_stream, endpoints, 40,
    void (*)(void *, const uint8_t *, uint32_t, void (*)(void *, const char *), void *));
EXACTLY(clan_transport_stream, 48);

FIELD(clan_transport_host, struct_size, 0, uint32_t);
FIELD(clan_transport_host, zero, 4, uint32_t);
FIELD(clan_transport_host, offer_stream, 8, int32_t (*)(void *, uint32_t, int32_t, const char *));
FIELD(clan_transport_host, dial_failed, 16, void (*)(void *, uint32_t, const struct clan_error *));
FIELD(clan_transport_host, endpoints_changed, 24, void (*)(void *));
EXACTLY(clan_transport_host, 32);
FUNCTION(clan_transport_host_get, const struct clan_transport_host *(const struct clan_host *));
