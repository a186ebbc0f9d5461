/* The loop of clan-core: starting, reconciling, ticking. */
#include "brain/brain.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/title.h"
#include "brain/demand.h"
#include "brain/devices.h"
#include "brain/events.h"
#include "brain/proposals.h"
#include "brain/reach.h"
#include "brain/sessions.h"
#include "wire/limits.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define BRAIN_TICK_MS 500 /* deadlines are this coarse; what matters for speed comes by events */

uint64_t brain_now(void)
{
    return clock_mono_ms();
}

uint64_t brain_hour(void)
{
    return (uint64_t)clock_wall_s() / 3600;
}

uint32_t brain_random(void *arg, uint32_t below)
{
    (void)arg;
    return below ? randombytes_uniform(below) : 0;
}

const struct member_machine *brain_self(const struct brain *b)
{
    return b->set && b->root ? member_find(b->set, b->own_id) : NULL;
}

bool brain_confirmed(const struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    return self && self->standing == MEMBER_CONFIRMED;
}

/* One pass over everything that follows from statements, configuration, grants and running
 * children. */
static void reconcile(uv_timer_t *t)
{
    struct brain *b = t->data;
    b->soon_armed = false;
    if (b->leaving)
        return;
    if (!b->bound) {
        transports_reconcile(b);
        joiner_tick(b);
        return;
    }
    bodies_reconcile(b);
    demand_reconcile(b); /* before anything runs or is dialled */
    /* those that came while this machine was not bound yet */
    if (b->endpoint_count || demand_betrayed(b))
        identity_publish_record(b);
    onedoor_reconcile(b);
    transports_reconcile(b);
    rendezvous_reconcile(b);
    devices_reconcile(b);
    doors_reconcile(b);
    alarms_reconcile(b);
    peers_reconcile(b);
    ui_reconcile(b); /* before a service could have its name */
    services_reconcile(b);
    names_reconcile(b);
    keeper_reconcile(b);
    peers_acknowledge(b);
    joiner_standing(b);
    founder_standing(b);
    events_reconcile(b);
    api_changed(b);
}

void brain_soon(struct brain *b)
{
    if (b->soon_armed)
        return;
    b->soon_armed = true;
    uv_timer_start(&b->soon, reconcile, 0, 0);
}

static void on_tick(uv_timer_t *t)
{
    struct brain *b = t->data;
    if (b->leaving)
        return;
    if (b->gossip)
        gossip_tick(b->gossip, brain_now());
    hosts_tick(b);
    transports_tick(b);
    devices_tick(b);
    joiner_tick(b);
    api_tick(b);
    if (b->bound) {
        catchup_tick(b);
        doors_tick(b);
        alarms_tick(b);
        proposals_tick(b);
    }
    brain_soon(b);
}

static void on_net_up(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    (void)arg;
    if (answer->error.status != CLAN_OK || fd < 0) {
        log_clan_error(LOG_LEVEL_ERROR, &answer->error);
        b->bind_trouble = answer->error;
        if (fd >= 0)
            close(fd);
        return;
    }
    b->bind_trouble.status = CLAN_OK;
    if (b->tun_fd >= 0)
        close(b->tun_fd);
    b->tun_fd = fd;
    b->tun_flags = answer->flags;
    b->net_up = true;
    b->tun_sent = false;
    link_send_tun(b);
    brain_soon(b);
}

void brain_bound(struct brain *b)
{
    struct ward_net_up up = {.mtu = WIRE_MTU};
    b->bound = true;
    keys_machine_address(b->clan_id, b->own_id, b->own_address);
    memcpy(up.address, b->own_address, 16);
    ward_ask(b, WARD_REQ_NET_UP, &up, sizeof up, on_net_up, NULL);
    title_set(b->petname);
    link_send_keys(b);
    catchup_start(b);
    brain_soon(b);
}

static void on_ready(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    (void)arg, (void)answer;
    if (fd >= 0)
        close(fd);
    b->ready = true;
}

static bool start_bound(struct brain *b)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!identity_load(b) || !spread_load(b, &e)) {
        if (e.status)
            log_clan_error(LOG_LEVEL_ERROR, &e);
        else
            log_error("this machine's identity is not there; restore it or join again");
        return false;
    }
    onedoor_load(b);
    alarms_load(b);
    sessions_load(b);
    brain_bound(b);
    api_listen(b, CHILD_FD_API);
    ward_simple(b, WARD_REQ_READY, on_ready, NULL);
    return true;
}

static void start_unbound(struct brain *b)
{
    b->set = NULL;
    transports_reconcile(b);
    ward_simple(b, WARD_REQ_LOCAL_ADDRS, NULL, NULL);
    api_first(b, CHILD_FD_API);
}

int brain_main(int argc, char **argv)
{
    /* one clan a process: static, so that its size shows in the binary and not in the heap */
    static struct brain brain;
    struct brain *b = &brain;
    log_init(CHILD_FD_LOG, LOG_LEVEL_INFO);
    reach_begin();
    prctl(PR_SET_DUMPABLE, 0); /* exec reset it; the identity is in this memory */
    if (argc < 2 || sodium_init() < 0) {
        log_error("clan-core is started by cland only");
        return 2;
    }
    b->state_fd = CHILD_FD_STATE;
    b->tun_fd = b->api_fd = -1;
    b->incarnation = ((uint64_t)clock_wall_s() << 16) ^ randombytes_uniform(0x10000);
    /* numbers of an earlier core of this machine are still used by link and hosts: begin elsewhere
     */
    b->next_session = randombytes_uniform(0x7fff) << 16 | 1;
    b->next_request = randombytes_uniform(0x7fff) << 16 | 1;
    uv_loop_init(&b->loop);
    uv_timer_init(&b->loop, &b->tick);
    uv_timer_init(&b->loop, &b->soon);
    b->tick.data = b->soon.data = b;
    b->grants_ok = grants_load(GRANTS_PATH, false, &b->grants, &b->grants_trouble) == CLAN_OK;
    ward_open(b);
    title_keep(argv[1]);
    if (argv[1][0] == '-') {
        start_unbound(b);
    } else {
        snprintf(b->petname, sizeof b->petname, "%s", argv[1]);
        if (!start_bound(b))
            return 1;
    }
    uv_timer_start(&b->tick, on_tick, BRAIN_TICK_MS, BRAIN_TICK_MS);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    return 0;
}
