/* Dials: a way through tor's SOCKS port, each attempt by a circuit of its own. */
#include "tor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OWN_PORT 1

static void begin_attempt(struct tor_dial *d);

static void end_attempt(struct tor_dial *d)
{
    if (d->fd >= 0) {
        clan_io_unwatch(d->t->host, d->fd);
        close(d->fd);
    }
    clan_timer_stop(d->t->host, d->timer);
    d->fd = -1;
    d->timer = 0;
    d->serial = 0;
}

static void drop(struct tor_dial *d)
{
    end_attempt(d);
    d->request = 0;
}

static void failed(struct tor_dial *d, clan_status status, const char *why, const char *remedy)
{
    struct clan_error e = CLAN_ERROR_INIT;
    char what[128];
    struct tor *t = d->t;
    uint32_t request = d->request;
    if (d->own) {
        drop(d);
        own_result(t, false, why);
        return;
    }
    snprintf(what, sizeof what, "no connection to %.16s...onion", d->to.address);
    tor_fail(&e, status, remedy, what, "%s", why);
    drop(d);
    t->to->dial_failed(t->host->host_data, request, &e);
}

static void connected(struct tor_dial *d)
{
    struct tor *t = d->t;
    char remote[ONION_ENDPOINT_MAX + 1];
    struct onion_endpoint to = d->to;
    uint32_t request = d->request;
    int fd = d->fd;
    to.client[0] = 0;
    onion_endpoint_text(&to, remote);
    clan_io_unwatch(t->host, fd);
    d->fd = -1;
    drop(d);
    policy_peer_on(&t->off, to.address);
    if (t->to->offer_stream(t->host->host_data, request, fd, remote) == CLAN_E_LIMIT)
        tor_log(t, CLAN_LOG_WARN, "a connection was dropped: Clan does not keep up");
}

static void on_slow(void *user);

/* The place of a link that was made a moment ago comes into the directory a little later. */
static bool looks_again(struct tor_dial *d)
{
    bool invited = false;
    for (unsigned i = 0; i < TOR_INVITED_MAX && !invited; i++)
        invited = strcmp(d->t->invited[i].address, d->to.address) == 0;
    if (!invited || !policy_attempt(tor_now_ms() + POLICY_OFF_MS, d->deadline_ms))
        return false;
    end_attempt(d);
    return clan_timer_start(d->t->host, POLICY_OFF_MS, on_slow, d, &d->timer) == CLAN_OK;
}

static void refused(struct tor_dial *d)
{
    uint8_t reply = d->socks.reply;
    if (d->own && reply == SOCKS_CLOSED) { /* by us: we heard the question */
        struct tor *t = d->t;
        drop(d);
        own_result(t, true, "");
        return;
    }
    if (reply >= SOCKS_NOT_FOUND && looks_again(d))
        return;
    if (reply == SOCKS_NOT_FOUND)
        policy_peer_off(&d->t->off, d->to.address, tor_now_ms());
    failed(d, CLAN_E_UNREACHABLE, socks_text(reply), "see that the other machine is on");
}

static bool say(struct tor_dial *d, unsigned from, unsigned to)
{
    return send(d->fd, d->ask + from, to - from, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           (ssize_t)(to - from);
}

static void on_socks(void *user, int32_t fd, uint32_t events)
{
    struct tor_dial *d = user;
    uint8_t bytes[264];
    (void)events;
    for (;;) {
        ssize_t n = recv(fd, bytes, socks_want(&d->socks), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        enum socks_state st = n > 0 ? socks_feed(&d->socks, bytes, (unsigned)n) : SOCKS_BROKEN;
        if (st == SOCKS_SAY && !say(d, SOCKS_HELLO, d->ask_size))
            st = SOCKS_BROKEN;
        if (st == SOCKS_MORE || st == SOCKS_SAY)
            continue;
        if (st == SOCKS_CONNECTED)
            connected(d);
        else if (st == SOCKS_REFUSED)
            refused(d);
        else
            failed(d, CLAN_E_UNREACHABLE, "tor hung up", "it is dialled again by itself");
        return;
    }
}

/* The old way may have led to introduction points that are gone, which tor tries for two minutes. */
static void on_slow(void *user)
{
    struct tor_dial *d = user;
    end_attempt(d);
    begin_attempt(d);
}

static void ask_socks(struct tor_dial *d)
{
    uint8_t random[8];
    char user[17], host[ONION_ADDRESS + 8];
    struct tor *t = d->t;
    clan_random(t->host, random, sizeof random);
    for (int i = 0; i < 8; i++)
        snprintf(user + 2 * i, 3, "%02x", random[i]);
    snprintf(host, sizeof host, "%s.onion", d->to.address);
    d->ask_size = (unsigned)socks_ask(user, host, d->to.port, d->ask);
    socks_begin(&d->socks);
    d->fd = tor_connect(t->dir, "socks");
    if (d->fd < 0 || !say(d, 0, SOCKS_HELLO))
        failed(
            d, CLAN_E_NOTRUNNING, "tor takes no connection now", "it is dialled again by itself");
    else if (clan_io_watch(t->host, d->fd, CLAN_IO_READ, on_socks, d) != CLAN_OK)
        failed(d, CLAN_E_LIMIT, "a limit of the host is reached", "it is dialled again by itself");
}

/* The secret that this peer's place asks for; NULL: none is known. */
static const uint8_t *key_for(const struct tor *t, const struct onion_endpoint *to)
{
    for (unsigned i = 0; i < TOR_INVITED_MAX; i++)
        if (strcmp(t->invited[i].address, to->address) == 0)
            return t->invited[i].secret;
    return t->known && to->client[0] ? t->client_secret : NULL;
}

static void begin_attempt(struct tor_dial *d)
{
    struct tor *t = d->t;
    char text[192], base64[48];
    uint64_t limit = policy_attempt(tor_now_ms(), d->deadline_ms);
    const uint8_t *key = key_for(t, &d->to);
    if (!limit || clan_timer_start(t->host, limit, on_slow, d, &d->timer) != CLAN_OK) {
        failed(d, CLAN_E_TIMEOUT, "Tor found no way to it in time",
            "see that the other machine is on");
        return;
    }
    d->waits = !t->ready; /* who joins has just started tor */
    if (d->waits)
        return;
    if (!key) {
        ask_socks(d);
        return;
    }
    if (++t->next_serial == 0)
        t->next_serial = 1;
    d->serial = t->next_serial;
    onion_base64(key, 32, base64);
    snprintf(text, sizeof text, "ONION_CLIENT_AUTH_ADD %s x25519:%s\r\n", d->to.address, base64);
    command_send(t, TOR_KEY, NULL, d->serial, text); /* if it fails, dial_lost() answers */
    explicit_bzero(text, sizeof text);
    explicit_bzero(base64, sizeof base64);
}

void dial_ready(struct tor *t)
{
    for (unsigned i = 0; i < TOR_DIALS_MAX; i++)
        if (t->dials[i].request && t->dials[i].waits)
            on_slow(&t->dials[i]);
}

void dial_key_told(struct tor *t, uint32_t serial)
{
    for (unsigned i = 0; serial && i < TOR_DIALS_MAX; i++)
        if (t->dials[i].request && t->dials[i].serial == serial) {
            t->dials[i].serial = 0;
            ask_socks(&t->dials[i]);
            return;
        }
}

static struct tor_dial *find(struct tor *t, uint32_t request)
{
    for (unsigned i = 0; i < TOR_DIALS_MAX; i++)
        if (t->dials[i].request == request && !(request && t->dials[i].own))
            return &t->dials[i];
    return NULL;
}

clan_status dial_begin(struct tor *t, uint32_t request, const char *endpoint, uint32_t timeout_ms,
    struct clan_error *reterr)
{
    struct tor_dial *d = find(t, 0);
    struct onion_endpoint to;
    uint64_t now = tor_now_ms();
    if (!onion_endpoint_parse(endpoint, &to))
        return tor_fail(reterr, CLAN_E_INVAL, "write ADDRESS.onion:7117",
            "this is no endpoint of tor", "%s", endpoint[0] ? endpoint : "it is empty");
    if (t->known &&
        (strcmp(to.address, t->members.address) == 0 || strcmp(to.address, t->door.address) == 0))
        return tor_fail(
            reterr, CLAN_E_UNREACHABLE, "", "no connection by Tor", "it is this machine itself");
    uint64_t wait = policy_peer_wait(&t->off, to.address, now);
    if (wait)
        return tor_fail(reterr, CLAN_E_UNREACHABLE, "see that the other machine is on",
            "no connection by Tor", "a moment ago it was off; the next look is in %u s",
            (unsigned)(wait / 1000) + 1);
    if (!d)
        return tor_fail(reterr, CLAN_E_LIMIT, "dial again later", "too many dials at once",
            "%d are under way", TOR_DIALS_MAX);
    *d = (struct tor_dial){
        .t = t, .request = request, .fd = -1, .to = to, .deadline_ms = now + timeout_ms};
    begin_attempt(d);
    return CLAN_OK;
}

/* A port that nothing is behind: what answers is our tor, and no stream has to be taken and dropped. */
bool dial_own(struct tor *t)
{
    struct tor_dial *d = find(t, 0);
    if (!d || !t->known)
        return false;
    *d = (struct tor_dial){.t = t, .request = 1, .own = true, .fd = -1};
    d->deadline_ms = tor_now_ms() + 2 * POLICY_ATTEMPT_MS;
    d->to.port = OWN_PORT;
    memcpy(d->to.address, t->members.address, sizeof d->to.address);
    if (t->members.client_count)
        memcpy(d->to.client, t->client, sizeof d->to.client);
    begin_attempt(d);
    return true;
}

void dial_own_end(struct tor *t)
{
    for (unsigned i = 0; i < TOR_DIALS_MAX; i++)
        if (t->dials[i].request && t->dials[i].own)
            drop(&t->dials[i]);
}

void dial_cancel(struct tor *t, uint32_t request)
{
    struct tor_dial *d = request ? find(t, request) : NULL;
    if (d)
        drop(d);
}

/* It starts again in a moment, and what has time left goes on then. */
void dial_lost(struct tor *t)
{
    for (unsigned i = 0; i < TOR_DIALS_MAX; i++)
        if (t->dials[i].request)
            on_slow(&t->dials[i]);
}

void dial_forget(struct tor *t)
{
    for (unsigned i = 0; i < TOR_DIALS_MAX; i++)
        if (t->dials[i].request)
            drop(&t->dials[i]);
}

void dial_invited(struct tor *t, const char *endpoint, const uint8_t secret[32])
{
    struct onion_endpoint e;
    if (!onion_endpoint_parse(endpoint, &e))
        return;
    unsigned at = t->invited_next;
    for (unsigned i = 0; i < TOR_INVITED_MAX; i++)
        if (strcmp(t->invited[i].address, e.address) == 0)
            at = i;
    if (at == t->invited_next)
        t->invited_next = (at + 1) % TOR_INVITED_MAX;
    memcpy(t->invited[at].address, e.address, sizeof e.address);
    memcpy(t->invited[at].secret, secret, 32);
}
