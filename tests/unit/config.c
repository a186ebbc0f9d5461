/* clan.yaml: refusals with their places, cross checks, limits, examples, schema, diff. */
#include "config/config.h"
#include "base/error.h"
#include "base/text.h"
#include "config/value.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define KEY1     "ed25519:rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa"
#define KEY2     "ed25519:qe4xodvipulv6vvdkrtmgtd6ztfy3curwtxdpis56yhvxd6jwoka"
#define ID1      "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"
#define ID2      "aeqseizeeutcokbjfivsyljof4ydcmrtgq2tmnzyhe5dwpb5hy7q"
#define HEAD     "version: 1\nclan: home\nadmins: {threshold: 1, keys: {anna: \"" KEY1 "\"}}\n"
#define MACHINES "machines:\n  \"" ID1 "\": {name: nas}\n  \"" ID2 "\": {name: laptop, tags: [x]}\n"
/* a service in line 8 to 11 */
#define SERVICE                                                                                    \
    HEAD MACHINES "services:\n  files:\n    plugin: files\n    place: {on: nas}\n    allow: "      \
                  "[all]\n"

static char *slurp(const char *path, size_t *ret_size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = calloc(1, 1 << 20);
    assert_non_null(data);
    *ret_size = fread(data, 1, (1 << 20) - 1, f);
    fclose(f);
    return data;
}

static struct config_problems *problems_of(const char *text, size_t size, clan_status expected)
{
    struct config_problems *p = config_problems_new("clan.yaml");
    struct clan_config *c = NULL;
    assert_non_null(p);
    clan_status s = config_clan_parse(text, size, p, &c);
    if (s != expected)
        config_problems_print(p, stderr, false);
    assert_int_equal(s, expected);
    assert_true(expected == CLAN_OK ? c != NULL : c == NULL);
    config_clan_free(c);
    return p;
}

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

/* ---- limits: at the cap and one above ---- */

static char *repeat(const char *head, const char *fmt, unsigned count, const char *tail)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs(head, out);
    for (unsigned i = 0; i < count; i++) {
        uint8_t id[32] = {(uint8_t)(i >> 8), (uint8_t)i};
        char id_text[53], line[512];
        text_base32(id, 32, id_text);
        /* %ID and %N in the pattern */
        size_t len = 0;
        for (const char *f = fmt; *f; f++) {
            if (strncmp(f, "%ID", 3) == 0) {
                len += (size_t)sprintf(line + len, "%s", id_text);
                f += 2;
            } else if (strncmp(f, "%N", 2) == 0) {
                len += (size_t)sprintf(line + len, "%u", i);
                f += 1;
            } else {
                line[len++] = *f;
            }
        }
        fwrite(line, 1, len, out);
    }
    fputs(tail, out);
    fclose(out);
    return text;
}

static const struct {
    const char *head, *each, *tail;
    unsigned cap;
} limits[] = {
    {HEAD "machines:\n", "  %ID: {name: n%N, tags: [a, b]}\n", "", CONFIG_MACHINES_MAX},
    {HEAD MACHINES "services:\n", "  s%N: {plugin: p, place: {on: nas}, allow: [all]}\n", "",
        CONFIG_SERVICES_MAX},
    {HEAD "machines:\n", "  %ID: {name: n%N}\n", "keeper: [n0, n1, n2, n3, n4]\n",
        CONFIG_MACHINES_MAX},
    {HEAD "machines: {" ID1 ": {name: nas, tags: [", "t%N, ", "]}}\n", CONFIG_TAGS_MAX},
    {HEAD MACHINES "services: {a: {plugin: p, place: {on: nas}, allow: [", "tag:t%N, ", "]}}\n",
        CONFIG_ALLOW_MAX},
    {HEAD MACHINES "services: {a: {plugin: p, place: {on: nas}, allow: [], settings: {", "k%N: v, ",
        "}}}\n", CONFIG_SETTINGS_MAX},
    {HEAD "transports: {order: [", "t%N, ", "]}\n", 8},
};

static void test_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        char *text = repeat(limits[i].head, limits[i].each, limits[i].cap, limits[i].tail);
        config_problems_free(problems_of(text, strlen(text), CLAN_OK));
        free(text);
        text = repeat(limits[i].head, limits[i].each, limits[i].cap + 1, limits[i].tail);
        struct config_problems *p = problems_of(text, strlen(text), CLAN_E_INVAL);
        assert_non_null(strstr(config_problems_at(p, 0)->text, "at most"));
        config_problems_free(p);
        free(text);
    }
}

static void test_text_limits(void **state)
{
    (void)state;
    char text[2048];
    for (int n = 255; n <= 256; n++) {
        snprintf(text, sizeof text, "%s    settings: {a: %0*d}\n", SERVICE, n, 0);
        config_problems_free(problems_of(text, strlen(text), n == 255 ? CLAN_OK : CLAN_E_INVAL));
    }
    for (int n = 63; n <= 64; n++) {
        snprintf(text, sizeof text, "%s    settings: {%0*d: a}\n", SERVICE, n, 0);
        config_problems_free(problems_of(text, strlen(text), n == 63 ? CLAN_OK : CLAN_E_INVAL));
    }
    for (int n = 31; n <= 32; n++) {
        snprintf(text, sizeof text, "%stransports: {order: [%0*d]}\n", HEAD, n, 0);
        config_problems_free(problems_of(text, strlen(text), n == 31 ? CLAN_OK : CLAN_E_INVAL));
    }
    for (int n = 32; n <= 33; n++) {
        snprintf(text, sizeof text, "%smachines: {%s: {name: %0*d}}\n", HEAD, ID1, n, 0);
        config_problems_free(problems_of(text, strlen(text), n == 32 ? CLAN_OK : CLAN_E_INVAL));
    }
}

static void test_size(void **state)
{
    (void)state;
    char *text = malloc(CONFIG_FILE_MAX + 1);
    size_t head = strlen(HEAD);
    memcpy(text, HEAD, head);
    memset(text + head, '#', CONFIG_FILE_MAX + 1 - head);
    config_problems_free(problems_of(text, CONFIG_FILE_MAX, CLAN_OK));
    struct config_problems *p = problems_of(text, CONFIG_FILE_MAX + 1, CLAN_E_INVAL);
    assert_non_null(strstr(config_problems_at(p, 0)->text, "at most 1048576"));
    config_problems_free(p);
    free(text);
}

static void test_depth(void **state)
{
    (void)state;
    for (unsigned depth = 63; depth <= 64; depth++) { /* the root is a level too */
        char text[512] = "version: ";
        for (unsigned i = 0; i < depth; i++)
            strcat(text, "[");
        for (unsigned i = 0; i < depth; i++)
            strcat(text, "]");
        struct config_problems *p = problems_of(text, strlen(text), CLAN_E_INVAL);
        assert_int_equal(strstr(config_problems_at(p, 0)->text, "64 levels") != NULL, depth == 64);
        config_problems_free(p);
    }
}

/* A file full of mistakes shows its first hundred and says how many more there are. */
static void test_many(void **state)
{
    (void)state;
    char *text = repeat(HEAD, "x%N: 1\n", 150, ""), *got = NULL;
    size_t size;
    struct config_problems *p = problems_of(text, strlen(text), CLAN_E_INVAL);
    assert_int_equal(config_problems_count(p), CONFIG_ERRORS_MAX);
    for (unsigned i = 0; i < CONFIG_ERRORS_MAX; i++)
        assert_int_equal(config_problems_at(p, i)->line, 4 + i);
    FILE *out = open_memstream(&got, &size);
    config_problems_print(p, out, false);
    fclose(out);
    assert_non_null(strstr(got, "and 50 more"));
    config_problems_free(p);
    free(text);
    free(got);
}

static double seconds_since(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

/* Files made to be slow: no more than a generous guard for a loaded machine. */
static void test_slow_files(void **state)
{
    (void)state;
    static const char *const patterns[] = {"[", "a:", "{a", "- ", "a: b\n", "[a,", "? ", "&a ",
        "\"\\n\" ", "a\n", "x: {", "\n\n", "'", "| ", "<<: a\n"};
    char *text = malloc(CONFIG_FILE_MAX);
    struct timespec start;
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        size_t len = strlen(patterns[i]);
        for (size_t k = 0; k < CONFIG_FILE_MAX; k++)
            text[k] = patterns[i][k % len];
        clock_gettime(CLOCK_MONOTONIC, &start);
        config_problems_free(problems_of(text, CONFIG_FILE_MAX, CLAN_E_INVAL));
        double took = seconds_since(&start);
        if (took > 1)
            fprintf(stderr, "pattern \"%s\": %.2f s\n", patterns[i], took);
        assert_true(took < 15);
    }
    free(text);
}

static void test_caret_window(void **state)
{
    (void)state;
    char text[4096] = HEAD "keeper: [", *got = NULL;
    size_t size;
    memset(text + strlen(text), ' ', 3000);
    strcat(text, "QQQ]\n");
    struct config_problems *p = problems_of(text, strlen(text), CLAN_E_INVAL);
    FILE *out = open_memstream(&got, &size);
    config_problems_print(p, out, true);
    fclose(out);
    char *line = strstr(got, "    4 | "), *caret = strstr(got, "\033[1;32m^~~");
    assert_non_null(line);
    assert_non_null(caret);
    char *row = strstr(got, "\n      | ") + 1;
    assert_true(strchr(line, 'Q') - line == caret - row);
    config_problems_free(p);
    free(got);
}

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

static void test_first(void **state)
{
    (void)state;
    uint8_t key[32], id[32] = {7};
    char *text = NULL;
    size_t size;
    assert_true(cfg_admin_key(KEY1, key));
    assert_int_equal(config_clan_first("home", "anna", key, id, "nas", &text, &size), CLAN_OK);
    config_problems_free(problems_of(text, size, CLAN_OK));
    free(text);
    /* names that YAML readers take for other things */
    assert_int_equal(config_clan_first("no", "true", key, id, "0", &text, &size), CLAN_OK);
    config_problems_free(problems_of(text, size, CLAN_OK));
    free(text);
    assert_int_equal(config_clan_first("home", "a: b", key, id, "nas", &text, &size), CLAN_E_INVAL);
    assert_int_equal(config_clan_first("home", "anna", key, id, "all", &text, &size), CLAN_E_INVAL);
    assert_int_equal(
        config_clan_first("home", "anna", (uint8_t[32]){1}, id, "nas", &text, &size), CLAN_E_INVAL);
}

/* ---- values ---- */

static void test_values(void **state)
{
    (void)state;
    uint64_t v;
    unsigned percent;
    assert_true(cfg_size("20G", &v) && v == UINT64_C(20) << 30);
    assert_true(cfg_size("1K", &v) && v == 1024);
    assert_true(cfg_size("2048T", &v) && v == UINT64_C(1) << 51);
    assert_true(cfg_percent("100%", &percent) && percent == 100);
    assert_true(cfg_duration("5m", &v) && v == 300);
    assert_true(cfg_duration("3650d", &v) && v == UINT64_C(315360000));
    assert_true(cfg_number("18446744073709551615", 0, UINT64_MAX, &v) && v == UINT64_MAX);
    static const char *const sizes[] = {"", "G", "20", "20g", "20GB", "0G", "020G", "-1G", "1.5G",
        " 1G", "1 G", "2049T", "99999999999999999999G"};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        assert_false(cfg_size(sizes[i], &v));
    static const char *const percents[] = {"0%", "101%", "50", "%", "5 %", "050%", "50%%"};
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++)
        assert_false(cfg_percent(percents[i], &percent));
    static const char *const times[] = {"5", "m", "0m", "5min", "3651d", "1h30m", "5M"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_false(cfg_duration(times[i], &v));
    assert_false(cfg_number("18446744073709551616", 0, UINT64_MAX, &v));
    assert_false(cfg_number("", 0, 9, &v));
}

/* ---- diff ---- */

static char *diff_of(const char *a, size_t a_size, const char *b, size_t b_size)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    config_diff(a, a_size, b, b_size, "a", "b", out, false);
    fclose(out);
    return text;
}

static void test_diff(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b, *want;
    } cases[] = {
        {"a\n", "a\n", ""},
        {"", "", ""},
        {"", "a\n", "--- a\n+++ b\n@@ -0,0 +1 @@\n+a\n"},
        {"a\n", "", "--- a\n+++ b\n@@ -1 +0,0 @@\n-a\n"},
        {"a\nb\nc\n", "a\nx\nc\n", "--- a\n+++ b\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n"},
        {"a", "a\n", "--- a\n+++ b\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\nx\n5\n6\n7\n8\n9\n",
            "--- a\n+++ b\n@@ -2,6 +2,7 @@\n 2\n 3\n 4\n+x\n 5\n 6\n 7\n"},
        {"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "x\n2\n3\n4\n5\n6\n7\n8\ny\n",
            "--- a\n+++ b\n@@ -1,4 +1,4 @@\n-1\n+x\n 2\n 3\n 4\n@@ -6,4 +6,4 @@\n 6\n 7\n "
            "8\n-9\n+y\n"},
        /* six equal lines join two changes, as diff -u does */
        {"1\n2\n3\n4\n5\n6\n7\n8\n", "x\n2\n3\n4\n5\n6\n7\ny\n",
            "--- a\n+++ b\n@@ -1,8 +1,8 @@\n-1\n+x\n 2\n 3\n 4\n 5\n 6\n 7\n-8\n+y\n"},
        {"a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n",
            "--- a\n+++ b\n@@ -1,7 +1,6 @@\n-a\n-b\n c\n+b\n a\n b\n-b\n a\n+c\n"},
        {"a\x1b[2J\n", "", "--- a\n+++ b\n@@ -1 +0,0 @@\n-a?[2J\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *got = diff_of(cases[i].a, strlen(cases[i].a), cases[i].b, strlen(cases[i].b));
        assert_string_equal(got, cases[i].want);
        free(got);
    }
}

/* Applies a diff as patch(1) would; the bounds of the hunks must be right for that. */
static void test_diff_applies(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (unsigned round = 0; round < 300; round++) {
        char a[256] = "", b[256] = "", built[512] = "";
        for (unsigned i = 0; i < 30; i++) {
            seed = seed * 1103515245 + 12345;
            char line[3] = {(char)('a' + (seed >> 16) % 3), '\n', 0};
            unsigned what = (seed >> 24) % 6;
            if (what != 0)
                strcat(a, line);
            if (what != 1)
                strcat(b, line);
        }
        char *d = diff_of(a, strlen(a), b, strlen(b));
        const char *from = a;
        unsigned line_now = 1;
        for (char *save, *l = strtok_r(d, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
            unsigned start, count = 1;
            if (strncmp(l, "---", 3) == 0 || strncmp(l, "+++", 3) == 0)
                continue;
            if (l[0] == '@') {
                sscanf(l, "@@ -%u,%u", &start, &count);
                for (; line_now < start + (count == 0); line_now++, from += 2)
                    sprintf(built + strlen(built), "%.2s", from);
                continue;
            }
            if (l[0] != '+') {
                assert_int_equal(from[0], l[1]);
                from += 2;
                line_now++;
            }
            if (l[0] != '-') {
                sprintf(built + strlen(built), "%c\n", l[1]);
            }
        }
        strcat(built, from);
        assert_string_equal(built, b);
        free(d);
    }
}

static void test_diff_large(void **state)
{
    (void)state;
    size_t size = CONFIG_FILE_MAX;
    char *a = malloc(size), *b = malloc(size);
    for (unsigned kind = 0; kind < 4; kind++) {
        unsigned seed = kind;
        for (size_t i = 0; i < size; i++) {
            seed = seed * 1103515245 + 12345;
            a[i] = i % 2 ? '\n' : kind == 1 ? 'a' : (char)('a' + (seed >> 16) % 26);
            b[i] = i % 2 ? '\n' : (char)('a' + (seed >> 20) % (kind == 2 ? 2 : 26));
        }
        if (kind == 3) /* equal but for every 600th line */
            for (size_t i = 0; i < size; i++)
                b[i] = i % 1200 ? a[i] : 'Z';
        struct timespec start;
        clock_gettime(CLOCK_MONOTONIC, &start);
        free(diff_of(a, size, b, size));
        double took = seconds_since(&start);
        if (took > 1)
            fprintf(stderr, "diff %u: %.2f s\n", kind, took);
        assert_true(took < 15);
    }
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_text_limits),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_slow_files),
        cmocka_unit_test(test_caret_window),
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_default_machine),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_first),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_applies),
        cmocka_unit_test(test_diff_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
