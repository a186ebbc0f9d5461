/*
 * Whatever a peer, a stranger, a guest or a door may send: u8 kinds of session, then {u16 size,
 * message} ... decoded by nanopb and given to gossip.
 */
#include "../unit/member_fixture.h"
#include "base/buf.h"
#include "base/error.h"
#include "member/gossip.h"

#include <pb_decode.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct fx f;
static struct fx_machine nas, bob, eve;
static struct fx_stmt story[6];
static const uint8_t body[100000] = {1, 2, 3};
static size_t sent;

static bool op_send(void *arg, uint32_t session, const clan_peer_PeerMsg *msg)
{
    (void)arg;
    (void)session;
    clan_assert(msg->which_m > 0);
    return ++sent % 7 != 0;
}
static bool op_store(void *arg, const uint8_t *raw, size_t size, const struct member_effect *effect)
{
    (void)arg;
    clan_assert(raw && size <= STMT_MAX && effect->is_new);
    return true;
}
static void op_changed(void *arg, const struct member_effect *effect, uint32_t session)
{
    (void)arg;
    (void)effect;
    (void)session;
}
static void op_introduced(void *arg, uint32_t session, const uint8_t machine_id[32])
{
    (void)arg;
    (void)session;
    (void)machine_id;
}
static void op_drop(void *arg, uint32_t session, clan_status why, const char *text)
{
    (void)arg;
    (void)session;
    clan_assert(why != CLAN_OK && text);
}
static bool op_body_get(
    void *arg, const uint8_t hash[32], const uint8_t **ret_data, size_t *ret_size)
{
    (void)arg;
    if (hash[0] & 1)
        return false;
    *ret_data = body;
    *ret_size = sizeof body;
    return true;
}
static bool op_body_put(void *arg, const uint8_t hash[32], const uint8_t *data, size_t size)
{
    uint8_t own[32];
    (void)arg;
    crypto_generichash(own, 32, data, size, NULL, 0);
    clan_assert(!memcmp(own, hash, 32));
    return true;
}
static void op_head(void *arg, uint32_t session, const clan_peer_Head *head)
{
    (void)arg;
    (void)session;
    (void)head;
}
static uint32_t op_random(void *arg, uint32_t below)
{
    static uint32_t n;
    (void)arg;
    return below ? n++ % below : 0;
}
static const struct gossip_ops ops = {op_send, op_store, op_changed, op_introduced, op_drop,
    op_body_get, op_body_put, op_head, NULL, op_random};

static void make_story(void)
{
    struct fx_invite in;
    clan_assert(sodium_init() >= 0);
    fx_open(&f, 1, 1, 12);
    fx_machine(&f, &nas);
    fx_machine(&f, &bob);
    fx_machine(&f, &eve);
    fx_invite(&f, &in, 1, 2, 1);
    struct stmt_envelope b = fx_envelope_body(&f, 2, 1, 1, nas.id);
    f.v[2] = fx_envelope(&f, &b, 1);
    story[0] = f.genesis;
    story[1] = fx_founder(&f, &nas, 1);
    story[2] = f.v[2];
    story[3] = in.stmt;
    story[4] = fx_admission(&f, &nas, &in, &bob, FX_NOW);
    story[5] = fx_receipt(&f, &nas, 0, &in, &bob, &story[4], 1, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static clan_peer_PeerMsg msg;
    static const uint8_t invite[16], hash[32] = {1};
    if (!story[0].raw)
        make_story();
    struct member_set *m = member_new();
    struct buf_reader r = buf_reader_of(data, size);
    uint8_t kinds = buf_get_u8(&r);
    for (unsigned i = 0; i < (kinds & 0x80 ? 5u : 6u); i++) /* bob a guest or a member */
        clan_assert(member_apply(m, story[i].raw, story[i].size, 0, NULL, NULL) == CLAN_OK);
    struct gossip *g = gossip_new(m, nas.id, &ops, NULL);
    uint64_t now = 1000;
    gossip_up(g, 1, GOSSIP_PEER, bob.id, bob.control, now);
    gossip_up(g, 2, GOSSIP_STRANGER, NULL, eve.control, now);
    gossip_up(g, 3, GOSSIP_DOOR, NULL, kinds & 1 ? bob.door : eve.door, now);
    gossip_up(g, 4, GOSSIP_JOINER, NULL, nas.door, now);
    if (kinds & 2)
        gossip_hand_over(g, 3, invite, now);
    if (kinds & 4)
        gossip_want_body(g, hash, now);
    for (unsigned n = 0; n < 200 && r.left > 2; n++) {
        size_t len = buf_get_u16(&r);
        len = len > r.left ? r.left : len;
        pb_istream_t in = pb_istream_from_buffer(buf_view(&r, len), len);
        memset(&msg, 0, 512);
        if (pb_decode(&in, clan_peer_PeerMsg_fields, &msg))
            for (uint32_t s = 1; s <= 4; s++)
                (void)gossip_recv(g, s, &msg, now);
        now += n % 4 ? 1 : 700;
        clan_assert(gossip_tick(g, now) >= now);
    }
    gossip_free(g);
    member_free(m);
    return 0;
}
