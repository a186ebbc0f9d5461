/* Making a clan without a command line. */
#ifndef CLI_UP_H
#define CLI_UP_H

#include "cli/cli.h"

/* As `clan up --name NAME --machine MACHINE` ("": its host name); asks nothing.  ret_created gets the clan's name
 * here, and the recovery words when the clan is a new one. */
clan_status up_by_name(
    struct cli *c, const char *name, const char *machine, clan_api_UiCreated *ret_created);

#endif
