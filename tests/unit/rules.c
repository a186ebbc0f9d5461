/* The firewall's text: what stands for an overlay is all of its own, and only what differs is said. */
#include "netconf/rules.h"
#include "wire/grants.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t peer1[16] = {0xfd, 1, [15] = 1}, peer2[16] = {0xfd, 1, [15] = 2},
                     here[16] = {0xfd, 1, [15] = 9};
static const struct netconf clan = {.prefix = {0xfd, 1}};

/* What a rules function adds; the caller frees. */
static char *said(rules_fn *fn, const struct rules_table *f)
{
    struct text t = {0};
    fn(&t, f);
    return t.data;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static struct rules_table table(void)
{
    struct rules_table f = {.name = "clan_0102030405",
        .ifname = "clan0",
        .device = "clan0d",
        .prefix = "fd01:203:405::/48",
        .resolver = "fd01:203:405::53",
        .speaker_count = 1};
    return f;
}

static void a_table_is_whole(void **state)
{
    (void)state;
    struct rules_table f = table();
    rules_speaker(&f, 4711);
    rules_speaker(&f, 4711);
    assert_int_equal(f.speaker_count, 2); /* each once */
    char *text = said(rules_table, &f);
    /* in place of the one that is there, in one transaction */
    assert_int_equal(strncmp(text,
                         "add table inet clan_0102030405\ndelete table inet clan_0102030405\n"
                         "table inet clan_0102030405 {\n",
                         90),
        0);
    assert_has(text, "set speakers { type uid; elements = { 0, 4711 } }");
    assert_has(text, "ip6 saddr != fd01:203:405::/48 counter drop");
    assert_has(text, "iifname { \"clan0\", \"clan0d\" } counter drop");
    assert_has(text, "ip6 daddr fd01:203:405::53 counter reject");
    for (const char *p = text; (p = strchr(p, '{')); p++) /* no place of the template is left */
        assert_false(p[1] >= 'a' && p[1] <= 'z' && p[2] == '}');
    int depth = 0;
    for (const char *p = text; *p; p++) {
        depth += (*p == '{') - (*p == '}');
        assert_true(depth >= 0);
    }
    assert_int_equal(depth, 0);
    free(text);
    text = said(rules_speakers, &f);
    assert_string_equal(text, "flush set inet clan_0102030405 speakers\n"
                              "add element inet clan_0102030405 speakers { 0, 4711 }\n");
    free(text);
}

/* The whole text: each address is for one user, and nobody but the plugin's answers there. */
static void people_have_an_address_each(void **state)
{
    (void)state;
    struct netconf n = {.slot = 3};
    struct grants g = {.owner_uid = 1000, .user_count = 2, .users = {1001, 1000}};
    const struct grant_plugin shows = {.permissions = GRANT_API_SESSION}, other = {0};
    struct text t = {0};
    assert_true(rules_people_told(&n, &g, &other));
    assert_false(rules_people_told(&n, &g, &shows));
    rules_people(&t, &n, &g, 300042, GRANT_NET_LISTEN);
    assert_null(t.data);
    rules_people(&t, &n, &g, 300042, GRANT_API_SESSION);
    assert_string_equal(t.data,
        "add table inet clan_people_3\ndelete table inet clan_people_3\n"
        "table inet clan_people_3 {\n"
        "chain input { type filter hook input priority filter; policy accept;\n"
        " iifname != \"lo\" ip daddr 127.67.117.0/24 counter drop\n"
        "}\n"
        "chain output { type filter hook output priority filter; policy accept;\n"
        " oifname != \"lo\" accept\n"
        " ip daddr 127.67.117.1 meta l4proto tcp meta skuid != 0 counter reject with tcp reset\n"
        " ip daddr 127.67.117.2 meta l4proto tcp meta skuid != 1000 counter reject with tcp reset\n"
        " ip daddr 127.67.117.3 meta l4proto tcp meta skuid != 1001 counter reject with tcp reset\n"
        " ip saddr 127.67.117.0/24 meta skuid != 300042 counter drop\n"
        "}\n}\n");
    assert_true(rules_people_told(&n, &g, &shows));
    g.users[0] = 1002; /* one goes, another one comes */
    assert_false(rules_people_told(&n, &g, &shows));
    free(t.data);
    struct rules_table f = rules_table_of(&n);
    char *text = said(rules_remove, &f);
    assert_has(text, "delete table inet clan_people_3\n");
    free(text);
}

static void want(struct rules_set *set, const uint8_t *peer, const uint8_t *dest, uint8_t protocol,
    uint16_t port, bool is)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct rules_element x = rules_element(peer, dest, protocol, port, is);
    assert_int_equal(rules_want(set, &clan, &x, &e), CLAN_OK);
}

static void changes(struct rules_set *set, const char *expected)
{
    struct text t = {0};
    rules_changes(&t, "t", set);
    assert_string_equal(t.data ? t.data : "", expected);
    free(t.data);
}

static void only_what_differs(void **state)
{
    (void)state;
    struct rules_set set = {0};
    want(&set, peer1, NULL, 0, 0, true);
    want(&set, peer2, NULL, 0, 0, true);
    want(&set, peer1, here, IPPROTO_TCP, 80, true);
    changes(&set, "add element inet t allow { fd01::1 . fd01::9 . tcp . 80 }\n"
                  "add element inet t members { fd01::1, fd01::2 }\n");
    changes(&set, "");
    want(&set, peer1, here, IPPROTO_TCP, 80, true); /* again is no change */
    changes(&set, "");
    want(&set, peer1, here, IPPROTO_TCP, 80, false);
    want(&set, peer1, here, IPPROTO_UDP, 80, true);
    want(&set, peer2, NULL, 0, 0, false);
    want(&set, peer2, here, IPPROTO_TCP, 1, false); /* was never there */
    changes(&set, "delete element inet t allow { fd01::1 . fd01::9 . tcp . 80 }\n"
                  "add element inet t allow { fd01::1 . fd01::9 . udp . 80 }\n"
                  "delete element inet t members { fd01::2 }\n");
    set.unsure = true; /* nft said no: all of it once more */
    changes(&set, "flush set inet t members\nflush set inet t allow\n"
                  "add element inet t allow { fd01::1 . fd01::9 . udp . 80 }\n"
                  "add element inet t members { fd01::1 }\n");
    rules_clear(&set);
    changes(&set, "delete element inet t allow { fd01::1 . fd01::9 . udp . 80 }\n"
                  "delete element inet t members { fd01::1 }\n");
    assert_int_equal(set.count, 0);
    free(set.elements);
}

static void elements_are_bounded(void **state)
{
    (void)state;
    struct rules_set set = {0};
    struct clan_error e = CLAN_ERROR_INIT;
    for (unsigned i = 0; i < RULES_MAX; i++)
        want(&set, peer1, here, IPPROTO_TCP, (uint16_t)(i + 1), true);
    struct rules_element more = rules_element(peer2, NULL, 0, 0, true);
    assert_int_equal(rules_want(&set, &clan, &more, &e), CLAN_E_LIMIT);
    want(&set, peer1, here, IPPROTO_TCP, 1, true); /* known ones still change */
    want(&set, peer1, here, IPPROTO_TCP, 1, false);
    more = rules_element((const uint8_t[16]){0xfd, 2}, NULL, 0, 0, true); /* and none of others */
    assert_int_equal(rules_want(&set, &clan, &more, &e), CLAN_E_INVAL);
    more = rules_element(peer1, (const uint8_t[16]){0xfd, 2}, IPPROTO_TCP, 1, true);
    assert_int_equal(rules_want(&set, &clan, &more, &e), CLAN_E_INVAL);
    free(set.elements);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_whole),
        cmocka_unit_test(people_have_an_address_each),
        cmocka_unit_test(only_what_differs),
        cmocka_unit_test(elements_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
