/* What `clan status` says of Tor, out of lines as tor 0.4.9 sends them. */
#include "health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char text[HEALTH_TEXT];

static void says(struct health *h, const char *event, const char *expected)
{
    assert_true(health_event(h, event));
    assert_false(health_text(h, text));
    if (!strstr(text, expected))
        fail_msg("\"%s\" has no \"%s\"", text, expected);
}

static void works(struct health *h, const char *event)
{
    assert_true(health_event(h, event));
    assert_true(health_text(h, text));
    assert_string_equal(text, "");
}

#define CLIENT "STATUS_CLIENT NOTICE BOOTSTRAP "
#define WARNING                                                                                    \
    "STATUS_CLIENT WARN BOOTSTRAP PROGRESS=5 TAG=conn SUMMARY=\"Connecting to a relay\" "
#define DONE CLIENT "PROGRESS=100 TAG=done SUMMARY=\"Done\""

static void start(void **state)
{
    (void)state;
    struct health h = {0};
    says(&h, "status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=0 TAG=starting SUMMARY=\"Starting\"",
        "Tor is connecting, 0 %: Starting");
    h.stalled = true;
    assert_false(health_text(&h, text));
    assert_non_null(strstr(text, "0 %, and nothing answers; see that this computer is online"));
    h.stalled = false;
    says(&h,
        CLIENT "PROGRESS=45 TAG=requesting_descriptors SUMMARY=\"Asking for relay descriptors\"",
        "45 %: Asking for relay descriptors");
    works(&h, DONE);
    works(&h, "status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=100 TAG=done SUMMARY=\"Done\"");
}

static void warnings(void **state)
{
    (void)state;
    static const char *const rows[][2] = {{"NOROUTE", "no way into the internet"},
        {"TIMEOUT", "a bridge helps"}, {"CONNREFUSED", "a bridge helps"},
        {"CONNECTRESET", "are cut"}, {"IDENTITY", "another computer answers"},
        {"PT_MISSING", "set proxy-NAME"}, {"RESOURCELIMIT", "no memory"}, {"MISC", "said by tor"}};
    struct health h = {0};
    char line[300];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(line, sizeof line,
            WARNING "WARNING=\"said by tor\" REASON=%s COUNT=1 RECOMMENDATION=warn", rows[i][0]);
        says(&h, line, rows[i][1]);
        assert_non_null(strstr(text, "5 %: "));
    }
    works(&h, DONE); /* it got through after all */
}

static void clock_and_network(void **state)
{
    (void)state;
    struct health h = {0};
    assert_true(health_event(&h, CLIENT "PROGRESS=10 TAG=conn_done SUMMARY=\"Connected\""));
    says(&h, "STATUS_GENERAL WARN CLOCK_SKEW SKEW=-7200 SOURCE=\"NETINFO:192.0.2.1:443\"",
        "2 hours behind");
    says(
        &h, "STATUS_GENERAL WARN CLOCK_SKEW SKEW=1800 SOURCE=DIRSERV:192.0.2.1:80", "31 min ahead");
    assert_non_null(strstr(text, "timedatectl set-ntp true"));
    assert_false(health_event(&h, "STATUS_GENERAL WARN CLOCK_SKEW SKEW=18x SOURCE=CONSENSUS"));
    assert_false(health_event(&h, "STATUS_GENERAL WARN CLOCK_SKEW SKEW=99999999999999999999999"));
    assert_false(health_event(&h, "STATUS_GENERAL WARN BUG REASON=\"x CLOCK_SKEWED SKEW=5\""));
    assert_int_equal(h.skew_s, 1800);
    works(&h, DONE);
    says(&h, "NETWORK_LIVENESS DOWN", "nothing comes from the Tor network any more");
    works(&h, "NETWORK_LIVENESS UP");
    h.unfound = true;
    snprintf(h.unfound_why, sizeof h.unfound_why, "it cannot be reached now");
    assert_false(health_text(&h, text));
    assert_non_null(strstr(text, "do not find this one by Tor (it cannot be reached now)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start), cmocka_unit_test(warnings), cmocka_unit_test(clock_and_network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
