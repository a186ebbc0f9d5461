/* Where this machine is a keeper: receipts for provisional machines, judged once by clan-keeper. */
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"

#include <pb_decode.h>
#include <string.h>
#include <unistd.h>

#define KEEPER_ASK_AGAIN_MS 10000
#define KEEPER_JUDGED_MAX   (sizeof((struct brain *)0)->judged / sizeof((struct brain *)0)->judged[0])

static clan_keeper_ToKeeper keeper_out;
static clan_keeper_FromKeeper keeper_in;

static void tell(struct brain *b)
{
    if (!chan_send(b->keeper, clan_keeper_ToKeeper_fields, &keeper_out, NULL, 0))
        log_warn("the keeper does not take messages");
}

static int find_judged(struct brain *b, const uint8_t admission[32])
{
    for (size_t i = 0; i < b->judged_count; i++)
        if (memcmp(b->judged[i].admission, admission, 32) == 0)
            return (int)i;
    return -1;
}

static int note_judged(struct brain *b, const uint8_t admission[32], clan_status status)
{
    int i = find_judged(b, admission);
    if (i < 0) {
        /* the oldest is forgotten: it is asked once more and answered the same */
        i = (int)(b->judged_count < KEEPER_JUDGED_MAX ? b->judged_count++
                                                      : b->next_serial % KEEPER_JUDGED_MAX);
        memcpy(b->judged[i].admission, admission, 32);
    }
    b->judged[i].status = status;
    b->judged[i].asked_ms = brain_now();
    return i;
}

static void sign_receipt(struct brain *b, const struct member_machine *m,
    const struct member_invite *inv, const clan_keeper_SpendResult *r)
{
    struct stmt_receipt body = {.slot = r->slot,
        .uses = inv->body.uses,
        .generation = r->generation,
        .revision = r->revision,
        .time = r->time};
    uint8_t bytes[256], raw[STMT_MAX];
    size_t size, raw_size;
    struct clan_error e = CLAN_ERROR_INIT;
    memcpy(body.invite_id, inv->id, 16);
    memcpy(body.machine, m->id, 32);
    memcpy(body.admission, m->admission_id, 32);
    if (stmt_put_receipt(&body, bytes, sizeof bytes, &size) != CLAN_OK ||
        stmt_build(STMT_RECEIPT, b->clan_id, b->own_id, r->revision, bytes, size, raw, &raw_size) !=
            CLAN_OK ||
        stmt_sign(raw, &raw_size, b->secret) != CLAN_OK)
        return;
    if (spread_publish(b, raw, raw_size, &e) != CLAN_OK)
        log_clan_error(LOG_LEVEL_WARN, &e);
    else
        log_info(
            "confirmed a machine: use %u of %u of its invitation", r->slot + 1, inv->body.uses);
}

static void on_spent(struct brain *b, const clan_keeper_SpendResult *r)
{
    const struct member_machine *m = member_find(b->set, r->machine_id);
    const struct member_invite *inv = member_invite_find(b->set, r->invite_id);
    if (!m || !inv || m->standing != MEMBER_PROVISIONAL)
        return;
    note_judged(b, m->admission_id, r->error.status);
    if (r->error.status == CLAN_OK)
        sign_receipt(b, m, inv, r);
    else
        log_warn(
            "a machine stays provisional: its invitation is %s", clan_status_text(r->error.status));
}

static void on_message(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    struct brain *b = arg;
    channel_close_fds(fds, fd_count);
    pb_istream_t is = pb_istream_from_buffer(data, size);
    if (!pb_decode(&is, clan_keeper_FromKeeper_fields, &keeper_in)) {
        log_error("the keeper sent a message that does not decode");
        return;
    }
    switch (keeper_in.which_m) {
    case clan_keeper_FromKeeper_hello_ack_tag:
        b->keeper_ready = true;
        b->judged_count = 0;
        keeper_reconcile(b);
        break;
    case clan_keeper_FromKeeper_spend_result_tag:
        b->keeper_trouble.status = CLAN_OK;
        on_spent(b, &keeper_in.m.spend_result);
        break;
    case clan_keeper_FromKeeper_trouble_tag:
        error_from_wire(&b->keeper_trouble, &keeper_in.m.trouble.error);
        log_clan_error(LOG_LEVEL_ERROR, &b->keeper_trouble);
        break;
    default:
        break;
    }
}

void keeper_gone(struct brain *b)
{
    chan_close(b->keeper);
    b->keeper = NULL;
    b->keeper_ready = false;
}

static void on_gone(void *arg)
{
    keeper_gone(arg);
}

void keeper_open(struct brain *b, int fd, uint32_t child)
{
    keeper_gone(b);
    b->keeper = chan_open(&b->loop, fd, on_message, on_gone, b);
    b->keeper_child = child;
    memset(&keeper_out, 0, sizeof keeper_out);
    keeper_out.which_m = clan_keeper_ToKeeper_hello_tag;
    snprintf(keeper_out.m.hello.build, sizeof keeper_out.m.hello.build, "%s", BRAIN_BUILD);
    memcpy(keeper_out.m.hello.clan_id, b->clan_id, 32);
    tell(b);
}

static void ask_spend(
    struct brain *b, const struct member_machine *m, const struct member_invite *inv)
{
    int known = find_judged(b, m->admission_id);
    if (known >= 0) {
        clan_status st = b->judged[known].status;
        bool again = st == CLAN_E_IO || st == CLAN_E_AGAIN || st == CLAN_OK;
        if (!again || brain_now() - b->judged[known].asked_ms < KEEPER_ASK_AGAIN_MS)
            return;
    }
    note_judged(b, m->admission_id, CLAN_E_AGAIN);
    memset(&keeper_out, 0, sizeof keeper_out);
    keeper_out.which_m = clan_keeper_ToKeeper_spend_tag;
    clan_keeper_Spend *s = &keeper_out.m.spend;
    s->request = ++b->next_request;
    memcpy(s->invite_id, inv->id, 16);
    s->uses = inv->body.uses;
    s->expires = inv->body.expires;
    s->closed = inv->closed;
    memcpy(s->machine_id, m->id, 32);
    memcpy(s->admission_id, m->admission_id, 32);
    tell(b);
}

static bool keeper_asked;
static uint64_t keeper_asked_ms;

static void on_started(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    (void)arg;
    if (fd >= 0)
        close(fd);
    b->keeper_trouble = a->error;
    keeper_asked = a->error.status == CLAN_OK; /* else it is asked for again */
    if (!keeper_asked)
        log_clan_error(LOG_LEVEL_WARN, &a->error);
}

void keeper_reconcile(struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    if (!self || !self->keeper || self->standing != MEMBER_CONFIRMED || b->catching_up ||
        b->stale_open)
        return;
    if (!b->keeper && !keeper_asked &&
        (!keeper_asked_ms || brain_now() - keeper_asked_ms > KEEPER_ASK_AGAIN_MS)) {
        keeper_asked_ms = brain_now();
        keeper_asked = true; /* the warden restarts it by itself afterwards */
        ward_simple(b, WARD_REQ_KEEPER_START, on_started, NULL);
    }
    if (!b->keeper_ready)
        return;
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        const struct member_invite *inv = member_invite_find(b->set, m->invite_id);
        if (m->standing == MEMBER_PROVISIONAL && !m->has_receipt && inv && !inv->body.approve)
            ask_spend(b, m, inv);
    }
}
