/* The statements' log of a running core, and the clock that a peer claims. */
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "brain/brain.h"
#include "member_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct fx f;
static struct brain *b;
static struct fx_machine nas;
static char dir[64];

static uint64_t now_ms;

/* One each forty seconds: as many as an author may have in an hour. */
static void take(struct fx_stmt s)
{
    struct clan_error e = CLAN_ERROR_INIT;
    now_ms += 3600000 / 90;
    clan_status r = gossip_publish(b->gossip, s.raw, s.size, now_ms, NULL, &e);
    if (r != CLAN_OK)
        print_error("%s\n", e.what);
    assert_int_equal(r, CLAN_OK);
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/clan-unit-log-XXXXXX");
    assert_non_null(mkdtemp(dir));
    b = calloc(1, sizeof *b);
    assert_non_null(b);
    b->soon_armed = true; /* there is no loop */
    b->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(stmt_store_open(b->state_fd, NULL, NULL, &b->store, NULL), CLAN_OK);
    fx_open(&f, 1, 1, 2);
    fx_machine(&f, &nas);
    b->set = member_new();
    b->gossip = gossip_new(b->set, nas.id, &spread_ops, b);
    assert_non_null(b->gossip);
    take(f.genesis);
    take(fx_founder(&f, &nas, 1));
    struct stmt_envelope body = fx_envelope_body(&f, 2, 1, 1, nas.id);
    f.v[2] = fx_envelope(&f, &body, 1);
    take(f.v[2]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gossip_free(b->gossip);
    member_free(b->set);
    stmt_store_close(b->store);
    unlinkat(b->state_fd, "statements.log", 0);
    close(b->state_fd);
    rmdir(dir);
    free(b->peers);
    free(b);
    fx_close(&f);
    return 0;
}

static unsigned loaded;

static void reload(void *arg, const uint8_t *raw, size_t size)
{
    assert_int_equal(member_apply(arg, raw, size, 0, NULL, NULL), CLAN_OK);
    loaded++;
}

/* A machine that signs a new record all the time fills no disk (SECURITY D1). */
static void test_log_does_not_grow(void **state)
{
    (void)state;
    uint8_t before[32], after[32];
    uint64_t most = 0;
    for (uint64_t seq = 2; seq < 4000; seq++) {
        take(fx_record(&f, &nas, seq, FX_NOW));
        uint64_t now = stmt_store_bytes(b->store);
        most = now > most ? now : most;
    }
    assert_in_range(most, 1, 512 << 10);
    /* and what is left makes the same set */
    member_digest(b->set, before);
    stmt_store_close(b->store);
    struct member_set *again = member_new();
    assert_int_equal(stmt_store_open(b->state_fd, reload, again, &b->store, NULL), CLAN_OK);
    member_digest(again, after);
    assert_memory_equal(before, after, 32);
    assert_true(loaded >= 4);
    member_free(again);
}

/* Whatever a peer calls the time, it can be reckoned with. */
static void test_clock_of_a_liar(void **state)
{
    (void)state;
    static const int64_t claims[] = {INT64_MIN, INT64_MAX, -1, 0};
    struct session *s = session_new(b);
    s->id = 7;
    s->has_machine = true;
    memcpy(s->machine, nas.id, 32);
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        clan_peer_Head head = {.config_version = 2, .wall = claims[i]};
        spread_ops.head(b, 7, &head);
        const struct peer *p = peer_get(b, nas.id);
        assert_int_equal(p->shown_head, 2);
        assert_true(p->wall_at_boot > -((int64_t)1 << 42) && p->wall_at_boot < (int64_t)1 << 42);
    }
}

/* A copy of this machine elsewhere answers each record with one of its own (SECURITY B3, D1). */
static void test_no_war_of_records(void **state)
{
    (void)state;
    unsigned published = 0;
    b->root = nas.root;
    memcpy(b->own_id, nas.id, 32);
    memcpy(b->clan_id, f.clan, 32);
    b->endpoint_count = 1;
    strcpy(b->endpoints[0].transport, "tcp-noise");
    strcpy(b->endpoints[0].text, "192.0.2.1:7117");
    for (unsigned i = 0; i < 500; i++) {
        uint64_t before = member_find(b->set, nas.id)->record_seq;
        identity_publish_record(b);
        uint64_t after = member_find(b->set, nas.id)->record_seq;
        published += after > before;
        take(fx_record(&f, &nas, after + 1, FX_NOW));
    }
    assert_in_range(published, 3, 30);
}

static clan_status offer(const char *names, const struct fx_machine *bob)
{
    static clan_api_BlobPut put;
    struct clan_error e = CLAN_ERROR_INIT;
    char key[TEXT_ID_CHARS + 1], id[2][TEXT_ID_CHARS + 1];
    text_base32(f.admin_key[0], 32, key);
    text_base32(nas.id, 32, id[0]);
    text_base32(bob->id, 32, id[1]);
    int n = snprintf((char *)put.data.bytes, sizeof put.data.bytes,
        "version: 3\nclan: home\nadmins: {threshold: 1, keys: {anna: \"ed25519:%s\"}}\n"
        "machines:\n  \"%s\": {name: nas}\n  %s\"%s\": {name: bob}\n",
        key, id[0], names, id[1]);
    put.data.size = (pb_size_t)n;
    put.total = (uint32_t)n;
    crypto_generichash(put.hash, 32, put.data.bytes, put.data.size, NULL, 0);
    clan_status st = bodies_chunk(b, &put, &e);
    assert_int_equal(bodies_uploaded(put.hash), st == CLAN_OK);
    return st;
}

/* A rollback names a machine that was removed (SECURITY C4): refused before anybody signs. */
static void test_removed_is_not_named_again(void **state)
{
    (void)state;
    struct fx_machine bob;
    struct fx_invite in;
    struct clan_config now = {0};
    struct clan_config_machine named = {0};
    fx_machine(&f, &bob);
    fx_invite(&f, &in, 1, 2, 1);
    take(in.stmt);
    take(fx_admission(&f, &nas, &in, &bob, FX_NOW));
    b->bound = true;
    assert_int_equal(offer("", &bob), CLAN_OK);
    take(fx_removal(&f, &bob, 2, 1));
    assert_int_equal(offer("# ", &bob), CLAN_OK);
    assert_int_equal(offer("", &bob), CLAN_E_REVOKED);
    /* one that left and is still named where nobody signed since stands in nobody's way */
    memcpy(named.id, bob.id, 32);
    now.machines = &named;
    now.machine_count = 1;
    b->cfg = &now;
    assert_int_equal(offer("", &bob), CLAN_OK);
    b->cfg = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_log_does_not_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(test_clock_of_a_liar, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_war_of_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_is_not_named_again, setup, teardown),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
