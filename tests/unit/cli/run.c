/* Running `clan` inside a test; the clan that the played core shows. */
#include "base/clock.h"
#include "base/text.h"
#include "config/config.h"
#include "noise/keys.h"

#include <ftw.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "run.h"

struct fake fake;
char home[64];
struct said said;

static int gone(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

int run_set_up(void **state)
{
    (void)state;
    fake_open(&fake);
    strcpy(home, "/tmp/clan-home-XXXXXX");
    if (!mkdtemp(home))
        return -1;
    setenv("XDG_CONFIG_HOME", home, 1);
    setenv("CLAN_RUN_DIR", fake.dir, 1);
    setenv("CLAN_CONFIG_DIR", fake.dir, 1); /* what this machine's owner granted is not ours */
    unsetenv("COLUMNS");
    return 0;
}

int run_tear_down(void **state)
{
    (void)state;
    if (!fake.thread)
        fake_start(&fake);
    fake_close(&fake);
    nftw(home, gone, 16, FTW_DEPTH | FTW_PHYS);
    free(said.out);
    free(said.err);
    said.out = said.err = NULL;
    free(fake.body);
    return 0;
}

/* Runs `clan` with words separated by blanks; '_' in a word stands for a blank. */
int run_with(const char *input, const char *words)
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
    free(said.out);
    free(said.err);
    FILE *o = open_memstream(&said.out, &out_size), *e = open_memstream(&said.err, &err_size);
    FILE *i = fmemopen((void *)(uintptr_t)input, strlen(input) + 1, "r");
    int code = cli_main(argc, argv, o, e, i);
    fclose(o);
    fclose(e);
    fclose(i);
    return code;
}

/* For a debugger: prints what the last run said. */
static void show(int code)
{
    if (getenv("CLAN_SAID"))
        printf("exit %d\n%s%s", code, said.out, said.err);
}

int run(const char *words)
{
    int code = run_with("", words);
    show(code);
    return code;
}

json_t *json_of(const char *text)
{
    json_error_t e;
    json_t *o = json_loads(text, JSON_DISABLE_EOF_CHECK, &e);
    if (!o)
        fail_msg("not JSON: %s: %s", e.text, text);
    assert_int_equal(json_integer_value(json_object_get(o, "v")), 1);
    return o;
}

const char *json_text(json_t *o, const char *a, const char *b)
{
    o = json_object_get(o, a);
    return json_string_value(b ? json_object_get(o, b) : o);
}

unsigned widest(const char *text)
{
    unsigned most = 0, now = 0;
    for (; *text; text++) {
        now = *text == '\n' ? 0 : now + (((unsigned char)*text & 0xc0) != 0x80);
        most = now > most ? now : most;
    }
    return most;
}

/* ---- the clan ---- */

void example_status(void)
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

uint8_t admin_public[32];
static uint8_t admin_secret[64];

void key_path(char ret[256])
{
    snprintf(ret, 256, "%s/clan/home-admin.key", home);
}

/* A file as `clan up` writes it. */
void write_key(const char *path, uint8_t fill, mode_t mode)
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

void example_clan(void)
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
    assert_int_equal(config_clan_first("home", "anna", admin_public, machine, "nas", NULL, 0,
                         &first, &first_size),
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
    strcpy(x->endpoints[0], "tcp-noise 127.0.0.1:7117");
    strcpy(x->endpoints[1], "tcp-noise 203.0.113.5:7117");
    strcpy(x->endpoints[2], "tcp-noise [2001:db8::1]:7118");
    strcpy(x->endpoints[3], "websocket 198.51.100.1:1/clan");
    fake_listen(&fake, "home");
}

void submitted(unsigned index, struct stmt *ret)
{
    assert_true(fake.submitted_count > index);
    assert_int_equal(
        stmt_parse(fake.submitted[index], fake.submitted_size[index], ret, NULL), CLAN_OK);
    assert_true(stmt_signed_by(ret, admin_public));
}
