/* The firewall as text for nft, from addresses and numbers only. */
#ifndef NETCONF_RULES_H
#define NETCONF_RULES_H

#include "base/text.h"
#include "netconf/netconf.h"
#include "wire/warden_requests.h"

#include <sys/types.h>

#define RULES_MAX          4096 /* elements of a table */
#define RULES_SPEAKERS_MAX 64

/* The table of one overlay network: closed, but for the elements that follow. */
struct rules_table {
    char name[24], ifname[16], device[16], prefix[56], resolver[48];
    uid_t speakers[RULES_SPEAKERS_MAX];
    unsigned speaker_count, slot;
};
/* Name, interface and addresses of that network; root alone may speak. */
struct rules_table rules_table_of(const struct netconf *n);
typedef void rules_fn(struct text *t, const struct rules_table *f);
void rules_speaker(struct rules_table *f, uid_t uid); /* may use it too; each once */
rules_fn rules_table;                                 /* in place of the one that is there */
rules_fn rules_speakers;                              /* of the one that is there */
rules_fn rules_remove;
/* For a plugin with that permission (else nothing): the addresses of loopback of this clan are its user's, and
 * each is reached by one person only, noted in n.  A table of its own, in place of the one that is there. */
void rules_people(
    struct text *t, struct netconf *n, const struct grants *g, uid_t uid, uint32_t permissions);
/* Are those the people that are granted now? */
bool rules_people_told(
    const struct netconf *n, const struct grants *g, const struct grant_plugin *p);

/* What is forwarded for phones, in place of what was; none: nothing is. */
rules_fn rules_phones_remove; /* a text of its own: an old kernel has no such tables */
clan_status rules_phones(struct text *t, const struct netconf *n, const struct netconf_device *d,
    const struct ward_device_phones *phones, struct clan_error *e);

struct rules_element { /* a member has protocol 0 and no destination */
    uint8_t peer[16], dest[16];
    uint16_t port;
    uint8_t protocol;
    bool want, have;
};
struct rules_set {
    struct rules_element *elements;
    size_t count;
    bool unsure; /* what was told may not be there: it is all said again */
};
/* dest NULL: a member */
struct rules_element rules_element(
    const uint8_t peer[16], const uint8_t *dest, uint8_t protocol, uint16_t port, bool want);
/* Remembers what is wanted of want->peer, dest, port, protocol; INVAL: not in the clan. */
clan_status rules_want(struct rules_set *set, const struct netconf *n,
    const struct rules_element *want, struct clan_error *e);
/* What differs; tools run in order, so what was told counts as there for the next text. */
void rules_changes(struct text *t, const char *table, struct rules_set *set);
void rules_clear(struct rules_set *set);  /* nothing is wanted */
void rules_forget(struct rules_set *set); /* the table has no elements: say them all again */

/* The table for plugins on the machine's network, whatever the clan: the users first to last. */
void rules_hosts(struct text *t, uid_t first, uid_t last);
void rules_host(struct text *t, uid_t uid, uint32_t permissions); /* GRANT_NET_CONNECT_ bits */
/* What "lan" means: private ranges and the subnets that are directly attached right now. */
void rules_lans(struct text *t, const struct ward_local_addrs *local);

#endif
