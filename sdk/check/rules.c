/* The static rules of a plugin file, read from its program headers and dynamic section. */
#include "check/elf.h"

#include "base/error.h"

#include <clan/plugin.h>
#include <stdio.h>
#include <string.h>

#define RULES_DYN_MAX 512

struct rules_dyn {
    uint64_t symtab, strtab, strsz, syment, hash, gnu_hash;
    bool now, textrel, rpath;
};

static bool read_dynamic(const struct elf_view *v, struct rules_dyn *d)
{
    const Elf64_Phdr *p = NULL;
    for (unsigned i = 0; i < v->phdr_count; i++)
        if (v->phdr[i].p_type == PT_DYNAMIC)
            p = &v->phdr[i];
    if (!p)
        return false;
    for (unsigned i = 0; i < RULES_DYN_MAX && (i + 1) * sizeof(Elf64_Dyn) <= p->p_filesz; i++) {
        Elf64_Dyn e;
        if (!elf_read(v->src, p->p_offset + i * sizeof e, &e, sizeof e))
            return false;
        uint64_t value = e.d_un.d_val;
        switch (e.d_tag) {
        case DT_NULL:
            return true;
        case DT_SYMTAB:
            d->symtab = value;
            break;
        case DT_STRTAB:
            d->strtab = value;
            break;
        case DT_STRSZ:
            d->strsz = value;
            break;
        case DT_SYMENT:
            d->syment = value;
            break;
        case DT_HASH:
            d->hash = value;
            break;
        case DT_GNU_HASH:
            d->gnu_hash = value;
            break;
        case DT_BIND_NOW:
            d->now = true;
            break;
        case DT_TEXTREL:
            d->textrel = true;
            break;
        case DT_RPATH:
        case DT_RUNPATH:
            d->rpath = true;
            break;
        case DT_FLAGS:
            d->now = d->now || (value & DF_BIND_NOW);
            d->textrel = d->textrel || (value & DF_TEXTREL);
            break;
        case DT_FLAGS_1:
            d->now = d->now || (value & DF_1_NOW);
            break;
        default:
            break;
        }
    }
    return false; /* no end within the limit */
}

static bool read_u32(const struct elf_view *v, uint64_t addr, uint32_t *ret)
{
    uint64_t at;
    return elf_offset_of(v, addr, sizeof *ret, &at) && elf_read(v->src, at, ret, sizeof *ret);
}

/* Symbols beyond the highest chain of the GNU hash table are not exported. */
static bool gnu_hash_symbols(const struct elf_view *v, uint64_t addr, uint32_t *ret_count)
{
    uint32_t buckets, first, bloom, top = 0, b;
    if (!read_u32(v, addr, &buckets) || !read_u32(v, addr + 4, &first) ||
        !read_u32(v, addr + 8, &bloom) || buckets > CHECK_SYMBOLS_MAX ||
        bloom > CHECK_SYMBOLS_MAX || first > CHECK_SYMBOLS_MAX)
        return false;
    uint64_t bucket_at = addr + 16 + 8 * (uint64_t)bloom,
             chain_at = bucket_at + 4 * (uint64_t)buckets;
    for (uint32_t i = 0; i < buckets; i++) {
        if (!read_u32(v, bucket_at + 4 * (uint64_t)i, &b))
            return false;
        top = b > top ? b : top;
    }
    *ret_count = first;
    if (top < first)
        return true;
    for (uint32_t i = top; i < CHECK_SYMBOLS_MAX; i++) {
        uint32_t link;
        if (!read_u32(v, chain_at + 4 * (uint64_t)(i - first), &link))
            return false;
        if (link & 1) {
            *ret_count = i + 1;
            return true;
        }
    }
    return false;
}

static bool count_symbols(const struct elf_view *v, const struct rules_dyn *d, uint32_t *ret_count)
{
    if (d->syment != sizeof(Elf64_Sym))
        return false;
    if (d->hash) /* the second word of DT_HASH is the size of the table */
        return read_u32(v, d->hash + 4, ret_count) && *ret_count <= CHECK_SYMBOLS_MAX;
    return d->gnu_hash && gnu_hash_symbols(v, d->gnu_hash, ret_count);
}

static bool symbol_name(
    const struct elf_view *v, const struct rules_dyn *d, uint32_t name, char *ret_name, size_t cap)
{
    uint64_t at;
    if (name >= d->strsz || !elf_offset_of(v, d->strtab, d->strsz, &at))
        return false;
    uint64_t left = d->strsz - name;
    size_t n = left < cap - 1 ? (size_t)left : cap - 1;
    if (!elf_read(v->src, at + name, ret_name, n))
        return false;
    ret_name[n] = 0;
    for (char *c = ret_name; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return true;
}

static bool is_exported(const Elf64_Sym *s)
{
    unsigned bind = ELF64_ST_BIND(s->st_info), vis = ELF64_ST_VISIBILITY(s->st_other);
    return s->st_shndx != SHN_UNDEF && bind != STB_LOCAL && vis != STV_HIDDEN &&
           vis != STV_INTERNAL;
}

static clan_status check_symbols(
    const struct elf_view *v, const struct rules_dyn *d, struct clan_error *e)
{
    uint32_t count;
    uint64_t at;
    bool query = false;
    const char *only = "build it with -fvisibility=hidden and the SDK's version script";
    if (!count_symbols(v, d, &count) ||
        !elf_offset_of(v, d->symtab, count * sizeof(Elf64_Sym), &at))
        return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its symbol table is damaged");
    for (uint32_t i = 1; i < count; i++) {
        Elf64_Sym s;
        char name[64];
        if (!elf_read(v->src, at + i * sizeof s, &s, sizeof s))
            return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its symbol table is damaged");
        if (!is_exported(&s))
            continue;
        if (!symbol_name(v, d, s.st_name, name, sizeof name))
            return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its symbol names are damaged");
        if (strcmp(name, CLAN_PLUGIN_QUERY_NAME) != 0)
            return elf_refuse(e, v->file, only,
                "it exports %s; a plugin exports " CLAN_PLUGIN_QUERY_NAME " and nothing else",
                name);
        if (ELF64_ST_TYPE(s.st_info) != STT_FUNC)
            return elf_refuse(
                e, v->file, ELF_REMEDY_REBUILD, "its " CLAN_PLUGIN_QUERY_NAME " is not a function");
        query = true;
    }
    if (!query)
        return elf_refuse(e, v->file, "mark that function with CLAN_PLUGIN_EXPORT",
            "it does not export " CLAN_PLUGIN_QUERY_NAME);
    return CLAN_OK;
}

static const char *segment_fault(const struct elf_view *v)
{
    bool stack = false, relro = false;
    for (unsigned i = 0; i < v->phdr_count; i++) {
        const Elf64_Phdr *p = &v->phdr[i];
        if (p->p_type == PT_GNU_STACK) {
            stack = true;
            if (p->p_flags & PF_X)
                return "it wants an executable stack (link with -Wl,-z,noexecstack)";
        }
        if (p->p_type == PT_GNU_RELRO)
            relro = true;
        if (p->p_type == PT_LOAD && (p->p_flags & PF_W) && (p->p_flags & PF_X))
            return "it has a segment both writable and executable";
    }
    if (!stack)
        return "it does not say that its stack is not executable (link with -Wl,-z,noexecstack)";
    if (!relro)
        return "it has no read-only relocations (link with -Wl,-z,relro)";
    return NULL;
}

clan_status note_check_elf(
    const struct note_source *src, const char *file_name, struct clan_error *reterr)
{
    struct elf_view v;
    struct rules_dyn d = {0};
    clan_status st = elf_open(src, file_name, &v, reterr);
    if (st != CLAN_OK)
        return st;
    const char *fault = segment_fault(&v);
    if (!fault && !read_dynamic(&v, &d))
        fault = "its dynamic section is missing or damaged";
    if (!fault && d.textrel)
        fault = "it has text relocations (compile with -fPIC)";
    if (!fault && d.rpath)
        fault = "it names a place of its own for libraries (RPATH or RUNPATH)";
    if (!fault && !d.now)
        fault = "its symbols are not bound when it is loaded (link with -Wl,-z,now)";
    if (fault)
        return elf_refuse(reterr, file_name, ELF_REMEDY_REBUILD, "%s", fault);
    return check_symbols(&v, &d, reterr);
}
