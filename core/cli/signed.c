/* What each admin key signed (SECURITY C1): beside a key's file, of an agent's key in the user's folder. */
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/adminkey.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

clan_status signed_dir(
    const struct admin_key *k, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e)
{
    char id[TEXT_ID_CHARS + 1];
    if (k->in_agent) {
        text_base32(k->public_key, 32, id);
        return userdir_path(ret_path, e, "%s.signed", id);
    }
    int n = snprintf(ret_path, ADMINKEY_PATH_MAX, "%s.signed", k->path);
    return n < ADMINKEY_PATH_MAX ? CLAN_OK : err_set(e, CLAN_E_LIMIT, "a path that is too long");
}

static clan_status signed_path(const struct admin_key *k, const uint8_t clan_id[32],
    uint64_t version, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e)
{
    char id[TEXT_ID_CHARS + 1];
    clan_status st = signed_dir(k, ret_path, e);
    if (st != CLAN_OK)
        return st;
    text_base32(clan_id, 32, id);
    size_t len = strlen(ret_path), left = ADMINKEY_PATH_MAX - len;
    int n = snprintf(ret_path + len, left, "/%.16s-%" PRIu64, id, version);
    return (size_t)n < left ? CLAN_OK : err_set(e, CLAN_E_LIMIT, "a path that is too long");
}

clan_status signed_find(const struct admin_key *k, const uint8_t clan_id[32], uint64_t version,
    uint8_t *ret_raw, size_t *ret_size, struct clan_error *e)
{
    char path[ADMINKEY_PATH_MAX];
    uint8_t *data;
    struct stmt s;
    clan_status st = signed_path(k, clan_id, version, path, e);
    if (st != CLAN_OK)
        return st;
    st = file_read(AT_FDCWD, path, STMT_MAX, &data, ret_size, e);
    if (st != CLAN_OK)
        return st;
    memcpy(ret_raw, data, *ret_size);
    free(data);
    if (stmt_parse(ret_raw, *ret_size, &s, NULL) != CLAN_OK)
        return err_set(e, CLAN_E_INVAL, "%s is damaged", path);
    return CLAN_OK;
}

clan_status signed_note(const struct admin_key *k, const uint8_t clan_id[32], uint64_t version,
    const uint8_t *raw, size_t size, struct clan_error *e)
{
    char path[ADMINKEY_PATH_MAX];
    const char *name;
    int dir;
    clan_status st = signed_path(k, clan_id, version, path, e);
    if (st == CLAN_OK)
        st = userdir_open(path, &dir, &name, e);
    if (st != CLAN_OK)
        return st;
    st = file_write_durable(dir, name, raw, size, 0600, e);
    close(dir);
    return st;
}

clan_status signed_forget(
    const struct admin_key *k, const uint8_t clan_id[32], uint64_t version, struct clan_error *e)
{
    char path[ADMINKEY_PATH_MAX];
    clan_status st = signed_path(k, clan_id, version, path, e);
    if (st == CLAN_OK && unlink(path) != 0 && errno != ENOENT)
        st = err_errno(e, CLAN_E_IO, "cannot remove %s", path);
    return st;
}
