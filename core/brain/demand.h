/* "via:" of clan.yaml: the transports by which a machine or a service is reached, and no others. */
#ifndef BRAIN_DEMAND_H
#define BRAIN_DEMAND_H

#include "brain/brain.h"

#define DEMAND_TEXT 160

/* Transports of this machine's own "via:"; true without one. */
bool demand_own(const struct brain *b, const char *transport);
/* Of a transport between this machine and that one: what both "via:" allow. */
bool demand_allows(const struct brain *b, const uint8_t id[32], const char *transport);
/* Takes those out that are not allowed with that machine; id NULL: by this machine's own word. */
void demand_filter(const struct brain *b, const uint8_t id[32], struct path_order *order);
/* Is there a word about that machine, or about this one? */
bool demand_is(const struct brain *b, const uint8_t id[32]);
void demand_describe(const struct brain *b, const uint8_t id[32], clan_link_Peer *ret);
/* "only by tor, as clan.yaml says"; empty when nothing is demanded. */
void demand_text(const struct brain *b, const uint8_t id[32], char *ret_text, size_t cap);
/* "by tcp-noise it is refused: only by tor, as clan.yaml says"; empty when the path to that machine will do. */
void demand_service_text(const struct brain *b, const struct clan_config_service *s,
    const char *transport, char *ret_text, size_t cap);
/* The record that others have names addresses by which this machine is not to be reached. */
bool demand_betrayed(const struct brain *b);
/* Ends sessions of nobody known, which link cannot judge, and reads the word that stands before a
 * configuration is there. */
void demand_reconcile(struct brain *b);

#endif
