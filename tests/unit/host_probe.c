/* A transport plugin that does what the test of the host asks for; compiled three times: with a
 * wrong id, and as a device transport. */
#include <clan/device.h>
#include <clan/transport.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PROBE_ID
#define PROBE_ID "probe"
#endif
#ifdef PROBE_DEVICE
#define ASKS_COUNT 1
#define ASKS                                                                                       \
    {                                                                                              \
        "net.device"                                                                               \
    }
#else
#define ASKS_COUNT 0
#define ASKS                                                                                       \
    {                                                                                              \
        ""                                                                                         \
    }
#endif

static const struct clan_host *host;
static const struct clan_transport_host *to;
static int selftest, flood;
static int pipe_fds[2];
static unsigned step;
static uint64_t cancelled_timer;

static void say(const char *text)
{
    clan_log(host, CLAN_LOG_INFO, text);
}

static void say_at(const char *text, unsigned line)
{
    char t[128];
    snprintf(t, sizeof t, "selftest failed at line %u: %s", line, text);
    say(t);
}
#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            say_at(#cond, __LINE__);                                                               \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* ---- the host's table, step by step on the loop ---- */

static void nothing(void *user)
{
    (void)user;
}

static void nothing_io(void *user, int32_t fd, uint32_t events)
{
    (void)user, (void)fd, (void)events;
}

static void never(void *user)
{
    (void)user;
    say_at("a stopped timer fired", 0);
}

static void on_wake(void *user)
{
    CHECK(user == &step);
    CHECK(step == 2);
    say("selftest ok");
}

static void *other_thread(void *arg)
{
    uint64_t id;
    (void)arg;
    /* only log and wake may be called from here */
    if (clan_timer_start(host, 1, nothing, NULL, &id) != CLAN_E_STATE ||
        clan_io_watch(host, pipe_fds[1], CLAN_IO_WRITE, nothing_io, NULL) != CLAN_E_STATE)
        say_at("a call from another thread was allowed", 1);
    clan_wake(host, on_wake, &step);
    return NULL;
}

static void on_readable(void *user, int32_t fd, uint32_t events)
{
    char c;
    pthread_t thread;
    CHECK(user == &step && fd == pipe_fds[0] && events == CLAN_IO_READ);
    CHECK(read(fd, &c, 1) == 1 && c == 'r');
    clan_io_unwatch(host, fd);
    step = 2;
    CHECK(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_detach(thread);
}

static void on_timer(void *user)
{
    CHECK(user == &step && step == 1);
    CHECK(clan_io_watch(host, pipe_fds[0], CLAN_IO_READ, nothing_io, NULL) == CLAN_OK);
    CHECK(clan_io_watch(host, pipe_fds[0], CLAN_IO_READ, on_readable, &step) == CLAN_OK);
    CHECK(write(pipe_fds[1], "r", 1) == 1);
}

static void check_table(void)
{
    uint64_t timers[130], zero[4] = {0}, bytes[4] = {0};
    CHECK(pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) == 0);
    CHECK(clan_io_watch(host, 3, CLAN_IO_READ, nothing_io, NULL) == CLAN_E_INVAL); /* Clan's own */
    CHECK(clan_io_watch(host, 900, CLAN_IO_READ, nothing_io, NULL) == CLAN_E_INVAL);
    CHECK(clan_io_watch(host, pipe_fds[0], 0, nothing_io, NULL) == CLAN_E_INVAL);
    CHECK(clan_io_watch(host, pipe_fds[0], CLAN_IO_READ, NULL, NULL) == CLAN_E_INVAL);
    CHECK(clan_random(host, bytes, sizeof bytes) == CLAN_OK);
    CHECK(memcmp(bytes, zero, sizeof bytes) != 0);
    for (unsigned i = 0; i < 128; i++)
        CHECK(clan_timer_start(host, 60000, never, NULL, &timers[i]) == CLAN_OK);
    CHECK(clan_timer_start(host, 60000, never, NULL, &timers[128]) == CLAN_E_LIMIT);
    for (unsigned i = 0; i < 128; i++)
        clan_timer_stop(host, timers[i]);
    for (unsigned i = 0; i < 64; i++)
        CHECK(clan_wake(host, nothing, NULL) == CLAN_OK);
    CHECK(clan_wake(host, nothing, NULL) == CLAN_E_LIMIT);
    CHECK(clan_host_interface(host, "clan.nothing/1") == NULL);
    CHECK(clan_timer_start(host, 1, never, NULL, &cancelled_timer) == CLAN_OK);
    clan_timer_stop(host, cancelled_timer);
    step = 1;
    CHECK(clan_timer_start(host, 5, on_timer, &step, &timers[0]) == CLAN_OK);
}

static void flood_over(void *user)
{
    (void)user;
    say("flood over");
}

/* ---- the transport ---- */

static clan_status probe_start(void *instance, struct clan_error *reterr)
{
    uint64_t id;
    (void)instance, (void)reterr;
    if (selftest)
        check_table();
    for (unsigned i = 0; flood && i < 5000; i++)
        say("noise");
    return flood ? clan_timer_start(host, 300, flood_over, NULL, &id) : CLAN_OK;
}

static void probe_stop(void *instance)
{
    (void)instance;
    clan_log(host, CLAN_LOG_INFO, "stop");
}

static void probe_dial_file(uint32_t request)
{
    struct clan_error e = CLAN_ERROR_INIT;
    int st =
        to->offer_stream(host->host_data, request, open("/dev/null", O_RDONLY | O_CLOEXEC), "");
    e.status = CLAN_E_UNREACHABLE;
    snprintf(e.what, sizeof e.what, "no stream: %d", st);
    to->dial_failed(host->host_data, request, &e);
    to->dial_failed(host->host_data, request, &e); /* the second is ignored */
}

static clan_status probe_dial(void *instance, uint32_t request, const char *endpoint,
    uint32_t timeout_ms, struct clan_error *reterr)
{
    int sv[2];
    (void)instance, (void)timeout_ms, (void)reterr;
    if (strcmp(endpoint, "file") == 0)
        probe_dial_file(request);
    if (strcmp(endpoint, "pair") == 0 &&
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == 0) {
        send(sv[1], "x", 1, 0);
        close(sv[1]);
        to->offer_stream(host->host_data, request, sv[0], "p\nir");
    }
    return CLAN_OK;
}

static void probe_cancel(void *instance, uint32_t request)
{
    char text[32];
    (void)instance;
    snprintf(text, sizeof text, "cancel %u", request);
    say(text);
}

static void probe_endpoints(void *instance, const uint8_t *local_addresses, uint32_t addr_count,
    void (*add)(void *user, const char *endpoint), void *user)
{
    char text[300];
    (void)instance, (void)local_addresses;
    snprintf(text, sizeof text, "%u addresses", addr_count);
    add(user, text);
    add(user, text);
    add(user, "");
    memset(text, 'l', sizeof text - 1);
    text[sizeof text - 1] = 0;
    add(user, text);
    for (unsigned i = 1; i < 40; i++) {
        snprintf(text, sizeof text, "e%u", i);
        add(user, text);
    }
}

static const struct clan_transport_stream stream = {.struct_size = sizeof stream,
    .start = probe_start,
    .stop = probe_stop,
    .dial = probe_dial,
    .cancel = probe_cancel,
    .endpoints = probe_endpoints};

/* ---- a device that tells of a peer as soon as it has one: seven times, silent the last time ---- */

static clan_status probe_start_device(
    void *instance, const struct clan_device_config *config, struct clan_error *reterr)
{
    (void)instance, (void)config, (void)reterr;
    return CLAN_OK;
}

static clan_status probe_set_peer(
    void *instance, const struct clan_device_peer *peer, struct clan_error *reterr)
{
    const struct clan_transport_device_host *clan = clan_transport_device_host_get(host);
    struct clan_device_state s = {.struct_size = sizeof s, .endpoint = "192.0.2.7:7"};
    (void)instance, (void)reterr;
    memcpy(s.public_key, peer->public_key, sizeof s.public_key);
    for (s.rx_bytes = 1; s.rx_bytes <= 7; s.rx_bytes++) {
        s.silent_ms = s.rx_bytes == 7 ? 100 : 0;
        clan->peer_state(host->host_data, &s);
    }
    return CLAN_OK;
}

static void probe_remove_peer(void *instance, const uint8_t public_key[32])
{
    (void)instance, (void)public_key;
}

static const struct clan_transport_device device_table = {.struct_size = sizeof device_table,
    .start = probe_start_device,
    .stop = probe_stop,
    .set_peer = probe_set_peer,
    .remove_peer = probe_remove_peer,
    .network_changed = probe_stop,
    .endpoints = probe_endpoints};

/* Calls that belong to later states. */
static void call_early(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    to->endpoints_changed(host->host_data);
    if (to->offer_stream(host->host_data, 0, fd, "") != CLAN_E_STATE || close(fd) == 0)
        say_at("a stream was offered before start", 0);
    to->dial_failed(host->host_data, 3, NULL);
}

static void left_behind(void *user)
{
    (void)user;
    say("something of a plugin that was not created ran");
}

static void left_behind_io(void *user, int32_t fd, uint32_t events)
{
    (void)fd, (void)events;
    left_behind(user);
}

/* What a plugin forgets to take back when its create() fails. */
static void leave_behind(void)
{
    uint64_t id;
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0)
        clan_io_watch(host, fds[1], CLAN_IO_WRITE, left_behind_io, NULL);
    clan_timer_start(host, 0, left_behind, NULL, &id);
    clan_wake(host, left_behind, NULL);
}

static clan_status probe_create(const struct clan_host *h, const struct clan_config *config,
    void **ret_instance, struct clan_error *reterr)
{
    host = h;
    to = clan_transport_host_get(h);
    for (uint32_t i = 0; i < config->setting_count; i++) {
        const char *key = config->settings[i].key;
        selftest |= strcmp(key, "selftest") == 0;
        flood |= strcmp(key, "flood") == 0;
        if (strcmp(key, "early") == 0)
            call_early();
        if (strcmp(key, "refuse") == 0) {
            leave_behind();
            reterr->status = CLAN_E_INVAL;
            snprintf(reterr->what, sizeof reterr->what, "refused as asked");
            return CLAN_E_INVAL;
        }
    }
    static int instance;
    *ret_instance = &instance;
    return to->struct_size ? CLAN_OK : CLAN_E_ABI;
}

static void probe_destroy(void *instance)
{
    (void)instance;
    say("stop, destroy");
}

static const void *probe_get_interface(void *instance, const char *id)
{
    (void)instance;
    if (ASKS_COUNT)
        return strcmp(id, CLAN_TRANSPORT_DEVICE) == 0 ? &device_table : NULL;
    return strcmp(id, CLAN_TRANSPORT_STREAM) == 0 ? &stream : NULL;
}

CLAN_PLUGIN_NOTE(.kind = CLAN_KIND_TRANSPORT, .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR, .needs_minor = 1, .id = "probe", .version = "1.2",
    .title = "Probe", .sentence = "For the test of the host.", .asks_count = ASKS_COUNT,
    .asks = ASKS);

static const struct clan_plugin plugin = {.magic = CLAN_PLUGIN_MAGIC,
    .struct_size = sizeof plugin,
    .abi_major = CLAN_ABI_MAJOR,
    .abi_minor = CLAN_ABI_MINOR,
    .kind = CLAN_KIND_TRANSPORT,
    .id = PROBE_ID,
    .version = "1.2",
    .vendor = "Clan",
    .licence = "same as Clan",
    .create = probe_create,
    .destroy = probe_destroy,
    .get_interface = probe_get_interface};

CLAN_PLUGIN_EXPORT const struct clan_plugin *clan_plugin_query(void)
{
    return &plugin;
}
