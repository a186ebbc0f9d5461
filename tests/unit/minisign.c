/* Signatures that the program minisign made, every way to break one, and the file that a plugin runs from. */
#include "minisign/minisign.h"

#include "base/error.h"
#include "slot/slot.h"
#include "unit/minisign_make.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* by minisign 0.11: minisign -S -t "files 1.2" */
#define UNTRUSTED "untrusted comment: signature from minisign secret key\n"
#define BOX                                                                                        \
    "RURap4KN6M5/Q3o4g97zL7pvf4JdVHC3dbl7OeGZQ9yqa+mvyqy8dPXqJtklhrPcXpJcLhsMw0Lr/veEcA2syPhe+"    \
    "lLkl6b5cgI="
#define GLOBAL                                                                                     \
    "VRMcjmNLn3EuOoi83pzfEaW8Vhrbg6bgbI/XCdveBvcpbT7+Cou3aWDjvJxBYfh0CfpPdlqsXubgAWYw+OZCCA=="
#define TRUSTED "\ntrusted comment: files 1.2\n"
static const char signed_text[] = UNTRUSTED BOX TRUSTED GLOBAL "\n";
/* the same, -l */
static const char legacy[] = UNTRUSTED
    "RWRap4KN6M5/Q0aL4kJ7olHgikvFxoQJnZcRIfoA9ZCBczFELYA3jtGA+BNBVL02THFKfWRfk2Dh/"
    "WDHISqvJXPcudWAQhNvHgY=\ntrusted comment: old\n"
    "gXx6MIzJX4ltIUrLSrbGFSvH3/EaLsd306h7C7SRGlT1ONc/6kTd395Toyev0eLLQ47YaO1k2cmZuzN910VhCA==\n";
static const char file[] = "the bytes of a plugin\n";
static const char key_text[] = "RWRap4KN6M5/Q6bI/AGHAZ8wJiLmyU6ghCGigzZviHFBQsMgvDZ/CFZx";
static const char other_text[] = "RWQZcRJDJO+TDxWO3Lv6gocfAQIXzkSigljbO1B2X5LM6l8nnIGApJK4";

static struct minisign_key key_of(const char *text)
{
    struct minisign_key k;
    assert_true(minisign_key_parse(text, &k));
    return k;
}

static void hash_of(const char *bytes, size_t size, uint8_t ret[64])
{
    crypto_generichash(ret, 64, (const uint8_t *)bytes, size, NULL, 0);
}

static void programs_signature_fits(void **state)
{
    (void)state;
    struct minisign s;
    struct clan_error e = CLAN_ERROR_INIT;
    struct minisign_key key = key_of(key_text), other = key_of(other_text);
    uint8_t hash[64];
    char id[17];
    assert_int_equal(minisign_parse(signed_text, strlen(signed_text), &s, &e), CLAN_OK);
    assert_string_equal(s.comment, "files 1.2");
    minisign_id_text(s.key_id, id);
    assert_string_equal(id, "437FCEE88D82A75A"); /* as minisign prints it */
    assert_memory_equal(s.key_id, key.id, 8);
    hash_of(file, strlen(file), hash);
    assert_int_equal(minisign_verify(&s, hash, key.key, &e), CLAN_OK);
    assert_int_equal(minisign_verify(&s, hash, other.key, &e), CLAN_E_AUTH);
    assert_non_null(strstr(e.why, "437FCEE88D82A75A"));
    assert_non_null(strstr(e.why, "not by the key"));
    s.comment[0] = 'F';
    assert_int_equal(minisign_verify(&s, hash, key.key, &e), CLAN_E_AUTH);
    assert_non_null(strstr(e.why, "comment was changed"));
    s.comment[0] = 'f';
    hash[63] ^= 1;
    assert_int_equal(minisign_verify(&s, hash, key.key, &e), CLAN_E_AUTH);
}

static const struct {
    const char *text, *why;
} broken[] = {
    {legacy, "legacy form (Ed)"},
    {"", "does not begin"},
    {"\n", "does not begin"},
    {BOX TRUSTED GLOBAL "\n", "does not begin"},
    {UNTRUSTED, "second line"},
    {UNTRUSTED "RURa" TRUSTED GLOBAL "\n", "second line"},
    {UNTRUSTED " " BOX TRUSTED GLOBAL "\n", "second line"},
    {UNTRUSTED BOX "A" TRUSTED GLOBAL "\n", "second line"},
    {UNTRUSTED BOX, "third line"},
    {UNTRUSTED BOX "\ncomment: files 1.2\n" GLOBAL "\n", "third line"},
    {UNTRUSTED BOX TRUSTED, "fourth line"},
    {UNTRUSTED BOX TRUSTED BOX "\n", "fourth line"},
    {UNTRUSTED BOX TRUSTED GLOBAL "\nmore", "follows"},
    {UNTRUSTED "AAAap4KN6M5/"
               "Q3o4g97zL7pvf4JdVHC3dbl7OeGZQ9yqa+mvyqy8dPXqJtklhrPcXpJcLhsMw0Lr/"
               "veEcA2syPhe+lLkl6b5cgI=" TRUSTED GLOBAL "\n",
        "algorithm"},
};

static void broken_files_are_refused(void **state)
{
    (void)state;
    struct minisign s;
    struct clan_error e;
    for (unsigned i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        e = (struct clan_error)CLAN_ERROR_INIT;
        assert_int_equal(
            minisign_parse(broken[i].text, strlen(broken[i].text), &s, &e), CLAN_E_INVAL);
        if (!strstr(e.why, broken[i].why))
            fail_msg("%u: no \"%s\" in %s", i, broken[i].why, e.why);
        assert_non_null(
            strstr(e.remedy, broken[i].text == legacy ? "minisign -S -H" : "minisign -S"));
    }
    /* comment: cap - 1 fits, cap does not */
    for (unsigned more = 0; more < 2; more++) {
        char text[4096], comment[MINISIGN_COMMENT_MAX + 1];
        memset(comment, 'c', sizeof comment);
        comment[MINISIGN_COMMENT_MAX - 1 + more] = 0;
        snprintf(text, sizeof text, UNTRUSTED BOX "\ntrusted comment: %s\n" GLOBAL, comment);
        assert_int_equal(minisign_parse(text, strlen(text), &s, &e), more ? CLAN_E_INVAL : CLAN_OK);
    }
    static const char nul[] = UNTRUSTED BOX "\ntrusted comment: a\0b\n" GLOBAL "\n";
    assert_int_equal(minisign_parse(nul, sizeof nul - 1, &s, &e), CLAN_E_INVAL);
    static char large[MINISIGN_FILE_MAX + 1];
    assert_int_equal(minisign_parse(large, sizeof large, &s, &e), CLAN_E_INVAL);
    assert_non_null(strstr(e.why, "longer"));
}

static void keys_are_strict(void **state)
{
    (void)state;
    struct minisign_key k;
    char text[64];
    assert_true(minisign_key_parse(key_text, &k));
    assert_false(minisign_key_parse("", &k));
    strcpy(text, key_text);
    text[55] = 0;
    assert_false(minisign_key_parse(text, &k));
    strcpy(text, key_text);
    text[1] = 'U'; /* "ED": a signature's algorithm, no key's */
    assert_false(minisign_key_parse(text, &k));
    strcpy(text, key_text);
    text[20] = '-';
    assert_false(minisign_key_parse(text, &k));
    assert_false(
        minisign_key_parse("RWQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &k));
}

/* ---- what the warden opens ---- */

struct place {
    char dir[32], plugin[64], sig[80];
    struct made_key anna, eve;
    struct grant_plugin g;
};

static void write_plugin(const struct place *p, const char *text)
{
    FILE *f = fopen(p->plugin, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(p->plugin, 0644), 0);
}

static int place_make(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    strcpy(p->dir, "/tmp/clan-signed-XXXXXX");
    if (sodium_init() < 0 || !mkdtemp(p->dir))
        return -1;
    snprintf(p->plugin, sizeof p->plugin, "%s/x.so", p->dir);
    snprintf(p->sig, sizeof p->sig, "%s.minisig", p->plugin);
    make_key(&p->anna, 7);
    make_key(&p->eve, 8);
    strcpy(p->g.id, "x");
    strcpy(p->g.file, "x.so");
    write_plugin(p, "version one");
    *state = p;
    return 0;
}

static int place_remove(void **state)
{
    struct place *p = *state;
    unlink(p->plugin);
    unlink(p->sig);
    int left = rmdir(p->dir);
    free(p);
    return left;
}

static void opens(const struct place *p, bool require, const char *refused)
{
    struct clan_error e = CLAN_ERROR_INIT;
    int fd = slot_plugin(p->dir, &p->g, require, &e);
    if (fd >= 0)
        close(fd);
    if ((fd >= 0) != (refused == NULL))
        fail_msg("%s: %s: %s", refused ? refused : "should open", e.what, e.why);
    if (refused && !strstr(e.what, refused) && !strstr(e.why, refused))
        fail_msg("no \"%s\" in %s: %s", refused, e.what, e.why);
    if (refused)
        assert_true(e.status == CLAN_E_GRANT && e.remedy[0]);
}

static void bound_to_a_signer(void **state)
{
    struct place *p = *state;
    if (geteuid() != 0)
        skip(); /* the directory has to be root's */
    opens(p, false, "neither a file nor a signer");
    memcpy(p->g.signer, p->anna.public, 32);
    opens(p, false, "no signature");
    assert_int_equal(make_signature(&p->anna, p->plugin, "one"), 0);
    opens(p, false, NULL);
    opens(p, true, NULL);
    write_plugin(p, "version two"); /* tampered with, or not signed yet */
    opens(p, false, "not by the key");
    assert_int_equal(make_signature(&p->eve, p->plugin, "two"), 0);
    opens(p, false, "not by the key");
    assert_int_equal(make_signature(&p->anna, p->plugin, "two"), 0);
    opens(p, true, NULL); /* a new version, no new question */
    assert_int_equal(truncate(p->sig, 40), 0);
    opens(p, false, "signature file cannot be used");
    FILE *f = fopen(p->sig, "w");
    assert_non_null(f);
    fputs(legacy, f);
    fclose(f);
    struct clan_error e = CLAN_ERROR_INIT;
    assert_int_equal(slot_plugin(p->dir, &p->g, false, &e), -1);
    assert_non_null(strstr(e.why, "legacy form"));
    assert_non_null(strstr(e.remedy, "minisign -S -H"));
}

static void bound_to_a_file(void **state)
{
    struct place *p = *state;
    if (geteuid() != 0)
        skip();
    crypto_generichash(p->g.hash, 32, (const uint8_t *)"version one", 11, NULL, 0);
    opens(p, false, NULL);
    opens(p, true, "not signed, which machine.yaml requires");
    memcpy(p->g.signer, p->anna.public, 32); /* both have to hold */
    opens(p, true, "no signature");
    assert_int_equal(make_signature(&p->anna, p->plugin, "one"), 0);
    opens(p, true, NULL);
    write_plugin(p, "version two");
    assert_int_equal(make_signature(&p->anna, p->plugin, "two"), 0);
    opens(p, true, "granted");
}

static void links_are_no_signatures(void **state)
{
    struct place *p = *state;
    if (geteuid() != 0)
        skip();
    memcpy(p->g.signer, p->anna.public, 32);
    assert_int_equal(symlink("/dev/zero", p->sig), 0);
    opens(p, false, "no signature");
    unlink(p->sig);
    assert_int_equal(mkfifo(p->sig, 0600), 0);
    opens(p, false, "not signed by whom");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_signature_fits),
        cmocka_unit_test(broken_files_are_refused),
        cmocka_unit_test(keys_are_strict),
        cmocka_unit_test_setup_teardown(bound_to_a_signer, place_make, place_remove),
        cmocka_unit_test_setup_teardown(bound_to_a_file, place_make, place_remove),
        cmocka_unit_test_setup_teardown(links_are_no_signatures, place_make, place_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
