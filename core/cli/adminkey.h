/* Admin keys: files of the user, never known to the daemon; and what they have signed. */
#ifndef CLI_ADMINKEY_H
#define CLI_ADMINKEY_H

#include "cli/cli.h"
#include "statement/statement.h"

#define ADMINKEY_PATH_MAX 512

struct admin_key {
    char path[ADMINKEY_PATH_MAX];
    uint8_t public_key[32];
    uint8_t *secrets; /* guarded: 64 bytes Ed25519 secret key, 16 bytes entropy */
};
#define ADMINKEY_SECRET(k)  ((k)->secrets)
#define ADMINKEY_ENTROPY(k) ((k)->secrets + 64)

/* $XDG_CONFIG_HOME/clan/<petname>-admin.key */
clan_status adminkey_path(
    const char *petname, char ret_path[ADMINKEY_PATH_MAX], struct clan_error *e);
clan_status adminkey_from_entropy(const uint8_t entropy[16], struct admin_key *ret);
/* New, 0600, durable; EXIST when there is one. */
clan_status adminkey_store(
    const struct admin_key *k, const char *clan, const char *admin, struct clan_error *e);
/* NOENT; PERM when others may read it; INVAL when it is damaged. */
clan_status adminkey_load(const char *path, struct admin_key *ret, struct clan_error *e);
void adminkey_wipe(struct admin_key *k); /* takes zeroed ones */

/* The keys of this command: --key FILE ..., else the default of the petname. */
struct admin_ring {
    struct admin_key keys[STMT_ADMINS_MAX];
    unsigned count;
};
/* Loads at least `need` keys that are among the clan's admins, else PERM with what is missing. */
clan_status adminring_open(
    struct cli *c, const clan_api_Context *x, unsigned need, struct admin_ring *ret);
void adminring_close(struct admin_ring *r);

/*
 * "Signed n with hash h" (SECURITY C1): kept beside the key, written before the signature is made.
 * Looks up what the key signed for that version; NOENT when nothing.  ret_raw holds STMT_MAX.
 */
clan_status signed_find(const struct admin_key *k, const uint8_t clan_id[32], uint64_t version,
    uint8_t *ret_raw, size_t *ret_size, struct clan_error *e);
clan_status signed_note(const struct admin_key *k, const uint8_t clan_id[32], uint64_t version,
    const uint8_t *raw, size_t size, struct clan_error *e);
clan_status signed_forget(
    const struct admin_key *k, const uint8_t clan_id[32], uint64_t version, struct clan_error *e);

/* A file of the user's folder of Clan: its directory, made when missing. */
clan_status userdir_open(
    const char *path, int *ret_dir, const char **ret_name, struct clan_error *e);

#endif
