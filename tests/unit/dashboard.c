/* What the dashboard says about a text of clan.yaml, and what a command would change in it. */
#include "yaml.h"

#include "config/config.h"
#include "rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config_known machines[2];
static struct yaml_head head = {.machines = machines, .machine_count = 2};

/* Version 7 of a clan, which names the first of the two machines. */
static int setup(void **state)
{
    uint8_t key[32]; /* of Ed25519: its base point */
    char *text;
    size_t size;
    (void)state;
    memset(key, 0x66, sizeof key);
    key[0] = 0x58;
    memset(machines[0].id, 'a', 32);
    memcpy(machines[0].name, "nas", 4);
    memset(machines[1].id, 'b', 32);
    memcpy(machines[1].name, "laptop", 7);
    head.version = 7;
    if (config_clan_first("home", "anna", key, machines[0].id, "nas", NULL, 0, &text, &size) !=
        CLAN_OK)
        return -1;
    clan_status st = config_edit_version(text, size, 7, &head.text, &head.size, NULL);
    free(text);
    return st != CLAN_OK;
}

static int teardown(void **state)
{
    (void)state;
    free(head.text);
    return 0;
}

static const char *text_of(const json_t *diff, char op, size_t skip)
{
    size_t i;
    json_t *line;
    json_array_foreach(
        diff, i, line) if (json_string_value(json_object_get(line, "op"))[0] == op &&
                           skip-- == 0) return json_string_value(json_object_get(line, "text"));
    return "";
}

static void a_text_from_the_head_gets_the_next_number(void **state)
{
    (void)state;
    json_t *o = yaml_check(&head, head.text, head.size);
    assert_true(json_is_true(json_object_get(o, "ok")));
    assert_string_equal(text_of(json_object_get(o, "diff"), '-', 0), "version: 7");
    assert_string_equal(text_of(json_object_get(o, "diff"), '+', 0), "version: 8");
    assert_string_equal(text_of(json_object_get(o, "diff"), '+', 1), "");
    json_decref(o);
}

static void an_older_text_is_refused(void **state)
{
    char *old = strdup(head.text);
    (void)state;
    assert_non_null(old);
    memcpy(strstr(old, "version: 7"), "version: 6", 10);
    json_t *o = yaml_check(&head, old, head.size);
    free(old);
    assert_true(json_is_false(json_object_get(o, "ok")));
    assert_int_equal(json_array_size(json_object_get(o, "problems")), 1);
    json_decref(o);
}

static void a_problem_shows_its_place(void **state)
{
    static const char bad[] = "version: 8\nclan: home\nservices:\n  files: {plugin: 7}\n";
    (void)state;
    json_t *o = yaml_check(&head, bad, sizeof bad - 1), *p = json_object_get(o, "problems");
    bool found = false;
    assert_true(json_is_false(json_object_get(o, "ok")));
    for (size_t i = 0; i < json_array_size(p); i++) {
        const json_t *one = json_array_get(p, i);
        found = found || (json_integer_value(json_object_get(one, "line")) == 4 &&
                             strstr(json_string_value(json_object_get(one, "near")), "^"));
    }
    assert_true(found);
    json_decref(o);
}

static void what_enable_would_change(void **state)
{
    struct clan_error e = CLAN_ERROR_INIT;
    (void)state;
    json_t *words = json_pack("[s,s,s,s]", "enable", "files", "--on", "laptop");
    json_t *diff = yaml_preview(&head, words, &e);
    assert_non_null(diff); /* laptop is named first: it stood nowhere */
    assert_non_null(strstr(text_of(diff, '+', 0), "version: 8"));
    assert_non_null(strstr(text_of(diff, '+', 1), "laptop"));
    json_decref(diff);
    json_t *more = json_pack("[s,s,s,s,s,s,s,s]", "enable", "files", "--set",
        "title=Our \"photos\"", "--on", "laptop", "--set", "read_only=true");
    diff = yaml_preview(&head, more, &e);
    assert_non_null(diff);
    char *all = json_dumps(diff, 0);
    assert_non_null(
        strstr(all, "settings: {title: \\\"Our \\\\\\\"photos\\\\\\\"\\\", read_only: true}"));
    free(all);
    json_decref(diff);
    json_decref(more);
    json_array_set_new(words, 3, json_string("nobody"));
    assert_null(yaml_preview(&head, words, &e));
    assert_int_equal(e.status, CLAN_E_NOENT);
    json_array_set_new(words, 0, json_string("machines"));
    json_array_set_new(words, 1, json_string("rename"));
    json_array_set_new(words, 2, json_string("laptop"));
    diff = yaml_preview(&head, words, &e);
    assert_non_null(strstr(text_of(diff, '+', 1), "{name: nobody}"));
    json_decref(diff);
    json_array_set_new(words, 2, json_string("desk"));
    assert_null(yaml_preview(&head, words, &e));
    json_array_set_new(words, 0, json_string("invite")); /* which does not touch it */
    diff = yaml_preview(&head, words, &e);
    assert_int_equal(json_array_size(diff), 0);
    json_decref(diff);
    json_decref(words);
}

/* ---- lists as events ---- */

static void add(struct rows *r, int id, const char *value)
{
    rows_add(r, "id", json_pack("{s:i, s:s}", "id", id, "is", value));
}

static void delta_is(const struct rows *old, const struct rows *now, const char *wanted)
{
    bool failed;
    struct chunk *c = rows_delta(old, now, "x", 9, &failed);
    assert_false(failed);
    assert_int_equal(c != NULL, wanted != NULL);
    if (c) {
        char *text = strndup(c->bytes, c->size);
        assert_string_equal(text, wanted);
        free(text);
    }
    chunk_free(c);
}

#define EVENT(data) "id: 9\nevent: delta\ndata: {\"topic\":\"x\"," data "}\n\n"

static void only_what_is_different_is_told(void **state)
{
    struct rows a = {0}, b = {0};
    (void)state;
    for (int i = 1; i <= 3; i++) {
        add(&a, i, "old");
        add(&b, i, i == 2 ? "new" : "old");
    }
    delta_is(&a, &a, NULL);
    delta_is(&a, &b, EVENT("\"set\":[{\"id\":2,\"is\":\"new\"}],\"del\":[]"));
    add(&b, 4, "old"); /* at the end: where a page puts it */
    delta_is(
        &a, &b, EVENT("\"set\":[{\"id\":2,\"is\":\"new\"},{\"id\":4,\"is\":\"old\"}],\"del\":[]"));
    rows_free(&b);
    add(&b, 0, "old"); /* before the others */
    add(&b, 1, "old");
    delta_is(&a, &b,
        EVENT("\"set\":[{\"id\":0,\"is\":\"old\"}],\"del\":[\"2\",\"3\"],\"order\":[\"0\",\"1\"]"));
    rows_free(&a);
    rows_free(&b);
}

static void more_rows_than_are_kept_are_no_list(void **state)
{
    struct rows r = {0};
    (void)state;
    for (int i = 0; i <= ROWS_MAX; i++)
        add(&r, i, "");
    assert_true(r.failed && r.count == ROWS_MAX);
    rows_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_from_the_head_gets_the_next_number),
        cmocka_unit_test(an_older_text_is_refused),
        cmocka_unit_test(a_problem_shows_its_place),
        cmocka_unit_test(what_enable_would_change),
        cmocka_unit_test(only_what_is_different_is_told),
        cmocka_unit_test(more_rows_than_are_kept_are_no_list),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
