/* Whose connection it is, by the kernel's table: where the plugin runs as a program of its user, without a firewall's
 * rule that keeps the others away. */
#include "dashboard.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define TABLE       "/proc/self/net/tcp"
#define ESTABLISHED 1

/* A row is the other end's socket when its two addresses are ours, changed about. */
bool peer_is(const struct clan_api_listener *at, const struct sockaddr *from, socklen_t size)
{
    struct sockaddr_in here, there;
    socklen_t here_size = sizeof here;
    char line[256];
    bool found = false;
    if (size < sizeof there || from->sa_family != AF_INET ||
        getsockname(at->fd, (struct sockaddr *)&here, &here_size) != 0)
        return false;
    memcpy(&there, from, sizeof there);
    FILE *f = fopen(TABLE, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        unsigned local, local_port, remote, remote_port, state, uid;
        if (sscanf(line, " %*u: %8x:%4x %8x:%4x %2x %*x:%*x %*x:%*x %*x %u", &local, &local_port,
                &remote, &remote_port, &state, &uid) != 6)
            continue;
        /* a socket that was closed is nobody's: the table says root's */
        found = state == ESTABLISHED && local == there.sin_addr.s_addr &&
                local_port == ntohs(there.sin_port) && remote == here.sin_addr.s_addr &&
                remote_port == ntohs(here.sin_port) && uid == at->uid;
    }
    if (f)
        fclose(f);
    return found;
}
