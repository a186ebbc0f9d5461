/* clan invite: a link that lets a machine join; list and withdraw. */
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/adminkey.h"
#include "cli/change.h"
#include "cli/names.h"
#include "cli/out.h"
#include "cli/phone.h"
#include "cli/qr.h"
#include "cli/session.h"
#include "noise/keys.h"
#include "statement/link.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define SMALL_USES        5 /* what one admin may sign alone (SECURITY A4) */
#define SMALL_SECONDS     86400
#define USES_MAX          1000
#define EXPIRES_MAX       (366 * 86400)
#define ENDPOINTS_WAIT_MS 5000
#define ENDPOINTS_POLL_MS 100

struct invite {
    struct cli *c;
    struct api_client *api;
    clan_api_Context x;
    struct admin_ring ring;
    struct invite_link link;
    struct stmt_invitation body;
    uint8_t id[16], raw[STMT_MAX], statement_id[32];
    size_t raw_size;
    char text[LINK_TEXT_MAX + 1];
};

static clan_status read_options(struct invite *v)
{
    struct cli *c = v->c;
    const char *for_name = cli_opt(c, "for"), *expires = cli_opt(c, "expires");
    uint64_t seconds = 3600;
    v->body.uses = 1;
    clan_status st = cli_opt_number(c, "uses", 1, USES_MAX, &v->body.uses);
    if (st != CLAN_OK)
        return st;
    if (for_name && !text_name_ok(for_name))
        return names_refuse(c, "machine", for_name);
    if (expires && (!cli_duration(expires, &seconds) || seconds > EXPIRES_MAX)) {
        err_set(&c->e, CLAN_E_INVAL, "--expires %s is not what it takes", expires);
        err_why(&c->e, "it takes a time like 30m, 1h or 7d, at most a year");
        return CLAN_E_INVAL;
    }
    snprintf(v->body.for_name, sizeof v->body.for_name, "%s", for_name ? for_name : "");
    v->body.state = STMT_INVITE_OPEN;
    v->body.created = clock_wall_s();
    v->body.expires = v->body.created + (int64_t)seconds;
    return CLAN_OK;
}

static unsigned admins_needed(const struct invite *v)
{
    bool small = v->body.uses <= SMALL_USES && v->body.expires - v->body.created <= SMALL_SECONDS;
    return small || v->x.threshold < 1 ? 1 : v->x.threshold;
}

/* "tcp-noise 203.0.113.5:7117", "websocket [2001:db8::1]:7180/path".  An onion is none: the members'
 * one is never in a link (SECURITY A11). */
static bool parse_endpoint(const char *text, struct invite_link *l)
{
    unsigned i = l->endpoint_count;
    char host[64], name[33], where[LINK_ENDPOINT_TEXT];
    uint8_t v4[4];
    const char *at = strchr(text, ' ');
    if (!at || (size_t)(at - text) >= sizeof name || strlen(at + 1) >= sizeof where)
        return false;
    snprintf(name, sizeof name, "%.*s", (int)(at - text), text);
    strcpy(where, at + 1);
    at = where;
    char *suffix = strchr(where, '/'), *end = where;
    if (suffix && strlen(suffix) > LINK_SUFFIX_MAX)
        return false;
    memset(&l->endpoints[i], 0, sizeof l->endpoints[i]);
    if (suffix) {
        strcpy(l->endpoints[i].suffix, suffix);
        *suffix = 0;
    }
    strcpy(l->endpoints[i].transport, name);
    const char *colon = strrchr(at, ':');
    unsigned long port = colon ? strtoul(colon + 1, &end, 10) : 0;
    if (!colon || *end || port == 0 || port > 65535 || (size_t)(colon - at) >= sizeof host)
        return false;
    bool bracket = at[0] == '[' && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - at) - (bracket ? 2 : 0), at + bracket);
    l->endpoints[i].port = (uint16_t)port;
    if (!bracket && inet_pton(AF_INET, host, v4) == 1) {
        memset(l->endpoints[i].address + 10, 0xff, 2);
        memcpy(l->endpoints[i].address + 12, v4, 4);
        l->endpoints[i].family = 4;
        return true;
    }
    l->endpoints[i].family = 6;
    return bracket && inet_pton(AF_INET6, host, l->endpoints[i].address) == 1;
}

/* The first usable one; other: of another transport than the one that is there. */
static bool add_endpoint(struct invite *v, unsigned *from, bool other)
{
    struct invite_link *l = &v->link;
    for (unsigned i = *from; i < v->x.endpoints_count; i++) {
        unsigned n = l->endpoint_count;
        char text[LINK_TEXT_MAX + 1];
        if (!parse_endpoint(v->x.endpoints[i], l) ||
            (other && strcmp(l->endpoints[n].transport, l->endpoints[0].transport) == 0))
            continue;
        l->endpoint_count++;
        bool fits = link_endpoint_allowed(l, n, NULL) == CLAN_OK && link_format(l, text) == CLAN_OK;
        sodium_memzero(text, sizeof text);
        if (fits) {
            *from = i + 1;
            return true;
        }
        l->endpoint_count--;
    }
    memset(&l->endpoints[l->endpoint_count], 0, sizeof l->endpoints[0]);
    return false;
}

/* The place by Tor that is there while invitations are open. */
static void choose_onion(struct invite *v)
{
    static const char between[] = ".onion:";
    const char *at = strstr(v->x.door, between);
    unsigned long port = at ? strtoul(at + sizeof between - 1, NULL, 10) : 0;
    v->link.has_onion = port > 0 && port <= 65535 &&
                        text_base32_decode(v->x.door, (size_t)(at - v->x.door), v->link.onion,
                            sizeof v->link.onion);
    v->link.onion_port = v->link.has_onion ? (uint16_t)port : 0;
}

/* Who joins may have only one of the transports: two of them are better than two addresses of one. */
static clan_status choose_endpoints(struct invite *v)
{
    struct invite_link *l = &v->link;
    unsigned from = 0;
    choose_onion(v);
    if (add_endpoint(v, &from, false)) {
        unsigned next = from;
        if (!add_endpoint(v, &from, true))
            add_endpoint(v, &next, false);
    }
    if (l->endpoint_count || l->has_onion)
        return CLAN_OK;
    err_set(
        &v->c->e, CLAN_E_UNREACHABLE, "this machine has no address that another machine could ask");
    err_why(&v->c->e, "no transport listens on an address besides loopback and link-local ones");
    err_remedy(&v->c->e, "look at `clan machine plugins` and at listen: in machine.yaml");
    return CLAN_E_UNREACHABLE;
}

static clan_status sign_invitation(struct invite *v, uint64_t seq)
{
    uint8_t body[STMT_MAX];
    size_t size;
    clan_status st = stmt_put_invitation(&v->body, body, sizeof body, &size);
    if (st != CLAN_OK)
        return err_set(&v->c->e, st, "the invitation is malformed");
    return change_sign_statement(v->c, STMT_INVITATION, v->x.clan_id, v->ring.keys[0].public_key,
        seq, body, size, &v->ring, v->raw, &v->raw_size, v->statement_id);
}

static void print_qr(struct cli *c, const char *text)
{
    char upper[LINK_TEXT_MAX + 1];
    size_t len = strlen(text);
    for (size_t i = 0; i <= len; i++)
        upper[i] = (char)toupper((unsigned char)text[i]); /* the compact alphanumeric mode */
    qr_print(c, upper);
    sodium_memzero(upper, sizeof upper);
}

static void print_invitation(struct invite *v)
{
    struct cli *c = v->c;
    char words[KEYS_WORDS_MAX], expires[48], id[32], endpoint[LINK_ENDPOINT_TEXT];
    keys_words("clan", v->x.clan_id, v->x.clan_id, words);
    text_base32(v->id, 16, id);
    if (c->json) {
        json_t *list = json_array();
        for (unsigned i = 0; i < v->link.endpoint_count; i++) {
            link_endpoint_text(&v->link, i, endpoint);
            json_array_append_new(list, json_string(endpoint));
        }
        out_json(c, json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "id", id, "link", v->text,
                        "clan", v->x.clan, "words", words, "for", v->body.for_name, "uses",
                        (json_int_t)v->body.uses, "expires", json_time(v->body.expires),
                        "endpoints", list));
        return;
    }
    print_qr(c, v->text);
    fprintf(c->out, "%s\n", v->text); /* never folded: it is copied */
    if (c->quiet)
        return;
    out_line(c, "%s", "");
    out_para(c, 0, "It lets %s%s join the clan %s (%s).",
        v->body.for_name[0] ? "a machine named " : "",
        v->body.for_name[0] ? v->body.for_name
        : v->body.uses == 1 ? "one machine"
                            : "machines",
        v->x.clan, words);
    out_para(c, 0, "Good for %u use%s, until %s.", v->body.uses, v->body.uses == 1 ? "" : "s",
        out_time(v->body.expires, expires));
    out_para(c, 0,
        "On the other machine: `clan join`, then paste the link. Never put it on a command line. "
        "Compare the six words by telephone or side by side.");
    out_para(c, 0, "Taking it back: `clan invite withdraw %.8s`", id);
}

static clan_status open_invite(struct invite *v)
{
    clan_status st = session_open(v->c, &v->api);
    return st == CLAN_OK ? session_context(v->c, v->api, &v->x) : st;
}

/* A clan that was started a moment ago learns its addresses within a second or two. */
static clan_status wait_endpoints(struct invite *v)
{
    clan_status st = CLAN_OK;
    uint64_t end = clock_mono_ms() + ENDPOINTS_WAIT_MS;
    while (st == CLAN_OK && v->x.endpoints_count == 0 && clock_mono_ms() < end) {
        poll(NULL, 0, ENDPOINTS_POLL_MS);
        st = session_context(v->c, v->api, &v->x);
    }
    return st;
}

static void close_invite(struct invite *v)
{
    adminring_close(&v->ring);
    api_close(v->api);
    sodium_memzero(v, sizeof *v);
    free(v);
}

static clan_status make_link(struct invite *v)
{
    uint8_t secret[64];
    if (v->x.config_version > UINT32_MAX)
        return err_set(
            &v->c->e, CLAN_E_LIMIT, "the configuration has too many versions for a link");
    randombytes_buf(v->link.seed, sizeof v->link.seed);
    keys_invite(v->link.seed, secret, v->body.public_key, v->body.x25519);
    sodium_memzero(secret, sizeof secret);
    keys_invite_id(v->body.public_key, v->id);
    memcpy(v->link.clan_id, v->x.clan_id, 32);
    v->link.floor_version = (uint32_t)v->x.config_version;
    memcpy(v->link.floor_hash, v->x.config_id, sizeof v->link.floor_hash);
    v->body.config_version = v->x.config_version;
    if (link_format(&v->link, v->text) != CLAN_OK)
        return err_set(&v->c->e, CLAN_E_DEFECT, "the link could not be written");
    return CLAN_OK;
}

clan_status cmd_invite(struct cli *c)
{
    clan_status kind = phone_options(c);
    if (kind != CLAN_OK || cli_opt(c, "phone"))
        return kind == CLAN_OK ? phone_invite(c) : kind;
    struct invite *v = calloc(1, sizeof *v);
    clan_assert(v);
    v->c = c;
    clan_status st = read_options(v);
    if (st == CLAN_OK)
        st = open_invite(v);
    if (st == CLAN_OK)
        st = names_free(c, v->api, v->body.for_name);
    if (st == CLAN_OK)
        st = adminring_open(c, &v->x, admins_needed(v), &v->ring);
    if (st == CLAN_OK)
        st = wait_endpoints(v);
    if (st == CLAN_OK)
        st = choose_endpoints(v);
    if (st == CLAN_OK)
        st = make_link(v);
    if (st == CLAN_OK)
        st = sign_invitation(v, 1);
    if (st == CLAN_OK)
        st = session_submit(c, v->api, v->raw, v->raw_size);
    if (st == CLAN_OK)
        print_invitation(v);
    close_invite(v);
    return st;
}

struct list {
    struct cli *c;
    json_t *json;
    struct out_table table;
};

static clan_status take_invitation(void *arg, const clan_api_Answer *a)
{
    struct list *l = arg;
    const clan_api_Invitation *i = &a->m.invitation;
    char id[32], state[64], used[48], until[64], who[200] = "", time[48];
    if (a->which_m != clan_api_Answer_invitation_tag)
        return CLAN_OK;
    if (l->json) {
        json_array_append_new(l->json, json_of_invitation(i));
        return CLAN_OK;
    }
    enum out_colour colour;
    snprintf(state, sizeof state, "%s %s", out_shape(l->c, i->state, &colour), i->state);
    text_base32(i->id, 16, id);
    id[8] = 0;
    snprintf(used, sizeof used, "%u of %u used", i->used, i->uses);
    snprintf(until, sizeof until, "until %s", out_time(i->expires, time));
    size_t len = 0;
    if (i->gateway[0])
        len = (size_t)snprintf(who, sizeof who, "a phone behind %s%s%s", i->gateway,
            i->for_name[0] ? ", " : "", i->for_name);
    else if (i->for_name[0])
        len = (size_t)snprintf(who, sizeof who, "for %s", i->for_name);
    for (unsigned g = 0; g < i->guests_count && len < sizeof who; g++)
        len += (size_t)snprintf(who + len, sizeof who - len, "%s%s",
            g     ? ", "
            : len ? "; guests: "
                  : "guests: ",
            i->guests[g]);
    const char *cells[] = {state, id, used, until, who};
    out_table_row(&l->table, colour, cells);
    return CLAN_OK;
}

clan_status cmd_invite_list(struct cli *c)
{
    struct api_client *api = NULL;
    struct list l = {.c = c, .json = c->json ? json_array() : NULL};
    out_table_init(&l.table, 5);
    clan_status st = session_open(c, &api);
    if (st == CLAN_OK)
        st = session_ask(c, api, clan_api_Request_invitations_tag, take_invitation, &l);
    bool none = l.table.rows == 0;
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:O}", "invitations", l.json));
    out_table_print(c, &l.table);
    if (st == CLAN_OK && none)
        out_line(c, "no invitations; `clan invite` makes one");
    json_decref(l.json);
    api_close(api);
    return st;
}

struct wanted {
    const char *prefix;
    unsigned hits;
    clan_api_Invitation found;
};

static clan_status take_wanted(void *arg, const clan_api_Answer *a)
{
    struct wanted *w = arg;
    char id[32];
    if (a->which_m != clan_api_Answer_invitation_tag)
        return CLAN_OK;
    text_base32(a->m.invitation.id, 16, id);
    if (strncmp(id, w->prefix, strlen(w->prefix)) != 0)
        return CLAN_OK;
    w->hits++;
    w->found = a->m.invitation;
    return CLAN_OK;
}

static clan_status not_one(struct cli *c, const char *prefix, unsigned hits)
{
    err_set(&c->e, CLAN_E_NOENT,
        hits ? "several invitations begin with %.30s" : "no invitation begins with %.30s", prefix);
    err_why(&c->e, hits ? "%u of them do" : "this machine has heard of none", hits);
    err_remedy(
        &c->e, hits ? "give more characters of the ID; `clan invite list --json` shows all of it"
                    : "`clan invite list` shows those of the clan");
    return CLAN_E_NOENT;
}

/* The signed bytes say which invitation they are: what the daemon calls it is not taken on trust. */
static bool is_invitation(struct invite *v, const clan_api_Invitation *i, struct stmt *ret)
{
    uint8_t id[16];
    if (stmt_parse(i->statement.bytes, i->statement.size, ret, NULL) != CLAN_OK ||
        ret->kind != STMT_INVITATION || memcmp(ret->clan, v->x.clan_id, 32) != 0 ||
        stmt_get_invitation(ret, &v->body) != CLAN_OK)
        return false;
    keys_invite_id(v->body.public_key, id);
    return memcmp(id, i->id, 16) == 0;
}

/* The invitation whose ID begins with `prefix`, as every machine of the clan has it. */
static clan_status find_invitation(struct invite *v, const char *prefix, uint64_t *ret_seq)
{
    struct cli *c = v->c;
    struct stmt s;
    struct wanted *w = calloc(1, sizeof *w);
    clan_assert(w);
    w->prefix = prefix;
    clan_status st = session_ask(c, v->api, clan_api_Request_invitations_tag, take_wanted, w);
    if (st == CLAN_OK && w->hits != 1)
        st = not_one(c, prefix, w->hits);
    else if (st == CLAN_OK && !is_invitation(v, &w->found, &s)) {
        st = err_set(&c->e, CLAN_E_PROTO, "Clan gave another statement than the invitation");
        err_remedy(&c->e, "restart cland after an update");
    } else if (st == CLAN_OK) {
        memcpy(v->id, w->found.id, 16);
        *ret_seq = s.seq;
    }
    free(w);
    return st;
}

clan_status cmd_invite_withdraw(struct cli *c)
{
    struct invite *v = calloc(1, sizeof *v);
    uint64_t seq = 0;
    char id[32];
    clan_assert(v);
    v->c = c;
    clan_status st = strlen(c->args[0]) < 4
                         ? err_set(&c->e, CLAN_E_INVAL, "give at least four characters of the ID")
                         : open_invite(v);
    if (st == CLAN_OK)
        st = adminring_open(c, &v->x, 1, &v->ring);
    if (st == CLAN_OK)
        st = find_invitation(v, c->args[0], &seq);
    if (st == CLAN_OK) {
        v->body.state = STMT_INVITE_CLOSED;
        v->body.config_version = v->x.config_version; /* whose admins withdraw it: today's */
        st = sign_invitation(v, seq + 1);
    }
    if (st == CLAN_OK)
        st = session_submit(c, v->api, v->raw, v->raw_size);
    text_base32(v->id, 16, id);
    if (st == CLAN_OK && c->json)
        out_json(c, json_pack("{s:s, s:s}", "id", id, "state", "withdrawn"));
    else if (st == CLAN_OK)
        out_para(
            c, 0, "withdrawn; machines that joined with it stay, `clan remove NAME` removes one");
    close_invite(v);
    return st;
}
