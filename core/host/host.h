/* The process around one plugin: what its parts share. */
#ifndef HOST_HOST_H
#define HOST_HOST_H

#include "base/loop.h"
#include "wire/host.pb.h"

#include <clan/api.h>
#include <clan/device.h>
#include <clan/rendezvous.h>
#include <clan/secret.h>
#include <clan/service.h>
#include <clan/transport.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define HOST_WATCHES_MAX 256
#define HOST_TIMERS_MAX  128
#define HOST_WAKES_MAX   64
#define HOST_DIALS_MAX   64
#define HOST_STREAMS_MAX 64  /* connected streams that core has not taken yet */
#define HOST_OUT_MAX     256 /* messages that core has not taken yet */
#define HOST_RUNS_MAX    8
#define HOST_APIS_MAX    64 /* connections to core that were asked for */
#define HOST_HEALTH_MAX  8
#define HOST_HEALTH_MS   5000
#define HOST_LISTEN_MAX  24
#define HOST_MEMBERS_MAX 4096
#define HOST_LOG_BURST   100
#define HOST_LOG_PER_S   20

struct host;

struct host_watch {
    struct host *h;
    int fd; /* -1: free */
    uint32_t events;
    clan_io_fn *fn;
    void *user;
};

struct host_timer {
    struct host *h;
    uint64_t id, loop_id; /* id 0: free */
    clan_timer_fn *fn;
    void *user;
};

struct host_wake {
    clan_wake_fn *fn;
    void *user;
};

struct host_run {
    uint32_t request; /* 0: free */
    uint32_t run;     /* 0: asked, not answered yet */
    clan_program_started_fn *started;
    clan_program_exit_fn *exited;
    void *user;
};

struct host_health {
    struct host *h;
    uint32_t request; /* 0: free */
    uint64_t timer;
};

struct host_api {
    uint32_t request; /* 0: free */
    clan_api_opened_fn *opened;
    void *user;
};

struct host_device; /* device.c */
struct host_out;    /* a message that waits for room in the channel */

struct host {
    int channel, plugin_fd, state_fd, volume_fd;
    char id[32], instance[64];
    struct loop *loop;
    uint64_t incarnation;
    uint64_t asked_ns; /* when core was last heard */

    /* what core was told, and what the plugin may do */
    clan_host_State state;
    bool started; /* the plugin's start() succeeded and stop() was not called */
    struct clan_error error;

    /* the plugin */
    struct clan_note_body note;
    const struct clan_plugin *plugin;
    void *instance_data;
    const struct clan_transport_stream *transport; /* NULL: not offered */
    const struct clan_transport_device *device;
    struct host_device *dev; /* what core told it; NULL: nothing */
    const struct clan_service *service;
    const struct clan_transport_rendezvous *rendezvous;
    uint8_t secret[32];
    uint32_t secret_counter; /* 0: core told none */
    struct clan_host table;
    int32_t listen_fds[HOST_LISTEN_MAX];
    uint32_t listen_count;

    _Atomic bool dropped; /* see host_api_drop() */
    struct host_watch watches[HOST_WATCHES_MAX];
    unsigned watch_count; /* of them that were ever in use: the rest is memory never touched */
    struct host_timer timers[HOST_TIMERS_MAX];
    uint64_t next_timer;

    pthread_mutex_t lock; /* wakes and the log's budget: the two calls from any thread */
    int wake_fd;
    struct host_wake wakes[HOST_WAKES_MAX];
    unsigned wake_count;
    uint64_t log_at_ms;
    unsigned log_tokens, log_dropped;

    struct host_out *out_first, *out_last;
    unsigned out_count, out_streams;
    clan_host_FromHost message; /* the one being made; messages are large */

    uint32_t dials[HOST_DIALS_MAX]; /* requests in flight, 0: free */
    uint8_t local_addresses[32][16];
    uint32_t local_count;
    char (*members)[CLAN_ENDPOINT_MAX + 1]; /* endpoints, while they come in pieces */
    uint32_t member_count;

    struct host_api apis[HOST_APIS_MAX];
    uint32_t next_api;
    struct clan_api_listener people[CLAN_API_LISTENERS_MAX]; /* not in listen_fds */
    uint32_t people_count;
    struct host_run runs[HOST_RUNS_MAX];
    uint32_t next_run;
    struct host_health health[HOST_HEALTH_MAX];
};

/* main of the process */
int host_main(int argc, char **argv);
/* The same with the fixed descriptors named: tests.  Returns the exit status. */
int host_run(struct host *h);
struct host *host_new(
    const char *id, const char *instance, int first_listen, unsigned listen_count);
void host_free(struct host *h);

/* load.c: note, dlopen, descriptor.  Leaves h->plugin set. */
clan_status host_load(struct host *h, struct clan_error *reterr);

/* words.c: between the two a crash, abort() or exit() of the plugin is told in the log */
void host_words_begin(const struct host *h);
void host_words_end(void);

/* people.c: listeners of loopback, and connections to core */
extern const struct clan_api_host host_people_table;
bool host_asks(const struct host *h, const char *word);      /* does the plugin's note? */
void host_people(struct host *h, const clan_host_Create *m); /* whose the listeners are */
void host_api_opened(struct host *h, const clan_host_ApiOpened *m, int *fds, size_t *fd_count);
void host_forget_apis(struct host *h);

/* api.c: the table every plugin gets */
clan_status host_api_open(struct host *h);
void host_api_close(struct host *h);
bool host_on_loop(const char *call); /* false, and logged, on a thread of the plugin */
/* Logs a call that the plugin may not make in this state; within the plugin's own budget of lines. */
void host_refused(struct host *h, const char *call);
/* The plugin's instance is gone: nothing of it is called any more, and nothing new taken from it. */
void host_api_drop(struct host *h);

/* out.c: to core */
clan_host_FromHost *host_message(struct host *h, pb_size_t which);
/* Sends h->message.  fd -1: none, else it is closed in every case.  LIMIT: core does not keep up.
 */
clan_status host_send(struct host *h, int fd);
void host_out_flush(struct host *h);
void host_out_clear(struct host *h);
/* The interfaces of the plugin's instance, by name; how many. */
#define HOST_INTERFACES_MAX 8
pb_size_t host_interfaces(const struct host *h, char ret[HOST_INTERFACES_MAX][64]);
/* Tells core and remembers it. */
void host_state(struct host *h, clan_host_State state, const struct clan_error *error);
void host_error_to_wire(const struct clan_error *e, clan_wire_Error *ret);
void host_error_from_wire(const clan_wire_Error *e, struct clan_error *ret);
/* A plugin's record, as far as its size goes, cleaned. */
struct clan_error host_error_copy(const struct clan_error *e);

/* session.c: from core */
void host_session_readable(void *arg, int fd, uint32_t events);

/* transport.c */
extern const struct clan_transport_host host_transport_table;
void host_dial(struct host *h, const clan_host_Dial *m);
void host_cancel_dial(struct host *h, uint32_t request);
void host_forget_dials(struct host *h);
void host_endpoints(struct host *h, const clan_host_AskEndpoints *m);
void host_tell_endpoints(struct host *h);

/* rendezvous.c */
extern const struct clan_secret_host host_secret_table;
extern const struct clan_transport_rendezvous_host host_rendezvous_table;
void host_rendezvous_find(struct host *h); /* does the plugin have it? */
void host_secret(struct host *h, const clan_host_Secret *m);
void host_members(struct host *h, const clan_host_Members *m);
void host_invitations(struct host *h, const clan_host_Invitations *m);
void host_invited(struct host *h, const clan_host_Invited *m);

/* device.c: transports that carry packets themselves */
extern const struct clan_transport_device_host host_device_table;
clan_status host_device_start(struct host *h, struct clan_error *reterr);
/* Takes the descriptors that belong to it; *fd_count: those that are left. */
void host_device(struct host *h, const clan_host_Device *m, int *fds, size_t *fd_count);
void host_device_peer(struct host *h, const clan_host_DevicePeer *m);
void host_device_remove(struct host *h, const uint8_t key[32]);
void host_device_peers(struct host *h, bool begin);
uint32_t host_device_port(const struct host *h); /* 0: it was told none */
void host_device_free(struct host *h);

/* program.c */
extern const struct clan_program_host host_program_table;
void host_run_result(struct host *h, const clan_host_RunResult *m);
void host_run_exited(struct host *h, const clan_host_RunExited *m);
void host_forget_runs(struct host *h);
void host_ask_health(struct host *h, uint32_t request);

#endif
