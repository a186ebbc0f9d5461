/* QR codes for terminals. */
#ifndef CLI_QR_H
#define CLI_QR_H

#include "cli/cli.h"

/* Prints it where it can be read: on a terminal with UTF-8 that is wide enough.  false: it was not printed. */
bool qr_print(struct cli *c, const char *text);

#endif
