/* Who is a peer, what its addresses are, which invitations are open. */
#ifndef LINK_PEERS_H
#define LINK_PEERS_H

#include "link.h"

struct link_peer *peers_find(struct link *l, const uint8_t machine_id[32]);
struct link_peer *peers_by_key(struct link *l, clan_link_Purpose purpose, const uint8_t key[32]);
/* Whether this peer's sessions may come by that transport (a machine's "via:" in clan.yaml). */
bool peers_takes(const struct link_peer *p, const char *transport);
void peers_set(struct link *l, const clan_link_Peer *m);
/* Its sessions are closed, its keys wiped, the tables cleared when this returns. */
void peers_remove(struct link *l, struct link_peer *p);
/* [lock] the destination of a packet, NULL: nobody known */
struct link_peer *peers_route(struct link *l, const uint8_t address[16]);
void peers_forget_names(struct link *l);
void peers_drop_unnamed(struct link *l);

struct link_invite *peers_invite(struct link *l, const uint8_t id[16]);
void peers_set_invite(struct link *l, const clan_link_Invite *m);
void peers_drop_invite(struct link *l, const uint8_t id[16]);

#endif
