/* One plugin file as the commands see it: what it says of itself, who signed it, what is granted. */
#ifndef CLI_PLUGIN_H
#define CLI_PLUGIN_H

#include "cli/cli.h"
#include "config/config.h"
#include "config/machine.h"
#include "wire/grants.h"

enum plugin_bound {
    PLUGIN_NOT_GRANTED,
    PLUGIN_THIS_FILE,    /* the grant is for these bytes */
    PLUGIN_ITS_SIGNER,   /* the grant is for whom signed it */
    PLUGIN_ANOTHER_FILE, /* the grant is for other bytes, or another signer: it does not run */
};

struct plugin_look {
    struct check_result file;
    char directory[256];
    struct config_signature signature;
    struct grants *grants;              /* NULL: there are none, or they cannot be read */
    const struct grant_plugin *granted; /* of this id, NULL */
    enum plugin_bound bound;
    char *yaml; /* machine.yaml, NULL without one */
    size_t yaml_size;
};

/* name: an id or a file in the plugin directory, or a path.  NOENT with the nearest name. */
clan_status plugin_look(struct cli *c, const char *name, struct plugin_look *ret);
void plugin_look_free(struct plugin_look *l);

/* What it is, its file, hash, signature; and what is granted. */
void plugin_print_file(struct cli *c, const struct plugin_look *l);
/* Words with their meaning; `mark` stands before each ("it asks to"). */
void plugin_print_word(struct cli *c, const char *before, const char *word);
json_t *plugin_look_json(const struct plugin_look *l);

#endif
