/* Sessions: made by core's Stream, ended once. */
#ifndef LINK_SESSION_H
#define LINK_SESSION_H

#include "link.h"

/* Takes fd (closed when it is refused, and core is told). */
void link_session_stream(struct link *l, const clan_link_Stream *m, int fd);
struct link_session *link_session_find(struct link *l, uint32_t number);
/* Ends it: keys wiped, tables cleared, core told, descriptor on its way to the closer. */
void link_session_close(struct link_session *s, clan_link_Reason reason);
/* As much as is waiting goes first, for a while; then a close record. */
void link_session_close_flushed(struct link_session *s, clan_link_Reason reason);
/* The other's hello verified: it may replace an older one now. */
void link_session_up(struct link_session *s);
/* Core knows the stranger. */
void link_session_admit(struct link_session *s, struct link_peer *p);
void link_session_tell_up(struct link_session *s);
/* Packets of its peer take this one from now on; what is under way on the other arrives, too. */
void link_session_use(struct link_session *s, clan_link_Reason why);
/* The peer says on s that another session of ours is dead: its id.  false: that is no id. */
bool link_session_left(struct link_session *s, const uint8_t *body, size_t size);
/* Where the id of the last session of its kind with its peer stands: purpose and transport. */
uint8_t *link_session_last_id(const struct link_session *s);
/* A link session that is up and does not carry the packets. */
bool link_session_spare(const struct link_session *s);
void link_session_reap(struct link *l); /* frees the dead */

/* limit.c: the line in front of the handshakes */
void link_line_join(struct link_session *s); /* starts it when its turn has come */
void link_line_leave(struct link_session *s);
void link_line_done(struct link_session *s); /* handshake over: the place is free */
void link_line_move(struct link *l, uint64_t now_ms);

#endif
