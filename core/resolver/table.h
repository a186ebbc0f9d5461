/* The names of one clan, found by name and by address. */
#ifndef RESOLVER_TABLE_H
#define RESOLVER_TABLE_H

#include "base/text.h"

#include <clan/status.h>
#include <netinet/in.h>
#include <stddef.h>

#define RESOLVER_NAMES_MAX 8192

struct resolver_table;

struct resolver_table *resolver_table_new(void);
void resolver_table_free(struct resolver_table *t); /* takes NULL */
/* Forgets all names.  INVAL: petname is not a name; the table then answers for nothing. */
clan_status resolver_zone(struct resolver_table *t, const char *petname);
/* Adds or replaces.  INVAL: not a name; LIMIT: RESOLVER_NAMES_MAX are there. */
clan_status resolver_name_set(
    struct resolver_table *t, const char *name, const uint8_t address[16]);
void resolver_name_gone(struct resolver_table *t, const char *name);

const char *resolver_petname(const struct resolver_table *t); /* "": no zone yet */
uint32_t resolver_serial(const struct resolver_table *t);     /* grows with each change */
size_t resolver_count(const struct resolver_table *t);
/* NULL: no such name; name in lower case */
const uint8_t *resolver_find(const struct resolver_table *t, const char *name);
/* The oldest name of an address, NULL: none */
const char *resolver_find_address(const struct resolver_table *t, const uint8_t address[16]);
/* Whether a name has an address in the same /48. */
bool resolver_prefix_known(const struct resolver_table *t, const uint8_t prefix[6]);

#endif
