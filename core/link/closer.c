/* A ring of descriptors to close, and who closes them. */
#include "closer.h"

#include "sock.h"

#include "base/error.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define RING 16384 /* more than descriptors exist */

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ring_filled = PTHREAD_COND_INITIALIZER;
static int ring[RING];
static unsigned ring_in, ring_out;

static void *closer_main(void *arg)
{
    pthread_barrier_wait(arg);
    for (;;) {
        pthread_mutex_lock(&ring_lock);
        while (ring_in == ring_out)
            pthread_cond_wait(&ring_filled, &ring_lock);
        int fd = ring[ring_out++ % RING];
        pthread_mutex_unlock(&ring_lock);
        sock_before_close(fd);
        close(fd);
    }
    return NULL;
}

bool closer_start(pthread_barrier_t *started)
{
    pthread_t thread;
    return pthread_create(&thread, NULL, closer_main, started) == 0;
}

void closer_close(int fd)
{
    if (fd < 0)
        return;
    shutdown(fd, SHUT_RDWR); /* never waits; the plugin's copy is dead from now on */
    pthread_mutex_lock(&ring_lock);
    clan_assert(ring_in - ring_out < RING);
    ring[ring_in++ % RING] = fd;
    pthread_cond_signal(&ring_filled);
    pthread_mutex_unlock(&ring_lock);
}
