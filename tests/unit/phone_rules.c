/* What a phone behind this machine reaches and who reaches it, by real packets in a network namespace of its own,
 * on a machine that forwards everything else. */
#include "base/error.h"
#include "netconf/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD        ((size_t)sizeof(struct virtio_net_hdr))
#define IP6         40
#define PATIENCE_MS 10000
#define MTU         1420

enum { NONE = -1, CLAN, TUNNEL, LAN, COUNT }; /* interfaces */
static const char *const names[COUNT] = {"clan0", "clan0w", "lan0"};
static int tun[COUNT] = {-1, -1, -1};
static struct netconf net;
static struct netconf_device device;
static uint16_t serial; /* tells packets apart: in the UDP source port */

#define OWN    "fd11:2233:4455::1"
#define MEMBER "fd11:2233:4455::2"
#define BESIDE "fd11:2233:4455::3" /* a member whose packets take the device */
#define PHONE  "fd11:2233:4455::a"
#define PHONE2 "fd11:2233:4455::b"
#define LANOWN "2001:db8:1::1"
#define LANPC  "2001:db8:1::2"
#define FAR    "2001:db8:ffff::1"

static bool run(const char *command, const char *input)
{
    FILE *f = popen(command, "w");
    if (!f)
        return false;
    if (input)
        fputs(input, f);
    return pclose(f) == 0;
}

static int open_tun(const char *name)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0 ||
        ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0) {
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* Forwards, knows a way to everywhere, and takes what it can get: as unlike the daemon's own as possible. */
static const char machine[] = "set -e\n"
                              "for i in clan0 clan0w lan0; do\n"
                              " echo 0 >/proc/sys/net/ipv6/conf/$i/accept_dad\n"
                              " ip link set $i mtu 1420 up\n"
                              "done\n"
                              "ip link set lo up\n"
                              "ip addr add " OWN "/48 dev clan0 nodad\n"
                              "ip addr add " LANOWN "/64 dev lan0 nodad\n"
                              "ip addr add 192.0.2.1/24 dev lan0\n"
                              "ip route add default dev lan0\n"
                              "ip -6 route add default dev lan0\n"
                              "ip -6 route add " BESIDE " dev clan0w\n"
                              "ip -6 route add " PHONE " dev clan0w\n"
                              "ip -6 route add " PHONE2 " dev clan0w\n"
                              "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding\n"
                              "echo 1 >/proc/sys/net/ipv4/ip_forward\n";

static void address(const char *text, uint8_t ret[16])
{
    assert_int_equal(inet_pton(AF_INET6, text, ret), 1);
}

static bool nft(struct text *t)
{
    bool ok = run("/usr/sbin/nft -f -", t->data);
    if (!ok)
        print_error("%s\n", t->data);
    free(t->data);
    return ok;
}

static clan_status phones(unsigned count, const char *first, struct clan_error *e)
{
    struct text t = {0};
    struct ward_device_phones p = {.count = count};
    if (count > 0)
        address(first, p.addresses[0]);
    if (count > 1)
        address(PHONE2, p.addresses[1]);
    clan_status st = rules_phones(&t, &net, &device, &p, e);
    if (st == CLAN_OK)
        assert_true(nft(&t));
    return st;
}

static void member(struct rules_set *set, const char *who)
{
    struct clan_error e = CLAN_ERROR_INIT;
    uint8_t a[16];
    address(who, a);
    struct rules_element x = rules_element(a, NULL, 0, 0, true);
    assert_int_equal(rules_want(set, &net, &x, &e), CLAN_OK);
}

static int set_up(void **state)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const uint8_t clan_id[32] = {0x11, 0x22, 0x33, 0x44, 0x55};
    (void)state;
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
        return 0; /* the tests skip */
    for (int i = 0; i < COUNT; i++)
        if ((tun[i] = open_tun(names[i])) < 0)
            return 0;
    if (!run("/bin/sh", machine))
        return -1;
    net = (struct netconf){.tun = tun[CLAN], .mtu = MTU};
    snprintf(net.ifname, sizeof net.ifname, "%s", names[CLAN]);
    netconf_identity(&net, clan_id);
    address(OWN, net.address);
    device = (struct netconf_device){.ifindex = if_nametoindex(names[TUNNEL]), .tun = tun[TUNNEL]};
    struct rules_table f = rules_table_of(&net);
    struct rules_set set = {0};
    struct text t = {0};
    rules_table(&t, &f);
    member(&set, PHONE);
    member(&set, MEMBER);
    rules_changes(&t, f.name, &set);
    free(set.elements);
    if (!nft(&t))
        return -1;
    return phones(2, PHONE, &e) == CLAN_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT; i++)
        if (tun[i] >= 0)
            close(tun[i]);
    return 0;
}

/* ---- packets ---- */

static size_t make(uint8_t *p, const char *from, const char *to, uint8_t protocol, size_t payload)
{
    memset(p, 0, HEAD + IP6 + payload);
    p[HEAD] = 0x60;
    p[HEAD + 4] = (uint8_t)(payload >> 8);
    p[HEAD + 5] = (uint8_t)payload;
    p[HEAD + 6] = protocol;
    p[HEAD + 7] = 64;
    address(from, p + HEAD + 8);
    address(to, p + HEAD + 24);
    return HEAD + IP6 + payload;
}

static uint16_t sum_of(const uint8_t *p, size_t size)
{
    uint32_t sum = (uint32_t)(size - IP6) + IPPROTO_ICMPV6;
    for (size_t i = 8; i + 1 < size; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put(int at, const uint8_t *p, size_t size)
{
    ssize_t n = write(tun[at], p, size);
    if (n != (ssize_t)size)
        fail_msg("write to %s: %s", names[at], strerror(errno));
}

/* A datagram to port 9, whose source port is new. */
static uint16_t send_udp(int at, const char *from, const char *to)
{
    uint8_t p[HEAD + IP6 + 16];
    size_t size = make(p, from, to, IPPROTO_UDP, 16);
    serial++;
    p[HEAD + IP6] = (uint8_t)(serial >> 8);
    p[HEAD + IP6 + 1] = (uint8_t)serial;
    p[HEAD + IP6 + 3] = 9;
    p[HEAD + IP6 + 5] = 16;
    p[HEAD + IP6 + 6] = p[HEAD + IP6 + 7] = 0xff; /* nobody here looks at that checksum */
    put(at, p, size);
    return serial;
}

/* Is there one of `ours`?  Takes all packets of an interface that are there. */
static unsigned taken(int at, bool (*ours)(const uint8_t *p, size_t size, uint16_t id), uint16_t id)
{
    static uint8_t p[65536 + 64];
    unsigned n = 0;
    for (ssize_t size; (size = read(tun[at], p, sizeof p)) > 0;)
        n += size >= (ssize_t)(HEAD + 20) && ours(p + HEAD, (size_t)size - HEAD, id);
    return n;
}

static bool is_udp(const uint8_t *p, size_t size, uint16_t id)
{
    return size >= IP6 + 8 && p[0] >> 4 == 6 && p[6] == IPPROTO_UDP &&
           (p[IP6] << 8 | p[IP6 + 1]) == id;
}

/* Where that datagram is, NONE: nowhere.  The kernel is done with a packet when write() returns. */
static int out_of(uint16_t id)
{
    int at = NONE;
    for (int i = 0; i < COUNT; i++)
        if (taken(i, is_udp, id))
            at = at == NONE ? i : COUNT;
    return at;
}

static void goes(int in, const char *from, const char *to, int out)
{
    int at = out_of(send_udp(in, from, to));
    if (at != out)
        fail_msg("%s -> %s on %s: came out of %s, not of %s", from, to, names[in],
            at == NONE    ? "nothing"
            : at == COUNT ? "several"
                          : names[at],
            out == NONE ? "nothing" : names[out]);
}

static bool is_reply(const uint8_t *p, size_t size, uint16_t id)
{
    return size >= IP6 + 8 && p[0] >> 4 == 6 && p[6] == IPPROTO_ICMPV6 && p[IP6] == 129 &&
           (p[IP6 + 4] << 8 | p[IP6 + 5]) == id;
}

/* Where the answer to a ping comes out. */
static int pong(int in, const char *from, const char *to)
{
    uint8_t p[HEAD + IP6 + 16];
    size_t size = make(p, from, to, IPPROTO_ICMPV6, 16);
    p[HEAD + IP6] = 128;
    p[HEAD + IP6 + 4] = (uint8_t)(++serial >> 8);
    p[HEAD + IP6 + 5] = (uint8_t)serial;
    uint16_t sum = sum_of(p + HEAD, size - HEAD);
    p[HEAD + IP6 + 2] = (uint8_t)(sum >> 8);
    p[HEAD + IP6 + 3] = (uint8_t)sum;
    put(in, p, size);
    for (int i = 0; i < COUNT; i++)
        if (taken(i, is_reply, serial))
            return i;
    return NONE;
}

#define NEEDS_A_NAMESPACE                                                                          \
    (void)state;                                                                                   \
    if (tun[LAN] < 0)                                                                              \
    skip()

/* ---- what is to pass ---- */

static void phone_and_clan_reach_each_other(void **state)
{
    NEEDS_A_NAMESPACE;
    goes(TUNNEL, PHONE, MEMBER, CLAN);
    goes(CLAN, MEMBER, PHONE, TUNNEL);
    goes(TUNNEL, PHONE2, MEMBER, CLAN);
    goes(TUNNEL, PHONE, BESIDE, TUNNEL); /* over the device, there and back */
    goes(TUNNEL, BESIDE, PHONE, TUNNEL);
    goes(TUNNEL, PHONE, "fd11:2233:4455::99", CLAN); /* nobody: link finds nobody */
}

static void phone_and_gateway_talk_as_members(void **state)
{
    NEEDS_A_NAMESPACE;
    assert_int_equal(pong(TUNNEL, PHONE, OWN), TUNNEL);
    assert_int_equal(pong(TUNNEL, PHONE2, OWN), NONE); /* no member of the firewall's set */
    assert_int_equal(pong(CLAN, MEMBER, OWN), CLAN);   /* others as before */
}

static bool is_long(const uint8_t *p, size_t size, uint16_t id)
{
    (void)id;
    return size > 4000 && p[6] == IPPROTO_TCP;
}

/* Both ways whole, as the kernel carries them. */
static void super_packets_pass(void **state)
{
    NEEDS_A_NAMESPACE;
    static uint8_t p[HEAD + IP6 + 20 + 4000];
    for (int back = 0; back < 2; back++) {
        size_t size = make(p, back ? PHONE : MEMBER, back ? MEMBER : PHONE, IPPROTO_TCP, 4020);
        struct virtio_net_hdr h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
            .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
            .hdr_len = IP6 + 20,
            .gso_size = 1200,
            .csum_start = IP6,
            .csum_offset = 16};
        memcpy(p, &h, sizeof h);
        p[HEAD + IP6 + 12] = 5 << 4;
        p[HEAD + IP6 + 13] = 0x10;
        put(back ? TUNNEL : CLAN, p, size);
        assert_int_equal(taken(back ? CLAN : TUNNEL, is_long, 0), 1);
    }
}

/* ---- what is not ---- */

static void a_phone_reaches_nothing_else(void **state)
{
    NEEDS_A_NAMESPACE;
    goes(TUNNEL, PHONE, FAR, NONE);       /* the internet, by the default route */
    goes(TUNNEL, PHONE, LANPC, NONE);     /* the gateway's LAN */
    goes(TUNNEL, PHONE, "fd99::1", NONE); /* somebody else's private network */
    goes(TUNNEL, PHONE, "fe80::1", NONE);
    goes(TUNNEL, PHONE, "ff02::1", NONE);
    goes(TUNNEL, PHONE, "fd11:2233:4456::2", NONE);      /* the clan next to it */
    goes(TUNNEL, PHONE, PHONE2, NONE);                   /* who would ask `allow`? */
    assert_int_equal(pong(TUNNEL, PHONE, LANOWN), NONE); /* the gateway by another address */
    assert_int_equal(pong(LAN, LANPC, LANOWN), LAN);     /* which does answer */
}

static bool is_v4(const uint8_t *p, size_t size, uint16_t id)
{
    (void)id;
    return size >= 20 && p[0] >> 4 == 4;
}

static void ipv4_goes_nowhere(void **state)
{
    NEEDS_A_NAMESPACE;
    uint8_t p[HEAD + 28] = {0};
    static const uint8_t ip[20] = {
        0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 0, 2, 9};
    uint32_t sum = 0;
    memcpy(p + HEAD, ip, sizeof ip);
    for (unsigned i = 0; i < 20; i += 2)
        sum += (uint32_t)ip[i] << 8 | ip[i + 1];
    sum = ~((sum & 0xffff) + (sum >> 16));
    p[HEAD + 10] = (uint8_t)(sum >> 8);
    p[HEAD + 11] = (uint8_t)sum;
    for (int in = CLAN; in <= TUNNEL; in++) {
        put(in, p, sizeof p);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(taken(i, is_v4, 0), 0);
    }
}

static void forged_sources_go_nowhere(void **state)
{
    NEEDS_A_NAMESPACE;
    goes(CLAN, PHONE, MEMBER, NONE); /* a member says that it is our phone */
    assert_int_equal(pong(CLAN, PHONE, OWN), NONE);
    goes(CLAN, FAR, PHONE, NONE); /* from outside of the clan */
    goes(CLAN, LANPC, PHONE, NONE);
    goes(CLAN, PHONE2, PHONE, NONE);
    goes(TUNNEL, FAR, MEMBER, NONE); /* the tunnel's other ends say they are somebody else */
    goes(TUNNEL, FAR, PHONE, NONE);
    goes(TUNNEL, LANPC, FAR, NONE);
    goes(TUNNEL, BESIDE, MEMBER,
        NONE); /* a member of the device is no phone: nobody carries for it */
    goes(TUNNEL, BESIDE, FAR, NONE);
    goes(LAN, PHONE, MEMBER, NONE); /* a neighbour */
    goes(LAN, MEMBER, PHONE, NONE);
    goes(LAN, LANPC, PHONE, NONE);
    goes(LAN, LANPC, MEMBER, NONE);
    assert_int_equal(pong(LAN, PHONE, OWN), NONE);
    goes(LAN, LANPC, FAR, LAN); /* that machine does forward */
}

static void without_phones_nothing_is_forwarded(void **state)
{
    NEEDS_A_NAMESPACE;
    struct clan_error e = CLAN_ERROR_INIT;
    assert_int_equal(phones(1, PHONE, &e), CLAN_OK); /* one of two is removed */
    goes(TUNNEL, PHONE, MEMBER, CLAN);
    goes(TUNNEL, PHONE2, MEMBER, NONE);
    goes(CLAN, MEMBER, PHONE2, NONE);
    assert_int_equal(phones(0, NULL, &e), CLAN_OK);
    goes(TUNNEL, PHONE, MEMBER, NONE);
    goes(CLAN, MEMBER, PHONE, NONE);
    goes(TUNNEL, BESIDE, PHONE, NONE);
    assert_int_equal(phones(0, NULL, &e), CLAN_OK); /* and again */
}

static void what_is_asked_is_checked(void **state)
{
    struct clan_error e = CLAN_ERROR_INIT;
    static const char *const bad[] = {FAR, OWN, "fd11:2233:4455::53", "fd11:2233:4456::a", "::"};
    NEEDS_A_NAMESPACE;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(phones(1, bad[i], &e), CLAN_E_INVAL);
    struct ward_device_phones many = {.count = WARD_PHONES_MAX + 1};
    struct text t = {0};
    assert_int_equal(rules_phones(&t, &net, &device, &many, &e), CLAN_E_INVAL);
    struct netconf_device none = {.tun = -1};
    many.count = 1;
    assert_int_equal(rules_phones(&t, &net, &none, &many, &e), CLAN_E_STATE);
    assert_null(t.data);
    for (unsigned i = 0; i < WARD_PHONES_MAX; i++) { /* as many as may be, as long as they get */
        memset(many.addresses[i], 0xfe, 16);
        memcpy(many.addresses[i], net.prefix, 6);
        many.addresses[i][15] = (uint8_t)i;
    }
    many.count = WARD_PHONES_MAX;
    assert_int_equal(rules_phones(&t, &net, &device, &many, &e), CLAN_OK);
    assert_true(nft(&t));
    /* the device goes: what spoke of it too, and the table can be taken back */
    close(tun[TUNNEL]);
    tun[TUNNEL] = -1;
    many.count = 0;
    t = (struct text){0};
    assert_int_equal(rules_phones(&t, &net, &none, &many, &e), CLAN_OK);
    assert_true(nft(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phone_and_clan_reach_each_other),
        cmocka_unit_test(phone_and_gateway_talk_as_members),
        cmocka_unit_test(super_packets_pass),
        cmocka_unit_test(a_phone_reaches_nothing_else),
        cmocka_unit_test(ipv4_goes_nowhere),
        cmocka_unit_test(forged_sources_go_nowhere),
        cmocka_unit_test(without_phones_nothing_is_forwarded),
        cmocka_unit_test(what_is_asked_is_checked),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
