/* Sizes, times, percentages of a configuration; the difference of two texts. */
#include "config/value.h"
#include "config_fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

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
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_diff),
        cmocka_unit_test(test_diff_applies),
        cmocka_unit_test(test_diff_large),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
