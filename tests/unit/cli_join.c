/* Joining and founding with the command line: the questions, the key, and what reaches the core. */
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

/* ---- joining ---- */

static char link_text[LINK_TEXT_MAX + 1];
static struct invite_link joining;

static void example_link(const char *first)
{
    unsigned a, b, c, d;
    memset(&joining, 0, sizeof joining);
    memset(joining.clan_id, 0xc1, 32);
    randombytes_buf(joining.seed, sizeof joining.seed);
    joining.endpoint_count = 1;
    joining.endpoints[0].family = 4;
    joining.endpoints[0].port = 7117;
    strcpy(joining.endpoints[0].transport, LINK_TRANSPORT_USUAL);
    memset(joining.endpoints[0].address + 10, 0xff, 2);
    assert_int_equal(sscanf(first, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    uint8_t v4[4] = {(uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
    memcpy(joining.endpoints[0].address + 12, v4, 4);
    assert_int_equal(link_format(&joining, link_text), CLAN_OK);
    memcpy(fake.facts.clan_id, joining.clan_id, 32);
    strcpy(fake.facts.clan, "home");
    strcpy(fake.facts.inviter, "anna");
    strcpy(fake.facts.suggested_petname, "home");
    strcpy(fake.joined.petname, "home");
    strcpy(fake.joined.machine, "laptop");
    strcpy(fake.joined.standing, "provisional");
    fake.joined.network_up = true;
}

static void join_refusals(void **state)
{
    (void)state;
    char words[200];
    fake_listen(&fake, "new");
    example_link("203.0.113.5");
    fake_start(&fake);
    assert_int_equal(run_with("not a link\n", "join -"), 2);
    assert_has(said.err, "not an invitation link");
    assert_int_equal(run_with("", "join -"), 2);
    assert_int_equal(run_with(link_text, "join -"), 2); /* nobody to ask */
    assert_has(said.err, "203.0.113.5:7117");
    assert_int_equal(run_with(link_text, "join - --yes"), 2);
    assert_has(said.err, "--fingerprint");
    assert_int_equal(
        run_with(link_text, "join - --yes --fingerprint one-two-three-four-five-six"), 5);
    assert_has(said.err, "another clan");
    assert_int_equal(run_with(link_text, "join - --wait 10m"), 2);
    assert_int_equal(run_with(link_text, "join - --yes --fingerprint ="), 5);
    assert_int_equal(fake.connections, 0); /* nothing was contacted in any of them */

    fake.refuse.status = CLAN_E_EXPIRED;
    fake.refuse_tag = clan_api_Request_join_preview_tag;
    strcpy(fake.refuse.what, "the invitation has expired");
    char f[KEYS_WORDS_MAX];
    keys_words("clan", joining.clan_id, joining.clan_id, f);
    snprintf(words, sizeof words, "--json join - --yes --fingerprint %s", f);
    assert_int_equal(run_with(link_text, words), 5);
    json_t *o = json_of(said.err);
    assert_string_equal(json_text(o, "error", "code"), "EXPIRED");
    json_decref(o);
    fake.refuse.status = CLAN_OK;
    memset(fake.facts.clan_id, 1, 32); /* a core that answers for another clan */
    assert_int_equal(run_with(link_text, words), 5);
    assert_true(fake.last_tag != clan_api_Request_join_yes_tag);
    example_link("127.0.0.1");
    unsigned before = fake.connections;
    assert_int_equal(run_with(link_text, words), 2);
    assert_has(said.err, "refused");
    assert_int_equal(fake.connections, before);
}

static void join_succeeds(void **state)
{
    (void)state;
    char words[400], f[KEYS_WORDS_MAX];
    fake_listen(&fake, "new");
    fake_listen(&fake, "home"); /* another clan has the name here */
    example_link("203.0.113.5");
    fake_start(&fake);
    keys_words("clan", joining.clan_id, joining.clan_id, f);
    for (char *p = f; *p; p++)
        *p = *p == '-' ? '_' : *p; /* blanks are as good as hyphens */
    snprintf(words, sizeof words, "join - --yes --fingerprint %s", f);
    assert_int_equal(run_with(link_text, words), 0);
    assert_has(said.out, "joined in ");
    assert_has(said.out, "provisional");
    assert_has(said.err, "anna");
    assert_string_equal(fake.yes.petname, "home-2");
    assert_true(fake.yes.known_fingerprint);
    assert_true(fake.yes.wait_ms > 0);
    assert_string_equal(fake.link, link_text);
    assert_null(strstr(said.out, "CLAN"));
    assert_null(strstr(said.err, link_text)); /* the secret is not shown again */

    /* on the command line: taken, with a warning, and overwritten */
    char a0[] = "clan", a1[] = "join", a2[LINK_TEXT_MAX + 1], *argv[] = {a0, a1, a2};
    strcpy(a2, link_text);
    FILE *o = fopen("/dev/null", "w"), *i = fopen("/dev/null", "r");
    free(said.err);
    size_t size;
    FILE *e = open_memstream(&said.err, &size);
    assert_int_equal(cli_main(3, argv, o, e, i), 2);
    fclose(o);
    fclose(i);
    fclose(e);
    assert_has(said.err, "on the command line");
    assert_true(sodium_is_zero((uint8_t *)a2, strlen(link_text)));
}

/* ---- founding ---- */

static void up_founds(void **state)
{
    (void)state;
    struct stmt s, record;
    struct stmt_admission a;
    struct stmt_envelope e;
    struct stat st;
    char path[256], words[KEYS_RECOVERY_MAX];
    uint8_t entropy[16], seed[32], secret[64];
    fake_listen(&fake, "new");
    fake.joined.network_up = true;
    fake_start(&fake);
    assert_int_equal(run("--json up --name home --machine nas --no-questions"), 0);
    assert_string_equal(fake.started, "home"); /* it looked for a sleeping one first */
    json_t *o = json_of(strstr(said.out, "{\"v\":1,\"state\""));
    key_path(path);
    assert_string_equal(json_text(o, "key_file", NULL), path);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    strcpy(words, json_text(o, "recovery_words", NULL));
    json_decref(o);
    /* the words are the key */
    assert_int_equal(keys_recovery_decode(words, entropy), 0);
    keys_admin_seed(entropy, seed);
    keys_sign_pair(seed, secret, admin_public);
    assert_int_equal(
        stmt_parse(fake.commit.admission.bytes, fake.commit.admission.size, &s, NULL), CLAN_OK);
    assert_true(stmt_signed_by(&s, admin_public));
    assert_memory_equal(s.author, admin_public, 32);
    assert_int_equal(stmt_get_admission(&s, &a), CLAN_OK);
    assert_int_equal(a.how, STMT_ADMIT_FOUNDER);
    assert_int_equal(stmt_parse(a.record, a.record_size, &record, NULL), CLAN_OK);
    assert_true(stmt_signed_by(&record, fake.machine_public));
    assert_int_equal(
        stmt_parse(fake.commit.envelope.bytes, fake.commit.envelope.size, &s, NULL), CLAN_OK);
    assert_true(stmt_signed_by(&s, admin_public));
    assert_int_equal(stmt_get_envelope(&s, &e), CLAN_OK);
    assert_int_equal(e.version, 2);
    assert_memory_equal(e.previous, s.clan, 32); /* the genesis is version 1 */
    assert_memory_equal(e.keepers[0], record.id, 32);
    assert_memory_equal(e.admins[0].key, admin_public, 32);
    uint8_t hash[32];
    crypto_generichash(hash, 32, fake.blob, fake.blob_size, NULL, 0);
    assert_memory_equal(hash, e.body_hash, 32);
    /* an interrupted one goes on with the key that it left */
    assert_int_equal(run("up --name home --machine nas --no-questions"), 0);
    assert_has(said.err, "using the admin key");
    assert_has(said.out, "Twelve recovery words");
    assert_int_equal(
        stmt_parse(fake.commit.admission.bytes, fake.commit.admission.size, &s, NULL), CLAN_OK);
    assert_true(stmt_signed_by(&s, admin_public));
}

static void up_finds_one(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    fake_start(&fake);
    assert_int_equal(run("up"), 0);
    assert_has(said.out, "clan home is up");
    assert_int_equal(fake.requests, 0);
    assert_int_equal(run("up --name work"), 4); /* no new.sock: cland is not there */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)
    const struct CMUnitTest tests[] = {
        T(join_refusals),
        T(join_succeeds),
        T(up_founds),
        T(up_finds_one),
    };
    setlocale(LC_CTYPE, "C");
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
