/* The ssh-agent's replies, honest and hostile, and its time limits: a fake agent on a socket pair. */
#include "sshagent/sshagent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define ED25519  "ssh-ed25519"
#define HARDWARE "sk-ssh-ed25519@openssh.com"

struct bytes {
    uint8_t data[32768];
    size_t size;
};

static void u32(struct bytes *b, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        b->data[b->size++] = (uint8_t)(v >> shift);
}

static void string(struct bytes *b, const void *data, size_t size)
{
    u32(b, (uint32_t)size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static struct bytes key_blob(const char *type, uint8_t fill, size_t size)
{
    struct bytes blob = {.size = 0};
    uint8_t key[64];
    memset(key, fill, sizeof key);
    string(&blob, type, strlen(type));
    string(&blob, key, size);
    return blob;
}

static void list_begin(struct bytes *b, uint32_t count)
{
    b->size = 0;
    b->data[b->size++] = 12;
    u32(b, count);
}

static void list_key(struct bytes *b, const char *type, uint8_t fill, const char *comment)
{
    struct bytes blob = key_blob(type, fill, 32);
    string(b, blob.data, blob.size);
    string(b, comment, strlen(comment));
}

static void signature(struct bytes *b, const char *type, size_t size)
{
    struct bytes inner = key_blob(type, 7, size);
    b->size = 0;
    b->data[b->size++] = 14;
    string(b, inner.data, inner.size);
}

static struct sshagent_keys keys;

static void lists(void **state)
{
    (void)state;
    struct bytes b;
    list_begin(&b, 4);
    list_key(&b, "ssh-rsa", 1, "old");
    list_key(&b, ED25519, 2, "anna@nas\033[2J");
    list_key(&b, HARDWARE, 3, "token");
    list_key(&b, ED25519, 4, "");
    assert_int_equal(sshagent_parse_keys(b.data, b.size, &keys), CLAN_OK);
    assert_int_equal(keys.count, 2);
    assert_int_equal(keys.hardware, 1);
    assert_int_equal(keys.others, 1);
    assert_int_equal(keys.keys[0].public_key[31], 2);
    assert_int_equal(keys.keys[1].public_key[0], 4);
    assert_null(strchr(keys.keys[0].comment, '\033')); /* nothing for the terminal */
    assert_int_equal(strncmp(keys.keys[0].comment, "anna@nas", 8), 0);
    /* each byte of it matters: cut anywhere, it is none */
    for (size_t n = 0; n < b.size; n++)
        assert_int_equal(sshagent_parse_keys(b.data, n, &keys), CLAN_E_PROTO);
    b.data[b.size++] = 0;
    assert_int_equal(sshagent_parse_keys(b.data, b.size, &keys), CLAN_E_PROTO);
}

static void lists_at_their_bounds(void **state)
{
    (void)state;
    struct bytes b, blob;
    char comment[1000];
    for (unsigned n = SSHAGENT_KEYS_MAX; n <= SSHAGENT_KEYS_MAX + 1; n++) {
        list_begin(&b, n);
        for (unsigned i = 0; i < n; i++)
            list_key(&b, ED25519, (uint8_t)i, "k");
        assert_int_equal(sshagent_parse_keys(b.data, b.size, &keys),
            n == SSHAGENT_KEYS_MAX ? CLAN_OK : CLAN_E_LIMIT);
    }
    list_begin(&b, 2049); /* more than it has bytes for */
    assert_int_equal(sshagent_parse_keys(b.data, b.size, &keys), CLAN_E_PROTO);
    memset(comment, 'c', sizeof comment - 1);
    comment[sizeof comment - 1] = 0;
    list_begin(&b, 1);
    list_key(&b, ED25519, 1, comment);
    assert_int_equal(sshagent_parse_keys(b.data, b.size, &keys), CLAN_OK);
    assert_int_equal(strlen(keys.keys[0].comment), SSHAGENT_COMMENT_MAX - 1);
    for (size_t size = 31; size <= 33; size++) { /* a key of another size */
        blob = key_blob(ED25519, 1, size);
        list_begin(&b, 1);
        string(&b, blob.data, blob.size);
        string(&b, "", 0);
        assert_int_equal(
            sshagent_parse_keys(b.data, b.size, &keys), size == 32 ? CLAN_OK : CLAN_E_PROTO);
    }
}

static void signatures(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        size_t size;
        clan_status want;
    } rows[] = {{ED25519, 64, CLAN_OK}, {ED25519, 63, CLAN_E_PROTO}, {ED25519, 0, CLAN_E_PROTO},
        {HARDWARE, 64, CLAN_E_PROTO}, {"ssh-rsa", 64, CLAN_E_PROTO}};
    uint8_t sig[64];
    struct bytes b;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        signature(&b, rows[i].type, rows[i].size);
        assert_int_equal(sshagent_parse_signature(b.data, b.size, sig), rows[i].want);
    }
    signature(&b, ED25519, 64);
    for (size_t n = 0; n < b.size; n++)
        assert_int_equal(sshagent_parse_signature(b.data, n, sig), CLAN_E_PROTO);
    b.data[b.size++] = 1;
    assert_int_equal(sshagent_parse_signature(b.data, b.size, sig), CLAN_E_PROTO);
    assert_int_equal(sshagent_parse_signature((const uint8_t *)"\5", 1, sig), CLAN_E_PERM);
    assert_int_equal(sshagent_parse_keys((const uint8_t *)"\5", 1, &keys), CLAN_E_PERM);
    assert_int_equal(sshagent_parse_signature((const uint8_t *)"\6", 1, sig), CLAN_E_PROTO);
}

/* Of a key whose fingerprint `ssh-keygen -l` told. */
static void fingerprint(void **state)
{
    (void)state;
    static const uint8_t key[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
        18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    char text[SSHAGENT_FINGERPRINT_MAX];
    sshagent_fingerprint(key, text);
    assert_string_equal(text, "SHA256:ZkAslGjFiUHdGf/WUL8rQvkib4PTvQatUV0OUQSncCA");
}

static void requests(void **state)
{
    (void)state;
    uint8_t out[SSHAGENT_REQUEST_MAX], key[32], text[SSHAGENT_TEXT_MAX] = {0};
    memset(key, 9, sizeof key);
    assert_int_equal(sshagent_put_list(out), 5);
    assert_memory_equal(out, "\0\0\0\1\13", 5);
    size_t n = sshagent_put_sign(key, "hello", 5, out);
    struct bytes want = {.size = 0}, blob = key_blob(ED25519, 9, 32);
    u32(&want, (uint32_t)(n - 4));
    want.data[want.size++] = 13;
    string(&want, blob.data, blob.size);
    string(&want, "hello", 5);
    u32(&want, 0);
    assert_int_equal(n, want.size);
    assert_memory_equal(out, want.data, n);
    assert_true(sshagent_put_sign(key, text, sizeof text, out) <= sizeof out);
}

/* Sends `reply` as an agent that has it ready; closes: and hangs up then. */
static int agent_that_says(const void *reply, size_t size, bool closes, int *ret_other)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    if (size)
        assert_int_equal(write(pair[1], reply, size), size);
    *ret_other = pair[1];
    if (closes)
        assert_int_equal(shutdown(pair[1], SHUT_WR), 0);
    return pair[0];
}

static void hostile_conversations(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        bool closes;
        clan_status want;
        const char *says;
    } rows[] = {
        {"", 0, true, CLAN_E_IO, "ended the conversation"},
        {"", 0, false, CLAN_E_TIMEOUT, "in time"},
        {"\0\0", 2, false, CLAN_E_TIMEOUT, "in time"},
        {"\0\0\0\5\14\0", 6, true, CLAN_E_IO, "ended the conversation"},
        {"\0\0\0\5\14\0", 6, false, CLAN_E_TIMEOUT, "in time"},
        {"\0\0\0\0", 4, false, CLAN_E_PROTO, "none"},
        {"\0\4\0\1", 4, false, CLAN_E_PROTO, "none"}, /* one more than 256 KiB */
        {"\377\377\377\377", 4, false, CLAN_E_PROTO, "none"},
        {"SSH-2.0-dropbear\r\n", 18, false, CLAN_E_PROTO, "none"},
        {"\0\0\0\5\14\0\0\0\1", 9, false, CLAN_E_PROTO, "none"},
        {"\0\0\0\1\5", 5, false, CLAN_E_PERM, "which keys"},
        {"\0\0\0\5\14\0\0\0\0", 9, false, CLAN_OK, ""},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct clan_error e = CLAN_ERROR_INIT;
        int other, fd = agent_that_says(rows[i].bytes, rows[i].size, rows[i].closes, &other);
        clan_status st = sshagent_list(fd, 100, &keys, &e);
        if (st != rows[i].want || !strstr(e.what, rows[i].says))
            fail_msg("row %u: %d %s", i, st, e.what);
        if (st != CLAN_OK)
            assert_true(e.why[0] && e.remedy[0]);
        close(fd);
        close(other);
    }
}

static void refused_signature(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    uint8_t key[32] = {1}, sig[64];
    int other, fd = agent_that_says("\0\0\0\1\5", 5, false, &other);
    assert_int_equal(sshagent_sign(fd, 1000, key, "x", 1, sig, &e), CLAN_E_PERM);
    assert_non_null(strstr(e.what, "refused to sign with the key SHA256:"));
    assert_non_null(strstr(e.remedy, "ssh-add -X"));
    close(fd);
    close(other);
}

static void connecting(void **state)
{
    (void)state;
    struct clan_error e = CLAN_ERROR_INIT;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char dir[] = "/tmp/clan-agent-XXXXXX", longer[200];
    int fd = -1, listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_non_null(mkdtemp(dir));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
    unsetenv("SSH_AUTH_SOCK");
    assert_int_equal(sshagent_connect(&fd, &e), CLAN_E_NOTRUNNING);
    assert_non_null(strstr(e.why, "not set"));
    setenv("SSH_AUTH_SOCK", at.sun_path, 1);
    assert_int_equal(sshagent_connect(&fd, &e), CLAN_E_NOTRUNNING);
    assert_non_null(strstr(e.why, at.sun_path));
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(sshagent_connect(&fd, &e), CLAN_E_NOTRUNNING); /* left by one that died */
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(sshagent_connect(&fd, &e), CLAN_OK);
    close(fd);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    setenv("SSH_AUTH_SOCK", longer, 1);
    assert_int_equal(sshagent_connect(&fd, &e), CLAN_E_LIMIT);
    close(listener);
    unlink(at.sun_path);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(lists_at_their_bounds),
        cmocka_unit_test(signatures),
        cmocka_unit_test(fingerprint),
        cmocka_unit_test(requests),
        cmocka_unit_test(hostile_conversations),
        cmocka_unit_test(refused_signature),
        cmocka_unit_test(connecting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
