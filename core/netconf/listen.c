/* Listening sockets: at addresses of this computer, and in the file system. */
#include "netconf/netconf.h"

#include "base/error.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int netconf_socket(
    int type, const uint8_t address[16], uint16_t port, unsigned tries, struct clan_error *e)
{
    bool v4 = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
    int on = 1, fd = socket(v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
    struct sockaddr_in a4 = {.sin_family = AF_INET};
    memcpy(&a6.sin6_addr, address, 16);
    memcpy(&a4.sin_addr, address + 12, 4);
    if (fd >= 0 && type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd >= 0 && !v4) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on);
    }
    for (unsigned i = 0; fd >= 0 && i < tries && port + i <= 65535; i++) {
        a6.sin6_port = a4.sin_port = htons((uint16_t)(port + i));
        if (bind(fd, v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
                v4 ? sizeof a4 : sizeof a6) == 0 &&
            (type != SOCK_STREAM || listen(fd, 512) == 0))
            return fd;
        if (errno != EADDRINUSE)
            break;
    }
    bool taken = errno == EADDRINUSE;
    err_errno(e, CLAN_E_IO, "cannot listen on port %u", port);
    if (taken) {
        err_why(e, "another program on this computer listens on that port at every address");
        err_remedy(e,
            "see which: ss -l%cnp 'sport = :%u'; let it listen at its own addresses only, or end "
            "it",
            type == SOCK_STREAM ? 't' : 'u', port);
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

unsigned netconf_listen(const struct netconf *n, const struct grant_plugin *p, bool with_people,
    unsigned tries, void (*failed)(void *arg, const struct clan_error *e), void *arg,
    int ret_fds[NETCONF_LISTEN_MAX])
{
    unsigned count = 0, own = p->permissions & GRANT_NET_LISTEN ? p->listen_count : 0;
    unsigned people = with_people && (p->permissions & GRANT_API_SESSION) ? n->people_count : 0;
    for (unsigned i = 0; i < own + people; i++) {
        struct clan_error e = CLAN_ERROR_INIT;
        uint8_t address[16];
        bool theirs = i >= own;
        if (theirs)
            grants_address(n->slot, i - own, address);
        int fd = netconf_socket(SOCK_STREAM, theirs ? address : p->listen[i].addr,
            theirs ? GRANTS_PEOPLE_PORT : p->listen[i].port, theirs ? 1 : tries, &e);
        if (fd >= 0)
            ret_fds[count++] = fd;
        else
            failed(arg, &e); /* the others may do */
    }
    return count;
}

int netconf_unix(const char *path, uid_t uid, gid_t gid, mode_t mode, struct clan_error *e)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (snprintf(at.sun_path, sizeof at.sun_path, "%s", path) >= (int)sizeof at.sun_path)
        errno = ENAMETOOLONG;
    else if (fd >= 0 && (unlink(path) == 0 || errno == ENOENT) &&
             bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && chown(path, uid, gid) == 0 &&
             chmod(path, mode) == 0 && listen(fd, 64) == 0)
        return fd;
    err_errno(e, CLAN_E_IO, "cannot listen at %s", path);
    if (fd >= 0)
        close(fd);
    return -1;
}

int netconf_unix_in(const char *directory, const char *name, uid_t uid, gid_t gid, mode_t mode,
    struct clan_error *e)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.sock", directory, name);
    return netconf_unix(path, uid, gid, mode, e);
}

void netconf_unix_remove(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.sock", directory, name);
    unlink(path);
}
