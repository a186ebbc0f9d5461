/* What is on disk of one clan: its directory with identity, name, users and the directories of its
 * processes; and the plugin files, which all clans share. */
#ifndef SLOT_SLOT_H
#define SLOT_SLOT_H

#include "wire/grants.h"

#include <clan/status.h>
#include <sys/types.h>

#define SLOT_UIDS     256
#define SLOT_UID_NAME 72

struct slot {
    int dir; /* -1: closed */
    char uids[SLOT_UIDS][SLOT_UID_NAME];
};
struct slot_bound { /* a file; without it a slot is no clan */
    char magic[8];
    uint8_t clan_id[32];
    char petname[33];
    uint8_t down, zero[6];
};

clan_status slot_open(struct slot *s, int at, unsigned number, struct clan_error *e);
clan_status slot_load(const struct slot *s, struct slot_bound *ret_bound, struct clan_error *e);
clan_status slot_store(const struct slot *s, const uint8_t clan_id[32], const char *petname,
    bool down, struct clan_error *e);
/* The same name gets the same index for ever: its directories belong to it.  -1: none. */
int slot_uid(
    struct slot *s, uint32_t kind, const char *name, const char *detail, struct clan_error *e);
int slot_uid_index(char names[SLOT_UIDS][SLOT_UID_NAME], const char *key);
/* Opens parent/name (parent may be empty) as a directory of uid, made on first use.  -1: error. */
int slot_dir(const struct slot *s, const char *parent, const char *name, uid_t uid, gid_t gid,
    mode_t mode, struct clan_error *e);
/* The volume of a service, of its program's user when it has one, else of the host's; the group is always the
 * host's.  One that was the host's alone is handed over to the program. */
int slot_volume(
    const struct slot *s, const char *name, uid_t program, uid_t host, struct clan_error *e);
bool slot_seed_there(const struct slot *s);
clan_status slot_seed_store(const struct slot *s, const uint8_t seed[32], struct clan_error *e);
int slot_seed(const struct slot *s); /* a sealed memfd with it, empty when there is none */

/* plugin.c: the file whose bytes, or whose signer, the owner agreed to; its descriptor is what dlopen
 * gets.  require: not without a signature. */
int slot_plugin(
    const char *directory, const struct grant_plugin *p, bool require, struct clan_error *e);

#endif
