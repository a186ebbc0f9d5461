/* Onion services: one place for the members, another one for whoever holds an open invitation. */
#include "tor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME  "in"
#define SETTLE_MS    2000 /* members come one after the other */
#define ACCEPT_BURST 16
#define PAUSE_MS     100

/* ---- keys ---- */

static bool make_onion(
    struct tor_onion *o, const char *name, const uint8_t secret[32], const char *purpose)
{
    uint8_t key[64], public[32];
    o->name = name;
    bool ok = onion_derive(secret, purpose, o->seed) && onion_expand(o->seed, key, public) &&
              onion_address(public, o->address);
    explicit_bzero(key, sizeof key);
    return ok;
}

static bool make_keys(struct tor *t, const uint8_t secret[32])
{
    uint8_t public[32];
    if (!make_onion(&t->members, "members", secret, "tor onion v1 members") ||
        !make_onion(&t->door, "invitations", secret, "tor onion v1 invitations") ||
        !onion_derive(secret, "tor client v1", t->client_secret) ||
        !onion_client_public(t->client_secret, public))
        return false;
    onion_base32(public, sizeof public, t->client);
    return true;
}

/* A machine that joins has no identity yet: it dials, and is no place to come to. */
static clan_status learn_keys(struct tor *t, struct clan_error *e)
{
    const struct clan_secret_host *host = clan_secret_host_get(t->host);
    uint8_t secret[32];
    uint32_t counter;
    clan_status st = host->secret(t->host->host_data, secret, &counter);
    t->members.name = "members";
    t->door.name = "invitations";
    if (st == CLAN_E_STATE)
        return CLAN_OK;
    if (st != CLAN_OK)
        return tor_fail(e, CLAN_E_ABI, "use the tor plugin of this Clan",
            "tor cannot be used with this Clan", "differing item: %s", CLAN_SECRET_HOST);
    t->known = make_keys(t, secret);
    explicit_bzero(secret, sizeof secret);
    if (t->known)
        return CLAN_OK;
    return tor_fail(e, CLAN_E_DEFECT, "see that libcrypto works: openssl version",
        "no key for an onion service could be made", "libcrypto refused");
}

/* ---- accepting ---- */

static void on_listener(void *user, int32_t fd, uint32_t events);

static void on_pause_over(void *user)
{
    struct tor *t = user;
    t->pause = 0;
    if (clan_io_watch(t->host, t->listener, CLAN_IO_READ, on_listener, t) != CLAN_OK)
        tor_log(t, CLAN_LOG_ERROR, "cannot listen again after a pause");
}

static void pause_now(struct tor *t)
{
    clan_io_unwatch(t->host, t->listener);
    if (clan_timer_start(t->host, PAUSE_MS, on_pause_over, t, &t->pause) != CLAN_OK)
        on_pause_over(t);
}

static void on_listener(void *user, int32_t fd, uint32_t events)
{
    struct tor *t = user;
    (void)events;
    for (unsigned i = 0; i < ACCEPT_BURST; i++) {
        int stream = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (stream < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
                pause_now(t);
            return;
        }
        if (t->to->offer_stream(t->host->host_data, 0, stream, "") == CLAN_E_LIMIT) {
            pause_now(t);
            return;
        }
    }
}

clan_status service_open(struct tor *t, struct clan_error *reterr)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    clan_status st = learn_keys(t, reterr);
    if (st != CLAN_OK)
        return st;
    snprintf(a.sun_path, sizeof a.sun_path, "%s/%s", t->state_dir, SOCKET_NAME);
    unlink(a.sun_path);
    t->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (t->listener >= 0 && bind(t->listener, (const struct sockaddr *)&a, sizeof a) == 0 &&
        chmod(a.sun_path, 0660) == 0 && listen(t->listener, 64) == 0 &&
        clan_io_watch(t->host, t->listener, CLAN_IO_READ, on_listener, t) == CLAN_OK)
        return CLAN_OK;
    st = tor_fail(reterr, CLAN_E_IO, "see that the disk is not full",
        "tor has no socket to hand connections over", "%s: %s", a.sun_path, strerror(errno));
    service_close(t);
    return st;
}

void service_close(struct tor *t)
{
    clan_timer_stop(t->host, t->pause);
    clan_timer_stop(t->host, t->members.timer);
    clan_timer_stop(t->host, t->door.timer);
    t->pause = t->members.timer = t->door.timer = 0;
    if (t->listener >= 0) {
        clan_io_unwatch(t->host, t->listener);
        close(t->listener);
    }
    t->listener = -1;
    service_lost(t);
}

/* ---- publishing ---- */

static void unpublish(struct tor *t, struct tor_onion *o)
{
    char text[96];
    if (!o->there)
        return;
    o->there = false;
    snprintf(text, sizeof text, "DEL_ONION %s\r\n", o->address);
    command_send(t, TOR_DELETE, o, 0, text);
}

static void send_add(struct tor *t, struct tor_onion *o)
{
    size_t cap = 512 + (size_t)o->client_count * (ONION_CLIENT + 16), len;
    uint8_t key[64], public[32];
    char base64[92], *text = malloc(cap);
    if (!text || !onion_expand(o->seed, key, public)) {
        free(text);
        return;
    }
    onion_base64(key, sizeof key, base64);
    bool closed = o->client_count > 0;
    len =
        (size_t)snprintf(text, cap, "ADD_ONION ED25519-V3:%s Flags=DiscardPK%s Port=%u,unix:%s/%s",
            base64, closed ? ",V3Auth" : "", ONION_PORT, t->state_dir, SOCKET_NAME);
    for (unsigned i = 0; i < o->client_count; i++)
        len += (size_t)snprintf(text + len, cap - len, " ClientAuthV3=%s", o->clients[i]);
    snprintf(text + len, cap - len, "\r\n");
    o->there = command_send(t, TOR_ADD, o, 0, text);
    explicit_bzero(key, sizeof key);
    explicit_bzero(base64, sizeof base64);
    explicit_bzero(text, cap);
    free(text);
}

/* No command changes who is let in: the service goes and comes, and its open streams stay. */
void service_publish(struct tor *t, struct tor_onion *o)
{
    if (!t->ready || !t->known)
        return;
    if (o == &t->members)
        own_forget(t);
    unpublish(t, o);
    if (t->ready && o->wanted)
        send_add(t, o);
}

/* tor takes 64 other bytes for a key as well and publishes an address that nobody knows. */
void service_added(struct tor *t, struct tor_onion *o, const char *address)
{
    char text[96];
    if (!address[0]) {
        o->there = false;
        return;
    }
    if (strcmp(address, o->address) == 0)
        return;
    o->there = false;
    tor_log(t, CLAN_LOG_ERROR, "tor publishes another address for %s than its key has", o->name);
    if (onion_address_ok(address)) {
        snprintf(text, sizeof text, "DEL_ONION %s\r\n", address);
        command_send(t, TOR_DELETE, o, 0, text);
    }
}

void service_lost(struct tor *t)
{
    own_forget(t);
    t->own_seen = false;
    t->members.there = t->door.there = false;
}

/* ---- who is let in ---- */

static void on_members_settled(void *user)
{
    struct tor *t = user;
    t->members.timer = 0;
    service_publish(t, &t->members);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* false: nothing changed */
static bool let_in(struct tor_onion *o, char (*keys)[ONION_CLIENT + 1], unsigned count, bool wanted)
{
    unsigned n = 0;
    qsort(keys, count, sizeof keys[0], by_text);
    for (unsigned i = 0; i < count; i++)
        if (i == 0 || strcmp(keys[i], keys[i - 1]) != 0)
            memmove(keys[n++], keys[i], sizeof keys[0]);
    if (o->wanted == wanted && o->client_count == n &&
        memcmp(o->clients, keys, n * sizeof keys[0]) == 0)
        return false;
    o->wanted = wanted;
    o->client_count = n;
    memcpy(o->clients, keys, n * sizeof keys[0]);
    return true;
}

void service_members(struct tor *t, const char *const *endpoints, uint32_t count)
{
    struct clan_error error = CLAN_ERROR_INIT;
    /* a machine that joined through this process has an identity by now */
    if (!t->known && learn_keys(t, &error) == CLAN_OK && t->known)
        t->to->endpoints_changed(t->host->host_data);
    static char keys[TOR_CLIENTS_MAX + 1][ONION_CLIENT + 1];
    struct onion_endpoint e;
    unsigned n = 0;
    bool some = false, all = t->open_to_all;
    for (uint32_t i = 0; i < count; i++) {
        if (!onion_endpoint_parse(endpoints[i], &e) || strcmp(e.address, t->members.address) == 0)
            continue;
        some = true;
        if (e.client[0] && n <= TOR_CLIENTS_MAX)
            memcpy(keys[n++], e.client, sizeof keys[0]);
    }
    if (n && n <= TOR_CLIENTS_MAX && t->known) /* we look at it ourselves */
        memcpy(keys[n++], t->client, sizeof keys[0]);
    if (n > TOR_CLIENTS_MAX && !all) {
        tor_log(t, CLAN_LOG_WARN,
            "more than %d members have Tor: whoever knows the onion address finds it in the "
            "directory",
            TOR_CLIENTS_MAX);
        all = true;
    }
    if (!let_in(&t->members, keys, all ? 0 : n, some && (all || n)) || t->members.timer)
        return;
    /* the first one waits for nobody */
    if (!t->members.there ||
        clan_timer_start(t->host, SETTLE_MS, on_members_settled, t, &t->members.timer) != CLAN_OK)
        on_members_settled(t);
}

void service_invitations(struct tor *t, const uint8_t *keys, uint32_t count)
{
    char texts[TOR_DOORS_MAX][ONION_CLIENT + 1];
    unsigned n = 0;
    for (uint32_t i = 0; i < count && n < TOR_DOORS_MAX; i++)
        onion_base32(keys + 32 * (size_t)i, 32, texts[n++]);
    if (let_in(&t->door, texts, n, n > 0))
        service_publish(t, &t->door);
}
