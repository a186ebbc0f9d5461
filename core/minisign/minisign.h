/* Signatures of plugin files in the format of minisign: FILE.minisig beside FILE. */
#ifndef MINISIGN_MINISIGN_H
#define MINISIGN_MINISIGN_H

#include <clan/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MINISIGN_FILE_MAX    4096 /* bytes of a FILE.minisig */
#define MINISIGN_COMMENT_MAX 1024
#define MINISIGN_KEY_CHARS   56
#define MINISIGN_SUFFIX      ".minisig"

/* Only the prehashed form ("ED", BLAKE2b-512 of the file), which minisign makes since 0.10, before with -H:
 * the legacy one ("Ed") wants the whole file in the memory of whoever verifies, here the warden. */
struct minisign {
    uint8_t key_id[8];     /* a hint which key it was, not to be trusted */
    uint8_t signature[64]; /* of the file's hash */
    uint8_t global[64];    /* of the signature and the trusted comment */
    char comment[MINISIGN_COMMENT_MAX];
};
/* "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3" */
struct minisign_key {
    uint8_t id[8];
    uint8_t key[32];
};

clan_status minisign_parse(
    const void *data, size_t size, struct minisign *ret, struct clan_error *reterr);
bool minisign_key_parse(const char *text, struct minisign_key *ret);
/* 16 hex digits, as minisign prints a key's ID */
void minisign_id_text(const uint8_t id[8], char ret[17]);
/* BLAKE2b-512 of a file that is open; its offset stays. */
clan_status minisign_hash(int fd, uint8_t ret_hash[64], struct clan_error *reterr);
/* AUTH when it is not by this key, or for another file, or its comment was changed. */
clan_status minisign_verify(const struct minisign *s, const uint8_t file_hash[64],
    const uint8_t key[32], struct clan_error *reterr);
/* Reads NAME.minisig of a directory.  NOENT: there is none. */
clan_status minisign_read(
    int dir_fd, const char *name, struct minisign *ret, struct clan_error *reterr);

#endif
