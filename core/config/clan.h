/* clan.yaml with its tree: what edits need besides the model. */
#ifndef CONFIG_CLAN_H
#define CONFIG_CLAN_H

#include "config/yaml.h"

/* INVAL with the problems in `problems`; both results belong to the caller. */
clan_status cfg_clan_load(const char *text, size_t size, struct config_problems *problems,
    struct cfg_tree **ret_tree, struct clan_config **ret_config);
bool cfg_clan_equal(const struct clan_config *a, const struct clan_config *b);
/* A name that only the machine with this ID may have ("m-..."), or that means something else in
 * allow:. */
bool cfg_name_reserved(const char *name, const uint8_t *id);

#endif
