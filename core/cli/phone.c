/* clan invite --phone: makes the phone's key, lets the gateway admit it, prints its WireGuard configuration. */
#include "cli/phone.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/adminkey.h"
#include "cli/change.h"
#include "cli/names.h"
#include "cli/out.h"
#include "cli/qr.h"
#include "cli/session.h"
#include "noise/keys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GOOD_SECONDS    86400 /* what one admin may sign; its seed never leaves this machine */
#define CONFIRM_WAIT_MS 10000
#define CARRY_WAIT_MS   5000
#define CARRY_POLL_MS   100
#define KEY_TEXT        45 /* base64 of 32 bytes, with its end */
#define CONFIG_MAX      1024
#define ENDPOINT_MAX    270

struct phone {
    struct cli *c;
    struct api_client *api;
    clan_api_Context x;
    struct admin_ring ring;
    struct stmt_invitation body;
    uint8_t seed[16], id[16];           /* of the invitation */
    uint8_t secret[32], public_key[32]; /* of the phone's WireGuard */
    clan_api_Phone facts;
    uint32_t carried; /* before */
    bool confirmed, carries;
    char name[33], endpoint[ENDPOINT_MAX], config[CONFIG_MAX];
    int file; /* -1: to standard output */
};

clan_status phone_options(struct cli *c)
{
    static const char *const links[] = {"for", "uses", "expires"};
    static const char *const phones[] = {"file", "endpoint"};
    bool phone = cli_opt(c, "phone") != NULL;
    for (unsigned i = 0; phone && i < sizeof links / sizeof *links; i++)
        if (cli_opt(c, links[i])) {
            err_set(&c->e, CLAN_E_INVAL, "--%s is for links, and --phone makes none", links[i]);
            err_remedy(&c->e, "clan invite --phone NAME");
            return CLAN_E_INVAL;
        }
    for (unsigned i = 0; !phone && i < sizeof phones / sizeof *phones; i++)
        if (cli_opt(c, phones[i]))
            return err_set(&c->e, CLAN_E_INVAL, "--%s is for --phone only", phones[i]);
    if (!phone && c->arg_count) {
        err_set(&c->e, CLAN_E_INVAL, "`clan invite` takes less than that");
        err_remedy(&c->e, "clan invite --for NAME, or for a phone: clan invite --phone NAME");
        return CLAN_E_INVAL;
    }
    if (c->arg_count && !text_name_ok(c->args[0]))
        return names_refuse(c, "phone", c->args[0]);
    return CLAN_OK;
}

/* ---- where the phone finds this machine ---- */

static bool host_ok(const char *host)
{
    uint8_t a[16];
    size_t n = strlen(host);
    if (host[0] == '[')
        n -= 1;
    char inner[ENDPOINT_MAX];
    snprintf(inner, sizeof inner, "%.*s", (int)(n - (host[0] == '[')), host + (host[0] == '['));
    if (host[0] == '[')
        return host[n] == ']' && inet_pton(AF_INET6, inner, a) == 1;
    return n > 0 && n <= 253 && host[0] != '-' && host[0] != '.' &&
           strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

/* "home.example.org", "home.example.org:7120", "[2001:db8::1]:7120"; the port is this machine's when it is
 * not said. */
static bool given_endpoint(struct phone *p, const char *text)
{
    char host[ENDPOINT_MAX], *end;
    const char *known = p->facts.endpoints_count ? strrchr(p->facts.endpoints[0], ':') : NULL;
    const char *bracket = strrchr(text, ']'), *colon = strrchr(text, ':');
    if (strlen(text) > 260)
        return false;
    if (colon && bracket && colon < bracket)
        colon = NULL;
    unsigned long port = strtoul(colon ? colon + 1 : known ? known + 1 : "", &end, 10);
    snprintf(host, sizeof host, "%.*s", colon ? (int)(colon - text) : (int)strlen(text), text);
    if (*end || port == 0 || port > 65535 || !host_ok(host))
        return false;
    snprintf(p->endpoint, sizeof p->endpoint, "%.260s:%lu", host, port);
    return true;
}

static clan_status choose_endpoint(struct phone *p)
{
    struct clan_error *e = &p->c->e;
    const char *given = cli_opt(p->c, "endpoint");
    if (given && !given_endpoint(p, given)) {
        err_set(e, CLAN_E_INVAL, "--endpoint %.80s is not what it takes", given);
        err_why(e, "it takes a name or an address and a port: home.example.org:7120, "
                   "203.0.113.5:7120, [2001:db8::1]:7120");
    } else if (!given && p->facts.endpoints_count) {
        snprintf(p->endpoint, sizeof p->endpoint, "%s", p->facts.endpoints[0]);
    } else if (!given) {
        err_set(e, CLAN_E_UNREACHABLE, "this machine has no address that a phone could ask");
        err_remedy(e, "say which one it is from outside: --endpoint home.example.org:7120");
    }
    return e->status;
}

/* ---- what is asked of Clan ---- */

static clan_status take_phone(void *arg, const clan_api_Answer *a)
{
    struct phone *p = arg;
    if (a->which_m == clan_api_Answer_phone_tag)
        p->facts = a->m.phone;
    return CLAN_OK;
}

/* With the seed: admits it; without: what a phone would get. */
static clan_status ask(struct phone *p, bool add)
{
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_phone_add_tag;
    if (add) {
        memcpy(req->m.phone_add.seed.bytes, p->seed, sizeof p->seed);
        req->m.phone_add.seed.size = sizeof p->seed;
        memcpy(req->m.phone_add.key, p->public_key, 32);
    }
    clan_status st = session_call(p->c, p->api, req, SESSION_IDLE_MS, take_phone, p);
    sodium_memzero(req, sizeof *req);
    free(req);
    return st;
}

static clan_status invite(struct phone *p)
{
    uint8_t body[512], raw[STMT_MAX], secret[64], id[32];
    size_t size, raw_size;
    struct stmt_invitation *b = &p->body;
    b->state = STMT_INVITE_OPEN;
    b->uses = 1;
    b->created = clock_wall_s();
    b->expires = b->created + GOOD_SECONDS;
    b->config_version = p->x.config_version;
    memcpy(b->gateway, p->x.machine_id, 32);
    snprintf(b->for_name, sizeof b->for_name, "%s", p->c->arg_count ? p->c->args[0] : "");
    randombytes_buf(p->seed, sizeof p->seed);
    keys_invite(p->seed, secret, b->public_key, b->x25519);
    sodium_memzero(secret, sizeof secret);
    keys_invite_id(b->public_key, p->id);
    clan_status st = stmt_put_invitation(b, body, sizeof body, &size);
    if (st != CLAN_OK)
        return err_set(&p->c->e, st, "the invitation is malformed");
    st = change_sign_statement(p->c, STMT_INVITATION, p->x.clan_id, p->ring.keys[0].public_key, 1,
        body, size, &p->ring, raw, &raw_size, id);
    return st == CLAN_OK ? session_submit(p->c, p->api, raw, raw_size) : st;
}

/* By a keeper, and then by the firewall here; who is not reachable now does it later. */
static clan_status wait_confirmed(struct phone *p)
{
    clan_api_Phone admitted = p->facts;
    clan_api_Request *req = calloc(1, sizeof *req);
    clan_assert(req);
    req->which_m = clan_api_Request_wait_for_tag;
    req->m.wait_for.timeout_ms = CONFIRM_WAIT_MS;
    req->m.wait_for.confirmed_machine.size = 32;
    memcpy(req->m.wait_for.confirmed_machine.bytes, admitted.machine_id, 32);
    clan_status st = session_call(p->c, p->api, req, CONFIRM_WAIT_MS + SESSION_IDLE_MS, NULL, NULL);
    free(req);
    p->confirmed = st == CLAN_OK;
    if (st == CLAN_E_TIMEOUT) {
        p->c->e = (struct clan_error)CLAN_ERROR_INIT;
        return CLAN_OK;
    }
    uint64_t end = clock_mono_ms() + CARRY_WAIT_MS;
    while (st == CLAN_OK && !p->carries && clock_mono_ms() < end) {
        st = ask(p, false);
        p->carries = st == CLAN_OK && p->facts.carried > p->carried;
        if (!p->carries)
            poll(NULL, 0, CARRY_POLL_MS);
    }
    memcpy(admitted.gateway_key, p->facts.gateway_key, 32);
    p->facts = admitted;
    return st;
}

static clan_status find_name(struct phone *p)
{
    struct session_machines m = {0};
    clan_status st = session_machines(p->c, p->api, &m);
    for (size_t i = 0; st == CLAN_OK && i < m.count; i++)
        if (memcmp(m.rows[i].id, p->facts.machine_id, 32) == 0)
            snprintf(p->name, sizeof p->name, "%s", m.rows[i].name);
    free(m.rows);
    return st;
}

/* ---- what is shown, once ---- */

static void write_config(struct phone *p)
{
    char secret[KEY_TEXT], gateway[KEY_TEXT], address[64];
    sodium_bin2base64(secret, sizeof secret, p->secret, 32, sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64(
        gateway, sizeof gateway, p->facts.gateway_key, 32, sodium_base64_VARIANT_ORIGINAL);
    snprintf(p->config, sizeof p->config,
        "[Interface]\n"
        "PrivateKey = %s\n"
        "Address = %s/128\n"
        "MTU = %u\n"
        "\n"
        "[Peer]\n"
        "PublicKey = %s\n"
        "Endpoint = %s\n"
        "AllowedIPs = %s\n"
        "PersistentKeepalive = 25\n",
        secret, out_address(p->facts.address, address), p->facts.mtu, gateway, p->endpoint,
        p->facts.prefix);
    sodium_memzero(secret, sizeof secret);
}

static clan_status open_file(struct phone *p)
{
    const char *path = cli_opt(p->c, "file");
    if (!path)
        return CLAN_OK;
    p->file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (p->file >= 0)
        return CLAN_OK;
    err_set(&p->c->e, CLAN_E_IO, "%.100s cannot be made", path);
    err_why(&p->c->e, "%s", strerror(errno));
    err_remedy(&p->c->e, "nothing was changed; give another name with --file");
    return CLAN_E_IO;
}

static clan_status write_file(struct phone *p)
{
    size_t size = strlen(p->config);
    if (write(p->file, p->config, size) == (ssize_t)size && fsync(p->file) == 0)
        return CLAN_OK;
    err_set(&p->c->e, CLAN_E_IO, "%.100s cannot be written", cli_opt(p->c, "file"));
    err_why(&p->c->e, "%s", strerror(errno));
    err_remedy(&p->c->e, "its key is lost; take it out again: clan remove %s", p->name);
    return CLAN_E_IO;
}

struct listed {
    struct cli *c;
    bool any;
};

static clan_status take_service(void *arg, const clan_api_Answer *a)
{
    struct listed *l = arg;
    struct cli *c = l->c;
    const clan_api_Service *s = &a->m.service;
    char address[64];
    if (a->which_m != clan_api_Answer_service_tag)
        return CLAN_OK;
    if (!l->any)
        out_note(
            c, "It does not know the clan's names; services by address, as `allow` opens them:");
    l->any = true;
    out_address(s->address, address);
    if (s->port == 80)
        out_note(c, "  %s: http://[%s]/", s->name, address);
    else
        out_note(c, "  %s: [%s]:%u", s->name, address, s->port);
    return CLAN_OK;
}

static void print_text(struct phone *p)
{
    struct cli *c = p->c;
    const char *file = cli_opt(c, "file");
    if (!file) {
        qr_print(c, p->config);
        fputs(p->config, c->out);
        out_note(c, "%s", "");
        out_note(c,
            "Scan it with the WireGuard app of the phone, or copy the text. It is shown "
            "this once; whoever has it is %s.",
            p->name);
    } else
        out_note(c, "%s is written; it is the only copy, and whoever has it is %s.", file, p->name);
    if (!p->confirmed)
        out_note(c, "No keeper has confirmed it yet: it works as soon as one is reachable.");
    else if (!p->carries)
        out_note(c, "This machine does not carry its packets yet; see `clan status`.");
    out_note(c, "It reaches the clan through %s at %s, while %s is on, and nothing but the clan.",
        p->x.machine, p->endpoint, p->x.machine);
    struct listed l = {c, false};
    struct clan_error keep = c->e;
    (void)session_ask(c, p->api, clan_api_Request_services_tag, take_service, &l);
    c->e = keep; /* the list is an extra */
    out_note(c, "Taking it back: `clan remove %s`", p->name);
}

static void print_json(struct phone *p)
{
    const char *file = cli_opt(p->c, "file");
    json_t *o = json_pack("{s:o, s:s, s:o, s:s, s:s, s:s, s:b, s:o}", "id",
        json_b32(p->facts.machine_id, 32), "machine", p->name, "address",
        json_address(p->facts.address), "gateway", p->x.machine, "endpoint", p->endpoint,
        "standing", p->confirmed ? "member" : "provisional", "carried", p->carries, "invitation",
        json_b32(p->id, 16));
    if (file)
        json_object_set_new(o, "file", json_string(file));
    else
        json_object_set_new(o, "config", json_string(p->config));
    out_json(p->c, o);
}

static clan_status begin(struct phone *p)
{
    clan_status st = open_file(p);
    if (st == CLAN_OK)
        st = session_open(p->c, &p->api);
    if (st == CLAN_OK)
        st = session_context(p->c, p->api, &p->x);
    if (st == CLAN_OK)
        st = names_free(p->c, p->api, p->c->arg_count ? p->c->args[0] : "");
    if (st == CLAN_OK)
        st = ask(p, false); /* before anything is signed */
    p->carried = p->facts.carried;
    return st == CLAN_OK ? choose_endpoint(p) : st;
}

static clan_status admit(struct phone *p)
{
    clan_status st = adminring_open(p->c, &p->x, 1, &p->ring);
    if (st == CLAN_OK)
        st = invite(p);
    if (st != CLAN_OK)
        return st;
    crypto_box_keypair(p->public_key, p->secret);
    p->secret[0] &= 248; /* as `wg genkey` writes it */
    p->secret[31] = (uint8_t)((p->secret[31] & 127) | 64);
    st = ask(p, true);
    if (st == CLAN_OK)
        st = find_name(p);
    return st == CLAN_OK ? wait_confirmed(p) : st;
}

clan_status phone_invite(struct cli *c)
{
    struct phone *p = calloc(1, sizeof *p);
    clan_assert(p);
    p->c = c;
    p->file = -1;
    clan_status st = begin(p);
    if (st == CLAN_OK)
        st = admit(p);
    if (st == CLAN_OK)
        write_config(p);
    if (st == CLAN_OK && p->file >= 0)
        st = write_file(p);
    if (st == CLAN_OK && c->json)
        print_json(p);
    else if (st == CLAN_OK)
        print_text(p);
    if (p->file >= 0) {
        close(p->file);
        if (st != CLAN_OK)
            unlink(cli_opt(c, "file"));
    }
    adminring_close(&p->ring);
    api_close(p->api);
    sodium_memzero(p, sizeof *p);
    free(p);
    return st;
}
