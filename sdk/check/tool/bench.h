/* A plugin on the mock host, with answers to what it asks: for the checks of protocol and fuzz. */
#ifndef TOOL_BENCH_H
#define TOOL_BENCH_H

#include "check/tool/tool.h"
#include "mock/mock.h"

#include <clan/device.h>

#define BENCH_RUNS     8
#define SETTING_REMEDY "give the settings that it needs: --setting KEY=VALUE"

struct bench {
    struct subject *s;
    struct try_report *r;
    struct mock *m;
    const struct clan_transport_stream *transport;
    const struct clan_transport_device *device;
    const struct clan_service *service;
    struct clan_device_config device_config; /* a socket stands for its TUN */
    int tun;                                 /* the other end of that */
    struct clan_config config;
    int32_t listen_fd;
    uint16_t port;
    bool started;
    uint64_t random; /* state of bench_random() */
    bool odd;        /* programs are answered late, with errors, and end */
    struct {
        uint32_t run; /* 0: free */
        bool told;
        clan_program_started_fn *started;
        clan_program_exit_fn *exited;
        void *user;
    } runs[BENCH_RUNS];
    uint32_t next_run;
};

/* One per process.  False: filled r. */
bool bench_init(struct bench *b, struct subject *s, struct try_report *r);
/* create() and the interfaces.  A refusal is the caller's to judge. */
clan_status bench_create(struct bench *b, struct clan_error *ret_error);
clan_status bench_start(struct bench *b, struct clan_error *ret_error);
void bench_stop(struct bench *b);
/* destroy() and the mock.  *ret_left: watches and timers that the plugin left with the host. */
void bench_close(struct bench *b, unsigned *ret_left);
void bench_turn(struct bench *b, unsigned ms); /* the loop, for at least one turn */
void bench_drop_events(struct bench *b);
uint64_t bench_random(struct bench *b);
/* create() with the settings of --setting, which a checked plugin has to manage; false: filled r */
bool bench_create_plain(struct bench *b);

#endif
