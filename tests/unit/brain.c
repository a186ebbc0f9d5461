/* Rules of clan-core that need no other process: who may be a door, and who is known to one only.
 */
#include "base/clock.h"
#include "base/error.h"
#include "brain/client.h"
#include "brain_fixture.h"
#include "wire/link.pb.h"

#include <fcntl.h>
#include <pb_decode.h>
#include <pb_encode.h>
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

/* ---- with the other end of link's channel in hand ---- */

static int link_end;

static void with_link(void)
{
    int sv[2];
    assert_int_equal(uv_loop_init(&b->loop), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    b->link = chan_open(&b->loop, sv[0], no_chan, no_gone, b);
    b->link_child = 1;
    link_end = sv[1];
}

static void without_link(void)
{
    chan_close(b->link);
    b->link = NULL;
    if (b->soon_armed)
        uv_close((uv_handle_t *)&b->soon, NULL);
    uv_run(&b->loop, UV_RUN_NOWAIT);
    uv_loop_close(&b->loop);
    close(link_end);
}

/* The next message for link that is of this kind; NULL: there is none. */
static const clan_link_ToLink *said(pb_size_t which)
{
    static clan_link_ToLink m;
    static uint8_t data[70000];
    ssize_t n;
    while ((n = recv(link_end, data, sizeof data, MSG_DONTWAIT)) > 0) {
        pb_istream_t is = pb_istream_from_buffer(data, (size_t)n);
        assert_true(pb_decode(&is, clan_link_ToLink_fields, &m));
        if (m.which_m == which)
            return &m;
    }
    return NULL;
}

/* A link that was started anew is told everything, also where its channel has the old address. */
static void a_new_link_is_told_all(void **state)
{
    (void)state;
    become(&nas);
    with_link();
    b->link_child = 11;
    doors_reconcile(b);
    services_reconcile(b);
    assert_non_null(said(clan_link_ToLink_own_tag));
    doors_reconcile(b);
    services_reconcile(b);
    assert_null(said(clan_link_ToLink_own_tag));
    b->link_child = 12;
    doors_reconcile(b);
    assert_non_null(said(clan_link_ToLink_invite_tag));
    services_reconcile(b);
    assert_non_null(said(clan_link_ToLink_own_tag));
    without_link();
}

/* The stream of a dial arrives while link is being started anew: the peer is dialled again. */
static void a_stream_without_a_link(void **state)
{
    (void)state;
    struct dialing d = {.purpose = clan_link_Purpose_PURPOSE_CONTROL};
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    become(&nas);
    memcpy(d.machine, carl.id, 32);
    struct peer *p = peer_get(b, carl.id);
    p->dial_control.busy = true;
    b->soon_armed = true;
    link_stream(b, fd, "tcp-noise", "10.0.0.1:7117", &d);
    b->soon_armed = false;
    assert_false(p->dial_control.busy);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

/* dave's next record names carl's keys: carl's sessions must not become dave's. */
static void keys_of_another(void **state)
{
    (void)state;
    uint8_t body[4096], raw[STMT_MAX];
    size_t n, size;
    struct stmt_record r;
    const clan_link_ToLink *m;
    bool told_carl = false, told_dave = false;
    become(&nas);
    with_link();
    b->soon_armed = true;
    peers_reconcile(b);
    while ((m = said(clan_link_ToLink_peer_tag)))
        told_dave |= memcmp(m->m.peer.machine_id, dave.id, 32) == 0;
    assert_true(told_dave);
    r = member_find(b->set, dave.id)->record;
    for (unsigned i = 0; i < r.key_count; i++)
        memcpy(r.keys[i].key,
            stmt_record_find(&member_find(b->set, carl.id)->record, r.keys[i].purpose), 32);
    assert_int_equal(stmt_put_record(&r, body, sizeof body, &n), CLAN_OK);
    assert_int_equal(stmt_build(STMT_RECORD, f.clan, dave.id, 2, body, n, raw, &size), CLAN_OK);
    assert_int_equal(stmt_sign(raw, &size, dave.identity_secret), CLAN_OK);
    assert_int_equal(member_apply(b->set, raw, size, 0, NULL, NULL), CLAN_OK);
    peer_find(b, carl.id)->sent_hash[0] ^= 1; /* it is said again */
    peers_reconcile(b);
    told_dave = false;
    while ((m = said(clan_link_ToLink_peer_tag))) {
        told_carl |= memcmp(m->m.peer.machine_id, carl.id, 32) == 0;
        told_dave |= memcmp(m->m.peer.machine_id, dave.id, 32) == 0;
    }
    assert_true(told_carl);
    assert_false(told_dave);
    assert_true(peer_find(b, dave.id)->closing);
    b->soon_armed = false;
    without_link();
}

static void tells(const struct fx_machine *m, const char *name)
{
    static struct session s;
    clan_peer_Service service = {.port = 80, .open_to_you = true};
    snprintf(service.name, sizeof service.name, "%s", name);
    memcpy(s.machine, m->id, 32);
    b->soon_armed = true;
    services_soft(b, &s, &service);
    b->soon_armed = false;
}

static unsigned told_by(const struct fx_machine *m)
{
    unsigned n = 0;
    for (unsigned i = 0; i < BRAIN_SOFT_MAX; i++)
        n += b->soft[i].used && memcmp(b->soft[i].holder, m->id, 32) == 0;
    return n;
}

/* Words about services: of members only, and no member's push out another's. */
static void words_about_services(void **state)
{
    (void)state;
    char name[33];
    become(&own);
    admit(&guest, &nas, false);
    tells(&guest, "files");
    assert_int_equal(told_by(&guest), 0);
    for (unsigned i = 0; i < 2 * BRAIN_SOFT_MAX; i++) {
        snprintf(name, sizeof name, "s%u", i);
        tells(&carl, name);
    }
    assert_true(told_by(&carl) > 0 && told_by(&carl) < BRAIN_SOFT_MAX / 4);
    tells(&dave, "files");
    assert_int_equal(told_by(&dave), 1);
}

/* Nobody is connected to itself, and is not off for that. */
static void who_is_waited_for(void **state)
{
    (void)state;
    const clan_api_WaitFor w = {.config_version = 7};
    char text[400], own_name[33], name[33];
    become(&carl);
    peer_get(b, dave.id)->control = 1;
    api_who_misses(b, &w, text, sizeof text);
    brain_name(b, carl.id, own_name);
    char *at = strstr(text, own_name);
    assert_non_null(at);
    assert_int_equal(strncmp(at + strlen(own_name), " (this machine)", 15), 0);
    brain_name(b, erin.id, name);
    at = strstr(text, name);
    assert_non_null(at);
    assert_int_equal(strncmp(at + strlen(name), " is off", 7), 0);
    brain_name(b, dave.id, name);
    at = strstr(text, name);
    assert_non_null(at);
    assert_true(at[strlen(name)] == ',' || at[strlen(name)] == 0);
    char little[20];
    api_who_misses(b, &w, little, sizeof little); /* as far as it goes */
    assert_non_null(memchr(little, 0, sizeof little));
}

/* Catching up: who came in with the news does not vouch for it, nor does another head of that
 * height. */
static void who_ends_catching_up(void **state)
{
    (void)state;
    struct session s = {0};
    clan_peer_Head head = {.config_version = 2};
    struct fx_machine fresh[2];
    become(&carl);
    b->bound = true;
    b->gossip = gossip_new(b->set, carl.id, &spread_ops, b);
    b->soon_armed = true;
    catchup_begin(b);
    assert_true(b->catching_up);
    memcpy(head.config_id, f.v[2].id, 32);
    for (int i = 0; i < 2; i++) {
        admit(&fresh[i], &nas, true);
        memcpy(s.machine, fresh[i].id, 32);
        catchup_head(b, &s, &head);
        assert_true(b->catching_up);
    }
    memcpy(s.machine, nas.id, 32);
    head.config_id[0] ^= 1;
    catchup_head(b, &s, &head);
    assert_true(b->catching_up);
    head.config_id[0] ^= 1;
    catchup_head(b, &s, &head);
    assert_false(b->catching_up);
    unlinkat(b->state_fd, "awake", 0);
    b->soon_armed = false;
    gossip_free(b->gossip);
}

struct seen {
    const struct fx_stmt *of;
    unsigned count;
};

static void see(void *arg, const uint8_t *raw, size_t size)
{
    struct seen *s = arg;
    s->count += size == s->of->size && memcmp(raw, s->of->raw, size) == 0;
}

/* Acknowledgements that newer ones replaced do not stay on the disk for ever; what is not understood does. */
static void the_log_is_rewritten(void **state)
{
    (void)state;
    enum { ACKS = 4000 };
    struct stmt_store *store;
    struct clan_error e = CLAN_ERROR_INIT;
    struct fx_stmt first[] = {f.genesis, fx_founder(&f, &nas, 1), f.v[2]};
    assert_int_equal(stmt_store_open(b->state_fd, NULL, NULL, &store, &e), CLAN_OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(stmt_store_append(store, first[i].raw, first[i].size, &e), CLAN_OK);
    struct fx_stmt odd[] = {fx_ack(&f, &nas, 1, 2), fx_ack(&f, &nas, 1, 2)};
    odd[0].raw[odd[0].size - 1] ^= 1; /* a signature that does not fit; no statement at all */
    odd[1].size = 3;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(stmt_store_append(store, odd[i].raw, odd[i].size, &e), CLAN_OK);
    for (uint64_t i = 1; i <= ACKS; i++) {
        struct fx_stmt ack = fx_ack(&f, &nas, i, 2);
        assert_int_equal(stmt_store_append(store, ack.raw, ack.size, &e), CLAN_OK);
    }
    uint64_t before = stmt_store_bytes(store);
    stmt_store_close(store);
    struct brain *n = brain_new();
    memcpy(n->own_id, nas.id, 32);
    n->own_record_size = 1;
    assert_true(spread_load(n, &e));
    assert_int_equal(n->own_ack_seq, ACKS);
    assert_true(stmt_store_bytes(n->store) < before / 10);
    size_t count = member_stmt_count(n->set);
    gossip_free(n->gossip);
    stmt_store_close(n->store);
    member_free(n->set);
    n->own_ack_seq = 0;
    assert_true(spread_load(n, &e));
    assert_int_equal(n->own_ack_seq, ACKS);
    assert_int_equal(member_stmt_count(n->set), count);
    gossip_free(n->gossip);
    stmt_store_close(n->store);
    for (unsigned i = 0; i < 2; i++) {
        struct seen kept = {.of = &odd[i]};
        assert_int_equal(stmt_store_open(n->state_fd, see, &kept, &store, &e), CLAN_OK);
        stmt_store_close(store);
        assert_int_equal(kept.count, 1);
    }
    member_free(n->set);
    unlinkat(n->state_fd, "statements.log", 0);
    close(n->state_fd);
    free(n);
}

static void take_grants(
    void *arg, unsigned severity, const char *code, const char *what, const char *remedy)
{
    (void)severity;
    if (strcmp(code, "no-grants") != 0)
        return;
    snprintf(arg, 640, "%s", what);
    assert_non_null(strstr(remedy, "clan machine apply"));
}

/* After an update the consent may be an older Clan's: that is not "nothing is granted". */
static void an_older_consent(void **state)
{
    (void)state;
    char path[96], what[640] = "";
    struct grants *old = calloc(1, sizeof *old);
    assert_non_null(old);
    *old = (struct grants){.magic = GRANTS_MAGIC, .version = 1, .size = sizeof *old};
    snprintf(path, sizeof path, "%s/grants", dir);
    become(&nas);
    b->grants_ok = grants_load(path, false, &b->grants, &b->grants_trouble) == CLAN_OK;
    health_lines(b, take_grants, what);
    assert_non_null(strstr(what, "granted nothing"));
    assert_int_equal(grants_store(path, old, NULL), CLAN_OK);
    b->grants_ok = grants_load(path, false, &b->grants, &b->grants_trouble) == CLAN_OK;
    health_lines(b, take_grants, what);
    assert_non_null(strstr(what, "another version"));
    unlink(path);
    free(old);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, brain_setup, brain_teardown)
    const struct CMUnitTest tests[] = {
        T(door_with_a_wrong_clock),
        T(door_with_a_wrong_clock_says_so),
        T(one_door),
        T(one_door_that_keeps),
        T(a_new_link_is_told_all),
        T(a_stream_without_a_link),
        T(keys_of_another),
        T(words_about_services),
        T(who_is_waited_for),
        T(who_ends_catching_up),
        T(the_log_is_rewritten),
        T(an_older_consent),
    };
    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
