/* Tor's configuration: what stands in it, and that no setting brings a line of another meaning. */
#include "torrc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FP "0123456789ABCDEF0123456789ABCDEF01234567"

static void plain(void **state)
{
    (void)state;
    struct torrc t = {.dir = "/volume"};
    char text[TORRC_MAX];
    size_t n = torrc_write(&t, text);
    assert_int_equal(n, strlen(text));
    assert_non_null(strstr(text, "DataDirectory /volume/data\n"));
    assert_non_null(strstr(text, "SocksPort unix:/volume/socks WorldWritable ExtendedErrors\n"));
    assert_non_null(strstr(text, "Sandbox 1\n"));
    assert_non_null(strstr(text, "NoExec 1\n"));
    assert_null(strstr(text, "Bridge"));
}

static void bridges(void **state)
{
    (void)state;
    static const char *const good[] = {"192.0.2.3:443", "192.0.2.3:443 " FP,
        "[2001:db8::3]:9001 " FP, "obfs4 192.0.2.3:443 " FP " cert=AbC+/x iat-mode=0",
        "snowflake 192.0.2.3:80 " FP " url=https://x.example/ ice=stun:a.b:3478,stun:c.d:1"};
    static const char *const bad[] = {"", " ", "192.0.2.3", "192.0.2.3:0", "192.0.2.3:65536",
        "example.org:443", "192.0.2.3:443 123", "192.0.2.3:443 " FP " a=b",
        "192.0.2.3:443\nSocksPort 9050", "192.0.2.3:443 " FP "\nSandbox 0",
        "obfs4 192.0.2.3:443 " FP " cert=a\nExitRelay 1", "obfs4 192.0.2.3:443 " FP " cert=\"a",
        "obfs4 192.0.2.3:443 " FP " cert=#a", "obfs4 192.0.2.3:443 " FP " word",
        "obfs4 192.0.2.3:443 " FP " cert=a\\", "192.0.2.3:443\t" FP, "obfs4", "[192.0.2.3]:443",
        "[2001:db8::3:443", "2001:db8::3:443", "OBFS4 192.0.2.3:443", "192.0.2.3:443\r"};
    char text[TORRC_MAX], line[300];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct torrc t = {.dir = "/volume"};
        assert_null(torrc_bridge_add(&t, good[i]));
        assert_true(torrc_write(&t, text) > 0);
        snprintf(line, sizeof line, "UseBridges 1\nBridge %s\n", good[i]);
        assert_non_null(strstr(text, line));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct torrc t = {.dir = "/volume"};
        if (!torrc_bridge_add(&t, bad[i]) || t.bridge_count)
            fail_msg("\"%s\" is taken for a bridge", bad[i]);
    }
}

static void transports(void **state)
{
    (void)state;
    struct torrc t = {.dir = "/volume"};
    char text[TORRC_MAX];
    assert_null(torrc_bridge_add(&t, "obfs4 192.0.2.3:443 " FP " cert=x"));
    assert_non_null(torrc_bridge_alone(&t));
    assert_non_null(torrc_proxy_add(&t, "obfs4", "exec /bin/sh"));
    assert_non_null(torrc_proxy_add(&t, "obfs4 exec", "192.168.1.5:9999"));
    assert_non_null(torrc_proxy_add(&t, "obfs4", "192.168.1.5:9999\nExitRelay 1"));
    assert_null(torrc_proxy_add(&t, "obfs", "192.168.1.5:9998"));
    assert_non_null(torrc_bridge_alone(&t)); /* the beginning of a name is another name */
    assert_null(torrc_proxy_add(&t, "obfs4", "192.168.1.5:9999"));
    assert_null(torrc_bridge_alone(&t));
    assert_true(torrc_write(&t, text) > 0);
    assert_non_null(strstr(text, "ClientTransportPlugin obfs4 socks5 192.168.1.5:9999\n"));
    assert_non_null(strstr(text, "Sandbox 0\n")); /* tor refuses to start with both */
}

static void limits(void **state)
{
    (void)state;
    struct torrc t = {.dir = "/volume"};
    char text[TORRC_MAX], line[300] = "obfs4 192.0.2.3:443 " FP " cert=";
    size_t at = strlen(line);
    memset(line + at, 'x', 255 - at);
    line[255] = 0;
    for (unsigned i = 0; i < TORRC_BRIDGES_MAX; i++)
        assert_null(torrc_bridge_add(&t, line));
    assert_non_null(torrc_bridge_add(&t, "192.0.2.3:443"));
    for (unsigned i = 0; i < TORRC_PROXIES_MAX; i++)
        assert_null(torrc_proxy_add(&t, "obfs4", "192.168.1.5:9999"));
    assert_non_null(torrc_proxy_add(&t, "meek", "192.168.1.5:9999"));
    assert_true(torrc_write(&t, text) > 0); /* all of it has room */
    strcat(line, "x");
    t.bridge_count = 0;
    assert_non_null(torrc_bridge_add(&t, line));
}

static unsigned lines_of(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Any byte at any place of a setting: it is refused, or it is in the one line that it belongs to. */
static void no_other_line(void **state)
{
    (void)state;
    static const char good[] = "obfs4 192.0.2.3:443 " FP " cert=AbC+/x iat-mode=0";
    static const char proxy[] = "192.168.1.5:9999";
    char line[sizeof good], where[sizeof proxy], text[TORRC_MAX], expected[300];
    struct torrc plainly = {.dir = "/volume"};
    assert_null(torrc_proxy_add(&plainly, "obfs4", proxy));
    torrc_write(&plainly, text);
    unsigned lines = lines_of(text), taken = 0;
    for (size_t at = 0; at + 1 < sizeof good; at++)
        for (unsigned byte = 1; byte < 256; byte++) {
            struct torrc t = plainly;
            memcpy(line, good, sizeof good);
            line[at] = (char)byte;
            if (torrc_bridge_add(&t, line))
                continue;
            taken++;
            assert_true(byte >= ' ' && byte < 127 && byte != '#' && byte != '"' && byte != '\\');
            assert_true(torrc_write(&t, text) > 0);
            assert_int_equal(lines_of(text), lines + 2);
            snprintf(expected, sizeof expected, "\nUseBridges 1\nBridge %s\n", line);
            assert_string_equal(strstr(text, "\nUseBridges"), expected);
        }
    assert_true(taken > 1000);
    for (size_t at = 0; at + 1 < sizeof proxy; at++)
        for (unsigned byte = 1; byte < 256; byte++) {
            struct torrc t = {.dir = "/volume"};
            memcpy(where, proxy, sizeof proxy);
            where[at] = (char)byte;
            if (!torrc_proxy_add(&t, "obfs4", where))
                assert_non_null(strchr("0123456789.:", (char)byte));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(plain), cmocka_unit_test(bridges),
        cmocka_unit_test(transports), cmocka_unit_test(limits), cmocka_unit_test(no_other_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
