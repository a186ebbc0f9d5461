/* One network interface of ours: making it, its sizes, its switches. */
#ifndef NETCONF_INTERFACE_H
#define NETCONF_INTERFACE_H

#include <clan/status.h>
#include <stdint.h>

#define INTERFACE_NAME 16 /* IFNAMSIZ */

/* Opens a TUN.  name: as wished, "%d" in it becomes the first free number; WARD_TUN_ bits go to
 * ret_flags.  It is gone with its last descriptor. */
clan_status interface_tun(char name[INTERFACE_NAME], int *ret_fd, unsigned *ret_index,
    uint32_t *ret_flags, struct clan_error *e);
unsigned interface_index(const char *name);                         /* 0: there is none */
clan_status interface_remove(unsigned index, struct clan_error *e); /* one that is gone is fine */

clan_status interface_sizes(unsigned index, uint32_t mtu, struct clan_error *e);
clan_status interface_quiet(
    const char *name, struct clan_error *e); /* no addresses that it makes up */
clan_status interface_up(unsigned index, struct clan_error *e);
void interface_no_queue(unsigned index);

#endif
