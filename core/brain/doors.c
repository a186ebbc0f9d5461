/* Being a door: which invitations link may answer, and what happens after Noise message 3. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A door answers as long as the statement is there: also with "expired", "used up", "withdrawn". */
void doors_reconcile(struct brain *b)
{
    static uint8_t sent[MEMBER_INVITES_MAX][16];
    static size_t sent_count;
    static uint32_t told; /* which link: by the warden's number, an address may come again */
    if (!b->link || !b->set)
        return;
    if (told != b->link_child) {
        sent_count = 0;
        told = b->link_child;
    }
    for (size_t i = 0; i < member_invite_count(b->set); i++) {
        const struct member_invite *inv = member_invite_at(b->set, i);
        bool known = false;
        for (size_t k = 0; k < sent_count && !known; k++)
            known = memcmp(sent[k], inv->id, 16) == 0;
        if (known || sent_count == MEMBER_INVITES_MAX || member_invite_for_phone(inv))
            continue; /* no phone comes to a door */
        memcpy(sent[sent_count++], inv->id, 16);
        clan_link_ToLink *m = link_blank(clan_link_ToLink_invite_tag);
        memcpy(m->m.invite.id, inv->id, 16);
        keys_invite_psk(b->clan_id, inv->body.public_key, m->m.invite.psk);
        link_send(b, m, NULL, 0);
        sodium_memzero(m->m.invite.psk, sizeof m->m.invite.psk);
    }
}

static void answer(struct brain *b, struct session *s, const struct clan_error *e)
{
    clan_peer_PeerMsg *m = peer_blank(clan_peer_PeerMsg_door_answer_tag);
    m->m.door_answer.has_error = true;
    wire_from_error(&m->m.door_answer.error, e);
    session_send(b, s->id, m);
}

static clan_status admit(struct brain *b, const clan_link_DoorHello *m, struct clan_error *e)
{
    uint8_t raw[STMT_MAX];
    size_t size;
    clan_status st = join_make_admission(b->set, m->invite_id, m->proof, m->record.bytes,
        m->record.size, b->own_id, b->secret, b->own_admission_seq + 1, clock_wall_s(), raw, &size);
    if (st != CLAN_OK)
        return err_set(e, st, "the door could not write the admission");
    st = spread_publish(b, raw, size, e);
    if (st == CLAN_OK)
        b->own_admission_seq++;
    return st;
}

/* The same machine calling again gets the same answer, and no second admission. */
static bool admitted_already(struct brain *b, const clan_link_DoorHello *m)
{
    struct stmt st;
    return stmt_parse(m->record.bytes, m->record.size, &st, NULL) == CLAN_OK &&
           member_find(b->set, st.id) && member_find(b->set, st.id)->standing != MEMBER_UNKNOWN;
}

bool doors_serve(const struct brain *b, struct clan_error *e)
{
    long long off = llabs(peers_median_clock(b));
    bool clock = off > DOORS_CLOCK_OFF_S; /* it cannot tell what has expired (SECURITY A5) */
    if (brain_confirmed(b) && !b->catching_up && !clock)
        return true;
    err_set(e, CLAN_E_STALE, "the machine that was asked cannot answer invitations now");
    if (!brain_confirmed(b))
        err_why(e, "it is not a confirmed member itself");
    else if (b->catching_up)
        err_why(e, "it was asleep and is catching up");
    else
        err_why(e, "its clock differs by %lld minutes from the other machines'", off / 60);
    err_remedy(e, "%s, or ask for a link from another machine",
        clock ? "set its clock" : "try again in half a minute");
    return false;
}

/* Somebody came with a link that was used up: both sides are told (SECURITY A7). */
static void note_tried(struct brain *b, const struct session *s, const clan_link_DoorHello *m)
{
    struct stmt st;
    struct stmt_record r;
    bool shown = m->mode == JOIN_MODE_JOIN &&
                 stmt_parse(m->record.bytes, m->record.size, &st, NULL) == CLAN_OK &&
                 stmt_get_record(&st, &r) == CLAN_OK;
    alarms_tried(b, m->invite_id, shown ? r.identity : NULL, s->remote);
}

void doors_hello(struct brain *b, struct session *s, const clan_link_DoorHello *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    if (!doors_serve(b, &e)) {
        answer(b, s, &e);
        session_close(b, s, true);
        return;
    }
    clan_status st = join_door_check(b->set, m->invite_id, (uint8_t)m->mode, m->proof,
        m->record.bytes, m->record.size, m->peer_static, m->handshake_hash, clock_wall_s(), &e);
    if (st == CLAN_E_AUTH) { /* nothing is told to who has no proof */
        session_close(b, s, false);
        return;
    }
    bool again = st != CLAN_E_REVOKED && m->mode == JOIN_MODE_JOIN && admitted_already(b, m);
    if (st == CLAN_OK && m->mode == JOIN_MODE_JOIN && !again)
        st = admit(b, m, &e);
    if (again)
        st = CLAN_OK;
    e.status = st;
    answer(b, s, &e);
    if (st == CLAN_E_USED)
        note_tried(b, s, m);
    if (st != CLAN_OK) {
        log_info("a caller was refused: %s", e.what);
        session_close(b, s, true);
        return;
    }
    s->gossiping = true;
    s->up = true;
    memcpy(s->invite_id, m->invite_id, 16);
    gossip_up(b->gossip, s->id, GOSSIP_DOOR, NULL, m->peer_static, brain_now());
    gossip_hand_over(b->gossip, s->id, m->invite_id, brain_now());
    brain_soon(b);
}

/* A guest needs its door session until its receipt came by it, or it has a control session. */
#define DOORS_SESSION_MS 120000

void doors_tick(struct brain *b)
{
    for (unsigned i = 0; i < b->session_top; i++) {
        struct session *s = &b->sessions[i];
        if (s->id && !s->joiner && s->purpose == clan_link_Purpose_PURPOSE_DOOR &&
            brain_now() - s->since_ms > DOORS_SESSION_MS)
            session_close(b, s, false);
    }
}
