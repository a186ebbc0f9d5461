/* The protocol between host and plugin: life cycle, refusals, answers, smaller hosts. */
#include "check/tool/bench.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define CYCLES       100
#define CYCLES_WARM  20
#define CYCLES_BYTES (CYCLES * 16) /* less than one smallest block of malloc in each */

static bool refused(
    struct try_report *r, const char *call, clan_status st, const struct clan_error *e)
{
    const char *fault = try_text_fault(st, e);
    if (fault[0])
        try_fail(r, "fill what, why and remedy of *reterr: three sentences for a user",
            "%s refuses with status %d and %s", call, (int)st, fault);
    return fault[0] == 0;
}

static size_t heap(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

void try_cycle(struct subject *s, struct try_report *r)
{
    struct bench b;
    size_t bytes = 0;
    unsigned fds = 0, threads = 0;
    for (unsigned i = 0; i <= CYCLES_WARM + CYCLES; i++) {
        if (i == CYCLES_WARM) {
            bytes = heap();
            fds = count_entries("/proc/self/fd");
            threads = count_entries("/proc/self/task");
        }
        if (i == CYCLES_WARM + CYCLES)
            break;
        if (!bench_init(&b, s, r) || !bench_create_plain(&b))
            return;
        b.m->plugin->destroy(b.m->instance);
        b.m->instance = NULL;
        mock_close(b.m);
        if (b.listen_fd >= 0)
            close(b.listen_fd);
    }
    size_t now = heap();
    unsigned fds_now = count_entries("/proc/self/fd"),
             threads_now = count_entries("/proc/self/task");
    if (fds_now != fds)
        try_fail(r, "close in destroy() what create() opened",
            "%u times create and destroy left %d descriptors", CYCLES, (int)fds_now - (int)fds);
    else if (threads_now > threads)
        try_fail(r, "join every thread in destroy()", "%u times create and destroy left %u threads",
            CYCLES, threads_now - threads);
    else if (now > bytes + CYCLES_BYTES)
        try_fail(r, "free in destroy() what create() allocated; valgrind names the place",
            "%u times create and destroy left %zu bytes", CYCLES, now - bytes);
    try_pass(r);
}

void try_interfaces(struct subject *s, struct try_report *r)
{
    static const char *const unknown[] = {"", "clan.nothing/1", "com.example.check/999",
        "clan.service", "clan.transport.stream/draft-99"};
    struct bench b;
    struct clan_error e = CLAN_ERROR_INIT;
    if (!bench_init(&b, s, r))
        return;
    clan_status st = bench_create(&b, &e);
    if (!b.m->instance) {
        try_skip(r, SETTING_REMEDY, "it cannot be created: %s: %s", e.what, e.why);
        return;
    }
    if (st != CLAN_OK)
        try_error(r, &e);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        if (b.m->plugin->get_interface(b.m->instance, unknown[i]))
            try_fail(r, "answer NULL for every id that it does not know",
                "get_interface(\"%s\") is not NULL", unknown[i]);
    try_pass(r);
}

void try_settings(struct subject *s, struct try_report *r)
{
    static const struct clan_setting list[] = {{"no-such-setting", "1"}, {"", ""},
        {"title", "\001"}, {"port", "-1"}, {"url", "not a url"}};
    unsigned refusals = 0;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        struct bench b;
        struct clan_error e = CLAN_ERROR_INIT;
        struct clan_setting with[SETTINGS_MAX + 1];
        if (!bench_init(&b, s, r))
            return;
        memcpy(with, s->settings, sizeof s->settings);
        with[s->setting_count] = list[i];
        b.config.settings = with;
        b.config.setting_count = s->setting_count + 1;
        snprintf(r->doing, sizeof r->doing, "create() with the setting \"%s\"", list[i].key);
        clan_status st = mock_create(b.m, s->load, &b.config, &e);
        if (st != CLAN_OK) {
            refusals++;
            if (b.m->instance)
                try_fail(r, "set *ret_instance only when create() succeeds",
                    "create() refused a setting and gave an instance");
            b.m->instance = NULL;
            if (!refused(r, "create()", st, &e))
                return;
        }
        unsigned left;
        bench_close(&b, &left);
    }
    try_pass(r);
    if (r->result == TRY_PASSED && !refusals)
        snprintf(r->why, sizeof r->why, "it refuses no setting: a user's slip will go unnoticed");
}

static int call_listener(const struct bench *b)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(b->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        connect(fd, (const struct sockaddr *)&a, sizeof a);
    return fd;
}

/* Stopped, a transport offers nothing more. */
static void offers_nothing(struct bench *b)
{
    int fd = b->listen_fd >= 0 ? call_listener(b) : -1;
    bench_drop_events(b);
    bench_turn(b, 40);
    for (unsigned i = 0; i < b->m->event_count; i++)
        if (b->m->events[i].kind == MOCK_STREAM || b->m->events[i].kind == MOCK_SERVICE_STATE)
            try_fail(
                b->r, "end every watch and timer in stop()", "stopped, it still called the host");
    if (fd >= 0)
        close(fd);
}

/* turns: of the loop between start and stop; again: start a second time, which services may be */
static bool one_life(
    struct subject *s, struct try_report *r, bool start, unsigned turns, bool again)
{
    struct bench b;
    struct clan_error e;
    if (!bench_init(&b, s, r) || !bench_create_plain(&b))
        return false;
    for (unsigned i = 0; start && i < (again && b.service ? 2 : 1); i++) {
        clan_status st = bench_start(&b, &e);
        if (st != CLAN_OK && !refused(r, "start()", st, &e))
            return false;
        for (unsigned t = 0; t < turns; t++)
            bench_turn(&b, 15);
        bench_stop(&b);
        if (turns)
            offers_nothing(&b);
    }
    unsigned left;
    bench_close(&b, &left);
    if (left)
        try_fail(r, "end every watch and timer in stop(), at the latest in destroy()",
            "after destroy() the host still has %u watches and timers of it", left);
    return r->result != TRY_FAILED;
}

void try_states(struct subject *s, struct try_report *r)
{
    if (one_life(s, r, false, 0, false) && one_life(s, r, true, 0, false) &&
        one_life(s, r, true, 3, false) && one_life(s, r, true, 2, true))
        try_pass(r);
}

static unsigned count_answers(
    const struct bench *b, enum mock_kind a, enum mock_kind c, uint32_t request)
{
    unsigned n = 0;
    for (unsigned i = 0; i < b->m->event_count; i++)
        n += (b->m->events[i].kind == a || b->m->events[i].kind == c) &&
             b->m->events[i].request == request;
    return n;
}

static void check_texts(struct bench *b)
{
    for (unsigned i = 0; i < b->m->event_count; i++) {
        const struct mock_event *ev = &b->m->events[i];
        if (ev->kind == MOCK_DIAL_FAILED)
            refused(
                b->r, "dial_failed()", ev->error.status ? ev->error.status : CLAN_E_IO, &ev->error);
    }
}

static void ask_transport(struct bench *b)
{
    static const char *const ends[] = {"", "nonsense", "127.0.0.1:1"};
    struct clan_error e;
    bool direct[3] = {false};
    for (uint32_t i = 0; i < 3; i++) {
        e = (struct clan_error)CLAN_ERROR_INIT;
        snprintf(b->r->doing, sizeof b->r->doing, "dial(\"%s\")", ends[i]);
        clan_status st = b->transport->dial(b->m->instance, i + 1, ends[i], 300, &e);
        direct[i] = st != CLAN_OK;
        if (direct[i] && !refused(b->r, "dial()", st, &e))
            return;
    }
    for (unsigned t = 0, answers = 0; t < 60 && answers < 3; t++) {
        bench_turn(b, 20);
        answers = 0;
        for (uint32_t i = 0; i < 3; i++)
            answers += direct[i] || count_answers(b, MOCK_STREAM, MOCK_DIAL_FAILED, i + 1);
    }
    bench_turn(b, 100); /* for a second one */
    check_texts(b);
    for (uint32_t i = 0; i < 3; i++) {
        unsigned n = count_answers(b, MOCK_STREAM, MOCK_DIAL_FAILED, i + 1) + direct[i];
        if (n != 1)
            try_fail(b->r,
                "answer each dial once: an error of dial(), offer_stream() or dial_failed()",
                "dial(\"%s\") with 300 ms was answered %u times within 1200 ms", ends[i], n);
    }
}

static void count_endpoint(void *user, const char *endpoint)
{
    unsigned *good = user;
    if (endpoint && endpoint[0] && strlen(endpoint) < 64)
        ++*good;
}

/* Peers come and go; without an address of its own it is reached nowhere. */
static void ask_device(struct bench *b)
{
    static const uint8_t local[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 7};
    const uint8_t addresses[2][16] = {{0xfd, [15] = 1}, {0xfd, [15] = 2}};
    struct clan_error e = CLAN_ERROR_INIT;
    unsigned found = 0;
    struct clan_device_peer p = {.struct_size = sizeof p,
        .public_key = {9},
        .endpoint = "127.0.0.1:1",
        .address_count = 2,
        .addresses = addresses[0]};
    snprintf(b->r->doing, sizeof b->r->doing, "set_peer(), remove_peer()");
    clan_status st = b->device->set_peer(b->m->instance, &p, &e);
    if (st != CLAN_OK && refused(b->r, "set_peer()", st, &e))
        try_fail(b->r, "take a peer with a valid key", "set_peer() refused a good one: %s", e.what);
    bench_turn(b, 50);
    p.endpoint = "";
    p.address_count = 0;
    b->device->set_peer(b->m->instance, &p, &e);
    b->device->network_changed(b->m->instance);
    b->device->remove_peer(b->m->instance, p.public_key);
    b->device->remove_peer(b->m->instance, p.public_key);
    snprintf(b->r->doing, sizeof b->r->doing, "endpoints()");
    b->device->endpoints(b->m->instance, local, 1, count_endpoint, &found);
    if (found == 0)
        try_fail(b->r, "say where this machine is reached: its addresses, with the port",
            "endpoints() told none for a machine with one address");
    bench_turn(b, 50);
}

static void ask_service(struct bench *b)
{
    for (uint32_t i = 1; i <= 3; i++) {
        snprintf(b->r->doing, sizeof b->r->doing, "health()");
        b->service->health(b->m->instance, i);
        bench_turn(b, 50);
    }
    for (unsigned t = 0; t < 50 && !count_answers(b, MOCK_HEALTH, MOCK_HEALTH, 3); t++)
        bench_turn(b, 100);
    for (uint32_t i = 1; i <= 3; i++) {
        unsigned n = count_answers(b, MOCK_HEALTH, MOCK_HEALTH, i);
        if (n != 1)
            try_fail(b->r, "answer each health() by one health_result() with its number",
                "health() was answered %u times within 5 s", n);
    }
}

void try_answers(struct subject *s, struct try_report *r)
{
    struct bench b;
    struct clan_error e;
    if (!bench_init(&b, s, r) || !bench_create_plain(&b))
        return;
    if (bench_start(&b, &e) != CLAN_OK) {
        try_skip(r, "", "it does not start outside of Clan: %s: %s", e.what, e.why);
        return;
    }
    bench_turn(&b, 20);
    if (b.transport)
        ask_transport(&b);
    else if (b.device)
        ask_device(&b);
    else
        ask_service(&b);
    bench_stop(&b);
    try_pass(r);
}

/* The table ends where a page ends: a read beyond its size is a crash, not a chance value. */
static struct clan_host *short_host(const struct clan_host *whole, uint32_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (two == MAP_FAILED || mprotect(two + page, page, PROT_NONE) != 0)
        return NULL;
    struct clan_host *h = (struct clan_host *)(void *)(two + page - size);
    memcpy(h, whole, size);
    h->size = size;
    return h;
}

static bool live_with(struct subject *s, struct try_report *r, uint32_t size)
{
    struct bench b;
    struct clan_error e = CLAN_ERROR_INIT;
    if (!bench_init(&b, s, r) || !bench_create_plain(&b))
        return false;
    const struct clan_plugin *p = b.m->plugin;
    struct clan_host *h = short_host(&b.m->host, size);
    void *instance = NULL;
    if (!h) {
        try_skip(r, "", "no memory");
        return false;
    }
    p->destroy(b.m->instance);
    snprintf(r->doing, sizeof r->doing, "create() with a host of %u bytes", size);
    clan_status st = p->create(h, &b.config, &instance, &e);
    if (st != CLAN_OK)
        return refused(r, "create() with a smaller host", st, &e);
    b.m->instance = instance;
    snprintf(r->doing, sizeof r->doing, "start() with a host of %u bytes", size);
    e = (struct clan_error)CLAN_ERROR_INIT;
    st = bench_start(&b, &e);
    if (st != CLAN_OK && !refused(r, "start() with a smaller host", st, &e))
        return false;
    snprintf(r->doing, sizeof r->doing, "the loop with a host of %u bytes", size);
    bench_turn(&b, 5);
    bench_stop(&b);
    p->destroy(instance);
    return true;
}

void try_small_host(struct subject *s, struct try_report *r)
{
    for (uint32_t size = offsetof(struct clan_host, log); size <= sizeof(struct clan_host);
         size += 8)
        if (!live_with(s, r, size))
            return;
    try_pass(r);
}
