/* Signing what pages of the dashboard ask for. */
#ifndef CLI_SIGN_H
#define CLI_SIGN_H

#include "cli/cli.h"

/* Asks about each request that waits, and, with watch, about those that come, until the input ends.  PERM: there is no
 * admin key here. */
clan_status sign_run(struct cli *c, bool watch);

#endif
