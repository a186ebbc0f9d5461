/* clan invite --phone: what is signed, what the core is given, what is shown, and that nothing of it stays. */
#include "base/text.h"
#include "noise/keys.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/run.h" /* of this folder */

static void example_gateway(void)
{
    example_clan();
    clan_api_Phone *p = &fake.phone;
    memset(p->machine_id, 2, 32); /* laptop, in the example */
    p->address[0] = 0xfd;
    p->address[15] = 7;
    memset(p->gateway_key, 0x55, 32);
    strcpy(p->prefix, "fdc1:c1c1:c1c1::/48");
    p->mtu = 1280;
    p->endpoints_count = 2;
    strcpy(p->endpoints[0], "203.0.113.5:7120");
    strcpy(p->endpoints[1], "192.168.1.2:7120");
    fake_start(&fake);
}

/* The private key of a configuration. */
static void secret_of(const char *config, uint8_t ret[32])
{
    const char *at = strstr(config, "PrivateKey = ");
    size_t size;
    assert_non_null(at);
    assert_int_equal(
        sodium_base642bin(ret, 32, at + 13, 44, NULL, &size, NULL, sodium_base64_VARIANT_ORIGINAL),
        0);
    assert_int_equal(size, 32);
}

static void a_configuration_is_made(void **state)
{
    (void)state;
    struct stmt s;
    struct stmt_invitation body;
    uint8_t secret[64], pub[32], x25519[32], wg[32], wg_pub[32];
    example_gateway();
    assert_int_equal(run("invite --json --phone pixel"), 0);
    json_t *o = json_of(said.out);
    const char *config = json_text(o, "config", NULL);
    submitted(0, &s);
    assert_int_equal(stmt_get_invitation(&s, &body), CLAN_OK);
    assert_memory_equal(body.gateway, fake.context.machine_id, 32); /* this machine and no other */
    assert_int_equal(body.uses, 1);
    assert_string_equal(body.for_name, "pixel");
    assert_int_equal(body.expires - body.created, 86400); /* one admin's signature is enough */
    /* the core has the invitation's seed and the public half of the phone's key */
    assert_int_equal(fake.phone_add.seed.size, 16);
    keys_invite(fake.phone_add.seed.bytes, secret, pub, x25519);
    assert_memory_equal(pub, body.public_key, 32);
    secret_of(config, wg);
    crypto_scalarmult_curve25519_base(wg_pub, wg);
    assert_memory_equal(wg_pub, fake.phone_add.key, 32);
    assert_true((wg[0] & 7) == 0 && (wg[31] & 0xc0) == 0x40); /* as wg writes them */
    assert_has(config, "[Interface]\nPrivateKey = ");
    assert_has(config, "\nAddress = fd00::7/128\nMTU = 1280\n\n[Peer]\nPublicKey = "
                       "VVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVVU=\n"
                       "Endpoint = 203.0.113.5:7120\nAllowedIPs = fdc1:c1c1:c1c1::/48\n"
                       "PersistentKeepalive = 25\n");
    assert_null(strstr(config, "DNS")); /* it would take all names of the phone to a resolver that
                                           knows the clan's only */
    assert_string_equal(json_text(o, "machine", NULL), "laptop");
    assert_string_equal(json_text(o, "gateway", NULL), "nas");
    assert_string_equal(json_text(o, "standing", NULL), "member");
    json_decref(o);
    /* the text alone on standard output, to be sent on as it is; no QR code where no terminal is */
    assert_int_equal(run("invite --phone"), 0);
    assert_int_equal(strncmp(said.out, "[Interface]\n", 12), 0);
    assert_has(said.out, "PersistentKeepalive = 25\n");
    assert_has(said.err, "clan remove laptop");
    assert_null(strstr(said.err, "PrivateKey"));
}

static void a_file_is_new_and_private(void **state)
{
    (void)state;
    char path[96], words[200], text[1024] = "";
    struct stat st;
    example_gateway();
    snprintf(path, sizeof path, "%s/pixel.conf", home);
    snprintf(words, sizeof words, "invite --phone pixel --file %s --endpoint [2001:db8::1]", path);
    assert_int_equal(run(words), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_true(fread(text, 1, sizeof text - 1, f) > 0);
    fclose(f);
    assert_has(text, "Endpoint = [2001:db8::1]:7120\n");
    assert_null(strstr(said.out, "PrivateKey"));
    /* it is there: nothing is signed for a second one */
    unsigned before = fake.submitted_count;
    assert_int_not_equal(run(words), 0);
    assert_has(said.err, "cannot be made");
    assert_int_equal(fake.submitted_count, before);
    unlink(path);
    /* what fails leaves no file */
    fake.refuse_tag = clan_api_Request_phone_add_tag;
    fake.refuse.status = CLAN_E_STATE;
    strcpy(fake.refuse.what, "this machine does not speak WireGuard");
    assert_int_not_equal(run(words), 0);
    assert_has(said.err, "does not speak WireGuard");
    assert_int_equal(fake.submitted_count, before); /* asked before anything is signed */
    assert_int_not_equal(access(path, F_OK), 0);
}

static void what_does_not_go_together(void **state)
{
    (void)state;
    static const struct {
        const char *words, *says;
    } rows[] = {
        {"invite pixel", "takes less"},
        {"invite --phone --for pixel", "--for is for links"},
        {"invite --phone --uses 2", "--uses is for links"},
        {"invite --phone --expires 2h", "--expires is for links"},
        {"invite --file x", "--file is for --phone only"},
        {"invite --endpoint x:1", "--endpoint is for --phone only"},
        {"invite --phone Pixel", "cannot be the name of a phone"},
        {"invite --phone pixel --endpoint a_b:1", "not what it takes"},
        {"invite --phone pixel --endpoint host:0", "not what it takes"},
        {"invite --phone pixel --endpoint host:70000", "not what it takes"},
        {"invite --phone pixel --endpoint [::1:7", "not what it takes"},
        {"invite --phone pixel --endpoint [fe80::x]:7", "not what it takes"},
        {"invite --phone pixel --endpoint :7", "not what it takes"},
        {"invite --phone laptop", "a machine named laptop"},
    };
    example_gateway();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int code = run(rows[i].words);
        if (code == 0)
            fail_msg("%s is taken", rows[i].words);
        assert_has(said.err, rows[i].says);
    }
    assert_int_equal(fake.submitted_count, 0);
    fake.phone.endpoints_count = 0;
    assert_int_not_equal(run("invite --phone pixel"), 0);
    assert_has(said.err, "no address that a phone could ask");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_configuration_is_made, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(a_file_is_new_and_private, run_set_up, run_tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_go_together, run_set_up, run_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
