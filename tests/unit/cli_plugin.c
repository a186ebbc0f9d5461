/* clan plugin list, show, grant, revoke as far as they go without a daemon and without an owner's word. */
#include "cli/run.h" /* of this folder */
#include "unit/minisign_make.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[48], path[96], text[512];

static void copy_plugin(const char *from)
{
    char buf[4096];
    size_t n;
    FILE *in = fopen(from, "rb"), *out = fopen(path, "wb");
    assert_true(in && out);
    while ((n = fread(buf, 1, sizeof buf, in)) > 0)
        assert_int_equal(fwrite(buf, 1, n, out), n);
    fclose(in);
    fclose(out);
    chmod(path, 0644);
}

static int set_up(void **state)
{
    strcpy(folder, "/tmp/clan-plugin-XXXXXX");
    if (run_set_up(state) || !mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/files.so", folder);
    setenv("CLAN_RUN_DIR", folder, 1); /* no clan runs there */
    copy_plugin(CLI_TEST_PLUGIN);
    return 0;
}

static int tear_down(void **state)
{
    char sig[128];
    snprintf(sig, sizeof sig, "%s.minisig", path);
    unlink(sig);
    unlink(path);
    rmdir(folder);
    return run_tear_down(state);
}

/* The first %s is arg, a second one the folder. */
static const char *words(const char *fmt, const char *arg)
{
    size_t len = 0;
    const char *value = arg;
    for (const char *p; (p = strstr(fmt, "%s")); fmt = p + 2, value = folder)
        len +=
            (size_t)snprintf(text + len, sizeof text - len, "%.*s%s", (int)(p - fmt), fmt, value);
    snprintf(text + len, sizeof text - len, "%s", fmt);
    return text;
}

static void a_file_is_shown_without_a_daemon(void **state)
{
    (void)state;
    assert_int_equal(run(words("plugin show %s", path)), 0);
    assert_has(said.out, "files 1.2, a service: Files. Shared files.");
    assert_has(said.out, path);
    assert_has(said.out, "signed  by nobody");
    assert_has(said.out, "granted nothing yet: it does not run");
    assert_has(
        said.out, "keep files in a directory of its own (fs.state). It never sees your files");
    assert_has(said.out, "run the program lighttpd, in a sandbox of its own (exec:lighttpd)");
    json_t *o = (run(words("plugin show --json %s", path)), json_of(said.out));
    assert_string_equal(json_text(o, "plugin", NULL), "files");
    assert_string_equal(json_text(o, "kind", NULL), "service");
    assert_string_equal(json_text(o, "granted_to", NULL), "nothing");
    assert_string_equal(json_text(o, "signature", "state"), "none");
    assert_true(json_is_true(json_object_get(o, "usable")));
    assert_int_equal(strlen(json_text(o, "hash", NULL)), 64);
    json_t *asks = json_object_get(o, "asks");
    assert_int_equal(json_array_size(asks), 4);
    json_t *first = json_array_get(asks, 0);
    assert_string_equal(json_text(first, "word", NULL), "fs.state");
    assert_string_equal(json_text(first, "may", NULL), "keep files in a directory of its own");
    assert_true(json_is_false(json_object_get(first, "granted")));
    assert_true(json_is_true(json_object_get(first, "available")));
    json_decref(o);
}

static void a_signature_by_a_stranger_is_named(void **state)
{
    (void)state;
    struct made_key eve;
    make_key(&eve, 0xab);
    assert_int_equal(make_signature(&eve, path, "trust me"), 0);
    assert_int_equal(run(words("plugin show %s", path)), 0);
    assert_has(said.out, "whose key is not known here");
    assert_has(said.out, "ABABABABABABABAB");
    assert_null(strstr(said.out, "trust me")); /* nobody vouches for that */
    run(words("plugin show --json %s", path));
    json_t *o = json_of(said.out);
    assert_string_equal(json_text(o, "signature", "state"), "unknown");
    assert_string_equal(json_text(o, "signature", "comment"), "");
    json_decref(o);
}

static void what_is_no_plugin_is_refused(void **state)
{
    (void)state;
    assert_int_equal(truncate(path, 3000), 0);
    assert_int_equal(run(words("plugin show %s", path)), 0);
    assert_has(said.out, "It cannot be used:");
    assert_null(strstr(said.out, "It may"));
    assert_int_equal(run(words("plugin show ./%s", "not-there.so")), 2);
    assert_has(said.err, "cannot open ./not-there.so");
}

static void ids_are_found_and_guessed(void **state)
{
    (void)state;
    assert_int_equal(run(words("plugin show %s --plugin-dir %s", "files")), 0);
    assert_int_equal(run(words("plugin show %s --plugin-dir %s", "files.so")), 0);
    assert_int_equal(run(words("plugin show %s --plugin-dir %s", "fils")), 2);
    assert_has(said.err, "did you mean \"files\"?");
    assert_has(said.err, "clan plugin list");
}

static void the_list_needs_no_daemon(void **state)
{
    (void)state;
    static const char *const names[] = {"plugin list", "machine plugins"};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(run(words("%s --json --plugin-dir %s", names[i])), 0);
        json_t *o = json_of(said.out), *row = json_array_get(json_object_get(o, "plugins"), 0);
        assert_string_equal(json_text(row, "plugin", NULL), "files");
        assert_string_equal(json_text(row, "state", NULL), "not granted");
        assert_has(json_text(row, "remedy", NULL), "clan plugin grant files");
        json_decref(o);
    }
}

static const struct {
    const char *words;
    int code;
    const char *says;
} refused[] = {
    {"plugin grant %s --dry-run --plugin-dir %s kvm", 2, "kvm is not available in this version"},
    {"plugin grant %s --dry-run --plugin-dir %s fs.stat", 2, "did you mean \"fs.state\"?"},
    {"plugin grant %s --dry-run --plugin-dir %s net.connect:lan", 2,
        "never asks for net.connect:lan"},
    {"plugin grant %s --dry-run --plugin-dir %s --hash 00000000", 6,
        "not the file that --hash names"},
    {"plugin grant %s --dry-run --plugin-dir %s --hash 0", 6, "at least 8 digits"},
    {"plugin grant ./%s.so --dry-run --plugin-dir %s", 2, "cannot open"},
};

static void grants_are_refused_with_reasons(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        assert_int_equal(run(words(refused[i].words, "files")), refused[i].code);
        assert_has(said.err, refused[i].says);
    }
    assert_int_equal(run(words("plugin grant %s --dry-run", path)), 2);
    assert_has(said.err, "is not installed, so it cannot be granted");
    assert_has(said.err, "sudo install -m 644 /");
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%0100d no plugin at all\n", 0);
    fclose(f);
    assert_int_equal(run(words("plugin grant %s --dry-run", path)), 2);
    assert_has(said.err, "cannot be used");
    assert_has(said.err, "it is no shared object");
    assert_has(said.err, "clan plugin new NAME");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_shown_without_a_daemon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signature_by_a_stranger_is_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_plugin_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ids_are_found_and_guessed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_list_needs_no_daemon, set_up, tear_down),
        cmocka_unit_test_setup_teardown(grants_are_refused_with_reasons, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
