/* A plugin on the mock host, with answers to what it asks. */
#include "check/tool/bench.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct bench *bench_now; /* the host's calls carry the mock */
static struct clan_program_host programs;
static const void *(*mock_get)(void *host_data, const char *id);

/* splitmix64 (Steele, Lea, Flood 2014) */
uint64_t bench_random(struct bench *b)
{
    uint64_t z = b->random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Repeatable: a fuzz case is replayed from its seed. */
static void host_random(void *host_data, void *ret_bytes, uint64_t size)
{
    (void)host_data;
    for (uint64_t i = 0; i < size; i++)
        ((uint8_t *)ret_bytes)[i] = (uint8_t)bench_random(bench_now);
}

/* ---- programs that nobody runs ---- */

static clan_status program_run(void *host_data, const char *profile,
    clan_program_started_fn *started, clan_program_exit_fn *exited, void *user,
    struct clan_error *reterr)
{
    struct bench *b = bench_now;
    char word[64];
    (void)host_data;
    snprintf(word, sizeof word, "exec:%.50s", profile ? profile : "");
    unsigned i = 0;
    while (i < BENCH_RUNS && b->runs[i].run)
        i++;
    bool asked = note_asks(&b->s->note, word);
    if (!started || !exited || !asked || i == BENCH_RUNS) {
        reterr->status = asked ? CLAN_E_LIMIT : CLAN_E_GRANT;
        snprintf(reterr->what, sizeof reterr->what, "no program is run");
        snprintf(reterr->why, sizeof reterr->why, "%s",
            asked ? "8 run already" : "its note does not ask for it");
        snprintf(reterr->remedy, sizeof reterr->remedy, "add it to the asks of the note");
        return reterr->status;
    }
    b->runs[i].run = ++b->next_run;
    b->runs[i].told = false;
    b->runs[i].started = started;
    b->runs[i].exited = exited;
    b->runs[i].user = user;
    return CLAN_OK;
}

static void end_at(struct bench *b, unsigned i, uint32_t status)
{
    uint32_t run = b->runs[i].run;
    b->runs[i].run = 0;
    b->runs[i].exited(b->runs[i].user, run, status);
}

static uint32_t ended_run;
static void program_end(void *host_data, uint32_t run)
{
    (void)host_data;
    ended_run = run; /* told in the next turn, as in Clan */
}

static void answer_one(struct bench *b, unsigned i)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!b->runs[i].told) {
        b->runs[i].told = true;
        if (!b->odd || bench_random(b) % 4) {
            b->runs[i].started(b->runs[i].user, b->runs[i].run, NULL);
            return;
        }
        e.status = bench_random(b) % 2 ? CLAN_E_CANCELLED : CLAN_E_NOENT;
        snprintf(e.what, sizeof e.what, "the program was not started");
        b->runs[i].run = 0;
        b->runs[i].started(b->runs[i].user, 0, &e);
    } else if (b->runs[i].run == ended_run || (b->odd && bench_random(b) % 4 == 0)) {
        ended_run = b->runs[i].run == ended_run ? 0 : ended_run;
        end_at(b, i, b->odd ? (uint32_t)(bench_random(b) & 0xff7f) : 15);
    }
}

static const void *get_interface(void *host_data, const char *id)
{
    if (id && strcmp(id, CLAN_PROGRAM_HOST) == 0)
        return &programs;
    return mock_get(host_data, id ? id : "");
}

/* ---- life ---- */

bool bench_init(struct bench *b, struct subject *s, struct try_report *r)
{
    *b = (struct bench){.s = s, .r = r, .listen_fd = -1, .random = s->seed};
    bench_now = b;
    ended_run = 0;
    b->m = mock_new();
    mock_get = b->m->host.get_interface;
    programs = *(const struct clan_program_host *)mock_get(b->m, CLAN_PROGRAM_HOST);
    programs.run = program_run;
    programs.end = program_end;
    b->m->host.get_interface = get_interface;
    b->m->host.random = host_random;
    bool listens = note_asks(&s->note, "net.listen") || note_asks(&s->note, "net.service");
    b->listen_fd = listens ? loopback_listener(&b->port) : -1;
    if (listens && b->listen_fd < 0) {
        try_skip(r, "run it where 127.0.0.1 is up", "no listening socket can be made");
        return false;
    }
    b->config = (struct clan_config){.struct_size = sizeof b->config,
        .setting_size = sizeof(struct clan_setting),
        .setting_count = s->setting_count,
        .settings = s->settings,
        .listen_count = listens,
        .listen_fds = &b->listen_fd,
        .instance = s->note.id,
        .clan = "check",
        .machine = "check",
        .state_dir = note_asks(&s->note, "fs.state") ? s->state : "",
        .volume_dir = s->note.kind == CLAN_KIND_SERVICE ? s->volume : "",
        .service_address = {[15] = 1},
        .service_port = b->port};
    return true;
}

clan_status bench_create(struct bench *b, struct clan_error *ret_error)
{
    snprintf(b->r->doing, sizeof b->r->doing, "create()");
    clan_status st = mock_create(b->m, b->s->load, &b->config, ret_error);
    if (st != CLAN_OK)
        return st;
    snprintf(b->r->doing, sizeof b->r->doing, "get_interface()");
    return check_interfaces(&b->s->note, b->m->plugin, b->m->instance, &b->transport, &b->device,
        &b->service, ret_error);
}

bool bench_create_plain(struct bench *b)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (bench_create(b, &e) == CLAN_OK)
        return true;
    try_skip(b->r, SETTING_REMEDY, "it cannot be created %s: %s: %s",
        b->s->setting_count ? "with these settings" : "without settings", e.what, e.why);
    return false;
}

/* A socket at any port of loopback, its port in *port when that is 0; -1. */
static int loopback_udp(int family, uint16_t *port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t len = family == AF_INET ? sizeof v4 : sizeof v6;
    int on = 1, fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    v4.sin_port = v6.sin6_port = htons(*port);
    if (fd >= 0 && family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (fd >= 0 && bind(fd, at, len) == 0 && getsockname(fd, at, &len) == 0) {
        *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static clan_status start_device(struct bench *b, struct clan_error *ret_error)
{
    struct clan_device_config *c = &b->device_config;
    int pair[2];
    if (c->struct_size == 0) {
        *c = (struct clan_device_config){.struct_size = sizeof *c, .mtu = 1420};
        bool ok = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0;
        c->tun_fd = ok ? pair[0] : -1;
        b->tun = ok ? pair[1] : -1;
        c->udp_fds[0] = loopback_udp(AF_INET, &c->port);
        c->udp_fds[1] = loopback_udp(AF_INET6, &c->port);
        for (unsigned i = 0; i < sizeof c->secret_key; i++)
            c->secret_key[i] = (uint8_t)bench_random(b);
    }
    return b->device->start(b->m->instance, c, ret_error);
}

static void close_device(struct bench *b)
{
    const struct clan_device_config *c = &b->device_config;
    const int fds[] = {c->tun_fd, b->tun, c->udp_fds[0], c->udp_fds[1]};
    for (unsigned i = 0; c->struct_size && i < sizeof fds / sizeof fds[0]; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

clan_status bench_start(struct bench *b, struct clan_error *ret_error)
{
    snprintf(b->r->doing, sizeof b->r->doing, "start()");
    *ret_error = (struct clan_error)CLAN_ERROR_INIT;
    clan_status st = b->transport ? b->transport->start(b->m->instance, ret_error)
                     : b->device  ? start_device(b, ret_error)
                                  : b->service->start(b->m->instance, ret_error);
    b->started = st == CLAN_OK;
    return st;
}

void bench_stop(struct bench *b)
{
    snprintf(b->r->doing, sizeof b->r->doing, "stop()");
    if (b->started && b->transport)
        b->transport->stop(b->m->instance);
    else if (b->started && b->device)
        b->device->stop(b->m->instance);
    else if (b->started)
        b->service->stop(b->m->instance);
    b->started = false;
}

void bench_drop_events(struct bench *b)
{
    for (unsigned i = 0; i < b->m->event_count; i++)
        if (b->m->events[i].fd >= 0)
            close(b->m->events[i].fd);
    b->m->event_count = 0;
}

static bool never(struct mock *m, void *arg)
{
    (void)m;
    return *(unsigned *)arg && --*(unsigned *)arg == 0;
}

void bench_turn(struct bench *b, unsigned ms)
{
    unsigned calls = ms ? 0 : 2; /* asked before each turn */
    snprintf(b->r->doing, sizeof b->r->doing, "a call from the host's loop");
    for (unsigned i = 0; i < BENCH_RUNS; i++)
        if (b->runs[i].run)
            answer_one(b, i);
    mock_run(b->m, ms ? ms : 1000, never, &calls);
}

void bench_close(struct bench *b, unsigned *ret_left)
{
    snprintf(b->r->doing, sizeof b->r->doing, "destroy()");
    if (b->m->instance)
        b->m->plugin->destroy(b->m->instance);
    b->m->instance = NULL;
    unsigned watches = mock_watches(b->m), timers = mock_timers(b->m);
    bench_drop_events(b);
    mock_close(b->m);
    b->m = NULL;
    if (b->listen_fd >= 0)
        close(b->listen_fd);
    close_device(b);
    *ret_left = watches + timers;
}
