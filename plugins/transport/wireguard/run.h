/*
 * The two threads that carry packets, and how the host's loop talks to them.
 *
 *   sender     TUN -> cut -> seal -> UDP
 *   owner      UDP -> open -> coalesce -> TUN; timers, handshakes, and what the loop asks for
 *
 * The loop never touches the device: it hands a call to the owner and waits for its end.  What peers do
 * goes back by reports, which the host's wake() brings onto the loop.
 */
#ifndef WG_RUN_H
#define WG_RUN_H

#include "coalesce.h"
#include "device.h"
#include "udp.h"

#include <clan/device.h>
#include <semaphore.h>

#define WG_REPORTS_MAX 64u
#define WG_LOOK_MS     50u    /* between looks at the peers while there is traffic */
#define WG_SILENCE_MS  100u   /* something was sent and nothing came: the core is to know soon */
#define WG_TRAFFIC_MS  10000u /* a peer with traffic is told of this often */
#define WG_DIR_MAX     240u

struct wg_report {
    uint8_t public_key[WG_KEY];
    struct wg_endpoint endpoint;
    uint64_t handshake_ms, rx_bytes, tx_bytes;
    uint64_t silent_since_ms; /* something was sent then, and nothing came since; 0: it did */
};

typedef void wg_call_fn(struct wg_device *d, uint64_t now_ms, void *arg);

struct wg_run {
    struct wg_device *device;
    struct wg_udp udp;
    int tun, wake; /* wake: an eventfd, for the owner */
    uint32_t mtu;
    bool tso;
    char state_dir[WG_DIR_MAX];
    pthread_t sender, owner;
    bool running;
    int stop_sender; /* an eventfd */
    atomic_bool stop;
    atomic_bool asleep, resting; /* the owner; resting: for longer than news of packets may wait */
    /* the loop's call, one at a time */
    _Atomic(wg_call_fn *) call;
    void *call_arg;
    sem_t called;
    /* reports: the owner adds, the loop takes */
    void (*reported)(void *user); /* owner's thread: there are some */
    void *user;
    pthread_mutex_t reports_lock;
    struct wg_report reports[WG_REPORTS_MAX];
    unsigned report_count;
    atomic_ullong tun_refused, dropped; /* by the kernel; by the sender: for nobody or not ours */
};

uint64_t wg_now_ms(void);

/* config: as the plugin's start() got it, with a TUN.  Not OK: ret_why says why, as a clause. */
clan_status wg_run_start(
    struct wg_run *r, const struct clan_device_config *config, const char **ret_why);
void wg_run_stop(struct wg_run *r);
/* Has the owner do it, and waits. */
void wg_run_call(struct wg_run *r, wg_call_fn *fn, void *arg);
/* Takes up to WG_REPORTS_MAX of them; [loop] */
unsigned wg_run_reports(struct wg_run *r, struct wg_report ret_reports[WG_REPORTS_MAX]);

/* Inside. */
void *wg_sender(void *run);
void *wg_owner(void *run);

#endif
