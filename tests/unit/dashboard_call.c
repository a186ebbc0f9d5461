/* Places for questions to the core: how many one person has, and how many are left for others. */
#include "dashboard.h"

#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static clan_io_fn *readable;
static void *readable_user;

static clan_status io_watch(
    void *host_data, int32_t fd, uint32_t events, clan_io_fn *fn, void *user)
{
    (void)host_data, (void)fd, (void)events;
    readable = fn;
    readable_user = user;
    return CLAN_OK;
}

static void io_unwatch(void *host_data, int32_t fd)
{
    (void)host_data, (void)fd;
    readable = NULL;
}

static const struct clan_api_host api = {.struct_size = sizeof api, .open = api_open};
static const struct clan_host host = {.size = sizeof host,
    .io_watch = io_watch,
    .io_unwatch = io_unwatch,
    .timer_start = timer_start,
    .timer_stop = timer_stop};
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

static bool take(void *arg, const clan_api_Answer *a)
{
    *(unsigned *)arg += a->which_m == clan_api_Answer_machine_tag;
    return true;
}

static clan_status ended;

static void end(void *arg, const clan_wire_Error *error)
{
    (void)arg;
    ended = error ? (clan_status)error->status : CLAN_OK;
}

/* Never a shorter list that looks whole. */
static void what_is_too_long_is_an_error(void **state)
{
    static uint8_t row[FRAME_HEAD + WIRE_FRAME_MAX];
    static clan_api_Answer a = {.which_m = clan_api_Answer_machine_tag};
    static const clan_api_Request machines = {.which_m = clan_api_Request_machines_tag};
    unsigned rows = 0, sent = 0;
    size_t size;
    int pair[2];
    (void)state;
    memset(a.m.machine.path, 'x', sizeof a.m.machine.path - 1);
    assert_int_equal(frame_encode(clan_api_Answer_fields, &a, row, sizeof row, &size), CLAN_OK);
    d.doors[0].d = &d;
    assert_non_null(call_start(&d.doors[0], CALL_ASKED, NULL, &machines, take, end, &rows));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    opens[0].opened(opens[0].user, pair[0], NULL);
    open_count = 0;
    ended = CLAN_OK;
    for (; readable && sent * size <= ANSWER_MAX + sizeof row; sent++) {
        assert_int_equal(send(pair[1], row, size, MSG_NOSIGNAL), (ssize_t)size);
        readable(readable_user, pair[0], CLAN_IO_READ);
    }
    assert_null(readable); /* it hung up */
    assert_int_equal(ended, CLAN_E_LIMIT);
    assert_true(rows >= 1000 && rows < sent);
    close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nobody_takes_the_places_of_others),
        cmocka_unit_test(what_is_too_long_is_an_error)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
