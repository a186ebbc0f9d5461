/* The TUN side: an interface without offloads, packets too long for it, a path that is slow, peers
 * that cannot be reached.  End 1's interface is the plain one. */
#include "lab/link_lab.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINK  clan_link_Purpose_PURPOSE_LINK
#define BYTES (8u << 20)

static clan_link_ToLink to;

static uint8_t pattern(uint32_t at)
{
    return (uint8_t)((at * 2654435761u) >> 23);
}

static int sends(const struct sockaddr_in6 *a)
{
    static uint8_t bytes[BYTES];
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (uint32_t i = 0; i < BYTES; i++)
        bytes[i] = pattern(i);
    if (connect(fd, (const struct sockaddr *)a, sizeof *a) != 0)
        return 2;
    for (uint32_t at = 0; at < BYTES;) {
        ssize_t n = write(fd, bytes + at, BYTES - at);
        if (n <= 0)
            return 3;
        at += (uint32_t)n;
    }
    return 0;
}

static int receives(int fd)
{
    static uint8_t bytes[65536];
    uint32_t at = 0;
    ssize_t n;
    fd = accept(fd, NULL, NULL);
    while ((n = read(fd, bytes, sizeof bytes)) > 0)
        for (ssize_t i = 0; i < n; i++)
            if (bytes[i] != pattern(at++))
                return 4;
    return at == BYTES ? 0 : 5;
}

/* BYTES over one TCP connection, each looked at. */
static void transfer(int from)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(7300)};
    pid_t pids[2];
    int one = 1;
    memcpy(&a.sin6_addr, lab[!from].ip6, 16);
    lab_require(setns(lab[!from].ns, CLONE_NEWNET) == 0);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    lab_require(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
    for (int sender = 0; sender < 2; sender++) {
        lab_require(setns(lab[sender ? from : !from].ns, CLONE_NEWNET) == 0);
        pids[sender] = fork();
        lab_require(pids[sender] >= 0);
        if (pids[sender] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            alarm(20);
            _exit(sender ? sends(&a) : receives(fd));
        }
    }
    close(fd);
    for (int i = 0; i < 2; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        if (status)
            fprintf(stderr, "%s: status %x\n", i ? "sender" : "receiver", (unsigned)status);
        lab_require(status == 0);
    }
}

/* From end 0 to end 1 come super-packets, which are cut; the other way there are none. */
static void without_offloads(void)
{
    char shell[200];
    transfer(0);
    lab_require(lab_counter(1, LINK_COUNT_TUN_TX) > BYTES / 1400);
    lab_require(lab_counter(0, LINK_COUNT_TUN_RX) < BYTES / 1400 / 2); /* they were super-packets */
    transfer(1);
    lab_require(lab_counter(1, LINK_COUNT_TUN_REFUSED) == 0);
    for (int i = 0; i < 2; i++) {
        snprintf(
            shell, sizeof shell, "ping -6 -q -c 5 -i 0.01 -W 2 %s >/dev/null", lab[!i].address);
        lab_run(i, shell);
    }
}

/* The kernel says it for its own packets, fragments pass, and a machine behind this one is told. */
static void too_long(void)
{
    char shell[500];
    for (int i = 0; i < 2; i++) {
        snprintf(shell, sizeof shell,
            "ping -6 -M do -s 1373 -c 1 -W 2 %s 2>&1 | grep -q 'mtu[:=] *1420'", lab[!i].address);
        lab_run(i, shell);
        snprintf(shell, sizeof shell, "ping -6 -M do -q -s 1372 -c 1 -W 2 %s >/dev/null",
            lab[!i].address);
        lab_run(i, shell);
        snprintf(shell, sizeof shell, "ping -6 -q -s 8000 -c 3 -i 0.01 -W 2 %s >/dev/null",
            lab[!i].address);
        lab_run(i, shell);
    }
    /* a guest behind end 0, under an address end 0 holds */
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_own_tag;
    to.m.own.service_addresses_count = 1;
    inet_pton(AF_INET6, "fd77:77:77::61", to.m.own.service_addresses[0]);
    lab_tell(0, &to, -1);
    memset(&to, 0, sizeof to);
    to.which_m = clan_link_ToLink_peer_tag;
    clan_link_Peer *p = &to.m.peer;
    memcpy(p->machine_id, lab[0].machine_id, 32);
    memcpy(p->address, lab[0].ip6, 16);
    memcpy(p->link_key, lab[0].link_key, 32);
    memcpy(p->control_key, lab[0].control_key, 32);
    p->service_addresses_count = 1;
    inet_pton(AF_INET6, "fd77:77:77::61", p->service_addresses[0]);
    lab_tell(1, &to, -1);
    snprintf(shell, sizeof shell,
        "set -e; sysctl -qw net.ipv6.conf.all.forwarding=1;"
        "ip link add to_guest type veth peer name eth0 mtu 1500;"
        "ip addr add fe80::1/64 dev to_guest nodad; ip link set to_guest up;"
        "ip route add fd77:77:77::61 dev to_guest");
    lab_run(0, shell);
    lab_require(unshare(CLONE_NEWNET) == 0);
    struct lab_end end = lab[0];
    int guest = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    snprintf(shell, sizeof shell, "ip link set eth0 netns /proc/%d/fd/%d", (int)getpid(), guest);
    lab_run(0, shell);
    lab[0].ns = guest; /* the commands below are the guest's */
    lab_run(0, "ip link set lo up; ip link set eth0 up; ip addr add fd77:77:77::61/128 dev eth0 "
               "nodad; ip route add default via fe80::1 dev eth0");
    snprintf(shell, sizeof shell, "ping -6 -q -c 3 -i 0.2 -W 2 %s >/dev/null", lab[1].address);
    lab_run(0, shell);
    snprintf(shell, sizeof shell,
        "ping -6 -M do -s 1400 -c 1 -W 2 %s 2>&1 | grep -q 'too big: mtu=1420'", lab[1].address);
    lab_run(0, shell);
    snprintf(
        shell, sizeof shell, "ping -6 -q -s 1400 -c 2 -i 0.2 -W 2 %s >/dev/null", lab[1].address);
    lab_run(0, shell);
    transfer(0);
    lab[0] = end;
    close(guest);
    lab_require(lab_counter(1, LINK_COUNT_PEER_TOO_LONG) == 0);
}

/* 8 Mbit/s and one flow, whose window ends before the socket is full: the transport says the rate. */
static void a_slow_path_and_one_flow(void)
{
    pid_t flow[2];
    clan_link_PeerStats st, then;
    lab_run(0, "tc qdisc add dev veth0 root tbf rate 8mbit burst 8kb latency 400ms");
    lab_session(0, LINK);
    lab_flow(flow, 0);
    uint64_t until = clock_mono_ms() + 10000;
    do {
        lab_require(clock_mono_ms() < until && usleep(50000) == 0);
        st = lab_peer_stats(0);
    } while (st.rate_bps < 4000000 || st.rate_bps > 12000000);
    usleep(300000); /* a span of time to look at: what was queued before is through */
    st = lab_peer_stats(0);
    do {
        lab_require(clock_mono_ms() < until && usleep(50000) == 0);
        then = lab_peer_stats(0);
    } while (then.tx_packets < st.tx_packets + 100);
    uint64_t mean = (then.tx_bytes - st.tx_bytes) / (then.tx_packets - st.tx_packets);
    if (mean > 1420)
        fprintf(stderr, "pieces of %d bytes\n", (int)mean);
    lab_require(mean <= 1420);
    lab_flow_end(flow);
    lab_run(0, "tc qdisc del dev veth0 root");
    lab_session(0, LINK);
    transfer(0);
}

/* How long an attempt to connect lasted and how it ended. */
static int try_connect(uint64_t *ret_ms)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons(9)};
    memcpy(&a.sin6_addr, lab[1].ip6, 16);
    lab_require(setns(lab[0].ns, CLONE_NEWNET) == 0);
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    uint64_t start = clock_mono_ms();
    int why = connect(fd, (struct sockaddr *)&a, sizeof a) == 0 ? 0 : errno;
    *ret_ms = clock_mono_ms() - start;
    close(fd);
    return why;
}

/* Programs are told, but not before the others had time to be dialed; core is asked all the time. */
static void unreachable(void)
{
    uint64_t ms, sent = lab_counter(0, LINK_COUNT_TUN_TX);
    char shell[200];
    lab_peer(0, false); /* ends the session */
    lab_peer(0, true);
    lab_require(try_connect(&ms) == EHOSTUNREACH);
    lab_require(ms >= 1500 && ms < 8000);
    lab_require(try_connect(&ms) == EHOSTUNREACH);
    lab_require(ms < 1500); /* the wait was had */
    lab_require(lab_wait(0, clan_link_FromLink_want_tag, 2000));
    snprintf(shell, sizeof shell,
        "ping -6 -c 2 -i 0.3 -W 2 %s | grep -q 'Destination unreachable: Address'", lab[1].address);
    lab_run(0, shell);
    sent = lab_counter(0, LINK_COUNT_TUN_TX);
    snprintf(shell, sizeof shell, "ping -6 -q -c 200 -i 0.002 -W 1 %s >/dev/null", lab[1].address);
    lab_require(lab_try(0, shell) != 0);
    uint64_t told = lab_counter(0, LINK_COUNT_TUN_TX) - sent;
    lab_require(told > 0 && told < 60); /* not one for each */
    lab_session(0, LINK);
    lab_require(try_connect(&ms) == ECONNREFUSED);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } tests[] = {
        {"without offloads", without_offloads},
        {"too long", too_long},
        {"a slow path and one flow", a_slow_path_and_one_flow},
        {"unreachable", unreachable},
    };
    if (argc < 2) {
        fprintf(stderr, "usage: link_tun CLAN-LINK [part of a test's name]\n");
        return 2;
    }
    lab_plain_tun = true;
    lab_start(argv[1]);
    lab_session(0, LINK);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (argc > 2 && !strstr(tests[i].name, argv[2]))
            continue;
        uint64_t start = clock_mono_ms();
        tests[i].run();
        printf("ok %s (%llu ms)\n", tests[i].name, (unsigned long long)(clock_mono_ms() - start));
        fflush(stdout);
    }
    lab_end();
    return 0;
}
