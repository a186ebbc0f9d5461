/* The laboratory of link_lab.h. */
#include "link_lab.h"

#include "base/clock.h"
#include "wire/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAB_GID 65534

struct lab_end lab[2];
bool lab_plain_tun;
uint8_t lab_clan[32];

static void skip(const char *why)
{
    fprintf(stderr, "skipped: %s: %s\n", why, strerror(errno));
    lab_end();
    exit(LAB_SKIP);
}

/* --- processes --- */

void lab_end(void)
{
    for (int i = 0; i < 2; i++) {
        char text[1025];
        ssize_t n;
        if (lab[i].pid <= 0)
            continue;
        kill(lab[i].pid, SIGKILL);
        waitpid(lab[i].pid, NULL, 0);
        lab[i].pid = 0;
        while ((n = recv(lab[i].log, text, sizeof text - 1, MSG_DONTWAIT)) > 0) {
            text[n] = 0;
            fprintf(stderr, "link %d: %s\n", i, text);
        }
    }
}

int lab_try(int end, const char *shell)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        if (setns(lab[end].ns, CLONE_NEWNET) != 0)
            _exit(126);
        execl("/bin/sh", "sh", "-c", shell, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void lab_run(int end, const char *shell)
{
    int status = lab_try(end, shell);
    if (status != 0)
        fprintf(stderr, "status %d: %s\n", status, shell);
    lab_require(status == 0);
}

static void start_link(struct lab_end *e, const char *program)
{
    int channel[2], log[2];
    lab_require(channel_pair(channel) == CLAN_OK && channel_pair(log) == CLAN_OK);
    e->channel = channel[0];
    e->log = log[0];
    e->pid = fork();
    lab_require(e->pid >= 0);
    if (e->pid) {
        close(channel[1]);
        close(log[1]);
        return;
    }
    lab_require(setgid(LAB_GID) == 0); /* see lab_dumpable */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int c = fcntl(channel[1], F_DUPFD, 10), g = fcntl(log[1], F_DUPFD, 10);
    dup2(c, 3);
    dup2(g, 4);
    close_range(5, ~0u, 0);
    execl(program, "clan-link", "lab", (char *)NULL);
    _exit(127);
}

bool lab_dumpable(int end)
{
    char path[32];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/mem", (int)lab[end].pid);
    lab_require(stat(path, &st) == 0);
    return st.st_gid == LAB_GID; /* else the kernel gives it to root's */
}

/* --- network --- */

static void make_tun(struct lab_end *e, bool plain)
{
    struct ifreq ir = {.ifr_flags = IFF_TUN | IFF_NO_PI | (plain ? 0 : IFF_VNET_HDR)};
    strcpy(ir.ifr_name, "clan0");
    e->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (e->tun < 0 || ioctl(e->tun, TUNSETIFF, &ir) != 0)
        skip("a TUN device");
    lab_require(plain || ioctl(e->tun, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0);
}

static void make_network(void)
{
    char shell[512];
    for (int i = 0; i < 2; i++) {
        if (unshare(CLONE_NEWNET) != 0)
            skip("a network namespace");
        lab[i].ns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        lab_require(lab[i].ns >= 0);
        make_tun(&lab[i], lab_plain_tun && i == 1);
        snprintf(lab[i].veth, sizeof lab[i].veth, "veth%d", i);
    }
    snprintf(shell, sizeof shell,
        "ip link add veth0 type veth peer name veth1 && ip link set veth1 netns /proc/%d/fd/%d",
        (int)getpid(), lab[1].ns);
    lab_run(0, shell);
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7117)};
        snprintf(shell, sizeof shell,
            "ip link set lo up && ip addr add 10.77.0.%d/24 dev veth%d && ip link set veth%d up && "
            "ip link set clan0 mtu 1420 gso_max_size 61440 && "
            "sysctl -qw net.ipv6.conf.clan0.accept_dad=0 net.ipv6.conf.clan0.addr_gen_mode=1 && "
            "ip link set clan0 up && ip -6 addr add %s/48 dev clan0 nodad",
            i + 1, i, i, lab[i].address);
        lab_run(i, shell);
        lab_require(setns(lab[i].ns, CLONE_NEWNET) == 0);
        lab[i].listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        lab_require(bind(lab[i].listener, (struct sockaddr *)&a, sizeof a) == 0 &&
                    listen(lab[i].listener, 256) == 0);
    }
}

void lab_connect(int from, int *ret_a, int *ret_b)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(7117)};
    a.sin_addr.s_addr = htonl(0x0a4d0002u - (uint32_t)from);
    lab_require(setns(lab[from].ns, CLONE_NEWNET) == 0);
    *ret_a = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    lab_require(connect(*ret_a, (struct sockaddr *)&a, sizeof a) == 0);
    *ret_b = accept4(lab[!from].listener, NULL, NULL, SOCK_CLOEXEC);
    lab_require(*ret_b >= 0);
}

void lab_flow(pid_t ret_pids[2], int number)
{
    struct sockaddr_in6 a = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)(7200 + number))};
    static uint8_t bytes[65536];
    memcpy(&a.sin6_addr, lab[1].ip6, 16);
    for (int i = 1; i >= 0; i--) {
        lab_require(setns(lab[i].ns, CLONE_NEWNET) == 0);
        int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (i == 1)
            lab_require(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
        ret_pids[i] = fork();
        lab_require(ret_pids[i] >= 0);
        if (ret_pids[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (i == 1 && (fd = accept(fd, NULL, NULL)) >= 0)
                while (read(fd, bytes, sizeof bytes) > 0)
                    ;
            else if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
                while (write(fd, bytes, sizeof bytes) > 0)
                    ;
            _exit(0);
        }
        close(fd);
    }
}

void lab_flow_end(const pid_t pids[2])
{
    for (int i = 0; i < 2; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
}

/* --- playing core --- */

void lab_tell(int end, const clan_link_ToLink *m, int fd)
{
    clan_status st = CLAN_E_AGAIN;
    uint64_t until = clock_mono_ms() + 5000;
    while (st == CLAN_E_AGAIN && clock_mono_ms() < until) {
        st = channel_send(lab[end].channel, clan_link_ToLink_fields, m, &fd, fd >= 0);
        struct pollfd p = {lab[end].channel, POLLOUT, 0};
        if (st == CLAN_E_AGAIN)
            poll(&p, 1, 100);
    }
    lab_require(st == CLAN_OK);
}

bool lab_wait(int end, pb_size_t which, int timeout_ms)
{
    uint64_t until = clock_mono_ms() + (uint64_t)timeout_ms;
    for (;;) {
        int fds[CHANNEL_FDS_MAX];
        size_t count;
        clan_status st = channel_recv(lab[end].channel, clan_link_FromLink_fields, &lab[end].got,
            fds, CHANNEL_FDS_MAX, &count);
        if (st == CLAN_OK && lab[end].got.which_m == which)
            return true;
        if (st == CLAN_OK && getenv("LAB_TRACE"))
            fprintf(stderr, "end %d: message %d (session %u, %d)\n", end, (int)lab[end].got.which_m,
                lab[end].got.m.down.session, (int)lab[end].got.m.down.reason);
        if (st == CLAN_OK)
            continue;
        lab_require(st == CLAN_E_AGAIN); /* else clan-link died */
        uint64_t now = clock_mono_ms();
        struct pollfd p = {lab[end].channel, POLLIN, 0};
        if (now >= until || poll(&p, 1, (int)(until - now)) == 0)
            return false;
    }
}

void lab_hello(int end, uint64_t incarnation)
{
    static clan_link_ToLink m;
    memset(&m, 0, sizeof m);
    m.which_m = clan_link_ToLink_hello_tag;
    m.m.hello.incarnation = incarnation;
    lab_tell(end, &m, -1);
    lab_require(lab_wait(end, clan_link_FromLink_hello_ack_tag, 5000));
    lab_require(lab[end].got.m.hello_ack.incarnation == incarnation);
}

void lab_synced(int end)
{
    static clan_link_ToLink m;
    m.which_m = clan_link_ToLink_synced_tag;
    lab_tell(end, &m, -1);
}

void lab_peer(int end, bool known)
{
    static clan_link_ToLink m;
    const struct lab_end *o = &lab[!end];
    memset(&m, 0, sizeof m);
    m.which_m = known ? clan_link_ToLink_peer_tag : clan_link_ToLink_peer_gone_tag;
    memcpy(known ? m.m.peer.machine_id : m.m.peer_gone.machine_id, o->machine_id, 32);
    if (known) {
        memcpy(m.m.peer.address, o->ip6, 16);
        memcpy(m.m.peer.link_key, o->link_key, 32);
        memcpy(m.m.peer.control_key, o->control_key, 32);
    }
    lab_tell(end, &m, -1);
}

void lab_tables(int end)
{
    static clan_link_ToLink m;
    const struct lab_end *e = &lab[end];
    memset(&m, 0, sizeof m);
    m.which_m = clan_link_ToLink_keys_tag;
    memcpy(m.m.keys.clan_id, lab_clan, 32);
    memcpy(m.m.keys.machine_id, e->machine_id, 32);
    memcpy(m.m.keys.address, e->ip6, 16);
    memcpy(m.m.keys.link_secret, e->link_secret, 32);
    memcpy(m.m.keys.control_secret, e->control_secret, 32);
    memcpy(m.m.keys.door_secret, e->door_secret, 32);
    lab_tell(end, &m, -1);
    memset(&m, 0, sizeof m);
    m.which_m = clan_link_ToLink_own_tag;
    lab_tell(end, &m, -1);
    lab_peer(end, true);
}

uint32_t lab_dial(int end, clan_link_Purpose purpose, int fd)
{
    static clan_link_ToLink m;
    const struct lab_end *o = &lab[!end];
    memset(&m, 0, sizeof m);
    m.which_m = clan_link_ToLink_stream_tag;
    clan_link_Stream *s = &m.m.stream;
    s->session = ++lab[end].next_session;
    s->dialed = true;
    s->purpose = purpose;
    s->remote[15] = 1;
    memcpy(s->peer_id, o->machine_id, 32);
    bool link = purpose == clan_link_Purpose_PURPOSE_LINK;
    memcpy(s->peer_static, link ? o->link_key : o->control_key, 32);
    lab_tell(end, &m, fd);
    close(fd);
    return s->session;
}

uint32_t lab_accept(int end, int fd, const uint8_t *remote)
{
    static clan_link_ToLink m;
    static uint32_t somebody;
    memset(&m, 0, sizeof m);
    m.which_m = clan_link_ToLink_stream_tag;
    m.m.stream.session = ++lab[end].next_session;
    if (remote)
        memcpy(m.m.stream.remote, remote, 16);
    else { /* each from a network of its own: the limits per source have their own test */
        somebody++;
        memcpy(m.m.stream.remote, &somebody, 4);
    }
    lab_tell(end, &m, fd);
    close(fd);
    return m.m.stream.session;
}

uint32_t lab_session(int from, clan_link_Purpose purpose)
{
    int a, b;
    lab_connect(from, &a, &b);
    lab_accept(!from, b, NULL);
    uint32_t number = lab_dial(from, purpose, a);
    for (int i = 0; i < 2; i++) {
        if (!lab_wait(i, clan_link_FromLink_up_tag, 5000))
            lab_wait(!i, clan_link_FromLink_up_tag, 100);
        lab_require(lab[i].got.which_m == clan_link_FromLink_up_tag);
        lab_require(lab[i].got.m.up.purpose == purpose);
    }
    return number;
}

static bool ask_stats(int end, pb_size_t which)
{
    static clan_link_ToLink m;
    m.which_m = clan_link_ToLink_ask_stats_tag;
    lab_tell(end, &m, -1);
    return lab_wait(end, which, 2000);
}

uint64_t lab_counter(int end, int which)
{
    lab_require(ask_stats(end, clan_link_FromLink_counters_tag));
    return lab[end].got.m.counters.value[which];
}

clan_link_PeerStats lab_peer_stats(int end)
{
    lab_require(ask_stats(end, clan_link_FromLink_peer_stats_tag));
    clan_link_PeerStats st = lab[end].got.m.peer_stats;
    lab_require(lab_wait(end, clan_link_FromLink_counters_tag, 2000));
    return st;
}

uint32_t lab_live(int end, bool control)
{
    clan_link_PeerStats st = lab_peer_stats(end);
    if (getenv("LAB_TRACE"))
        fprintf(stderr, "end %d: rate %llu queued %u rtt %u dropped %llu\n", end,
            (unsigned long long)st.rate_bps, st.queued_bytes, st.rtt_us,
            (unsigned long long)st.dropped);
    return control ? st.control_session : st.link_session;
}

void lab_start(const char *program)
{
    lab_require(sodium_init() >= 0);
    if (geteuid() != 0) {
        errno = EPERM;
        skip("network namespaces");
    }
    randombytes_buf(lab_clan, sizeof lab_clan);
    for (int i = 0; i < 2; i++) {
        struct lab_end *e = &lab[i];
        memset(e->machine_id, i + 1, 32);
        snprintf(e->address, sizeof e->address, "fd77:77:77::%d", i + 1);
        inet_pton(AF_INET6, e->address, e->ip6);
        crypto_box_keypair(e->link_key, e->link_secret);
        crypto_box_keypair(e->control_key, e->control_secret);
        crypto_box_keypair(e->door_key, e->door_secret);
    }
    make_network();
    for (int i = 0; i < 2; i++) {
        static clan_link_ToLink m;
        start_link(&lab[i], program);
        lab_hello(i, 1);
        lab_tables(i);
        memset(&m, 0, sizeof m);
        m.which_m = clan_link_ToLink_tun_tag;
        m.m.tun.mtu = 1420;
        m.m.tun.vnet_hdr = !(lab_plain_tun && i == 1);
        lab_tell(i, &m, lab[i].tun);
        close(lab[i].tun);
        lab_synced(i);
    }
}
