/*
 * statements.log: an 8-byte head, then records { u32 size | 16 bytes BLAKE2b-128 of size and bytes
 * | bytes }. A record counts once it is whole; what a crash left behind it is cut at the next
 * opening.
 */
#include "statement/store.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "statement/statement.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STORE_NAME    "statements.log"
#define STORE_NEW     "statements.log.new"
#define STORE_DAMAGED "statements.log.damaged"
#define STORE_MODE    0600
#define RECORD_HEAD   20

static const uint8_t store_magic[8] = {'c', 'l', 'a', 'n', 'l', 'o', 'g', 1};

struct stmt_store {
    int dir_fd, fd;
    uint64_t end; /* of the last whole record */
    bool dirty;   /* a failed append could not be cut: cut before the next one */
};

static void record_head(const uint8_t *raw, size_t size, uint8_t ret_head[RECORD_HEAD])
{
    crypto_generichash_state h;
    struct buf_writer w = buf_writer_of(ret_head, RECORD_HEAD);
    buf_put_u32(&w, (uint32_t)size);
    crypto_generichash_init(&h, NULL, 0, 16);
    crypto_generichash_update(&h, ret_head, 4);
    crypto_generichash_update(&h, raw, size);
    crypto_generichash_final(&h, ret_head + 4, 16);
}

/* Reads up to size bytes; fewer only at the end of the file.  -1 on an error. */
static ssize_t read_at(int fd, uint8_t *ret, size_t size, uint64_t at)
{
    size_t got = 0;
    while (got < size) {
        ssize_t n = pread(fd, ret + got, size - got, (off_t)(at + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static bool write_at(int fd, const uint8_t *data, size_t size, uint64_t at)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(fd, data + done, size - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = ENOSPC;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool write_record(int fd, const uint8_t *raw, size_t size, uint64_t at)
{
    uint8_t record[RECORD_HEAD + STMT_MAX];
    record_head(raw, size, record);
    memcpy(record + RECORD_HEAD, raw, size);
    return write_at(fd, record, RECORD_HEAD + size, at);
}

enum record { RECORD_OK, RECORD_END, RECORD_TORN, RECORD_DAMAGED, RECORD_UNREADABLE };

static bool all_zero_from(int fd, uint64_t at)
{
    uint8_t block[4096];
    for (;;) {
        ssize_t n = read_at(fd, block, sizeof block, at);
        if (n <= 0)
            return n == 0;
        if (!sodium_is_zero(block, (size_t)n))
            return false;
        at += (uint64_t)n;
    }
}

static enum record read_record(int fd, uint64_t at, uint8_t ret_raw[STMT_MAX], size_t *ret_size)
{
    uint8_t head[RECORD_HEAD], want[RECORD_HEAD];
    ssize_t n = read_at(fd, head, sizeof head, at);
    if (n <= 0)
        return n < 0 ? RECORD_UNREADABLE : RECORD_END;
    if (n < RECORD_HEAD)
        return RECORD_TORN;
    struct buf_reader r = buf_reader_of(head, sizeof head);
    size_t size = buf_get_u32(&r);
    /* some file systems show the length of a torn write before its bytes: zeros up to the end */
    if (size == 0 || size > STMT_MAX)
        return all_zero_from(fd, at) ? RECORD_TORN : RECORD_DAMAGED;
    n = read_at(fd, ret_raw, size, at + RECORD_HEAD);
    if (n < 0)
        return RECORD_UNREADABLE;
    if ((size_t)n < size)
        return RECORD_TORN;
    record_head(ret_raw, size, want);
    if (memcmp(head, want, sizeof head) != 0)
        return RECORD_DAMAGED;
    *ret_size = size;
    return RECORD_OK;
}

/* Appends everything from the damaged record on to a file aside; nothing is lost for an
 * investigation. */
static clan_status set_aside(struct stmt_store *s, uint64_t from, struct clan_error *reterr)
{
    uint8_t block[16384];
    clan_status st = CLAN_OK;
    int fd = openat(s->dir_fd, STORE_DAMAGED,
        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, STORE_MODE);
    if (fd < 0)
        return err_errno(reterr, CLAN_E_IO, "cannot set the damaged statements aside");
    for (ssize_t n; (n = read_at(s->fd, block, sizeof block, from)) != 0; from += (uint64_t)n)
        if (n < 0 || file_write_all(fd, block, (size_t)n) != CLAN_OK) {
            st = CLAN_E_IO;
            break;
        }
    if (st == CLAN_OK && (fsync(fd) != 0 || fsync(s->dir_fd) != 0))
        st = CLAN_E_IO;
    if (st != CLAN_OK)
        err_errno(reterr, st, "cannot set the damaged statements aside");
    close(fd);
    return st;
}

static clan_status cut(struct stmt_store *s, struct clan_error *reterr)
{
    if (ftruncate(s->fd, (off_t)s->end) != 0 || fdatasync(s->fd) != 0)
        return err_errno(reterr, CLAN_E_IO, "cannot cut the end of " STORE_NAME);
    s->dirty = false;
    return CLAN_OK;
}

/* Calls fn for each whole record, then leaves the file ending behind the last one. */
static clan_status scan(
    struct stmt_store *s, stmt_store_fn *fn, void *arg, struct clan_error *reterr)
{
    uint8_t raw[STMT_MAX];
    size_t size;
    enum record what;
    clan_status st;
    while ((what = read_record(s->fd, s->end, raw, &size)) == RECORD_OK) {
        if (fn)
            fn(arg, raw, size);
        s->end += RECORD_HEAD + size;
    }
    switch (what) {
    case RECORD_UNREADABLE:
        return err_errno(reterr, CLAN_E_IO, "cannot read " STORE_NAME);
    case RECORD_TORN:
        log_warn(STORE_NAME ": a record torn by a crash was cut at byte %llu",
            (unsigned long long)s->end);
        return cut(s, reterr);
    case RECORD_DAMAGED:
        st = set_aside(s, s->end, reterr);
        if (st != CLAN_OK)
            return st;
        log_error(STORE_NAME
            ": a damaged record at byte %llu; it and what follows is kept in " STORE_DAMAGED
            " and asked for again from other machines",
            (unsigned long long)s->end);
        return cut(s, reterr);
    default:
        return CLAN_OK;
    }
}

/* A new file, or one whose head was torn by a crash, gets its head. */
static clan_status open_head(struct stmt_store *s, struct clan_error *reterr)
{
    uint8_t head[sizeof store_magic];
    ssize_t n = read_at(s->fd, head, sizeof head, 0);
    if (n < 0)
        return err_errno(reterr, CLAN_E_IO, "cannot read " STORE_NAME);
    if (n == (ssize_t)sizeof head && memcmp(head, store_magic, sizeof head) == 0) {
        s->end = sizeof head;
        return CLAN_OK;
    }
    if (n == (ssize_t)sizeof head && !all_zero_from(s->fd, 0)) {
        err_set(reterr, CLAN_E_INVAL, STORE_NAME " has an unknown format");
        err_why(
            reterr, "it was written by another version of Clan, or its first bytes are damaged");
        err_remedy(reterr, "update Clan; or move the file away to fetch its contents from other "
                           "machines of the clan");
        return CLAN_E_INVAL;
    }
    if (ftruncate(s->fd, 0) != 0 || !write_at(s->fd, store_magic, sizeof store_magic, 0) ||
        fsync(s->fd) != 0 || fsync(s->dir_fd) != 0)
        return err_errno(reterr, CLAN_E_IO, "cannot create " STORE_NAME);
    s->end = sizeof store_magic;
    return CLAN_OK;
}

clan_status stmt_store_open(int dir_fd, stmt_store_fn *fn, void *arg, struct stmt_store **ret_store,
    struct clan_error *reterr)
{
    struct stmt_store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(reterr, CLAN_E_NOMEM, "out of memory");
    s->fd = -1;
    s->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    clan_status st = CLAN_OK;
    if (s->dir_fd >= 0) {
        unlinkat(s->dir_fd, STORE_NEW, 0); /* a compaction that a crash ended */
        s->fd =
            openat(s->dir_fd, STORE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, STORE_MODE);
    }
    if (s->fd < 0)
        st = err_errno(reterr, CLAN_E_IO, "cannot open " STORE_NAME);
    if (st == CLAN_OK)
        st = open_head(s, reterr);
    if (st == CLAN_OK)
        st = scan(s, fn, arg, reterr);
    if (st != CLAN_OK) {
        stmt_store_close(s);
        return st;
    }
    *ret_store = s;
    return CLAN_OK;
}

void stmt_store_close(struct stmt_store *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    if (s->dir_fd >= 0)
        close(s->dir_fd);
    free(s);
}

clan_status stmt_store_append_many(struct stmt_store *s, const uint8_t *const *raws,
    const size_t *sizes, size_t count, struct clan_error *reterr)
{
    uint64_t at = s->end;
    clan_status st = s->dirty ? cut(s, reterr) : CLAN_OK;
    if (st != CLAN_OK || count == 0)
        return st;
    for (size_t i = 0; i < count; i++)
        if (sizes[i] == 0 || sizes[i] > STMT_MAX)
            return err_set(
                reterr, CLAN_E_LIMIT, "a statement of %zu bytes cannot be stored", sizes[i]);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = write_record(s->fd, raws[i], sizes[i], at);
        at += RECORD_HEAD + sizes[i];
    }
    if (ok && fdatasync(s->fd) == 0) {
        s->end = at;
        return CLAN_OK;
    }
    err_errno(reterr, CLAN_E_IO, "cannot store a statement");
    err_remedy(reterr, "make room on the disk; nothing was changed");
    if (cut(s, NULL) != CLAN_OK)
        s->dirty = true;
    return CLAN_E_IO;
}

clan_status stmt_store_append(
    struct stmt_store *s, const void *raw, size_t size, struct clan_error *reterr)
{
    const uint8_t *const raws[1] = {raw};
    return stmt_store_append_many(s, raws, &size, 1, reterr);
}

static bool write_all_records(
    int fd, bool (*next)(void *, const uint8_t **, size_t *), void *arg, uint64_t *ret_end)
{
    const uint8_t *raw;
    size_t size;
    uint64_t at = sizeof store_magic;
    if (!write_at(fd, store_magic, sizeof store_magic, 0))
        return false;
    while (next(arg, &raw, &size)) {
        clan_assert(size > 0 && size <= STMT_MAX);
        if (!write_record(fd, raw, size, at))
            return false;
        at += RECORD_HEAD + size;
    }
    *ret_end = at;
    return fsync(fd) == 0;
}

clan_status stmt_store_compact(struct stmt_store *s,
    bool (*next)(void *arg, const uint8_t **ret_raw, size_t *ret_size), void *arg,
    struct clan_error *reterr)
{
    uint64_t end = 0;
    int fd = openat(
        s->dir_fd, STORE_NEW, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, STORE_MODE);
    if (fd < 0)
        return err_errno(reterr, CLAN_E_IO, "cannot create " STORE_NEW);
    if (!write_all_records(fd, next, arg, &end) ||
        renameat(s->dir_fd, STORE_NEW, s->dir_fd, STORE_NAME) != 0) {
        err_errno(reterr, CLAN_E_IO, "cannot rewrite " STORE_NAME);
        err_remedy(reterr, "make room on the disk; nothing was changed");
        unlinkat(s->dir_fd, STORE_NEW, 0);
        close(fd);
        return CLAN_E_IO;
    }
    /* from here on the new file has the name, whatever the directory's fsync says */
    close(s->fd);
    s->fd = fd;
    s->end = end;
    s->dirty = false;
    if (fsync(s->dir_fd) != 0)
        return err_errno(reterr, CLAN_E_IO, "cannot make the rewritten " STORE_NAME " durable");
    return CLAN_OK;
}

uint64_t stmt_store_bytes(const struct stmt_store *s)
{
    return s->end;
}
