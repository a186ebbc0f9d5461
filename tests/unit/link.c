/* Invitation links: round trip, every kind of bad text, addresses that are refused. */
#include "statement/link.h"

#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void set_endpoint(struct invite_link *l, unsigned i, const char *addr, uint16_t port)
{
    uint8_t v4[4];
    if (inet_pton(AF_INET, addr, v4) == 1) {
        memset(l->endpoints[i].address, 0, 10);
        memset(l->endpoints[i].address + 10, 0xff, 2);
        memcpy(l->endpoints[i].address + 12, v4, 4);
        l->endpoints[i].family = 4;
    } else {
        assert_int_equal(inet_pton(AF_INET6, addr, l->endpoints[i].address), 1);
        l->endpoints[i].family = 6;
    }
    l->endpoints[i].port = port;
    strcpy(l->endpoints[i].transport, LINK_TRANSPORT_USUAL);
}

static struct invite_link example(void)
{
    struct invite_link l = {.floor_version = 7, .endpoint_count = 2};
    for (unsigned i = 0; i < 32; i++)
        l.clan_id[i] = (uint8_t)(i * 7 + 1);
    memset(l.seed, 0xa5, sizeof l.seed);
    memset(l.floor_hash, 0x3c, sizeof l.floor_hash);
    set_endpoint(&l, 0, "203.0.113.5", 7117);
    set_endpoint(&l, 1, "2001:db8::1", 65535);
    return l;
}

static void round_trip(void **state)
{
    (void)state;
    for (unsigned count = 0; count <= LINK_ENDPOINTS_MAX; count++) {
        struct invite_link l = example(), back;
        char text[LINK_TEXT_MAX + 1], spaced[LINK_TEXT_MAX + 32];
        l.endpoint_count = count;
        for (unsigned i = count; i < LINK_ENDPOINTS_MAX; i++)
            memset(&l.endpoints[i], 0, sizeof l.endpoints[i]);
        assert_int_equal(link_format(&l, text), CLAN_OK);
        assert_true(strlen(text) <= 200);
        assert_int_equal(strncmp(text, LINK_PREFIX, strlen(LINK_PREFIX)), 0);
        assert_int_equal(link_parse(text, &back, NULL), CLAN_OK);
        assert_memory_equal(&l, &back, sizeof l);
        /* as a QR code gives it, and as a mail program does */
        snprintf(spaced, sizeof spaced, " \t%s\r\n", text);
        for (char *p = spaced; *p; p++)
            *p = (char)toupper((unsigned char)*p);
        assert_int_equal(link_parse(spaced, &back, NULL), CLAN_OK);
        assert_memory_equal(&l, &back, sizeof l);
        for (char *p = spaced; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        assert_int_equal(link_parse(spaced, &back, NULL), CLAN_OK);
    }
}

static void format_refuses(void **state)
{
    (void)state;
    char text[LINK_TEXT_MAX + 1];
    struct invite_link l = example();
    l.endpoint_count = 3;
    assert_int_equal(link_format(&l, text), CLAN_E_INVAL);
    l = example();
    l.endpoints[1].family = 5;
    assert_int_equal(link_format(&l, text), CLAN_E_INVAL);
    static const char *const names[] = {"", "Web", "-a", "a b"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        l = example();
        strcpy(l.endpoints[1].transport, names[i]);
        assert_int_equal(link_format(&l, text), CLAN_E_INVAL);
    }
    l = example();
    strcpy(l.endpoints[1].suffix, "no-slash");
    assert_int_equal(link_format(&l, text), CLAN_E_INVAL);
    strcpy(l.endpoints[1].suffix, "/a b");
    assert_int_equal(link_format(&l, text), CLAN_E_INVAL);
}

/* Each endpoint says whose it is; the onion comes last. */
static void transports(void **state)
{
    (void)state;
    struct invite_link l = example(), back;
    char text[LINK_TEXT_MAX + 1], where[LINK_ENDPOINT_TEXT];
    strcpy(l.endpoints[1].transport, "websocket");
    strcpy(l.endpoints[1].suffix, "/calls");
    l.has_onion = true;
    for (unsigned i = 0; i < LINK_ONION_SIZE; i++)
        l.onion[i] = (uint8_t)(i * 11 + 3);
    l.onion_port = 7117;
    assert_int_equal(link_format(&l, text), CLAN_OK);
    assert_int_equal(link_parse(text, &back, NULL), CLAN_OK);
    assert_memory_equal(&l, &back, sizeof l);
    assert_int_equal(link_endpoint_count(&back), 3);
    assert_string_equal(link_endpoint_transport(&back, 0), "tcp-noise");
    assert_string_equal(link_endpoint_transport(&back, 1), "websocket");
    assert_string_equal(link_endpoint_transport(&back, 2), "tor");
    link_endpoint_text(&back, 1, where);
    assert_string_equal(where, "[2001:db8::1]:65535/calls");
    link_endpoint_text(&back, 2, where);
    assert_string_equal(
        where, "amhbsjbphjcvaw3gof6ipeu5vcz35sou37vpkaalcyqsyn2cjvmgg3tz.onion:7117");
    assert_null(link_endpoint_address(&back, 2));
    assert_int_equal(link_endpoint_allowed(&back, 2, NULL), CLAN_OK);
    back.onion_port = 0;
    assert_int_equal(link_endpoint_allowed(&back, 2, NULL), CLAN_E_INVAL);
    /* everything at its longest does not fit into a link */
    for (unsigned i = 0; i < 2; i++) {
        strcpy(l.endpoints[i].transport, "a-transport-with-a-very-long-nam");
        strcpy(l.endpoints[i].suffix, "/a-path-that-is-as-long-as-it-may-be-her");
    }
    assert_int_equal(strlen(l.endpoints[0].suffix), LINK_SUFFIX_MAX);
    assert_int_equal(link_format(&l, text), CLAN_E_LIMIT);
    l.endpoint_count = 1;
    memset(&l.endpoints[1], 0, sizeof l.endpoints[1]);
    l.has_onion = false;
    memset(l.onion, 0, sizeof l.onion);
    l.onion_port = 0;
    assert_int_equal(link_format(&l, text), CLAN_OK);
    assert_int_equal(link_parse(text, &back, NULL), CLAN_OK);
    assert_memory_equal(&l, &back, sizeof l);
}

/* The bytes are the contract with every other Clan; made by another program from link.h. */
static void known_text(void **state)
{
    (void)state;
    struct invite_link l = example();
    char text[LINK_TEXT_MAX + 1];
    strcpy(l.endpoints[1].transport, "websocket");
    assert_int_equal(link_format(&l, text), CLAN_OK);
    assert_string_equal(text, "clan://join/"
                              "AIAQQDYWDUSCWMRZIBDU4VK4MNVHC6D7Q2GZJG5CVGYLPPWFZTJ5VJNFUWS2LJNFUWS2"
                              "LJNFUWS2LJIAAAAAOPB4HQ6DYPB4HQ6DYPB4HQ6DYPACAACMWADRAUN42CLXMVRHG33D"
                              "NNSXIBRAAEG3QAAAAAAAAAAAAAAAAAAB777QAXRM7J2A");
}

static void refused(const char *text, const char *words)
{
    struct invite_link l;
    struct clan_error err = CLAN_ERROR_INIT;
    memset(&l, 0x77, sizeof l);
    assert_int_equal(link_parse(text, &l, &err), CLAN_E_INVAL);
    assert_non_null(strstr(err.what, words));
    assert_true(err.why[0] && err.remedy[0]);
    assert_int_equal(l.clan_id[0], 0x77); /* never half-written */
}

static void mistyped(void **state)
{
    (void)state;
    struct invite_link l = example();
    char text[LINK_TEXT_MAX + 1], bad[LINK_TEXT_MAX + 1];
    link_format(&l, text);
    size_t head = strlen(LINK_PREFIX), len = strlen(text);
    /* each character once, the version's among them: never called "newer" */
    for (size_t i = head; i < len; i++) {
        strcpy(bad, text);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        refused(bad, "damaged");
    }
    for (size_t i = head + 1; i < len; i++) {
        memcpy(bad, text, i);
        bad[i] = 0;
        refused(bad, "damaged");
    }
    strcpy(bad, text);
    bad[head + 9] = '!';
    refused(bad, "damaged");
    memcpy(bad + head + 9, " ", 1);
    refused(bad, "damaged");
}

static void not_links(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", " ", "clan://join/", "clan://join", "https://example.org/", "clan://open/AAAA", "\n\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        refused(texts[i], "not an invitation link");
}

static void length_limit(void **state)
{
    (void)state;
    char text[LINK_TEXT_MAX + 2], huge[70000];
    size_t head = strlen(LINK_PREFIX);
    memset(text, 'A', sizeof text);
    memcpy(text, LINK_PREFIX, head);
    text[LINK_TEXT_MAX] = 0;
    refused(text, "damaged"); /* the longest that is looked at */
    text[LINK_TEXT_MAX] = 'A';
    text[LINK_TEXT_MAX + 1] = 0;
    refused(text, "not an invitation link");
    memset(huge, 'A', sizeof huge - 1);
    memcpy(huge, LINK_PREFIX, head);
    huge[sizeof huge - 1] = 0;
    refused(huge, "not an invitation link");
}

/* Changes the decoded bytes and gives them a good checksum. */
static void reseal(const uint8_t *raw, size_t size, char *ret_text)
{
    uint8_t whole[180], hash[32];
    memcpy(whole, raw, size);
    crypto_generichash(hash, sizeof hash, raw, size, NULL, 0);
    memcpy(whole + size, hash, 4);
    strcpy(ret_text, LINK_PREFIX);
    text_base32(whole, size + 4, ret_text + strlen(LINK_PREFIX));
}

static void versions_and_shapes(void **state)
{
    (void)state;
    struct invite_link l = example();
    char text[LINK_TEXT_MAX + 1];
    uint8_t raw[180];
    size_t chars, size;
    link_format(&l, text);
    chars = strlen(text) - strlen(LINK_PREFIX);
    size = chars * 5 / 8;
    assert_true(text_base32_decode(text + strlen(LINK_PREFIX), chars, raw, size));
    size -= 4;
    reseal(raw, size, text);
    assert_int_equal(link_parse(text, &l, NULL), CLAN_OK);

    uint8_t bad[180];
    memcpy(bad, raw, size);
    bad[0] = 3;
    reseal(bad, size, text);
    refused(text, "newer Clan");
    bad[0] = 1; /* without the names of transports */
    reseal(bad, size, text);
    refused(text, "older Clan");
    memcpy(bad, raw, size);
    bad[size - 1] = 2; /* onions */
    reseal(bad, size, text);
    refused(text, "newer Clan");
    memcpy(bad, raw, size);
    bad[size - 1] = 1; /* an onion that is not there */
    reseal(bad, size, text);
    refused(text, "damaged");
    memcpy(bad, raw, size);
    bad[69] = 3; /* endpoint count */
    reseal(bad, size, text);
    refused(text, "damaged");
    memcpy(bad, raw, size);
    bad[70] = 33; /* length of the transport's name */
    reseal(bad, size, text);
    refused(text, "damaged");
    memcpy(bad, raw, size);
    bad[70] = 1; /* its only letter is no letter */
    reseal(bad, size, text);
    refused(text, "damaged");
    memcpy(bad, raw, size);
    bad[71] = 4 | 0x80; /* a suffix that is not there */
    reseal(bad, size, text);
    refused(text, "damaged");
    memcpy(bad, raw, size);
    bad[71] = 5; /* address family */
    reseal(bad, size, text);
    refused(text, "damaged");
    memcpy(bad, raw, size);
    bad[size] = 0;
    reseal(bad, size + 1, text);
    refused(text, "damaged");
    for (size_t cut = 1; cut < size; cut++) {
        struct invite_link out;
        reseal(raw, cut, text);
        assert_int_equal(link_parse(text, &out, NULL), CLAN_E_INVAL);
    }
}

static void endpoints(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        uint16_t port;
        bool allowed;
        const char *text;
    } rows[] = {
        {"203.0.113.5", 7117, true, "203.0.113.5:7117"},
        {"192.168.1.7", 7117, true, "192.168.1.7:7117"},
        {"10.0.0.1", 1, true, "10.0.0.1:1"},
        {"2001:db8::1", 7117, true, "[2001:db8::1]:7117"},
        {"fd00::1", 65535, true, "[fd00::1]:65535"},
        {"127.0.0.1", 6379, false, "127.0.0.1:6379"},
        {"127.255.255.254", 80, false, "127.255.255.254:80"},
        {"0.0.0.0", 80, false, "0.0.0.0:80"},
        {"0.1.2.3", 80, false, "0.1.2.3:80"},
        {"169.254.169.254", 80, false, "169.254.169.254:80"},
        {"224.0.0.251", 80, false, "224.0.0.251:80"},
        {"255.255.255.255", 80, false, "255.255.255.255:80"},
        {"::", 80, false, "[::]:80"},
        {"::1", 80, false, "[::1]:80"},
        {"::ffff:127.0.0.1", 80, false, "[::ffff:127.0.0.1]:80"},
        {"::ffff:169.254.1.1", 80, false, "[::ffff:169.254.1.1]:80"},
        {"::127.0.0.1", 80, false, "[::127.0.0.1]:80"},
        {"fe80::1", 80, false, "[fe80::1]:80"},
        {"febf::1", 80, false, "[febf::1]:80"},
        {"ff02::1", 80, false, "[ff02::1]:80"},
        {"ff0e::1", 7180, false, "[ff0e::1]:7180"},
        {"127.64.117.1", 7180, false, "127.64.117.1:7180"}, /* somebody's dashboard */
        {"::ffff:127.64.117.1", 7180, false, "[::ffff:127.64.117.1]:7180"},
        {"::ffff:0.0.0.0", 22, false, "[::ffff:0.0.0.0]:22"},
        {"::ffff:255.255.255.255", 22, false, "[::ffff:255.255.255.255]:22"},
        {"::ffff:224.0.0.1", 22, false, "[::ffff:224.0.0.1]:22"},
        {"239.255.255.250", 1900, false, "239.255.255.250:1900"},
        {"64:ff9b::7f00:1", 22, false, "[64:ff9b::7f00:1]:22"},
        {"64:ff9b:1::a00:1", 22, false, "[64:ff9b:1::a00:1]:22"},
        {"65:ff9b::1", 22, true, "[65:ff9b::1]:22"},
        {"203.0.113.5", 0, false, "203.0.113.5:0"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct invite_link l = {.endpoint_count = 1};
        struct clan_error err = CLAN_ERROR_INIT;
        char text[LINK_ENDPOINT_TEXT];
        set_endpoint(&l, 0, rows[i].addr, rows[i].port);
        link_endpoint_text(&l, 0, text);
        assert_string_equal(text, rows[i].text);
        clan_status st = link_endpoint_allowed(&l, 0, &err);
        assert_int_equal(st, rows[i].allowed ? CLAN_OK : CLAN_E_INVAL);
        if (!rows[i].allowed)
            assert_non_null(strstr(err.what, rows[i].text));
    }
    struct invite_link none = {0};
    assert_int_equal(link_endpoint_allowed(&none, 0, NULL), CLAN_E_INVAL);
    assert_int_equal(link_endpoint_allowed(&none, 7, NULL), CLAN_E_INVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(format_refuses),
        cmocka_unit_test(transports),
        cmocka_unit_test(known_text),
        cmocka_unit_test(mistyped),
        cmocka_unit_test(not_links),
        cmocka_unit_test(length_limit),
        cmocka_unit_test(versions_and_shapes),
        cmocka_unit_test(endpoints),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
