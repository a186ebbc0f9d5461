/* Places for questions to the core: how many one person has, and how many are left for others. */
#include "dashboard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define OPENS_MAX 64

/* A core that takes no connection: a question waits until it is answered by hang_up(). */
static struct {
    clan_api_opened_fn *opened;
    void *user;
} opens[OPENS_MAX];
static unsigned open_count, done_count;

static clan_status api_open(
    void *host_data, clan_api_opened_fn *opened, void *user, struct clan_error *e)
{
    (void)host_data, (void)e;
    assert_true(open_count < OPENS_MAX);
    opens[open_count].opened = opened;
    opens[open_count++].user = user;
    return CLAN_OK;
}

static clan_status timer_start(
    void *host_data, uint64_t ms, clan_timer_fn *fn, void *user, uint64_t *ret_timer)
{
    (void)host_data, (void)ms, (void)fn, (void)user;
    *ret_timer = 1;
    return CLAN_OK;
}

static void timer_stop(void *host_data, uint64_t timer)
{
    (void)host_data, (void)timer;
}

static const struct clan_api_host api = {.struct_size = sizeof api, .open = api_open};
static const struct clan_host host = {
    .size = sizeof host, .timer_start = timer_start, .timer_stop = timer_stop};
static struct dashboard d = {.host = &host, .api = &api, .door_count = 6};

static void done(void *arg, const clan_wire_Error *error)
{
    (void)arg;
    done_count += error != NULL;
}

/* As many as one person gets. */
static unsigned asks(unsigned door, enum call_kind kind)
{
    static const clan_api_Request status = {.which_m = clan_api_Request_status_tag};
    unsigned count = 0;
    d.doors[door].d = &d;
    while (call_start(&d.doors[door], kind, NULL, &status, NULL, done, NULL))
        count++;
    return count;
}

static void hang_up(void)
{
    for (unsigned i = 0; i < open_count; i++)
        opens[i].opened(opens[i].user, -1, NULL);
    open_count = 0;
}

static void nobody_takes_the_places_of_others(void **state)
{
    static const struct {
        enum call_kind kind;
        unsigned all, first, second;
    } rows[] = {{CALL_ASKED, 16, 8, 4}, {CALL_LIST, 8, 4, 2}, {CALL_WATCH, 32, 16, 8}};
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        unsigned sum = asks(0, rows[i].kind);
        assert_int_equal(sum, rows[i].first);
        assert_int_equal(asks(0, rows[i].kind), 0); /* however often it asks */
        unsigned next = asks(1, rows[i].kind);
        assert_int_equal(next, rows[i].second);
        for (unsigned door = 2; door < 6; door++)
            sum += asks(door, rows[i].kind);
        assert_true(sum + next <= rows[i].all && sum + next >= rows[i].all - 1);
    }
    unsigned asked = open_count;
    hang_up();
    assert_int_equal(done_count, asked);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(d.calls[i], 0);
        assert_int_equal(asks(5, rows[i].kind), rows[i].first);
    }
    hang_up();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_takes_the_places_of_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
