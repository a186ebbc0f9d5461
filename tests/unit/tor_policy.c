/* Back-off of tor and of machines that are off, by a clock that the test turns. */
#include "policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void restart(void **state)
{
    (void)state;
    static const uint64_t expected[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct policy_restart r = {0};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        assert_int_equal(policy_restart(&r, 59999), expected[i]);
    assert_int_equal(policy_restart(&r, 60000), 1000); /* it had run for a minute */
    assert_int_equal(policy_restart(&r, 0), 2000);
    r.failures = 4000000000u;
    assert_int_equal(policy_restart(&r, 0), 60000);
}

static void peers(void **state)
{
    (void)state;
    struct policy_peers *p = calloc(1, sizeof *p);
    uint64_t now = 1000;
    assert_int_equal(policy_peer_wait(p, "a", now), 0);
    for (uint64_t wait = POLICY_OFF_MS; wait < POLICY_OFF_MAX_MS; wait *= 2) {
        policy_peer_off(p, "a", now);
        assert_int_equal(policy_peer_wait(p, "a", now), wait);
        assert_int_equal(policy_peer_wait(p, "a", now + wait - 1), 1);
        assert_int_equal(policy_peer_wait(p, "a", now + wait), 0);
        assert_int_equal(policy_peer_wait(p, "b", now), 0);
        now += wait;
    }
    policy_peer_off(p, "a", now);
    assert_int_equal(policy_peer_wait(p, "a", now), POLICY_OFF_MAX_MS);
    policy_peer_on(p, "a");
    assert_int_equal(policy_peer_wait(p, "a", now), 0);
    policy_peer_off(p, "a", now);
    assert_int_equal(policy_peer_wait(p, "a", now), POLICY_OFF_MS); /* from the beginning */
    policy_peers_forget(p);
    assert_int_equal(policy_peer_wait(p, "a", now), 0);
    free(p);
}

static void many(void **state)
{
    (void)state;
    struct policy_peers *p = calloc(1, sizeof *p);
    char name[16];
    for (unsigned i = 0; i <= POLICY_PEERS_MAX; i++) {
        snprintf(name, sizeof name, "p%u", i);
        policy_peer_off(p, name, 0);
    }
    assert_int_equal(policy_peer_wait(p, "p255", 0), POLICY_OFF_MS);
    assert_int_equal(policy_peer_wait(p, name, 0), 0); /* no room: it may be tried */
    policy_peer_off(p, name, POLICY_OFF_MS);           /* one whose time is over makes room */
    assert_int_equal(policy_peer_wait(p, name, POLICY_OFF_MS), POLICY_OFF_MS);
    free(p);
}

static void attempts(void **state)
{
    (void)state;
    assert_int_equal(policy_attempt(0, 100000), POLICY_ATTEMPT_MS);
    assert_int_equal(policy_attempt(90000, 100000), 10000);
    assert_int_equal(policy_attempt(99501, 100000), 0);
    assert_int_equal(policy_attempt(100001, 100000), 0);
}

/* Once is chance; then it is published anew, and that ever less often. */
static void own(void **state)
{
    (void)state;
    struct policy_own o = {0};
    bool publish;
    assert_int_equal(policy_own(&o, true, &publish), POLICY_OWN_MS);
    assert_false(publish);
    assert_int_equal(policy_own(&o, false, &publish), POLICY_OWN_AGAIN_MS);
    assert_false(publish);
    assert_int_equal(policy_own(&o, false, &publish), 2 * POLICY_OWN_AGAIN_MS);
    assert_true(publish);
    for (int i = 0; i < 40; i++)
        assert_in_range(policy_own(&o, false, &publish), 2 * POLICY_OWN_AGAIN_MS, POLICY_OWN_MS);
    assert_true(publish);
    assert_int_equal(policy_own(&o, true, &publish), POLICY_OWN_MS);
    assert_false(publish);
    assert_int_equal(policy_own(&o, false, &publish), POLICY_OWN_AGAIN_MS);
}

static void stuck(void **state)
{
    (void)state;
    assert_false(policy_stuck(0, POLICY_NO_RELAY_MS - 1));
    assert_true(policy_stuck(0, POLICY_NO_RELAY_MS));
    assert_true(policy_stuck(14, POLICY_NO_RELAY_MS));
    assert_false(policy_stuck(15, POLICY_STUCK_MS - 1)); /* slow is not stuck */
    assert_true(policy_stuck(99, POLICY_STUCK_MS));
    assert_false(policy_stuck(100, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(restart), cmocka_unit_test(peers),
        cmocka_unit_test(many), cmocka_unit_test(attempts), cmocka_unit_test(own),
        cmocka_unit_test(stuck)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
