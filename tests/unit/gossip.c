/* Gossip between a few machines: joining through a door, strangers, revocations, bodies, spam. */
#include "../sim/world.h"
#include "noise/keys.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world *w;

static enum member_standing sees(const struct node *n, const struct node *x)
{
    const struct member_machine *found = member_find(n->m, x->key.id);
    return found ? found->standing : MEMBER_UNKNOWN;
}

static int setup(void **state)
{
    (void)state;
    w = malloc(sizeof *w);
    world_open(w, 5, 1, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_close(w);
    free(w);
    return 0;
}

static struct fx_invite invite(struct node *at)
{
    struct fx_invite in;
    fx_invite(&w->f, &in, 1, w->version, 1);
    w->now += 3600000; /* the quota of one admin is another test's */
    assert_int_equal(node_publish(at, in.stmt), CLAN_OK);
    return in;
}

static struct node *join(struct node *door)
{
    struct fx_invite in = invite(door);
    struct node *n = world_node(w);
    assert_int_equal(world_join(w, n, door, &in), CLAN_OK);
    world_run(w, 200);
    assert_true(n->settled);
    n->joining = false;
    n->exists = true;
    return n;
}

static void raise_version(struct node *at)
{
    w->version++;
    struct stmt_envelope b = fx_envelope_body(&w->f, w->version, 1, 1, w->nodes[0]->key.id);
    w->f.v[w->version] = fx_envelope(&w->f, &b, 1);
    assert_int_equal(node_publish(at, w->f.v[w->version]), CLAN_OK);
}

static void hang_up(void)
{
    for (unsigned i = 0; i < WORLD_LINKS; i++)
        if (w->links[i].open)
            world_disconnect(w, w->links[i].id);
}

/* The receipt reaches the joiner through its door at once. */
static void test_join(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas);
    assert_int_equal(sees(nas, bob), MEMBER_CONFIRMED);
    assert_int_equal(sees(bob, bob), MEMBER_CONFIRMED);
    assert_int_equal(sees(bob, nas), MEMBER_CONFIRMED);
    /* through another door than the keeper: over two hops, on what is connected */
    hang_up();
    assert_true(world_connect(w, bob, nas) > 0);
    world_run(w, 100);
    struct node *carl = join(bob);
    assert_int_equal(sees(carl, carl), MEMBER_CONFIRMED);
    assert_int_equal(sees(nas, carl), MEMBER_CONFIRMED);
}

/* A guest of a door while the keeper is off: provisional, and without the roster. */
static void test_guest(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas), *carl = join(nas);
    hang_up();
    assert_true(world_connect(w, bob, nas) > 0);
    world_run(w, 3000);
    assert_int_equal(sees(bob, carl), MEMBER_CONFIRMED);
    hang_up();
    struct node *guest = join(bob);
    assert_int_equal(sees(guest, guest), MEMBER_PROVISIONAL);
    assert_int_equal(sees(guest, bob), MEMBER_CONFIRMED);
    assert_int_equal(sees(guest, nas), MEMBER_CONFIRMED); /* the keeper */
    assert_null(member_find(guest->m, carl->key.id));
    /* as a peer of its door it gets no more */
    hang_up();
    assert_true(world_connect(w, guest, bob) > 0);
    world_run(w, 70000);
    assert_null(member_find(guest->m, carl->key.id));
    /* later it meets the keeper, to whom it is a stranger: its admission comes first */
    hang_up();
    assert_null(member_find(nas->m, guest->key.id));
    assert_true(world_connect(w, guest, nas) > 0);
    world_run(w, 2000);
    assert_int_equal(nas->introduced, 1);
    assert_int_equal(sees(nas, guest), MEMBER_CONFIRMED);
    assert_int_equal(sees(guest, guest), MEMBER_CONFIRMED);
    world_run(w, 70000);
    assert_int_equal(sees(guest, carl), MEMBER_CONFIRMED);
}

/* A machine admitted while another slept, by a door that it does not know either, at a newer
 * version. */
static void test_stranger_chain(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *anna = join(nas);
    hang_up();
    struct node *bob = join(nas);
    hang_up();
    raise_version(nas);
    assert_true(world_connect(w, bob, nas) > 0);
    world_run(w, 1000);
    struct node *carl = join(bob);
    hang_up();
    assert_null(member_find(anna->m, bob->key.id));
    assert_int_equal(member_head(anna->m, NULL, NULL), 2);
    /* carl knows anna by name only: give him her record by asking nas first */
    assert_true(world_connect(w, carl, nas) > 0);
    world_run(w, 5000);
    hang_up();
    assert_true(world_connect(w, carl, anna) > 0);
    world_run(w, 2000);
    assert_int_equal(anna->introduced, 1);
    assert_int_equal(sees(anna, carl), MEMBER_CONFIRMED);
    assert_int_equal(member_head(anna->m, NULL, NULL), 3);
}

/* A real stranger learns nothing and ends. */
static void test_stranger_learns_nothing(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0];
    struct node *eve = world_node(w);
    static clan_peer_PeerMsg msg;
    node_start(eve);
    size_t before = w->packets;
    gossip_up(nas->g, 77, GOSSIP_STRANGER, NULL, eve->key.control, w->now);
    memset(&msg, 0, sizeof msg);
    msg.which_m = clan_peer_PeerMsg_buckets_tag;
    msg.m.buckets.digests.size = 2048;
    for (int i = 0; i < 10; i++)
        assert_true(gossip_recv(nas->g, 77, &msg, w->now));
    msg.which_m = clan_peer_PeerMsg_want_tag;
    msg.m.want.ids.size = 16;
    memcpy(msg.m.want.ids.bytes, w->f.genesis.id, 16);
    assert_true(gossip_recv(nas->g, 77, &msg, w->now));
    assert_int_equal(w->packets, before); /* session 77 has no link: nothing can have left */
    assert_int_equal(nas->drops, 0);
    msg.which_m = clan_peer_PeerMsg_statement_tag;
    for (int i = 0; i < 400 && nas->drops == 0; i++) {
        struct fx_stmt a = fx_ack(&w->f, &eve->key, (uint64_t)i + 1, 1);
        msg.m.statement.data.size = (pb_size_t)a.size;
        memcpy(msg.m.statement.data.bytes, a.raw, a.size);
        gossip_recv(nas->g, 77, &msg, w->now);
    }
    assert_int_equal(nas->drops, 1);
    assert_int_equal(nas->drop_why, CLAN_E_LIMIT);
    msg.which_m = clan_peer_PeerMsg_ping_tag;
    assert_false(gossip_recv(nas->g, 77, &msg, w->now));
}

/* Let in by a door that was removed meanwhile: nobody takes it in, and it learns why. */
static void test_guest_of_removed(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas);
    struct fx_invite in = invite(nas);
    assert_int_equal(node_publish(bob, in.stmt), CLAN_OK);
    hang_up();
    assert_int_equal(node_publish(nas, fx_removal(&w->f, &bob->key, 2, 1)), CLAN_OK);
    struct node *guest = world_node(w);
    assert_int_equal(world_join(w, guest, bob, &in), CLAN_OK);
    world_run(w, 200);
    guest->joining = false;
    guest->exists = true;
    assert_int_equal(sees(guest, guest), MEMBER_PROVISIONAL);
    hang_up();
    assert_true(world_connect(w, guest, nas) > 0);
    world_run(w, 2000);
    assert_int_equal(nas->introduced, 0);
    assert_int_equal(nas->drop_why, CLAN_E_REVOKED);
    assert_int_equal(sees(nas, guest), MEMBER_UNKNOWN);
    assert_int_equal(sees(guest, bob), MEMBER_REVOKED);
    assert_int_equal(sees(guest, guest), MEMBER_UNKNOWN);
}

/* A removed machine gets its revocation and is dropped: also when it comes later. */
static void test_removed(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas), *carl = join(nas);
    hang_up();
    assert_true(world_connect(w, bob, nas) > 0);
    assert_true(world_connect(w, carl, nas) > 0);
    world_run(w, 1000);
    assert_int_equal(node_publish(nas, fx_removal(&w->f, &bob->key, 2, 1)), CLAN_OK);
    world_run(w, 500);
    assert_int_equal(sees(bob, bob), MEMBER_REVOKED);
    assert_int_equal(sees(carl, bob), MEMBER_REVOKED);
    assert_int_equal(nas->drop_why, CLAN_E_REVOKED);
    assert_false(world_connected(w, bob, nas));
    /* one that did not hear of it */
    hang_up();
    raise_version(nas); /* the removal closed the invitations of its version */
    struct node *dora = join(nas);
    hang_up();
    assert_int_equal(node_publish(nas, fx_removal(&w->f, &dora->key, w->version, 1)), CLAN_OK);
    assert_int_equal(sees(dora, dora), MEMBER_CONFIRMED);
    assert_true(world_connect(w, dora, nas) > 0);
    world_run(w, 500);
    assert_int_equal(sees(dora, dora), MEMBER_REVOKED);
    assert_false(world_connected(w, dora, nas));
}

static const struct node *gone;
static unsigned heads;

static void head_told(struct node *n)
{
    assert_int_equal(sees(n, gone), MEMBER_REVOKED);
    heads++;
}

/* A head says nothing of removals: whoever slept believes it only when it has those, too. */
static void test_head_after_sleep(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas), *sleeper = join(nas);
    hang_up();
    assert_int_equal(node_publish(nas, fx_removal(&w->f, &bob->key, 2, 1)), CLAN_OK);
    gossip_catching_up(sleeper->g, true);
    gone = bob;
    heads = 0;
    sleeper->head_told = head_told;
    assert_true(world_connect(w, sleeper, nas) > 0);
    world_run(w, 3000);
    assert_int_equal(sees(sleeper, bob), MEMBER_REVOKED);
    assert_true(heads > 0);
}

/* ---- SECURITY C5: who was an admin when a machine fell asleep may be none any more ---- */

struct yesterday {
    struct node *nas, *bob, *carl, *sleeper, *eve;
    struct fx_invite evil_invite;
    uint8_t evil_head[32];
};

/* bob knows yesterday's key and makes a chain of his own; everybody else follows another. */
static void open_yesterday(struct yesterday *y)
{
    y->nas = w->nodes[0];
    y->bob = join(y->nas);
    y->carl = join(y->nas);
    y->sleeper = join(y->nas);
    hang_up();
    world_connect(w, y->nas, y->bob);
    world_connect(w, y->nas, y->carl);
    world_connect(w, y->nas, y->sleeper);
    world_run(w, 70000);
    hang_up();
    y->eve = world_node(w);
    struct stmt_envelope b = fx_envelope_body(&w->f, 3, 1, 1, y->bob->key.id); /* keeper: himself */
    b.time = FX_NOW + 7;
    struct fx_stmt evil = fx_envelope(&w->f, &b, 1);
    memcpy(y->evil_head, evil.id, 32);
    assert_int_equal(node_publish(y->bob, evil), CLAN_OK);
    w->now += 3600000;
    fx_invite(&w->f, &y->evil_invite, 1, 3, 1);
    assert_int_equal(node_publish(y->bob, y->evil_invite.stmt), CLAN_OK);
    struct fx_stmt a = fx_admission(&w->f, &y->bob->key, &y->evil_invite, &y->eve->key, FX_NOW + 8);
    assert_int_equal(node_publish(y->bob, a), CLAN_OK);
    assert_int_equal(node_publish(y->bob, fx_receipt(&w->f, &y->bob->key, 0, &y->evil_invite,
                                              &y->eve->key, &a, 1, 1)),
        CLAN_OK);
    assert_int_equal(sees(y->bob, y->eve), MEMBER_CONFIRMED);
    /* the others: admin 0 handed over to admin 1, and two more versions */
    for (w->version = 3; w->version <= 5; w->version++) {
        b = fx_envelope_body(&w->f, w->version, 2, 1, y->nas->key.id);
        w->f.v[w->version] = fx_envelope(&w->f, &b, w->version == 3 ? 1 : 2);
        assert_int_equal(node_publish(y->nas, w->f.v[w->version]), CLAN_OK);
        assert_int_equal(node_publish(y->carl, w->f.v[w->version]), CLAN_OK);
    }
    w->version = 5;
}

static uint64_t head_of(const struct node *n, uint8_t ret_id[32])
{
    const uint8_t *id;
    uint64_t version = member_head(n->m, &id, NULL);
    memcpy(ret_id, id, 32);
    return version;
}

static void meet(struct node *a, struct node *b)
{
    assert_true(world_connect(w, a, b) > 0);
    world_run(w, 5000);
    hang_up();
}

static void test_yesterdays_admin(void **state)
{
    (void)state;
    struct yesterday y;
    uint8_t id[32];
    open_yesterday(&y);
    node_hold(y.sleeper, true);
    meet(y.sleeper, y.bob);
    assert_int_equal(head_of(y.sleeper, id), 2);
    assert_int_equal(sees(y.sleeper, y.eve), MEMBER_UNKNOWN);
    meet(y.sleeper, y.carl); /* one against one */
    assert_int_equal(head_of(y.sleeper, id), 2);
    assert_false(member_chain_stopped(y.sleeper->m));
    assert_true(y.sleeper->held);
    meet(y.sleeper, y.nas); /* the keeper */
    assert_false(y.sleeper->held);
    assert_int_equal(head_of(y.sleeper, id), 5);
    assert_memory_equal(id, w->f.v[5].id, 32);
    assert_false(member_chain_stopped(y.sleeper->m));
    assert_int_equal(sees(y.sleeper, y.eve), MEMBER_UNKNOWN); /* the chain does not bear her out */
}

/* Two of before are enough, also when one of them is a version behind. */
static void test_two_of_before(void **state)
{
    (void)state;
    struct yesterday y;
    uint8_t id[32];
    open_yesterday(&y);
    /* bob comes round: his machine is asked to start from what the others have */
    node_crash(y.bob);
    free(y.bob->log);
    y.bob->log = malloc(y.carl->log_size);
    assert_non_null(y.bob->log);
    y.bob->log_size = y.bob->log_cap = y.carl->log_size;
    memcpy(y.bob->log, y.carl->log, y.carl->log_size);
    node_start(y.bob);
    struct stmt_envelope b = fx_envelope_body(&w->f, 6, 2, 1, y.nas->key.id);
    w->f.v[6] = fx_envelope(&w->f, &b, 2);
    assert_int_equal(node_publish(y.carl, w->f.v[6]), CLAN_OK);
    node_hold(y.sleeper, true);
    meet(y.sleeper, y.carl);
    assert_int_equal(head_of(y.sleeper, id), 2);
    meet(y.sleeper, y.bob);
    assert_false(y.sleeper->held);
    assert_int_equal(head_of(y.sleeper, id), 5); /* as far as both stand behind it */
    meet(y.sleeper, y.carl);
    assert_int_equal(head_of(y.sleeper, id), 6);
    assert_memory_equal(id, w->f.v[6].id, 32);
}

/* What a machine says of itself, and who was removed, needs no admin of today. */
static void test_held_hears_of_removals(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas), *sleeper = join(nas), *late;
    hang_up();
    meet(sleeper, nas);
    assert_int_equal(sees(sleeper, bob), MEMBER_CONFIRMED);
    node_hold(sleeper, true);
    sleeper->held = false; /* nobody stands behind anything */
    w->keeper_off = true;
    late = join(nas);
    hang_up();
    assert_int_equal(node_publish(nas, fx_removal(&w->f, &bob->key, 2, 1)), CLAN_OK);
    meet(sleeper, nas);
    assert_int_equal(sees(sleeper, bob), MEMBER_REVOKED);
    assert_int_equal(sees(sleeper, late), MEMBER_UNKNOWN);
    node_hold(sleeper, false); /* and what was kept is there at once */
    assert_int_equal(sees(sleeper, late), MEMBER_PROVISIONAL);
}

/* Bodies: in chunks, hash checked, the liar is named and another one asked. */
static void test_body(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas), *carl = join(nas);
    uint8_t hash[32];
    hang_up();
    nas->body_size = 300001;
    for (size_t i = 0; i < nas->body_size; i++)
        nas->body[i] = (uint8_t)(i * 31 >> 4);
    crypto_generichash(hash, 32, nas->body, nas->body_size, NULL, 0);
    assert_true(world_connect(w, bob, nas) > 0);
    assert_true(world_connect(w, carl, nas) > 0);
    world_run(w, 1000);
    assert_true(world_connect(w, carl, bob) > 0);
    bob->lies = true; /* whatever is asked for: something else */
    bob->body_size = 70000;
    world_run(w, 1000);
    bool blamed = false;
    for (int i = 0; i < 40 && !blamed; i++) {
        carl->body_size = 0;
        gossip_want_body(carl->g, hash, w->now);
        carl->next_tick = w->now;
        world_run(w, 12000);
        assert_int_equal(carl->body_size, nas->body_size);
        assert_memory_equal(carl->body, nas->body, nas->body_size);
        blamed = carl->drops > 0;
    }
    assert_true(blamed);
    assert_int_equal(carl->drop_why, CLAN_E_PROTO);
    /* a guest is not given the text that names everybody */
    w->keeper_off = true;
    struct node *guest = join(nas);
    assert_int_equal(sees(guest, guest), MEMBER_PROVISIONAL);
    gossip_want_body(guest->g, hash, w->now);
    guest->next_tick = w->now;
    world_run(w, 20000);
    assert_int_equal(guest->body_size, 0);
}

/* A peer that does not stop is slowed down, and then ended, by name. */
static void test_spam(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas);
    static clan_peer_PeerMsg msg;
    size_t before = member_stmt_count(nas->m);
    uint32_t id = world_connect(w, bob, nas);
    if (!id) {
        hang_up();
        id = world_connect(w, bob, nas);
    }
    assert_true(id > 0);
    msg.which_m = clan_peer_PeerMsg_statement_tag;
    for (unsigned i = 0; i < 20; i++) {
        struct fx_stmt s =
            fx_sign(&w->f, STMT_OFFER, bob->key.id, i, &i, 4, 0, bob->key.identity_secret);
        msg.m.statement.data.size = (pb_size_t)s.size;
        memcpy(msg.m.statement.data.bytes, s.raw, s.size);
        gossip_recv(nas->g, id, &msg, w->now);
    }
    assert_int_equal(member_stmt_count(nas->m), before + MEMBER_NEW_PER_HOUR);
    memset(msg.m.statement.data.bytes, 3, 100);
    msg.m.statement.data.size = 100;
    for (unsigned i = 0; i < 8000 && nas->drops == 0; i++)
        gossip_recv(nas->g, id, &msg, w->now);
    assert_int_equal(nas->drops, 1);
    /* lists that are malformed */
    msg.which_m = clan_peer_PeerMsg_bucket_ids_tag;
    msg.m.bucket_ids.bucket = 3;
    msg.m.bucket_ids.ids.size = 32;
    memset(msg.m.bucket_ids.ids.bytes, 3, 32); /* twice the same */
    hang_up();
    id = world_connect(w, bob, nas);
    gossip_recv(nas->g, id, &msg, w->now);
    assert_int_equal(nas->drops, 2);
    assert_int_equal(nas->drop_why, CLAN_E_PROTO);
}

/* A large set reaches a machine that was away, by buckets. */
static void test_repair(void **state)
{
    (void)state;
    struct node *nas = w->nodes[0], *bob = join(nas), *carl = join(nas);
    hang_up();
    for (unsigned i = 0; i < 400; i++) {
        struct fx_invite in;
        fx_invite(&w->f, &in, 1, 2, 1);
        w->now += i % 9 ? 0 : 3600000;
        assert_int_equal(node_publish(nas, in.stmt), CLAN_OK);
    }
    assert_int_equal(node_publish(carl, fx_record(&w->f, &carl->key, 2, FX_NOW)), CLAN_OK);
    bob->next_tick = carl->next_tick = nas->next_tick = w->now;
    assert_true(world_connect(w, nas, bob) > 0);
    assert_true(world_connect(w, bob, carl) > 0 || world_connect(w, carl, bob) > 0);
    world_run(w, 60000);
    assert_true(world_agreed(w, true));
    assert_true(member_stmt_count(carl->m) > 400);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_join),
        T(test_guest),
        T(test_stranger_chain),
        T(test_stranger_learns_nothing),
        T(test_guest_of_removed),
        T(test_removed),
        T(test_head_after_sleep),
        T(test_yesterdays_admin),
        T(test_two_of_before),
        T(test_held_hears_of_removals),
        T(test_body),
        T(test_spam),
        T(test_repair),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
