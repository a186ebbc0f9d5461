/* What of the network a program of the user can look at itself. */
#ifndef CLI_NETPROBE_H
#define CLI_NETPROBE_H

#include "netcheck/netcheck.h"

/* Each fills in its part of the facts, and sends to machines of the clan only. */
void net_probe_addresses(struct net_facts *f);
void net_probe_names(struct net_facts *f);
void net_probe_firewall(struct net_facts *f);
void net_probe_paths(struct net_facts *f);

#endif
