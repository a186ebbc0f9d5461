/* What clan netcheck makes of the facts, one fault at a time; and its form against a core of the test. */
#include "cli/out.h"
#include "netcheck/netcheck.h"
#include "wire/grants.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/run.h" /* of this folder */

static struct net_facts f;

/* A machine where everything works. */
static void good(void)
{
    memset(&f, 0, sizeof f);
    f.daemon = f.probed = true;
    strcpy(f.status.machine, "nas");
    strcpy(f.status.petname, "home");
    f.status.address[0] = 0xfd;
    f.status.machines = f.status.reachable = 3;
    f.core = (clan_api_NetFacts){.runs_s = 600, .net_up = true, .firewall_told = true, .clocks = 2};
    f.transport_count = 1;
    clan_api_NetTransport *t = &f.transports[0];
    strcpy(t->transport, "tcp-noise");
    strcpy(t->state, "up");
    t->endpoints_count = 1;
    strcpy(t->endpoints[0], "203.0.113.5:7117");
    t->machines = 2;
    t->sessions = 4;
    t->in_s = 5;
    t->far_s = 5;
    t->out_s = 9;
    strcpy(t->in_from, "laptop");
    strcpy(t->out_to, "phone");
    strcpy(t->via, "203.0.113.6:7117");
    strcpy(t->via_machine, "phone");
    t->carries = t->data_allowed = true;
    f.path[0].mtu = 1500;
    f.path[0].small = f.path[0].big = NET_ANSWER_YES;
    f.address_count = 1;
    f.addresses[0] =
        (struct net_address){.ifname = "eth0", .text = "203.0.113.5", .is_public = true};
    strcpy(f.overlay, "clan0");
    f.overlay_mtu = 1420;
    strcpy(f.name, "nas.home.clan");
    f.names = NET_NAMES_OK;
    f.resolver = f.firewall = NET_ANSWER_YES;
    strcpy(f.table, "clan_0102030405");
}

static void no_daemon(void)
{
    f.daemon = false;
    strcpy(f.trouble.what, "Clan is not running on this machine");
    strcpy(f.trouble.remedy, "start it");
}
static void alone(void)
{
    f.status.machines = f.status.reachable = 1;
}
static void half(void)
{
    f.status.reachable = 2;
}
static void nobody(void)
{
    f.status.reachable = 1;
}
static void no_overlay(void)
{
    f.overlay[0] = 0;
}
static void no_address(void)
{
    f.address_count = 0;
}
static void not_granted(void)
{
    strcpy(f.transports[0].state, "not granted");
}
static void failed(void)
{
    strcpy(f.transports[0].state, "failed");
}
static void deaf(void)
{
    f.transports[0].endpoints_count = 0;
}
static void never_out(void)
{
    f.transports[0].out_s = f.transports[0].sessions = 0;
    f.transports[0].failures = 7;
    f.transports[0].failed_s = 3;
    strcpy(f.transports[0].failed_to, "phone");
}
static void only_in(void)
{
    never_out();
    f.transports[0].sessions = 1;
}
static void never_in(void)
{
    f.transports[0].in_s = f.transports[0].far_s = 0;
    f.status.reachable = 2;
}
static void not_proven_in(void)
{
    f.transports[0].in_s = f.transports[0].far_s = 0;
}
static void black_hole(void)
{
    f.path[0].big = NET_ANSWER_NO;
}
static void no_echo(void)
{
    f.path[0].small = f.path[0].big = NET_ANSWER_NO;
}
static void private_only(void)
{
    f.addresses[0].is_public = false;
    f.transports[0].far_s = 0;
}
static void private_missed(void)
{
    private_only();
    f.status.reachable = 2;
}
static void private_meets(void)
{
    private_only();
    f.transports[0].meets = true;
}
static void clock_off(void)
{
    f.core.clock_offset_s = -4000;
}
static void clock_some(void)
{
    f.core.clock_offset_s = 60;
}
static void clock_alone(void)
{
    f.core.clocks = 0;
}
static void resolver_dead(void)
{
    f.resolver = NET_ANSWER_NO;
}
static void names_slow(void)
{
    f.names = NET_NAMES_SLOW;
    f.resolver = NET_ANSWER_NO;
}
static void names_none(void)
{
    f.names = NET_NAMES_NONE;
}
static void names_off(void)
{
    f.names = NET_NAMES_NONE;
    f.core.dns = GRANT_DNS_OFF;
}
static void names_other(void)
{
    f.names = NET_NAMES_OTHER;
}
static void no_table(void)
{
    f.firewall = NET_ANSWER_NO;
}
static void not_root(void)
{
    f.firewall = NET_ANSWER_UNKNOWN;
}
static void not_told(void)
{
    f.core.firewall_told = false;
}

static void one_fault_each(void **state)
{
    (void)state;
    static const struct {
        void (*fault)(void);
        const char *id;
        enum net_verdict verdict;
        const char *says;
    } rows[] = {
        {no_daemon, "daemon", NET_FAIL, "not running"},
        {alone, "machines", NET_UNKNOWN, "no other machine"},
        {half, "machines", NET_WARN, "2 of 3"},
        {nobody, "machines", NET_FAIL, "1 of 3"},
        {no_overlay, "overlay", NET_FAIL, "no interface has"},
        {no_address, "addresses", NET_FAIL, "no address"},
        {not_granted, "transports", NET_FAIL, "no transport runs"},
        {not_granted, "tcp-noise", NET_WARN, "not granted"},
        {failed, "tcp-noise", NET_FAIL, "does not run"},
        {deaf, "tcp-noise", NET_WARN, "listens at no address"},
        {never_out, "tcp-noise out", NET_FAIL, "7 calls"},
        {only_in, "tcp-noise out", NET_WARN, "7 calls"},
        {never_in, "tcp-noise in", NET_WARN, "nobody came"},
        {not_proven_in, "tcp-noise in", NET_UNKNOWN, "nobody came"},
        {black_hole, "tcp-noise mtu", NET_FAIL, "full ones of 1420 bytes do not"},
        {no_echo, "tcp-noise mtu", NET_FAIL, "no packet comes back"},
        {private_only, "nat", NET_UNKNOWN, "only private"},
        {private_missed, "nat", NET_WARN, "only private"},
        {private_meets, "nat", NET_OK, "needs no open port"},
        {clock_off, "clock", NET_FAIL, "4000 seconds ahead of"},
        {clock_some, "clock", NET_WARN, "60 seconds behind"},
        {clock_alone, "clock", NET_UNKNOWN, "could not be compared"},
        {resolver_dead, "names", NET_WARN, "resolver does not answer"},
        {names_slow, "names", NET_FAIL, "longer than"},
        {names_none, "names", NET_FAIL, "do not find nas.home.clan"},
        {names_off, "names", NET_WARN, "do not find"},
        {names_other, "names", NET_FAIL, "another machine's"},
        {no_table, "firewall", NET_FAIL, "clan_0102030405"},
        {not_root, "firewall", NET_UNKNOWN, "told"},
        {not_told, "firewall", NET_WARN, "not have all"},
    };
    static struct net_checks l;
    good();
    net_judge(&f, &l);
    for (unsigned i = 0; i < l.count; i++)
        if (l.rows[i].verdict != NET_OK)
            fail_msg("%s: %s", l.rows[i].id, l.rows[i].what);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct net_check *n = NULL;
        good();
        rows[i].fault();
        net_judge(&f, &l);
        for (unsigned k = 0; k < l.count; k++)
            if (strcmp(l.rows[k].id, rows[i].id) == 0)
                n = &l.rows[k];
        if (!n || n->verdict != rows[i].verdict)
            fail_msg(
                "row %zu: %s is %s", i, rows[i].id, n ? net_verdict_word(n->verdict) : "not there");
        assert_has(n->what, rows[i].says);
        assert_true(l.worst >= n->verdict);
        if (n->verdict >= NET_WARN)
            assert_true(n->remedy[0]);
    }
}

/* Where no core answers, that is the finding: the answer is printed, the exit code says fail. */
static void nothing_runs(void **state)
{
    (void)state;
    assert_int_equal(run("netcheck"), 1);
    assert_has(said.out, "fail  daemon: ");
    assert_has(said.out, "to do: ");
    assert_string_equal(said.err, "");
    assert_int_equal(run("--json netcheck"), 1);
    json_t *o = json_of(said.out);
    assert_string_equal(json_text(o, "worst", NULL), "fail");
    json_decref(o);
}

/* An onion's address does not fit beside anything; addresses of IPv6 stay whole. */
static void long_words(void **state)
{
    (void)state;
    char text[160];
    static const char onion[] =
        "tor abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion:7117 (preferred)";
    assert_string_equal(
        out_short(onion, text, sizeof text), "tor abcdefghijkl...stuvwx.onion:7117 (preferred)");
    static const char v6[] = "tcp-noise [2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff]:7117";
    assert_string_equal(out_short(v6, text, sizeof text), v6);
    assert_string_equal(out_short(onion, text, 8), "tor abc");
    assert_string_equal(out_short("", text, sizeof text), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_fault_each),
        cmocka_unit_test(long_words),
        cmocka_unit_test_setup_teardown(nothing_runs, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
