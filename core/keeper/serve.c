/* The process around the store: core asks, the store decides, the answer goes back. */
#include "keeper/serve.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/loop.h"
#include "keeper/store.h"
#include "wire/channel.h"
#include "wire/keeper.pb.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#define HELLO_AGAIN_MS 100  /* core's channel was full */
#define OPEN_AGAIN_MS  5000 /* the store could not be opened */

struct keeper {
    struct loop *loop;
    struct store *store; /* NULL: not open yet */
    bool greeted;
    uint8_t clan_id[32];
    uint64_t timer;
};

static clan_keeper_FromKeeper out;

static clan_status send_out(void)
{
    return channel_send(KEEPER_CHANNEL_FD, clan_keeper_FromKeeper_fields, &out, NULL, 0);
}

static clan_keeper_FromKeeper *message(pb_size_t which)
{
    memset(&out, 0, sizeof out);
    out.which_m = which;
    return &out;
}

/* Core asks again what it got no answer to. */
static void answer(void)
{
    if (send_out() != CLAN_OK)
        log_warn("an answer of the keeper was lost: core does not read");
}

static void error_to_wire(const struct clan_error *e, clan_wire_Error *ret)
{
    ret->status = e->status;
    snprintf(ret->what, sizeof ret->what, "%s", e->what);
    snprintf(ret->why, sizeof ret->why, "%s", e->why);
    snprintf(ret->remedy, sizeof ret->remedy, "%s", e->remedy);
}

static void tell_trouble(const struct clan_error *e)
{
    clan_keeper_Trouble *t = &message(clan_keeper_FromKeeper_trouble_tag)->m.trouble;
    t->has_error = true;
    error_to_wire(e, &t->error);
    log_clan_error(LOG_LEVEL_ERROR, e);
    answer();
}

static void later(struct keeper *k, uint64_t ms, loop_timer_fn *fn)
{
    loop_timer_cancel(k->loop, k->timer);
    k->timer = loop_timer_in(k->loop, ms, fn, k);
}

/* Opens the store where it is not, and greets; tries again until both worked. */
static void greet(void *arg)
{
    struct keeper *k = arg;
    struct clan_error e = CLAN_ERROR_INIT;
    k->timer = 0;
    if (!k->store && store_open(KEEPER_STATE_FD, k->clan_id, &k->store, &e) != CLAN_OK) {
        tell_trouble(&e);
        later(k, OPEN_AGAIN_MS, greet);
        return;
    }
    clan_keeper_HelloAck *a = &message(clan_keeper_FromKeeper_hello_ack_tag)->m.hello_ack;
    snprintf(a->build, sizeof a->build, "%s", CLAN_VERSION);
    a->generation = store_generation(k->store);
    a->revision = store_revision(k->store);
    if (send_out() == CLAN_E_AGAIN)
        later(k, HELLO_AGAIN_MS, greet);
}

static void on_hello(struct keeper *k, const clan_keeper_Hello *m)
{
    if (strcmp(m->build, CLAN_VERSION) != 0) {
        log_error("core is another build (%.40s, this is %s): ending", m->build, CLAN_VERSION);
        loop_stop(k->loop, 1);
        return;
    }
    if (k->greeted && memcmp(k->clan_id, m->clan_id, sizeof k->clan_id) != 0) {
        log_error("core speaks for another clan: ending");
        loop_stop(k->loop, 1);
        return;
    }
    k->greeted = true;
    memcpy(k->clan_id, m->clan_id, sizeof k->clan_id);
    greet(k);
}

static clan_status not_open(struct clan_error *e)
{
    err_set(e, CLAN_E_IO, "the keeper's record is not open");
    err_remedy(e, "see the keeper's last message in the log");
    return CLAN_E_IO;
}

static void on_spend(struct keeper *k, const clan_keeper_Spend *m)
{
    struct store_spend ask = {.uses = m->uses, .expires = m->expires, .closed = m->closed};
    struct store_spent spent = {0};
    struct clan_error e = CLAN_ERROR_INIT;
    memcpy(ask.invite_id, m->invite_id, sizeof ask.invite_id);
    memcpy(ask.machine_id, m->machine_id, sizeof ask.machine_id);
    memcpy(ask.admission_id, m->admission_id, sizeof ask.admission_id);
    clan_status st =
        k->store ? store_spend(k->store, &ask, clock_wall_s(), &spent, &e) : not_open(&e);
    clan_keeper_SpendResult *r = &message(clan_keeper_FromKeeper_spend_result_tag)->m.spend_result;
    r->request = m->request;
    memcpy(r->machine_id, m->machine_id, sizeof r->machine_id);
    memcpy(r->invite_id, m->invite_id, sizeof r->invite_id);
    r->has_error = true;
    error_to_wire(&e, &r->error);
    r->slot = spent.slot;
    r->generation = spent.generation;
    r->revision = spent.revision;
    r->time = spent.time;
    answer();
    if (st == CLAN_E_IO) /* behind the answer, which ends an earlier trouble */
        tell_trouble(&e);
}

/* No answer: not recorded, core says it again. */
static void on_removed(struct keeper *k, const clan_keeper_Removed *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    uint64_t revision = 0;
    clan_status st = k->store
                         ? store_removed(k->store, m->machine_id, clock_wall_s(), &revision, &e)
                         : not_open(&e);
    if (st != CLAN_OK) {
        tell_trouble(&e);
        return;
    }
    clan_keeper_RemovedAt *r = &message(clan_keeper_FromKeeper_removed_at_tag)->m.removed_at;
    memcpy(r->machine_id, m->machine_id, sizeof r->machine_id);
    r->generation = store_generation(k->store);
    r->revision = revision;
    answer();
}

static void on_ask_invite(struct keeper *k, const clan_keeper_AskInvite *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    uint32_t spent = 0;
    clan_status st = k->store ? store_count(k->store, m->invite_id, &spent, &e) : not_open(&e);
    if (st != CLAN_OK) {
        tell_trouble(&e);
        return;
    }
    clan_keeper_InviteState *r = &message(clan_keeper_FromKeeper_invite_state_tag)->m.invite_state;
    r->request = m->request;
    r->spent = spent;
    answer();
}

static void dispatch(struct keeper *k, const clan_keeper_ToKeeper *m)
{
    switch (m->which_m) {
    case clan_keeper_ToKeeper_hello_tag:
        on_hello(k, &m->m.hello);
        break;
    case clan_keeper_ToKeeper_spend_tag:
        on_spend(k, &m->m.spend);
        break;
    case clan_keeper_ToKeeper_removed_tag:
        on_removed(k, &m->m.removed);
        break;
    case clan_keeper_ToKeeper_ask_invite_tag:
        on_ask_invite(k, &m->m.ask_invite);
        break;
    default:
        log_warn("core sent a message without content");
    }
}

static void on_core(void *arg, int fd, uint32_t events)
{
    struct keeper *k = arg;
    clan_keeper_ToKeeper m = clan_keeper_ToKeeper_init_zero;
    int none[1];
    size_t fd_count;
    (void)events;
    /* one message a turn: a change takes a disk's time, and the loop looks at its timers between */
    clan_status st = channel_recv(fd, clan_keeper_ToKeeper_fields, &m, none, 0, &fd_count);
    if (st == CLAN_E_AGAIN)
        return;
    if (st != CLAN_OK) { /* the warden ends the channel with us, or core is another build */
        if (st == CLAN_E_PROTO)
            log_error("core sent something that is no message: ending");
        loop_stop(k->loop, st == CLAN_E_PROTO);
        return;
    }
    dispatch(k, &m);
}

int keeper_serve(void)
{
    struct keeper k = {.loop = loop_new()};
    log_init(KEEPER_LOG_FD, LOG_LEVEL_INFO);
    if (!k.loop || loop_fd_add(k.loop, KEEPER_CHANNEL_FD, EPOLLIN, on_core, &k) != CLAN_OK) {
        log_error("the keeper cannot start: its channel is missing or memory is short");
        return 1;
    }
    int result = loop_run(k.loop);
    store_close(k.store);
    loop_free(k.loop);
    return result;
}
