/* The inline functions of the SDK's headers: stubs instead of NULL, small hosts, texts that are cut. */
#include <clan/service.h>
#include <clan/transport.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka wants the above first */
#include <cmocka.h>

static const void *table; /* what the host has for services */

static const void *get_interface(void *host_data, const char *id)
{
    (void)host_data;
    return strcmp(id, CLAN_PROGRAM_HOST) == 0 ? table : NULL;
}

static clan_status run(void *host_data, const char *profile, clan_program_started_fn *started,
    clan_program_exit_fn *exited, void *user, struct clan_error *reterr)
{
    (void)host_data, (void)profile, (void)started, (void)exited, (void)user, (void)reterr;
    return CLAN_OK;
}

static void check_stubs(const struct clan_host *h)
{
    struct clan_error e = CLAN_ERROR_INIT;
    const struct clan_program_host *p = clan_program_host_get(h);
    const struct clan_transport_host *t = clan_transport_host_get(h);
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(p->struct_size, 0);
    assert_int_equal(p->run(NULL, "x", NULL, NULL, NULL, &e), CLAN_E_NOSYS);
    assert_int_equal(e.status, CLAN_E_NOSYS);
    assert_true(e.what[0] && e.why[0] && e.remedy[0]);
    assert_int_equal(p->run(NULL, "x", NULL, NULL, NULL, NULL), CLAN_E_NOSYS);
    p->end(NULL, 1);
    p->service_state(NULL, 1, NULL);
    p->health_result(NULL, 1, 1, "");
    assert_int_equal(t->struct_size, 0);
    assert_int_equal(t->offer_stream(NULL, 0, fd, ""), CLAN_E_NOSYS);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* taken in every case */
    t->dial_failed(NULL, 1, &e);
    t->endpoints_changed(NULL);
}

static void test_getters(void **state)
{
    struct clan_program_host whole = {.struct_size = sizeof whole, .run = run}, part = whole;
    struct clan_host h = {.size = sizeof h, .get_interface = get_interface};
    (void)state;
    table = &whole;
    assert_ptr_equal(clan_program_host_get(&h), &whole);
    part.struct_size = sizeof part - 1; /* of an older host */
    table = &part;
    check_stubs(&h);
    table = NULL;
    check_stubs(&h);
    h.get_interface = NULL;
    check_stubs(&h);
    h.get_interface = get_interface;
    table = &whole;
    h.size = offsetof(struct clan_host, get_interface); /* before it could be asked */
    check_stubs(&h);
}

static void test_small_host(void **state)
{
    struct clan_host h = {.size = offsetof(struct clan_host, log)};
    uint64_t timer;
    char bytes[4];
    (void)state;
    clan_log(&h, CLAN_LOG_INFO, "nobody hears it");
    clan_io_unwatch(&h, 9);
    clan_timer_stop(&h, 9);
    assert_int_equal(clan_io_watch(&h, 9, CLAN_IO_READ, NULL, NULL), CLAN_E_NOSYS);
    assert_int_equal(clan_timer_start(&h, 1, NULL, NULL, &timer), CLAN_E_NOSYS);
    assert_int_equal(clan_wake(&h, NULL, NULL), CLAN_E_NOSYS);
    assert_int_equal(clan_random(&h, bytes, sizeof bytes), CLAN_E_NOSYS);
}

static void test_texts(void **state)
{
    static const struct {
        const char *from, *to; /* into 6 bytes */
    } rows[] = {
        {NULL, ""},
        {"", ""},
        {"12345", "12345"},
        {"123456", "12345"},
        {"123\xc3\xa4", "123\xc3\xa4"},
        {"1234\xc3\xa4", "1234"},
        {"123\xe2\x82\xac", "123"},
        {"12\xe2\x82\xac", "12\xe2\x82\xac"},
        {"12\xe2\x82\xac!", "12\xe2\x82\xac"},
        {"1\xf0\x9f\x98\x80x", "1\xf0\x9f\x98\x80"},
        {"12\xf0\x9f\x98\x80", "12"},
    };
    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[6] = "zzzzz";
        clan_text_copy(text, sizeof text, rows[i].from);
        assert_string_equal(text, rows[i].to);
    }
    assert_int_equal(clan_error_set(NULL, CLAN_E_IO, "a", "b", "c"), CLAN_E_IO);
}

/* A newer host has longer settings: the stride is its word. */
static void test_settings(void **state)
{
    struct longer {
        struct clan_setting s;
        uint64_t later[3];
    } settings[2] = {{{"a", "1"}, {7, 7, 7}}, {{"b", "2"}, {7, 7, 7}}};
    struct clan_config c = {.struct_size = sizeof c,
        .setting_count = 2,
        .setting_size = sizeof settings[0],
        .settings = &settings[0].s};
    (void)state;
    assert_string_equal(clan_setting_at(&c, 0)->value, "1");
    assert_string_equal(clan_setting_at(&c, 1)->key, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_getters),
        cmocka_unit_test(test_small_host),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
