/* The warden's tables and texts: what may be asked, what nft is told, what the hosts file becomes.
 */
#include "warden/warden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_every_request_has_its_row(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < WARD_REQ_COUNT; id++) {
        const struct ward_rule *r = &ward_rules[id];
        assert_int_equal(r->id, id);
        assert_true(r->size >= sizeof(struct ward_simple) && r->size <= WARD_REQUEST_MAX);
        assert_int_equal(r->states == 0, r->handler == NULL);
        assert_int_equal(r->states == 0, r->per_second == 0);
    }
    assert_int_equal(ward_rules[0].states, 0);
    assert_int_equal(ward_rules[WARD_REQ_DEADLINE].states, 0);
    /* identity and name are given once; a machine that is bound cannot start others */
    const uint32_t only_new[] = {WARD_REQ_SEED_STORE, WARD_REQ_BIND, WARD_REQ_CLAN_START};
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ward_rules[only_new[i]].states, WARD_UNBOUND);
    /* nothing that touches the network works before it is closed */
    const uint32_t only_up[] = {WARD_REQ_TUN, WARD_REQ_ADDR_ADD, WARD_REQ_ADDR_DEL,
        WARD_REQ_FW_MEMBER, WARD_REQ_FW_ALLOW, WARD_REQ_FW_COMMIT, WARD_REQ_NAMES_COMMIT};
    for (unsigned i = 0; i < sizeof only_up / sizeof only_up[0]; i++)
        assert_int_equal(ward_rules[only_up[i]].states, WARD_UP);
}

static void test_judge(void **state)
{
    static struct clan c;
    uint8_t data[512] = {0};
    struct ward_head *head = (struct ward_head *)(void *)data;
    (void)state;
    memset(&c, 0, sizeof c);
    for (uint32_t id = 1; id < WARD_REQ_COUNT; id++) {
        const struct ward_rule *r = &ward_rules[id];
        *head = (struct ward_head){id, 1};
        for (uint32_t s = WARD_UNBOUND; s <= WARD_UP; s <<= 1) {
            c.state = s;
            assert_int_equal(
                monitor_judge(&c, data, r->size, 10 * id + s) == NULL, (r->states & s) != 0);
            assert_non_null(monitor_judge(&c, data, r->size - 1, 10 * id + s));
            assert_non_null(monitor_judge(&c, data, r->size + 1, 10 * id + s));
        }
    }
    *head = (struct ward_head){WARD_REQ_COUNT, 1};
    assert_non_null(monitor_judge(&c, data, 8, 1));
    *head = (struct ward_head){UINT32_MAX, 1};
    assert_non_null(monitor_judge(&c, data, 8, 1));
    *head = (struct ward_head){0, 1};
    assert_non_null(monitor_judge(&c, data, 8, 1));
    *head = (struct ward_head){WARD_REQ_READY, 0};
    assert_non_null(monitor_judge(&c, data, 8, 1));
    assert_non_null(monitor_judge(&c, data, 7, 1));
}

static void test_rate(void **state)
{
    static struct clan c;
    struct ward_simple r = {{WARD_REQ_READY, 1}};
    unsigned cap = ward_rules[WARD_REQ_READY].per_second;
    (void)state;
    memset(&c, 0, sizeof c);
    c.state = WARD_BOUND;
    for (unsigned i = 0; i < cap; i++)
        assert_null(monitor_judge(&c, &r, sizeof r, 100));
    assert_non_null(monitor_judge(&c, &r, sizeof r, 100));
    assert_null(monitor_judge(&c, &r, sizeof r, 101));
}

static void test_backoff(void **state)
{
    static const unsigned want[] = {0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000};
    unsigned last = 0;
    (void)state;
    for (unsigned i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_int_equal(proc_backoff(last, 50, &last), want[i]);
    assert_int_equal(proc_backoff(last, 59999, &last), 10000);
    assert_int_equal(proc_backoff(last, 60000, &last), 0);
    assert_int_equal(proc_backoff(last, 50, &last), 100);
}

static void test_uids(void **state)
{
    static char names[SLOT_UIDS][SLOT_UID_NAME];
    char key[16];
    (void)state;
    memset(names, 0, sizeof names);
    assert_int_equal(slot_uid_index(names, "1::"), 0);
    assert_int_equal(slot_uid_index(names, "5:files:files"), 1);
    assert_int_equal(slot_uid_index(names, "1::"), 0);
    for (unsigned i = 2; i < SLOT_UIDS; i++) {
        snprintf(key, sizeof key, "5:n%u", i);
        assert_int_equal(slot_uid_index(names, key), i);
    }
    assert_int_equal(slot_uid_index(names, "5:one too many"), -1);
    assert_int_equal(slot_uid_index(names, "5:files:files"), 1);
}

static void test_names(void **state)
{
    static const struct {
        const char *old, *want;
        size_t count;
    } rows[] = {
        {"127.0.0.1 localhost\n",
            "127.0.0.1 localhost\n# BEGIN clan home\nfd01::1 nas.home.clan\n# END clan home\n", 1},
        {"127.0.0.1 localhost",
            "127.0.0.1 localhost\n# BEGIN clan home\nfd01::1 nas.home.clan\n# END clan home\n", 1},
        {"a\n# BEGIN clan home\nx\n# END clan home\nb\n",
            "a\nb\n# BEGIN clan home\nfd01::1 nas.home.clan\n# END clan home\n", 1},
        {"a\n# BEGIN clan home\nx\n# END clan home\nb\n", "a\nb\n", 0},
        {"a\n# BEGIN clan homes\nx\n# END clan homes\n",
            "a\n# BEGIN clan homes\nx\n# END clan homes\n", 0},
        {"# BEGIN clan home\nno end\n", "# BEGIN clan home\nno end\n", 0},
        {"# END clan home\n# BEGIN clan home\n# END clan home", "# END clan home\n", 0},
        {"", "", 0},
    };
    struct hostsfile_row name = {"nas.home.clan", {0xfd, 1, [15] = 1}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = hostsfile_edit(rows[i].old, "home", &name, rows[i].count);
        assert_non_null(text);
        assert_string_equal(text, rows[i].want);
        free(text);
    }
    static const char *const bad[] = {"", ".a", "-a", "A", "a b", "a\n", "a#", "a_b", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hostsfile_name_ok(bad[i]));
    assert_true(hostsfile_name_ok("files.home.clan"));
}

static const char golden[] =
#include "warden_golden.h"
    ;

static void test_firewall_text(void **state)
{
    struct rules_table f = {"clan_1011121314", "clan0", "clan0w", "fd10:1112:1314::/48",
        "fd10:1112:1314::53", {0, 1000}, 2, 0};
    struct text t = {0};
    (void)state;
    rules_table(&t, &f);
    assert_false(t.failed);
    assert_string_equal(t.data, golden);
    assert_null(strchr(t.data, '?'));
    free(t.data);
}

static void test_firewall_changes(void **state)
{
    struct rules_element e[4] = {
        {.peer = {0xfd, [15] = 1}, .want = true},
        {.peer = {0xfd, [15] = 2}, .want = true},
        {.peer = {0xfd, [15] = 1},
            .dest = {0xfd, [15] = 9},
            .port = 80,
            .protocol = 6,
            .want = true},
        {.peer = {0xfd, [15] = 1},
            .dest = {0xfd, [15] = 9},
            .port = 53,
            .protocol = 17,
            .want = true},
    };
    struct rules_set set = {e, 4, false};
    struct text t = {0};
    (void)state;
    rules_changes(&t, "t", &set);
    assert_int_equal(set.count, 4);
    assert_string_equal(t.data,
        "add element inet t allow { fd00::1 . fd00::9 . tcp . 80, fd00::1 . fd00::9 . udp . 53 }\n"
        "add element inet t members { fd00::1, fd00::2 }\n");
    t.len = 0;
    rules_changes(&t, "t", &set);
    assert_int_equal(set.count, 4); /* only differences */
    assert_int_equal(t.len, 0);
    e[1].want = e[2].want = false;
    rules_changes(&t, "t", &set);
    assert_int_equal(set.count, 2);
    assert_string_equal(t.data, "delete element inet t allow { fd00::1 . fd00::9 . tcp . 80 }\n"
                                "delete element inet t members { fd00::2 }\n");
    assert_int_equal(e[0].peer[15], 1);
    assert_int_equal(e[1].port, 53);
    free(t.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_request_has_its_row),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_uids),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_firewall_text),
        cmocka_unit_test(test_firewall_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
