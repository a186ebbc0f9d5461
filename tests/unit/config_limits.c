/* clan.yaml at its limits and one above, and files that would take long to read. */
#include "base/text.h"
#include "config_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_text_limits),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_slow_files),
        cmocka_unit_test(test_caret_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
