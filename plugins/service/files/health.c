/* Does the web server answer?  Asked over a unix socket, or seen from its queue where sockets are
 * refused. */
#include "files.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define HEALTH_MS      4000
#define HEALTH_BAD_MAX 3 /* then the program is started anew */

static const char health_question[] = "GET /.clan/settings.json HTTP/1.0\r\n\r\n";

static void answer(struct files *f, bool ok, const char *text)
{
    if (f->health.fd >= 0) {
        clan_io_unwatch(f->host, f->health.fd);
        close(f->health.fd);
        f->health.fd = -1;
    }
    clan_timer_stop(f->host, f->health.timer);
    f->health.timer = 0;
    f->health.bad = ok ? 0 : f->health.bad + 1;
    for (unsigned i = 0; i < FILES_HEALTH_MAX; i++) {
        uint32_t request = f->health.requests[i];
        f->health.requests[i] = 0;
        if (request)
            f->programs->health_result(f->host->host_data, request, ok, text);
    }
    if (f->health.bad >= HEALTH_BAD_MAX && f->phase == FILES_UP) {
        f->health.bad = 0;
        files_restart(f);
    }
}

static void on_late(void *user)
{
    struct files *f = user;
    f->health.timer = 0;
    answer(f, false, "lighttpd did not answer within 4 s");
}

static void on_socket(void *user, int32_t fd, uint32_t events)
{
    struct files *f = user;
    (void)events;
    while (f->health.have < sizeof f->health.answer - 1) {
        ssize_t n = recv(fd, f->health.answer + f->health.have,
            sizeof f->health.answer - 1 - f->health.have, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0)
            break;
        f->health.have += (unsigned)n;
    }
    f->health.answer[f->health.have] = 0;
    bool ok = strncmp(f->health.answer, "HTTP/1.", 7) == 0 && strstr(f->health.answer, " 200");
    answer(f, ok, ok ? "" : "lighttpd answers with an error");
}

/* A listening socket tells how many connections nobody took (tcp(7): TCP_INFO, backlog in
 * tcpi_unacked). */
static void look_at_queue(struct files *f)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    unsigned before = f->health.backlog;
    f->health.backlog = 0;
    if (f->listen_fd >= 0 && getsockopt(f->listen_fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0)
        f->health.backlog = info.tcpi_unacked;
    bool stuck = before && f->health.backlog;
    answer(f, !stuck, stuck ? "lighttpd takes no connections" : "");
}

static bool connect_health(struct files *f)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    snprintf(a.sun_path, sizeof a.sun_path, "%s/health.sock", f->state_dir);
    return connect(f->health.fd, (const struct sockaddr *)&a, sizeof a) == 0 &&
           send(f->health.fd, health_question, sizeof health_question - 1,
               MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof health_question - 1 &&
           clan_io_watch(f->host, f->health.fd, CLAN_IO_READ | CLAN_IO_HUP, on_socket, f) ==
               CLAN_OK &&
           clan_timer_start(f->host, HEALTH_MS, on_late, f, &f->health.timer) == CLAN_OK;
}

static void ask(struct files *f)
{
    f->health.have = 0;
    if (!f->health.no_sockets) {
        f->health.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        f->health.no_sockets = f->health.fd < 0; /* asked once: each refusal is a line in the log */
    }
    if (f->health.no_sockets)
        look_at_queue(f);
    else if (!connect_health(f))
        answer(f, false, "lighttpd cannot be reached");
}

void files_health(struct files *f, uint32_t request)
{
    if (f->phase != FILES_UP) {
        f->programs->health_result(f->host->host_data, request, 0, "lighttpd is being started");
        return;
    }
    bool busy = f->health.fd >= 0;
    for (unsigned i = 0; i < FILES_HEALTH_MAX; i++)
        if (f->health.requests[i] == 0) {
            f->health.requests[i] = request;
            if (!busy)
                ask(f);
            return;
        }
    f->programs->health_result(f->host->host_data, request, 0, "lighttpd answers slowly");
}

void files_health_end(struct files *f)
{
    unsigned bad = f->health.bad;
    answer(f, false, "lighttpd was ended");
    f->health.bad = bad;
}
