/* lighttpd works inside its profile: WebDAV into the volume over an inherited socket, then a clean
 * end. */
#include "base/error.h"
#include "profiles/profiles.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEST_UID 0x7000ff02u
#define SKIP     77
#define PORT     8080

static const char config[] =
    "server.systemd-socket-activation = \"enable\"\n"
    "server.bind = \"127.0.0.1\"\nserver.port = 8080\n"
    "server.document-root = \"/volume\"\nserver.modules = (\"mod_webdav\")\n"
    "server.upload-dirs = (\"/volume\")\nserver.network-backend = \"writev\"\n"
    "$HTTP[\"url\"] =~ \"^/\" { webdav.activate = \"enable\" }\n"
    "webdav.sqlite-db-name = \"/state/webdav.db\"\n";

static int lo_up(void)
{
    struct ifreq r = {.ifr_flags = IFF_UP};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(r.ifr_name, sizeof r.ifr_name, "lo");
    int e = ioctl(s, SIOCSIFFLAGS, &r);
    close(s);
    return e;
}

static const struct sockaddr_in here = {
    .sin_family = AF_INET, .sin_port = 0x901f, .sin_addr = {0x0100007f}}; /* 127.0.0.1:8080 */

static int listener(void)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s >= 0 && bind(s, (const struct sockaddr *)&here, sizeof here) == 0 && listen(s, 8) == 0)
        return s;
    return -1;
}

/* One request, its whole answer. */
static bool ask(const char *request, const char *want)
{
    char answer[4096];
    size_t n = 0;
    ssize_t got = 1;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval limit = {10, 0};
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(s, (const struct sockaddr *)&here, sizeof here) != 0 ||
        send(s, request, strlen(request), MSG_NOSIGNAL) < 0)
        got = -1;
    while (got > 0 && n < sizeof answer - 1 &&
           (got = recv(s, answer + n, sizeof answer - 1 - n, 0)) > 0)
        n += (size_t)got;
    close(s);
    answer[n] = 0;
    if (!strstr(answer, want))
        fprintf(stderr, "FAIL: %.40s... answered: %s\n", request, answer);
    return strstr(answer, want) != NULL;
}

static int open_dir(char *path)
{
    if (!mkdtemp(path) || chown(path, TEST_UID, TEST_UID) != 0)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool session(struct sandbox_child *child)
{
    struct clan_error err = CLAN_ERROR_INIT;
    struct pollfd end = {.fd = child->pidfd, .events = POLLIN};
    int status = 0;
    char text[64];
    bool ok =
        ask("PUT /a.txt HTTP/1.0\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "201") &&
        ask("GET /a.txt HTTP/1.0\r\nHost: x\r\n\r\n", "hello") &&
        ask("MKCOL /dir HTTP/1.0\r\nHost: x\r\n\r\n", "201") &&
        ask("MOVE /a.txt HTTP/1.0\r\nHost: x\r\nDestination: http://x/dir/b.txt\r\n\r\n", "201") &&
        ask("PROPFIND /dir HTTP/1.0\r\nHost: x\r\nDepth: 1\r\n\r\n", "b.txt") &&
        ask("DELETE /dir/ HTTP/1.0\r\nHost: x\r\n\r\n", "204");
    if (ok && sandbox_readback(child, "program-lighttpd", &err) != CLAN_OK) {
        fprintf(stderr, "FAIL: %s: %s\n", err.what, err.why);
        ok = false;
    }
    pidfd_send_signal(child->pidfd, SIGTERM, NULL, 0);
    if (poll(&end, 1, 10000) != 1)
        kill(child->pid, SIGKILL);
    waitpid(child->pid, &status, 0);
    sandbox_exit_text(status, text, sizeof text);
    /* 1: a connection was still lingering when it was told to end */
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) <= 1;
    if (!clean)
        fprintf(stderr, "FAIL: lighttpd %s\n", text);
    return ok && clean;
}

static int test(void)
{
    const struct profile_program *row = profile_program_find("lighttpd");
    char state[] = "/tmp/clan-lighttpd-s-XXXXXX", volume[] = "/tmp/clan-lighttpd-v-XXXXXX";
    char *argv[] = {(char *)(uintptr_t) "lighttpd", (char *)(uintptr_t) "-D",
        (char *)(uintptr_t) "-f", (char *)(uintptr_t) "/state/lighttpd.conf", NULL};
    char *envp[] = {(char *)(uintptr_t) "LISTEN_PID=1", (char *)(uintptr_t) "LISTEN_FDS=1", NULL};
    struct clan_error err = CLAN_ERROR_INIT;
    struct sandbox_child child;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0 || lo_up() != 0)
        return 1;
    struct sandbox_bind binds[] = {
        {open_dir(state), "/state", true, false}, {open_dir(volume), "/volume", true, false}};
    struct sandbox_fd fds[] = {{STDERR_FILENO, 2}, {listener(), 3}};
    int fd = openat(binds[0].source_fd, "lighttpd.conf", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    bool ok = fd >= 0 && write(fd, config, strlen(config)) == (ssize_t)strlen(config) &&
              fchmod(fd, 0644) == 0;
    close(fd);
    struct sandbox_spec spec = {.profile = row->sandbox,
        .program = row->program,
        .argv = argv,
        .envp = envp,
        .uid = TEST_UID,
        .gid = TEST_UID,
        .fds = fds,
        .fd_count = 2,
        .binds = binds,
        .bind_count = 2,
        .cgroup_fd = -1};
    if (ok && sandbox_spawn(&spec, &child, &err) != CLAN_OK) {
        fprintf(stderr, "FAIL: %s: %s\n", err.what, err.why);
        ok = false;
    } else if (ok) {
        close(fds[1].from);
        ok = session(&child);
    }
    unlinkat(binds[0].source_fd, "lighttpd.conf", 0);
    unlinkat(binds[0].source_fd, "webdav.db", 0);
    rmdir(state);
    rmdir(volume);
    if (ok)
        printf("lighttpd served WebDAV in its sandbox\n");
    return !ok;
}

int main(void)
{
    int status;
    if (geteuid() != 0 || access("/usr/sbin/lighttpd", X_OK) != 0 ||
        unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) != 0) {
        printf("SKIP: needs root and lighttpd with mod_webdav\n");
        return SKIP;
    }
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(test());
    }
    int result = waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    _exit(result); /* the leak checker cannot start its helper here: the PID namespace has ended */
}
