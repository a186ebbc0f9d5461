/* Admin key files: paths, writing, reading, signing. */
#include "cli/adminkey.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "noise/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE_MAX  4096
#define KEY_HEADER    "clan-admin-key v1"
#define KEY_AGENT     "agent ssh\n"
#define ENTROPY_CHARS TEXT_BASE32_LEN(16)

clan_status userdir_path(
    char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e, const char *fmt, ...)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    const struct passwd *pw = home && home[0] ? NULL : getpwuid(geteuid());
    va_list args;
    if (pw)
        home = pw->pw_dir;
    int n, more;
    if (config && config[0] == '/')
        n = snprintf(ret_path, ADMINKEY_PATH_MAX, "%s/clan/", config);
    else if (home && home[0])
        n = snprintf(ret_path, ADMINKEY_PATH_MAX, "%s/.config/clan/", home);
    else
        return err_set(e, CLAN_E_NOENT, "this user has no home directory for the admin key");
    if (n >= ADMINKEY_PATH_MAX)
        return err_set(e, CLAN_E_LIMIT, "a path that is too long");
    va_start(args, fmt);
    more = vsnprintf(ret_path + n, (size_t)(ADMINKEY_PATH_MAX - n), fmt, args);
    va_end(args);
    return n + more < ADMINKEY_PATH_MAX ? CLAN_OK
                                        : err_set(e, CLAN_E_LIMIT, "a path that is too long");
}

clan_status adminkey_path(
    const char *petname, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e)
{
    return userdir_path(ret_path, e, "%s-admin.key", petname);
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

static void write_key(const struct admin_key *k, const char *clan, const char *admin, char *ret)
{
    char public_text[TEXT_ID_CHARS + 1];
    text_base32(k->public_key, 32, public_text);
    int n = snprintf(ret, KEY_FILE_MAX,
        "# Admin key of %s for the clan %s, made by `clan up`.\n%s" KEY_HEADER
        "\npublic ed25519:%s\n",
        admin, clan,
        k->in_agent ? "# The key itself is in the ssh-agent; this file only says which one it is.\n"
                    : "# Whoever has this file can invite, remove and change the clan: keep it "
                      "secret and keep a "
                      "copy.\n"
                      "# The twelve recovery words are the same key in another form.\n",
        public_text);
    if (k->in_agent) {
        strcat(ret, KEY_AGENT);
        return;
    }
    n += snprintf(ret + n, (size_t)(KEY_FILE_MAX - n), "entropy ");
    text_base32(ADMINKEY_ENTROPY(k), 16, ret + n);
    strcat(ret, "\n");
}

clan_status adminkey_store(
    const struct admin_key *k, const char *clan, const char *admin, struct clan_error *e)
{
    const char *name;
    char *text;
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
    write_key(k, clan, admin, text);
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
    bool in_agent = line_value(text, KEY_AGENT);
    const char *pub = line_value(text, "public ed25519:"), *secret = line_value(text, "entropy ");
    if (!line_value(text, KEY_HEADER "\n") || !pub || in_agent == !!secret ||
        !text_base32_decode(pub, strcspn(pub, " \r\n"), public_key, 32))
        return damaged(ret->path, e);
    if (in_agent) {
        adminkey_of_agent(public_key, ret);
        return CLAN_OK;
    }
    if (!text_base32_decode(secret, strcspn(secret, " \r\n"), entropy, 16))
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
    snprintf(ret->name, sizeof ret->name, "%s", path);
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

clan_status adminkey_sign(
    const struct admin_key *k, uint8_t *raw, size_t *size, struct clan_error *e)
{
    if (k->in_agent)
        return agentkey_sign(k, raw, size, e);
    clan_status st = stmt_sign(raw, size, ADMINKEY_SECRET(k));
    return st == CLAN_OK ? st : err_set(e, st, "it could not be signed with %s", k->name);
}
