/* Makes small plugin files in memory: whole ones, and ones with one thing wrong. */
#ifndef NOTE_ELF_H
#define NOTE_ELF_H

#include <clan/plugin.h>
#include <elf.h>
#include <stdint.h>
#include <string.h>

#define ELF_SYMS 4
#define ELF_DYNS 10

/* One loaded segment from offset 0; addresses equal offsets. */
struct made_elf {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[6]; /* LOAD, NOTE, DYNAMIC, GNU_STACK, GNU_RELRO, NOTE of the settings */
    struct clan_note note;
    struct {
        uint32_t namesz, descsz, type;
        char name[8];
        struct clan_note_setting rows[4];
    } settings;
    Elf64_Dyn dyn[ELF_DYNS];
    Elf64_Sym sym[ELF_SYMS];
    uint32_t hash[4]; /* nbucket, nchain, ... */
    char str[64];
};

#if defined(__x86_64__)
#define MADE_MACHINE EM_X86_64
#else
#define MADE_MACHINE EM_AARCH64
#endif

static inline void made_elf_note(struct clan_note *n)
{
    n->namesz = 5;
    n->descsz = sizeof n->body;
    n->type = CLAN_NOTE_TYPE;
    memcpy(n->name, "Clan", 5);
    n->body = (struct clan_note_body){.note_version = 1,
        .body_size = sizeof n->body,
        .kind = CLAN_KIND_SERVICE,
        .abi_major = CLAN_ABI_MAJOR,
        .abi_minor = CLAN_ABI_MINOR,
        .needs_minor = 1,
        .asks_count = 2,
        .id = "sample",
        .version = "1.0",
        .title = "Sample",
        .sentence = "A plugin for tests.",
        .sdk = "clan-sdk test",
        .asks = {"fs.state", "exec:lighttpd"},
        .default_port = 80};
}

static inline struct made_elf made_elf(void)
{
    struct made_elf m;
    memset(&m, 0, sizeof m);
    memcpy(m.eh.e_ident, ELFMAG, SELFMAG);
    m.eh.e_ident[EI_CLASS] = ELFCLASS64;
    m.eh.e_ident[EI_DATA] = ELFDATA2LSB;
    m.eh.e_ident[EI_VERSION] = EV_CURRENT;
    m.eh.e_type = ET_DYN;
    m.eh.e_machine = MADE_MACHINE;
    m.eh.e_version = EV_CURRENT;
    m.eh.e_phoff = offsetof(struct made_elf, ph);
    m.eh.e_ehsize = sizeof m.eh;
    m.eh.e_phentsize = sizeof(Elf64_Phdr);
    m.eh.e_phnum = 6;
#define PART(field)                                                                                \
    .p_offset = offsetof(struct made_elf, field), .p_vaddr = offsetof(struct made_elf, field),     \
    .p_filesz = sizeof m.field
    m.ph[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = sizeof m};
    m.ph[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_flags = PF_R, PART(note)};
    m.ph[2] = (Elf64_Phdr){.p_type = PT_DYNAMIC, .p_flags = PF_R | PF_W, PART(dyn)};
    m.ph[3] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
    m.ph[4] = (Elf64_Phdr){.p_type = PT_GNU_RELRO, .p_flags = PF_R, PART(dyn)};
    m.ph[5] = (Elf64_Phdr){.p_type = PT_NOTE, .p_flags = PF_R, PART(settings)};
#undef PART
    made_elf_note(&m.note);
    m.settings.namesz = 5;
    m.settings.descsz = sizeof m.settings.rows;
    m.settings.type = CLAN_NOTE_SETTINGS;
    memcpy(m.settings.name, "Clan", 5);
    const struct clan_note_setting rows[] = {
        CLAN_ASK_TEXT("title", "What is it called?", "Sample", 64),
        CLAN_ASK_YES_NO("read_only", "May others only read?", "false"),
        CLAN_ASK_NUMBER("days", "How long?", "7", -3, 30),
        CLAN_ASK_CHOICE("size", "How large?", "middle", "small|middle|large")};
    memcpy(m.settings.rows, rows, sizeof rows);
    m.dyn[0] = (Elf64_Dyn){DT_SYMTAB, {offsetof(struct made_elf, sym)}};
    m.dyn[1] = (Elf64_Dyn){DT_STRTAB, {offsetof(struct made_elf, str)}};
    m.dyn[2] = (Elf64_Dyn){DT_STRSZ, {sizeof m.str}};
    m.dyn[3] = (Elf64_Dyn){DT_SYMENT, {sizeof(Elf64_Sym)}};
    m.dyn[4] = (Elf64_Dyn){DT_HASH, {offsetof(struct made_elf, hash)}};
    m.dyn[5] = (Elf64_Dyn){DT_FLAGS, {DF_BIND_NOW}};
    m.hash[1] = ELF_SYMS;
    memcpy(m.str, "\0clan_plugin_query\0extra\0free", 30);
    m.sym[1] = (Elf64_Sym){.st_name = 1,
        .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
        .st_shndx = 1,
        .st_value = 64};
    m.sym[2] = (Elf64_Sym){.st_name = 25, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC)};
    return m;
}

#endif
