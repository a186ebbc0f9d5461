/* Who asks through a plugin that shows the clan: one-time codes, and the sessions that they become. */
#include "brain/sessions.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "brain/visit.h"
#include "noise/keys.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* A cookie: what it says, then its MAC.  The token is another MAC, over all of the cookie.  Those of another
 * machine's browser are MACs over its address too: they are worth nothing anywhere else. */
#define COOKIE_HEAD 32 /* id | uid | expires | 0 */
#define NO_UID      UINT32_MAX
#define COOKIE_SIZE (COOKIE_HEAD + 32)
#define TOKEN_SIZE  32

static struct code {
    uint8_t code[16];
    uint32_t uid;
    uint64_t until_ms; /* 0: free */
} codes[SESSIONS_CODES_MAX * GRANTS_PEOPLE_MAX];
#define CODES (sizeof codes / sizeof *codes)

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

/* There is room for all users: none takes another's places. */
static struct code *code_slot(uint32_t uid, uint64_t now)
{
    struct code *unused = NULL, *oldest = NULL;
    unsigned count = 0;
    for (unsigned i = 0; i < CODES; i++) {
        struct code *c = &codes[i];
        if (c->until_ms <= now)
            unused = c;
        else if (c->uid == uid && ++count && (!oldest || c->until_ms < oldest->until_ms))
            oldest = c;
    }
    if (count < SESSIONS_CODES_MAX && unused)
        return unused;
    return oldest ? oldest : &codes[0]; /* full of those who were users a moment ago */
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
    struct code *c = code_slot(uid, brain_now());
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
    for (unsigned i = 0; i < CODES; i++)
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

/* Of a cookie's head; the token's is over the cookie as it has to be.  from: NULL of this machine. */
static void macs(struct brain *b, const uint8_t head[COOKIE_HEAD], const uint8_t from[16],
    uint8_t ret_cookie[32], uint8_t ret_token[32])
{
    uint8_t key[32], all[COOKIE_SIZE + 16] = {0};
    size_t extra = from ? 16 : 0;
    memcpy(all, head, COOKIE_HEAD);
    if (from)
        memcpy(all + COOKIE_HEAD, from, 16);
    keys_sessions(b->root, key);
    mac(key, from ? "clan visit cookie v1" : "clan session cookie v1", all, COOKIE_HEAD + extra,
        ret_cookie);
    memcpy(all + COOKIE_HEAD, ret_cookie, 32);
    if (from)
        memcpy(all + COOKIE_SIZE, from, 16);
    mac(key, from ? "clan visit token v1" : "clan session token v1", all, COOKIE_SIZE + extra,
        ret_token);
    sodium_memzero(key, sizeof key);
}

/* A person is known by the machine: people: in clan.yaml says whose it is. */
static void fill(struct brain *b, uint32_t uid, int64_t expires, clan_api_Session *ret)
{
    static const char *const roles[] = {
        [CONFIG_MEMBER] = "member", [CONFIG_GUEST] = "guest", [CONFIG_ADMIN] = "admin"};
    const struct member_machine *guest =
        ret->address.size ? member_find_address(b->set, ret->address.bytes) : NULL;
    const struct clan_config_machine *m = member_row(b->cfg, guest ? guest->id : b->own_id);
    ret->uid = uid;
    ret->expires = expires;
    ret->owner = place_of(b, uid) >= 0; /* NO_UID: nobody's */
    if (guest)
        brain_name(b, guest->id, ret->from);
    snprintf(ret->role, sizeof ret->role, "%s", roles[m ? m->role : CONFIG_MEMBER]);
    snprintf(ret->person, sizeof ret->person, "%s", m ? m->person : "");
}

void sessions_refresh(struct brain *b, clan_api_Session *s)
{
    fill(b, s->uid, s->expires, s);
}

static bool spend_own(struct brain *b, const clan_api_SessionOpen *m)
{
    struct code *c = code_find(m->code);
    bool good = c && c->until_ms > brain_now() && c->uid == m->uid && place_of(b, m->uid) >= 0;
    if (c)
        sodium_memzero(c, sizeof *c);
    return good;
}

clan_status sessions_open(
    struct brain *b, const clan_api_SessionOpen *m, clan_api_Session *ret, struct clan_error *e)
{
    bool visits = m->from.size == 16;
    uint32_t uid = visits ? NO_UID : m->uid;
    memset(ret, 0, sizeof *ret);
    if (visits) {
        const struct member_machine *guest = visit_guest(b, m->from.bytes, e);
        if (!visit_spend(m->code, guest))
            return guest
                       ? no_session(e,
                             "the code was used, or is older than 30 seconds, or another machine's")
                       : e->status;
        ret->address.size = 16;
        memcpy(ret->address.bytes, m->from.bytes, 16);
    } else if (!spend_own(b, m))
        return no_session(e, "the code was used, or is older than 30 seconds, or not this user's");
    uint8_t *cookie = ret->cookie.bytes;
    struct buf_writer w = buf_writer_of(cookie, COOKIE_HEAD);
    uint8_t id[16];
    fill(b, uid, clock_wall_s() + SESSIONS_HOURS * 3600, ret);
    randombytes_buf(id, sizeof id);
    buf_put(&w, id, sizeof id);
    buf_put_u32(&w, uid);
    buf_put_u64(&w, (uint64_t)ret->expires);
    buf_put_u32(&w, 0);
    macs(b, cookie, visits ? m->from.bytes : NULL, cookie + COOKIE_HEAD, ret->token.bytes);
    ret->cookie.size = COOKIE_SIZE;
    ret->token.size = TOKEN_SIZE;
    return CLAN_OK;
}

static bool fits(struct brain *b, const clan_api_SessionUse *m)
{
    uint8_t want[32], token[32];
    if (m->cookie.size != COOKIE_SIZE || m->token.size != TOKEN_SIZE)
        return false;
    macs(b, m->cookie.bytes, m->from.size == 16 ? m->from.bytes : NULL, want, token);
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
    if (m->from.size == 16) {
        ret->address.size = 16;
        memcpy(ret->address.bytes, m->from.bytes, 16);
    }
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
    struct clan_error e = CLAN_ERROR_INIT;
    bool there =
        s->address.size ? visit_guest(b, s->address.bytes, &e) != NULL : place_of(b, s->uid) >= 0;
    return there && s->expires > ended_all && clock_wall_s() < s->expires;
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
