/* The admin keys of one command: those that --key names, else the one of the clan. */
#include "base/error.h"
#include "base/text.h"
#include "cli/adminkey.h"

#include <string.h>

static bool is_admin(const clan_api_Context *x, const uint8_t key[32])
{
    for (unsigned i = 0; i < x->admin_keys_count; i++)
        if (memcmp(x->admin_keys[i], key, 32) == 0)
            return true;
    return false;
}

static clan_status no_admin(struct cli *c, const clan_api_Context *x, const struct admin_key *k)
{
    char text[TEXT_ID_CHARS + 1];
    text_base32(k->public_key, 32, text);
    err_set(
        &c->e, CLAN_E_PERM, "the key in %.80s is no admin key of the clan %s", k->name, x->clan);
    err_why(&c->e, "the clan's configuration does not list ed25519:%s", text);
    err_remedy(&c->e, "give the right one with --key, or let an admin add it under admins: keys:");
    return CLAN_E_PERM;
}

static clan_status ring_add(
    struct cli *c, const clan_api_Context *x, const char *path, struct admin_ring *r)
{
    struct admin_key *k = &r->keys[r->count];
    clan_status st = adminkey_open(path, k, &c->e);
    if (st != CLAN_OK)
        return st;
    for (unsigned i = 0; i < r->count; i++)
        if (memcmp(r->keys[i].public_key, k->public_key, 32) == 0) {
            adminkey_wipe(k);
            return CLAN_OK;
        }
    if (!is_admin(x, k->public_key)) {
        st = no_admin(c, x, k);
        adminkey_wipe(k);
        return st;
    }
    r->count++;
    return CLAN_OK;
}

clan_status adminring_open(
    struct cli *c, const clan_api_Context *x, unsigned need, struct admin_ring *ret)
{
    char path[ADMINKEY_PATH_MAX];
    const char *given;
    memset(ret, 0, sizeof *ret);
    clan_status st = CLAN_OK;
    for (unsigned i = 0; (given = cli_opt_at(c, "key", i)) && ret->count < STMT_ADMINS_MAX; i++)
        if (st == CLAN_OK)
            st = ring_add(c, x, given, ret);
    if (st == CLAN_OK && ret->count < need)
        st = adminkey_path(c->petname, path, &c->e);
    if (st == CLAN_OK && ret->count < need) {
        st = ring_add(c, x, path, ret);
        if (st == CLAN_E_NOENT && ret->count)
            st = CLAN_OK;
        else if (st == CLAN_E_NOENT) {
            err_set(&c->e, CLAN_E_PERM, "this needs an admin key of the clan %s", x->clan);
            err_why(&c->e, "there is none in %s", path);
            err_remedy(&c->e, "run it as the user who made the clan, or name the key with --key");
            st = CLAN_E_PERM;
        }
    }
    if (st == CLAN_OK && ret->count < need) {
        err_set(&c->e, CLAN_E_PERM, "this needs the signatures of %u admins", need);
        err_why(&c->e, "%u of the %u admins' keys %s here", ret->count, x->admin_keys_count,
            ret->count == 1 ? "is" : "are");
        err_remedy(&c->e, "add the keys of other admins with --key");
        st = CLAN_E_PERM;
    }
    if (st != CLAN_OK)
        adminring_close(ret);
    return st;
}

void adminring_close(struct admin_ring *r)
{
    for (unsigned i = 0; i < r->count; i++)
        adminkey_wipe(&r->keys[i]);
    r->count = 0;
}
