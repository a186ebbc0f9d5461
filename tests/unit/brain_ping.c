/* Who pings a machine gets an answer, whatever becomes of the session that the ping went out on. */
#include "brain/client.h"
#include "brain_fixture.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static int link_end, client_end;

static int set_up(void **state)
{
    int fds[2];
    if (brain_setup(state) != 0)
        return -1;
    become(&nas);
    b->bound = b->soon_armed = true; /* nothing else is to happen */
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    link_open(b, fds[0], 1);
    link_end = fds[1];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    api_first(b, fds[0]);
    client_end = fds[1];
    return 0;
}

static int tear_down(void **state)
{
    close(link_end);
    close(client_end);
    for (int i = 0; i < 10; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&b->loop), 0); /* both channels went with their other ends */
    return brain_teardown(state);
}

static void ask(const char *name)
{
    static clan_api_Request r;
    uint8_t bytes[512];
    size_t size;
    memset(&r, 0, sizeof r);
    r.which_m = clan_api_Request_ping_tag;
    snprintf(r.m.ping.machine, sizeof r.m.ping.machine, "%s", name);
    assert_int_equal(
        frame_encode(clan_api_Request_fields, &r, bytes, sizeof bytes, &size), CLAN_OK);
    assert_int_equal(write(client_end, bytes, size), (ssize_t)size);
    uv_run(&b->loop, UV_RUN_NOWAIT);
}

static void link_says(const clan_link_FromLink *m)
{
    static uint8_t bytes[1024];
    pb_ostream_t os = pb_ostream_from_buffer(bytes, sizeof bytes);
    assert_true(pb_encode(&os, clan_link_FromLink_fields, m));
    assert_int_equal(send(link_end, bytes, os.bytes_written, 0), (ssize_t)os.bytes_written);
}

static bool answered(clan_api_PingResult *ret)
{
    static uint8_t in[FRAME_HEAD + WIRE_FRAME_MAX];
    static clan_api_Answer a;
    struct frame_reader r = {.buf = in, .cap = sizeof in};
    const uint8_t *payload;
    size_t size, room;
    uv_run(&b->loop, UV_RUN_NOWAIT);
    uint8_t *space = frame_space(&r, &room);
    ssize_t n = recv(client_end, space, room, MSG_DONTWAIT);
    if (n <= 0)
        return false;
    frame_added(&r, (size_t)n);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_OK);
    pb_istream_t is = pb_istream_from_buffer(payload, size);
    assert_true(pb_decode(&is, clan_api_Answer_fields, &a));
    assert_int_equal(a.which_m, clan_api_Answer_ping_tag);
    assert_true(a.last);
    *ret = a.m.ping;
    return true;
}

/* The next session takes the place of the one that ended before any clock ticks. */
static void session_ends_and_another_comes(void **state)
{
    (void)state;
    char name[33];
    static clan_link_FromLink m;
    clan_api_PingResult r;
    struct session *s = connected(&carl);
    brain_name(b, carl.id, name);
    ask(name);
    assert_non_null(s->ping_client);
    assert_false(answered(&r));
    m = (clan_link_FromLink){.which_m = clan_link_FromLink_down_tag};
    m.m.down.session = s->id;
    link_says(&m);
    m = (clan_link_FromLink){.which_m = clan_link_FromLink_up_tag};
    m.m.up.session = 4711;
    m.m.up.purpose = clan_link_Purpose_PURPOSE_CONTROL;
    link_says(&m);
    for (int i = 0; i < 4; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(s->id, 4711);
    api_ping_tick(b);
    assert_true(answered(&r));
    assert_false(r.reachable);
    assert_false(r.connected);
}

static void link_dies(void **state)
{
    (void)state;
    char name[33];
    clan_api_PingResult r;
    connected(&carl);
    brain_name(b, carl.id, name);
    ask(name);
    shutdown(link_end, SHUT_RDWR);
    for (int i = 0; i < 4; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_true(answered(&r));
    assert_false(r.reachable);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(session_ends_and_another_comes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(link_dies, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
