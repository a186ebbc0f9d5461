/* Bounded access to an ELF64 file: every offset is checked, nothing is followed twice. */
#ifndef CHECK_ELF_H
#define CHECK_ELF_H

#include "check/note.h"

#include <elf.h>

#ifndef CLAN_NOTE_LIBRARIES /* read by hosts that are built with headers of before it, too */
#define CLAN_NOTE_LIBRARIES 0x434c4142u
#endif

struct elf_view {
    const struct note_source *src;
    const char *file; /* for texts */
    unsigned phdr_count;
    Elf64_Phdr phdr[CHECK_PHDRS_MAX];
};

/* Copies exactly size bytes at offset; false beyond the end or when reading fails. */
bool elf_read(const struct note_source *src, uint64_t offset, void *ret_data, size_t size);
/* File offset of size bytes at a virtual address, by the loaded segments. */
bool elf_offset_of(const struct elf_view *v, uint64_t addr, uint64_t size, uint64_t *ret_offset);
/* Header and program headers: a shared object for this machine. */
clan_status elf_open(const struct note_source *src, const char *file, struct elf_view *ret_view,
    struct clan_error *reterr);
/* Notes of ours with that type: how many, and offset and size of the last one's body. */
clan_status elf_find_note(const struct elf_view *v, uint32_t type, unsigned *ret_found,
    uint64_t *ret_at, uint32_t *ret_size, struct clan_error *reterr);
/* "plugin file X cannot be used" and two more sentences. */
clan_status elf_refuse(struct clan_error *e, const char *file, const char *remedy,
    const char *why_fmt, ...) __attribute__((format(printf, 4, 5)));

#define ELF_REMEDY_REBUILD "build it with clan_add_plugin() of the Clan SDK, or fetch it again"
#define ELF_REMEDY_PLUGIN                                                                          \
    "take the .so of a plugin, as `clan plugin new NAME` makes one; nothing else belongs into "    \
    "Clan's directory of plugins"

#endif
