/* systemd-resolved: three settings of one interface in order, one answer, the first that went wrong. */
#include "hostsfile/resolved.h"
#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The tool is played: what it was told, and what it answers. */
static char told[3][128];
static unsigned calls, answers;
static int fails_at; /* -1: none */

void tool_run(
    enum tool_lane lane, const char *const *argv, struct text *input, tool_fn *fn, void *arg)
{
    assert_int_equal(lane, TOOL_RULES);
    assert_null(input);
    assert_true(calls < 3);
    char *to = told[calls];
    for (to[0] = 0; *argv; argv++) {
        strcat(to, *argv);
        strcat(to, argv[1] ? " " : "");
    }
    struct clan_error e = CLAN_ERROR_INIT;
    err_set(&e, CLAN_E_IO, "call %u failed", calls);
    bool fails = fails_at >= 0 && (int)calls >= fails_at;
    calls++;
    fn(arg, fails ? &e : NULL);
}

static void answered(void *arg, const struct clan_error *e)
{
    char *what = arg;
    answers++;
    snprintf(what, 160, "%s", e ? e->what : "");
}

static void three_settings(void **state)
{
    (void)state;
    static const uint8_t resolver[16] = {0xfd, 1, 2, 3, 4, 5, [15] = 0x53};
    char what[160] = "";
    for (fails_at = -1; fails_at < 3; fails_at++) {
        calls = answers = 0;
        resolved_set("clan0", resolver, "home.clan", answered, what);
        assert_int_equal(calls, 3);
        assert_int_equal(answers, 1);
        assert_string_equal(told[0], "/usr/bin/resolvectl dns clan0 fd01:203:405::53");
        assert_string_equal(told[1], "/usr/bin/resolvectl domain clan0 ~home.clan");
        assert_string_equal(told[2], "/usr/bin/resolvectl default-route clan0 no");
        char first[32];
        snprintf(first, sizeof first, "call %d failed", fails_at);
        assert_string_equal(what, fails_at < 0 ? "" : first);
    }
}

static void owners_word(void **state)
{
    (void)state;
    assert_true(resolved_chosen(GRANT_DNS_RESOLVED));
    assert_int_equal(resolved_chosen(GRANT_DNS_AUTO), resolved_runs());
    assert_false(resolved_chosen(GRANT_DNS_HOSTS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_settings), cmocka_unit_test(owners_word)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
