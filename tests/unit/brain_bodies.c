/* Which text of a configuration comes into use: one that its envelope stands for and this release knows. */
#include "base/text.h"
#include "brain_fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int set_up(void **state)
{
    if (brain_setup(state) != 0)
        return -1;
    become(&nas);
    b->soon_armed = true;
    b->gossip = gossip_new(b->set, nas.id, &spread_ops, b);
    return 0;
}

static int tear_down(void **state)
{
    config_clan_free(b->cfg);
    free(b->body);
    gossip_free(b->gossip);
    unlinkat(b->state_fd, "config/3.yaml", 0);
    unlinkat(b->state_fd, "config", AT_REMOVEDIR);
    return brain_teardown(state);
}

/* Version 3 with this text, which names that keeper; the envelope names nas. */
static void give_version_3(
    const char *clan, const struct fx_machine *keeper, unsigned protocol, unsigned features)
{
    static clan_api_BlobPut put;
    char text[1000], admin[TEXT_ID_CHARS + 1], machine[TEXT_ID_CHARS + 1];
    text_base32(f.admin_key[0], 32, admin);
    text_base32(keeper->id, 32, machine);
    int size = snprintf(text, sizeof text,
        "version: 3\nclan: %s\nadmins:\n  threshold: 1\n  keys:\n    admin0: \"ed25519:%s\"\n"
        "keeper: [one]\nmachines:\n  \"%s\": {name: one}\n",
        clan, admin, machine);
    struct stmt_envelope env = fx_envelope_body(&f, 3, 1, 1, nas.id);
    memset(&put, 0, sizeof put);
    put.total = put.data.size = (uint32_t)size;
    memcpy(put.data.bytes, text, (size_t)size);
    crypto_generichash(put.hash, 32, (const uint8_t *)text, (size_t)size, NULL, 0);
    memcpy(env.body_hash, put.hash, 32);
    env.body_size = (uint32_t)size;
    env.min_protocol = (uint16_t)protocol;
    env.feature_count = (uint8_t)features;
    strcpy(env.features[0], "backups");
    struct clan_error e = CLAN_ERROR_INIT;
    if (bodies_chunk(b, &put, &e) != CLAN_OK)
        fail_msg("%s", e.what);
    give(fx_envelope(&f, &env, 1));
    bodies_reconcile(b);
    assert_int_equal(b->body_version, 3);
}

static void agrees(void **state)
{
    (void)state;
    give_version_3("home", &nas, 1, 0);
    assert_true(b->body_readable);
    assert_non_null(b->cfg);
}

static void another_keeper(void **state)
{
    (void)state;
    give_version_3("home", &carl, 1, 0);
    assert_false(b->body_readable);
    assert_null(b->cfg);
}

static void another_clan(void **state)
{
    (void)state;
    give_version_3("cottage", &nas, 1, 0);
    assert_false(b->body_readable);
}

/* The chain goes on, the text waits for an update (SECURITY C2). */
static void later_protocol(void **state)
{
    (void)state;
    give_version_3("home", &nas, BRAIN_VERSION_PROTO + 1, 0);
    assert_int_equal(member_head(b->set, NULL, NULL), 3);
    assert_false(b->body_readable);
    assert_null(b->cfg);
}

static void unknown_feature(void **state)
{
    (void)state;
    give_version_3("home", &nas, 1, 1);
    assert_false(b->body_readable);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    static const struct CMUnitTest tests[] = {
        T(agrees), T(another_keeper), T(another_clan), T(later_protocol), T(unknown_feature)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
