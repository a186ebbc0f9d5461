/* Admin key files and the record of what they signed. */
#include "cli/adminkey.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "noise/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX  4096
#define KEY_HEADER    "clan-admin-key v1"
#define ENTROPY_CHARS TEXT_BASE32_LEN(16)

clan_status adminkey_path(
    const char *petname, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const struct passwd *pw = home && home[0] ? NULL : getpwuid(geteuid());
    if (pw)
        home = pw->pw_dir;
    int n;
    if (config && config[0] == '/')
        n = snprintf(ret_path, ADMINKEY_PATH_MAX, "%s/clan/%s-admin.key", config, petname);
    else if (home && home[0])
        n = snprintf(ret_path, ADMINKEY_PATH_MAX, "%s/.config/clan/%s-admin.key", home, petname);
    else
        return err_set(e, CLAN_E_NOENT, "this user has no home directory for the admin key");
    return n < ADMINKEY_PATH_MAX ? CLAN_OK : err_set(e, CLAN_E_LIMIT, "a path that is too long");
}

/* Makes every missing directory above path, 0700. */
static bool make_parents(const char *path)
{
    char dir[ADMINKEY_PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    for (char *p = dir + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            if (mkdir(dir, 0700) != 0 && errno != EEXIST && errno != EROFS && errno != EACCES)
                return false;
            *p = '/';
        }
    return true;
}

clan_status userdir_open(
    const char *path, int *ret_dir, const char **ret_name, struct clan_error *e)
{
    char dir[ADMINKEY_PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (strlen(path) >= sizeof dir)
        return err_set(e, CLAN_E_LIMIT, "a path that is too long");
    *ret_name = slash ? slash + 1 : path;
    snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
    if (!make_parents(path))
        return err_errno(e, CLAN_E_IO, "cannot make the directory of %s", path);
    *ret_dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_dir < 0 ? err_errno(e, CLAN_E_IO, "cannot open %s", dir) : CLAN_OK;
}

clan_status adminkey_from_entropy(const uint8_t entropy[16], struct admin_key *ret)
{
    uint8_t seed[32];
    ret->secrets = sodium_malloc(64 + 16);
    if (!ret->secrets)
        return CLAN_E_NOMEM;
    keys_admin_seed(entropy, seed);
    keys_sign_pair(seed, ADMINKEY_SECRET(ret), ret->public_key);
    memcpy(ADMINKEY_ENTROPY(ret), entropy, 16);
    sodium_memzero(seed, sizeof seed);
    return CLAN_OK;
}

void adminkey_wipe(struct admin_key *k)
{
    sodium_free(k->secrets);
    memset(k, 0, sizeof *k);
}

clan_status adminkey_store(
    const struct admin_key *k, const char *clan, const char *admin, struct clan_error *e)
{
    char public_text[TEXT_ID_CHARS + 1], *text;
    const char *name;
    int dir;
    clan_status st = userdir_open(k->path, &dir, &name, e);
    if (st != CLAN_OK)
        return st;
    if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        close(dir);
        return err_set(e, CLAN_E_EXIST, "there is a key in %s already", k->path);
    }
    text = sodium_malloc(KEY_FILE_MAX);
    if (!text) {
        close(dir);
        return err_set(e, CLAN_E_NOMEM, "out of memory");
    }
    text_base32(k->public_key, 32, public_text);
    int n = snprintf(text, KEY_FILE_MAX,
        "# Admin key of %s for the clan %s, made by `clan up`.\n"
        "# Whoever has this file can invite, remove and change the clan: keep it secret and keep a "
        "copy.\n"
        "# The twelve recovery words are the same key in another form.\n" KEY_HEADER "\n"
        "public ed25519:%s\n"
        "entropy ",
        admin, clan, public_text);
    text_base32(ADMINKEY_ENTROPY(k), 16, text + n);
    strcat(text, "\n");
    st = file_write_durable(dir, name, text, strlen(text), 0600, e);
    sodium_free(text);
    close(dir);
    return st;
}

static clan_status damaged(const char *path, struct clan_error *e)
{
    err_set(e, CLAN_E_INVAL, "%s is not an admin key", path);
    err_why(e, "it is damaged, or it is another file");
    err_remedy(e, "give the right file with --key FILE");
    return CLAN_E_INVAL;
}

/* The value behind "word " at the beginning of a line, NULL when there is none. */
static const char *line_value(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *p = text; p; p = strchr(p, '\n')) {
        p += *p == '\n';
        if (strncmp(p, word, len) == 0)
            return p + len;
    }
    return NULL;
}

static clan_status parse_key(const char *text, struct admin_key *ret, struct clan_error *e)
{
    uint8_t entropy[16], public_key[32];
    const char *pub = line_value(text, "public ed25519:"), *secret = line_value(text, "entropy ");
    if (!line_value(text, KEY_HEADER "\n") || !pub || !secret ||
        !text_base32_decode(pub, strcspn(pub, " \r\n"), public_key, 32) ||
        !text_base32_decode(secret, strcspn(secret, " \r\n"), entropy, 16))
        return damaged(ret->path, e);
    clan_status st = adminkey_from_entropy(entropy, ret);
    sodium_memzero(entropy, sizeof entropy);
    if (st != CLAN_OK)
        return err_set(e, st, "out of memory");
    return memcmp(public_key, ret->public_key, 32) == 0 ? CLAN_OK : damaged(ret->path, e);
}

static clan_status check_mode(int fd, const char *path, struct clan_error *e)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_errno(e, CLAN_E_IO, "cannot look at %s", path);
    if (!S_ISREG(st.st_mode))
        return damaged(path, e);
    if ((st.st_mode & 077) || (st.st_uid != geteuid() && geteuid() != 0)) {
        err_set(e, CLAN_E_PERM, "the admin key %s is open to others", path);
        err_why(e, "its mode is %03o; only its owner may read it", st.st_mode & 0777);
        err_remedy(
            e, "close it with `chmod 600 %s`; if others could read it, replace the key", path);
        return CLAN_E_PERM;
    }
    return CLAN_OK;
}

clan_status adminkey_load(const char *path, struct admin_key *ret, struct clan_error *e)
{
    uint8_t *text = NULL;
    size_t size = 0;
    memset(ret, 0, sizeof *ret);
    if (snprintf(ret->path, sizeof ret->path, "%s", path) >= (int)sizeof ret->path)
        return err_set(e, CLAN_E_LIMIT, "a path that is too long");
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_errno(
            e, errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO, "cannot open the admin key %s", path);
    clan_status st = check_mode(fd, path, e);
    if (st == CLAN_OK)
        st = file_read_fd(fd, KEY_FILE_MAX, &text, &size, e);
    if (st == CLAN_OK)
        st = parse_key((char *)text, ret, e);
    if (text)
        sodium_memzero(text, size);
    free(text);
    close(fd);
    if (st != CLAN_OK)
        adminkey_wipe(ret);
    return st;
}

static bool is_admin(const clan_api_Context *x, const uint8_t key[32])
{
    for (unsigned i = 0; i < x->admin_keys_count; i++)
        if (memcmp(x->admin_keys[i], key, 32) == 0)
            return true;
    return false;
}

static clan_status ring_add(
    struct cli *c, const clan_api_Context *x, const char *path, struct admin_ring *r)
{
    struct admin_key *k = &r->keys[r->count];
    clan_status st = adminkey_load(path, k, &c->e);
    if (st != CLAN_OK)
        return st;
    for (unsigned i = 0; i < r->count; i++)
        if (memcmp(r->keys[i].public_key, k->public_key, 32) == 0) {
            adminkey_wipe(k);
            return CLAN_OK;
        }
    if (!is_admin(x, k->public_key)) {
        err_set(&c->e, CLAN_E_PERM, "the key in %s is no admin key of the clan %s", path, x->clan);
        err_why(&c->e, "the clan's configuration does not list it");
        err_remedy(&c->e, "give the right file with --key FILE");
        adminkey_wipe(k);
        return CLAN_E_PERM;
    }
    r->count++;
    return CLAN_OK;
}

clan_status adminring_open(
    struct cli *c, const clan_api_Context *x, unsigned need, struct admin_ring *ret)
{
    char path[ADMINKEY_PATH_MAX];
    const char *given;
    memset(ret, 0, sizeof *ret);
    clan_status st = CLAN_OK;
    for (unsigned i = 0; (given = cli_opt_at(c, "key", i)) && ret->count < STMT_ADMINS_MAX; i++)
        if (st == CLAN_OK)
            st = ring_add(c, x, given, ret);
    if (st == CLAN_OK && ret->count < need)
        st = adminkey_path(c->petname, path, &c->e);
    if (st == CLAN_OK && ret->count < need) {
        st = ring_add(c, x, path, ret);
        if (st == CLAN_E_NOENT && ret->count)
            st = CLAN_OK;
        else if (st == CLAN_E_NOENT) {
            err_set(&c->e, CLAN_E_PERM, "this needs an admin key of the clan %s", x->clan);
            err_why(&c->e, "there is none in %s", path);
            err_remedy(
                &c->e, "run it as the user who made the clan, or give the file with --key FILE");
            st = CLAN_E_PERM;
        }
    }
    if (st == CLAN_OK && ret->count < need) {
        err_set(&c->e, CLAN_E_PERM, "this needs the signatures of %u admins", need);
        err_why(&c->e, "%u of the %u admins' keys %s here", ret->count, x->admin_keys_count,
            ret->count == 1 ? "is" : "are");
        err_remedy(&c->e, "add the key files of other admins with --key FILE");
        st = CLAN_E_PERM;
    }
    if (st != CLAN_OK)
        adminring_close(ret);
    return st;
}

void adminring_close(struct admin_ring *r)
{
    for (unsigned i = 0; i < r->count; i++)
        adminkey_wipe(&r->keys[i]);
    r->count = 0;
}

static clan_status signed_path(const struct admin_key *k, const uint8_t clan_id[32],
    uint64_t version, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e)
{
    char id[TEXT_ID_CHARS + 1];
    text_base32(clan_id, 32, id);
    int n = snprintf(ret_path, ADMINKEY_PATH_MAX, "%s.signed/%.16s-%" PRIu64, k->path, id, version);
    return n < ADMINKEY_PATH_MAX ? CLAN_OK : err_set(e, CLAN_E_LIMIT, "a path that is too long");
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
