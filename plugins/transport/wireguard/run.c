/* Starting and ending the threads that carry packets; calls from the host's loop. */
#include "run.h"

#include "floor.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

uint64_t wg_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t); /* keys grow old while the computer sleeps */
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- what the device asks for ---- */

static void op_send(
    void *user, const struct wg_endpoint *to, const uint8_t *message, size_t size, uint8_t tos)
{
    wg_udp_send(&((struct wg_run *)user)->udp, to, message, size, tos);
}

static void op_wall(void *user, uint64_t *ret_unix_s, uint32_t *ret_ns)
{
    struct timespec t;
    (void)user;
    clock_gettime(CLOCK_REALTIME, &t);
    *ret_unix_s = t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0;
    *ret_ns = (uint32_t)t.tv_nsec;
}

static bool op_keep_floor(void *user, const uint8_t tai64n[WG_TAI64N])
{
    return wg_floor_write(((struct wg_run *)user)->state_dir, tai64n);
}

/* ---- life ---- */

static void ring(int fd)
{
    while (eventfd_write(fd, 1) != 0 && errno == EINTR)
        ;
}

static void close_all(struct wg_run *r)
{
    wg_device_free(r->device);
    r->device = NULL;
    if (r->wake >= 0)
        close(r->wake);
    if (r->stop_sender >= 0)
        close(r->stop_sender);
    r->wake = r->stop_sender = -1;
    sem_destroy(&r->called);
    pthread_mutex_destroy(&r->reports_lock);
}

/* Signals are the host's. */
static bool start_threads(struct wg_run *r)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    bool owner = pthread_create(&r->owner, NULL, wg_owner, r) == 0;
    bool sender = owner && pthread_create(&r->sender, NULL, wg_sender, r) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (owner && !sender) {
        atomic_store(&r->stop, true);
        ring(r->wake);
        pthread_join(r->owner, NULL);
    }
    return sender;
}

clan_status wg_run_start(
    struct wg_run *r, const struct clan_device_config *config, const char **ret_why)
{
    uint8_t floor[WG_TAI64N];
    enum wg_floor known = wg_floor_read(r->state_dir, floor);
    const struct wg_ops ops = {r, op_send, op_wall, op_keep_floor};
    *ret_why = "what it keeps of its clock cannot be read";
    if (known == WG_FLOOR_IO)
        return CLAN_E_IO;
    r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->stop_sender = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r->tun = config->tun_fd;
    r->mtu = config->mtu;
    r->tso = config->tun_flags & CLAN_DEVICE_TSO;
    r->report_count = 0;
    atomic_store(&r->stop, false);
    atomic_store(&r->call, NULL);
    sem_init(&r->called, 0, 0);
    pthread_mutex_init(&r->reports_lock, NULL);
    wg_udp_open(&r->udp, config->udp_fds);
    r->device = wg_device_new(&ops, config->secret_key, floor);
    *ret_why = "memory, descriptors or libcrypto's BLAKE2s are not to be had";
    if (r->device)
        r->device->mtu = config->mtu;
    if (!r->device || r->wake < 0 || r->stop_sender < 0 || !start_threads(r)) {
        close_all(r);
        return CLAN_E_NOMEM;
    }
    r->running = true;
    return CLAN_OK;
}

void wg_run_stop(struct wg_run *r)
{
    if (!r->running)
        return;
    atomic_store(&r->stop, true);
    ring(r->wake);
    ring(r->stop_sender);
    pthread_join(r->sender, NULL);
    pthread_join(r->owner, NULL);
    r->running = false;
    close_all(r);
}

void wg_run_call(struct wg_run *r, wg_call_fn *fn, void *arg)
{
    r->call_arg = arg;
    atomic_store(&r->call, fn);
    ring(r->wake);
    while (sem_wait(&r->called) != 0)
        ;
}

unsigned wg_run_reports(struct wg_run *r, struct wg_report ret_reports[WG_REPORTS_MAX])
{
    pthread_mutex_lock(&r->reports_lock);
    unsigned n = r->report_count;
    memcpy(ret_reports, r->reports, n * sizeof *ret_reports);
    r->report_count = 0;
    pthread_mutex_unlock(&r->reports_lock);
    return n;
}
