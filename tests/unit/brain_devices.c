/* Device transports in the core: endpoints with a key, which come from other machines, and the order of dials. */
#include "brain/devices.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define KEY "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA" /* 1 to 32 */

static void endpoints_have_one_form(void **state)
{
    static const struct {
        const char *text, *address; /* NULL: refused */
    } cases[] = {
        {"192.0.2.7:7120/" KEY, "192.0.2.7:7120"},
        {"[2001:db8::7]:7120/" KEY, "[2001:db8::7]:7120"},
        {"192.0.2.7:7120", NULL},
        {"192.0.2.7:7120/", NULL},
        {"/" KEY, NULL},
        {"", NULL},
        {"192.0.2.7:7120/" KEY "A", NULL},
        {"192.0.2.7:7120/A" KEY, NULL},
        {"192.0.2.7:7120/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy", NULL},
        {"192.0.2.7:7120/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy=", NULL},
        {"192.0.2.7:7120/AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHy+", NULL},
        {"192.0.2.7:7120/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", NULL},
        {"example.com:7120/" KEY, NULL},
        {"999.0.2.7:7120/" KEY, NULL},
        {"192.0.2.7:65536/" KEY, NULL},
        {"192.0.2.7:0/" KEY, NULL},
        {"192.0.2.7:71x/" KEY, NULL},
        {"192.0.2.7:/" KEY, NULL},
        {"[2001:db8:0000:0000:0000:0000:0000:0007]:7120:0000000000000000000000000/" KEY, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char address[DEVICE_ENDPOINT] = "";
        uint8_t key[32] = {0};
        bool ok = device_endpoint(cases[i].text, address, key);
        if (ok != (cases[i].address != NULL))
            fail_msg("%s", cases[i].text);
        if (!ok)
            continue;
        assert_string_equal(address, cases[i].address);
        for (uint8_t k = 0; k < 32; k++)
            assert_int_equal(key[k], k + 1);
    }
}

static void what_is_written_is_read(void **state)
{
    static struct brain brain;
    static struct device device = {.public_key = {9, 8, 7}};
    char text[STMT_ENDPOINT_MAX + 1], address[DEVICE_ENDPOINT];
    uint8_t key[32];
    (void)state;
    brain.device = &device;
    devices_endpoint(&brain, "[2001:db8::1]:7120", text);
    assert_true(stmt_endpoint_ok(text));
    assert_true(device_endpoint(text, address, key));
    assert_memory_equal(key, device.public_key, 32);
    assert_string_equal(address, "[2001:db8::1]:7120");
    char back[DEVICE_ENDPOINT];
    const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 7};
    device_address_text(v4, 7120, back);
    assert_string_equal(back, "192.0.2.7:7120");
}

/* Where UDP is dropped, who is preferred would be waited for each time. */
static void others_are_dialled_first(void **state)
{
    static struct brain brain = {.grants_ok = true};
    struct path_order order = {.names = {"wireguard", "tcp-noise", "tor"}, .count = 3};
    struct grant_plugin *p = &brain.grants.plugins[brain.grants.plugin_count++];
    (void)state;
    snprintf(p->id, sizeof p->id, "wireguard");
    p->kind = GRANT_KIND_TRANSPORT;
    devices_last(&brain, &order);
    assert_string_equal(order.names[0], "wireguard"); /* without net.device it is none */
    p->permissions = GRANT_NET_DEVICE;
    devices_last(&brain, &order);
    assert_int_equal(order.count, 3);
    assert_string_equal(order.names[0], "tcp-noise");
    assert_string_equal(order.names[1], "tor");
    assert_string_equal(order.names[2], "wireguard");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_have_one_form),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(others_are_dialled_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
