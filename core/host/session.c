/* Messages from core, by one table; the states of a plugin are enforced here. */
#include "host/host.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "check/note.h"
#include "wire/channel.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#define HOST_EXIT_PROTOCOL 76
#define HOST_DRAIN         16 /* messages in one turn of the loop */
#define HOST_AWAKE_NS      UINT64_C(100000)

#define ST(name) (1u << clan_host_State_STATE_##name)
#define ST_ANY   (~0u)

static void refuse_state(struct host *h, const char *what)
{
    log_error("core said %s in the wrong state (%d)", what, (int)h->state);
}

static void on_hello(struct host *h, const clan_host_ToHost *m)
{
    bool another = m->m.hello.incarnation != h->incarnation;
    if (another) {
        /* answers to a core that is gone mean nothing to this one */
        if (h->incarnation) {
            host_out_clear(h);
            host_forget_dials(h);
            host_forget_runs(h);
        }
        h->incarnation = m->m.hello.incarnation;
    }
    clan_host_HelloAck *a = &host_message(h, clan_host_FromHost_hello_ack_tag)->m.hello_ack;
    a->incarnation = h->incarnation;
    snprintf(a->build, sizeof a->build, "%s", CLAN_VERSION);
    snprintf(a->plugin, sizeof a->plugin, "%s", h->id);
    snprintf(a->version, sizeof a->version, "%.31s", h->note.version);
    a->state = h->state;
    a->interfaces_count = host_interfaces(h, a->interfaces);
    a->device_port = host_device_port(h);
    host_send(h, -1);
    if (another)
        host_forget_apis(h); /* who asks again at once is heard by the new one */
    if (h->state == clan_host_State_STATE_FAILED) {
        struct clan_error why = h->error;
        host_state(h, h->state, &why);
    }
}

static bool is_directory(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static void on_create(struct host *h, const clan_host_ToHost *msg)
{
    const clan_host_Create *m = &msg->m.create;
    struct clan_setting settings[sizeof m->settings / sizeof m->settings[0]];
    struct clan_error err = CLAN_ERROR_INIT;
    host_people(h, m); /* those are no listen_fds */
    struct clan_config c = {.struct_size = sizeof c,
        .setting_count = m->settings_count,
        .setting_size = sizeof settings[0],
        .listen_count = h->listen_count,
        .settings = settings,
        .listen_fds = h->listen_fds,
        .instance = m->instance,
        .clan = m->clan,
        .machine = m->machine,
        .state_dir = host_asks(h, "fs.state") && is_directory(h->state_fd) ? "/state" : "",
        .volume_dir = is_directory(h->volume_fd) ? "/volume" : "",
        .service_port = (uint16_t)m->service_port};
    for (unsigned i = 0; i < m->settings_count; i++)
        settings[i] = (struct clan_setting){m->settings[i].key, m->settings[i].value};
    if (m->service_address.size == sizeof c.service_address)
        memcpy(c.service_address, m->service_address.bytes, sizeof c.service_address);
    clan_status st = h->plugin->create(&h->table, &c, &h->instance_data, &err);
    if (st != CLAN_OK) {
        h->instance_data = NULL; /* there is none, whatever it wrote */
        host_api_drop(h);
    } else
        st = check_interfaces(
            &h->note, h->plugin, h->instance_data, &h->transport, &h->device, &h->service, &err);
    if (st == CLAN_OK)
        host_rendezvous_find(h);
    if (st != CLAN_OK)
        host_state(h, clan_host_State_STATE_FAILED, &err);
    else
        host_state(h, clan_host_State_STATE_CREATED, NULL);
}

static void on_start(struct host *h, const clan_host_ToHost *msg)
{
    struct clan_error err = CLAN_ERROR_INIT;
    (void)msg;
    if (h->started)
        return;        /* a service on its way up, adopted by a new core */
    h->started = true; /* the plugin may answer before start() returns */
    clan_status st = h->transport ? h->transport->start(h->instance_data, &err)
                     : h->device  ? host_device_start(h, &err)
                                  : h->service->start(h->instance_data, &err);
    if (st != CLAN_OK) {
        h->started = false;
        host_state(h, clan_host_State_STATE_FAILED, &err);
    } else if (!h->service)
        host_state(h, clan_host_State_STATE_STARTED, NULL);
    /* a service says by service_state() when it is up */
}

static void on_stop(struct host *h, const clan_host_ToHost *msg)
{
    (void)msg;
    if (h->started) {
        host_forget_dials(h);
        if (h->transport)
            h->transport->stop(h->instance_data);
        else if (h->device)
            h->device->stop(h->instance_data);
        else
            h->service->stop(h->instance_data);
        h->started = false;
    }
    if (h->instance_data && h->plugin)
        h->plugin->destroy(h->instance_data);
    h->instance_data = NULL;
    host_api_drop(h);
    host_state(h, clan_host_State_STATE_STOPPED, NULL);
    loop_stop(h->loop, 0);
}

static void on_dial(struct host *h, const clan_host_ToHost *m)
{
    host_dial(h, &m->m.dial);
}

static void on_cancel_dial(struct host *h, const clan_host_ToHost *m)
{
    host_cancel_dial(h, m->m.cancel_dial.request);
}

static void on_ask_endpoints(struct host *h, const clan_host_ToHost *m)
{
    host_endpoints(h, &m->m.ask_endpoints);
}

static void on_run_result(struct host *h, const clan_host_ToHost *m)
{
    host_run_result(h, &m->m.run_result);
}

static void on_run_exited(struct host *h, const clan_host_ToHost *m)
{
    host_run_exited(h, &m->m.run_exited);
}

static void on_ask_health(struct host *h, const clan_host_ToHost *m)
{
    host_ask_health(h, m->m.ask_health.request);
}

static void on_secret(struct host *h, const clan_host_ToHost *m)
{
    host_secret(h, &m->m.secret);
}

static void on_members(struct host *h, const clan_host_ToHost *m)
{
    host_members(h, &m->m.members);
}

static void on_invitations(struct host *h, const clan_host_ToHost *m)
{
    host_invitations(h, &m->m.invitations);
}

static void on_invited(struct host *h, const clan_host_ToHost *m)
{
    host_invited(h, &m->m.invited);
}

static void on_device_peer(struct host *h, const clan_host_ToHost *m)
{
    host_device_peer(h, &m->m.device_peer);
}

static void on_device_remove(struct host *h, const clan_host_ToHost *m)
{
    host_device_remove(h, m->m.device_remove.key);
}

static void on_device_peers(struct host *h, const clan_host_ToHost *m)
{
    host_device_peers(h, m->m.device_peers.begin);
}

typedef void session_fn(struct host *h, const clan_host_ToHost *m);
static const struct {
    pb_size_t tag;
    uint32_t states;
    const char *name;
    session_fn *fn;
} session_table[] = {
    {clan_host_ToHost_hello_tag, ST_ANY, "Hello", on_hello},
    {clan_host_ToHost_create_tag, ST(LOADED), "Create", on_create},
    {clan_host_ToHost_start_tag, ST(CREATED), "Start", on_start},
    {clan_host_ToHost_stop_tag, ST_ANY, "Stop", on_stop},
    {clan_host_ToHost_dial_tag, ST_ANY, "Dial", on_dial},
    {clan_host_ToHost_cancel_dial_tag, ST_ANY, "CancelDial", on_cancel_dial},
    {clan_host_ToHost_ask_endpoints_tag, ST_ANY, "AskEndpoints", on_ask_endpoints},
    {clan_host_ToHost_run_result_tag, ST_ANY, "RunResult", on_run_result},
    {clan_host_ToHost_run_exited_tag, ST_ANY, "RunExited", on_run_exited},
    {clan_host_ToHost_ask_health_tag, ST_ANY, "AskHealth", on_ask_health},
    {clan_host_ToHost_secret_tag, ST_ANY, "Secret", on_secret},
    {clan_host_ToHost_members_tag, ST_ANY, "Members", on_members},
    {clan_host_ToHost_invitations_tag, ST_ANY, "Invitations", on_invitations},
    {clan_host_ToHost_invited_tag, ST_ANY, "Invited", on_invited},
    {clan_host_ToHost_device_peer_tag, ST_ANY, "DevicePeer", on_device_peer},
    {clan_host_ToHost_device_remove_tag, ST_ANY, "DeviceRemove", on_device_remove},
    {clan_host_ToHost_device_peers_tag, ST_ANY, "DevicePeers", on_device_peers},
};

static void dispatch(struct host *h, const clan_host_ToHost *m)
{
    for (size_t i = 0; i < sizeof session_table / sizeof session_table[0]; i++) {
        if (session_table[i].tag != m->which_m)
            continue;
        if (session_table[i].states & 1u << h->state)
            session_table[i].fn(h, m);
        else
            refuse_state(h, session_table[i].name);
        return;
    }
    log_error("core said something unknown (%u)", (unsigned)m->which_m);
}

/* Core that asked again at once does so once more: half of a call would be the wake-up.  A question now and
 * then, as for health, keeps nobody awake. */
static void expect_more(struct host *h)
{
    uint64_t now = clock_mono_ns();
    if (now - h->asked_ns < HOST_AWAKE_NS)
        loop_stay_awake(h->loop, HOST_AWAKE_NS);
    h->asked_ns = now;
}

void host_session_readable(void *arg, int fd, uint32_t events)
{
    static clan_host_ToHost m; /* large; one loop, not re-entered */
    struct host *h = arg;
    int fds[CHANNEL_FDS_MAX];
    size_t fd_count;
    if (events & EPOLLOUT)
        host_out_flush(h);
    for (unsigned i = 0; i < HOST_DRAIN && h->state != clan_host_State_STATE_STOPPED; i++) {
        clan_status st =
            channel_recv(fd, clan_host_ToHost_fields, &m, fds, CHANNEL_FDS_MAX, &fd_count);
        if (st == CLAN_E_AGAIN)
            break;
        if (st != CLAN_OK) {
            if (st == CLAN_E_PROTO)
                log_error("core sent a message that cannot be read");
            loop_stop(h->loop, st == CLAN_E_PROTO ? HOST_EXIT_PROTOCOL : 0);
            return;
        }
        bool device = m.which_m == clan_host_ToHost_device_tag;
        if (device)
            host_device(h, &m.m.device, fds, &fd_count);
        else if (m.which_m == clan_host_ToHost_api_opened_tag)
            host_api_opened(h, &m.m.api_opened, fds, &fd_count);
        channel_close_fds(fds, fd_count); /* core sends no others */
        if (!device && m.which_m != clan_host_ToHost_api_opened_tag)
            dispatch(h, &m);
        if (device || m.which_m == clan_host_ToHost_secret_tag ||
            m.which_m == clan_host_ToHost_invited_tag)
            explicit_bzero(&m, sizeof m);
    }
    if (events & EPOLLIN)
        expect_more(h);
}
