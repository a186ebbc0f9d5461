/* Watching: what changed is told once, together, and nothing else is. */
#include "brain/client.h"
#include "brain/sessions.h"
#include "brain/watch.h"
#include "brain_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SOON_MS  5000 /* a guard */
#define QUIET_MS 100  /* five times what is waited to tell more at once */

static uint32_t told(int fd)
{
    assert_true(client_next(fd, SOON_MS));
    assert_int_equal(client_answer.which_m, clan_api_Answer_changed_tag);
    assert_false(client_answer.last);
    return client_answer.m.changed.topics;
}

static int watches(int fd)
{
    client_tells(fd, clan_api_Request_watch_tag);
    assert_int_equal(told(fd), 0x1ff);
    return fd;
}

static void what_changed_is_told(void **state)
{
    int fd = watches(client_signs_in(1000)), line = watches(client_connects());
    (void)state;
    assert_int_equal(told(fd), clan_api_Topic_TOPIC_PROPOSALS); /* somebody signs now */
    assert_int_equal(told(line), clan_api_Topic_TOPIC_PROPOSALS);
    api_changed(b); /* nothing did */
    assert_false(client_next(fd, QUIET_MS));
    b->catching_up = true;
    for (int i = 0; i < 10; i++)
        api_changed(b);
    assert_int_equal(told(fd), clan_api_Topic_TOPIC_STATUS);
    assert_int_equal(told(line), clan_api_Topic_TOPIC_STATUS);
    b->catching_up = false;
    admit(&guest, &nas, true);
    api_changed(b);
    assert_int_equal(told(fd), clan_api_Topic_TOPIC_STATUS | clan_api_Topic_TOPIC_MACHINES |
                                   clan_api_Topic_TOPIC_INVITATIONS);
    client_hangs_up(line);
    assert_int_equal(told(fd), clan_api_Topic_TOPIC_PROPOSALS); /* nobody signs any more */
    client_hangs_up(fd);
}

/* What moves all the time comes once a second, and the last of it is not lost. */
static void traffic_comes_once_a_second(void **state)
{
    struct peer *p = peer_get(b, carl.id);
    int fd = watches(client_signs_in(1000));
    (void)state;
    p->rx_bytes = 1;
    api_changed(b);
    assert_false(client_next(fd, QUIET_MS));
    now_ms += 1000;
    p->rtt_us = 700;
    api_changed(b);
    assert_int_equal(told(fd), clan_api_Topic_TOPIC_TRAFFIC);
    now_ms += 1000;
    api_changed(b);
    assert_false(client_next(fd, QUIET_MS));
    client_hangs_up(fd);
}

static void a_guest_hears_of_what_it_may_ask(void **state)
{
    struct clan_config_machine row = {.role = CONFIG_GUEST};
    struct clan_config cfg = {.machine_count = 1, .machines = &row};
    (void)state;
    memcpy(row.id, nas.id, 32);
    b->cfg = &cfg;
    int fd = client_signs_in(1000);
    client_tells(fd, clan_api_Request_watch_tag);
    assert_int_equal(told(fd), clan_api_Topic_TOPIC_STATUS | clan_api_Topic_TOPIC_MACHINES |
                                   clan_api_Topic_TOPIC_SERVICES | clan_api_Topic_TOPIC_TRAFFIC);
    admit(&own, &nas, true);
    api_changed(b);
    assert_int_equal(told(fd), clan_api_Topic_TOPIC_STATUS | clan_api_Topic_TOPIC_MACHINES);
    client_hangs_up(fd);
    b->cfg = NULL;
}

static void it_ends_with_the_session(void **state)
{
    int fd = watches(client_signs_in(1001)), other = watches(client_signs_in(1000));
    (void)state;
    b->grants.users[0] = 1002; /* the owner of the machine takes 1001 out */
    api_changed(b);
    assert_true(client_next(fd, SOON_MS));
    assert_true(client_answer.last);
    assert_int_equal(client_answer.m.error.status, CLAN_E_AUTH);
    assert_false(client_next(other, QUIET_MS));
    b->grants.users[0] = 1001;
    client_hangs_up(fd);
    client_hangs_up(other);
}

static void watching_needs_a_session(void **state)
{
    int fd;
    (void)state;
    api_plugin_connect(b, false, &fd);
    assert_int_equal(client_asks(fd, clan_api_Request_watch_tag), CLAN_E_PERM);
    client_hangs_up(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changed_is_told),
        cmocka_unit_test(traffic_comes_once_a_second),
        cmocka_unit_test(a_guest_hears_of_what_it_may_ask),
        cmocka_unit_test(it_ends_with_the_session),
        cmocka_unit_test(watching_needs_a_session),
    };
    return cmocka_run_group_tests(tests, client_setup, client_teardown);
}
