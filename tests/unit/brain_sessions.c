/* Signing in by a plugin that shows the clan: codes, cookies and tokens, and what a session may ask. */
#include "brain/client.h"
#include "brain/sessions.h"
#include "brain_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static clan_status signs_in(const clan_api_UiCode *code, uint32_t uid, clan_api_Session *ret)
{
    clan_api_SessionOpen m = {.uid = uid};
    memcpy(m.code, code->code, sizeof m.code);
    return sessions_open(b, &m, ret, NULL);
}

static clan_status uses(const clan_api_Session *cookie, const clan_api_Session *token)
{
    clan_api_SessionUse m = {0};
    clan_api_Session s;
    uint8_t id[16];
    memcpy(&m.cookie, &cookie->cookie, sizeof m.cookie);
    memcpy(&m.token, &token->token, sizeof m.token);
    return sessions_use(b, &m, &s, id, NULL);
}

static void a_code_is_good_once(void **state)
{
    clan_api_UiCode code;
    clan_api_Session s;
    (void)state;
    assert_int_equal(sessions_code(b, 1000, &code, NULL), CLAN_OK);
    assert_string_equal(code.origin, "127.66.117.2:7180");
    assert_int_equal(signs_in(&code, 1000, &s), CLAN_OK);
    assert_true(s.owner && s.uid == 1000 && s.expires == wall_s + 12 * 3600);
    assert_int_equal(signs_in(&code, 1000, &s), CLAN_E_AUTH);
    assert_int_equal(s.cookie.size, 0);
    /* another user's hand spends it */
    assert_int_equal(sessions_code(b, 1000, &code, NULL), CLAN_OK);
    assert_int_equal(signs_in(&code, 1001, &s), CLAN_E_AUTH);
    assert_int_equal(signs_in(&code, 1000, &s), CLAN_E_AUTH);
    /* too late */
    assert_int_equal(sessions_code(b, 0, &code, NULL), CLAN_OK);
    assert_string_equal(code.origin, "127.66.117.1:7180");
    now_ms += 30001;
    assert_int_equal(signs_in(&code, 0, &s), CLAN_E_AUTH);
    /* nobody's: what a free place holds */
    memset(&code, 0, sizeof code);
    assert_int_equal(signs_in(&code, 0, &s), CLAN_E_AUTH);
    assert_int_equal(sessions_code(b, 1002, &code, NULL), CLAN_E_PERM);
    b->hosts[0].state = HOST_FAILED;
    assert_int_equal(sessions_code(b, 1000, &code, NULL), CLAN_E_NOTRUNNING);
    b->hosts[0].state = HOST_STARTED;
}

static void whose_machine_it_is(void **state)
{
    struct clan_config_machine row = {.person = "anna", .role = CONFIG_GUEST};
    struct clan_config cfg = {.machine_count = 1, .machines = &row};
    clan_api_Session s;
    (void)state;
    memcpy(row.id, b->own_id, 32);
    session_of(1000, &s);
    assert_string_equal(s.role, "member");
    b->cfg = &cfg;
    session_of(1000, &s);
    assert_string_equal(s.person, "anna");
    assert_string_equal(s.role, "guest");
    b->cfg = NULL;
}

static void many_codes_push_out_the_oldest_of_that_user(void **state)
{
    clan_api_UiCode code[SESSIONS_CODES_MAX + 1], other;
    clan_api_Session s;
    (void)state;
    assert_int_equal(sessions_code(b, 1001, &other, NULL), CLAN_OK);
    for (unsigned i = 0; i <= SESSIONS_CODES_MAX; i++, now_ms++)
        assert_int_equal(sessions_code(b, 1000, &code[i], NULL), CLAN_OK);
    assert_int_equal(signs_in(&code[0], 1000, &s), CLAN_E_AUTH);
    for (unsigned i = 1; i <= SESSIONS_CODES_MAX; i++)
        assert_int_equal(signs_in(&code[i], 1000, &s), CLAN_OK);
    assert_int_equal(signs_in(&other, 1001, &s), CLAN_OK);
}

static void both_halves_must_fit(void **state)
{
    clan_api_Session one, other, bad;
    (void)state;
    session_of(1000, &one);
    session_of(1001, &other);
    assert_int_equal(uses(&one, &one), CLAN_OK);
    assert_int_equal(uses(&one, &other), CLAN_E_AUTH);
    assert_int_equal(uses(&other, &one), CLAN_E_AUTH);
    for (unsigned i = 0; i < one.cookie.size; i++) {
        bad = one;
        bad.cookie.bytes[i] ^= 1;
        assert_int_equal(uses(&bad, &one), CLAN_E_AUTH);
    }
    for (unsigned i = 0; i < one.token.size; i++) {
        bad = one;
        bad.token.bytes[i] ^= 0x80;
        assert_int_equal(uses(&one, &bad), CLAN_E_AUTH);
    }
    bad = one;
    bad.token.size = 0;
    assert_int_equal(uses(&one, &bad), CLAN_E_AUTH);
    bad = one;
    bad.cookie.size--;
    assert_int_equal(uses(&bad, &one), CLAN_E_AUTH);
}

static void it_ends(void **state)
{
    clan_api_Session one, other, got;
    clan_api_SessionUse m = {0};
    uint8_t id[16];
    (void)state;
    session_of(1000, &one);
    session_of(1001, &other);
    memcpy(&m.cookie, &one.cookie, sizeof m.cookie);
    memcpy(&m.token, &one.token, sizeof m.token);
    assert_int_equal(sessions_use(b, &m, &got, id, NULL), CLAN_OK);
    assert_int_equal(sessions_end(b, &got, id, NULL), CLAN_OK);
    assert_int_equal(uses(&one, &one), CLAN_E_AUTH);
    sessions_load(b); /* as a core that starts anew */
    assert_int_equal(uses(&one, &one), CLAN_E_AUTH);
    assert_int_equal(uses(&other, &other), CLAN_OK);
    b->grants.user_count = 0; /* the owner of the machine takes 1001 out */
    assert_int_equal(uses(&other, &other), CLAN_E_AUTH);
    b->grants.user_count = 1;
    wall_s += 12 * 3600;
    assert_int_equal(uses(&other, &other), CLAN_E_AUTH);
    wall_s -= 12 * 3600;
}

static int64_t ended_at(unsigned i, uint8_t ret_id[16])
{
    memset(ret_id, 0xee, 16);
    ret_id[0] = (uint8_t)i;
    return wall_s + 3600 + i;
}

/* Whoever's place is needed stays out, with all that are as old. */
static void more_that_ended_than_are_remembered(void **state)
{
    clan_api_Session s = {.uid = 1000}, young;
    uint8_t id[16];
    (void)state;
    session_of(1000, &young);
    for (unsigned i = 0; i <= SESSIONS_ENDED_MAX; i++) {
        s.expires = ended_at(i, id);
        assert_true(sessions_good(b, &s, id));
        assert_int_equal(sessions_end(b, &s, id, NULL), CLAN_OK);
    }
    for (int anew = 0; anew < 2; anew++) {
        for (unsigned i = 0; i <= SESSIONS_ENDED_MAX; i++) {
            s.expires = ended_at(i, id);
            assert_false(sessions_good(b, &s, id));
        }
        assert_int_equal(uses(&young, &young), CLAN_OK);
        sessions_load(b);
    }
    /* nobody can tell who signed out: all did, and may sign in again */
    int fd = openat(b->state_fd, "signed-out", O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    sessions_load(b);
    assert_int_equal(uses(&young, &young), CLAN_E_AUTH);
    wall_s++;
    session_of(1000, &young);
    assert_int_equal(uses(&young, &young), CLAN_OK);
    unlinkat(b->state_fd, "signed-out", 0);
    sessions_load(b);
}

/* A cookie is good by the machine's seed alone. */
static void it_outlives_the_core(void **state)
{
    static uint8_t other_seed[32] = {1};
    uint8_t *seed = b->root;
    clan_api_Session s;
    (void)state;
    session_of(1000, &s);
    struct brain *before = b, *anew = calloc(1, sizeof *anew);
    assert_non_null(anew);
    anew->root = seed;
    anew->grants = before->grants;
    anew->grants_ok = true;
    anew->state_fd = before->state_fd;
    b = anew;
    sessions_load(b);
    assert_int_equal(uses(&s, &s), CLAN_OK);
    b->root = other_seed;
    assert_int_equal(uses(&s, &s), CLAN_E_AUTH);
    b = before;
    free(anew);
}

/* ---- over a plugin's connection ---- */

static bool is_service(const clan_api_Answer *a)
{
    return a->which_m == clan_api_Answer_service_tag;
}

/* Its own machine, what is open to it, and nothing else; as clan.yaml says now, not when it signed in. */
static void what_a_guest_sees(void **state)
{
    struct clan_config_machine row[2] = {
        {.person = "anna", .role = CONFIG_MEMBER, .name = "nas"}, {.name = "carl"}};
    static struct clan_config cfg;
    int fd;
    (void)state;
    memcpy(row[0].id, nas.id, 32);
    memcpy(row[1].id, carl.id, 32);
    cfg.machine_count = cfg.service_count = 2;
    cfg.machines = row;
    cfg.services[0] = (struct clan_config_service){
        .name = "files", .plugin = "files", .on = "carl", .allow_count = 1, .allow = {"all"}};
    cfg.services[1] = (struct clan_config_service){
        .name = "diary", .plugin = "files", .on = "carl", .allow_count = 1, .allow = {"carl"}};
    b->cfg = &cfg;
    fd = client_signs_in(1000);
    assert_int_equal(client_asks(fd, clan_api_Request_machines_tag), CLAN_OK);
    assert_int_equal(client_rows, 4);
    assert_int_equal(client_asks(fd, clan_api_Request_services_tag), CLAN_OK);
    assert_int_equal(client_rows, 2);
    row[0].role = CONFIG_GUEST;
    assert_int_equal(client_asks(fd, clan_api_Request_machines_tag), CLAN_OK);
    assert_int_equal(client_rows, 1);
    assert_true(client_row.m.machine.self);
    assert_int_equal(client_asks(fd, clan_api_Request_services_tag), CLAN_OK);
    assert_int_equal(client_rows, 1);
    assert_true(is_service(&client_row));
    assert_string_equal(client_row.m.service.name, "files");
    assert_int_equal(client_row.m.service.allow_count, 0);
    assert_int_equal(client_asks(fd, clan_api_Request_status_tag), CLAN_OK);
    static const pb_size_t never[] = {clan_api_Request_context_tag, clan_api_Request_config_get_tag,
        clan_api_Request_config_log_tag, clan_api_Request_invitations_tag,
        clan_api_Request_ping_tag, clan_api_Request_paths_tag, clan_api_Request_plugins_tag,
        clan_api_Request_dismiss_alarms_tag, clan_api_Request_netcheck_tag,
        clan_api_Request_propose_tag, clan_api_Request_proposals_tag,
        clan_api_Request_proposal_drop_tag, clan_api_Request_activity_tag};
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++)
        assert_int_equal(client_asks(fd, never[i]), CLAN_E_PERM);
    client_hangs_up(fd);
    b->cfg = NULL;
}

/* Browsers do not take the command line's places, nor the other way round. */
static void who_takes_whose_place(void **state)
{
    int fd[BRAIN_PLUGIN_MAX + 1];
    (void)state;
    for (unsigned i = 0; i <= BRAIN_PLUGIN_MAX; i++)
        api_plugin_connect(b, false, &fd[i]);
    assert_true(fd[BRAIN_PLUGIN_MAX - 1] >= 0);
    assert_int_equal(fd[BRAIN_PLUGIN_MAX], -1);
    int line = client_connects();
    assert_int_equal(client_asks(line, clan_api_Request_status_tag), CLAN_OK);
    client_hangs_up(line);
    for (unsigned i = 0; i < BRAIN_PLUGIN_MAX; i++)
        client_hangs_up(fd[i]);
    assert_null(b->clients);
}

/* Of the command line's places one user leaves half, whatever it opens; the next has half of those. */
static void whose_command_line(void **state)
{
    int fd[BRAIN_CLIENTS_MAX + 1];
    unsigned count = 0;
    (void)state;
    if (getuid() != 0)
        skip(); /* only root is several users */
    for (unsigned u = 0; u < 7; u++) {
        unsigned got = 0;
        assert_int_equal(seteuid(3000 + u), 0);
        for (bool more = true; more; got += more) {
            fd[count] = client_connects();
            assert_int_equal(seteuid(0), 0);
            more = recv(fd[count], &(char){0}, 1, MSG_DONTWAIT) < 0; /* 0: it was hung up on */
            if (more)
                count++;
            else
                close(fd[count]);
            assert_int_equal(seteuid(3000 + u), 0);
        }
        assert_int_equal(seteuid(0), 0);
        static const unsigned want[] = {16, 8, 4, 2, 1, 1, 0};
        assert_int_equal(got, want[u]);
    }
    assert_int_equal(count, BRAIN_CLIENTS_MAX);
    while (count)
        client_hangs_up(fd[--count]);
    assert_null(b->clients);
}

static void what_a_session_may_ask(void **state)
{
    int fd;
    clan_api_UiCode code;
    clan_api_Request r = {.which_m = clan_api_Request_session_open_tag};
    (void)state;
    api_plugin_connect(b, false, &fd);
    assert_true(fd >= 0);
    assert_int_equal(client_asks(fd, clan_api_Request_machines_tag), CLAN_E_PERM);
    assert_int_equal(client_asks(fd, clan_api_Request_ui_code_tag), CLAN_E_PERM);
    assert_int_equal(client_asks(fd, clan_api_Request_session_end_tag), CLAN_E_PERM);
    assert_int_equal(sessions_code(b, 1000, &code, NULL), CLAN_OK);
    memcpy(r.m.session_open.code, code.code, 16);
    r.m.session_open.uid = 1000;
    assert_int_equal(client_ask(fd, &r), CLAN_OK);
    clan_api_Session s = client_answer.m.session;
    /* who only has a code's session named nobody on this connection yet */
    assert_int_equal(client_asks(fd, clan_api_Request_machines_tag), CLAN_E_PERM);
    r = (clan_api_Request){.which_m = clan_api_Request_session_use_tag};
    memcpy(&r.m.session_use.cookie, &s.cookie, sizeof r.m.session_use.cookie);
    memcpy(&r.m.session_use.token, &s.token, sizeof r.m.session_use.token);
    assert_int_equal(client_ask(fd, &r), CLAN_OK);
    assert_int_equal(client_answer.m.session.cookie.size, 0); /* never told again */
    assert_int_equal(client_ask(fd, &r), CLAN_E_STATE);       /* one session for one connection */
    assert_int_equal(client_asks(fd, clan_api_Request_machines_tag), CLAN_OK);
    static const pb_size_t never[] = {clan_api_Request_ui_code_tag, clan_api_Request_leave_tag,
        clan_api_Request_down_tag, clan_api_Request_submit_tag, clan_api_Request_blob_put_tag,
        clan_api_Request_machine_changed_tag, clan_api_Request_phone_add_tag,
        clan_api_Request_wait_for_tag, clan_api_Request_proposal_set_tag};
    for (unsigned i = 0; i < sizeof never / sizeof *never; i++)
        assert_int_equal(client_asks(fd, never[i]), CLAN_E_PERM);
    assert_int_equal(client_asks(fd, clan_api_Request_session_end_tag), CLAN_OK);
    assert_int_equal(client_asks(fd, clan_api_Request_machines_tag), CLAN_E_AUTH);
    client_hangs_up(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_is_good_once),
        cmocka_unit_test(whose_machine_it_is),
        cmocka_unit_test(many_codes_push_out_the_oldest_of_that_user),
        cmocka_unit_test(both_halves_must_fit),
        cmocka_unit_test(it_ends),
        cmocka_unit_test(more_that_ended_than_are_remembered),
        cmocka_unit_test(it_outlives_the_core),
        cmocka_unit_test(what_a_session_may_ask),
        cmocka_unit_test(what_a_guest_sees),
        cmocka_unit_test(who_takes_whose_place),
        cmocka_unit_test(whose_command_line),
    };
    return cmocka_run_group_tests(tests, client_setup, client_teardown);
}
