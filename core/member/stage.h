/*
 * What a machine hears while it catches up, kept aside (SECURITY C5): whoever was an admin when it
 * fell asleep may be none any more, and could hand it versions, invitations and receipts that verify
 * by what it knows.  The chain of configurations goes on when a keeper or two machines that were
 * members before stand behind it; the rest is taken in after that.  Logic without I/O.
 */
#ifndef MEMBER_STAGE_H
#define MEMBER_STAGE_H

#include "member/member.h"

#define STAGE_SOURCES      32         /* machines that bring something or show a head */
#define STAGE_SOURCE_BYTES (8u << 20) /* some 12,000 envelopes of a small clan */
#define STAGE_COUNT_MAX    65536

struct stage;
/* Who is a member, and who a keeper, is asked of the set now and never again. */
struct stage *stage_new(const struct member_set *m);
void stage_free(struct stage *s); /* takes NULL */

enum stage_who { STAGE_UNKNOWN = 0, STAGE_MEMBER, STAGE_KEEPER };
enum stage_who stage_who(const struct stage *s, const uint8_t machine_id[32]);

/* Does this kind wait?  What a machine says of itself, and who is removed, does not. */
bool stage_holds(uint8_t kind);
/* Keeps a statement that a machine brought.  true: it is here; of an envelope also: signed by
 * enough admins of the version before it, when that is known. */
bool stage_put(struct stage *s, const struct member_set *m, const uint8_t source[32],
    const void *raw, size_t size, uint64_t hour);
bool stage_has(const struct stage *s, const uint8_t id_prefix[16]);
/* The digest of a head over the IDs of the set and those kept aside. */
void stage_digest(const struct stage *s, const struct member_set *m, uint8_t ret_digest[32]);

/* A machine shows this head. */
void stage_shown(
    struct stage *s, const uint8_t machine_id[32], uint64_t version, const uint8_t head_id[32]);
/* The envelope after the set's head that a keeper or two machines stand behind; false: none. */
bool stage_next(
    struct stage *s, const struct member_set *m, const uint8_t **ret_raw, size_t *ret_size);
/* What was kept besides envelopes, in order of arrival; false: no more. */
bool stage_kept(const struct stage *s, size_t *cursor, const uint8_t **ret_raw, size_t *ret_size,
    uint64_t *ret_hour);

#endif
