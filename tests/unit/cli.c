/* The command line against a core that the test plays: parsing, help, JSON, and what is shown. */
#include "base/clock.h"
#include "base/text.h"

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

/* ---- the table ---- */

static void table_is_sound(void **state)
{
    (void)state;
    for (unsigned i = 0; i < cli_command_count; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        assert_ptr_equal(cli_find(cmd->name), cmd);
        assert_true(cmd->sentence[0] && cmd->examples[0] && cmd->run);
        assert_true(cmd->args_max <= CLI_ARGS_MAX);
        for (const struct cli_option *o = cmd->options; o && o->name; o++) {
            assert_true(o->means[0]);
            for (const struct cli_option *g = cli_globals; g->name; g++)
                assert_string_not_equal(o->name, g->name);
            for (const struct cli_option *p = cmd->options; p < o; p++) {
                assert_string_not_equal(o->name, p->name);
                assert_true(!o->letter || o->letter != p->letter);
            }
        }
    }
}

/* Every line of every example is a command line that parses, and is of its command. */
static void examples_parse(void **state)
{
    (void)state;
    for (unsigned i = 0; i < cli_command_count; i++) {
        char text[1024], *save, *line_save, *argv[32];
        strcpy(text, cli_commands[i].examples);
        for (char *line = strtok_r(text, "\n", &line_save); line;
             line = strtok_r(NULL, "\n", &line_save)) {
            struct cli *c = calloc(1, sizeof *c);
            int argc = 0;
            bool quoted = false;
            for (char *p = line; *p; p++) {
                quoted ^= *p == '"';
                if (quoted && *p == ' ')
                    *p = '_';
            }
            line[strcspn(line, "<>;")] = 0;
            for (char *w = strtok_r(line, " ", &save); w; w = strtok_r(NULL, " ", &save))
                if (strcmp(w, "sudo") != 0)
                    argv[argc++] = w;
            assert_string_equal(argv[0], "clan");
            if (cli_parse(c, argc - 1, argv + 1) != CLAN_OK)
                fail_msg("example of %s: %s", cli_commands[i].name, c->e.what);
            /* the first of several may prepare: `clan config show > f; clan config apply f` */
            if (!strstr(cli_commands[i].examples, "; "))
                assert_ptr_equal(c->command, &cli_commands[i]);
            free(c);
        }
    }
}

static void parsing(void **state)
{
    (void)state;
    static const struct {
        const char *words;
        int code;
        const char *says;
    } rows[] = {
        {"version", 0, ""},
        {"--json version", 0, ""},
        {"version --json", 0, ""},
        {"--color never version", 0, ""},
        {"--color=always version", 0, ""},
        {"--color blue version", 2, "auto, never or always"},
        {"foo", 2, "no command foo"},
        {"statsu", 2, "did you mean `clan status`"},
        {"machine aply", 2, "no command aply"},
        {"machine", 0, ""},
        {"invite --usse 3", 2, "did you mean `--uses`"},
        {"invite --uses", 2, "needs a value"},
        {"invite --uses 0", 2, "from 1 to 1000"},
        {"invite --uses 1001", 2, "from 1 to 1000"},
        {"invite --uses -3", 2, "from 1 to 1000"},
        {"invite --expires soon", 2, "30m, 1h or 7d"},
        {"invite --expires 400d", 2, "at most a year"},
        {"invite --for Nas", 2, "cannot be the name"},
        {"invite --uses 1 --uses 2", 2, "given twice"},
        {"invite --yes=1", 2, "takes no value"},
        {"invite extra", 2, "takes less"},
        {"ping", 2, "needs more"},
        {"ping nas -c x", 2, "from 1 to"},
        {"ping -c1 nas -q -x", 2, "unknown option -x"},
        {"ping -- -nas", 4, "not running"},
        {"completion tcsh", 2, "bash, zsh and fish"},
        {"help nothing", 2, "no command nothing"},
        {"a b c d e f g h i j k l m n o p q r", 2, ""},
        {"--clan A status", 2, "not a name"},
        {"--clan new status", 2, "not a name"},
        {"up --name -x", 2, "cannot be the name"},
        {"up --name abcdefghijklmnopqrstuvwxyzabcdefg", 2, "cannot be the name"},
        {"config show 0", 2, "not a version"},
        {"config diff 1 x", 2, "not a version"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int code = run(rows[i].words);
        if (code != rows[i].code)
            fail_msg("%s: exit %d: %s", rows[i].words, code, said.err);
        assert_has(said.err, rows[i].says);
        assert_true((code == 0) == (said.err[0] == 0));
    }
}

/* Golden texts: made again with CLAN_GOLDEN=write, then read in the commit's diff. */
static void golden(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/unit/cli/%s.txt", CLAN_TEST_DIR, name);
    const char *mode = getenv("CLAN_GOLDEN");
    FILE *f = fopen(path, mode ? "w" : "r");
    assert_non_null(f);
    if (mode) {
        fputs(said.out, f);
    } else {
        static char want[65536];
        size_t n = fread(want, 1, sizeof want - 1, f);
        want[n] = 0;
        assert_string_equal(said.out, want);
    }
    fclose(f);
}

static void help_texts(void **state)
{
    (void)state;
    setenv("COLUMNS", "60", 1);
    assert_int_equal(run("help"), 0);
    assert_true(widest(said.out) <= 60);
    golden("help-60");
    assert_int_equal(run("help enable"), 0);
    golden("help-enable-60");
    char *by_help = strdup(said.out);
    assert_int_equal(run("enable --help"), 0);
    assert_string_equal(said.out, by_help);
    free(by_help);
    setenv("COLUMNS", "100", 1);
    assert_int_equal(run("help"), 0);
    assert_true(widest(said.out) <= 100);
    assert_int_equal(run("help config"), 0);
    assert_has(said.out, "config apply");
    for (unsigned i = 0; i < cli_command_count; i++) {
        char words[64];
        snprintf(words, sizeof words, "help %s", cli_commands[i].name);
        assert_int_equal(run(words), 0);
        assert_true(strstr(said.out, "Examples") < strstr(said.out, "Usage"));
    }
    for (const char *const *shell = (const char *const[]){"bash", "zsh", "fish", NULL}; *shell;
         shell++) {
        char words[64];
        snprintf(words, sizeof words, "completion %s", *shell);
        assert_int_equal(run(words), 0);
        assert_has(said.out, "withdraw");
        assert_has(said.out, "dry-run");
    }
}

static void not_running(void **state)
{
    (void)state;
    assert_int_equal(run("status"), 4);
    assert_has(said.err, "cland is not running");
    assert_has(said.err, "why:");
    assert_has(said.err, "do:");
    assert_int_equal(run("--json status"), 4);
    json_t *o = json_of(said.err);
    assert_string_equal(json_text(o, "error", "code"), "NOTRUNNING");
    assert_string_equal(said.out, "");
    json_decref(o);
    fake_listen(&fake, "new");
    assert_int_equal(run("status"), 4);
    assert_has(said.err, "no clan is running");
    assert_int_equal(run("--clan home status"), 4);
    assert_has(said.err, "clan home is not running");
}

static void several_clans(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    fake_listen(&fake, "work");
    fake_start(&fake);
    strcpy(fake.status.machine, "nas");
    assert_int_equal(run("status"), 2);
    assert_has(said.err, "home, work");
    assert_int_equal(run("--clan work status"), 0);
}

/* ---- status ---- */

static void status_json(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    example_status();
    fake_start(&fake);
    assert_int_equal(run("status --json"), 0);
    json_t *o = json_of(said.out), *health = json_object_get(o, "health"),
           *machines = json_object_get(o, "machines");
    assert_string_equal(json_text(o, "machine", NULL), "nas");
    assert_int_equal(json_integer_value(json_object_get(o, "config_version")), 7);
    assert_int_equal(json_array_size(health), 2);
    assert_string_equal(json_text(json_array_get(health, 0), "severity", NULL), "alarm");
    assert_int_equal(json_array_size(machines), 3);
    assert_string_equal(
        json_text(json_array_get(machines, 1), "path", NULL), "tcp-noise 192.168.1.7:7117");
    assert_int_equal(strlen(json_text(json_array_get(machines, 1), "id", NULL)), TEXT_ID_CHARS);
    assert_true(json_is_null(json_object_get(json_array_get(machines, 1), "last_seen")));
    json_decref(o);
    assert_int_equal(run("machines --json"), 0);
    json_decref(json_of(said.out));
    assert_int_equal(run("services --json"), 0);
    json_decref(json_of(said.out));
}

static void status_text(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    example_status();
    fake_start(&fake);
    for (unsigned width = 60; width <= 100; width += 40) {
        char columns[8];
        snprintf(columns, sizeof columns, "%u", width);
        setenv("COLUMNS", columns, 1);
        assert_int_equal(run("status"), 0);
        assert_true(widest(said.out) <= width);
        assert_true(
            strstr(said.out, "alarm") < strstr(said.out, "in clan home")); /* health first */
        assert_has(said.out, "seen 2 hours ago");
        assert_has(said.out, "118 MiB");
        assert_null(strchr(said.out, '\033'));
    }
    assert_int_equal(run("--color always status"), 0);
    assert_has(said.out, "\033[31m");
    setenv("NO_COLOR", "1", 1);
    assert_int_equal(run("status"), 0);
    assert_null(strchr(said.out, '\033'));
    unsetenv("NO_COLOR");
}

/* Whatever the daemon passes on, no control character reaches the terminal. */
static void sanitised(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    example_status();
    strcpy(fake.machines[1].path, "\033]0;owned\007 \xc2\x9b"
                                  "31m");
    strcpy(fake.health[0].what, "two\nlines \033[2J");
    strcpy(fake.refuse.what, "\033[1mno");
    fake.refuse_tag = clan_api_Request_services_tag;
    fake.refuse.status = CLAN_E_STATE;
    fake_start(&fake);
    assert_int_equal(run("status"), 0);
    assert_null(strchr(said.out, '\033'));
    assert_null(strchr(said.out, '\007'));
    assert_null(strstr(said.out, "\xc2\x9b"));
    assert_has(said.out, "two?lines");
    assert_int_equal(run("services"), 6);
    assert_null(strchr(said.err, '\033'));
}

/* ---- ping, logs, machine ---- */

static void ping_refused(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    strcpy(fake.ping.machine, "nas");
    fake.ping.connected = true;
    strcpy(fake.ping.refusal, "you are provisional here");
    fake_start(&fake);
    assert_int_equal(run("ping nas"), 5);
    assert_has(said.err, "you are provisional here");
    fake.ping.refusal[0] = 0;
    fake.ping.connected = false;
    assert_int_equal(run("ping nas"), 4);
    assert_has(said.err, "not reachable");
}

static void logs_merge(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text;
    } files[] = {
        {"home-core.log.1", "2026-01-01T00:00:01.000Z home core[7]: one\n"},
        {"home-core.log", "2026-01-01T00:00:03.000Z home core[7]: three\n"
                          "2026-01-01T00:00:05.000Z home core[7]: error: \033[2Jfive\n"},
        {"home-host-files.log", "2026-01-01T00:00:04.000Z home host-files[9]: four\n"},
        {"cland.log", "2026-01-01T00:00:02.000Z cland[1]: two\n"},
        {"work-core.log", "2026-01-01T00:00:02.500Z work core[8]: other\n"},
        {"notes.txt", "2026-01-01T00:00:00.000Z no log\n"},
    };
    char dir[128], path[300];
    setenv("CLAN_STATE_DIR", home, 1);
    assert_int_equal(run("logs"), 2);
    snprintf(dir, sizeof dir, "%s/log", home);
    mkdir(dir, 0700);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, files[i].file);
        FILE *f = fopen(path, "w");
        fputs(files[i].text, f);
        fclose(f);
    }
    assert_int_equal(run("logs"), 0);
    const char *order[] = {": one", ": two", ": other", ": three", ": four", "five"};
    const char *at = said.out;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
    }
    assert_null(strchr(said.out, '\033'));
    assert_null(strstr(said.out, "no log"));
    assert_int_equal(run("logs --clan home"), 0);
    assert_null(strstr(said.out, "other"));
    assert_has(said.out, "two");
    assert_int_equal(run("logs -p host-files"), 0);
    assert_int_equal(widest(said.out), strlen("2026-01-01T00:00:04.000Z home host-files[9]: four"));
    assert_int_equal(run("logs -p core -n 1"), 0);
    assert_has(said.out, "five");
    assert_null(strstr(said.out, "three"));
    assert_int_equal(run("logs -p nobody"), 2); /* a mistyped name is no empty log */
    assert_has(said.err, "nobody");
    unsetenv("CLAN_STATE_DIR");
}

static void closed_connection(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    fake.context.config_version = 1;
    fake_start(&fake);
    assert_int_equal(run("enable files --on nas --yes"), 6);
    assert_int_equal(run("leave"), 2);
    assert_has(said.err, "final");
    assert_int_equal(run("leave --yes"), 0);
    assert_int_equal(fake.last_tag, clan_api_Request_leave_tag);
    assert_int_equal(run("down --json"), 0);
    json_decref(json_of(said.out));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, run_set_up, run_tear_down)
    const struct CMUnitTest tests[] = {
        T(table_is_sound),
        T(examples_parse),
        T(parsing),
        T(help_texts),
        T(not_running),
        T(several_clans),
        T(status_json),
        T(status_text),
        T(sanitised),
        T(ping_refused),
        T(logs_merge),
        T(closed_connection),
    };
    setlocale(LC_CTYPE, "C");
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
