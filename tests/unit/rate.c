/* How often something may be done in a second. */
#include "base/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void a_rate(void **state)
{
    (void)state;
    struct rate r = {0};
    for (unsigned i = 0; i < 3; i++)
        assert_true(rate_take(&r, 7, 3));
    assert_false(rate_take(&r, 7, 3));
    assert_false(rate_take(&r, 7, 3));
    assert_true(rate_take(&r, 8, 3));
    assert_true(rate_take(&r, 7, 3)); /* another second, also an earlier one */
    assert_false(rate_take(&r, 9, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_rate)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
