/* The thread that only closes descriptors: close() of a plugin's socket may wait (SECURITY F6). */
#ifndef LINK_CLOSER_H
#define LINK_CLOSER_H

#include <pthread.h>
#include <stdbool.h>

bool closer_start(pthread_barrier_t *started); /* the thread waits there when it runs */
void closer_close(int fd);                     /* takes the descriptor; < 0 is ignored */

#endif
