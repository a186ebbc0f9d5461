/* Random settings, bytes of peers, calls and answers.  A case is its seed: each runs in a fresh process. */
#include "check/tool/bench.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUZZ_CASE_MS 2500
#define FUZZ_WORDS   1024
#define FUZZ_CONNS   6
#define FUZZ_DIALS   32

static struct {
    char text[FUZZ_WORDS][32];
    unsigned count;
} words;

/* Settings and protocol words of the plugin stand in its file: better than random letters. */
static void collect_words(const struct subject *s)
{
    const char *data = mmap(NULL, s->src.size, PROT_READ, MAP_PRIVATE, s->fd, 0);
    size_t len = 0;
    words.count = 0;
    if (data == MAP_FAILED)
        return;
    for (size_t i = 0; i < s->src.size && words.count < FUZZ_WORDS; i++) {
        if (isalnum((unsigned char)data[i]) || (data[i] && strchr("_-:/. ", data[i]))) {
            len++;
            continue;
        }
        if (data[i] == 0 && len >= 2 && len < sizeof words.text[0])
            memcpy(words.text[words.count++], data + i - len, len + 1);
        len = 0;
    }
    munmap((void *)(uintptr_t)data, s->src.size);
}

static void random_text(struct bench *b, char *ret, size_t cap)
{
    static const char *const fixed[] = {"", "true", "false", "0", "1", "-1", "18446744073709551616",
        "../../etc/passwd", "%s%n", "[::1]:7117", "127.0.0.1:1", "http://127.0.0.1/", "\xc3\xa4",
        "a b"};
    uint64_t how = bench_random(b) % 4;
    size_t n = 0;
    if (how == 0)
        snprintf(ret, cap, "%s", fixed[bench_random(b) % (sizeof fixed / sizeof fixed[0])]);
    else if (how == 1 && words.count)
        snprintf(ret, cap, "%s", words.text[bench_random(b) % words.count]);
    else {
        size_t len = bench_random(b) % (bench_random(b) % 4 ? 12 : cap);
        for (; n < len; n++) {
            ret[n] = (char)(how == 2 ? 33 + bench_random(b) % 94 : 1 + bench_random(b) % 127);
        }
        ret[n] = 0;
    }
}

static bool texts_ok(struct bench *b, const char *call, clan_status st, const struct clan_error *e)
{
    const char *fault = try_text_fault(st, e);
    if (fault[0])
        try_fail(b->r, "fill what, why and remedy of *reterr", "%s refuses with status %d and %s",
            call, (int)st, fault);
    return !fault[0];
}

static void case_settings(struct bench *b)
{
    char keys[8][64], values[8][256];
    struct clan_setting list[SETTINGS_MAX + 8];
    struct clan_error e = CLAN_ERROR_INIT;
    unsigned n = 1 + (unsigned)(bench_random(b) % 8), given = b->s->setting_count;
    memcpy(list + n, b->s->settings, given * sizeof list[0]);
    for (unsigned i = 0; i < n; i++) {
        random_text(b, keys[i], sizeof keys[i]);
        random_text(b, values[i], sizeof values[i]);
        list[i] = (struct clan_setting){keys[i], values[i]};
    }
    b->config.settings = list;
    b->config.setting_count =
        bench_random(b) % 2 ? n : n + given; /* half get past what it demands */
    clan_status st = bench_create(b, &e);
    if (!b->m->instance) {
        texts_ok(b, "create()", st, &e);
        return;
    }
    if (st == CLAN_OK && bench_start(b, &e) == CLAN_OK) {
        bench_turn(b, 0);
        bench_stop(b);
    }
    unsigned left;
    bench_close(b, &left);
}

/* ---- peers ---- */

struct peers {
    struct bench *b;
    int conn[FUZZ_CONNS]; /* -1: free */
    int target;           /* what dials may reach */
    uint16_t target_port;
    uint8_t answered[FUZZ_DIALS];
    uint32_t next_dial, next_health;
};

static void send_noise(struct peers *p, int fd)
{
    struct bench *b = p->b;
    uint8_t data[2048];
    size_t n = 0, len = bench_random(b) % (bench_random(b) % 4 ? 64 : sizeof data);
    uint64_t how = bench_random(b) % 4;
    while (n < len) {
        if (how == 1 && words.count) {
            const char *w = words.text[bench_random(b) % words.count];
            for (; *w && n < len; w++)
                data[n++] = (uint8_t)*w;
            if (n < len)
                data[n++] = bench_random(b) % 2 ? '\n' : ' ';
        } else
            data[n++] = how == 0 ? 0 : how == 2 ? 0xff : (uint8_t)bench_random(b);
    }
    send(fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void hang_up(struct bench *b, int *fd)
{
    struct linger reset = {1, 0};
    if (bench_random(b) % 2)
        setsockopt(*fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(*fd);
    *fd = -1;
}

static void touch_conn(struct peers *p, int from)
{
    struct bench *b = p->b;
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(b->port)};
    int *fd = &p->conn[bench_random(b) % FUZZ_CONNS];
    if (*fd >= 0 && bench_random(b) % 4 == 0)
        hang_up(b, fd);
    else if (*fd >= 0)
        send_noise(p, *fd);
    else if (from >= 0) /* the other side of a dial */
        *fd = accept4(from, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    else if (b->listen_fd >= 0 &&
             (*fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) >= 0)
        connect(*fd, (const struct sockaddr *)&a, sizeof a);
}

static void no_endpoint(void *user, const char *endpoint)
{
    (void)user;
    (void)strlen(endpoint);
}

/* Packets from both sides, peers that come and go. */
static void touch_device(struct peers *p)
{
    struct bench *b = p->b;
    uint8_t bytes[256], key[32] = {0};
    uint64_t what = bench_random(b) % 4;
    size_t size = 1 + bench_random(b) % sizeof bytes;
    struct sockaddr_in to = {.sin_family = AF_INET,
        .sin_port = htons(b->device_config.port),
        .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct clan_error e = CLAN_ERROR_INIT;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)bench_random(b);
    key[0] = (uint8_t)(1 + bench_random(b) % 4);
    if (what == 0 && b->tun >= 0) {
        send(b->tun, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (what == 1) { /* the first byte is what WireGuard's kinds differ by */
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bytes[0] &= 7;
        if (size > 3)
            memset(bytes + 1, 0, 3);
        sendto(fd, bytes, size, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
        if (fd >= 0)
            close(fd);
    } else if (what == 2) {
        struct clan_device_peer peer = {.struct_size = sizeof peer,
            .endpoint = bytes[0] & 1 ? "127.0.0.1:9" : "",
            .address_count = (uint32_t)(size / 16),
            .addresses = bytes};
        memcpy(peer.public_key, key, sizeof key);
        b->device->set_peer(b->m->instance, &peer, &e);
    } else
        b->device->remove_peer(b->m->instance, key);
}

static void touch_transport(struct peers *p)
{
    static const char *const forms[] = {"127.0.0.1:%u", "[::1]:%u", "ws://127.0.0.1:%u/",
        "localhost:%u", "127.0.0.1:%u:%u", "http://127.0.0.1:%u"};
    struct bench *b = p->b;
    struct clan_error e = CLAN_ERROR_INIT;
    char end[CLAN_ENDPOINT_MAX + 1];
    uint8_t addresses[4][16];
    uint64_t what = bench_random(b) % 4;
    if (what == 0) {
        for (unsigned i = 0; i < sizeof addresses; i++)
            addresses[i / 16][i % 16] = (uint8_t)bench_random(b);
        b->transport->endpoints(
            b->m->instance, addresses[0], (uint32_t)(bench_random(b) % 5), no_endpoint, NULL);
    } else if (what == 1 && p->next_dial) {
        uint32_t request = 1 + (uint32_t)(bench_random(b) % p->next_dial);
        if (!p->answered[request - 1]) {
            p->answered[request - 1] = 1; /* an answer is allowed no more: the host drops it */
            b->transport->cancel(b->m->instance, request);
        }
    } else if (p->next_dial < FUZZ_DIALS) {
        random_text(b, end, sizeof end);
        if (what == 2) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(end, sizeof end, forms[bench_random(b) % (sizeof forms / sizeof forms[0])],
                p->target_port, p->target_port);
#pragma GCC diagnostic pop
        }
        uint32_t request = ++p->next_dial;
        clan_status st =
            b->transport->dial(b->m->instance, request, end, (uint32_t)(bench_random(b) % 200), &e);
        if (st != CLAN_OK && texts_ok(b, "dial()", st, &e))
            p->answered[request - 1]++;
    }
}

static void read_events(struct peers *p)
{
    for (unsigned i = 0; i < p->b->m->event_count; i++) {
        const struct mock_event *ev = &p->b->m->events[i];
        if ((ev->kind != MOCK_STREAM && ev->kind != MOCK_DIAL_FAILED) || !ev->request)
            continue;
        if (ev->request > p->next_dial || p->answered[ev->request - 1]++)
            try_fail(p->b->r, "answer each dial once, and none that was cancelled",
                "dial number %u was answered, which was answered or cancelled before", ev->request);
    }
    bench_drop_events(p->b);
}

static void one_act(struct peers *p)
{
    struct bench *b = p->b;
    uint64_t what = bench_random(b) % 8;
    struct clan_error e;
    if (what < 3)
        touch_conn(p, -1);
    else if (what == 3)
        touch_conn(p, p->target);
    else if (what < 6 && b->started && b->transport)
        touch_transport(p);
    else if (what < 6 && b->started && b->device)
        touch_device(p);
    else if (what < 6 && b->started)
        b->service->health(b->m->instance, ++p->next_health);
    else if (what == 6 && b->service && bench_random(b) % 3 == 0) {
        if (b->started)
            bench_stop(b);
        else
            bench_start(b, &e);
    } else
        bench_turn(b, 0);
    read_events(p);
}

static void case_peer(struct bench *b)
{
    struct peers p = {.b = b};
    struct clan_error e;
    b->odd = true;
    if (!bench_create_plain(b))
        return;
    for (unsigned i = 0; i < FUZZ_CONNS; i++)
        p.conn[i] = -1;
    p.target = loopback_listener(&p.target_port);
    clan_status st = bench_start(b, &e);
    if (st == CLAN_OK) {
        unsigned acts = 4 + (unsigned)(bench_random(b) % 40);
        for (unsigned i = 0; i < acts; i++)
            one_act(&p);
        bench_turn(b, 0);
        read_events(&p);
        bench_stop(b);
    }
    for (unsigned i = 0; i < FUZZ_CONNS; i++)
        if (p.conn[i] >= 0)
            close(p.conn[i]);
    close(p.target);
    unsigned left;
    bench_close(b, &left);
}

/* ---- cases ---- */

static void run_case(struct subject *s, struct try_report *r, uint32_t number)
{
    struct bench b;
    if (!bench_init(&b, s, r))
        return;
    b.random = s->seed * 0x9e3779b97f4a7c15u + number;
    for (unsigned i = 0; i < 4; i++)
        bench_random(&b);
    if (number % 2)
        case_peer(&b);
    else
        case_settings(&b);
}

static void say_case(struct subject *s, struct try_report *r, bool ended, int status)
{
    char why[sizeof r->why], again[128];
    if (!ended)
        snprintf(why, sizeof why, "a call did not end within %u ms: %s", FUZZ_CASE_MS, r->doing);
    else if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "the process was ended by signal %d (%s) in %s", WTERMSIG(status),
            strsignal(WTERMSIG(status)), r->doing);
    else if (WEXITSTATUS(status) != 0)
        snprintf(why, sizeof why, "the process ended by itself in %s", r->doing);
    else if (r->result == TRY_FAILED)
        snprintf(why, sizeof why, "%s", r->why);
    else
        return;
    snprintf(again, sizeof again,
        "see it again: clan-plugin-check --reproduce %llu:%u FILE.so%s; under gdb with "
        "--in-process",
        (unsigned long long)s->seed, r->case_number, s->setting_count ? " (same --setting)" : "");
    try_fail(r, again, "case %u: %s", r->case_number, why);
}

/* first 0: settings, 1: peers */
static void fuzz(struct subject *s, struct try_report *r, uint32_t first)
{
    uint64_t end = now_ms() + s->fuzz_ms;
    collect_words(s);
    if (s->reproduce && s->in_process) {
        run_case(s, r, r->case_number = s->only_case);
        try_pass(r);
        return;
    }
    for (uint32_t n = s->reproduce ? s->only_case : first; r->result != TRY_FAILED && !r->why[0];
         n += 2) {
        int status = 0;
        r->case_number = n;
        pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            run_case(s, r, n);
            _exit(0);
        }
        bool ended = wait_limited(pid, FUZZ_CASE_MS, &status);
        say_case(s, r, ended, status);
        r->cases++;
        if (s->reproduce || now_ms() >= end)
            break;
    }
    try_pass(r);
}

void try_fuzz_settings(struct subject *s, struct try_report *r)
{
    fuzz(s, r, 0);
}

void try_fuzz_peer(struct subject *s, struct try_report *r)
{
    fuzz(s, r, 1);
}
