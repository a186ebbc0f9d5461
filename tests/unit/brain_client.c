/* Connections of the local API to the brain of brain_fixture.h, whose clock stands still. */
#include "brain_client.h"

#include "brain/events.h"
#include "brain/proposals.h"
#include "brain/sessions.h"
#include "brain/watch.h"
#include "wire/frame.h"

#include <pb_decode.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

uint64_t now_ms = 1000000;
int64_t wall_s = 1800000000;
clan_api_Answer client_answer, client_row;
unsigned client_rows;
uint64_t __wrap_brain_now(void);
int64_t __wrap_clock_wall_s(void);
uint64_t __wrap_brain_now(void)
{
    return now_ms;
}
int64_t __wrap_clock_wall_s(void)
{
    return wall_s;
}

int client_setup(void **state)
{
    if (brain_setup(state) != 0)
        return -1;
    become(&nas);
    b->bound = true;
    b->grants_ok = true;
    b->grants.owner_uid = 1000;
    b->grants.user_count = 2;
    b->grants.users[0] = 1001;
    b->grants.users[1] = getuid();
    b->ui_slot = 2;
    b->hosts[0] =
        (struct host){.used = true, .people = true, .state = HOST_STARTED, .plugin = "dashboard"};
    return uv_loop_init(&b->loop);
}

int client_teardown(void **state)
{
    watch_stop(b);
    events_forget();
    proposals_forget();
    unlinkat(b->state_fd, "signed-out", 0);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    return uv_loop_close(&b->loop) != 0 || brain_teardown(state) != 0;
}

void client_tells(int fd, pb_size_t tag)
{
    static uint8_t bytes[FRAME_HEAD + WIRE_FRAME_MAX];
    static clan_api_Request r;
    size_t size;
    memset(&r, 0, sizeof r);
    r.which_m = tag;
    assert_int_equal(
        frame_encode(clan_api_Request_fields, &r, bytes, sizeof bytes, &size), CLAN_OK);
    assert_int_equal(send(fd, bytes, size, 0), (ssize_t)size);
}

static uint64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Exactly as many bytes: the rest stays in the socket for the next call.  Turns the brain's loop meanwhile. */
static bool bytes(int fd, uint8_t *to, size_t size, uint64_t until)
{
    size_t have = 0;
    do {
        uv_run(&b->loop, UV_RUN_NOWAIT);
        ssize_t n = recv(fd, to + have, size - have, MSG_DONTWAIT);
        have += n > 0 ? (size_t)n : 0;
        if (have < size && n <= 0)
            poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 2);
    } while (have < size && real_ms() < until);
    return have == size;
}

bool client_next(int fd, int wait_ms)
{
    static uint8_t in[FRAME_HEAD + WIRE_FRAME_MAX];
    uint64_t until = real_ms() + (uint64_t)wait_ms;
    if (!bytes(fd, in, FRAME_HEAD, until))
        return false;
    size_t size = (size_t)in[0] << 8 | in[1];
    assert_true(bytes(fd, in, size, until + 5000));
    pb_istream_t is = pb_istream_from_buffer(in, size);
    client_row = client_answer;
    assert_true(pb_decode(&is, clan_api_Answer_fields, &client_answer));
    return true;
}

clan_status client_ask(int fd, const clan_api_Request *r)
{
    static uint8_t out[FRAME_HEAD + WIRE_FRAME_MAX];
    size_t size;
    assert_int_equal(frame_encode(clan_api_Request_fields, r, out, sizeof out, &size), CLAN_OK);
    assert_int_equal(send(fd, out, size, 0), (ssize_t)size);
    client_rows = 0;
    while (client_next(fd, 5000)) {
        if (client_answer.last)
            return client_answer.which_m == clan_api_Answer_error_tag
                       ? (clan_status)client_answer.m.error.status
                       : CLAN_OK;
        client_rows++;
    }
    fail_msg("no answer");
    return CLAN_E_TIMEOUT;
}

clan_status client_asks(int fd, pb_size_t tag)
{
    static clan_api_Request r;
    memset(&r, 0, sizeof r);
    r.which_m = tag;
    return client_ask(fd, &r);
}

int client_connects(void)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    api_first(b, pair[0]);
    return pair[1];
}

void session_of(uint32_t uid, clan_api_Session *ret)
{
    clan_api_UiCode code;
    clan_api_SessionOpen m = {.uid = uid};
    assert_int_equal(sessions_code(b, uid, &code, NULL), CLAN_OK);
    memcpy(m.code, code.code, sizeof m.code);
    assert_int_equal(sessions_open(b, &m, ret, NULL), CLAN_OK);
}

int client_signs_in(uint32_t uid)
{
    int fd;
    static clan_api_Request r;
    clan_api_Session s;
    session_of(uid, &s);
    api_plugin_connect(b, false, &fd);
    assert_true(fd >= 0);
    memset(&r, 0, sizeof r);
    r.which_m = clan_api_Request_session_use_tag;
    memcpy(&r.m.session_use.cookie, &s.cookie, sizeof r.m.session_use.cookie);
    memcpy(&r.m.session_use.token, &s.token, sizeof r.m.session_use.token);
    assert_int_equal(client_ask(fd, &r), CLAN_OK);
    return fd;
}

void client_hangs_up(int fd)
{
    close(fd);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    uv_run(&b->loop, UV_RUN_NOWAIT);
}
