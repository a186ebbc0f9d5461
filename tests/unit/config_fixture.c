/* What the tests of clan.yaml share. */
#include "config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

char *slurp(const char *path, size_t *ret_size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = calloc(1, 1 << 20);
    assert_non_null(data);
    *ret_size = fread(data, 1, (1 << 20) - 1, f);
    fclose(f);
    return data;
}

struct config_problems *problems_of(const char *text, size_t size, clan_status expected)
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

double seconds_since(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

/* Files made to be slow: no more than a generous guard for a loaded machine. */
