/* Calls from core's side to a service in a clan-host in its sandbox: `host_call CLAN-HOST PLUGIN ID COUNT`. */
#include "base/error.h"
#include "brain/chan.h"
#include "sandbox/sandbox.h"
#include "wire/host.pb.h"
#include "wire/warden_requests.h"

#include <fcntl.h>
#include <pb_decode.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define BENCH_UID  0x7000fe01u
#define WARM_CALLS 1000u
#define SKIP       77

/* Core's side of the channel is core's own code: the same loop, queue and decoding. */
static struct {
    struct sandbox_child child;
    struct chan *chan;
    int log;
    uv_poll_t log_poll, notify_poll;
    clan_host_ToHost out;
    clan_host_FromHost in;
    uint32_t count, done; /* calls wanted after the warm-up; answered, warm-up included */
    uint64_t sent_ns;
    double *us;
} bench;

static _Noreturn void fail(const char *what, const struct clan_error *e)
{
    fprintf(
        stderr, "host_call: %s%s%s %s\n", what, e ? ": " : "", e ? e->what : "", e ? e->why : "");
    if (bench.child.pid > 0)
        pidfd_send_signal(bench.child.pidfd, SIGKILL, NULL, 0);
    exit(1);
}

static clan_host_ToHost *blank(pb_size_t which)
{
    memset(&bench.out, 0, sizeof bench.out);
    bench.out.which_m = which;
    return &bench.out;
}

static void tell(void)
{
    if (!chan_send(bench.chan, clan_host_ToHost_fields, &bench.out, NULL, 0))
        fail("the host does not take messages", NULL);
}

static void call(void)
{
    bench.sent_ns = uv_hrtime();
    blank(clan_host_ToHost_ask_health_tag)->m.ask_health.request = bench.done + 1;
    tell();
}

static void answered(const clan_host_Health *m)
{
    if (m->request != bench.done + 1 || !m->ok)
        fail("the plugin did not answer the question", NULL);
    if (bench.done >= WARM_CALLS)
        bench.us[bench.done - WARM_CALLS] = (double)(uv_hrtime() - bench.sent_ns) / 1000;
    if (++bench.done < WARM_CALLS + bench.count)
        call();
    else {
        blank(clan_host_ToHost_stop_tag);
        tell();
    }
}

static void on_state(const clan_host_StateIs *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    switch (m->state) {
    case clan_host_State_STATE_LOADED:
        strcpy(blank(clan_host_ToHost_create_tag)->m.create.instance, "bench");
        tell();
        break;
    case clan_host_State_STATE_CREATED:
        blank(clan_host_ToHost_start_tag);
        tell();
        break;
    case clan_host_State_STATE_STARTED:
        call();
        break;
    case clan_host_State_STATE_STOPPED:
        uv_stop(uv_default_loop());
        break;
    default:
        snprintf(e.what, sizeof e.what, "%s", m->error.what);
        snprintf(e.why, sizeof e.why, "%s", m->error.why);
        fail("the plugin does not run", &e);
    }
}

static void on_message(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    (void)arg;
    channel_close_fds(fds, fd_count);
    pb_istream_t is = pb_istream_from_buffer(data, size);
    if (!pb_decode(&is, clan_host_FromHost_fields, &bench.in))
        fail("the host sent what cannot be read", NULL);
    if (bench.in.which_m == clan_host_FromHost_state_is_tag)
        on_state(&bench.in.m.state_is);
    else if (bench.in.which_m == clan_host_FromHost_health_tag)
        answered(&bench.in.m.health);
}

static void on_gone(void *arg)
{
    (void)arg;
    if (bench.done < WARM_CALLS + bench.count) /* else it was told to stop */
        fail("the host ended", NULL);
    uv_stop(uv_default_loop());
}

/* The warden's part: what the host logs, and the opens that the sandbox asks about. */
static void on_log(uv_poll_t *poll, int status, int events)
{
    char text[2048];
    ssize_t n = recv(bench.log, text, sizeof text - 1, MSG_DONTWAIT);
    (void)status;
    (void)events;
    if (n <= 0) {
        uv_poll_stop(poll);
        return;
    }
    text[n] = 0;
    if (strcmp(text, "\001loaded") == 0)
        bench.child.loaded = true;
    else
        fprintf(stderr, "host_call: the host says: %s\n", text + 1);
}

static void on_notification(uv_poll_t *poll, int status, int events)
{
    char text[256] = "";
    (void)status;
    if (events & UV_DISCONNECT)
        uv_poll_stop(poll);
    else if (sandbox_notification(&bench.child, text, sizeof text) == CLAN_OK && text[0])
        fprintf(stderr, "host_call: %s\n", text);
}

static void start(const char *host, const char *plugin, const char *id)
{
    struct clan_error e = CLAN_ERROR_INIT;
    int channel[2], log[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int so = open(plugin, O_RDONLY | O_CLOEXEC);
    if (so < 0 || null < 0 || channel_pair(channel) != CLAN_OK || channel_pair(log) != CLAN_OK)
        fail("the plugin cannot be opened", NULL);
    const struct sandbox_fd fds[] = {{channel[1], CHILD_FD_CHANNEL}, {log[1], CHILD_FD_LOG},
        {so, CHILD_FD_PLUGIN}, {null, CHILD_FD_STATE}, {null, CHILD_FD_VOLUME}};
    const char *const argv[] = {"clan-host", id, "bench", "0", NULL}, *const envp[] = {NULL};
    const struct sandbox_spec spec = {.profile = "host",
        .program = host,
        .argv = (char *const *)(uintptr_t)argv,
        .envp = (char *const *)(uintptr_t)envp,
        .uid = BENCH_UID,
        .gid = BENCH_UID,
        .fds = fds,
        .fd_count = sizeof fds / sizeof fds[0],
        .cgroup_fd = -1,
        .weaker = SANDBOX_WEAKER_CGROUP};
    if (sandbox_spawn(&spec, &bench.child, &e) != CLAN_OK ||
        sandbox_readback(&bench.child, "host", &e) != CLAN_OK)
        fail("the host is not started", &e);
    close(channel[1]);
    close(log[1]);
    close(so);
    close(null);
    bench.log = log[0];
    bench.chan = chan_open(uv_default_loop(), channel[0], on_message, on_gone, NULL);
    uv_poll_init(uv_default_loop(), &bench.log_poll, bench.log);
    uv_poll_start(&bench.log_poll, UV_READABLE, on_log);
    if (bench.child.notify_fd >= 0) {
        uv_poll_init(uv_default_loop(), &bench.notify_poll, bench.child.notify_fd);
        uv_poll_start(&bench.notify_poll, UV_READABLE | UV_DISCONNECT, on_notification);
    }
}

int main(int argc, char **argv)
{
    bench.count = argc == 5 ? (uint32_t)strtoul(argv[4], NULL, 10) : 0;
    if (bench.count == 0 || bench.count > 10000000) {
        fprintf(stderr, "usage: host_call CLAN-HOST PLUGIN ID COUNT\n");
        return 2;
    }
    if (geteuid() != 0) {
        fprintf(stderr, "SKIP: only root can make the sandbox\n");
        return SKIP;
    }
    bench.us = calloc(bench.count, sizeof *bench.us);
    clan_assert(bench.us);
    start(argv[1], argv[2], argv[3]);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    int status = 0;
    if (waitpid(bench.child.pid, &status, 0) != bench.child.pid || status != 0)
        fail("the host did not end well", NULL);
    chan_close(bench.chan);
    for (uint32_t i = 0; i < bench.count; i++)
        printf("%.3f\n", bench.us[i]);
    return 0;
}
