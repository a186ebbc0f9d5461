/* Other machines look at this one, and this one at others: what their words and their browsers are worth. */
#include "base/error.h"
#include "brain/visit.h"
#include "brain_client.h"
#include "wire/frame.h"

#include <pb_decode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct clan_config_machine rows[2];
static struct clan_config cfg;
static int link_end;

/* nas shows itself as nas-ui to carl, and carl shows itself as carl-ui. */
static int set_up(void **state)
{
    int fds[2];
    if (client_setup(state) != 0)
        return -1;
    b->soon_armed = true; /* nothing else is to happen */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    link_open(b, fds[0], 1);
    link_end = fds[1];
    memset(&cfg, 0, sizeof cfg);
    memset(rows, 0, sizeof rows);
    cfg.version = 2;
    cfg.machines = rows;
    cfg.machine_count = 2;
    memcpy(rows[0].id, nas.id, 32);
    strcpy(rows[0].name, "nas");
    memcpy(rows[1].id, carl.id, 32);
    strcpy(rows[1].name, "carl");
    strcpy(rows[1].person, "anna");
    cfg.service_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        struct clan_config_service *s = &cfg.services[i];
        strcpy(s->name, i ? "carl-ui" : "nas-ui");
        strcpy(s->on, rows[i].name);
        strcpy(s->plugin, "dashboard");
        s->allow_count = 1;
        strcpy(s->allow[0], i ? "all" : "carl");
    }
    b->cfg = &cfg;
    strcpy(b->petname, "home");
    b->grants.plugin_count = 1;
    strcpy(b->grants.plugins[0].id, "dashboard");
    b->grants.plugins[0].permissions = GRANT_API_SESSION | GRANT_NET_SERVICE;
    b->hosts[1] = (struct host){.used = true, .b = b, .service = true, .state = HOST_STARTED};
    strcpy(b->hosts[1].plugin, "dashboard");
    strcpy(b->hosts[1].instance, "nas-ui");
    return 0;
}

static int tear_down(void **state)
{
    b->cfg = NULL;
    close(link_end);
    for (int i = 0; i < 10; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    return client_teardown(state);
}

/* What went out to the other machine. */
static const clan_peer_PeerMsg *sent(void)
{
    static uint8_t bytes[WIRE_FRAME_MAX];
    static clan_link_ToLink m;
    static clan_peer_PeerMsg msg;
    ssize_t n;
    while ((n = recv(link_end, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        pb_istream_t is = pb_istream_from_buffer(bytes, (size_t)n);
        assert_true(pb_decode(&is, clan_link_ToLink_fields, &m));
        if (m.which_m != clan_link_ToLink_send_tag)
            continue;
        is = pb_istream_from_buffer(m.m.send.data.bytes, m.m.send.data.size);
        assert_true(pb_decode(&is, clan_peer_PeerMsg_fields, &msg));
        return &msg;
    }
    fail_msg("nothing was sent");
    return NULL;
}

/* ---- others look at this machine ---- */

static clan_peer_VisitCode asks(const struct fx_machine *who, const char *service)
{
    clan_peer_VisitAsk m = {.nonce = 7};
    snprintf(m.service, sizeof m.service, "%s", service);
    visit_asked(b, connected(who), &m);
    const clan_peer_PeerMsg *msg = sent();
    assert_int_equal(msg->which_m, clan_peer_PeerMsg_visit_code_tag);
    assert_int_equal(msg->m.visit_code.nonce, 7);
    assert_true(msg->m.visit_code.has_error == (msg->m.visit_code.code.size == 0));
    return msg->m.visit_code;
}

static clan_status opens(
    const clan_peer_VisitCode *code, const struct fx_machine *from, clan_api_Session *ret)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_api_SessionOpen m = {.uid = UINT32_MAX, .from.size = 16};
    memcpy(m.code, code->code.bytes, sizeof m.code);
    memcpy(m.from.bytes, member_find(b->set, from->id)->address, 16);
    return sessions_open(b, &m, ret, &e);
}

static clan_status uses(const clan_api_Session *s, const struct fx_machine *from)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_api_SessionUse m = {0};
    clan_api_Session got;
    uint8_t id[16];
    memcpy(&m.cookie, &s->cookie, sizeof m.cookie);
    memcpy(&m.token, &s->token, sizeof m.token);
    if (from) {
        m.from.size = 16;
        memcpy(m.from.bytes, member_find(b->set, from->id)->address, 16);
    }
    return sessions_use(b, &m, &got, id, &e);
}

static void a_code_is_one_machines_and_good_once(void **state)
{
    clan_api_Session s;
    (void)state;
    clan_peer_VisitCode code = asks(&carl, ""), other;
    assert_string_equal(code.service, "nas-ui");
    assert_int_equal(opens(&code, &carl, &s), CLAN_OK);
    assert_string_equal(s.from, "carl");
    assert_string_equal(s.person, "anna");
    assert_false(s.owner);
    assert_int_equal(opens(&code, &carl, &s), CLAN_E_AUTH);
    /* another machine's hand spends it */
    strcpy(cfg.services[0].allow[0], "all");
    code = asks(&carl, "nas-ui");
    assert_int_equal(opens(&code, &dave, &s), CLAN_E_AUTH);
    assert_int_equal(opens(&code, &carl, &s), CLAN_E_AUTH);
    /* too late */
    code = asks(&carl, "");
    now_ms += 30001;
    assert_int_equal(opens(&code, &carl, &s), CLAN_E_AUTH);
    /* one of a machine: the next pushes out its theirs, and nobody else's */
    other = asks(&dave, "");
    code = asks(&carl, "");
    for (unsigned i = 0; i <= VISIT_CODES_MAX; i++) {
        clan_peer_VisitCode next = asks(&carl, "");
        assert_int_equal(opens(&code, &carl, &s), CLAN_E_AUTH);
        code = next;
    }
    assert_int_equal(opens(&other, &dave, &s), CLAN_OK);
    /* nobody's: what a free place holds */
    memset(&code, 0, sizeof code);
    assert_int_equal(opens(&code, &carl, &s), CLAN_E_AUTH);
}

static void a_session_is_one_machines(void **state)
{
    clan_api_Session s, theirs;
    (void)state;
    strcpy(cfg.services[0].allow[0], "all");
    clan_peer_VisitCode code = asks(&carl, "");
    assert_int_equal(opens(&code, &carl, &s), CLAN_OK);
    assert_int_equal(uses(&s, &carl), CLAN_OK);
    assert_int_equal(uses(&s, &dave), CLAN_E_AUTH);
    assert_int_equal(uses(&s, NULL), CLAN_E_AUTH);
    session_of(1000, &theirs);
    assert_int_equal(uses(&theirs, NULL), CLAN_OK);
    assert_int_equal(uses(&theirs, &carl), CLAN_E_AUTH);
    /* it ends with what allowed it */
    strcpy(cfg.services[0].allow[0], "dave");
    assert_int_equal(uses(&s, &carl), CLAN_E_AUTH);
    strcpy(cfg.services[0].allow[0], "carl");
    assert_int_equal(uses(&s, &carl), CLAN_OK);
    rows[1].role = CONFIG_GUEST;
    assert_int_equal(uses(&s, &carl), CLAN_E_AUTH);
    rows[1].role = CONFIG_MEMBER;
    b->hosts[1].used = false;
    assert_int_equal(uses(&s, &carl), CLAN_E_AUTH);
    b->hosts[1].used = true;
    wall_s += SESSIONS_HOURS * 3600;
    assert_int_equal(uses(&s, &carl), CLAN_E_AUTH);
    wall_s -= SESSIONS_HOURS * 3600;
}

static void doors_are_kept_apart(void **state)
{
    static clan_api_Request r;
    clan_api_Session s, theirs;
    int visited, local;
    (void)state;
    clan_peer_VisitCode code = asks(&carl, "");
    assert_int_equal(opens(&code, &carl, &s), CLAN_OK);
    session_of(1000, &theirs);
    api_plugin_connect(b, true, &visited);
    api_plugin_connect(b, false, &local);
    memset(&r, 0, sizeof r);
    r.which_m = clan_api_Request_session_use_tag;
    memcpy(&r.m.session_use.cookie, &theirs.cookie, sizeof r.m.session_use.cookie);
    memcpy(&r.m.session_use.token, &theirs.token, sizeof r.m.session_use.token);
    assert_int_equal(client_ask(visited, &r), CLAN_E_PERM); /* the session of a person here */
    memcpy(&r.m.session_use.cookie, &s.cookie, sizeof r.m.session_use.cookie);
    memcpy(&r.m.session_use.token, &s.token, sizeof r.m.session_use.token);
    r.m.session_use.from.size = 16;
    memcpy(r.m.session_use.from.bytes, member_find(b->set, carl.id)->address, 16);
    assert_int_equal(client_ask(local, &r), CLAN_E_PERM);
    assert_int_equal(client_ask(visited, &r), CLAN_OK);
    assert_string_equal(client_answer.m.session.from, "carl");
    /* reading is all that it may */
    assert_int_equal(client_asks(visited, clan_api_Request_machines_tag), CLAN_OK);
    static const pb_size_t acts[] = {clan_api_Request_propose_tag,
        clan_api_Request_dismiss_alarms_tag, clan_api_Request_proposal_drop_tag,
        clan_api_Request_leave_tag, clan_api_Request_ui_code_tag};
    for (unsigned i = 0; i < sizeof acts / sizeof *acts; i++)
        assert_int_equal(client_asks(visited, acts[i]), CLAN_E_PERM);
    client_hangs_up(visited);
    client_hangs_up(local);
}

static void who_may_not_look(void **state)
{
    (void)state;
    assert_int_equal(asks(&dave, "").error.status, CLAN_E_PERM);
    assert_int_equal(asks(&dave, "nas-ui").error.status, CLAN_E_PERM);
    assert_int_equal(asks(&carl, "carl-ui").error.status, CLAN_E_PERM);
    rows[1].role = CONFIG_GUEST;
    assert_non_null(strstr(asks(&carl, "").error.why, "guest"));
    rows[1].role = CONFIG_MEMBER;
    b->hosts[1].state = HOST_FAILED;
    assert_int_equal(asks(&carl, "").error.status, CLAN_E_PERM);
    b->hosts[1].state = HOST_STARTED;
    b->grants.plugins[0].permissions = GRANT_NET_SERVICE; /* a service like any other */
    assert_int_equal(asks(&carl, "").error.status, CLAN_E_PERM);
    b->grants.plugins[0].permissions |= GRANT_API_SESSION;
    assert_int_equal(asks(&carl, "").code.size, 16);
}

/* ---- this machine looks at others ---- */

static uint64_t ask_for(int fd, const char *at)
{
    static clan_api_Request r;
    static uint8_t bytes[512];
    size_t size;
    memset(&r, 0, sizeof r);
    r.which_m = clan_api_Request_ui_code_tag;
    snprintf(r.m.ui_code.at, sizeof r.m.ui_code.at, "%s", at);
    assert_int_equal(
        frame_encode(clan_api_Request_fields, &r, bytes, sizeof bytes, &size), CLAN_OK);
    assert_int_equal(send(fd, bytes, size, 0), (ssize_t)size);
    for (int i = 0; i < 4; i++)
        uv_run(&b->loop, UV_RUN_NOWAIT);
    const clan_peer_PeerMsg *msg = sent();
    assert_int_equal(msg->which_m, clan_peer_PeerMsg_visit_ask_tag);
    assert_string_equal(msg->m.visit_ask.service, strcmp(at, "carl") == 0 ? "" : at);
    return msg->m.visit_ask.nonce;
}

static clan_status told(int fd)
{
    assert_true(client_next(fd, 5000));
    assert_true(client_answer.last);
    return client_answer.which_m == clan_api_Answer_error_tag
               ? (clan_status)client_answer.m.error.status
               : CLAN_OK;
}

static void the_other_machines_word(void **state)
{
    struct session *s = connected(&carl), *liar = connected(&dave);
    clan_peer_VisitCode m = {.code.size = 16, .service = "carl-ui"}, lie;
    int fd = client_connects();
    (void)state;
    memset(m.code.bytes, 'c', 16);
    m.nonce = ask_for(fd, "carl");
    lie = m;
    visit_told(b, liar, &lie); /* another machine */
    lie = m;
    lie.nonce++;
    visit_told(b, s, &lie); /* another question's */
    assert_false(client_next(fd, 20));
    lie = m;
    visit_told(b, s, &lie);
    assert_int_equal(told(fd), CLAN_OK);
    assert_string_equal(client_answer.m.ui_code.origin, "carl-ui.home.clan");
    lie = m;
    visit_told(b, s, &lie); /* a second time: nobody waits */
    assert_false(client_next(fd, 20));
    cfg.services[1].port = 7180;
    m.nonce = ask_for(fd, "carl-ui");
    lie = m;
    visit_told(b, s, &lie);
    assert_int_equal(told(fd), CLAN_OK);
    assert_string_equal(client_answer.m.ui_code.origin, "carl-ui.home.clan:7180");
    /* a service that is not that machine's, or none */
    for (unsigned i = 0; i < 2; i++) {
        lie = m;
        lie.nonce = ask_for(fd, "carl");
        strcpy(lie.service, i ? "evil.example/#" : "nas-ui");
        visit_told(b, s, &lie);
        assert_int_equal(told(fd), CLAN_E_PROTO);
    }
    lie = (clan_peer_VisitCode){.nonce = ask_for(fd, "carl"), .has_error = true};
    visit_told(b, s, &lie); /* "an error: none" */
    assert_int_equal(told(fd), CLAN_E_PROTO);
    client_hangs_up(fd);
}

static void nobody_answers(void **state)
{
    static clan_api_Request r;
    struct session *s = connected(&carl);
    int fd = client_connects();
    (void)state;
    ask_for(fd, "carl");
    visit_tick(b);
    assert_false(client_next(fd, 20));
    now_ms += VISIT_ASK_MS;
    visit_tick(b);
    assert_int_equal(told(fd), CLAN_E_TIMEOUT);
    ask_for(fd, "carl"); /* its session ends meanwhile */
    s->id = 0;
    visit_tick(b);
    assert_int_equal(told(fd), CLAN_E_TIMEOUT);
    memset(&r, 0, sizeof r);
    r.which_m = clan_api_Request_ui_code_tag;
    strcpy(r.m.ui_code.at, "carl");
    assert_int_equal(client_ask(fd, &r), CLAN_E_UNREACHABLE);
    strcpy(r.m.ui_code.at, "nobody");
    assert_int_equal(client_ask(fd, &r), CLAN_E_NOENT);
    strcpy(r.m.ui_code.at, "nas"); /* this machine: on loopback */
    assert_int_equal(client_ask(fd, &r), CLAN_OK);
    assert_memory_equal(client_answer.m.ui_code.origin, "127.", 4);
    client_hangs_up(fd);
    /* who hung up leaves a place */
    connected(&carl);
    for (unsigned i = 0; i < 2 * VISIT_ASKS_MAX; i++) {
        fd = client_connects();
        ask_for(fd, "carl");
        client_hangs_up(fd);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_code_is_one_machines_and_good_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_session_is_one_machines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(doors_are_kept_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_not_look, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_other_machines_word, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_answers, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
