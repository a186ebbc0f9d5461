/* What an admin signs with the command line: invitations, versions of clan.yaml, removals. */
#include "base/text.h"
#include "cli/change.h"
#include "noise/keys.h"
#include "statement/link.h"

#include <locale.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run.h" /* of this folder */

static void invite_makes_a_link(void **state)
{
    (void)state;
    struct stmt s;
    struct stmt_invitation body;
    struct invite_link link;
    uint8_t secret[64], pub[32], x25519[32];
    char endpoint[LINK_ENDPOINT_TEXT];
    example_clan();
    fake_start(&fake);
    assert_int_equal(run("invite --json --for phone --uses 3 --expires 2h"), 0);
    json_t *o = json_of(said.out);
    submitted(0, &s);
    assert_int_equal(s.seq, 1);
    assert_memory_equal(s.author, admin_public, 32);
    assert_memory_equal(s.clan, fake.context.clan_id, 32);
    assert_int_equal(stmt_get_invitation(&s, &body), CLAN_OK);
    assert_int_equal(body.state, STMT_INVITE_OPEN);
    assert_int_equal(body.uses, 3);
    assert_int_equal(body.expires - body.created, 7200);
    assert_int_equal(body.config_version, 2);
    assert_string_equal(body.for_name, "phone");
    /* the link's seed is the statement's key */
    assert_int_equal(link_parse(json_text(o, "link", NULL), &link, NULL), CLAN_OK);
    keys_invite(link.seed, secret, pub, x25519);
    assert_memory_equal(pub, body.public_key, 32);
    assert_memory_equal(x25519, body.x25519, 32);
    assert_memory_equal(link.clan_id, fake.context.clan_id, 32);
    assert_int_equal(link.floor_version, 2);
    assert_memory_equal(link.floor_hash, fake.context.config_id, 16);
    assert_int_equal(link.endpoint_count, 2); /* loopback left out, two at most, one of each */
    link_endpoint_text(&link, 0, endpoint);
    assert_string_equal(endpoint, "203.0.113.5:7117");
    link_endpoint_text(&link, 1, endpoint);
    assert_string_equal(endpoint, "198.51.100.1:1/clan");
    assert_string_equal(link_endpoint_transport(&link, 0), "tcp-noise");
    assert_string_equal(link_endpoint_transport(&link, 1), "websocket");
    json_decref(o);

    assert_int_equal(run("invite"), 0);
    assert_int_equal(strncmp(said.out, LINK_PREFIX, strlen(LINK_PREFIX)), 0);
    assert_has(said.out, "Good for 1 use,");
    char *line_end = strchr(said.out, '\n');
    *line_end = 0;
    assert_int_equal(link_parse(said.out, &link, NULL), CLAN_OK);
}

/* The invitation that another admin signed at version 2, as the core of this machine has it. */
static void show_invitation(clan_api_Invitation *ret, struct stmt_invitation *ret_body)
{
    uint8_t seed[32], secret[64], anna[64], anna_public[32], body[STMT_MAX], raw[STMT_MAX];
    size_t size, raw_size;
    *ret_body = (struct stmt_invitation){.uses = 2,
        .created = 1000,
        .expires = 4600,
        .config_version = 2,
        .state = STMT_INVITE_OPEN};
    strcpy(ret_body->for_name, "laptop");
    memset(seed, 5, sizeof seed);
    keys_invite(seed, secret, ret_body->public_key, ret_body->x25519);
    crypto_sign_seed_keypair(anna_public, anna, seed);
    assert_int_equal(stmt_put_invitation(ret_body, body, sizeof body, &size), CLAN_OK);
    assert_int_equal(stmt_build(STMT_INVITATION, fake.context.clan_id, anna_public, 3, body, size,
                         raw, &raw_size),
        CLAN_OK);
    assert_int_equal(stmt_sign(raw, &raw_size, anna), CLAN_OK);
    *ret = (clan_api_Invitation){.uses = 2};
    keys_invite_id(ret_body->public_key, ret->id);
    strcpy(ret->state, "open");
    assert_true(raw_size <= sizeof ret->statement.bytes);
    memcpy(ret->statement.bytes, raw, raw_size);
    ret->statement.size = (pb_size_t)raw_size;
}

/* Any admin closes it on any machine: the same body with the next number, by today's admins. */
static void invite_withdraw(void **state)
{
    (void)state;
    char words[64], id[32];
    struct stmt closed;
    struct stmt_invitation was, now;
    example_clan();
    fake.context.config_version = 4;
    show_invitation(&fake.invitations[0], &was);
    fake.invitation_count = 1;
    fake_start(&fake);
    text_base32(fake.invitations[0].id, 16, id);
    snprintf(words, sizeof words, "invite withdraw %.8s", id);
    assert_int_equal(run(words), 0);
    submitted(0, &closed);
    assert_int_equal(closed.seq, 4);
    assert_memory_equal(closed.author, admin_public, 32);
    assert_int_equal(stmt_get_invitation(&closed, &now), CLAN_OK);
    assert_int_equal(now.state, STMT_INVITE_CLOSED);
    assert_int_equal(now.config_version, 4);
    now.state = STMT_INVITE_OPEN;
    now.config_version = 2;
    assert_memory_equal(&now, &was, sizeof was);

    assert_int_equal(run("invite withdraw aa"), 2);
    assert_int_equal(run("invite withdraw 22222222"), 2);
    assert_has(said.err, "no invitation begins with");
    fake.invitations[1] = fake.invitations[0];
    fake.invitation_count = 2;
    assert_int_equal(run(words), 2);
    assert_has(said.err, "several invitations begin with");
    /* signed bytes of another invitation, of another clan, of nothing: never signed for */
    fake.invitation_count = 1;
    fake.invitations[0].id[15] ^= 1;
    assert_int_equal(run(words), 5);
    fake.invitations[0].id[15] ^= 1;
    fake.context.clan_id[0] ^= 1;
    assert_int_equal(run(words), 5);
    fake.context.clan_id[0] ^= 1;
    fake.invitations[0].statement.size = 0;
    assert_int_equal(run(words), 5);
    assert_int_equal(fake.submitted_count, 1);
}

/* One namespace for machines and services; a machine that is gone left its name. */
static void invite_for_a_name_that_is_taken(void **state)
{
    (void)state;
    example_clan();
    strcpy(fake.service.name, "photos");
    fake_start(&fake);
    assert_int_equal(run("invite --for laptop"), 6);
    assert_has(said.err, "the clan has a machine named laptop already");
    assert_has(said.err, "neither's; nothing was signed");
    assert_has(said.err, "clan invite --for laptop-2");
    assert_has(said.err, "clan remove laptop");
    assert_string_equal(said.out, "");
    assert_int_equal(run("invite --for photos"), 6);
    assert_has(said.err, "the clan has a service named photos already");
    assert_int_equal(fake.submitted_count, 0);
    for (unsigned i = 0; i < fake.machine_count; i++)
        if (strcmp(fake.machines[i].name, "laptop") == 0)
            strcpy(fake.machines[i].standing, "removed");
    assert_int_equal(run("invite --for laptop"), 0);
    assert_int_equal(fake.submitted_count, 1);
}

static void invite_refusals(void **state)
{
    (void)state;
    char path[256];
    example_clan();
    key_path(path);
    fake_start(&fake);
    chmod(path, 0640);
    assert_int_equal(run("invite"), 3);
    assert_has(said.err, "open to others");
    assert_has(said.err, "chmod 600");
    unlink(path);
    assert_int_equal(run("invite"), 3);
    assert_has(said.err, "needs an admin key");
    write_key(path, 2, 0600); /* somebody else's */
    assert_int_equal(run("invite"), 3);
    assert_has(said.err, "no admin key of the clan");
    FILE *f = fopen(path, "w");
    fputs("hello\n", f);
    fclose(f);
    chmod(path, 0600);
    assert_int_equal(run("invite"), 2);
    assert_has(said.err, "not an admin key");
    write_key(path, 1, 0600);

    /* a large invitation is a matter of M admins */
    fake.context.threshold = 2;
    fake.context.admin_keys_count = 2;
    memset(fake.context.admin_keys[1], 9, 32);
    assert_int_equal(run("invite --uses 5"), 0);
    assert_int_equal(run("invite --uses 6"), 3);
    assert_has(said.err, "signatures of 2 admins");
    assert_int_equal(run("invite --expires 25h"), 3);
    fake.context.threshold = 1;
    assert_int_equal(run("invite --uses 6"), 0);

    fake.context.endpoints_count = 1;
    unsigned before = fake.submitted_count;
    assert_int_equal(run("invite"), 4);
    assert_has(said.err, "no address");
    assert_int_equal(fake.submitted_count, before); /* nothing is signed away for nothing */
    fake.context.endpoints_count = 4;
    fake.refuse.status = CLAN_E_STALE;
    strcpy(fake.refuse.what, "not caught up yet");
    fake.refuse_tag = clan_api_Request_submit_tag;
    assert_int_equal(run("invite --json"), 6);
    assert_string_equal(said.out, ""); /* no link that nobody knows */
}

/* ---- configuration ---- */

static void enable_signs_a_version(void **state)
{
    (void)state;
    struct stmt s;
    struct stmt_envelope e;
    example_clan();
    strcpy(fake.service.state, "up");
    strcpy(fake.service.host, "nas");
    strcpy(fake.service.url, "http://files.home.clan/");
    fake_start(&fake);
    assert_int_equal(run("enable files --on nas"), 2); /* nobody to ask */
    assert_has(said.err, "--yes");
    assert_has(said.out, "+  files:");
    assert_int_equal(fake.submitted_count, 0);
    assert_int_equal(run("enable files --on nas --dry-run"), 0);
    assert_int_equal(fake.submitted_count, 0);
    assert_int_equal(run("enable files --on nowhere --yes"), 2);
    /* a machine named by its invitation is written into machines: along with the service */
    assert_int_equal(run("enable files --on laptop --allow nas --dry-run"), 0);
    assert_has(said.out, "{name: laptop}");
    assert_has(said.out, "+version: 3");
    assert_int_equal(run("enable files --on nas --allow m-q5kd7mza --dry-run"), 2); /* a guest */
    assert_int_equal(run("enable files --on nas --yes"), 0);
    assert_has(said.out, "http://files.home.clan/");
    assert_has(said.err, "acknowledged by 2 of 3; not yet: laptop is off");
    submitted(0, &s);
    assert_int_equal(s.kind, STMT_ENVELOPE);
    assert_int_equal(s.seq, 3);
    assert_int_equal(stmt_get_envelope(&s, &e), CLAN_OK);
    assert_memory_equal(e.previous, fake.context.config_id, 32);
    assert_int_equal(e.keeper_count, 1);
    assert_memory_equal(e.keepers[0], fake.context.machine_id, 32);
    uint8_t hash[32];
    crypto_generichash(hash, 32, fake.blob, fake.blob_size, NULL, 0);
    assert_memory_equal(hash, e.body_hash, 32);
    assert_int_equal(e.body_size, fake.blob_size);
    assert_non_null(memmem(fake.blob, fake.blob_size, "files:", 6));

    /* the same change again is the same statement; another of that number is refused (SECURITY C1)
     */
    uint8_t id[32];
    memcpy(id, s.id, 32);
    assert_int_equal(run("--json enable files --on nas --yes"), 0);
    submitted(1, &s);
    assert_memory_equal(s.id, id, 32);
    json_t *o =
        json_of(strrchr(said.out, '{') ? strstr(said.out, "{\"v\":1,\"service\"") : said.out);
    assert_string_equal(json_text(o, "url", NULL), "http://files.home.clan/");
    assert_int_equal(json_integer_value(json_object_get(o, "acknowledged")), 2);
    json_decref(o);
    assert_int_equal(run("enable photos --on nas --yes"), 6);
    assert_has(said.err, "signed another version 3");
    assert_int_equal(fake.submitted_count, 2);
    assert_int_equal(run("enable photos --on nas --yes --forget-signed"), 0);
    submitted(2, &s);
    assert_int_not_equal(memcmp(s.id, id, 32), 0);
}

/* `clan sign` shows with one run and signs with the next: a head that moved between them is never signed on. */
static void only_what_was_shown_is_signed(void **state)
{
    (void)state;
    struct stmt s;
    struct stmt_envelope e;
    uint8_t shown[32], hash[32];
    char *wanted;
    example_clan();
    fake_start(&fake);
    assert_int_equal(run("--json enable files --on nas --dry-run"), 0);
    json_t *o = json_of(said.out);
    wanted = strdup(json_text(o, "config", NULL));
    json_decref(o);
    change_shown(shown);
    change_only(shown);
    assert_int_equal(run("enable photos --on nas --yes"), 6); /* another text */
    fake.context.config_id[31] ^=
        1; /* the same text on another head, which is signed for as well */
    assert_int_equal(run("enable files --on nas --yes"), 6);
    assert_has(said.err, "the configuration changed meanwhile; nothing was signed");
    assert_int_equal(fake.submitted_count, 0);
    fake.context.config_id[31] ^= 1;
    assert_int_equal(run("enable files --on nas --yes"), 0); /* no note of what was not signed */
    change_only(NULL);
    submitted(0, &s);
    assert_int_equal(stmt_get_envelope(&s, &e), CLAN_OK);
    assert_memory_equal(e.previous, fake.context.config_id, 32);
    crypto_generichash(hash, 32, (const uint8_t *)wanted, strlen(wanted), NULL, 0);
    assert_memory_equal(e.body_hash, hash, 32); /* to the byte */
    free(wanted);
}

/* Known is what lies in the directory and what works somewhere in the clan. */
static void enable_knows_plugins(void **state)
{
    (void)state;
    example_clan();
    strcpy(fake.service.name, "share");
    strcpy(fake.service.plugin, "files");
    strcpy(fake.service.state, "up");
    fake_start(&fake);
    assert_int_equal(run("enable fils --on nas --yes --plugin-dir /nowhere"), 2);
    assert_has(said.err, "no plugin is called \"fils\" (did you mean \"files\"?)");
    assert_has(said.err, "nothing was signed");
    assert_has(said.err, "clan enable files");
    assert_null(strstr(said.out, "+")); /* nor shown as if it would be */
    assert_int_equal(run("enable fils --on nas --dry-run --plugin-dir /nowhere"), 2);
    assert_int_equal(fake.submitted_count, 0);
    assert_int_equal(run("enable files --as holiday --on nas --dry-run --plugin-dir /nowhere"), 0);
    assert_null(strstr(said.err, "no machine is known"));
    /* another word is no slip: it may be installed where this machine cannot see it */
    assert_int_equal(run("enable jellyfin --on laptop --plugin-dir /nowhere"), 2);
    assert_has(said.err, "no machine is known to have the plugin jellyfin yet");
    assert_has(said.err, "--yes"); /* nobody to ask */
    assert_int_equal(fake.submitted_count, 0);
    assert_int_equal(run("enable jellyfin --on nas --yes --plugin-dir /nowhere"), 0);
    assert_has(said.err, "installed and granted on nas, this machine");
    assert_int_equal(fake.submitted_count, 1);
}

/* What is enabled but runs nowhere makes no plugin known. */
static void enable_learns_nothing_from_a_slip(void **state)
{
    (void)state;
    example_clan();
    strcpy(fake.service.name, "fils");
    strcpy(fake.service.plugin, "fils");
    strcpy(fake.service.state, "not granted");
    fake_start(&fake);
    assert_int_equal(run("enable fils --as more --on nas --dry-run --plugin-dir /nowhere"), 0);
    assert_has(said.err, "no machine is known to have the plugin fils yet");
}

/* Keys that were removed are carried on, admins left out join them, and none of them comes back. */
static void removed_keys(void **state)
{
    (void)state;
    struct stmt s;
    struct stmt_envelope e;
    clan_api_Context *x = &fake.context;
    example_clan();
    x->removed_keys_count = 1;
    memset(x->removed_keys[0], 8, 32);
    x->admin_keys_count = 2; /* the second stands no more in clan.yaml */
    memset(x->admin_keys[1], 9, 32);
    fake_start(&fake);
    assert_int_equal(run("enable files --on nas --yes"), 0);
    submitted(0, &s);
    assert_int_equal(stmt_get_envelope(&s, &e), CLAN_OK);
    assert_int_equal(e.removed_count, 2);
    assert_memory_equal(e.removed[0], x->removed_keys[0], 32);
    assert_memory_equal(e.removed[1], x->admin_keys[1], 32);
    memcpy(x->removed_keys[0], admin_public, 32);
    assert_int_equal(run("enable files --on nas --yes"), 2);
    assert_has(said.err, "removed key never returns");
    assert_int_equal(fake.submitted_count, 1);
}

static void config_apply(void **state)
{
    (void)state;
    char path[128], words[200];
    example_clan();
    fake_start(&fake);
    snprintf(path, sizeof path, "%s/clan.yaml", home);
    assert_int_equal(run("config show"), 0);
    assert_int_equal(strlen(said.out), fake.body_size);
    FILE *f = fopen(path, "w");
    fprintf(f, "%s# a comment\n", said.out);
    fclose(f);
    snprintf(words, sizeof words, "config check %s", path);
    assert_int_equal(run(words), 0);
    snprintf(words, sizeof words, "config apply --yes %s", path);
    assert_int_equal(run(words), 0);
    assert_non_null(memmem(fake.blob, fake.blob_size, "# a comment", 11));
    assert_non_null(memmem(fake.blob, fake.blob_size, "version: 3", 10));
    /* a text from an older version would undo what happened since */
    fake.context.config_version = 5;
    assert_int_equal(run(words), 6);
    assert_has(said.err, "version 6 is next");
    /* one that names the number in force knows nothing of it, when it was made from an older one */
    snprintf(words, sizeof words, "config apply --dry-run --from 4 %s", path);
    f = fopen(path, "w");
    fprintf(f, "%.*s# mine\n", (int)fake.body_size, fake.body);
    fclose(f);
    fake.context.config_version = 2;
    assert_int_equal(run(words), 6);
    assert_has(said.err, "made from version 4, but version 2 is in force");
    assert_has(said.err, "clan config diff 4 2");
    snprintf(words, sizeof words, "config apply --dry-run --from x %s", path);
    assert_int_equal(run(words), 2);
    snprintf(words, sizeof words, "config apply --dry-run --from 2 %s", path);
    assert_int_equal(run(words), 0);
    fake.context.config_version = 5;
    f = fopen(path, "w");
    fputs("version: 3\nclan: home\nnme: x\nadmins: 3\n", f);
    fclose(f);
    snprintf(words, sizeof words, "config check %s", path);
    assert_int_equal(run(words), 2);
    assert_has(said.err, "clan.yaml:3:1");
    snprintf(words, sizeof words, "--json config check %s", path);
    assert_int_equal(run(words), 2);
    json_t *o = json_of(said.out);
    assert_true(json_array_size(json_object_get(o, "problems")) >= 2);
    json_decref(o);
    assert_int_equal(run("config diff"), 0);
    assert_int_equal(run("config schema"), 0);
    assert_int_equal(run("config example --machine"), 0);
}

static void removing(void **state)
{
    (void)state;
    struct stmt s;
    struct stmt_revocation r;
    example_clan();
    fake_start(&fake);
    assert_int_equal(run("remove nobody"), 2);
    assert_int_equal(run("remove nas"), 6);
    assert_has(said.err, "clan leave");
    strcpy(fake.invitations[0].state, "open");
    strcpy(fake.invitations[0].for_name, "desk");
    fake.invitations[0].uses = 3;
    fake.invitations[0].used = 1;
    strcpy(fake.invitations[1].state, "expired");
    fake.invitation_count = 2;
    assert_int_equal(run("remove laptop"), 2);
    assert_has(said.err, "m-q5kd7mza"); /* came by the same invitation */
    assert_has(said.err, "clan invite --for desk --uses 2");
    assert_null(strstr(strstr(said.err, "clan invite") + 1, "clan invite")); /* only what is open */
    assert_has(said.err, "--yes");
    assert_int_equal(fake.submitted_count, 0);
    assert_int_equal(run("remove laptop --yes"), 0);
    submitted(0, &s);
    assert_int_equal(s.kind, STMT_REVOCATION);
    assert_true(sodium_is_zero(s.author, 32));
    assert_int_equal(stmt_get_revocation(&s, &r), CLAN_OK);
    assert_memory_equal(r.machine, fake.machines[1].id, 32);
    assert_int_equal(r.reason, STMT_REVOKE_REMOVED);
    assert_int_equal(r.generation, 0);
    assert_int_equal(r.config_version, 2);
    /* clan.yaml did not name it, but what is issued next names a later version */
    assert_int_equal(fake.submitted_count, 2);
    submitted(1, &s);
    assert_int_equal(s.kind, STMT_ENVELOPE);
    assert_non_null(memmem(fake.blob, fake.blob_size, "version: 3", 10));
    fake.machines[0].self = false;
    assert_int_equal(run("remove nas --yes"), 6);
    assert_has(said.err, "keeper");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)
    const struct CMUnitTest tests[] = {
        T(invite_makes_a_link),
        T(invite_withdraw),
        T(invite_for_a_name_that_is_taken),
        T(invite_refusals),
        T(enable_signs_a_version),
        T(only_what_was_shown_is_signed),
        T(enable_knows_plugins),
        T(enable_learns_nothing_from_a_slip),
        T(removed_keys),
        T(config_apply),
        T(removing),
    };
    setlocale(LC_CTYPE, "C");
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
