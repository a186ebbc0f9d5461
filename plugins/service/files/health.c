/* Does the web server take connections?  Its sandbox and ours open none, so its queue is looked at. */
#include "files.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define HEALTH_BAD_MAX 3 /* then the program is started anew */

/* A listening socket tells how many connections nobody took (tcp(7): TCP_INFO, backlog in
 * tcpi_unacked).  One that waits now may be taken in a moment. */
static bool queue_stuck(struct files *f)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    unsigned before = f->health.backlog;
    f->health.backlog = 0;
    if (f->listen_fd >= 0 && getsockopt(f->listen_fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        f->health.backlog = info.tcpi_unacked;
    return before && f->health.backlog;
}

void files_health(struct files *f, uint32_t request)
{
    const char *why = "lighttpd is being started";
    if (f->phase == FILES_UP)
        why = queue_stuck(f) ? "lighttpd takes no connections" : "";
    f->programs->health_result(f->host->host_data, request, !why[0], why);
    if (f->phase != FILES_UP)
        return;
    f->health.bad = why[0] ? f->health.bad + 1 : 0;
    if (f->health.bad >= HEALTH_BAD_MAX) {
        f->health.bad = 0;
        files_restart(f);
    }
}
