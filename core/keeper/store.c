/* The keeper's store on SQLite: one file, one connection, each change one durable transaction. */
#include "keeper/store.h"

#include "base/error.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FORMAT "1" /* PRAGMA user_version; 0 is a new file */

struct store {
    sqlite3 *db;
    uint32_t generation;
    uint64_t revision;
};

/*
 * EXTRA, not FULL: an answered change must not come undone by a power cut, whichever way SQLite
 * ends its journal.  EXCLUSIVE: two keepers never share a file.
 */
static const char settings[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=DELETE;"
                               "PRAGMA synchronous=EXTRA; PRAGMA cache_size=-64;"
                               "PRAGMA temp_store=MEMORY; PRAGMA mmap_size=0;"
                               "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;";
static const char schema[] =
    "CREATE TABLE clan(id BLOB NOT NULL, generation INTEGER NOT NULL, revision INTEGER NOT NULL);"
    "CREATE TABLE spent(invite BLOB NOT NULL, slot INTEGER NOT NULL, machine BLOB NOT NULL,"
    "  admission BLOB NOT NULL, revision INTEGER NOT NULL, time INTEGER NOT NULL,"
    "  PRIMARY KEY(invite, slot), UNIQUE(invite, machine)) WITHOUT ROWID;"
    "CREATE TABLE removed(machine BLOB PRIMARY KEY, revision INTEGER NOT NULL,"
    "  time INTEGER NOT NULL) WITHOUT ROWID;"
    "PRAGMA user_version=" FORMAT ";";

/* --- errors and statements --- */

static clan_status damaged(const char *why, struct clan_error *e)
{
    err_set(e, CLAN_E_IO, "the keeper's record (keeper.db) is damaged");
    err_why(e, "%s", why);
    err_remedy(e,
        "stop clan, move keeper.db aside and name another keeper in clan.yaml; an empty one "
        "would give spent invitations out again");
    return CLAN_E_IO;
}

/* What SQLite says, in words.  Always IO: nothing was decided, the same may be asked again. */
static clan_status trouble(struct store *s, const char *doing, struct clan_error *e)
{
    int code = sqlite3_extended_errcode(s->db) & 0xff, system = sqlite3_system_errno(s->db);
    const char *text = sqlite3_errmsg(s->db);
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return damaged(text, e);
    if (code == SQLITE_FULL || system == ENOSPC || system == EDQUOT) {
        err_set(e, CLAN_E_IO, "the keeper cannot %s: no room", doing);
        err_remedy(e, "make room on the disk that holds /var/lib/clan; it then goes on by itself");
    } else if (code == SQLITE_BUSY) {
        err_set(e, CLAN_E_IO, "the keeper's record is in use by another process");
        err_remedy(e, "end the other process that has keeper.db open");
    } else {
        err_set(e, CLAN_E_IO, "the keeper cannot %s", doing);
        err_remedy(e, "look at the disk that holds /var/lib/clan");
    }
    err_why(
        e, "%s%s%s%s", text, system ? " (" : "", system ? strerror(system) : "", system ? ")" : "");
    return CLAN_E_IO;
}

static bool run(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* NULL on failure; step() and the sqlite3_ functions used here take it. */
static sqlite3_stmt *prepare(struct store *s, const char *sql)
{
    sqlite3_stmt *st = NULL;
    return sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK ? st : NULL;
}

static void bind_blob(sqlite3_stmt *st, int at, const uint8_t *data, int size)
{
    sqlite3_bind_blob(st, at, data, size, SQLITE_STATIC); /* a failure shows at the step */
}

/* Steps once.  SQLITE_ROW or SQLITE_DONE; anything else is a failure, also a NULL statement. */
static int step(sqlite3_stmt *st)
{
    return st ? sqlite3_step(st) : SQLITE_ERROR;
}

static bool begin(struct store *s)
{
    return run(s, "BEGIN IMMEDIATE");
}

static void rollback(struct store *s)
{
    if (!sqlite3_get_autocommit(s->db)) /* some failures have rolled back already */
        run(s, "ROLLBACK");
}

/* --- opening --- */

/* The name is relative to the working directory, whatever the path to that is in a sandbox. */
static int plain_path(sqlite3_vfs *vfs, const char *name, int size, char *ret_path)
{
    (void)vfs;
    size_t len = strlen(name);
    if (len >= (size_t)size)
        return SQLITE_CANTOPEN;
    memcpy(ret_path, name, len + 1);
    return SQLITE_OK;
}

static bool setup_sqlite(void)
{
    static sqlite3_vfs vfs;
    if (vfs.zName)
        return true;
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
    if (sqlite3_initialize() != SQLITE_OK || !sqlite3_vfs_find("unix"))
        return false;
    vfs = *sqlite3_vfs_find("unix");
    vfs.pNext = NULL;
    vfs.zName = "clan";
    vfs.xFullPathname = plain_path;
    return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK;
}

static int64_t number(struct store *s, const char *sql)
{
    sqlite3_stmt *st = prepare(s, sql);
    int64_t v = step(st) == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;
    sqlite3_finalize(st);
    return v;
}

static bool sound(struct store *s)
{
    sqlite3_stmt *st = prepare(s, "PRAGMA quick_check(1)");
    bool ok = step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_TEXT &&
              strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
    sqlite3_finalize(st);
    return ok;
}

static bool create(struct store *s, const uint8_t clan_id[32])
{
    if (!begin(s))
        return false;
    sqlite3_stmt *st = NULL;
    bool ok = run(s, schema);
    if (ok) {
        st = prepare(s, "INSERT INTO clan VALUES(?, 1, 0)");
        bind_blob(st, 1, clan_id, 32);
        ok = step(st) == SQLITE_DONE;
    }
    sqlite3_finalize(st);
    return ok && run(s, "COMMIT");
}

static clan_status load(struct store *s, const uint8_t clan_id[32], struct clan_error *e)
{
    clan_status status = CLAN_OK;
    sqlite3_stmt *st = prepare(s, "SELECT id, generation, revision FROM clan");
    if (step(st) != SQLITE_ROW || sqlite3_column_bytes(st, 0) != 32)
        status = damaged("it does not say whose it is", e);
    else if (memcmp(sqlite3_column_blob(st, 0), clan_id, 32) != 0) {
        status = err_set(e, CLAN_E_CONFLICT, "the keeper's record belongs to another clan");
        err_remedy(e, "give each clan a state directory of its own");
    } else {
        s->generation = (uint32_t)sqlite3_column_int64(st, 1);
        s->revision = (uint64_t)sqlite3_column_int64(st, 2);
    }
    sqlite3_finalize(st);
    return status;
}

static clan_status open_file(struct store *s, const uint8_t clan_id[32], struct clan_error *e)
{
    if (sqlite3_open_v2(STORE_FILE, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, "clan") !=
        SQLITE_OK)
        return s->db ? trouble(s, "open its record", e) : err_set(e, CLAN_E_NOMEM, "out of memory");
    sqlite3_extended_result_codes(s->db, 1);
    if (!run(s, settings))
        return trouble(s, "open its record", e);
    int64_t format = number(s, "PRAGMA user_version");
    if (format < 0)
        return trouble(s, "read its record", e);
    if (format == 0 && number(s, "SELECT count(*) FROM sqlite_schema") > 0)
        return damaged("it holds something else", e);
    if (format == 0 && !create(s, clan_id))
        return trouble(s, "begin its record", e);
    if (format > 1) {
        err_set(e, CLAN_E_ABI, "the keeper's record was written by a later Clan");
        err_remedy(e, "install that release again");
        return CLAN_E_ABI;
    }
    if (!sound(s))
        return damaged("SQLite's check of the file failed", e);
    return load(s, clan_id, e);
}

clan_status store_open(
    int dir_fd, const uint8_t clan_id[32], struct store **ret, struct clan_error *reterr)
{
    if (!setup_sqlite())
        return err_set(reterr, CLAN_E_NOMEM, "SQLite does not start");
    if (fchdir(dir_fd) != 0)
        return err_errno(reterr, CLAN_E_IO, "the keeper's directory is not there");
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(reterr, CLAN_E_NOMEM, "out of memory");
    clan_status status = open_file(s, clan_id, reterr);
    if (status != CLAN_OK) {
        store_close(s);
        return status;
    }
    *ret = s;
    return CLAN_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    sqlite3_close_v2(s->db);
    free(s);
}

uint32_t store_generation(const struct store *s)
{
    return s->generation;
}

uint64_t store_revision(const struct store *s)
{
    return s->revision;
}

/* --- changes --- */

/* Ends a change begun with begin(): the new revision and the COMMIT. */
static bool finish(struct store *s)
{
    sqlite3_stmt *st = prepare(s, "UPDATE clan SET revision = ?");
    sqlite3_bind_int64(st, 1, (sqlite3_int64)(s->revision + 1));
    bool ok = step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    if (!ok || !run(s, "COMMIT"))
        return false;
    s->revision++;
    return true;
}

/* SQLITE_ROW: the machine has a slot; SQLITE_DONE: none; else a failure. */
static int find_spent(struct store *s, const struct store_spend *ask, struct store_spent *ret)
{
    sqlite3_stmt *st =
        prepare(s, "SELECT slot, revision, time FROM spent WHERE invite = ? AND machine = ?");
    bind_blob(st, 1, ask->invite_id, 16);
    bind_blob(st, 2, ask->machine_id, 32);
    int r = step(st);
    if (r == SQLITE_ROW)
        *ret = (struct store_spent){.slot = (uint32_t)sqlite3_column_int64(st, 0),
            .generation = s->generation,
            .revision = (uint64_t)sqlite3_column_int64(st, 1),
            .time = sqlite3_column_int64(st, 2)};
    sqlite3_finalize(st);
    return r;
}

static int find_removed(struct store *s, const uint8_t machine_id[32], uint64_t *ret_revision)
{
    sqlite3_stmt *st = prepare(s, "SELECT revision FROM removed WHERE machine = ?");
    bind_blob(st, 1, machine_id, 32);
    int r = step(st);
    if (r == SQLITE_ROW)
        *ret_revision = (uint64_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return r;
}

static bool insert_spent(
    struct store *s, const struct store_spend *ask, uint32_t slot, int64_t now_s)
{
    sqlite3_stmt *st = prepare(s, "INSERT INTO spent VALUES(?, ?, ?, ?, ?, ?)");
    bind_blob(st, 1, ask->invite_id, 16);
    sqlite3_bind_int64(st, 2, slot);
    bind_blob(st, 3, ask->machine_id, 32);
    bind_blob(st, 4, ask->admission_id, 32);
    sqlite3_bind_int64(st, 5, (sqlite3_int64)(s->revision + 1));
    sqlite3_bind_int64(st, 6, now_s);
    bool ok = step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    return ok;
}

static clan_status judge(struct store *s, const struct store_spend *ask, uint32_t spent,
    int64_t now_s, struct clan_error *e)
{
    uint64_t revision;
    int removed = find_removed(s, ask->machine_id, &revision);
    if (removed == SQLITE_ROW)
        return err_set(e, CLAN_E_REVOKED, "this machine was removed from the clan");
    if (removed != SQLITE_DONE)
        return trouble(s, "read its record", e);
    if (ask->closed)
        return err_set(e, CLAN_E_WITHDRAWN, "the invitation was withdrawn");
    if (now_s > ask->expires) {
        err_set(e, CLAN_E_EXPIRED, "the invitation has expired");
        err_why(e, "%lld s ago by the keeper's clock", (long long)(now_s - ask->expires));
        err_remedy(e, "ask for a new invitation");
        return CLAN_E_EXPIRED;
    }
    if (spent >= ask->uses) {
        err_set(e, CLAN_E_USED, "the invitation is used up");
        err_why(e, "%u of %u uses are spent", spent, ask->uses);
        err_remedy(e, "if that was not you, tell who invited you: the link has leaked");
        return CLAN_E_USED;
    }
    return CLAN_OK;
}

clan_status store_spend(struct store *s, const struct store_spend *ask, int64_t now_s,
    struct store_spent *ret, struct clan_error *reterr)
{
    uint32_t spent;
    if (ask->uses < 1 || ask->uses > STORE_USES_MAX)
        return err_set(reterr, CLAN_E_INVAL, "an invitation has 1 to %d uses", STORE_USES_MAX);
    int known = find_spent(s, ask, ret);
    if (known == SQLITE_ROW)
        return CLAN_OK;
    if (known != SQLITE_DONE)
        return trouble(s, "read its record", reterr);
    clan_status status = store_count(s, ask->invite_id, &spent, reterr);
    if (status == CLAN_OK)
        status = judge(s, ask, spent, now_s, reterr);
    if (status != CLAN_OK)
        return status;
    if (!begin(s) || !insert_spent(s, ask, spent, now_s) || !finish(s)) {
        status = trouble(s, "record a use of an invitation", reterr);
        rollback(s);
        return status;
    }
    *ret = (struct store_spent){
        .slot = spent, .generation = s->generation, .revision = s->revision, .time = now_s};
    return CLAN_OK;
}

clan_status store_removed(struct store *s, const uint8_t machine_id[32], int64_t now_s,
    uint64_t *ret_revision, struct clan_error *reterr)
{
    int known = find_removed(s, machine_id, ret_revision);
    if (known == SQLITE_ROW)
        return CLAN_OK;
    if (known != SQLITE_DONE)
        return trouble(s, "read its record", reterr);
    bool ok = begin(s);
    sqlite3_stmt *st = ok ? prepare(s, "INSERT INTO removed VALUES(?, ?, ?)") : NULL;
    if (st) {
        bind_blob(st, 1, machine_id, 32);
        sqlite3_bind_int64(st, 2, (sqlite3_int64)(s->revision + 1));
        sqlite3_bind_int64(st, 3, now_s);
    }
    ok = step(st) == SQLITE_DONE;
    sqlite3_finalize(st);
    if (!ok || !finish(s)) {
        clan_status status = trouble(s, "record a removal", reterr);
        rollback(s);
        return status;
    }
    *ret_revision = s->revision;
    return CLAN_OK;
}

clan_status store_count(
    struct store *s, const uint8_t invite_id[16], uint32_t *ret_spent, struct clan_error *reterr)
{
    sqlite3_stmt *st = prepare(s, "SELECT count(*) FROM spent WHERE invite = ?");
    bind_blob(st, 1, invite_id, 16);
    bool ok = step(st) == SQLITE_ROW;
    if (ok)
        *ret_spent = (uint32_t)sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return ok ? CLAN_OK : trouble(s, "read its record", reterr);
}
