/* The statement log: torn tails, full disks, damage, compaction. */
#include "statement/store.h"

#include "base/log.h"
#include "statement/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD        8
#define RECORD_HEAD 20

struct seen {
    unsigned count;
    uint64_t digest; /* order and contents */
    size_t last_size;
    uint8_t last_first;
};

static void see(void *arg, const uint8_t *raw, size_t size)
{
    struct seen *s = arg;
    s->count++;
    for (size_t i = 0; i < size; i++)
        s->digest = s->digest * 1099511628211u + raw[i] + 1;
    s->last_size = size;
    s->last_first = raw[0];
}

static char dir_path[64];
static int dir;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir_path, "/tmp/clan-store-XXXXXX");
    if (!mkdtemp(dir_path))
        return -1;
    dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlinkat(dir, "statements.log", 0);
    unlinkat(dir, "statements.log.new", 0);
    unlinkat(dir, "statements.log.damaged", 0);
    close(dir);
    return rmdir(dir_path);
}

static struct stmt_store *open_store(struct seen *seen)
{
    struct stmt_store *s = NULL;
    struct clan_error err = CLAN_ERROR_INIT;
    memset(seen, 0, sizeof *seen);
    assert_int_equal(stmt_store_open(dir, see, seen, &s, &err), CLAN_OK);
    return s;
}

static void append(struct stmt_store *s, uint8_t fill, size_t size)
{
    uint8_t raw[STMT_MAX];
    memset(raw, fill, size);
    assert_int_equal(stmt_store_append(s, raw, size, NULL), CLAN_OK);
}

static off_t file_size(const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, 0) == 0 ? st.st_size : -1;
}

static size_t read_file(const char *name, uint8_t *ret, size_t cap)
{
    int fd = openat(dir, name, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, ret, cap);
    close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static void write_file(const char *name, const uint8_t *data, size_t size)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), (ssize_t)size);
    close(fd);
}

static void appends_survive(void **state)
{
    (void)state;
    struct seen seen, again;
    struct stmt_store *s = open_store(&seen);
    assert_int_equal(seen.count, 0);
    append(s, 1, 100);
    append(s, 2, STMT_MAX);
    append(s, 3, 1);
    uint8_t a[10] = {4}, b[20] = {5};
    const uint8_t *raws[2] = {a, b};
    size_t sizes[2] = {sizeof a, sizeof b};
    assert_int_equal(stmt_store_append_many(s, raws, sizes, 2, NULL), CLAN_OK);
    assert_int_equal(stmt_store_append_many(s, raws, sizes, 0, NULL), CLAN_OK);
    uint64_t bytes = stmt_store_bytes(s);
    assert_int_equal(bytes, HEAD + 5 * RECORD_HEAD + 100 + STMT_MAX + 1 + 10 + 20);
    stmt_store_close(s);
    struct stat st;
    assert_int_equal(fstatat(dir, "statements.log", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    s = open_store(&again);
    assert_int_equal(again.count, 5);
    assert_int_equal(again.last_size, 20);
    assert_int_equal(again.last_first, 5);
    assert_int_equal(stmt_store_bytes(s), bytes);
    stmt_store_close(s);
    stmt_store_close(NULL);
}

static void size_limits(void **state)
{
    (void)state;
    struct seen seen;
    uint8_t raw[STMT_MAX + 1] = {0};
    struct stmt_store *s = open_store(&seen);
    uint64_t before = stmt_store_bytes(s);
    assert_int_equal(stmt_store_append(s, raw, STMT_MAX + 1, NULL), CLAN_E_LIMIT);
    assert_int_equal(stmt_store_append(s, raw, 0, NULL), CLAN_E_LIMIT);
    const uint8_t *raws[2] = {raw, raw};
    size_t sizes[2] = {5, STMT_MAX + 1};
    assert_int_equal(stmt_store_append_many(s, raws, sizes, 2, NULL), CLAN_E_LIMIT);
    assert_int_equal(stmt_store_bytes(s), before);
    assert_int_equal(file_size("statements.log"), (off_t)before);
    stmt_store_close(s);
}

/* A crash at every byte of the last record, and of the file's head. */
static void torn_tail(void **state)
{
    (void)state;
    struct seen seen, want;
    uint8_t whole[4096];
    struct stmt_store *s = open_store(&seen);
    append(s, 7, 50);
    size_t keep = (size_t)stmt_store_bytes(s);
    stmt_store_close(s);
    s = open_store(&want);
    append(s, 8, 60);
    stmt_store_close(s);
    size_t size = read_file("statements.log", whole, sizeof whole);
    assert_int_equal(size, keep + RECORD_HEAD + 60);
    for (size_t cut = keep; cut < size; cut++) {
        write_file("statements.log", whole, cut);
        s = open_store(&seen);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.digest, want.digest);
        assert_int_equal(stmt_store_bytes(s), keep);
        assert_int_equal(file_size("statements.log"), (off_t)keep);
        append(s, 9, 5); /* goes on behind the last whole record */
        stmt_store_close(s);
        s = open_store(&seen);
        assert_int_equal(seen.count, 2);
        assert_int_equal(seen.last_first, 9);
        stmt_store_close(s);
    }
    for (size_t cut = 0; cut < HEAD; cut++) {
        write_file("statements.log", whole, cut);
        s = open_store(&seen);
        assert_int_equal(seen.count, 0);
        stmt_store_close(s);
    }
    /* the length of a torn write without its bytes */
    memset(whole + keep, 0, sizeof whole - keep);
    write_file("statements.log", whole, keep + 500);
    s = open_store(&seen);
    assert_int_equal(seen.count, 1);
    assert_int_equal(file_size("statements.log"), (off_t)keep);
    stmt_store_close(s);
    assert_int_equal(file_size("statements.log.damaged"), -1);
}

static void damaged(void **state)
{
    (void)state;
    struct seen seen;
    uint8_t whole[4096], bad[4096], aside[4096];
    struct stmt_store *s = open_store(&seen);
    append(s, 1, 50);
    size_t second = (size_t)stmt_store_bytes(s);
    append(s, 2, 60);
    append(s, 3, 70);
    stmt_store_close(s);
    size_t size = read_file("statements.log", whole, sizeof whole);
    /* each bit of hash and bytes; the length's are damage or a torn tail, never a wrong record */
    for (size_t at = second; at < second + RECORD_HEAD + 60; at++) {
        memcpy(bad, whole, size);
        bad[at] ^= 0x40;
        write_file("statements.log", bad, size);
        unlinkat(dir, "statements.log.damaged", 0);
        s = open_store(&seen);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.last_first, 1);
        assert_int_equal(file_size("statements.log"), (off_t)second);
        if (at >= second + 4) {
            assert_int_equal(
                read_file("statements.log.damaged", aside, sizeof aside), size - second);
            assert_memory_equal(aside, bad + second, size - second);
        }
        stmt_store_close(s);
    }
}

static void foreign_file(void **state)
{
    (void)state;
    struct stmt_store *s = NULL;
    struct seen seen = {0};
    struct clan_error err = CLAN_ERROR_INIT;
    write_file("statements.log", (const uint8_t *)"clanlog\2 of the future", 22);
    assert_int_equal(stmt_store_open(dir, see, &seen, &s, &err), CLAN_E_INVAL);
    assert_true(err.remedy[0]);
    assert_int_equal(file_size("statements.log"), 22); /* left as it is */
}

/* A file size limit stands for the full disk: half of a record fits. */
static void disk_full(void **state)
{
    (void)state;
    struct seen seen;
    struct rlimit old, tight;
    uint8_t raw[300];
    struct clan_error err = CLAN_ERROR_INIT;
    struct stmt_store *s = open_store(&seen);
    append(s, 1, 100);
    uint64_t before = stmt_store_bytes(s);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    for (unsigned room = 0; room < RECORD_HEAD + sizeof raw; room += 40) {
        tight.rlim_cur = before + room;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        memset(raw, 2, sizeof raw);
        clan_status st = stmt_store_append(s, raw, sizeof raw, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(st, CLAN_E_IO);
        assert_true(err.why[0] && err.remedy[0]);
        assert_int_equal(stmt_store_bytes(s), before);
        assert_int_equal(file_size("statements.log"), (off_t)before);
    }
    /* of several the first fits: none stays */
    const uint8_t *raws[2] = {raw, raw};
    size_t sizes[2] = {10, sizeof raw};
    tight.rlim_cur = before + 100;
    setrlimit(RLIMIT_FSIZE, &tight);
    clan_status many = stmt_store_append_many(s, raws, sizes, 2, &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(many, CLAN_E_IO);
    append(s, 3, 30); /* and with room again it goes on */
    stmt_store_close(s);
    s = open_store(&seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.last_first, 3);
    stmt_store_close(s);
}

struct feed {
    unsigned at, count;
    uint8_t raw[1000];
};

static bool feed_next(void *arg, const uint8_t **ret_raw, size_t *ret_size)
{
    struct feed *f = arg;
    if (f->at == f->count)
        return false;
    memset(f->raw, (int)(100 + f->at++), sizeof f->raw);
    *ret_raw = f->raw;
    *ret_size = sizeof f->raw;
    return true;
}

static void compaction(void **state)
{
    (void)state;
    struct seen seen;
    struct stmt_store *s = open_store(&seen);
    for (unsigned i = 0; i < 40; i++)
        append(s, (uint8_t)i, 500);
    uint64_t before = stmt_store_bytes(s);
    struct feed f = {.count = 3};
    assert_int_equal(stmt_store_compact(s, feed_next, &f, NULL), CLAN_OK);
    assert_true(stmt_store_bytes(s) < before);
    assert_int_equal(file_size("statements.log"), (off_t)stmt_store_bytes(s));
    assert_int_equal(file_size("statements.log.new"), -1);
    append(s, 77, 10); /* into the new file, not the old one */
    stmt_store_close(s);
    s = open_store(&seen);
    assert_int_equal(seen.count, 4);
    assert_int_equal(seen.last_first, 77);
    stmt_store_close(s);
}

static void compaction_full(void **state)
{
    (void)state;
    struct seen seen, again;
    struct rlimit old, tight;
    struct stmt_store *s = open_store(&seen);
    append(s, 1, 50);
    append(s, 2, 50);
    uint64_t before = stmt_store_bytes(s);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    tight = old;
    tight.rlim_cur = 1500;
    setrlimit(RLIMIT_FSIZE, &tight);
    struct feed f = {.count = 3};
    clan_status st = stmt_store_compact(s, feed_next, &f, NULL);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_int_equal(st, CLAN_E_IO);
    assert_int_equal(file_size("statements.log.new"), -1);
    assert_int_equal(stmt_store_bytes(s), before);
    append(s, 3, 50);
    stmt_store_close(s);
    /* a crash in the middle of a compaction leaves a file that is not read */
    write_file("statements.log.new", (const uint8_t *)"clanlog\1half", 12);
    s = open_store(&again);
    assert_int_equal(again.count, 3);
    assert_int_equal(file_size("statements.log.new"), -1);
    stmt_store_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appends_survive, set_up, tear_down),
        cmocka_unit_test_setup_teardown(size_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(torn_tail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(foreign_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(disk_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compaction, set_up, tear_down),
        cmocka_unit_test_setup_teardown(compaction_full, set_up, tear_down),
    };
    if (sodium_init() < 0)
        return 1;
    int quiet = open("/dev/null", O_WRONLY | O_CLOEXEC);
    log_init(quiet, LOG_LEVEL_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
