/* Rules of clan-core that need no other process: who may be a door, and who is known to one only.
 */
#include "brain/brain.h"
#include "base/clock.h"
#include "base/error.h"
#include "member_fixture.h"
#include "wire/link.pb.h"

#include <fcntl.h>
#include <pb_decode.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct fx f;
static struct brain *b;
static struct fx_machine nas, carl, dave, erin, own, guest;
static uint8_t root[32];
static char dir[64];

static void give(struct fx_stmt s)
{
    assert_int_equal(member_apply(b->set, s.raw, s.size, 0, NULL, NULL), CLAN_OK);
}

static void admit(struct fx_machine *m, const struct fx_machine *door, bool confirmed)
{
    struct fx_invite in;
    static uint64_t revision;
    fx_machine(&f, m);
    fx_invite(&f, &in, 1, 2, 1);
    give(in.stmt);
    struct fx_stmt a = fx_admission(&f, door, &in, m, FX_NOW);
    give(a);
    if (confirmed)
        give(fx_receipt(&f, &nas, 0, &in, m, &a, 1, ++revision));
}

static struct brain *brain_new(void)
{
    struct brain *n = calloc(1, sizeof *n);
    assert_non_null(n);
    n->root = root;
    n->state_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(n->state_fd >= 0);
    return n;
}

/* nas founded the clan and is its keeper; carl, dave and erin are members. */
static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/clan-unit-brain-XXXXXX");
    assert_non_null(mkdtemp(dir));
    b = brain_new();
    fx_open(&f, 1, 1, 2);
    b->set = member_new();
    give(f.genesis);
    fx_machine(&f, &nas);
    give(fx_founder(&f, &nas, 1));
    struct stmt_envelope body = fx_envelope_body(&f, 2, 1, 1, nas.id);
    f.v[2] = fx_envelope(&f, &body, 1);
    give(f.v[2]);
    admit(&carl, &nas, true);
    admit(&dave, &nas, true);
    admit(&erin, &nas, true);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlinkat(b->state_fd, "one-door", 0);
    close(b->state_fd);
    rmdir(dir);
    member_free(b->set);
    free(b->peers);
    free(b);
    fx_close(&f);
    return 0;
}

static void become(const struct fx_machine *m)
{
    memcpy(b->own_id, m->id, 32);
}

static struct peer *shows(const struct fx_machine *m, uint64_t version, const uint8_t id[32])
{
    struct peer *p = peer_get(b, m->id);
    p->control = 1;
    p->shown_head = version;
    memcpy(p->shown_id, id, 32);
    return p;
}

static void clock_of(const struct fx_machine *m, int64_t ahead)
{
    struct peer *p = shows(m, 2, f.v[2].id);
    p->wall_at_boot = clock_wall_s() + ahead - (int64_t)(clock_boot_ms() / 1000);
}

static void door_with_a_wrong_clock(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    become(&nas);
    admit(&guest, &nas, false);
    assert_true(doors_serve(b, &e)); /* nobody to differ from */
    clock_of(&guest, 5000);
    assert_true(doors_serve(b, &e)); /* a guest's clock is nobody's measure */
    clock_of(&carl, 290);
    assert_true(doors_serve(b, &e));
    clock_of(&carl, 310);
    assert_false(doors_serve(b, &e));
    assert_int_equal(e.status, CLAN_E_STALE);
    assert_non_null(strstr(e.why, "5 minutes"));
    clock_of(&carl, -310);
    assert_false(doors_serve(b, &e));
    clock_of(&dave, 0); /* one of two agrees with us */
    assert_true(doors_serve(b, &e));
    clock_of(&erin, -400); /* two of three do not */
    assert_false(doors_serve(b, &e));
    peer_find(b, erin.id)->control = 0; /* only who is there counts */
    assert_true(doors_serve(b, &e));
}

static void no_chan(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    (void)arg, (void)data, (void)size, (void)fds, (void)fd_count;
}

static void no_gone(void *arg)
{
    (void)arg;
}

/* The caller of such a door gets an answer, and no statement. */
static void door_with_a_wrong_clock_says_so(void **state)
{
    (void)state;
    int sv[2];
    static clan_link_ToLink m;
    static clan_peer_PeerMsg answer;
    static clan_link_DoorHello hello;
    static uint8_t data[70000];
    become(&nas);
    clock_of(&carl, 3600);
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    b->link = chan_open(&b->loop, sv[0], no_chan, no_gone, b);
    struct session *s = session_new(b);
    doors_hello(b, s, &hello);
    ssize_t n = recv(sv[1], data, sizeof data, MSG_DONTWAIT);
    assert_true(n > 0);
    pb_istream_t is = pb_istream_from_buffer(data, (size_t)n);
    assert_true(pb_decode(&is, clan_link_ToLink_fields, &m));
    assert_int_equal(m.which_m, clan_link_ToLink_send_tag);
    is = pb_istream_from_buffer(m.m.send.data.bytes, m.m.send.data.size);
    assert_true(pb_decode(&is, clan_peer_PeerMsg_fields, &answer));
    assert_int_equal(answer.which_m, clan_peer_PeerMsg_door_answer_tag);
    assert_int_equal(answer.m.door_answer.error.status, CLAN_E_STALE);
    assert_non_null(strstr(answer.m.door_answer.error.why, "clock differs by 60 minutes"));
    n = recv(sv[1], data, sizeof data, MSG_DONTWAIT);
    assert_true(n > 0);
    is = pb_istream_from_buffer(data, (size_t)n);
    assert_true(pb_decode(&is, clan_link_ToLink_fields, &m));
    assert_int_equal(m.which_m, clan_link_ToLink_close_tag);
    assert_true(recv(sv[1], data, sizeof data, MSG_DONTWAIT) < 0);
    chan_close(b->link);
    b->link = NULL;
    uv_run(&b->loop, UV_RUN_NOWAIT);
    uv_loop_close(&b->loop);
    close(sv[1]);
}

static bool still_one_door(void)
{
    onedoor_reconcile(b);
    return b->one_door;
}

/* Only a keeper or an admin's machine other than the door, with a head that is not older. */
static void one_door(void **state)
{
    (void)state;
    uint8_t other[32] = {1};
    struct clan_error e = CLAN_ERROR_INIT;
    admit(&own, &carl, true);
    become(&own);
    assert_int_equal(onedoor_begin(b, b->set, &e), CLAN_OK);
    assert_true(still_one_door());
    shows(&carl, 2, f.v[2].id); /* the door itself */
    assert_true(still_one_door());
    shows(&dave, 2, f.v[2].id); /* somebody, who may have been removed with it */
    assert_true(still_one_door());
    shows(&nas, 1, f.genesis.id); /* older than what the door showed */
    assert_true(still_one_door());
    shows(&nas, 2, other);
    assert_true(still_one_door());
    shows(&nas, 3, f.v[2].id); /* later, but not here yet */
    assert_true(still_one_door());
    shows(&nas, 2, f.v[2].id)->shown_catching_up = true;
    assert_true(still_one_door());
    shows(&nas, 2, f.v[2].id)->control = 0;
    assert_true(still_one_door());
    /* a restart changes nothing */
    struct brain *again = brain_new();
    onedoor_load(again);
    assert_true(again->one_door);
    assert_int_equal(again->one_door_version, 2);
    shows(&nas, 2, f.v[2].id)->shown_catching_up = false;
    assert_false(still_one_door());
    again->one_door = false;
    onedoor_load(again);
    assert_false(again->one_door);
    close(again->state_fd);
    free(again);
}

/* Where the door is the clan's only keeper nobody else can show more than its receipt. */
static void one_door_that_keeps(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    admit(&guest, &nas, false);
    become(&guest);
    assert_int_equal(onedoor_begin(b, b->set, &e), CLAN_OK);
    assert_true(still_one_door()); /* no receipt yet */
    admit(&own, &nas, true);
    become(&own);
    assert_false(still_one_door());
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(door_with_a_wrong_clock),
        T(door_with_a_wrong_clock_says_so),
        T(one_door),
        T(one_door_that_keeps),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
