/* The static rules of a plugin file, read from its program headers and dynamic section. */
#include "check/elf.h"

#include "base/error.h"

#include <clan/plugin.h>
#include <stdio.h>
#include <string.h>

#define RULES_DYN_MAX      512
#define RULES_LIBS_MAX     64
#define RULES_DECLARED_MAX 512 /* bytes of CLAN_PLUGIN_LIBRARIES */

const char check_system_libraries[] =
    "libc.so.6 libm.so.6 libgcc_s.so.1 libstdc++.so.6 libatomic.so.1 libpthread.so.0 libdl.so.2 "
    "librt.so.1 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1"
#ifdef CLAN_SANITIZE
    " libasan.so.8 libubsan.so.1"
#endif
    ;

struct rules_dyn {
    uint64_t symtab, strtab, strsz, syment, hash, gnu_hash;
    uint32_t libs[RULES_LIBS_MAX], lib_count; /* DT_NEEDED: places in strtab */
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
        case DT_NEEDED:
            if (d->lib_count == RULES_LIBS_MAX || value > UINT32_MAX)
                return false;
            d->libs[d->lib_count++] = (uint32_t)value;
            break;
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

/* Calls fn with each symbol of the dynamic table until it answers other than CLAN_OK. */
typedef clan_status symbol_fn(void *arg, const struct elf_view *v, const Elf64_Sym *s,
    const char *name, struct clan_error *e);

static clan_status each_symbol(const struct elf_view *v, const struct rules_dyn *d, symbol_fn *fn,
    void *arg, struct clan_error *e)
{
    uint32_t count;
    uint64_t at;
    if (!count_symbols(v, d, &count) ||
        !elf_offset_of(v, d->symtab, count * sizeof(Elf64_Sym), &at))
        return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its symbol table is damaged");
    for (uint32_t i = 1; i < count; i++) {
        Elf64_Sym s;
        char name[256];
        if (!elf_read(v->src, at + i * sizeof s, &s, sizeof s))
            return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its symbol table is damaged");
        if (ELF64_ST_BIND(s.st_info) == STB_LOCAL)
            continue;
        if (!symbol_name(v, d, s.st_name, name, sizeof name))
            return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its symbol names are damaged");
        clan_status st = fn(arg, v, &s, name, e);
        if (st != CLAN_OK)
            return st;
    }
    return CLAN_OK;
}

static clan_status check_exported(
    void *arg, const struct elf_view *v, const Elf64_Sym *s, const char *name, struct clan_error *e)
{
    if (!is_exported(s))
        return CLAN_OK;
    if (strcmp(name, CLAN_PLUGIN_QUERY_NAME) != 0)
        return elf_refuse(e, v->file,
            "build it with -fvisibility=hidden and the SDK's version script",
            "it exports %.63s; a plugin exports " CLAN_PLUGIN_QUERY_NAME " and nothing else", name);
    if (ELF64_ST_TYPE(s->st_info) != STT_FUNC)
        return elf_refuse(
            e, v->file, ELF_REMEDY_REBUILD, "its " CLAN_PLUGIN_QUERY_NAME " is not a function");
    *(bool *)arg = true;
    return CLAN_OK;
}

static clan_status check_symbols(
    const struct elf_view *v, const struct rules_dyn *d, struct clan_error *e)
{
    bool query = false;
    clan_status st = each_symbol(v, d, check_exported, &query, e);
    if (st == CLAN_OK && !query)
        return elf_refuse(e, v->file, "mark that function with CLAN_PLUGIN_EXPORT",
            "it does not export " CLAN_PLUGIN_QUERY_NAME);
    return st;
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

static bool listed(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = list; len && (at = strstr(at, name)); at += len)
        if ((at == list || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return true;
    return false;
}

/* CLAN_PLUGIN_LIBRARIES, which need not be there. */
static clan_status read_declared(
    const struct elf_view *v, char ret_text[RULES_DECLARED_MAX], struct clan_error *e)
{
    unsigned found;
    uint64_t at;
    uint32_t size;
    ret_text[0] = 0;
    clan_status st = elf_find_note(v, CLAN_NOTE_LIBRARIES, &found, &at, &size, e);
    if (st != CLAN_OK || !found)
        return st;
    if (found > 1 || size > RULES_DECLARED_MAX || !elf_read(v->src, at, ret_text, size) ||
        !memchr(ret_text, 0, size))
        return elf_refuse(e, v->file, "use CLAN_PLUGIN_LIBRARIES once, with less than 512 bytes",
            "its list of libraries is damaged");
    return CLAN_OK;
}

static clan_status check_libraries(
    const struct elf_view *v, const struct rules_dyn *d, struct clan_error *e)
{
    char declared[RULES_DECLARED_MAX], name[128];
    clan_status st = read_declared(v, declared, e);
    for (uint32_t i = 0; st == CLAN_OK && i < d->lib_count; i++) {
        if (!symbol_name(v, d, d->libs[i], name, sizeof name))
            return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its symbol names are damaged");
        if (!listed(check_system_libraries, name) && !listed(declared, name))
            st = elf_refuse(e, v->file,
                "do without it, link it statically, or declare it: "
                "CLAN_PLUGIN_LIBRARIES(\"NAME.so.N ...\")",
                "it needs the library %s, which it does not declare", name);
    }
    return st;
}

static const char *dynamic_fault(const struct rules_dyn *d, enum check_rule rule)
{
    if (rule == CHECK_RULE_PATHS)
        return d->rpath ? "it names a place of its own for libraries (RPATH or RUNPATH)" : NULL;
    if (rule != CHECK_RULE_HARDENING)
        return NULL;
    if (d->textrel)
        return "it has text relocations (compile with -fPIC)";
    return d->now ? NULL : "its symbols are not bound when it is loaded (link with -Wl,-z,now)";
}

static clan_status open_dynamic(const struct note_source *src, const char *file,
    struct elf_view *ret_view, struct rules_dyn *ret_dyn, struct clan_error *e)
{
    *ret_dyn = (struct rules_dyn){0};
    clan_status st = elf_open(src, file, ret_view, e);
    if (st == CLAN_OK && !read_dynamic(ret_view, ret_dyn))
        st = elf_refuse(e, file, ELF_REMEDY_REBUILD, "its dynamic section is missing or damaged");
    return st;
}

clan_status note_check_rule(const struct note_source *src, const char *file_name,
    enum check_rule rule, struct clan_error *reterr)
{
    struct elf_view v;
    struct rules_dyn d;
    clan_status st = elf_open(src, file_name, &v, reterr);
    const char *fault = st == CLAN_OK && rule == CHECK_RULE_HARDENING ? segment_fault(&v) : NULL;
    if (st == CLAN_OK && !fault)
        st = open_dynamic(src, file_name, &v, &d, reterr);
    if (st == CLAN_OK && !fault)
        fault = dynamic_fault(&d, rule);
    if (fault)
        return elf_refuse(reterr, file_name, ELF_REMEDY_REBUILD, "%s", fault);
    if (st == CLAN_OK && rule == CHECK_RULE_LIBRARIES)
        return check_libraries(&v, &d, reterr);
    return st == CLAN_OK && rule == CHECK_RULE_SYMBOLS ? check_symbols(&v, &d, reterr) : st;
}

clan_status note_check_elf(
    const struct note_source *src, const char *file_name, struct clan_error *reterr)
{
    clan_status st = CLAN_OK;
    for (int rule = 0; st == CLAN_OK && rule < CHECK_RULES; rule++)
        st = note_check_rule(src, file_name, (enum check_rule)rule, reterr);
    return st;
}

clan_status note_each_library(const struct note_source *src, const char *file_name,
    check_name_fn *found, void *user, struct clan_error *reterr)
{
    struct elf_view v;
    struct rules_dyn d;
    clan_status st = open_dynamic(src, file_name, &v, &d, reterr);
    for (uint32_t i = 0; st == CLAN_OK && i < d.lib_count; i++) {
        char name[128];
        if (symbol_name(&v, &d, d.libs[i], name, sizeof name))
            found(user, name);
    }
    return st;
}

struct names {
    check_name_fn *found;
    void *user;
};

static clan_status tell_undefined(
    void *arg, const struct elf_view *v, const Elf64_Sym *s, const char *name, struct clan_error *e)
{
    const struct names *n = arg;
    (void)v, (void)e;
    if (s->st_shndx == SHN_UNDEF && ELF64_ST_BIND(s->st_info) == STB_GLOBAL)
        n->found(n->user, name);
    return CLAN_OK;
}

clan_status note_each_undefined(const struct note_source *src, const char *file_name,
    check_name_fn *found, void *user, struct clan_error *reterr)
{
    struct elf_view v;
    struct rules_dyn d;
    struct names n = {found, user};
    clan_status st = open_dynamic(src, file_name, &v, &d, reterr);
    return st == CLAN_OK ? each_symbol(&v, &d, tell_undefined, &n, reterr) : st;
}
