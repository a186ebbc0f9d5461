/* The user's ssh-agent: which Ed25519 keys it holds, signatures by them (draft-miller-ssh-agent). */
#ifndef SSHAGENT_SSHAGENT_H
#define SSHAGENT_SSHAGENT_H

#include <clan/status.h>
#include <stddef.h>
#include <stdint.h>

#define SSHAGENT_REPLY_MAX       262144 /* as OpenSSH's own client */
#define SSHAGENT_KEYS_MAX        64
#define SSHAGENT_COMMENT_MAX     128
#define SSHAGENT_FINGERPRINT_MAX 51   /* "SHA256:", 43 characters, NUL */
#define SSHAGENT_TEXT_MAX        1024 /* that may be signed */
#define SSHAGENT_LIST_MS         10000
#define SSHAGENT_SIGN_MS         60000 /* somebody may have to say yes to the agent */

struct sshagent_key {
    uint8_t public_key[32];
    char comment[SSHAGENT_COMMENT_MAX]; /* cleaned */
};
struct sshagent_keys {
    unsigned count;
    unsigned
        hardware;    /* sk- ones: theirs are other signatures, which statements have no place for */
    unsigned others; /* RSA, ECDSA, certificates */
    struct sshagent_key keys[SSHAGENT_KEYS_MAX];
};

/* "SHA256:...", as `ssh-add -l` shows it. */
void sshagent_fingerprint(const uint8_t key[32], char ret_text[SSHAGENT_FINGERPRINT_MAX]);

/* The agent of SSH_AUTH_SOCK; NOTRUNNING when there is none. */
clan_status sshagent_connect(int *ret_fd, struct clan_error *e);
/* TIMEOUT when it does not answer in time, PERM when it refuses, PROTO when it talks nonsense. */
clan_status sshagent_list(
    int fd, unsigned limit_ms, struct sshagent_keys *ret, struct clan_error *e);
clan_status sshagent_sign(int fd, unsigned limit_ms, const uint8_t key[32], const void *text,
    size_t size, uint8_t ret_signature[64], struct clan_error *e);

/* message.c: replies without their length, no I/O.  PERM: the agent says no; PROTO: malformed; LIMIT. */
clan_status sshagent_parse_keys(const uint8_t *reply, size_t size, struct sshagent_keys *ret);
clan_status sshagent_parse_signature(const uint8_t *reply, size_t size, uint8_t ret_signature[64]);
/* Requests with their length. */
#define SSHAGENT_REQUEST_MAX (SSHAGENT_TEXT_MAX + 128)
size_t sshagent_put_list(uint8_t ret_request[SSHAGENT_REQUEST_MAX]);
size_t sshagent_put_sign(const uint8_t key[32], const void *text, size_t size,
    uint8_t ret_request[SSHAGENT_REQUEST_MAX]);

#endif
