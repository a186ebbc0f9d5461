/* Two clan-link processes in two network namespaces joined by a veth pair; the test plays both
 * cores. */
#ifndef LAB_LINK_LAB_H
#define LAB_LINK_LAB_H

#include "wire/counters.h"

#include "wire/link.pb.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define LAB_SKIP 77

#define lab_require(cond)                                                                          \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #cond);                     \
            lab_end();                                                                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct lab_end {
    pid_t pid;
    int channel, log, ns, tun, listener;
    char address[48], veth[16];
    uint8_t machine_id[32], ip6[16];
    uint8_t link_secret[32], control_secret[32], door_secret[32];
    uint8_t link_key[32], control_key[32], door_key[32];
    uint32_t next_session;
    clan_link_FromLink got; /* of the last lab_wait */
};

extern struct lab_end lab[2];
extern uint8_t lab_clan[32];

/* Set before lab_start: end 1's TUN has no virtio_net_hdr and no offloads. */
extern bool lab_plain_tun;

/* Makes everything; exits with LAB_SKIP where namespaces or TUN devices are not to be had. */
void lab_start(const char *program);
void lab_end(void);

void lab_run(int end, const char *shell); /* in that end's namespace; must succeed */
int lab_try(int end, const char *shell);

void lab_tell(int end, const clan_link_ToLink *m, int fd);
/* The next message of that kind into lab[end].got; others are passed over.  false: none in time. */
bool lab_wait(int end, pb_size_t which, int timeout_ms);
void lab_hello(int end, uint64_t incarnation);
void lab_synced(int end);
void lab_peer(int end, bool known); /* the other end becomes a peer, or is gone */
void lab_tables(int end);           /* Keys, Own, Peer as a core would send them */

/* A connected TCP pair through the veth: a at end `from`, b accepted at the other. */
void lab_connect(int from, int *ret_a, int *ret_b);
/* Hands over descriptors (and closes them here).  Returns the session numbers. */
uint32_t lab_dial(int end, clan_link_Purpose purpose, int fd);
uint32_t lab_accept(int end, int fd, const uint8_t *remote);
/* Both ends of a new session up; returns end `from`'s number. */
uint32_t lab_session(int from, clan_link_Purpose purpose);

/* One TCP flow from end 0 to end 1, until lab_flow_end. */
void lab_flow(pid_t ret_pids[2], int number);
void lab_flow_end(const pid_t pids[2]);

/* What a relay between two AF_UNIX streams saw. */
struct lab_relay {
    pid_t pid;
    volatile uint64_t frames[3]; /* by type, both directions */
    volatile uint64_t longest;   /* frame since it was set to 0 */
    volatile uint64_t bytes;
};
/* A new link session through a relay of that rate (bytes/s, 0: as fast as it goes). */
struct lab_relay *lab_relay(int from, uint64_t rate);
void lab_relay_end(struct lab_relay *r);

uint64_t lab_counter(int end, int which);
clan_link_PeerStats lab_peer_stats(int end);
bool lab_dumpable(int end);               /* other processes may read its memory */
uint32_t lab_live(int end, bool control); /* session number of the peer, 0: none */

#endif
