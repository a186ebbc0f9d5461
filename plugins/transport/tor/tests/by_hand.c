/* Two plugins with real tors in a network that is there: proves the plugin without Clan.  Run by hand. */
/* usage: by_hand PLUGIN DIR DEFAULTS-TORRC; prints one line for each step */
#include <errno.h>
#include <mock/mock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct mock *sides[2];

/* A tor whose plugin was not turned yet has no owner that it would follow. */
static void end_tors(void)
{
    for (unsigned i = 0; i < 2; i++)
        if (sides[i] && sides[i]->last_pid > 0)
            kill(sides[i]->last_pid, SIGKILL);
}

static void need(bool ok, const char *what)
{
    printf("%s %s\n", ok ? "ok" : "FAILED", what);
    fflush(stdout);
    if (!ok)
        exit(1);
}

struct side {
    struct mock *m;
    const struct clan_transport_stream *stream;
    const struct clan_transport_rendezvous *rendezvous;
    char endpoint[128], state[96], dir[96], torrc[128];
};

static void add_endpoint(void *user, const char *endpoint)
{
    snprintf(user, 128, "%s", endpoint);
}

static struct side open_side(
    const char *plugin, const char *dir, const char *name, const char *defaults)
{
    struct side s = {.m = mock_new()};
    struct clan_error e = CLAN_ERROR_INIT;
    snprintf(s.state, sizeof s.state, "%s/%s-state", dir, name);
    snprintf(s.dir, sizeof s.dir, "%s/%s-dir", dir, name);
    mkdir(s.state, 0700);
    mkdir(s.dir, 0700);
    snprintf(s.torrc, sizeof s.torrc, "%s/torrc", s.state);
    struct clan_config c = {.struct_size = sizeof c,
        .setting_size = sizeof(struct clan_setting),
        .instance = "tor",
        .clan = "home",
        .machine = name,
        .state_dir = s.state,
        .volume_dir = s.dir};
    const char *argv[] = {"/usr/sbin/tor", "--defaults-torrc", defaults, "-f", s.torrc};
    for (unsigned i = 0; i < 5; i++)
        s.m->argv[i] = strdup(argv[i]);
    memset(s.m->secret, name[0], 32);
    s.m->verbose = getenv("VERBOSE") != NULL;
    sides[sides[0] != NULL] = s.m;
    if (mock_create(s.m, plugin, &c, &e) != CLAN_OK) {
        printf("FAILED %s: %s\n", e.what, e.why);
        exit(1);
    }
    s.stream = mock_interface(s.m, CLAN_TRANSPORT_STREAM);
    s.rendezvous = mock_interface(s.m, CLAN_TRANSPORT_RENDEZVOUS);
    need(s.stream->start(s.m->instance, &e) == CLAN_OK, e.what[0] ? e.what : "start");
    s.stream->endpoints(s.m->instance, NULL, 0, add_endpoint, s.endpoint);
    return s;
}

static bool turn_other(struct mock *m, void *arg)
{
    (void)m;
    (void)arg;
    return false;
}

static void turn(struct side *a, struct side *b)
{
    mock_run(a->m, 1, turn_other, NULL);
    mock_run(b->m, 1, turn_other, NULL);
}

static bool take(struct side *s, enum mock_kind kind, struct mock_event *ret)
{
    return mock_wait(s->m, 0, kind, ret);
}

/* Until tor has bootstrapped. */
static void wait_up(struct side *a, struct side *b, double limit)
{
    struct mock_event e;
    bool up = false;
    for (double end = now() + limit; now() < end && !up;) {
        turn(a, b);
        while (take(a, MOCK_TOLD, &e)) {
            printf("# told %u %s\n", e.value, e.text);
            up = e.value;
        }
    }
    need(up, "tor is connected");
}

/* Dials until it is connected, as core does; the seconds it took, or -1. */
static double dial(struct side *a, struct side *b, const char *endpoint, double limit)
{
    static uint32_t request;
    struct mock_event e, in;
    struct clan_error err = CLAN_ERROR_INIT;
    double begin = now();
    while (now() < begin + limit) {
        uint32_t r = ++request;
        bool answered = a->stream->dial(a->m->instance, r, endpoint, 60000, &err) != CLAN_OK;
        if (answered)
            printf("# %s: %s\n", err.what, err.why);
        while (!answered && now() < begin + limit) {
            turn(a, b);
            if (take(a, MOCK_DIAL_FAILED, &e)) {
                printf("# %s: %s\n", e.error.what, e.error.why);
                answered = true;
            }
            if (!take(a, MOCK_STREAM, &e))
                continue;
            bool accepted = false;
            for (double end = now() + 20; now() < end && !accepted;) {
                turn(a, b);
                accepted = take(b, MOCK_STREAM, &in);
            }
            need(accepted, "the other side got the stream");
            char byte = 0;
            need(send(e.fd, "x", 1, 0) == 1, "a byte is sent");
            for (double end = now() + 20; now() < end && byte != 'x'; usleep(1000))
                if (recv(in.fd, &byte, 1, MSG_DONTWAIT) == 1)
                    break;
            need(byte == 'x', "it arrives");
            close(e.fd);
            close(in.fd);
            return now() - begin;
        }
        for (double end = now() + 0.5; now() < end;)
            turn(a, b);
    }
    return -1;
}

static void doors(struct side *a, struct side *b)
{
    /* RFC 7748, 6.1: Bob's */
    static const uint8_t secret[32] = {0x5d, 0xab, 0x08, 0x7e, 0x62, 0x4a, 0x8a, 0x4b, 0x79, 0xe1,
        0x7f, 0x8b, 0x83, 0x80, 0x0e, 0xe6, 0x6f, 0x3b, 0xb1, 0x29, 0x26, 0x18, 0xb6, 0xfd, 0x1c,
        0x2f, 0x8b, 0x27, 0xff, 0x88, 0xe0, 0xeb};
    static const uint8_t public[32] = {0xde, 0x9e, 0xdb, 0x7d, 0x7b, 0x7d, 0xc1, 0xb4, 0xd3, 0x5b,
        0x61, 0xc2, 0xec, 0xe4, 0x35, 0x37, 0x3f, 0x83, 0x43, 0xc8, 0x5b, 0x78, 0x67, 0x4d, 0xad,
        0xfc, 0x7e, 0x14, 0x6f, 0x88, 0x2b, 0x4f};
    char door[128];
    double took;
    b->rendezvous->door(b->m->instance, door);
    need(door[0] && strncmp(door, b->endpoint, 56) != 0, "the door has an address of its own");
    b->rendezvous->invitations(b->m->instance, public, 1);
    need(dial(a, b, door, 8) < 0, "without the link's key nobody comes in");
    a->rendezvous->invited(a->m->instance, door, secret);
    took = dial(a, b, door, 60);
    printf("# by the door after %.1f s\n", took);
    need(took >= 0, "the link's key opens the door");
    b->rendezvous->invitations(b->m->instance, NULL, 0);
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    atexit(end_tors);
    struct side a = open_side(argv[1], argv[2], "anna", argv[3]);
    struct side b = open_side(argv[1], argv[2], "bob", argv[3]);
    const char *of_a[] = {a.endpoint}, *of_b[] = {b.endpoint};
    need(strlen(a.endpoint) > 100 && strcmp(a.endpoint, b.endpoint) != 0, "endpoints");
    wait_up(&a, &b, 60);
    wait_up(&b, &a, 60);
    doors(&a, &b);
    b.rendezvous->members(b.m->instance, of_a, 1);
    double took = dial(&a, &b, b.endpoint, 60);
    printf("# members after %.1f s\n", took);
    need(took >= 0, "a member comes in");
    a.rendezvous->members(a.m->instance, of_b, 1);
    kill(b.m->last_pid, SIGKILL);
    took = dial(&a, &b, b.endpoint, 60);
    printf("# back %.1f s after the death of the other tor\n", took);
    need(took >= 0, "back after the death of the other tor");
    kill(a.m->last_pid, SIGKILL);
    took = dial(&a, &b, b.endpoint, 60);
    printf("# back %.1f s after the death of our tor\n", took);
    need(took >= 0, "back after the death of our tor");
    int pid = a.m->last_pid;
    a.stream->stop(a.m->instance);
    double begin = now();
    struct mock_event e;
    bool ended = false;
    while (now() < begin + 10 && !ended) {
        turn(&a, &b);
        ended = kill(pid, 0) != 0;
        while (take(&a, MOCK_EXITED, &e))
            ;
    }
    need(ended, "tor ends with stop()");
    need(mock_watches(a.m) == 0 && mock_timers(a.m) == 0, "no watch or timer is left");
    b.stream->stop(b.m->instance);
    sides[0] = sides[1] = NULL;
    mock_close(a.m);
    mock_close(b.m);
    return 0;
}
