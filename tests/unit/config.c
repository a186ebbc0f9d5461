/* clan.yaml: refusals with their places, cross checks, what is accepted, the first one of a clan. */
#include "base/error.h"
#include "base/text.h"
#include "config/value.h"
#include "config_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* The first problem's place and a part of its text. */
struct refusal {
    const char *name, *text;
    unsigned line, column;
    const char *says;
};

static const struct refusal refusals[] = {
    {"anchor", HEAD "keeper: &k [nas]\n", 4, 9, "anchors"},
    {"alias", HEAD "keeper: *k\n", 4, 9, "aliases"},
    {"alias as key", HEAD "*k : x\n", 4, 1, "aliases"},
    {"tag", HEAD "keeper: !!seq [nas]\n", 4, 9, "tags"},
    {"own tag", "version: !x 1\n", 1, 10, "tags"},
    {"merge key", HEAD "<<: {clan: home}\n", 4, 1, "merge keys"},
    {"duplicate key", HEAD "clan: other\n", 4, 1, "stands here twice, first in line 2"},
    {"duplicate deep", HEAD "machines: {\"" ID1 "\": {name: a, name: b}}\n", 4, 78, "twice"},
    {"second document", HEAD "---\nversion: 1\n", 4, 1, "second document"},
    {"directive", "%YAML 1.1\n---\nversion: 1\n", 1, 1, "directives"},
    {"syntax", "version: 1\nclan: [a\n", 3, 1, "not YAML"},
    {"tab", "admins:\n\tthreshold: 1\n", 2, 1, "not YAML"},
    {"empty", "", 1, 1, "empty"},
    {"comment only", "# nothing\n", 1, 1, "empty"},
    {"scalar root", "hello\n", 1, 1, "expected a mapping"},
    {"list root", "- a\n", 1, 1, "expected a mapping"},
    {"not UTF-8", "version: 1\nclan: \xff\xfe\n", 2, 7, "not UTF-8"},
    {"overlong", "clan: \xc0\xaf\n", 1, 7, "not UTF-8"},
    {"surrogate", "clan: \xed\xa0\x80\n", 1, 7, "not UTF-8"},
    {"cut character", "clan: \xe2\x82", 1, 7, "not UTF-8"},
    {"byte order mark", "\xef\xbb\xbfversion: 1\n", 1, 1, "byte order mark"},
    {"control", "clan: a\x01\n", 1, 8, "control character"},
    {"escape", "# \x1b[2J\n", 1, 3, "control character"},
    {"direction", "# \xe2\x80\xae\n", 1, 3, "direction of writing"},
    {"carriage return", "version: 1\rclan: x\n", 1, 11, "CR alone"},
    {"line separator", "clan: a\xe2\x80\xa8\n", 1, 8, "line separator"},
    {"escaped line break", HEAD "keeper: [\"a\\nb\"]\n", 4, 10, "line breaks"},
    {"escaped direction", HEAD "keeper: [\"\\u202e\"]\n", 4, 10, "line breaks or control"},
    {"complex key", HEAD "? [a]\n: b\n", 4, 3, "plain word"},

    {"unknown key", HEAD "machine: {}\n", 4, 1,
        "unknown key \"machine\" (did you mean \"machines\"?)"},
    {"unknown far", HEAD "qqqqqqq: {}\n", 4, 1, "unknown key \"qqqqqqq\""},
    {"missing", "clan: home\nadmins: {threshold: 1, keys: {anna: \"" KEY1 "\"}}\n", 1, 1,
        "\"version:\" is missing"},
    {"version zero", "version: 0\n", 1, 10, "expected a number from 1 to 4294967295, got \"0\""},
    {"version sign", "version: +1\n", 1, 10, "got \"+1\""},
    {"version large", "version: 4294967296\n", 1, 10, "expected a number"},
    {"version hex", "version: 0x1\n", 1, 10, "expected a number"},
    {"version padded", "version: 01\n", 1, 10, "expected a number"},
    {"version list", "version: [1]\n", 1, 10, "got a list"},
    {"version nothing", "version:\n", 1, 9, "got nothing"},
    {"map for a list", HEAD "keeper: {a: b}\n", 4, 9, "expected a list, got a mapping"},
    {"name", HEAD "keeper: [-nas]\n", 4, 10, "expected a name"},
    {"twice in a list", HEAD MACHINES "keeper: [nas, nas]\n", 7, 15, "stands here twice"},
    {"keeper unknown", HEAD MACHINES "keeper: [nass]\n", 7, 10,
        "no machine is called \"nass\" (did you mean \"nas\"?)"},
    {"keeper without machines", HEAD "keeper: [nas]\n", 4, 10, "no machine is called \"nas\""},
    {"via of no transport of the clan", HEAD "machines: {" ID1 ": {name: nas, via: [tor]}}\n", 4,
        84, "tor is no transport of this clan"},
    {"via not in the order",
        HEAD "transports: {order: [tor]}\nmachines: {" ID1
             ": {name: nas, via: [tor, tcp-noise]}}\n",
        5, 89, "tcp-noise is no transport of this clan"},
    {"via of a service, not in the order",
        HEAD MACHINES "services:\n  files: {plugin: files, place: {on: nas}, via: [tor]}\n", 8, 50,
        "tor is no transport of this clan"},
    {"a machine of two people",
        HEAD MACHINES "people:\n  anna: {machines: [nas]}\n  bob: {machines: [nas]}\n", 9, 20,
        "nas is anna's already"},
    {"a person's machine unknown", HEAD MACHINES "people:\n  anna: {machines: [nass]}\n", 8, 21,
        "no machine is called \"nass\" (did you mean \"nas\"?)"},
    {"a role that is none", HEAD MACHINES "people:\n  anna: {machines: [nas], role: boss}\n", 8, 33,
        "expected admin, member or guest"},
    {"via of nothing", HEAD "machines: {" ID1 ": {name: nas, via: []}}\n", 4, 78, "at least 1"},
    {"via one name", HEAD "machines: {" ID1 ": {name: nas, via: tcp-noise}}\n", 4, 83,
        "expected a list"},
    {"ID short", HEAD "machines: {abc: {name: nas}}\n", 4, 12, "the ID of a machine"},
    {"ID capital",
        HEAD "machines: {A"
             "aaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq: {name: a}}\n",
        4, 12, "the ID of a machine"},
    {"ID unused bits",
        HEAD "machines: {aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypz: {name: a}}\n", 4, 12,
        "the ID of a machine"},
    {"one name twice", HEAD "machines:\n  " ID1 ": {name: a}\n  " ID2 ": {name: a}\n", 6, 64,
        "the name a is taken by a machine in line 5"},
    {"machine called all", HEAD "machines: {" ID1 ": {name: all}}\n", 4, 73,
        "means something else"},
    {"ID form of another", HEAD "machines: {" ID1 ": {name: m-aeqseize}}\n", 4, 73, "is kept for"},
    {"threshold above",
        "version: 1\nclan: home\nadmins: {threshold: 2, keys: {anna: \"" KEY1 "\"}}\n", 3, 21,
        "2 signatures of 1 admins"},
    {"threshold half",
        "version: 1\nclan: home\nadmins: {threshold: 1, keys: {anna: \"" KEY1 "\", bob: \"" KEY2
        "\"}}\n",
        3, 21, "is not more than half"},
    {"one key, two admins",
        "version: 1\nclan: home\nadmins: {threshold: 2, keys: {anna: \"" KEY1 "\", bob: \"" KEY1
        "\"}}\n",
        3, 106, "is the key of anna too"},
    {"key prefix",
        "version: 1\nclan: home\nadmins: {threshold: 1, keys: "
        "{anna: rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa}}\n",
        3, 37, "expected an Ed25519 key"},
    {"key of small order",
        "version: 1\nclan: home\nadmins: {threshold: 1, keys: "
        "{anna: \"ed25519:aeaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}}\n",
        3, 37, "expected an Ed25519 key"},
    {"no admin", "version: 1\nclan: home\nadmins: {threshold: 1, keys: {}}\n", 3, 24,
        "at least 1 entries"},
    {"service named as a machine",
        HEAD MACHINES "services: {nas: {plugin: a, place: {on: nas}, allow: []}}\n", 7, 12,
        "the name nas is taken by a machine in line 5"},
    {"place unknown", HEAD MACHINES "services: {a: {plugin: a, place: {on: laptp}, allow: []}}\n",
        7, 39, "no machine is called \"laptp\" (did you mean \"laptop\"?)"},
    {"place missing", HEAD MACHINES "services: {a: {plugin: a, place: {}, allow: []}}\n", 7, 27,
        "write {on: MACHINE}"},
    {"place by tags", HEAD MACHINES "services: {a: {plugin: a, place: {tags: [x]}, allow: []}}\n",
        7, 41, "need leases"},
    {"standby",
        HEAD MACHINES "services: {a: {plugin: a, place: {on: nas, copies: 2}, allow: []}}\n", 7, 52,
        "needs leases"},
    {"rpo", SERVICE "  b: {plugin: a, place: {on: nas, rpo: 5m}, allow: []}\n", 12, 40,
        "not there yet"},
    {"rpo wrong", SERVICE "  b: {plugin: a, place: {on: nas, rpo: 5}, allow: []}\n", 12, 40,
        "expected a time"},
    {"port", SERVICE "    port: 65536\n", 12, 11, "expected a number from 1 to 65535"},
    {"vm", SERVICE "    runtime: vm\n", 12, 14, "not there yet; write process"},
    {"runtime", SERVICE "    runtime: proces\n", 12, 14,
        "expected process or vm, got \"proces\" (did you mean \"process\"?)"},
    {"allow unknown",
        HEAD MACHINES "services: {a: {plugin: a, place: {on: nas}, allow: [laptop, phone]}}\n", 7,
        61, "no machine is called \"phone\""},
    {"allow bad tag",
        HEAD MACHINES "services: {a: {plugin: a, place: {on: nas}, allow: [\"tag:\"]}}\n", 7, 53,
        "expected all"},
    {"secret", SERVICE "    settings: {db-password: x}\n", 12, 16, "settings hold no secrets"},
    {"setting list", SERVICE "    settings: {a: [x]}\n", 12, 19, "expected a text"},
    {"services list", HEAD "services: [a]\n", 4, 11, "expected a mapping"},
    {"machines list", HEAD "machines: [{name: nas}]\n", 4, 11, "expected a mapping"},
};

static void test_refusals(void **state)
{
    (void)state;
    unsigned wrong = 0;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *r = &refusals[i];
        struct config_problems *p = problems_of(r->text, strlen(r->text), CLAN_E_INVAL);
        bool found = false;
        for (size_t k = 0; k < config_problems_count(p); k++) {
            const struct config_problem *q = config_problems_at(p, k);
            found =
                found || (q->line == r->line && q->column == r->column && strstr(q->text, r->says));
        }
        if (!found) {
            fprintf(stderr, "%s: expected %u:%u \"%s\" in\n", r->name, r->line, r->column, r->says);
            config_problems_print(p, stderr, false);
        }
        wrong += !found;
        config_problems_free(p);
    }
    assert_int_equal(wrong, 0);
}

static const char *const accepted[] = {
    HEAD,
    HEAD "machines:\nservices: {}\nkeeper: []\n",
    "---\n" HEAD "...\n",
    SERVICE,
    SERVICE "    port: 80\n    runtime: process\n    settings: {motd: 'it''s', empty: \"\"}\n",
    SERVICE "  b: {plugin: b, place: {on: laptop, copies: 1}, allow: [tag:y, provisional, nas]}\n",
    "{\"version\": 1, \"clan\": \"home\", \"admins\": {\"threshold\": 1, \"keys\": {\"anna\": "
    "\"" KEY1 "\"}}}",
    HEAD "machines: {" ID1 ": {name: m-aaaqeaye}}\n",
    HEAD "machines: {" ID1 ": {name: nas, via: [tcp-noise]}}\n",
    "version: 1\r\nclan: home\r\nadmins: {threshold: 1, keys: {anna: \"" KEY1 "\"}}\r\n",
};

static void test_accepted(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++)
        config_problems_free(problems_of(accepted[i], strlen(accepted[i]), CLAN_OK));
}

static void test_model(void **state)
{
    (void)state;
    const char *text = SERVICE "    port: 8080\n    settings: {motd: hello, n: 7}\n";
    struct config_problems *p = config_problems_new("clan.yaml");
    struct clan_config *c = NULL;
    uint8_t id[32];
    assert_int_equal(config_clan_parse(text, strlen(text), p, &c), CLAN_OK);
    assert_int_equal(c->version, 1);
    assert_string_equal(c->clan, "home");
    assert_int_equal(c->threshold, 1);
    assert_int_equal(c->admin_count, 1);
    assert_string_equal(c->admins[0].name, "anna");
    assert_int_equal(c->transport_count, 1);
    assert_string_equal(c->transports[0], "tcp-noise");
    assert_int_equal(c->machine_count, 2);
    assert_true(text_base32_decode(ID2, 52, id, 32));
    assert_memory_equal(c->machines[1].id, id, 32);
    assert_string_equal(c->machines[1].name, "laptop");
    assert_string_equal(c->machines[1].tags[0], "x");
    assert_int_equal(c->service_count, 1);
    assert_string_equal(c->services[0].on, "nas");
    assert_int_equal(c->services[0].port, 8080);
    assert_string_equal(c->services[0].allow[0], "all");
    assert_string_equal(c->services[0].settings[1].value, "7");
    config_clan_free(c);
    config_problems_free(p);
}

static void test_people(void **state)
{
    (void)state;
    static const char text[] =
        HEAD "machines: {" ID1 ": {name: nas}, " ID2 ": {name: laptop}}\n"
             "people: {anna: {machines: [nas], role: admin}, bob: {machines: [laptop]}}\n";
    struct config_problems *p = config_problems_new("clan.yaml");
    struct clan_config *c = NULL;
    assert_int_equal(config_clan_parse(text, strlen(text), p, &c), CLAN_OK);
    assert_string_equal(c->machines[0].person, "anna");
    assert_int_equal(c->machines[0].role, CONFIG_ADMIN);
    assert_string_equal(c->machines[1].person, "bob");
    assert_int_equal(c->machines[1].role, CONFIG_MEMBER);
    config_clan_free(c);
    config_problems_free(p);
}

static void test_via(void **state)
{
    (void)state;
    static const char text[] = HEAD
        "transports: {order: [wireguard, tcp-noise, tor]}\n"
        "machines: {" ID1 ": {name: nas, via: [tor, wireguard]}, " ID2 ": {name: laptop}}\n"
        "services:\n  files: {plugin: files, place: {on: nas}, via: [tcp-noise], allow: [all]}\n"
        "  free: {plugin: files, place: {on: nas}, allow: [all]}\n";
    struct config_problems *p = config_problems_new("clan.yaml");
    struct clan_config *c = NULL;
    assert_int_equal(config_clan_parse(text, strlen(text), p, &c), CLAN_OK);
    assert_int_equal(c->machines[0].via, 5);
    assert_int_equal(c->machines[1].via, 0);
    assert_int_equal(c->services[0].via, 2);
    assert_int_equal(c->services[1].via, 0);
    config_clan_free(c);
    config_problems_free(p);
}

/* All problems of one file in one go, in its order, as a person sees them. */
static void test_golden(void **state)
{
    (void)state;
    size_t size, want_size, got_size;
    char *text = slurp(CLAN_TEST_DIR "/unit/data/config-ten.yaml", &size);
    char *want = slurp(CLAN_TEST_DIR "/unit/data/config-ten.txt", &want_size), *got = NULL;
    struct config_problems *p = problems_of(text, size, CLAN_E_INVAL);
    FILE *out = open_memstream(&got, &got_size);
    config_problems_print(p, out, false);
    fclose(out);
    assert_string_equal(got, want);
    config_problems_free(p);
    free(text);
    free(want);
    free(got);
}

static void test_first(void **state)
{
    (void)state;
    uint8_t key[32], id[32] = {7};
    char *text = NULL;
    size_t size;
    assert_true(cfg_admin_key(KEY1, key));
    assert_int_equal(
        config_clan_first("home", "anna", key, id, "nas", NULL, 0, &text, &size), CLAN_OK);
    assert_non_null(strstr(text, "order: [tcp-noise]}"));
    config_problems_free(problems_of(text, size, CLAN_OK));
    free(text);
    static const char both[2][33] = {"wireguard", "tor"};
    assert_int_equal(
        config_clan_first("home", "anna", key, id, "nas", both, 2, &text, &size), CLAN_OK);
    assert_non_null(strstr(text, "order: [wireguard, tor]}"));
    config_problems_free(problems_of(text, size, CLAN_OK));
    free(text);
    /* names that YAML readers take for other things */
    assert_int_equal(config_clan_first("no", "true", key, id, "0", NULL, 0, &text, &size), CLAN_OK);
    config_problems_free(problems_of(text, size, CLAN_OK));
    free(text);
    assert_int_equal(
        config_clan_first("home", "a: b", key, id, "nas", NULL, 0, &text, &size), CLAN_E_INVAL);
    assert_int_equal(
        config_clan_first("home", "anna", key, id, "all", NULL, 0, &text, &size), CLAN_E_INVAL);
    assert_int_equal(
        config_clan_first("home", "anna", (uint8_t[32]){1}, id, "nas", NULL, 0, &text, &size),
        CLAN_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_people),
        cmocka_unit_test(test_via),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
