/* What runs where and who may open it, from the signed configuration.  Logic without I/O. */
#ifndef PLACE_PLACE_H
#define PLACE_PLACE_H

#include "member/member.h"

#define PLACE_DEFAULT_PORT 80

/* The machine that holds a service, NULL while the named one is not (yet) in the clan, or a phone. */
const struct member_machine *place_holder(
    const struct member_set *m, const struct clan_config *cfg, const struct clan_config_service *s);
/* May this machine open the service?  `all` means confirmed members; provisional ones must be
 * named. */
bool place_allows(const struct member_set *m, const struct clan_config *cfg,
    const struct clan_config_service *s, const struct member_machine *who);
uint16_t place_port(const struct clan_config_service *s);
/* Same plugin, address, port and settings: a running instance need not be touched. */
bool place_same_instance(const struct clan_config_service *a, const struct clan_config_service *b);

#endif
