/* Sessions of two real clan-links against hostile peers, hostile descriptors and a restarting core.
 */
#include "lab/link_lab.h"

#include "link/protocol.h"

#include "base/clock.h"
#include "noise/keys.h"
#include "noise/noise.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK    clan_link_Purpose_PURPOSE_LINK
#define CONTROL clan_link_Purpose_PURPOSE_CONTROL
#define FLOWS   4
#define DOOR    clan_link_Purpose_PURPOSE_DOOR

static const uint8_t preface_link[24] = {'c', 'l', 'a', 'n', 1, LINK_KIND_LINK};
static clan_link_ToLink to;

/* --- helpers --- */

static int ping(int count)
{
    char shell[160];
    snprintf(
        shell, sizeof shell, "ping -6 -q -c %d -i 0.01 -W 2 %s >/dev/null", count, lab[1].address);
    return lab_try(0, shell);
}

/* Both ends have the same one session of that purpose. */
static bool settled(bool control)
{
    uint64_t until = clock_mono_ms() + 5000;
    while (clock_mono_ms() < until) {
        if (lab_live(0, control) && lab_live(1, control))
            return true;
        usleep(10000);
    }
    return false;
}

static bool wait_counter(int end, int which, uint64_t more_than)
{
    uint64_t until = clock_mono_ms() + 3000;
    while (clock_mono_ms() < until) {
        if (lab_counter(end, which) > more_than)
            return true;
        usleep(5000);
    }
    return false;
}

/* 0: closed, 1: bytes came, -1: nothing in time */
static int answer(int fd, int timeout_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    uint8_t byte;
    if (poll(&p, 1, timeout_ms) <= 0)
        return -1;
    return recv(fd, &byte, 1, 0) == 1;
}

static size_t ik_message_1(const uint8_t *secret, uint8_t *ret)
{
    uint8_t prologue[KEYS_PROLOGUE_MAX];
    struct noise_handshake *hs;
    size_t n;
    struct noise_params p = {.pattern = "IK",
        .initiator = true,
        .prologue = prologue,
        .prologue_size = keys_prologue(KEY_LINK, lab_clan, lab[1].machine_id, prologue),
        .s_secret = secret,
        .rs = lab[1].link_key};
    lab_require(noise_new(&p, &hs) == CLAN_OK);
    lab_require(noise_write(hs, NULL, 0, ret + 28, 4096, &n) == CLAN_OK);
    noise_free(hs);
    memcpy(ret, preface_link, 24);
    ret[24] = (uint8_t)(n >> 8);
    ret[25] = (uint8_t)n;
    ret[26] = ret[27] = 0;
    return 28 + n;
}

/* A raw stream into end 1; returns our side. */
static int intrude(const uint8_t *bytes, size_t size)
{
    int a, b;
    lab_connect(0, &a, &b);
    lab_accept(1, b, NULL);
    if (size)
        lab_require(send(a, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
    return a;
}

static clan_link_Reason wait_down(int end, uint32_t session)
{
    do
        lab_require(lab_wait(end, clan_link_FromLink_down_tag, 5000));
    while (lab[end].got.m.down.session != session);
    return lab[end].got.m.down.reason;
}

static void tell_send(int end, uint32_t session, size_t size, uint8_t fill)
{
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_send_tag;
    to.m.send.session = session;
    to.m.send.data.size = (pb_size_t)size;
    memset(to.m.send.data.bytes, fill, size);
    lab_tell(end, &to, -1);
}

static void tell_close(int end, uint32_t session, bool after_flush)
{
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_close_tag;
    to.m.close.session = session;
    to.m.close.after_flush = after_flush;
    lab_tell(end, &to, -1);
}

/* --- the tests --- */

static void packets_pass(void)
{
    lab_session(0, LINK);
    lab_require(ping(5) == 0);
}

static void garbage_is_dropped(void)
{
    uint8_t bytes[600];
    uint32_t live = lab_live(1, false);
    static const struct {
        size_t preface, noise; /* right bytes, then so much noise */
        int counter;
    } table[] = {
        {0, 600, LINK_COUNT_PREFACE_BAD},
        {5, 300, LINK_COUNT_PREFACE_BAD},
        {24, 300, LINK_COUNT_FRAME_BAD},
        {28, 96, LINK_COUNT_HANDSHAKE_BAD},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        uint64_t before = lab_counter(1, table[i].counter);
        memset(bytes, 0xa5, sizeof bytes);
        memcpy(bytes, preface_link, table[i].preface < 24 ? table[i].preface : 24);
        if (table[i].preface == 28)
            memcpy(bytes + 24, (uint8_t[4]){0, 96, 0, 0}, 4);
        int fd = intrude(bytes, table[i].preface + table[i].noise);
        lab_require(answer(fd, 3000) == 0); /* closed without a byte */
        lab_require(wait_counter(1, table[i].counter, before));
        close(fd);
    }
    lab_require(lab_live(1, false) == live && ping(3) == 0);
}

static void unknown_key_gets_silence(void)
{
    uint8_t secret[32], bytes[512];
    uint64_t before = lab_counter(1, LINK_COUNT_HANDSHAKE_UNKNOWN);
    randombytes_buf(secret, sizeof secret);
    int fd = intrude(bytes, ik_message_1(secret, bytes));
    lab_require(answer(fd, 3000) == 0);
    lab_require(wait_counter(1, LINK_COUNT_HANDSHAKE_UNKNOWN, before));
    close(fd);
}

/* SECURITY E1: recorded message 1s, played again and again, must not disturb the live session. */
static void replay_changes_nothing(void)
{
    uint8_t bytes[512];
    uint32_t live[2] = {lab_live(0, false), lab_live(1, false)};
    size_t n = ik_message_1(lab[0].link_secret, bytes);
    int fds[20];
    for (int i = 0; i < 20; i++) {
        fds[i] = intrude(bytes, n);
        lab_require(answer(fds[i], 3000) == 1); /* message 2: the key is known */
    }
    lab_require(ping(20) == 0);
    for (int i = 0; i < 20; i++) { /* and a first record that does not verify */
        uint8_t frame[64] = {0, 60, LINK_FRAME_KEY_A, 0};
        send(fds[i], frame, sizeof frame, MSG_NOSIGNAL);
    }
    lab_require(wait_counter(1, LINK_COUNT_SEAL_FAILED, 19));
    lab_require(ping(20) == 0);
    lab_require(lab_live(0, false) == live[0] && lab_live(1, false) == live[1]);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
}

static void hostile_descriptors(void)
{
    int pipes[2], fds[6], a, b;
    struct sockaddr_in any = {.sin_family = AF_INET};
    lab_require(pipe(pipes) == 0);
    fds[0] = pipes[0];
    fds[1] = open("/dev/null", O_RDWR);
    fds[2] = socket(AF_INET, SOCK_DGRAM, 0);
    fds[3] = socket(AF_INET6, SOCK_STREAM, 0); /* not connected */
    fds[4] = socket(AF_INET, SOCK_STREAM, 0);  /* listens */
    lab_require(bind(fds[4], (struct sockaddr *)&any, sizeof any) == 0 && listen(fds[4], 1) == 0);
    fds[5] = socket(AF_UNIX, SOCK_STREAM, 0);
    uint64_t before = lab_counter(0, LINK_COUNT_FD_REFUSED);
    for (int i = 0; i < 6; i++)
        lab_require(wait_down(0, lab_accept(0, fds[i], NULL)) == clan_link_Reason_REASON_IO);
    lab_require(lab_counter(0, LINK_COUNT_FD_REFUSED) == before + 6);
    close(pipes[1]);

    /* SO_LINGER with unsent data: close() of such a socket waits; nothing else may */
    struct linger linger = {1, 30};
    int lowat = 1 << 20;
    lab_connect(0, &a, &b);
    int copy = dup(b);
    uint32_t session = lab_accept(1, b, NULL);
    setsockopt(copy, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    setsockopt(copy, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat);
    while (send(copy, lab_clan, 32, MSG_DONTWAIT) > 0)
        ;
    close(copy);
    uint64_t start = clock_mono_ms();
    tell_close(1, session, false);
    wait_down(1, session);
    lab_counter(1, 0);
    lab_require(clock_mono_ms() - start < 2000 && ping(3) == 0);
    close(a);
}

static void both_dial_at_once(void)
{
    for (int round = 0; round < 15; round++) {
        int a, b, c, d;
        lab_connect(0, &a, &b);
        lab_connect(1, &c, &d);
        lab_accept(1, b, NULL);
        lab_accept(0, d, NULL);
        uint32_t mine = lab_dial(0, LINK, a), theirs = lab_dial(1, LINK, c);
        (void)mine, (void)theirs;
        lab_require(ping(3) == 0);
        lab_require(settled(false));
        uint32_t live[2] = {lab_live(0, false), lab_live(1, false)};
        usleep(20000);
        lab_require(lab_live(0, false) == live[0] && lab_live(1, false) == live[1]);
    }
    lab_require(ping(5) == 0);
}

static void a_new_path_replaces(void)
{
    for (int from = 0; from < 2; from++) {
        uint32_t number = lab_session(from, LINK);
        lab_require(lab_live(from, false) == number);
        lab_require(ping(3) == 0);
    }
}

static void control_messages(void)
{
    uint32_t number = lab_session(0, CONTROL);
    lab_require(lab_live(0, true) == number);
    uint32_t other = lab_live(1, true);
    for (size_t size = 1; size <= WIRE_CONTROL_MAX; size = size < 40000 ? size * 7 : size + 9877) {
        tell_send(0, number, size, (uint8_t)size);
        lab_require(lab_wait(1, clan_link_FromLink_recv_tag, 3000));
        const clan_link_Recv *r = &lab[1].got.m.recv;
        lab_require(r->session == other && r->data.size == size);
        lab_require(r->data.bytes[0] == (uint8_t)size && r->data.bytes[size - 1] == (uint8_t)size);
    }
    tell_send(1, other, 100, 9);
    lab_require(lab_wait(0, clan_link_FromLink_recv_tag, 3000));
    tell_send(0, number, 5000, 1); /* what was said before the end arrives */
    tell_close(0, number, true);
    lab_require(lab_wait(1, clan_link_FromLink_recv_tag, 3000));
    lab_require(wait_down(1, other) == clan_link_Reason_REASON_CLOSED);
    lab_require(wait_down(0, number) == clan_link_Reason_REASON_CORE);
}

/* A machine that end 1 does not know: 64 KiB, and admitted it is a peer. */
static void strangers(void)
{
    for (int admitted = 0; admitted < 2; admitted++) {
        int a, b;
        lab_peer(1, false);
        lab_require(lab_wait(1, clan_link_FromLink_peer_closed_tag, 3000));
        lab_connect(0, &a, &b);
        uint32_t theirs = lab_accept(1, b, NULL), ours = lab_dial(0, CONTROL, a);
        lab_require(lab_wait(1, clan_link_FromLink_up_tag, 3000));
        lab_require(lab[1].got.m.up.machine_id.size == 0);
        lab_require(memcmp(lab[1].got.m.up.peer_static, lab[0].control_key, 32) == 0);
        lab_require(lab_wait(0, clan_link_FromLink_up_tag, 3000));
        if (admitted) {
            lab_peer(1, true);
            memset(&to, 0, sizeof to);
            to.which_m = clan_link_ToLink_admit_tag;
            to.m.admit.session = theirs;
            memcpy(to.m.admit.machine_id, lab[0].machine_id, 32);
            lab_tell(1, &to, -1);
            lab_require(lab_live(1, true) == theirs);
        }
        for (int i = 0; i < 3; i++) {
            tell_send(0, ours, 30000, 1);
            if (i < 2 || admitted)
                lab_require(lab_wait(1, clan_link_FromLink_recv_tag, 3000));
        }
        if (!admitted)
            lab_require(wait_down(1, theirs) == clan_link_Reason_REASON_LIMIT);
    }
    lab_session(0, LINK);
    lab_require(ping(3) == 0);
}

static void peer_gone(void)
{
    uint32_t live = lab_live(1, false);
    lab_require(live != 0);
    lab_peer(1, false);
    lab_require(wait_down(1, live) == clan_link_Reason_REASON_CORE);
    lab_require(lab_wait(1, clan_link_FromLink_peer_closed_tag, 3000));
    lab_require(memcmp(lab[1].got.m.peer_closed.machine_id, lab[0].machine_id, 32) == 0);
    lab_require(ping(1) != 0);
    lab_peer(1, true);
    lab_session(1, LINK);
    lab_require(ping(3) == 0);
}

static void doors(void)
{
    uint8_t id[16], psk[32];
    randombytes_buf(id, sizeof id);
    randombytes_buf(psk, sizeof psk);
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_invite_tag;
    memcpy(to.m.invite.id, id, 16);
    memcpy(to.m.invite.psk, psk, 32);
    lab_tell(1, &to, -1);
    for (int wrong = 2; wrong >= 0; wrong--) { /* no such invitation, a wrong psk, a right one */
        int a, b;
        lab_connect(0, &a, &b);
        uint32_t theirs = lab_accept(1, b, NULL);
        memset(&to, 0, sizeof to);
        to.which_m = clan_link_ToLink_stream_tag;
        clan_link_Stream *s = &to.m.stream;
        s->session = ++lab[0].next_session;
        s->dialed = s->throwaway = true;
        s->purpose = DOOR;
        memcpy(s->invite_id, id, 16);
        memcpy(s->psk, psk, 32);
        memcpy(s->clan_id, lab_clan, 32);
        if (wrong == 2)
            s->invite_id[0] ^= 1;
        if (wrong == 1)
            s->psk[0] ^= 1;
        uint32_t ours = s->session;
        lab_tell(0, &to, a);
        close(a);
        if (wrong) {
            lab_require(wait_down(1, theirs) == (wrong == 2 ? clan_link_Reason_REASON_NO_INVITE
                                                            : clan_link_Reason_REASON_HANDSHAKE));
            lab_require(wait_down(0, ours) != clan_link_Reason_REASON_CORE);
            continue;
        }
        lab_require(lab_wait(0, clan_link_FromLink_need_payload_tag, 3000));
        uint8_t hash[64];
        memcpy(hash, lab[0].got.m.need_payload.handshake_hash, 64);
        memset(&to, 0, sizeof to);
        to.which_m = clan_link_ToLink_payload_tag;
        to.m.payload.session = ours;
        uint8_t *p = to.m.payload.data.bytes;
        p[0] = 1;
        p[1] = 2; /* join */
        memset(p + 2, 0x55, 64);
        p[66] = 2000 >> 8;
        p[67] = 2000 & 0xff;
        memset(p + 68, 0x66, 2000);
        to.m.payload.data.size = 68 + 2000;
        lab_tell(0, &to, -1);
        lab_require(lab_wait(1, clan_link_FromLink_door_hello_tag, 3000));
        const clan_link_DoorHello *h = &lab[1].got.m.door_hello;
        lab_require(h->session == theirs && h->mode == 2 && h->record.size == 2000);
        lab_require(memcmp(h->invite_id, id, 16) == 0 && h->proof[63] == 0x55);
        lab_require(memcmp(h->handshake_hash, hash, 64) == 0 && h->record.bytes[1999] == 0x66);
        lab_require(lab_wait(1, clan_link_FromLink_up_tag, 3000));
        lab_require(lab_wait(0, clan_link_FromLink_up_tag, 3000));
        tell_send(1, theirs, 30000, 3);
        lab_require(lab_wait(0, clan_link_FromLink_recv_tag, 3000));
        tell_close(0, ours, false);
        lab_require(wait_down(1, theirs) == clan_link_Reason_REASON_CLOSED);
    }
}

static void core_restarts(void)
{
    uint32_t live = lab_live(0, false);
    lab_hello(0, 2);
    lab_require(lab_wait(0, clan_link_FromLink_up_tag, 3000));
    lab_require(lab[0].got.m.up.session == live && lab[0].got.m.up.purpose == LINK);
    lab_tables(0);
    lab_synced(0);
    lab_require(ping(5) == 0 && lab_live(0, false) == live);
    lab_hello(0, 3); /* and one that knows nobody any more */
    lab_synced(0);
    lab_require(wait_down(0, live) == clan_link_Reason_REASON_CORE);
    lab_require(ping(1) != 0);
    lab_tables(0);
    lab_session(0, LINK);
    lab_require(ping(3) == 0);
}

/* 200 at once from many networks wait in line; none fails. */
static void a_line_of_handshakes(void)
{
    enum { COUNT = 200 };
    static uint8_t bytes[512];
    int fds[COUNT];
    size_t n = ik_message_1(lab[0].link_secret, bytes);
    for (int i = 0; i < COUNT; i++)
        fds[i] = intrude(NULL, 0);
    for (int i = 0; i < COUNT; i++)
        lab_require(send(fds[i], bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
    for (int i = 0; i < COUNT; i++) {
        lab_require(answer(fds[i], 10000) == 1);
        close(fds[i]); /* makes room for the next */
    }
    /* one network: four at a time, the others wait */
    uint8_t remote[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
    for (int i = 0; i < 6; i++) {
        int b;
        lab_connect(0, &fds[i], &b);
        remote[15] = (uint8_t)i;
        lab_accept(1, b, remote);
        lab_require(send(fds[i], bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
    }
    for (int i = 0; i < 4; i++)
        lab_require(answer(fds[i], 3000) == 1);
    lab_require(answer(fds[4], 200) == -1 && answer(fds[5], 0) == -1);
    close(fds[0]);
    lab_require(answer(fds[4], 3000) == 1 && answer(fds[5], 200) == -1);
    for (int i = 1; i < 6; i++)
        close(fds[i]);
    lab_require(ping(3) == 0);
}

/* Traffic and nothing comes back: dead within a second or so; a packet then asks for a new path. */
static void a_dead_path(void)
{
    uint32_t live = lab_live(0, false);
    lab_run(0, "ip link set veth0 down");
    uint64_t start = clock_mono_ms();
    lab_require(ping(1) != 0);
    lab_require(wait_down(0, live) == clan_link_Reason_REASON_DEAD);
    lab_require(clock_mono_ms() - start < 4000);
    lab_require(ping(1) != 0);
    lab_require(lab_wait(0, clan_link_FromLink_want_tag, 3000));
    lab_require(memcmp(lab[0].got.m.want.address, lab[1].ip6, 16) == 0);
    lab_run(0, "ip link set veth0 up");
    uint64_t until = clock_mono_ms() + 5000;
    while (lab_try(0, "ping -q -c 1 -W 1 10.77.0.2 >/dev/null") != 0)
        lab_require(clock_mono_ms() < until);
    lab_session(0, LINK);
    lab_require(ping(3) == 0);
}

/* With the short rekey time of the test build: keys change under traffic, nothing is lost. */
static void keys_change(void)
{
    char shell[200];
    struct lab_relay *r = lab_relay(0, 0);
    uint32_t live = lab_live(0, false);
    snprintf(shell, sizeof shell, "ping -6 -q -c 200 -i 0.01 -W 2 %s | grep -q ' 0%% packet loss'",
        lab[1].address);
    lab_run(0, shell);
    lab_require(lab_live(0, false) == live);
    lab_require(r->frames[LINK_FRAME_KEY_A] > 20 && r->frames[LINK_FRAME_KEY_B] > 20);
    lab_require(lab_counter(0, LINK_COUNT_SEAL_FAILED) == 0);
    lab_session(0, LINK);
    lab_relay_end(r);
}

/* A service of end 1, whose address is the machine's here, that only `via` carries; NULL no demand. */
static void demand(int end, const char *via)
{
    clan_link_ToLink m = clan_link_ToLink_init_zero;
    m.which_m = clan_link_ToLink_demand_tag;
    m.m.demand.first = m.m.demand.last = true;
    m.m.demand.has_service = via != NULL;
    memcpy(m.m.demand.address, lab[1].ip6, 16);
    m.m.demand.via_count = 1;
    snprintf(m.m.demand.via[0], sizeof m.m.demand.via[0], "%s", via ? via : "");
    lab_tell(end, &m, -1);
}

/* Packets of a service that demands another transport are not sent, and not taken from a peer that sends them. */
static void a_demand(void)
{
    uint64_t kept = lab_counter(0, LINK_COUNT_TUN_BARRED);
    uint64_t refused = lab_counter(1, LINK_COUNT_PEER_BARRED);
    demand(1, "other");
    lab_require(ping(1) != 0 && lab_counter(1, LINK_COUNT_PEER_BARRED) > refused);
    demand(0, "other");
    refused = lab_counter(1, LINK_COUNT_PEER_BARRED);
    lab_require(ping(2) != 0 && lab_counter(0, LINK_COUNT_TUN_BARRED) >= kept + 2);
    lab_require(lab_counter(1, LINK_COUNT_PEER_BARRED) == refused);
    for (int end = 0; end < 2; end++)
        demand(end, ""); /* the transport of all sessions here */
    lab_require(ping(1) == 0);
    for (int end = 0; end < 2; end++)
        demand(end, NULL);
    lab_require(ping(1) == 0);
}

/* The other end is a peer whose sessions come by `via` only; those here have the transport "". */
static void tell_via(int end, const char *via)
{
    const struct lab_end *o = &lab[!end];
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_peer_tag;
    clan_link_Peer *p = &to.m.peer;
    memcpy(p->machine_id, o->machine_id, 32);
    memcpy(p->address, o->ip6, 16);
    memcpy(p->link_key, o->link_key, 32);
    memcpy(p->control_key, o->control_key, 32);
    p->only = true;
    p->via_count = via ? 1 : 0;
    snprintf(p->via[0], sizeof p->via[0], "%s", via ? via : "");
    lab_tell(end, &to, -1);
}

/* A peer that is to be reached by other transports: what is there ends, what it dials is refused, and so is
 * what this machine's own core dials. */
static void a_barred_transport(void)
{
    uint32_t live = lab_live(1, false);
    int a, b;
    lab_require(live);
    tell_via(1, "other");
    lab_require(wait_down(1, live) == clan_link_Reason_REASON_CORE);
    for (int from = 0; from < 2; from++) {
        lab_connect(from, &a, &b);
        uint32_t theirs = lab_accept(!from, b, NULL), ours = lab_dial(from, LINK, a);
        wait_down(1, from ? ours : theirs);
        lab_require(!lab_live(1, false) && !lab_live(0, false));
    }
    tell_via(1, NULL); /* by none at all */
    lab_connect(0, &a, &b);
    uint32_t theirs = lab_accept(1, b, NULL);
    lab_dial(0, LINK, a);
    wait_down(1, theirs);
    lab_require(!lab_live(1, false));
    tell_via(1, "");
    lab_session(0, LINK);
    lab_peer(1, true);
    lab_require(ping(3) == 0);
}

/* 8 Mbit/s: super-packets are cut to single ones, and a ping does not stand behind them. */
static void a_slow_path(void)
{
    char shell[300];
    pid_t flows[FLOWS][2];
    struct lab_relay *r = lab_relay(0, 1000000);
    for (int i = 0; i < FLOWS; i++) /* one alone would not fill the buffers of so short a path */
        lab_flow(flows[i], i);
    uint64_t until = clock_mono_ms() + 10000;
    while (r->bytes < 2000000)
        lab_require(clock_mono_ms() < until && usleep(10000) == 0);
    r->longest = 0;
    snprintf(shell, sizeof shell,
        "ping -6 -c 40 -i 0.05 -W 3 %s | sed -n 's/.*time=\\([0-9]*\\).*/\\1/p' | sort -n | "
        "awk '{t[NR] = $1} END {print NR \" answers, the twentieth \" t[20] \" ms\";"
        " exit !(NR >= 36 && t[20] < 150)}'",
        lab[1].address);
    int tries = 1; /* other work on this computer is no queue: three times it is one */
    while (lab_try(0, shell) != 0)
        lab_require(tries++ < 3);
    lab_require(r->bytes > 3500000); /* it was busy all the time */
    for (int i = 0; i < FLOWS; i++)
        lab_flow_end(flows[i]);
    lab_live(0, false);
    if (r->longest >= 1600)
        fprintf(stderr, "frames of %d bytes\n", (int)r->longest);
    lab_require(r->longest < 1600);
    lab_session(0, LINK);
    lab_relay_end(r);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"packets pass", packets_pass},
        {"garbage is dropped", garbage_is_dropped},
        {"an unknown key gets silence", unknown_key_gets_silence},
        {"a replay changes nothing", replay_changes_nothing},
        {"hostile descriptors", hostile_descriptors},
        {"both dial at once", both_dial_at_once},
        {"a new path replaces the old", a_new_path_replaces},
        {"control messages", control_messages},
        {"strangers", strangers},
        {"a peer is gone", peer_gone},
        {"doors", doors},
        {"core restarts", core_restarts},
        {"a line of handshakes", a_line_of_handshakes},
        {"a demand", a_demand},
        {"a barred transport", a_barred_transport},
        {"a slow path", a_slow_path},
        {"keys change", keys_change},
        {"a dead path", a_dead_path},
    };
    if (argc < 2) {
        fprintf(stderr, "usage: link_session CLAN-LINK [part of a test's name]\n");
        return 2;
    }
    lab_start(argv[1]);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (argc > 2 && i > 0 && !strstr(tests[i].name, argv[2]))
            continue;
        uint64_t start = clock_mono_ms();
        tests[i].run();
        printf("ok %s (%llu ms)\n", tests[i].name, (unsigned long long)(clock_mono_ms() - start));
        fflush(stdout);
    }
    lab_end();
    return 0;
}
