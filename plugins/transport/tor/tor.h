/* What the files of the plugin share: its tor, the connection that commands it, onion services, dials. */
#ifndef TOR_TOR_H
#define TOR_TOR_H

#include "control.h"
#include "health.h"
#include "onion.h"
#include "policy.h"
#include "socks.h"
#include "torrc.h"

#include <clan/rendezvous.h>
#include <clan/secret.h>
#include <clan/service.h>

#define TOR_DIALS_MAX     16
#define TOR_CLIENTS_MAX   251 /* with our own; tor's descriptor has room for a few more */
#define TOR_DOORS_MAX     16
#define TOR_INVITED_MAX   8
#define TOR_ASKED_MAX     64 /* commands that are not answered yet */
#define TOR_DIR_MAX       64
#define TOR_ADDRESSES_MAX 32

struct tor;

enum tor_command { TOR_LOGIN = 1, TOR_OWN, TOR_EVENTS, TOR_PHASE, TOR_ADD, TOR_DELETE, TOR_KEY };

struct tor_onion {
    const char *name; /* for texts */
    uint8_t seed[32];
    char address[ONION_ADDRESS + 1];
    bool wanted;    /* there is somebody to let in */
    bool there;     /* tor was told to publish it and has not been told otherwise */
    uint64_t timer; /* a change waits for more of them */
    unsigned client_count;
    char clients[TOR_CLIENTS_MAX][ONION_CLIENT + 1];
};

struct tor_dial {
    struct tor *t;
    uint32_t request; /* 0: free */
    bool own;         /* to our own place: nobody but own.c waits for it */
    bool waits;       /* until tor takes commands */
    uint32_t serial;  /* of the attempt whose key tor was told */
    struct onion_endpoint to;
    uint64_t deadline_ms, timer;
    int fd; /* -1: none */
    struct socks socks;
    uint8_t ask[SOCKS_ASK_MAX];
    unsigned ask_size;
};

struct tor {
    const struct clan_host *host;
    const struct clan_transport_host *to;
    const struct clan_program_host *programs;
    const struct clan_transport_rendezvous_host *clan;
    char state_dir[TOR_DIR_MAX], dir[TOR_DIR_MAX]; /* ours, and the one shared with tor */
    struct torrc conf;
    bool started, open_to_all; /* open: without client authorization */

    /* child.c */
    enum { CHILD_NONE, CHILD_ASKED, CHILD_RUNS } child;
    uint32_t run;
    uint64_t begun_ms, again_timer;
    struct policy_restart restart;

    /* command.c */
    int ctl;    /* -1: none */
    bool ready; /* tor takes commands */
    struct control control;
    uint64_t ctl_timer;
    struct {
        enum tor_command what;
        uint32_t dial; /* serial of the dial that waits for it */
        struct tor_onion *onion;
        char said[ONION_ADDRESS + 1];
    } asked[TOR_ASKED_MAX];
    unsigned asked_first, asked_count;

    /* service.c */
    int listener;
    uint64_t pause;
    struct tor_onion members, door;
    uint8_t client_secret[32];
    char client[ONION_CLIENT + 1];
    bool known; /* the keys above are there */

    /* dial.c */
    struct tor_dial dials[TOR_DIALS_MAX];
    struct policy_peers off;
    uint32_t next_serial;
    struct {
        char address[ONION_ADDRESS + 1];
        uint8_t secret[32];
    } invited[TOR_INVITED_MAX];
    unsigned invited_next;

    /* own.c */
    struct policy_own own;
    uint64_t own_timer;
    bool own_looks, own_seen; /* since it was published; it answered */

    /* watch.c */
    uint64_t watch_timer, watch_since_ms;
    unsigned watch_progress;
    uint8_t addresses[16 * TOR_ADDRESSES_MAX];
    size_t addresses_size;

    struct health health;
    bool told_works;
    char told[HEALTH_TEXT];
};

uint64_t tor_now_ms(void);
clan_status tor_fail(struct clan_error *e, clan_status status, const char *remedy, const char *what,
    const char *why_fmt, ...) __attribute__((format(printf, 5, 6)));
void tor_log(const struct tor *t, uint32_t level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* For `clan status`, when it is another one than the last. */
void tor_tell(struct tor *t, bool works, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void tor_tell_health(struct tor *t);
/* A descriptor connected, or connecting, to a socket in that directory; -1. */
int tor_connect(const char *dir, const char *name);

/* child.c */
clan_status child_start(struct tor *t, struct clan_error *reterr);
void child_stop(struct tor *t);
void child_restart(struct tor *t, const char *why); /* it does not do as it should */
void child_now(struct tor *t);                      /* anew, at once */

/* command.c */
void command_open(struct tor *t); /* tries until tor is there */
void command_close(struct tor *t);
/* false: not sent, and the connection is given up */
bool command_send(
    struct tor *t, enum tor_command what, struct tor_onion *onion, uint32_t dial, const char *text);

/* service.c */
clan_status service_open(struct tor *t, struct clan_error *reterr); /* keys and socket */
void service_close(struct tor *t);
void service_publish(struct tor *t, struct tor_onion *o); /* as it is wanted now */
void service_added(struct tor *t, struct tor_onion *o, const char *address); /* "": refused */
void service_lost(struct tor *t); /* tor is gone, and what it published with it */
void service_members(struct tor *t, const char *const *endpoints, uint32_t count);
void service_invitations(struct tor *t, const uint8_t *keys, uint32_t count);

/* dial.c */
clan_status dial_begin(struct tor *t, uint32_t request, const char *endpoint, uint32_t timeout_ms,
    struct clan_error *reterr);
void dial_cancel(struct tor *t, uint32_t request);
void dial_key_told(struct tor *t, uint32_t serial); /* tor has the key that its peer asks for */
void dial_ready(struct tor *t);                     /* tor takes commands */
void dial_lost(struct tor *t);                      /* tor is gone; they wait for the next one */
void dial_forget(struct tor *t);
bool dial_own(struct tor *t); /* own_result() follows; false: not now */
void dial_own_end(struct tor *t);
void dial_invited(struct tor *t, const char *endpoint, const uint8_t secret[32]);

/* watch.c */
void watch_begin(struct tor *t); /* tor takes commands */
void watch_end(struct tor *t);
void watch_addresses(struct tor *t, const uint8_t *addresses, uint32_t count);

/* own.c */
void own_uploaded(struct tor *t, const char *address); /* tor says that a directory has it */
void own_result(struct tor *t, bool answered, const char *why);
void own_forget(struct tor *t); /* it is published no more, or anew */

#endif
