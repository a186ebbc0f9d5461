/* The reader of plugin files: whole ones pass, each fault has a text of its own. */
#include "check/note.h"
#include "note_elf.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

typedef void spoil_fn(struct made_elf *m);

#define SPOIL(name, code)                                                                          \
    static void name(struct made_elf *m)                                                           \
    {                                                                                              \
        code;                                                                                      \
    }

SPOIL(none, (void)m)
SPOIL(magic, m->eh.e_ident[1] = 'X')
SPOIL(bits32, m->eh.e_ident[EI_CLASS] = ELFCLASS32)
SPOIL(machine, m->eh.e_machine = EM_RISCV)
SPOIL(executable, m->eh.e_type = ET_EXEC)
SPOIL(phentsize, m->eh.e_phentsize = 8)
SPOIL(phnum, m->eh.e_phnum = 65)
SPOIL(phoff, m->eh.e_phoff = UINT64_MAX - 8)
SPOIL(segment_far, m->ph[1].p_offset = UINT64_MAX - 4)
SPOIL(segment_long, m->ph[2].p_filesz = UINT64_MAX)
SPOIL(no_note, m->ph[1].p_type = PT_NULL)
SPOIL(other_name, m->note.name[0] = 'X')
SPOIL(other_type, m->note.type = 3)
SPOIL(note_long, m->note.descsz = 0x10000)
SPOIL(note_huge, m->note.descsz = UINT32_MAX)
SPOIL(name_huge, m->note.namesz = UINT32_MAX)
SPOIL(two_notes, m->ph[4] = m->ph[1])
SPOIL(note_short, (m->note.descsz -= 8, m->ph[1].p_filesz -= 8))
SPOIL(body_size, m->note.body.body_size = 99)
SPOIL(note_version, m->note.body.note_version = 2)
SPOIL(abi_major, m->note.body.abi_major = CLAN_ABI_MAJOR + 7)
SPOIL(abi_minor, m->note.body.needs_minor = CLAN_ABI_MINOR + 1)
SPOIL(id_open, memset(m->note.body.id, 'a', sizeof m->note.body.id))
SPOIL(id_path, strcpy(m->note.body.id, "../x"))
SPOIL(id_empty, m->note.body.id[0] = 0)
SPOIL(title_control, m->note.body.title[1] = '\n')
SPOIL(title_utf8, m->note.body.title[1] = (char)0xff)
SPOIL(sentence_open, memset(m->note.body.sentence, 's', sizeof m->note.body.sentence))
SPOIL(kind, m->note.body.kind = 9)
SPOIL(asks_many, m->note.body.asks_count = 17)
SPOIL(asks_odd, strcpy(m->note.body.asks[1], "fs state"))
SPOIL(asks_empty, m->note.body.asks[1][0] = 0)
SPOIL(reserved, m->note.body.zero1[1] = 1)
SPOIL(stack, m->ph[3].p_flags |= PF_X)
SPOIL(no_stack, m->ph[3].p_type = PT_NULL)
SPOIL(no_relro, m->ph[4].p_type = PT_NULL)
SPOIL(writable_code, m->ph[0].p_flags = PF_R | PF_W | PF_X)
SPOIL(no_dynamic, m->ph[2].p_type = PT_NULL)
SPOIL(dynamic_endless, for (int i = 6; i < ELF_DYNS; i++) m->dyn[i].d_tag = DT_DEBUG)
SPOIL(lazy, m->dyn[5].d_un.d_val = 0)
SPOIL(textrel, m->dyn[6].d_tag = DT_TEXTREL)
SPOIL(rpath, m->dyn[6].d_tag = DT_RPATH)
SPOIL(runpath, m->dyn[6].d_tag = DT_RUNPATH)
SPOIL(extra, m->sym[2].st_shndx = 1)
SPOIL(extra_data, (m->sym[2].st_shndx = 1, m->sym[2].st_info = ELF64_ST_INFO(STB_WEAK, STT_OBJECT)))
SPOIL(no_query, m->sym[1].st_shndx = SHN_UNDEF)
SPOIL(query_data, m->sym[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT))
SPOIL(symbols_many, m->hash[1] = UINT32_MAX)
SPOIL(symbols_far, m->dyn[0].d_un.d_val = UINT64_MAX - 4)
SPOIL(names_far, m->dyn[2].d_un.d_val = UINT64_MAX)
SPOIL(name_far, m->sym[1].st_name = 5000)
SPOIL(no_hash, m->dyn[4].d_tag = DT_DEBUG)
SPOIL(gnu_hash_damaged, (m->dyn[4].d_tag = DT_GNU_HASH, m->hash[0] = 70000))

/* why: a part of why (or of `what` and why for ABI refusals) */
static const struct {
    const char *name;
    spoil_fn *spoil;
    clan_status status;
    const char *why;
} cases[] = {
    {"good", none, CLAN_OK, ""},
    {"magic", magic, CLAN_E_INVAL, "does not begin as an ELF file"},
    {"bits32", bits32, CLAN_E_INVAL, "not a 64-bit"},
    {"machine", machine, CLAN_E_INVAL, "another machine (ELF number 243)"},
    {"executable", executable, CLAN_E_INVAL, "no shared object (ELF type 2)"},
    {"phentsize", phentsize, CLAN_E_INVAL, "no usable program headers"},
    {"phnum", phnum, CLAN_E_INVAL, "65 program headers"},
    {"phoff", phoff, CLAN_E_INVAL, "program headers lie beyond its end"},
    {"segment-far", segment_far, CLAN_E_INVAL, "segment 1 lies beyond"},
    {"segment-long", segment_long, CLAN_E_INVAL, "segment 2 lies beyond"},
    {"no-note", no_note, CLAN_E_INVAL, "not a plugin of Clan"},
    {"other-name", other_name, CLAN_E_INVAL, "not a plugin of Clan"},
    {"other-type", other_type, CLAN_E_INVAL, "not a plugin of Clan"},
    {"note-long", note_long, CLAN_E_INVAL, "longer than its segment"},
    {"note-huge", note_huge, CLAN_E_INVAL, "longer than its segment"},
    {"name-huge", name_huge, CLAN_E_INVAL, "longer than its segment"},
    {"two-notes", two_notes, CLAN_E_INVAL, "2 notes"},
    {"note-short", note_short, CLAN_E_ABI, "differing item: size of the note"},
    {"body-size", body_size, CLAN_E_ABI, "(says 99)"},
    {"note-version", note_version, CLAN_E_ABI, "differing item: note version 2"},
    {"abi-major", abi_major, CLAN_E_ABI, "differing item: ABI major 7, where 0 is needed"},
    {"abi-minor", abi_minor, CLAN_E_ABI, "differing item: ABI minor: it needs 0.6"},
    {"id-open", id_open, CLAN_E_INVAL, "rule for id"},
    {"id-path", id_path, CLAN_E_INVAL, "rule for id"},
    {"id-empty", id_empty, CLAN_E_INVAL, "rule for id"},
    {"title-control", title_control, CLAN_E_INVAL, "rule for title"},
    {"title-utf8", title_utf8, CLAN_E_INVAL, "rule for title"},
    {"sentence-open", sentence_open, CLAN_E_INVAL, "rule for sentence"},
    {"kind", kind, CLAN_E_INVAL, "rule for kind"},
    {"asks-many", asks_many, CLAN_E_INVAL, "rule for asks_count"},
    {"asks-odd", asks_odd, CLAN_E_INVAL, "rule for asks"},
    {"asks-empty", asks_empty, CLAN_E_INVAL, "rule for asks"},
    {"reserved", reserved, CLAN_E_INVAL, "rule for reserved"},
    {"stack", stack, CLAN_E_INVAL, "wants an executable stack"},
    {"no-stack", no_stack, CLAN_E_INVAL, "does not say that its stack"},
    {"no-relro", no_relro, CLAN_E_INVAL, "no read-only relocations"},
    {"writable-code", writable_code, CLAN_E_INVAL, "both writable and executable"},
    {"no-dynamic", no_dynamic, CLAN_E_INVAL, "dynamic section is missing"},
    {"dynamic-endless", dynamic_endless, CLAN_E_INVAL, "dynamic section is missing or damaged"},
    {"lazy", lazy, CLAN_E_INVAL, "not bound when it is loaded"},
    {"textrel", textrel, CLAN_E_INVAL, "text relocations"},
    {"rpath", rpath, CLAN_E_INVAL, "RPATH"},
    {"runpath", runpath, CLAN_E_INVAL, "RPATH"},
    {"extra", extra, CLAN_E_INVAL, "exports free"},
    {"extra-data", extra_data, CLAN_E_INVAL, "exports free"},
    {"no-query", no_query, CLAN_E_INVAL, "does not export clan_plugin_query"},
    {"query-data", query_data, CLAN_E_INVAL, "is not a function"},
    {"symbols-many", symbols_many, CLAN_E_INVAL, "symbol table is damaged"},
    {"symbols-far", symbols_far, CLAN_E_INVAL, "symbol table is damaged"},
    {"names-far", names_far, CLAN_E_INVAL, "symbol names are damaged"},
    {"name-far", name_far, CLAN_E_INVAL, "symbol names are damaged"},
    {"no-hash", no_hash, CLAN_E_INVAL, "symbol table is damaged"},
    {"gnu-hash-damaged", gnu_hash_damaged, CLAN_E_INVAL, "symbol table is damaged"},
};
#define CASES (sizeof cases / sizeof cases[0])

static clan_status judge(const void *data, size_t size, struct clan_error *e)
{
    struct clan_note_body note;
    /* an exact copy on the heap, so that a sanitizer sees one byte too many */
    uint8_t *copy = malloc(size ? size : 1);
    memcpy(copy, data, size);
    struct note_source src = {.fd = -1, .data = copy, .size = size};
    *e = (struct clan_error)CLAN_ERROR_INIT;
    clan_status st = note_read(&src, "sample.so", &note, e);
    if (st == CLAN_OK)
        st = note_check_elf(&src, "sample.so", e);
    free(copy);
    return st;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        struct made_elf m = made_elf();
        struct clan_error e;
        cases[i].spoil(&m);
        clan_status st = judge(&m, sizeof m, &e);
        if (st != cases[i].status || !strstr(e.why, cases[i].why))
            fail_msg("%s: status %d, %s: %s", cases[i].name, st, e.what, e.why);
        if (st != CLAN_OK) {
            assert_int_equal(e.status, st);
            assert_non_null(strstr(e.what, "sample.so"));
            assert_string_not_equal(e.remedy, "");
        }
    }
}

/* ---- settings ---- */

SPOIL(set_twice_there, m->ph[4] = m->ph[5])
SPOIL(set_odd_size, m->settings.descsz -= 4)
SPOIL(set_many, (m->settings.descsz = 9 * sizeof m->settings.rows[0],
                    m->ph[5].p_filesz = 12 + 8 + m->settings.descsz))
SPOIL(set_key_twice, strcpy(m->settings.rows[1].key, "title"))
SPOIL(set_key_odd, strcpy(m->settings.rows[0].key, "ti tle"))
SPOIL(set_key_empty, m->settings.rows[3].key[0] = 0)
SPOIL(set_key_open, memset(m->settings.rows[0].key, 'a', 32))
SPOIL(set_kind, m->settings.rows[0].kind = 5)
SPOIL(set_kind_none, m->settings.rows[0].kind = 0)
SPOIL(set_reserved, m->settings.rows[0].zero = 1)
SPOIL(set_question, m->settings.rows[0].question[0] = 0)
SPOIL(set_question_control, m->settings.rows[0].question[1] = '\x1b')
SPOIL(set_preset_open, memset(m->settings.rows[0].preset, 'a', 64))
SPOIL(set_preset_long, m->settings.rows[0].max = 5)
SPOIL(set_text_long, m->settings.rows[0].max = 96)
SPOIL(set_yes, strcpy(m->settings.rows[1].preset, "no"))
SPOIL(set_number, strcpy(m->settings.rows[2].preset, "07"))
SPOIL(set_number_far, strcpy(m->settings.rows[2].preset, "31"))
SPOIL(set_limits, m->settings.rows[2].min = 40)
SPOIL(set_choice, strcpy(m->settings.rows[3].preset, "huge"))
SPOIL(set_choice_part, strcpy(m->settings.rows[3].preset, "small|middle"))
SPOIL(set_choices_none, m->settings.rows[3].choices[0] = 0)
SPOIL(set_choices_there, strcpy(m->settings.rows[1].choices, "true|false"))

static void test_settings(void **state)
{
    static spoil_fn *const wrong[] = {set_twice_there, set_odd_size, set_many, set_key_twice,
        set_key_odd, set_key_empty, set_key_open, set_kind, set_kind_none, set_reserved,
        set_question, set_question_control, set_preset_open, set_preset_long, set_text_long,
        set_yes, set_number, set_number_far, set_limits, set_choice, set_choice_part,
        set_choices_none, set_choices_there};
    struct clan_note_setting rows[CLAN_NOTE_SETTINGS_MAX];
    struct made_elf m = made_elf();
    struct note_source src = {.fd = -1, .data = (const uint8_t *)&m, .size = sizeof m};
    struct clan_error e = CLAN_ERROR_INIT;
    uint32_t count;
    (void)state;
    assert_int_equal(note_read_settings(&src, "sample.so", rows, &count, &e), CLAN_OK);
    assert_int_equal(count, 4);
    assert_string_equal(rows[3].choices, "small|middle|large");
    m.ph[5].p_type = PT_NULL;
    assert_int_equal(note_read_settings(&src, "sample.so", rows, &count, &e), CLAN_OK);
    assert_int_equal(count, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        m = made_elf();
        wrong[i](&m);
        clan_status st = note_read_settings(&src, "sample.so", rows, &count, &e);
        if (st != CLAN_E_INVAL || count != 0 || !e.remedy[0])
            fail_msg("case %zu was taken: %d", i, st);
    }
}

static void test_answers(void **state)
{
    static const struct {
        unsigned row;
        const char *value;
        bool fits;
    } answers[] = {{0, "Our photos", true}, {0, "Größe", true}, {0, "", false}, {0, "a\nb", false},
        {0, "\xff", false},
        {0, "0123456789012345678901234567890123456789012345678901234567890123", true},
        {0, "01234567890123456789012345678901234567890123456789012345678901234", false},
        {1, "true", true}, {1, "false", true}, {1, "yes", false}, {1, "", false}, {2, "-3", true},
        {2, "30", true}, {2, "31", false}, {2, "-4", false}, {2, "7 ", false}, {2, "7x", false},
        {2, "", false}, {2, "99999999999999999999", false}, {3, "large", true}, {3, "larg", false},
        {3, "", false}, {3, "small|middle", false}};
    struct made_elf m = made_elf();
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct clan_error e = CLAN_ERROR_INIT;
        const struct clan_note_setting *s = &m.settings.rows[answers[i].row];
        clan_status st = note_setting_fits(s, answers[i].value, &e);
        if ((st == CLAN_OK) != answers[i].fits || (st != CLAN_OK && !strstr(e.why, "expected")))
            fail_msg("%s=%s: %d", s->key, answers[i].value, st);
    }
}

static void test_abi_text(void **state)
{
    (void)state;
    struct made_elf m = made_elf();
    struct clan_error e;
    abi_major(&m);
    judge(&m, sizeof m, &e);
    assert_string_equal(
        e.what, "plugin sample (sample.so) was built for SDK 7.5; this Clan provides 0.5");
    assert_memory_equal(e.remedy, "remedy: ", 8);
}

/* Cut anywhere, it is refused; nothing beyond the end is read (run with a sanitizer). */
static void test_truncated(void **state)
{
    (void)state;
    struct made_elf m = made_elf();
    struct clan_error e;
    for (size_t size = 0; size < sizeof m; size++)
        if (judge(&m, size, &e) == CLAN_OK)
            fail_msg("a file cut to %zu of %zu bytes was taken", size, sizeof m);
}

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/clan-note-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void put(const char *name, const void *data, size_t size)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void put_id(const char *name, const char *id)
{
    struct made_elf m = made_elf();
    strcpy(m.note.body.id, id);
    put(name, &m, sizeof m);
}

static struct check_result results[32];
static unsigned result_count;

static void found(void *user, const struct check_result *r)
{
    (void)user;
    results[result_count++] = *r;
}

static clan_status scan(bool check_owner, struct clan_error *e)
{
    *e = (struct clan_error)CLAN_ERROR_INIT;
    result_count = 0;
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    clan_status st = check_directory(fd, check_owner, found, NULL, e);
    close(fd);
    return st;
}

static void test_directory(void **state)
{
    struct clan_error e;
    char path[160];
    (void)state;
    put_id("b.so", "beta");
    put_id("a.so", "alpha");
    put_id("c1.so", "twin");
    put_id("c2.so", "twin");
    put("junk.so", "junk", 4);
    put("readme.txt", "no", 2);
    put(".hidden.so", "no", 2);
    snprintf(path, sizeof path, "%s/link.so", dir);
    assert_int_equal(symlink("a.so", path), 0);
    snprintf(path, sizeof path, "%s/fifo.so", dir);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_int_equal(scan(false, &e), CLAN_OK);
    assert_int_equal(result_count, 7); /* a b c1 c2 fifo junk link */
    assert_string_equal(results[0].file, "a.so");
    assert_string_equal(results[0].id, "alpha");
    assert_string_equal(results[0].title, "Sample");
    assert_string_equal(results[0].asks[1], "exec:lighttpd");
    assert_int_equal(results[0].ask_count, 2);
    assert_int_equal(results[0].default_port, 80);
    assert_int_equal(results[0].error.status, CLAN_OK);
    assert_memory_not_equal(results[0].hash, results[1].hash, 32);
    for (unsigned i = 2; i < 4; i++) { /* neither is used, both are named */
        assert_int_equal(results[i].error.status, CLAN_E_CONFLICT);
        assert_non_null(strstr(results[i].error.why, "c1.so"));
        assert_non_null(strstr(results[i].error.why, "c2.so"));
    }
    assert_non_null(strstr(results[4].error.why, "not a regular file"));
    assert_non_null(strstr(results[5].error.why, "no ELF file"));
    assert_non_null(strstr(results[6].error.remedy, "not a link"));
}

/* The plugin of the release goes on; the file that took its id is named. */
static void test_release_ids(void **state)
{
    static const char *const ids[] = {"files", "tcp-noise"};
    struct clan_error e;
    char own[32];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        snprintf(own, sizeof own, "%s.so", ids[i]);
        put_id(own, ids[i]);
        put_id("a-stranger.so", ids[i]);
        assert_int_equal(scan(false, &e), CLAN_OK);
        assert_int_equal(result_count, 2 + i);
        assert_string_equal(results[0].file, "a-stranger.so");
        assert_int_equal(results[0].error.status, CLAN_E_PERM);
        assert_non_null(strstr(results[0].error.what, "a-stranger.so"));
        assert_non_null(strstr(results[0].error.why, own));
        assert_string_not_equal(results[0].error.remedy, "");
        assert_int_equal(results[1].error.status, CLAN_OK);
    }
}

static void test_owner(void **state)
{
    struct clan_error e;
    (void)state;
    put_id("a.so", "alpha");
    chmod(dir, 0775);
    assert_int_equal(scan(true, &e), CLAN_E_PERM);
    assert_non_null(strstr(e.what, "directory"));
    chmod(dir, 0755);
    if (getuid() != 0)
        return;
    assert_int_equal(scan(true, &e), CLAN_OK);
    assert_int_equal(results[0].error.status, CLAN_OK);
    char path[160];
    snprintf(path, sizeof path, "%s/a.so", dir);
    assert_int_equal(chown(path, 65534, 0), 0);
    scan(true, &e);
    assert_int_equal(results[0].error.status, CLAN_E_PERM);
    assert_int_equal(chown(path, 0, 0), 0);
    assert_int_equal(chmod(path, 0664), 0);
    scan(true, &e);
    assert_int_equal(results[0].error.status, CLAN_E_PERM);
}

/* What our own tools link is what the rules want; the rules are not only true of made files. */
static void test_real_plugins(void **state)
{
    static const char *const files[] = {NOTE_PLUGINS};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct check_result r;
        struct clan_error e = CLAN_ERROR_INIT;
        int fd = open(files[i], O_RDONLY);
        assert_true(fd >= 0);
        if (check_file(fd, basename(files[i]), &r, &e) != CLAN_OK)
            fail_msg("%s: %s: %s", files[i], e.what, e.why);
        assert_string_not_equal(r.title, "");
        close(fd);
    }
}

/* note --write DIR: the cases as files, seeds for the fuzzer */
static int write_cases(const char *to)
{
    snprintf(dir, sizeof dir, "%s", to);
    for (size_t i = 0; i < CASES; i++) {
        struct made_elf m = made_elf();
        cases[i].spoil(&m);
        put(cases[i].name, &m, sizeof m);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--write") == 0)
        return write_cases(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_abi_text),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test_setup_teardown(test_directory, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_release_ids, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_owner, make_dir, remove_dir),
        cmocka_unit_test(test_real_plugins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
