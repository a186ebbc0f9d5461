/* What a link may make this computer knock at, after the first yes. */
#include "base/error.h"
#include "brain/joindial.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool address(const char *text, uint8_t ret[16])
{
    bool v4 = inet_pton(AF_INET, text, ret + 12) == 1;
    memset(ret, 0, v4 ? 10 : 0);
    memset(ret + 10, 0xff, v4 ? 2 : 0);
    assert_true(v4 || inet_pton(AF_INET6, text, ret) == 1);
    return v4;
}

/* A computer at home: 192.168.1.7/24 with 2001:db8:7::7/64 and fd12:7::7/64, and 203.0.113.8/28 of its own. */
static struct brain *at_home(void)
{
    static const struct {
        const char *address;
        unsigned bits;
    } rows[] = {{"192.168.1.7", 96 + 24}, {"2001:db8:7::7", 64}, {"fd12:7::7", 64},
        {"203.0.113.8", 96 + 28}};
    struct brain *b = calloc(1, sizeof *b);
    assert_non_null(b);
    for (; b->local.count < sizeof rows / sizeof *rows; b->local.count++) {
        address(rows[b->local.count].address, b->local.addrs[b->local.count].address);
        b->local.addrs[b->local.count].prefix_len = (uint8_t)rows[b->local.count].bits;
    }
    return b;
}

enum answer { DIALLED, NEVER, OURSELVES, ELSEWHERE };

static enum answer says(const struct brain *b, const char *text, uint16_t port)
{
    struct invite_link l = {.endpoint_count = 1};
    struct clan_error e = CLAN_ERROR_INIT;
    l.endpoints[0].family = address(text, l.endpoints[0].address) ? 4 : 6;
    l.endpoints[0].port = port;
    strcpy(l.endpoints[0].transport, LINK_TRANSPORT_USUAL);
    if (joindial_allowed(b, &l, 0, &e))
        return DIALLED;
    assert_true(e.what[0] && e.remedy[0]);
    if (strstr(e.what, "this computer itself"))
        return OURSELVES;
    return strstr(e.what, "private network") ? ELSEWHERE : NEVER;
}

static void each_kind_of_address(void **state)
{
    static const struct {
        const char *address;
        uint16_t port;
        enum answer want;
    } rows[] = {
        {"127.0.0.1", 22, NEVER},
        {"127.64.117.1", 7180, NEVER},
        {"::1", 7180, NEVER},
        {"::ffff:127.0.0.1", 22, NEVER},
        {"0.0.0.0", 22, NEVER},
        {"::", 22, NEVER},
        {"169.254.169.254", 80, NEVER},
        {"fe80::1", 22, NEVER},
        {"224.0.0.251", 5353, NEVER},
        {"255.255.255.255", 22, NEVER},
        {"ff02::1", 22, NEVER},
        {"64:ff9b::192.168.1.1", 80, NEVER},
        {"192.168.1.7", 22, OURSELVES},
        {"::ffff:192.168.1.7", 22, OURSELVES},
        {"203.0.113.8", 7180, OURSELVES},
        {"2001:db8:7::7", 22, OURSELVES},
        {"fd12:7::7", 22, OURSELVES},
        {"10.0.0.1", 80, ELSEWHERE},
        {"172.16.0.1", 80, ELSEWHERE},
        {"172.31.255.255", 80, ELSEWHERE},
        {"192.168.0.1", 80, ELSEWHERE},
        {"192.168.2.1", 80, ELSEWHERE},
        {"::ffff:192.168.2.1", 80, ELSEWHERE},
        {"100.64.0.1", 80, ELSEWHERE},
        {"100.127.255.255", 80, ELSEWHERE},
        {"192.0.0.1", 80, ELSEWHERE},
        {"198.18.0.1", 80, ELSEWHERE},
        {"198.19.255.255", 80, ELSEWHERE},
        {"fd12:8::1", 80, ELSEWHERE},
        {"fec0::1", 80, ELSEWHERE},
        {"fd3a:91c2:77be::5", 7118,
            ELSEWHERE},               /* in a clan of ours: its interface is no attached net */
        {"192.168.1.1", 80, DIALLED}, /* the router: it may be the door, and the yes named it */
        {"192.168.1.9", 7117, DIALLED},
        {"::ffff:192.168.1.9", 7117, DIALLED},
        {"fd12:7::9", 7117, DIALLED},
        {"203.0.113.5", 7117, DIALLED},
        {"2001:db8::1", 7117, DIALLED},
        {"172.15.0.1", 7117, DIALLED},
        {"172.32.0.1", 7117, DIALLED},
        {"100.63.0.1", 7117, DIALLED},
        {"100.128.0.1", 7117, DIALLED},
        {"192.167.0.1", 7117, DIALLED},
        {"192.0.1.1", 7117, DIALLED},
        {"198.17.0.1", 7117, DIALLED},
        {"198.20.0.1", 7117, DIALLED},
    };
    (void)state;
    struct brain *b = at_home();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (says(b, rows[i].address, rows[i].port) != rows[i].want)
            fail_msg("%s is answered with %d", rows[i].address,
                (int)says(b, rows[i].address, rows[i].port));
    /* of a computer that does not know yet where it is, nothing private is near */
    b->local.count = 0;
    assert_int_equal(says(b, "192.168.1.9", 7117), ELSEWHERE);
    assert_int_equal(says(b, "203.0.113.5", 7117), DIALLED);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_kind_of_address)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
