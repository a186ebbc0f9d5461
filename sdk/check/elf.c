/* Bounded access to an ELF64 file. */
#include "check/elf.h"

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#define ELF_OUR_MACHINE EM_X86_64
#define ELF_OUR_NAME    "x86-64"
#elif defined(__aarch64__)
#define ELF_OUR_MACHINE EM_AARCH64
#define ELF_OUR_NAME    "aarch64"
#else
#error "no known machine"
#endif

clan_status elf_refuse(
    struct clan_error *e, const char *file, const char *remedy, const char *why_fmt, ...)
{
    char why[sizeof e->why];
    va_list ap;
    va_start(ap, why_fmt);
    vsnprintf(why, sizeof why, why_fmt, ap);
    va_end(ap);
    err_set(e, CLAN_E_INVAL, "plugin file %s cannot be used", file);
    err_why(e, "%s", why);
    err_remedy(e, "%s", remedy);
    return CLAN_E_INVAL;
}

clan_status note_source_fd(
    int fd, const char *file_name, struct note_source *ret_source, struct clan_error *reterr)
{
    struct stat st;
    *ret_source = (struct note_source){.fd = -1};
    if (fstat(fd, &st) != 0)
        return err_errno(reterr, CLAN_E_IO, "plugin file %s cannot be read", file_name);
    if (!S_ISREG(st.st_mode))
        return elf_refuse(reterr, file_name, "put the plugin's .so itself there, no link or folder",
            "it is not a regular file");
    if (st.st_size > (off_t)CHECK_FILE_SIZE_MAX)
        return elf_refuse(reterr, file_name, "strip it, or keep its data elsewhere",
            "it is larger than %u MiB", CHECK_FILE_SIZE_MAX >> 20);
    *ret_source = (struct note_source){.fd = fd, .size = (uint64_t)st.st_size};
    return CLAN_OK;
}

bool elf_read(const struct note_source *src, uint64_t offset, void *ret_data, size_t size)
{
    if (offset > src->size || size > src->size - offset)
        return false;
    if (src->fd < 0) {
        memcpy(ret_data, src->data + offset, size);
        return true;
    }
    uint8_t *out = ret_data;
    while (size) {
        ssize_t n = pread(src->fd, out, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        out += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return true;
}

bool elf_offset_of(const struct elf_view *v, uint64_t addr, uint64_t size, uint64_t *ret_offset)
{
    for (unsigned i = 0; i < v->phdr_count; i++) {
        const Elf64_Phdr *p = &v->phdr[i];
        if (p->p_type != PT_LOAD || addr < p->p_vaddr)
            continue;
        uint64_t into = addr - p->p_vaddr;
        if (into > p->p_filesz || size > p->p_filesz - into)
            continue;
        if (p->p_offset > v->src->size || into > v->src->size - p->p_offset)
            return false;
        *ret_offset = p->p_offset + into;
        return true;
    }
    return false;
}

static clan_status check_header(
    const Elf64_Ehdr *h, const char *file, uint64_t size, struct clan_error *e)
{
    const char *other = "fetch the plugin's file for " ELF_OUR_NAME;
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return elf_refuse(e, file, ELF_REMEDY_PLUGIN,
            "it is no shared object: it does not begin as an ELF file does");
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
        return elf_refuse(e, file, other, "it is not a 64-bit little-endian ELF file");
    if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT)
        return elf_refuse(e, file, ELF_REMEDY_REBUILD, "its ELF version is not 1");
    if (h->e_machine != ELF_OUR_MACHINE)
        return elf_refuse(e, file, other, "it is built for another machine (ELF number %u), not %s",
            h->e_machine, ELF_OUR_NAME);
    if (h->e_type != ET_DYN)
        return elf_refuse(
            e, file, ELF_REMEDY_REBUILD, "it is no shared object (ELF type %u)", h->e_type);
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0)
        return elf_refuse(e, file, ELF_REMEDY_REBUILD, "it has no usable program headers");
    if (h->e_phnum > CHECK_PHDRS_MAX)
        return elf_refuse(e, file, ELF_REMEDY_REBUILD,
            "it has %u program headers; at most %u are read", h->e_phnum, CHECK_PHDRS_MAX);
    if (h->e_phoff > size || h->e_phnum * sizeof(Elf64_Phdr) > size - h->e_phoff)
        return elf_refuse(
            e, file, "fetch it again", "it is cut off: program headers lie beyond its end");
    return CLAN_OK;
}

clan_status elf_open(const struct note_source *src, const char *file, struct elf_view *ret_view,
    struct clan_error *reterr)
{
    Elf64_Ehdr h;
    *ret_view = (struct elf_view){.src = src, .file = file};
    if (!elf_read(src, 0, &h, sizeof h))
        return elf_refuse(reterr, file, "fetch it again",
            "it is cut off: %llu bytes are no ELF file", (unsigned long long)src->size);
    clan_status st = check_header(&h, file, src->size, reterr);
    if (st != CLAN_OK)
        return st;
    if (!elf_read(src, h.e_phoff, ret_view->phdr, h.e_phnum * sizeof(Elf64_Phdr)))
        return elf_refuse(reterr, file, "fetch it again", "its program headers cannot be read");
    ret_view->phdr_count = h.e_phnum;
    for (unsigned i = 0; i < ret_view->phdr_count; i++) {
        const Elf64_Phdr *p = &ret_view->phdr[i];
        if (p->p_type != PT_NULL &&
            (p->p_offset > src->size || p->p_filesz > src->size - p->p_offset))
            return elf_refuse(
                reterr, file, "fetch it again", "it is cut off: segment %u lies beyond its end", i);
    }
    return CLAN_OK;
}
