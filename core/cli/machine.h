/* The owner's consent as the commands change it: machine.yaml, and the grants made from it. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include "cli/cli.h"
#include "config/config.h"
#include "wire/grants.h"

#define MACHINE_DIR "/etc/clan"

/* In MACHINE_DIR, or where CLAN_CONFIG_DIR says; valid as long as the program runs. */
const char *machine_dir(void);
const char *machine_yaml(void);
const char *machine_grants(void);

/* Only root decides; otherwise PERM, with `what` said. */
clan_status machine_root(struct cli *c, const char *command);
const char *machine_plugin_dir(
    const struct cli *c); /* --plugin-dir, or where plugins are installed */
/* Checks a text of machine.yaml against the installed plugins; problems are printed. */
clan_status machine_compile(struct cli *c, const char *path, const char *text, size_t size,
    struct grants *ret_grants, char **ret_summary);
/* The granted transports in the order recommended for a new clan: what is fast first, tor last;
 * returns their number, 0 where nothing is granted. */
unsigned machine_transports(char ret_names[CONFIG_TRANSPORTS_MAX][33]);
/* Writes down what is installed, for pages that show it. */
void machine_offers(struct cli *c);
/* Every running clan looks at the new grants at once; returns their number. */
unsigned machine_tell_clans(struct cli *c);
/* What a new record means beside the one of before: another file, more, less.  Returns
 * whether there is any difference; nothing is printed with --json. */
bool machine_changes(
    struct cli *c, const struct grant_plugin *before, const struct grant_plugin *now);

#endif
