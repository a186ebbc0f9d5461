/* The second interface of a clan in a network namespace of its own: what goes where, by real packets. */
#include "base/error.h"
#include "netconf/netconf.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_MS 5000
#define HEAD        10 /* struct virtio_net_hdr */

static struct netconf net;
static struct netconf_device device;
static uint8_t peer[16];
/* The owner's word: one device, at UDP port 7119. */
static const struct grants grants = {.plugin_count = 1,
    .plugins[0] = {.permissions = GRANT_NET_DEVICE,
        .listen_count = 2,
        .listen = {{.addr = {[10] = 0xff, [11] = 0xff}, .port = 7119, .family = 4},
            {.port = 7119, .family = 6}}}};

/* Asks as the warden does; the descriptor of the answer, -1 without. */
static int ask(const void *request, clan_status wanted)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct ward_device_states states = {0};
    int fd = -1;
    clan_status st = netconf_device(&net, &device, &grants, request, &states, &fd, &e);
    if (st != wanted)
        print_error("%d: %s: %s\n", st, e.what, e.why);
    assert_int_equal(st, wanted);
    return fd;
}

static void up(uint32_t mtu)
{
    struct ward_device_up r = {
        .head = {WARD_REQ_DEVICE_UP, 1}, .mtu = mtu, .port = 7119, .user = 1};
    int tun = ask(&r, CLAN_OK);
    assert_int_equal(tun, device.tun);
}

static void move(const uint8_t address[16], bool on, clan_status wanted)
{
    struct ward_device_route r = {.head = {WARD_REQ_DEVICE_ROUTE, 1}, .on = on};
    memcpy(r.address, address, 16);
    ask(&r, wanted);
}

static int stream(const uint8_t to[16], clan_status wanted)
{
    struct ward_device_stream r = {.head = {WARD_REQ_DEVICE_STREAM, 1}};
    memcpy(r.peer, to, 16);
    return ask(&r, wanted);
}

static int set_up(void **state)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const uint8_t clan_id[32] = {0x11, 0x22, 0x33, 0x44, 0x55};
    (void)state;
    device.tun = -1;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
        return 0; /* the tests skip */
    net = (struct netconf){.tun = -1, .mtu = 1400};
    netconf_identity(&net, clan_id);
    memcpy(net.address, net.prefix, 16);
    memcpy(peer, net.prefix, 16);
    net.address[15] = 1;
    peer[15] = 2;
    if (netconf_tun(&net, &e) != CLAN_OK)
        return 0;
    return netconf_up(&net, &e) == CLAN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    struct clan_error e = CLAN_ERROR_INIT;
    (void)state;
    netconf_device_down(&device);
    if (net.tun >= 0)
        netconf_down(&net, &e);
    return 0;
}

/* The first packet to the peer that comes out of a TUN; what is no such packet is passed over. */
static bool comes(int tun, uint32_t flags, uint8_t protocol)
{
    uint8_t p[2048];
    struct pollfd f = {.fd = tun, .events = POLLIN};
    size_t head = flags & WARD_TUN_VNET ? HEAD : 0;
    while (poll(&f, 1, PATIENCE_MS) == 1) {
        ssize_t n = read(tun, p, sizeof p);
        if (n >= (ssize_t)(head + 40) && p[head] >> 4 == 6 && p[head + 6] == protocol &&
            memcmp(p + head + 24, peer, 16) == 0)
            return true;
    }
    return false;
}

static void send_datagram(void)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    memcpy(&to.sin6_addr, peer, 16);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof to), 1);
    close(fd);
}

static void there_is_a_device(void **state)
{
    char name[16];
    (void)state;
    if (net.tun < 0)
        skip();
    move(peer, true, CLAN_E_INVAL); /* there is none yet */
    up(1420);
    netconf_device_name(&net, name);
    assert_string_equal(device.ifname, name);
    assert_int_equal(device.ifindex, if_nametoindex(name));
    assert_true(device.tun >= 0 && !(device.flags & WARD_TUN_NONE));
    up(1420); /* of a core that was started anew: the same one */
}

static int udp(uint8_t family, uint16_t port, uint8_t tries, clan_status wanted)
{
    struct ward_device_socket r = {
        .head = {WARD_REQ_DEVICE_SOCKET, 1}, .port = port, .family = family, .tries = tries};
    return ask(&r, wanted);
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 at = {0};
    socklen_t size = sizeof at;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    return ntohs(at.sin6_port); /* IPv4 has it at the same place */
}

static void sockets_are_those_that_the_owner_granted(void **state)
{
    (void)state;
    if (net.tun < 0)
        skip();
    int v4 = udp(4, 7119, WARD_DEVICE_TRIES, CLAN_OK);
    assert_int_equal(port_of(v4), 7119);
    int second = udp(4, 7119, WARD_DEVICE_TRIES, CLAN_OK); /* of another clan */
    assert_int_equal(port_of(second), 7120);
    int v6 = udp(6, 7120, 1, CLAN_OK);
    assert_int_equal(port_of(v6), 7120);
    udp(4, 7120, 1, CLAN_E_IO);
    udp(4, 7118, 1, CLAN_E_INVAL); /* below what is granted */
    udp(4, 7119 + 32, 1, CLAN_E_INVAL);
    udp(5, 7119, 1, CLAN_E_INVAL);
    udp(4, 7119, 0, CLAN_E_INVAL);
    close(v4);
    close(second);
    close(v6);
}

/* What an earlier core moved, the next one does not know of. */
static void a_new_core_finds_no_routes(void **state)
{
    (void)state;
    if (net.tun < 0)
        skip();
    move(peer, true, CLAN_OK);
    send_datagram();
    assert_true(comes(device.tun, device.flags, IPPROTO_UDP));
    up(1420);
    send_datagram();
    assert_true(comes(net.tun, net.flags, IPPROTO_UDP));
}

static void a_peer_moves_there_and_back(void **state)
{
    (void)state;
    if (net.tun < 0)
        skip();
    send_datagram();
    assert_true(comes(net.tun, net.flags, IPPROTO_UDP));
    for (int i = 0; i < 2; i++) {
        move(peer, true, CLAN_OK);
        move(peer, true, CLAN_OK); /* again */
        send_datagram();
        assert_true(comes(device.tun, device.flags, IPPROTO_UDP));
        move(peer, false, CLAN_OK);
        move(peer, false, CLAN_OK);
        send_datagram();
        assert_true(comes(net.tun, net.flags, IPPROTO_UDP));
    }
}

static void others_addresses_stay_where_they_are(void **state)
{
    uint8_t other[16];
    const struct ward_device_peer nobody = {.head = {WARD_REQ_DEVICE_PEER, 1}};
    (void)state;
    if (net.tun < 0)
        skip();
    memcpy(other, peer, 16);
    other[1] ^= 1; /* of another clan */
    move(other, true, CLAN_E_INVAL);
    move(net.address, true, CLAN_E_INVAL);
    stream(other, CLAN_E_INVAL);
    ask(&nobody, CLAN_E_INVAL); /* the kernel does not carry this one */
}

/* The tunnel's one queue tells a sender by dropping; the machine's own choice may not listen. */
static void tcp_in_the_tunnel_is_cubic(void **state)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    char tunnel[16] = "";
    socklen_t size = sizeof tunnel;
    (void)state;
    if (net.tun < 0)
        skip();
    memcpy(&to.sin6_addr, peer, 16);
    move(peer, false, CLAN_OK);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4), 0);
    connect(fd, (struct sockaddr *)&to, sizeof to);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, tunnel, &size), 0);
    assert_string_equal(tunnel, "cubic");
    close(fd);
}

/* A probe of the device says something about the device, wherever the peer's packets go. */
static void its_streams_take_no_other_way(void **state)
{
    const uint8_t nobody[16] = {0};
    int on = 0;
    socklen_t size = sizeof on;
    (void)state;
    if (net.tun < 0)
        skip();
    for (int i = 0; i < 2; i++) {
        int fd = stream(peer, CLAN_OK);
        assert_true(comes(device.tun, device.flags, IPPROTO_TCP));
        close(fd);
        move(peer, i == 0, CLAN_OK);
    }
    int listener = stream(nobody, CLAN_OK);
    assert_int_equal(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &on, &size), 0);
    assert_true(on);
    close(listener);
}

/* A warden that was killed leaves what another process holds. */
static void one_that_was_left_is_replaced(void **state)
{
    struct netconf_device left = device;
    (void)state;
    if (net.tun < 0)
        skip();
    device = (struct netconf_device){.tun = -1};
    up(1300);
    assert_int_not_equal(device.ifindex, left.ifindex);
    close(left.tun);
    free(left.routes.rows);
    free(left.peers.rows);
    move(peer, true, CLAN_OK);
    send_datagram();
    assert_true(comes(device.tun, device.flags, IPPROTO_UDP));
}

/* ---- the kernel's WireGuard: in the guest of wireguard_guest.py, where the kernel has it ---- */

static void kernel_peer(uint8_t key, uint8_t address, uint8_t remove)
{
    struct ward_device_peer r = {.head = {WARD_REQ_DEVICE_PEER, 1},
        .key = {key},
        .endpoint = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = address},
        .port = 7120,
        .remove = remove,
        .count = remove ? 0 : 1};
    memcpy(r.addresses[0], peer, 16);
    r.addresses[0][15] = address;
    ask(&r, CLAN_OK);
}

/* What the kernel says of the peers with the keys 5, 6 and 7. */
static struct ward_device_states kernel_states(void)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct ward_device_ask r = {
        .head = {WARD_REQ_DEVICE_STATES, 1}, .count = 3, .keys = {{5}, {6}, {7}}};
    struct ward_device_states s = {0};
    int fd = -1;
    assert_int_equal(netconf_device(&net, &device, &grants, &r, &s, &fd, &e), CLAN_OK);
    return s;
}

static void the_kernel_carries(void **state)
{
    struct ward_device_up r = {
        .head = {WARD_REQ_DEVICE_UP, 1}, .secret = {1, [31] = 0x40}, .mtu = 1420, .port = 7119};
    const struct ward_simple down = {{WARD_REQ_DEVICE_DOWN, 1}};
    const struct ward_device_up again = r;
    (void)state;
    if (net.tun < 0)
        skip();
    ask(&down, CLAN_OK);
    ask(&r, CLAN_OK);
    if (!(device.flags & WARD_TUN_NONE)) {
        assert_null(getenv("CLAN_KERNEL_WIREGUARD"));
        skip();
    }
    assert_int_equal(WARD_TUN_PORT(device.flags), 7119);
    assert_int_equal(device.tun, -1);
    kernel_peer(5, 5, 0);
    kernel_peer(6, 6, 0);
    struct ward_device_states s = kernel_states();
    assert_int_equal(s.count, 2);
    assert_int_equal(s.states[0].port, 7120);
    assert_int_equal(s.states[0].endpoint[15], s.states[0].key[0]);
    assert_int_equal(s.states[0].handshake_s, 0);
    move(peer, true, CLAN_OK);
    r = again; /* a new core, which knows of one of the two */
    ask(&r, CLAN_OK);
    kernel_peer(6, 6, 0);
    kernel_peer(7, 7, 0);
    kernel_peer(0, 0, 1); /* who was not named */
    s = kernel_states();
    assert_int_equal(s.count, 2);
    assert_true(s.states[0].key[0] != 5 && s.states[1].key[0] != 5);
    kernel_peer(7, 7, 1);
    assert_int_equal(kernel_states().count, 1);
    int fd = stream(peer, CLAN_OK);
    close(fd);
    ask(&down, CLAN_OK);
    assert_int_equal(device.ifindex, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_a_device),
        cmocka_unit_test(a_peer_moves_there_and_back),
        cmocka_unit_test(others_addresses_stay_where_they_are),
        cmocka_unit_test(sockets_are_those_that_the_owner_granted),
        cmocka_unit_test(a_new_core_finds_no_routes),
        cmocka_unit_test(tcp_in_the_tunnel_is_cubic),
        cmocka_unit_test(its_streams_take_no_other_way),
        cmocka_unit_test(one_that_was_left_is_replaced),
        cmocka_unit_test(the_kernel_carries),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
