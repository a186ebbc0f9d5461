/* Known to one door only: until somebody besides the door shows the same clan (SECURITY A3). */
#include "base/file.h"
#include "base/log.h"
#include "brain/brain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ONE_DOOR_FILE "one-door"

/* Durable before the machine is bound: a restart must not make a door's word more than that. */
clan_status onedoor_begin(struct brain *b, const struct member_set *set, struct clan_error *e)
{
    const uint8_t *id;
    const struct stmt_envelope *env;
    char text[32];
    b->one_door_version = member_head(set, &id, &env);
    int n = snprintf(text, sizeof text, "%llu\n", (unsigned long long)b->one_door_version);
    clan_status st = file_write_durable(b->state_fd, ONE_DOOR_FILE, text, (size_t)n, 0600, e);
    b->one_door = st == CLAN_OK;
    return st;
}

void onedoor_load(struct brain *b)
{
    uint8_t *data;
    size_t size;
    clan_status st = file_read(b->state_fd, ONE_DOOR_FILE, 32, &data, &size, NULL);
    if (st == CLAN_E_NOENT)
        return;
    /* a mark that cannot be read is still a mark */
    unsigned long long version = 0;
    if (st == CLAN_OK) {
        sscanf((const char *)data, "%llu", &version);
        free(data);
    }
    b->one_door = true;
    b->one_door_version = version;
}

void onedoor_end(struct brain *b, const char *why)
{
    unlinkat(b->state_fd, ONE_DOOR_FILE, 0);
    if (b->one_door)
        log_info("no longer known to one door only: %s", why);
    b->one_door = false;
}

/* The door alone cannot have made these: their admission or their seat is an admin's word. */
static bool may_vouch(const struct member_machine *self, const struct member_machine *m)
{
    return m && m->standing == MEMBER_CONFIRMED && (m->keeper || m->founder) &&
           memcmp(m->id, self->door, 32) != 0;
}

/* Is the door the clan's only keeper?  Then its receipt is all that anybody can show. */
static bool door_is_sole_keeper(const struct brain *b, const struct member_machine *self)
{
    const struct member_machine *door = member_find(b->set, self->door);
    if (!door || !door->keeper)
        return false;
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m->keeper && m != door)
            return false;
    }
    return true;
}

void onedoor_reconcile(struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    if (!b->one_door || !self)
        return;
    if (self->founder || self->keeper) {
        onedoor_end(b, "the admins named this machine a keeper");
        return;
    }
    if (self->standing == MEMBER_CONFIRMED && door_is_sole_keeper(b, self)) {
        onedoor_end(b, "the door is the only keeper and has signed a receipt");
        return;
    }
    for (size_t i = 0; i < b->peer_count; i++) {
        const struct peer *p = &b->peers[i];
        if (p->control && p->shown_head >= b->one_door_version && p->shown_head > 0 &&
            !p->shown_catching_up && may_vouch(self, member_find(b->set, p->id)) &&
            member_chain_has(b->set, p->shown_head, p->shown_id)) {
            onedoor_end(b, "another machine shows the same clan");
            return;
        }
    }
}
