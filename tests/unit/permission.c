/* The vocabulary of permissions: every word has its texts, what nobody enforces is granted to nobody. */
#include "permission/permission.h"

#include "base/error.h"
#include "wire/grants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* DESIGN 9 and SECURITY I5: nothing may fall out of the table. */
static const char *const vocabulary[] = {"fs.state", "net.service", "net.listen",
    "net.listen:overlay", "net.listen:loopback", "net.connect:lan", "net.connect:internet",
    "net.connect:overlay", "net.connect:lan:443", "net.connect:internet:443",
    "net.connect:overlay:443", "fs.read:/srv/music", "fs.share:/srv/music",
    "fs.share:/srv/music:rw", "exec:lighttpd", "api.read", "kvm", "jit", "memory", "cpu", "pids",
    "disk", "net.device", "api.session"};

static void every_word_is_whole(void **state)
{
    (void)state;
    uint32_t seen = 0;
    for (unsigned i = 0; i < perm_word_count; i++) {
        const struct perm_word *w = &perm_words[i];
        assert_true(strlen(w->word) + strlen(w->form) + 2 < PERM_WORD_MAX);
        assert_true(strlen(w->lets) > 10 && strlen(w->never) > 5);
        assert_true(w->lets[strlen(w->lets) - 1] != '.' && w->never[strlen(w->never) - 1] != '.');
        assert_true((w->arg == PERM_NONE) == (w->form[0] == 0));
        assert_true((w->arg == PERM_NONE) == (strchr(w->lets, '@') == NULL));
        assert_true(!w->enforced || w->enforced[0]);
        /* a bit says that somebody looks at it, and belongs to one word */
        assert_true(!w->bit || (w->enforced && !(seen & w->bit)));
        assert_true(!(w->bit & (w->bit - 1)));
        /* what is enforced and is no limit can be held by a grant: a bit, or the list of programs */
        if (w->enforced && w->by != PERM_LIMIT)
            assert_true(w->bit || strcmp(w->word, "exec") == 0);
        seen |= w->bit;
    }
    assert_int_equal(seen, perm_bits());
    assert_int_equal(seen, GRANT_FS_STATE | GRANT_NET_SERVICE | GRANT_NET_LISTEN |
                               GRANT_NET_CONNECT_LAN | GRANT_NET_CONNECT_INTERNET |
                               GRANT_NET_CONNECT_OVERLAY | GRANT_NET_DEVICE | GRANT_API_SESSION);
}

static void the_vocabulary_is_complete(void **state)
{
    (void)state;
    char means[160];
    bool used[64] = {false};
    assert_true(perm_word_count <= 64);
    for (unsigned i = 0; i < sizeof vocabulary / sizeof vocabulary[0]; i++) {
        const struct perm_word *w = perm_find(vocabulary[i], NULL);
        if (!w)
            fail_msg("%s is not in the table", vocabulary[i]);
        used[w - perm_words] = true;
        assert_null(strchr(perm_lets(vocabulary[i], means, sizeof means), '@'));
    }
    for (unsigned i = 0; i < perm_word_count; i++)
        assert_true(used[i]);
}

static const struct {
    const char *text;
    const char *note, *allow; /* part of the refusal, NULL: fine */
} checks[] = {
    {"fs.state", NULL, NULL},
    {"exec:lighttpd", NULL, NULL},
    {"net.connect:overlay", NULL, NULL},
    /* a plugin may wish; nobody can grant what nobody enforces */
    {"kvm", NULL, "kvm is not available in this version"},
    {"jit", NULL, "not available"},
    {"api.read", NULL, "not available"},
    {"fs.read:/srv", NULL, "fs.read:/srv is not available"},
    {"net.listen:overlay", NULL, "not available"},
    {"net.connect:lan:22", NULL, "not available"},
    {"fs.share:/srv", "only the owner chooses", "not available"},
    {"memory", "the owner sets it", "write \"memory: SIZE\" beside"},
    {"memory:1G", "the owner sets it", "is a limit"},
    {"fs.stat", "did you mean \"fs.state\"", "did you mean \"fs.state\""},
    {"exce:lighttpd", "did you mean \"exec:PROFILE\"", "did you mean \"exec:PROFILE\""},
    {"net.conect:lan", "did you mean \"net.connect:lan", "did you mean \"net.connect:lan"},
    {"net.admin", "is no permission", "is no permission"},
    {"api.admin", "is no permission", "is no permission"},
    {"", "is no permission", "is no permission"},
    {"exec:", "is no permission", "is no permission"},
    {"exec:/bin/sh", "is no permission", "is no permission"},
    {"exec:a-name-that-is-longer-than-31-by", "is no permission", "is no permission"},
    {"exec", "is no permission", "is no permission"},
    {"fs.state:x", "is no permission", "is no permission"},
    {"fs.read:srv", "is no permission", "is no permission"},
    {"fs.read:/srv/../etc", "is no permission", "is no permission"},
    {"fs.read:/srv/..", "is no permission", "is no permission"},
    {"net.connect:lan:0", "is no permission", "is no permission"},
    {"net.connect:lan:65536", "is no permission", "is no permission"},
    {"net.connect:lan:022", "is no permission", "is no permission"},
    {"net.connect", "is no permission", "is no permission"},
    {"kvm\x1b[2J", "\"kvm?[2J\" is no", "\"kvm?[2J\" is no"},
};

static void check_one(const char *text, enum perm_place place, const char *want)
{
    char why[160] = "";
    bool ok = perm_check(text, place, why, sizeof why);
    if (ok != (want == NULL) || (want && !strstr(why, want)))
        fail_msg("%s (%d): wanted %s, got %s", text, place, want ? want : "yes", ok ? "yes" : why);
}

static void words_are_judged(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        check_one(checks[i].text, PERM_IN_NOTE, checks[i].note);
        check_one(checks[i].text, PERM_IN_ALLOW, checks[i].allow);
        assert_true(checks[i].allow == NULL || perm_bit(checks[i].text) == 0);
    }
    /* cap and cap + 1 of a word */
    char text[PERM_WORD_MAX + 1] = "fs.read:/";
    memset(text + 9, 'a', PERM_WORD_MAX - 1 - 9);
    text[PERM_WORD_MAX - 1] = 0;
    assert_non_null(perm_find(text, NULL));
    text[PERM_WORD_MAX - 1] = 'a';
    text[PERM_WORD_MAX] = 0;
    assert_null(perm_find(text, NULL));
}

static void words_read_well(void **state)
{
    (void)state;
    char text[160];
    assert_string_equal(perm_lets("exec:lighttpd", text, sizeof text),
        "run the program lighttpd, in a sandbox of its own");
    assert_string_equal(
        perm_lets("fs.state", text, sizeof text), "keep files in a directory of its own");
    assert_non_null(strstr(perm_lets("teleport", text, sizeof text), "does not know"));
}

/* A file of grants with a bit that this version does not enforce is refused as a whole. */
static void unenforced_bits_are_damage(void **state)
{
    (void)state;
    char dir[] = "/tmp/clan-grants-XXXXXX", path[64];
    struct grants *g = calloc(1, sizeof *g), *got = calloc(1, sizeof *got);
    struct clan_error e = CLAN_ERROR_INIT;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/grants", dir);
    g->magic = GRANTS_MAGIC;
    g->version = GRANTS_VERSION;
    g->size = sizeof *g;
    g->plugin_count = 1;
    strcpy(g->plugins[0].id, "files");
    g->plugins[0].permissions = perm_bits();
    assert_int_equal(grants_store(path, g, &e), CLAN_OK);
    assert_int_equal(grants_load(path, false, got, &e), CLAN_OK);
    assert_true(grants_has(&got->plugins[0], "fs.state"));
    assert_false(grants_has(&got->plugins[0], "kvm"));
    assert_false(grants_has(&got->plugins[0], "exec:lighttpd"));
    g->plugins[0].permissions |= perm_bits() + 1;
    assert_int_equal(grants_store(path, g, &e), CLAN_OK);
    assert_int_equal(grants_load(path, false, got, &e), CLAN_E_INVAL);
    remove(path);
    remove(dir);
    free(g);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_is_whole),
        cmocka_unit_test(the_vocabulary_is_complete),
        cmocka_unit_test(words_are_judged),
        cmocka_unit_test(words_read_well),
        cmocka_unit_test(unenforced_bits_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
