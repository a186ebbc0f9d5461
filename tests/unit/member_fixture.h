/* Builds signed statements of a made-up clan, for the tests of membership. */
#ifndef MEMBER_FIXTURE_H
#define MEMBER_FIXTURE_H

#include "member/join.h"
#include "member/member.h"

#define FX_ADMINS 5
#define FX_NOW    1700000000

struct fx_stmt {
    uint8_t *raw; /* owned by the fixture */
    size_t size;
    uint8_t id[32];
};
struct fx_machine {
    uint8_t root[32], identity_secret[64], id[32], control[32], door[32];
    struct fx_stmt record;
};
struct fx_invite {
    uint8_t seed[16], secret[64], public[32], id[16];
    struct stmt_invitation body;
    struct fx_stmt stmt;
};
struct fx {
    uint8_t clan[32];
    uint8_t admin_secret[FX_ADMINS][64], admin_key[FX_ADMINS][32];
    struct fx_stmt genesis;
    struct fx_stmt v[32]; /* [2] is version 2 */
    uint32_t counter;     /* makes seeds */
    void **owned;
    size_t owned_count;
};

void fx_open(struct fx *f, unsigned admins, unsigned threshold, uint32_t seed);
void fx_close(struct fx *f);
/* Signs with admins whose bit is set in signers, then with secret when given. */
struct fx_stmt fx_sign(struct fx *f, uint8_t kind, const uint8_t author[32], uint64_t seq,
    const void *body, size_t body_size, unsigned signers, const uint8_t *secret);
/* A body to change before fx_envelope: admins 0..n-1 of the mask, keeper, previous from f->v. */
struct stmt_envelope fx_envelope_body(
    struct fx *f, uint64_t version, unsigned admin_mask, unsigned threshold, const uint8_t *keeper);
struct fx_stmt fx_envelope(struct fx *f, const struct stmt_envelope *b, unsigned signers);
void fx_machine(struct fx *f, struct fx_machine *m);
struct fx_stmt fx_founder(struct fx *f, const struct fx_machine *m, unsigned signers);
void fx_invite(
    struct fx *f, struct fx_invite *i, uint32_t uses, uint64_t version, unsigned signers);
struct fx_stmt fx_invite_state(
    struct fx *f, struct fx_invite *i, uint8_t state, uint64_t seq, unsigned signers);
struct fx_stmt fx_admission(struct fx *f, const struct fx_machine *door, const struct fx_invite *i,
    const struct fx_machine *joiner, int64_t time);
/* by: a machine, or NULL and an admin; place: from 1 */
struct fx_stmt fx_receipt(struct fx *f, const struct fx_machine *by, int admin,
    const struct fx_invite *i, const struct fx_machine *m, const struct fx_stmt *admission,
    uint32_t place, uint64_t revision);
struct fx_stmt fx_record(struct fx *f, const struct fx_machine *m, uint64_t seq, int64_t time);
struct fx_stmt fx_removal(
    struct fx *f, const struct fx_machine *m, uint64_t version, unsigned signers);
struct fx_stmt fx_leave(struct fx *f, const struct fx_machine *m);
struct fx_stmt fx_ack(struct fx *f, const struct fx_machine *m, uint64_t seq, uint64_t version);

#endif
