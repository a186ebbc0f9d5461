/* clan plugin new: what it writes, and what it never overwrites. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run.h" /* of this folder */

/* A folder of one test, with the SDK's templates at "t" in it: '_' in a word would be a blank. */
static char place[256], templates[300];

static int set_up(void **state)
{
    run_set_up(state);
    snprintf(place, sizeof place, "%s/plugins", home);
    snprintf(templates, sizeof templates, "%s/t", place);
    return mkdir(place, 0700) == 0 ? symlink(CLAN_TEST_DIR "/../sdk/template", templates) : -1;
}

static int make_new(const char *words, const char *folder)
{
    char line[1024];
    snprintf(
        line, sizeof line, "%s --template-dir %s --dir %s/%s", words, templates, place, folder);
    return run(line);
}

static bool is_there(const char *name)
{
    char path[600];
    snprintf(path, sizeof path, "%s/%s", place, name);
    return access(path, F_OK) == 0;
}

static char *text_of(const char *name)
{
    static char text[65536];
    char path[600];
    snprintf(path, sizeof path, "%s/%s", place, name);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void writes_every_kind(void **state)
{
    static const char *const kinds[] = {"service", "transport"}, *const langs[] = {"c", "c++"};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        char words[128], folder[32], source[64];
        snprintf(words, sizeof words, "--json plugin new my-own --kind %s --lang %s", kinds[i / 2],
            langs[i % 2]);
        snprintf(folder, sizeof folder, "d%u", i);
        assert_int_equal(make_new(words, folder), 0);
        json_t *o = json_of(said.out);
        assert_string_equal(json_text(o, "kind", NULL), kinds[i / 2]);
        assert_true(json_is_true(json_object_get(o, "written")));
        json_t *files = json_object_get(o, "files"), *file;
        size_t k;
        assert_int_equal(json_array_size(files), 6);
        json_array_foreach(files, k, file)
        {
            char path[128];
            snprintf(path, sizeof path, "%s/%s", folder, json_string_value(file));
            const char *text = text_of(path);
            /* nothing of the template's own names is left */
            assert_null(strstr(text, "my-plugin"));
            assert_null(strstr(text, "My plugin"));
            assert_null(strstr(text, "my-kind"));
            assert_null(strstr(text, "my-source"));
        }
        json_decref(o);
        snprintf(source, sizeof source, "%s/my-own.%s", folder, i % 2 ? "cc" : "c");
        assert_has(text_of(source), "\"My own\"");
        snprintf(source, sizeof source, "%s/CMakeLists.txt", folder);
        assert_has(text_of(source), i / 2 ? "KIND transport" : "KIND service");
    }
}

static void overwrites_nothing(void **state)
{
    (void)state;
    assert_int_equal(make_new("plugin new one --kind service --dry-run", "d"), 0);
    assert_has(said.out, "tests/one_test.c");
    assert_false(is_there("d"));
    assert_int_equal(make_new("plugin new one --kind service", "d"), 0);
    char *before = strdup(text_of("d/one.c"));
    assert_int_equal(make_new("plugin new one --kind service", "d"), 6);
    assert_has(said.err, "is not empty");
    assert_has(said.err, "--dir");
    assert_int_equal(make_new("plugin new one --kind service --dry-run", "d"), 6);
    assert_string_equal(text_of("d/one.c"), before);
    free(before);
    assert_int_equal(make_new("plugin new one --kind service", "none/below"), 1);
    assert_has(said.err, "cannot be made");
}

static void refuses(void **state)
{
    static const struct {
        const char *words, *says;
    } rows[] = {
        {"plugin new Hello --kind service", "no name for a plugin"},
        {"plugin new -x --kind service", "-x"},
        {"plugin new x- --kind service", "no name for a plugin"},
        {"plugin new abcdefghijklmnopqrstuvwxyzabcdef --kind service", "no name for a plugin"},
        {"plugin new one", "needs a kind"},
        {"plugin new one --kind hypervisor", "no kind of plugin"},
        {"plugin new one --kind service --lang rust", "no template in"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(make_new(rows[i].words, "d"), 2);
        assert_has(said.err, rows[i].says);
        assert_false(is_there("d"));
    }
    char line[600];
    snprintf(line, sizeof line, "plugin new one --kind service --template-dir %s --dir %s/d", place,
        place);
    assert_int_equal(run(line), 2); /* a folder without templates */
    assert_false(is_there("d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_every_kind, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(overwrites_nothing, set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(refuses, set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
