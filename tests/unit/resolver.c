/* The resolver: replies of the pure function, the table's limits, the process over UDP and TCP. */
#include "base/clock.h"
#include "resolver/serve.h"
#include "wire/channel.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <fcntl.h>
#include <poll.h>
#include <resolv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_MS 10000

static const uint8_t nas[16] = {0xfd, 1, 2, 3, 4, 5, 0xaa}, files[16] = {0xfd, 1, 2, 3, 4, 5, 0xbb};
#define REV_TAIL "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
#define REV_NET  "5.0.4.0.3.0.2.0.1.0.d.f.ip6.arpa"
#define REV_NAS  REV_TAIL ".a.a." REV_NET

static struct resolver_table *table(void)
{
    struct resolver_table *t = resolver_table_new();
    assert_int_equal(resolver_zone(t, "home"), CLAN_OK);
    assert_int_equal(resolver_name_set(t, "nas", nas), CLAN_OK);
    assert_int_equal(resolver_name_set(t, "files", files), CLAN_OK);
    return t;
}

/* A query with one question, and an OPT record when edns_version >= 0. */
static size_t query_of(
    const char *name, unsigned type, unsigned class, int edns_version, uint8_t ret[512])
{
    static const uint8_t head[12] = {0x12, 0x34, 1, 0, 0, 1};
    memcpy(ret, head, sizeof head);
    int n = ns_name_compress(name, ret + 12, 400, NULL, NULL);
    assert_true(n > 0);
    uint8_t *at = ret + 12 + n;
    ns_put16(type, at);
    ns_put16(class, at + 2);
    at += 4;
    if (edns_version >= 0) {
        const uint8_t opt[11] = {0, 0, 41, 4, 0xd0, 0, (uint8_t)edns_version};
        ret[11] = 1;
        memcpy(at, opt, sizeof opt);
        at += sizeof opt;
    }
    return (size_t)(at - ret);
}

struct asked {
    uint8_t reply[RESOLVER_REPLY_MAX];
    ns_msg msg;
    enum resolver_outcome outcome;
};

static void ask(const struct resolver_table *t, const char *name, unsigned type, unsigned class,
    int edns_version, struct asked *ret)
{
    uint8_t query[512];
    size_t size = query_of(name, type, class, edns_version, query);
    size_t len = resolver_answer(t, query, size, ret->reply, sizeof ret->reply, &ret->outcome);
    assert_int_equal(ns_initparse(ret->reply, (int)len, &ret->msg), 0);
    assert_int_equal(ns_msg_id(ret->msg), 0x1234);
    assert_int_equal(ns_msg_getflag(ret->msg, ns_f_qr), 1);
    assert_int_equal(ns_msg_getflag(ret->msg, ns_f_rd), 1);
}

static void replies(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned type, class, rcode, aa, answers, authorities;
        enum resolver_outcome outcome;
    } rows[] = {
        {"nas.home.clan", ns_t_aaaa, ns_c_in, 0, 1, 1, 0, RESOLVER_ANSWERED},
        {"NAS.Home.CLAN", ns_t_aaaa, ns_c_in, 0, 1, 1, 0, RESOLVER_ANSWERED},
        {"nas.home.clan", ns_t_any, ns_c_any, 0, 1, 1, 0, RESOLVER_ANSWERED},
        {"nas.home.clan", ns_t_a, ns_c_in, 0, 1, 0, 1, RESOLVER_ANSWERED},
        {"nas.home.clan", ns_t_mx, ns_c_in, 0, 1, 0, 1, RESOLVER_ANSWERED},
        {"home.clan", ns_t_soa, ns_c_in, 0, 1, 1, 0, RESOLVER_ANSWERED},
        {"home.clan", ns_t_aaaa, ns_c_in, 0, 1, 0, 1, RESOLVER_ANSWERED},
        {"tv.home.clan", ns_t_aaaa, ns_c_in, 3, 1, 0, 1, RESOLVER_UNKNOWN},
        {"a.nas.home.clan", ns_t_aaaa, ns_c_in, 3, 1, 0, 1, RESOLVER_UNKNOWN},
        {"n\\.as.home.clan", ns_t_aaaa, ns_c_in, 3, 1, 0, 1, RESOLVER_UNKNOWN},
        {"clan", ns_t_aaaa, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {"nas.myhome.clan", ns_t_aaaa, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {"myhome.clan", ns_t_aaaa, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {"example.org", ns_t_aaaa, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {".", ns_t_ns, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {"nas.home.clan", ns_t_aaaa, ns_c_chaos, 5, 0, 0, 0, RESOLVER_REFUSED},
        {REV_NAS, ns_t_ptr, ns_c_in, 0, 1, 1, 0, RESOLVER_ANSWERED},
        {REV_NAS, ns_t_aaaa, ns_c_in, 0, 1, 0, 1, RESOLVER_ANSWERED},
        {REV_TAIL ".c.c." REV_NET, ns_t_ptr, ns_c_in, 3, 1, 0, 1, RESOLVER_UNKNOWN},
        {"a.a." REV_NET, ns_t_ptr, ns_c_in, 0, 1, 0, 1, RESOLVER_ANSWERED},
        {REV_NET, ns_t_soa, ns_c_in, 0, 1, 1, 0, RESOLVER_ANSWERED},
        {"0.4.0.3.0.2.0.1.0.d.f.ip6.arpa", ns_t_ptr, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {"0." REV_NAS, ns_t_ptr, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {"g.a." REV_NET, ns_t_ptr, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
        {REV_TAIL ".a.a.6.0.4.0.3.0.2.0.1.0.d.f.ip6.arpa", ns_t_ptr, ns_c_in, 5, 0, 0, 0,
            RESOLVER_REFUSED},
        {"1.0.0.127.in-addr.arpa", ns_t_ptr, ns_c_in, 5, 0, 0, 0, RESOLVER_REFUSED},
    };
    struct resolver_table *t = table();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int edns = -1; edns <= 0; edns++) {
            struct asked a;
            ask(t, rows[i].name, rows[i].type, rows[i].class, edns, &a);
            if ((unsigned)ns_msg_getflag(a.msg, ns_f_rcode) != rows[i].rcode ||
                (unsigned)ns_msg_getflag(a.msg, ns_f_aa) != rows[i].aa ||
                ns_msg_count(a.msg, ns_s_an) != rows[i].answers ||
                ns_msg_count(a.msg, ns_s_ns) != rows[i].authorities ||
                ns_msg_count(a.msg, ns_s_ar) != edns + 1 || a.outcome != rows[i].outcome)
                fail_msg("%s type %u: rcode %d, %d answers, %d authorities, outcome %d",
                    rows[i].name, rows[i].type, ns_msg_getflag(a.msg, ns_f_rcode),
                    ns_msg_count(a.msg, ns_s_an), ns_msg_count(a.msg, ns_s_ns), (int)a.outcome);
        }
    }
    resolver_table_free(t);
}

static void records_are_well_formed(void **state)
{
    (void)state;
    struct resolver_table *t = table();
    struct asked a;
    ns_rr rr;
    char text[NS_MAXDNAME];
    ask(t, "NaS.home.clan", ns_t_aaaa, ns_c_in, -1, &a);
    assert_int_equal(ns_parserr(&a.msg, ns_s_qd, 0, &rr), 0);
    assert_string_equal(
        ns_rr_name(rr), "NaS.home.clan"); /* askers compare it with what they sent */
    assert_int_equal(ns_parserr(&a.msg, ns_s_an, 0, &rr), 0);
    assert_string_equal(ns_rr_name(rr), "NaS.home.clan");
    assert_int_equal(ns_rr_ttl(rr), 5);
    assert_int_equal(ns_rr_rdlen(rr), 16);
    assert_memory_equal(ns_rr_rdata(rr), nas, 16);
    ask(t, REV_NAS, ns_t_ptr, ns_c_in, -1, &a);
    assert_int_equal(ns_parserr(&a.msg, ns_s_an, 0, &rr), 0);
    assert_string_equal(ns_rr_name(rr), REV_NAS);
    assert_true(ns_name_uncompress(
                    ns_msg_base(a.msg), ns_msg_end(a.msg), ns_rr_rdata(rr), text, sizeof text) > 0);
    assert_string_equal(text, "nas.home.clan");
    ask(t, "tv.home.clan", ns_t_aaaa, ns_c_in, -1, &a);
    assert_int_equal(ns_parserr(&a.msg, ns_s_ns, 0, &rr), 0);
    assert_string_equal(ns_rr_name(rr), "home.clan");
    assert_int_equal(ns_rr_type(rr), ns_t_soa);
    ask(t, REV_TAIL ".c.c." REV_NET, ns_t_ptr, ns_c_in, -1, &a);
    assert_int_equal(ns_parserr(&a.msg, ns_s_ns, 0, &rr), 0);
    assert_string_equal(ns_rr_name(rr), REV_NET);
    ask(t, "nas.home.clan", ns_t_aaaa, ns_c_in, 1, &a);
    assert_int_equal(ns_parserr(&a.msg, ns_s_ar, 0, &rr), 0);
    assert_int_equal(ns_rr_ttl(rr) >> 24 << 4 | (unsigned)ns_msg_getflag(a.msg, ns_f_rcode), 16);
    resolver_table_free(t);
}

static void odd_messages(void **state)
{
    (void)state;
    struct resolver_table *t = table();
    enum resolver_outcome outcome;
    uint8_t query[512], reply[RESOLVER_REPLY_MAX], *exact;
    size_t size = query_of("nas.home.clan", ns_t_aaaa, ns_c_in, 0, query);
    for (size_t cut = 0; cut < size; cut++) {
        exact = malloc(cut ? cut : 1);
        memcpy(exact, query, cut);
        size_t len = resolver_answer(t, exact, cut, reply, sizeof reply, &outcome);
        assert_int_equal(outcome, RESOLVER_MALFORMED);
        assert_int_equal(len, cut < 12 ? 0 : 12);
        assert_int_equal(len ? reply[3] & 15 : 1, 1);
        free(exact);
    }
    static const struct {
        size_t at;
        uint8_t value;
        size_t len;
        unsigned rcode;
    } rows[] = {{2, 0x80, 0, 0}, {2, 0x20, 12, 4}, {5, 2, 12, 1}, {5, 0, 12, 1}, {7, 1, 12, 1},
        {9, 1, 12, 1}, {11, 2, 12, 1}, {12, 0xc0, 12, 1}, {12, 0x40, 12, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t changed[512];
        memcpy(changed, query, size);
        changed[rows[i].at] = rows[i].value;
        size_t len = resolver_answer(t, changed, size, reply, sizeof reply, &outcome);
        assert_int_equal(len, rows[i].len);
        assert_int_equal(len ? reply[3] & 15u : 0, rows[i].rcode);
    }
    uint8_t big[RESOLVER_QUERY_MAX + 1] = {0};
    assert_int_equal(resolver_answer(t, big, sizeof big, reply, sizeof reply, &outcome), 0);
    for (size_t cap = 0; cap < 70; cap++) {
        exact = malloc(cap ? cap : 1);
        size_t len = resolver_answer(t, query, size, exact, cap, &outcome);
        assert_int_equal(len, cap < 12 ? 0 : 12);
        assert_int_equal(len ? exact[3] & 15 : 2, 2); /* SERVFAIL */
        free(exact);
    }
    resolver_table_free(t);
}

static void before_the_zone_all_is_refused(void **state)
{
    (void)state;
    struct resolver_table *t = resolver_table_new();
    struct asked a;
    ask(t, "nas.home.clan", ns_t_aaaa, ns_c_in, -1, &a);
    assert_int_equal(a.outcome, RESOLVER_REFUSED);
    assert_int_equal(resolver_name_set(t, "nas", nas), CLAN_E_INVAL);
    assert_int_equal(resolver_zone(t, "Not a name"), CLAN_E_INVAL);
    ask(t, REV_NAS, ns_t_ptr, ns_c_in, -1, &a);
    assert_int_equal(a.outcome, RESOLVER_REFUSED);
    resolver_table_free(t);
}

static void names_come_and_go(void **state)
{
    (void)state;
    struct resolver_table *t = table();
    assert_int_equal(resolver_name_set(t, "bad name", nas), CLAN_E_INVAL);
    assert_int_equal(resolver_name_set(t, "", nas), CLAN_E_INVAL);
    assert_int_equal(resolver_name_set(t, "alias", nas), CLAN_OK);
    assert_string_equal(resolver_find_address(t, nas), "nas");
    assert_int_equal(resolver_name_set(t, "nas", files), CLAN_OK);
    assert_memory_equal(resolver_find(t, "nas"), files, 16);
    assert_string_equal(resolver_find_address(t, nas), "alias");
    assert_string_equal(resolver_find_address(t, files), "files");
    resolver_name_gone(t, "alias");
    resolver_name_gone(t, "alias");
    assert_null(resolver_find(t, "alias"));
    assert_null(resolver_find_address(t, nas));
    assert_int_equal(resolver_count(t), 2);
    assert_int_equal(resolver_zone(t, "home-2"), CLAN_OK);
    assert_int_equal(resolver_count(t), 0);
    assert_null(resolver_find(t, "files"));
    resolver_table_free(t);
}

static void the_table_is_full_at_its_cap(void **state)
{
    (void)state;
    struct resolver_table *t = resolver_table_new();
    char name[33];
    uint8_t addr[16] = {0xfd, 9};
    assert_int_equal(resolver_zone(t, "home"), CLAN_OK);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < RESOLVER_NAMES_MAX; i++) {
            snprintf(name, sizeof name, "m-%u", i);
            addr[14] = (uint8_t)(i >> 8);
            addr[15] = (uint8_t)i;
            assert_int_equal(resolver_name_set(t, name, addr), CLAN_OK);
        }
        assert_int_equal(resolver_name_set(t, "one-more", addr), CLAN_E_LIMIT);
        assert_int_equal(resolver_name_set(t, "m-0", addr), CLAN_OK); /* replacing needs no room */
        resolver_name_gone(t, "m-17");
        assert_int_equal(resolver_name_set(t, "one-more", addr), CLAN_OK);
        assert_int_equal(resolver_count(t), RESOLVER_NAMES_MAX);
        assert_string_equal(resolver_find_address(t, resolver_find(t, "m-8191")), "m-8191");
        for (unsigned i = 0; i < RESOLVER_NAMES_MAX; i++) {
            snprintf(name, sizeof name, "m-%u", i);
            resolver_name_gone(t, name);
        }
        resolver_name_gone(t, "one-more");
        assert_int_equal(resolver_count(t), 0);
    }
    resolver_table_free(t);
}

/* --- the process --- */

struct process {
    pid_t pid;
    int channel;
    struct sockaddr_in6 udp, tcp;
};

static int listener(int type, struct sockaddr_in6 *ret)
{
    int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t size = sizeof *ret;
    *ret = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    if (fd < 0 || bind(fd, (struct sockaddr *)ret, size) != 0 ||
        (type == SOCK_STREAM && listen(fd, 64) != 0) ||
        getsockname(fd, (struct sockaddr *)ret, &size) != 0)
        return -1;
    return fd;
}

static void start(struct process *p)
{
    int pair[2], udp = listener(SOCK_DGRAM, &p->udp), tcp = listener(SOCK_STREAM, &p->tcp);
    if (udp < 0 || tcp < 0)
        skip(); /* no IPv6 on this machine's loopback */
    assert_int_equal(channel_pair(pair), CLAN_OK);
    p->pid = fork();
    assert_true(p->pid >= 0);
    if (p->pid == 0) {
        int from[] = {pair[1], open("/dev/null", O_RDWR), udp, tcp};
        for (int i = 0; i < 4; i++)
            from[i] = fcntl(from[i], F_DUPFD, 20);
        for (int i = 0; i < 4; i++)
            dup2(from[i], 3 + i);
        close_range(7, ~0u, 0);
        _exit(resolver_serve());
    }
    close(pair[1]);
    close(udp);
    close(tcp);
    p->channel = pair[0];
}

static void tell(struct process *p, const clan_resolver_ToResolver *m)
{
    assert_int_equal(
        channel_send(p->channel, clan_resolver_ToResolver_fields, m, NULL, 0), CLAN_OK);
}

static void tell_zone(struct process *p, const char *petname)
{
    clan_resolver_ToResolver m = {.which_m = clan_resolver_ToResolver_zone_tag};
    clan_resolver_FromResolver answer = clan_resolver_FromResolver_init_zero;
    size_t none;
    snprintf(m.m.zone.petname, sizeof m.m.zone.petname, "%s", petname);
    tell(p, &m);
    struct pollfd pfd = {.fd = p->channel, .events = POLLIN};
    assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
    assert_int_equal(
        channel_recv(p->channel, clan_resolver_FromResolver_fields, &answer, NULL, 0, &none),
        CLAN_OK);
    assert_int_equal(answer.which_m, clan_resolver_FromResolver_ready_tag);
    assert_true(answer.m.ready.build[0]);
}

static void tell_name(struct process *p, const char *name, const uint8_t address[16])
{
    clan_resolver_ToResolver m = {.which_m = clan_resolver_ToResolver_name_tag};
    snprintf(m.m.name.name, sizeof m.m.name.name, "%s", name);
    memcpy(m.m.name.address, address, 16);
    tell(p, &m);
}

/* rcode of the reply; asks again until `wanted` comes, for names travel beside questions */
static int ask_udp(struct process *p, const char *name, int wanted)
{
    uint8_t query[512], reply[512];
    size_t size = query_of(name, ns_t_aaaa, ns_c_in, -1, query);
    uint64_t limit = clock_mono_ms() + WAIT_MS;
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0), rcode = -1;
    assert_int_equal(connect(fd, (struct sockaddr *)&p->udp, sizeof p->udp), 0);
    while (rcode != wanted && clock_mono_ms() < limit) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        assert_int_equal(send(fd, query, size, 0), size);
        if (poll(&pfd, 1, 1000) == 1 && recv(fd, reply, sizeof reply, 0) >= 12)
            rcode = reply[3] & 15;
    }
    close(fd);
    return rcode;
}

static int connect_tcp(struct process *p)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&p->tcp, sizeof p->tcp), 0);
    return fd;
}

/* Reads exactly size bytes; false: closed, or nothing came in time. */
static bool read_exact(int fd, uint8_t *ret, size_t size)
{
    for (size_t got = 0; got < size;) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};
        ssize_t n = poll(&pfd, 1, WAIT_MS) == 1 ? recv(fd, ret + got, size - got, 0) : -1;
        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool tcp_reply(int fd, unsigned *ret_rcode)
{
    uint8_t head[2], reply[RESOLVER_REPLY_MAX];
    if (!read_exact(fd, head, 2))
        return false;
    size_t len = (size_t)head[0] << 8 | head[1];
    if (len < 12 || len > sizeof reply || !read_exact(fd, reply, len))
        return false;
    *ret_rcode = reply[3] & 15u;
    return true;
}

static void tcp_questions(struct process *p)
{
    uint8_t message[600];
    unsigned rcode = 99;
    size_t size = query_of("nas.home.clan", ns_t_aaaa, ns_c_in, 0, message + 2);
    message[0] = 0;
    message[1] = (uint8_t)size;
    int fd = connect_tcp(p);
    for (size_t i = 0; i < size + 2; i++) /* byte by byte */
        assert_int_equal(send(fd, message + i, 1, 0), 1);
    assert_true(tcp_reply(fd, &rcode));
    assert_int_equal(rcode, 0);
    uint8_t two[1200];
    memcpy(two, message, size + 2);
    memcpy(two + size + 2, message, size + 2);
    assert_int_equal(send(fd, two, 2 * (size + 2), 0), 2 * (size + 2)); /* two in one write */
    assert_true(tcp_reply(fd, &rcode) && tcp_reply(fd, &rcode));
    assert_int_equal(send(fd, "\xff\xff", 2, 0), 2); /* longer than any question */
    assert_false(tcp_reply(fd, &rcode));
    close(fd);
}

static void tcp_limits(struct process *p)
{
    uint8_t message[600];
    unsigned rcode = 99;
    int fds[RESOLVER_TCP_MAX + 1];
    size_t size = query_of("nas.home.clan", ns_t_aaaa, ns_c_in, 0, message + 2);
    message[0] = 0;
    message[1] = (uint8_t)size;
    for (unsigned i = 0; i < RESOLVER_TCP_MAX; i++) {
        fds[i] = connect_tcp(p);
        assert_int_equal(send(fds[i], message, size + 2, 0), size + 2);
        assert_true(tcp_reply(fds[i], &rcode));
    }
    uint64_t since = clock_mono_ms();
    fds[RESOLVER_TCP_MAX] = connect_tcp(p);
    assert_false(tcp_reply(fds[RESOLVER_TCP_MAX], &rcode)); /* one too many: closed at once */
    assert_true(clock_mono_ms() - since < RESOLVER_TCP_IDLE_MS);
    (void)send(fds[0], message, 5, 0); /* a dripped part does not count as a question */
    assert_false(tcp_reply(fds[0], &rcode));
    assert_in_range(clock_mono_ms() - since, RESOLVER_TCP_IDLE_MS - 1000, WAIT_MS);
    for (unsigned i = 0; i <= RESOLVER_TCP_MAX; i++)
        close(fds[i]);
    assert_int_equal(ask_udp(p, "nas.home.clan", 0), 0);
}

static void the_process(void **state)
{
    (void)state;
    struct process p;
    int status;
    start(&p);
    assert_int_equal(ask_udp(&p, "nas.home.clan", 5), 5);
    tell_zone(&p, "home");
    tell_name(&p, "nas", nas);
    assert_int_equal(ask_udp(&p, "nas.home.clan", 0), 0);
    tcp_questions(&p);
    tcp_limits(&p);
    tell_zone(&p, "home"); /* another core */
    assert_int_equal(ask_udp(&p, "nas.home.clan", 3), 3);
    tell_name(&p, "nas", nas);
    assert_int_equal(ask_udp(&p, "nas.home.clan", 0), 0);
    close(p.channel);
    assert_int_equal(waitpid(p.pid, &status, 0), p.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies),
        cmocka_unit_test(records_are_well_formed),
        cmocka_unit_test(odd_messages),
        cmocka_unit_test(before_the_zone_all_is_refused),
        cmocka_unit_test(names_come_and_go),
        cmocka_unit_test(the_table_is_full_at_its_cap),
        cmocka_unit_test(the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
