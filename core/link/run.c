/* Start: everything that needs calls the sandbox forbids, then the threads, then core's first
 * message. */
#include "link.h"

#include "closer.h"

#include "base/error.h"
#include "base/log.h"
#ifdef LINK_HAVE_SANDBOX
#include "sandbox/sandbox.h"
#endif

#include <malloc.h>
#include <sodium.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* --- the lock --- */

void link_lock(struct link *l)
{
    if (l->depth++)
        return;
    atomic_fetch_add(&l->waiting, 1);
    pthread_mutex_lock(&l->lock);
}

void link_unlock(struct link *l)
{
    clan_assert(l->depth > 0);
    if (--l->depth)
        return;
    atomic_fetch_sub(&l->waiting, 1);
    pthread_cond_signal(&l->turn);
    pthread_mutex_unlock(&l->lock);
}

/* --- start --- */

static bool watch(int epoll, int fd, uint64_t tag)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.u64 = tag};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) == 0;
}

static bool setup(struct link *l, int core_fd)
{
    mallopt(M_ARENA_MAX, 1); /* other arenas grow by mprotect, and cost memory */
    mallopt(
        M_TRIM_THRESHOLD, LINK_QUEUE_FAST); /* a queue that comes and goes; tx_tick gives back */
    if (sodium_init() < 0)
        return false;
    l->cipher = aead_init();
    l->core_fd = core_fd;
    l->tun = -1;
    l->mtu = WIRE_MTU;
    l->line_end = &l->line;
    l->reports_end = &l->reports;
    l->pool.limit = LINK_QUEUE_ALL;
    randombytes_buf(&l->dest_seed, sizeof l->dest_seed);
    randombytes_buf(&l->process, sizeof l->process);
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->turn, NULL);
    l->reading = fq_packet_new(LINK_PACKET_MAX + 1);
    l->keys = sodium_malloc(sizeof *l->keys);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->send_epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return l->keys && l->reading && l->epoll >= 0 && l->send_epoll >= 0 && l->wake_fd >= 0 &&
           watch(l->epoll, core_fd, LINK_TAG_CORE) && watch(l->epoll, l->wake_fd, LINK_TAG_WAKE) &&
           share_setup(l);
}

void link_close_sandbox(struct link *l)
{
    if (l->sandboxed)
        return;
    l->sandboxed = true;
#ifdef LINK_HAVE_SANDBOX
    struct clan_error e = CLAN_ERROR_INIT;
    if (sandbox_close_link(&e) != CLAN_OK) {
        log_clan_error(LOG_LEVEL_ERROR, &e);
        _exit(60); /* never a byte from outside without it */
    }
#else
    log_error("clan-link was built WITHOUT its system call filter: only for tests");
#endif
}

int link_run(int core_fd)
{
    static struct link l; /* pages are touched when they are used */
    pthread_t sender;
    if (!setup(&l, core_fd) || pthread_barrier_init(&l.started, NULL, 3) != 0 ||
        !closer_start(&l.started) || pthread_create(&sender, NULL, link_sender_main, &l) != 0) {
        log_error("clan-link could not start: out of memory or of descriptors");
        return 1;
    }
    pthread_barrier_wait(&l.started);
    if (pthread_getcpuclockid(sender, &l.share.sender) != 0)
        return 1;
    return link_receive_loop(&l);
}
