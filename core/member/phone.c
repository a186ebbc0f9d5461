/* Phones: guest devices without Clan, admitted by the machine that is their gateway. */
#include "base/error.h"
#include "member/join.h"
#include "member/set.h"
#include "noise/keys.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

bool member_invite_for_phone(const struct member_invite *in)
{
    return !sodium_is_zero(in->body.gateway, sizeof in->body.gateway);
}

void phones_derive(struct member_set *m)
{
    m->phone_count = 0;
    for (size_t i = 0; i < m->machine_count; i++)
        if (m->machines[i]->pub.phone && m->machines[i]->pub.standing == MEMBER_CONFIRMED &&
            set_grow(&m->phones, &m->phone_cap, m->phone_count, sizeof *m->phones))
            m->phones[m->phone_count++] = m->machines[i];
}

static int by_id(const void *a, const void *b)
{
    const struct member_machine *const *x = a, *const *y = b;
    return memcmp((*x)->id, (*y)->id, 32);
}

unsigned member_phones(const struct member_set *m, const struct member_machine *gateway,
    const struct member_machine *ret_phones[MEMBER_PHONES_MAX])
{
    unsigned n = 0;
    const struct member_machine *found[MEMBER_PHONES_MAX + 1];
    for (size_t i = 0; gateway->standing == MEMBER_CONFIRMED && i < m->phone_count; i++) {
        const struct member_machine *x = &m->phones[i]->pub;
        if (memcmp(x->door, gateway->id, 32))
            continue;
        found[n++] = x;
        qsort(found, n, sizeof *found, by_id);
        n -= n > MEMBER_PHONES_MAX;
    }
    memcpy(ret_phones, found, n * sizeof *found);
    return n;
}

static clan_status invite_check_phone(const struct member_set *m, const struct member_invite *in,
    const uint8_t gateway_id[32], int64_t wall, struct clan_error *e)
{
    if (!in || !member_invite_for_phone(in) || memcmp(in->body.gateway, gateway_id, 32))
        return err_set(e, CLAN_E_AUTH, "no invitation names this machine as a phone's gateway");
    if (in->closed || in->admitted >= in->body.uses)
        return err_set(e, CLAN_E_USED, "the invitation for this phone was used or withdrawn");
    if (wall > in->body.expires)
        return err_set(e, CLAN_E_EXPIRED, "the invitation for this phone has expired");
    const struct member_machine *have[MEMBER_PHONES_MAX], *self = member_find(m, gateway_id);
    if (self && member_phones(m, self, have) < MEMBER_PHONES_MAX)
        return CLAN_OK;
    err_set(e, CLAN_E_LIMIT, "this machine is the gateway of %u phones", MEMBER_PHONES_MAX);
    err_remedy(e, "remove one that is not used: clan remove NAME; or invite from another machine");
    return e->status;
}

static clan_status key_free(const struct member_set *m, const uint8_t key[32], struct clan_error *e)
{
    if (member_find_key(m, KEY_WIREGUARD, key, true))
        return err_set(e, CLAN_E_CONFLICT, "another phone of this clan has this key");
    return CLAN_OK;
}

static clan_status make_record(const uint8_t clan_id[32], const uint8_t phone_secret[64],
    const uint8_t wireguard[32], int64_t wall, uint8_t *ret_raw, size_t *ret_size)
{
    static const uint8_t zero[32];
    struct stmt_record b = {
        .generation = 1, .key_count = 1, .version_min = 1, .version_max = 1, .time = wall};
    uint8_t body[512];
    size_t size;
    memcpy(b.identity, phone_secret + 32, 32); /* libsodium's form ends with the public half */
    b.keys[0].purpose = KEY_WIREGUARD;
    b.keys[0].counter = 1;
    memcpy(b.keys[0].key, wireguard, 32);
    clan_status r = stmt_put_record(&b, body, sizeof body, &size);
    if (r == CLAN_OK)
        r = stmt_build(STMT_RECORD, clan_id, zero, 1, body, size, ret_raw, ret_size);
    return r == CLAN_OK ? stmt_sign(ret_raw, ret_size, phone_secret) : r;
}

clan_status join_make_phone(const struct member_set *m, const struct join_phone *p,
    uint8_t *ret_raw, size_t *ret_size, uint8_t ret_id[32], struct clan_error *reterr)
{
    uint8_t seed[32], secret[64], public[32], unused[32], record[512], text[KEYS_PROOF_MAX];
    size_t size;
    struct stmt s;
    struct stmt_admission b = {.how = STMT_ADMIT_PHONE, .time = p->wall, .record = record};
    if (!member_clan_id(m))
        return CLAN_E_INVAL;
    keys_invite(p->seed, secret, public, unused);
    keys_invite_id(public, b.invite_id);
    clan_status r =
        invite_check_phone(m, member_invite_find(m, b.invite_id), p->gateway_id, p->wall, reterr);
    if (r == CLAN_OK)
        r = key_free(m, p->wireguard, reterr);
    if (r == CLAN_OK) {
        uint8_t phone[64];
        keys_phone(p->root, b.invite_id, seed);
        keys_sign_pair(seed, phone, public);
        r = make_record(member_clan_id(m), phone, p->wireguard, p->wall, record, &size);
        sodium_memzero(seed, sizeof seed);
        sodium_memzero(phone, sizeof phone);
    }
    if (r == CLAN_OK)
        r = stmt_parse(record, size, &s, reterr);
    if (r == CLAN_OK) {
        memcpy(ret_id, s.id, 32);
        b.record_size = (uint16_t)size;
        unsigned n = keys_join_proof(member_clan_id(m), b.invite_id, record, (uint32_t)size, text);
        crypto_sign_detached(b.proof, NULL, text, n, secret);
        r = join_sign_admission(m, &b, p->gateway_id, p->gateway_secret, p->seq, ret_raw, ret_size);
    }
    sodium_memzero(secret, sizeof secret);
    return r;
}
