/* The clan that the tests of membership begin with. */
#include "member_clan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

clan_status give(struct clan *c, struct fx_stmt s)
{
    c->e = (struct clan_error)CLAN_ERROR_INIT;
    return member_apply(c->m, s.raw, s.size, 1, NULL, &c->e);
}

enum member_standing standing(const struct member_set *m, const struct fx_machine *x)
{
    const struct member_machine *found = member_find(m, x->id);
    return found ? found->standing : MEMBER_UNKNOWN;
}

void clan_open(struct clan *c, unsigned admins, unsigned threshold)
{
    memset(c, 0, sizeof *c);
    fx_open(&c->f, admins, threshold, 1);
    c->all = (1u << admins) - 1;
    c->m = member_new();
    assert_non_null(c->m);
    OK(give(c, c->f.genesis));
    fx_machine(&c->f, &c->nas);
    c->founder = fx_founder(&c->f, &c->nas, 1);
    OK(give(c, c->founder));
    struct stmt_envelope b = fx_envelope_body(&c->f, 2, c->all, threshold, c->nas.id);
    c->f.v[2] = fx_envelope(&c->f, &b, c->all);
    OK(give(c, c->f.v[2]));
    fx_invite(&c->f, &c->bob_invite, 1, 2, 1);
    OK(give(c, c->bob_invite.stmt));
    fx_machine(&c->f, &c->bob);
    c->bob_admission = fx_admission(&c->f, &c->nas, &c->bob_invite, &c->bob, FX_NOW);
    OK(give(c, c->bob_admission));
    c->bob_receipt =
        fx_receipt(&c->f, &c->nas, 0, &c->bob_invite, &c->bob, &c->bob_admission, 1, 1);
}

void clan_close(struct clan *c)
{
    member_free(c->m);
    fx_close(&c->f);
}

bool alarmed(const struct member_set *m, enum member_alarm_kind kind)
{
    for (size_t i = 0; i < member_alarm_count(m); i++)
        if (member_alarm_at(m, i)->kind == kind)
            return true;
    return false;
}
