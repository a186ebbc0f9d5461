/* Services: those that this machine holds, and what other holders say of theirs. */
#include "base/text.h"
#include "brain/brain.h"
#include "brain/demand.h"

#include <string.h>

static void add_address(struct brain *b, struct host *h)
{
    struct ward_addr r = {0};
    if (h->address_added || !b->net_up)
        return;
    memcpy(r.address, h->address, 16);
    ward_ask(b, WARD_REQ_ADDR_ADD, &r, sizeof r, NULL, NULL);
    h->address_added = true;
}

/* By the owner of this machine, and to answer others. */
static bool granted(const struct brain *b, const char *plugin)
{
    const struct grant_plugin *p = b->grants_ok ? grants_find(&b->grants, plugin) : NULL;
    return p && (p->permissions & GRANT_NET_SERVICE);
}

static const struct clan_config_service *held(struct brain *b, const char *name)
{
    const struct member_machine *self = brain_self(b);
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++)
        if (strcmp(b->cfg->services[i].name, name) == 0)
            return place_holder(b->set, b->cfg, &b->cfg->services[i]) == self ? &b->cfg->services[i]
                                                                              : NULL;
    return NULL;
}

static void send_own(struct brain *b)
{
    static uint32_t told; /* which link: by the warden's number, an address may come again */
    static clan_link_Own last;
    const struct member_machine *phones[MEMBER_PHONES_MAX], *self = brain_self(b);
    unsigned n = self ? member_phones(b->set, self, phones) : 0;
    clan_link_ToLink *m = link_blank(clan_link_ToLink_own_tag);
    clan_link_Own *own = &m->m.own;
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX && own->service_addresses_count < 64; i++)
        if (b->hosts[i].used && b->hosts[i].service && !b->hosts[i].people && b->hosts[i].wanted)
            memcpy(own->service_addresses[own->service_addresses_count++], b->hosts[i].address, 16);
    for (unsigned i = 0; i < n && own->service_addresses_count < 64; i++) /* link hands theirs on */
        memcpy(own->service_addresses[own->service_addresses_count++], phones[i]->address, 16);
    if (!b->link || (told == b->link_child && memcmp(own, &last, sizeof last) == 0))
        return;
    last = *own;
    told = b->link_child;
    link_send(b, m, NULL, 0);
}

void services_reconcile(struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    bool may = b->cfg && self && self->standing == MEMBER_CONFIRMED && b->net_up && !b->one_door;
    for (unsigned i = 0; may && i < b->cfg->service_count; i++) {
        const struct clan_config_service *s = &b->cfg->services[i];
        if (place_holder(b->set, b->cfg, s) != self || !granted(b, s->plugin))
            continue;
        if (!host_find(b, s->name) && b->catching_up)
            continue; /* nothing new before it is known what the others know */
        if (host_find(b, s->name) && host_find(b, s->name)->people)
            continue; /* see own_state() */
        struct host *h = host_want(b, s->plugin, s->name, s);
        if (h)
            add_address(b, h);
    }
    for (unsigned i = 0; i < BRAIN_HOSTS_MAX; i++) {
        struct host *h = &b->hosts[i];
        if (h->used && h->service && !h->people && b->cfg && (!may || !held(b, h->instance)))
            host_unwant(b, h);
    }
    send_own(b);
}

/* ---- soft state ---- */

#define SERVICES_SOFT_EACH 32 /* services that one machine may tell of */

/* Does the signed configuration say that this machine holds it? */
static bool said_by_holder(struct brain *b, const uint8_t id[32], const char *name)
{
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        const struct member_machine *holder;
        if (strcmp(b->cfg->services[i].name, name) != 0)
            continue;
        holder = place_holder(b->set, b->cfg, &b->cfg->services[i]);
        return holder && memcmp(holder->id, id, 32) == 0;
    }
    return false;
}

/* Where a machine's word about a service goes; nobody's words push out those of a holder. */
static struct soft_service *soft_slot(struct brain *b, const uint8_t id[32], const char *name)
{
    struct soft_service *free_slot = NULL, *weak = NULL;
    unsigned count = 0;
    for (unsigned i = 0; i < BRAIN_SOFT_MAX; i++) {
        struct soft_service *t = &b->soft[i];
        bool theirs = t->used && memcmp(t->holder, id, 32) == 0;
        if (theirs && strcmp(t->s.name, name) == 0)
            return t;
        count += theirs;
        if (!t->used)
            free_slot = free_slot ? free_slot : t;
        else if (b->cfg && !said_by_holder(b, t->holder, t->s.name))
            weak = t;
    }
    if (said_by_holder(b, id, name))
        return free_slot ? free_slot : weak;
    return count < SERVICES_SOFT_EACH ? free_slot : NULL;
}

void services_soft(struct brain *b, struct session *s, const clan_peer_Service *m)
{
    const struct member_machine *from = member_find(b->set, s->machine);
    if (!from || from->standing != MEMBER_CONFIRMED || !text_name_ok(m->name))
        return; /* a guest holds nothing */
    struct soft_service *slot = soft_slot(b, s->machine, m->name);
    if (!slot)
        return;
    slot->used = true;
    memcpy(slot->holder, s->machine, 32);
    slot->s = *m;
    text_sanitize(slot->s.text);
    text_sanitize(slot->s.plugin);
    brain_soon(b);
}

static void describe(struct brain *b, const struct clan_config_service *s,
    const struct member_machine *to, clan_peer_Service *ret)
{
    const struct host *h = host_find(b, s->name);
    memset(ret, 0, sizeof *ret);
    snprintf(ret->name, sizeof ret->name, "%s", s->name);
    snprintf(ret->plugin, sizeof ret->plugin, "%s", s->plugin);
    keys_service_address(b->clan_id, s->name, ret->address);
    ret->port = place_port(s);
    ret->generation = 1;
    ret->up = h && !h->people && h->state == HOST_STARTED && h->healthy;
    ret->open_to_you = place_allows(b->set, b->cfg, s, to);
    ret->not_granted = !granted(b, s->plugin);
    if (!ret->up)
        snprintf(ret->text, sizeof ret->text, "%.199s",
            ret->not_granted
                ? "its owner has not granted the plugin net.service there, or it is not installed"
            : h && h->why[0] ? h->why
                             : "it is starting");
}

void services_tell(struct brain *b, struct session *s)
{
    const struct member_machine *to = member_find(b->set, s->machine), *self = brain_self(b);
    for (unsigned i = 0; to && b->cfg && i < b->cfg->service_count; i++) {
        const struct clan_config_service *c = &b->cfg->services[i];
        if (place_holder(b->set, b->cfg, c) != self)
            continue;
        clan_peer_PeerMsg *msg = peer_blank(clan_peer_PeerMsg_service_tag);
        describe(b, c, to, &msg->m.service);
        if (to->standing == MEMBER_CONFIRMED || msg->m.service.open_to_you)
            session_send(b, s->id, msg);
    }
}

void services_changed(struct brain *b)
{
    for (unsigned i = 0; b->bound && i < b->session_top; i++) {
        struct session *s = &b->sessions[i];
        if (s->id && s->up && s->gossiping && s->has_machine &&
            s->purpose == clan_link_Purpose_PURPOSE_CONTROL)
            services_tell(b, s);
    }
    api_changed(b);
}

/* ---- rows for people ---- */

static void url(struct brain *b, const char *name, unsigned port, char *ret, size_t cap)
{
    if (port == 80)
        snprintf(ret, cap, "http://%s.%s.clan/", name, b->petname);
    else
        snprintf(ret, cap, "http://%s.%s.clan:%u/", name, b->petname, port);
}

static const char *own_state(
    struct brain *b, const struct clan_config_service *s, clan_api_Service *ret)
{
    const struct host *h = host_find(b, s->name);
    if (b->one_door) {
        snprintf(ret->why, sizeof ret->why,
            "this machine is known to one door only: it hosts nothing before a keeper or an "
            "admin's "
            "machine shows the same clan");
        return "down";
    }
    if (!granted(b, s->plugin)) {
        bool listed = b->grants_ok && grants_find(&b->grants, s->plugin);
        snprintf(ret->why, sizeof ret->why,
            listed ? "the owner of this machine has not allowed %s to answer others"
                   : "the plugin %s is not installed here, or the owner of this machine has not "
                     "granted it",
            s->plugin);
        snprintf(ret->remedy, sizeof ret->remedy,
            "%s in /etc/clan/machine.yaml and run as root: clan machine apply",
            listed ? "allow it net.service" : "list it");
        return "not granted";
    }
    if (!h)
        return "starting";
    if (h->people) {
        snprintf(ret->why, sizeof ret->why, "%s is the name of a plugin that shows the clan here",
            s->name);
        snprintf(ret->remedy, sizeof ret->remedy, "give the service another name in clan.yaml");
        return "down";
    }
    snprintf(ret->why, sizeof ret->why, "%s", h->why);
    snprintf(ret->remedy, sizeof ret->remedy, "%s", h->remedy);
    if (h->state == HOST_STARTED)
        return h->healthy ? "up" : "down";
    return h->state == HOST_FAILED ? "down" : "starting";
}

static const struct soft_service *soft_find(
    struct brain *b, const char *name, const struct member_machine *holder)
{
    for (unsigned i = 0; holder && i < BRAIN_SOFT_MAX; i++)
        if (b->soft[i].used && strcmp(b->soft[i].s.name, name) == 0 &&
            memcmp(b->soft[i].holder, holder->id, 32) == 0)
            return &b->soft[i];
    return NULL;
}

/* It runs; does the path that packets take to it do? */
static const char *by_path(struct brain *b, const struct clan_config_service *s,
    const struct peer *p, clan_api_Service *ret)
{
    const struct session *now = p ? session_find(b, p->link) : NULL;
    char why[DEMAND_TEXT];
    demand_service_text(b, s, now ? now->transport : NULL, why, sizeof why);
    if (!why[0])
        return "up";
    snprintf(ret->why, sizeof ret->why, "%s", why);
    snprintf(ret->remedy, sizeof ret->remedy,
        "give %s the same \"via:\" in clan.yaml, or see why that path is not in use: clan paths %s",
        s->on, s->on);
    return "out of reach";
}

void service_row(struct brain *b, const struct clan_config_service *s, clan_api_Service *ret)
{
    const struct member_machine *self = brain_self(b), *holder = place_holder(b->set, b->cfg, s);
    const struct soft_service *soft = soft_find(b, s->name, holder);
    const char *state = "unknown";
    snprintf(ret->name, sizeof ret->name, "%s", s->name);
    snprintf(ret->plugin, sizeof ret->plugin, "%s", s->plugin);
    snprintf(ret->host, sizeof ret->host, "%s", s->on);
    keys_service_address(b->clan_id, s->name, ret->address);
    ret->port = place_port(s);
    url(b, s->name, ret->port, ret->url, sizeof ret->url);
    ret->open_to_me = self && place_allows(b->set, b->cfg, s, self);
    for (unsigned i = 0; i < s->allow_count && i < 16; i++, ret->allow_count++)
        snprintf(ret->allow[i], sizeof ret->allow[i], "%s", s->allow[i]);
    if (holder && holder == self) {
        ret->open_to_me = true;
        state = own_state(b, s, ret);
    } else if (!holder) {
        snprintf(ret->why, sizeof ret->why, "%s is not a member of the clan", s->on);
    } else if (!peer_get(b, holder->id) || !peer_get(b, holder->id)->control) {
        snprintf(ret->why, sizeof ret->why, "%s is not connected", s->on);
    } else if (soft) {
        state = soft->s.up ? "up" : soft->s.not_granted ? "not granted" : "down";
        snprintf(ret->why, sizeof ret->why, "%s", soft->s.text);
        if (!soft->s.up && soft->s.not_granted)
            snprintf(ret->remedy, sizeof ret->remedy,
                "the owner of %s lists %s in /etc/clan/machine.yaml there and runs as root: clan "
                "machine apply",
                s->on, s->plugin);
    }
    if (holder && holder != self && !strcmp(state, "up"))
        state = by_path(b, s, peer_get(b, holder->id), ret);
    snprintf(ret->state, sizeof ret->state, "%s", state);
}

bool soft_row(struct brain *b, const struct soft_service *s, clan_api_Service *ret)
{
    if (!s->used || !s->s.open_to_you)
        return false;
    snprintf(ret->name, sizeof ret->name, "%s", s->s.name);
    snprintf(ret->plugin, sizeof ret->plugin, "%s", s->s.plugin);
    brain_name(b, s->holder, ret->host);
    keys_service_address(b->clan_id, s->s.name, ret->address);
    ret->port = s->s.port;
    url(b, s->s.name, ret->port, ret->url, sizeof ret->url);
    ret->open_to_me = true;
    snprintf(ret->state, sizeof ret->state, "%s", s->s.up ? "up" : "down");
    snprintf(ret->why, sizeof ret->why, "%s", s->s.text);
    return true;
}
