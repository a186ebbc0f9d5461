/* "via:" of clan.yaml in the core: who may be reached by what, also before a configuration is there. */
#include "brain/demand.h"
#include "brain_fixture.h"

#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct clan_config_machine rows[3];
static struct clan_config cfg = {.version = 2,
    .transport_count = 3,
    .transports = {"websocket", "tcp-noise", "tor"},
    .machines = rows,
    .machine_count = 3};

/* nas: any; carl: tcp-noise or tor; dave: as said. */
static void demand(uint8_t carls, uint8_t daves)
{
    memcpy(rows[0].id, nas.id, 32);
    memcpy(rows[1].id, carl.id, 32);
    memcpy(rows[2].id, dave.id, 32);
    rows[1].via = carls;
    rows[2].via = daves;
    cfg.version++;
    b->cfg = &cfg;
}

static const char *text_of(const struct fx_machine *m)
{
    static char text[DEMAND_TEXT];
    demand_text(b, m->id, text, sizeof text);
    return text;
}

static void nothing_is_demanded(void **state)
{
    (void)state;
    become(&nas);
    b->cfg = NULL;
    assert_true(demand_allows(b, carl.id, "anything"));
    demand(0, 0);
    clan_link_Peer peer = {0};
    demand_describe(b, carl.id, &peer);
    assert_false(peer.only);
    assert_true(demand_own(b, "tcp-noise"));
    assert_string_equal(text_of(&carl), "");
}

static void the_others_word(void **state)
{
    struct path_order order = {.names = {"websocket", "tcp-noise", "tor"}, .count = 3};
    clan_link_Peer peer = {0};
    (void)state;
    become(&nas);
    demand(6, 4);
    assert_true(demand_own(b, "websocket"));
    assert_false(demand_allows(b, carl.id, "websocket"));
    assert_true(demand_allows(b, carl.id, "tor"));
    assert_true(demand_allows(b, erin.id, "websocket"));
    demand_filter(b, carl.id, &order);
    assert_int_equal(order.count, 2);
    assert_string_equal(order.names[0], "tcp-noise");
    assert_string_equal(order.names[1], "tor");
    assert_string_equal(order.names[2], "");
    demand_describe(b, dave.id, &peer);
    assert_true(peer.only);
    assert_int_equal(peer.via_count, 1);
    assert_string_equal(peer.via[0], "tor");
    assert_string_equal(text_of(&carl), "only by tcp-noise or tor, as clan.yaml says");
    assert_string_equal(text_of(&dave), "only by tor, as clan.yaml says");
}

static void the_own_word(void **state)
{
    struct path_order order;
    (void)state;
    become(&carl);
    demand(2, 4);
    assert_false(demand_own(b, "tor"));
    transports_own(b, &order);
    assert_int_equal(order.count, 1);
    assert_string_equal(order.names[0], "tcp-noise");
    assert_true(transports_wanted(b, "tor")); /* it is a transport of the clan, not a service */
    assert_false(demand_allows(b, nas.id, "websocket"));
    assert_true(demand_is(b, nas.id));
    /* nothing that both allow: nothing at all, and link is told so */
    clan_link_Peer peer = {0};
    demand_describe(b, dave.id, &peer);
    assert_true(peer.only);
    assert_int_equal(peer.via_count, 0);
    assert_string_equal(text_of(&dave), "by no transport that clan.yaml lets both machines use");
}

/* A service that a device may not carry: what its holder and anybody exchange goes by the others. */
static void a_service_is_kept_off_devices(void **state)
{
    (void)state;
    become(&nas);
    demand(0, 0);
    snprintf(rows[1].name, sizeof rows[1].name, "carl");
    cfg.service_count = 1;
    cfg.services[0] = (struct clan_config_service){.name = "files", .on = "carl", .via = 1u << 1};
    cfg.version++;
    b->grants_ok = true;
    b->grants.plugin_count = 1;
    b->grants.plugins[0] = (struct grant_plugin){
        .id = "websocket", .kind = GRANT_KIND_TRANSPORT, .permissions = GRANT_NET_CONNECT_LAN};
    assert_true(demand_allows(b, carl.id, "websocket")); /* link looks at what a stream carries */
    b->grants.plugins[0].permissions = GRANT_NET_DEVICE;
    assert_false(demand_allows(b, carl.id, "websocket"));
    assert_true(demand_allows(b, carl.id, "tcp-noise") && demand_allows(b, carl.id, "tor"));
    assert_true(demand_allows(b, dave.id, "websocket"));
    assert_string_equal(text_of(&carl), "only by tcp-noise or tor, as clan.yaml says");
    become(&carl); /* who holds it does without the device */
    assert_false(demand_own(b, "websocket"));
    assert_true(demand_own(b, "tor"));
    cfg.services[0].via |= 1u; /* the device is one of them */
    cfg.version++;
    assert_true(demand_own(b, "websocket"));
    cfg.service_count = 0;
    cfg.version++;
    b->grants_ok = false;
}

static void no_dial_leaves(void **state)
{
    struct dialing what = {.purpose = clan_link_Purpose_PURPOSE_CONTROL};
    struct host *h = &b->hosts[0];
    (void)state;
    become(&nas);
    demand(2, 0);
    *h = (struct host){.used = true, .wanted = true, .state = HOST_STARTED, .plugin = "websocket"};
    int pair[2];
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    h->chan = chan_open(&b->loop, pair[0], no_chan, no_gone, h);
    h->b = b;
    memcpy(what.machine, carl.id, 32);
    assert_false(transports_dial(b, &what, "websocket", "192.0.2.1:1", 1000));
    memcpy(what.machine, erin.id, 32);
    assert_true(transports_dial(b, &what, "websocket", "192.0.2.1:1", 1000));
    chan_close(h->chan);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    close(pair[1]);
    h->used = false;
}

/* The head names a version whose text is not here, and the core was started anew: the word of the
 * version before holds. */
static void a_restart_forgets_nothing(void **state)
{
    char id[TEXT_ID_CHARS + 1], path[128];
    (void)state;
    become(&carl);
    b->cfg = NULL;
    text_base32(carl.id, 32, id);
    snprintf(path, sizeof path, "%s/config", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/config/1.yaml", dir);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out,
        "version: 1\nclan: home\nadmins: {threshold: 1, keys: {anna: "
        "\"ed25519:rkeohxlubhyzl7ks3mwtzos5olfgocn7dwkbeg7toseadnapn5oa\"}}\n"
        "transports: {order: [tcp-noise, tor]}\nmachines: {\"%s\": {name: carl, via: [tor]}}\n",
        id);
    assert_int_equal(fclose(out), 0);
    assert_true(demand_own(b, "tcp-noise"));
    demand_reconcile(b);
    assert_false(demand_own(b, "tcp-noise"));
    assert_true(demand_own(b, "tor"));
    demand(0, 0); /* a newer one is there */
    demand_reconcile(b);
    assert_true(demand_own(b, "tcp-noise"));
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/config", dir);
    assert_int_equal(rmdir(path), 0);
    b->cfg = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_demanded),
        cmocka_unit_test(the_others_word),
        cmocka_unit_test(the_own_word),
        cmocka_unit_test(a_service_is_kept_off_devices),
        cmocka_unit_test(no_dial_leaves),
        cmocka_unit_test(a_restart_forgets_nothing),
    };
    return cmocka_run_group_tests(tests, brain_setup, brain_teardown);
}
