/* Other machines: link's table, the firewall's rows, whom to dial, and acknowledgements. */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "brain/demand.h"
#include "brain/devices.h"
#include "brain/phones.h"
#include "brain/reach.h"

#include <netinet/in.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEERS_SHORT_LIFE_MS 5000 /* a session that ends sooner counts as a failed dial */

struct peer *peer_find(struct brain *b, const uint8_t id[32])
{
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].used && memcmp(b->peers[i].id, id, 32) == 0)
            return &b->peers[i];
    return NULL;
}

struct peer *peer_get(struct brain *b, const uint8_t id[32])
{
    struct peer *p = peer_find(b, id);
    if (p)
        return p;
    if (b->peer_count == b->peer_cap) {
        size_t cap = b->peer_cap ? b->peer_cap * 2 : 16;
        struct peer *grown =
            cap <= MEMBER_MACHINES_MAX ? realloc(b->peers, cap * sizeof *grown) : NULL;
        if (!grown)
            return NULL;
        b->peers = grown;
        b->peer_cap = cap;
    }
    p = &b->peers[b->peer_count++];
    *p = (struct peer){.used = true};
    memcpy(p->id, id, 32);
    return p;
}

/* By the time since boot, so that a clock of ours that is set meanwhile counts at once. */
int64_t peer_clock_offset(const struct peer *p)
{
    return p->shown_head ? p->wall_at_boot + (int64_t)(clock_boot_ms() / 1000) - clock_wall_s() : 0;
}

static int compare_offsets(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

int64_t peers_median_clock(const struct brain *b)
{
    int64_t offsets[64];
    size_t n = 0;
    for (size_t i = 0; i < b->peer_count && n < 64; i++) {
        const struct peer *p = &b->peers[i];
        const struct member_machine *m = member_find(b->set, p->id);
        /* a guest's clock is nobody's measure */
        if (p->control && p->shown_head && m && m->standing == MEMBER_CONFIRMED)
            offsets[n++] = peer_clock_offset(p);
    }
    if (n == 0)
        return 0;
    qsort(offsets, n, sizeof *offsets, compare_offsets);
    int64_t low = offsets[(n - 1) / 2], high = offsets[n / 2];
    return llabs(low) < llabs(high) ? low : high; /* of two middle ones, who agrees with us more */
}

/* ---- link's table ---- */

static void add_address(pb_size_t *count, pb_byte_t (*list)[16], size_t cap, const uint8_t addr[16])
{
    if (*count < cap)
        memcpy(list[(*count)++], addr, 16);
}

/* Service addresses that this peer holds: by the signed configuration, or, for a machine that may
 * not read it yet, by the holder's word about what is open to us. */
static void held_services(struct brain *b, const struct member_machine *m, clan_link_Peer *ret)
{
    uint8_t addr[16];
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        const struct member_machine *holder = place_holder(b->set, b->cfg, &b->cfg->services[i]);
        if (!holder || memcmp(holder->id, m->id, 32) != 0)
            continue;
        keys_service_address(b->clan_id, b->cfg->services[i].name, addr);
        add_address(&ret->service_addresses_count, ret->service_addresses, 32, addr);
    }
    for (unsigned i = 0; !b->cfg && i < BRAIN_SOFT_MAX; i++) {
        const struct soft_service *s = &b->soft[i];
        if (!s->used || memcmp(s->holder, m->id, 32) != 0 || !s->s.open_to_you)
            continue;
        keys_service_address(b->clan_id, s->s.name, addr);
        add_address(&ret->service_addresses_count, ret->service_addresses, 32, addr);
    }
}

/* Phones behind this peer: theirs come from it and go to it. */
static void carried_phones(struct brain *b, const struct member_machine *m, clan_link_Peer *ret)
{
    const struct member_machine *phones[MEMBER_PHONES_MAX];
    unsigned n = member_phones(b->set, m, phones);
    for (unsigned i = 0; i < n; i++)
        add_address(&ret->service_addresses_count, ret->service_addresses, 32, phones[i]->address);
}

/* What of ours a provisional machine may reach. */
static void reachable_services(struct brain *b, const struct member_machine *m, clan_link_Peer *ret)
{
    const struct member_machine *self = brain_self(b);
    for (unsigned i = 0; b->cfg && i < b->cfg->service_count; i++) {
        const struct clan_config_service *s = &b->cfg->services[i];
        uint8_t addr[16];
        if (place_holder(b->set, b->cfg, s) != self || !place_allows(b->set, b->cfg, s, m))
            continue;
        keys_service_address(b->clan_id, s->name, addr);
        add_address(&ret->reachable_count, ret->reachable, 32, addr);
    }
}

static bool describe_peer(struct brain *b, const struct member_machine *m, clan_link_Peer *ret)
{
    const uint8_t *link = stmt_record_find(&m->record, KEY_LINK);
    const uint8_t *control = stmt_record_find(&m->record, KEY_CONTROL);
    if (!link || !control || member_find_key(b->set, KEY_LINK, link, true) != m ||
        member_find_key(b->set, KEY_CONTROL, control, true) != m)
        return false; /* keys of another machine: its sessions would be taken for this one's */
    memset(ret, 0, sizeof *ret);
    memcpy(ret->machine_id, m->id, 32);
    memcpy(ret->address, m->address, 16);
    memcpy(ret->link_key, link, 32);
    memcpy(ret->control_key, control, 32);
    held_services(b, m, ret);
    demand_describe(b, m->id, ret);
    ret->restricted = m->standing != MEMBER_CONFIRMED;
    if (ret->restricted)
        reachable_services(b, m, ret);
    bool self_ok = brain_confirmed(b) || ret->service_addresses_count > 0;
    ret->no_data =
        b->catching_up || m->clone || !self_ok || (ret->restricted && !ret->reachable_count);
    if (brain_confirmed(b))
        carried_phones(b, m, ret);
    const struct peer *p = peer_find(b, m->id); /* before it is let in, its first packets wait */
    ret->no_data |= !b->fw_assume && !(p && p->let_in);
    return true;
}

unsigned peers_addresses(
    struct brain *b, const struct member_machine *m, uint8_t ret[WARD_DEVICE_ADDRESSES][16])
{
    clan_link_Peer desc;
    if (!describe_peer(b, m, &desc) || desc.no_data)
        return 0;
    memcpy(ret[0], desc.address, 16);
    _Static_assert(sizeof desc.service_addresses == (WARD_DEVICE_ADDRESSES - 1) * 16, "they fit");
    memcpy(ret[1], desc.service_addresses, desc.service_addresses_count * 16u);
    return 1 + desc.service_addresses_count;
}

static void send_gone(struct brain *b, struct peer *p)
{
    if (sodium_is_zero(p->sent_hash, 32) || p->closing || !b->link)
        return;
    clan_link_ToLink *msg = link_blank(clan_link_ToLink_peer_gone_tag);
    memcpy(msg->m.peer_gone.machine_id, p->id, 32);
    p->closing = true;
    memset(p->sent_hash, 0, sizeof p->sent_hash);
    link_send(b, msg, NULL, 0);
}

static void send_peer(struct brain *b, struct peer *p, const struct member_machine *m)
{
    uint8_t hash[32];
    clan_link_ToLink *msg = link_blank(clan_link_ToLink_peer_tag);
    if (!describe_peer(b, m, &msg->m.peer)) {
        send_gone(b, p);
        return;
    }
    crypto_generichash(
        hash, sizeof hash, (const uint8_t *)&msg->m.peer, sizeof msg->m.peer, NULL, 0);
    if (!b->link || memcmp(hash, p->sent_hash, sizeof hash) == 0)
        return;
    memcpy(p->sent_hash, hash, sizeof hash);
    link_send(b, msg, NULL, 0);
}

void peers_closed(struct brain *b, const uint8_t id[32])
{
    struct peer *p = peer_find(b, id);
    if (p)
        p->closing = false;
    brain_soon(b);
}

/* ---- the firewall ---- */

static int compare_rows(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct fw_row));
}

static void send_row(struct brain *b, const struct fw_row *row, bool add)
{
    const struct member_machine *who = member_find_address(b->set, row->peer);
    struct peer *p = add && who ? peer_find(b, who->id) : NULL;
    if (p && row->port == 0)
        p->let_in = false; /* until it is committed */
    if (row->port == 0) {
        struct ward_fw_member m = {.add = add};
        memcpy(m.peer, row->peer, 16);
        ward_ask(b, WARD_REQ_FW_MEMBER, &m, sizeof m, NULL, NULL);
        return;
    }
    struct ward_fw_allow a = {.port = row->port, .protocol = IPPROTO_TCP, .add = add};
    memcpy(a.peer, row->peer, 16);
    memcpy(a.dest, row->dest, 16);
    ward_ask(b, WARD_REQ_FW_ALLOW, &a, sizeof a, NULL, NULL);
}

/* Rows as they should be, sorted; port 0 with a zero dest: may ping. */
static size_t wanted_rows(struct brain *b, struct fw_row *rows, size_t cap)
{
    size_t n = 0;
    const struct member_machine *self = brain_self(b);
    for (size_t i = 0; !b->catching_up && i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m->standing != MEMBER_CONFIRMED && m->standing != MEMBER_PROVISIONAL)
            continue;
        if (m != self && m->standing == MEMBER_CONFIRMED && brain_confirmed(b) && n < cap) {
            memset(&rows[n], 0, sizeof rows[n]);
            memcpy(rows[n++].peer, m->address, 16);
        }
        for (unsigned k = 0; b->cfg && k < b->cfg->service_count && n < cap; k++) {
            const struct clan_config_service *s = &b->cfg->services[k];
            if (place_holder(b->set, b->cfg, s) != self ||
                (m != self && !place_allows(b->set, b->cfg, s, m)))
                continue;
            memset(&rows[n], 0, sizeof rows[n]);
            memcpy(rows[n].peer, m->address, 16);
            keys_service_address(b->clan_id, s->name, rows[n].dest);
            rows[n++].port = place_port(s);
        }
    }
    qsort(rows, n, sizeof *rows, compare_rows);
    return n;
}

static void on_committed(struct brain *b, void *arg, const struct ward_answer *a, int fd)
{
    (void)arg;
    if (fd >= 0)
        close(fd);
    b->fw_commits--;
    if (a->error.status != CLAN_OK) { /* the next pass says everything again */
        log_clan_error(LOG_LEVEL_ERROR, &a->error);
        free(b->fw);
        b->fw = NULL;
        b->fw_count = 0;
        return;
    }
    brain_soon(b);
}

static void firewall_settled(struct brain *b)
{
    b->fw_assume = false;
    for (size_t i = 0; i < b->peer_count; i++)
        b->peers[i].let_in = true;
}

/* One nft at a time: what changes while it runs goes into the next one, however much it is. */
static void firewall_reconcile(struct brain *b)
{
    if (!b->net_up || b->fw_commits)
        return;
    size_t cap = member_count(b->set) * (1 + (b->cfg ? b->cfg->service_count : 0)) + 1;
    struct fw_row *rows = calloc(cap, sizeof *rows);
    if (!rows)
        return;
    size_t n = wanted_rows(b, rows, cap), i = 0, k = 0;
    bool changed = false;
    if (!b->fw) {
        ward_simple(b, WARD_REQ_FW_CLEAR, NULL, NULL);
        changed = true;
    }
    while (i < n || k < b->fw_count) {
        int c = i == n ? 1 : k == b->fw_count ? -1 : compare_rows(&rows[i], &b->fw[k]);
        if (c < 0)
            send_row(b, &rows[i], true);
        else if (c > 0)
            send_row(b, &b->fw[k], false);
        changed |= c != 0;
        i += c <= 0;
        k += c >= 0;
    }
    if (changed) {
        b->fw_commits++;
        ward_simple(b, WARD_REQ_FW_COMMIT, on_committed, NULL);
    }
    free(b->fw);
    b->fw = rows;
    b->fw_count = n;
    if (b->fw_commits == 0)
        firewall_settled(b);
}

/* ---- dialling ---- */

bool peers_may_dial(struct brain *b, const struct member_machine *m, const char *transport,
    const char *endpoint, uint8_t net[static 16])
{
    uint8_t address[16];
    link_address(endpoint, address);
    if (sodium_is_zero(address, 16)) { /* of a transport with addresses of its own */
        enum path_limit_kind kind =
            rendezvous_hides(b, transport) ? PATH_LIMIT_HIDDEN : PATH_LIMIT_NETWORK;
        path_limit_hidden(endpoint, net);
        return path_limit_take(&b->limit, kind, net, m->id, brain_now());
    }
    if (link_on_attached_subnet(b, address))
        return true;
    path_limit_net(address, net);
    return path_limit_take(&b->limit, PATH_LIMIT_NETWORK, net, m->id, brain_now());
}

static void order_with(const struct brain *b, const uint8_t id[32], struct path_order *ret)
{
    transports_order(b, ret);
    demand_filter(b, id, ret);
}

/* Control goes where packets pass. */
static void prefer_path_in_use(const struct peer *p, struct path_order *order)
{
    const struct path_candidate *now =
        p->paths ? path_choice_session(p->paths, p->paths->carries) : NULL;
    unsigned at = now ? path_order_rank(order, now->transport) : order->count;
    char name[33];
    if (at >= order->count)
        return;
    memcpy(name, order->names[at], sizeof name);
    memmove(order->names[1], order->names[0], at * sizeof order->names[0]);
    memcpy(order->names[0], name, sizeof name);
}

static void try_dial(
    struct brain *b, struct peer *p, const struct member_machine *m, clan_link_Purpose purpose)
{
    struct path_dial *d =
        purpose == clan_link_Purpose_PURPOSE_LINK ? &p->dial_link : &p->dial_control;
    const char *transport, *endpoint;
    struct path_order order;
    uint64_t at;
    order_with(b, m->id, &order);
    devices_last(b, &order);
    if (purpose == clan_link_Purpose_PURPOSE_CONTROL)
        prefer_path_in_use(p, &order);
    if (!b->link_ready || m->clone ||
        !path_next(d, &m->record, &order, brain_now(), &at, &transport, &endpoint))
        return;
    struct dialing what = {.purpose = purpose};
    memcpy(what.machine, m->id, 32);
    if (!peers_may_dial(b, m, transport, endpoint, what.net) ||
        !transports_dial(b, &what, transport, endpoint, PATH_DIAL_MS))
        path_failed(d, &m->record, &order, brain_random(NULL, 1000), brain_now());
}

static void dial_failed(struct brain *b, struct path_dial *d, const struct member_machine *m)
{
    struct path_order order;
    order_with(b, m->id, &order);
    path_failed(d, &m->record, &order, brain_random(NULL, 1000), brain_now());
}

bool peers_data_allowed(struct brain *b, const struct member_machine *m)
{
    clan_link_Peer desc;
    return describe_peer(b, m, &desc) && !desc.no_data;
}

void peers_dial_failed(struct brain *b, const struct dialing *what)
{
    struct peer *p = peer_find(b, what->machine);
    const struct member_machine *m = b->set ? member_find(b->set, what->machine) : NULL;
    if (!p || !m)
        return;
    reach_failed(what->transport, m->id);
    if (what->spare)
        paths_dial_failed(b, p, what);
    else if (what->purpose == clan_link_Purpose_PURPOSE_LINK)
        dial_failed(b, &p->dial_link, m);
    else
        dial_failed(b, &p->dial_control, m);
    brain_soon(b);
}

static void dial_neighbours(struct brain *b)
{
    size_t index[GOSSIP_NEIGHBOURS + CONFIG_KEEPERS_MAX];
    size_t n = path_neighbours(b->set, b->own_id, index, sizeof index / sizeof index[0]);
    for (size_t i = 0; i < n; i++) {
        const struct member_machine *m = member_at(b->set, index[i]);
        struct peer *p = peer_get(b, m->id);
        if (p && !p->control)
            try_dial(b, p, m, clan_link_Purpose_PURPOSE_CONTROL);
    }
    /* whoever dialled the control session dials the data session: the other may not be reachable */
    for (size_t i = 0; i < b->peer_count; i++) {
        struct peer *p = &b->peers[i];
        struct session *s = session_find(b, p->control);
        const struct member_machine *m = member_find(b->set, p->id);
        if (s && s->dialed && !p->link && m && peers_data_allowed(b, m))
            try_dial(b, p, m, clan_link_Purpose_PURPOSE_LINK);
    }
}

void peers_reconcile(struct brain *b)
{
    const struct member_machine *self = brain_self(b);
    bool out = !self || self->standing == MEMBER_REVOKED;
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        if (m != self && m->standing != MEMBER_UNKNOWN && !m->phone)
            peer_get(b, m->id);
    }
    firewall_reconcile(b);
    for (size_t i = 0; i < member_count(b->set); i++) {
        const struct member_machine *m = member_at(b->set, i);
        struct peer *p = m == self ? NULL : peer_find(b, m->id);
        if (!p || m->standing == MEMBER_UNKNOWN)
            continue;
        if (m->standing == MEMBER_REVOKED || out)
            send_gone(b, p);
        else
            send_peer(b, p, m);
    }
    if (out)
        return;
    dial_neighbours(b);
    paths_reconcile(b);
}

void peers_nudge(struct brain *b)
{
    for (size_t i = 0; i < b->peer_count; i++) {
        path_nudge(&b->peers[i].dial_control);
        path_nudge(&b->peers[i].dial_link);
    }
    paths_nudge(b);
    brain_soon(b);
}

static const struct member_machine *machine_at_address(struct brain *b, const uint8_t addr[16])
{
    const struct member_machine *m = member_find_address(b->set, addr);
    uint8_t service[16];
    for (unsigned i = 0; !m && b->cfg && i < b->cfg->service_count; i++) {
        keys_service_address(b->clan_id, b->cfg->services[i].name, service);
        if (memcmp(service, addr, 16) == 0)
            m = place_holder(b->set, b->cfg, &b->cfg->services[i]);
    }
    for (unsigned i = 0; !m && i < BRAIN_SOFT_MAX; i++) {
        keys_service_address(b->clan_id, b->soft[i].s.name, service);
        if (b->soft[i].used && memcmp(service, addr, 16) == 0)
            m = member_find(b->set, b->soft[i].holder);
    }
    return m;
}

void peers_want(struct brain *b, const uint8_t address[16])
{
    const struct member_machine *m = b->set ? machine_at_address(b, address) : NULL;
    if (!m || m == brain_self(b) || m->standing == MEMBER_REVOKED || !peers_data_allowed(b, m))
        return;
    struct peer *p = peer_get(b, m->id);
    if (p && !p->link)
        try_dial(b, p, m, clan_link_Purpose_PURPOSE_LINK);
}

/* ---- sessions of known peers ---- */

/* Link arbitrates when both sides dial at once: what it reports as up is the one that stays. */
static void control_up(struct brain *b, struct peer *p, struct session *s)
{
    struct session *old = session_find(b, p->control);
    if (old && old != s && old->gossiping) {
        gossip_down(b->gossip, old->id);
        old->gossiping = false;
    }
    p->control = s->id;
    path_connected(&p->dial_control);
    s->gossiping = true;
    gossip_up(b->gossip, s->id, GOSSIP_PEER, s->machine, s->peer_static, brain_now());
    services_tell(b, s);
}

void peers_session_up(struct brain *b, struct session *s, bool carries)
{
    struct peer *p = peer_get(b, s->machine);
    if (!p || !b->gossip)
        return;
    p->last_seen = clock_wall_s();
    s->since_ms = brain_now();
    reach_up(b, s);
    if (s->dialed && !sodium_is_zero(s->net, sizeof s->net))
        path_limit_proven(&b->limit, s->net, brain_now());
    if (s->purpose == clan_link_Purpose_PURPOSE_CONTROL) {
        control_up(b, p, s);
    } else if (s->purpose == clan_link_Purpose_PURPOSE_LINK) {
        if (!s->spare)
            path_connected(&p->dial_link);
        paths_up(b, p, s, carries);
    }
    api_changed(b);
}

void peers_session_down(struct brain *b, struct session *s, clan_link_Reason reason)
{
    struct peer *p = peer_find(b, s->machine);
    const struct member_machine *m = b->set ? member_find(b->set, s->machine) : NULL;
    if (!p)
        return;
    if (s->dialed && !s->up && reason != clan_link_Reason_REASON_REPLACED)
        reach_failed(s->transport, p->id);
    bool control = s->purpose == clan_link_Purpose_PURPOSE_CONTROL;
    struct path_dial *d = control ? &p->dial_control : &p->dial_link;
    uint32_t *current = control ? &p->control : &p->link;
    if (*current == s->id)
        *current = 0;
    if (s->up)
        p->last_seen = clock_wall_s();
    if (!control)
        paths_down(b, p, s, reason);
    if (s->spare)
        return;
    bool lived = s->up && brain_now() - s->since_ms >= PEERS_SHORT_LIFE_MS;
    struct path_order order;
    order_with(b, p->id, &order);
    if (m && (lived || (s->dialed && !*current)))
        path_ended(d, lived, &m->record, &order, brain_random(NULL, 1000), brain_now());
    else
        d->busy = false;
}

/* ---- acknowledgements: signed only after what they speak of is done (DESIGN 14) ---- */

void peers_acknowledge(struct brain *b)
{
    struct stmt_ack ack = {0};
    uint8_t body[128], raw[STMT_MAX];
    size_t size, raw_size;
    struct clan_error e = CLAN_ERROR_INIT;
    const struct member_machine *self = brain_self(b);
    if (!self || self->standing != MEMBER_CONFIRMED || !b->cfg || b->catching_up)
        return;
    for (size_t i = 0; i < b->peer_count; i++)
        if (b->peers[i].closing)
            return;
    if (b->net_up && (!b->fw || b->fw_commits)) /* the firewall still has the rows of before */
        return;
    if (!phones_settled(b))
        return;
    ack.config_version = b->body_version;
    member_revocations_digest(b->set, ack.revocations, &ack.revocation_count);
    if (!b->ack_valid && self->acked_version) { /* said before a restart of ours */
        b->ack_valid = true;
        b->acked_version = self->acked_version;
        memcpy(b->acked_revocations, self->acked_revocations, 32);
    }
    if (b->ack_valid && ack.config_version == b->acked_version &&
        memcmp(ack.revocations, b->acked_revocations, 32) == 0)
        return;
    if (stmt_put_ack(&ack, body, sizeof body, &size) != CLAN_OK ||
        stmt_build(STMT_ACK, b->clan_id, b->own_id, b->own_ack_seq + 1, body, size, raw,
            &raw_size) != CLAN_OK ||
        stmt_sign(raw, &raw_size, b->secret) != CLAN_OK)
        return;
    if (spread_publish(b, raw, raw_size, &e) != CLAN_OK) {
        log_clan_error(LOG_LEVEL_WARN, &e);
        return;
    }
    b->own_ack_seq++;
    b->ack_valid = true;
    b->acked_version = ack.config_version;
    memcpy(b->acked_revocations, ack.revocations, 32);
}
