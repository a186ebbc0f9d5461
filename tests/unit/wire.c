/* core/wire: datagrams with descriptors, frames on streams, the compiled consent. */
#include "base/clock.h"
#include "wire/api.pb.h"
#include "wire/channel.h"
#include "wire/frame.h"
#include "wire/grants.h"
#include "wire/offers.h"
#include "wire/peer.pb.h"
#include "wire/resolver.pb.h"

#include <dirent.h>
#include <fcntl.h>
#include <pb_decode.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int open_fds(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

/* -- channels -- */

struct pair {
    int fd[2];
    int before; /* open descriptors, so that a leak shows */
};

static int pair_make(void **state)
{
    struct pair *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->before = open_fds();
    assert_int_equal(channel_pair(p->fd), CLAN_OK);
    *state = p;
    return 0;
}

static int pair_close(void **state)
{
    struct pair *p = *state;
    close(p->fd[0]);
    if (p->fd[1] >= 0)
        close(p->fd[1]);
    int leaked = open_fds() - p->before;
    free(p);
    return leaked;
}

static const clan_resolver_ToResolver zone = {
    .which_m = clan_resolver_ToResolver_zone_tag, .m.zone.petname = "home"};

static void channel_message_with_descriptors(void **state)
{
    struct pair *p = *state;
    clan_resolver_ToResolver got;
    int fds[2], pipe_fds[2];
    size_t count;
    assert_int_equal(
        channel_recv(p->fd[1], &clan_resolver_ToResolver_msg, &got, fds, 2, &count), CLAN_E_AGAIN);
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(
        channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &zone, pipe_fds, 2), CLAN_OK);
    channel_close_fds(pipe_fds, 2); /* the sender's stay the sender's */
    assert_int_equal(pipe_fds[0], -1);
    assert_int_equal(
        channel_recv(p->fd[1], &clan_resolver_ToResolver_msg, &got, fds, 2, &count), CLAN_OK);
    assert_int_equal(count, 2);
    assert_string_equal(got.m.zone.petname, "home");
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(fds[1], "x", 1), 1);
    char c;
    assert_int_equal(read(fds[0], &c, 1), 1);
    channel_close_fds(fds, count);
}

static void channel_refuses_surplus_descriptors(void **state)
{
    struct pair *p = *state;
    clan_resolver_ToResolver got;
    int fds[CHANNEL_FDS_MAX + 1], got_fds[CHANNEL_FDS_MAX];
    size_t count = 99;
    for (size_t i = 0; i < CHANNEL_FDS_MAX + 1; i++)
        fds[i] = p->fd[0];
    assert_int_equal(
        channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &zone, fds, CHANNEL_FDS_MAX + 1),
        CLAN_E_LIMIT);
    assert_int_equal(
        channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &zone, fds, CHANNEL_FDS_MAX),
        CLAN_OK);
    assert_int_equal(channel_recv(p->fd[1], &clan_resolver_ToResolver_msg, &got, got_fds,
                         CHANNEL_FDS_MAX, &count),
        CLAN_OK);
    assert_int_equal(count, CHANNEL_FDS_MAX);
    channel_close_fds(got_fds, count);
    /* one more than the receiver takes: all are closed */
    assert_int_equal(channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &zone, fds, 2), CLAN_OK);
    assert_int_equal(
        channel_recv(p->fd[1], &clan_resolver_ToResolver_msg, &got, got_fds, 1, &count),
        CLAN_E_PROTO);
    assert_int_equal(count, 0);
    assert_int_equal(channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &zone, fds, 1), CLAN_OK);
    assert_int_equal(
        channel_recv(p->fd[1], &clan_resolver_ToResolver_msg, &got, NULL, 0, &count), CLAN_E_PROTO);
    assert_int_equal(count, 0);
}

static void channel_refuses_what_is_cut_or_no_message(void **state)
{
    struct pair *p = *state;
    uint8_t small[4];
    int fds[1];
    size_t size, count;
    assert_int_equal(channel_send_raw(p->fd[0], "1234", 4, NULL, 0), CLAN_OK);
    assert_int_equal(
        channel_recv_raw(p->fd[1], small, sizeof small, &size, fds, 1, &count), CLAN_OK);
    assert_int_equal(size, 4);
    int one = p->fd[0];
    assert_int_equal(channel_send_raw(p->fd[0], "12345", 5, &one, 1), CLAN_OK);
    assert_int_equal(
        channel_recv_raw(p->fd[1], small, sizeof small, &size, fds, 1, &count), CLAN_E_PROTO);
    assert_int_equal(size, 0);
    assert_int_equal(count, 0);
    clan_resolver_ToResolver got;
    assert_int_equal(channel_send_raw(p->fd[0], "\xff\xff", 2, &one, 1), CLAN_OK);
    assert_int_equal(
        channel_recv(p->fd[1], &clan_resolver_ToResolver_msg, &got, fds, 1, &count), CLAN_E_PROTO);
    assert_int_equal(count, 0); /* and its descriptor is closed: pair_close counts */
}

static void channel_full_and_gone(void **state)
{
    struct pair *p = *state;
    clan_resolver_ToResolver got;
    size_t count;
    clan_status st;
    int sent = 0;
    while ((st = channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &zone, NULL, 0)) == CLAN_OK)
        assert_true(++sent < 100000);
    assert_int_equal(st, CLAN_E_AGAIN);
    for (int i = 0; i < sent; i++)
        assert_int_equal(
            channel_recv(p->fd[1], &clan_resolver_ToResolver_msg, &got, NULL, 0, &count), CLAN_OK);
    const clan_resolver_ToResolver nothing = {0};
    assert_int_equal(
        channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &nothing, NULL, 0), CLAN_E_LIMIT);
    close(p->fd[1]);
    p->fd[1] = -1;
    assert_int_equal(
        channel_send(p->fd[0], &clan_resolver_ToResolver_msg, &zone, NULL, 0), CLAN_E_IO);
    assert_int_equal(
        channel_recv(p->fd[0], &clan_resolver_ToResolver_msg, &got, NULL, 0, &count), CLAN_E_IO);
}

/* -- frames -- */

static void reader_add(struct frame_reader *r, const void *data, size_t size)
{
    size_t room;
    uint8_t *to = frame_space(r, &room);
    assert_true(size <= room);
    memcpy(to, data, size);
    frame_added(r, size);
}

static void frame_reader_pieces(void **state)
{
    (void)state;
    uint8_t bytes[16];
    const uint8_t *payload;
    size_t size;
    struct frame_reader r = {.buf = bytes, .cap = sizeof bytes};
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_E_AGAIN);
    reader_add(&r, "\0", 1);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_E_AGAIN);
    reader_add(&r, "\3ab", 3);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_E_AGAIN);
    reader_add(&r, "c\0\1d\0", 5);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_OK);
    assert_int_equal(size, 3);
    assert_memory_equal(payload, "abc", 3);
    frame_pop(&r);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_OK);
    assert_int_equal(size, 1);
    assert_int_equal(payload[0], 'd');
    frame_pop(&r);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_E_AGAIN);
    reader_add(&r, "\0", 1);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_E_PROTO); /* length 0 */
}

static void frame_reader_at_cap(void **state)
{
    (void)state;
    uint8_t bytes[16], stream[16] = {0, 14};
    const uint8_t *payload;
    size_t size, room;
    struct frame_reader r = {.buf = bytes, .cap = sizeof bytes};
    reader_add(&r, stream, sizeof stream);
    frame_space(&r, &room);
    assert_int_equal(room, 0);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_OK);
    assert_int_equal(size, 14);
    frame_pop(&r);
    stream[1] = 15; /* cap + 1: refused by its length, before its bytes are there */
    reader_add(&r, stream, 2);
    assert_int_equal(frame_peek(&r, &payload, &size), CLAN_E_PROTO);
}

static clan_peer_PeerMsg *statement_of(pb_size_t size)
{
    static clan_peer_PeerMsg m;
    memset(&m, 0, sizeof m);
    m.which_m = clan_peer_PeerMsg_statement_tag;
    m.m.statement.data.size = size;
    memset(m.m.statement.data.bytes, 0xa5, size);
    return &m;
}

static void frame_encode_limits(void **state)
{
    (void)state;
    static uint8_t bytes[FRAME_HEAD + WIRE_FRAME_MAX];
    const clan_peer_PeerMsg *m = statement_of(20480);
    const clan_peer_PeerMsg nothing = {0};
    size_t size, again;
    assert_int_equal(frame_encode(&clan_peer_PeerMsg_msg, m, bytes, sizeof bytes, &size), CLAN_OK);
    assert_int_equal(bytes[0] << 8 | bytes[1], size - FRAME_HEAD);
    assert_int_equal(frame_encode(&clan_peer_PeerMsg_msg, m, bytes, size, &again), CLAN_OK);
    assert_int_equal(again, size);
    assert_int_equal(
        frame_encode(&clan_peer_PeerMsg_msg, m, bytes, size - 1, &again), CLAN_E_LIMIT);
    assert_int_equal(frame_encode(&clan_peer_PeerMsg_msg, m, bytes, 1, &again), CLAN_E_LIMIT);
    assert_int_equal(
        frame_encode(&clan_peer_PeerMsg_msg, &nothing, bytes, sizeof bytes, &again), CLAN_E_LIMIT);
}

/* A message with one byte more than its schema allows is refused, not cut. */
static void decode_at_cap_and_beyond(void **state)
{
    (void)state;
    static uint8_t bytes[32 + 20481];
    for (unsigned data = 20480; data <= 20481; data++) {
        static clan_peer_PeerMsg got;
        uint8_t *p = bytes;
        unsigned inner = data + 4; /* key and a three-byte length */
        *p++ = clan_peer_PeerMsg_statement_tag << 3 | 2;
        for (unsigned part = 0, len = inner; part < 2; part++, len = data) {
            *p++ = (uint8_t)(len | 0x80);
            *p++ = (uint8_t)(len >> 7 | 0x80);
            *p++ = (uint8_t)(len >> 14);
            if (part == 0)
                *p++ = 1 << 3 | 2;
        }
        p += data;
        pb_istream_t is = pb_istream_from_buffer(bytes, (size_t)(p - bytes));
        assert_int_equal(pb_decode(&is, &clan_peer_PeerMsg_msg, &got), data == 20480);
    }
}

struct blocking {
    int fd;
    clan_status result;
};

static void *send_large(void *arg)
{
    struct blocking *b = arg;
    b->result = frame_send_blocking(b->fd, &clan_peer_PeerMsg_msg, statement_of(20480));
    return NULL;
}

/* Requests carry invitation links; what the heap hands out next must not. */
static void frames_are_wiped(void **state)
{
    (void)state;
    int s[2];
    size_t cap = FRAME_HEAD + WIRE_FRAME_MAX;
    clan_peer_PeerMsg *m = statement_of(300);
    memset(m->m.statement.data.bytes, 0xa5, 300);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(frame_send_blocking(s[0], &clan_peer_PeerMsg_msg, m), CLAN_OK);
    uint8_t *again = malloc(cap);
    assert_non_null(again);
    unsigned left = 0;
    for (size_t i = 64; i < 200; i++) /* the allocator's own words stand before */
        left += *(volatile uint8_t *)(again + i) == 0xa5;
    free(again);
    close(s[0]);
    close(s[1]);
    assert_int_equal(left, 0);
}

static void frames_blocking(void **state)
{
    (void)state;
    static clan_peer_PeerMsg got;
    int s[2], small = 4096;
    pthread_t thread;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
    assert_int_equal(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    struct blocking b = {.fd = s[0], .result = CLAN_E_DEFECT};
    assert_int_equal(pthread_create(&thread, NULL, send_large, &b), 0);
    assert_int_equal(frame_recv_blocking(s[1], &clan_peer_PeerMsg_msg, &got, 10000), CLAN_OK);
    pthread_join(thread, NULL);
    assert_int_equal(b.result, CLAN_OK);
    assert_int_equal(got.m.statement.data.size, 20480);
    assert_int_equal(got.m.statement.data.bytes[20479], 0xa5);

    uint64_t start = clock_mono_ms();
    assert_int_equal(send(s[0], "\0\5ab", 4, 0), 4); /* half a frame */
    assert_int_equal(frame_recv_blocking(s[1], &clan_peer_PeerMsg_msg, &got, 50), CLAN_E_TIMEOUT);
    assert_true(clock_mono_ms() - start >= 50);
    assert_int_equal(send(s[0], "\0\0", 2, 0), 2);
    assert_int_equal(frame_recv_blocking(s[1], &clan_peer_PeerMsg_msg, &got, 1000), CLAN_E_PROTO);
    assert_int_equal(send(s[0], "\0\2\xff\xff", 4, 0), 4);
    assert_int_equal(frame_recv_blocking(s[1], &clan_peer_PeerMsg_msg, &got, 1000), CLAN_E_PROTO);
    close(s[0]);
    assert_int_equal(frame_recv_blocking(s[1], &clan_peer_PeerMsg_msg, &got, 1000), CLAN_E_IO);
    assert_int_equal(frame_send_blocking(s[1], &clan_peer_PeerMsg_msg, statement_of(1)), CLAN_E_IO);
    close(s[1]);
}

/* -- grants -- */

struct consent {
    char dir[32], path[64];
    struct grants g;
};

static int consent_make(void **state)
{
    struct consent *c = calloc(1, sizeof *c);
    assert_non_null(c);
    strcpy(c->dir, "/tmp/unit-wire-XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    snprintf(c->path, sizeof c->path, "%s/grants", c->dir);
    c->g = (struct grants){.magic = GRANTS_MAGIC,
        .version = GRANTS_VERSION,
        .size = sizeof c->g,
        .plugin_count = 1,
        .plugins[0] = {.id = "files",
            .file = "files.so",
            .permissions = GRANT_FS_STATE,
            .exec_count = 1,
            .exec[0] = "lighttpd",
            .listen_count = 1,
            .listen[0] = {.family = 4, .port = 80}}};
    *state = c;
    return 0;
}

static int consent_remove(void **state)
{
    struct consent *c = *state;
    unlink(c->path);
    int left = rmdir(c->dir);
    free(c);
    return left;
}

static void grants_round_trip(void **state)
{
    struct consent *c = *state;
    struct grants got;
    struct clan_error e;
    struct stat st;
    assert_int_equal(grants_load(c->path, false, &got, &e), CLAN_E_NOENT);
    assert_non_null(strstr(e.remedy, "clan machine apply"));
    assert_int_equal(grants_store(c->path, &c->g, &e), CLAN_OK);
    assert_int_equal(stat(c->path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_int_equal(grants_load(c->path, false, &got, &e), CLAN_OK);
    assert_memory_equal(&got, &c->g, sizeof got);
    const struct grant_plugin *p = grants_find(&got, "files");
    assert_non_null(p);
    assert_null(grants_find(&got, "file"));
    assert_true(grants_exec(p, "lighttpd"));
    assert_false(grants_exec(p, "light"));
    assert_int_equal(perm_bit("net.connect:lan"), GRANT_NET_CONNECT_LAN);
    assert_int_equal(perm_bit("net.connect"), 0);
}

static void offers_are_believed_whole_or_not_at_all(void **state)
{
    struct consent *c = *state;
    struct clan_error e;
    struct offers *o = calloc(2, sizeof *o), *got = o + 1;
    assert_non_null(o);
    *o = (struct offers){.magic = OFFERS_MAGIC,
        .version = OFFERS_VERSION,
        .size = sizeof *o,
        .count = 1,
        .list[0] = {.id = "files", .file = "files.so", .ask_count = 1, .asks[0] = "fs.state"}};
    assert_int_equal(offers_load(c->path, got, &e), CLAN_E_NOENT);
    assert_int_equal(offers_store(c->path, o, &e), CLAN_OK);
    assert_int_equal(offers_load(c->path, got, &e), CLAN_OK);
    assert_string_equal(offers_find(got, "files.so")->asks[0], "fs.state");
    assert_null(offers_find(got, "files"));
    for (int fault = 0; fault < 5; fault++) {
        struct offers *bad = got;
        *bad = *o;
        if (fault == 0)
            bad->count = OFFERS_MAX + 1;
        else if (fault == 1)
            bad->list[0].ask_count = OFFERS_ASKS_MAX + 1;
        else if (fault == 2)
            memset(bad->list[0].sentence, 'x', sizeof bad->list[0].sentence);
        else if (fault == 3)
            strcpy(bad->list[0].title, "\033[2J");
        else
            bad->version++;
        assert_int_equal(offers_store(c->path, bad, &e), CLAN_OK);
        assert_int_equal(offers_load(c->path, got, &e), CLAN_E_INVAL);
        assert_int_equal(got->count, 0);
    }
    free(o);
}

static void bad_magic(struct grants *g)
{
    g->magic++;
}
static void bad_version(struct grants *g)
{
    g->version++;
}
static void older_version(struct grants *g)
{
    g->version = 1;
}
static void bad_size(struct grants *g)
{
    g->size--;
}
static void bad_plugins(struct grants *g)
{
    g->plugin_count = GRANTS_PLUGINS_MAX + 1;
}
static void bad_users(struct grants *g)
{
    g->user_count = GRANTS_USERS_MAX + 1;
}
static void bad_id(struct grants *g)
{
    memset(g->plugins[0].id, 'x', sizeof g->plugins[0].id);
}
static void bad_file(struct grants *g)
{
    memset(g->plugins[0].file, 'x', sizeof g->plugins[0].file);
}
static void bad_path(struct grants *g)
{
    strcpy(g->plugins[0].file, "../x.so");
}
static void bad_exec_count(struct grants *g)
{
    g->plugins[0].exec_count = GRANTS_EXEC_MAX + 1;
}
static void bad_exec(struct grants *g)
{
    memset(g->plugins[0].exec[0], 'x', sizeof g->plugins[0].exec[0]);
}
static void bad_listen_count(struct grants *g)
{
    g->plugins[0].listen_count = GRANTS_LISTEN_MAX + 1;
}
static void bad_family(struct grants *g)
{
    g->plugins[0].listen[0].family = 5;
}

static void grants_refuses_damage(void **state)
{
    struct consent *c = *state;
    static void (*const damage[])(struct grants *) = {bad_magic, bad_version, older_version,
        bad_size, bad_plugins, bad_users, bad_id, bad_file, bad_path, bad_exec_count, bad_exec,
        bad_listen_count, bad_family};
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        struct grants g = c->g, got;
        struct clan_error e;
        damage[i](&g);
        assert_int_equal(grants_store(c->path, &g, &e), CLAN_OK);
        if (grants_load(c->path, false, &got, &e) != CLAN_E_INVAL)
            fail_msg("damage %zu was accepted", i);
        assert_non_null(strstr(e.why, "another version"));
        assert_non_null(strstr(e.remedy, "clan machine apply"));
    }
}

static void grants_refuses_other_sizes_and_writers(void **state)
{
    struct consent *c = *state;
    struct grants got;
    struct clan_error e;
    assert_int_equal(grants_store(c->path, &c->g, &e), CLAN_OK);
    assert_int_equal(chmod(c->path, 0664), 0);
    assert_int_equal(grants_load(c->path, true, &got, &e), CLAN_E_PERM);
    assert_int_equal(grants_load(c->path, false, &got, &e), CLAN_OK);
    assert_int_equal(chmod(c->path, 0644), 0);
    assert_int_equal(grants_load(c->path, true, &got, &e), geteuid() == 0 ? CLAN_OK : CLAN_E_PERM);
    assert_int_equal(truncate(c->path, sizeof c->g - 1), 0);
    assert_int_equal(grants_load(c->path, false, &got, &e), CLAN_E_INVAL);
    assert_int_equal(truncate(c->path, sizeof c->g + 1), 0);
    assert_int_equal(grants_load(c->path, false, &got, &e), CLAN_E_INVAL);
    assert_non_null(strstr(e.why, "another version"));
    assert_int_equal(unlink(c->path), 0);
    assert_int_equal(symlink("/dev/null", c->path), 0);
    assert_int_equal(grants_load(c->path, false, &got, &e), CLAN_E_IO);
}

/* Each once, and a plugin with their sessions is told when they are others. */
static void grants_tell_people_apart(void **state)
{
    static struct grants a, b;
    uint32_t uids[GRANTS_PEOPLE_MAX];
    uint8_t at[16];
    (void)state;
    a.owner_uid = 1000;
    a.user_count = 3;
    memcpy(a.users, (const uint32_t[]){1001, 1000, 0}, 3 * sizeof *a.users);
    assert_int_equal(grants_people(&a, uids), 3);
    assert_memory_equal(uids, ((const uint32_t[]){0, 1000, 1001}), 3 * sizeof *uids);
    a.user_count = GRANTS_USERS_MAX;
    for (unsigned i = 0; i < GRANTS_USERS_MAX; i++)
        a.users[i] = 2000 + i;
    assert_int_equal(grants_people(&a, uids), GRANTS_PEOPLE_MAX);
    assert_int_equal(uids[GRANTS_PEOPLE_MAX - 1], 2007);
    a.plugin_count = 1;
    strcpy(a.plugins[0].id, "shows");
    b = a;
    b.users[7] = 2008;
    assert_true(grants_same(&a, &b, "shows"));
    a.plugins[0].permissions = b.plugins[0].permissions = GRANT_API_SESSION;
    assert_false(grants_same(&a, &b, "shows"));
    b.users[7] = 2007;
    assert_true(grants_same(&a, &b, "shows"));
    b.owner_uid = 1001;
    assert_false(grants_same(&a, &b, "shows"));
    grants_address(15, 9, at);
    assert_memory_equal(at, ((const uint8_t[]){[10] = 0xff, 0xff, 127, 79, 117, 10}), sizeof at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(channel_message_with_descriptors, pair_make, pair_close),
        cmocka_unit_test_setup_teardown(channel_refuses_surplus_descriptors, pair_make, pair_close),
        cmocka_unit_test_setup_teardown(
            channel_refuses_what_is_cut_or_no_message, pair_make, pair_close),
        cmocka_unit_test_setup_teardown(channel_full_and_gone, pair_make, pair_close),
        cmocka_unit_test(frame_reader_pieces),
        cmocka_unit_test(frame_reader_at_cap),
        cmocka_unit_test(frame_encode_limits),
        cmocka_unit_test(decode_at_cap_and_beyond),
        cmocka_unit_test(frames_blocking),
        cmocka_unit_test(frames_are_wiped),
        cmocka_unit_test_setup_teardown(grants_round_trip, consent_make, consent_remove),
        cmocka_unit_test_setup_teardown(
            offers_are_believed_whole_or_not_at_all, consent_make, consent_remove),
        cmocka_unit_test_setup_teardown(grants_refuses_damage, consent_make, consent_remove),
        cmocka_unit_test_setup_teardown(
            grants_refuses_other_sizes_and_writers, consent_make, consent_remove),
        cmocka_unit_test(grants_tell_people_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
