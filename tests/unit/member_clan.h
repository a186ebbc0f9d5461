/* A clan for the tests of membership: founder nas (keeper, door), bob confirmed. */
#ifndef TESTS_MEMBER_CLAN_H
#define TESTS_MEMBER_CLAN_H

#include "member/member.h"
#include "member_fixture.h"

struct clan {
    struct fx f;
    struct member_set *m;
    struct fx_machine nas, bob;
    struct fx_invite bob_invite;
    struct fx_stmt founder, bob_admission, bob_receipt;
    unsigned all; /* mask of admins */
    struct clan_error e;
};

clan_status give(struct clan *c, struct fx_stmt s);

#define OK(x)                                                                                      \
    do {                                                                                           \
        clan_status r_ = (x);                                                                      \
        if (r_ != CLAN_OK)                                                                         \
            print_error("%s: status %d: %s\n", #x, r_, c->e.what);                                 \
        assert_int_equal(r_, CLAN_OK);                                                             \
    } while (0)

enum member_standing standing(const struct member_set *m, const struct fx_machine *x);

#define IS(x, what) assert_int_equal(standing(c->m, x), MEMBER_##what)

void clan_open(struct clan *c, unsigned admins, unsigned threshold);

void clan_close(struct clan *c);

bool alarmed(const struct member_set *m, enum member_alarm_kind kind);

#endif
