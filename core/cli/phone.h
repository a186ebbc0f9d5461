/* clan invite --phone: a stock WireGuard configuration for a phone behind this machine. */
#ifndef CLI_PHONE_H
#define CLI_PHONE_H

#include "cli/cli.h"

clan_status phone_options(struct cli *c); /* do they go together, and with `clan invite`? */
clan_status phone_invite(struct cli *c);

#endif
