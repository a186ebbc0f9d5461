/* This machine's identity: root seed, derived keys, its own record. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#define PUBLISH_AGAIN_MS 60000 /* after a record that was not taken */
#define PUBLISH_BURST    20    /* records at once ... */
#define PUBLISH_EVERY_MS 60000 /* ... and then one each */
#define PUBLISH_WAIT_MS  10000 /* after a start: transports that ran before say where they are */

void identity_set(struct brain *b, const uint8_t root[32])
{
    uint8_t seed[32];
    if (!b->root) {
        b->root = sodium_malloc(32);
        b->secret = sodium_malloc(64);
        clan_assert(b->root && b->secret);
    }
    memcpy(b->root, root, 32);
    keys_identity(root, seed);
    keys_sign_pair(seed, b->secret, b->identity);
    sodium_memzero(seed, sizeof seed);
}

bool identity_load(struct brain *b)
{
    uint8_t root[32];
    ssize_t n = pread(CHILD_FD_SEED, root, sizeof root, 0);
    close(CHILD_FD_SEED);
    if (n != (ssize_t)sizeof root)
        return false;
    identity_set(b, root);
    sodium_memzero(root, sizeof root);
    return true;
}

static void fill_endpoints(struct brain *b, struct stmt_record *r)
{
    memset(r, 0, sizeof *r);
    for (unsigned i = 0; i < b->endpoint_count; i++) {
        snprintf(r->endpoints[i].transport, sizeof r->endpoints[i].transport, "%s",
            b->endpoints[i].transport);
        snprintf(r->endpoints[i].text, sizeof r->endpoints[i].text, "%s", b->endpoints[i].text);
        r->endpoint_count++;
    }
}

void identity_make_record(struct brain *b, const uint8_t clan_id[32], uint8_t *ret_raw,
    size_t *ret_size, uint8_t ret_id[32])
{
    struct stmt_record body;
    fill_endpoints(b, &body);
    clan_assert(join_make_record(b->root, clan_id, 1, NULL, &body, clock_wall_s(), ret_raw,
                    ret_size, ret_id) == CLAN_OK);
}

void identity_use_record(struct brain *b, const uint8_t *raw, size_t size, const uint8_t id[32])
{
    memcpy(b->own_record, raw, size);
    b->own_record_size = size;
    memcpy(b->own_id, id, 32);
    keys_machine_address(b->clan_id, b->own_id, b->own_address);
}

static bool same_endpoints(const struct stmt_record *a, const struct stmt_record *c)
{
    if (a->endpoint_count != c->endpoint_count)
        return false;
    for (unsigned i = 0; i < a->endpoint_count; i++)
        if (strcmp(a->endpoints[i].transport, c->endpoints[i].transport) != 0 ||
            strcmp(a->endpoints[i].text, c->endpoints[i].text) != 0)
            return false;
    return true;
}

/* Two that run with one identity would answer each other's record with a new one for ever. */
static bool may_publish(struct brain *b)
{
    static unsigned spent;
    static uint64_t since_ms;
    uint64_t now = brain_now(), back = (now - since_ms) / PUBLISH_EVERY_MS;
    spent = back < spent ? spent - (unsigned)back : 0;
    since_ms = spent ? since_ms + back * PUBLISH_EVERY_MS : now;
    if (spent < PUBLISH_BURST) {
        spent++;
        return true;
    }
    b->next_publish_ms = since_ms + PUBLISH_EVERY_MS;
    log_warn(
        "this machine's addresses change all the time, or it runs twice: a copied disk or VM?");
    return false;
}

/* A core that starts anew hears from its transports one by one: a record without those that did not speak
 * yet would take paths down on every other machine. */
static bool too_early(struct brain *b, const struct stmt_record *known)
{
    static uint64_t began_ms;
    if (!began_ms)
        began_ms = brain_now();
    return brain_now() - began_ms < PUBLISH_WAIT_MS && transports_awaited(b, known);
}

void identity_publish_record(struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    struct stmt_record body;
    uint8_t raw[STMT_MAX], id[32];
    size_t size;
    struct clan_error e = CLAN_ERROR_INIT;
    if (!self)
        return;
    fill_endpoints(b, &body);
    if (same_endpoints(&self->record, &body) || too_early(b, &self->record) ||
        brain_now() < b->next_publish_ms || !may_publish(b))
        return;
    if (join_make_record(b->root, b->clan_id, self->record_seq + 1, b->own_id, &body,
            clock_wall_s(), raw, &size, id) != CLAN_OK ||
        spread_publish(b, raw, size, &e) != CLAN_OK) {
        b->next_publish_ms = brain_now() + PUBLISH_AGAIN_MS;
        log_clan_error(LOG_LEVEL_WARN, &e);
        return;
    }
    log_info("this machine is reachable at %u addresses", b->endpoint_count);
}
