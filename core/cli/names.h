/* Names that Clan proposes: from the machine's host name and the user's login. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include "cli/cli.h"

/* [a-z0-9-]{1,32} made from any text; `fallback` when nothing is left of it */
void names_clean(const char *text, const char *fallback, char ret_name[33]);
void names_of_host(char ret_name[33]);
void names_of_user(char ret_name[33]); /* who called sudo, else the user */
/* EXIST when a machine or a service has it; "" is free. */
clan_status names_free(struct cli *c, struct api_client *api, const char *name);
/* INVAL with what a name may look like */
clan_status names_error(struct clan_error *e, const char *what, const char *name);
clan_status names_refuse(struct cli *c, const char *what, const char *name);

#endif
