/* machine.yaml being compiled: what its parts hand to each other. */
#ifndef CONFIG_MACHINE_H
#define CONFIG_MACHINE_H

#include "config/yaml.h"
#include "minisign/minisign.h"
#include "wire/grants.h"

#include <check/note.h>

/* The plugin directory as it was found; ids may stand there with an error. */
struct cfg_plugins {
    struct check_result *list; /* owned */
    struct cfg_signer {
        char by[33];
        uint8_t key[32];
    } * signers; /* beside the list, where a signature was needed and is good */
    unsigned count;
    bool nomem;
};
clan_status cfg_plugins_scan(
    const char *directory, struct cfg_plugins *ret, struct clan_error *reterr);
void cfg_plugins_free(struct cfg_plugins *p);
/* The usable file with this id, else a refused one, else NULL. */
const struct check_result *cfg_plugins_find(const struct cfg_plugins *p, const char *id);
bool cfg_plugin_asks(const struct check_result *p, const char *word);
/* Whether the owner can grant it in this version; else why not, as a clause. */
bool cfg_grantable(const char *word, char *ret_why, size_t cap);
/* "fs.state, net.service"; "nothing" */
void cfg_plugin_asks_text(const struct check_result *p, char *ret_text, size_t cap);

/* keys: a map of names and minisign keys, or NULL; only: the name of the one that counts, NULL: any. */
void cfg_signature(const struct cfg_node *keys, const char *only, const char *directory,
    const char *file, struct config_signature *ret);

/* ret_text is malloc'd; NULL without memory.  root is the checked tree. */
char *cfg_summary(
    const struct cfg_node *root, const struct cfg_plugins *plugins, const struct grants *g);

#endif
