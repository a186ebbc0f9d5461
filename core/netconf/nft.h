/* The firewall's text handed to nft, and the table that guards the machine's network from plugins. */
#ifndef NETCONF_NFT_H
#define NETCONF_NFT_H

#include "netconf/rules.h"
#include "tool/tool.h"

void nft_apply(struct text *rules, tool_fn *done, void *arg); /* in the order of the calls */

struct nft_guard {
    netconf_skip_fn *skip; /* interfaces that are no LAN */
    const void *arg;       /* of skip */
    tool_fn *failed;       /* called with a text about what */
    bool stands;           /* until nft said no */
};
void nft_guard_begin(struct nft_guard *g, uid_t first, uid_t last);
void nft_guard_lans(struct nft_guard *g); /* the addresses of this computer changed */

#endif
