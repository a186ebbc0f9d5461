/* Admin keys in the ssh-agent: an agent that a test plays signs, refuses or lies for the command line. */
#include "base/text.h"
#include "noise/keys.h"
#include "sshagent/sshagent.h"

#include <pthread.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run.h" /* of this folder */

enum manner { SIGNS, REFUSES, LIES };

static struct {
    pthread_t thread;
    int listener;
    char path[100], name[8 + SSHAGENT_FINGERPRINT_MAX];
    uint8_t public_key[32], secret[64];
    bool empty, two; /* of the same name */
    enum manner manner;
    unsigned signs; /* requests to sign that it heard */
} agent;

static uint8_t *put(uint8_t *p, const void *data, size_t size)
{
    const uint8_t head[4] = {0, 0, (uint8_t)(size >> 8), (uint8_t)size};
    memcpy(p, head, 4);
    memcpy(p + 4, data, size);
    return p + 4 + size;
}

static bool read_all(int fd, uint8_t *data, size_t size)
{
    for (ssize_t n; size; data += n, size -= (size_t)n)
        if ((n = read(fd, data, size)) <= 0)
            return false;
    return true;
}

static size_t list_answer(uint8_t *out)
{
    uint8_t blob[64], *p = out, *b = put(put(blob, "ssh-ed25519", 11), agent.public_key, 32);
    unsigned count = agent.empty ? 0 : 1 + agent.two;
    const uint8_t head[5] = {12, 0, 0, 0, (uint8_t)count};
    memcpy(p, head, sizeof head);
    p += sizeof head;
    for (unsigned i = 0; i < count; i++, blob[b - blob - 1] ^= 1)
        p = put(put(p, blob, (size_t)(b - blob)), "anna", 4);
    return (size_t)(p - out);
}

/* type | blob of 51 bytes | text | flags */
static size_t sign_answer(const uint8_t *request, size_t size, uint8_t *out)
{
    uint8_t sig[64], inner[96], *p;
    agent.signs++;
    out[0] = 5;
    if (agent.manner == REFUSES || size < 64)
        return 1;
    crypto_sign_detached(sig, NULL, request + 1 + 4 + 51 + 4, size - 64, agent.secret);
    sig[0] ^= agent.manner == LIES;
    p = put(put(inner, "ssh-ed25519", 11), sig, 64);
    out[0] = 14;
    return (size_t)(put(out + 1, inner, (size_t)(p - inner)) - out);
}

static void serve(int fd)
{
    uint8_t head[4], in[2048], out[512], message[600];
    while (read_all(fd, head, 4)) {
        size_t size = (size_t)head[2] << 8 | head[3];
        if (size > sizeof in || !read_all(fd, in, size))
            return;
        size_t n = in[0] == 11 ? list_answer(out) : sign_answer(in, size, out);
        size_t all = (size_t)(put(message, out, n) - message);
        if (write(fd, message, all) != (ssize_t)all)
            return;
    }
}

static void *agent_run(void *arg)
{
    (void)arg;
    int fd;
    while ((fd = accept(agent.listener, NULL, NULL)) >= 0) {
        serve(fd);
        close(fd);
    }
    return NULL;
}

static int set_up(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    uint8_t seed[32];
    char fingerprint[SSHAGENT_FINGERPRINT_MAX];
    if (run_set_up(state) != 0)
        return -1;
    memset(&agent, 0, sizeof agent);
    memset(seed, 42, sizeof seed);
    crypto_sign_seed_keypair(agent.public_key, agent.secret, seed);
    sshagent_fingerprint(agent.public_key, fingerprint);
    snprintf(agent.name, sizeof agent.name, "ssh:%s", fingerprint);
    snprintf(agent.path, sizeof agent.path, "%s/agent", home);
    strcpy(at.sun_path, agent.path);
    agent.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(agent.listener, (struct sockaddr *)&at, sizeof at) != 0 ||
        listen(agent.listener, 8) != 0)
        return -1;
    setenv("SSH_AUTH_SOCK", agent.path, 1);
    return pthread_create(&agent.thread, NULL, agent_run, NULL);
}

static int tear_down(void **state)
{
    shutdown(agent.listener, SHUT_RDWR);
    pthread_join(agent.thread, NULL);
    close(agent.listener);
    unsetenv("SSH_AUTH_SOCK");
    return run_tear_down(state);
}

/* The example clan, whose admin is the agent's key. */
static void agents_clan(void)
{
    char path[256];
    example_clan();
    key_path(path);
    assert_int_equal(unlink(path), 0);
    memcpy(admin_public, agent.public_key, 32);
    memcpy(fake.context.admin_keys[0], admin_public, 32);
    fake_start(&fake);
}

static int run_key(const char *words, const char *key)
{
    char all[256];
    snprintf(all, sizeof all, "%s --key %s", words, key);
    return run(all);
}

static void signed_by_agent(const uint8_t *raw, size_t size)
{
    struct stmt s;
    assert_int_equal(stmt_parse(raw, size, &s, NULL), CLAN_OK);
    assert_int_equal(s.sig_count, 1);
    assert_int_equal(s.sigs[0].type, STMT_SIG_SSHSIG);
    assert_true(stmt_signed_by(&s, agent.public_key));
}

static void up_with_an_agent(void **state)
{
    (void)state;
    char path[256], text[1024], words[160];
    fake_listen(&fake, "new");
    fake_start(&fake);
    snprintf(words, sizeof words, "up --no-questions --key %s", agent.name);
    assert_int_not_equal(run(words), 0); /* whether the agent asks is its owner's word */
    assert_has(said.err, "ssh-add -c");
    assert_int_equal(agent.signs, 0);
    snprintf(words, sizeof words, "--json --yes up --name home --machine nas --key %s", agent.name);
    assert_int_equal(run(words), 0);
    assert_int_equal(agent.signs, 3); /* genesis, admission, version 2 */
    signed_by_agent(fake.commit.admission.bytes, fake.commit.admission.size);
    signed_by_agent(fake.commit.envelope.bytes, fake.commit.envelope.size);
    json_t *o = json_of(strstr(said.out, "{\"v\":1,\"state\""));
    assert_true(json_is_null(json_object_get(o, "recovery_words")));
    assert_string_equal(json_text(o, "key", NULL), agent.name);
    json_decref(o);
    /* the file says which key it is, and no secret */
    key_path(path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    assert_has(text, "agent ssh\n");
    assert_null(strstr(text, "entropy"));
    /* an interrupted one goes on, and says what is to be kept */
    assert_int_equal(run("up --name home --machine nas --no-questions"), 0);
    assert_has(said.out, "no recovery words");
    snprintf(words, sizeof words, "up --name home --no-questions --key %s", agent.name);
    assert_int_equal(run(words), 0);
    write_key(path, 3, 0600); /* but another key of that clan is not overwritten */
    assert_int_equal(run(words), 6);
    assert_has(said.err, "another admin key");
}

static void names_of_keys(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        int code;
        const char *says;
    } rows[] = {{"ssh:", 0, ""}, {"ssh:anna", 0, ""}, {"ssh:bob", 3, "no Ed25519 key bob"},
        {"ssh:SHA256:0000", 3, "no Ed25519 key SHA256:0000"}};
    agents_clan();
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(run_key("invite", rows[i].key), rows[i].code);
        assert_has(said.err, rows[i].says);
    }
    signed_by_agent(fake.submitted[0], fake.submitted_size[0]);
    assert_int_equal(run_key("invite", agent.name), 0);
    agent.two = true;
    assert_int_equal(run_key("invite", agent.name), 0);
    assert_int_equal(run_key("invite", "ssh:anna"), 2);
    assert_has(said.err, "several are called \"anna\"");
    assert_int_equal(run_key("invite", "ssh:"), 2);
    assert_has(said.err, "it holds several");
    agent.empty = true;
    assert_int_equal(run_key("invite", "ssh:"), 3);
    assert_has(said.err, "has no Ed25519 key\n");
    assert_int_equal(run_key("invite", agent.name), 3);
    assert_has(said.err, "or it is locked");
    assert_has(said.err, "ssh-add -X");
    agent.empty = false;
    memset(fake.context.admin_keys[0], 9, 32);
    assert_int_equal(run_key("invite", agent.name), 3);
    assert_has(said.err, "does not list ed25519:");
    setenv("SSH_AUTH_SOCK", "/nonexistent/agent", 1);
    assert_int_equal(run_key("invite", agent.name), 4);
    assert_has(said.err, "there is no ssh-agent");
    unsetenv("SSH_AUTH_SOCK");
    assert_int_equal(run_key("invite", agent.name), 4);
    assert_has(said.err, "SSH_AUTH_SOCK is not set");
}

/* A version that the agent refused was not signed: another text of that number may be. */
static void refusal_leaves_no_note(void **state)
{
    (void)state;
    char path[300], id[64], words[200];
    struct stat st;
    agents_clan();
    text_base32(agent.public_key, 32, id);
    snprintf(path, sizeof path, "%s/clan/%s.signed", home, id);
    agent.manner = REFUSES;
    assert_int_equal(run_key("machines rename nas tower --yes", agent.name), 3);
    assert_has(said.err, "refused to sign");
    assert_int_equal(fake.submitted_count, 0);
    agent.manner = LIES;
    assert_int_equal(run_key("machines rename nas tower --yes", agent.name), 5);
    assert_has(said.err, "does not verify");
    assert_int_equal(fake.submitted_count, 0);
    agent.manner = SIGNS;
    /* one that gave something may have signed: that text goes on, another does not */
    snprintf(words, sizeof words, "machines rename nas other --yes --key %s", agent.name);
    assert_int_equal(run(words), 6);
    assert_has(said.err, "has signed another version 3");
    assert_has(said.err, id);
    assert_int_equal(run_key("machines rename nas tower --yes", agent.name), 0);
    signed_by_agent(fake.submitted[0], fake.submitted_size[0]);
    assert_int_equal(stat(path, &st), 0);
    /* by another name it is the same key, with the same memory */
    assert_int_equal(run_key("machines rename nas other --yes", "ssh:anna"), 6);
}

static void refused_then_changed(void **state)
{
    (void)state;
    agents_clan();
    agent.manner = REFUSES;
    assert_int_equal(run_key("machines rename nas tower --yes", agent.name), 3);
    agent.manner = SIGNS;
    assert_int_equal(run_key("machines rename nas other --yes", agent.name), 0);
    signed_by_agent(fake.submitted[0], fake.submitted_size[0]);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(up_with_an_agent),
        T(names_of_keys),
        T(refusal_leaves_no_note),
        T(refused_then_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
