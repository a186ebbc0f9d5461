/* machine.yaml -> grants: bound to the installed files, in words, and refused where it cannot be
 * meant. */
#include "base/error.h"
#include "config/config.h"
#include "unit/minisign_make.h"
#include "wire/grants.h"

#include <dirent.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64];

static void copy_plugin(const char *name)
{
    char path[256], buf[4096];
    size_t n;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *in = fopen(CONFIG_TEST_PLUGIN, "rb"), *out = fopen(path, "wb");
    assert_non_null(in);
    assert_non_null(out);
    while ((n = fread(buf, 1, sizeof buf, in)) > 0)
        assert_int_equal(fwrite(buf, 1, n, out), n);
    fclose(in);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path, 0644), 0);
}

static int setup(void **state)
{
    (void)state;
    strcpy(directory, "/tmp/clan-test-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    DIR *d = opendir(directory);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    return rmdir(directory);
}

struct result {
    clan_status status;
    struct grants grants;
    char *summary;
    struct config_problems *problems;
    struct clan_error error;
};

static struct result *compile(const char *text)
{
    struct result *r = calloc(1, sizeof *r);
    r->error = (struct clan_error)CLAN_ERROR_INIT;
    r->problems = config_problems_new("machine.yaml");
    r->status = config_machine_compile(
        text, strlen(text), directory, 1000, r->problems, &r->grants, &r->summary, &r->error);
    return r;
}

static void result_free(struct result *r)
{
    config_problems_free(r->problems);
    free(r->summary);
    free(r);
}

static void assert_says(const char *text, const char *part)
{
    if (!strstr(text, part))
        fprintf(stderr, "\"%s\" is not in\n%s", part, text);
    assert_non_null(strstr(text, part));
}

/* Those of a service are the clan's; a transport's go to it by the grants (lab test_paths.py). */
static void test_settings(void **state)
{
    (void)state;
    copy_plugin("files.so");
    struct result *r =
        compile("version: 1\nplugins:\n  files: {allow: [fs.state], settings: {a: b}}\n");
    assert_int_equal(r->status, CLAN_E_INVAL);
    assert_says(config_problems_at(r->problems, 0)->text, "stand in clan.yaml");
    result_free(r);
    r = compile("version: 1\nplugins:\n  files: {allow: [fs.state], settings: {a: 1, b: 2, c: 3, "
                "d: 4, e: 5, f: 6, g: 7, h: 8, i: 9}}\n");
    assert_int_equal(r->status, CLAN_E_INVAL);
    assert_says(config_problems_at(r->problems, 0)->text, "at most");
    result_free(r);
}

static void test_grants(void **state)
{
    (void)state;
    copy_plugin("files.so");
    struct result *r =
        compile("version: 1\nmanage: services\noffer: {hosting: yes}\nplugins:\n"
                "  files: {allow: [fs.state, 'exec:lighttpd', net.listen], memory: 512M, "
                "pids: 64, disk: 20G}\n"
                "listen: {files: ['[::1]:80', '127.0.0.1:81']}\ndns: hosts\nstale: closed\n"
                "owner: 1234\nlocal_users: [1234, 5, root, 5000000]\n"
                "sandbox: {weaker: [notify]}\n");
    if (r->status != CLAN_OK)
        config_problems_print(r->problems, stderr, false);
    assert_int_equal(r->status, CLAN_OK);
    const struct grants *g = &r->grants;
    assert_int_equal(g->magic, GRANTS_MAGIC);
    assert_int_equal(g->size, sizeof *g);
    assert_int_equal(g->manage, GRANT_MANAGE_SERVICES);
    assert_int_equal(g->hosting, GRANT_HOSTING_YES);
    assert_int_equal(g->dns, GRANT_DNS_HOSTS);
    assert_int_equal(g->stale, GRANT_STALE_CLOSED);
    assert_int_equal(g->owner_uid, 1234);
    assert_int_equal(g->user_count, 3);
    assert_int_equal(g->users[0], 5);
    assert_int_equal(g->users[1], 0);
    assert_int_equal(g->users[2], 5000000);
    assert_int_equal(g->weaker, 2);
    assert_int_equal(g->plugin_count, 1);
    const struct grant_plugin *p = grants_find(g, "files");
    assert_string_equal(p->file, "files.so");
    assert_int_equal(p->permissions, GRANT_FS_STATE | GRANT_NET_LISTEN);
    assert_int_equal(p->memory_mib, 512);
    assert_int_equal(p->disk_mib, 20 << 10);
    assert_int_equal(p->pids, 64);
    assert_true(grants_exec(p, "lighttpd"));
    assert_int_equal(p->listen_count, 2);
    assert_int_equal(p->listen[0].family, 6);
    assert_int_equal(p->listen[0].addr[15], 1);
    assert_int_equal(p->listen[1].family, 4);
    assert_int_equal(p->listen[1].port, 81);
    assert_int_equal(p->listen[1].addr[10], 0xff);
    assert_int_equal(p->listen[1].addr[12], 127);
    assert_says(r->summary, "files 1.2 (files.so)\n");
    assert_says(r->summary, "  It may keep files in a directory of its own.\n");
    assert_says(r->summary,
        "  It may accept connections on the addresses that you list: [::1]:80, 127.0.0.1:81.\n");
    assert_says(r->summary, "  It may run the program lighttpd, in a sandbox of its own.\n");
    assert_says(r->summary,
        "  ? files asks to answer on the address of its own service in the clan "
        "(net.service), not granted.\n");
    assert_says(r->summary, "lacks: notify");
    result_free(r);
}

/* The grant holds for these very bytes. */
static void test_hash(void **state)
{
    (void)state;
    copy_plugin("files.so");
    const char *text = "version: 1\nplugins: {files: {allow: []}}\n";
    struct result *r = compile(text);
    static uint8_t data[1 << 20];
    uint8_t hash[32];
    FILE *f = fopen(CONFIG_TEST_PLUGIN, "rb");
    size_t size = fread(data, 1, sizeof data, f);
    fclose(f);
    crypto_generichash(hash, sizeof hash, data, size, NULL, 0);
    assert_int_equal(r->status, CLAN_OK);
    assert_memory_equal(r->grants.plugins[0].hash, hash, 32);
    assert_says(r->summary, "It may do nothing beyond its sandbox");
    result_free(r);
}

static void test_example(void **state)
{
    (void)state;
    static char text[1 << 16];
    FILE *f = fopen(CONFIG_EXAMPLES "/machine.yaml", "rb");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    struct result *r = compile(text);
    assert_int_equal(r->status, CLAN_OK);
    assert_int_equal(r->grants.plugin_count, 0);
    assert_int_equal(r->grants.owner_uid, 1000);
    assert_says(r->summary, "tcp-noise is not installed here");
    result_free(r);
    copy_plugin("files.so");
    r = compile(text);
    assert_int_equal(r->status, CLAN_OK);
    assert_int_equal(r->grants.plugin_count, 1);
    assert_says(r->summary, "? files asks to accept connections");
    result_free(r);
}

static void test_not_usable(void **state)
{
    (void)state;
    copy_plugin("files.so");
    struct result *r = compile("version: 1\n");
    assert_says(r->summary, "files 1.2 (files.so) is installed, but not named in machine.yaml");
    assert_int_equal(r->grants.plugin_count, 0);
    result_free(r);
    copy_plugin(
        "other.so"); /* takes the id of a plugin of the release: it is named, and gets nothing */
    r = compile("version: 1\nplugins: {files: {allow: [fs.state]}}\n");
    assert_int_equal(r->status, CLAN_OK);
    assert_int_equal(r->grants.plugin_count, 1);
    assert_string_equal(r->grants.plugins[0].file, "files.so");
    assert_says(r->summary, "other.so cannot be used, nothing is granted");
    assert_says(r->summary, "which is a plugin of Clan itself (files.so)");
    result_free(r);
    char own[128];
    snprintf(own, sizeof own, "%s/files.so", directory);
    assert_int_equal(unlink(own), 0); /* nor when it is alone */
    r = compile("version: 1\nplugins: {files: {allow: [fs.state]}}\n");
    assert_int_equal(r->grants.plugin_count, 0);
    assert_says(r->summary, "other.so cannot be used, nothing is granted");
    result_free(r);
    assert_int_equal(rename(directory, "/tmp/clan-test-moved"), 0);
    r = compile("version: 1\n");
    assert_int_equal(r->status, CLAN_E_NOENT);
    assert_null(r->summary);
    result_free(r);
    assert_int_equal(rename("/tmp/clan-test-moved", directory), 0);
}

static const struct {
    const char *text;
    unsigned line, column;
    const char *says;
} refusals[] = {
    {"version: 2\n", 1, 10, "expected the number 1, got \"2\""},
    {"version: 1\nmanage: manage\n", 2, 9, "not there yet"},
    {"version: 1\nmanage: sevices\n", 2, 9, "did you mean \"services\"?"},
    {"version: 1\noffer: {cpu: 0%}\n", 2, 14, "expected a percentage"},
    {"version: 1\noffer: {disk: 20}\n", 2, 15, "or a size such as 20G"},
    {"version: 1\nplugins: {files: {allow: [net.connect:lan]}}\n", 2, 27,
        "files never asks for this; it asks for fs.state, net.service, exec:lighttpd, net.listen"},
    {"version: 1\nplugins: {files: {allow: [exec:tor]}}\n", 2, 27, "never asks"},
    {"version: 1\nplugins: {files: {allow: [kvm]}}\n", 2, 27,
        "kvm is not available in this version of Clan"},
    {"version: 1\nplugins: {files: {allow: [memory]}}\n", 2, 27,
        "memory is a limit: write \"memory: SIZE\" beside"},
    {"version: 1\nplugins: {files: {allow: [], disk: 20}}\n", 2, 36, "a size such as"},
    {"version: 1\nplugins: {files: {allow: [], signer: ana}}\nsignatures: {keys: {anna: "
     "RWRap4KN6M5/Q6bI/AGHAZ8wJiLmyU6ghCGigzZviHFBQsMgvDZ/CFZx}}\n",
        2, 38, "names no ana (did you mean \"anna\"?)"},
    {"version: 1\nsignatures: {keys: {anna: RWRap}}\n", 2, 27, "expected a public key of minisign"},
    {"version: 1\nplugins: {files: {allow: [fs.stat]}}\n", 2, 27, "did you mean \"fs.state\"?"},
    {"version: 1\nplugins: {files: {allow: [\"exec:/bin/sh\"]}}\n", 2, 27, "expected a permission"},
    {"version: 1\nplugins: {files: {}}\n", 2, 11, "\"allow:\" is missing"},
    {"version: 1\nplugins: {x: {allow: [exec:a, exec:b, exec:c, exec:d, exec:e, exec:f, exec:g, "
     "exec:h, "
     "exec:i]}}\n",
        2, 87, "at most 8 programs"},
    {"version: 1\nlisten: {tor: ['[::]:1']}\n", 2, 10, "\"plugins:\" names no tor"},
    {"version: 1\nplugins: {files: {allow: []}}\nlisten: {files: ['[::]:1']}\n", 3, 10,
        "add net.listen to plugins.files.allow"},
    {"version: 1\nplugins: {files: {allow: [net.listen]}}\nlisten: {files: ['[::]:0']}\n", 3, 18,
        "expected an address"},
    {"version: 1\nplugins: {files: {allow: [net.listen]}}\nlisten: {files: "
     "['[::ffff:1.2.3.4]:1']}\n",
        3, 18, "expected an address"},
    {"version: 1\nplugins: {files: {allow: [net.listen]}}\nlisten: {files: ['[::]:1', "
     "'[0::]:1']}\n",
        3, 28, "again"},
    {"version: 1\nlocal_users: [nobody-at-all-here]\n", 2, 15, "has no user"},
    {"version: 1\nowner: nobody-at-all-here\n", 2, 8, "has no user"},
    {"version: 1\nlocal_users: [1, 2, 3, 4, 5, 6, 7, 8, 9]\n", 2, 1, "at most 8"},
    {"version: 1\nsandbox: {weaker: [seccomp]}\n", 2, 20, "expected landlock, notify or cgroup"},
    {"version: 1\ndns: of\n", 2, 6, "did you mean \"off\"?"},
    {"version: 1\nplugins: [files]\n", 2, 10, "expected a mapping"},
    {"version: 1\nplugins: [files]\nlisten: {files: ['[::]:1']}\n", 2, 10, "expected a mapping"},
};

static void test_refusals(void **state)
{
    (void)state;
    copy_plugin("files.so");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct result *r = compile(refusals[i].text);
        const struct config_problem *q =
            config_problems_count(r->problems) ? config_problems_at(r->problems, 0) : NULL;
        bool right = r->status == CLAN_E_INVAL && q && q->line == refusals[i].line &&
                     q->column == refusals[i].column && strstr(q->text, refusals[i].says);
        if (!right) {
            fprintf(stderr, "%s", refusals[i].text);
            config_problems_print(r->problems, stderr, false);
        }
        assert_true(right);
        assert_null(r->summary);
        assert_int_equal(r->grants.magic, 0);
        result_free(r);
    }
}

static const char *with_key(const char *fmt, const struct made_key *k)
{
    static char text[512];
    const char *at = strchr(fmt, '@');
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - fmt), fmt, k->text, at + 1);
    return text;
}

/* Bound to the signer, or to the file and the signer, or not granted at all. */
static void test_signed(void **state)
{
    (void)state;
    static const uint8_t none[32];
    static const char required[] = "version: 1\nplugins: {files: {allow: [fs.state]}}\n"
                                   "signatures: {require: yes, keys: {anna: @}}\n";
    static const char bound[] = "version: 1\nplugins: {files: {allow: [fs.state], signer: anna}}\n"
                                "signatures: {keys: {anna: @}}\n";
    struct made_key anna, eve;
    char path[128];
    make_key(&anna, 3);
    make_key(&eve, 4);
    copy_plugin("files.so");
    snprintf(path, sizeof path, "%s/files.so", directory);
    for (unsigned i = 0; i < 4; i++) { /* nobody signed it, then somebody else */
        struct result *r = compile(with_key(i & 1 ? bound : required, &anna));
        assert_int_equal(r->status, CLAN_OK);
        assert_int_equal(r->grants.plugin_count, 0);
        assert_int_equal(r->grants.require_signature, !(i & 1));
        assert_says(r->summary, "files cannot be used, nothing is granted");
        assert_says(r->summary, i < 2 ? "no signature" : "whose key is not known here");
        result_free(r);
        if (i == 1)
            assert_int_equal(make_signature(&eve, path, "from eve"), 0);
    }
    assert_int_equal(make_signature(&anna, path, "files 1.2"), 0);
    struct result *r = compile(with_key(required, &anna));
    assert_int_equal(r->grants.plugin_count, 1);
    assert_memory_equal(r->grants.plugins[0].signer, anna.public, 32);
    assert_memory_not_equal(r->grants.plugins[0].hash, none, 32);
    assert_says(r->summary, "  Signed by anna.\n");
    assert_says(r->summary, "Plugins run only if one of your keys signed them.");
    result_free(r);
    r = compile(with_key(bound, &anna));
    assert_int_equal(r->grants.plugin_count, 1);
    assert_memory_equal(r->grants.plugins[0].signer, anna.public, 32);
    assert_memory_equal(r->grants.plugins[0].hash, none, 32);
    assert_says(
        r->summary, "  Signed by anna; so may be its later versions, without a question.\n");
    result_free(r);
}

/* ---- edits ---- */

struct edit_row {
    const char *text, *words, *signer, *want; /* words: divided by blanks */
    clan_status status;
};

static unsigned split(char *text, const char *words[16])
{
    unsigned n = 0;
    for (char *save, *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save))
        words[n++] = w;
    return n;
}

static void edits(const struct edit_row *rows, size_t count, bool grant)
{
    for (size_t i = 0; i < count; i++) {
        const struct edit_row *row = &rows[i];
        const char *words[16];
        char copy[256], *text = NULL;
        size_t size = 0;
        struct clan_error e = CLAN_ERROR_INIT;
        snprintf(copy, sizeof copy, "%s", row->words);
        unsigned n = split(copy, words);
        clan_status st = grant ? config_edit_grant(row->text, strlen(row->text), "files", words, n,
                                     row->signer, &text, &size, &e)
                               : config_edit_revoke(row->text, strlen(row->text), "files", words, n,
                                     &text, &size, &e);
        if (st != row->status || (row->want && (!text || strcmp(text, row->want) != 0)))
            fail_msg("%zu: %s, %s %s\n%s", i, clan_status_name(st), e.what, e.why,
                text ? text : "(no text)");
        assert_true(st == CLAN_OK || (e.what[0] && !text));
        free(text);
    }
}

static void test_edit_grant(void **state)
{
    (void)state;
    static const struct edit_row rows[] = {
        {"version: 1\n", "fs.state exec:lighttpd", NULL,
            "version: 1\nplugins:\n  files: {allow: [fs.state, \"exec:lighttpd\"]}\n", CLAN_OK},
        {"version: 1\nplugins: {}\n# end\n", "fs.state", NULL,
            "version: 1\nplugins:\n  files: {allow: [fs.state]}\n# end\n", CLAN_OK},
        {"version: 1\nplugins:\n  # mine\n  tor: {allow: []} # no\n\ndns: off\n", "fs.state", NULL,
            "version: 1\nplugins:\n  # mine\n  tor: {allow: []} # no\n  files: {allow: "
            "[fs.state]}\n\ndns: off\n",
            CLAN_OK},
        {"version: 1\nplugins: {tor: {allow: []}}\n", "fs.state", "anna",
            "version: 1\nplugins: {tor: {allow: []}, files: {allow: [fs.state], signer: "
            "\"anna\"}}\n",
            CLAN_OK},
        {"version: 1\nplugins: {files: {allow: [fs.state]}}\n", "fs.state net.service", NULL,
            "version: 1\nplugins: {files: {allow: [fs.state, net.service]}}\n", CLAN_OK},
        {"version: 1\nplugins: {files: {allow: [ ]}}\n", "fs.state", NULL,
            "version: 1\nplugins: {files: {allow: [fs.state ]}}\n", CLAN_OK},
        {"version: 1\nplugins:\n  files:\n    allow:\n      - fs.state # keep\n      # why\n      "
         "- "
         "\"exec:lighttpd\"\n    pids: 5\n",
            "net.service net.listen", NULL,
            "version: 1\nplugins:\n  files:\n    allow:\n      - net.service\n      - net.listen\n "
            "    "
            " - fs.state # keep\n      # why\n      - \"exec:lighttpd\"\n    pids: 5\n",
            CLAN_OK},
        {"version: 1\nplugins:\n  files:\n    allow: [fs.state]\n    pids: 5\n", "fs.state", "anna",
            "version: 1\nplugins:\n  files:\n    allow: [fs.state]\n    pids: 5\n    signer: "
            "\"anna\"\n",
            CLAN_OK},
        {"version: 1\nplugins: {files: {allow: [], signer: bob}}\n", "", "anna",
            "version: 1\nplugins: {files: {allow: [], signer: \"anna\"}}\n", CLAN_OK},
        {"version: 1\n", "kvm", NULL, NULL, CLAN_E_STATE},
        {"version: 2\n", "fs.state", NULL, NULL, CLAN_E_INVAL},
        {"version: 1\nplugins: [files]\n", "fs.state", NULL, NULL, CLAN_E_INVAL},
    };
    edits(rows, sizeof rows / sizeof rows[0], true);
}

static void test_edit_revoke(void **state)
{
    (void)state;
    static const struct edit_row rows[] = {
        {"version: 1\nplugins:\n  files: {allow: [fs.state]}\n  tor: {allow: []} # on\n", "", NULL,
            "version: 1\nplugins:\n  tor: {allow: []} # on\n", CLAN_OK},
        {"version: 1\nplugins: {files: {allow: [net.listen]}}\nlisten: {files: ['[::]:1']}\n", "",
            NULL, "version: 1\nplugins: {}\nlisten: {}\n", CLAN_OK},
        {"version: 1\nplugins: {files: {allow: [net.listen, fs.state]}}\nlisten: {files: "
         "['[::]:1']}\n",
            "net.listen", NULL, "version: 1\nplugins: {files: {allow: [fs.state]}}\nlisten: {}\n",
            CLAN_OK},
        {"version: 1\nplugins: {files: {allow: [net.listen, fs.state]}}\nlisten: {files: "
         "['[::]:1']}\n",
            "fs.state", NULL,
            "version: 1\nplugins: {files: {allow: [net.listen]}}\nlisten: {files: ['[::]:1']}\n",
            CLAN_OK},
        {"version: 1\nplugins: {files: {allow: [net.listen]}}\n", "fs.state", NULL, NULL,
            CLAN_E_NOENT},
        {"version: 1\nplugins: {}\n", "", NULL, NULL, CLAN_E_NOENT},
    };
    edits(rows, sizeof rows / sizeof rows[0], false);
}

/* What root applies comes from files that only root can change. */
static void test_owner(void **state)
{
    (void)state;
    char path[128];
    if (geteuid() != 0)
        skip();
    copy_plugin("files.so");
    snprintf(path, sizeof path, "%s/files.so", directory);
    assert_int_equal(chmod(path, 0666), 0);
    struct result *r = compile("version: 1\nplugins: {files: {allow: [fs.state]}}\n");
    assert_int_equal(r->status, CLAN_OK);
    assert_int_equal(r->grants.plugin_count, 0);
    assert_says(r->summary, "files cannot be used, nothing is granted");
    result_free(r);
    assert_int_equal(chmod(directory, 0777), 0);
    r = compile("version: 1\n");
    assert_int_equal(r->status, CLAN_E_PERM);
    result_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_grants, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_example, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_usable, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_signed, setup, teardown),
        cmocka_unit_test(test_edit_grant),
        cmocka_unit_test(test_edit_revoke),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
