/*
 * A host for a plugin's own tests: neither Clan nor root is needed.
 *
 * One mock holds one plugin.  The test is the daemon: it calls the tables of the plugin, turns the loop, and
 * finds in `events` what the plugin told.  All on one thread but wake(), as in Clan.  There is no
 * sandbox: that the plugin lives in it is what clan-plugin-check tries.
 *
 *     struct mock *m = mock_open("./hello.so", &config, &error);
 *     const struct clan_service *service = mock_interface(m, CLAN_SERVICE);
 *     service->start(m->instance, &error);
 *     assert(mock_wait(m, 1000, MOCK_SERVICE_STATE, &event) && event.value == 1);
 *     service->stop(m->instance);
 *     mock_close(m);
 *
 * Link: Clan::Mock in CMake, `pkg-config --variable=mock_libs clan-sdk` elsewhere.
 */
#ifndef CLAN_MOCK_H
#define CLAN_MOCK_H

#include <clan/api.h>
#include <clan/device.h>
#include <clan/rendezvous.h>
#include <clan/secret.h>
#include <clan/service.h>
#include <clan/transport.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOCK_EVENTS_MAX 256

enum mock_kind {
    MOCK_STREAM = 1,    /* request, fd (yours to close), text: remote */
    MOCK_DIAL_FAILED,   /* request, error */
    MOCK_ENDPOINTS,     /* endpoints_changed() */
    MOCK_SERVICE_STATE, /* value: up; error */
    MOCK_HEALTH,        /* request, value: healthy, text */
    MOCK_EXITED,        /* value: wait status of a program */
    MOCK_TOLD,          /* value: the transport works; text */
    MOCK_DEVICE_STATE,  /* value: age of the handshake, key, text: endpoint, rx_bytes, tx_bytes */
    MOCK_API_OPENED     /* fd (yours to close): the core's end of a connection */
};

struct mock_event {
    enum mock_kind kind;
    uint32_t request, value;
    int fd;
    char text[256];
    struct clan_error error;
    uint8_t key[32];
    uint64_t rx_bytes, tx_bytes;
};

struct mock {
    struct clan_host host;
    const struct clan_plugin *plugin;
    void *instance;
    bool verbose;        /* log lines go to standard error */
    bool refuse_streams; /* offer_stream answers LIMIT */
    unsigned event_count;
    struct mock_event events[MOCK_EVENTS_MAX];
    /* what run() executes, with program_fd as its descriptor 3; argv[0] NULL: nothing can be run */
    const char *argv[8];
    int program_fd; /* -1: none */
    unsigned runs;  /* started so far */
    int last_pid;
    uint8_t secret[32]; /* what secret() answers; all zero: STATE, as before there is an identity */
    struct clan_api_listener listeners[CLAN_API_LISTENERS_MAX]; /* yours, for people */
    uint32_t listener_count;
    bool refuse_api; /* connections to the core are answered with an error */
    struct mock_inner *inner;
};

/* Loads a plugin and creates its instance.  NULL: `ret_error` says why. */
struct mock *mock_open(
    const char *so_path, const struct clan_config *config, struct clan_error *ret_error);
/* The same, prepared before create(): mock_new(), fields, mock_create(). */
struct mock *mock_new(void);
clan_status mock_create(struct mock *m, const char *so_path, const struct clan_config *config,
    struct clan_error *ret_error);
void mock_close(struct mock *m); /* destroy(), ends programs */
const void *mock_interface(struct mock *m, const char *id);

typedef bool mock_until_fn(struct mock *m, void *arg);
/* Turns the loop until fn answers true; false after timeout_ms. */
bool mock_run(struct mock *m, unsigned timeout_ms, mock_until_fn *fn, void *arg);
/* Turns the loop until an event of that kind is there, and takes it out. */
bool mock_wait(
    struct mock *m, unsigned timeout_ms, enum mock_kind kind, struct mock_event *ret_event);
unsigned mock_watches(const struct mock *m); /* descriptors watched now */
unsigned mock_timers(const struct mock *m);

#ifdef __cplusplus
}
#endif
#endif
