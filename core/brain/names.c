/* Names of the clan: the resolver's table, and the owner's way of finding it. */
#include "base/error.h"
#include "base/log.h"
#include "brain/brain.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct name_row {
    char name[33];
    uint8_t address[16];
};
#define NAMES_MAX (MEMBER_MACHINES_MAX + CONFIG_SERVICES_MAX + BRAIN_SOFT_MAX)

void brain_name(const struct brain *b, const uint8_t id[32], char ret[33])
{
    ret[0] = 0;
    if (b->set)
        member_name(b->set, b->cfg, id, ret);
}

static void resolver_send(struct brain *b, const clan_resolver_ToResolver *m)
{
    if (b->resolver && !chan_send(b->resolver, clan_resolver_ToResolver_fields, m, NULL, 0))
        log_warn("the resolver does not take messages");
}

static void on_message(void *arg, const uint8_t *data, size_t size, int *fds, size_t fd_count)
{
    (void)arg, (void)data, (void)size; /* ready and counts: nothing hangs on them */
    channel_close_fds(fds, fd_count);
}

void names_gone(struct brain *b)
{
    chan_close(b->resolver);
    b->resolver = NULL;
}

static void on_gone(void *arg)
{
    names_gone(arg);
}

void names_open(struct brain *b, int fd, uint32_t child)
{
    names_gone(b);
    b->resolver = chan_open(&b->loop, fd, on_message, on_gone, b);
    b->resolver_child = child;
    memset(b->names_hash, 0, sizeof b->names_hash);
}

static void add(struct name_row *rows, size_t *n, const char *name, const uint8_t addr[16])
{
    if (*n >= NAMES_MAX || !name[0])
        return;
    memset(&rows[*n], 0, sizeof rows[*n]);
    snprintf(rows[*n].name, sizeof rows[*n].name, "%s", name);
    memcpy(rows[(*n)++].address, addr, 16);
}

static size_t collect(struct brain *b, struct name_row *rows)
{
    size_t n = 0;
    uint8_t addr[16];
    char name[33];
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        keys_service_address(b->clan_id, b->cfg->services[i].name, addr);
        add(rows, &n, b->cfg->services[i].name, addr);
    }
    for (unsigned i = 0; !b->cfg && i < BRAIN_SOFT_MAX; i++)
        /* unsigned words take no machine's name */
        if (b->soft[i].used && b->soft[i].s.open_to_you &&
            !member_by_name(b->set, NULL, b->soft[i].s.name)) {
            keys_service_address(b->clan_id, b->soft[i].s.name, addr);
            add(rows, &n, b->soft[i].s.name, addr);
        }
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m->standing != MEMBER_CONFIRMED && m->standing != MEMBER_PROVISIONAL)
            continue;
        brain_name(b, m->id, name);
        add(rows, &n, name, m->address);
    }
    return n;
}

static void tell_resolver(struct brain *b, const struct name_row *rows, size_t n)
{
    clan_resolver_ToResolver m = {.which_m = clan_resolver_ToResolver_zone_tag};
    snprintf(m.m.zone.petname, sizeof m.m.zone.petname, "%s", b->petname);
    resolver_send(b, &m);
    for (size_t i = 0; i < n; i++) {
        memset(&m, 0, sizeof m);
        m.which_m = clan_resolver_ToResolver_name_tag;
        snprintf(m.m.name.name, sizeof m.m.name.name, "%s", rows[i].name);
        memcpy(m.m.name.address, rows[i].address, 16);
        resolver_send(b, &m);
    }
}

static void tell_warden(struct brain *b, const struct name_row *rows, size_t n)
{
    ward_simple(b, WARD_REQ_NAMES_BEGIN, NULL, NULL);
    for (size_t i = 0; i < n; i++) {
        struct ward_name r = {0};
        snprintf(r.name, sizeof r.name, "%s.%s.clan", rows[i].name, b->petname);
        memcpy(r.address, rows[i].address, 16);
        ward_ask(b, WARD_REQ_NAMES_ADD, &r, sizeof r, NULL, NULL);
    }
    ward_simple(b, WARD_REQ_NAMES_COMMIT, NULL, NULL);
}

void names_reconcile(struct brain *b)
{
    uint8_t hash[32];
    if (!b->net_up)
        return;
    struct name_row *rows = calloc(NAMES_MAX, sizeof *rows);
    if (!rows)
        return;
    size_t n = collect(b, rows);
    crypto_generichash(hash, sizeof hash, (const uint8_t *)rows, n * sizeof *rows,
        (const uint8_t *)b->petname, strlen(b->petname));
    if (memcmp(hash, b->names_hash, sizeof hash) != 0) {
        memcpy(b->names_hash, hash, sizeof hash);
        tell_resolver(b, rows, n);
        tell_warden(b, rows, n);
    }
    free(rows);
}
