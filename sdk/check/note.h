/* What a plugin file says about itself, read without any of its code running. */
#ifndef CHECK_NOTE_H
#define CHECK_NOTE_H

#include <clan/note.h>
#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECK_FILE_SIZE_MAX (32u << 20)
#define CHECK_FILES_MAX     256 /* .so files in one directory */
#define CHECK_PHDRS_MAX     64
#define CHECK_NOTE_SIZE_MAX (64u << 10)
#define CHECK_SYMBOLS_MAX   65536

/* The bytes of an ELF file: a descriptor read by pread(2), or a buffer.  Borrowed. */
struct note_source {
    int fd; /* -1: data */
    const uint8_t *data;
    uint64_t size;
};

/* One plugin file.  error.status is CLAN_OK when it may be loaded; otherwise id and so on are
 * filled as far as they could be read, and "" else. */
struct check_result {
    char file[64]; /* base name */
    char id[32];
    char version[32];
    char title[64];
    char sentence[128];
    char sdk[32];
    uint32_t kind; /* CLAN_KIND_ */
    uint16_t default_port;
    uint16_t ask_count;
    char asks[CLAN_NOTE_ASKS_MAX][48]; /* "fs.state", "net.connect:lan", "exec:lighttpd" */
    uint32_t setting_count;
    struct clan_note_setting settings[CLAN_NOTE_SETTINGS_MAX]; /* services */
    bool release;     /* its id and file are those of a plugin of Clan itself */
    uint8_t hash[32]; /* BLAKE2b-256 of the whole file */
    struct clan_error error;
};

/* "transport", "hypervisor", "service"; "plugin" for what is none.  (library clan_check) */
const char *check_kind_text(uint32_t kind);

/* fd must be a regular file; ret_source borrows it. */
clan_status note_source_fd(
    int fd, const char *file_name, struct note_source *ret_source, struct clan_error *reterr);
/* Finds the note through the program headers and checks it: form, ABI, strings.  On CLAN_E_ABI and
 * later failures *ret_note holds what was read; it is zeroed first.  (library clan_note) */
clan_status note_read(const struct note_source *src, const char *file_name,
    struct clan_note_body *ret_note, struct clan_error *reterr);
/* CLAN_PLUGIN_SETTINGS, which need not be there; checked like the note.  (library clan_note) */
clan_status note_read_settings(const struct note_source *src, const char *file_name,
    struct clan_note_setting ret_rows[CLAN_NOTE_SETTINGS_MAX], uint32_t *ret_count,
    struct clan_error *reterr);
/* The rules for one of them, and for an answer to it; INVAL says what was expected.  (library clan_note) */
bool note_setting_ok(const struct clan_note_setting *s);
clan_status note_setting_fits(
    const struct clan_note_setting *s, const char *value, struct clan_error *reterr);
/* The static rules for a plugin.  (library clan_note) */
enum check_rule {
    CHECK_RULE_HARDENING, /* relro, now, no executable stack, no text relocations, W^X */
    CHECK_RULE_PATHS,     /* no RPATH, no RUNPATH */
    CHECK_RULE_LIBRARIES, /* needs only what check_system_libraries and CLAN_PLUGIN_LIBRARIES name */
    CHECK_RULE_SYMBOLS,   /* one exported function */
    CHECK_RULES
};
clan_status note_check_rule(const struct note_source *src, const char *file_name,
    enum check_rule rule, struct clan_error *reterr);
/* All of them. */
clan_status note_check_elf(
    const struct note_source *src, const char *file_name, struct clan_error *reterr);
/* Libraries that every plugin may need, with spaces between. */
extern const char check_system_libraries[];

/* Names of the needed libraries and of the strong symbols that they have to define. */
typedef void check_name_fn(void *user, const char *name);
clan_status note_each_library(const struct note_source *src, const char *file_name,
    check_name_fn *found, void *user, struct clan_error *reterr);
clan_status note_each_undefined(const struct note_source *src, const char *file_name,
    check_name_fn *found, void *user, struct clan_error *reterr);

struct clan_plugin;
/* What clan_plugin_query() answered, held against the note.  (library clan_note) */
clan_status check_descriptor(
    const struct clan_note_body *note, const struct clan_plugin *plugin, struct clan_error *reterr);
clan_status check_no_query(const struct clan_note_body *note, struct clan_error *reterr);
/* An instance must offer the complete table of its kind, and asks for net.device where that is a device's.
 * A pointer is NULL when that is not offered. */
struct clan_transport_stream;
struct clan_transport_device;
struct clan_service;
clan_status check_interfaces(const struct clan_note_body *note, const struct clan_plugin *plugin,
    void *instance, const struct clan_transport_stream **ret_transport,
    const struct clan_transport_device **ret_device, const struct clan_service **ret_service,
    struct clan_error *reterr);

/* All of it for one open file, and its hash over the very bytes that were checked.  *ret is always
 * filled; its error equals *reterr.  (library clan_check) */
clan_status check_file(
    int fd, const char *file_name, struct check_result *ret, struct clan_error *reterr);

typedef void check_found_fn(void *user, const struct check_result *result);
/* Calls found() for every *.so of the directory in order of names, refused ones included.  An id of the
 * release is only good in ID.so; two other usable files with one id are both refused and name each other.  check_owner: the directory and
 * the files must belong to root and not be writable by others.  An error is only returned when the
 * directory itself cannot be used.  (library clan_check) */
clan_status check_directory(
    int dir_fd, bool check_owner, check_found_fn *found, void *user, struct clan_error *reterr);

#endif
