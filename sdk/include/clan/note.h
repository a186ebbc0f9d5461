/*
 * The ELF note: what a plugin says about itself without any of its code running.
 *
 * Clan reads it before it decides anything: catalogue, permissions to ask the owner for, version check.
 * Written by CLAN_PLUGIN_DEFINE (plugin.h) or, in C, by CLAN_PLUGIN_NOTE, into section .note.clan.plugin:
 * a note section survives --gc-sections, strip and LTO, and stands in PT_NOTE, so that it is found without
 * section headers.  Exactly one in a plugin.  Format: System V ABI, "Note Section".
 */
#ifndef CLAN_NOTE_H
#define CLAN_NOTE_H

#include <stdint.h>

#define CLAN_NOTE_NAME     "Clan"      /* with its NUL: 5 bytes, padded to 8 */
#define CLAN_NOTE_TYPE     0x434c414eu /* n_type */
#define CLAN_NOTE_SECTION  ".note.clan.plugin"
#define CLAN_NOTE_ASKS_MAX 16 /* permissions one plugin can ask for */

/*
 * The note's body, version 1.  Fixed size; byte order of the ELF file; strings end with NUL inside their
 * array, UTF-8 without control characters.  since 0.1
 */
struct clan_note_body {
    uint32_t note_version;         /* 1 */
    uint32_t body_size;            /* sizeof(struct clan_note_body) */
    uint32_t kind;                 /* CLAN_KIND_ of plugin.h */
    uint16_t abi_major, abi_minor; /* built for: of the SDK's headers; equal to the descriptor's */
    uint16_t needs_minor;          /* works with hosts from this minor on */
    uint16_t asks_count;           /* 0 to CLAN_NOTE_ASKS_MAX */
    uint32_t zero;                 /* 0 */
    char id[32];                   /* [a-z0-9][a-z0-9-]{0,30}; equal to the descriptor's */
    char version[32];              /* of the plugin: letters, digits, '.', '-', '+', '~' */
    char title[64];                /* for people: "Shared files" */
    char sentence[128];            /* for the catalogue: what it does, in one sentence */
    char sdk[32];                  /* build string of the SDK */
    /* Permissions; what the owner does not grant, the plugin does not have.  The words:
     *   net.service          answer at the address of the own service (services: always wanted)
     *   net.listen           accept connections at the addresses that the owner lists (transports)
     *   net.connect:WHERE    connect by TCP to lan, internet or overlay
     *   net.device           carry the clan's packets (device.h); not granted to anybody's plugin
     *   fs.state             a directory of its own that stays
     *   exec:PROFILE         run a program by a profile of Clan: exec:lighttpd */
    char asks[CLAN_NOTE_ASKS_MAX][48];
    uint16_t default_port; /* services: the port that people open, 0 without */
    uint16_t zero1[3];     /* 0 */
};

/* The note as it lies in the file. */
struct clan_note {
    uint32_t namesz, descsz, type;
    char name[8];
    struct clan_note_body body;
};

/* Which SDK built it; shown, never compared. */
#define CLAN_SDK_BUILD "clan-sdk 0.1 draft"

/* What stands before the variable that holds the note. */
#define CLAN_NOTE_ATTRIBUTES __attribute__((section(CLAN_NOTE_SECTION), used, aligned(4)))

/*
 * The note by field names, in one C source file of the plugin:
 *     CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_SERVICE, .abi_major = CLAN_ABI_MAJOR, .abi_minor = CLAN_ABI_MINOR,
 *         .needs_minor = 1, .id = "files", ..., .asks_count = 1, .asks = {"fs.state"});
 * C only; CLAN_PLUGIN_DEFINE is shorter and does for C++ too.  since 0.1
 */
#ifndef __cplusplus
#define CLAN_PLUGIN_NOTE(...)                                                                      \
    CLAN_NOTE_ATTRIBUTES static const struct clan_note clan_plugin_note = {5,                      \
        sizeof(struct clan_note_body), CLAN_NOTE_TYPE, CLAN_NOTE_NAME,                             \
        {.note_version = 1,                                                                        \
            .body_size = sizeof(struct clan_note_body),                                            \
            .sdk = CLAN_SDK_BUILD,                                                                 \
            __VA_ARGS__}}
#endif

/*
 * Shared libraries that the plugin needs besides those of C and C++, each by its soname:
 *     CLAN_PLUGIN_LIBRARIES("libssl.so.3 libcrypto.so.3");
 * A plugin that needs a library which it does not declare is not loaded.  Once, at most 511 bytes.
 * since 0.1
 */
#define CLAN_NOTE_LIBRARIES 0x434c4142u /* its type */
#define CLAN_PLUGIN_LIBRARIES(text)                                                                \
    __attribute__((section(CLAN_NOTE_SECTION), used, aligned(4))) static const struct {            \
        uint32_t namesz, descsz, type;                                                             \
        char name[8];                                                                              \
        char names[(sizeof(text) + 3) & ~3u];                                                      \
    } clan_plugin_libraries = {                                                                    \
        5, (sizeof(text) + 3) & ~3u, CLAN_NOTE_LIBRARIES, CLAN_NOTE_NAME, text}

/*
 * A setting of a service, as `clan enable` and the catalogue ask for it.  What they get stands below the
 * service in clan.yaml, and comes to create() as a clan_setting; an answer that is the preset is left out there,
 * so the plugin does the same without it.  Strings as in the note's body.  since 0.5
 */
enum {
    CLAN_SETTING_TEXT = 1,   /* of at most `max` bytes, 1 to 95; not empty, unless the preset is */
    CLAN_SETTING_YES_NO = 2, /* "true" or "false" */
    CLAN_SETTING_NUMBER = 3, /* whole, from `min` to `max` */
    CLAN_SETTING_CHOICE = 4  /* one of `choices` */
};
struct clan_note_setting {
    char key[32]; /* [a-z0-9][a-z0-9_-]{0,30} */
    uint32_t kind;
    int32_t min, max;
    uint32_t zero;      /* 0 */
    char preset[64];    /* what the plugin does without an answer; of a text perhaps "" */
    char question[128]; /* for people: "What is the page called?" */
    char choices[128];  /* "small|middle|large", else "" */
};
#define CLAN_NOTE_SETTINGS     0x434c4153u /* its type */
#define CLAN_NOTE_SETTINGS_MAX 8

/*
 * Their number, then the settings, in one source file of the plugin:
 *     CLAN_PLUGIN_SETTINGS(2, CLAN_ASK_TEXT("title", "What is the page called?", "Files", 64),
 *         CLAN_ASK_YES_NO("read_only", "May others only read?", "false"));
 * No passwords: every member can read clan.yaml.  since 0.5
 */
#define CLAN_ASK_TEXT(key, question, preset, max)                                                  \
    {                                                                                              \
        key, CLAN_SETTING_TEXT, 0, max, 0, preset, question, ""                                    \
    }
#define CLAN_ASK_YES_NO(key, question, preset)                                                     \
    {                                                                                              \
        key, CLAN_SETTING_YES_NO, 0, 0, 0, preset, question, ""                                    \
    }
#define CLAN_ASK_NUMBER(key, question, preset, min, max)                                           \
    {                                                                                              \
        key, CLAN_SETTING_NUMBER, min, max, 0, preset, question, ""                                \
    }
#define CLAN_ASK_CHOICE(key, question, preset, choices)                                            \
    {                                                                                              \
        key, CLAN_SETTING_CHOICE, 0, 0, 0, preset, question, choices                               \
    }
#define CLAN_PLUGIN_SETTINGS(count, ...)                                                           \
    __attribute__((section(CLAN_NOTE_SECTION), used, aligned(4))) static const struct {            \
        uint32_t namesz, descsz, type;                                                             \
        char name[8];                                                                              \
        struct clan_note_setting rows[count];                                                      \
    } clan_plugin_settings = {5, (count) * sizeof(struct clan_note_setting), CLAN_NOTE_SETTINGS,   \
        CLAN_NOTE_NAME, {__VA_ARGS__}}

#endif
