/* Copies of what was sent lately: in order, whole, the newest of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "link/resend.h"

#include <string.h>

static uint8_t packet[RESEND_PACKET_MAX + 1];

static void keep(struct resend *r, uint8_t mark, size_t size, uint64_t now_ms)
{
    memset(packet, mark, size);
    resend_keep(r, mark, (uint16_t)(mark * 3), packet, size, now_ms);
}

/* The mark of the oldest, checked byte by byte; 0: none. */
static uint8_t pop(struct resend *r, size_t *ret_size, uint64_t *ret_kept_ms)
{
    uint8_t kind = 0;
    uint16_t mss;
    memset(packet, 0, sizeof packet);
    *ret_size = resend_pop(r, packet, &kind, &mss, ret_kept_ms);
    if (*ret_size == 0)
        return 0;
    assert_int_equal(mss, kind * 3);
    for (size_t i = 0; i < *ret_size; i++)
        assert_int_equal(packet[i], kind);
    assert_int_equal(packet[*ret_size], 0);
    return kind;
}

static void in_order(void **state)
{
    (void)state;
    struct resend *r = resend_new();
    size_t size;
    uint64_t at;
    keep(r, 1, 60, 1000);
    keep(r, 2, RESEND_PACKET_MAX, 1001);
    keep(r, 3, RESEND_PACKET_MAX + 1, 1002); /* too long */
    keep(r, 4, 1, 1003);
    assert_int_equal(pop(r, &size, &at), 1);
    assert_true(size == 60 && at == 1000);
    assert_int_equal(pop(r, &size, &at), 2);
    assert_true(size == RESEND_PACKET_MAX && at == 1001);
    assert_int_equal(pop(r, &size, &at), 4);
    assert_true(size == 1 && at == 1003);
    assert_int_equal(pop(r, &size, &at), 0);
    keep(r, 5, 9, 1004);
    resend_clear(r);
    assert_int_equal(pop(r, &size, &at), 0);
    resend_free(r);
}

static void the_newest_stay(void **state)
{
    (void)state;
    struct resend *r = resend_new();
    size_t size, bytes = 0;
    uint64_t at, last = 0;
    for (uint64_t i = 0; i < 5000; i++) /* all sizes, so that they lie across the end */
        keep(r, (uint8_t)(1 + i % 200), 1 + i * 37 % 1400, i);
    while (pop(r, &size, &at)) {
        assert_true(!last || at == last + 1);
        assert_int_equal(size, 1 + at * 37 % 1400);
        last = at;
        bytes += size;
    }
    assert_int_equal(last, 4999);
    assert_in_range(bytes, RESEND_BYTES - 6000, RESEND_BYTES);
    resend_free(r);
}

static void old_ones_are_of_no_use(void **state)
{
    (void)state;
    struct resend *r = resend_new();
    size_t size;
    uint64_t at;
    assert_true(resend_idle(r, 5000));
    keep(r, 1, 10, 5000);
    assert_false(resend_idle(r, 5000 + RESEND_MS));
    assert_true(resend_idle(r, 5001 + RESEND_MS));
    resend_free(r);
    resend_free(NULL);
    resend_clear(NULL);
    assert_int_equal(pop(NULL, &size, &at), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),
        cmocka_unit_test(the_newest_stay),
        cmocka_unit_test(old_ones_are_of_no_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
