/* A plugin's file: root's alone to write, and the very bytes that were granted. */
#include "slot/slot.h"

#include "base/error.h"
#include "base/text.h"
#include "minisign/minisign.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

static bool only_root_writes(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_uid == 0 && !(st.st_mode & 022);
}

static bool file_hash(int fd, uint8_t ret_hash[32])
{
    crypto_generichash_state state;
    uint8_t bytes[65536];
    ssize_t n;
    off_t at = 0;
    crypto_generichash_init(&state, NULL, 0, 32);
    while ((n = pread(fd, bytes, sizeof bytes, at)) > 0) {
        crypto_generichash_update(&state, bytes, (size_t)n);
        at += n;
    }
    crypto_generichash_final(&state, ret_hash, 32);
    return n == 0;
}

static bool is_granted_file(int fd, const struct grant_plugin *p, struct clan_error *e)
{
    uint8_t hash[32];
    char want[65], found[65];
    if (!file_hash(fd, hash)) {
        err_errno(e, CLAN_E_IO, "cannot read the plugin %s", p->file);
        return false;
    }
    if (sodium_memcmp(hash, p->hash, 32) == 0)
        return true;
    text_hex(p->hash, 32, want);
    text_hex(hash, 32, found);
    err_set(e, CLAN_E_GRANT, "the plugin %s is another file than the owner agreed to", p->id);
    err_why(e, "granted %.8s, found %.8s", want, found);
    err_remedy(e, "if you trust the new file, run as root: clan plugin grant %s", p->id);
    return false;
}

static void is_signed(
    int dir, int fd, const struct grant_plugin *p, bool require, struct clan_error *e)
{
    struct minisign s;
    struct clan_error why = CLAN_ERROR_INIT;
    uint8_t hash[64];
    if (sodium_is_zero(p->signer, 32) && !require)
        return;
    if (sodium_is_zero(p->signer, 32)) {
        err_set(e, CLAN_E_GRANT, "the plugin %s is not signed, which machine.yaml requires", p->id);
        err_remedy(e, "put %s.minisig beside it, then run as root: clan machine apply", p->file);
        return;
    }
    if (minisign_read(dir, p->file, &s, &why) == CLAN_OK &&
        minisign_hash(fd, hash, &why) == CLAN_OK &&
        minisign_verify(&s, hash, p->signer, &why) == CLAN_OK)
        return;
    err_set(e, CLAN_E_GRANT, "the plugin %s is not signed by whom the owner trusts", p->id);
    err_why(e, "%s%s%s", why.what, why.why[0] ? ": " : "", why.why);
    if (why.status == CLAN_E_INVAL && why.remedy[0]) /* to be made anew, whoever signs */
        err_remedy(e, "%s", why.remedy);
    else
        err_remedy(e, "install it with its signature, or run as root: clan plugin grant %s", p->id);
}

/* The descriptor whose bytes the owner agreed to: it is what dlopen gets. */
int slot_plugin(
    const char *directory, const struct grant_plugin *p, bool require, struct clan_error *e)
{
    int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = dir >= 0 ? openat(dir, p->file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    if (fd < 0)
        err_errno(e, CLAN_E_NOENT, "cannot open the plugin %s/%s", directory, p->file);
    else if (!only_root_writes(dir) || !only_root_writes(fd)) {
        err_set(e, CLAN_E_PERM, "%s/%s may be written by others than root", directory, p->file);
        err_remedy(e, "chown root and chmod go-w, the directory and the file");
    } else if (sodium_is_zero(p->hash, 32) && sodium_is_zero(p->signer, 32)) {
        err_set(e, CLAN_E_GRANT, "the grant of %s names neither a file nor a signer", p->id);
        err_remedy(e, "run as root: clan machine apply");
    } else if (sodium_is_zero(p->hash, 32) || is_granted_file(fd, p, e))
        is_signed(dir, fd, p, require, e);
    if (dir >= 0)
        close(dir);
    if (fd >= 0 && e->status != CLAN_OK) {
        close(fd);
        fd = -1;
    }
    return fd;
}
