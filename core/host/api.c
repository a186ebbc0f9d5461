/* The host's table: log, descriptors, timers, wake, random, interfaces. */
#include "host/host.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#define HOST_FIRST_FREE_FD 8 /* below are channel, log and the rest of Clan's own */
#define HOST_DELAY_MAX_MS  (366ull * 24 * 3600 * 1000)

static _Thread_local bool host_is_loop_thread;

bool host_on_loop(const char *call)
{
    if (!host_is_loop_thread)
        log_error("the plugin called %s from a thread of its own; only log and wake may be", call);
    return host_is_loop_thread;
}

/* Takes one line from the budget; *ret_dropped: lines lost since the last one that passed. */
static bool log_budget(struct host *h, unsigned *ret_dropped)
{
    bool ok = false;
    pthread_mutex_lock(&h->lock);
    uint64_t now = clock_mono_ms(), gained = (now - h->log_at_ms) * HOST_LOG_PER_S / 1000;
    if (gained) {
        h->log_at_ms = now;
        h->log_tokens = h->log_tokens + gained > HOST_LOG_BURST ? HOST_LOG_BURST
                                                                : h->log_tokens + (unsigned)gained;
    }
    if (h->log_tokens) {
        h->log_tokens--;
        *ret_dropped = h->log_dropped;
        h->log_dropped = 0;
        ok = true;
    } else
        h->log_dropped++;
    pthread_mutex_unlock(&h->lock);
    return ok;
}

static void api_log(void *host_data, uint32_t level, const char *text)
{
    unsigned dropped = 0;
    if (!text || level > CLAN_LOG_DEBUG || !log_budget(host_data, &dropped))
        return;
    if (dropped)
        log_warn("the plugin logs too much: %u lines were dropped", dropped);
    log_record((enum log_level)level, "%.900s", text);
}

void host_refused(struct host *h, const char *call)
{
    unsigned dropped = 0;
    if (log_budget(h, &dropped))
        log_error("the plugin called %s in a wrong state; it was refused", call);
}

static struct host_watch *find_watch(struct host *h, int fd)
{
    for (unsigned i = 0; i < h->watch_count; i++)
        if (h->watches[i].fd == fd)
            return &h->watches[i];
    return NULL;
}

static struct host_watch *free_watch(struct host *h)
{
    struct host_watch *w = find_watch(h, -1);
    return w || h->watch_count == HOST_WATCHES_MAX ? w : &h->watches[h->watch_count];
}

static uint32_t to_epoll(uint32_t events)
{
    return (events & CLAN_IO_READ ? (uint32_t)EPOLLIN : 0) |
           (events & CLAN_IO_WRITE ? (uint32_t)EPOLLOUT : 0) |
           (events & CLAN_IO_HUP ? (uint32_t)EPOLLRDHUP : 0);
}

static void on_io(void *arg, int fd, uint32_t epoll_events)
{
    const struct host_watch *w = arg;
    uint32_t events =
        (epoll_events & EPOLLIN ? CLAN_IO_READ : 0) | (epoll_events & EPOLLOUT ? CLAN_IO_WRITE : 0);
    if (epoll_events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        events |= CLAN_IO_HUP;
    /* an error wakes whoever waits to read or write, so that it meets the error there */
    if (epoll_events & (EPOLLERR | EPOLLHUP))
        events |= w->events;
    w->fn(w->user, fd, events);
}

static clan_status api_io_watch(
    void *host_data, int32_t fd, uint32_t events, clan_io_fn *fn, void *user)
{
    struct host *h = host_data;
    if (!host_on_loop("io_watch") || h->dropped)
        return CLAN_E_STATE;
    if (fd < HOST_FIRST_FREE_FD || !fn || !events || events > 7)
        return CLAN_E_INVAL;
    struct host_watch *w = find_watch(h, fd);
    clan_status st;
    if (w)
        st = loop_fd_mod(h->loop, fd, to_epoll(events));
    else {
        w = free_watch(h);
        if (!w)
            return CLAN_E_LIMIT;
        st = loop_fd_add(h->loop, fd, to_epoll(events), on_io, w);
        h->watch_count += st == CLAN_OK && w == &h->watches[h->watch_count];
    }
    if (st == CLAN_OK)
        *w = (struct host_watch){.h = h, .fd = fd, .events = events, .fn = fn, .user = user};
    return st == CLAN_E_IO ? CLAN_E_INVAL : st;
}

static void api_io_unwatch(void *host_data, int32_t fd)
{
    struct host *h = host_data;
    struct host_watch *w = fd < 0 ? NULL : find_watch(h, fd);
    if (!w || !host_on_loop("io_unwatch"))
        return;
    loop_fd_del(h->loop, fd);
    w->fd = -1;
}

static void on_timer(void *arg)
{
    struct host_timer *t = arg;
    t->id = 0;
    t->fn(t->user);
}

static clan_status api_timer_start(
    void *host_data, uint64_t delay_ms, clan_timer_fn *fn, void *user, uint64_t *ret_timer)
{
    struct host *h = host_data;
    if (!host_on_loop("timer_start") || h->dropped)
        return CLAN_E_STATE;
    if (!fn || !ret_timer || delay_ms > HOST_DELAY_MAX_MS)
        return CLAN_E_INVAL;
    for (unsigned i = 0; i < HOST_TIMERS_MAX; i++) {
        struct host_timer *t = &h->timers[i];
        if (t->id)
            continue;
        uint64_t loop_id = loop_timer_in(h->loop, delay_ms, on_timer, t);
        if (!loop_id)
            return CLAN_E_LIMIT;
        *t = (struct host_timer){
            .h = h, .id = ++h->next_timer, .loop_id = loop_id, .fn = fn, .user = user};
        *ret_timer = t->id;
        return CLAN_OK;
    }
    return CLAN_E_LIMIT;
}

static void api_timer_stop(void *host_data, uint64_t timer)
{
    struct host *h = host_data;
    if (!timer || !host_on_loop("timer_stop"))
        return;
    for (unsigned i = 0; i < HOST_TIMERS_MAX; i++)
        if (h->timers[i].id == timer) {
            loop_timer_cancel(h->loop, h->timers[i].loop_id);
            h->timers[i].id = 0;
        }
}

static clan_status api_wake(void *host_data, clan_wake_fn *fn, void *user)
{
    struct host *h = host_data;
    const uint64_t one = 1;
    bool room;
    if (!fn)
        return CLAN_E_INVAL;
    if (h->dropped)
        return CLAN_E_STATE;
    pthread_mutex_lock(&h->lock);
    room = h->wake_count < HOST_WAKES_MAX;
    if (room)
        h->wakes[h->wake_count++] = (struct host_wake){fn, user};
    pthread_mutex_unlock(&h->lock);
    if (!room)
        return CLAN_E_LIMIT;
    while (write(h->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    return CLAN_OK;
}

static void on_wake(void *arg, int fd, uint32_t events)
{
    struct host *h = arg;
    struct host_wake todo[HOST_WAKES_MAX];
    uint64_t count;
    (void)events;
    if (read(fd, &count, sizeof count) < 0)
        return;
    pthread_mutex_lock(&h->lock);
    unsigned n = h->dropped ? 0 : h->wake_count;
    memcpy(todo, h->wakes, n * sizeof todo[0]);
    h->wake_count = 0;
    pthread_mutex_unlock(&h->lock);
    for (unsigned i = 0; i < n; i++)
        todo[i].fn(todo[i].user);
}

static void api_random(void *host_data, void *ret_bytes, uint64_t size)
{
    uint8_t *out = ret_bytes;
    (void)host_data;
    while (size) {
        ssize_t n = getrandom(out, size > 256 ? 256 : (size_t)size, 0);
        clan_assert(n > 0 || errno == EINTR);
        if (n > 0) {
            out += n;
            size -= (uint64_t)n;
        }
    }
}

static const void *api_get_interface(void *host_data, const char *id)
{
    const struct host *h = host_data;
    if (!id || !host_on_loop("get_interface"))
        return NULL;
    if (strcmp(id, CLAN_TRANSPORT_HOST) == 0 && h->note.kind == CLAN_KIND_TRANSPORT)
        return &host_transport_table;
    if (strcmp(id, CLAN_TRANSPORT_RENDEZVOUS_HOST) == 0 && h->note.kind == CLAN_KIND_TRANSPORT)
        return &host_rendezvous_table;
    if (strcmp(id, CLAN_TRANSPORT_DEVICE_HOST) == 0 && h->note.kind == CLAN_KIND_TRANSPORT)
        return &host_device_table;
    if (strcmp(id, CLAN_PROGRAM_HOST) == 0) /* transports run programs too */
        return &host_program_table;
    if (strcmp(id, CLAN_SECRET_HOST) == 0)
        return &host_secret_table;
    if (strcmp(id, CLAN_API_HOST) == 0 && host_asks(h, "api.session"))
        return &host_people_table;
    return NULL;
}

void host_api_drop(struct host *h)
{
    h->dropped = true;
    for (unsigned i = 0; i < h->watch_count; i++)
        if (h->watches[i].fd >= 0)
            api_io_unwatch(h, h->watches[i].fd);
    for (unsigned i = 0; i < HOST_TIMERS_MAX; i++)
        api_timer_stop(h, h->timers[i].id);
}

clan_status host_api_open(struct host *h)
{
    host_is_loop_thread = true;
    h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&h->lock, NULL);
    h->log_tokens = HOST_LOG_BURST;
    h->log_at_ms = clock_mono_ms();
    h->table = (struct clan_host){.size = sizeof h->table,
        .abi_major = CLAN_ABI_MAJOR,
        .abi_minor = CLAN_ABI_MINOR,
        .host_data = h,
        .log = api_log,
        .io_watch = api_io_watch,
        .io_unwatch = api_io_unwatch,
        .timer_start = api_timer_start,
        .timer_stop = api_timer_stop,
        .wake = api_wake,
        .random = api_random,
        .get_interface = api_get_interface};
    return h->wake_fd < 0 ? CLAN_E_IO : loop_fd_add(h->loop, h->wake_fd, EPOLLIN, on_wake, h);
}

void host_api_close(struct host *h)
{
    if (h->wake_fd > 0)
        close(h->wake_fd);
    pthread_mutex_destroy(&h->lock);
}
