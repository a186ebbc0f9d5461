/* A version of clan.yaml that is signed on this machine, when another one came first. */
#include "brain_client.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static clan_api_Request request;

static clan_status puts_body(int fd, const char *text)
{
    memset(&request, 0, sizeof request);
    request.which_m = clan_api_Request_blob_put_tag;
    request.m.blob_put.total = request.m.blob_put.data.size = (pb_size_t)strlen(text);
    memcpy(request.m.blob_put.data.bytes, text, strlen(text));
    crypto_generichash(request.m.blob_put.hash, 32, (const uint8_t *)text, strlen(text), NULL, 0);
    return client_ask(fd, &request);
}

static clan_status submits(int fd, const struct fx_stmt *s)
{
    memset(&request, 0, sizeof request);
    request.which_m = clan_api_Request_submit_tag;
    memcpy(request.m.submit.statement.bytes, s->raw, s->size);
    request.m.submit.statement.size = (pb_size_t)s->size;
    return client_ask(fd, &request);
}

/* The second of two with one number would stop the clan everywhere, for good. */
static void the_slower_one_is_refused(void **state)
{
    static const char text[] = "version: 3\n";
    int fd = client_connects();
    const uint8_t *id;
    const struct stmt_envelope *env;
    (void)state;
    struct stmt_envelope body = fx_envelope_body(&f, 3, 1, 1, nas.id);
    crypto_generichash(body.body_hash, 32, (const uint8_t *)text, sizeof text - 1, NULL, 0);
    body.body_size = sizeof text - 1;
    struct fx_stmt slower = fx_envelope(&f, &body, 1);
    body.time++;
    f.v[3] = fx_envelope(&f, &body, 1);
    give(f.v[3]);
    assert_int_equal(puts_body(fd, text), CLAN_OK);
    assert_int_equal(submits(fd, &slower), CLAN_E_CONFLICT);
    assert_non_null(strstr(client_answer.m.error.what, "changed meanwhile"));
    assert_true(client_answer.m.error.why[0] && client_answer.m.error.remedy[0]);
    /* nor one that follows it */
    struct fx_stmt kept = f.v[3];
    f.v[3] = slower;
    body = fx_envelope_body(&f, 4, 1, 1, nas.id);
    struct fx_stmt after = fx_envelope(&f, &body, 1);
    assert_int_equal(submits(fd, &after), CLAN_E_CONFLICT);
    f.v[3] = kept;
    assert_int_equal(member_head(b->set, &id, &env), 3);
    assert_memory_equal(id, f.v[3].id, 32);
    for (size_t i = 0; i < member_alarm_count(b->set); i++)
        assert_int_not_equal(member_alarm_at(b->set, i)->kind, MEMBER_ALARM_FORK);
    client_hangs_up(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_slower_one_is_refused)};
    return cmocka_run_group_tests(tests, client_setup, client_teardown);
}
