/*
 * The ELF note: what a plugin says about itself without any of its code running.
 * Emitted by CLAN_PLUGIN_NOTE into section .note.clan.plugin (type SHT_NOTE, so that it survives
 * --gc-sections, strip and LTO and stands in PT_NOTE), read by a bounded reader of ours.
 */
#ifndef CLAN_NOTE_H
#define CLAN_NOTE_H

#include <stdint.h>

#define CLAN_NOTE_NAME     "Clan" /* with its NUL: 5 bytes, padded to 8 */
#define CLAN_NOTE_TYPE     0x434c414eu
#define CLAN_NOTE_SECTION  ".note.clan.plugin"
#define CLAN_NOTE_ASKS_MAX 16

/* Version 1 of the note's body.  Fixed size, little-endian as the ELF file, strings end with NUL. */
struct clan_note_body {
    uint32_t note_version;         /* 1 */
    uint32_t body_size;            /* sizeof(struct clan_note_body) */
    uint32_t kind;                 /* CLAN_KIND_ */
    uint16_t abi_major, abi_minor; /* built for */
    uint16_t needs_minor;          /* works with hosts from this minor on */
    uint16_t asks_count;
    uint32_t zero;
    char id[32];
    char version[32];
    char title[64];     /* "Shared files" */
    char sentence[128]; /* one sentence for the catalogue */
    char sdk[32];       /* build string of the SDK */
    char asks[CLAN_NOTE_ASKS_MAX]
             [48];         /* permissions: "fs.state", "net.connect:lan", "exec:lighttpd" */
    uint16_t default_port; /* services: the port people open, 0 without */
    uint16_t zero1[3];
};

struct clan_note {
    uint32_t namesz, descsz, type;
    char name[8];
    struct clan_note_body body;
};

#define CLAN_SDK_BUILD "clan-sdk 0.1 draft"

/* CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_SERVICE, .id = "files", ..., .asks_count = 1, .asks = {"fs.state"}) */
#define CLAN_PLUGIN_NOTE(...)                                                                      \
    __attribute__((section(CLAN_NOTE_SECTION), used,                                               \
        aligned(4))) static const struct clan_note clan_plugin_note = {5,                          \
        sizeof(struct clan_note_body), CLAN_NOTE_TYPE, CLAN_NOTE_NAME,                             \
        {.note_version = 1,                                                                        \
            .body_size = sizeof(struct clan_note_body),                                            \
            .sdk = CLAN_SDK_BUILD,                                                                 \
            __VA_ARGS__}}

#endif
