/* What pages may have signed, what dialogs may show, who opens links, and questions in a row. */
#include "base/clock.h"
#include "base/loop.h"
#include "cli/desktop.h"
#include "cli/signwords.h"
#include "cli/uihost.h"
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

/* ---- the white list ---- */

static bool may(const char *line, bool text)
{
    char copy[2600], *save;
    const char *words[32];
    unsigned count = 0;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        words[count++] = w;
    return signwords_find(words, count, text) != NULL;
}

static void words_that_are_signed(void **state)
{
    static const char *const good[] = {"enable files", "enable files --on nas --as photos",
        "enable files --allow laptop,tag:family", "enable --on nas files", "disable files",
        "invite", "invite --for laptop --uses 3 --expires 2h", "invite withdraw q5kd7mza",
        "remove laptop", "machines rename m-q5kd7mza laptop",
        "enable files --set title=Photos --set read_only=true", "enable files --set title="};
    static const char *const bad[] = {"", "enable", "enable files photos", "enable files --on",
        "enable files --key k", "enable files --yes", "enable files -y", "enable files --dry-run",
        "enable files --plugin-dir /tmp", "enable files --forget-signed", "enable files --on=nas",
        "enable files --on nas --on pi", "enable ../files", "enable files --on --yes",
        "enable files --on -y", "enable files --allow a;b", "enable Files", "enable files\n",
        "enable files\033[8m", "disable", "disable files --key k", "invite laptop",
        "invite --phone", "invite --phone --for pixel", "invite --file /tmp/x", "invite --key k",
        "invite --for laptop --json", "invite list", "invite withdraw", "invite withdraw a b",
        "invite withdraw --key k", "remove laptop --yes", "remove", "machines remove laptop",
        "machines", "machines rename laptop", "machines rename laptop desk --yes",
        "machines rename laptop desk --key k", "machines rename a b c", "config apply",
        "config apply -", "config apply /etc/passwd", "config show", "leave", "down", "up", "join",
        "machine apply", "plugin grant files", "sign", "--yes enable files",
        "enable files --clan other", "enable files --socket-dir /tmp", "enable files --",
        "enable -- files", "enable files --set title", "enable files --set =x",
        "enable files --set --yes=x", "enable files --set title=\033[8m", "enable files --set",
        "invite --set title=x"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!may(good[i], false) || may(good[i], true))
            fail_msg("refused, or taken with a text: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (may(bad[i], false))
            fail_msg("taken: %s", bad[i]);
    assert_true(may("config apply", true));
    assert_true(may("config apply --from 7", true));
    assert_false(may("config apply --from", true));
    assert_false(may("config apply --from 7 --yes", true));
    assert_false(may("config apply -", true));
    assert_false(may("config apply x", true));
    char longest[2600] = "enable ";
    memset(longest + 7, 'a', 127);
    assert_true(may(longest, false));
    memset(longest + 7, 'a', 128);
    assert_false(may(longest, false));
}

/* ---- dialogs ---- */

static void a_safe_alphabet(void **state)
{
    char bad[] = "<b>&amp;\\n`$%\033[1m\xc3\xa4\"#*{}|~^=+@";
    char good[] = "Join the clan home?\n  its words: a-b_c, (anna): 'x' [10.0.0.1]:7117/p!";
    char *before = strdup(good);
    (void)state;
    dialog_safe(bad);
    assert_string_equal(bad, "?b?"
                             "?amp;?n?"
                             "??"
                             "?[1m?"
                             "??"
                             "??"
                             "??"
                             "??"
                             "??"
                             "??");
    dialog_safe(good);
    assert_string_equal(good, before);
    free(before);
}

/* ---- who opens clan: links ---- */

static void put(const char *dir, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void the_handler(void **state)
{
    char file[64], data[128], apps[160];
    (void)state;
    snprintf(data, sizeof data, "%s/share", home);
    snprintf(apps, sizeof apps, "%s/applications", data);
    assert_int_equal(mkdir(data, 0700), 0);
    assert_int_equal(mkdir(apps, 0700), 0);
    setenv("HOME", home, 1);
    setenv("XDG_DATA_HOME", home, 1);
    setenv("XDG_DATA_DIRS", data, 1);
    setenv("XDG_CONFIG_DIRS", data, 1);
    setenv("XDG_CURRENT_DESKTOP", "ubuntu:GNOME:../../x", 1);
    desktop_handler(file);
    assert_string_equal(file, "");
    put(apps, "mimeinfo.cache",
        "[MIME Cache]\ntext/plain=a.desktop;\nx-scheme-handler/clan=lol.desktop;clan.desktop;\n");
    desktop_handler(file);
    assert_string_equal(file, "lol.desktop");
    put(data, "mimeapps.list", "[Default Applications]\nx-scheme-handler/clan=clan.desktop\n");
    desktop_handler(file);
    assert_string_equal(file, "clan.desktop");
    put(home, "mimeapps.list",
        "[Added Associations]\nx-scheme-handler/clan=no.desktop\n[Default Applications]\r\n"
        "x-scheme-handler/clan=mine.desktop;clan.desktop;\r\nx-scheme-handler/clan=late.desktop\n");
    desktop_handler(file);
    assert_string_equal(file, "mine.desktop");
    put(home, "gnome-mimeapps.list", "[Default Applications]\nx-scheme-handler/clan=\033x\n");
    desktop_handler(file);
    assert_string_equal(file, "?x");
    unsetenv("XDG_CURRENT_DESKTOP");
}

/* ---- questions in a row ---- */

static struct cli cli;
static struct uihost host;

static void example_link(uint8_t number, const char *address, struct invite_link *ret)
{
    unsigned a, b, c, d;
    assert_int_equal(sscanf(address, "%u.%u.%u.%u", &a, &b, &c, &d), 4);
    memset(ret, 0, sizeof *ret);
    memset(ret->clan_id, 0xc1, 32);
    ret->seed[0] = number;
    ret->endpoint_count = 1;
    ret->endpoints[0].family = 4;
    ret->endpoints[0].port = 7117;
    strcpy(ret->endpoints[0].transport, LINK_TRANSPORT_USUAL);
    const uint8_t v4[] = {0xff, 0xff, (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d};
    memcpy(ret->endpoints[0].address + 10, v4, sizeof v4);
}

static void host_begin(void)
{
    cli = (struct cli){.run_dir = fake.dir, .quiet = true, .err = stderr};
    memset(&host, 0, sizeof host);
    host.c = &cli;
    host.loop = loop_new();
    assert_non_null(host.loop);
}

static void host_end(void)
{
    uijoin_end(&host);
    loop_free(host.loop);
}

static const char *step(unsigned i)
{
    static clan_api_UiQuestion q;
    uijoin_show(&host, i, &q);
    return q.step;
}

static clan_status act(unsigned i, clan_api_UiJoinAct what, const char *as)
{
    clan_api_UiJoin m = {.id = host.questions[i]->id, .act = what};
    snprintf(m.petname, sizeof m.petname, "%s", as);
    return uijoin_act(&host, &m, &cli.e);
}

/* Runs the loop until the first question is at that step. */
static const char *wanted;
static void look(void *arg)
{
    unsigned *left = arg;
    if (strcmp(step(0), wanted) == 0 || --*left == 0)
        loop_stop(host.loop, 0);
    else
        loop_timer_in(host.loop, 5, look, left);
}
static void until(const char *what)
{
    unsigned left = 2000;
    wanted = what;
    loop_timer_in(host.loop, 0, look, &left);
    loop_run(host.loop);
    assert_string_equal(step(0), what);
}

static void links_wait_in_a_row(void **state)
{
    struct invite_link link;
    (void)state;
    fake_listen(&fake, "new");
    fake_start(&fake);
    host_begin();
    for (uint8_t i = 0; i < UIHOST_QUESTIONS_MAX; i++) {
        example_link(i, "203.0.113.5", &link);
        assert_int_equal(uijoin_add(&host, &link, &cli.e), CLAN_OK);
        assert_int_equal(uijoin_add(&host, &link, &cli.e), CLAN_OK); /* clicked twice */
        assert_int_equal(host.question_count, i + 1);
        assert_string_equal(step(i), i ? "waits" : "ask");
    }
    example_link(99, "203.0.113.5", &link);
    assert_int_equal(uijoin_add(&host, &link, &cli.e), CLAN_E_LIMIT);
    assert_int_equal(act(1, clan_api_UiJoinAct_UI_JOIN_ASK, ""), CLAN_E_STATE);
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_YES, "home"), CLAN_E_STATE);
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_NO, ""), CLAN_OK);
    assert_int_equal(host.question_count, UIHOST_QUESTIONS_MAX - 1);
    assert_string_equal(step(0), "ask");
    assert_int_equal(uijoin_add(&host, &link, &cli.e), CLAN_OK);
    example_link(1, "127.0.0.1", &link);
    assert_int_equal(uijoin_add(&host, &link, &cli.e), CLAN_E_INVAL);
    assert_has(cli.e.what, "refused");
    assert_int_equal(fake.connections, 0); /* nothing acts by itself */
    host_end();
}

/* Each link that comes while the browser starts would open one more page. */
static void one_page_comes_at_a_time(void **state)
{
    static const struct {
        unsigned asked, shown; /* so long ago; shown 0: never */
        bool is;
    } rows[] = {
        {1000, 0, true},      /* a page asks */
        {10000, 0, false},    /* none was opened */
        {10000, 3000, true},  /* the browser starts */
        {3000, 10000, false}, /* the page came, and was closed */
        {50000, 31000, false} /* it never came: its code is no good any more */
    };
    (void)state;
    uint64_t now = clock_mono_ms();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct uihost h = {.asked_ms = now - rows[i].asked};
        h.shown_ms = rows[i].shown ? now - rows[i].shown : 0;
        if (uihost_is_shown(&h) != rows[i].is)
            fail_msg("row %zu", i);
    }
}

static void two_questions_and_a_yes(void **state)
{
    struct invite_link link;
    clan_api_UiQuestion q;
    char text[LINK_TEXT_MAX + 1];
    (void)state;
    fake_listen(&fake, "new");
    fake_listen(&fake, "home"); /* another clan has the name here */
    memset(fake.facts.clan_id, 0xc1, 32);
    strcpy(fake.facts.clan, "home");
    strcpy(fake.facts.inviter, "<b>anna</b>");
    strcpy(fake.facts.suggested_petname, "home");
    strcpy(fake.joined.petname, "home-2");
    fake_start(&fake);
    host_begin();
    example_link(7, "203.0.113.5", &link);
    link_format(&link, text);
    assert_int_equal(uijoin_add(&host, &link, &cli.e), CLAN_OK);
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_ASK, ""), CLAN_OK);
    assert_true(sodium_is_zero(host.questions[0]->link.seed, 16)); /* it went where it has to */
    until("facts");
    assert_string_equal(fake.link, text);
    uijoin_show(&host, 0, &q);
    assert_string_equal(q.facts.inviter, "?b?anna?/b?");
    assert_string_equal(q.facts.suggested_petname, "home-2");
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_YES, "No Name"), CLAN_E_INVAL);
    assert_string_equal(step(0), "facts"); /* another name may do */
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_ASK, ""), CLAN_E_STATE);
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_YES, ""), CLAN_OK);
    assert_false(uijoin_over(&host));
    until("joined");
    assert_string_equal(fake.yes.petname, "home-2");
    assert_false(fake.yes.known_fingerprint);
    assert_true(uijoin_over(&host));
    host_end();
}

static void a_core_that_answers_for_another_clan(void **state)
{
    struct invite_link link;
    clan_api_UiQuestion q;
    (void)state;
    fake_listen(&fake, "new");
    memset(fake.facts.clan_id, 1, 32);
    fake_start(&fake);
    host_begin();
    example_link(7, "203.0.113.5", &link);
    assert_int_equal(uijoin_add(&host, &link, &cli.e), CLAN_OK);
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_ASK, ""), CLAN_OK);
    until("failed");
    uijoin_show(&host, 0, &q);
    assert_has(q.error.what, "another clan");
    assert_int_equal(act(0, clan_api_UiJoinAct_UI_JOIN_YES, ""), CLAN_E_STATE);
    host_end();
}

/* ---- the folder, and who is asked ---- */

static void the_folder_is_the_users_alone(void **state)
{
    char path[DESKTOP_PATH_MAX], runtime[128];
    struct stat st;
    (void)state;
    snprintf(runtime, sizeof runtime, "%s/runtime", home);
    assert_int_equal(mkdir(runtime, 0755), 0);
    chmod(runtime, 0755);
    setenv("XDG_RUNTIME_DIR", runtime, 1); /* open to others: not used */
    assert_int_equal(desktop_run_dir(path, NULL), CLAN_OK);
    assert_null(strstr(path, "runtime"));
    chmod(runtime, 0700);
    assert_int_equal(desktop_run_dir(path, NULL), CLAN_OK);
    assert_has(path, "/runtime/clan");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    chmod(path, 0777);
    assert_int_equal(desktop_run_dir(path, NULL), CLAN_E_PERM);
    unsetenv("XDG_RUNTIME_DIR");
}

static void only_a_person_signs(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    fake_start(&fake);
    assert_int_equal(run("sign --yes"), 2);
    assert_has(said.err, "--yes would sign");
    assert_int_equal(run("sign --watch"), 2);
    assert_has(said.err, "terminal");
    assert_int_equal(fake.requests, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)
    const struct CMUnitTest tests[] = {
        T(words_that_are_signed),
        T(a_safe_alphabet),
        T(the_handler),
        T(links_wait_in_a_row),
        T(one_page_comes_at_a_time),
        T(two_questions_and_a_yes),
        T(a_core_that_answers_for_another_clan),
        T(the_folder_is_the_users_alone),
        T(only_a_person_signs),
    };
    setlocale(LC_CTYPE, "C");
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
