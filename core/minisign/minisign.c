/* Reads and verifies detached signatures in the format of minisign 0.10 and later. */
#include "minisign/minisign.h"

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNTRUSTED "untrusted comment: "
#define TRUSTED   "trusted comment: "

struct lines {
    const char *at;
    size_t left;
};

/* The next line without its end; false when there is none, or it has a NUL. */
static bool next_line(struct lines *l, const char **ret_line, size_t *ret_len)
{
    if (l->left == 0)
        return false;
    const char *nl = memchr(l->at, '\n', l->left);
    size_t len = nl ? (size_t)(nl - l->at) : l->left;
    *ret_line = l->at;
    *ret_len = len;
    l->at += len + (nl != NULL);
    l->left -= len + (nl != NULL);
    if (*ret_len && (*ret_line)[*ret_len - 1] == '\r')
        (*ret_len)--;
    return memchr(*ret_line, 0, *ret_len) == NULL;
}

static bool decode(const char *text, size_t len, void *ret, size_t size)
{
    size_t got;
    const char *end;
    return sodium_base642bin(
               ret, size, text, len, NULL, &got, &end, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           got == size && end == text + len;
}

static clan_status malformed(struct clan_error *e, const char *why)
{
    err_set(e, CLAN_E_INVAL, "the signature file cannot be used");
    err_why(e, "%s", why);
    err_remedy(e, "sign the file anew: minisign -S -m FILE");
    return CLAN_E_INVAL;
}

clan_status minisign_parse(
    const void *data, size_t size, struct minisign *ret, struct clan_error *reterr)
{
    struct lines l = {data, size};
    const char *line;
    size_t len;
    uint8_t box[74]; /* algorithm, key ID, signature */
    memset(ret, 0, sizeof *ret);
    if (size > MINISIGN_FILE_MAX)
        return malformed(reterr, "it is longer than any signature");
    if (!next_line(&l, &line, &len) || len < strlen(UNTRUSTED) ||
        memcmp(line, UNTRUSTED, strlen(UNTRUSTED)) != 0)
        return malformed(reterr, "it does not begin with \"" UNTRUSTED "\"");
    if (!next_line(&l, &line, &len) || !decode(line, len, box, sizeof box))
        return malformed(reterr, "its second line is no signature");
    if (box[0] == 'E' && box[1] == 'd') {
        malformed(reterr, "it has minisign's legacy form (Ed), which is not verified here");
        err_remedy(reterr, "sign the file anew in the prehashed form: minisign -S -H -m FILE");
        return CLAN_E_INVAL;
    }
    if (box[0] != 'E' || box[1] != 'D')
        return malformed(reterr, "it was made by an algorithm that is not known here");
    if (!next_line(&l, &line, &len) || len < strlen(TRUSTED) ||
        memcmp(line, TRUSTED, strlen(TRUSTED)) != 0 || len - strlen(TRUSTED) >= sizeof ret->comment)
        return malformed(reterr, "its third line is no \"" TRUSTED "\"");
    memcpy(ret->comment, line + strlen(TRUSTED), len - strlen(TRUSTED));
    if (!next_line(&l, &line, &len) || !decode(line, len, ret->global, sizeof ret->global))
        return malformed(reterr, "its fourth line is no signature");
    if (l.left)
        return malformed(reterr, "something follows after its fourth line");
    memcpy(ret->key_id, box + 2, 8);
    memcpy(ret->signature, box + 10, 64);
    return CLAN_OK;
}

bool minisign_key_parse(const char *text, struct minisign_key *ret)
{
    uint8_t box[42];
    if (strlen(text) != MINISIGN_KEY_CHARS || !decode(text, MINISIGN_KEY_CHARS, box, sizeof box) ||
        box[0] != 'E' || box[1] != 'd' || sodium_is_zero(box + 10, 32))
        return false;
    memcpy(ret->id, box + 2, 8);
    memcpy(ret->key, box + 10, 32);
    return true;
}

void minisign_id_text(const uint8_t id[8], char ret[17])
{
    for (unsigned i = 0; i < 8; i++) /* minisign prints a little-endian number */
        snprintf(ret + 2 * i, 3, "%02X", id[7 - i]);
}

clan_status minisign_hash(int fd, uint8_t ret_hash[64], struct clan_error *reterr)
{
    crypto_generichash_state state;
    uint8_t bytes[65536];
    ssize_t n;
    off_t at = 0;
    crypto_generichash_init(&state, NULL, 0, 64);
    while ((n = pread(fd, bytes, sizeof bytes, at)) > 0) {
        crypto_generichash_update(&state, bytes, (size_t)n);
        at += n;
    }
    crypto_generichash_final(&state, ret_hash, 64);
    return n == 0 ? CLAN_OK : err_errno(reterr, CLAN_E_IO, "the file cannot be read");
}

static clan_status not_his(struct clan_error *e, const struct minisign *s, const char *why)
{
    char id[17];
    minisign_id_text(s->key_id, id);
    err_set(e, CLAN_E_AUTH, "the signature does not fit");
    err_why(e, "%s (the signature names the key %s)", why, id);
    err_remedy(e, "fetch the file and its " MINISIGN_SUFFIX " again from whom you trust");
    return CLAN_E_AUTH;
}

clan_status minisign_verify(const struct minisign *s, const uint8_t file_hash[64],
    const uint8_t key[32], struct clan_error *reterr)
{
    uint8_t with_comment[64 + MINISIGN_COMMENT_MAX];
    size_t len = strnlen(s->comment, sizeof s->comment - 1);
    if (crypto_sign_verify_detached(s->signature, file_hash, 64, key) != 0)
        return not_his(reterr, s, "it is not by the key that was agreed to, or for another file");
    memcpy(with_comment, s->signature, 64);
    memcpy(with_comment + 64, s->comment, len);
    if (crypto_sign_verify_detached(s->global, with_comment, 64 + len, key) != 0)
        return not_his(reterr, s, "its trusted comment was changed");
    return CLAN_OK;
}

clan_status minisign_read(
    int dir_fd, const char *name, struct minisign *ret, struct clan_error *reterr)
{
    char path[96];
    uint8_t *data = NULL;
    size_t size = 0;
    memset(ret, 0, sizeof *ret);
    if (snprintf(path, sizeof path, "%s" MINISIGN_SUFFIX, name) >= (int)sizeof path)
        return err_set(reterr, CLAN_E_INVAL, "the file's name is too long");
    int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        clan_status s = errno == ENOENT ? CLAN_E_NOENT : CLAN_E_IO;
        err_errno(reterr, s, "%s has no signature that can be read (%s)", name, path);
        err_remedy(reterr, "put the signature file beside it, or allow files without one");
        return s;
    }
    clan_status st = file_read_fd(fd, MINISIGN_FILE_MAX, &data, &size, reterr);
    close(fd);
    if (st == CLAN_OK)
        st = minisign_parse(data, size, ret, reterr);
    free(data);
    return st;
}
