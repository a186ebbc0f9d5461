/* clan-host with the files plugin, and its lighttpd, each inside its real sandbox: HTTP, health, a
 * clean end. */
#include "base/clock.h"
#include "base/error.h"
#include "profiles/profiles.h"
#include "sandbox/sandbox.h"
#include "wire/channel.h"
#include "wire/host.pb.h"

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

#define HOST_UID    0x7000ff10u
#define PROGRAM_UID 0x7000ff11u
#define PORT        8099
#define SKIP        77

static struct sandbox_child host, program;
static int channel[2], host_log[2], listener, state, volume;
static bool up, healthy, stopped, refused;

static int fail(const char *what, const struct clan_error *e)
{
    fprintf(stderr, "FAIL: %s %s %s\n", what, e ? e->what : "", e ? e->why : "");
    return 1;
}

/* As the warden makes them: the state is the host's, the volume the program's, the group the
 * host's. */
static int make_dir(char *path, uid_t uid, mode_t mode)
{
    if (!mkdtemp(path) || chown(path, uid, HOST_UID) != 0 || chmod(path, mode) != 0)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool make_sockets(void)
{
    struct sockaddr_in6 a = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(PORT)};
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool lo = ioctl(s, SIOCSIFFLAGS, &r) == 0;
    close(s);
    return lo && bind(listener, (const struct sockaddr *)&a, sizeof a) == 0 &&
           listen(listener, 64) == 0;
}

static bool spawn(const char *profile, const char *file, char *const *argv, char *const *envp,
    uid_t uid, gid_t extra, const struct sandbox_fd *fds, unsigned fd_count, bool writes_state,
    struct sandbox_child *ret, struct clan_error *e)
{
    const struct sandbox_bind binds[] = {
        {state, "/state", writes_state, false}, {volume, "/volume", true, false}};
    struct sandbox_spec spec = {.profile = profile,
        .program = file,
        .argv = argv,
        .envp = envp,
        .uid = uid,
        .gid = uid,
        .extra_gid = extra,
        .fds = fds,
        .fd_count = fd_count,
        .binds = binds,
        .bind_count = 2,
        .cgroup_fd = -1};
    return sandbox_spawn(&spec, ret, e) == CLAN_OK;
}

static bool spawn_host(const char *file, const char *plugin, struct clan_error *e)
{
    char *argv[] = {strdup("clan-host"), strdup("files"), strdup("files"), strdup("1"), NULL};
    char *envp[] = {NULL};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), so = open(plugin, O_RDONLY | O_CLOEXEC);
    const struct sandbox_fd fds[] = {{null, 0}, {null, 1}, {null, 2}, {channel[1], 3},
        {host_log[1], 4}, {so, 5}, {state, 6}, {volume, 7}, {listener, 8}};
    return so >= 0 && spawn("host", file, argv, envp, HOST_UID, 0, fds, 9, true, &host, e);
}

static bool spawn_program(struct clan_error *e)
{
    const struct profile_program *row = profile_program_find("lighttpd");
    char *argv[] = {
        strdup("lighttpd"), strdup("-D"), strdup("-f"), strdup("/state/lighttpd.conf"), NULL};
    char *envp[] = {strdup("LISTEN_PID=1"), strdup("LISTEN_FDS=1"), NULL};
    const struct sandbox_fd fds[] = {{STDERR_FILENO, 2}, {listener, 3}};
    return spawn(
        row->sandbox, row->program, argv, envp, PROGRAM_UID, HOST_UID, fds, 2, false, &program, e);
}

static void tell(clan_host_ToHost *m, pb_size_t which)
{
    m->which_m = which;
    channel_send(channel[0], clan_host_ToHost_fields, m, NULL, 0);
}

static bool on_state(const clan_host_StateIs *m)
{
    clan_host_ToHost t = {0};
    if (m->state == clan_host_State_STATE_FAILED) {
        fprintf(stderr, "FAIL: %s: %s\n", m->error.what, m->error.why);
        return false;
    }
    if (m->state == clan_host_State_STATE_LOADED) {
        strcpy(t.m.create.instance, "files");
        t.m.create.service_address.size = 16;
        t.m.create.service_address.bytes[15] = 1;
        t.m.create.service_port = PORT;
        tell(&t, clan_host_ToHost_create_tag);
    }
    if (m->state == clan_host_State_STATE_CREATED)
        tell(&t, clan_host_ToHost_start_tag);
    up = up || m->state == clan_host_State_STATE_STARTED;
    stopped = m->state == clan_host_State_STATE_STOPPED;
    return true;
}

static bool on_message(const clan_host_FromHost *m)
{
    clan_host_ToHost t = {0};
    struct clan_error e = CLAN_ERROR_INIT;
    if (m->which_m == clan_host_FromHost_state_is_tag)
        return on_state(&m->m.state_is);
    if (m->which_m == clan_host_FromHost_run_tag) {
        if (!spawn_program(&e))
            return !fail("lighttpd", &e);
        t.m.run_result.request = m->m.run.request;
        t.m.run_result.run = 9;
        tell(&t, clan_host_ToHost_run_result_tag);
    }
    if (m->which_m == clan_host_FromHost_health_tag) {
        healthy = m->m.health.ok;
        fprintf(stderr, "health: %d %s\n", m->m.health.ok, m->m.health.text);
    }
    return true;
}

/* What the warden and core do between two events; until *flag, within 10 s. */
static bool serve_until(const bool *flag)
{
    uint64_t end = clock_mono_ms() + 10000;
    while (!*flag && clock_mono_ms() < end) {
        struct pollfd p[] = {
            {channel[0], POLLIN, 0}, {host.notify_fd, POLLIN, 0}, {host_log[0], POLLIN, 0}};
        clan_host_FromHost m = clan_host_FromHost_init_zero;
        int fds[4];
        size_t n;
        char text[1100];
        poll(p, 3, 50);
        ssize_t len = recv(host_log[0], text, sizeof text - 1, MSG_DONTWAIT);
        if (len > 0) {
            text[len] = 0;
            host.loaded = host.loaded || text[0] == 1;
            fprintf(stderr, "host: %s\n", text + 1);
        }
        if ((p[1].revents & POLLIN) && sandbox_notification(&host, text, sizeof text) == CLAN_OK &&
            text[0]) {
            fprintf(stderr, "sandbox: %s\n", text);
            refused = refused || strstr(text, "socket") || strstr(text, "connect");
        }
        if (channel_recv(channel[0], clan_host_FromHost_fields, &m, fds, 4, &n) == CLAN_OK &&
            !on_message(&m))
            return false;
    }
    return *flag;
}

static bool ask(const char *request, const char *want)
{
    struct sockaddr_in6 a = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_port = htons(PORT)};
    char answer[8192];
    size_t n = 0;
    ssize_t got = 1;
    struct timeval limit = {5, 0};
    int s = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(s, (const struct sockaddr *)&a, sizeof a) != 0 ||
        send(s, request, strlen(request), 0) < 0)
        got = -1;
    while (got > 0 && n < sizeof answer - 1 &&
           (got = recv(s, answer + n, sizeof answer - 1 - n, 0)) > 0)
        n += (size_t)got;
    close(s);
    answer[n] = 0;
    if (!strstr(answer, want))
        fprintf(stderr, "FAIL: %.60s answered: %s\n", request, answer);
    return strstr(answer, want) != NULL;
}

static bool requests(void)
{
    return ask("PUT /a%20b.txt HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "201") &&
           ask("PUT /c.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
               "chunked\r\n\r\n"
               "5\r\nhello\r\n0\r\n\r\n",
               "201") &&
           ask("GET /a%20b.txt HTTP/1.0\r\n\r\n", "hello") &&
           ask("GET / HTTP/1.0\r\n\r\n", "/.clan/files.js") &&
           ask("GET /.clan/settings.json HTTP/1.0\r\n\r\n", "Shared files") &&
           ask("MKCOL /dir HTTP/1.0\r\n\r\n", "201") &&
           ask("OPTIONS / HTTP/1.0\r\n\r\n", "DAV: 1,2") &&
           ask("LOCK /c.txt HTTP/1.0\r\nContent-Length: 119\r\n\r\n<?xml "
               "version=\"1.0\"?><lockinfo xmlns=\"DAV:\">"
               "<lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>",
               "locktoken") &&
           ask("MOVE /a%20b.txt HTTP/1.0\r\nHost: x\r\nDestination: http://x/dir/d.txt\r\n\r\n",
               "201") &&
           ask("DELETE /dir/ HTTP/1.0\r\n\r\n", "204");
}

static int test(const char *host_file, const char *plugin)
{
    static char state_path[] = "/tmp/clan-files-s-XXXXXX",
                volume_path[] = "/tmp/clan-files-v-XXXXXX";
    struct clan_error e = CLAN_ERROR_INIT;
    clan_host_ToHost t = {0};
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777") != 0 ||
        mount("proc", "/proc", "proc", 0, NULL) != 0)
        return fail("namespaces", NULL);
    umask(077);
    state = make_dir(state_path, HOST_UID, 02750);
    volume = make_dir(volume_path, PROGRAM_UID, 02770);
    if (state < 0 || volume < 0 || !make_sockets() || channel_pair(channel) != CLAN_OK ||
        channel_pair(host_log) != CLAN_OK)
        return fail("preparation", NULL);
    if (!spawn_host(host_file, plugin, &e))
        return fail("clan-host", &e);
    if (!serve_until(&up) || !requests())
        return fail("the service", NULL);
    t.m.ask_health.request = 3;
    tell(&t, clan_host_ToHost_ask_health_tag);
    if (!serve_until(&healthy))
        return fail("health", NULL);
    if (refused)
        return fail("the plugin tried a socket of its own", NULL);
    memset(&t, 0, sizeof t);
    tell(&t, clan_host_ToHost_stop_tag);
    if (!serve_until(&stopped))
        return fail("the end", NULL);
    pidfd_send_signal(program.pidfd, SIGTERM, NULL, 0);
    printf("shared files were served from inside both sandboxes\n");
    return 0;
}

int main(int argc, char **argv)
{
    int status, host_fd = argc == 3 ? open(argv[1], O_RDONLY) : -1,
                so = argc == 3 ? open(argv[2], O_RDONLY) : -1;
    char host_file[32], plugin[32]; /* by descriptor: the test hides /tmp, where they may lie */
    if (host_fd < 0 || so < 0)
        return 64;
    if (geteuid() != 0 || access("/usr/lib/lighttpd/mod_webdav.so", R_OK) != 0 ||
        unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) != 0) {
        printf("SKIP: needs root, lighttpd and lighttpd-mod-webdav\n");
        return SKIP;
    }
    snprintf(host_file, sizeof host_file, "/proc/self/fd/%d", host_fd);
    snprintf(plugin, sizeof plugin, "/proc/self/fd/%d", so);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        exit(test(host_file, plugin));
    }
    int result = waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1;
    _exit(result); /* the leak checker cannot start its helper here: the PID namespace has ended */
}
