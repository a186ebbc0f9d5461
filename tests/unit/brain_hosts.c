/* Plugin hosts and transports as clan-core sees them: a hostile one, several, one that starts. */
#include "base/error.h"
#include "brain/interfaces.h"
#include "brain_fixture.h"

#include <pb_decode.h>
#include <pb_encode.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a hostile plugin ---- */

static void endpoints_of_a_plugin(void **state)
{
    (void)state;
    static clan_host_Endpoints e = {.endpoint_count = 3};
    uint8_t raw[STMT_MAX], id[32];
    size_t size;
    strcpy(e.endpoint[0], "");
    strcpy(e.endpoint[1], "10.0.0.1:7117");
    strcpy(e.endpoint[2], "\x1b[2J\n");
    struct host *h = &b->hosts[0];
    *h = (struct host){.used = true, .plugin = "tcp-noise", .instance = "tcp-noise"};
    b->soon_armed = true;
    transports_endpoints(b, h, &e);
    b->soon_armed = false;
    assert_int_equal(b->endpoint_count, 1);
    assert_string_equal(b->endpoints[0].text, "10.0.0.1:7117");
    identity_make_record(b, f.clan, raw, &size, id); /* ends the process where it does not fit */
    h->used = false;
}

/* Two transports: each has its endpoints in the record, is dialled at its own, answers its own dials. */
static void two_transports(void **state)
{
    (void)state;
    static clan_host_Endpoints many = {.endpoint_count = 6}, one = {.endpoint_count = 1};
    struct clan_config cfg = {.transports = {"websocket", "tcp-noise"}, .transport_count = 2};
    struct clan_config *before = b->cfg;
    struct path_order order;
    for (unsigned i = 0; i < 6; i++)
        snprintf(many.endpoint[i], sizeof many.endpoint[i], "10.0.0.%u:7180", i + 1);
    strcpy(one.endpoint[0], "10.0.0.1:7117");
    b->cfg = &cfg;
    b->hosts[0] = (struct host){.used = true, .plugin = "tcp-noise", .instance = "tcp-noise"};
    b->hosts[1] = (struct host){.used = true, .plugin = "websocket", .instance = "websocket"};
    b->soon_armed = true;
    transports_endpoints(b, &b->hosts[0], &one);
    transports_endpoints(b, &b->hosts[1], &many);
    b->soon_armed = false;
    assert_int_equal(b->endpoint_count, 5); /* half of the places, and the other's one */
    assert_string_equal(b->endpoints[0].transport, "websocket");
    assert_string_equal(b->endpoints[4].transport, "tcp-noise");
    assert_string_equal(b->endpoints[4].text, "10.0.0.1:7117");

    transports_order(b, &order);
    assert_int_equal(order.count, 0); /* neither is up */
    b->hosts[0].state = b->hosts[1].state = HOST_STARTED;
    transports_order(b, &order);
    assert_int_equal(order.count, 2);
    assert_string_equal(order.names[0], "websocket");

    struct stmt_record r = {.endpoint_count = 2};
    strcpy(r.endpoints[0].transport, "tcp-noise");
    strcpy(r.endpoints[0].text, "10.0.0.9:7117");
    strcpy(r.endpoints[1].transport, "websocket");
    strcpy(r.endpoints[1].text, "10.0.0.9:7180");
    struct path_dial d = {0};
    const char *transport, *text;
    uint64_t at;
    assert_true(path_next(&d, &r, &order, 0, &at, &transport, &text));
    assert_string_equal(transport, "websocket");
    path_failed(&d, &r, &order, 0, 0);
    assert_true(path_next(&d, &r, &order, 0, &at, &transport, &text));
    assert_string_equal(transport, "tcp-noise");
    assert_string_equal(text, "10.0.0.9:7117");
    path_failed(&d, &r, &order, 0, 0);
    assert_false(
        path_next(&d, &r, &order, 0, &at, &transport, &text)); /* the pause after a round */

    b->dials[0] = (struct dialing){.request = 9, .host = &b->hosts[0], .deadline_ms = UINT64_MAX};
    transports_dial_result(b, &b->hosts[1], 9, -1, "", &(struct clan_error)CLAN_ERROR_INIT);
    assert_int_equal(b->dials[0].request, 9); /* not its dial to answer */
    transports_gone(b, &b->hosts[0]);
    assert_int_equal(b->dials[0].request, 0);
    b->hosts[0].used = b->hosts[1].used = false;
    b->cfg = before;
}

/* A host that was ended on purpose is gone, or starts anew when it is wanted again meanwhile. */
static void a_host_that_ended(void **state)
{
    (void)state;
    struct ward_child_died d = {.kind = WARD_KIND_HOST, .child = 5};
    struct host *h = &b->hosts[0];
    strcpy(d.name, "websocket");
    b->soon_armed = true;
    for (unsigned wanted = 0; wanted < 2; wanted++) {
        *h = (struct host){.used = true,
            .wanted = wanted,
            .state = HOST_ENDING,
            .plugin = "websocket",
            .instance = "websocket",
            .child = 5};
        hosts_child_died(b, &d);
        assert_int_equal(h->used, wanted);
        assert_int_equal(h->state, HOST_IDLE);
    }
    b->soon_armed = false;
    h->used = false;
}

/* The clock of the brain: that of the machine and this. */
static uint64_t later_ms;
uint64_t __real_brain_now(void);
uint64_t __wrap_brain_now(void);

uint64_t __wrap_brain_now(void)
{
    return __real_brain_now() + later_ms;
}

/* The hosts' own ends of their channels. */
static int host_ends[2];

static struct host *host_of(unsigned i, const char *name)
{
    int sv[2];
    struct ward_child child = {.child = 5 + i, .kind = WARD_KIND_HOST};
    snprintf(child.name, sizeof child.name, "%s", name);
    snprintf(child.plugin, sizeof child.plugin, "%s", name);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    host_ends[i] = sv[1];
    hosts_child(b, &child, sv[0]);
    assert_non_null(host_find(b, name));
    return host_find(b, name);
}

static void hosts_end(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        chan_close(b->hosts[i].chan);
        b->hosts[i].used = false;
        close(host_ends[i]);
    }
    uv_run(&b->loop, UV_RUN_NOWAIT);
    uv_loop_close(&b->loop);
}

static void host_says(unsigned i, const clan_host_FromHost *m)
{
    uint8_t data[8192];
    pb_ostream_t os = pb_ostream_from_buffer(data, sizeof data);
    assert_true(pb_encode(&os, clan_host_FromHost_fields, m));
    assert_int_equal(send(host_ends[i], data, os.bytes_written, 0), os.bytes_written);
    b->soon_armed = true;
    uv_run(&b->loop, UV_RUN_NOWAIT);
    b->soon_armed = false;
}

/* The next message that a host was sent. */
static bool host_next(unsigned i, clan_host_ToHost *ret)
{
    static uint8_t data[65536];
    ssize_t n = recv(host_ends[i], data, sizeof data, MSG_DONTWAIT);
    pb_istream_t is = pb_istream_from_buffer(data, n > 0 ? (size_t)n : 0);
    assert_true(n <= 0 || pb_decode(&is, clan_host_ToHost_fields, ret));
    return n > 0;
}

/* How many messages of a kind a host was sent; the last of them. */
static unsigned host_heard(unsigned i, pb_size_t which, clan_host_ToHost *ret)
{
    static clan_host_ToHost m;
    unsigned count = 0;
    while (host_next(i, &m)) {
        count += m.which_m == which;
        if (m.which_m == which)
            *ret = m;
    }
    return count;
}

static void count_heard(unsigned i, unsigned *dials, unsigned *secrets, clan_host_ToHost *ret_dial)
{
    static clan_host_ToHost m;
    while (host_next(i, &m)) {
        *secrets += m.which_m == clan_host_ToHost_invited_tag;
        *dials += m.which_m == clan_host_ToHost_dial_tag;
        if (m.which_m == clan_host_ToHost_dial_tag)
            *ret_dial = m;
    }
}

static void two_hosts(void)
{
    static const struct clan_config cfg = {
        .transports = {"tcp-noise", "tor"}, .transport_count = 2};
    become(&nas);
    b->cfg = (struct clan_config *)(uintptr_t)&cfg;
    assert_int_equal(uv_loop_init(&b->loop), 0);
    host_of(0, "tcp-noise");
    host_of(1, "tor");
}

/* It alone is asked for its endpoints, once; how long a way it has is known before the first dial. */
static void a_transport_that_starts(void **state)
{
    (void)state;
    static clan_host_FromHost up = {.which_m = clan_host_FromHost_state_is_tag};
    static clan_host_ToHost m;
    const struct dialing what = {.purpose = clan_link_Purpose_PURPOSE_DOOR};
    two_hosts();
    struct host *tcp = host_find(b, "tcp-noise"), *tor = host_find(b, "tor");
    assert_false(tcp->service || tor->service);
    up.m.state_is.state = clan_host_State_STATE_STARTED;
    tcp->state = tor->state = HOST_STARTING;
    up.m.state_is.interfaces_count = 1;
    strcpy(up.m.state_is.interfaces[0], "clan.transport.stream");
    host_says(0, &up);
    assert_int_equal(host_heard(0, clan_host_ToHost_ask_endpoints_tag, &m), 1);
    strcpy(up.m.state_is.interfaces[up.m.state_is.interfaces_count++], interface_rendezvous);
    host_says(1, &up);
    assert_int_equal(host_heard(1, clan_host_ToHost_ask_endpoints_tag, &m), 1);
    assert_int_equal(host_heard(0, clan_host_ToHost_ask_endpoints_tag, &m), 0);

    assert_true(transports_dial(b, &what, "tcp-noise", "10.0.0.1:7117", 5000));
    assert_int_equal(host_heard(0, clan_host_ToHost_dial_tag, &m), 1);
    assert_int_equal(m.m.dial.timeout_ms, 5000);
    assert_true(transports_dial(b, &what, "tor", "x.onion:7117", 5000));
    assert_int_equal(host_heard(1, clan_host_ToHost_dial_tag, &m), 1);
    assert_int_equal(m.m.dial.timeout_ms, 60000);
    hosts_end(2);
    b->cfg = NULL;
}

/* One that outlived an earlier core tells what it is, and is asked also when another one answered. */
static void a_transport_that_was_there(void **state)
{
    (void)state;
    static clan_host_FromHost ack = {.which_m = clan_host_FromHost_hello_ack_tag};
    static clan_host_ToHost m;
    two_hosts();
    b->endpoint_count = 1;
    ack.m.hello_ack.state = clan_host_State_STATE_STARTED;
    strcpy(ack.m.hello_ack.plugin, "tor");
    ack.m.hello_ack.interfaces_count = 2;
    strcpy(ack.m.hello_ack.interfaces[0], "clan.transport.stream");
    strcpy(ack.m.hello_ack.interfaces[1], interface_rendezvous);
    host_says(1, &ack);
    assert_int_equal(host_find(b, "tor")->state, HOST_STARTED);
    assert_true(host_find(b, "tor")->meets);
    assert_int_equal(host_heard(1, clan_host_ToHost_ask_endpoints_tag, &m), 1);
    b->endpoint_count = 0;
    hosts_end(2);
    b->cfg = NULL;
}

/* A joiner is patient as long as a dial has time: its transport knows how long its ways are. */
static void a_door_far_away(void **state)
{
    (void)state;
    struct invite_link link = {.has_onion = true,
        .onion_port = 7117,
        .endpoint_count = 1,
        .endpoints[0] = {.address = {[10] = 0xff, 0xff, 203, 0, 113, 5},
            .family = 4,
            .port = 7117,
            .transport = "tcp-noise"}};
    char text[LINK_TEXT_MAX + 1];
    static clan_host_ToHost m;
    two_hosts();
    b->soon_armed = true;
    b->link_ready = true;
    b->local.count = 1;
    for (unsigned i = 0; i < 2; i++)
        b->hosts[i].state = HOST_STARTED;
    host_find(b, "tor")->meets = true;
    assert_int_equal(link_format(&link, text), CLAN_OK);
    joiner_preview(b, NULL, text);
    unsigned dials = 0, secrets = 0;
    count_heard(0, &dials, &secrets, &m);
    assert_int_equal(dials, 1);
    assert_int_equal(secrets, 0); /* that of the link is the onion's */
    assert_int_equal(m.m.dial.timeout_ms, 5000);
    transports_dial_result(b, &b->hosts[0], m.m.dial.request, -1, "",
        &(struct clan_error){.status = CLAN_E_UNREACHABLE});
    dials = 0;
    count_heard(1, &dials, &secrets, &m);
    assert_int_equal(dials, 1);
    assert_int_equal(secrets, 1);
    assert_int_equal(m.m.dial.timeout_ms, 60000);
    for (later_ms = 0; later_ms <= 60000; later_ms += 5000) {
        transports_tick(b);
        joiner_tick(b);
        assert_non_null(b->joiner);
        assert_int_equal(b->dials[0].request, m.m.dial.request);
    }
    later_ms = 63000; /* nobody answered, nobody was busy */
    transports_tick(b);
    assert_null(b->joiner);
    later_ms = 0;
    b->local.count = 0;
    b->soon_armed = false;
    hosts_end(2);
    b->cfg = NULL;
}

static void hostile_host(void **state)
{
    (void)state;
    static clan_host_FromHost m;
    become(&nas);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    struct host *h = host_of(0, "evil");
    assert_true(h->service);
    /* a dial of a transport is not its to fail */
    b->dials[0] = (struct dialing){.request = 9, .deadline_ms = UINT64_MAX};
    m = (clan_host_FromHost){.which_m = clan_host_FromHost_dial_failed_tag};
    m.m.dial_failed.request = 9;
    host_says(0, &m);
    assert_int_equal(b->dials[0].request, 9);
    /* nobody asked how it is */
    h->state = HOST_STARTED;
    h->healthy = true;
    m = (clan_host_FromHost){.which_m = clan_host_FromHost_health_tag};
    host_says(0, &m);
    assert_true(h->healthy);
    /* it fails once, however often it says so */
    m = (clan_host_FromHost){.which_m = clan_host_FromHost_state_is_tag};
    m.m.state_is.state = clan_host_State_STATE_FAILED;
    for (int i = 0; i < 5; i++)
        host_says(0, &m);
    assert_int_equal(h->failures, 1);
    hosts_end(1);
}

/* Each answer without an address reconciled, which asked again: the warden killed this core. */
static void without_any_address(void **state)
{
    (void)state;
    struct ward_simple r;
    unsigned asked = 0;
    int sv[2];
    become(&nas);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    b->ward = chan_open(&b->loop, sv[0], no_chan, no_gone, b);
    b->hosts[0] = (struct host){
        .used = true, .state = HOST_STARTED, .plugin = "tcp-noise", .instance = "tcp-noise"};
    b->local.count = 0;
    b->soon_armed = true;
    for (int i = 0; i < 100; i++) {
        transports_reconcile(b);
        while (recv(sv[1], &r, sizeof r, MSG_DONTWAIT) == (ssize_t)sizeof r)
            asked += r.head.id == WARD_REQ_LOCAL_ADDRS;
    }
    assert_in_range(asked, 1, 4); /* two a second, and a second may begin meanwhile */
    b->soon_armed = false;
    b->hosts[0].used = false;
    chan_close(b->ward);
    b->ward = NULL;
    uv_run(&b->loop, UV_RUN_NOWAIT);
    uv_loop_close(&b->loop);
    close(sv[1]);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, brain_setup, brain_teardown)
    const struct CMUnitTest tests[] = {
        T(endpoints_of_a_plugin),
        T(two_transports),
        T(a_host_that_ended),
        T(a_transport_that_starts),
        T(a_transport_that_was_there),
        T(a_door_far_away),
        T(hostile_host),
        T(without_any_address),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
