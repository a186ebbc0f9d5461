/* One life of the plugin in clan-host, inside the sandbox that its permissions give it. */
#include "check/tool/tool.h"

#include "base/error.h"
#include "profiles/profiles.h"
#include "sandbox/sandbox.h"
#include "wire/channel.h"
#include "wire/host.pb.h"
#include "wire/warden_requests.h"

#include <arpa/inet.h>
#include <clan/plugin.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOX_HOST_UID    0x7000ff20u
#define BOX_PROGRAM_UID 0x7000ff21u
#define BOX_PHASE_MS    6000

struct box {
    struct subject *s;
    struct try_report *r;
    struct sandbox_child host, program;
    bool has_program;
    uint32_t without; /* SANDBOX_WITHOUT_ bits */
    uid_t host_uid, program_uid;
    int channel, log, listener, state, volume, null, tun;
    uint16_t port;
    clan_host_State at;
    bool answered; /* dial or health */
    char refused[400];
    char missing[160]; /* a program that is not installed */
    struct clan_error error;
};

static void tell(struct box *b, clan_host_ToHost *m, pb_size_t which)
{
    m->which_m = which;
    channel_send(b->channel, clan_host_ToHost_fields, m, NULL, 0);
}

/* As core before Start: a pair of sockets for the TUN, UDP of loopback, a key. */
static bool tell_device(struct box *b)
{
    clan_host_ToHost m = clan_host_ToHost_init_zero;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int pair[2], udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (udp < 0 || bind(udp, (struct sockaddr *)&a, len) != 0 ||
        getsockname(udp, (struct sockaddr *)&a, &len) != 0 ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    m.m.device.tun = m.m.device.udp4 = true;
    m.m.device.tun_flags = WARD_TUN_VNET;
    m.m.device.mtu = 1420;
    m.m.device.port = ntohs(a.sin_port);
    memset(m.m.device.secret, 7, sizeof m.m.device.secret);
    m.which_m = clan_host_ToHost_device_tag;
    const int fds[] = {pair[0], udp};
    channel_send(b->channel, clan_host_ToHost_fields, &m, fds, 2);
    close(pair[0]);
    close(udp);
    b->tun = pair[1]; /* its other end, which would look like an interface that is gone */
    return true;
}

static bool lo_up(void)
{
    struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = ioctl(s, SIOCSIFFLAGS, &r) == 0;
    close(s);
    return up;
}

static int open_dir(const struct box *b, const char *path, uid_t uid, mode_t mode)
{
    if (chown(path, uid, b->host_uid) != 0 || chmod(path, mode) != 0)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool has_program_row(const struct subject *s, const struct profile_program **ret)
{
    *ret = NULL;
    for (unsigned i = 0; i < s->note.asks_count && !*ret; i++)
        if (strncmp(s->note.asks[i], "exec:", 5) == 0)
            *ret = profile_program_find(s->note.asks[i] + 5);
    return *ret != NULL;
}

static bool prepare(struct box *b)
{
    const struct profile_program *row;
    struct subject *s = b->s;
    bool service = s->note.kind == CLAN_KIND_SERVICE;
    bool listens = note_asks(&s->note, "net.listen") || note_asks(&s->note, "net.service");
    bool bare = b->without & SANDBOX_WITHOUT_ROOT;
    bool made = bare || b->without ||
                (unshare(CLONE_NEWNS | CLONE_NEWNET) == 0 &&
                    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    if (!made || (!bare && !lo_up())) {
        try_skip(b->r, "run it as root outside of a container that forbids them",
            "no mount and network namespace can be made here: the sandbox was not in force");
        return false;
    }
    uid_t owner = has_program_row(s, &row) ? b->program_uid : b->host_uid;
    bool state = !bare && note_asks(&s->note, "fs.state");
    b->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    b->listener = listens ? loopback_listener(&b->port) : -1;
    b->state = state ? open_dir(b, s->state, b->host_uid, 02750) : b->null;
    b->volume = service && !bare ? open_dir(b, s->volume, owner, 02770) : b->null;
    if (b->null < 0 || b->state < 0 || b->volume < 0 || (listens && b->listener < 0)) {
        try_skip(b->r, "", "the directories of the sandbox cannot be made");
        return false;
    }
    return true;
}

static clan_status spawn(struct box *b, const char *profile, const char *file, char *const *argv,
    char *const *envp, uid_t uid, gid_t extra, const struct sandbox_fd *fds, unsigned fd_count,
    bool writes_state, struct sandbox_child *ret, struct clan_error *e)
{
    struct sandbox_bind binds[2];
    unsigned n = 0;
    if (b->state != b->null)
        binds[n++] = (struct sandbox_bind){b->state, "/state", writes_state, false};
    if (b->volume != b->null)
        binds[n++] = (struct sandbox_bind){b->volume, "/volume", true, false};
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
        .bind_count = n,
        .cgroup_fd = -1,
        .without = b->without};
    return sandbox_spawn(&spec, ret, e);
}

static bool spawn_host(struct box *b)
{
    char id[32], count[4];
    int channel[2], log[2];
    const char *profile = note_asks(&b->s->note, "net.device")    ? "host-device"
                          : note_asks(&b->s->note, "net.connect") ? "host-net"
                                                                  : "host";
    snprintf(id, sizeof id, "%s", b->s->note.id);
    snprintf(count, sizeof count, "%d", b->listener >= 0);
    char name[] = "clan-host", *argv[] = {name, id, id, count, NULL}, *envp[] = {NULL};
    if (channel_pair(channel) != CLAN_OK || channel_pair(log) != CLAN_OK)
        return false;
    const struct sandbox_fd fds[] = {{b->null, 0}, {b->null, 1}, {b->null, 2}, {channel[1], 3},
        {log[1], 4}, {b->s->fd, 5}, {b->state, 6}, {b->volume, 7}, {b->listener, 8}};
    clan_status st = spawn(b, profile, b->s->host, argv, envp, b->host_uid, 0, fds,
        b->listener >= 0 ? 9 : 8, true, &b->host, &b->error);
    close(channel[1]);
    close(log[1]);
    b->channel = channel[0];
    b->log = log[0];
    if (st == CLAN_OK)
        st = sandbox_readback(&b->host, profile, &b->error);
    if (st != CLAN_OK)
        try_skip(b->r, b->error.remedy, "the sandbox was not in force: %s: %s", b->error.what,
            b->error.why);
    return st == CLAN_OK;
}

/* As the warden starts it: arguments of the row, the service's socket as descriptor 3. */
static clan_status spawn_program(struct box *b, const char *profile, struct clan_error *e)
{
    const struct profile_program *row = profile_program_find(profile);
    char text[8][128], fds_env[] = "LISTEN_FDS=1", *argv[9] = {NULL}, *envp[9] = {NULL};
    unsigned n = 0;
    if (!row)
        return err_set(e, CLAN_E_NOENT, "Clan has no program %s", profile);
    if (b->without & SANDBOX_WITHOUT_ROOT)
        return err_set(e, CLAN_E_NOSYS, "no program runs without a root of its own");
    if (access(row->program, X_OK) != 0)
        snprintf(b->missing, sizeof b->missing, "%s (apt install %s)", row->program, row->package);
    for (; row->argv[n] && n < 8; n++) {
        const char *at = strchr(row->argv[n], '{');
        snprintf(text[n], sizeof text[n], "%.*s%s%s", at ? (int)(at - row->argv[n]) : 127,
            row->argv[n],
            !at                              ? ""
            : strncmp(at, "{state}", 7) == 0 ? "/state"
                                             : "/volume",
            at ? strchr(at, '}') + 1 : "");
        argv[n] = text[n];
    }
    for (n = 0; row->envp && row->envp[n] && n < 7; n++)
        envp[n] = (char *)(uintptr_t)row->envp[n];
    envp[n] = fds_env;
    const struct sandbox_fd fds[] = {{b->listener >= 0 ? b->listener : b->null, 3}};
    clan_status st = spawn(b, row->sandbox, row->program, argv, envp, b->program_uid, b->host_uid,
        fds, 1, false, &b->program, e);
    b->has_program = st == CLAN_OK;
    return st;
}

static void on_run(struct box *b, const clan_host_Run *m)
{
    clan_host_ToHost t = clan_host_ToHost_init_zero;
    struct clan_error e = CLAN_ERROR_INIT;
    clan_host_RunResult *a = &t.m.run_result;
    a->request = m->request;
    if (spawn_program(b, m->profile, &e) == CLAN_OK)
        a->run = 1;
    else {
        a->has_error = true;
        a->error.status = e.status;
        snprintf(a->error.what, sizeof a->error.what, "%s", e.what);
        snprintf(a->error.why, sizeof a->error.why, "%s", e.why);
    }
    tell(b, &t, clan_host_ToHost_run_result_tag);
}

static void on_message(struct box *b, const clan_host_FromHost *m)
{
    if (m->which_m == clan_host_FromHost_run_tag)
        on_run(b, &m->m.run);
    b->answered = b->answered || m->which_m == clan_host_FromHost_health_tag ||
                  m->which_m == clan_host_FromHost_dial_failed_tag ||
                  (m->which_m == clan_host_FromHost_stream_tag && m->m.stream.request);
    if (m->which_m != clan_host_FromHost_state_is_tag)
        return;
    b->at = m->m.state_is.state;
    if (b->at == clan_host_State_STATE_FAILED) {
        err_set(&b->error, CLAN_E_IO, "%s", m->m.state_is.error.what);
        err_why(&b->error, "%s", m->m.state_is.error.why);
        err_remedy(&b->error, "%s", m->m.state_is.error.remedy);
    }
}

static void note_refusal(struct box *b, const char *text)
{
    size_t n = strlen(b->refused);
    if (text[0] && !strstr(b->refused, text))
        snprintf(b->refused + n, sizeof b->refused - n, "%s%s", n ? "; " : "", text);
}

/* The warden's and core's part, once; false: the host is gone. */
static bool turn(struct box *b)
{
    struct pollfd p[] = {
        {b->channel, POLLIN, 0}, {b->host.notify_fd, POLLIN, 0}, {b->log, POLLIN, 0}};
    clan_host_FromHost m = clan_host_FromHost_init_zero;
    char text[1100];
    int fds[CHANNEL_FDS_MAX];
    size_t n;
    poll(p, 3, 50);
    ssize_t len;
    while ((len = recv(b->log, text, sizeof text - 1, MSG_DONTWAIT)) > 0)
        b->host.loaded = b->host.loaded || (len == 7 && memcmp(text, "\001loaded", 7) == 0);
    while (b->host.notify_fd >= 0 && sandbox_notification(&b->host, text, sizeof text) == CLAN_OK)
        note_refusal(b, text);
    clan_status st;
    while ((st = channel_recv(
                b->channel, clan_host_FromHost_fields, &m, fds, CHANNEL_FDS_MAX, &n)) == CLAN_OK) {
        channel_close_fds(fds, n);
        on_message(b, &m);
    }
    return st != CLAN_E_IO;
}

/* Until the state is reached or *flag is set. */
static bool serve(struct box *b, clan_host_State until, const bool *flag)
{
    uint64_t end = now_ms() + BOX_PHASE_MS;
    while (
        now_ms() < end && (flag ? !*flag : b->at != until) && b->at != clan_host_State_STATE_FAILED)
        if (!turn(b))
            break;
    return flag ? *flag : b->at == until;
}

/* Its work: a stream in, a stream out, or a question for health. */
static void work(struct box *b)
{
    clan_host_ToHost t = clan_host_ToHost_init_zero;
    struct sockaddr_in a = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(b->port)};
    uint16_t port = 0;
    int target = loopback_listener(&port), caller = -1;
    if (b->s->note.kind == CLAN_KIND_SERVICE) {
        t.m.ask_health.request = 1;
        tell(b, &t, clan_host_ToHost_ask_health_tag);
    } else {
        if (b->listener >= 0 &&
            (caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) >= 0)
            connect(caller, (const struct sockaddr *)&a, sizeof a);
        t.m.dial.request = 1;
        t.m.dial.timeout_ms = 500;
        snprintf(t.m.dial.endpoint, sizeof t.m.dial.endpoint, "127.0.0.1:%u", port);
        tell(b, &t, clan_host_ToHost_dial_tag);
    }
    serve(b, clan_host_State_STATE_NONE, &b->answered);
    if (caller >= 0)
        close(caller);
    if (target >= 0)
        close(target);
}

/* A peer to reach and a packet for it: a handshake begins, which is kept and sent. */
static void work_device(struct box *b)
{
    clan_host_ToHost t = clan_host_ToHost_init_zero;
    const uint8_t address[16] = {0xfd, [15] = 2};
    struct {
        uint8_t head[10], packet[48];
    } p = {.packet = {0x60, [5] = 8, [6] = 59, [7] = 64}};
    clan_host_DevicePeer *m = &t.m.device_peer;
    memset(m->key, 9, sizeof m->key);
    snprintf(m->endpoint, sizeof m->endpoint, "127.0.0.1:9");
    m->addresses_count = 1;
    memcpy(m->addresses[0], address, sizeof address);
    m->keepalive_s = 1;
    tell(b, &t, clan_host_ToHost_device_peer_tag);
    memcpy(p.packet + 24, address, sizeof address);
    send(b->tun, &p, sizeof p, MSG_NOSIGNAL | MSG_DONTWAIT);
    uint64_t end = now_ms() + 300; /* for its threads to do what a sandbox would refuse */
    while (now_ms() < end && b->at != clan_host_State_STATE_FAILED && turn(b))
        ;
}

static bool live(struct box *b)
{
    clan_host_ToHost t = clan_host_ToHost_init_zero;
    if (!serve(b, clan_host_State_STATE_LOADED, NULL))
        return false;
    snprintf(t.m.create.instance, sizeof t.m.create.instance, "%s", b->s->note.id);
    snprintf(t.m.create.machine, sizeof t.m.create.machine, "check");
    snprintf(t.m.create.clan, sizeof t.m.create.clan, "check");
    t.m.create.service_address.size = 16;
    t.m.create.service_address.bytes[15] = 1;
    t.m.create.service_port = b->port;
    for (unsigned i = 0; i < b->s->setting_count; i++) {
        clan_host_Setting *to = &t.m.create.settings[t.m.create.settings_count++];
        snprintf(to->key, sizeof to->key, "%s", b->s->settings[i].key);
        snprintf(to->value, sizeof to->value, "%s", b->s->settings[i].value);
    }
    tell(b, &t, clan_host_ToHost_create_tag);
    if (!serve(b, clan_host_State_STATE_CREATED, NULL))
        return false;
    bool device = note_asks(&b->s->note, "net.device");
    if (device && !tell_device(b))
        return false;
    memset(&t, 0, sizeof t);
    tell(b, &t, clan_host_ToHost_start_tag);
    if (!serve(b, clan_host_State_STATE_STARTED, NULL))
        return false;
    if (!device)
        work(b);
    else
        work_device(b);
    memset(&t, 0, sizeof t);
    tell(b, &t, clan_host_ToHost_stop_tag);
    return serve(b, clan_host_State_STATE_STOPPED, NULL);
}

static void judge(struct box *b, bool lived, int status, bool ended)
{
    static const char *const reached[] = {
        "loading", "create()", "start()", "work or stop()", "the end", "a failure"};
    char end[96] = "it still ran";
    if (ended)
        sandbox_exit_text(status, end, sizeof end);
    if (b->refused[0])
        try_fail(b->r, "ask in the note for the permission that covers it, or do without the call",
            "the sandbox refused: %s", b->refused);
    else if (b->missing[0])
        try_skip(b->r, "install it, then check again", "a program is not here: %s", b->missing);
    else if (b->at == clan_host_State_STATE_FAILED)
        try_fail(
            b->r, b->error.remedy, "in its sandbox it failed: %s: %s", b->error.what, b->error.why);
    else if (!lived)
        try_fail(b->r,
            "see what it does there; a call that Clan's sandbox forbids ends the process",
            "in its sandbox it did not get through %s; %s", reached[b->at], end);
    try_pass(b->r);
}

static void live_in_sandbox(void *arg)
{
    struct box *b = arg;
    int status = 0;
    snprintf(b->r->doing, sizeof b->r->doing, "a life in the sandbox");
    if (!prepare(b) || !spawn_host(b))
        return;
    bool lived = live(b);
    bool ended = wait_limited(b->host.pid, 1000, &status);
    if (b->has_program) {
        kill(b->program.pid, SIGKILL);
        waitpid(b->program.pid, NULL, 0);
    }
    judge(b, lived, status, ended);
}

#define ROOT_ONLY "run this check as root: --only sandbox"

/* All of the sandbox where the user may make namespaces, else the part that needs no rights. */
static void as_user(struct box *b)
{
    b->without = SANDBOX_WITHOUT_USER;
    if (rootless_run(BOX_HOST_UID, live_in_sandbox, b)) {
        if (b->r->result == TRY_PASSED && !b->r->why[0]) {
            snprintf(b->r->why, sizeof b->r->why,
                "without root: namespaces, root of its own, Landlock, seccomp and limits were in "
                "force, "
                "in a user namespace; not in force: users of their own for plugin and program");
            snprintf(b->r->remedy, sizeof b->r->remedy, "for those too " ROOT_ONLY);
        }
        return;
    }
    b->without |= SANDBOX_WITHOUT_ROOT;
    b->host_uid = geteuid();
    live_in_sandbox(b);
    if (b->refused[0]) /* a fault whatever else is in force */
        return;
    const char *found = b->r->result == TRY_PASSED ? "found nothing" : b->r->why;
    char text[sizeof b->r->why];
    snprintf(text, sizeof text, "%s", found);
    try_skip(b->r,
        ROOT_ONLY ", or where users may make namespaces (kernel.unprivileged_userns_clone)",
        "without root and user namespaces only Landlock, seccomp and limits can be in force: %s; "
        "not in "
        "force: user and group, mount and network namespace and root of its own, /state, /volume, "
        "programs",
        text);
}

void try_sandbox(struct subject *s, struct try_report *r)
{
    struct box b = {.s = s,
        .r = r,
        .error = CLAN_ERROR_INIT,
        .listener = -1,
        .at = clan_host_State_STATE_NONE,
        .host_uid = BOX_HOST_UID,
        .program_uid = geteuid() == 0 ? BOX_PROGRAM_UID : BOX_HOST_UID};
#ifdef CLAN_SANITIZE
    try_skip(r, "", "a sanitizer build has no seccomp and no Landlock");
    return;
#endif
    if (access(s->host, X_OK) != 0)
        try_skip(r, "install Clan, or name its clan-host: --host FILE", "%s is not there", s->host);
    else if (kernel_probe(0, &b.error) != CLAN_OK)
        try_skip(r, b.error.remedy, "%s: %s", b.error.what, b.error.why);
    else if (geteuid() == 0)
        live_in_sandbox(&b);
    else
        as_user(&b);
}
