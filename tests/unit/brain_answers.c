/* Answers that are longer than a socket holds: whole, or with an error at their end. */
#include "brain/client.h"
#include "brain_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FILL(field) memset(field, 'x', sizeof(field) - 1)

/* A machine of which everything is as long as it may be. */
static void longest(clan_api_Machine *m)
{
    memset(m->id, 0xff, sizeof m->id);
    memset(m->address, 0xff, sizeof m->address);
    FILL(m->name);
    FILL(m->standing);
    FILL(m->path);
    FILL(m->demand);
    FILL(m->words);
    FILL(m->gateway);
    m->tags_count = 16;
    for (unsigned i = 0; i < 16; i++)
        FILL(m->tags[i]);
    m->rx_bytes = m->tx_bytes = m->record_seq = m->acked_version = UINT64_MAX;
}

/* So many rows of an answer that nobody reads meanwhile. */
static void answers(struct client *c, unsigned rows)
{
    c->busy = true;
    for (unsigned i = 0; i < rows; i++) {
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_machine_tag;
        longest(&a->m.machine);
        api_answer(c, a, false);
    }
    api_ok(c);
}

static unsigned rows_until_last(int fd)
{
    unsigned rows = 0;
    while (client_next(fd, 5000) && !client_answer.last)
        rows++;
    assert_true(client_answer.last);
    return rows;
}

static void the_largest_clan_is_shown_whole(void **state)
{
    int fd = client_connects();
    (void)state;
    answers(b->clients, MEMBER_MACHINES_MAX);
    assert_int_equal(rows_until_last(fd), MEMBER_MACHINES_MAX);
    assert_int_equal(client_answer.which_m, clan_api_Answer_ok_tag);
    client_hangs_up(fd);
}

static void what_lacks_rows_says_so(void **state)
{
    int fd = client_connects();
    (void)state;
    answers(b->clients, 4 * MEMBER_MACHINES_MAX);
    assert_in_range(rows_until_last(fd), MEMBER_MACHINES_MAX, 4 * MEMBER_MACHINES_MAX - 1);
    assert_int_equal(client_answer.which_m, clan_api_Answer_error_tag);
    assert_int_equal(client_answer.m.error.status, CLAN_E_LIMIT);
    assert_true(client_answer.m.error.why[0] && client_answer.m.error.remedy[0]);
    /* the next answer is not cut for that */
    assert_int_equal(client_asks(fd, clan_api_Request_machines_tag), CLAN_OK);
    assert_int_equal(client_rows, 4);
    client_hangs_up(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_clan_is_shown_whole),
        cmocka_unit_test(what_lacks_rows_says_so),
    };
    return cmocka_run_group_tests(tests, client_setup, client_teardown);
}
