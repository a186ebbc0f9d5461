/* Finds the note of a plugin and checks what it says. */
#include "check/note.h"

#include "base/error.h"
#include "base/text.h"
#include "check/elf.h"
#include "permission/permission.h"

#include <clan/plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_ALIGN(n) (((uint64_t)(n) + 3) & ~(uint64_t)3)

/* A note of ours in one PT_NOTE segment; *ret_at is the offset of its body. */
static clan_status scan_segment(const struct elf_view *v, const Elf64_Phdr *p, uint32_t type,
    unsigned *found, uint64_t *ret_at, uint32_t *ret_size, struct clan_error *e)
{
    if (p->p_filesz > CHECK_NOTE_SIZE_MAX)
        return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "its notes are larger than %u KiB",
            CHECK_NOTE_SIZE_MAX >> 10);
    for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= p->p_filesz;) {
        Elf64_Nhdr n;
        char name[8] = "";
        if (!elf_read(v->src, p->p_offset + at, &n, sizeof n))
            return elf_refuse(e, v->file, "fetch it again", "a note cannot be read");
        uint64_t body = at + sizeof n + NOTE_ALIGN(n.n_namesz);
        if (body > p->p_filesz || n.n_descsz > p->p_filesz - body)
            return elf_refuse(e, v->file, ELF_REMEDY_REBUILD, "a note is longer than its segment");
        if (n.n_namesz == sizeof CLAN_NOTE_NAME && n.n_type == type &&
            elf_read(v->src, p->p_offset + at + sizeof n, name, sizeof CLAN_NOTE_NAME) &&
            memcmp(name, CLAN_NOTE_NAME, sizeof CLAN_NOTE_NAME) == 0) {
            *ret_at = p->p_offset + body;
            *ret_size = n.n_descsz;
            ++*found;
        }
        at = body + NOTE_ALIGN(n.n_descsz);
    }
    return CLAN_OK;
}

clan_status elf_find_note(const struct elf_view *v, uint32_t type, unsigned *ret_found,
    uint64_t *ret_at, uint32_t *ret_size, struct clan_error *reterr)
{
    *ret_found = 0;
    for (unsigned i = 0; i < v->phdr_count; i++) {
        if (v->phdr[i].p_type != PT_NOTE)
            continue;
        clan_status st = scan_segment(v, &v->phdr[i], type, ret_found, ret_at, ret_size, reterr);
        if (st != CLAN_OK)
            return st;
    }
    return CLAN_OK;
}

static clan_status find_note(
    const struct elf_view *v, uint64_t *ret_at, uint32_t *ret_size, struct clan_error *e)
{
    unsigned found;
    clan_status st = elf_find_note(v, CLAN_NOTE_TYPE, &found, ret_at, ret_size, e);
    if (st != CLAN_OK)
        return st;
    if (found == 0)
        return elf_refuse(e, v->file, ELF_REMEDY_PLUGIN,
            "it has no note " CLAN_NOTE_SECTION ": it is not a plugin of Clan");
    if (found > 1)
        return elf_refuse(e, v->file, "use CLAN_PLUGIN_NOTE in one source file only",
            "it has %u notes of a plugin", found);
    return CLAN_OK;
}

static bool string_ok(const char *s, size_t cap)
{
    char copy[256];
    const char *end = memchr(s, 0, cap);
    if (!end || cap > sizeof copy)
        return false;
    memcpy(copy, s, (size_t)(end - s) + 1);
    text_sanitize(copy);
    return strcmp(copy, s) == 0;
}

static bool made_of(const char *s, const char *set)
{
    return s[0] && s[strspn(s, set)] == 0;
}

#define SET_ID      "abcdefghijklmnopqrstuvwxyz0123456789-"
#define SET_VERSION SET_ID "ABCDEFGHIJKLMNOPQRSTUVWXYZ.+~"
#define SET_ASK     SET_ID "ABCDEFGHIJKLMNOPQRSTUVWXYZ._:/"

static clan_status check_strings(
    const struct clan_note_body *n, const char *file, struct clan_error *e)
{
    const char *bad = NULL;
    if (!string_ok(n->id, sizeof n->id) || !made_of(n->id, SET_ID) || n->id[0] == '-')
        bad = "id (a-z, 0-9 and '-', 1 to 31 of them)";
    else if (!string_ok(n->version, sizeof n->version) || !made_of(n->version, SET_VERSION))
        bad = "version (letters, digits, '.', '-', '+', '~')";
    else if (!string_ok(n->title, sizeof n->title) || !n->title[0])
        bad = "title (clean text, not empty)";
    else if (!string_ok(n->sentence, sizeof n->sentence))
        bad = "sentence (clean text)";
    else if (!string_ok(n->sdk, sizeof n->sdk))
        bad = "sdk (clean text)";
    else if (n->kind < CLAN_KIND_TRANSPORT || n->kind > CLAN_KIND_SERVICE)
        bad = "kind (transport, hypervisor or service)";
    else if (n->zero || n->zero1[0] || n->zero1[1] || n->zero1[2])
        bad = "reserved fields (zero)";
    else if (n->asks_count > CLAN_NOTE_ASKS_MAX)
        bad = "asks_count (at most 16)";
    for (unsigned i = 0; !bad && i < n->asks_count; i++)
        if (!string_ok(n->asks[i], sizeof n->asks[i]) || !made_of(n->asks[i], SET_ASK))
            bad = "asks (a permission in each)";
    if (bad)
        return elf_refuse(e, file, ELF_REMEDY_REBUILD, "its note breaks the rule for %s", bad);
    for (unsigned i = 0; i < n->asks_count; i++) {
        char why[160];
        if (!perm_check(n->asks[i], PERM_IN_NOTE, why, sizeof why))
            return elf_refuse(e, file, "correct the note's .asks, or use a newer Clan",
                "its note asks for what cannot be: %s", why);
    }
    return CLAN_OK;
}

static clan_status abi_refused(const struct clan_note_body *n, const char *file,
    struct clan_error *e, const char *item, const char *remedy)
{
    err_set(e, CLAN_E_ABI, "plugin %s (%s) was built for SDK %u.%u; this Clan provides %u.%u",
        n->id[0] ? n->id : "?", file, n->abi_major, n->abi_minor, CLAN_ABI_MAJOR, CLAN_ABI_MINOR);
    err_why(e, "differing item: %s", item);
    err_remedy(e, "remedy: %s", remedy);
    return CLAN_E_ABI;
}

static clan_status check_abi(
    struct clan_note_body *n, uint32_t size, const char *file, struct clan_error *e)
{
    char item[160];
    const char *newer = "use a newer Clan, or the plugin's version for this one";
    struct clan_note_body shown = *n;
    if (!string_ok(shown.id, sizeof shown.id))
        shown.id[0] = 0;
    if (n->note_version != 1) {
        snprintf(item, sizeof item, "note version %u, where 1 is read", n->note_version);
        return abi_refused(&shown, file, e, item, newer);
    }
    if (size != sizeof *n || n->body_size != sizeof *n) {
        snprintf(item, sizeof item, "size of the note: %u (says %u), where %zu is read", size,
            n->body_size, sizeof *n);
        return abi_refused(&shown, file, e, item, "rebuild the plugin with this Clan's SDK");
    }
    if (n->abi_major != CLAN_ABI_MAJOR) {
        snprintf(
            item, sizeof item, "ABI major %u, where %u is needed", n->abi_major, CLAN_ABI_MAJOR);
        return abi_refused(&shown, file, e, item,
            n->abi_major > CLAN_ABI_MAJOR ? newer : "rebuild the plugin with this Clan's SDK");
    }
    if (n->needs_minor > CLAN_ABI_MINOR) {
        snprintf(
            item, sizeof item, "ABI minor: it needs %u.%u or later", n->abi_major, n->needs_minor);
        return abi_refused(&shown, file, e, item, newer);
    }
    return CLAN_OK;
}

clan_status note_read(const struct note_source *src, const char *file_name,
    struct clan_note_body *ret_note, struct clan_error *reterr)
{
    struct elf_view v;
    uint64_t at = 0;
    uint32_t size = 0;
    memset(ret_note, 0, sizeof *ret_note);
    clan_status st = elf_open(src, file_name, &v, reterr);
    if (st == CLAN_OK)
        st = find_note(&v, &at, &size, reterr);
    if (st != CLAN_OK)
        return st;
    if (!elf_read(src, at, ret_note, size < sizeof *ret_note ? size : sizeof *ret_note))
        return elf_refuse(reterr, file_name, "fetch it again", "its note cannot be read");
    st = check_abi(ret_note, size, file_name, reterr);
    return st == CLAN_OK ? check_strings(ret_note, file_name, reterr) : st;
}
