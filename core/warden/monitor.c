/* What a core may ask, when, how often: the table is the policy; whoever leaves it is killed. */
#include "warden/warden.h"

#include "base/clock.h"
#include "base/file.h"
#include "wire/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void local_ready(struct clan *c, const void *request, struct ward_reply *a)
{
    (void)request, (void)a;
    c->ready = true;
    logs_say(clans_name(c), LOG_LEVEL_INFO, "started");
    warden_ready(c->warden);
}

#define NEW  WARD_UNBOUND
#define CLAN (WARD_BOUND | WARD_UP)
#define UP   WARD_UP
#define ANY  (NEW | CLAN)

/* clang-format off */
const struct ward_rule ward_rules[WARD_REQ_COUNT] = {
    /* id, permitted states, size, at most a second, handler */
    [WARD_REQ_SEED_STORE]   = {WARD_REQ_SEED_STORE,   NEW,  sizeof(struct ward_seed_store), 2,    clans_seed_store},
    [WARD_REQ_BIND]         = {WARD_REQ_BIND,         NEW,  sizeof(struct ward_bind),       4,    clans_bind},
    [WARD_REQ_NET_UP]       = {WARD_REQ_NET_UP,       CLAN, sizeof(struct ward_net_up),     4,    net_up},
    [WARD_REQ_TUN]          = {WARD_REQ_TUN,          UP,   sizeof(struct ward_simple),     20,   net_tun},
    [WARD_REQ_LOCAL_ADDRS]  = {WARD_REQ_LOCAL_ADDRS,  ANY,  sizeof(struct ward_simple),     20,   net_local_addrs},
    [WARD_REQ_ADDR_ADD]     = {WARD_REQ_ADDR_ADD,     UP,   sizeof(struct ward_addr),       200,  net_addr},
    [WARD_REQ_ADDR_DEL]     = {WARD_REQ_ADDR_DEL,     UP,   sizeof(struct ward_addr),       200,  net_addr},
    [WARD_REQ_FW_MEMBER]    = {WARD_REQ_FW_MEMBER,    UP,   sizeof(struct ward_fw_member),  4096, firewall_member},
    [WARD_REQ_FW_ALLOW]     = {WARD_REQ_FW_ALLOW,     UP,   sizeof(struct ward_fw_allow),   8192, firewall_allow},
    [WARD_REQ_FW_COMMIT]    = {WARD_REQ_FW_COMMIT,    UP,   sizeof(struct ward_simple),     50,   firewall_commit},
    [WARD_REQ_FW_CLEAR]     = {WARD_REQ_FW_CLEAR,     UP,   sizeof(struct ward_simple),     10,   firewall_clear},
    [WARD_REQ_HOST_START]   = {WARD_REQ_HOST_START,   ANY,  sizeof(struct ward_host_start), 40,   hosts_start},
    [WARD_REQ_CHILD_END]    = {WARD_REQ_CHILD_END,    ANY,  sizeof(struct ward_child_end),  40,   children_child_end},
    [WARD_REQ_RUN]          = {WARD_REQ_RUN,          ANY,  sizeof(struct ward_run),        20,   hosts_run},
    [WARD_REQ_KEEPER_START] = {WARD_REQ_KEEPER_START, CLAN, sizeof(struct ward_simple),     4,    children_keeper_start},
    [WARD_REQ_NAMES_BEGIN]  = {WARD_REQ_NAMES_BEGIN,  UP,   sizeof(struct ward_simple),     20,   names_begin},
    [WARD_REQ_NAMES_ADD]    = {WARD_REQ_NAMES_ADD,    UP,   sizeof(struct ward_name),       8192, names_add},
    [WARD_REQ_NAMES_COMMIT] = {WARD_REQ_NAMES_COMMIT, UP,   sizeof(struct ward_simple),     20,   names_commit},
    [WARD_REQ_CLAN_DOWN]    = {WARD_REQ_CLAN_DOWN,    CLAN, sizeof(struct ward_simple),     2,    clans_down},
    [WARD_REQ_CLAN_LEAVE]   = {WARD_REQ_CLAN_LEAVE,   CLAN, sizeof(struct ward_simple),     2,    clans_leave},
    [WARD_REQ_CLAN_START]   = {WARD_REQ_CLAN_START,   NEW,  sizeof(struct ward_petname),    4,    clans_start_named},
    [WARD_REQ_GRANTS]       = {WARD_REQ_GRANTS,       ANY,  sizeof(struct ward_simple),     10,   hosts_grants},
    [WARD_REQ_READY]        = {WARD_REQ_READY,        ANY,  sizeof(struct ward_simple),     4,    local_ready},
    [WARD_REQ_DEVICE_UP]     = {WARD_REQ_DEVICE_UP,     UP, sizeof(struct ward_device_up),     4,    net_device},
    [WARD_REQ_DEVICE_PEER]   = {WARD_REQ_DEVICE_PEER,   UP, sizeof(struct ward_device_peer),   4096, net_device},
    [WARD_REQ_DEVICE_STATES] = {WARD_REQ_DEVICE_STATES, UP, sizeof(struct ward_device_ask),    50,   net_device},
    [WARD_REQ_DEVICE_ROUTE]  = {WARD_REQ_DEVICE_ROUTE,  UP, sizeof(struct ward_device_route),  4096, net_device},
    [WARD_REQ_DEVICE_STREAM] = {WARD_REQ_DEVICE_STREAM, UP, sizeof(struct ward_device_stream), 200,  net_device},
    [WARD_REQ_DEVICE_SOCKET] = {WARD_REQ_DEVICE_SOCKET, UP, sizeof(struct ward_device_socket), 20,   net_device},
    [WARD_REQ_DEVICE_DOWN]   = {WARD_REQ_DEVICE_DOWN,   UP, sizeof(struct ward_simple),        4,    net_device},
    [WARD_REQ_DEVICE_PHONES] = {WARD_REQ_DEVICE_PHONES, UP, sizeof(struct ward_device_phones), 20,   firewall_phones},
    [WARD_REQ_DEADLINE]     = {WARD_REQ_DEADLINE,     0,    sizeof(struct ward_simple),     0,    NULL}, /* reserved: no state permits it */
};
/* clang-format on */

/* NULL when the request may be handed on, else what is wrong with it. */
const char *monitor_judge(struct clan *c, const void *data, size_t size, uint64_t second)
{
    struct ward_head head;
    if (size < sizeof head)
        return "a datagram shorter than a request";
    memcpy(&head, data, sizeof head);
    if (head.id == 0 || head.id >= WARD_REQ_COUNT)
        return "an unknown request";
    const struct ward_rule *rule = &ward_rules[head.id];
    if (size != rule->size || head.serial == 0)
        return "a request of another length, or without a serial";
    if (!(rule->states & c->state))
        return "a request in a wrong state";
    if (!rate_take(&c->rate[head.id], second, rule->per_second))
        return "a request too often";
    return NULL;
}

void monitor_kill(struct clan *c, const char *why)
{
    struct child *core = children_find(c, WARD_KIND_CORE, 0);
    loop_fd_del(c->warden->loop, c->core_fd); /* nothing more is read from it */
    if (why)
        logs_say(clans_name(c), LOG_LEVEL_ERROR, "core[%d] sent %s and is killed",
            core ? core->proc.sandbox.pid : 0, why);
    if (core)
        proc_kill(&core->proc);
}

void monitor_readable(void *arg, int fd, uint32_t events)
{
    struct clan *c = arg;
    _Alignas(8) uint8_t data[WARD_REQUEST_MAX];
    const struct ward_head *head = (const struct ward_head *)(void *)data;
    size_t size;
    (void)events;
    for (unsigned i = 0; i < 64 && c->core_fd == fd && !c->leaving; i++) {
        clan_status s = channel_recv_plain(fd, data, sizeof data, &size);
        if (s == CLAN_E_AGAIN)
            return;
        if (s == CLAN_E_IO) { /* it died or closed its end, which no working core does */
            monitor_kill(c, NULL);
            return;
        }
        const char *wrong = s != CLAN_OK ? "a datagram longer than any request, or a descriptor"
                                         : monitor_judge(c, data, size, clock_mono_ms() / 1000);
        if (wrong) {
            char why[96];
            snprintf(
                why, sizeof why, "%s (id %u, %zu bytes)", wrong, size >= 4 ? head->id : 0, size);
            monitor_kill(c, why);
            return;
        }
        monitor_run(c, ward_rules[head->id].handler, data, NULL);
    }
}

void monitor_event(struct clan *c, const void *event, size_t size, int fd)
{
    struct child *core = children_find(c, WARD_KIND_CORE, 0);
    if (!core || !core->proc.runs || c->core_fd < 0)
        return;
    clan_status s = channel_send_raw(c->core_fd, event, size, &fd, fd >= 0 ? 1 : 0);
    if (s == CLAN_E_AGAIN) /* a core that does not read would miss what happened: it starts anew */
        monitor_kill(c, "nothing for so long that its channel is full,");
}

void monitor_run(
    struct clan *c, ward_handler *handler, const void *request, const struct clan_error *e)
{
    uint32_t serial = ((const struct ward_head *)request)->serial;
    struct ward_reply a = {.error = CLAN_ERROR_INIT, .fd = -1};
    if (e)
        a.error = *e;
    if (handler)
        handler(c, request, &a);
    struct ward_answer answer = {.head = {WARD_EV_ANSWER, serial},
        .child = a.child ? a.child->proc.id : 0,
        .flags = a.flags,
        .error = a.error};
    if (!a.later)
        monitor_event(c, &answer, sizeof answer, a.error.status == CLAN_OK ? a.fd : -1);
    if (a.passes)
        file_forget(&a.fd);
    if (a.child && a.started)
        children_announce(a.child, false);
    if (a.ends && a.error.status == CLAN_OK)
        clans_end(c, CLAN_GRACE_MS);
}

struct job {
    struct warden *warden;
    const char *doing;
    unsigned slot;
    uint32_t generation; /* of the clan that it was for */
    ward_handler *then;
    _Alignas(8) uint8_t request[WARD_REQUEST_MAX];
};

void monitor_done(void *arg, const struct clan_error *e)
{
    struct job *j = arg;
    struct clan *c = &j->warden->clans[j->slot];
    bool same = c->used && c->generation == j->generation;
    if (e)
        logs_error(clans_name(same ? c : NULL), j->doing, e);
    if (same && (j->then || ((struct ward_head *)(void *)j->request)->serial))
        monitor_run(c, j->then, j->request, e);
    free(j);
}

void *monitor_job(struct clan *c, const char *doing, ward_handler *then, const void *request)
{
    struct job *j = calloc(1, sizeof *j);
    clan_assert(j);
    *j = (struct job){c->warden, doing, c->slot, c->generation, then, {0}};
    if (request)
        memcpy(j->request, request, ward_rules[((const struct ward_head *)request)->id].size);
    return j;
}
