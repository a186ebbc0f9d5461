/* The usable plugins of a folder, in the form that the core shows. */
#ifndef CONFIG_OFFERS_H
#define CONFIG_OFFERS_H

#include "wire/offers.h"

/* Refused files are left out: `clan plugin list` says what is wrong with them. */
clan_status config_offers(const char *directory, struct offers *ret, struct clan_error *reterr);

#endif
