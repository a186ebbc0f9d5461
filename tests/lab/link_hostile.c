/* An admitted member that lies: a real handshake, then every kind of bad record into a real
 * clan-link with a real TUN. */
#include "lab/link_lab.h"
#include "lab/link_lies.h"

#include "link/packet.h"
#include "link/protocol.h"

#include "base/clock.h"
#include "noise/keys.h"
#include "noise/noise.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FUZZ 3000

/* lab[0] is the liar; its own clan-link has no stream here.  A third member is only a name. */
static clan_link_ToLink to;
static int sniffer = -1, fd = -1;
static struct aead *tx, *rx;
static uint32_t session; /* end 1's number of it */
static uint64_t before[LINK_COUNTERS], after[LINK_COUNTERS];

/* --- what end 1 knows --- */

static void tell_liar(bool restricted, bool no_data)
{
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_peer_tag;
    clan_link_Peer *p = &to.m.peer;
    memcpy(p->machine_id, lab[0].machine_id, 32);
    memcpy(p->address, lab[0].ip6, 16);
    memcpy(p->link_key, lab[0].link_key, 32);
    memcpy(p->control_key, lab[0].control_key, 32);
    memcpy(p->service_addresses[0], service_liar, 16);
    p->service_addresses_count = 1;
    p->restricted = restricted;
    p->no_data = no_data;
    memcpy(p->reachable[0], service_own, 16);
    p->reachable_count = 1;
    lab_tell(1, &to, -1);
}

static void tables(void)
{
    inet_pton(AF_INET6, "fd77:77:77::3", third);
    inet_pton(AF_INET6, "fd77:77:77::51", service_own);
    inet_pton(AF_INET6, "fd77:77:77::52", service_liar);
    inet_pton(AF_INET6, "fd77:77:77::53", service_third);
    tell_liar(false, false);
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_peer_tag;
    memset(to.m.peer.machine_id, 3, 32);
    memcpy(to.m.peer.address, third, 16);
    randombytes_buf(to.m.peer.link_key, 32);
    randombytes_buf(to.m.peer.control_key, 32);
    memcpy(to.m.peer.service_addresses[0], service_third, 16);
    to.m.peer.service_addresses_count = 1;
    lab_tell(1, &to, -1);
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_own_tag;
    memcpy(to.m.own.service_addresses[0], service_own, 16);
    to.m.own.service_addresses_count = 1;
    lab_tell(1, &to, -1);
}

/* --- the TUN, as the kernel of end 1 sees it --- */

static void sniff(void)
{
    struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0003)};
    int size = 8 << 20;
    lab_require(setns(lab[1].ns, CLONE_NEWNET) == 0);
    a.sll_ifindex = (int)if_nametoindex("clan0");
    sniffer = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(sniffer, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    lab_require(sniffer >= 0 && bind(sniffer, (struct sockaddr *)&a, sizeof a) == 0);
}

/* Packets that came out of clan-link since the last call; each has the addresses it may have. */
static unsigned sniffed(void)
{
    static uint8_t bytes[70000];
    unsigned count = 0;
    for (;;) {
        struct sockaddr_ll from;
        socklen_t size = sizeof from;
        ssize_t n =
            recvfrom(sniffer, bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (n < 0)
            return count;
        if (from.sll_pkttype == PACKET_OUTGOING)
            continue;
        count++;
        lab_require(n >= 40 && bytes[0] >> 4 == 6);
        lab_require(!memcmp(bytes + 8, lab[0].ip6, 16) || !memcmp(bytes + 8, service_liar, 16));
        lab_require(!memcmp(bytes + 24, lab[1].ip6, 16) || !memcmp(bytes + 24, service_own, 16));
    }
}

static void counters(uint64_t *ret)
{
    lab_counter(1, 0);
    for (int i = 0; i < LINK_COUNTERS; i++)
        ret[i] = lab[1].got.m.counters.value[i];
}

/* Exactly this one rose, by one; `passed` packets reached the interface. */
static bool counted(int which, unsigned passed)
{
    bool good = true;
    for (int i = LINK_COUNT_TUN_REFUSED; i < LINK_COUNTERS; i++)
        if (i != LINK_COUNT_QUEUE_DROP && after[i] - before[i] != (i == which)) {
            fprintf(stderr, "counter %d: +%d\n", i, (int)(after[i] - before[i]));
            good = false;
        }
    unsigned seen = sniffed();
    uint64_t written = after[LINK_COUNT_TUN_TX] - before[LINK_COUNT_TUN_TX];
    if (seen != passed || written != passed) {
        fprintf(stderr, "%u packets seen, %d written\n", seen, (int)written);
        good = false;
    }
    return good;
}

/* --- the liar's own link --- */

static void send_all(const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* closed: the test looks for that itself */
        p += n;
        size -= (size_t)n;
    }
}

/* false: the stream ended.  Nothing in time is a failure. */
static bool recv_all(void *data, size_t size)
{
    uint8_t *p = data;
    while (size) {
        struct pollfd w = {fd, POLLIN, 0};
        lab_require(poll(&w, 1, 5000) == 1);
        ssize_t n = recv(fd, p, size, 0);
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* head: kind, reserved byte, mss. */
static size_t seal(uint8_t *frame, const uint8_t head[4], const void *body, size_t size)
{
    size_t length = LINK_RECORD_HEAD + size + LINK_TAG;
    frame[0] = (uint8_t)(length >> 8);
    frame[1] = (uint8_t)length;
    frame[2] = LINK_FRAME_KEY_A;
    frame[3] = 0;
    memcpy(frame + 4, head, 4);
    if (size)
        memcpy(frame + LINK_HEADROOM, body, size);
    lab_require(aead_seal(tx, NULL, 0, frame + 4, LINK_RECORD_HEAD + size));
    return LINK_FRAME_HEAD + length;
}

static void record(const uint8_t head[4], const void *body, size_t size)
{
    static uint8_t frame[LINK_FRAME_HEAD + 65536];
    send_all(frame, seal(frame, head, body, size));
}

/* The next record; its kind, 0: the stream ended. */
static uint8_t next_record(uint8_t *ret_body, size_t *ret_size)
{
    static uint8_t bytes[65536];
    uint8_t head[4];
    if (!recv_all(head, 4))
        return 0;
    size_t size = (size_t)head[0] << 8 | head[1];
    if (!recv_all(bytes, size))
        return 0;
    lab_require(aead_open(rx, NULL, 0, bytes, size));
    *ret_size = size - LINK_TAG - LINK_RECORD_HEAD;
    memcpy(ret_body, bytes + 4, *ret_size);
    return bytes[0];
}

/* A member answers pings.  Any other record; 0: the stream ended. */
static uint8_t heard(uint8_t *ret_body, size_t *ret_size)
{
    for (;;) {
        uint8_t kind = next_record(ret_body, ret_size);
        if (kind != LINK_PING)
            return kind;
        record((uint8_t[4]){LINK_PONG}, ret_body, *ret_size);
    }
}

/* Everything said so far was read: streams keep order.  false: the stream ended. */
static bool in_step(void)
{
    static uint8_t body[65536];
    uint8_t kind;
    size_t size;
    record((uint8_t[4]){LINK_PING}, "8 bytes.", 8);
    do
        kind = heard(body, &size);
    while (kind && kind != LINK_PONG);
    return kind == LINK_PONG;
}

static bool ended(void)
{
    static uint8_t body[65536];
    size_t size;
    while (heard(body, &size))
        ;
    return true;
}

/* A stream up to our keys; not a word said under them. */
static void handshake(void)
{
    uint8_t prologue[KEYS_PROLOGUE_MAX], message[1024], head[4], send_key[32], recv_key[32];
    struct noise_handshake *hs;
    size_t n;
    int b;
    if (fd >= 0)
        close(fd);
    aead_free(tx);
    aead_free(rx);
    lab_connect(0, &fd, &b);
    session = lab_accept(1, b, NULL);
    struct noise_params p = {.pattern = "IK",
        .initiator = true,
        .prologue = prologue,
        .prologue_size = keys_prologue(KEY_LINK, lab_clan, lab[1].machine_id, prologue),
        .s_secret = lab[0].link_secret,
        .rs = lab[1].link_key};
    lab_require(noise_new(&p, &hs) == CLAN_OK);
    lab_require(noise_write(hs, NULL, 0, message, sizeof message, &n) == CLAN_OK);
    send_all((uint8_t[24]){'c', 'l', 'a', 'n', 1, LINK_KIND_LINK}, 24);
    send_all((uint8_t[4]){(uint8_t)(n >> 8), (uint8_t)n}, 4);
    send_all(message, n);
    lab_require(recv_all(head, 4) && head[0] < 4 && recv_all(message, head[0] << 8 | head[1]));
    lab_require(noise_read(hs, message, (size_t)(head[0] << 8 | head[1]), message + 512, 512, &n) ==
                CLAN_OK);
    lab_require(noise_split(hs, send_key, recv_key) == CLAN_OK);
    tx = aead_new(send_key);
    rx = aead_new(recv_key);
    noise_free(hs);
}

static void open_session(void)
{
    static uint64_t serial;
    uint8_t hello[LINK_HELLO_SIZE] = {0, LINK_VERSION};
    handshake();
    memset(hello + 12, 0x4c, 8); /* one process that says all of this */
    hello[27] = (uint8_t)++serial;
    record((uint8_t[4]){LINK_HELLO}, hello, sizeof hello);
    lab_require(in_step());
    lab_require(lab_live(1, false) == session);
}

/* --- packets --- */

static uint8_t packet[65536];
static size_t packet_size;

static void resize(size_t size)
{
    packet_size = size;
    packet[4] = (uint8_t)((size - 40) >> 8);
    packet[5] = (uint8_t)(size - 40);
}

/* Good ones: a UDP packet to a closed port, or a TCP super-packet of no connection. */
static void make(bool super)
{
    memset(packet, 0, sizeof packet);
    packet[0] = 0x60;
    packet[6] = super ? IPPROTO_TCP : IPPROTO_UDP;
    packet[7] = 64;
    memcpy(packet + 8, lab[0].ip6, 16);
    memcpy(packet + 24, lab[1].ip6, 16);
    resize(super ? SUPER_SIZE : PLAIN_SIZE);
    packet[40] = packet[43] = 9;
    packet[45] = 60;
    packet[52] = 5 << 4;
    packet[53] = 0x18;
}

static void make_echo(uint16_t number)
{
    make(false);
    struct icmp6_hdr icmp = {.icmp6_type = ICMP6_ECHO_REQUEST};
    icmp.icmp6_seq = htons(number);
    packet[6] = IPPROTO_ICMPV6;
    memset(packet + 40, 0x77, 60);
    memcpy(packet + 40, &icmp, sizeof icmp);
    uint16_t sum = (uint16_t)~link_sum_fold(
        link_sum(link_sum_pseudo(packet, 60, IPPROTO_ICMPV6), packet + 40, 60));
    memcpy(packet + 42, &sum, 2);
}

/* One good packet there, its answer back. */
static void still_good(void)
{
    static uint8_t body[65536];
    static uint16_t number;
    size_t size;
    make_echo(++number);
    sniffed();
    record((uint8_t[4]){LINK_PACKET}, packet, packet_size);
    do
        lab_require(heard(body, &size) == LINK_PACKET);
    while (body[40] != ICMP6_ECHO_REPLY || body[46] << 8 != (number & 0xff00) ||
           body[47] != (uint8_t)number);
    lab_require(size == PLAIN_SIZE && memcmp(body + 8, lab[1].ip6, 16) == 0);
    lab_require(sniffed() == 1);
}

/* --- one lie at a time --- */

static void tell(const struct lie *l)
{
    make(l->super);
    if (l->size)
        resize(l->size);
    if (l->from)
        memcpy(packet + 8, l->from, 16);
    if (l->to)
        memcpy(packet + 24, l->to, 16);
    for (int i = 0; i < 2; i++)
        if (l->at[i] || l->value[i])
            packet[l->at[i]] = l->value[i];
    uint8_t kind = l->kind ? l->kind : l->super ? LINK_TCP6 : LINK_PACKET;
    const uint8_t head[4] = {kind, l->reserved, (uint8_t)(l->mss >> 8), (uint8_t)l->mss};
    record(head, packet, (size_t)((long)packet_size - l->cut));
}

static void lies_are_counted(void)
{
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        sniffed();
        counters(before);
        tell(&lies[i]);
        bool good = in_step();
        counters(after);
        good = counted(lies[i].counter, 0) && good;
        if (!good)
            fprintf(stderr, "lie: %s\n", lies[i].name);
        lab_require(good);
    }
    lab_require(lab_live(1, false) == session);
    still_good();
}

/* What a good member sends does pass: the lies above fail for their own reason. */
static void truths_pass(void)
{
    static const struct lie truths[] = {
        {"plain", .counter = -1},
        {"of a service", .from = service_liar},
        {"to a service", .to = service_own},
        {"the longest", .size = 1420},
        {"options", .at = {6, 40}, .value = {60, IPPROTO_UDP}},
        {"super", true, .mss = 1340},
        {"super, smallest segments", true, .mss = 536},
        {"super, to a service", true, .mss = 1360, .from = service_liar, .to = service_own},
    };
    for (size_t i = 0; i < sizeof truths / sizeof truths[0]; i++) {
        sniffed();
        counters(before);
        tell(&truths[i]);
        bool good = in_step();
        counters(after);
        good = counted(-1, 1) && good;
        if (!good)
            fprintf(stderr, "truth: %s\n", truths[i].name);
        lab_require(good);
    }
}

static void provisional(void)
{
    static const struct lie own = {"own", .to = lab[1].ip6}, service = {"", .to = service_own};
    for (int no_data = 0; no_data < 2; no_data++) {
        tell_liar(true, no_data);
        counters(before);
        tell(&own);
        lab_require(in_step());
        counters(after);
        lab_require(counted(LINK_COUNT_PEER_NOT_ALLOWED, 0));
        counters(before);
        tell(&service);
        lab_require(in_step());
        counters(after);
        lab_require(no_data ? counted(LINK_COUNT_PEER_NOT_ALLOWED, 0) : counted(-1, 1));
    }
    tell_liar(false, false);
    lab_counter(1, 0); /* it is read before the next packet */
    still_good();
}

/* --- lies that end the session --- */

enum end {
    SHORT,
    LONG,
    TYPE,
    HANDSHAKE_FRAME,
    RESERVED,
    NO_KEY,
    BAD_TAG,
    AGAIN,
    REKEY_1,
    REKEY_2,
    NO_HELLO,
    SHORT_HELLO,
    ENDS
};
static const int end_counters[ENDS] = {LINK_COUNT_FRAME_BAD, LINK_COUNT_FRAME_BAD,
    LINK_COUNT_FRAME_BAD, LINK_COUNT_FRAME_BAD, LINK_COUNT_FRAME_BAD, LINK_COUNT_SEAL_FAILED,
    LINK_COUNT_SEAL_FAILED, LINK_COUNT_SEAL_FAILED, LINK_COUNT_HANDSHAKE_BAD,
    LINK_COUNT_PEER_BAD_HEAD, LINK_COUNT_PEER_BAD_HEAD, LINK_COUNT_HANDSHAKE_BAD};

/* The record behind it is a good packet: it must not pass any more. */
static void end_by(enum end how)
{
    static uint8_t frame[70000];
    uint8_t kind = how == REKEY_1 ? LINK_REKEY_1 : how == REKEY_2 ? LINK_REKEY_2 : LINK_PACKET;
    make(false);
    size_t n = seal(frame, (uint8_t[4]){kind}, packet, how == REKEY_1 ? 96 : packet_size);
    switch (how) {
    case SHORT:
        frame[0] = 0;
        frame[1] = LINK_RECORD_HEAD + LINK_TAG - 1;
        break;
    case LONG:
        frame[0] = frame[1] = 0xff;
        break;
    case TYPE:
        frame[2] = 9;
        break;
    case HANDSHAKE_FRAME:
        frame[2] = LINK_FRAME_HANDSHAKE;
        break;
    case RESERVED:
        frame[3] = 1;
        break;
    case NO_KEY:
        frame[2] = LINK_FRAME_KEY_B;
        break;
    case BAD_TAG:
        frame[n - 1] ^= 1;
        break;
    default:
        break;
    }
    send_all(frame, n);
}

static void sessions_end(void)
{
    for (int i = 0; i < ENDS; i++) {
        static uint8_t frame[200];
        bool greeted = i != NO_HELLO && i != SHORT_HELLO;
        greeted ? open_session() : handshake();
        sniffed();
        counters(before);
        if (i == AGAIN) { /* a recorded frame */
            size_t n = seal(frame, (uint8_t[4]){LINK_PING}, "8 bytes.", 8);
            send_all(frame, n);
            send_all(frame, n);
        } else if (i == SHORT_HELLO) {
            record((uint8_t[4]){LINK_HELLO}, packet, LINK_HELLO_SIZE - 1);
        } else {
            end_by((enum end)i);
        }
        make(false);
        record((uint8_t[4]){LINK_PACKET}, packet, packet_size);
        bool good = ended();
        counters(after);
        good = counted(end_counters[i], 0) && good;
        if (!good)
            fprintf(stderr, "end %d\n", i);
        lab_require(good);
        lab_require(!greeted || lab_live(1, false) == 0);
    }
    open_session();
    still_good();
    /* half a record and the end of the stream */
    static uint8_t frame[200];
    make(false);
    size_t n = seal(frame, (uint8_t[4]){LINK_PACKET}, packet, packet_size);
    counters(before);
    send_all(frame, n - 1);
    shutdown(fd, SHUT_WR);
    lab_require(ended());
    counters(after);
    lab_require(counted(-1, 0));
    open_session();
    still_good();
}

/* Any bytes: whatever passes has the addresses it may have (sniffed), and the process lives. */
static void any_bytes(void)
{
    for (int i = 0; i < FUZZ; i++) {
        uint32_t r[8];
        randombytes_buf(r, sizeof r);
        make(r[0] & 1);
        for (unsigned j = 0; j < 1 + (r[1] & 3); j++)
            packet[r[2 + j] % 64] = (uint8_t)(r[2 + j] >> 24);
        if ((r[6] & 3) == 0)
            resize(40 + (r[6] >> 8) % 3000);
        uint8_t kind = r[7] & 0xf0 ? (r[0] & 1 ? LINK_TCP6 : LINK_PACKET) : 20;
        uint16_t mss = r[0] & 1 ? 1340 : 0;
        if ((r[7] & 0xf00) == 0)
            mss = (uint16_t)(r[7] >> 16);
        record((uint8_t[4]){kind, (r[7] & 0xf000) == 0, (uint8_t)(mss >> 8), (uint8_t)mss}, packet,
            packet_size);
        if (i % 50 == 49) {
            lab_require(in_step());
            sniffed();
        }
    }
    lab_require(lab_live(1, false) == session);
    still_good();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"what is right passes", truths_pass},
        {"lies are counted", lies_are_counted},
        {"provisional members", provisional},
        {"sessions end", sessions_end},
        {"any bytes", any_bytes},
    };
    if (argc < 2) {
        fprintf(stderr, "usage: link_hostile CLAN-LINK\n");
        return 2;
    }
    lab_start(argv[1]);
    aead_init();
    tables();
    sniff();
    lab_run(1, "ip -6 addr add fd77:77:77::51/128 dev clan0 nodad");
    lab_require(!lab_dumpable(1));
    open_session();
    still_good();
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        uint64_t start = clock_mono_ms();
        tests[i].run();
        lab_require(kill(lab[1].pid, 0) == 0);
        printf("ok %s (%llu ms)\n", tests[i].name, (unsigned long long)(clock_mono_ms() - start));
        fflush(stdout);
    }
    lab_end();
    return 0;
}
