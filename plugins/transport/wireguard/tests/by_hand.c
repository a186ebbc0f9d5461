/* The plugin with a real TUN and real sockets, under the SDK's host: for the lab and the bench, without Clan. */
/*
 * usage: wireguard_by_hand PLUGIN STATE-DIR TUN-NAME MTU PORT KEY-FILE [no-offload]
 * Commands, a line each: peer KEY ENDPOINT|- ADDRESS KEEPALIVE-S; remove KEY; moved; many COUNT; quit.
 * Lines out: ready, ok, error WHY, endpoint TEXT, state KEY AGE ENDPOINT|- RX TX.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <mock/mock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct mock *m;
static const struct clan_transport_device *device;

static void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- base64, as wg(8) writes keys ---- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static bool key_parse(const char *text, uint8_t ret_key[32])
{
    uint8_t bytes[33] = {0};
    for (unsigned i = 0; i < 43; i++) {
        const char *at = text[i] ? strchr(digits, text[i]) : NULL;
        if (!at)
            return false;
        unsigned v = (unsigned)(at - digits), bit = i * 6;
        for (unsigned b = 0; b < 6; b++)
            if (v & 32u >> b)
                bytes[(bit + b) / 8] |= (uint8_t)(128u >> (bit + b) % 8);
    }
    memcpy(ret_key, bytes, 32);
    return text[43] == '=' && !text[44];
}

static void key_text(const uint8_t key[32], char ret_text[45])
{
    for (unsigned i = 0; i < 43; i++) {
        unsigned v = 0;
        for (unsigned b = i * 6; b < i * 6 + 6; b++)
            v = v << 1 | (b < 256 && key[b / 8] & 128u >> b % 8);
        ret_text[i] = digits[v];
    }
    strcpy(ret_text + 43, "=");
}

/* ---- what the warden does in Clan ---- */

static int open_tun(const char *name, uint32_t *ret_flags)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    snprintf(r.ifr_name, sizeof r.ifr_name, "%s", name);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0)
        die("the TUN cannot be made");
    const unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, uso = 0x20 | 0x40;
    if (!(*ret_flags & CLAN_DEVICE_TSO))
        return fd;
    if (ioctl(fd, TUNSETOFFLOAD, tso | uso) == 0)
        *ret_flags |= CLAN_DEVICE_USO;
    else if (ioctl(fd, TUNSETOFFLOAD, tso) != 0)
        *ret_flags = 0;
    return fd;
}

static int open_udp(int family, uint16_t port)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1, size = 4 << 20;
    if (fd < 0)
        return -1; /* a computer without IPv6 */
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, family == AF_INET6 ? (struct sockaddr *)&six : (struct sockaddr *)&four,
            family == AF_INET6 ? sizeof six : sizeof four) != 0)
        die("the UDP port cannot be had");
    return fd;
}

/* ---- commands ---- */

static void answer(clan_status st, const struct clan_error *e)
{
    if (st == CLAN_OK)
        printf("ok\n");
    else
        printf("error %s: %s\n", e->what, e->why);
}

static void set_peer(const char *key, const char *endpoint, const char *address, unsigned keepalive)
{
    struct clan_error e = CLAN_ERROR_INIT;
    uint8_t bytes[16];
    struct clan_device_peer p = {.struct_size = sizeof p,
        .address_count = 1,
        .endpoint = strcmp(endpoint, "-") == 0 ? "" : endpoint,
        .addresses = bytes,
        .keepalive_s = keepalive};
    if (!key_parse(key, p.public_key) || inet_pton(AF_INET6, address, bytes) != 1) {
        printf("error that is no peer\n");
        return;
    }
    answer(device->set_peer(m->instance, &p, &e), &e);
}

/* Peers that nobody is, for what they cost. */
static void many(unsigned count)
{
    struct clan_error e = CLAN_ERROR_INIT;
    clan_status st = CLAN_OK;
    for (uint32_t i = 0; i < count && st == CLAN_OK; i++) {
        uint8_t address[16] = {0xfd, 0xff};
        struct clan_device_peer p = {.struct_size = sizeof p,
            .address_count = 1,
            .endpoint = "192.0.2.7:7120",
            .addresses = address};
        memset(p.public_key, 9, sizeof p.public_key);
        memcpy(p.public_key, &i, sizeof i);
        memcpy(address + 8, &i, sizeof i);
        st = device->set_peer(m->instance, &p, &e);
    }
    answer(st, &e);
}

static void command(char *line)
{
    char key[64], endpoint[64], address[64];
    unsigned number;
    uint8_t bytes[32];
    if (sscanf(line, "peer %63s %63s %63s %u", key, endpoint, address, &number) == 4)
        set_peer(key, endpoint, address, number);
    else if (sscanf(line, "remove %63s", key) == 1 && key_parse(key, bytes))
        device->remove_peer(m->instance, bytes), printf("ok\n");
    else if (strcmp(line, "moved\n") == 0)
        device->network_changed(m->instance), printf("ok\n");
    else if (sscanf(line, "many %u", &number) == 1)
        many(number);
    else
        printf("error unknown command\n");
}

static bool show_states(struct mock *mock, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < mock->event_count; i++) {
        const struct mock_event *e = &mock->events[i];
        char key[45];
        if (e->kind != MOCK_DEVICE_STATE)
            continue;
        key_text(e->key, key);
        printf("state %s %u %s %llu %llu\n", key, e->value, e->text[0] ? e->text : "-",
            (unsigned long long)e->rx_bytes, (unsigned long long)e->tx_bytes);
    }
    mock->event_count = 0;
    return false;
}

static void add_endpoint(void *user, const char *endpoint)
{
    (void)user;
    printf("endpoint %s\n", endpoint);
}

static struct clan_device_config configure(char *const argv[], bool offload)
{
    struct clan_device_config c = {.struct_size = sizeof c,
        .mtu = (uint32_t)atoi(argv[4]),
        .port = (uint16_t)atoi(argv[5]),
        .tun_flags = offload ? CLAN_DEVICE_TSO : 0};
    char text[64] = "";
    FILE *f = fopen(argv[6], "r");
    if (!f || !fgets(text, sizeof text, f))
        die("the key cannot be read");
    fclose(f);
    text[strcspn(text, "\n")] = 0;
    if (!key_parse(text, c.secret_key))
        die("that is no key");
    c.tun_fd = open_tun(argv[3], &c.tun_flags);
    c.udp_fds[0] = open_udp(AF_INET, c.port);
    c.udp_fds[1] = open_udp(AF_INET6, c.port);
    return c;
}

static bool quit;

static void on_input(void *user, int32_t fd, uint32_t events)
{
    char line[256];
    (void)user, (void)fd, (void)events;
    if (!fgets(line, sizeof line, stdin) || strcmp(line, "quit\n") == 0)
        quit = true;
    else
        command(line);
}

static bool turn(struct mock *mock, void *arg)
{
    show_states(mock, arg);
    return quit;
}

int main(int argc, char **argv)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct clan_config config = {.struct_size = sizeof config,
        .setting_size = sizeof(struct clan_setting),
        .instance = "wireguard",
        .clan = "lab",
        .machine = "lab",
        .volume_dir = ""};
    if (argc < 7)
        return 2;
    config.state_dir = argv[2];
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0); /* what is read is watched, not buffered */
    m = mock_new();
    m->verbose = true;
    struct clan_device_config c = configure(argv, argc < 8 || strcmp(argv[7], "no-offload") != 0);
    if (mock_create(m, argv[1], &config, &e) != CLAN_OK ||
        !(device = mock_interface(m, CLAN_TRANSPORT_DEVICE)) ||
        device->start(m->instance, &c, &e) != CLAN_OK) {
        fprintf(stderr, "%s: %s\n", e.what, e.why);
        return 1;
    }
    uint8_t here[2][16] = {{[10] = 0xff, 0xff, 192, 0, 2, 1}, {0x20, 0x01, 0x0d, 0xb8, [15] = 1}};
    device->endpoints(m->instance, here[0], 2, add_endpoint, NULL);
    printf("ready\n");
    m->host.io_watch(m, 0, CLAN_IO_READ, on_input, NULL);
    mock_run(m, UINT32_MAX, turn, NULL);
    device->stop(m->instance);
    mock_close(m);
    return 0;
}
