/* Admin keys: files of the user or in the ssh-agent, never known to the daemon; and what they signed. */
#ifndef CLI_ADMINKEY_H
#define CLI_ADMINKEY_H

#include "cli/cli.h"
#include "statement/statement.h"

#define ADMINKEY_PATH_MAX 512

struct admin_key {
    char name[ADMINKEY_PATH_MAX]; /* for people: its file, or "ssh:SHA256:..." */
    char path[ADMINKEY_PATH_MAX]; /* of its file; one of the agent may have none */
    uint8_t public_key[32];
    bool in_agent;    /* the ssh-agent signs; there are no secrets and no recovery words */
    uint8_t *secrets; /* guarded: 64 bytes Ed25519 secret key, 16 bytes entropy */
};
#define ADMINKEY_SECRET(k)  ((k)->secrets)
#define ADMINKEY_ENTROPY(k) ((k)->secrets + 64)

#define ADMINKEY_AGENT                                                                             \
    "ssh:" /* --key ssh:FINGERPRINT, ssh:COMMENT, or ssh: when the agent has one */

/* $XDG_CONFIG_HOME/clan/<petname>-admin.key */
clan_status adminkey_path(
    const char *petname, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e);
clan_status adminkey_from_entropy(const uint8_t entropy[16], struct admin_key *ret);
/* New, 0600, durable; EXIST when there is one. */
clan_status adminkey_store(
    const struct admin_key *k, const char *clan, const char *admin, struct clan_error *e);
/* NOENT; PERM when others may read it; INVAL when it is damaged. */
clan_status adminkey_load(const char *path, struct admin_key *ret, struct clan_error *e);
/* What --key names: a file, or a key of the agent, which must have it now. */
clan_status adminkey_open(const char *given, struct admin_key *ret, struct clan_error *e);
/* Adds its signature to a statement; one of the agent that is there already is not asked for again.
 * PERM when the agent surely did not sign. */
clan_status adminkey_sign(
    const struct admin_key *k, uint8_t *raw, size_t *size, struct clan_error *e);
void adminkey_wipe(struct admin_key *k); /* takes zeroed ones */

/* agentkey.c: keys of the ssh-agent */
void adminkey_of_agent(const uint8_t public_key[32], struct admin_key *ret);
clan_status agentkey_find(const char *wanted, struct admin_key *ret, struct clan_error *e);
clan_status agentkey_sign(
    const struct admin_key *k, uint8_t *raw, size_t *size, struct clan_error *e);

/* adminring.c: the keys of this command: --key FILE ..., else the default of the petname. */
struct admin_ring {
    struct admin_key keys[STMT_ADMINS_MAX];
    unsigned count;
};
/* Loads at least `need` keys that are among the clan's admins, else PERM with what is missing. */
clan_status adminring_open(
    struct cli *c, const clan_api_Context *x, unsigned need, struct admin_ring *ret);
void adminring_close(struct admin_ring *r);

/*
 * signed.c: "signed n with hash h" (SECURITY C1), kept beside the key's file, for a key of the agent in
 * the user's folder under the key's own name, so that no other path to it forgets; written before the signature is made.
 * Looks up what the key signed for that version; NOENT when nothing.  ret_raw holds STMT_MAX.
 */
clan_status signed_find(const struct admin_key *k, const uint8_t clan_id[32], uint64_t version,
    uint8_t *ret_raw, size_t *ret_size, struct clan_error *e);
clan_status signed_note(const struct admin_key *k, const uint8_t clan_id[32], uint64_t version,
    const uint8_t *raw, size_t size, struct clan_error *e);
clan_status signed_forget(
    const struct admin_key *k, const uint8_t clan_id[32], uint64_t version, struct clan_error *e);

clan_status signed_dir(
    const struct admin_key *k, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e);

/* A path in the user's folder of Clan. */
clan_status userdir_path(char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* A file of the user's folder of Clan: its directory, made when missing. */
clan_status userdir_open(
    const char *path, int *ret_dir, const char **ret_name, struct clan_error *e);

#endif
