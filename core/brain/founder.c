/* Founding a clan: `clan up` signs, this checks, stores and becomes its core. */
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "brain/brain.h"
#include "brain/client.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct founder {
    struct client *client;
    char petname[33];
    uint8_t genesis[5120];
    size_t genesis_size;
    uint64_t deadline_ms; /* bound: until then the network may take to come up */
};

#define FOUNDER_WAIT_MS 5000

static void refuse(struct brain *b, struct client *c, const struct clan_error *e)
{
    free(b->founder);
    b->founder = NULL;
    api_error(c, e);
}

static void on_seed_stored(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    struct founder *f = arg;
    static uint8_t raw[STMT_MAX];
    uint8_t id[32];
    size_t size;
    if (fd >= 0)
        close(fd);
    if (b->founder != f)
        return;
    if (answer->error.status != CLAN_OK) {
        refuse(b, f->client, &answer->error);
        return;
    }
    identity_make_record(b, b->clan_id, raw, &size, id);
    identity_use_record(b, raw, size, id);
    link_send_keys(b);
    clan_api_Answer *a = api_blank();
    a->which_m = clan_api_Answer_created_tag;
    clan_api_Created *m = &a->m.created;
    memcpy(m->record.bytes, raw, size);
    m->record.size = (pb_size_t)size;
    memcpy(m->clan_id, b->clan_id, 32);
    memcpy(m->machine_id, b->own_id, 32);
    memcpy(m->address, b->own_address, 16);
    snprintf(m->petname, sizeof m->petname, "%s", f->petname);
    api_answer(f->client, a, true);
}

void founder_create(struct brain *b, struct client *c, const clan_api_Create *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct ward_seed_store r = {0};
    struct member_effect effect;
    if (b->bound || b->founder || b->joiner) {
        err_set(&e, CLAN_E_STATE, "this connection founds or joins a clan already");
        api_error(c, &e);
        return;
    }
    if (!text_name_ok(m->petname) || m->genesis.size > sizeof b->founder->genesis) {
        err_set(&e, CLAN_E_INVAL, "\"%s\" cannot be the name of a clan", m->petname);
        err_remedy(&e, "use a to z, 0 to 9 and -, at most 32");
        api_error(c, &e);
        return;
    }
    struct member_set *probe = member_new();
    clan_assert(probe);
    if (member_apply(probe, m->genesis.bytes, m->genesis.size, 0, &effect, &e) != CLAN_OK ||
        !member_clan_id(probe)) {
        member_free(probe);
        api_error(c, &e);
        return;
    }
    memcpy(b->clan_id, member_clan_id(probe), 32);
    member_free(probe);
    struct founder *f = calloc(1, sizeof *f);
    clan_assert(f);
    b->founder = f;
    f->client = c;
    snprintf(f->petname, sizeof f->petname, "%s", m->petname);
    memcpy(f->genesis, m->genesis.bytes, m->genesis.size);
    f->genesis_size = m->genesis.size;
    randombytes_buf(r.seed, sizeof r.seed);
    identity_set(b, r.seed);
    ward_ask(b, WARD_REQ_SEED_STORE, &r, sizeof r, on_seed_stored, f);
    sodium_memzero(&r, sizeof r);
}

static void on_bound(struct brain *b, void *arg, const struct ward_answer *answer, int fd)
{
    struct founder *f = arg;
    if (b->founder != f)
        return;
    if (answer->error.status != CLAN_OK || fd < 0) {
        if (fd >= 0)
            close(fd);
        refuse(b, f->client, &answer->error);
        return;
    }
    snprintf(b->petname, sizeof b->petname, "%s", f->petname);
    f->deadline_ms = brain_now() + FOUNDER_WAIT_MS;
    if (api_alive(b, f->client))
        api_progress(f->client, "network", "building the network");
    brain_bound(b);
    api_listen(b, fd);
    ward_simple(b, WARD_REQ_READY, NULL, NULL);
}

/* "Created" means that the next command works: invitations need to know where this machine is. */
void founder_standing(struct brain *b)
{
    struct founder *f = b->founder;
    if (!f || !f->deadline_ms)
        return;
    if ((!b->net_up || b->fw_commits || b->endpoint_count == 0) && brain_now() < f->deadline_ms)
        return;
    b->founder = NULL;
    if (api_alive(b, f->client)) {
        clan_api_Answer *a = api_blank();
        a->which_m = clan_api_Answer_joined_tag;
        snprintf(a->m.joined.petname, sizeof a->m.joined.petname, "%s", b->petname);
        memcpy(a->m.joined.machine_id, b->own_id, 32);
        memcpy(a->m.joined.address, b->own_address, 16);
        snprintf(a->m.joined.standing, sizeof a->m.joined.standing, "member");
        a->m.joined.network_up = b->net_up;
        api_answer(f->client, a, true);
    }
    free(f);
}

static clan_status take(struct brain *b, const void *raw, size_t size, struct clan_error *e)
{
    struct member_effect effect;
    clan_status st = gossip_publish(b->gossip, raw, size, brain_now(), &effect, e);
    if (st == CLAN_E_IO && b->disk_trouble.status != CLAN_OK)
        *e = b->disk_trouble;
    if (st == CLAN_OK && effect.waits)
        return err_set(e, CLAN_E_INVAL, "a signed statement hangs on one that is missing");
    return st;
}

void founder_commit(struct brain *b, struct client *c, const clan_api_CreateCommit *m)
{
    struct clan_error e = CLAN_ERROR_INIT;
    struct founder *f = b->founder;
    const struct stmt_envelope *env;
    const uint8_t *id;
    if (!f || f->client != c || b->set) {
        err_set(&e, CLAN_E_STATE, "there is no clan to finish");
        api_error(c, &e);
        return;
    }
    b->set = member_new();
    clan_assert(b->set);
    if (stmt_store_open(b->state_fd, NULL, NULL, &b->store, &e) != CLAN_OK) {
        refuse(b, c, &e);
        return;
    }
    b->gossip = gossip_new(b->set, b->own_id, &spread_ops, b);
    clan_assert(b->gossip);
    if (take(b, f->genesis, f->genesis_size, &e) != CLAN_OK ||
        take(b, m->admission.bytes, m->admission.size, &e) != CLAN_OK ||
        take(b, m->envelope.bytes, m->envelope.size, &e) != CLAN_OK) {
        refuse(b, c, &e);
        return;
    }
    if (!brain_confirmed(b) || member_head(b->set, &id, &env) != 2) {
        err_set(
            &e, CLAN_E_INVAL, "the signed statements do not make this machine the first member");
        refuse(b, c, &e);
        return;
    }
    onedoor_end(b, "this machine founds the clan"); /* of an earlier attempt to join */
    bodies_reconcile(b);
    if (!b->cfg) {
        err_set(&e, CLAN_E_INVAL, "the first configuration is missing or cannot be read");
        refuse(b, c, &e);
        return;
    }
    struct ward_bind r = {0};
    memcpy(r.clan_id, b->clan_id, 32);
    snprintf(r.petname, sizeof r.petname, "%s", f->petname);
    ward_ask(b, WARD_REQ_BIND, &r, sizeof r, on_bound, f);
}
