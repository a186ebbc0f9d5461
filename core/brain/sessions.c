/* Who asks through a plugin that shows the clan: one-time codes, and the sessions that they become. */
#include "brain/sessions.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "noise/keys.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A cookie: what it says, then its MAC.  The token is another MAC, over all of the cookie. */
#define COOKIE_HEAD 32 /* id | uid | expires | 0 */
#define COOKIE_SIZE (COOKIE_HEAD + 32)
#define TOKEN_SIZE  32

static struct code {
    uint8_t code[16];
    uint32_t uid;
    uint64_t until_ms; /* 0: free */
} codes[SESSIONS_CODES_MAX];

static struct ended {
    uint8_t id[16];
    int64_t expires; /* 0: free */
} ended[SESSIONS_ENDED_MAX];
static int64_t ended_all; /* those that expire until then have ended, whoever's they are */
#define ENDED_FILE "signed-out"
#define ENDED_HEAD "clan signed out v1\n"
#define ENDED_SIZE (sizeof ENDED_HEAD - 1 + 8 + SESSIONS_ENDED_MAX * 24)

/* ---- who ---- */

/* The place of that user's address among those of this machine; -1: it does not use the clan here. */
static int place_of(const struct brain *b, uint32_t uid)
{
    uint32_t uids[GRANTS_PEOPLE_MAX];
    unsigned count = b->grants_ok ? grants_people(&b->grants, uids) : 0;
    for (unsigned i = 0; i < count; i++)
        if (uids[i] == uid)
            return (int)i;
    return -1;
}

static void origin(const struct brain *b, int place, char ret_text[48])
{
    uint8_t at[16];
    grants_address(b->ui_slot, (unsigned)place, at);
    snprintf(ret_text, 48, "%u.%u.%u.%u:%u", at[12], at[13], at[14], at[15], GRANTS_PEOPLE_PORT);
}

static clan_status no_session(struct clan_error *e, const char *why)
{
    err_set(e, CLAN_E_AUTH, "you are not signed in");
    err_why(e, "%s", why);
    err_remedy(e, "sign in: clan ui");
    return CLAN_E_AUTH;
}

/* ---- codes ---- */

static bool runs(const struct brain *b)
{
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++)
        if (b->hosts[i].used && b->hosts[i].people && b->hosts[i].state == HOST_STARTED)
            return true;
    return false;
}

static struct code *code_slot(uint64_t now)
{
    struct code *oldest = &codes[0];
    for (unsigned i = 0; i < SESSIONS_CODES_MAX; i++) {
        if (codes[i].until_ms <= now)
            return &codes[i];
        if (codes[i].until_ms < oldest->until_ms)
            oldest = &codes[i];
    }
    return oldest;
}

clan_status sessions_code(struct brain *b, uint32_t uid, clan_api_UiCode *ret, struct clan_error *e)
{
    int place = place_of(b, uid);
    if (place < 0)
        return err_set(e, CLAN_E_PERM, "user %u does not use the clan on this machine", uid);
    if (!runs(b)) {
        err_set(e, CLAN_E_NOTRUNNING, "nothing here shows the clan in a browser");
        err_why(e, "no plugin with api.session runs on this machine");
        err_remedy(e, "grant one in machine.yaml, then: sudo clan machine apply");
        return CLAN_E_NOTRUNNING;
    }
    struct code *c = code_slot(brain_now());
    origin(b, place, ret->origin);
    randombytes_buf(c->code, sizeof c->code);
    c->uid = uid;
    c->until_ms = brain_now() + SESSIONS_CODE_S * 1000;
    memcpy(ret->code, c->code, sizeof c->code);
    ret->valid_s = SESSIONS_CODE_S;
    return CLAN_OK;
}

/* All are compared, whichever it is. */
static struct code *code_find(const uint8_t code[16])
{
    struct code *found = NULL;
    for (unsigned i = 0; i < SESSIONS_CODES_MAX; i++)
        if (sodium_memcmp(codes[i].code, code, sizeof codes[i].code) == 0 && codes[i].until_ms)
            found = &codes[i];
    return found;
}

/* ---- cookies and tokens ---- */

static void mac(
    const uint8_t key[32], const char *label, const uint8_t *data, size_t size, uint8_t ret[32])
{
    crypto_generichash_state st;
    crypto_generichash_init(&st, key, 32, 32);
    crypto_generichash_update(&st, (const uint8_t *)label, strlen(label) + 1);
    crypto_generichash_update(&st, data, size);
    crypto_generichash_final(&st, ret, 32);
}

/* Whose machine this is, by people: in clan.yaml. */
static const struct clan_config_machine *own_row(const struct brain *b)
{
    for (unsigned i = 0; b->cfg && i < b->cfg->machine_count; i++)
        if (memcmp(b->cfg->machines[i].id, b->own_id, 32) == 0)
            return &b->cfg->machines[i];
    return NULL;
}

static void fill(struct brain *b, uint32_t uid, int64_t expires, clan_api_Session *ret)
{
    static const char *const roles[] = {
        [CONFIG_MEMBER] = "member", [CONFIG_GUEST] = "guest", [CONFIG_ADMIN] = "admin"};
    const struct clan_config_machine *m = own_row(b);
    ret->uid = uid;
    ret->expires = expires;
    ret->owner = place_of(b, uid) >= 0;
    snprintf(ret->role, sizeof ret->role, "%s", roles[m ? m->role : CONFIG_MEMBER]);
    snprintf(ret->person, sizeof ret->person, "%s", m ? m->person : "");
}

void sessions_refresh(struct brain *b, clan_api_Session *s)
{
    fill(b, s->uid, s->expires, s);
}

clan_status sessions_open(
    struct brain *b, const clan_api_SessionOpen *m, clan_api_Session *ret, struct clan_error *e)
{
    struct code *c = code_find(m->code);
    bool good = c && c->until_ms > brain_now() && c->uid == m->uid && place_of(b, m->uid) >= 0;
    if (c)
        sodium_memzero(c, sizeof *c);
    memset(ret, 0, sizeof *ret);
    if (!good)
        return no_session(e, "the code was used, or is older than 30 seconds, or not this user's");
    uint8_t key[32], *cookie = ret->cookie.bytes;
    struct buf_writer w = buf_writer_of(cookie, COOKIE_HEAD);
    uint8_t id[16];
    fill(b, m->uid, clock_wall_s() + SESSIONS_HOURS * 3600, ret);
    randombytes_buf(id, sizeof id);
    buf_put(&w, id, sizeof id);
    buf_put_u32(&w, m->uid);
    buf_put_u64(&w, (uint64_t)ret->expires);
    buf_put_u32(&w, 0);
    keys_sessions(b->root, key);
    mac(key, "clan session cookie v1", cookie, COOKIE_HEAD, cookie + COOKIE_HEAD);
    mac(key, "clan session token v1", cookie, COOKIE_SIZE, ret->token.bytes);
    ret->cookie.size = COOKIE_SIZE;
    ret->token.size = TOKEN_SIZE;
    sodium_memzero(key, sizeof key);
    return CLAN_OK;
}

static bool fits(struct brain *b, const clan_api_SessionUse *m)
{
    uint8_t key[32], want[32], token[32];
    if (m->cookie.size != COOKIE_SIZE || m->token.size != TOKEN_SIZE)
        return false;
    keys_sessions(b->root, key);
    mac(key, "clan session cookie v1", m->cookie.bytes, COOKIE_HEAD, want);
    mac(key, "clan session token v1", m->cookie.bytes, COOKIE_SIZE, token);
    sodium_memzero(key, sizeof key);
    bool ok = sodium_memcmp(want, m->cookie.bytes + COOKIE_HEAD, sizeof want) == 0;
    return (sodium_memcmp(token, m->token.bytes, sizeof token) == 0) & ok;
}

clan_status sessions_use(struct brain *b, const clan_api_SessionUse *m, clan_api_Session *ret,
    uint8_t ret_id[16], struct clan_error *e)
{
    memset(ret, 0, sizeof *ret);
    if (!fits(b, m))
        return no_session(e, "cookie and token are no pair that this machine made");
    struct buf_reader r = buf_reader_of(m->cookie.bytes, COOKIE_HEAD);
    buf_get(&r, ret_id, 16);
    uint32_t uid = buf_get_u32(&r);
    int64_t expires = (int64_t)buf_get_u64(&r);
    fill(b, uid, expires, ret);
    if (!sessions_good(b, ret, ret_id))
        return no_session(e, "the session has ended");
    return CLAN_OK;
}

/* ---- their end ---- */

bool sessions_good(struct brain *b, const clan_api_Session *s, const uint8_t id[16])
{
    for (unsigned i = 0; i < SESSIONS_ENDED_MAX; i++)
        if (ended[i].expires && memcmp(ended[i].id, id, sizeof ended[i].id) == 0)
            return false;
    return s->expires > ended_all && clock_wall_s() < s->expires && place_of(b, s->uid) >= 0;
}

void sessions_load(struct brain *b)
{
    uint8_t *data, head[sizeof ENDED_HEAD - 1];
    size_t size;
    struct clan_error e = CLAN_ERROR_INIT;
    memset(ended, 0, sizeof ended);
    ended_all = 0;
    clan_status st = file_read(b->state_fd, ENDED_FILE, ENDED_SIZE, &data, &size, &e);
    if (st == CLAN_E_NOENT)
        return;
    struct buf_reader r = buf_reader_of(data, st == CLAN_OK ? size : 0);
    buf_get(&r, head, sizeof head);
    ended_all = (int64_t)buf_get_u64(&r);
    for (unsigned i = 0; i < SESSIONS_ENDED_MAX; i++) {
        buf_get(&r, ended[i].id, sizeof ended[i].id);
        ended[i].expires = (int64_t)buf_get_u64(&r);
    }
    if (r.failed || memcmp(head, ENDED_HEAD, sizeof head) != 0) { /* who signed out stays out */
        log_warn("the file of sessions that ended cannot be read: everybody signs in again");
        memset(ended, 0, sizeof ended);
        ended_all = clock_wall_s() + SESSIONS_HOURS * 3600;
    }
    if (st == CLAN_OK)
        free(data);
}

static clan_status write_ended(struct brain *b, struct clan_error *e)
{
    uint8_t data[ENDED_SIZE];
    struct buf_writer w = buf_writer_of(data, sizeof data);
    buf_put(&w, ENDED_HEAD, sizeof ENDED_HEAD - 1);
    buf_put_u64(&w, (uint64_t)ended_all);
    for (unsigned i = 0; i < SESSIONS_ENDED_MAX; i++) {
        buf_put(&w, ended[i].id, sizeof ended[i].id);
        buf_put_u64(&w, (uint64_t)ended[i].expires);
    }
    return file_write_durable(b->state_fd, ENDED_FILE, data, w.len, 0600, e);
}

clan_status sessions_end(
    struct brain *b, const clan_api_Session *s, const uint8_t id[16], struct clan_error *e)
{
    struct ended *place = &ended[0];
    for (unsigned i = 1; i < SESSIONS_ENDED_MAX; i++)
        if (ended[i].expires < place->expires) /* a free one, or the one that is over first */
            place = &ended[i];
    if (place->expires > ended_all) /* it must not be good again */
        ended_all = place->expires;
    memcpy(place->id, id, sizeof place->id);
    place->expires = s->expires;
    return write_ended(b, e);
}
