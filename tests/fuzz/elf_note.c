/* Any bytes as a plugin file: note and rules must read them without a fault. */
#include "check/note.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct note_source src = {.fd = -1, .data = data, .size = size};
    struct clan_note_body note;
    struct clan_error e = CLAN_ERROR_INIT;
    /* what was read is a set of terminated strings, or an error with a text */
    if (note_read(&src, "fuzz.so", &note, &e) == CLAN_OK) {
        if (!memchr(note.id, 0, sizeof note.id) || !memchr(note.title, 0, sizeof note.title) ||
            note.asks_count > CLAN_NOTE_ASKS_MAX)
            __builtin_trap();
    } else if (!e.what[0] || !e.why[0])
        __builtin_trap();
    struct clan_note_setting rows[CLAN_NOTE_SETTINGS_MAX];
    uint32_t count;
    if (note_read_settings(&src, "fuzz.so", rows, &count, NULL) == CLAN_OK)
        for (uint32_t i = 0; i < count; i++)
            if (!memchr(rows[i].key, 0, sizeof rows[i].key) || !note_setting_ok(&rows[i]))
                __builtin_trap();
    note_check_elf(&src, "fuzz.so", NULL);
    return 0;
}
