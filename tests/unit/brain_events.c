/* What happened lately: what is noted, and that the list stays short without losing what matters. */
#include "brain/client.h"
#include "brain/events.h"
#include "brain_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int fd;
static clan_api_Event event[EVENTS_MAX + 1]; /* the newest first */
static unsigned count;

static void look(void)
{
    client_tells(fd, clan_api_Request_activity_tag);
    for (count = 0; client_next(fd, 5000) && !client_answer.last; count++)
        event[count] = client_answer.m.event;
    assert_int_equal(client_answer.which_m, clan_api_Answer_ok_tag);
}

static int begin(void **state)
{
    if (client_setup(state) != 0)
        return -1;
    fd = client_signs_in(1000);
    events_reconcile(b); /* what is there at the start is no news */
    look();
    return count != 0;
}

static int end(void **state)
{
    client_hangs_up(fd);
    return client_teardown(state);
}

static void is(unsigned at, const char *kind, const char *what)
{
    look();
    assert_true(at < count);
    assert_string_equal(event[at].kind, kind);
    assert_string_equal(event[at].what, what);
}

static void machines(void **state)
{
    struct peer *p = peer_get(b, carl.id);
    char name[33], text[128];
    (void)state;
    p->control = 5;
    events_reconcile(b);
    events_reconcile(b);
    brain_name(b, carl.id, name);
    snprintf(text, sizeof text, "%s is connected", name);
    is(0, "connected", text);
    assert_int_equal(count, 1);
    assert_string_equal(event[0].machine, name);
    p->link = 6;
    p->control = 0;
    events_reconcile(b);
    look();
    assert_int_equal(count, 1);
    p->link = 0;
    events_reconcile(b);
    snprintf(text, sizeof text, "%s is not connected any more", name);
    is(0, "lost", text);
    admit(&guest, &nas, false);
    events_reconcile(b);
    look();
    assert_int_equal(count, 5); /* invited, used, joined: the machine comes first, the door last */
    assert_string_equal(event[2].kind, "joined");
    assert_non_null(strstr(event[2].what, "a keeper confirms it"));
    assert_string_equal(event[1].kind, "invited");
    assert_string_equal(event[0].kind, "invite-used");
    give(fx_leave(&f, &dave));
    events_reconcile(b);
    look();
    assert_string_equal(event[1].kind, "removed");
    assert_string_equal(event[0].kind, "invite-closed"); /* nobody comes by it again */
}

static void services(void **state)
{
    static struct clan_config cfg;
    struct clan_config_service *s = &cfg.services[0];

    (void)state;
    *s = (struct clan_config_service){.name = "files", .plugin = "files"};
    cfg.service_count = 1;
    struct clan_config_machine row[2] = {0};
    memcpy(row[0].id, carl.id, 32);
    memcpy(row[1].id, nas.id, 32);
    snprintf(row[0].name, sizeof row[0].name, "carl");
    snprintf(row[1].name, sizeof row[1].name, "nas");
    cfg.machine_count = 2;
    cfg.machines = row;
    snprintf(s->on, sizeof s->on, "carl");
    b->cfg = &cfg;
    b->body_version = 3;
    peer_get(b, carl.id)->control = 7;
    b->soft[0] = (struct soft_service){.used = true, .s = {.name = "files", .up = true}};
    memcpy(b->soft[0].holder, carl.id, 32);
    look();
    unsigned before = count;
    events_reconcile(b);
    look();
    assert_int_equal(count, before + 3); /* configuration, connected, up */
    is(0, "service-up", "files is up on carl");
    assert_string_equal(event[2].kind, "config");
    assert_string_equal(event[0].service, "files");
    b->soft[0].s.up = false;
    snprintf(b->soft[0].s.text, sizeof b->soft[0].s.text, "the disk is full");
    events_reconcile(b);
    is(0, "service-down", "files is down on carl: the disk is full");
    peer_get(b, carl.id)->control = 0; /* who knows how it is: the machine's loss is the news */
    events_reconcile(b);
    look();
    assert_string_equal(event[0].kind, "lost");
    snprintf(s->on, sizeof s->on, "nas");
    events_reconcile(b);
    const char *text = "files moved from carl to nas";
    look();
    assert_true(count > 1);
    assert_true(!strcmp(event[0].what, text) || !strcmp(event[1].what, text));
    b->cfg = NULL;
    b->soft[0].used = false;
}

static void paths_and_alarms(void **state)
{
    (void)state;
    events_path(b, carl.id, "wireguard", "tcp-noise", "it fell silent");
    look();
    assert_string_equal(event[0].kind, "path");
    assert_non_null(strstr(event[0].what, "go by tcp-noise instead of wireguard: it fell silent"));
    struct fx_invite in;
    fx_invite(&f, &in, 1, 2, 1);
    give(in.stmt);
    fx_machine(&f, &own);
    give(fx_admission(&f, &nas, &in, &own, FX_NOW));
    alarms_tried(b, in.id, NULL, (uint8_t[16]){0});
    events_reconcile(b);
    look();
    assert_string_equal(event[0].kind, "alarm");
    assert_non_null(strstr(event[0].what, "tried again"));
    unsigned before = count;
    alarms_tried(b, in.id, NULL, (uint8_t[16]){0}); /* it is shown already */
    events_reconcile(b);
    look();
    assert_int_equal(count, before);
    alarms_dismiss(b);
    events_reconcile(b);
    alarms_tried(b, in.id, NULL, (uint8_t[16]){0});
    events_reconcile(b);
    look();
    assert_int_equal(count, before + 1);
    unlinkat(b->state_fd, "alarms", 0);
}

/* A machine that comes and goes all day does not push out who joined. */
static void the_list_is_short(void **state)
{
    (void)state;
    for (unsigned i = 0; i <= EVENTS_MAX; i++)
        events_note(b, "config", "", "", "%u", i);
    is(0, "config", "200");
    assert_int_equal(count, EVENTS_MAX);
    assert_string_equal(event[EVENTS_MAX - 1].what, "1");
    for (unsigned i = 0; i < 1000; i++)
        events_note(b, "lost", "carl", "", "%u", i);
    is(0, "lost", "999");
    assert_int_equal(count, EVENTS_MAX);
    assert_string_equal(event[EVENTS_MANY - 1].kind, "lost");
    assert_string_equal(event[EVENTS_MANY].what, "200");
    events_note(b, "config", "", "", "a\x1b[2Jb");
    is(0, "config", "a?[2Jb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines),
        cmocka_unit_test(services),
        cmocka_unit_test(paths_and_alarms),
        cmocka_unit_test(the_list_is_short),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
