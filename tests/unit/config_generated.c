/* What is written from the table of keys: examples, the default machine.yaml, JSON Schema. */
#include "base/text.h"
#include "config_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* ---- generated files ---- */

static char *generated(const char *what)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(config_generate(what, out), CLAN_OK);
    fclose(out);
    return text;
}

static void test_examples(void **state)
{
    (void)state;
    static const char *const files[][2] = {{"example-clan", CONFIG_EXAMPLES "/clan.yaml"},
        {"example-machine", CONFIG_EXAMPLES "/machine.yaml"}};
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        char *want = generated(files[i][0]), *have = slurp(files[i][1], &size);
        assert_string_equal(have, want);
        if (i == 0)
            config_problems_free(problems_of(have, size, CLAN_OK));
        free(want);
        free(have);
    }
    assert_int_equal(config_generate("example", stderr), CLAN_E_NOENT);
}

/* The uncommented lines are the documented default, to the letter. */
static void test_default_machine(void **state)
{
    (void)state;
    static const char want[] =
        "version: 1\nmanage: none\noffer: {hosting: ask, cpu: 50%, memory: 25%, disk: "
        "20G}\nplugins:\n"
        "  tcp-noise: {allow: [net.listen, \"net.connect:lan\", \"net.connect:internet\"]}\n"
        "  files: {allow: [fs.state, net.service, \"exec:lighttpd\"]}\n"
        "  dashboard: {allow: [api.session]}\n"
        "listen: {tcp-noise: [\"[::]:7117\", \"0.0.0.0:7117\"]}\ndns: auto\nsandbox: {weaker: "
        "[]}\n";
    char *text = generated("example-machine"), got[2048] = "";
    for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        if (line[0] != '#') {
            strcat(got, line);
            strcat(got, "\n");
        }
    assert_string_equal(got, want);
    free(text);
}

static void test_schema(void **state)
{
    (void)state;
    static const char *const names[] = {"schema-clan", "schema-machine"};
    for (size_t i = 0; i < 2; i++) {
        char *text = generated(names[i]);
        json_error_t e;
        json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, &e), *props;
        if (!j)
            fprintf(stderr, "%d: %s\n", e.line, e.text);
        assert_non_null(j);
        props = json_object_get(j, "properties");
        assert_non_null(json_object_get(props, "version"));
        assert_false(json_is_true(json_object_get(j, "additionalProperties")));
        json_decref(j);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_default_machine),
        cmocka_unit_test(test_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
