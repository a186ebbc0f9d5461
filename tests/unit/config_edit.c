/* Edits of clan.yaml: what is asked happens, all else stays to the byte. */
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEY1 "ed25519:rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa"
#define ID1  "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
#define ID2  "aeqseizeeutcokbjfivsyljof4ydcmrtgq2tmnzyhe5dwpb5hy7q"
#define ID3  "aiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEAD(v)                                                                                    \
    "# a clan\nversion: " v " # counts\n\nclan: home\nadmins: {threshold: 1, keys: {anna: " KEY1   \
    "}}\n"
#define BOTH  "machines:\n  " ID1 ": {name: nas} # the box\n  " ID2 ": {name: laptop}\n"
#define FILES "  files:\n    plugin: files\n    place: {on: nas}\n    allow: [all]\n"

enum what { ENABLE, DISABLE, MACHINE, GONE };
struct edit_case {
    enum what what;
    const char *a, *b; /* service and machine, ID and name */
    const char *old, *new;
};

static const struct edit_case cases[] = {
    /* services: {} becomes lines; the comment stays */
    {ENABLE, "files", "nas", HEAD("1") BOTH "services: {} # none yet\n",
        HEAD("2") BOTH "services: # none yet\n" FILES},
    {ENABLE, "files", "nas", HEAD("1") BOTH "services: {}\n# the end\n",
        HEAD("2") BOTH "services:\n" FILES "# the end\n"},
    {ENABLE, "files", "nas", HEAD("1") BOTH "services: {}", HEAD("2") BOTH "services:\n" FILES},
    {ENABLE, "files", "nas", HEAD("1") BOTH "services:\nkeeper: [nas]\n",
        HEAD("2") BOTH "services:\n" FILES "keeper: [nas]\n"},
    {ENABLE, "files", "nas", HEAD("9") BOTH, HEAD("10") BOTH "services:\n" FILES},
    /* after the last service, its comments stay with it */
    {ENABLE, "files", "nas",
        HEAD("1") BOTH
        "services:\n    web:   # first\n        plugin: web\n        place: {on: nas}\n"
        "        allow: [] # nobody\n        # port: 80\n\n# keepers\nkeeper: [nas]\n",
        HEAD("2") BOTH
        "services:\n    web:   # first\n        plugin: web\n        place: {on: nas}\n"
        "        allow: [] # nobody\n        # port: 80\n"
        "    files:\n      plugin: files\n      place: {on: nas}\n      allow: [all]\n"
        "\n# keepers\nkeeper: [nas]\n"},
    /* flow maps stay flow maps */
    {ENABLE, "files", "nas",
        HEAD("1") BOTH "services: {web: {plugin: web, place: {on: nas}, allow: []}} # x\n",
        HEAD("2") BOTH "services: {web: {plugin: web, place: {on: nas}, allow: []}, "
                       "files: {plugin: files, place: {on: nas}, allow: [all]}} # x\n"},
    {ENABLE, "files", "nas", HEAD("1") BOTH "services: { # none\n  }\n",
        HEAD("2") BOTH
        "services: {files: {plugin: files, place: {on: nas}, allow: [all]} # none\n  }\n"},
    {ENABLE, "on", "nas", HEAD("1") BOTH "services: {}\n",
        HEAD("2") BOTH
        "services:\n  \"on\":\n    plugin: files\n    place: {on: nas}\n    allow: [all]\n"},
    {ENABLE, "files", "nas",
        "{version: 1, clan: home, admins: {threshold: 1, keys: {anna: \"" KEY1
        "\"}}, machines: {" ID1 ": {name: nas}}}",
        "{version: 2, clan: home, admins: {threshold: 1, keys: {anna: \"" KEY1
        "\"}}, machines: {" ID1
        ": {name: nas}}, services: {files: {plugin: files, place: {on: nas}, allow: [all]}}}"},
    {ENABLE, "files", "nas",
        "version: 1\r\nclan: home\r\nadmins: {threshold: 1, keys: {anna: \"" KEY1
        "\"}}\r\nmachines: {" ID1 ": {name: nas}}\r\nservices: {}\r\n",
        "version: 2\r\nclan: home\r\nadmins: {threshold: 1, keys: {anna: \"" KEY1
        "\"}}\r\nmachines: {" ID1
        ": {name: nas}}\r\nservices:\r\n  files:\r\n    plugin: files\r\n    place: {on: nas}\r\n"
        "    allow: [all]\r\n"},

    {DISABLE, "files", NULL, HEAD("1") BOTH "services: # all\n" FILES "# end\n",
        HEAD("2") BOTH "services: {} # all\n# end\n"},
    {DISABLE, "files", NULL,
        HEAD("1") BOTH "services:\n" FILES
                       "    # its comment\n  # the next\n  web:\n    plugin: w\n"
                       "    place: {on: nas}\n    allow: []\n",
        HEAD("2") BOTH "services:\n  # the next\n  web:\n    plugin: w\n    place: {on: nas}\n"
                       "    allow: []\n"},
    {DISABLE, "web", NULL,
        HEAD("1") BOTH "services:\n" FILES "\n  web: {plugin: w, place: {on: nas}, allow: []}\n",
        HEAD("2") BOTH "services:\n" FILES "\n"},
    {DISABLE, "web", NULL,
        HEAD("1") BOTH "services: {web: {plugin: w, place: {on: nas}, allow: []}}\n",
        HEAD("2") BOTH "services: {}\n"},
    {DISABLE, "web", NULL,
        HEAD("1") BOTH "services: {a: {plugin: w, place: {on: nas}, allow: []}, web: {plugin: w, "
                       "place: {on: nas}, allow: []}}\n",
        HEAD("2") BOTH "services: {a: {plugin: w, place: {on: nas}, allow: []}}\n"},
    {DISABLE, "web", NULL,
        HEAD("1") BOTH "services: {\n  web: {plugin: w, place: {on: nas}, allow: []},\n"
                       "  # kept\n  a: {plugin: w, place: {on: nas}, allow: []}\n}\n",
        HEAD("2") BOTH "services: {\n  # kept\n  a: {plugin: w, place: {on: nas}, allow: []}\n}\n"},

    {MACHINE, ID3, "phone", HEAD("1") BOTH, HEAD("2") BOTH "  \"" ID3 "\": {name: phone}\n"},
    {MACHINE, ID3, "phone", HEAD("1"), HEAD("2") "machines:\n  \"" ID3 "\": {name: phone}\n"},
    {MACHINE, ID3, "phone", HEAD("1") "machines: {}\n",
        HEAD("2") "machines:\n  \"" ID3 "\": {name: phone}\n"},
    {MACHINE, ID3, "no", HEAD("1") "machines: {" ID1 ": {name: nas,},}\n",
        HEAD("2") "machines: {" ID1 ": {name: nas,}, \"" ID3 "\": {name: \"no\"},}\n"},
    /* the new name is used everywhere */
    {MACHINE, ID1, "box",
        HEAD("1") BOTH "keeper: [laptop, 'nas']\nservices:\n  files:\n    plugin: nas\n"
                       "    place: {on: nas}\n    allow:\n      - laptop\n      - nas # mine\n",
        HEAD("2") "machines:\n  " ID1 ": {name: box} # the box\n  " ID2 ": {name: laptop}\n"
                  "keeper: [laptop, box]\nservices:\n  files:\n    plugin: nas\n"
                  "    place: {on: box}\n    allow:\n      - laptop\n      - box # mine\n"},
    {MACHINE, ID1, "nas", HEAD("1") BOTH, HEAD("2") BOTH},

    {GONE, ID2, NULL,
        HEAD("1") BOTH "services: {a: {plugin: w, place: {on: nas}, allow: [laptop, nas]}}\n",
        HEAD("2") "machines:\n  " ID1 ": {name: nas} # the box\nservices: {a: {plugin: w, place: "
                  "{on: nas}, allow: [nas]}}\n"},
    {GONE, ID2, NULL,
        HEAD("1") BOTH "services: {a: {plugin: w, place: {on: nas}, allow: [nas, laptop]}}\n",
        HEAD("2") "machines:\n  " ID1 ": {name: nas} # the box\nservices: {a: {plugin: w, place: "
                  "{on: nas}, allow: [nas]}}\n"},
    {GONE, ID2, NULL,
        HEAD("1") BOTH
        "services:\n  a:\n    plugin: w\n    place: {on: nas}\n    allow:\n    - laptop\n",
        HEAD("2") "machines:\n  " ID1 ": {name: nas} # the box\nservices:\n  a:\n    plugin: w\n"
                  "    place: {on: nas}\n    allow: []\n"},
    {GONE, ID1, NULL, HEAD("1") "machines:\n  # only\n  " ID1 ":\n    name: nas\n    tags: [x]\n",
        HEAD("2") "machines: {}\n  # only\n"},
};

static clan_status run(const struct edit_case *c, const char *text, size_t size, char **ret_text,
    size_t *ret_size, struct clan_error *e)
{
    uint8_t id[32];
    if (c->what == ENABLE)
        return config_edit_enable(text, size,
            &(struct config_service_wanted){c->a, "files", c->b, NULL, 0, NULL, 0}, ret_text,
            ret_size, e);
    if (c->what == DISABLE)
        return config_edit_disable(text, size, c->a, ret_text, ret_size, e);
    assert_true(text_base32_decode(c->a, 52, id, 32));
    if (c->what == MACHINE)
        return config_edit_machine(text, size, id, c->b, ret_text, ret_size, e);
    return config_edit_machine_gone(text, size, id, ret_text, ret_size, e);
}

static void test_edits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct clan_error e = CLAN_ERROR_INIT;
        char *got = NULL;
        size_t size;
        clan_status s = run(&cases[i], cases[i].old, strlen(cases[i].old), &got, &size, &e);
        if (s != CLAN_OK)
            fprintf(stderr, "case %zu: %s: %s\n", i, e.what, e.why);
        assert_int_equal(s, CLAN_OK);
        assert_int_equal(strlen(got), size);
        assert_string_equal(got, cases[i].new);
        free(got);
    }
}

static const struct {
    enum what what;
    const char *a, *b, *old;
    clan_status expected;
} refused[] = {
    {ENABLE, "files", "nas", HEAD("1") BOTH "services:\n" FILES, CLAN_E_EXIST},
    {ENABLE, "laptop", "nas", HEAD("1") BOTH, CLAN_E_EXIST},
    {ENABLE, "files", "phone", HEAD("1") BOTH, CLAN_E_NOENT},
    {ENABLE, "Files", "nas", HEAD("1") BOTH, CLAN_E_INVAL},
    {ENABLE, "a: b", "nas", HEAD("1") BOTH, CLAN_E_INVAL},
    {ENABLE, "all", "nas", HEAD("1") BOTH, CLAN_E_INVAL},
    {ENABLE, "files", "nas", "version: x\n", CLAN_E_INVAL},
    {ENABLE, "files", "nas", HEAD("4294967295") BOTH, CLAN_E_LIMIT},
    {DISABLE, "files", NULL, HEAD("1") BOTH, CLAN_E_NOENT},
    {MACHINE, ID3, "nas", HEAD("1") BOTH, CLAN_E_EXIST},
    {MACHINE, ID2, "nas", HEAD("1") BOTH, CLAN_E_EXIST},
    {MACHINE, ID3, "files", HEAD("1") BOTH "services:\n" FILES, CLAN_E_EXIST},
    {MACHINE, ID3, "provisional", HEAD("1") BOTH, CLAN_E_INVAL},
    {MACHINE, ID3, "m-aaaqeaye", HEAD("1") BOTH, CLAN_E_INVAL},
    {GONE, ID3, NULL, HEAD("1") BOTH, CLAN_E_NOENT},
    {GONE, ID1, NULL, HEAD("1") BOTH "keeper: [nas]\n", CLAN_E_CONFLICT},
    {GONE, ID1, NULL, HEAD("1") BOTH "services:\n" FILES, CLAN_E_CONFLICT},
    /* a form that is not edited: nothing changes, and that is said */
    {DISABLE, "files", NULL,
        HEAD("1") BOTH "services:\n  ? files\n  : {plugin: f, place: {on: nas}, allow: []}\n",
        CLAN_E_STATE},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct edit_case c = {refused[i].what, refused[i].a, refused[i].b, NULL, NULL};
        struct clan_error e = CLAN_ERROR_INIT;
        char *got = NULL;
        size_t size = 7;
        clan_status s = run(&c, refused[i].old, strlen(refused[i].old), &got, &size, &e);
        if (s != refused[i].expected)
            fprintf(stderr, "case %zu: %d %s\n%s", i, s, e.what, got ? got : "");
        assert_int_equal(s, refused[i].expected);
        assert_null(got);
        assert_int_equal(size, 7);
        assert_true(e.what[0] != 0);
    }
}

/* What people type comes back as they typed it, whatever it means in YAML. */
static void test_settings(void **state)
{
    static const char *const values[] = {"Our photos", "true", "7", "007", "", "null", "- a",
        "a: b", "\"quoted\" \\ #", "{x}", "Größe \xf0\x9f\x93\xb7", "'", "1e3", "~", "yes",
        "&a *b !c %d @e `f", "12345678901"};
    static const char *const bad[] = {
        "title", "=x", "Title=x", "-a=x", "a b=x", "a=x\ny", "a=\x1b[2J", "a=\xff"};
    const char *old = HEAD("1") BOTH, *none[] = {"a=1", "a=2"};
    char word[64];
    const char *words[] = {word, "n=1"};
    (void)state;
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        struct clan_error e = CLAN_ERROR_INIT;
        struct clan_config *cfg = NULL;
        struct config_problems *p = config_problems_new("clan.yaml");
        char *got = NULL;
        size_t size;
        snprintf(word, sizeof word, "some_key=%s", values[i]);
        const struct config_service_wanted w = {"files", "files", "nas", NULL, 0, words, 2};
        clan_status st = config_edit_enable(old, strlen(old), &w, &got, &size, &e);
        if (st != CLAN_OK || config_clan_parse(got, size, p, &cfg) != CLAN_OK)
            fail_msg("%s: %s %s", word, e.what, e.why);
        assert_int_equal(cfg->services[0].setting_count, 2);
        assert_string_equal(cfg->services[0].settings[0].key, "some_key");
        assert_string_equal(cfg->services[0].settings[0].value, values[i]);
        config_clan_free(cfg);
        config_problems_free(p);
        free(got);
    }
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct config_service_wanted w = {"files", "files", "nas", NULL, 0, &bad[i], 1};
        char *got = NULL;
        size_t size;
        if (config_edit_enable(old, strlen(old), &w, &got, &size, NULL) != CLAN_E_INVAL)
            fail_msg("case %u was taken: %s", i, got);
    }
    const struct config_service_wanted twice = {"files", "files", "nas", NULL, 0, none, 2};
    char *got = NULL;
    size_t size;
    assert_int_equal(config_edit_enable(old, strlen(old), &twice, &got, &size, NULL), CLAN_E_INVAL);
}

static void test_allow(void **state)
{
    (void)state;
    static const char *const allow[] = {"tag:family", "provisional", "laptop"};
    static const char *const unknown[] = {"phone"};
    static const char *const twice[] = {"all", "all"};
    const char *old = HEAD("1") BOTH;
    struct clan_error e = CLAN_ERROR_INIT;
    char *got = NULL;
    size_t size;
    assert_int_equal(
        config_edit_enable(old, strlen(old),
            &(struct config_service_wanted){"files", "files", "nas", allow, 3, NULL, 0}, &got,
            &size, &e),
        CLAN_OK);
    assert_non_null(strstr(got, "allow: [\"tag:family\", provisional, laptop]\n"));
    free(got);
    got = NULL;
    assert_int_equal(
        config_edit_enable(old, strlen(old),
            &(struct config_service_wanted){"files", "files", "nas", unknown, 1, NULL, 0}, &got,
            &size, &e),
        CLAN_E_NOENT);
    assert_int_equal(
        config_edit_enable(old, strlen(old),
            &(struct config_service_wanted){"files", "files", "nas", twice, 2, NULL, 0}, &got,
            &size, &e),
        CLAN_E_INVAL);
    assert_null(got);
}

static void test_version(void **state)
{
    (void)state;
    const char *old = HEAD("'7'") BOTH;
    struct clan_error e = CLAN_ERROR_INIT;
    char *got = NULL;
    size_t size;
    assert_int_equal(config_edit_version(old, strlen(old), 12, &got, &size, &e), CLAN_OK);
    assert_string_equal(got, HEAD("12") BOTH);
    free(got);
    got = NULL;
    assert_int_equal(config_edit_version(old, strlen(old), 0, &got, &size, &e), CLAN_E_INVAL);
    assert_int_equal(
        config_edit_version(old, strlen(old), UINT64_C(1) << 32, &got, &size, &e), CLAN_E_LIMIT);
    assert_null(got);
}

/* The commented example: a service goes, comes back, and every comment is still there. */
static void test_example(void **state)
{
    (void)state;
    char *text = NULL, *less = NULL, *again = NULL;
    size_t size, less_size, again_size;
    struct clan_error e = CLAN_ERROR_INIT;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(config_generate("example-clan", out), CLAN_OK);
    fclose(out);
    assert_int_equal(config_edit_disable(text, size, "files", &less, &less_size, &e), CLAN_OK);
    assert_int_equal(config_edit_enable(less, less_size,
                         &(struct config_service_wanted){"files", "files", "nas", NULL, 0, NULL, 0},
                         &again, &again_size, &e),
        CLAN_OK);
    char *v = strstr(again, "\nversion: 9\n");
    assert_non_null(v);
    v[10] = '7';
    assert_string_equal(again, text);
    free(text);
    free(less);
    free(again);
}

static void test_machines_cap(void **state)
{
    (void)state;
    char *text = NULL, *got = NULL;
    size_t size, got_size;
    struct clan_error e = CLAN_ERROR_INIT;
    FILE *out = open_memstream(&text, &size);
    fputs(HEAD("1") "machines:\n", out);
    for (unsigned i = 0; i < CONFIG_MACHINES_MAX - 1; i++) {
        uint8_t id[32] = {1, (uint8_t)(i >> 8), (uint8_t)i};
        char id_text[53];
        text_base32(id, 32, id_text);
        fprintf(out, "  %s: {name: n%u}\n", id_text, i);
    }
    fclose(out);
    uint8_t one[32] = {2}, two[32] = {3};
    assert_int_equal(config_edit_machine(text, size, one, "one", &got, &got_size, &e), CLAN_OK);
    free(text);
    text = NULL;
    assert_int_equal(
        config_edit_machine(got, got_size, two, "two", &text, &size, &e), CLAN_E_LIMIT);
    assert_null(text);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_allow),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_machines_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
