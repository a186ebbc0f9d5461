/* Nobody aims the clan at a victim: how often a network is dialled that only records name (SECURITY
 * D6). */
#include "path/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct path_limit *l;

static int setup(void **state)
{
    (void)state;
    l = calloc(1, sizeof *l);
    return l ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    free(l);
    return 0;
}

static void v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint8_t ret_net[16])
{
    uint8_t address[16] = {[10] = 0xff, [11] = 0xff, [12] = a, [13] = b, [14] = c, [15] = d};
    path_limit_net(address, ret_net);
}

static bool take(const uint8_t net[16], uint8_t who, uint64_t now)
{
    uint8_t source[32];
    memset(source, who, sizeof source);
    return path_limit_take(l, PATH_LIMIT_NETWORK, net, source, now);
}

static void networks(void **state)
{
    (void)state;
    uint8_t a[16], b[16], six[16] = {0x20, 1, 0xd, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    v4(203, 0, 113, 5, a);
    v4(203, 0, 113, 200, b);
    assert_memory_equal(a, b, 16);
    v4(203, 0, 114, 5, b);
    assert_int_not_equal(memcmp(a, b, 16), 0);
    path_limit_net(six, a);
    six[8] = 99;
    path_limit_net(six, b);
    assert_memory_equal(a, b, 16);
    six[7] = 99;
    path_limit_net(six, b);
    assert_int_not_equal(memcmp(a, b, 16), 0);
}

/* A thousand machines that all name the victim: once a minute, then ever less, then not at all. */
static void one_victim(void **state)
{
    (void)state;
    uint8_t net[16];
    unsigned dialled = 0;
    uint64_t last = 0;
    v4(203, 0, 113, 5, net);
    for (uint64_t now = 1000; now < 24 * 3600000ull; now += 250) {
        if (!take(net, 1, now))
            continue;
        assert_true(!last || now - last >= PATH_LIMIT_FIRST_MS);
        last = now;
        dialled++;
    }
    assert_int_equal(dialled, PATH_LIMIT_FAILURES);
    assert_true(last < 7 * 3600000ull);
    uint64_t now = 25 * 3600000ull;
    assert_false(take(net, 1, now));
    assert_true(take(net, 2, now)); /* another machine names it */
    assert_false(take(net, 3, now + 1));
    assert_true(take(net, 3, now + PATH_LIMIT_FIRST_MS)); /* never more than once a minute */
    assert_false(take(net, 4, now + PATH_LIMIT_FIRST_MS + 1));
}

static void doubling(void **state)
{
    (void)state;
    uint8_t net[16];
    v4(203, 0, 113, 5, net);
    uint64_t now = 1000, pause = PATH_LIMIT_FIRST_MS;
    for (int i = 0; i < PATH_LIMIT_FAILURES - 1; i++) {
        assert_true(take(net, 1, now));
        assert_false(take(net, 1, now + pause - 1));
        now += pause;
        pause = pause * 2 < PATH_LIMIT_MAX_MS ? pause * 2 : PATH_LIMIT_MAX_MS;
    }
    assert_true(take(net, 1, now));
    assert_false(take(net, 1, now + 100ull * PATH_LIMIT_MAX_MS));
}

/* Where a member answered, its back-off alone decides: a connection is back at once. */
static void proven(void **state)
{
    (void)state;
    uint8_t net[16], other[16];
    v4(203, 0, 113, 5, net);
    v4(198, 51, 100, 1, other);
    assert_true(take(net, 1, 1000));
    path_limit_proven(l, net, 1100);
    for (uint64_t now = 2000; now < 20000; now += 250)
        assert_true(take(net, 1, now));
    assert_true(take(other, 1, 1000));
    path_limit_clear(l); /* in another network now */
    assert_true(take(other, 1, 2000));
    assert_true(take(net, 1, 30000));
}

static void bounded(void **state)
{
    (void)state;
    uint8_t net[16], home[16];
    v4(192, 0, 2, 1, home);
    path_limit_proven(l, home, 1);
    for (unsigned i = 0; i < 3 * PATH_LIMIT_ROWS; i++) {
        v4(10, (uint8_t)(i >> 8), (uint8_t)i, 1, net);
        assert_true(take(net, 1, 1000 + i));
    }
    assert_int_equal(l->count, PATH_LIMIT_ROWS);
    assert_false(take(net, 1, 5000)); /* the newest is still there, and who is a member */
    assert_true(take(home, 1, 5000));
    assert_true(take(home, 1, 5001));
}

/* A hidden place comes into its directory a moment after its record: it is asked for soon, ever less,
 * never not at all, and no oftener because more machines name it. */
static void hidden(void **state)
{
    (void)state;
    uint8_t net[16], other[16], source[32] = {0};
    unsigned first_minute = 0, day = 0;
    path_limit_hidden("aoqqpp7tzyil4hlq.onion:7117/key", net);
    path_limit_hidden("aoqqpp7tzyil4hlq.onion:80/other", other);
    assert_memory_equal(net, other, 16);
    path_limit_hidden("boqqpp7tzyil4hlq.onion:7117/key", other);
    assert_int_not_equal(memcmp(net, other, 16), 0);
    for (uint64_t now = 1000, last = 0; now < 24 * 3600000ull; now += 250) {
        source[0]++;
        if (!path_limit_take(l, PATH_LIMIT_HIDDEN, net, source, now))
            continue;
        assert_true(!last || now - last >= PATH_LIMIT_HIDDEN_FIRST_MS);
        assert_true(now - last <= PATH_LIMIT_HIDDEN_MAX_MS + 250);
        last = now;
        first_minute += now < 61000;
        day++;
    }
    assert_int_equal(first_minute, 6);
    assert_in_range(day, 144, 160);
    v4(203, 0, 113, 5, other);
    assert_true(take(other, 1, 1000));
    path_limit_clear_hidden(l); /* Tor works again: that says nothing of networks */
    assert_false(take(other, 1, 2000));
    assert_true(path_limit_take(l, PATH_LIMIT_HIDDEN, net, source, 2000));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(networks), T(one_victim), T(doubling), T(proven), T(bounded), T(hidden)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
