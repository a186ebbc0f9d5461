/* Requests for a signature: which commands, how many, whose, and what becomes of them. */
#include "brain/client.h"
#include "brain/proposals.h"
#include "brain_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static clan_api_Request request;

/* words: by spaces */
static const clan_api_Request *proposal(const char *words, const char *text)
{
    char copy[2048], *save = NULL;
    memset(&request, 0, sizeof request);
    request.which_m = clan_api_Request_propose_tag;
    clan_api_Propose *m = &request.m.propose;
    snprintf(copy, sizeof copy, "%s", words);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        snprintf(m->words[m->words_count++], sizeof m->words[0], "%s", w);
    m->text.size = (pb_size_t)strlen(text);
    memcpy(m->text.bytes, text, m->text.size);
    return &request;
}

static clan_status sets(int fd, uint32_t id, const char *state, const char *result)
{
    memset(&request, 0, sizeof request);
    request.which_m = clan_api_Request_proposal_set_tag;
    request.m.proposal_set.id = id;
    snprintf(request.m.proposal_set.state, sizeof request.m.proposal_set.state, "%s", state);
    snprintf(request.m.proposal_set.result, sizeof request.m.proposal_set.result, "%s", result);
    return client_ask(fd, &request);
}

static clan_status drops(int fd, uint32_t id)
{
    memset(&request, 0, sizeof request);
    request.which_m = clan_api_Request_proposal_drop_tag;
    request.m.proposal_drop.id = id;
    return client_ask(fd, &request);
}

static uint32_t proposes(int fd, const char *words, const char *text)
{
    assert_int_equal(client_ask(fd, proposal(words, text)), CLAN_OK);
    assert_true(client_answer.m.proposal.id > 0);
    return client_answer.m.proposal.id;
}

/* The one that is there, as that connection sees it. */
static const clan_api_Proposal *shown(int fd)
{
    assert_int_equal(client_asks(fd, clan_api_Request_proposals_tag), CLAN_OK);
    assert_int_equal(client_rows, 1);
    return &client_row.m.proposal;
}

static void only_these_words(void **state)
{
    static const struct {
        const char *words, *text;
        bool ok;
    } rows[] = {
        {"enable files", "", true},
        {"enable files --on nas --as photos --allow laptop,tag:family", "", true},
        {"disable files", "", true},
        {"invite", "", true},
        {"invite --for laptop --uses 3 --expires 2h", "", true},
        {"invite withdraw q5kd7mza", "", true},
        {"remove laptop", "", true},
        {"machines rename m-q5kd7mza laptop", "", true},
        {"machines rename laptop", "", false},
        {"machines rename laptop desk --yes", "", false},
        {"machines remove laptop", "", false},
        {"config apply", "version: 1\n", true},
        {"config apply --from 1", "version: 1\n", true},
        {"config apply --from", "version: 1\n", false},
        {"", "", false},
        {"config apply", "", false},
        {"config apply /etc/shadow", "version: 1\n", false},
        {"config show", "", false},
        {"config", "version: 1\n", false},
        {"enable files --on nas --set title=Photos --set read_only=true", "", true},
        {"enable files --set title=", "", true},
        {"enable files --set", "", false},
        {"enable files --set title", "", false},
        {"enable files --set =x", "", false},
        {"enable files --set --yes=x", "", false},
        {"enable files --set title=\x1b[2J", "", false},
        {"invite --set title=x", "", false},
        {"enable", "", false},
        {"enable files photos", "", false},
        {"enable files --on", "", false},
        {"enable files --on --yes", "", false},
        {"enable files --on=nas", "", false},
        {"enable files --key /tmp/key", "", false},
        {"enable files --plugin-dir /tmp", "", false},
        {"enable files --forget-signed", "", false},
        {"enable files --yes", "", false},
        {"enable files -y", "", false},
        {"enable files -- --yes", "", false},
        {"enable ../files", "", false},
        {"enable files", "version: 1\n", false},
        {"enable \x1b[2J", "", false},
        {"invite laptop", "", false},
        {"invite list", "", false},
        {"invite withdraw", "", false},
        {"invite --phone", "", false},
        {"invite --file /tmp/x", "", false},
        {"remove", "", false},
        {"remove laptop --yes", "", false},
        {"leave", "", false},
        {"down", "", false},
        {"--yes remove laptop", "", false},
        {"machine apply", "", false},
        {"config apply", "version: 1 # \x1b[8m\n", false},
        {"config apply", "version: 1 # \xc2\x9b\n", false},
        {"config apply", "version: 1\r\n", false},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (proposals_words_ok(&proposal(rows[i].words, rows[i].text)->m.propose, NULL) !=
            rows[i].ok)
            fail_msg("\"%s\" is %s", rows[i].words, rows[i].ok ? "refused" : "taken");
    }
    proposal("config apply", "version: 1\n");
    request.m.propose.text.bytes[3] = 0;
    assert_false(proposals_words_ok(&request.m.propose, NULL));
}

static unsigned rows_of(int fd)
{
    assert_int_equal(client_asks(fd, clan_api_Request_proposals_tag), CLAN_OK);
    return client_rows;
}

static void as_many_as_fit(void **state)
{
    enum { USERS = PROPOSALS_MAX / PROPOSALS_OF_MAX };
    int fd[USERS + 1], signer = client_connects();
    uint32_t id[USERS][PROPOSALS_OF_MAX];
    (void)state;
    for (unsigned u = 0; u <= USERS; u++) {
        b->grants.users[b->grants.user_count++] = 2000 + u;
        fd[u] = client_signs_in(2000 + u);
    }
    /* one user's places are that user's, also of requests that came to an end */
    for (unsigned i = 0; i < PROPOSALS_OF_MAX; i++)
        id[0][i] = proposes(fd[0], "disable files", "");
    assert_int_equal(client_ask(fd[0], proposal("disable files", "")), CLAN_E_LIMIT);
    assert_non_null(strstr(client_answer.m.error.what, "of your requests"));
    id[1][0] = proposes(fd[1], "invite", "");
    assert_int_equal(sets(signer, id[1][0], "done", "clan://secret"), CLAN_OK);
    assert_int_equal(sets(signer, id[0][5], "refused", ""), CLAN_OK);
    assert_true(proposes(fd[0], "disable photos", "") > id[1][0]); /* in place of the refused one */
    assert_int_equal(client_ask(fd[0], proposal("disable files", "")), CLAN_E_LIMIT);
    assert_int_equal(rows_of(fd[0]), PROPOSALS_OF_MAX + 1);
    assert_string_equal(client_row.m.proposal.words[1], "photos"); /* the newest comes last */
    /* all are taken: what came to an end gives way, the asker's own before another's */
    for (unsigned u = 1; u < USERS; u++)
        for (unsigned i = u == 1; i < PROPOSALS_OF_MAX; i++)
            id[u][i] = proposes(fd[u], "disable files", "");
    assert_int_equal(sets(signer, id[2][3], "refused", ""), CLAN_OK);
    id[2][3] = proposes(fd[2], "disable files", "");
    assert_int_equal(rows_of(fd[1]), PROPOSALS_MAX);
    proposes(fd[USERS], "disable files", ""); /* the link of the second user, which is the oldest */
    assert_int_equal(drops(fd[1], id[1][0]), CLAN_E_NOENT);
    assert_int_equal(client_ask(fd[USERS], proposal("disable files", "")), CLAN_E_LIMIT);
    assert_null(strstr(client_answer.m.error.what, "of your requests"));
    now_ms += PROPOSALS_S * 1000;
    proposals_tick(b);
    assert_int_equal(rows_of(signer), 0);
    for (unsigned u = 0; u <= USERS; u++)
        client_hangs_up(fd[u]);
    client_hangs_up(signer);
    b->grants.user_count -= USERS + 1;
}

/* The link of an invitation is for who asked for it. */
static void whose_it_is(void **state)
{
    int mine = client_signs_in(1000), again = client_signs_in(1000), other = client_signs_in(1001),
        signer = client_connects();
    (void)state;
    uint32_t id = proposes(mine, "invite --for laptop", "");
    assert_true(client_answer.m.proposal.mine);
    assert_int_equal(sets(mine, id, "done", "x"), CLAN_E_PERM); /* nobody signs from a browser */
    assert_int_equal(sets(signer, id, "taken", ""), CLAN_OK);
    assert_int_equal(sets(signer, id, "done", "clan://secret"), CLAN_OK);
    assert_true(shown(mine)->mine);
    assert_string_equal(shown(mine)->result, "clan://secret");
    assert_string_equal(shown(mine)->by, "user 1000");
    int others[] = {again, other, signer};
    for (unsigned i = 0; i < 3; i++) {
        assert_false(shown(others[i])->mine);
        assert_string_equal(shown(others[i])->state, "done");
        assert_string_equal(shown(others[i])->result, "");
    }
    assert_int_equal(drops(other, id), CLAN_E_PERM);
    assert_int_equal(drops(again, id), CLAN_E_PERM);
    assert_int_equal(drops(mine, id), CLAN_OK);
    assert_int_equal(drops(mine, id), CLAN_E_NOENT);
    assert_int_equal(sets(signer, id, "failed", ""), CLAN_E_NOENT);
    id = proposes(other, "config apply", "version: 1\n");
    assert_int_equal(shown(signer)->body.size, 11);
    assert_int_equal(shown(other)->body.size, 0); /* who signs reads it, and nobody else */
    assert_int_equal(drops(signer, id), CLAN_OK);
    client_hangs_up(mine);
    client_hangs_up(again);
    client_hangs_up(other);
    client_hangs_up(signer);
}

static void what_becomes_of_it(void **state)
{
    int fd = client_signs_in(1000), signer = client_connects();
    (void)state;
    uint32_t id = proposes(fd, "remove laptop", "");
    assert_string_equal(shown(fd)->state, "waiting");
    assert_false(shown(fd)->signer);
    assert_int_equal(sets(signer, id, "waiting", ""), CLAN_E_INVAL);
    assert_int_equal(sets(signer, id, "signed", ""), CLAN_E_INVAL);
    int sees = client_connects();
    client_tells(sees, clan_api_Request_watch_tag);
    assert_true(client_next(sees, 5000));
    assert_true(shown(fd)->signer);
    assert_int_equal(sets(signer, id, "taken", ""), CLAN_OK);
    assert_int_equal(sets(signer, id, "taken", ""), CLAN_E_STATE); /* by another one */
    client_hangs_up(sees);                                         /* who took it went away */
    assert_string_equal(shown(fd)->state, "waiting");
    assert_false(shown(fd)->signer);
    assert_int_equal(sets(signer, id, "taken", ""), CLAN_OK);
    assert_int_equal(sets(signer, id, "refused", ""), CLAN_OK);
    assert_int_equal(sets(signer, id, "done", ""), CLAN_E_STATE);
    assert_string_equal(shown(fd)->state, "refused");
    assert_int_equal(drops(fd, id), CLAN_OK);
    client_hangs_up(fd);
    client_hangs_up(signer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_these_words),
        cmocka_unit_test(as_many_as_fit),
        cmocka_unit_test(whose_it_is),
        cmocka_unit_test(what_becomes_of_it),
    };
    return cmocka_run_group_tests(tests, client_setup, client_teardown);
}
