/* The command line against a core that the test plays: parsing, help, JSON, and every refusal. */
#include "cli/cli.h"

#include "base/clock.h"
#include "base/text.h"
#include "cli/fake.h" /* of this folder */
#include "config/config.h"
#include "noise/keys.h"
#include "statement/link.h"

#include <ftw.h>
#include <locale.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct fake fake;
static char home[64];
static char *out, *err; /* of the last run */

static int gone(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int set_up(void **state)
{
    (void)state;
    fake_open(&fake);
    strcpy(home, "/tmp/clan-home-XXXXXX");
    if (!mkdtemp(home))
        return -1;
    setenv("XDG_CONFIG_HOME", home, 1);
    setenv("CLAN_RUN_DIR", fake.dir, 1);
    unsetenv("COLUMNS");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (!fake.thread)
        fake_start(&fake);
    fake_close(&fake);
    nftw(home, gone, 16, FTW_DEPTH | FTW_PHYS);
    free(out);
    free(err);
    out = err = NULL;
    free(fake.body);
    return 0;
}

/* Runs `clan` with words separated by blanks; '_' in a word stands for a blank. */
static int run_with(const char *input, const char *words)
{
    char copy[1024], *argv[32] = {copy}, *save;
    size_t out_size, err_size;
    int argc = 1;
    strcpy(copy, words);
    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        for (char *p = w; *p; p++)
            if (*p == '_')
                *p = ' ';
        argv[argc++] = w;
    }
    free(out);
    free(err);
    FILE *o = open_memstream(&out, &out_size), *e = open_memstream(&err, &err_size);
    FILE *i = fmemopen((void *)(uintptr_t)input, strlen(input) + 1, "r");
    int code = cli_main(argc, argv, o, e, i);
    fclose(o);
    fclose(e);
    fclose(i);
    return code;
}

/* For a debugger: prints what the last run said. */
static void said(int code)
{
    if (getenv("CLAN_SAID"))
        printf("exit %d\n%s%s", code, out, err);
}

static int run(const char *words)
{
    int code = run_with("", words);
    said(code);
    return code;
}

static json_t *json_of(const char *text)
{
    json_error_t e;
    json_t *o = json_loads(text, JSON_DISABLE_EOF_CHECK, &e);
    if (!o)
        fail_msg("not JSON: %s: %s", e.text, text);
    assert_int_equal(json_integer_value(json_object_get(o, "v")), 1);
    return o;
}

static const char *json_text(json_t *o, const char *a, const char *b)
{
    o = json_object_get(o, a);
    return json_string_value(b ? json_object_get(o, b) : o);
}

#define assert_has(text, part)                                                                     \
    do                                                                                             \
        if (!strstr(text, part))                                                                   \
            fail_msg("no \"%s\" in: %s", part, text);                                              \
    while (0)

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
            fail_msg("%s: exit %d: %s", rows[i].words, code, err);
        assert_has(err, rows[i].says);
        assert_true((code == 0) == (err[0] == 0));
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
        fputs(out, f);
    } else {
        static char want[65536];
        size_t n = fread(want, 1, sizeof want - 1, f);
        want[n] = 0;
        assert_string_equal(out, want);
    }
    fclose(f);
}

static unsigned widest(const char *text)
{
    unsigned most = 0, now = 0;
    for (; *text; text++) {
        now = *text == '\n' ? 0 : now + (((unsigned char)*text & 0xc0) != 0x80);
        most = now > most ? now : most;
    }
    return most;
}

static void help_texts(void **state)
{
    (void)state;
    setenv("COLUMNS", "60", 1);
    assert_int_equal(run("help"), 0);
    assert_true(widest(out) <= 60);
    golden("help-60");
    assert_int_equal(run("help enable"), 0);
    golden("help-enable-60");
    char *by_help = strdup(out);
    assert_int_equal(run("enable --help"), 0);
    assert_string_equal(out, by_help);
    free(by_help);
    setenv("COLUMNS", "100", 1);
    assert_int_equal(run("help"), 0);
    assert_true(widest(out) <= 100);
    assert_int_equal(run("help config"), 0);
    assert_has(out, "config apply");
    for (unsigned i = 0; i < cli_command_count; i++) {
        char words[64];
        snprintf(words, sizeof words, "help %s", cli_commands[i].name);
        assert_int_equal(run(words), 0);
        assert_true(strstr(out, "Examples") < strstr(out, "Usage"));
    }
    for (const char *const *shell = (const char *const[]){"bash", "zsh", "fish", NULL}; *shell;
         shell++) {
        char words[64];
        snprintf(words, sizeof words, "completion %s", *shell);
        assert_int_equal(run(words), 0);
        assert_has(out, "withdraw");
        assert_has(out, "dry-run");
    }
}

static void not_running(void **state)
{
    (void)state;
    assert_int_equal(run("status"), 4);
    assert_has(err, "cland is not running");
    assert_has(err, "why:");
    assert_has(err, "do:");
    assert_int_equal(run("--json status"), 4);
    json_t *o = json_of(err);
    assert_string_equal(json_text(o, "error", "code"), "NOTRUNNING");
    assert_string_equal(out, "");
    json_decref(o);
    fake_listen(&fake, "new");
    assert_int_equal(run("status"), 4);
    assert_has(err, "no clan is running");
    assert_int_equal(run("--clan home status"), 4);
    assert_has(err, "clan home is not running");
}

static void several_clans(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    fake_listen(&fake, "work");
    fake_start(&fake);
    strcpy(fake.status.machine, "nas");
    assert_int_equal(run("status"), 2);
    assert_has(err, "home, work");
    assert_int_equal(run("--clan work status"), 0);
}

/* ---- status ---- */

static void example_status(void)
{
    clan_api_Status *s = &fake.status;
    strcpy(s->version, "0.1.0");
    strcpy(s->petname, "home");
    strcpy(s->clan, "home");
    strcpy(s->machine, "nas");
    strcpy(s->standing, "member");
    s->config_version = 7;
    s->machines = 3;
    s->reachable = 2;
    s->services = 1;
    s->config_readable = s->keeper = true;
    s->address[0] = 0xfd;
    fake.health_count = 2;
    fake.health[0] = (clan_api_Health){.severity = 2,
        .code = "clone",
        .what = "the machine laptop runs twice: two records with one number",
        .remedy = "clan remove laptop"};
    fake.health[1] = (clan_api_Health){.severity = 0,
        .code = "one-admin",
        .what = "one admin: if this key is lost nobody can change the clan"};
    fake.machine_count = 3;
    clan_api_Machine *m = fake.machines;
    strcpy(m[0].name, "nas");
    strcpy(m[0].standing, "member");
    m[0].self = m[0].keeper = true;
    strcpy(m[1].name, "laptop");
    strcpy(m[1].standing, "member");
    m[1].connected = true;
    strcpy(m[1].path, "tcp-noise 192.168.1.7:7117");
    m[1].rtt_us = 420;
    m[1].rx_bytes = 123456789;
    m[1].tx_bytes = 1500;
    m[1].tags_count = 1;
    strcpy(m[1].tags[0], "family");
    strcpy(m[2].name, "m-q5kd7mza");
    strcpy(m[2].standing, "provisional");
    m[2].last_seen = clock_wall_s() - 7200;
    for (unsigned i = 0; i < 3; i++)
        memset(m[i].id, (int)i + 1, 32);
    for (unsigned i = 1; i < 3; i++) {
        m[i].invite_id.size = 16;
        memset(m[i].invite_id.bytes, 7, 16);
    }
}

static void status_json(void **state)
{
    (void)state;
    fake_listen(&fake, "home");
    example_status();
    fake_start(&fake);
    assert_int_equal(run("status --json"), 0);
    json_t *o = json_of(out), *health = json_object_get(o, "health"),
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
    json_decref(json_of(out));
    assert_int_equal(run("services --json"), 0);
    json_decref(json_of(out));
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
        assert_true(widest(out) <= width);
        assert_true(strstr(out, "alarm") < strstr(out, "in clan home")); /* health first */
        assert_has(out, "seen 2 hours ago");
        assert_has(out, "118 MiB");
        assert_null(strchr(out, '\033'));
    }
    assert_int_equal(run("--color always status"), 0);
    assert_has(out, "\033[31m");
    setenv("NO_COLOR", "1", 1);
    assert_int_equal(run("status"), 0);
    assert_null(strchr(out, '\033'));
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
    assert_null(strchr(out, '\033'));
    assert_null(strchr(out, '\007'));
    assert_null(strstr(out, "\xc2\x9b"));
    assert_has(out, "two?lines");
    assert_int_equal(run("services"), 6);
    assert_null(strchr(err, '\033'));
}

/* ---- a clan with its admin key ---- */

static uint8_t admin_public[32], admin_secret[64];

static void key_path(char ret[256])
{
    snprintf(ret, 256, "%s/clan/home-admin.key", home);
}

/* A file as `clan up` writes it. */
static void write_key(const char *path, uint8_t fill, mode_t mode)
{
    uint8_t entropy[16], seed[32];
    char pub[64], secret[32], dir[128];
    memset(entropy, fill, sizeof entropy);
    keys_admin_seed(entropy, seed);
    keys_sign_pair(seed, admin_secret, admin_public);
    text_base32(admin_public, 32, pub);
    text_base32(entropy, 16, secret);
    snprintf(dir, sizeof dir, "%s/clan", home);
    mkdir(dir, 0700);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "# comment\nclan-admin-key v1\npublic ed25519:%s\nentropy %s\n", pub, secret);
    fclose(f);
    chmod(path, mode);
}

static void example_clan(void)
{
    char path[256];
    uint8_t machine[32];
    clan_api_Context *x = &fake.context;
    key_path(path);
    write_key(path, 1, 0600);
    memset(machine, 1, sizeof machine);
    example_status();
    char *first;
    size_t first_size;
    assert_int_equal(
        config_clan_first("home", "anna", admin_public, machine, "nas", &first, &first_size),
        CLAN_OK);
    assert_int_equal(
        config_edit_version(first, first_size, 2, &fake.body, &fake.body_size, NULL), CLAN_OK);
    free(first);
    memset(x->clan_id, 0xc1, 32);
    strcpy(x->clan, "home");
    strcpy(x->petname, "home");
    strcpy(x->machine, "nas");
    memcpy(x->machine_id, machine, 32);
    x->config_version = 2;
    memset(x->config_id, 0xe2, 32);
    x->threshold = 1;
    x->admin_keys_count = x->admin_names_count = 1;
    memcpy(x->admin_keys[0], admin_public, 32);
    strcpy(x->admin_names[0], "anna");
    crypto_generichash(x->body_hash, 32, (const uint8_t *)fake.body, fake.body_size, NULL, 0);
    x->body_size = (uint32_t)fake.body_size;
    x->endpoints_count = 4;
    strcpy(x->endpoints[0], "127.0.0.1:7117");
    strcpy(x->endpoints[1], "tcp-noise:203.0.113.5:7117");
    strcpy(x->endpoints[2], "[2001:db8::1]:7118");
    strcpy(x->endpoints[3], "198.51.100.1:1");
    fake_listen(&fake, "home");
}

static void submitted(unsigned index, struct stmt *ret)
{
    assert_true(fake.submitted_count > index);
    assert_int_equal(
        stmt_parse(fake.submitted[index], fake.submitted_size[index], ret, NULL), CLAN_OK);
    assert_true(stmt_signed_by(ret, admin_public));
}

static void invite_makes_a_link(void **state)
{
    (void)state;
    struct stmt s;
    struct stmt_invitation body;
    struct invite_link link;
    uint8_t secret[64], pub[32], x25519[32], id[16];
    char endpoint[64];
    example_clan();
    fake_start(&fake);
    assert_int_equal(run("invite --json --for laptop --uses 3 --expires 2h"), 0);
    json_t *o = json_of(out);
    submitted(0, &s);
    assert_int_equal(s.seq, 1);
    assert_memory_equal(s.author, admin_public, 32);
    assert_memory_equal(s.clan, fake.context.clan_id, 32);
    assert_int_equal(stmt_get_invitation(&s, &body), CLAN_OK);
    assert_int_equal(body.state, STMT_INVITE_OPEN);
    assert_int_equal(body.uses, 3);
    assert_int_equal(body.expires - body.created, 7200);
    assert_int_equal(body.config_version, 2);
    assert_string_equal(body.for_name, "laptop");
    /* the link's seed is the statement's key */
    assert_int_equal(link_parse(json_text(o, "link", NULL), &link, NULL), CLAN_OK);
    keys_invite(link.seed, secret, pub, x25519);
    assert_memory_equal(pub, body.public_key, 32);
    assert_memory_equal(x25519, body.x25519, 32);
    assert_memory_equal(link.clan_id, fake.context.clan_id, 32);
    assert_int_equal(link.floor_version, 2);
    assert_memory_equal(link.floor_hash, fake.context.config_id, 16);
    assert_int_equal(link.endpoint_count, 2); /* loopback left out, two at most */
    link_endpoint_text(&link, 0, endpoint);
    assert_string_equal(endpoint, "203.0.113.5:7117");
    link_endpoint_text(&link, 1, endpoint);
    assert_string_equal(endpoint, "[2001:db8::1]:7118");
    json_decref(o);

    /* withdrawing repeats the same body, closed, with the next number */
    char words[64], text[32];
    keys_invite_id(pub, id);
    text_base32(id, 16, text);
    snprintf(words, sizeof words, "invite withdraw %.8s", text);
    assert_int_equal(run(words), 0);
    struct stmt closed;
    struct stmt_invitation again;
    submitted(1, &closed);
    assert_int_equal(closed.seq, 2);
    assert_int_equal(stmt_get_invitation(&closed, &again), CLAN_OK);
    assert_int_equal(again.state, STMT_INVITE_CLOSED);
    again.state = STMT_INVITE_OPEN;
    assert_memory_equal(&again, &body, sizeof body);
    assert_int_equal(run("invite withdraw aaaaaaaa"), 2);
    assert_int_equal(run("invite withdraw aa"), 2);

    assert_int_equal(run("invite"), 0);
    assert_int_equal(strncmp(out, LINK_PREFIX, strlen(LINK_PREFIX)), 0);
    assert_has(out, "Good for 1 use,");
    char *line_end = strchr(out, '\n');
    *line_end = 0;
    assert_int_equal(link_parse(out, &link, NULL), CLAN_OK);
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
    assert_has(err, "open to others");
    assert_has(err, "chmod 600");
    unlink(path);
    assert_int_equal(run("invite"), 3);
    assert_has(err, "needs an admin key");
    write_key(path, 2, 0600); /* somebody else's */
    assert_int_equal(run("invite"), 3);
    assert_has(err, "no admin key of the clan");
    FILE *f = fopen(path, "w");
    fputs("hello\n", f);
    fclose(f);
    chmod(path, 0600);
    assert_int_equal(run("invite"), 2);
    assert_has(err, "not an admin key");
    write_key(path, 1, 0600);

    /* a large invitation is a matter of M admins */
    fake.context.threshold = 2;
    fake.context.admin_keys_count = 2;
    memset(fake.context.admin_keys[1], 9, 32);
    assert_int_equal(run("invite --uses 5"), 0);
    assert_int_equal(run("invite --uses 6"), 3);
    assert_has(err, "signatures of 2 admins");
    assert_int_equal(run("invite --expires 25h"), 3);
    fake.context.threshold = 1;
    assert_int_equal(run("invite --uses 6"), 0);

    fake.context.endpoints_count = 1;
    unsigned before = fake.submitted_count;
    assert_int_equal(run("invite"), 4);
    assert_has(err, "no address");
    assert_int_equal(fake.submitted_count, before); /* nothing is signed away for nothing */
    fake.context.endpoints_count = 4;
    fake.refuse.status = CLAN_E_STALE;
    strcpy(fake.refuse.what, "not caught up yet");
    fake.refuse_tag = clan_api_Request_submit_tag;
    assert_int_equal(run("invite --json"), 6);
    assert_string_equal(out, ""); /* no link that nobody knows */
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
    assert_has(err, "--yes");
    assert_has(out, "+  files:");
    assert_int_equal(fake.submitted_count, 0);
    assert_int_equal(run("enable files --on nas --dry-run"), 0);
    assert_int_equal(fake.submitted_count, 0);
    assert_int_equal(run("enable files --on nowhere --yes"), 2);
    /* a machine named by its invitation is written into machines: along with the service */
    assert_int_equal(run("enable files --on laptop --allow nas --dry-run"), 0);
    assert_has(out, "{name: laptop}");
    assert_has(out, "+version: 3");
    assert_int_equal(run("enable files --on nas --allow m-q5kd7mza --dry-run"), 2); /* a guest */
    assert_int_equal(run("enable files --on nas --yes"), 0);
    assert_has(out, "http://files.home.clan/");
    assert_has(err, "acknowledged by 2 of 3; not yet: laptop is off");
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
    json_t *o = json_of(strrchr(out, '{') ? strstr(out, "{\"v\":1,\"service\"") : out);
    assert_string_equal(json_text(o, "url", NULL), "http://files.home.clan/");
    assert_int_equal(json_integer_value(json_object_get(o, "acknowledged")), 2);
    json_decref(o);
    assert_int_equal(run("enable photos --on nas --yes"), 6);
    assert_has(err, "signed another version 3");
    assert_int_equal(fake.submitted_count, 2);
    assert_int_equal(run("enable photos --on nas --yes --forget-signed"), 0);
    submitted(2, &s);
    assert_int_not_equal(memcmp(s.id, id, 32), 0);
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
    assert_has(err, "removed key never returns");
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
    assert_int_equal(strlen(out), fake.body_size);
    FILE *f = fopen(path, "w");
    fprintf(f, "%s# a comment\n", out);
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
    assert_has(err, "version 6 is next");
    f = fopen(path, "w");
    fputs("version: 3\nclan: home\nnme: x\nadmins: 3\n", f);
    fclose(f);
    snprintf(words, sizeof words, "config check %s", path);
    assert_int_equal(run(words), 2);
    assert_has(err, "clan.yaml:3:1");
    snprintf(words, sizeof words, "--json config check %s", path);
    assert_int_equal(run(words), 2);
    json_t *o = json_of(out);
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
    assert_has(err, "clan leave");
    strcpy(fake.invitations[0].state, "open");
    strcpy(fake.invitations[0].for_name, "desk");
    fake.invitations[0].uses = 3;
    fake.invitations[0].used = 1;
    strcpy(fake.invitations[1].state, "expired");
    fake.invitation_count = 2;
    assert_int_equal(run("remove laptop"), 2);
    assert_has(err, "m-q5kd7mza"); /* came by the same invitation */
    assert_has(err, "clan invite --for desk --uses 2");
    assert_null(strstr(strstr(err, "clan invite") + 1, "clan invite")); /* only what is open */
    assert_has(err, "--yes");
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
    assert_has(err, "keeper");
}

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
    assert_has(err, "not an invitation link");
    assert_int_equal(run_with("", "join -"), 2);
    assert_int_equal(run_with(link_text, "join -"), 2); /* nobody to ask */
    assert_has(err, "203.0.113.5:7117");
    assert_int_equal(run_with(link_text, "join - --yes"), 2);
    assert_has(err, "--fingerprint");
    assert_int_equal(
        run_with(link_text, "join - --yes --fingerprint one-two-three-four-five-six"), 5);
    assert_has(err, "another clan");
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
    json_t *o = json_of(err);
    assert_string_equal(json_text(o, "error", "code"), "EXPIRED");
    json_decref(o);
    fake.refuse.status = CLAN_OK;
    memset(fake.facts.clan_id, 1, 32); /* a core that answers for another clan */
    assert_int_equal(run_with(link_text, words), 5);
    assert_true(fake.last_tag != clan_api_Request_join_yes_tag);
    example_link("127.0.0.1");
    unsigned before = fake.connections;
    assert_int_equal(run_with(link_text, words), 2);
    assert_has(err, "refused");
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
    assert_has(out, "joined in ");
    assert_has(out, "provisional");
    assert_has(err, "anna");
    assert_string_equal(fake.yes.petname, "home-2");
    assert_true(fake.yes.known_fingerprint);
    assert_true(fake.yes.wait_ms > 0);
    assert_string_equal(fake.link, link_text);
    assert_null(strstr(out, "CLAN"));
    assert_null(strstr(err, link_text)); /* the secret is not shown again */

    /* on the command line: taken, with a warning, and overwritten */
    char a0[] = "clan", a1[] = "join", a2[LINK_TEXT_MAX + 1], *argv[] = {a0, a1, a2};
    strcpy(a2, link_text);
    FILE *o = fopen("/dev/null", "w"), *i = fopen("/dev/null", "r");
    free(err);
    size_t size;
    FILE *e = open_memstream(&err, &size);
    assert_int_equal(cli_main(3, argv, o, e, i), 2);
    fclose(o);
    fclose(i);
    fclose(e);
    assert_has(err, "on the command line");
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
    json_t *o = json_of(strstr(out, "{\"v\":1,\"state\""));
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
    assert_has(err, "using the admin key");
    assert_has(out, "Twelve recovery words");
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
    assert_has(out, "clan home is up");
    assert_int_equal(fake.requests, 0);
    assert_int_equal(run("up --name work"), 4); /* no new.sock: cland is not there */
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
    assert_has(err, "you are provisional here");
    fake.ping.refusal[0] = 0;
    fake.ping.connected = false;
    assert_int_equal(run("ping nas"), 4);
    assert_has(err, "not reachable");
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
    const char *at = out;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        at = strstr(at, order[i]);
        assert_non_null(at);
    }
    assert_null(strchr(out, '\033'));
    assert_null(strstr(out, "no log"));
    assert_int_equal(run("logs --clan home"), 0);
    assert_null(strstr(out, "other"));
    assert_has(out, "two");
    assert_int_equal(run("logs -p host-files"), 0);
    assert_int_equal(widest(out), strlen("2026-01-01T00:00:04.000Z home host-files[9]: four"));
    assert_int_equal(run("logs -p core -n 1"), 0);
    assert_has(out, "five");
    assert_null(strstr(out, "three"));
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
    assert_has(err, "final");
    assert_int_equal(run("leave --yes"), 0);
    assert_int_equal(fake.last_tag, clan_api_Request_leave_tag);
    assert_int_equal(run("down --json"), 0);
    json_decref(json_of(out));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
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
        T(invite_makes_a_link),
        T(invite_refusals),
        T(enable_signs_a_version),
        T(removed_keys),
        T(config_apply),
        T(removing),
        T(join_refusals),
        T(join_succeeds),
        T(up_founds),
        T(up_finds_one),
        T(ping_refused),
        T(logs_merge),
        T(closed_connection),
    };
    setlocale(LC_CTYPE, "C");
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
